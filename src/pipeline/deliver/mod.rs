//! Deliveries → the same detect → transform → commit as a poll, with the acknowledgement in the
//! commit that holds what they brought.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, MAX_RECORDS};
use super::commit::{Tenure, Writer};
use super::detect::{Detection, Removal, Rule};
use super::inbox::Attempt;
use super::{CycleError, Pipeline, Session};
use crate::client::FetchError;
use crate::signal::{ChangeKind, Origin, Via};
use crate::source::StreamSpec;
use crate::store::{Acknowledged, Commit, Failed, Output, version_field};
use crate::telemetry::metrics::DeliveryOutcome;
use crate::webhook::{Change, Delivery, Payload, Verified, Webhooks};

/// Attempts after which a delivery goes to the dead ones.
const MAX_ATTEMPTS: u32 = 8;

/// First and longest wait between attempts.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What one delivery comes to.
enum Meaning {
    /// Records of streams; none for an event that only wakes or means nothing.
    Changes {
        changes: Vec<Brought>,
        wake: bool,
        routed: bool,
    },
    /// Will not work however often it is tried.
    Poison(String),
    /// May work later.
    Later(String, Option<Duration>),
}

/// One record that a delivery brought.
struct Brought {
    /// Index of the stream among all of the source, pushed ones after read ones.
    stream: usize,
    record: Bytes,
    change: Change,
}

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
        work.run(&webhooks, attempts, stop).await
    }

    /// What a delivery means. Fetches records where the manifest says so.
    async fn interpret(
        &self,
        webhooks: &Webhooks,
        attempt: &Attempt,
        specs: &[StreamSpec],
    ) -> Meaning {
        let queued = &attempt.waiting.delivery;
        let Some(delivery) = Delivery::<Verified>::from_queued(queued) else {
            return Meaning::Poison("its stored head cannot be read".to_owned());
        };
        let limit = webhooks.max_body_bytes;
        let payload = match Payload::decode(&delivery.headers, &delivery.body, limit) {
            Ok(payload) => payload,
            Err(error) => return Meaning::Poison(error.to_string()),
        };
        let event = webhooks.event_of(&delivery, &payload);
        let (mut changes, mut wake, mut routed) = (Vec::new(), false, false);
        for route in webhooks.routes_for(&event) {
            if !route.applies(&delivery, &payload) {
                continue;
            }
            routed = true;
            wake |= route.wake;
            let mapped = match route.map(&event, &payload) {
                Ok(Some(mapped)) => mapped,
                Ok(None) => continue,
                Err(error) => return Meaning::Poison(error.to_string()),
            };
            let asked_for = &self.config.streams;
            if !asked_for.is_empty() && !asked_for.contains(&mapped.stream) {
                continue;
            }
            let Some(stream) = specs.iter().position(|spec| spec.name == mapped.stream) else {
                continue;
            };
            for record in mapped.records {
                let mut record = record;
                if mapped.refetch && mapped.change == Change::Upsert {
                    match self
                        .source
                        .fetch(&mapped.stream, &record, payload.bytes())
                        .await
                    {
                        Ok(Some(fetched)) => record = fetched,
                        // Gone meanwhile, or not to be found yet: what was delivered counts.
                        Ok(None) => {}
                        Err(error) => return later(&error),
                    }
                }
                match self.source.select(&mapped.stream, record.clone()) {
                    Ok(Some(selected)) => changes.push(Brought {
                        stream,
                        record: selected,
                        change: mapped.change,
                    }),
                    // What is gone need not pass the filter any more.
                    Ok(None) if mapped.change == Change::Delete => changes.push(Brought {
                        stream,
                        record,
                        change: mapped.change,
                    }),
                    Ok(None) => {}
                    Err(reason) => return Meaning::Poison(reason),
                }
            }
        }
        Meaning::Changes {
            changes,
            wake,
            routed,
        }
    }
}

fn later(error: &FetchError) -> Meaning {
    let reason = format!("its record cannot be fetched: {}", error.clone().redacted());
    match error {
        FetchError::RateLimited { retry_after } => Meaning::Later(reason, Some(*retry_after)),
        FetchError::Misconfigured(_) => Meaning::Poison(reason),
        _ => Meaning::Later(reason, None),
    }
}

impl Work<'_> {
    async fn run(
        &mut self,
        webhooks: &Webhooks,
        attempts: Vec<Attempt>,
        stop: &CancellationToken,
    ) -> Result<(), CycleError> {
        let mut brought: Vec<(usize, Brought)> = Vec::new();
        let mut done: Vec<Option<Acknowledged>> = Vec::new();
        let mut left: Vec<usize> = Vec::new();
        for attempt in attempts {
            let meaning = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.stopped = true;
                    return self.end();
                }
                meaning = self.pipeline.interpret(webhooks, &attempt, &self.specs) => meaning,
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
                Meaning::Later(reason, wait) if attempt.failed + 1 < MAX_ATTEMPTS => {
                    metrics.processed(DeliveryOutcome::Retried);
                    tracing::info!(
                        connector.id = &*self.pipeline.config.name,
                        delivery.id = attempt.waiting.delivery.id,
                        attempt = attempt.failed + 1,
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
                        inbox.defer(
                            Attempt {
                                failed: attempt.failed + 1,
                                ..attempt
                            },
                            wait,
                        );
                    }
                    continue;
                }
                Meaning::Poison(reason) | Meaning::Later(reason, _) => {
                    metrics.processed(DeliveryOutcome::Dead);
                    tracing::warn!(
                        connector.id = &*self.pipeline.config.name,
                        delivery.id = attempt.waiting.delivery.id,
                        attempts = attempt.failed + 1,
                        reason,
                        "a delivery cannot be processed: it goes to the dead deliveries"
                    );
                    acknowledged.failed = Some(Failed {
                        reason,
                        attempts: attempt.failed + 1,
                    });
                    left.push(0);
                }
            }
            done.push(Some(acknowledged));
        }

        self.finish(brought, done, left).await
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
                return self.end();
            }
            self.apply(change, &mut done[index]).await?;
            left[index] -= 1;
            if left[index] == 0
                && let Some(acknowledged) = done[index].take()
            {
                self.acknowledge(acknowledged).await?;
            }
        }
        self.commit().await?;
        self.end()
    }

    fn is_over(&self) -> bool {
        self.lease_ended || self.stopped
    }

    fn end(&mut self) -> Result<(), CycleError> {
        if self.stopped {
            // The tables may be ahead of the store by what was given up, and what was taken out
            // of the inbox is still in the queue.
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

    /// Looks at one record and adds what is new of it to the batch.
    async fn apply(
        &mut self,
        change: Brought,
        of: &mut Option<Acknowledged>,
    ) -> Result<(), CycleError> {
        let spec = self.specs[change.stream].clone();
        if self.stream != spec.name {
            self.commit().await?;
            self.stream = spec.name.clone();
        }
        if self.batch.is_full(self.most) || self.batch.overflows_with(change.record.len()) {
            self.commit().await?;
        }
        let detection = &self.pipeline.config.change_detection;
        let rule = Rule::new(&spec, detection);
        let now = self.pipeline.clock.now();
        match change.change {
            Change::Upsert => self.upsert(&spec, &rule, &change.record, now, of),
            Change::Delete => self.delete(&spec, &rule, &change.record, now, of).await?,
        }
        Ok(())
    }

    fn upsert(
        &mut self,
        spec: &StreamSpec,
        rule: &Rule,
        record: &Bytes,
        now: Timestamp,
        of: &mut Option<Acknowledged>,
    ) {
        let name = &spec.name;
        let Some(table) = self.session.tables.get_mut(name) else {
            return;
        };
        match rule.detect_delivered(record, table, now) {
            Detection::Unchanged | Detection::Repeated { .. } => {
                self.pipeline.metrics.skipped(name, 1);
            }
            Detection::Older => self.pipeline.metrics.skipped(name, 1),
            Detection::Refresh(version) => self.batch.refresh(name, &version),
            Detection::Changed(signal, version) => {
                self.session.note_delivered(name, &version.key);
                self.batch.change(name, signal, &version);
            }
            Detection::Rejected(reason) => bury(of, reason),
        }
    }

    async fn delete(
        &mut self,
        spec: &StreamSpec,
        rule: &Rule,
        record: &Bytes,
        now: Timestamp,
        of: &mut Option<Acknowledged>,
    ) -> Result<(), CycleError> {
        let name = &spec.name;
        let Some(table) = self.session.tables.get(name) else {
            return Ok(());
        };
        let removal = match rule.remove(record, table, now) {
            Ok(Some(removal)) => removal,
            // Never published, or deleted before.
            Ok(None) => return Ok(()),
            Err(reason) => {
                bury(of, reason);
                return Ok(());
            }
        };
        let Removal { key, tombstone } = removal;
        let field = version_field(name, &key);
        // The last version is part of the signal; the table knows only half of it, and a change
        // in the batch is not in the store yet.
        self.commit().await?;
        if self.is_over() {
            return Ok(());
        }
        let Some(inbox) = &self.session.inbox else {
            return Ok(());
        };
        let connector = self.session.lease.connector.clone();
        let fields = std::slice::from_ref(&field);
        let known = inbox.store.get_versions(&connector, fields).await?;
        let publish = self
            .pipeline
            .config
            .change_detection
            .deletions
            .unwrap_or(true);
        let signal = known
            .first()
            .copied()
            .flatten()
            .filter(|_| publish)
            .map(|known| super::batch::deletion(&key, known.version, super::detect::rfc3339(now)));
        self.session.note_delivered(name, &key);
        if let Some(table) = self.session.tables.get_mut(name) {
            rule.forget(&key, tombstone, table);
        }
        match tombstone {
            Some(known) => self.batch.bury(field, known, signal),
            None => self.batch.delete(field, signal),
        }
        Ok(())
    }

    /// Writes what waits.
    async fn commit(&mut self) -> Result<(), CycleError> {
        let batch = std::mem::take(&mut self.batch);
        if self.is_over() || batch.is_empty() {
            return Ok(());
        }
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
            state: Vec::new(),
            dead_letters: batch.dead_letters,
            acknowledged: batch.acknowledged,
        };
        let prepared = self.writer.store.prepare(&self.session.lease, commit);
        match self.writer.write(&prepared).await? {
            Tenure::Goes => {}
            Tenure::Ends => self.lease_ended = true,
            Tenure::Stopped => {
                self.stopped = true;
                return Ok(());
            }
        }
        let commit = prepared.into_commit();
        for kind in [
            ChangeKind::Created,
            ChangeKind::Updated,
            ChangeKind::Deleted,
        ] {
            let count = commit
                .signals
                .iter()
                .filter(|signal| signal.kind == kind)
                .count() as u64;
            self.pipeline
                .metrics
                .published(&commit.origin.stream, kind, count);
        }
        Ok(())
    }
}

/// Makes the delivery of a record that cannot become a signal a dead one.
fn bury(of: &mut Option<Acknowledged>, reason: String) {
    if let Some(acknowledged) = of {
        acknowledged.failed = Some(Failed {
            reason,
            attempts: 1,
        });
    }
}

fn lag(received_ms: i64) -> Duration {
    let now = Timestamp::now().as_millisecond();
    Duration::from_millis(u64::try_from(now.saturating_sub(received_ms)).unwrap_or(0))
}
