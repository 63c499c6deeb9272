//! What each connector is doing, as JSON.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::error::Error;
use super::router::{Ops, json};
use crate::registry::{ConnectorStatus, Health};

#[derive(Serialize)]
struct List<T> {
    connectors: Vec<T>,
}

/// `GET /connectors`
pub(super) async fn all(State(ops): State<Ops>) -> Response {
    let connectors = ops.registry.all();
    json(StatusCode::OK, &List { connectors })
}

/// `GET /connectors/{name}`
pub(super) async fn one(
    State(ops): State<Ops>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    Ok(json(StatusCode::OK, &find(&ops, name)?))
}

/// `GET /metrics/connectors`
pub(super) async fn all_metrics(State(ops): State<Ops>) -> Response {
    let statuses = ops.registry.all();
    let connectors = statuses.iter().map(ConnectorStatus::metrics).collect();
    json(StatusCode::OK, &List { connectors })
}

/// `GET /metrics/connectors/{name}`
pub(super) async fn metrics(
    State(ops): State<Ops>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    Ok(json(StatusCode::OK, &find(&ops, name)?.metrics()))
}

#[derive(Serialize)]
struct AllHealth {
    healthy: bool,
    status: &'static str,
    connectors: Vec<OneHealth>,
}

/// `healthy` is false only for an unhealthy connector, so that it agrees with the HTTP status;
/// `status` tells the degraded from the healthy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneHealth {
    connector: String,
    healthy: bool,
    status: &'static str,
    phase: &'static str,
    reasons: Vec<String>,
    last_poll_time: Option<Timestamp>,
    last_success_time: Option<Timestamp>,
    timestamp: Timestamp,
}

impl From<ConnectorStatus> for OneHealth {
    fn from(status: ConnectorStatus) -> Self {
        Self {
            connector: status.name,
            healthy: status.health != Health::Unhealthy,
            status: status.health.as_str(),
            phase: status.phase.as_str(),
            reasons: status.reasons,
            last_poll_time: status.last_poll_time,
            last_success_time: status.last_success_time,
            timestamp: Timestamp::now(),
        }
    }
}

/// `GET /connectors/health` and `GET /health/connectors`
pub(super) async fn all_health(State(ops): State<Ops>) -> Response {
    let statuses = ops.registry.all();
    let worst = statuses
        .iter()
        .map(|status| status.health)
        .max()
        .unwrap_or_default();
    let body = AllHealth {
        healthy: worst != Health::Unhealthy,
        status: worst.as_str(),
        connectors: statuses.into_iter().map(OneHealth::from).collect(),
    };
    json(code(worst), &body)
}

/// `GET /connectors/{name}/health` and `GET /health/connectors/{name}`
pub(super) async fn health(
    State(ops): State<Ops>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let status = find(&ops, name)?;
    Ok(json(code(status.health), &OneHealth::from(status)))
}

fn code(health: Health) -> StatusCode {
    match health {
        Health::Healthy | Health::Degraded => StatusCode::OK,
        Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn find(ops: &Ops, name: String) -> Result<ConnectorStatus, Error> {
    ops.registry
        .get(&name)
        .ok_or_else(|| Error::UnknownConnector {
            name,
            known: ops.registry.names(),
        })
}
