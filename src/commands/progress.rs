//! How far a long read got, on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::registry::{ConnectorRegistry, Progress as Reached};

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(200);

/// Shows pages, records, records per second and the time left, where it is known, of one connector on stderr until it is dropped;
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
                    eprint!("\r\x1b[K{name}: {}", line(&progress));
                    // A terminal that cannot be written to shows nothing.
                    let _ = std::io::stderr().flush();
                }
            });
        }
        Self(task)
    }
}

fn line(reached: &Reached) -> String {
    let left = reached.remaining_ms.map_or_else(String::new, |left| {
        format!(", about {} left", rough(left.div_ceil(1000)))
    });
    format!(
        "{} pages, {} records, {} records/s{left}",
        reached.pages,
        reached.records,
        reached.per_second()
    )
}

/// Seconds as people say them: the two largest units.
fn rough(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_where_it_is_known() {
        let mut reached = Reached {
            pages: 12,
            records: 1200,
            elapsed_ms: 3000,
            remaining_ms: None,
        };
        assert_eq!(line(&reached), "12 pages, 1200 records, 400 records/s");
        for (left, said) in [
            (0, "about 0s left"),
            (9_001, "about 10s left"),
            (130_000, "about 2m 10s left"),
            (7_384_000, "about 2h 3m left"),
        ] {
            reached.remaining_ms = Some(left);
            assert!(line(&reached).ends_with(said), "{}", line(&reached));
        }
    }
}
