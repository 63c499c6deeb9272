//! Counters and histograms, recorded where things happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use metrics::{SharedString, counter, histogram};

use super::{
    CIRCUIT_OPENED, COMMIT_DURATION, COMMITS, CONFIG_RELOADS, CONNECTOR_RESTARTS, CURSOR_RESETS,
    DEAD_LETTERS, DELETIONS, HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_RESPONSE_BYTES,
    LEASE_LOSSES, NOT_MODIFIED, OUTPUT_STREAM_FULL, PAGES, POLL_DURATION, POLLS, QUOTA_SAVED,
    RECORDS_FAILED, RECORDS_FETCHED, RECORDS_SKIPPED, SIGNALS_PUBLISHED, THROTTLED,
    VERSIONS_EVICTED, WEBHOOK_DURATION, WEBHOOK_IDS_EVICTED, WEBHOOK_LAG, WEBHOOKS_PROCESSED,
    WEBHOOKS_RECEIVED,
};
use crate::client::Observer;
use crate::signal::ChangeKind;

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
