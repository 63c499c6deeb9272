//! `check`: prove address, credentials and permissions; publish nothing.

use anyhow::{Context as _, Result};

use super::context::Context;
use super::output;

/// Asks the provider, and says what was proven.
pub(super) async fn check(context: &Context, name: &str) -> Result<()> {
    let wanted = context.connector(name)?;
    let report = wanted
        .source
        .check()
        .await
        .with_context(|| format!("check of {name} failed"))?;
    for warning in &report.warnings {
        tracing::warn!(connector.id = name, "{warning}");
    }
    for proven in &report.proven {
        output::line(&format!("ok: {proven}"))?;
    }
    let mut failed = report.failed.into_iter();
    let Some(first) = failed.next() else {
        return Ok(());
    };
    for error in failed {
        tracing::error!(connector.id = name, "{error}");
    }
    Err(first).with_context(|| format!("check of {name} failed"))
}
