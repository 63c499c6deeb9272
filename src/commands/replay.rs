//! `dlq replay`: the records of dead letters take part in a cycle of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::output;
use crate::client::FetchError;
use crate::json;
use crate::pipeline::NOT_SELECTED;
use crate::poller::{Wanted, poll_once};
use crate::registry::ConnectorStatus;
use crate::source::{CheckReport, Event, Events, Outcome, Page, ReadState, Source, StreamSpec};
use crate::store::{DeadLetterEntry, Store};

/// Records handed over at a time.
const AT_ONCE: usize = 100;

/// Publishes what has become publishable. A letter leaves when its record was tried; one that
/// fails again comes back with a new id and its present reason.
pub(super) async fn replay(
    context: &Context,
    store: Arc<dyn Store>,
    name: &str,
    letters: Vec<DeadLetterEntry>,
) -> Result<()> {
    let wanted = context.connector(name)?;
    let mut records = BTreeMap::<usize, Vec<Bytes>>::new();
    let mut tried = Vec::new();
    let mut kept = 0_usize;
    for entry in letters {
        match stream_of(&entry, &*wanted.source) {
            Ok(stream) => {
                records.entry(stream).or_default().push(entry.letter.data);
                tried.push(entry.id);
            }
            Err(reason) => {
                tracing::warn!(connector.id = name, id = entry.id, "not tried: {reason}");
                kept += 1;
            }
        }
    }
    let source = Arc::new(Letters {
        of: wanted.source,
        records,
    });
    let wanted = Wanted {
        config: wanted.config,
        source,
    };
    let shared = context.shared(store.clone());
    shared
        .registry
        .insert(ConnectorStatus::new(name, &wanted.config.kind));
    if !tried.is_empty() {
        let summary = poll_once(&shared, &wanted, &CancellationToken::new())
            .await?
            .summary;
        // Only now: a letter is lost at no moment, and trying one twice publishes once.
        store.purge_dead_letters(name, Some(&tried)).await?;
        output::line(&format!(
            "tried {} dead letters of {name}: {} published, {} known already, {} failed again",
            tried.len(),
            summary.published,
            summary.skipped_unchanged,
            summary.failed
        ))?;
        if summary.failed > 0 {
            bail!(
                "{} records still cannot become signals; they stay among the dead letters",
                summary.failed
            );
        }
    }
    if kept > 0 {
        bail!("{kept} dead letters cannot be tried again and stay");
    }
    if tried.is_empty() {
        output::line(&format!("{name} has no dead letters"))?;
    }
    Ok(())
}

/// The stream that a letter's record is of, or why it cannot be tried again.
fn stream_of(entry: &DeadLetterEntry, source: &dyn Source) -> Result<usize, String> {
    let letter = &entry.letter;
    if letter.reason.starts_with(NOT_SELECTED) {
        return Err(
            "it holds the record as received; it is tried when the provider lists it again"
                .to_owned(),
        );
    }
    if json::validate(&letter.data).is_err() {
        return Err("its record was cut or is no JSON".to_owned());
    }
    let of = |spec: &StreamSpec| *spec.name == *letter.stream;
    source
        .streams()
        .iter()
        .position(of)
        .ok_or_else(|| format!("its stream {} does not exist any more", letter.stream))
}

/// Lists stored records in place of what the provider has.
struct Letters {
    of: Arc<dyn Source>,
    records: BTreeMap<usize, Vec<Bytes>>,
}

#[async_trait]
impl Source for Letters {
    fn streams(&self) -> &[StreamSpec] {
        self.of.streams()
    }

    fn provider(&self) -> &str {
        self.of.provider()
    }

    fn poll_interval(&self) -> Option<Duration> {
        self.of.poll_interval()
    }

    async fn read(&self, _: &ReadState, events: &Events) -> Result<(), crate::source::Stopped> {
        for (&stream, records) in &self.records {
            for chunk in records.chunks(AT_ONCE) {
                let page = Page {
                    stream,
                    records: chunk.iter().cloned().map(Into::into).collect(),
                    ..Page::default()
                };
                events.send(Event::Page(page)).await?;
            }
            // Not complete: a record that is no dead letter is not gone.
            let end = Event::End {
                stream,
                outcome: Outcome::Unchanged,
                state: Vec::new(),
            };
            events.send(end).await?;
        }
        Ok(())
    }

    async fn check(&self) -> Result<CheckReport, FetchError> {
        self.of.check().await
    }
}
