//! What each connector is doing, as the outside sees it: written by pollers, read by HTTP,
//! `SIGUSR1` and the dashboard.

pub mod health;
mod observer;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

pub use observer::ClientObserver;
pub use status::{
    ConnectorStatus, Health, MetricsView, Phase, PollSummary, Progress, QueueStatus, Totals,
};

/// Shared board of all connectors of this process.
#[derive(Debug, Clone, Default)]
pub struct ConnectorRegistry(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    connectors: BTreeMap<String, ConnectorStatus>,
    /// Configured not to run. One that still finishes its page is also among `connectors`, which
    /// then counts.
    disabled: BTreeMap<String, ConnectorStatus>,
    reload_problem: Option<ReloadProblem>,
    configured: bool,
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

impl ConnectorRegistry {
    /// Puts a connector on the board, replacing one of the same name.
    pub fn insert(&self, status: ConnectorStatus) {
        self.board().connectors.insert(status.name.clone(), status);
    }

    /// Changes the entry of `name`, if there is one. Health is not to be set: it follows from the
    /// rest.
    pub fn update(&self, name: &str, change: impl FnOnce(&mut ConnectorStatus)) {
        if let Some(status) = self.board().connectors.get_mut(name) {
            change(status);
        }
    }

    /// Takes a connector off the board.
    pub fn remove(&self, name: &str) {
        self.board().connectors.remove(name);
    }

    /// Shows exactly these connectors, by name and type, as configured not to run.
    pub fn set_disabled<'a>(&self, connectors: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let disabled = connectors.into_iter().map(|(name, kind)| {
            let mut status = ConnectorStatus::new(name, kind);
            status.phase = Phase::Stopped;
            (status.name.clone(), status)
        });
        self.board().disabled = disabled.collect();
    }

    /// The entry of `name`, with its health at this moment.
    pub fn get(&self, name: &str) -> Option<ConnectorStatus> {
        let status = self.board().find(name).cloned();
        status.map(|status| assessed(status, Timestamp::now()))
    }

    /// All entries by name, with their health at this moment.
    pub fn all(&self) -> Vec<ConnectorStatus> {
        let connectors: Vec<_> = {
            let board = self.board();
            let names = board.names();
            names.filter_map(|name| board.find(name).cloned()).collect()
        };
        let now = Timestamp::now();
        connectors
            .into_iter()
            .map(|status| assessed(status, now))
            .collect()
    }

    /// Names of all connectors.
    pub fn names(&self) -> Vec<String> {
        self.board().names().cloned().collect()
    }

    /// Remembers why a reload changed nothing; `None` after one that worked.
    pub fn set_reload_problem(&self, problem: Option<ReloadProblem>) {
        self.board().reload_problem = problem;
    }

    /// Why the last reload changed nothing.
    pub fn reload_problem(&self) -> Option<ReloadProblem> {
        self.board().reload_problem.clone()
    }

    /// Says that the first configuration was applied.
    pub fn set_configured(&self) {
        self.board().configured = true;
    }

    /// Whether a configuration was applied.
    pub fn is_configured(&self) -> bool {
        self.board().configured
    }

    /// Says that the process is shutting down.
    pub fn set_draining(&self) {
        self.board().draining = true;
    }

    /// Whether the process is shutting down.
    pub fn is_draining(&self) -> bool {
        self.board().draining
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // A panicking poller cannot leave an entry half-written: every change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn find(&self, name: &str) -> Option<&ConnectorStatus> {
        self.connectors.get(name).or(self.disabled.get(name))
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let names: BTreeSet<_> = self.connectors.keys().chain(self.disabled.keys()).collect();
        names.into_iter()
    }
}

fn assessed(mut status: ConnectorStatus, now: Timestamp) -> ConnectorStatus {
    (status.health, status.reasons) = health::assess(&status, now);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_connector_is_shown_once_it_has_stopped() {
        let registry = ConnectorRegistry::default();
        registry.insert(ConnectorStatus::new("b", "JIRA"));
        registry.set_disabled([("a", "GITHUB"), ("b", "JIRA")]);
        let phases = |registry: &ConnectorRegistry| -> Vec<_> {
            let all = registry.all();
            all.into_iter().map(|one| (one.name, one.phase)).collect()
        };
        assert_eq!(
            phases(&registry),
            [
                ("a".to_owned(), Phase::Stopped),
                ("b".to_owned(), Phase::Starting)
            ]
        );
        registry.remove("b");
        assert_eq!(registry.names(), ["a", "b"]);
        assert_eq!(registry.get("b").unwrap().phase, Phase::Stopped);
        registry.set_disabled([]);
        assert!(registry.all().is_empty());
    }
}
