//! Shows on the board what a connector's client does on the wire.

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::{ConnectorRegistry, Phase};
use crate::client::Observer;
use crate::telemetry::metrics::ConnectorMetrics;

/// After a wait that the provider asked for, the loop must show life within this time.
const SLACK: Duration = Duration::from_mins(3);

/// Tells metrics and the board of waits and answers of one connector.
#[derive(Debug, Clone)]
pub struct ClientObserver {
    /// The board.
    pub registry: ConnectorRegistry,
    /// The connector's counters.
    pub metrics: ConnectorMetrics,
    /// Its name.
    pub name: String,
}

impl Observer for ClientObserver {
    fn throttled(&self, wait: Duration) {
        self.metrics.throttled(wait);
        let after = |wait| {
            Timestamp::now()
                .checked_add(SignedDuration::try_from(wait).ok()?)
                .ok()
        };
        self.registry.update(&self.name, |status| {
            status.phase = Phase::Throttled;
            status.throttled_until = after(wait);
            status.deadline = after(wait + SLACK);
        });
        tracing::info!(
            connector.id = self.name,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "the provider asked connector {} to wait",
            self.name
        );
    }

    fn answered(&self, status: StatusCode, took: Duration, bytes: usize) {
        self.metrics.answered(status, took, bytes);
    }

    fn unanswered(&self) {
        self.metrics.unanswered();
    }

    fn saved(&self, quota: f64) {
        self.metrics.saved(quota);
    }

    fn shares(&self, processes: u32) {
        self.registry.update(&self.name, |status| {
            status.rate_processes = Some(processes);
        });
    }

    fn suspended(&self, server: &str, pause: Option<Duration>) {
        self.metrics.suspended(server, pause);
        let until = pause.and_then(|pause| {
            let pause = SignedDuration::try_from(pause).ok()?;
            Timestamp::now().checked_add(pause).ok()
        });
        self.registry.update(&self.name, |status| match until {
            Some(until) => drop(status.suspended_until.insert(server.to_owned(), until)),
            None => drop(status.suspended_until.remove(server)),
        });
    }
}
