//! What a worker knows while it holds a lease: state, versions, and how far commits got.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::inbox::Inbox;
use super::versions::{KeyHash, VersionTable, key_hash};
use crate::store::{CycleStore, Lease, State, StoreError};

/// How long after a delivery a listing may still lack what it brought.
pub(super) const LISTING_LAG: Duration = Duration::from_mins(5);

/// How exactly it is stored when a stream last changed by a delivery.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// One tenure of a lease. Dropped whole when the store refuses a commit: the next tenure loads
/// afresh, so memory is never ahead of the store.
#[derive(Debug)]
pub struct Session {
    /// The right to write.
    pub lease: Lease,
    /// Last sequence known to be applied; shared with whoever renews the lease.
    pub applied: Arc<AtomicU64>,
    /// Cursors and validators as the store keeps them.
    pub fields: BTreeMap<String, String>,
    /// Versions by stream name.
    pub tables: HashMap<Arc<str>, VersionTable>,
    /// Hashes of records that went to the dead letters.
    pub buried: HashSet<u64>,
    /// When each stream was last looked through for versions that aged out.
    pub swept: HashMap<Arc<str>, Instant>,
    /// The connector's queue of deliveries, where it takes any.
    pub inbox: Option<Inbox>,
    /// A delivery asks for a poll.
    pub wake: bool,
    /// What deliveries changed lately: a listing that was read meanwhile may not show it.
    pub delivered: HashMap<Arc<str>, HashMap<KeyHash, Instant>>,
    /// Until when a listing may lack what an earlier holder of the lease was delivered.
    pub unsettled: HashMap<Arc<str>, Instant>,
    /// The tables hold changes that were given up: reload them before the next cycle.
    pub is_ahead: bool,
}

impl Session {
    /// Loads the versions of `streams`; those of other streams stay untouched in the store.
    pub async fn load(
        store: &dyn CycleStore,
        lease: Lease,
        state: State,
        streams: impl Iterator<Item = Arc<str>>,
    ) -> Result<Self, StoreError> {
        let mut session = Self {
            applied: Arc::new(AtomicU64::new(state.sequence)),
            fields: state.fields,
            tables: HashMap::new(),
            buried: HashSet::new(),
            swept: HashMap::new(),
            inbox: None,
            wake: false,
            delivered: HashMap::new(),
            unsettled: HashMap::new(),
            is_ahead: false,
            lease,
        };
        session.unsettled = session.fields.iter().filter_map(settles).collect();
        session.reload_versions(store, streams).await?;
        Ok(session)
    }

    /// Reads all versions again, after a commit was given up or the streams changed.
    pub async fn reload_versions(
        &mut self,
        store: &dyn CycleStore,
        streams: impl Iterator<Item = Arc<str>>,
    ) -> Result<(), StoreError> {
        self.tables = streams
            .map(|stream| (stream, VersionTable::default()))
            .collect();
        self.is_ahead = false;
        let tables = &mut self.tables;
        store
            .scan_versions(&self.lease.connector, &mut |field, known| {
                let Some((stream, key)) = split_field(field) else {
                    return;
                };
                if let Some(table) = tables.get_mut(stream) {
                    table.load(key_hash(key), known);
                }
            })
            .await
    }

    /// Remembers that a delivery changed `key`.
    pub fn note_delivered(&mut self, stream: &Arc<str>, key: &str) {
        let of_stream = self.delivered.entry(stream.clone()).or_default();
        of_stream.insert(key_hash(key), Instant::now());
    }

    /// What the next holder of the lease has to know of a stream that deliveries change; `None`
    /// when it was told a moment ago.
    pub fn note_change(&mut self, stream: &str) -> Option<(String, Option<String>)> {
        let now = Timestamp::now().as_millisecond();
        let field = format!("{DELIVERED}{stream}");
        let noted = self
            .fields
            .get(&field)
            .and_then(|at| at.parse::<i64>().ok());
        let age = noted.map_or(i64::MAX, |noted| now.saturating_sub(noted));
        if (0..i64::try_from(NOTED_EVERY.as_millis()).unwrap_or(0)).contains(&age) {
            return None;
        }
        self.fields.insert(field.clone(), now.to_string());
        Some((field, Some(now.to_string())))
    }

    /// Whether a listing of the stream may lack what an earlier holder of the lease was delivered.
    pub fn is_unsettled(&self, stream: &str) -> bool {
        let until = self.unsettled.get(stream);
        until.is_some_and(|until| Instant::now() < *until)
    }

    /// Forgets what deliveries changed before `since`.
    pub fn forget_delivered(&mut self, since: Instant) {
        for keys in self.delivered.values_mut() {
            keys.retain(|_, at| *at >= since);
        }
        self.delivered.retain(|_, keys| !keys.is_empty());
    }

    /// Sequence for the next commit.
    pub fn next_sequence(&self) -> u64 {
        self.applied.load(Ordering::Acquire) + 1
    }

    /// Versions held.
    pub fn versions(&self) -> u64 {
        self.tables.values().map(VersionTable::len).sum()
    }
}

/// State fields that say when a stream last changed by a delivery, in milliseconds since 1970.
const DELIVERED: &str = "delivered:";

fn settles((field, at): (&String, &String)) -> Option<(Arc<str>, Instant)> {
    let stream = field.strip_prefix(DELIVERED)?;
    let age = Timestamp::now()
        .as_millisecond()
        .saturating_sub(at.parse().ok()?);
    let left = LISTING_LAG.checked_sub(Duration::from_millis(u64::try_from(age).unwrap_or(0)))?;
    Some((stream.into(), Instant::now() + left))
}

/// `{stream}\0{key}` → stream and key.
pub fn split_field(field: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(field).ok()?.split_once('\0')
}
