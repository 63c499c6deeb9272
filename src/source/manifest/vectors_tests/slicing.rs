//! `slicing.json`: windows of a cursor, and its state after they were read.

use super::{node, run, text, verdict};
use crate::clock::Clock;
use crate::json::{Map, Value};
use crate::source::manifest::cursor::{DatetimeBasedCursor, Observed, OpenCursor};
use crate::source::manifest::datetime::DateTime;
use crate::source::manifest::template::Context;

#[test]
fn time_is_cut_as_in_the_reference() {
    run("slicing", |item| match text(item, "what") {
        "format" => verdict(item, format(item)),
        "parse" => verdict(item, parse(item)),
        "slices" => verdict(item, slices(item)),
        "state_after" => verdict(item, state_after(item)),
        what => panic!("unknown kind {what}"),
    });
}

fn format(item: &Value) -> Result<Value, String> {
    let instant = ["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"]
        .iter()
        .find_map(|format| DateTime::strptime(text(item, "instant"), format).ok())
        .unwrap();
    let printed = instant.format(text(item, "format"));
    printed.map(Value::from).map_err(|error| error.what)
}

fn parse(item: &Value) -> Result<Value, String> {
    let date = DateTime::parse_value(item.get("value").unwrap(), text(item, "format"));
    let date = date.map_err(|error| error.what)?;
    Ok(Value::from(date.isoformat('T')))
}

fn open(item: &Value) -> Result<OpenCursor, String> {
    let cursor = DatetimeBasedCursor::build(&node(item.get("cursor").unwrap()))
        .map_err(|problem| problem.to_string())?;
    let clock = Clock::Frozen(text(item, "now").parse().unwrap());
    let context = Context::new(clock).with("config", item.get("config"));
    cursor.open(&context).map_err(|error| error.to_string())
}

fn slices(item: &Value) -> Result<Value, String> {
    let cursor = open(item)?;
    let progress = cursor
        .progress(item.get("state"))
        .map_err(|error| error.to_string())?;
    let windows = cursor
        .windows(&progress)
        .map(|window| window.map(|window| Value::Object(window.slice)))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    Ok(Value::Array(windows))
}

fn state_after(item: &Value) -> Result<Value, String> {
    let cursor = open(item)?;
    let mut progress = cursor.progress(None).map_err(|error| error.to_string())?;
    let values = item
        .get("cursor_values_in_every_slice")
        .and_then(Value::as_array)
        .unwrap();
    for window in cursor.windows(&progress) {
        let window = window.map_err(|error| error.to_string())?;
        let mut observed = Observed::default();
        for value in values {
            let mut record = Map::new();
            if value.as_str() != Some("$absent") {
                record.insert(cursor.cursor_field().to_owned(), value.clone());
            }
            observed.record(&cursor, &Value::Object(record).to_json());
        }
        progress.close(&cursor, &window, observed);
    }
    progress.state(&cursor).map_err(|error| error.to_string())
}
