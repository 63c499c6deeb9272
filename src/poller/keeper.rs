//! Keeps a lease alive beside the cycle, and says at once when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::store::{Lease, Renewed, Store};

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Ours.
    Held,
    /// Gone, taken, or not renewed in time.
    Lost,
    /// Ours, but the store is behind what this worker committed.
    Behind,
}

/// Renews until it is dropped.
pub(super) struct Keeper {
    hold: watch::Receiver<Hold>,
    // Dropping the set ends the renewals.
    _task: JoinSet<()>,
}

impl Keeper {
    /// Starts renewing `lease` at a third of its TTL.
    pub(super) fn start(store: Arc<dyn Store>, lease: Lease, applied: Arc<AtomicU64>) -> Self {
        let (sender, hold) = watch::channel(Hold::Held);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let over = renew_until_over(&*store, &lease, &applied).await;
            // The receiver lives as long as the keeper, and this task no longer than it.
            let _ = sender.send(over);
        });
        Self { hold, _task: task }
    }

    /// Returns when the lease is over, with why.
    pub(super) async fn over(&mut self) -> Hold {
        match self.hold.wait_for(|hold| *hold != Hold::Held).await {
            Ok(hold) => *hold,
            // The task panicked: without renewals the lease ends soon.
            Err(_) => Hold::Lost,
        }
    }
}

async fn renew_until_over(store: &dyn Store, lease: &Lease, applied: &AtomicU64) -> Hold {
    let third = lease.ttl / 3;
    let mut renewed = Instant::now();
    let mut pause = third;
    loop {
        tokio::time::sleep(pause).await;
        let asked = Instant::now();
        let answer = store.renew(lease, applied.load(Ordering::Acquire));
        match tokio::time::timeout(third, answer).await {
            Ok(Ok(Renewed::Held)) => {
                renewed = asked;
                pause = third;
            }
            Ok(Ok(Renewed::Lost | Renewed::Fenced)) => return Hold::Lost,
            Ok(Ok(Renewed::Gap)) => return Hold::Behind,
            Ok(Err(error)) => {
                tracing::warn!(
                    connector.id = &*lease.connector,
                    error = %crate::telemetry::chain(&error),
                    "cannot renew the lease"
                );
                pause = (lease.ttl / 10).max(Duration::from_millis(50));
            }
            Err(_) => {
                tracing::warn!(
                    connector.id = &*lease.connector,
                    "renewing the lease timed out"
                );
                pause = Duration::ZERO;
            }
        }
        // Stop while the lease is still ours, not after somebody else has it.
        if renewed.elapsed() + lease.ttl / 10 >= lease.ttl {
            return Hold::Lost;
        }
    }
}
