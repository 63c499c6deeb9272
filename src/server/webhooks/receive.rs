//! One request, step by step: who, how much, is it signed, is it durable.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

use super::address::client_of;
use super::answer::{Rejection, plain};
use super::hooks::Hook;
use super::listener::MAX_HEAD_BYTES;
use super::{PERMIT_BYTES, Peer, Public};
use crate::server::router::json;
use crate::store::Enqueued;
use crate::telemetry::metrics::{self, Reception};
use crate::webhook::{Delivery, Payload, Refusal, Unreadable, Unverified, Verified};

pub(super) fn router(public: Public) -> Router {
    Router::new()
        .route("/webhooks/{connector}", any(of_connector))
        .route("/webhooks/{tenant}/{connector}", any(of_tenant))
        .route("/livez", get(async || StatusCode::OK))
        .route("/readyz", get(ready))
        .fallback(async || Rejection::UnknownConnector)
        .with_state(public)
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
}

/// Ready until it drains. A store that is away makes it no less ready: only the answer to a
/// delivery can say when to come back.
async fn ready(State(public): State<Public>) -> Response {
    let (code, status) = if public.registry.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if public.registry.is_configured() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    };
    json(code, &Ready { status })
}

async fn of_connector(
    State(public): State<Public>,
    Path(connector): Path<String>,
    query: RawQuery,
    peer: Extension<Peer>,
    request: Request,
) -> Response {
    receive(&public, (None, &connector), query, peer, request).await
}

async fn of_tenant(
    State(public): State<Public>,
    Path((tenant, connector)): Path<(String, String)>,
    query: RawQuery,
    peer: Extension<Peer>,
    request: Request,
) -> Response {
    receive(&public, (Some(&tenant), &connector), query, peer, request).await
}

async fn receive(
    public: &Public,
    (tenant, name): (Option<&str>, &str),
    RawQuery(query): RawQuery,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let Some(hook) = public.hooks.find(tenant, name) else {
        // A stranger's text is no label.
        metrics::received(
            "",
            Reception::Rejected(Rejection::UnknownConnector.as_str()),
            started.elapsed(),
        );
        return Rejection::UnknownConnector.into_response();
    };
    let client = client_of(
        peer.ip(),
        request.headers(),
        &public.options.trusted_proxies,
    );
    let answer = take(public, &hook, client, query, request).await;
    let (reception, response) = match answer {
        Ok(Taken::Queued) => (Reception::Queued, StatusCode::OK.into_response()),
        Ok(Taken::Known) => (Reception::Duplicate, StatusCode::OK.into_response()),
        Ok(Taken::Answered(text)) => (Reception::Handshake, plain(text)),
        Err((rejection, cause)) => {
            if hook.may_log() {
                tracing::warn!(
                    connector.id = name,
                    client = %client,
                    reason = rejection.as_str(),
                    cause,
                    "a delivery was not taken (further ones are only counted for a while)"
                );
            }
            (
                Reception::Rejected(rejection.as_str()),
                rejection.into_response(),
            )
        }
    };
    metrics::received(&hook.config.name, reception, started.elapsed());
    response
}

/// The size of a request's head. The connection bounds it too, but by what it reads at once.
fn head_bytes(request: &Request) -> usize {
    let headers = request.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    headers + request.uri().path().len() + request.uri().query().map_or(0, str::len)
}

/// What a 2xx stands for.
enum Taken {
    Queued,
    Known,
    Answered(String),
}

type Refused = (Rejection, &'static str);

async fn take(
    public: &Public,
    hook: &Hook,
    client: std::net::IpAddr,
    query: Option<String>,
    request: Request,
) -> Result<Taken, Refused> {
    if head_bytes(&request) > MAX_HEAD_BYTES {
        return Err((Rejection::Head, ""));
    }
    let allowed = &hook.config.webhook.allow_ips;
    if !allowed.is_empty() && !allowed.iter().any(|net| net.contains(&client)) {
        return Err((Rejection::Address, ""));
    }
    let now = Instant::now();
    let limited = |wait: Duration| {
        let retry_after = wait.as_secs().saturating_add(1);
        (Rejection::RateLimited { retry_after }, "")
    };
    public.addresses.take(&client, now).map_err(limited)?;
    public
        .connectors
        .take(&hook.config.name, now)
        .map_err(limited)?;

    let (head, body) = request.into_parts();
    let target = (head.uri.path(), query.as_deref());
    if head.method != Method::POST {
        let asked = Delivery::new(
            head.method,
            target,
            head.headers,
            Bytes::new(),
            public.clock.now(),
        );
        let answer = hook.webhooks.handshake(&asked, &[], false);
        return answer.map(Taken::Answered).ok_or((Rejection::Method, ""));
    }
    let body = read_body(public, hook, &head.headers, body).await?;
    let received = public.clock.now();
    let delivery = Delivery::new(head.method, target, head.headers, body, received);
    if let Some(answer) = hook.webhooks.handshake(&delivery, &[], false) {
        return Ok(Taken::Answered(answer));
    }
    Payload::check_head(&delivery.headers).map_err(|_| (Rejection::ContentType, ""))?;
    let verified = verify(hook, delivery, received).await?;
    let limit = hook.webhooks.max_body_bytes;
    let payload =
        Payload::decode(&verified.headers, &verified.body, limit).map_err(|error| match error {
            Unreadable::TooLarge { .. } => (Rejection::TooLarge, "decompressed"),
            Unreadable::ContentType | Unreadable::ContentEncoding => (Rejection::ContentType, ""),
            Unreadable::Gzip => (Rejection::Unreadable, "gzip"),
            Unreadable::Json(_) => (Rejection::Unreadable, "json"),
        })?;
    if let Some(answer) = hook.webhooks.handshake(&verified, payload.bytes(), true) {
        return Ok(Taken::Answered(answer));
    }
    let id = hook.webhooks.id_of(&hook.config.name, &verified, &payload);
    let queued = verified.to_queued(&hook.kept, &payload, id);
    match hook.appender.append(queued).await {
        Some(Enqueued::Queued) => Ok(Taken::Queued),
        Some(Enqueued::Known) => Ok(Taken::Known),
        Some(Enqueued::Full) => Err((Rejection::Full, "")),
        None => Err((Rejection::Unavailable, "")),
    }
}

/// Checks where a delivery comes from, with the keys that its issuer has now.
async fn verify(
    hook: &Hook,
    delivery: Delivery<Unverified>,
    received: Timestamp,
) -> Result<Delivery<Verified>, Refused> {
    if let Some(issuer) = &hook.issuer {
        match hook.verifier.look(&delivery, received) {
            // Nobody can say whether it is right.
            Err(Refusal::UnknownKey) => {
                let refreshed = issuer.refresh(true).await;
                refreshed.map_err(|_| (Rejection::Unavailable, "the issuer's keys"))?;
            }
            // The key may have been withdrawn; while that cannot be known it is trusted.
            Ok(()) => drop(issuer.refresh(false).await),
            Err(_) => {}
        }
    }
    let verified = hook.verifier.verify(delivery, received);
    verified.map_err(|refusal| (Rejection::Signature, refusal.as_str()))
}

/// Reads the body within the bounds of the connector and of all bodies together.
async fn read_body(
    public: &Public,
    hook: &Hook,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Refused> {
    let limit = hook.webhooks.max_body_bytes;
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err((Rejection::TooLarge, "announced"));
    }
    // Of unknown length is as bad as the largest.
    let permits = announced.unwrap_or(limit).div_ceil(PERMIT_BYTES).max(1);
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    let _room = public
        .bodies
        .try_acquire_many(permits)
        .map_err(|_| (Rejection::Busy, ""))?;
    match tokio::time::timeout(public.options.body_timeout, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                if error.is::<http_body_util::LengthLimitError>() {
                    return Err((Rejection::TooLarge, ""));
                }
                cause = error.source();
            }
            Err((Rejection::Broken, ""))
        }
        Err(_) => Err((Rejection::SlowBody, "")),
    }
}
