//! Call budgets that a manifest declares (`api_budget`): so many calls in each period, or in any
//! stretch of time, for the requests that match.

mod limit;
mod matcher;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::Instant;

use self::limit::State;
pub use self::limit::{Limit, Rate};
pub use self::matcher::Matcher;
use super::wait::{instant_or_delta, number, text};
use super::{Request, Response};

/// The budgets of a connector. The first policy that a request matches counts.
#[derive(Debug)]
pub struct Budget {
    /// In the order of the manifest.
    pub policies: Vec<Policy>,
    /// Header with the calls that are left.
    pub remaining_header: String,
    /// Header with the instant at which the count starts anew.
    pub reset_header: String,
    /// Statuses that say that no call is left.
    pub hit_statuses: Vec<u16>,
}

/// How many calls the requests that match may make.
#[derive(Debug)]
pub struct Policy {
    matchers: Vec<Matcher>,
    limit: Limit,
    state: Mutex<State>,
}

impl Budget {
    /// How long `request` has to wait. It takes its turn, callers are served in order, unless it
    /// would have to wait longer than `most`.
    ///
    /// `jitter` is added to a wait here rather than by the caller: what is written down is when the
    /// call is really made, or the next ones would follow too soon. `among`: processes that keep to
    /// the budget together, each at its part of the calls.
    pub(super) fn take(
        &self,
        request: &Request,
        most: Duration,
        now: Instant,
        jitter: Duration,
        among: u32,
    ) -> Duration {
        let Some((policy, weight)) = self.policy(request) else {
            return Duration::ZERO;
        };
        policy.take(weight, most, now, jitter, among) - now
    }

    /// Corrects the count by what an answer says.
    pub(super) fn learn(
        &self,
        request: &Request,
        response: &Response,
        now: Timestamp,
        at: Instant,
    ) {
        let Some((policy, _)) = self.policy(request) else {
            return;
        };
        let headers = &response.headers;
        let none_left = text(headers, &self.remaining_header).and_then(number) == Some(0.0);
        let is_hit = self.hit_statuses.contains(&response.status.as_u16());
        if !none_left && !is_hit {
            return;
        }
        if let Some(wait) = reset(headers, &self.reset_header, now) {
            let mut state = policy.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.blocked_until = state.blocked_until.max(Some(at + wait));
        }
    }

    fn policy(&self, request: &Request) -> Option<(&Policy, u64)> {
        self.policies.iter().find_map(|policy| {
            if policy.matchers.is_empty() {
                return Some((policy, 1));
            }
            let matcher = policy
                .matchers
                .iter()
                .find(|matcher| matcher.fits(request))?;
            Some((policy, matcher.weight.unwrap_or(1)))
        })
    }
}

fn reset(headers: &HeaderMap, name: &str, now: Timestamp) -> Option<Duration> {
    let wait = instant_or_delta(text(headers, name)?, now)?;
    Some(wait.min(Duration::from_hours(1)))
}

impl Policy {
    /// A policy of requests that one of `matchers` fits; without any, of all.
    pub fn new(matchers: Vec<Matcher>, limit: Limit) -> Self {
        Self {
            matchers,
            limit,
            state: Mutex::default(),
        }
    }

    /// When a call that counts as `weight` may be made, and notes that it is made then if that is
    /// within `most`.
    fn take(
        &self,
        weight: u64,
        most: Duration,
        now: Instant,
        jitter: Duration,
        among: u32,
    ) -> Instant {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limit.among(among);
        limit.take(&mut state, weight, most, now, jitter)
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn rate(calls: u64, seconds: u64) -> Rate {
        Rate {
            calls,
            interval: Duration::from_secs(seconds),
        }
    }

    fn request(method: Method, url: &str) -> Request {
        Request {
            method,
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    fn budget(policies: Vec<Policy>) -> Budget {
        Budget {
            policies,
            remaining_header: "x-left".to_owned(),
            reset_header: "x-reset".to_owned(),
            hit_statuses: vec![429],
        }
    }

    #[test]
    fn a_fixed_window_lets_so_many_through_and_then_waits_for_the_next() {
        let policy = Policy::new(Vec::new(), Limit::Fixed(rate(2, 10)));
        let now = Instant::now();
        let waits: Vec<u64> = (0..5)
            .map(|_| (policy.take(1, LONG, now, Duration::ZERO, 1) - now).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 10, 10, 20]);
        let later = now + Duration::from_mins(5);
        assert_eq!(policy.take(1, LONG, later, Duration::ZERO, 1), later);
        assert_eq!(
            policy.take(99, LONG, later, Duration::ZERO, 1),
            later + Duration::from_secs(10),
            "more than ever fits"
        );
    }

    #[test]
    fn several_processes_divide_the_calls() {
        let now = Instant::now();
        for limit in [Limit::Moving(vec![rate(7, 60)]), Limit::Fixed(rate(7, 60))] {
            let at_once = |among| {
                let policy = Policy::new(Vec::new(), limit.clone());
                let take = || policy.take(1, LONG, now, Duration::ZERO, among);
                (0..20).take_while(|_| take() == now).count()
            };
            assert_eq!([1, 2, 3, 9].map(at_once), [7, 3, 2, 1]);
        }
    }

    #[test]
    fn who_does_not_want_to_wait_takes_no_turn() {
        for limit in [Limit::Fixed(rate(1, 10)), Limit::Moving(vec![rate(1, 10)])] {
            let policy = Policy::new(Vec::new(), limit);
            let now = Instant::now();
            policy.take(1, LONG, now, Duration::ZERO, 1);
            for _ in 0..3 {
                assert_eq!(
                    (policy.take(1, Duration::ZERO, now, Duration::ZERO, 1) - now).as_secs(),
                    10
                );
            }
            assert_eq!(
                (policy.take(1, LONG, now, Duration::ZERO, 1) - now).as_secs(),
                10
            );
            assert_eq!(
                (policy.take(1, LONG, now, Duration::ZERO, 1) - now).as_secs(),
                20
            );
        }
    }

    #[test]
    fn the_first_policy_that_matches_counts() {
        let matcher = Matcher {
            method: Some("POST".to_owned()),
            base: Some("https://a.test".to_owned()),
            path: Some(Regex::new("^/search").unwrap()),
            params: vec![("deep".to_owned(), "1".to_owned())],
            weight: Some(2),
            ..Matcher::default()
        };
        let budget = budget(vec![
            Policy::new(vec![matcher], Limit::Moving(vec![rate(2, 60)])),
            Policy::new(Vec::new(), Limit::Unlimited),
        ]);
        let now = Instant::now();
        let wait = |method, url: &str| {
            budget
                .take(&request(method, url), LONG, now, Duration::ZERO, 1)
                .as_secs()
        };
        let url = "https://a.test/search/x?deep=1";
        assert_eq!(wait(Method::POST, url), 0);
        assert_eq!(wait(Method::POST, url), 60);
        for (method, url) in [
            (Method::GET, url),
            (Method::POST, "https://b.test/search/x?deep=1"),
            (Method::POST, "https://a.test/other?deep=1"),
            (Method::POST, "https://a.test/search/x?deep=2"),
        ] {
            assert_eq!(wait(method, url), 0, "{url}");
        }
    }

    #[test]
    fn what_the_provider_says_counts() {
        let budget = budget(vec![Policy::new(Vec::new(), Limit::Fixed(rate(100, 60)))]);
        let now = Instant::now();
        let request = request(Method::GET, "https://a.test/x");
        let answer = |status: u16, left: &str| Response {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: [("x-left", left), ("x-reset", "30")]
                .into_iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect(),
            body: bytes::Bytes::new(),
            url: request.url.clone(),
        };
        budget.learn(&request, &answer(200, "5"), Timestamp::UNIX_EPOCH, now);
        assert_eq!(
            budget.take(&request, LONG, now, Duration::ZERO, 1),
            Duration::ZERO
        );
        budget.learn(&request, &answer(200, "0"), Timestamp::UNIX_EPOCH, now);
        assert_eq!(
            budget.take(&request, LONG, now, Duration::ZERO, 1),
            Duration::from_secs(30)
        );
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_ever_holds_more_than_its_rate(
            pauses in prop::collection::vec(0u64..4000, 1..80),
            weights in prop::collection::vec(1u64..4, 80),
            calls in 3u64..12,
        ) {
            let rates = vec![rate(calls, 5), rate(calls * 2, 20)];
            let policy = Policy::new(Vec::new(), Limit::Moving(rates.clone()));
            let mut now = Instant::now();
            let mut made: Vec<(Instant, u64)> = Vec::new();
            for (pause, weight) in pauses.iter().zip(&weights) {
                now += Duration::from_millis(*pause);
                let at = policy.take(*weight, LONG, now, Duration::ZERO, 1);
                prop_assert!(at >= now);
                prop_assert!(made.last().is_none_or(|(last, _)| *last <= at));
                made.push((at, *weight));
            }
            for rate in &rates {
                for (from, _) in &made {
                    let within: u64 = made
                        .iter()
                        .filter(|(at, _)| at >= from && *at < *from + rate.interval)
                        .map(|(_, weight)| weight)
                        .sum();
                    prop_assert!(within <= rate.calls, "{within} in {:?}", rate.interval);
                }
            }
        }
    }
}
