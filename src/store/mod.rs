//! Where leases, state and signals live: one trait, three implementations held to one contract.
//!
//! A connector's lease, state, versions and output stream are written together by
//! [`CycleStore::commit`]: no moment exists between publishing a signal and remembering it. The
//! store, not the worker's clock, decides who may write: every commit names its epoch and owner,
//! and a stale one is refused.

pub mod address;
mod commit;
mod credential;
mod entry;
mod error;
mod lease;
mod memory;
mod queue;
mod rate;
mod redis;
mod sqlite;
mod state;
mod stream;
mod version;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use address::StoreAddress;
pub use commit::{Commit, Committed, DeadLetter, Output, Prepared, Queue};
pub use credential::{CredentialLock, CredentialStore, Saved, StoredCredential};
pub use error::StoreError;
pub use lease::{Acquired, Lease, LeaseInfo, Owner, Renewed};
pub use memory::MemoryStore;
pub use queue::{
    Acknowledged, Appended, DeadDelivery, Enqueued, Failed, QueueLevel, QueueLimits, QueueStore,
    QueuedDelivery, WaitingDelivery,
};
pub use rate::{Turn, TurnRequest};
pub use state::{STATE_SCHEMA, State};
pub use stream::{DeadLetterEntry, StreamEntry, StreamLevel};
pub use version::{KnownVersion, VersionEntry, version_field};

use self::redis::RedisStore;
use self::state::{add_to_metric, is_state_field_of};
use self::stream::{DEAD_LETTERS_KEPT, local_id, parse_local_id};
use self::version::is_version_field_of;

/// What one cycle of the pipeline needs of a store.
///
/// `commit` is called about once per hundred changed records, the rest rarely. An implementation
/// must not answer `commit` from memory, retry it with other bytes, or hold a lock across a
/// network call.
#[async_trait]
pub trait CycleStore: Send + Sync + fmt::Debug {
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

    /// Writes signals, versions, state, dead letters and acknowledgements, all or nothing, fenced by
    /// `lease`.
    /// Repeats identical bytes until the answer is definite or patience ends (`InDoubt`).
    async fn commit(&self, lease: &Lease, commit: &Commit) -> Result<Committed, StoreError>;

    /// Does what can be done for a commit while the one before it is on its way.
    fn prepare(&self, lease: &Lease, commit: Commit) -> Prepared {
        let _ = lease;
        Prepared::plain(commit)
    }

    /// As [`commit`](Self::commit), of what [`prepare`](Self::prepare) made for the same lease.
    /// Meanwhile whatever can be undone may be done for the first commit in `queue`.
    async fn commit_prepared(
        &self,
        lease: &Lease,
        prepared: &mut Prepared,
        queue: &mut Queue,
    ) -> Result<Committed, StoreError> {
        let _ = queue;
        self.commit(lease, prepared.commit()).await
    }

    /// Removes entries of `stream` that every consumer group has read; nothing when there is no
    /// group. Answers how full the stream is.
    async fn trim(&self, stream: &str) -> Result<StreamLevel, StoreError>;
}

/// What the poller and the commands need besides: leases, state, metrics, and what was written.
#[async_trait]
pub trait Store: CycleStore + QueueStore + CredentialStore {
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

    /// Adds to counters and sets gauges of `metrics:connector:{name}`; not fenced.
    async fn record_metrics(
        &self,
        connector: &str,
        add: &[(&str, i64)],
        set: &[(&str, String)],
    ) -> Result<(), StoreError>;

    /// The metrics hash.
    async fn load_metrics(&self, connector: &str) -> Result<BTreeMap<String, String>, StoreError>;

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
