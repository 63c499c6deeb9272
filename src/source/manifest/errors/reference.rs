//! Repetitions exactly as the reference makes them.
//!
//! It wraps a request in three loops, from the inside: waits that the manifest's strategies give,
//! rate limits, and everything else. Each has its own count of tries, and a turn of an outer loop
//! starts the inner ones anew.

use std::sync::PoisonError;
use std::time::Duration;

use super::Action;
use super::backoff::NoWait;
use super::verdict::{Verdicts, duration};
#[cfg(test)]
use super::{ErrorHandler, FailureType, Resolution};
use crate::client::{FetchError, Response, TransportError, TransportKind, Verdict};
use http::HeaderMap;
use tokio::time::Instant;

/// Repetitions where the manifest says nothing.
const MAX_RETRIES: i64 = 5;

/// What a loop takes together, a rate limit's excepted.
const MAX_TIME: Duration = Duration::from_mins(10);

/// What one request has cost so far.
#[derive(Debug, Default)]
pub(in crate::source::manifest) struct Tries {
    by_strategy: i64,
    limited: i64,
    failed: i64,
    began: Option<Instant>,
}

/// Whether a request that is refused may get another token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source::manifest) enum Renewal {
    /// Its token is nobody's to renew: it is repeated as it is.
    #[default]
    Impossible,
    Offered,
    /// It was refused for its token.
    Asked,
}

/// Which loop repeats the request.
#[derive(Clone, Copy)]
enum Loop {
    Strategy(f64),
    Limited,
    Failed,
}

impl Tries {
    /// Counts a try; the wait before the next one, or `None` after the last.
    fn next(&mut self, of: Loop, most: i64) -> Option<Duration> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let (count, wait) = match of {
            Loop::Strategy(seconds) => {
                self.by_strategy += 1;
                // A second on top, so that the provider's window has surely passed.
                (self.by_strategy, duration(seconds + 1.0)?)
            }
            Loop::Limited => {
                self.by_strategy = 0;
                self.limited += 1;
                (self.limited, doubled(self.limited))
            }
            Loop::Failed => {
                self.by_strategy = 0;
                self.limited = 0;
                self.failed += 1;
                (self.failed, doubled(self.failed))
            }
        };
        let in_time = matches!(of, Loop::Limited) || began.elapsed() < MAX_TIME;
        (count < most && in_time).then_some(wait)
    }
}

/// 1, 2, 4, … seconds.
fn doubled(count: i64) -> Duration {
    let power = u32::try_from(count - 1).unwrap_or(0).min(16);
    Duration::from_secs(1 << power)
}

#[cfg(test)]
impl ErrorHandler {
    /// What the reference makes of there being no answer, whatever the manifest's filters say: it
    /// always asks again.
    pub(in crate::source::manifest) fn resolve_failure(kind: TransportKind) -> Resolution {
        let failure_type = match kind {
            TransportKind::Refused | TransportKind::Dns => FailureType::Transient,
            _ => FailureType::System,
        };
        Resolution {
            action: Action::Retry,
            failure_type: Some(failure_type),
            message: None,
            matched: None,
        }
    }
}

impl Verdicts<'_> {
    /// The verdict in reference mode.
    pub(super) fn judge_as_the_reference(
        &self,
        answer: Result<&Response, &TransportError>,
        attempt: u32,
    ) -> Verdict {
        if attempt == 1 {
            *self.tries.lock().unwrap_or_else(PoisonError::into_inner) = Tries::default();
        }
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let (kind, error) = (error.kind, FetchError::from(error.clone()));
                // What is refused here stays refused; all else is repeated.
                return match kind {
                    TransportKind::Refused | TransportKind::TooLarge => Verdict::Fail(error),
                    _ => self.repeat(Loop::Failed, error, &HeaderMap::new(), attempt),
                };
            }
        };
        let resolution = match self.handler.resolve(response, &self.context()) {
            Ok(resolution) => resolution,
            Err(error) => {
                let words = format!("stream {}: error handler: {error}", self.stream);
                return Verdict::Fail(FetchError::Misconfigured(words));
            }
        };
        let of = match resolution.action {
            Action::Success | Action::Ignore => return Verdict::Accept,
            Action::Fail => return Verdict::Fail(self.failure(response, &resolution)),
            Action::Refresh if self.asks_for_token() => {
                let words = self.words(response, &resolution);
                return Verdict::Fail(FetchError::Unauthorized(words));
            }
            Action::Retry | Action::Refresh => Loop::Failed,
            Action::RateLimited => Loop::Limited,
        };
        let error = FetchError::Unavailable(self.words(response, &resolution));
        self.repeat(of, error, &response.headers, attempt)
    }

    /// Says whether the request may get another token.
    pub(in crate::source::manifest) fn set_renewal(&self, renewal: Renewal) {
        *self.renewal.lock().unwrap_or_else(PoisonError::into_inner) = renewal;
    }

    /// Whether the request was refused for its token, and may get another.
    pub(in crate::source::manifest) fn wants_token(&self) -> bool {
        *self.renewal.lock().unwrap_or_else(PoisonError::into_inner) == Renewal::Asked
    }

    /// Notes that the token is refused; `false` where no other can be had.
    fn asks_for_token(&self) -> bool {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if *renewal == Renewal::Impossible {
            return false;
        }
        *renewal = Renewal::Asked;
        true
    }

    /// Repeats the request after what the first strategy says that says anything, else in the
    /// loop `of`.
    fn repeat(&self, of: Loop, error: FetchError, headers: &HeaderMap, attempt: u32) -> Verdict {
        let is_limited = matches!(of, Loop::Limited);
        let now = self.clock.now();
        let context = self.context();
        for strategy in self.handler.all_strategies() {
            match strategy.seconds(headers, attempt, now, &context) {
                Ok(Some(seconds)) if seconds != 0.0 => {
                    return self.again(Loop::Strategy(seconds), is_limited, error);
                }
                Ok(_) => {}
                Err(NoWait::TooLong(_)) => return Verdict::Fail(error),
                Err(NoWait::Template(error)) => {
                    let words = format!("stream {}: backoff strategy: {error}", self.stream);
                    return Verdict::Fail(FetchError::Misconfigured(words));
                }
            }
        }
        self.again(of, is_limited, error)
    }

    fn again(&self, of: Loop, is_limited: bool, error: FetchError) -> Verdict {
        let retries = match self.handler.repetitions(&self.context()) {
            Ok(limit) => limit.unwrap_or(MAX_RETRIES),
            Err(error) => {
                let words = format!("stream {}: max_retries: {error}", self.stream);
                return Verdict::Fail(FetchError::Misconfigured(words));
            }
        };
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        match tries.next(of, retries.max(0) + 1) {
            // Told to whoever watches the sync.
            Some(wait) if is_limited => Verdict::Throttle { wait: Some(wait) },
            Some(wait) => Verdict::Retry {
                wait: Some(wait),
                error,
            },
            None => Verdict::Fail(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_counts_for_itself() {
        let mut tries = Tries::default();
        let mut wait = |of| tries.next(of, 3).map(|wait| wait.as_secs());
        assert_eq!(wait(Loop::Failed), Some(1));
        assert_eq!(wait(Loop::Limited), Some(1));
        assert_eq!(wait(Loop::Strategy(4.0)), Some(5));
        assert_eq!(wait(Loop::Limited), Some(2));
        assert_eq!(wait(Loop::Strategy(4.0)), Some(5));
        assert_eq!(wait(Loop::Failed), Some(2));
        assert_eq!(wait(Loop::Limited), Some(1));
        assert_eq!(wait(Loop::Failed), None);
    }
}
