//! What leaves the versions: records that a complete listing no longer lists, and those that aged
//! out.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Cycle, FLUSH_AFTER};
use crate::pipeline::CycleError;
use crate::pipeline::batch::{MAX_RECORDS, deletion};
use crate::pipeline::detect::{day_of, rfc3339};
use crate::pipeline::session::split_field;
use crate::pipeline::versions::{TOMBSTONE, key_hash};
use crate::source::WholePart;
use crate::store::KnownVersion;

/// Vanished records looked up in the store at a time.
const DELETIONS_AT_ONCE: usize = 10_000;

/// State fields in one commit: validators of a long listing, a hundred bytes each.
const STATE_AT_ONCE: usize = 1000;

/// Parts of a stream that were listed whole: what their keys begin with, and since when.
#[derive(Default)]
pub(super) struct WholeParts {
    parts: BTreeMap<String, Option<i64>>,
    is_counted: bool,
}

impl WholeParts {
    pub(super) fn extend(&mut self, part: Option<WholePart>) {
        if let Some(part) = part {
            self.is_counted |= part.is_counted;
            self.parts.insert(part.prefix, part.since);
        }
    }

    /// Whether pages were counted, so that a second look has to confirm what is gone.
    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// The oldest instant that any of them was listed from; `None` where there are none.
    pub(super) fn since(&self) -> Option<i64> {
        let since = self.parts.values().map(|since| since.unwrap_or(i64::MIN));
        since.min()
    }

    /// Whether a record that is not listed is gone.
    fn hold(&self, key: &str, known: &KnownVersion) -> bool {
        // No key of a part begins with that of another.
        let upto = (Bound::Unbounded, Bound::Included(key));
        if self.parts.contains_key("") {
            return true;
        }
        let before = self.parts.range::<str, _>(upto).next_back();
        before.is_some_and(|(prefix, since)| {
            key.starts_with(prefix)
                && since.is_none_or(|since| known.instant.is_some_and(|at| at >= since))
        })
    }
}

impl Cycle<'_> {
    /// Publishes what a complete listing, or the `parts` of one, no longer lists; `false` when it
    /// was stopped before the last of them.
    pub(super) async fn delete_vanished(
        &mut self,
        stream: usize,
        name: &Arc<str>,
        parts: Option<&WholeParts>,
    ) -> Result<bool, CycleError> {
        if self.streams[stream].rejected > 0 {
            // One of the rejected may be a record that is thought to be gone.
            self.warn(format!(
                "stream {name}: some records could not be read; nothing is called deleted"
            ));
            return Ok(true);
        }
        if self.session.is_unsettled(name) {
            tracing::info!(
                connector.id = &*self.pipeline.config.name,
                stream = &**name,
                "deliveries just before this worker took over may be missing from the listing: \
                 nothing is called deleted"
            );
            return Ok(false);
        }
        let publish = self.publishes_deletions();
        let retention = self.pipeline.config.change_detection.retention_days;
        let retention = u16::try_from(retention).unwrap_or(u16::MAX);
        let asks = self.pipeline.source.streams()[stream].asks_for_missing;
        let mut asked = HashSet::new();
        let oldest_grave = Some(day_of(self.pipeline.clock.now()).saturating_sub(retention));
        loop {
            let Some(table) = self
                .session
                .tables
                .get(name)
                .filter(|table| table.unseen() > 0)
            else {
                return Ok(true);
            };
            let delivered = self.session.delivered.get(name);
            let mut vanished = HashSet::new();
            let mut fields = Vec::new();
            self.pipeline
                .store
                .scan_versions(&self.session.lease.connector, &mut |field, known| {
                    let Some((of, key)) = split_field(field) else {
                        return;
                    };
                    let hash = key_hash(key);
                    if of == &**name
                        && fields.len() < DELETIONS_AT_ONCE
                        && table.get(hash).is_some_and(|known| !known.seen)
                        && !asked.contains(&hash)
                        && !delivered.is_some_and(|keys| keys.contains_key(&hash))
                        && parts.is_none_or(|parts| parts.hold(key, &known))
                        && (known.version != TOMBSTONE || known.day < oldest_grave)
                        && vanished.insert(hash)
                    {
                        fields.push((key.to_owned(), field.to_vec(), known));
                    }
                })
                .await?;
            if fields.is_empty() {
                // Known here but not in the store: the next commit finds out why.
                return Ok(true);
            }
            // In the order of their keys, whatever the store's is.
            fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let is_last = parts.is_some() && fields.len() < DELETIONS_AT_ONCE;
            for (key, field, known) in fields {
                if asks && known.version != TOMBSTONE {
                    asked.insert(key_hash(&key));
                    match self.is_gone(stream, name, &key).await? {
                        Some(true) => {}
                        Some(false) => continue,
                        None => return Ok(false),
                    }
                }
                if self.batch.is_full(self.most) {
                    self.launch().await?;
                }
                let time = rfc3339(self.pipeline.clock.now());
                let publish = publish && known.version != TOMBSTONE;
                let rule = &self.streams[stream].rule;
                let signal = publish.then(|| deletion(&rule.subject(&key), known.version, time));
                self.batch.delete(field, signal);
                if let Some(table) = self.session.tables.get_mut(name) {
                    table.remove(key_hash(&key));
                }
                if self.stop.is_cancelled() {
                    return Ok(false);
                }
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// Asks whether a record that is not listed is gone; `None` when that cannot be told. One that
    /// is there is looked at like any other.
    async fn is_gone(
        &mut self,
        stream: usize,
        name: &Arc<str>,
        key: &str,
    ) -> Result<Option<bool>, CycleError> {
        let due = |since: Instant| since.elapsed() >= FLUSH_AFTER;
        if self.batch.is_full(self.most) || self.batch_since.is_some_and(due) {
            self.launch().await?;
        }
        if self.is_over() {
            return Ok(None);
        }
        let (source, stop) = (&self.pipeline.source, self.stop);
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            found = source.look_up(name, key) => found,
        };
        match found {
            Ok(None) => Ok(Some(true)),
            Ok(Some(record)) => {
                if self.batch.overflows_with(record.len()) {
                    self.launch().await?;
                }
                let now = self.pipeline.clock.now();
                let skipped = u64::from(self.record(stream, name, &record, now));
                self.pipeline.metrics.page_read(name, 1, false);
                self.pipeline.metrics.skipped(name, skipped);
                self.report.summary.fetched += 1;
                self.report.summary.skipped_unchanged += skipped;
                self.streams[stream].fetched += 1;
                Ok(Some(false))
            }
            Err(error) => {
                self.report.failures.push((name.clone(), error.redacted()));
                Ok(None)
            }
        }
    }

    /// Remembers the state of a full listing, behind its last deletion. If that was not reached,
    /// the state is dropped: the next read looks at everything again.
    pub(super) async fn end_listing(
        &mut self,
        stream: usize,
        state: Vec<(String, Option<String>)>,
        is_done: bool,
    ) -> Result<(), CycleError> {
        let held = std::mem::take(&mut self.streams[stream].held);
        if !is_done {
            return Ok(());
        }
        // Of what is said of a field twice the last counts.
        let held: BTreeMap<_, _> = held.into_iter().chain(state).collect();
        let held: Vec<_> = held.into_iter().collect();
        for chunk in held.chunks(STATE_AT_ONCE) {
            self.remember(chunk.to_vec());
            self.launch().await?;
        }
        Ok(())
    }

    pub(super) fn publishes_deletions(&self) -> bool {
        let detection = &self.pipeline.config.change_detection;
        detection.deletions.unwrap_or(true)
    }

    /// Forgets versions of an incremental stream that are too old or too many.
    pub(super) async fn retire(&mut self, name: &Arc<str>) -> Result<(), CycleError> {
        let Some(retired) = self.pipeline.find_retired(self.session, name).await? else {
            return Ok(());
        };
        let count = retired.len() as u64;
        for chunk in retired.chunks(MAX_RECORDS * 5) {
            for (key, field) in chunk {
                self.batch.delete(field.clone(), None);
                if let Some(table) = self.session.tables.get_mut(name) {
                    table.remove(*key);
                }
            }
            self.launch().await?;
        }
        self.pipeline.metrics.versions_evicted(name, count);
        self.flush().await
    }
}
