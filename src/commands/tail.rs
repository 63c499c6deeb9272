//! `tail`: follow published signals.

use std::time::Duration;

use anyhow::Result;

use super::context::Context;
use super::output;
use super::render::cloud_event;
use crate::cli::TailArgs;
use crate::os_signal::OsSignals;

/// Entries read at a time.
const AT_ONCE: usize = 100;

/// How long one read waits for an entry.
const WAIT: Duration = Duration::from_secs(2);

/// Prints one CloudEvent a line until it is stopped or has printed enough.
pub(super) async fn tail(context: &Context, args: &TailArgs, mut signals: OsSignals) -> Result<()> {
    let store = context.open_store().await?;
    let mut after = if args.from_start {
        None
    } else {
        store.last_entry(&args.stream).await?
    };
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(AT_ONCE).min(AT_ONCE);
        let entries = tokio::select! {
            entries = store.read_stream(&args.stream, after.as_deref(), count, WAIT) => entries?,
            () = signals.shutdown() => return Ok(()),
        };
        for entry in entries {
            if !output::line(&cloud_event(&entry))? {
                return Ok(());
            }
            left -= 1;
            after = Some(entry.id);
        }
    }
    Ok(())
}
