//! How long a provider asks to wait, read from the headers of its answer.
//!
//! `Retry-After` is RFC 9110 section 10.2.3; `RateLimit` is the IETF draft in its old form
//! (`limit=…, remaining=…, reset=…`), its new one (`"policy";r=0;t=30`) and its three separate
//! headers; `X-RateLimit-Reset` is what most providers send: seconds or milliseconds since 1970,
//! an ISO 8601 instant, or seconds from now. Providers with several budgets send it once for each,
//! as in `X-RateLimit-Requests-Reset`.

use std::time::Duration;

use http::StatusCode;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::quota::quotas;

/// Longest wait that is believed; a longer one is a mistake more often than a wish.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// Numbers up to here are seconds from now (three years), beyond it an instant.
const MAX_DELTA_SECONDS: f64 = 1e8;

/// Numbers from here on are milliseconds since 1970.
const MIN_EPOCH_MILLIS: f64 = 1e11;

/// How long the provider asks to wait, at most 24 hours; `None` when it does not say, or when
/// the answer is no refusal.
///
/// Instants are measured against the answer's own `Date` where it has one, so that a clock that
/// is off on either side does not matter, else against `now`.
pub fn hinted_wait(headers: &HeaderMap, status: StatusCode, now: Timestamp) -> Option<Duration> {
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let now = text(headers, DATE.as_str())
        .and_then(http_date)
        .unwrap_or(now);
    let wait = match text(headers, RETRY_AFTER.as_str()).and_then(|value| retry_after(value, now)) {
        Some(wait) => wait,
        None => rate_limit_reset(headers, now)?,
    };
    Some(wait.min(MAX_WAIT))
}

fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    match number(value) {
        Some(seconds) => from_seconds(seconds),
        None => Some(until(http_date(value).or_else(|| value.parse().ok())?, now)),
    }
}

/// The wait until every limit that is used up is full again.
fn rate_limit_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let told = quotas(headers, now);
    let used_up = told.iter().filter(|quota| quota.remaining <= 0.0);
    // How long a window is says only when it ends at the latest: better than nothing.
    let wait = used_up.map(|quota| quota.reset).max();
    wait.or_else(|| {
        ["x-ratelimit", "x-rate-limit", "ratelimit"]
            .into_iter()
            // Quota left means that this refusal is about something else.
            .filter(|family| !headers.contains_key(format!("{family}-remaining")))
            .find_map(|family| instant_or_delta(text(headers, &format!("{family}-reset"))?, now))
    })
}

pub(super) fn instant_or_delta(value: &str, now: Timestamp) -> Option<Duration> {
    let Some(number) = number(value) else {
        let at = value.parse().ok().or_else(|| http_date(value))?;
        return Some(until(at, now));
    };
    if number < MAX_DELTA_SECONDS {
        return from_seconds(number);
    }
    let seconds = if number >= MIN_EPOCH_MILLIS {
        number / 1000.0
    } else {
        number
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "a microsecond of a wait does not matter"
    )]
    let now = now.as_millisecond() as f64 / 1000.0;
    // Rounded up to whole milliseconds by `from_seconds`, so never below the hint.
    from_seconds((seconds - now).max(0.0))
}

/// The three forms of RFC 9110 section 5.6.7.
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    if let Ok(at) = PARSER.parse_timestamp(value) {
        return Some(at);
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| jiff::civil::DateTime::strptime(format, value).ok())
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok())
        .map(|at| at.timestamp())
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    let millis = Duration::try_from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64() + 1.0)).ok()?;
    let whole = Duration::from_millis(u64::try_from(millis.as_millis()).ok()?);
    Some(if whole < millis {
        whole + Duration::from_millis(1)
    } else {
        whole
    })
}

/// A finite number; `f64` would also read `NaN` and `inf`.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-24T10:30:00Z.
    const NOW: i64 = 1_771_929_000;

    fn wait_of(status: u16, headers: &[(&'static str, &str)]) -> Option<f64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        hinted_wait(
            &headers,
            StatusCode::from_u16(status).unwrap(),
            Timestamp::from_second(NOW).unwrap(),
        )
        .map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, seconds) in [
            ("120", Some(120.0)),
            (" 7 ", Some(7.0)),
            ("0", Some(0.0)),
            ("1.5", Some(1.5)),
            ("Tue, 24 Feb 2026 10:30:30 GMT", Some(30.0)),
            ("Tuesday, 24-Feb-26 10:30:30 GMT", Some(30.0)),
            ("Tue Feb 24 10:30:30 2026", Some(30.0)),
            ("2026-02-24T10:31:00Z", Some(60.0)),
            ("Tue, 24 Feb 2026 10:00:00 GMT", Some(0.0)),
            ("99999999999", Some(86400.0)),
            ("1e300", Some(86400.0)),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait_of(503, &[("retry-after", value)]), seconds, "{value}");
        }
    }

    #[test]
    fn a_reset_is_an_instant_or_seconds_from_now() {
        for (value, seconds) in [
            ("1771929045", 45.0),
            ("1771929045000", 45.0),
            ("1771929045.25", 45.25),
            ("2026-02-24T10:30:45Z", 45.0),
            ("2026-02-24T10:31Z", 60.0),
            ("2026-02-24T11:31:00+01:00", 60.0),
            ("1771928000", 0.0),
            ("45", 45.0),
            ("1871929045", 86400.0),
        ] {
            let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", value)];
            assert_eq!(wait_of(403, &headers), Some(seconds), "{value}");
        }
    }

    #[test]
    fn a_reset_counts_only_when_nothing_remains() {
        let reset = ("x-ratelimit-reset", "1771929045");
        assert_eq!(
            wait_of(403, &[("x-ratelimit-remaining", "17"), reset]),
            None
        );
        assert_eq!(wait_of(429, &[reset]), Some(45.0));
    }

    #[test]
    fn of_several_budgets_those_that_are_used_up_count() {
        let complexity = ("x-ratelimit-complexity-reset", "1771932600000");
        let headers = [
            ("x-ratelimit-requests-remaining", "0"),
            ("x-ratelimit-requests-reset", "1771929045000"),
            ("x-ratelimit-complexity-remaining", "1999991"),
            complexity,
        ];
        assert_eq!(wait_of(400, &headers), Some(45.0));
        let both = [
            ("x-ratelimit-requests-remaining", "0"),
            ("x-ratelimit-requests-reset", "1771929045000"),
            ("x-ratelimit-complexity-remaining", "0"),
            complexity,
        ];
        assert_eq!(wait_of(400, &both), Some(3600.0));
        assert_eq!(wait_of(400, &[complexity]), None);
    }

    #[test]
    fn of_several_windows_that_are_used_up_the_longest_counts() {
        for headers in [
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1"),
                ("ratelimit-remaining", "0"),
                ("ratelimit-reset", "90"),
            ][..],
            &[
                ("x-ratelimit-remaining", "0, 0, 5"),
                ("x-ratelimit-reset", "1, 90, 3600"),
            ],
            &[
                ("ratelimit", r#""second";r=0;t=1, "minute";r=0;t=90"#),
                ("x-ratelimit-remaining", "5"),
                ("x-ratelimit-reset", "3600"),
            ],
        ] {
            assert_eq!(wait_of(429, headers), Some(90.0), "{headers:?}");
        }
        let length = [
            ("x-ratelimit-remaining-minute", "0"),
            ("x-ratelimit-remaining-hour", "7"),
        ];
        assert_eq!(wait_of(429, &length), Some(60.0));
    }

    #[test]
    fn rate_limit_drafts_are_read() {
        for (value, seconds) in [
            (r#""default";r=0;t=30"#, Some(30.0)),
            (r#""burst";r=0;t=5, "daily";r=0;t=60"#, Some(60.0)),
            (r#""burst";r=0;t=5, "daily";r=10;t=600"#, Some(5.0)),
            (r#""default";r=5;t=30"#, None),
            ("limit=100, remaining=0, reset=50", Some(50.0)),
            ("limit=100, remaining=3, reset=50", None),
            ("nonsense", None),
        ] {
            assert_eq!(wait_of(429, &[("ratelimit", value)]), seconds, "{value}");
        }
        let separate = [("ratelimit-remaining", "0"), ("ratelimit-reset", "12")];
        assert_eq!(wait_of(429, &separate), Some(12.0));
    }

    #[test]
    fn retry_after_wins_over_a_reset() {
        let headers = [
            ("retry-after", "1"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1771929045"),
        ];
        assert_eq!(wait_of(429, &headers), Some(1.0));
    }

    #[test]
    fn instants_are_measured_against_the_answers_own_date() {
        let headers = [
            ("date", "Tue, 24 Feb 2026 09:00:00 GMT"),
            ("retry-after", "Tue, 24 Feb 2026 09:00:10 GMT"),
        ];
        assert_eq!(wait_of(429, &headers), Some(10.0));
    }

    #[test]
    fn an_answer_that_is_no_refusal_asks_for_nothing() {
        assert_eq!(wait_of(200, &[("retry-after", "5")]), None);
        assert_eq!(wait_of(304, &[("ratelimit", r#""d";r=0;t=9"#)]), None);
    }
}
