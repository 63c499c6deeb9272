//! When the next request to one server with one credential may go by what the provider says: what
//! is left of its limits, and until when it asked to wait.
//!
//! While more than half of a window is left requests go as they come; after that what is left is
//! spread over the rest of the window, and the last part is kept for `check`, so that a connector
//! that is throttled can still be looked at.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::Response;
use super::declared::{RateLimits, Scope};
use super::places::{Place, Places};
use super::quota::{MAX_QUOTAS, MAX_WINDOW, quotas};
use super::window::Window;

/// Endpoints and limits that are remembered. More are forgotten all at once: they are learned
/// again by the next answer.
const MAX_LEARNED: usize = 256;

/// The pace of requests to one server with one credential.
#[derive(Debug, Default)]
pub(super) struct Pace {
    places: Places,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    windows: HashMap<String, Window>,
    /// Which windows an endpoint counts in.
    endpoints: HashMap<String, Vec<String>>,
    /// Until when the provider asked to wait, by what it is about.
    blocked: HashMap<String, Instant>,
}

impl Pace {
    /// Waits for a place among the requests on their way.
    pub(super) async fn place(&self, most: usize) -> Place<'_> {
        self.places.take(most).await
    }

    /// Nothing that `subject` names is asked before `until`.
    pub(super) fn block(&self, subject: &str, until: Instant) {
        let mut learned = self.learned();
        if learned.blocked.len() > MAX_LEARNED {
            let now = Instant::now();
            learned.blocked.retain(|_, until| *until > now);
        }
        let blocked = learned.blocked.entry(subject.to_owned()).or_insert(until);
        *blocked = until.max(*blocked);
    }

    /// How long the next request to `url` has to wait by what the provider said. It takes its
    /// turn, unless it would have to wait longer than `most`. An urgent one may use up the reserve,
    /// but goes no sooner than the provider asked to wait.
    pub(super) fn room(
        &self,
        url: &Url,
        scope: Scope,
        urgent: bool,
        most: Duration,
        now: Instant,
    ) -> Duration {
        let mut learned = self.learned();
        let Learned {
            windows,
            endpoints,
            blocked,
        } = &mut *learned;
        if let Some(until) = blocked
            .get(&subject(url, scope))
            .filter(|until| **until > now)
        {
            return *until - now;
        }
        let names = endpoints.get(&endpoint(url)).map_or(&[][..], Vec::as_slice);
        let waits = names.iter().filter_map(|name| windows.get(name));
        let wait = waits.map(|window| window.wait(urgent, now)).max();
        let wait = wait.unwrap_or_default();
        // In every window that it will fall into, or in none if it does not go.
        if wait <= most {
            for name in names {
                if let Some(window) = windows.get_mut(name) {
                    window.charge(urgent, now + wait);
                }
            }
        }
        wait
    }

    /// Learns from an answer of `url`, and tells how much an answer that nothing has changed left
    /// of the provider's limits. A window ends after `cap` at the latest, as every wait does that
    /// is cut for tests: it would else outlast the wait for its end.
    pub(super) fn learn(
        &self,
        url: &Url,
        response: &Response,
        limits: &RateLimits,
        now: Timestamp,
        at: Instant,
        cap: Option<Duration>,
    ) -> f64 {
        let mut quotas = quotas(&response.headers, now);
        quotas.extend(limits.quotas(response, now));
        if quotas.is_empty() {
            return 0.0;
        }
        let mut learned = self.learned();
        if learned.windows.len() > MAX_LEARNED || learned.endpoints.len() > MAX_LEARNED {
            *learned = Learned {
                blocked: std::mem::take(&mut learned.blocked),
                ..Learned::default()
            };
        }
        // An answer may tell of one window only, the next of another: both go on.
        let Learned {
            windows, endpoints, ..
        } = &mut *learned;
        let names = endpoints.entry(endpoint(url)).or_default();
        names.retain(|name| windows.get(name).is_some_and(|window| window.lasts(at)));
        let mut saved = 0.0;
        for mut quota in quotas {
            quota.reset = quota.reset.min(cap.unwrap_or(MAX_WINDOW)).min(MAX_WINDOW);
            // Windows of one name differ by how much a full one has.
            let name = format!("{} {}", quota.name, quota.limit.unwrap_or_default());
            let before = windows.get(&name).copied();
            if response.status == StatusCode::NOT_MODIFIED
                && let Some(before) = &before
            {
                saved = before.saved(&quota, at).max(saved);
            }
            windows.insert(name.clone(), Window::of(&quota, before, at));
            if !names.contains(&name) && names.len() < MAX_QUOTAS {
                names.push(name);
            }
        }
        saved
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Learned> {
        // Numbers that are written together; a panic cannot leave them half-written.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a refusal of `url` is about, by name.
pub(super) fn subject(url: &Url, scope: Scope) -> String {
    match scope {
        Scope::Credential => String::new(),
        Scope::Endpoint => endpoint(url),
    }
}

/// What limits are learned by: the beginning of the path. Providers limit by endpoint, and
/// identifiers stand at the end.
fn endpoint(url: &Url) -> String {
    let mut name = String::new();
    for segment in url.path_segments().into_iter().flatten().take(3) {
        name.push('/');
        name.push_str(segment);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(2);

    fn answer(status: u16, limit: u32, left: u32, reset: u32) -> Response {
        let headers = [
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
        });
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: bytes::Bytes::new(),
            url: url(),
        }
    }

    fn learn(pace: &Pace, answer: &Response, at: Instant) -> f64 {
        let limits = RateLimits::default();
        pace.learn(&url(), answer, &limits, Timestamp::UNIX_EPOCH, at, None)
    }

    fn room(pace: &Pace, urgent: bool, now: Instant) -> Duration {
        pace.room(&url(), Scope::Credential, urgent, LONG, now)
    }

    fn url() -> Url {
        "https://api.test/v1/things/1".parse().unwrap()
    }

    fn pace(limit: u32, left: u32, reset: u32, at: Instant) -> Pace {
        let pace = Pace::default();
        learn(&pace, &answer(200, limit, left, reset), at);
        pace
    }

    #[test]
    fn while_there_is_plenty_requests_go_as_they_come() {
        let now = Instant::now();
        let pace = pace(100, 99, 60, now);
        for _ in 0..40 {
            assert_eq!(room(&pace, false, now), Duration::ZERO);
        }
    }

    #[test]
    fn what_is_left_is_spread_over_the_window() {
        let mut now = Instant::now();
        let end = now + Duration::from_mins(1);
        let pace = pace(100, 20, 60, now);
        let mut sent = 0;
        while sent < 200 {
            let wait = room(&pace, false, now);
            if now + wait >= end {
                break;
            }
            now += wait;
            sent += 1;
        }
        assert!((10..=19).contains(&sent), "{sent} requests in the window");
    }

    #[test]
    fn a_window_goes_on_though_an_answer_tells_of_another() {
        let now = Instant::now();
        let pace = Pace::default();
        for _ in 0..3 {
            learn(&pace, &answer(200, 1000, 5, 3600), now);
            learn(&pace, &answer(200, 10, 9, 1), now);
            assert_eq!(room(&pace, false, now), Duration::from_hours(1));
        }
        let later = now + Duration::from_hours(1);
        assert_eq!(room(&pace, false, later), Duration::ZERO);
    }

    #[test]
    fn a_request_counts_in_every_window_or_does_not_go() {
        let now = Instant::now();
        let pace = Pace::default();
        let most = Duration::from_secs(5);
        let ask = |most| pace.room(&url(), Scope::Credential, true, most, now);
        learn(&pace, &answer(200, 1000, 2, 3600), now);
        learn(&pace, &answer(200, 10, 1, 60), now);
        assert_eq!(ask(most), Duration::ZERO);
        // The minute is used up; what waits longer than it may counts nowhere.
        for _ in 0..5 {
            assert_eq!(ask(most), Duration::from_mins(1));
        }
        // One that waits for it counts in the hour, which is used up by it.
        assert_eq!(ask(LONG), Duration::from_mins(1));
        assert_eq!(ask(LONG), Duration::from_hours(1));
    }

    #[test]
    fn a_window_that_is_told_by_its_length_ends() {
        let now = Instant::now();
        let pace = Pace::default();
        let hour = |left: &str| {
            let mut answer = answer(200, 1, 1, 1);
            answer.headers.clear();
            let name = http::HeaderName::from_static("x-ratelimit-remaining-hour");
            answer.headers.insert(name, left.parse().unwrap());
            answer
        };
        learn(&pace, &hour("1"), now);
        let later = now + Duration::from_mins(50);
        learn(&pace, &hour("0"), later);
        assert_eq!(room(&pace, true, later), Duration::from_mins(10));
        learn(&pace, &hour("3"), later);
        assert_eq!(room(&pace, true, later), Duration::ZERO, "another hour");
    }

    #[test]
    fn the_reserve_is_for_checks() {
        let now = Instant::now();
        let pace = pace(100, 2, 60, now);
        assert_eq!(room(&pace, false, now), Duration::from_mins(1));
        assert_eq!(room(&pace, true, now), Duration::ZERO);
        let later = now + Duration::from_secs(61);
        assert_eq!(room(&pace, false, later), Duration::ZERO, "a new window");
    }

    #[test]
    fn limits_in_points_are_learned_by_what_requests_cost() {
        let now = Instant::now();
        let pace = pace(1000, 900, 60, now);
        for left in [800, 700, 600, 500, 400, 300] {
            room(&pace, false, now);
            learn(&pace, &answer(200, 1000, left, 60), now);
        }
        let waits: Vec<_> = (0..4).map(|_| room(&pace, false, now)).collect();
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
        let wait = |urgent, scope| pace.room(&other, scope, urgent, LONG, now);
        assert_eq!(wait(false, Scope::Credential), Duration::ZERO);
        // Unless it was refused, and the refusal is about everything.
        let until = now + Duration::from_secs(9);
        pace.block(&subject(&url(), Scope::Endpoint), until);
        assert_eq!(wait(false, Scope::Endpoint), Duration::ZERO);
        pace.block(&subject(&url(), Scope::Credential), until);
        pace.block(&subject(&url(), Scope::Credential), now);
        assert_eq!(wait(true, Scope::Credential), Duration::from_secs(9));
    }

    #[test]
    fn an_answer_that_nothing_changed_may_cost_nothing() {
        let now = Instant::now();
        let pace = pace(100, 50, 60, now);
        room(&pace, true, now);
        assert!((learn(&pace, &answer(304, 100, 50, 60), now) - 1.0).abs() < 1e-9);
        room(&pace, true, now);
        assert!(learn(&pace, &answer(304, 100, 49, 60), now).abs() < 1e-9);
        room(&pace, true, now);
        assert!(learn(&pace, &answer(200, 100, 49, 60), now).abs() < 1e-9);
    }
}
