//! What a poll did, told once to each who listens: log, board, metrics, and the metrics hash.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Shared, Wanted, decide};
use crate::pipeline::{CycleError, CycleReport, deadline_in};
use crate::registry::{Phase, PollSummary};
use crate::telemetry::chain;
use crate::telemetry::metrics::{ConnectorMetrics, PollOutcome};

/// How often consumed entries are trimmed from the output stream.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// How often it is looked whether a poll is held up.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Reports the polls of one tenure.
pub(super) struct Reporter {
    shared: Shared,
    name: Arc<str>,
    /// Polls and their summed duration as the store has them, for the mean over all workers.
    total_polls: i64,
    latency_total_ms: i64,
    trimmed: Option<Instant>,
}

impl Reporter {
    /// Goes on counting where the store's metrics stand.
    pub(super) async fn new(shared: &Shared, name: Arc<str>) -> Self {
        // Metrics are not worth failing for: without them the mean starts again.
        let kept = shared.store.load_metrics(&name).await.unwrap_or_default();
        let number = |field: &str| {
            kept.get(field)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Self {
            total_polls: number("totalPolls"),
            latency_total_ms: number("latencyTotalMs"),
            shared: shared.clone(),
            name,
            trimmed: None,
        }
    }

    /// A poll begins.
    pub(super) fn begin(&self, wanted: &Wanted) {
        let interval = u64::try_from(wanted.interval().as_millis()).unwrap_or(u64::MAX);
        let patience = wanted.config.request_timeout + Duration::from_mins(5);
        self.shared.registry.update(&self.name, |status| {
            status.phase = Phase::Polling;
            status.last_poll_time = Some(Timestamp::now());
            status.next_poll_time = None;
            status.throttled_until = None;
            status.poll_interval_ms = interval;
            status.deadline = deadline_in(patience);
        });
    }

    /// A poll ended by itself, or at a page boundary, after `failures` in a row; `phase` is what
    /// the loop does next.
    pub(super) async fn end(
        &mut self,
        wanted: &Wanted,
        report: &CycleReport,
        failures: u32,
        phase: Phase,
    ) {
        let failed = decide::is_failure(report);
        let failing: BTreeMap<_, _> = report
            .failures
            .iter()
            .map(|(stream, error)| (stream.to_string(), error.to_string()))
            .collect();
        let reason = reason_of(&failing);
        let outcome = decide::outcome(report, wanted.active_streams());
        self.log(&report.summary, reason.as_deref(), outcome, report.stopped);
        let succeeded = matches!(outcome, PollOutcome::Success) && !report.stopped;
        self.shared.registry.update(&self.name, |status| {
            status.last_summary = Some(report.summary);
            status.progress = None;
            status.consecutive_failures = failures;
            status.last_error.clone_from(&reason);
            status.failing_streams.clone_from(&failing);
            status.streams = wanted.active_streams();
            status.totals.add(&report.summary, !failed);
            if succeeded {
                status.last_success_time = Some(Timestamp::now());
            }
        });
        let metrics = ConnectorMetrics::new(&self.name, wanted.source.provider());
        metrics.poll_ended(outcome, Duration::from_millis(report.summary.duration_ms));
        self.keep(wanted, report, &failing, failures, phase).await;
        self.trim(wanted).await;
    }

    /// Tells the store while a poll is held up by a full output: until then its metrics say what
    /// came of the poll before.
    pub(super) async fn watch(shared: Shared, name: Arc<str>) -> Infallible {
        let mut told = false;
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let Some(status) = shared.registry.get(&name) else {
                continue;
            };
            let is_held_up = status.phase == Phase::BackPressure;
            if is_held_up == told {
                continue;
            }
            let phase = [("phase", status.phase.as_str().to_owned())];
            match shared.store.record_metrics(&name, &[], &phase).await {
                Ok(()) => told = is_held_up,
                Err(error) => {
                    tracing::debug!(connector.id = &*name, error = %chain(&error), "cannot record the phase");
                }
            }
        }
    }

    /// A poll broke off because the tenure is over or the store failed.
    pub(super) fn broke_off(&self, error: &CycleError) {
        let reason = chain(error).to_string();
        tracing::warn!(
            connector.id = &*self.name,
            error = reason,
            "poll broke off for connector {}",
            self.name
        );
        self.shared.registry.update(&self.name, |status| {
            status.progress = None;
            status.last_error = Some(reason);
        });
    }

    fn log(
        &self,
        summary: &PollSummary,
        reason: Option<&str>,
        outcome: PollOutcome,
        stopped: bool,
    ) {
        let PollSummary {
            fetched,
            published,
            skipped_unchanged,
            failed,
            deleted,
            duration_ms,
            pages,
            not_modified,
        } = *summary;
        let name = &*self.name;
        let how = match outcome {
            PollOutcome::Success if stopped => Some("stopped"),
            PollOutcome::Success => Some("completed"),
            PollOutcome::Throttled => Some("throttled"),
            PollOutcome::Partial | PollOutcome::Failure => None,
        };
        if let Some(how) = how {
            tracing::info!(
                connector.id = name,
                fetched,
                published,
                skipped_unchanged,
                failed,
                deleted,
                duration_ms,
                pages,
                not_modified,
                reason,
                "poll {how} for connector {name}"
            );
            return;
        }
        tracing::warn!(
            connector.id = name,
            fetched,
            published,
            skipped_unchanged,
            failed,
            deleted,
            duration_ms,
            pages,
            not_modified,
            error = reason,
            "poll failed for connector {name}"
        );
    }

    /// Adds the poll to `metrics:connector:{name}`.
    async fn keep(
        &mut self,
        wanted: &Wanted,
        report: &CycleReport,
        failing: &BTreeMap<String, String>,
        failures: u32,
        phase: Phase,
    ) {
        let (summary, failed) = (&report.summary, decide::is_failure(report));
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.total_polls += 1;
        self.latency_total_ms = self
            .latency_total_ms
            .saturating_add(count(summary.duration_ms));
        let now = Timestamp::now();
        let add = [
            ("totalPolls", 1),
            ("successfulPolls", i64::from(!failed)),
            ("failedPolls", i64::from(failed)),
            ("itemsFetched", count(summary.fetched)),
            ("itemsPublished", count(summary.published)),
            ("latencyTotalMs", count(summary.duration_ms)),
        ];
        // Plain data: it always serialises.
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let mut set = vec![
            ("connectorName", self.name.to_string()),
            ("lastPollTime", now.to_string()),
            (
                "averageLatencyMs",
                (self.latency_total_ms / self.total_polls.max(1)).to_string(),
            ),
            ("lastSummary", json(serde_json::to_string(summary))),
            ("lastError", reason_of(failing).unwrap_or_default()),
            ("failingStreams", json(serde_json::to_string(failing))),
            ("streams", wanted.active_streams().to_string()),
            ("consecutiveFailures", failures.to_string()),
            ("pollIntervalMs", wanted.interval().as_millis().to_string()),
            ("phase", phase.as_str().to_owned()),
        ];
        if !failed && failing.is_empty() && !report.stopped {
            set.push(("lastSuccessTime", now.to_string()));
        }
        if let Err(error) = self
            .shared
            .store
            .record_metrics(&self.name, &add, &set)
            .await
        {
            tracing::debug!(connector.id = &*self.name, error = %chain(&error), "cannot record the poll's metrics");
        }
    }

    /// Removes what every consumer group has read.
    async fn trim(&mut self, wanted: &Wanted) {
        if self.trimmed.is_some_and(|at| at.elapsed() < TRIM_EVERY) {
            return;
        }
        self.trimmed = Some(Instant::now());
        match self.shared.store.trim(&wanted.config.output_stream).await {
            Ok(level) => self.shared.registry.update(&self.name, |status| {
                status.output_length = Some(level.length);
            }),
            Err(error) => {
                tracing::debug!(connector.id = &*self.name, error = %chain(&error), "cannot trim the output stream");
            }
        }
    }
}

/// All failing streams in one text; `None` when there is none.
fn reason_of(failing: &BTreeMap<String, String>) -> Option<String> {
    let reasons: Vec<_> = failing
        .iter()
        .map(|(stream, why)| format!("stream {stream}: {why}"))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
