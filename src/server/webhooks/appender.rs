//! Appends to one connector's queue, many deliveries in one write.
//!
//! While one append is on its way those that arrive gather for the next, so that load makes
//! batches and quiet makes none wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::store::{Enqueued, QueueLimits, QueuedDelivery, Store};
use crate::telemetry::metrics;

/// Deliveries of one append.
const MOST_AT_ONCE: usize = 64;

/// Bytes from which an append takes no more.
const MOST_BYTES: u64 = 512 << 10;

/// Deliveries that wait for their append.
const MOST_WAITING: usize = 2_048;

/// Bound on the whole of an append, the wait for the one before included: the most impatient
/// provider allows three seconds.
const PATIENCE: Duration = Duration::from_millis(2_800);

type Wanted = (QueuedDelivery, oneshot::Sender<Option<Enqueued>>);

/// One connector's appends; ends with its last handle.
#[derive(Debug)]
pub(super) struct Appender {
    sender: mpsc::Sender<Wanted>,
    // Dropping the set ends the task, after whoever waits was answered: each holds the hook.
    _task: JoinSet<()>,
}

impl Appender {
    pub(super) fn start(store: Arc<dyn Store>, connector: Arc<str>, limits: QueueLimits) -> Self {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let mut task = JoinSet::new();
        task.spawn(append(store, connector, limits, receiver));
        Self {
            sender,
            _task: task,
        }
    }

    /// Appends `delivery`; `None` when nobody knows whether it is in the queue.
    pub(super) async fn append(&self, delivery: QueuedDelivery) -> Option<Enqueued> {
        let (answer, answered) = oneshot::channel();
        let Ok(()) = self.sender.try_send((delivery, answer)) else {
            return Some(Enqueued::Full);
        };
        tokio::time::timeout(PATIENCE, answered).await.ok()?.ok()?
    }
}

async fn append(
    store: Arc<dyn Store>,
    connector: Arc<str>,
    limits: QueueLimits,
    mut receiver: mpsc::Receiver<Wanted>,
) {
    while let Some(first) = receiver.recv().await {
        let mut bytes = first.0.bytes();
        let (mut deliveries, mut answers) = (vec![first.0], vec![first.1]);
        while deliveries.len() < MOST_AT_ONCE
            && bytes < MOST_BYTES
            && let Ok((delivery, answer)) = receiver.try_recv()
        {
            // Who is answered already needs no append.
            if answer.is_closed() {
                continue;
            }
            bytes += delivery.bytes();
            deliveries.push(delivery);
            answers.push(answer);
        }
        let outcomes = match store.enqueue(&connector, &limits, &deliveries).await {
            Ok(appended) => {
                metrics::delivery_ids_evicted(&connector, appended.evicted_ids);
                appended.outcomes.into_iter().map(Some).collect()
            }
            Err(error) => {
                tracing::warn!(
                    connector.id = &*connector,
                    error = %crate::telemetry::chain(&error),
                    "cannot queue deliveries: their senders are told to come back"
                );
                vec![None; answers.len()]
            }
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A sender that went away comes back with the same id.
            let _ = answer.send(outcome);
        }
    }
}
