//! Paths and what answers them.

use axum::Router;
use axum::extract::State;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::error::Error;
use super::{connectors, dashboard, probes};
use crate::registry::ConnectorRegistry;
use crate::telemetry::metrics::Metrics;

/// What the handlers read.
#[derive(Debug, Clone)]
pub struct Ops {
    /// The board.
    pub registry: ConnectorRegistry,
    /// What was recorded.
    pub metrics: Metrics,
}

/// Every path, for the answer to a wrong one.
pub(super) const PATHS: &[&str] = &[
    "/",
    "/livez",
    "/readyz",
    "/metrics",
    "/metrics/connectors",
    "/metrics/connectors/{name}",
    "/connectors",
    "/connectors/health",
    "/connectors/{name}",
    "/connectors/{name}/health",
    "/health/connectors",
    "/health/connectors/{name}",
];

pub(super) fn router(ops: Ops) -> Router {
    Router::new()
        .route("/", get(dashboard::page))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(prometheus))
        .route("/metrics/connectors", get(connectors::all_metrics))
        .route("/metrics/connectors/{name}", get(connectors::metrics))
        .route("/connectors", get(connectors::all))
        .route("/connectors/health", get(connectors::all_health))
        .route("/connectors/{name}", get(connectors::one))
        .route("/connectors/{name}/health", get(connectors::health))
        .route("/health/connectors", get(connectors::all_health))
        .route("/health/connectors/{name}", get(connectors::health))
        .fallback(async || Error::UnknownPath)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(map_response(with_common_headers))
        .with_state(ops)
}

async fn prometheus(State(ops): State<Ops>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        ops.metrics.render(&ops.registry),
    )
}

/// Answers describe this moment, and are what their type says.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// `body` as JSON; every answer but the page and the exposition goes through here.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "cannot write an answer as JSON");
            Error::Unserializable.into_response()
        }
    }
}
