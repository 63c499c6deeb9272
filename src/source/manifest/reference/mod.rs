//! Reading a stream exactly as the format's reference does: the same requests, records and state,
//! and the same silence about what went wrong without an error.
//!
//! What differs from the worker's `retriever` is how slices follow one
//! another and what ends them; requests, templates, selection and cursors are the same code, which
//! asks its [`Mode`](super::Mode).

mod asked;
mod cache;
mod delegate;
mod discover;
mod legacy;
mod pages;
mod partitions;
mod schema;
mod slices;

use std::time::Duration;

pub(super) use cache::ResponseCache;
pub use discover::Described;
use tokio::time::Instant;

use self::slices::{Cached, Slices};
use super::cursor::Observed;
use super::fields::{optional, type_of};
use super::{Built, ManifestSource};
use crate::client::FetchError;
use crate::document::Node;
use crate::json::Value;
use crate::source::Stopped;

/// How often the state of a partitioned stream is told before its end: it names every partition.
const STATE_EVERY: Duration = Duration::from_mins(10);

/// Is told what a read finds, in order.
pub trait Sink: Send {
    /// A record, on one line.
    fn record(&mut self, record: &[u8]) -> Result<(), Stopped>;
    /// Where a later read may go on.
    fn state(&mut self, state: &Value) -> Result<(), Stopped>;
    /// Part of the stream cannot be read.
    fn failed(&mut self, error: FetchError) -> Result<(), Stopped>;
}

/// Whether a stream answers.
#[derive(Debug)]
pub enum Availability {
    /// With at least one record.
    Records,
    /// But it has no record.
    Empty,
    /// There is nothing to ask for: its parent has no record.
    NoSlice,
}

impl ManifestSource {
    /// Reads a stream from `state` to its end; tells whether all of it could be read.
    pub async fn read_as_the_reference(
        &self,
        stream: usize,
        state: Option<&Value>,
        sink: &mut dyn Sink,
    ) -> Result<bool, Stopped> {
        match self.prepared(stream, state).await {
            Ok(slices) => read(slices, sink).await,
            Err(error) => {
                sink.failed(error)?;
                Ok(false)
            }
        }
    }

    /// Reads a stream up to its first record.
    pub async fn probe_as_the_reference(&self, stream: usize) -> Result<Availability, FetchError> {
        let mut slices = self.prepared(stream, None).await?;
        let Some(slice) = slices.next().await? else {
            return Ok(Availability::NoSlice);
        };
        let mut pages = slices.pages(&slice)?;
        while let Some(records) = pages.next().await? {
            if !records.is_empty() {
                return Ok(Availability::Records);
            }
        }
        Ok(Availability::Empty)
    }

    /// The slices, once the schema is known where the provider has to be asked for it.
    async fn prepared(
        &self,
        stream: usize,
        state: Option<&Value>,
    ) -> Result<Slices<'_>, FetchError> {
        let node = self.node(&self.specs[stream].name);
        if let Some(node) = node.filter(|node| asks_for_schema(node)) {
            self.schema(node).await?;
        }
        self.slices(stream, state)
    }

    fn slices(&self, stream: usize, state: Option<&Value>) -> Result<Slices<'_>, FetchError> {
        let spec = &self.specs[stream];
        let Some(Built { parts, .. }) = &self.streams[stream] else {
            let why = spec.unavailable.as_deref().unwrap_or_default();
            let words = format!("stream {}: {why}", spec.name);
            return Err(FetchError::Misconfigured(words));
        };
        let cache = self.parents.contains(&spec.name).then_some(&self.cache);
        Slices::open(
            self.run(&spec.name),
            parts,
            state,
            Cached {
                own: cache,
                parents: &self.cache,
            },
        )
    }
}

fn asks_for_schema(stream: &Node) -> bool {
    let loader = optional(stream, "schema_loader");
    loader.is_some_and(|loader| type_of(loader) == Some("DynamicSchemaLoader"))
}

async fn read(mut slices: Slices<'_>, sink: &mut dyn Sink) -> Result<bool, Stopped> {
    let mut is_whole = true;
    let mut told: Option<Instant> = None;
    loop {
        let slice = match slices.next().await {
            Ok(Some(slice)) => slice,
            Ok(None) => break,
            Err(error) => {
                sink.failed(error)?;
                is_whole = false;
                break;
            }
        };
        let mut observed = Observed::default();
        let mut pages = match slices.pages(&slice) {
            Ok(pages) => pages,
            Err(error) => {
                sink.failed(error)?;
                is_whole = false;
                slices.abandon();
                continue;
            }
        };
        let end = loop {
            match pages.next().await {
                Ok(Some(records)) => {
                    for record in &records {
                        sink.record(record)?;
                        slices.observe(&mut observed, record);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = end {
            // The other slices may still be read.
            sink.failed(error)?;
            is_whole = false;
            slices.abandon();
            continue;
        }
        slices.close(&slice, observed);
        let is_due =
            !slices.is_partitioned() || told.is_none_or(|told| told.elapsed() > STATE_EVERY);
        if slices.has_cursor() && is_due {
            told = Some(Instant::now());
            tell(&slices, sink)?;
        }
    }
    if is_whole {
        slices.finish();
    }
    tell(&slices, sink)?;
    Ok(is_whole)
}

fn tell(slices: &Slices<'_>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    match slices.state() {
        Ok(state) => sink.state(&state),
        Err(error) => sink.failed(error),
    }
}
