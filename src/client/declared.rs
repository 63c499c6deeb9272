//! What a manifest says of a provider's limits (`metadata.connector.rate_limits`): the rate to keep
//! to, and where answers tell what is left and how long to wait, where no standard header does.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::Response;
use super::quota::Quota;
use super::wait::{http_date, instant_or_delta, number, text};
use crate::json::{Pointer, get, text_of, validate};

/// Longest window, and longest wait, that is believed.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// `metadata.connector.rate_limits`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RateLimits {
    /// Requests per second at most; `None`: as many as there are.
    pub requests_per_second: Option<f64>,
    /// Requests that may follow each other at once after a pause. Default: a second's worth.
    pub burst: Option<f64>,
    /// Requests on their way at once.
    pub concurrent_requests: Option<usize>,
    /// What a refusal ("not so fast") is about.
    pub scope: Scope,
    /// Limits that answers tell of in the provider's own way.
    pub quotas: Vec<QuotaRule>,
    /// Where a refusal tells how long to wait in the provider's own way.
    pub waits: Vec<WaitRule>,
}

/// What has to wait when a provider refuses a request as one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// All requests with the credential.
    #[default]
    Credential,
    /// Requests to the same endpoint.
    Endpoint,
}

/// A place in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In its body.
    Body(Pointer),
    /// A header, by its name in lower case.
    Header(String),
}

/// One of `rate_limits.quotas`.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaRule {
    /// Tells limits apart.
    pub name: String,
    /// What is left.
    pub remaining: Place,
    /// What a full window has.
    pub limit: Option<Place>,
    /// When the window ends.
    pub reset: Option<Place>,
    /// How `reset` is written.
    pub format: TimeFormat,
    /// How long a window is, where `reset` does not say when it ends.
    pub window: Option<Duration>,
    /// What the request cost.
    pub cost: Option<Place>,
}

/// One of `rate_limits.retry_after`.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitRule {
    /// Where it stands.
    pub from: Place,
    /// How it is written.
    pub format: TimeFormat,
}

/// How a provider writes when something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// Whatever the number suggests: an instant, or seconds from now.
    #[default]
    Auto,
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMilliseconds,
    /// ISO 8601, or a date of HTTP.
    Instant,
}

impl TimeFormat {
    /// Every format, by its name in a manifest.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("seconds", Self::Seconds),
        ("milliseconds", Self::Milliseconds),
        ("epoch_seconds", Self::EpochSeconds),
        ("epoch_milliseconds", Self::EpochMilliseconds),
        ("instant", Self::Instant),
    ];

    fn wait(self, value: &str, now: Timestamp) -> Option<Duration> {
        let seconds = |seconds: f64| {
            let seconds = seconds.clamp(0.0, MAX_WAIT.as_secs_f64());
            Duration::try_from_secs_f64(seconds).ok()
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a microsecond of a wait does not matter"
        )]
        let now_seconds = now.as_millisecond() as f64 / 1000.0;
        let wait = match self {
            Self::Auto => instant_or_delta(value, now)?,
            Self::Seconds => seconds(number(value)?)?,
            Self::Milliseconds => seconds(number(value)? / 1000.0)?,
            Self::EpochSeconds => seconds(number(value)? - now_seconds)?,
            Self::EpochMilliseconds => seconds(number(value)? / 1000.0 - now_seconds)?,
            Self::Instant => {
                let at = value.parse().ok().or_else(|| http_date(value))?;
                Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
            }
        };
        Some(wait.min(MAX_WAIT))
    }
}

/// Reads places of one answer; its body is looked at only where a rule asks for it.
struct Reader<'r> {
    headers: &'r HeaderMap,
    body: Option<&'r [u8]>,
}

impl<'r> Reader<'r> {
    fn new<'p>(response: &'r Response, mut places: impl Iterator<Item = &'p Place>) -> Self {
        let wants_body = places.any(|place| matches!(place, Place::Body(_)));
        let body = &response.body[..];
        Self {
            headers: &response.headers,
            body: (wants_body && validate(body).is_ok()).then_some(body),
        }
    }

    fn text(&self, place: &Place) -> Option<String> {
        let found = match place {
            Place::Header(name) => text(self.headers, name)?.to_owned(),
            Place::Body(pointer) => text_of(get(self.body?, pointer)?).trim().to_owned(),
        };
        Some(found).filter(|found| !found.is_empty())
    }

    /// What a count says: `17`, or the first of `17, 100;w=60`.
    fn amount(&self, place: &Place) -> Option<f64> {
        let found = self.text(place)?;
        let first = found.split([',', ';']).next()?.trim();
        number(first).filter(|amount| *amount >= 0.0)
    }
}

impl RateLimits {
    /// The limits that an answer tells of in the provider's own way.
    pub(super) fn quotas(&self, response: &Response, now: Timestamp) -> Vec<Quota> {
        let places = self.quotas.iter().flat_map(QuotaRule::places);
        let reader = Reader::new(response, places);
        let read = |rule: &QuotaRule| {
            let reset = rule.reset.as_ref().and_then(|place| reader.text(place));
            let reset = reset.and_then(|text| rule.format.wait(&text, now));
            Some(Quota {
                name: rule.name.clone(),
                limit: rule
                    .limit
                    .as_ref()
                    .and_then(|place| reader.amount(place))
                    .filter(|limit| *limit > 0.0),
                remaining: reader.amount(&rule.remaining)?,
                is_length: reset.is_none(),
                reset: reset.or(rule.window)?,
                cost: rule.cost.as_ref().and_then(|place| reader.amount(place)),
            })
        };
        self.quotas.iter().filter_map(read).collect()
    }

    /// How long a refusal asks to wait in the provider's own way.
    pub(super) fn wait(&self, response: &Response, now: Timestamp) -> Option<Duration> {
        let reader = Reader::new(response, self.waits.iter().map(|rule| &rule.from));
        let read = |rule: &WaitRule| rule.format.wait(&reader.text(&rule.from)?, now);
        self.waits.iter().filter_map(read).max()
    }
}

impl QuotaRule {
    fn places(&self) -> impl Iterator<Item = &Place> {
        let optional = [&self.limit, &self.reset, &self.cost];
        std::iter::once(&self.remaining).chain(optional.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-24T10:30:00Z.
    const NOW: i64 = 1_771_929_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn response(headers: &[(&'static str, &str)], body: &'static str) -> Response {
        Response {
            status: http::StatusCode::OK,
            headers: headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect(),
            body: body.into(),
            url: "https://api.test/".parse().unwrap(),
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        use TimeFormat::{Auto, EpochMilliseconds, EpochSeconds, Instant, Milliseconds, Seconds};
        for (format, value, millis) in [
            (Auto, "45", Some(45_000)),
            (Auto, "1771929045", Some(45_000)),
            (Seconds, "1771929045", Some(86_400_000)),
            (Seconds, "1.5", Some(1500)),
            (Milliseconds, "1500", Some(1500)),
            (EpochSeconds, "1771929045", Some(45_000)),
            (EpochSeconds, "1771928000", Some(0)),
            (EpochMilliseconds, "1771929045250", Some(45_250)),
            (Instant, "2026-02-24T10:30:45Z", Some(45_000)),
            (Instant, "Tue, 24 Feb 2026 10:30:45 GMT", Some(45_000)),
            (Seconds, "soon", None),
            (Seconds, "NaN", None),
            (Instant, "45", None),
        ] {
            let wait = format.wait(value, now()).map(|wait| wait.as_millis());
            assert_eq!(wait, millis, "{format:?} {value}");
        }
    }

    #[test]
    fn limits_stand_where_the_manifest_says() {
        let rule = |remaining, window| QuotaRule {
            name: "points".to_owned(),
            remaining,
            limit: Some(Place::Body("/cost/max".parse().unwrap())),
            reset: Some(Place::Header("x-window-ends".to_owned())),
            format: TimeFormat::Milliseconds,
            window,
            cost: Some(Place::Body("/cost/used".parse().unwrap())),
        };
        let left = || Place::Body("/cost/left".parse().unwrap());
        let limits = |rule| RateLimits {
            quotas: vec![rule],
            ..RateLimits::default()
        };
        let body = r#"{"cost": {"left": 17, "max": "1000", "used": 12.5}, "data": []}"#;
        let read = |rule, headers, body| limits(rule).quotas(&response(headers, body), now());
        let expected = |reset, is_length| Quota {
            name: "points".to_owned(),
            limit: Some(1000.0),
            remaining: 17.0,
            reset: Duration::from_millis(reset),
            is_length,
            cost: Some(12.5),
        };
        let headers = [("x-window-ends", "1500")];
        assert_eq!(
            read(rule(left(), None), &headers, body),
            [expected(1500, false)]
        );
        let minute = Some(Duration::from_mins(1));
        assert_eq!(
            read(rule(left(), minute), &[], body),
            [expected(60_000, true)]
        );
        // Of a window that has no end, and of an answer that says nothing, nothing is learned.
        assert!(read(rule(left(), None), &[], body).is_empty());
        assert!(read(rule(left(), minute), &[], "<html>").is_empty());
        let header = Place::Header("x-left".to_owned());
        assert!(read(rule(header, minute), &[("x-left", "-3")], body).is_empty());
    }

    #[test]
    fn of_several_waits_the_longest_counts() {
        let limits = RateLimits {
            waits: vec![
                WaitRule {
                    from: Place::Header("x-retry-ms".to_owned()),
                    format: TimeFormat::Milliseconds,
                },
                WaitRule {
                    from: Place::Body("/error/until".parse().unwrap()),
                    format: TimeFormat::Instant,
                },
            ],
            ..RateLimits::default()
        };
        let body = r#"{"error": {"until": "2026-02-24T10:30:09Z"}}"#;
        let headers = [("x-retry-ms", "2500")];
        let wait = |headers, body| limits.wait(&response(headers, body), now());
        assert_eq!(wait(&headers, body), Some(Duration::from_secs(9)));
        assert_eq!(wait(&headers, ""), Some(Duration::from_millis(2500)));
        assert_eq!(wait(&[], ""), None);
    }
}
