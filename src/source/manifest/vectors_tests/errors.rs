//! `errors.json`: what an answer means, and how long to wait.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Verdict, node, run, text, verdict};
use crate::client::{Response, TransportKind};
use crate::clock::Clock;
use crate::json::{Map, Value};
use crate::source::manifest::errors::{Action, ErrorHandler, FailureType};
use crate::source::manifest::template::Context;

#[test]
fn answers_mean_what_they_mean_to_the_reference() {
    run("errors", |item| {
        let response = item.get("response");
        let empty = Map::new();
        let clock = match item.get("now").and_then(Value::as_str) {
            Some(now) => Clock::Frozen(now.parse().unwrap()),
            None => Clock::System,
        };
        let config = item.get("config").unwrap();
        let context = Context::new(clock)
            .with("config", config)
            .with("parameters", &empty);
        let handler = ErrorHandler::build(&node(item.get("definition").unwrap())).unwrap();
        let expected = item.get("result").and_then(|result| result.get("value"));
        match text(item, "what") {
            "decision" => {
                let ours = decision(&handler, response.unwrap(), expected, &context);
                verdict(item, ours)
            }
            "backoff" => same_waits(
                &handler.waits(&response_of(response.unwrap()), &context),
                expected.and_then(Value::as_array).unwrap(),
            ),
            "max_retries" => {
                let ours = handler.max_retries(&context).unwrap();
                match expected.and_then(|value| value.get("max_retries")) {
                    Some(Value::Int(theirs)) if *theirs == ours => Verdict::Same,
                    _ => Verdict::Different(format!("got {ours}")),
                }
            }
            what => panic!("unknown case {what}"),
        }
    });
}

fn decision(
    handler: &ErrorHandler,
    response: &Value,
    expected: Option<&Value>,
    context: &Context<'_>,
) -> Result<Value, String> {
    let resolution = match response.get("exception").and_then(Value::as_str) {
        Some(name) => ErrorHandler::resolve_failure(failure(name)),
        None => handler
            .resolve(&response_of(response), context)
            .map_err(|error| error.to_string())?,
    };
    let action = match resolution.action {
        Action::Success => "SUCCESS",
        Action::Retry => "RETRY",
        Action::RateLimited => "RATE_LIMITED",
        Action::Ignore => "IGNORE",
        Action::Fail => "FAIL",
        Action::Refresh => "REFRESH_TOKEN_THEN_RETRY",
    };
    let failure = resolution.failure_type.map(|failure| match failure {
        FailureType::System => "system_error",
        FailureType::Config => "config_error",
        FailureType::Transient => "transient_error",
    });
    let mut shown = Map::new();
    shown.insert("action".to_owned(), action.into());
    shown.insert(
        "failure_type".to_owned(),
        failure.map_or(Value::Null, Value::from),
    );
    // The reference's own wording of default messages is its own; a manifest's must agree.
    let message = match resolution.message {
        Some(message) => message.into(),
        None => expected
            .and_then(|value| value.get("error_message"))
            .cloned()
            .unwrap_or_default(),
    };
    shown.insert("error_message".to_owned(), message);
    Ok(shown.into())
}

/// What a failure that Python names is called here.
fn failure(exception: &str) -> TransportKind {
    match exception {
        "ConnectionError" => TransportKind::Connect,
        "ReadTimeout" => TransportKind::Timeout,
        "ChunkedEncodingError" => TransportKind::Truncated,
        "InvalidURL" => TransportKind::Refused,
        other => panic!("unknown failure {other}"),
    }
}

fn same_waits(ours: &[Result<Option<f64>, String>], theirs: &[Value]) -> Verdict {
    for (ours, theirs) in ours.iter().zip(theirs) {
        let same = match (ours, theirs.get("value")) {
            (Err(_), None) | (Ok(None), Some(Value::Null)) => true,
            (Ok(Some(ours)), Some(Value::Float(theirs))) => (ours - theirs).abs() < 1e-6,
            _ => false,
        };
        if !same {
            return Verdict::Different(format!("got {ours:?} instead of {theirs}"));
        }
    }
    Verdict::Same
}

fn response_of(value: &Value) -> Response {
    let status = match value.get("status") {
        Some(Value::Int(status)) => u16::try_from(*status).unwrap(),
        _ => 429,
    };
    let body = match value.get("body") {
        None => Vec::new(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(body) => body.to_json(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in value.get("headers").and_then(Value::as_object).unwrap() {
        headers.insert(
            HeaderName::try_from(name.as_str()).unwrap(),
            HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
        );
    }
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::from(body),
        url: "https://api.example.com/v1/items".parse().unwrap(),
    }
}
