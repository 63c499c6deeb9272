//! One connector on the board: what its loop writes, and the views that HTTP and commands show.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::store::QueueLevel;

/// What a poller's loop is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Trying to build its source or reach the store.
    Starting,
    /// Another worker holds the lease.
    Standby,
    /// A cycle runs.
    Polling,
    /// Waiting for the next poll.
    Waiting,
    /// The provider asked to wait.
    Throttled,
    /// Credentials or configuration refused; tries again slowly.
    Parked,
    /// The output stream is full; waits for its consumers.
    BackPressure,
    /// Not to run (disabled, removed), or stopped.
    Stopped,
}

impl Phase {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Polling => "polling",
            Self::Waiting => "waiting",
            Self::Throttled => "throttled",
            Self::Parked => "parked",
            Self::BackPressure => "back_pressure",
            Self::Stopped => "stopped",
        }
    }
}

/// Whether a connector makes progress; derived by [`assess`](super::health::assess), never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The last cycle ended well and within its deadline, or the connector is a standby.
    #[default]
    Healthy,
    /// Works in part: a stream failed, throttled, back-pressure, first failures.
    Degraded,
    /// No progress: credentials refused, or failing past the deadline.
    Unhealthy,
}

impl Health {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Counts of one poll: `fetched = (published − deleted) + skipped_unchanged + failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PollSummary {
    /// Records read.
    pub fetched: u64,
    /// Signals published, deletions included.
    pub published: u64,
    /// Records whose version is known, or seen before in this poll.
    pub skipped_unchanged: u64,
    /// Records that went to the dead-letter stream.
    pub failed: u64,
    /// Deletions among the published.
    pub deleted: u64,
    /// Wall time of the poll in milliseconds.
    #[serde(rename = "durationMs")]
    pub duration_ms: u64,
    /// Answers read.
    pub pages: u64,
    /// Answers that were 304.
    #[serde(rename = "notModified")]
    pub not_modified: u64,
}

/// How far the running poll got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Answers read.
    pub pages: u64,
    /// Records read.
    pub records: u64,
    /// Time since the poll began, in milliseconds.
    pub elapsed_ms: u64,
    /// Time that the stream being read will take yet, in milliseconds, where the provider, the
    /// slices or the last listing tell how much there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
}

impl Progress {
    /// Records read per second.
    pub fn per_second(&self) -> u64 {
        self.records.saturating_mul(1000) / self.elapsed_ms.max(1)
    }
}

/// How a connector's queue of deliveries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Deliveries that wait.
    pub queued: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was received.
    pub oldest_time: Option<Timestamp>,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Ids remembered.
    pub ids: u64,
}

impl From<QueueLevel> for QueueStatus {
    fn from(level: QueueLevel) -> Self {
        Self {
            queued: level.queued,
            bytes: level.bytes,
            oldest_time: level
                .oldest_ms
                .and_then(|at| Timestamp::from_millisecond(at).ok()),
            dead: level.dead,
            ids: level.ids,
        }
    }
}

/// One connector on the board.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorStatus {
    /// Name.
    pub name: String,
    /// Connector type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its loop is at.
    pub phase: Phase,
    /// Whether it makes progress. The registry fills it in when it is asked.
    pub health: Health,
    /// Why it is not healthy, one sentence each. The registry fills it in when it is asked.
    pub reasons: Vec<String>,
    /// Identifies one run of the loop; unchanged connectors keep it through a reload.
    pub run_id: String,
    /// Fencing number, while the lease is held.
    pub epoch: Option<u64>,
    /// Holder of the lease, ours or another's.
    pub lease_holder: Option<String>,
    /// When the loop was started.
    pub started_time: Timestamp,
    /// Start of the last poll.
    pub last_poll_time: Option<Timestamp>,
    /// End of the last successful poll.
    pub last_success_time: Option<Timestamp>,
    /// When the next poll is due, or until when it waits.
    pub next_poll_time: Option<Timestamp>,
    /// When the provider's wait ends.
    pub throttled_until: Option<Timestamp>,
    /// Processes that keep to the manifest's `rate_limits` together, this one included, as the store
    /// counted them; `None` where there is no such limit.
    pub rate_processes: Option<u32>,
    /// How its queue of deliveries stands, where it takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStatus>,
    /// Servers that failed again and again, and until when each is left alone (the circuit is
    /// open; after that one request probes).
    pub suspended_until: BTreeMap<String, Timestamp>,
    /// The error of the last poll, if it failed.
    pub last_error: Option<String>,
    /// Streams that the last poll could not read, and why; empty when it read all.
    pub failing_streams: BTreeMap<String, String>,
    /// How many streams a poll reads.
    pub streams: usize,
    /// Failures in a row, polls that read only some of their streams included.
    pub consecutive_failures: u32,
    /// The last poll that ended.
    pub last_summary: Option<PollSummary>,
    /// How far the running poll got; `None` between polls.
    pub progress: Option<Progress>,
    /// Totals of this process.
    pub totals: Totals,
    /// By when the loop must have shown life again; past it `/livez` fails.
    pub deadline: Option<Timestamp>,
    /// Time between polls in milliseconds.
    pub poll_interval_ms: u64,
    /// Versions kept for change detection, while the lease is held.
    pub versions_tracked: Option<u64>,
    /// Entries in the output stream when the loop last looked.
    pub output_length: Option<u64>,
}

impl ConnectorStatus {
    /// A connector of type `kind` that is starting now.
    pub fn new(name: &str, kind: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            phase: Phase::Starting,
            health: Health::Healthy,
            reasons: Vec::new(),
            run_id: format!("{:016x}", rand::random::<u64>()),
            epoch: None,
            lease_holder: None,
            started_time: Timestamp::now(),
            last_poll_time: None,
            last_success_time: None,
            next_poll_time: None,
            throttled_until: None,
            rate_processes: None,
            suspended_until: BTreeMap::new(),
            queue: None,
            last_error: None,
            failing_streams: BTreeMap::new(),
            streams: 0,
            consecutive_failures: 0,
            last_summary: None,
            progress: None,
            totals: Totals::default(),
            deadline: None,
            poll_interval_ms: 0,
            versions_tracked: None,
            output_length: None,
        }
    }

    /// Whether the loop has not shown life by its deadline.
    pub fn is_stalled(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| now > deadline)
    }

    /// Whether the last poll read some of its streams, but not all.
    pub fn is_partial(&self) -> bool {
        !self.failing_streams.is_empty() && self.failing_streams.len() < self.streams
    }

    /// The figures users know from `metrics:connector:{name}`.
    pub fn metrics(&self) -> MetricsView<'_> {
        MetricsView {
            connector_name: &self.name,
            last_poll_time: self.last_poll_time,
            last_success_time: self.last_success_time,
            totals: self.totals,
        }
    }
}

/// A connector's figures under the names users know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsView<'a> {
    connector_name: &'a str,
    last_poll_time: Option<Timestamp>,
    last_success_time: Option<Timestamp>,
    #[serde(flatten)]
    totals: Totals,
}

/// Sums over the polls of this process, under the names users know.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Polls that ended.
    pub total_polls: u64,
    /// Those that succeeded.
    pub successful_polls: u64,
    /// Those that failed.
    pub failed_polls: u64,
    /// Records read.
    pub items_fetched: u64,
    /// Signals published.
    pub items_published: u64,
    /// Mean duration of a poll; whole milliseconds in JSON.
    #[serde(serialize_with = "as_whole_number")]
    pub average_latency_ms: f64,
}

impl Totals {
    /// Adds one poll that ended.
    pub fn add(&mut self, summary: &PollSummary, succeeded: bool) {
        self.total_polls += 1;
        if succeeded {
            self.successful_polls += 1;
        } else {
            self.failed_polls += 1;
        }
        self.items_fetched += summary.fetched;
        self.items_published += summary.published;
        #[expect(
            clippy::cast_precision_loss,
            reason = "exact up to 2^53; no count gets there"
        )]
        let (took, polls) = (summary.duration_ms as f64, self.total_polls as f64);
        self.average_latency_ms += (took - self.average_latency_ms) / polls;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::trivially_copy_pass_by_ref,
    reason = "a mean of durations is neither negative nor near 2^64; serde passes a reference"
)]
fn as_whole_number<S: Serializer>(mean: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(mean.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_keep_the_mean_of_all_polls() {
        let mut totals = Totals::default();
        for (duration_ms, succeeded) in [(100, true), (200, false), (600, true)] {
            let summary = PollSummary {
                fetched: 3,
                published: 2,
                duration_ms,
                ..PollSummary::default()
            };
            totals.add(&summary, succeeded);
        }
        assert_eq!((totals.total_polls, totals.successful_polls), (3, 2));
        assert_eq!((totals.failed_polls, totals.items_published), (1, 6));
        assert!((totals.average_latency_ms - 300.0).abs() < 1e-9);
    }

    #[test]
    fn metrics_have_exactly_the_names_users_know() {
        let status = ConnectorStatus::new("weather-noaa", "NOAA_WEATHER");
        let json = serde_json::to_value(status.metrics()).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            names,
            [
                "connectorName",
                "lastPollTime",
                "lastSuccessTime",
                "totalPolls",
                "successfulPolls",
                "failedPolls",
                "itemsFetched",
                "itemsPublished",
                "averageLatencyMs"
            ]
        );
    }
}
