//! Attempt number → delay: doubling, bounded, with positive jitter.

use std::time::Duration;

/// Share of a delay added at random, so that workers that failed together do not return together.
const JITTER: f64 = 0.2;

/// Added at most.
const MOST_JITTER: Duration = Duration::from_secs(10);

/// Delays that double from `first` up to `most`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at `first`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            attempt: 0,
        }
    }

    /// The next delay, jitter included.
    pub fn next_delay(&mut self) -> Duration {
        let delay = doubled(self.first, self.most, self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        with_jitter(delay)
    }

    /// Starts again at `first`.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// `first` × 2^`attempt`, at most `most`.
pub(super) fn doubled(first: Duration, most: Duration, attempt: u32) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX))
        .min(most)
}

/// `delay` and up to a fifth more, never less; an hour needs no minutes of jitter.
pub(super) fn with_jitter(delay: Duration) -> Duration {
    let most = delay.mul_f64(JITTER).min(MOST_JITTER);
    delay + most.mul_f64(1.0 - rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound() {
        let second = Duration::from_secs(1);
        let delays: Vec<_> = (0..5)
            .map(|n| doubled(second, second * 6, n).as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 6, 6]);
        assert_eq!(doubled(second, second * 6, u32::MAX), second * 6);
    }

    #[test]
    fn jitter_only_adds() {
        for _ in 0..100 {
            let delay = with_jitter(Duration::from_secs(10)).as_secs_f64();
            assert!((10.0..=12.0).contains(&delay));
            let hour = with_jitter(Duration::from_hours(1)).as_secs_f64();
            assert!((3600.0..=3610.0).contains(&hour));
        }
    }
}
