//! How many requests a key may make per second: a leaky bucket each, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Keys that are remembered; beyond it those that owe nothing are forgotten.
const MOST_KEYS: usize = 65_536;

/// A second's worth of requests may come at once.
const BURST: Duration = Duration::from_secs(1);

/// One limit for many keys.
pub(super) struct RateLimits<K> {
    /// Time that one request takes up.
    cost: Duration,
    /// Until when each key's requests are paid for.
    paid: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> RateLimits<K> {
    /// `per_second` requests; 0 sets no limit.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            cost: BURST.checked_div(per_second).unwrap_or_default(),
            paid: Mutex::default(),
        }
    }

    /// Whether `key` may make another request now; else how long it should wait.
    pub(super) fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        if self.cost.is_zero() {
            return Ok(());
        }
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if paid.len() >= MOST_KEYS && !paid.contains_key(key) {
            paid.retain(|_, until| *until > now);
            if paid.len() >= MOST_KEYS {
                return Err(BURST);
            }
        }
        let until = paid.entry(key.clone()).or_insert(now);
        let next = (*until).max(now) + self.cost;
        match next.checked_duration_since(now + BURST) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *until = next;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_passes_and_then_one_at_a_time() {
        let limits = RateLimits::new(10);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(limits.take(&"a", start), Ok(()));
        }
        assert!(limits.take(&"a", start).is_err());
        assert_eq!(limits.take(&"b", start), Ok(()));
        let later = start + Duration::from_millis(100);
        assert_eq!(limits.take(&"a", later), Ok(()));
        assert!(limits.take(&"a", later).is_err());
        let unlimited = RateLimits::new(0);
        assert!((0..1000).all(|_| unlimited.take(&"a", start).is_ok()));
    }
}
