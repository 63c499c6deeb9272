//! The worker's own restraint: a token bucket before each request, as the provider's manifest
//! says (`rate_limits`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket of one second's tokens, or of a burst, full at first.
#[derive(Debug)]
pub(super) struct TokenBucket {
    per_second: f64,
    capacity: f64,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Below zero: so many requests wait for their turn.
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A bucket that gives `per_second` tokens, if that is a rate at all, and holds `burst` of
    /// them or a second's worth.
    pub(super) fn new(per_second: f64, burst: Option<f64>, now: Instant) -> Option<Self> {
        // At least the one token that a request costs.
        let capacity = burst.unwrap_or(per_second).max(1.0);
        (per_second.is_finite() && per_second > 0.0 && capacity.is_finite()).then(|| Self {
            per_second,
            capacity,
            state: Mutex::new(State {
                tokens: capacity,
                at: now,
            }),
        })
    }

    /// Takes one token and tells how long to wait for it. Callers are served in order.
    pub(super) fn take(&self, now: Instant) -> Duration {
        // The state is two numbers written together; a panic cannot leave it half-written.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(state.at).as_secs_f64() * self.per_second;
        state.tokens = (state.tokens + gained).min(self.capacity) - 1.0;
        state.at = state.at.max(now);
        let missing = (-state.tokens).max(0.0);
        Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_second_long_and_then_the_rate_holds() {
        let start = Instant::now();
        let bucket = TokenBucket::new(10.0, None, start).unwrap();
        let waits: Vec<_> = (0..13).map(|_| bucket.take(start).as_millis()).collect();
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], [100, 200, 300]);
        let later = start + Duration::from_mins(1);
        assert_eq!(bucket.take(later), Duration::ZERO, "it fills up again");
        assert!(
            (0..12).any(|_| bucket.take(later) > Duration::ZERO),
            "but not beyond"
        );
    }

    #[test]
    fn a_burst_may_be_smaller_or_larger_than_a_second() {
        let start = Instant::now();
        let at_once = |burst| {
            let bucket = TokenBucket::new(10.0, Some(burst), start).unwrap();
            (0..100)
                .take_while(|_| bucket.take(start).is_zero())
                .count()
        };
        assert_eq!((at_once(1.0), at_once(25.0)), (1, 25));
    }

    #[test]
    fn a_rate_below_one_spaces_requests_out() {
        let start = Instant::now();
        let bucket = TokenBucket::new(0.5, None, start).unwrap();
        assert_eq!(bucket.take(start), Duration::ZERO);
        assert_eq!(bucket.take(start), Duration::from_secs(2));
        assert_eq!(bucket.take(start), Duration::from_secs(4));
    }

    #[test]
    fn what_is_no_rate_limits_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(TokenBucket::new(rate, None, Instant::now()).is_none());
        }
    }
}
