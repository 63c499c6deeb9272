//! How long a refusal's body asks to wait, where its headers do not say.
//!
//! Google puts a `RetryInfo` among the details of an error (`retryDelay: "33s"`) or names an
//! instant in its message; Dropbox and others send `retry_after` in seconds.

use std::time::Duration;

use jiff::Timestamp;

use crate::json::{Value, parse};

/// Largest body that is looked through.
const MAX_BYTES: usize = 64 * 1024;
/// Longest wait that is believed.
const MAX_WAIT: Duration = Duration::from_hours(24);
/// Levels that are looked through.
const MAX_DEPTH: usize = 8;

/// The longest wait that `body` asks for.
pub(super) fn wait_in_body(body: &[u8], now: Timestamp) -> Option<Duration> {
    if body.len() > MAX_BYTES {
        return None;
    }
    longest(&parse(body).ok()?, now, MAX_DEPTH)
}

fn longest(value: &Value, now: Timestamp, depth: usize) -> Option<Duration> {
    if depth == 0 {
        return None;
    }
    match value {
        Value::Object(map) => map
            .iter()
            .filter_map(|(key, value)| {
                let own = match key.as_str() {
                    "retry_after" | "retryAfter" | "retryDelay" | "retry_delay" => seconds(value),
                    "message" => value.as_str().and_then(|text| instant_in(text, now)),
                    _ => None,
                };
                own.max(longest(value, now, depth - 1))
            })
            .max(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| longest(item, now, depth - 1))
            .max(),
        _ => None,
    }
}

/// A number of seconds, also as text and with its unit.
fn seconds(value: &Value) -> Option<Duration> {
    let text = match value {
        Value::String(text) => text.trim_end_matches('s').to_owned(),
        Value::Int(_) | Value::Float(_) => value.to_string(),
        _ => return None,
    };
    let wait = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
    Some(wait.min(MAX_WAIT))
}

/// The wait until the instant that follows "retry after" in a message.
fn instant_in(message: &str, now: Timestamp) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let (_, rest) = message.split_at(lower.find("retry after ")? + "retry after ".len());
    let text = rest.split_whitespace().next()?.trim_end_matches(['.', ',']);
    let at: Timestamp = text.parse().ok()?;
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_say_how_long_to_wait() {
        let now: Timestamp = "2026-04-29T18:00:00Z".parse().unwrap();
        for (body, wait) in [
            (
                r#"{"error":{"message":"User-rate limit exceeded.  Retry after 2026-04-29T18:00:12.000Z","errors":[{"message":"x"}]}}"#,
                Some(12.0),
            ),
            (
                r#"{"error":{"message":"Retry after 2026-04-29T17:00:00Z."}}"#,
                Some(0.0),
            ),
            (
                r#"{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"},{"retryDelay":"1.5s"}]}}"#,
                Some(33.0),
            ),
            (
                r#"{"error":{"reason":{".tag":"too_many_requests"},"retry_after":300}}"#,
                Some(300.0),
            ),
            (r#"{"retry_after":99999999}"#, Some(86400.0)),
            (r#"{"retry_after":-1}"#, None),
            (
                r#"{"retry_after":"soon","message":"retry after lunch"}"#,
                None,
            ),
            ("<html>slow down</html>", None),
        ] {
            let found = wait_in_body(body.as_bytes(), now).map(|wait| wait.as_secs_f64());
            assert_eq!(found, wait, "{body}");
        }
    }
}
