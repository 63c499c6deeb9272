//! `leases`: who runs what.

use anyhow::{Result, bail};
use serde_json::json;

use super::context::Context;
use super::output;
use crate::cli::LeasesCommand;

/// Lists or takes away leases.
pub(super) async fn leases(context: &Context, command: LeasesCommand) -> Result<()> {
    let store = context.open_store().await?;
    match command {
        LeasesCommand::List(args) => {
            let leases = store.leases().await?;
            let rows: Vec<_> = leases
                .iter()
                .map(|lease| {
                    let left = format!("{:.1}s", lease.remaining.as_secs_f64());
                    vec![
                        lease.connector.clone(),
                        lease.owner.clone(),
                        lease.epoch.to_string(),
                        left,
                    ]
                })
                .collect();
            let document: Vec<_> = leases
                .iter()
                .map(|lease| {
                    json!({
                        "connector": lease.connector,
                        "owner": lease.owner,
                        "epoch": lease.epoch,
                        "remainingMs": u64::try_from(lease.remaining.as_millis()).unwrap_or(u64::MAX),
                    })
                })
                .collect();
            output::listing(
                args.output,
                &["connector", "owner", "epoch", "left"],
                &rows,
                &document,
            )
        }
        LeasesCommand::Release { name, confirm } => {
            output::confirm(
                &format!("the holder of {name}'s lease will be fenced"),
                confirm,
            )
            .await?;
            if !store.break_lease(&name).await? {
                bail!("nobody holds a lease of {name}");
            }
            output::line(&format!("released the lease of {name}")).map(drop)
        }
    }
}
