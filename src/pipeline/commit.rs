//! The one write of a cycle, and what its answers mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::CycleError;
use crate::registry::{ConnectorRegistry, Phase};
use crate::signal::ChangeKind;
use crate::store::{Commit, Committed, CycleStore, Lease, Prepared, Queue, StoreError};
use crate::telemetry::metrics::{CommitOutcome, ConnectorMetrics};

/// How often a full output stream is looked at again.
const FULL_RECHECK: Duration = Duration::from_secs(1);

/// Whether the tenure goes on after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    /// The lease is held.
    Goes,
    /// The commit counts, but the lease key names nobody or somebody else.
    Ends,
    /// Asked to stop while the output stream was full: nothing was written.
    Stopped,
}

/// Writes the commits of one tenure, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) store: Arc<dyn CycleStore>,
    pub(super) lease: Lease,
    pub(super) applied: Arc<AtomicU64>,
    pub(super) registry: ConnectorRegistry,
    pub(super) metrics: ConnectorMetrics,
    pub(super) stop: CancellationToken,
}

/// A commit, and what became of it.
pub(super) type Written = (Commit, Result<Tenure, CycleError>);

impl Writer {
    /// Writes one commit after the other, until one ends the tenure or no more will come.
    pub(super) async fn run(&self, mut queue: Queue, written: mpsc::Sender<Written>) {
        while let Some(mut prepared) = queue.take().await {
            let result = self.write(&mut prepared, &mut queue).await;
            let goes = matches!(result, Ok(Tenure::Goes));
            let heard = written.send((prepared.into_commit(), result)).await.is_ok();
            if !(goes && heard) {
                return;
            }
        }
    }

    /// Writes a commit, behind which those in `queue` wait; waits while the output stream is full.
    pub(super) async fn write(
        &self,
        prepared: &mut Prepared,
        queue: &mut Queue,
    ) -> Result<Tenure, CycleError> {
        let sequence = prepared.commit().sequence;
        let output = prepared.commit().output.stream.clone();
        let mut waited = false;
        loop {
            let started = tokio::time::Instant::now();
            let answer = (self.store)
                .commit_prepared(&self.lease, prepared, queue)
                .await;
            self.metrics.committed(outcome(&answer), started.elapsed());
            match answer? {
                Committed::Applied { lease_held } => {
                    self.applied.store(sequence, Ordering::Release);
                    if waited {
                        self.set_phase(Phase::Polling);
                    }
                    return Ok(if lease_held {
                        Tenure::Goes
                    } else {
                        Tenure::Ends
                    });
                }
                Committed::Fenced => return Err(CycleError::LeaseLost),
                Committed::Gap { stored } => return Err(CycleError::StoreBehind { stored }),
                Committed::InDoubt => return Err(CycleError::InDoubt),
                Committed::Full { length } => {
                    if !waited {
                        waited = true;
                        tracing::warn!(
                            connector.id = &*self.lease.connector,
                            output_stream = &*output,
                            length,
                            "output stream is full: publishing waits for its consumers"
                        );
                        self.set_phase(Phase::BackPressure);
                    }
                    let level = self.store.trim(&output).await?;
                    self.registry.update(&self.lease.connector, |status| {
                        status.output_length = Some(level.length);
                        status.deadline = super::deadline_in(FULL_RECHECK + Duration::from_mins(1));
                    });
                    tokio::select! {
                        () = self.stop.cancelled() => return Ok(Tenure::Stopped),
                        () = tokio::time::sleep(FULL_RECHECK) => {}
                    }
                }
            }
        }
    }

    fn set_phase(&self, phase: Phase) {
        self.registry
            .update(&self.lease.connector, |status| status.phase = phase);
    }
}

/// Tells the metrics what a commit published; answers how many signals, and how many of them
/// deletions.
pub(super) fn count_published(metrics: &ConnectorMetrics, commit: &Commit) -> (u64, u64) {
    let count = |kind: ChangeKind| {
        let signals = commit.signals.iter().filter(|signal| signal.kind == kind);
        let count = signals.count() as u64;
        metrics.published(&commit.origin.stream, kind, count);
        count
    };
    let (created, updated) = (count(ChangeKind::Created), count(ChangeKind::Updated));
    let deleted = count(ChangeKind::Deleted);
    (created + updated + deleted, deleted)
}

fn outcome(answer: &Result<Committed, StoreError>) -> CommitOutcome {
    match answer {
        Ok(Committed::Applied { .. }) => CommitOutcome::Applied,
        Ok(Committed::Fenced) => CommitOutcome::Fenced,
        Ok(Committed::Gap { .. }) => CommitOutcome::Gap,
        Ok(Committed::Full { .. }) => CommitOutcome::Full,
        Ok(Committed::InDoubt) => CommitOutcome::InDoubt,
        Err(_) => CommitOutcome::Error,
    }
}
