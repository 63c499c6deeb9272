//! How far a cycle got, for those who watch it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Cycle, deadline_in};
use crate::registry::{Phase, Progress};

/// A cycle that takes longer than this is a line in the log now and then.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// An estimate out of less is none.
const SOONEST_ESTIMATE: Duration = Duration::from_secs(1);

impl Cycle<'_> {
    /// Shows where the cycle is. `told` is which part of the stream the source says is read.
    pub(super) fn show_progress(&mut self, stream: usize, told: Option<f64>) {
        let elapsed = self.started.elapsed();
        let summary = &self.report.summary;
        let progress = Progress {
            pages: summary.pages,
            records: summary.fetched,
            elapsed_ms: millis(elapsed),
            remaining_ms: self.remaining(stream, told).map(millis),
        };
        let deadline = deadline_in(self.pipeline.patience());
        let config = &self.pipeline.config;
        self.pipeline.registry.update(&config.name, |status| {
            if status.phase == Phase::Throttled {
                status.phase = Phase::Polling;
                status.throttled_until = None;
            }
            status.progress = Some(progress);
            status.versions_tracked = Some(self.session.versions());
            status.deadline = deadline;
        });
        if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            tracing::info!(
                connector.id = &*config.name,
                stream = &*self.pipeline.source.streams()[stream].name,
                pages = progress.pages,
                records = progress.records,
                records_per_second = progress.per_second(),
                remaining_ms = progress.remaining_ms,
                "still reading"
            );
        }
    }

    /// Time that the rest of the stream takes, if it goes on as it went.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn remaining(&self, stream: usize, told: Option<f64>) -> Option<Duration> {
        let progress = &self.streams[stream];
        let spec = &self.pipeline.source.streams()[stream];
        let elapsed = progress.begun?.elapsed();
        let part = match (self.pipeline.limit, told) {
            (Some(limit), _) => progress.fetched as f64 / limit.max(1) as f64,
            (None, Some(told)) => told,
            // As long as the last time.
            (None, None) if spec.lists_everything && progress.known > 0 => {
                progress.fetched as f64 / progress.known as f64
            }
            (None, None) => return None,
        };
        if elapsed < SOONEST_ESTIMATE || part <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 / part.min(1.0) - 1.0)).ok()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
