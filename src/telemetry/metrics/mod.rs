//! Every metric: name, kind, unit and help in one table, and the only functions that record them.
//!
//! Counters and histograms are recorded where things happen, through a [`ConnectorMetrics`].
//! Gauges that say how a connector stands are not recorded at all: they are read from the
//! [`ConnectorRegistry`](crate::registry::ConnectorRegistry) when somebody asks, so they cannot go stale or outlive their connector.

mod record;
mod render;

use metrics::Unit;

pub use record::{
    CommitOutcome, ConnectorMetrics, DeliveryOutcome, PollOutcome, Reception, config_reloaded,
    delivery_ids_evicted, received,
};
pub use render::{Metrics, UPKEEP_EVERY};

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
    RATE_PROCESSES = "rate_processes", Gauge, None, [],
        "Processes that keep to the manifest's `rate_limits` together, this one included; absent where there is no such limit.";
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

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
        let manual = include_str!("../../../docs/operations.md");
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
}
