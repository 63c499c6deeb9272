//! Deliveries that wait for the lease holder: appended with the claim on their id in one step,
//! taken away by the commit that publishes what they hold.

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::time::Duration;

use super::StoreError;

/// Failed deliveries kept per connector; older ones make room.
pub(super) const DEAD_DELIVERIES_KEPT: usize = 10_000;

/// Ids that aged out and are forgotten by one append at most, so that none holds up the store.
pub(super) const FORGOTTEN_AT_ONCE: usize = 1_000;

/// A delivery as it waits. The store looks at nothing but the id.
#[derive(Clone, PartialEq, Eq)]
pub struct QueuedDelivery {
    /// The provider's id of it; a repetition has the same.
    pub id: String,
    /// When it was received, milliseconds since 1970.
    pub received_ms: i64,
    /// Everything but the body that is kept, as JSON.
    pub head: Bytes,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl fmt::Debug for QueuedDelivery {
    /// Bodies hold personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueuedDelivery({}, {} bytes)", self.id, self.bytes())
    }
}

impl QueuedDelivery {
    /// What it counts against the bound of the queue.
    pub fn bytes(&self) -> u64 {
        (self.head.len() + self.body.len()) as u64
    }

    /// What is remembered of its id.
    pub(super) fn claim(&self) -> [u8; 16] {
        let digest = Sha256::digest(self.id.as_bytes());
        let mut claim = [0; 16];
        claim.copy_from_slice(&digest[..16]);
        claim
    }
}

/// How much a connector's queue may hold and remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// How long an id is remembered.
    pub dedupe: Duration,
    /// Ids remembered at most.
    pub max_ids: u64,
    /// Deliveries that may wait.
    pub max_queued: u64,
    /// Bytes that may wait; the first delivery always fits.
    pub max_bytes: u64,
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits, as durable as the store is.
    Queued,
    /// Its id was queued before.
    Known,
    /// There is no room; its id is not taken.
    Full,
}

/// Answer to [`QueueStore::enqueue`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// For each delivery, in order.
    pub outcomes: Vec<Enqueued>,
    /// Ids forgotten before their time because of `max_ids`.
    pub evicted_ids: u64,
    /// Deliveries that wait now.
    pub queued: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A delivery that waits, and under what name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// Id in the queue, which grows.
    pub entry: String,
    /// What was received.
    pub delivery: QueuedDelivery,
    /// Attempts at it that were noted.
    pub attempts: u32,
}

/// A delivery that a commit takes out of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its id in the queue.
    pub entry: String,
    /// Its bytes.
    pub bytes: u64,
    /// Set when it could not be processed: it goes to the dead deliveries.
    pub failed: Option<Failed>,
}

/// Why a delivery was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// In words for the operator.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadDelivery {
    /// Id among the dead deliveries.
    pub entry: String,
    /// When it was given up, RFC 3339.
    pub time: String,
    /// Why.
    pub failed: Failed,
    /// What was received.
    pub delivery: QueuedDelivery,
}

/// How a connector's queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueLevel {
    /// Deliveries that wait.
    pub queued: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was received, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Ids remembered.
    pub ids: u64,
}

/// The queues of webhooks. Appending needs no lease; only the lease holder reads, and its commits
/// acknowledge.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Appends deliveries whose id is new and for which there is room: claim and append are one
    /// step, and an answer means that both are as durable as the store is. Repeating it after an
    /// error is safe.
    async fn enqueue(
        &self,
        connector: &str,
        limits: &QueueLimits,
        deliveries: &[QueuedDelivery],
    ) -> Result<Appended, StoreError>;

    /// Up to `count` waiting deliveries after the entry `after`, oldest first.
    async fn waiting(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<WaitingDelivery>, StoreError>;

    /// Notes one more attempt at each of the waiting entries `begun`, and forgets those at `done`.
    async fn note_attempts(
        &self,
        connector: &str,
        begun: &[String],
        done: &[String],
    ) -> Result<(), StoreError>;

    /// Returns when something was appended for `connector`; the caller bounds the wait. May
    /// return early or, rarely, late.
    async fn delivered(&self, connector: &str) -> Result<(), StoreError>;

    /// How the queue stands.
    async fn queue_level(&self, connector: &str) -> Result<QueueLevel, StoreError>;

    /// Up to `count` dead deliveries after the entry `after`, oldest first.
    async fn dead_deliveries(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError>;

    /// Puts these dead deliveries, or all, back into the queue under their ids. Answers how many.
    async fn replay_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError>;

    /// Removes these dead deliveries, or all. Answers how many.
    async fn purge_dead_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError>;
}
