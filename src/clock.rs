//! The wall clock that templates, cursors and signals see; tests may freeze it.

use jiff::Timestamp;

/// Where "now" comes from. Monotonic waits use tokio's clock, never this one.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// An instant that never moves (`CONNECTOR_WORKER_NOW`).
    Frozen(Timestamp),
}

impl Clock {
    /// The current instant.
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Frozen(at) => at,
        }
    }
}
