//! What a provider says is left of its limits, on every answer, refused or not.
//!
//! Any family of headers whose names hold `ratelimit` or `rate-limit` and end in `-remaining` and
//! `-reset` is read (`X-RateLimit-Requests-Remaining`), and `RateLimit` in both forms of the IETF
//! draft. A provider with several limits of one name says which by `X-RateLimit-Resource` or
//! `X-RateLimit-Name`.

use std::time::Duration;

use http::header::{DATE, HeaderMap};
use jiff::Timestamp;

use super::wait::{http_date, instant_or_delta, number, text};

/// Limits that one answer may tell of; more is nonsense.
const MAX_QUOTAS: usize = 16;

/// How long a window is believed to last on the word of an answer that was no refusal.
pub(super) const MAX_WINDOW: Duration = Duration::from_hours(1);

/// What is left of one limit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quota {
    /// Tells limits apart.
    pub(super) name: String,
    /// How much a window has.
    pub(super) limit: Option<f64>,
    /// How much is left of it.
    pub(super) remaining: f64,
    /// Until the window ends.
    pub(super) reset: Duration,
    /// What the request cost, where the answer says it.
    pub(super) cost: Option<f64>,
}

/// The limits that an answer tells of. Instants are measured against its own `Date`, else `now`.
pub(super) fn quotas(headers: &HeaderMap, now: Timestamp) -> Vec<Quota> {
    let now = text(headers, DATE.as_str())
        .and_then(http_date)
        .unwrap_or(now);
    let resource = ["x-ratelimit-resource", "x-ratelimit-name"]
        .iter()
        .find_map(|name| text(headers, name))
        .unwrap_or_default();
    let mut quotas: Vec<Quota> = headers
        .keys()
        .filter_map(|name| family(headers, name.as_str(), resource, now))
        .chain(drafts(headers))
        .take(MAX_QUOTAS)
        .collect();
    for quota in &mut quotas {
        quota.reset = quota.reset.min(MAX_WINDOW);
    }
    quotas
}

fn family(headers: &HeaderMap, name: &str, resource: &str, now: Timestamp) -> Option<Quota> {
    let family = name.strip_suffix("-remaining")?;
    if !family.contains("ratelimit") && !family.contains("rate-limit") {
        return None;
    }
    let amount = |suffix| {
        let value = text(headers, &format!("{family}-{suffix}"))?;
        // `100, 100;w=60` is what one draft sends: the first counts.
        let first = value.split([',', ';']).next()?;
        number(first.trim()).filter(|number| *number >= 0.0)
    };
    let reset = text(headers, &format!("{family}-reset"))?;
    Some(Quota {
        name: format!("{family} {resource}"),
        limit: amount("limit").filter(|limit| *limit > 0.0),
        remaining: amount("remaining")?,
        reset: instant_or_delta(reset, now)?,
        cost: None,
    })
}

/// `RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`, or
/// `RateLimit: limit=100, remaining=50, reset=30`.
fn drafts(headers: &HeaderMap) -> Vec<Quota> {
    let Some(value) = text(headers, "ratelimit") else {
        return Vec::new();
    };
    let policy = text(headers, "ratelimit-policy").unwrap_or_default();
    if !value.contains(';') {
        let quota = |value: &str| {
            Some(Quota {
                name: "ratelimit".to_owned(),
                limit: member(value, "limit"),
                remaining: member(value, "remaining")?,
                reset: Duration::try_from_secs_f64(member(value, "reset")?).ok()?,
                cost: None,
            })
        };
        return quota(value).into_iter().collect();
    }
    let named = |item: &str| item.split(';').next().unwrap_or_default().trim().to_owned();
    value
        .split(',')
        .filter_map(|item| {
            let name = named(item);
            let of_policy = policy.split(',').find(|policy| named(policy) == name);
            Some(Quota {
                limit: of_policy.and_then(|policy| member(policy, "q")),
                remaining: member(item, "r")?,
                reset: Duration::try_from_secs_f64(member(item, "t")?).ok()?,
                name: format!("ratelimit {name}"),
                cost: None,
            })
        })
        .collect()
}

fn member(item: &str, wanted: &str) -> Option<f64> {
    item.split([';', ',']).find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        (name.trim() == wanted).then(|| number(value.trim()))?
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-02-24T10:30:00Z.
    const NOW: i64 = 1_771_929_000;

    fn read(headers: &[(&str, &str)]) -> Vec<(String, Option<f64>, f64, f64)> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let name: http::HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect();
        quotas(&headers, Timestamp::from_second(NOW).unwrap())
            .into_iter()
            .map(|quota| {
                let reset = quota.reset.as_secs_f64();
                (quota.name, quota.limit, quota.remaining, reset)
            })
            .collect()
    }

    #[test]
    fn families_of_headers_are_found_by_their_endings() {
        let one = |name: &str, limit, left, reset| vec![(name.to_owned(), limit, left, reset)];
        for (headers, expected) in [
            (
                &[
                    ("X-RateLimit-Limit", "5000"),
                    ("X-RateLimit-Remaining", "17"),
                    ("X-RateLimit-Reset", "1771929045"),
                    ("X-RateLimit-Resource", "core"),
                ][..],
                one("x-ratelimit core", Some(5000.0), 17.0, 45.0),
            ),
            (
                &[
                    ("X-RateLimit-Complexity-Remaining", "9"),
                    ("X-RateLimit-Complexity-Reset", "1771929045000"),
                ],
                one("x-ratelimit-complexity ", None, 9.0, 45.0),
            ),
            (
                &[
                    ("X-RateLimit-Limit", "100"),
                    ("X-RateLimit-Remaining", "3"),
                    ("X-RateLimit-Reset", "2026-02-24T10:30Z"),
                ],
                one("x-ratelimit ", Some(100.0), 3.0, 0.0),
            ),
            (
                &[("RateLimit", "limit=10, remaining=1, reset=7")],
                one("ratelimit", Some(10.0), 1.0, 7.0),
            ),
            (
                &[
                    ("RateLimit", "\"a\";r=5;t=30"),
                    ("RateLimit-Policy", "\"b\";q=1;w=1, \"a\";q=100;w=60"),
                ],
                one("ratelimit \"a\"", Some(100.0), 5.0, 30.0),
            ),
            // A day is not believed of an answer that was no refusal.
            (
                &[("ratelimit-remaining", "0"), ("ratelimit-reset", "86400")],
                one("ratelimit ", None, 0.0, 3600.0),
            ),
            (&[("x-ratelimit-remaining", "5")], Vec::new()),
            (&[("days-remaining", "5"), ("days-reset", "5")], Vec::new()),
        ] {
            assert_eq!(read(headers), expected, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_header_holds_is_read_or_left_alone(
            limit in "[ -~]{0,40}", left in "[ -~]{0,40}", reset in "[ -~]{0,60}", draft in "[ -~]{0,80}",
        ) {
            let headers = [
                ("x-ratelimit-limit", limit.as_str()),
                ("x-ratelimit-remaining", left.as_str()),
                ("x-ratelimit-reset", reset.as_str()),
                ("ratelimit", draft.as_str()),
                ("ratelimit-policy", draft.as_str()),
            ];
            for (_, limit, remaining, reset) in read(&headers) {
                prop_assert!(remaining.is_finite() && remaining >= 0.0);
                prop_assert!(limit.is_none_or(f64::is_finite));
                prop_assert!((0.0..=3600.0).contains(&reset));
            }
        }
    }
}
