//! Where leases, state and signals live: one trait, three implementations held to one contract.
//!
//! A connector's lease, state, versions and output stream are written together by
//! [`Store::commit`]: no moment exists between publishing a signal and remembering it. The store,
//! not the worker's clock, decides who may write: every commit names its epoch and owner, and a
//! stale one is refused.

pub mod address;
mod entry;
mod memory;
mod redis;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

pub use address::StoreAddress;
pub use memory::MemoryStore;

use self::redis::RedisStore;
use crate::signal::{Origin, Signal, Version};

/// The version of the state layout; kept in the state's `schema` field.
pub const STATE_SCHEMA: u32 = 1;

/// Who holds a lease: `host/pid/random64`, unique per acquisition attempt of a process.
///
/// The random part matters: after a failover that lost the last acquisition the next one hands
/// out the same epoch number again, and only the owner tells the two apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// A new owner for this process on `host`.
    pub fn new(host: &str) -> Self {
        Self(
            format!(
                "{host}/{}/{:016x}",
                std::process::id(),
                rand::random::<u64>()
            )
            .into(),
        )
    }

    /// As stored in the lease key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Owner {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The right to run a connector. Everything that writes takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Connector name.
    pub connector: Arc<str>,
    /// Fencing number; only grows.
    pub epoch: u64,
    /// Who holds it.
    pub owner: Owner,
    /// How long it outlives its last renewal.
    pub ttl: Duration,
}

/// Answer to [`Store::acquire`].
#[derive(Debug, Clone, PartialEq)]
pub enum Acquired {
    /// The lease is ours; the state is as the last commit left it.
    Held(Lease, State),
    /// Somebody else holds it.
    Busy {
        /// The holder, as it names itself.
        holder: String,
        /// When the lease ends unless it is renewed.
        remaining: Duration,
    },
}

/// What a connector's state hash holds.
///
/// `fields` are those that commits write: `cursor:{stream}` and `etag:{stream}:{request}`; the
/// store does not look into them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Fencing number of the last acquisition; 0 when there was none.
    pub epoch: u64,
    /// Number of the last commit that was applied.
    pub sequence: u64,
    /// Cursors and validators by field name.
    pub fields: BTreeMap<String, String>,
    /// How many versions are kept.
    pub versions: u64,
}

/// Answer to [`Store::renew`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// Ours for another TTL.
    Held,
    /// The key is gone or names another owner: stop at the page boundary and contend again.
    Lost,
    /// Another epoch or owner may write: drop what is held.
    Fenced,
    /// The store is behind what this worker committed (it lost its tail): reload.
    Gap,
}

/// Answer to [`Store::commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// Applied now, or applied before and the reply was lost: the same thing to the caller.
    Applied {
        /// Whether the lease key still names this owner; `false` means stop at the page boundary.
        lease_held: bool,
    },
    /// Refused: another epoch or owner may write. Nothing was written.
    Fenced,
    /// Refused: the stored sequence is not the one before this commit's. Nothing was written.
    Gap {
        /// The stored sequence.
        stored: u64,
    },
    /// Refused: the output stream is full and its consumers have not read it. Nothing was written.
    Full {
        /// Entries in the stream.
        length: u64,
    },
    /// The store did not answer in time; the commit may or may not have been applied, now or
    /// later. The sequence must not be reused for other content: acquire anew, then reload.
    InDoubt,
}

/// One version to keep: `{stream}\0{key}` → 16-byte hash, optionally followed by the 8-byte
/// big-endian instant (milliseconds since 1970, as `i64`) of the record's own update time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    /// `{stream}\0{key}`; see [`version_field`].
    pub field: Vec<u8>,
    /// 16 or 24 bytes; see [`KnownVersion`].
    pub known: KnownVersion,
}

/// A version as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownVersion {
    /// The hash.
    pub version: Version,
    /// The record's own update time in milliseconds since 1970.
    pub instant: Option<i64>,
    /// Day the record was last seen (days since 1970), for streams whose versions age out.
    pub day: Option<u16>,
}

impl KnownVersion {
    /// Bytes in the store: hash, then instant (8, big-endian; `i64::MIN` for none, present only
    /// when instant or day is), then day (2, big-endian).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.version.0.to_vec();
        if self.instant.is_some() || self.day.is_some() {
            bytes.extend(self.instant.unwrap_or(i64::MIN).to_be_bytes());
        }
        if let Some(day) = self.day {
            bytes.extend(day.to_be_bytes());
        }
        bytes
    }

    /// The reverse of [`encode`](Self::encode); `None` for any other length.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let version = Version(bytes.get(..16)?.try_into().ok()?);
        let instant = match bytes.get(16..24) {
            Some(raw) => {
                Some(i64::from_be_bytes(raw.try_into().ok()?)).filter(|at| *at != i64::MIN)
            }
            None => None,
        };
        let day = match bytes.get(24..26) {
            Some(raw) => Some(u16::from_be_bytes(raw.try_into().ok()?)),
            None => None,
        };
        matches!(bytes.len(), 16 | 24 | 26).then_some(Self {
            version,
            instant,
            day,
        })
    }
}

/// The name under which the version of `key` in `stream` is kept.
pub fn version_field(stream: &str, key: &str) -> Vec<u8> {
    [stream.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// Whether [`version_field`] made `field` for a key of `stream`.
fn is_version_field_of(field: &[u8], stream: &str) -> bool {
    field
        .strip_prefix(stream.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&0))
}

/// Whether the state field belongs to `stream`: `{what}:{stream}` or `{what}:{stream}:{more}`.
fn is_state_field_of(field: &str, stream: &str) -> bool {
    let Some((_, of)) = field.split_once(':') else {
        return false;
    };
    of.strip_prefix(stream)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Dead letters kept per connector; older ones make room.
const DEAD_LETTERS_KEPT: usize = 10_000;

/// A counter's text after adding `amount`; no text is zero.
fn add_to_metric(name: &str, text: Option<&str>, amount: i64) -> Result<String, StoreError> {
    let before = text.map_or(Ok(0), str::parse::<i64>).map_err(|_| {
        StoreError::Corrupt(format!(
            "the counter {name} is no number: {:?}",
            text.unwrap_or("")
        ))
    })?;
    Ok(before.saturating_add(amount).to_string())
}

/// The id of an entry in a store that numbers entries itself; looks like one of Redis.
fn local_id(number: u64) -> String {
    format!("{number}-0")
}

/// The reverse of [`local_id`]; the plain number will do.
fn parse_local_id(id: &str) -> Result<u64, StoreError> {
    id.strip_suffix("-0")
        .unwrap_or(id)
        .parse()
        .map_err(|_| StoreError::Misconfigured(format!("{id:?} is not the id of an entry")))
}

/// A record that could not become a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Stream name.
    pub stream: String,
    /// Why, in words for the operator.
    pub reason: String,
    /// The record as it was received, cut at 64 KiB.
    pub data: Bytes,
}

/// One atomic write. Build one, keep it until a definite answer, never change it in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The connector's last applied sequence + 1.
    pub sequence: u64,
    /// Output stream and its limits.
    pub output: Output,
    /// What the signals have in common.
    pub origin: Origin,
    /// In the order in which consumers shall see them.
    pub signals: Vec<Signal>,
    /// Versions to set.
    pub versions: Vec<VersionEntry>,
    /// Version fields to remove.
    pub gone: Vec<Vec<u8>>,
    /// State fields to set, or to remove where the value is `None`.
    pub state: Vec<(String, Option<String>)>,
    /// Records that failed.
    pub dead_letters: Vec<DeadLetter>,
}

/// An output stream and how full it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name without prefix: `raw-input-signals`.
    pub stream: Arc<str>,
    /// Commits that would pass this length answer [`Committed::Full`]; 0 means no limit. The
    /// embedded store, whose readers are not known to it, drops the oldest entries instead.
    pub max_len: u64,
}

/// One entry of an output stream, fields in stored order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// Id in the store: `1708770600000-0`.
    pub id: String,
    /// Names and values.
    pub fields: Vec<(String, Bytes)>,
}

impl StreamEntry {
    /// The value of `name`, if the entry has it.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_ref())
    }
}

/// A lease as `leases list` and `status` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Connector name.
    pub connector: String,
    /// Who holds it.
    pub owner: String,
    /// Fencing number.
    pub epoch: u64,
    /// Time left.
    pub remaining: Duration,
}

/// One kept dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterEntry {
    /// Id in the dead-letter stream.
    pub id: String,
    /// When it was written, RFC 3339.
    pub time: String,
    /// What it holds.
    pub letter: DeadLetter,
}

/// How an output stream stands. The embedded and the memory store have no consumer groups, so
/// there is nothing they could trim: `groups` and `trimmed` are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamLevel {
    /// Entries.
    pub length: u64,
    /// Consumer groups.
    pub groups: u64,
    /// Entries removed by the call that answered this.
    pub trimmed: u64,
}

/// Why the store could not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Not reachable, timed out, or restarting: try again later.
    #[error("cannot reach the store at {address}")]
    Unavailable {
        /// Address without credentials.
        address: String,
        /// The library's error.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reachable, but set up so that the guarantees do not hold or the command is not allowed.
    #[error("{0}")]
    Misconfigured(String),
    /// The stored bytes are not what this version of the worker writes.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}

/// What the poller, pipeline and commands need of a store.
///
/// Called about once per hundred changed records (`commit`), three times per TTL (`renew`), and
/// rarely otherwise. An implementation must not answer `commit` from memory, retry it with other
/// bytes, or hold a lock across a network call.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Address without credentials, for messages.
    fn address(&self) -> String;

    /// Whether the store answers at all.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Tries to take the lease of `connector`, once. Success increments the epoch, except when
    /// `owner` already holds it. A holder equal to `previous` is replaced at once: that is how a
    /// worker that must reload takes a fresh epoch without waiting for its own TTL.
    async fn acquire(
        &self,
        connector: &str,
        owner: &Owner,
        previous: Option<&Owner>,
        ttl: Duration,
    ) -> Result<Acquired, StoreError>;

    /// Extends the lease while it names this owner. `applied` is the last sequence the caller
    /// knows to be applied; a store that is behind it answers [`Renewed::Gap`].
    async fn renew(&self, lease: &Lease, applied: u64) -> Result<Renewed, StoreError>;

    /// Gives the lease up and tells standbys. Late commits of this owner are refused from here on.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Returns when a release of `connector` was announced; the caller bounds the wait. May
    /// return early, so the caller tries to acquire and comes back.
    async fn released(&self, connector: &str) -> Result<(), StoreError>;

    /// The state, without any lease.
    async fn load_state(&self, connector: &str) -> Result<State, StoreError>;

    /// Passes every kept version to `each`, in any order; an entry may come twice.
    async fn scan_versions(
        &self,
        connector: &str,
        each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
    ) -> Result<(), StoreError>;

    /// The versions of these fields, in their order.
    async fn get_versions(
        &self,
        connector: &str,
        fields: &[Vec<u8>],
    ) -> Result<Vec<Option<KnownVersion>>, StoreError>;

    /// Writes signals, versions, state and dead letters, all or nothing, fenced by `lease`.
    /// Repeats identical bytes until the answer is definite or patience ends (`InDoubt`).
    async fn commit(&self, lease: &Lease, commit: &Commit) -> Result<Committed, StoreError>;

    /// Adds to counters and sets gauges of `metrics:connector:{name}`; not fenced.
    async fn record_metrics(
        &self,
        connector: &str,
        add: &[(&str, i64)],
        set: &[(&str, String)],
    ) -> Result<(), StoreError>;

    /// The metrics hash.
    async fn load_metrics(&self, connector: &str) -> Result<BTreeMap<String, String>, StoreError>;

    /// Removes entries of `stream` that every consumer group has read; nothing when there is no
    /// group. Answers how full the stream is.
    async fn trim(&self, stream: &str) -> Result<StreamLevel, StoreError>;

    /// Up to `count` entries after `after` (`None`: from the start), waiting at most `wait` for
    /// the first.
    async fn read_stream(
        &self,
        stream: &str,
        after: Option<&str>,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<StreamEntry>, StoreError>;

    /// Id of the newest entry of `stream`.
    async fn last_entry(&self, stream: &str) -> Result<Option<String>, StoreError>;

    /// All leases that are held now.
    async fn leases(&self) -> Result<Vec<LeaseInfo>, StoreError>;

    /// Removes a lease whoever holds it; the holder is fenced by the next acquisition.
    /// `false` when there was none.
    async fn break_lease(&self, connector: &str) -> Result<bool, StoreError>;

    /// Removes state fields and versions of the connector: those of `stream`, or all. Keeps
    /// epoch and sequence, which must never go back.
    async fn reset_state(
        &self,
        lease: &Lease,
        stream: Option<&str>,
    ) -> Result<Committed, StoreError>;

    /// Up to `count` dead letters after `after`, oldest first.
    async fn dead_letters(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadLetterEntry>, StoreError>;

    /// Removes these dead letters, or all when `ids` is `None`. Answers how many.
    async fn purge_dead_letters(
        &self,
        connector: &str,
        ids: Option<&[String]>,
    ) -> Result<u64, StoreError>;
}

/// Options of [`open`].
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// Prepended to every key.
    pub key_prefix: String,
    /// Accept a Redis whose eviction policy may drop state.
    pub allow_eviction: bool,
}

/// Opens the store at `address`: connects, checks that it can keep its promises.
pub async fn open(
    address: &StoreAddress,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, StoreError> {
    match address {
        StoreAddress::Memory => Ok(Arc::new(MemoryStore::new())),
        StoreAddress::Sqlite(path) => {
            let store = sqlite::SqliteStore::open(path, &options.key_prefix).await?;
            Ok(Arc::new(store))
        }
        StoreAddress::Redis(url) => Ok(Arc::new(RedisStore::open(url, options).await?)),
        StoreAddress::Sentinel(address) => {
            let store = RedisStore::open_watched(address, options).await?;
            Ok(Arc::new(store))
        }
    }
}
