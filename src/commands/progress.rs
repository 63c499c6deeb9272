//! How far a long read got, on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::registry::ConnectorRegistry;

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(200);

/// Shows pages, records and records per second of one connector on stderr until it is dropped;
/// shows nothing where stderr is no terminal.
pub(super) struct Progress(JoinSet<()>);

impl Progress {
    /// Starts showing.
    pub(super) fn start(registry: ConnectorRegistry, name: &str) -> Self {
        let mut task = JoinSet::new();
        if std::io::stderr().is_terminal() {
            let name = name.to_owned();
            task.spawn(async move {
                loop {
                    tokio::time::sleep(EVERY).await;
                    let Some(progress) = registry.get(&name).and_then(|status| status.progress)
                    else {
                        continue;
                    };
                    let per_second = progress.records * 1000 / progress.elapsed_ms.max(1);
                    eprint!(
                        "\r\x1b[K{name}: {} pages, {} records, {per_second} records/s",
                        progress.pages, progress.records
                    );
                    // A terminal that cannot be written to shows nothing.
                    let _ = std::io::stderr().flush();
                }
            });
        }
        Self(task)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            eprint!("\r\x1b[K");
        }
    }
}
