//! What a provider says is left of its limits, on every answer, refused or not.
//!
//! Any family of headers whose names hold `ratelimit` or `rate-limit` and end in `-remaining` and
//! `-reset` is read (`X-RateLimit-Requests-Remaining`), those that end in a window's length instead
//! (`X-RateLimit-Remaining-Hour`), and `RateLimit` in both forms of the IETF draft. A header that
//! holds a list, or comes several times, tells of as many limits. A provider with several limits of
//! one name says which by `X-RateLimit-Resource` or `X-RateLimit-Name`.

use std::time::Duration;

use http::header::{DATE, HeaderMap};
use jiff::Timestamp;

use super::wait::{http_date, instant_or_delta, number, text};

/// Limits that one answer may tell of; more is nonsense.
pub(super) const MAX_QUOTAS: usize = 16;

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
    /// Whether that is only how long a window is: this one may have begun before.
    pub(super) is_length: bool,
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
    headers
        .keys()
        .flat_map(|name| family(headers, name.as_str(), resource, now))
        .chain(drafts(headers))
        .take(MAX_QUOTAS)
        .collect()
}

/// The limits of the family of headers that `name` says the remainder of.
fn family(headers: &HeaderMap, name: &str, resource: &str, now: Timestamp) -> Vec<Quota> {
    let Some((family, window)) = name
        .strip_suffix("-remaining")
        .map(|family| (family, None))
        .or_else(|| {
            let (family, window) = name.split_once("-remaining-")?;
            Some((family, Some((window, length(window)?))))
        })
    else {
        return Vec::new();
    };
    if !family.contains("ratelimit") && !family.contains("rate-limit") {
        return Vec::new();
    }
    let suffix = window.map_or_else(String::new, |(window, _)| format!("-{window}"));
    let list = |what: &str| values(headers, &format!("{family}-{what}{suffix}"));
    let (left, limits, resets) = (list("remaining"), list("limit"), list("reset"));
    let quota = |(index, left): (usize, &&str)| {
        // Of lists that do not match, the first values belong together.
        let of = |list: &[&str]| list.get(index).map(|value| amount(value));
        let reset = resets
            .get(index)
            .and_then(|reset| instant_or_delta(reset, now));
        let which = if index == 0 {
            String::new()
        } else {
            format!(" {index}")
        };
        Some(Quota {
            name: format!("{family}{suffix} {resource}{which}"),
            limit: of(&limits).flatten().filter(|limit| *limit > 0.0),
            remaining: amount(left)?.max(0.0),
            is_length: reset.is_none(),
            reset: reset.or(window.map(|(_, length)| length))?,
            cost: None,
        })
    };
    left.iter().enumerate().filter_map(quota).collect()
}

/// The values of a header, whether it comes several times or holds a list.
fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    // A date holds a comma, and is one value.
    let parts = |value: &'h str| match http_date(value) {
        Some(_) => vec![value],
        None => value.split(',').map(str::trim).collect(),
    };
    let lines = headers.get_all(name).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| parts(line.trim()))
        .collect()
}

/// `100`, or the first of `100;w=60`.
fn amount(value: &str) -> Option<f64> {
    number(value.split(';').next()?.trim())
}

/// How long a window of this name is.
fn length(window: &str) -> Option<Duration> {
    Some(match window {
        "second" => Duration::from_secs(1),
        "minute" => Duration::from_mins(1),
        "hour" => Duration::from_hours(1),
        "day" => Duration::from_hours(24),
        _ => return None,
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
                is_length: false,
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
                is_length: false,
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
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        let headers = map;
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
            (
                &[
                    ("X-RateLimit-Limit-Second", "5"),
                    ("X-RateLimit-Remaining-Second", "4"),
                    ("X-RateLimit-Remaining-Hour", "-1"),
                    ("X-RateLimit-Remaining-Fortnight", "3"),
                ],
                vec![
                    ("x-ratelimit-second ".to_owned(), Some(5.0), 4.0, 1.0),
                    ("x-ratelimit-hour ".to_owned(), None, 0.0, 3600.0),
                ],
            ),
            (
                &[
                    ("X-RateLimit-Limit", "10;w=1, 1000;w=3600"),
                    ("X-RateLimit-Remaining", "9, 17"),
                    ("X-RateLimit-Reset", "1, 1800"),
                ],
                vec![
                    ("x-ratelimit ".to_owned(), Some(10.0), 9.0, 1.0),
                    ("x-ratelimit  1".to_owned(), Some(1000.0), 17.0, 1800.0),
                ],
            ),
            (
                &[
                    ("RateLimit-Limit", "10"),
                    ("RateLimit-Remaining", "9"),
                    ("RateLimit-Reset", "1"),
                    ("RateLimit-Limit", "1000"),
                    ("RateLimit-Remaining", "17"),
                    ("RateLimit-Reset", "Tue, 24 Feb 2026 11:00:00 GMT"),
                ],
                vec![
                    ("ratelimit ".to_owned(), Some(10.0), 9.0, 1.0),
                    ("ratelimit  1".to_owned(), Some(1000.0), 17.0, 1800.0),
                ],
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
                prop_assert!(reset >= 0.0);
            }
        }
    }
}
