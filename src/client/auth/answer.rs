//! What a token endpoint answers: the token, how long it lives, and what replaces the old one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::form_urlencoded;

use super::{DEFAULT_LIFE, Issued, Secret};
use crate::json::{Map, Value, parse};

/// How deep a name is looked for in an answer.
const MAX_DEPTH: usize = 5;

/// Longest life that is believed, in seconds: a century.
const MAX_LIFE: f64 = 3.2e9;

/// Where an answer keeps what; each name may stand at any depth.
#[derive(Debug, Clone)]
pub struct AnswerNames {
    /// The access token: `access_token`.
    pub access_token: String,
    /// The end of its life: `expires_in`.
    pub expires: String,
    /// What that end is.
    pub expiry: Expiry,
    /// What replaces the refresh token that was sent: `refresh_token`.
    pub refresh_token: String,
    /// Whether an end that cannot be read spoils the answer, as for the format's reference. It is
    /// no reason to throw a good token away.
    pub is_strict: bool,
}

/// How an answer tells the end of a token's life.
#[derive(Debug, Clone, Copy)]
pub enum Expiry {
    /// In seconds from now.
    Seconds,
    /// As an instant, which this reads.
    Instant(fn(&str) -> Option<Timestamp>),
}

impl AnswerNames {
    /// Reads an answer. `Err` says in words what is wrong with it, without quoting it.
    pub(super) fn read(&self, body: &[u8], now: Timestamp) -> Result<Issued, String> {
        let answer = document(body)?;
        let access = named(&answer, &self.access_token)
            .and_then(text_of)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| format!("the answer holds no {}", self.access_token))?;
        let refresh = named(&answer, &self.refresh_token)
            .and_then(text_of)
            .filter(|token| !token.is_empty());
        Ok(Issued {
            access: access.into(),
            // Some send an empty one where they do not rotate: the old one stays.
            refresh: refresh.map(Secret::from),
            expires: Some(match self.expires(&answer, now) {
                Err(what) if self.is_strict => return Err(what),
                expires => expires.or_else(|_| after(DEFAULT_LIFE, now))?,
            }),
        })
    }

    fn expires(&self, answer: &Value, now: Timestamp) -> Result<Timestamp, String> {
        let unreadable = || format!("{} of the answer cannot be read", self.expires);
        let text = named(answer, &self.expires).and_then(text_of);
        let life = match (text, self.expiry) {
            (None, _) => return after(DEFAULT_LIFE, now),
            (Some(text), Expiry::Instant(read)) => return read(&text).ok_or_else(unreadable),
            (Some(text), Expiry::Seconds) => {
                let seconds: f64 = text.trim().parse().map_err(|_| unreadable())?;
                SignedDuration::try_from_secs_f64(seconds.trunc().min(MAX_LIFE))
                    .map_err(|_| unreadable())?
            }
        };
        now.checked_add(life).map_err(|_| unreadable())
    }
}

fn after(life: Duration, now: Timestamp) -> Result<Timestamp, String> {
    now.checked_add(life)
        .map_err(|_| "this machine's clock is off".to_owned())
}

fn named<'v>(answer: &'v Value, name: &str) -> Option<&'v Value> {
    find(answer, name, 0).filter(|value| !matches!(value, Value::Null))
}

/// The answer as a document. Most are JSON; a form is what some send to who does not ask for it.
pub(super) fn document(body: &[u8]) -> Result<Value, String> {
    if let Ok(value) = parse(body) {
        return match value {
            Value::Object(_) | Value::Array(_) => Ok(value),
            _ => Err("the answer is no JSON object".to_owned()),
        };
    }
    let is_form = std::str::from_utf8(body)
        .is_ok_and(|text| text.contains('=') && !text.trim_start().starts_with(['<', '{']));
    if !is_form {
        return Err("the answer is no JSON".to_owned());
    }
    let pairs = form_urlencoded::parse(body.trim_ascii());
    let map: Map = pairs
        .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
        .collect();
    Ok(map.into())
}

/// The first value called `name`: at the top, else within what stands there, in its order.
fn find<'v>(value: &'v Value, name: &str, depth: usize) -> Option<&'v Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let within = |inner: &'v Value| {
        find(inner, name, depth + 1).filter(|found| !matches!(found, Value::Null))
    };
    match value {
        Value::Object(map) => match map.get(name) {
            Some(found) => Some(found),
            None => map.values().find_map(within),
        },
        Value::Array(items) => items.iter().find_map(within),
        _ => None,
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Int(_) | Value::Float(_) | Value::BigNumber(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> AnswerNames {
        AnswerNames {
            access_token: "access_token".to_owned(),
            expires: "expires_in".to_owned(),
            expiry: Expiry::Seconds,
            refresh_token: "refresh_token".to_owned(),
            is_strict: true,
        }
    }

    fn read(body: &str) -> Result<(String, Option<String>, i64), String> {
        let issued = names().read(body.as_bytes(), Timestamp::UNIX_EPOCH)?;
        let shown = |secret: &Secret| secret.expose().to_owned();
        Ok((
            shown(&issued.access),
            issued.refresh.as_ref().map(shown),
            issued.expires.unwrap().as_second(),
        ))
    }

    #[test]
    fn names_are_found_at_any_depth() {
        for (body, expected) in [
            (
                r#"{"access_token":"a","refresh_token":"r","expires_in":60}"#,
                ("a", Some("r"), 60),
            ),
            (
                r#"{"data":[{"access_token":"a","expires_in":"60.9"}]}"#,
                ("a", None, 60),
            ),
            (
                r#"{"access_token":"a","refresh_token":"","expires_in":null}"#,
                ("a", None, 3600),
            ),
            (
                "access_token=a&expires_in=28800&refresh_token=r%2B1",
                ("a", Some("r+1"), 28800),
            ),
        ] {
            let (access, refresh, expires) = expected;
            let refresh = refresh.map(str::to_owned);
            assert_eq!(read(body), Ok((access.to_owned(), refresh, expires)));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_the_answer() {
        for (body, words) in [
            ("<html>secret=1</html>", "the answer is no JSON"),
            ("", "the answer is no JSON"),
            ("\"secret\"", "the answer is no JSON object"),
            (r#"{"token":"secret"}"#, "the answer holds no access_token"),
            (
                r#"{"access_token":"secret","expires_in":"soon"}"#,
                "expires_in of the answer cannot be read",
            ),
        ] {
            assert_eq!(read(body).unwrap_err(), words);
        }
    }
}
