//! When the next request may go: the manifest's own limits, and what the provider says is left.
//!
//! One pace per connector, shared by all its streams. While more than half of a window is left
//! requests go as they come; after that what is left is spread over the rest of the window, and
//! the last part is kept for `check`, so that a connector that is throttled can still be looked at.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;

use super::quota::{Quota, quotas};
use super::rate::TokenBucket;

/// `metadata.connector.rate_limits`
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RateLimits {
    /// Requests per second at most; `None`: as many as there are.
    pub requests_per_second: Option<f64>,
    /// Requests that may follow each other at once after a pause. Default: a second's worth.
    pub burst: Option<f64>,
    /// Requests on their way at once.
    pub concurrent_requests: Option<usize>,
}

/// Share of a window that must be left for requests to go as they come.
const PLENTY: f64 = 0.5;
/// Share of a window that is kept for `check`, and the most that is kept.
const RESERVE: (f64, f64) = (0.02, 20.0);
/// Endpoints and limits that are remembered. More are forgotten all at once: they are learned
/// again by the next answer.
const MAX_LEARNED: usize = 256;

/// The pace of one connector's requests.
#[derive(Debug)]
pub(super) struct Pace {
    bucket: Option<TokenBucket>,
    concurrent: Option<Semaphore>,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    windows: HashMap<String, Window>,
    /// Which windows an endpoint counts in.
    endpoints: HashMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
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

impl Pace {
    pub(super) fn new(limits: RateLimits, now: Instant) -> Self {
        Self {
            bucket: limits
                .requests_per_second
                .and_then(|rate| TokenBucket::new(rate, limits.burst, now)),
            concurrent: limits
                .concurrent_requests
                .map(|most| Semaphore::new(most.max(1))),
            learned: Mutex::default(),
        }
    }

    /// Waits for a place among the requests on their way.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        match &self.concurrent {
            // Nobody closes it.
            Some(concurrent) => concurrent.acquire().await.ok(),
            None => None,
        }
    }

    /// How long the next request has to wait by the manifest's own limit. It takes its turn.
    pub(super) fn turn(&self, now: Instant) -> Duration {
        let bucket = self.bucket.as_ref();
        bucket.map_or(Duration::ZERO, |bucket| bucket.take(now))
    }

    /// How long the next request to `url` has to wait by what the provider said. It takes its
    /// turn, unless it would have to wait longer than `most`. An urgent one may use up the reserve.
    pub(super) fn room(&self, url: &Url, urgent: bool, most: Duration, now: Instant) -> Duration {
        // Numbers that are written together; a panic cannot leave them half-written.
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let Learned { windows, endpoints } = &mut *learned;
        let names = endpoints.get(&endpoint(url)).map_or(&[][..], Vec::as_slice);
        let mut wait = Duration::ZERO;
        for name in names {
            if let Some(window) = windows.get_mut(name) {
                wait = wait.max(window.take(urgent, most, now));
            }
        }
        wait
    }

    /// Learns from the headers of an answer of `url`. A window ends after `cap` at the latest, as
    /// every wait does that is cut for tests: it would else outlast the wait for its end.
    pub(super) fn learn(
        &self,
        url: &Url,
        headers: &HeaderMap,
        now: Timestamp,
        at: Instant,
        cap: Option<Duration>,
    ) {
        let mut quotas = quotas(headers, now);
        if quotas.is_empty() {
            return;
        }
        for quota in &mut quotas {
            quota.reset = cap.map_or(quota.reset, |cap| quota.reset.min(cap));
        }
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.windows.len() > MAX_LEARNED || learned.endpoints.len() > MAX_LEARNED {
            *learned = Learned::default();
        }
        let host = url.host_str().unwrap_or_default();
        let mut names = Vec::new();
        for quota in quotas {
            let name = format!("{host} {}", quota.name);
            let before = learned.windows.get(&name).copied();
            learned
                .windows
                .insert(name.clone(), Window::of(&quota, before, at));
            names.push(name);
        }
        learned.endpoints.insert(endpoint(url), names);
    }
}

impl Window {
    fn of(quota: &Quota, before: Option<Self>, at: Instant) -> Self {
        let before = before.filter(|before| before.until > at);
        let spent = before.map(|before| before.remaining + before.cost - quota.remaining);
        Self {
            limit: quota.limit.unwrap_or_else(|| {
                before.map_or(quota.remaining, |before| before.limit.max(quota.remaining))
            }),
            remaining: quota.remaining,
            until: at + quota.reset,
            cost: match (before, spent) {
                // Limits in points: what the last requests took off, smoothed.
                (Some(before), Some(spent)) if spent > 0.0 => {
                    (before.cost * 0.7 + spent * 0.3).max(1.0)
                }
                (Some(before), _) => before.cost,
                (None, _) => 1.0,
            },
            next: before.map_or(at, |before| before.next),
        }
    }

    fn take(&mut self, urgent: bool, most: Duration, now: Instant) -> Duration {
        if now >= self.until {
            return Duration::ZERO;
        }
        let left = self.until - now;
        let reserve = if urgent {
            0.0
        } else {
            (self.limit * RESERVE.0)
                .clamp(1.0, RESERVE.1)
                .min(self.limit / 2.0)
        };
        let usable = self.remaining - reserve;
        if usable < self.cost {
            return left;
        }
        if urgent || self.remaining - self.cost > self.limit * PLENTY {
            self.remaining -= self.cost;
            return Duration::ZERO;
        }
        let turn = self.next.max(now);
        if turn - now > most {
            return turn - now;
        }
        self.remaining -= self.cost;
        self.next = turn + left.mul_f64((self.cost / usable).clamp(0.0, 1.0));
        turn - now
    }
}

/// What limits are learned by: host and the beginning of the path. Providers limit by endpoint,
/// and identifiers stand at the end.
fn endpoint(url: &Url) -> String {
    let path = url.path_segments().into_iter().flatten().take(3);
    let mut name = url.host_str().unwrap_or_default().to_owned();
    for segment in path {
        name.push('/');
        name.push_str(segment);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(2);

    fn headers(limit: u32, left: u32, reset: u32) -> HeaderMap {
        [
            ("x-ratelimit-limit", limit),
            ("x-ratelimit-remaining", left),
            ("x-ratelimit-reset", reset),
        ]
        .into_iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                value.to_string().parse().unwrap(),
            )
        })
        .collect()
    }

    fn url() -> Url {
        "https://api.test/v1/things/1".parse().unwrap()
    }

    fn pace(limit: u32, left: u32, reset: u32, at: Instant) -> Pace {
        let pace = Pace::new(RateLimits::default(), at);
        pace.learn(
            &url(),
            &headers(limit, left, reset),
            Timestamp::UNIX_EPOCH,
            at,
            None,
        );
        pace
    }

    #[test]
    fn while_there_is_plenty_requests_go_as_they_come() {
        let now = Instant::now();
        let pace = pace(100, 99, 60, now);
        for _ in 0..40 {
            assert_eq!(pace.room(&url(), false, LONG, now), Duration::ZERO);
        }
    }

    #[test]
    fn what_is_left_is_spread_over_the_window() {
        let mut now = Instant::now();
        let end = now + Duration::from_mins(1);
        let pace = pace(100, 20, 60, now);
        let mut sent = 0;
        while sent < 200 {
            let wait = pace.room(&url(), false, LONG, now);
            if now + wait >= end {
                break;
            }
            now += wait;
            sent += 1;
        }
        assert!((10..=19).contains(&sent), "{sent} requests in the window");
    }

    #[test]
    fn the_reserve_is_for_checks() {
        let now = Instant::now();
        let pace = pace(100, 2, 60, now);
        assert_eq!(pace.room(&url(), false, LONG, now), Duration::from_mins(1));
        assert_eq!(pace.room(&url(), true, LONG, now), Duration::ZERO);
        let later = now + Duration::from_secs(61);
        assert_eq!(
            pace.room(&url(), false, LONG, later),
            Duration::ZERO,
            "a new window"
        );
    }

    #[test]
    fn limits_in_points_are_learned_by_what_requests_cost() {
        let now = Instant::now();
        let pace = pace(1000, 900, 60, now);
        for left in [800, 700, 600, 500, 400, 300] {
            pace.room(&url(), false, LONG, now);
            pace.learn(
                &url(),
                &headers(1000, left, 60),
                Timestamp::UNIX_EPOCH,
                now,
                None,
            );
        }
        let waits: Vec<_> = (0..4)
            .map(|_| pace.room(&url(), false, LONG, now))
            .collect();
        assert!(
            waits[3] >= Duration::from_secs(59),
            "three such requests are left: {waits:?}"
        );
    }

    #[test]
    fn an_endpoint_that_says_nothing_is_not_slowed_down() {
        let now = Instant::now();
        let pace = pace(100, 1, 60, now);
        let other = "https://api.test/v1/others/1".parse().unwrap();
        assert_eq!(pace.room(&other, false, LONG, now), Duration::ZERO);
    }
}
