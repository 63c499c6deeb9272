//! What each connector is doing, as the outside sees it: written by pollers, read by HTTP,
//! `SIGUSR1` and the dashboard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// Shared board of all connectors of this process.
#[derive(Debug, Clone, Default)]
pub struct ConnectorRegistry(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    connectors: BTreeMap<String, ConnectorStatus>,
    reload_problem: Option<ReloadProblem>,
    draining: bool,
}

/// Why the last reload changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReloadProblem {
    /// When it was tried.
    pub at: Timestamp,
    /// Every problem, one line each; no secret.
    pub problems: Vec<String>,
}

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

/// Whether a connector makes progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The last cycle ended well and within its deadline, or the connector is a standby.
    Healthy,
    /// Works in part: a stream failed, throttled, back-pressure, first failures.
    Degraded,
    /// No progress: credentials refused, or failing past the deadline.
    Unhealthy,
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
    /// Whether it makes progress.
    pub health: Health,
    /// Why it is not healthy, one sentence each.
    pub reasons: Vec<String>,
    /// Identifies one run of the loop; unchanged connectors keep it through a reload.
    pub run_id: String,
    /// Fencing number, while the lease is held.
    pub epoch: Option<u64>,
    /// Holder of the lease, ours or another's.
    pub lease_holder: Option<String>,
    /// Start of the last poll.
    pub last_poll_time: Option<Timestamp>,
    /// End of the last successful poll.
    pub last_success_time: Option<Timestamp>,
    /// When the next poll is due, or until when it waits.
    pub next_poll_time: Option<Timestamp>,
    /// When the provider's wait ends.
    pub throttled_until: Option<Timestamp>,
    /// The error of the last poll, if it failed.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// The last poll that ended.
    pub last_summary: Option<PollSummary>,
    /// Totals of this process.
    pub totals: Totals,
    /// By when the loop must have shown life again; past it `/livez` fails.
    pub deadline: Option<Timestamp>,
    /// Time between polls in milliseconds.
    pub poll_interval_ms: u64,
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
    /// Mean duration of a poll.
    pub average_latency_ms: f64,
}

impl ConnectorRegistry {
    /// Puts a connector on the board, replacing one of the same name.
    pub fn insert(&self, status: ConnectorStatus) {
        self.board().connectors.insert(status.name.clone(), status);
    }

    /// Changes the entry of `name`, if there is one.
    pub fn update(&self, name: &str, change: impl FnOnce(&mut ConnectorStatus)) {
        if let Some(status) = self.board().connectors.get_mut(name) {
            change(status);
        }
    }

    /// Takes a connector off the board.
    pub fn remove(&self, name: &str) {
        self.board().connectors.remove(name);
    }

    /// The entry of `name`.
    pub fn get(&self, name: &str) -> Option<ConnectorStatus> {
        self.board().connectors.get(name).cloned()
    }

    /// All entries by name.
    pub fn all(&self) -> Vec<ConnectorStatus> {
        self.board().connectors.values().cloned().collect()
    }

    /// Remembers why a reload changed nothing; `None` after one that worked.
    pub fn set_reload_problem(&self, problem: Option<ReloadProblem>) {
        self.board().reload_problem = problem;
    }

    /// Why the last reload changed nothing.
    pub fn reload_problem(&self) -> Option<ReloadProblem> {
        self.board().reload_problem.clone()
    }

    /// Says that the process is shutting down.
    pub fn set_draining(&self) {
        self.board().draining = true;
    }

    /// Whether the process is shutting down.
    pub fn is_draining(&self) -> bool {
        self.board().draining
    }

    fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        // A panicking poller cannot leave an entry half-written: every change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
