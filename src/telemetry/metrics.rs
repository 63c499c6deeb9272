//! Every metric: name, kind, unit and help in one table, and the only functions that record them.
//!
//! Counters and histograms are recorded where things happen, through a [`ConnectorMetrics`].
//! Gauges that say how a connector stands are not recorded at all: they are read from the
//! [`ConnectorRegistry`] when somebody asks, so they cannot go stale or outlive their connector.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use metrics::{SharedString, Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::process;
use crate::client::Observer;
use crate::registry::{ConnectorRegistry, ConnectorStatus, Health, Phase};
use crate::signal::ChangeKind;

/// How often [`Metrics::upkeep`] should run, so that histograms nobody scrapes do not grow.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(15);

/// What a metric counts or measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from zero at the start of the process.
    Counter,
    /// A distribution, with the upper bounds of its buckets.
    Histogram(&'static [f64]),
    /// Read from the registry when asked for.
    Gauge,
}

/// One row of [`METRICS`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Full name, base unit last.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Unit; `None` for plain counts.
    pub unit: Option<Unit>,
    /// Labels beside `connector`, which all have unless their help says otherwise.
    pub labels: &'static [&'static str],
    /// What it tells an operator.
    pub help: &'static str,
}

const POLL_BUCKETS: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
];
const REQUEST_BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const COMMIT_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:expr, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = concat!("connector_worker_", $name);)*
        /// Every metric of the worker, in the order of the documentation.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $constant, kind: $kind, unit: $unit, labels: &[$($label),*], help: $help,
        }),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    POLLS = "polls_total", Counter, None, ["outcome"],
        "Polls that ended, by outcome: success, partial, throttled (the provider asked to wait longer than a poll does), failure.";
    POLL_DURATION = "poll_duration_seconds", Histogram(POLL_BUCKETS), Some(Unit::Seconds), [],
        "Wall time of a poll.";
    PAGES = "pages_total", Counter, None, ["stream"],
        "Pages read, those not modified included.";
    NOT_MODIFIED = "not_modified_total", Counter, None, ["stream"],
        "Pages the provider answered with 304 Not Modified.";
    RECORDS_FETCHED = "records_fetched_total", Counter, None, ["stream"],
        "Records read.";
    RECORDS_SKIPPED = "records_skipped_total", Counter, None, ["stream"],
        "Records whose version was published before.";
    RECORDS_FAILED = "records_failed_total", Counter, None, ["stream"],
        "Records that could not become a signal.";
    SIGNALS_PUBLISHED = "signals_published_total", Counter, None, ["stream", "outcome"],
        "Signals committed, by outcome: created, updated, deleted.";
    DELETIONS = "deletions_total", Counter, None, ["stream"],
        "Deletions found; also counted among the published signals.";
    DEAD_LETTERS = "dead_letters_total", Counter, None, ["stream"],
        "Records put into the connector's dead-letter stream.";
    HTTP_REQUESTS = "http_requests_total", Counter, None, ["provider", "status"],
        "Requests to the provider, repetitions included, by status class: 2xx to 5xx, or error when no answer came.";
    HTTP_REQUEST_DURATION = "http_request_duration_seconds", Histogram(REQUEST_BUCKETS), Some(Unit::Seconds), ["provider"],
        "Time to a complete answer of the provider.";
    HTTP_RESPONSE_BYTES = "http_response_bytes_total", Counter, Some(Unit::Bytes), ["provider"],
        "Bytes of the provider's answers, decompressed.";
    THROTTLED = "throttled_seconds_total", Counter, Some(Unit::Seconds), ["provider"],
        "Time waited because the provider asked for it.";
    QUOTA_SAVED = "quota_saved_total", Counter, None, ["provider"],
        "Requests, or points, that answers of 304 Not Modified did not take off the provider's limits, by what these said is left.";
    CIRCUIT_OPENED = "circuit_opened_total", Counter, None, ["provider"],
        "Times that a server was left alone because it failed again and again.";
    CIRCUIT_OPEN = "circuit_open", Gauge, None, [],
        "Servers that are left alone because they failed again and again.";
    THROTTLED_UNTIL = "throttled_until_timestamp_seconds", Gauge, Some(Unit::Seconds), [],
        "Unix time until which the provider asked to wait; absent while it did not.";
    COMMITS = "commits_total", Counter, None, ["outcome"],
        "Commits by answer of the store: applied, fenced, gap, full, `in_doubt`, error.";
    COMMIT_DURATION = "commit_duration_seconds", Histogram(COMMIT_BUCKETS), Some(Unit::Seconds), [],
        "Time until the store answered a commit, repetitions included.";
    LEASE_LOSSES = "lease_losses_total", Counter, None, [],
        "Leases lost while held: expired, taken over, released by an operator.";
    VERSIONS_EVICTED = "versions_evicted_total", Counter, None, ["stream"],
        "Versions forgotten because of changeDetection.retentionDays or maxKeys.";
    CURSOR_RESETS = "cursor_resets_total", Counter, None, ["stream"],
        "Cursors that the provider did not know any more, so that everything was read again.";
    OUTPUT_STREAM_FULL = "output_stream_full_total", Counter, None, [],
        "Commits refused because the output stream was at outputMaxLen.";
    CONNECTOR_RESTARTS = "connector_restarts_total", Counter, None, [],
        "Restarts of a connector's loop after a panic.";
    WEBHOOKS_RECEIVED = "webhooks_received_total", Counter, None, ["outcome"],
        "Requests to the public listener by outcome: queued, duplicate, handshake, and why others were refused, as in their answer. Of an unknown connector the label is empty.";
    WEBHOOK_DURATION = "webhook_duration_seconds", Histogram(COMMIT_BUCKETS), Some(Unit::Seconds), [],
        "Time until a request of the public listener was answered, its body included.";
    WEBHOOKS_PROCESSED = "webhooks_processed_total", Counter, None, ["outcome"],
        "Deliveries taken from the queue by outcome: processed, ignored (no route, or not what the connector reads), retried, dead.";
    WEBHOOK_LAG = "webhook_lag_seconds", Histogram(POLL_BUCKETS), Some(Unit::Seconds), [],
        "Time from the receipt of a delivery to its processing.";
    WEBHOOK_IDS_EVICTED = "webhook_ids_evicted_total", Counter, None, [],
        "Ids of deliveries forgotten before webhook.dedupeDays because of webhook.maxIds.";
    CONFIG_RELOADS = "config_reloads_total", Counter, None, ["outcome"],
        "Reloads of the configuration, by outcome: applied, refused. Without connector label.";
    CONFIG_RELOAD_FAILED = "config_reload_failed", Gauge, None, [],
        "1 while the configuration on disk is refused and an older one runs. Without connector label.";
    CONNECTOR_HEALTH = "connector_health", Gauge, None, [],
        "0 healthy, 1 degraded, 2 unhealthy.";
    CONSECUTIVE_FAILURES = "consecutive_failures", Gauge, None, [],
        "Polls that failed since the last that succeeded.";
    LEASE_HELD = "lease_held", Gauge, None, [],
        "1 while this process holds the connector's lease, 0 as a standby.";
    LEASE_EPOCH = "lease_epoch", Gauge, None, [],
        "Fencing number of the lease; absent while it is not held.";
    VERSIONS_TRACKED = "versions_tracked", Gauge, None, [],
        "Versions kept for change detection.";
    OUTPUT_STREAM_LENGTH = "output_stream_length", Gauge, None, [],
        "Entries in the connector's output stream when it was last looked at.";
    WEBHOOK_QUEUE_LENGTH = "webhook_queue_length", Gauge, None, [],
        "Deliveries that wait, when the queue was last looked at by the lease holder.";
    WEBHOOK_QUEUE_BYTES = "webhook_queue_bytes", Gauge, Some(Unit::Bytes), [],
        "Bytes of the deliveries that wait.";
    WEBHOOK_OLDEST = "webhook_oldest_timestamp_seconds", Gauge, Some(Unit::Seconds), [],
        "Unix time at which the oldest waiting delivery was received; absent while none waits.";
    WEBHOOK_DEAD = "webhook_dead_deliveries", Gauge, None, [],
        "Deliveries that were given up and wait for `dlq replay` or `dlq purge`.";
    LAST_SUCCESS = "last_success_timestamp_seconds", Gauge, Some(Unit::Seconds), [],
        "Unix time at which the last successful poll ended; absent before the first.";
    NEXT_POLL = "next_poll_timestamp_seconds", Gauge, Some(Unit::Seconds), [],
        "Unix time at which the next poll is due; absent while none is planned.";
    BUILD_INFO = "build_info", Gauge, None, ["version"],
        "Always 1; the label says which release runs. Without connector label.";
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollOutcome {
    /// Every stream was read.
    Success,
    /// Some streams were read, others failed.
    Partial,
    /// The provider asked to wait, and nothing else is wrong.
    Throttled,
    /// Nothing was read, or the store refused.
    Failure,
}

/// How a commit ended, as [`COMMITS`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Written.
    Applied,
    /// Another epoch or owner may write.
    Fenced,
    /// The store is behind this worker.
    Gap,
    /// The output stream is full.
    Full,
    /// No definite answer.
    InDoubt,
    /// The store could not be asked.
    Error,
}

/// What became of a delivery that was taken from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Looked at and acknowledged.
    Processed,
    /// Acknowledged: the manifest has no route for it.
    Ignored,
    /// Kept for another attempt.
    Retried,
    /// Given up.
    Dead,
}

/// What became of a request to the public listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// Queued.
    Queued,
    /// Queued before.
    Duplicate,
    /// A question that was answered.
    Handshake,
    /// Refused, and the word for why: one of a fixed set.
    Rejected(&'static str),
}

/// Records what one connector does. Cheap to clone; each call finds its series by hash, so call
/// per page, commit or request, not per record.
#[derive(Debug, Clone)]
pub struct ConnectorMetrics {
    connector: SharedString,
    provider: SharedString,
    throttled_ms: Arc<AtomicU64>,
}

impl ConnectorMetrics {
    /// For the connector `name`, whose signals' `type` starts with `provider`.
    ///
    /// Series that alerts watch begin at zero here: a counter that first appears with its first
    /// event hides that event from `increase()`.
    pub fn new(name: &str, provider: &str) -> Self {
        let metrics = Self {
            connector: SharedString::from_shared(name.into()),
            provider: SharedString::from_shared(provider.into()),
            throttled_ms: Arc::default(),
        };
        for name in [LEASE_LOSSES, OUTPUT_STREAM_FULL, CONNECTOR_RESTARTS] {
            counter!(name, "connector" => metrics.connector.clone()).increment(0);
        }
        for outcome in ["success", "partial", "throttled", "failure"] {
            metrics.count_outcome(POLLS, outcome, 0);
        }
        metrics
    }

    /// A poll ended.
    pub fn poll_ended(&self, outcome: PollOutcome, took: Duration) {
        let outcome = match outcome {
            PollOutcome::Success => "success",
            PollOutcome::Partial => "partial",
            PollOutcome::Throttled => "throttled",
            PollOutcome::Failure => "failure",
        };
        self.count_outcome(POLLS, outcome, 1);
        histogram!(POLL_DURATION, "connector" => self.connector.clone()).record(took);
    }

    /// A page of `records` was read; `not_modified` when it was a 304.
    pub fn page_read(&self, stream: &str, records: u64, not_modified: bool) {
        self.count(PAGES, stream, 1);
        self.count(RECORDS_FETCHED, stream, records);
        self.count(NOT_MODIFIED, stream, u64::from(not_modified));
        self.failed(stream, 0);
    }

    /// Records were found unchanged.
    pub fn skipped(&self, stream: &str, records: u64) {
        self.count(RECORDS_SKIPPED, stream, records);
    }

    /// Records could not become signals and were put into the dead-letter stream.
    pub fn failed(&self, stream: &str, records: u64) {
        self.count(RECORDS_FAILED, stream, records);
        self.count(DEAD_LETTERS, stream, records);
    }

    /// Signals of one kind were committed.
    pub fn published(&self, stream: &str, kind: ChangeKind, signals: u64) {
        if signals == 0 {
            return;
        }
        counter!(SIGNALS_PUBLISHED,
            "connector" => self.connector.clone(),
            "stream" => stream.to_owned(),
            "outcome" => kind.as_str())
        .increment(signals);
        if kind == ChangeKind::Deleted {
            self.count(DELETIONS, stream, signals);
        }
    }

    /// Versions were forgotten because of a bound.
    pub fn versions_evicted(&self, stream: &str, versions: u64) {
        self.count(VERSIONS_EVICTED, stream, versions);
    }

    /// The provider did not know a cursor any more.
    pub fn cursor_reset(&self, stream: &str) {
        self.count(CURSOR_RESETS, stream, 1);
    }

    /// The store answered a commit, or did not.
    pub fn committed(&self, outcome: CommitOutcome, took: Duration) {
        let text = match outcome {
            CommitOutcome::Applied => "applied",
            CommitOutcome::Fenced => "fenced",
            CommitOutcome::Gap => "gap",
            CommitOutcome::Full => "full",
            CommitOutcome::InDoubt => "in_doubt",
            CommitOutcome::Error => "error",
        };
        self.count_outcome(COMMITS, text, 1);
        histogram!(COMMIT_DURATION, "connector" => self.connector.clone()).record(took);
        if outcome == CommitOutcome::Full {
            counter!(OUTPUT_STREAM_FULL, "connector" => self.connector.clone()).increment(1);
        }
    }

    /// A delivery was taken from the queue.
    pub fn processed(&self, outcome: DeliveryOutcome) {
        let text = match outcome {
            DeliveryOutcome::Processed => "processed",
            DeliveryOutcome::Ignored => "ignored",
            DeliveryOutcome::Retried => "retried",
            DeliveryOutcome::Dead => "dead",
        };
        self.count_outcome(WEBHOOKS_PROCESSED, text, 1);
    }

    /// A delivery was processed this long after its receipt.
    pub fn delivery_lag(&self, lag: Duration) {
        histogram!(WEBHOOK_LAG, "connector" => self.connector.clone()).record(lag);
    }

    /// The lease was lost while it was held.
    pub fn lease_lost(&self) {
        counter!(LEASE_LOSSES, "connector" => self.connector.clone()).increment(1);
    }

    /// The connector's loop panicked and starts again.
    pub fn restarted(&self) {
        counter!(CONNECTOR_RESTARTS, "connector" => self.connector.clone()).increment(1);
    }

    fn requested(&self, status: &'static str) {
        counter!(HTTP_REQUESTS,
            "connector" => self.connector.clone(),
            "provider" => self.provider.clone(),
            "status" => status)
        .increment(1);
    }

    fn count_outcome(&self, name: &'static str, outcome: &'static str, by: u64) {
        counter!(name, "connector" => self.connector.clone(), "outcome" => outcome).increment(by);
    }

    fn count(&self, name: &'static str, stream: &str, by: u64) {
        counter!(name, "connector" => self.connector.clone(), "stream" => stream.to_owned())
            .increment(by);
    }
}

impl Observer for ConnectorMetrics {
    fn throttled(&self, wait: Duration) {
        // Counters are whole numbers: the sum is rounded up, not each wait.
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let before = self.throttled_ms.fetch_add(wait, Ordering::Relaxed);
        let seconds = before.saturating_add(wait).div_ceil(1000) - before.div_ceil(1000);
        counter!(THROTTLED,
            "connector" => self.connector.clone(), "provider" => self.provider.clone())
        .increment(seconds);
    }

    fn answered(&self, status: StatusCode, took: Duration, bytes: usize) {
        self.requested(status_class(status));
        histogram!(HTTP_REQUEST_DURATION,
            "connector" => self.connector.clone(), "provider" => self.provider.clone())
        .record(took);
        counter!(HTTP_RESPONSE_BYTES,
            "connector" => self.connector.clone(), "provider" => self.provider.clone())
        .increment(bytes as u64);
    }

    fn unanswered(&self) {
        self.requested("error");
    }

    fn saved(&self, quota: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what a request costs: positive, and far below 2^53"
        )]
        let quota = quota.round() as u64;
        counter!(QUOTA_SAVED,
            "connector" => self.connector.clone(), "provider" => self.provider.clone())
        .increment(quota);
    }

    fn suspended(&self, _server: &str, pause: Option<Duration>) {
        if pause.is_some() {
            counter!(CIRCUIT_OPENED,
                "connector" => self.connector.clone(), "provider" => self.provider.clone())
            .increment(1);
        }
    }
}

/// A request of the public listener was answered.
pub fn received(connector: &str, reception: Reception, took: Duration) {
    let outcome = match reception {
        Reception::Queued => "queued",
        Reception::Duplicate => "duplicate",
        Reception::Handshake => "handshake",
        Reception::Rejected(reason) => reason,
    };
    counter!(WEBHOOKS_RECEIVED, "connector" => connector.to_owned(), "outcome" => outcome)
        .increment(1);
    histogram!(WEBHOOK_DURATION, "connector" => connector.to_owned()).record(took);
}

/// Ids of deliveries were forgotten because there are too many.
pub fn delivery_ids_evicted(connector: &str, ids: u64) {
    counter!(WEBHOOK_IDS_EVICTED, "connector" => connector.to_owned()).increment(ids);
}

/// A reload of the configuration was applied, or refused as a whole.
pub fn config_reloaded(applied: bool) {
    let outcome = if applied { "applied" } else { "refused" };
    counter!(CONFIG_RELOADS, "outcome" => outcome).increment(1);
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

/// Everything recorded so far in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Starts recording. Later calls answer the same handle: a process has one recorder.
    pub fn install() -> Result<Self, BuildError> {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        if let Some(handle) = INSTALLED.get() {
            return Ok(Self(handle.clone()));
        }
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            if let Histogram(buckets) = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        match metrics::set_global_recorder(recorder) {
            Ok(()) => {
                describe();
                for outcome in ["applied", "refused"] {
                    counter!(CONFIG_RELOADS, "outcome" => outcome).increment(0);
                }
                Ok(Self(INSTALLED.get_or_init(|| handle).clone()))
            }
            // Somebody else was first; if that was another thread in here, its handle counts.
            Err(_) => Ok(Self(INSTALLED.get().cloned().unwrap_or(handle))),
        }
    }

    /// Folds recorded histogram samples together; call every [`UPKEEP_EVERY`].
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }

    /// Prometheus text exposition of everything recorded, of the board and of the process.
    pub fn render(&self, registry: &ConnectorRegistry) -> String {
        let mut out = self.0.render();
        render_board(&mut out, registry);
        process::render(&mut out);
        out
    }
}

fn describe() {
    for metric in METRICS {
        let unit = metric.unit.unwrap_or(Unit::Count);
        match metric.kind {
            Counter => describe_counter!(metric.name, unit, metric.help),
            Histogram(_) => describe_histogram!(metric.name, unit, metric.help),
            Gauge => {}
        }
    }
}

/// Appends the gauges.
fn render_board(out: &mut String, registry: &ConnectorRegistry) {
    let mut connectors = registry.all();
    // Of one that is not to run nothing is expected, so no alert shall see it.
    connectors.retain(|status| status.phase != Phase::Stopped);
    for metric in METRICS.iter().filter(|metric| metric.kind == Gauge) {
        let name = metric.name;
        // Writing to a `String` cannot fail.
        let _ = write!(out, "# HELP {name} {}\n# TYPE {name} gauge\n", metric.help);
        match name {
            BUILD_INFO => {
                let _ = writeln!(out, "{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
            }
            CONFIG_RELOAD_FAILED => {
                let _ = writeln!(
                    out,
                    "{name} {}",
                    u8::from(registry.reload_problem().is_some())
                );
            }
            _ => {
                for status in &connectors {
                    if let Some(value) = gauge(name, status) {
                        let connector = escaped(&status.name);
                        let _ = writeln!(out, "{name}{{connector=\"{connector}\"}} {value}");
                    }
                }
            }
        }
        out.push('\n');
    }
}

fn gauge(name: &str, status: &ConnectorStatus) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53; no count gets there"
    )]
    let count = |value: u64| value as f64;
    match name {
        CONNECTOR_HEALTH => Some(match status.health {
            Health::Healthy => 0.0,
            Health::Degraded => 1.0,
            Health::Unhealthy => 2.0,
        }),
        CIRCUIT_OPEN => Some(count(status.suspended_until.len() as u64)),
        THROTTLED_UNTIL => status.throttled_until.map(unix_seconds),
        CONSECUTIVE_FAILURES => Some(f64::from(status.consecutive_failures)),
        LEASE_HELD => Some(if status.epoch.is_some() { 1.0 } else { 0.0 }),
        LEASE_EPOCH => status.epoch.map(count),
        VERSIONS_TRACKED => status.versions_tracked.map(count),
        OUTPUT_STREAM_LENGTH => status.output_length.map(count),
        WEBHOOK_QUEUE_LENGTH => status.queue.map(|queue| count(queue.queued)),
        WEBHOOK_QUEUE_BYTES => status.queue.map(|queue| count(queue.bytes)),
        WEBHOOK_OLDEST => status
            .queue
            .and_then(|queue| queue.oldest_time)
            .map(unix_seconds),
        WEBHOOK_DEAD => status.queue.map(|queue| count(queue.dead)),
        LAST_SUCCESS => status.last_success_time.map(unix_seconds),
        NEXT_POLL => status.next_poll_time.map(unix_seconds),
        _ => None,
    }
}

fn unix_seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_says_what_it_is() {
        for metric in METRICS {
            let name = metric.name.strip_prefix("connector_worker_").unwrap();
            assert_eq!(metric.kind == Counter, name.ends_with("_total"), "{name}");
            let base = name.trim_end_matches("_total");
            match metric.unit {
                Some(Unit::Seconds) => assert!(base.ends_with("_seconds"), "{name}"),
                Some(Unit::Bytes) => assert!(base.ends_with("_bytes"), "{name}"),
                _ => {}
            }
            for label in metric.labels {
                assert!(
                    ["provider", "stream", "outcome", "status", "version"].contains(label),
                    "{name} has the unbounded label {label}"
                );
            }
        }
    }

    #[test]
    fn the_operators_table_lists_every_metric() {
        let manual = include_str!("../../docs/operations.md");
        let mut table =
            String::from("\n| name | kind | more labels | what it tells |\n|---|---|---|---|\n");
        for metric in METRICS {
            let kind = match metric.kind {
                Counter => "counter",
                Histogram(_) => "histogram",
                Gauge => "gauge",
            };
            let name = metric.name.trim_start_matches("connector_worker_");
            let labels = metric.labels.join(", ");
            let _ = writeln!(table, "| `{name}` | {kind} | {labels} | {} |", metric.help);
        }
        assert!(
            manual.contains(&table),
            "docs/operations.md should have\n{table}"
        );
    }

    #[test]
    fn every_gauge_is_rendered_for_a_connector_that_has_it() {
        let mut status = ConnectorStatus::new("a", "JIRA");
        status.epoch = Some(7);
        status.versions_tracked = Some(3);
        status.output_length = Some(9);
        status.queue = Some(crate::registry::QueueStatus {
            oldest_time: Some(Timestamp::UNIX_EPOCH),
            ..crate::registry::QueueStatus::default()
        });
        status.last_success_time = Some(Timestamp::UNIX_EPOCH);
        status.throttled_until = Some(Timestamp::UNIX_EPOCH);
        status.next_poll_time = Some(Timestamp::UNIX_EPOCH);
        let registry = ConnectorRegistry::default();
        registry.insert(status);
        let mut out = String::new();
        render_board(&mut out, &registry);
        for metric in METRICS.iter().filter(|metric| metric.kind == Gauge) {
            let shown = out
                .lines()
                .any(|line| line.starts_with(metric.name) && !line.starts_with('#'));
            assert!(shown, "{} is missing from\n{out}", metric.name);
        }
        assert!(out.contains("connector_worker_lease_epoch{connector=\"a\"} 7\n"));
    }

    #[test]
    fn what_was_recorded_is_rendered_with_its_help() {
        let metrics = Metrics::install().unwrap();
        let jira = ConnectorMetrics::new("recorded-here", "jira");
        jira.poll_ended(PollOutcome::Success, Duration::from_millis(300));
        jira.published("issues", ChangeKind::Deleted, 2);
        jira.answered(StatusCode::TOO_MANY_REQUESTS, Duration::from_millis(5), 10);
        for _ in 0..3 {
            jira.throttled(Duration::from_millis(500));
        }
        jira.committed(CommitOutcome::Full, Duration::from_micros(700));
        let text = metrics.render(&ConnectorRegistry::default());
        for line in [
            "# HELP connector_worker_polls_total Polls that ended",
            "connector_worker_polls_total{connector=\"recorded-here\",outcome=\"success\"} 1",
            "connector_worker_poll_duration_seconds_bucket{connector=\"recorded-here\",le=\"0.5\"} 1",
            "connector_worker_deletions_total{connector=\"recorded-here\",stream=\"issues\"} 2",
            "connector_worker_http_requests_total{connector=\"recorded-here\",provider=\"jira\",status=\"4xx\"} 1",
            "connector_worker_throttled_seconds_total{connector=\"recorded-here\",provider=\"jira\"} 2",
            "connector_worker_output_stream_full_total{connector=\"recorded-here\"} 1",
            "connector_worker_config_reload_failed 0",
            "connector_worker_connector_restarts_total{connector=\"recorded-here\"} 0",
        ] {
            assert!(text.contains(line), "{line}\nis missing from\n{text}");
        }
    }
}
