//! The worker's own restraint: whose turn it is by the rate that the provider's manifest says
//! (`rate_limits`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives turns at a rate: a bucket of one second's tokens, or of a burst, full at first.
///
/// Kept as one instant, the one at which the bucket would be full again, so that connectors whose
/// manifests say different rates can share it: each takes its share of the time.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Option<Instant>>);

impl Turns {
    /// Takes a turn at `per_second`, if that is a rate at all, and tells how long to wait for it.
    /// Callers are served in order. `burst`: how many may go at once; a second's worth.
    pub(super) fn take(&self, per_second: f64, burst: Option<f64>, now: Instant) -> Duration {
        // At least the one turn that a request costs.
        let burst = burst.unwrap_or(per_second).max(1.0);
        let lasts = |turns: f64| Duration::try_from_secs_f64(turns / per_second).ok();
        let (Some(one), Some(ahead)) = (lasts(1.0), lasts(burst - 1.0)) else {
            return Duration::ZERO;
        };
        // One value, written at once; a panic cannot leave it half-written.
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = full_at.unwrap_or(now).max(now);
        *full_at = taken.checked_add(one).or(*full_at);
        (taken - now).saturating_sub(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_second_long_and_then_the_rate_holds() {
        let start = Instant::now();
        let turns = Turns::default();
        let waits: Vec<_> = (0..13)
            .map(|_| turns.take(10.0, None, start).as_millis())
            .collect();
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], [100, 200, 300]);
        let later = start + Duration::from_mins(1);
        assert_eq!(
            turns.take(10.0, None, later),
            Duration::ZERO,
            "it fills up again"
        );
        assert!(
            (0..12).any(|_| turns.take(10.0, None, later) > Duration::ZERO),
            "but not beyond"
        );
    }

    #[test]
    fn a_burst_may_be_smaller_or_larger_than_a_second() {
        let start = Instant::now();
        let at_once = |burst| {
            let turns = Turns::default();
            (0..100)
                .take_while(|_| turns.take(10.0, Some(burst), start).is_zero())
                .count()
        };
        assert_eq!((at_once(1.0), at_once(25.0)), (1, 25));
    }

    #[test]
    fn a_rate_below_one_spaces_requests_out() {
        let start = Instant::now();
        let turns = Turns::default();
        let waits = [0, 1, 2].map(|_| turns.take(0.5, None, start).as_secs());
        assert_eq!(waits, [0, 2, 4]);
    }

    #[test]
    fn who_shares_a_bucket_takes_a_share_of_its_time() {
        let start = Instant::now();
        let turns = Turns::default();
        let slow = turns.take(1.0, Some(1.0), start);
        let fast = turns.take(10.0, Some(1.0), start);
        assert_eq!((slow.as_millis(), fast.as_millis()), (0, 1000));
        assert_eq!(turns.take(1.0, Some(1.0), start).as_millis(), 1100);
    }

    #[test]
    fn what_is_no_rate_limits_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
            let (turns, now) = (Turns::default(), Instant::now());
            for _ in 0..50 {
                assert_eq!(turns.take(rate, None, now), Duration::ZERO, "{rate}");
            }
        }
    }
}
