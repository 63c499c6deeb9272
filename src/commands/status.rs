//! `status`: how the configured connectors stand, read from the store.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

use super::context::Context;
use super::{exit, output};
use crate::cli::StatusArgs;
use crate::connector::ConnectorConfig;
use crate::registry::{ConnectorStatus, Health, Phase, health};
use crate::store::{LeaseInfo, Store};
use crate::telemetry::chain;

/// Where one connector stands.
struct Stand {
    status: ConnectorStatus,
    health: Health,
    reasons: Vec<String>,
    lease: Option<LeaseInfo>,
}

/// Prints every enabled connector; 0 healthy, 1 degraded, 2 unhealthy.
pub(super) async fn status(context: &Context, args: &StatusArgs) -> Result<ExitCode> {
    let mut connectors = context.load_structure(&args.names.name)?.loaded.connectors;
    connectors.retain(|config| config.enabled);
    let (stands, reached) = match read(context, &connectors).await {
        // A worker without its store does nothing either.
        Err(error) if exit::code(&error) == exit::UNREACHABLE => {
            let reason = chain(error.as_ref()).to_string();
            tracing::error!(error = reason, "how the connectors stand is not known");
            (unreached(&connectors, &reason), Health::Unhealthy)
        }
        stands => (stands?, Health::Healthy),
    };
    let worst = stands.iter().map(|stand| stand.health);
    let worst = worst.max().unwrap_or(Health::Healthy).max(reached);
    let rows: Vec<_> = stands.iter().map(row).collect();
    let document: Vec<_> = stands.iter().map(document).collect();
    let header = [
        "connector",
        "health",
        "lease holder",
        "last poll",
        "lag",
        "why",
    ];
    output::listing(args.output.output, &header, &rows, &document)?;
    Ok(ExitCode::from(match worst {
        Health::Healthy => 0,
        Health::Degraded => 1,
        Health::Unhealthy => 2,
    }))
}

async fn read(context: &Context, connectors: &[Arc<ConnectorConfig>]) -> Result<Vec<Stand>> {
    let store = context.open_store().await?;
    let leases = store.leases().await?;
    let mut stands = Vec::new();
    for config in connectors {
        let lease = leases.iter().find(|lease| lease.connector == *config.name);
        let (status, health, reasons) = assess(&*store, &config.name, &config.kind, lease).await?;
        stands.push(Stand {
            status,
            health,
            reasons,
            lease: lease.cloned(),
        });
    }
    Ok(stands)
}

fn unreached(connectors: &[Arc<ConnectorConfig>], reason: &str) -> Vec<Stand> {
    let stand = |config: &Arc<ConnectorConfig>| Stand {
        status: ConnectorStatus::new(&config.name, &config.kind),
        health: Health::Unhealthy,
        reasons: vec![reason.to_owned()],
        lease: None,
    };
    connectors.iter().map(stand).collect()
}

fn lag(status: &ConnectorStatus) -> Option<i64> {
    let success = status.last_success_time?;
    Some(Timestamp::now().duration_since(success).as_secs())
}

fn row(stand: &Stand) -> Vec<String> {
    let status = &stand.status;
    let last = status.last_poll_time;
    let lease = stand.lease.as_ref();
    vec![
        status.name.clone(),
        stand.health.as_str().to_owned(),
        lease.map_or("nobody".to_owned(), |lease| lease.owner.clone()),
        last.map_or("never".to_owned(), |at| format!("{at:.0}")),
        lag(status).map_or(String::new(), |lag| format!("{lag}s")),
        stand.reasons.join("; "),
    ]
}

fn document(stand: &Stand) -> serde_json::Value {
    let status = &stand.status;
    let lease = stand.lease.as_ref();
    json!({
        "name": status.name,
        "type": status.kind,
        "health": stand.health.as_str(),
        "reasons": stand.reasons,
        "leaseHolder": lease.map(|lease| &lease.owner),
        "epoch": lease.map(|lease| lease.epoch),
        "lastPollTime": status.last_poll_time,
        "lastSuccessTime": status.last_success_time,
        "lagSeconds": lag(status),
    })
}

/// The same judgement as the running worker's, on what it left in the store.
async fn assess(
    store: &dyn Store,
    name: &str,
    kind: &str,
    lease: Option<&LeaseInfo>,
) -> Result<(ConnectorStatus, Health, Vec<String>)> {
    let kept = store.load_metrics(name).await?;
    let mut status = ConnectorStatus::new(name, kind);
    status.last_poll_time = instant(&kept, "lastPollTime");
    status.last_success_time = instant(&kept, "lastSuccessTime");
    status.last_error = kept
        .get("lastError")
        .filter(|text| !text.is_empty())
        .cloned();
    status.consecutive_failures = number(&kept, "consecutiveFailures");
    status.streams = number(&kept, "streams");
    status.poll_interval_ms = number(&kept, "pollIntervalMs");
    status.phase = match kept.get("phase").map(String::as_str) {
        Some("parked") => Phase::Parked,
        Some("throttled") => Phase::Throttled,
        Some("back_pressure") => Phase::BackPressure,
        _ => Phase::Waiting,
    };
    if let Some(text) = kept.get("failingStreams") {
        status.failing_streams = serde_json::from_str(text).unwrap_or_default();
    }
    let (mut health, mut reasons) = health::assess(&status, Timestamp::now());
    if lease.is_none() {
        health = health.max(Health::Degraded);
        reasons.push("no worker holds its lease".to_owned());
    }
    if status.last_poll_time.is_none() {
        health = health.max(Health::Degraded);
        reasons.push("it has not polled yet".to_owned());
    }
    Ok((status, health, reasons))
}

fn instant(kept: &BTreeMap<String, String>, field: &str) -> Option<Timestamp> {
    kept.get(field)?.parse().ok()
}

fn number<N: std::str::FromStr + Default>(kept: &BTreeMap<String, String>, field: &str) -> N {
    kept.get(field)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
