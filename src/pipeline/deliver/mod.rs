//! Deliveries → the same detect → transform → commit as a poll, with the acknowledgement in the
//! commit that holds what they brought.

mod apply;
mod interpret;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, MAX_RECORDS};
use super::commit::{Tenure, Writer, count_published};
use super::inbox::Attempt;
use super::{CycleError, Pipeline, Session};
use crate::signal::{Origin, Via};
use crate::source::StreamSpec;
use crate::store::{Acknowledged, Commit, Failed, Output, Queue};
use crate::telemetry::metrics::DeliveryOutcome;
use crate::webhook::Webhooks;

use interpret::{Brought, Meaning};

/// Attempts after which a delivery goes to the dead ones.
const MAX_ATTEMPTS: u32 = 8;

/// First and longest wait between attempts.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// One call of [`Pipeline::deliver`].
struct Work<'w> {
    pipeline: &'w Pipeline,
    session: &'w mut Session,
    writer: Writer,
    specs: Vec<StreamSpec>,
    batch: Batch,
    stream: Arc<str>,
    most: usize,
    lease_ended: bool,
    stopped: bool,
}

impl Pipeline {
    /// Processes deliveries and acknowledges them. What has to be tried again is deferred in the
    /// session's inbox; what cannot work goes to the dead deliveries.
    ///
    /// Returns early when `stop` is cancelled: what is not acknowledged stays in the queue.
    pub async fn deliver(
        &self,
        session: &mut Session,
        attempts: Vec<Attempt>,
        stop: &CancellationToken,
    ) -> Result<(), CycleError> {
        let Some(webhooks) = self.source.webhooks().cloned() else {
            return Ok(());
        };
        let specs: Vec<StreamSpec> = self
            .source
            .streams()
            .iter()
            .chain(self.source.pushed())
            .cloned()
            .collect();
        let mut work = Work {
            writer: Writer {
                store: self.store.clone(),
                lease: session.lease.clone(),
                applied: session.applied.clone(),
                registry: self.registry.clone(),
                metrics: self.metrics.clone(),
                stop: stop.clone(),
            },
            pipeline: self,
            session,
            specs,
            batch: Batch::default(),
            stream: Arc::from(""),
            most: match usize::try_from(self.config.output_max_len) {
                Ok(limit @ 1..MAX_RECORDS) => limit,
                _ => MAX_RECORDS,
            },
            lease_ended: false,
            stopped: false,
        };
        work.run(&webhooks, attempts).await
    }
}

impl Work<'_> {
    async fn run(&mut self, webhooks: &Webhooks, attempts: Vec<Attempt>) -> Result<(), CycleError> {
        // What an earlier holder of the lease began and did not end is tried alone: should it end
        // this process as well, nothing else is blamed.
        let mut left = attempts;
        while let Some(first) = left.first() {
            let together = match first.failed {
                0 => left.iter().take_while(|one| one.failed == 0).count(),
                _ => 1,
            };
            let rest = left.split_off(together);
            let is_first = left[0].failed == 0;
            let begun: Vec<String> = left.iter().map(|one| one.waiting.entry.clone()).collect();
            self.group(webhooks, std::mem::replace(&mut left, rest))
                .await?;
            if self.is_over() {
                return self.end(if is_first { begun } else { Vec::new() }).await;
            }
        }
        Ok(())
    }

    async fn group(
        &mut self,
        webhooks: &Webhooks,
        attempts: Vec<Attempt>,
    ) -> Result<(), CycleError> {
        let connector = self.session.lease.connector.clone();
        if let Some(inbox) = &mut self.session.inbox {
            inbox.begin(&connector, &attempts).await?;
        }
        let mut brought: Vec<(usize, Brought)> = Vec::new();
        let mut done: Vec<Option<Acknowledged>> = Vec::new();
        let mut left: Vec<usize> = Vec::new();
        for attempt in attempts {
            let meaning = if attempt.failed < MAX_ATTEMPTS {
                self.pipeline.interpret(webhooks, &attempt, &self.specs)
            } else {
                Meaning::Poison("its processing began and never ended".to_owned())
            };
            let index = done.len();
            let mut acknowledged = Acknowledged {
                entry: attempt.waiting.entry.clone(),
                bytes: attempt.waiting.delivery.bytes(),
                failed: None,
            };
            let metrics = &self.pipeline.metrics;
            match meaning {
                Meaning::Changes {
                    changes,
                    wake,
                    routed,
                } => {
                    self.session.wake |= wake;
                    metrics.processed(if routed {
                        DeliveryOutcome::Processed
                    } else {
                        DeliveryOutcome::Ignored
                    });
                    metrics.delivery_lag(lag(attempt.waiting.delivery.received_ms));
                    left.push(changes.len());
                    brought.extend(changes.into_iter().map(|change| (index, change)));
                }
                Meaning::Fetch(wanted) => {
                    let by_turn = self.specs.iter().any(|spec| {
                        !spec.signal.ordered && wanted.iter().any(|one| one.stream == spec.name)
                    });
                    if let Some(inbox) = &mut self.session.inbox {
                        let source = self.pipeline.source.clone();
                        inbox.fetch(source, attempt, wanted, by_turn);
                    }
                    continue;
                }
                Meaning::Later(reason, wait) if attempt.failed + 1 < MAX_ATTEMPTS => {
                    self.defer(attempt, &reason, wait);
                    continue;
                }
                Meaning::Poison(reason) | Meaning::Later(reason, _) => {
                    let attempts = (attempt.failed + 1).min(MAX_ATTEMPTS);
                    metrics.processed(DeliveryOutcome::Dead);
                    tracing::warn!(
                        connector.id = &*self.pipeline.config.name,
                        delivery.id = attempt.waiting.delivery.id,
                        attempts,
                        reason,
                        "a delivery cannot be processed: it goes to the dead deliveries"
                    );
                    acknowledged.failed = Some(Failed { reason, attempts });
                    left.push(0);
                }
            }
            done.push(Some(acknowledged));
        }
        self.finish(brought, done, left).await
    }

    fn defer(&mut self, attempt: Attempt, reason: &str, wait: Option<Duration>) {
        let failed = attempt.failed + 1;
        self.pipeline.metrics.processed(DeliveryOutcome::Retried);
        tracing::info!(
            connector.id = &*self.pipeline.config.name,
            delivery.id = attempt.waiting.delivery.id,
            attempt = failed,
            reason,
            "a delivery is tried again later"
        );
        let doubled = FIRST_WAIT
            .saturating_mul(1 << attempt.failed.min(16))
            .min(LONGEST_WAIT);
        let wait = doubled
            .mul_f64(rand::random_range(1.0..1.25))
            .max(wait.unwrap_or_default());
        if let Some(inbox) = &mut self.session.inbox {
            let attempt = Attempt {
                failed,
                fetched: None,
                ..attempt
            };
            inbox.defer(attempt, wait);
        }
    }

    /// Commits what deliveries brought, each with the last of its records.
    async fn finish(
        &mut self,
        mut brought: Vec<(usize, Brought)>,
        mut done: Vec<Option<Acknowledged>>,
        mut left: Vec<usize>,
    ) -> Result<(), CycleError> {
        for (index, done) in done.iter_mut().enumerate() {
            if left[index] == 0
                && let Some(acknowledged) = done.take()
            {
                self.acknowledge(acknowledged).await?;
            }
        }
        // By stream, because a commit is of one; the order within a stream is that of the queue.
        brought.sort_by_key(|(_, change)| change.stream);
        for (index, change) in brought {
            if self.is_over() {
                return Ok(());
            }
            self.apply(change, &mut done[index]).await?;
            left[index] -= 1;
            if left[index] == 0
                && let Some(acknowledged) = done[index].take()
            {
                self.acknowledge(acknowledged).await?;
            }
        }
        self.commit().await
    }

    fn is_over(&mut self) -> bool {
        self.stopped |= self.writer.stop.is_cancelled();
        self.lease_ended || self.stopped
    }

    /// Gives up what is not acknowledged: it is still in the queue. `begun` was tried for the
    /// first time, and nothing is wrong with it.
    async fn end(&mut self, begun: Vec<String>) -> Result<(), CycleError> {
        if self.stopped {
            if let Some(inbox) = &mut self.session.inbox {
                inbox.finish(begun.into_iter());
                if let Err(error) = inbox.begin(&self.session.lease.connector, &[]).await {
                    tracing::debug!(error = %error, "an attempt at deliveries stays noted");
                }
            }
            // The tables may be ahead of the store by what was given up.
            self.session.is_ahead = true;
            self.session.inbox = None;
        }
        if self.lease_ended {
            return Err(CycleError::LeaseLost);
        }
        Ok(())
    }

    async fn acknowledge(&mut self, acknowledged: Acknowledged) -> Result<(), CycleError> {
        if self.batch.acknowledged.len() >= MAX_RECORDS {
            self.commit().await?;
        }
        self.batch.acknowledged.push(acknowledged);
        Ok(())
    }

    /// Writes what waits.
    async fn commit(&mut self) -> Result<(), CycleError> {
        let batch = std::mem::take(&mut self.batch);
        if self.is_over() || batch.is_empty() {
            return Ok(());
        }
        let mut read = self.pipeline.source.streams().iter();
        let is_read = read.any(|spec| spec.name == self.stream);
        let changes = is_read && !batch.signals.is_empty();
        let state = changes
            .then(|| self.session.note_change(&self.stream))
            .flatten();
        let config = &self.pipeline.config;
        let commit = Commit {
            sequence: self.session.next_sequence(),
            output: Output {
                stream: config.output_stream.clone(),
                max_len: config.output_max_len,
            },
            origin: Origin {
                connector: config.name.clone(),
                stream: self.stream.clone(),
                provider: self.pipeline.source.provider().into(),
                tenant: config.tenant.clone(),
                via: Via::Webhook,
            },
            signals: batch.signals,
            versions: batch.versions,
            gone: batch.gone,
            state: state.into_iter().collect(),
            dead_letters: batch.dead_letters,
            acknowledged: batch.acknowledged,
        };
        let mut prepared = self.writer.store.prepare(&self.session.lease, commit);
        match self.writer.write(&mut prepared, &mut Queue::none()).await? {
            Tenure::Goes => {}
            Tenure::Ends => self.lease_ended = true,
            Tenure::Stopped => {
                self.stopped = true;
                return Ok(());
            }
        }
        let commit = prepared.into_commit();
        count_published(&self.pipeline.metrics, &commit);
        if let Some(inbox) = &mut self.session.inbox {
            inbox.finish(commit.acknowledged.into_iter().map(|one| one.entry));
        }
        Ok(())
    }
}

fn lag(received_ms: i64) -> Duration {
    let now = Timestamp::now().as_millisecond();
    Duration::from_millis(u64::try_from(now.saturating_sub(received_ms)).unwrap_or(0))
}
