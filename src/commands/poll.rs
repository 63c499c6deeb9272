//! `poll`: exactly one poll cycle, committed.

use std::process::ExitCode;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::progress::Progress;
use super::{exit, output};
use crate::client::FetchError;
use crate::os_signal::OsSignals;
use crate::pipeline::CycleReport;
use crate::poller::{is_failure, poll_once};
use crate::registry::ConnectorStatus;

/// Takes the lease, polls once, commits, prints the summary.
pub(super) async fn poll(
    context: &Context,
    name: &str,
    mut signals: OsSignals,
) -> Result<ExitCode> {
    let wanted = context.connector(name)?;
    let shared = context.shared(context.open_store().await?);
    shared
        .registry
        .insert(ConnectorStatus::new(name, &wanted.config.kind));
    let progress = Progress::start(shared.registry.clone(), name);
    let stop = CancellationToken::new();
    let polling = poll_once(&shared, &wanted, &stop);
    tokio::pin!(polling);
    let report = tokio::select! {
        report = &mut polling => report,
        () = signals.shutdown() => {
            stop.cancel();
            polling.await
        }
    };
    drop(progress);
    let report = report?;
    output::json(&report.summary)?;
    Ok(code(&report))
}

/// A poll that could not read everything has failed, whatever it published.
fn code(report: &CycleReport) -> ExitCode {
    let codes = report
        .failures
        .iter()
        .map(|(_, error)| exit::code(&anyhow::Error::new(FetchError::clone(error))));
    match codes.max() {
        Some(code) if is_failure(report) => ExitCode::from(code),
        Some(_) => ExitCode::from(exit::UNREACHABLE),
        None if report.stopped => ExitCode::from(exit::FAILURE),
        None => ExitCode::SUCCESS,
    }
}
