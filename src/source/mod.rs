//! Where records come from: a [`Source`] reads the streams of one connector, page by page.
//!
//! A source deals in bytes and cursors. Keys, versions and changes are the pipeline's business:
//! each stream says by a [`SignalRule`] where they stand in a record.

mod key;
pub mod manifest;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::client::FetchError;
use crate::json::{Ignored, Pointer};
use crate::webhook::Webhooks;

pub use key::{KeyRule, key_of};
pub use record::Record;

/// One kind of record of a connector.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// Name as in the manifest: `issues`.
    pub name: Arc<str>,
    /// Where key, time and version stand in a record.
    pub signal: SignalRule,
    /// Whether a complete read lists every record there is, so that one missing is deleted.
    pub lists_everything: bool,
    /// Whether a record that is read twice in one poll counts as it was read later: the stream
    /// tells changes in their order.
    pub later_counts: bool,
    /// Whether a record that a complete read does not list is asked for before it is called
    /// deleted: changes tell of more records than a listing shows.
    pub asks_for_missing: bool,
    /// Set when the stream cannot be read: it needs a component this engine does not run.
    pub unavailable: Option<String>,
}

/// How a record of one stream becomes a signal (`metadata.connector.signals.<stream>`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SignalRule {
    /// The key: one pointer gives a scalar subject, several a composite one, none the hash of the
    /// whole record. Default: the stream's `primary_key`.
    pub subject: Vec<Pointer>,
    /// What tells the part of the stream that a record belongs to. It is kept with its key, so
    /// that a part that was listed whole shows what is gone, and is no part of the subject.
    pub within: Vec<Pointer>,
    /// The record's own update time.
    pub time: Option<Pointer>,
    /// Fields that make the version; empty: the whole record. A field that is an instant counts
    /// as the instant, however it is spelled.
    pub version: Vec<Pointer>,
    /// Fields that do not make the version.
    pub ignore: Vec<Pointer>,
    /// Whether [`time`](Self::time) orders versions: a record older than the published one is
    /// dropped.
    pub ordered: bool,
}

/// What a read starts from.
#[derive(Debug, Clone, Default)]
pub struct ReadState {
    /// State fields as the store keeps them: `cursor:{stream}`, `etag:{stream}:{request}`.
    pub fields: BTreeMap<String, String>,
    /// Streams to read, in this order; empty: all.
    pub streams: Vec<Arc<str>>,
    /// Streams of which every record's version is wanted, because none is known yet, and what does
    /// not make a version there. It costs little while a record is looked for in an answer, and a
    /// pass of its own later.
    pub hashing: BTreeMap<Arc<str>, Arc<Ignored>>,
    /// Stop each stream after about this many records (`preview --limit`).
    pub limit: Option<u64>,
    /// The second look at what seems to be gone: a stream that only a sweep shows it of is not
    /// read, but swept.
    pub again: bool,
}

/// What a read tells, in the order in which it happens.
#[derive(Debug)]
pub enum Event {
    /// Records, and what to remember once they are committed.
    Page(Page),
    /// The provider voided the cursor: the stream is read again from its start, and what was seen
    /// before does not count as seen.
    Restart {
        /// Index into [`Source::streams`].
        stream: usize,
    },
    /// A stream is read to its end, or to where it failed. Sent once per stream.
    End {
        /// Index into [`Source::streams`].
        stream: usize,
        /// How it ended.
        outcome: Outcome,
        /// State fields to set with the stream's last commit (`None` removes).
        state: Vec<(String, Option<String>)>,
    },
}

/// Records of one answer of the provider.
#[derive(Debug, Default)]
pub struct Page {
    /// Index into [`Source::streams`].
    pub stream: usize,
    /// Usually slices of the answer's body.
    pub records: Vec<Record>,
    /// Records that a transformation could not handle.
    pub rejected: Vec<Rejected>,
    /// What the provider says is gone. It comes before `records`: where a key is in both, it was
    /// made again.
    pub deleted: Vec<Deleted>,
    /// The provider said that nothing changed (304): `records` is empty and says nothing about
    /// which records exist.
    pub not_modified: bool,
    /// Which part of the stream's read ends with this page, from 0 to 1, where the provider or the
    /// number of slices tells. For display alone.
    pub done: Option<f64>,
    /// State fields to set in the commit that holds the last of these records.
    pub state: Vec<(String, Option<String>)>,
    /// As `state`, of a read of everything: to be set where nothing was known before it, as only
    /// then nothing is overlooked when a later read goes on from there.
    pub first: Option<(String, Option<String>)>,
    /// Records that are still there, of which nothing but the key is looked at.
    pub seen: Vec<Record>,
    /// A part of the stream that was listed whole with this page and those before it.
    pub whole: Option<WholePart>,
}

/// A part of a stream that was listed whole: what was known of it, and was not listed, is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholePart {
    /// What the keys of its records begin with.
    pub prefix: String,
    /// What is older, in milliseconds since 1970, was not asked for.
    pub since: Option<i64>,
    /// Pages were counted: what is missing is gone when a second look misses it too.
    pub is_counted: bool,
}

/// A record that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Its key, as [`key_of`] makes it.
    pub key: String,
    /// Every record whose key begins with `key` and this is gone as well.
    pub below: Option<Arc<str>>,
    /// Whether the record itself is gone, and not only what is below it.
    pub itself: bool,
}

/// A record that could not be read, and why.
#[derive(Debug)]
pub struct Rejected {
    /// As received.
    pub data: Bytes,
    /// Why, in words.
    pub reason: String,
}

/// How the read of one stream ended. Only `Complete` and `Counted` find deletions.
#[derive(Debug)]
pub enum Outcome {
    /// Every page was read, freshly and successfully.
    Complete,
    /// As `Complete`, but pages were found by counting: when a record was removed meanwhile, the
    /// first of the next page slipped into one that was already read, and no answer shows it.
    /// What is missing is gone when a second read misses it too.
    Counted,
    /// Everything that changed since the last read was read: what was not named is as it was.
    Changes,
    /// Every page was read, but the set of records may not be all there is (an edit moved
    /// records between pages, a 304 among fresh pages): cursors move, nothing is deleted.
    Drifted,
    /// Every page was read but those of parts that the provider has nothing for, and says so by a
    /// refusal (a feature that is switched off): cursors move, nothing is deleted. Why, in words.
    Skipped(String),
    /// The provider said of every page that it did not change.
    Unchanged,
    /// The answer is older than one that was read before; it was dropped.
    Stale,
    /// Something was not read.
    Incomplete(FetchError),
}

/// Receives the events of a read. Bounded: the source waits while the pipeline commits, one page
/// ahead.
#[derive(Debug, Clone)]
pub struct Events(mpsc::Sender<Event>);

/// The pipeline went away: stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl Events {
    /// A channel that holds `ahead` events.
    pub fn channel(ahead: usize) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(ahead);
        (Self(sender), receiver)
    }

    /// Hands one event over, waiting for room.
    pub async fn send(&self, event: Event) -> Result<(), Stopped> {
        self.0.send(event).await.map_err(|_| Stopped)
    }
}

/// What `check` found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// What was proven, one sentence each: address, identity, each stream.
    pub proven: Vec<String>,
    /// What works but will disappoint.
    pub warnings: Vec<String>,
    /// What does not work, each for itself: one stream that is refused keeps no other from being
    /// tried.
    pub failed: Vec<FetchError>,
}

/// Reads one connector's streams.
///
/// The pipeline calls `read` once per poll and drops the future to stop it; nothing may be
/// remembered from a dropped read except tokens the provider has already rotated.
#[async_trait]
pub trait Source: Send + Sync {
    /// All streams, those that cannot be read included.
    fn streams(&self) -> &[StreamSpec];

    /// First part of a signal's `type`: `jira`.
    fn provider(&self) -> &str;

    /// Time between polls that suits the provider.
    fn poll_interval(&self) -> Option<Duration>;

    /// Streams that are only delivered and never read.
    fn pushed(&self) -> &[StreamSpec] {
        &[]
    }

    /// How deliveries of the provider are mapped; `None` when it sends none.
    fn webhooks(&self) -> Option<&Arc<Webhooks>> {
        None
    }

    /// Whether a delivery is about something that the connector reads. The error is for people.
    fn wants(&self, _delivery: &Bytes) -> Result<bool, String> {
        Ok(true)
    }

    /// The record of `stream` that `record` of a delivery is about, as the provider has it now;
    /// `None` when it has none.
    async fn fetch(
        &self,
        _stream: &str,
        _record: &Bytes,
        _delivery: &Bytes,
    ) -> Result<Option<Bytes>, FetchError> {
        Ok(None)
    }

    /// The record of `stream` with this key, as a listing would show it; `None` when it is gone.
    /// Asked of streams that [ask for what is missing](StreamSpec::asks_for_missing).
    async fn look_up(&self, _stream: &str, _key: &str) -> Result<Option<Record>, FetchError> {
        Ok(None)
    }

    /// A delivered record after what the stream does to listed ones; `None` when it leaves it
    /// out. The error is for people.
    fn select(&self, _stream: &str, record: Bytes) -> Result<Option<Bytes>, String> {
        Ok(Some(record))
    }

    /// Reads the streams one after another. A stream that fails does not keep the others from
    /// being read.
    async fn read(&self, state: &ReadState, events: &Events) -> Result<(), Stopped>;

    /// Proves address, credentials and permissions. Publishes nothing.
    async fn check(&self) -> Result<CheckReport, FetchError>;
}
