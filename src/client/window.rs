//! One limit that a provider tells of: what is left of its window, and when the next request may go.

use std::time::Duration;

use tokio::time::Instant;

use super::quota::Quota;

/// Share of a window that must be left for requests to go as they come.
const PLENTY: f64 = 0.5;
/// Share of a window that is kept for `check`, and the most that is kept.
const RESERVE: (f64, f64) = (0.02, 20.0);

/// A window of a limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// What a full window has, or the most that was ever seen.
    limit: f64,
    /// What is left, requests on their way counted.
    remaining: f64,
    until: Instant,
    /// What a request costs on average.
    cost: f64,
    /// Earliest next request.
    next: Instant,
}

impl Window {
    /// The window as an answer tells it; `before`: what was known of it.
    pub(super) fn of(quota: &Quota, before: Option<Self>, at: Instant) -> Self {
        let before = before.filter(|before| before.until > at);
        let spent = before.map(|before| before.remaining + before.cost - quota.remaining);
        let spent = quota.cost.or(spent).filter(|spent| *spent > 0.0);
        Self {
            limit: quota.limit.unwrap_or_else(|| {
                before.map_or(quota.remaining, |before| before.limit.max(quota.remaining))
            }),
            remaining: quota.remaining,
            until: match before {
                // Of a window that goes on the beginning is known, and with it the end.
                Some(before)
                    if quota.is_length && quota.remaining <= before.remaining + before.cost =>
                {
                    before.until.min(at + quota.reset)
                }
                _ => at + quota.reset,
            },
            cost: match (before, spent) {
                // Limits in points: what the last requests took off, smoothed.
                (Some(before), Some(spent)) => (before.cost * 0.7 + spent * 0.3).max(1.0),
                (Some(before), None) => before.cost,
                (None, _) => quota.cost.unwrap_or(1.0).max(1.0),
            },
            next: before.map_or(at, |before| before.next),
        }
    }

    /// Whether it has not ended yet.
    pub(super) fn lasts(&self, now: Instant) -> bool {
        now < self.until
    }

    /// What a request would have cost that, by this answer, cost nothing; zero if it did cost.
    pub(super) fn saved(&self, quota: &Quota, at: Instant) -> f64 {
        let is_same = self.until > at;
        if is_same && quota.remaining >= self.remaining + self.cost {
            self.cost
        } else {
            0.0
        }
    }

    /// How long the next request has to wait. An urgent one may use up the reserve.
    pub(super) fn wait(&self, urgent: bool, now: Instant) -> Duration {
        if now >= self.until {
            return Duration::ZERO;
        }
        if self.usable(urgent) < self.cost {
            return self.until - now;
        }
        if urgent || self.remaining - self.cost > self.limit * PLENTY {
            return Duration::ZERO;
        }
        self.next.saturating_duration_since(now)
    }

    /// A request goes at this instant, which is not before [`wait`](Self::wait) allows it. What
    /// comes after the end of the window counts in the next one.
    pub(super) fn charge(&mut self, urgent: bool, at: Instant) {
        if at >= self.until {
            return;
        }
        let (plenty, usable) = (self.limit * PLENTY, self.usable(urgent));
        if !urgent && self.remaining - self.cost <= plenty {
            let share = (self.cost / usable).clamp(0.0, 1.0);
            self.next = at + (self.until - at).mul_f64(share);
        }
        self.remaining -= self.cost;
    }

    /// What a request may use of what is left.
    fn usable(&self, urgent: bool) -> f64 {
        let reserve = (self.limit * RESERVE.0)
            .clamp(1.0, RESERVE.1)
            .min(self.limit / 2.0);
        self.remaining - if urgent { 0.0 } else { reserve }
    }
}
