//! One cycle: fetch → detect → transform → commit.
//!
//! Pages stream through: while one is detected and committed the source fetches the next, and
//! nothing ever holds a whole listing. The contract with the store is in `commit`: versions,
//! signals and cursor of a record are one write, so a crash anywhere repeats requests but never a
//! signal.

mod batch;
mod commit;
mod cycle;
mod deliver;
pub mod detect;
mod inbox;
mod retention;
pub mod session;
pub mod versions;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::client::FetchError;
use crate::clock::Clock;
use crate::connector::ConnectorConfig;
use crate::registry::{ConnectorRegistry, PollSummary};
use crate::source::Source;
use crate::store::{CycleStore, StoreError};
use crate::telemetry::metrics::ConnectorMetrics;

pub use cycle::{NOT_SELECTED, deadline_in};
pub use inbox::{Attempt, Inbox};
pub use session::Session;

/// Everything one connector's cycles need.
#[derive(Clone)]
pub struct Pipeline {
    /// What to do.
    pub config: Arc<ConnectorConfig>,
    /// Where records come from.
    pub source: Arc<dyn Source>,
    /// Where signals and state go.
    pub store: Arc<dyn CycleStore>,
    /// What "now" is.
    pub clock: Clock,
    /// Told of waits and progress.
    pub registry: ConnectorRegistry,
    /// Counts what happens.
    pub metrics: ConnectorMetrics,
    /// Stop each stream after about this many records, and call nothing deleted.
    pub limit: Option<u64>,
}

/// What a cycle that could work to its end did.
#[derive(Debug, Default)]
pub struct CycleReport {
    /// Counts.
    pub summary: PollSummary,
    /// Streams that were not read completely, and why.
    pub failures: Vec<(Arc<str>, FetchError)>,
    /// What an operator should look at though nothing failed.
    pub warnings: Vec<String>,
    /// The cycle was stopped before its end.
    pub stopped: bool,
}

/// Why a cycle could not go on: all of them mean that this tenure of the lease is over or that
/// the store cannot be reached.
#[derive(Debug, Error)]
pub enum CycleError {
    /// Another worker may write, or the lease key is gone.
    #[error("the lease was lost")]
    LeaseLost,
    /// The store is behind what this worker committed: it lost its tail, or was restored.
    #[error("the store lost commits (it is at {stored})")]
    StoreBehind {
        /// Sequence that the store has.
        stored: u64,
    },
    /// A commit may or may not have been applied.
    #[error("a commit is in doubt")]
    InDoubt,
    /// The store cannot be reached or refuses.
    #[error("cannot use the store")]
    Store(#[from] StoreError),
}

impl Pipeline {
    /// How long a working cycle may go without a page, an answer of the store, or a wait it
    /// announced: every attempt of one request, what the client sits out, and a patient commit.
    pub fn patience(&self) -> Duration {
        let attempts = self.config.max_retries.saturating_add(1);
        self.config.request_timeout.saturating_mul(attempts)
            + self.config.retry.max_delay.saturating_mul(attempts)
            + Duration::from_mins(3)
    }
}
