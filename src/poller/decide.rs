//! What happens after a cycle: the only place that knows what an error means for the loop.

use std::time::Duration;

use super::backoff::doubled;
use crate::client::FetchError;
use crate::pipeline::{CycleError, CycleReport};
use crate::registry::Phase;
use crate::telemetry::metrics::PollOutcome;

/// First and longest wait of a connector whose credentials or requests are refused: it cannot
/// mend itself, and hammering locks accounts out.
const PARKED: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(15));

/// Longest wait between polls of a provider that is failing.
const FAILING: Duration = Duration::from_mins(5);

/// What the poller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Poll when the interval says so.
    PollOnSchedule,
    /// Poll after this wait, or on schedule if that is later.
    PollAfter(Duration),
    /// The provider asked to wait this long; not a failure.
    Throttled(Duration),
    /// Refused: wait this long, and say that somebody has to mend something.
    Park(Duration),
    /// This tenure is over: drop everything and take the lease again.
    Reacquire,
    /// This tenure is over and the lease may be somebody else's: let them have it first.
    Lost,
    /// The store cannot be used now.
    StoreFailed,
}

impl Next {
    /// What the loop shows while it does this.
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::PollOnSchedule | Self::PollAfter(_) => Phase::Waiting,
            Self::Throttled(_) => Phase::Throttled,
            Self::Park(_) => Phase::Parked,
            Self::Reacquire | Self::Lost | Self::StoreFailed => Phase::Starting,
        }
    }
}

/// After a cycle that ran to its end; `failures` in a row, this one included if it failed.
pub(super) fn after_cycle(report: &CycleReport, streams: usize, failures: u32) -> Next {
    let all_failed = report.failures.len() >= streams;
    let next = |(_, error): &_| after_failure(error, all_failed, failures);
    report
        .failures
        .iter()
        .map(next)
        .max_by_key(weight)
        .unwrap_or(Next::PollOnSchedule)
}

/// After one stream failed.
fn after_failure(error: &FetchError, all_failed: bool, failures: u32) -> Next {
    let parked = || Next::Park(doubled(PARKED.0, PARKED.1, failures.saturating_sub(1)));
    match error {
        // The next stream's credentials are the same ones.
        FetchError::Unauthorized(_) => parked(),
        FetchError::Forbidden(_) | FetchError::Rejected(_) | FetchError::Misconfigured(_) => {
            if all_failed {
                parked()
            } else {
                Next::PollOnSchedule
            }
        }
        FetchError::RateLimited { retry_after } => Next::Throttled(*retry_after),
        FetchError::Unavailable(_) | FetchError::Unusable(_) | FetchError::Bound(_) => {
            Next::PollAfter(doubled(
                Duration::from_secs(1),
                FAILING,
                failures.saturating_sub(1),
            ))
        }
    }
}

/// After a cycle that could not run to its end.
pub(super) fn after_error(error: &CycleError) -> Next {
    match error {
        CycleError::LeaseLost => Next::Lost,
        CycleError::StoreBehind { .. } | CycleError::InDoubt => Next::Reacquire,
        CycleError::Store(_) => Next::StoreFailed,
    }
}

/// Whether a cycle counts as failed. Being asked to wait is no failure.
pub fn is_failure(report: &CycleReport) -> bool {
    report
        .failures
        .iter()
        .any(|(_, error)| !matches!(error, FetchError::RateLimited { .. }))
}

/// How a cycle ended, as metrics and the log call it.
pub(super) fn outcome(report: &CycleReport, streams: usize) -> PollOutcome {
    match report.failures.len() {
        0 => PollOutcome::Success,
        _ if !is_failure(report) => PollOutcome::Throttled,
        failed if failed < streams => PollOutcome::Partial,
        _ => PollOutcome::Failure,
    }
}

/// Of several streams' answers the most cautious counts.
fn weight(next: &Next) -> (u8, Duration) {
    match next {
        Next::PollOnSchedule => (0, Duration::ZERO),
        Next::PollAfter(wait) => (1, *wait),
        Next::Throttled(wait) => (2, *wait),
        Next::Park(wait) => (3, *wait),
        Next::Reacquire | Next::Lost | Next::StoreFailed => (4, Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errors: &[FetchError], streams: usize, failures: u32) -> Next {
        let failed = errors
            .iter()
            .map(|error| ("s".into(), error.clone()))
            .collect();
        after_cycle(
            &CycleReport {
                failures: failed,
                ..CycleReport::default()
            },
            streams,
            failures,
        )
    }

    #[test]
    fn every_error_has_its_consequence() {
        let seconds = Duration::from_secs;
        let text = || "reason".to_owned();
        let limited = FetchError::RateLimited {
            retry_after: seconds(90),
        };
        assert_eq!(after(&[], 1, 0), Next::PollOnSchedule);
        assert_eq!(
            after(&[FetchError::Unavailable(text())], 1, 1),
            Next::PollAfter(seconds(1))
        );
        assert_eq!(
            after(&[FetchError::Unavailable(text())], 1, 4),
            Next::PollAfter(seconds(8))
        );
        assert_eq!(
            after(&[FetchError::Unusable(text())], 1, 99),
            Next::PollAfter(seconds(300))
        );
        assert_eq!(
            after(std::slice::from_ref(&limited), 1, 0),
            Next::Throttled(seconds(90))
        );
        assert_eq!(
            after(&[FetchError::Unauthorized(text())], 3, 1),
            Next::Park(seconds(60))
        );
        assert_eq!(
            after(&[FetchError::Unauthorized(text())], 3, 9),
            Next::Park(seconds(900))
        );
        assert_eq!(
            after(&[FetchError::Forbidden(text())], 3, 1),
            Next::PollOnSchedule
        );
        assert_eq!(
            after(&[FetchError::Rejected(text())], 1, 1),
            Next::Park(seconds(60))
        );
        assert_eq!(
            after(&[FetchError::Unavailable(text()), limited], 2, 1),
            Next::Throttled(seconds(90))
        );
    }

    #[test]
    fn being_throttled_is_no_failure() {
        let mut report = CycleReport::default();
        let retry_after = Duration::from_secs(5);
        report
            .failures
            .push(("s".into(), FetchError::RateLimited { retry_after }));
        assert!(!is_failure(&report));
        assert_eq!(outcome(&report, 1), PollOutcome::Throttled);
        report
            .failures
            .push(("t".into(), FetchError::Unusable("cut".to_owned())));
        assert!(is_failure(&report));
        assert_eq!(outcome(&report, 2), PollOutcome::Failure);
        assert_eq!(outcome(&report, 3), PollOutcome::Partial);
        assert_eq!(outcome(&CycleReport::default(), 1), PollOutcome::Success);
    }
}
