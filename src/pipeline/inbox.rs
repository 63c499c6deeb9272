//! What waits in a connector's queue, read ahead for the lease holder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::FetchError;
use crate::registry::{ConnectorRegistry, QueueStatus};
use crate::source::Source;
use crate::store::{Store, StoreError, WaitingDelivery};

/// Deliveries read at a time, at first and at most.
const FIRST_COUNT: usize = 16;
const MOST_COUNT: usize = 128;

/// Bytes of one read that make the next one smaller, or larger.
const LARGE_READ: u64 = 4 << 20;
const SMALL_READ: u64 = 1 << 20;

/// How often the queue is looked at when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Pause after the store could not be asked.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How often the state of the queue is looked at.
const LEVEL_EVERY: Duration = Duration::from_secs(5);

/// Deliveries that wait for another attempt or for what they are about; beyond it nothing new is
/// taken.
const MOST_SET_ASIDE: usize = 256;

/// Deliveries whose records are fetched at the same time. The client keeps to the provider's pace.
const FETCHED_AT_ONCE: usize = 8;

/// A delivery and how often it was tried.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The delivery.
    pub waiting: WaitingDelivery,
    /// Attempts that failed or, under an earlier holder of the lease, did not end.
    pub failed: u32,
    /// What was fetched for it.
    pub fetched: Option<Fetched>,
}

/// One record to fetch.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Its stream.
    pub stream: Arc<str>,
    /// What the delivery shows of it.
    pub record: Bytes,
    /// The whole delivery.
    pub delivery: Bytes,
}

/// What the provider showed.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// For each record that was asked for; `None` where there is none.
    Records(Vec<Option<Bytes>>),
    /// One could not be fetched.
    Failed(FetchError),
}

impl Attempt {
    fn first(waiting: WaitingDelivery) -> Self {
        Self {
            failed: waiting.attempts,
            waiting,
            fetched: None,
        }
    }
}

/// Reads a connector's queue from its start until it is dropped.
#[derive(Debug)]
pub struct Inbox {
    /// Where the queue is.
    pub(super) store: Arc<dyn Store>,
    arriving: mpsc::Receiver<Vec<WaitingDelivery>>,
    /// By the time of their next attempt.
    deferred: BTreeMap<(Instant, u64), Attempt>,
    counted: u64,
    fetching: JoinSet<Attempt>,
    places: Arc<Semaphore>,
    /// The one place for records of which nothing else tells which is newer.
    turn: Arc<Semaphore>,
    /// Entries that were dealt with since attempts were last noted.
    done: Vec<String>,
    // Dropping the set ends the reading.
    _task: JoinSet<()>,
}

impl Inbox {
    /// Starts reading: whatever an earlier holder of the lease did not acknowledge comes first.
    pub fn open(store: Arc<dyn Store>, connector: &Arc<str>, registry: ConnectorRegistry) -> Self {
        let (sender, arriving) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(read(store.clone(), connector.clone(), sender));
        task.spawn(watch(store.clone(), connector.clone(), registry));
        Self {
            store,
            arriving,
            deferred: BTreeMap::new(),
            counted: 0,
            fetching: JoinSet::new(),
            places: Arc::new(Semaphore::new(FETCHED_AT_ONCE)),
            turn: Arc::new(Semaphore::new(1)),
            done: Vec::new(),
            _task: task,
        }
    }

    /// The next deliveries to process, in order. Dropped before it answers nothing is lost.
    pub async fn next(&mut self) -> Vec<Attempt> {
        let is_open = self.is_open();
        let due = self.deferred.keys().next().map(|(at, _)| *at);
        let due_now = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due_now => self.take_due(),
            Some(fetched) = self.fetching.join_next() => {
                let others = std::iter::from_fn(|| self.fetching.try_join_next());
                std::iter::once(fetched).chain(others).flatten().collect()
            }
            arrived = self.arriving.recv(), if is_open => match arrived {
                Some(arrived) => arrived.into_iter().map(Attempt::first).collect(),
                // The reader panicked; without it nothing arrives before the next tenure.
                None => std::future::pending().await,
            },
        }
    }

    /// As [`next`](Self::next), if there is something now.
    pub fn try_next(&mut self) -> Option<Vec<Attempt>> {
        let first = self.deferred.keys().next();
        if first.is_some_and(|(at, _)| *at <= Instant::now()) {
            return Some(self.take_due());
        }
        let fetched = std::iter::from_fn(|| self.fetching.try_join_next());
        let fetched: Vec<Attempt> = fetched.flatten().collect();
        if !fetched.is_empty() {
            return Some(fetched);
        }
        if !self.is_open() {
            return None;
        }
        let arrived = self.arriving.try_recv().ok()?;
        Some(arrived.into_iter().map(Attempt::first).collect())
    }

    fn is_open(&self) -> bool {
        self.deferred.len() + self.fetching.len() < MOST_SET_ASIDE
    }

    fn take_due(&mut self) -> Vec<Attempt> {
        let later = self.deferred.split_off(&(Instant::now(), u64::MAX));
        std::mem::replace(&mut self.deferred, later)
            .into_values()
            .collect()
    }

    /// Keeps a delivery for another attempt after `wait`.
    pub fn defer(&mut self, attempt: Attempt, wait: Duration) {
        self.counted += 1;
        self.deferred
            .insert((Instant::now() + wait, self.counted), attempt);
    }

    /// Fetches what a delivery is about; it comes again with that, and others go on meanwhile.
    /// `by_turn`: in the order in which deliveries came, because nothing else tells which record
    /// is newer.
    pub fn fetch(
        &mut self,
        source: Arc<dyn Source>,
        attempt: Attempt,
        wanted: Vec<Fetch>,
        by_turn: bool,
    ) {
        let places = if by_turn { &self.turn } else { &self.places };
        let places = places.clone();
        self.fetching.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire_owned().await;
            let fetched = fetch_all(&*source, wanted).await;
            Attempt {
                fetched: Some(fetched),
                ..attempt
            }
        });
    }

    /// Notes in the store that these deliveries are tried once more, so that one that ends its
    /// process is known to the next.
    pub(super) async fn begin(
        &mut self,
        connector: &str,
        attempts: &[Attempt],
    ) -> Result<(), StoreError> {
        let begun: Vec<String> = attempts
            .iter()
            // Its attempt goes on.
            .filter(|attempt| attempt.fetched.is_none())
            .map(|attempt| attempt.waiting.entry.clone())
            .collect();
        if !(begun.is_empty() && self.done.is_empty()) {
            self.store
                .note_attempts(connector, &begun, &self.done)
                .await?;
            self.done.clear();
        }
        Ok(())
    }

    /// These were acknowledged.
    pub(super) fn finish(&mut self, entries: impl Iterator<Item = String>) {
        self.done.extend(entries);
    }
}

async fn fetch_all(source: &dyn Source, wanted: Vec<Fetch>) -> Fetched {
    let mut records = Vec::with_capacity(wanted.len());
    for one in wanted {
        match source.fetch(&one.stream, &one.record, &one.delivery).await {
            Ok(found) => records.push(found),
            Err(error) => return Fetched::Failed(error),
        }
    }
    Fetched::Records(records)
}

async fn read(
    store: Arc<dyn Store>,
    connector: Arc<str>,
    sender: mpsc::Sender<Vec<WaitingDelivery>>,
) {
    let mut after: Option<String> = None;
    let mut count = FIRST_COUNT;
    loop {
        // Listens before it looks: what arrives in between wakes it.
        let mut arrival = std::pin::pin!(store.delivered(&connector));
        let _ = futures::poll!(arrival.as_mut());
        match store.waiting(&connector, after.as_deref(), count).await {
            Ok(found) if found.is_empty() => {
                if let Ok(Err(error)) = tokio::time::timeout(LOOK_EVERY, arrival).await {
                    tracing::debug!(connector.id = &*connector, error = %crate::telemetry::chain(&error), "cannot listen for deliveries");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
            Ok(found) => {
                let bytes: u64 = found.iter().map(|one| one.delivery.bytes()).sum();
                count = match bytes {
                    LARGE_READ.. => (count / 2).max(1),
                    0..SMALL_READ => (count * 2).min(MOST_COUNT),
                    _ => count,
                };
                after = found.last().map(|last| last.entry.clone());
                if sender.send(found).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(
                    connector.id = &*connector,
                    error = %crate::telemetry::chain(&error),
                    "cannot read the queue of deliveries"
                );
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// Shows how the queue stands.
async fn watch(store: Arc<dyn Store>, connector: Arc<str>, registry: ConnectorRegistry) {
    loop {
        if let Ok(level) = store.queue_level(&connector).await {
            registry.update(&connector, |status| {
                status.queue = Some(QueueStatus::from(level));
            });
        }
        tokio::time::sleep(LEVEL_EVERY).await;
    }
}
