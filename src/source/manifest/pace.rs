//! A provider's rate limit as the manifest states it: requests wait for their turn.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A bucket that holds one second's worth of requests.
#[derive(Debug)]
pub(super) struct Pace {
    /// Time between two requests in the long run; zero for no limit.
    interval: Duration,
    burst: Duration,
    /// When the bucket would be empty; each request takes one interval.
    ready: Mutex<Option<Instant>>,
}

impl Pace {
    /// `None` is no limit.
    pub(super) fn new(requests_per_second: Option<f64>) -> Self {
        let interval = requests_per_second
            .and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
            .unwrap_or_default();
        Self {
            interval,
            burst: Duration::from_secs(1).saturating_sub(interval),
            ready: Mutex::new(None),
        }
    }

    /// Returns when the next request may be sent.
    pub(super) async fn turn(&self) {
        if !self.interval.is_zero() {
            sleep_until(self.reserve(Instant::now())).await;
        }
    }

    fn reserve(&self, now: Instant) -> Instant {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = ready.unwrap_or(now).max(now);
        *ready = Some(turn + self.interval);
        now.max(turn.checked_sub(self.burst).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_the_rest_waits() {
        let pace = Pace::new(Some(10.0));
        let began = Instant::now();
        for _ in 0..10 {
            pace.turn().await;
        }
        assert!(began.elapsed() < Duration::from_millis(10));
        for _ in 0..10 {
            pace.turn().await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(990), "{took:?}");
        assert!(took <= Duration::from_millis(1100), "{took:?}");
        Pace::new(None).turn().await;
    }
}
