//! One poller per connector: hold lease → cycle → wait, for as long as it is wanted.
//!
//! A poller never ends by a failure: `decide` maps every error to what happens next.

mod backoff;
mod decide;
mod keeper;
mod once;
mod report;
mod tenure;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::connector::ConnectorConfig;
use crate::pipeline::{Pipeline, deadline_in};
use crate::registry::{ConnectorRegistry, Phase};
use crate::source::Source;
use crate::store::{Owner, Store};
use crate::telemetry::metrics::ConnectorMetrics;

pub use backoff::Backoff;
pub use decide::is_failure;
pub use once::{PollOnceError, poll_once};

/// Interval of a connector for which neither configuration nor manifest names one.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);

/// What a poller is to run; replaced as a whole by a reload.
#[derive(Clone)]
pub struct Wanted {
    /// The configuration.
    pub config: Arc<ConnectorConfig>,
    /// Built from it.
    pub source: Arc<dyn Source>,
}

impl Wanted {
    /// Time from the start of one poll to the start of the next.
    pub fn interval(&self) -> Duration {
        self.config
            .poll_interval
            .or(self.source.poll_interval())
            .unwrap_or(DEFAULT_INTERVAL)
    }
}

/// What all pollers of a process share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where leases, state and signals live.
    pub store: Arc<dyn Store>,
    /// The board.
    pub registry: ConnectorRegistry,
    /// What "now" is.
    pub clock: Clock,
    /// Cap on every wait between polls (`CONNECTOR_WORKER_MAX_BACKOFF_MS`; for tests).
    pub max_backoff: Option<Duration>,
    /// Host part of lease owners.
    pub host: Arc<str>,
}

/// Runs one connector.
pub struct UniversalPollingConnector {
    shared: Shared,
    name: Arc<str>,
    wanted: watch::Receiver<Wanted>,
    stop: CancellationToken,
    previous: PreviousOwner,
}

/// The last owner under which this process held a connector's lease: it may be replaced at once,
/// also by a poller that takes the place of one that panicked.
pub type PreviousOwner = Arc<Mutex<Option<Owner>>>;

impl UniversalPollingConnector {
    /// A poller that runs what `wanted` holds until `stop` is cancelled.
    pub fn new(
        shared: Shared,
        wanted: watch::Receiver<Wanted>,
        stop: CancellationToken,
        previous: PreviousOwner,
    ) -> Self {
        let name = wanted.borrow().config.name.clone();
        Self {
            shared,
            name,
            wanted,
            stop,
            previous,
        }
    }

    fn previous(&self) -> Option<Owner> {
        self.previous
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_previous(&self, owner: Option<Owner>) {
        *self.previous.lock().unwrap_or_else(PoisonError::into_inner) = owner;
    }

    /// Polls until it is stopped; then the lease is released.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        while !self.stop.is_cancelled() {
            let pause = match self.tenure().await {
                tenure::Ended::Stopped => break,
                tenure::Ended::Lost => {
                    backoff.reset();
                    // Whoever the lease was taken away for gets the first try.
                    Duration::from_secs(1)
                }
                tenure::Ended::Reload => Duration::ZERO,
                tenure::Ended::StoreFailed => backoff.next_delay(),
            };
            self.set_waiting(Phase::Starting, pause);
            self.sleep(pause).await;
        }
        self.shared.registry.update(&self.name, |status| {
            status.phase = Phase::Stopped;
            status.deadline = None;
            status.next_poll_time = None;
            status.epoch = None;
            status.lease_holder = None;
        });
    }

    fn pipeline(&self, wanted: &Wanted) -> Pipeline {
        Pipeline {
            config: wanted.config.clone(),
            source: wanted.source.clone(),
            store: self.shared.store.clone(),
            clock: self.shared.clock,
            registry: self.shared.registry.clone(),
            metrics: ConnectorMetrics::new(&self.name, wanted.source.provider()),
            limit: None,
        }
    }

    /// Waits, but not past a stop.
    async fn sleep(&self, wait: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(self.capped(wait)) => {}
        }
    }

    fn capped(&self, wait: Duration) -> Duration {
        self.shared.max_backoff.map_or(wait, |cap| wait.min(cap))
    }

    /// Shows that the loop is alive and means to do nothing for `wait`.
    fn set_waiting(&self, phase: Phase, wait: Duration) {
        self.shared.registry.update(&self.name, |status| {
            status.phase = phase;
            status.next_poll_time = deadline_in(wait);
            status.deadline = deadline_in(wait + Duration::from_mins(1));
        });
    }
}
