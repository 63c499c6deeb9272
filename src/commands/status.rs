//! `status`: how the configured connectors stand, read from the store.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

use super::context::Context;
use super::output;
use crate::cli::StatusArgs;
use crate::registry::{ConnectorStatus, Health, Phase, health};
use crate::store::{LeaseInfo, Store};

/// Prints every enabled connector; 0 healthy, 1 degraded, 2 unhealthy.
pub(super) async fn status(context: &Context, args: &StatusArgs) -> Result<ExitCode> {
    let configuration = context.load_structure(&args.names.name)?;
    let store = context.open_store().await?;
    let leases = store.leases().await?;
    let mut worst = Health::Healthy;
    let (mut rows, mut document) = (Vec::new(), Vec::new());
    for config in configuration
        .loaded
        .connectors
        .iter()
        .filter(|config| config.enabled)
    {
        let lease = leases.iter().find(|lease| lease.connector == *config.name);
        let (status, health, reasons) = assess(&*store, &config.name, &config.kind, lease).await?;
        worst = worst.max(health);
        let last = status
            .last_poll_time
            .map_or("never".to_owned(), |at| format!("{at:.0}"));
        let lag = status
            .last_success_time
            .map(|at| Timestamp::now().duration_since(at).as_secs());
        rows.push(vec![
            status.name.clone(),
            health.as_str().to_owned(),
            lease.map_or("nobody".to_owned(), |lease| lease.owner.clone()),
            last,
            lag.map_or(String::new(), |lag| format!("{lag}s")),
            reasons.join("; "),
        ]);
        document.push(json!({
            "name": status.name,
            "type": status.kind,
            "health": health.as_str(),
            "reasons": reasons,
            "leaseHolder": lease.map(|lease| &lease.owner),
            "epoch": lease.map(|lease| lease.epoch),
            "lastPollTime": status.last_poll_time,
            "lastSuccessTime": status.last_success_time,
            "lagSeconds": lag,
        }));
    }
    output::listing(
        args.output.output,
        &[
            "connector",
            "health",
            "lease holder",
            "last poll",
            "lag",
            "why",
        ],
        &rows,
        &document,
    )?;
    Ok(ExitCode::from(match worst {
        Health::Healthy => 0,
        Health::Degraded => 1,
        Health::Unhealthy => 2,
    }))
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
