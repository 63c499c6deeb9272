//! A rate as a bucket of turns: one second's, or a burst, full at first.

use std::time::Duration;

use tokio::time::Instant;

/// So many requests in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Speed {
    /// Time that one takes.
    pub(super) turn: Duration,
    /// Time that requests may be ahead of the rate: the burst, less the one that is asked for.
    pub(super) ahead: Duration,
}

impl Speed {
    /// `None` for what is no rate. `burst`: how many may go at once; a second's worth.
    pub(super) fn of(per_second: Option<f64>, burst: Option<f64>) -> Option<Self> {
        let per_second = per_second?;
        // At least the one turn that a request costs.
        let burst = burst.unwrap_or(per_second).max(1.0);
        let lasts = |turns: f64| Duration::try_from_secs_f64(turns / per_second).ok();
        Some(Self {
            turn: lasts(1.0)?,
            ahead: lasts(burst - 1.0)?,
        })
    }

    /// The share of one of so many processes.
    pub(super) fn among(self, processes: u32) -> Self {
        Self {
            turn: self.turn.saturating_mul(processes),
            ahead: self
                .ahead
                .saturating_sub(self.turn.saturating_mul(processes.saturating_sub(1))),
        }
    }
}

/// Gives turns, in the order in which they are asked for.
///
/// Kept as one instant, the one at which the bucket would be full again, so that connectors whose
/// manifests say different rates can share it: each takes its share of the time.
#[derive(Debug, Default)]
pub(super) struct Turns(Option<Instant>);

impl Turns {
    /// How long the next turn has to wait.
    pub(super) fn wait(&self, speed: Speed, now: Instant) -> Duration {
        self.backlog(now).saturating_sub(speed.ahead)
    }

    /// Takes a turn, and tells how long to wait for it.
    pub(super) fn take(&mut self, speed: Speed, now: Instant) -> Duration {
        let wait = self.wait(speed, now);
        let full_at = (now + self.backlog(now)).checked_add(speed.turn);
        self.0 = full_at.or(self.0);
        wait
    }

    /// Time that the turns taken until now take yet.
    pub(super) fn backlog(&self, now: Instant) -> Duration {
        let full_at = self.0.unwrap_or(now);
        full_at.saturating_duration_since(now)
    }

    /// Somebody else knows of turns that take this long yet.
    pub(super) fn raise(&mut self, backlog: Duration, now: Instant) {
        self.0 = self.0.max(now.checked_add(backlog));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(per_second: f64, burst: Option<f64>) -> Speed {
        Speed::of(Some(per_second), burst).unwrap()
    }

    #[test]
    fn a_burst_is_a_second_long_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut turns = Turns::default();
        let waits: Vec<_> = (0..13)
            .map(|_| turns.take(speed(10.0, None), start).as_millis())
            .collect();
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], [100, 200, 300]);
        let later = start + Duration::from_mins(1);
        assert_eq!(
            turns.take(speed(10.0, None), later),
            Duration::ZERO,
            "it fills up again"
        );
        assert!(
            (0..12).any(|_| turns.take(speed(10.0, None), later) > Duration::ZERO),
            "but not beyond"
        );
    }

    #[test]
    fn a_burst_may_be_smaller_or_larger_than_a_second() {
        let start = Instant::now();
        let at_once = |burst| {
            let mut turns = Turns::default();
            (0..100)
                .take_while(|_| turns.take(speed(10.0, Some(burst)), start).is_zero())
                .count()
        };
        assert_eq!((at_once(1.0), at_once(25.0)), (1, 25));
    }

    #[test]
    fn a_rate_below_one_spaces_requests_out() {
        let start = Instant::now();
        let mut turns = Turns::default();
        let waits = [0, 1, 2].map(|_| turns.take(speed(0.5, None), start).as_secs());
        assert_eq!(waits, [0, 2, 4]);
    }

    #[test]
    fn who_shares_a_bucket_takes_a_share_of_its_time() {
        let start = Instant::now();
        let mut turns = Turns::default();
        let slow = turns.take(speed(1.0, Some(1.0)), start);
        let fast = turns.take(speed(10.0, Some(1.0)), start);
        assert_eq!((slow.as_millis(), fast.as_millis()), (0, 1000));
        assert_eq!(turns.take(speed(1.0, Some(1.0)), start).as_millis(), 1100);
    }

    #[test]
    fn what_is_no_rate_limits_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
            let limits = Speed::of(Some(rate), None).map(|speed| speed.turn);
            assert!(limits.is_none_or(|turn| turn.is_zero()), "{rate}");
        }
    }
}
