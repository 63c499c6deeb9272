//! What an orchestrator asks: is the process alive, may it be counted as running.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::router::{Ops, json};
use crate::registry::{ConnectorStatus, Health, ReloadProblem};

#[derive(Serialize)]
struct Live {
    status: &'static str,
    stalled: Vec<Stalled>,
}

#[derive(Serialize)]
struct Stalled {
    connector: String,
    phase: &'static str,
    deadline: Option<Timestamp>,
}

/// Alive unless a loop has not shown life by its deadline. Failing polls, a missing store or
/// refused credentials are not cured by a restart and do not count.
pub(super) async fn live(State(ops): State<Ops>) -> Response {
    let now = Timestamp::now();
    // Draining has a deadline of its own, and stops loops in the middle of their promises.
    let stalled: Vec<_> = if ops.registry.is_draining() {
        Vec::new()
    } else {
        ops.registry
            .all()
            .into_iter()
            .filter(|status| status.is_stalled(now))
            .map(|status| Stalled {
                phase: status.phase.as_str(),
                deadline: status.deadline,
                connector: status.name,
            })
            .collect()
    };
    let (code, status) = if stalled.is_empty() {
        (StatusCode::OK, "alive")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stalled")
    };
    json(code, &Live { status, stalled })
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    connectors: usize,
    /// Degraded and unhealthy ones: told here, but no reason to take the process out of service.
    degraded: Vec<Degraded>,
    /// Why the last reload changed nothing.
    reload: Option<ReloadProblem>,
}

#[derive(Serialize)]
struct Degraded {
    connector: String,
    status: &'static str,
    reasons: Vec<String>,
}

/// Ready once the first configuration was applied and until the process drains. A standby is
/// ready: a Deployment whose second replica waits for the lease must be able to roll.
pub(super) async fn ready(State(ops): State<Ops>) -> Response {
    let (code, status) = if ops.registry.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if ops.registry.is_configured() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    };
    let all = ops.registry.all();
    let body = Ready {
        status,
        connectors: all.len(),
        degraded: all.into_iter().filter_map(degraded).collect(),
        reload: ops.registry.reload_problem(),
    };
    json(code, &body)
}

fn degraded(status: ConnectorStatus) -> Option<Degraded> {
    (status.health != Health::Healthy).then(|| Degraded {
        connector: status.name,
        status: status.health.as_str(),
        reasons: status.reasons,
    })
}
