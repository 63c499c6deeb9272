//! The engine's parts against the answers of the format's reference, in `tests/fixtures/vectors`.
//!
//! A case that is not run is named below with its reason, and counted in the output.

mod errors;
mod pagination;
mod partitions;
mod records;
mod resolution;
mod slicing;

use super::slice::StreamSlice;
use crate::json::{self, Map, Value};

/// What became of one case.
enum Verdict {
    Same,
    Different(String),
    Skipped(&'static str),
}

/// Runs every item of `tests/fixtures/vectors/{file}.json` and fails on the first few differences.
fn run(file: &str, mut case: impl FnMut(&Value) -> Verdict) {
    let path = format!(
        "{}/tests/fixtures/vectors/{file}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let vectors = json::parse(&std::fs::read(path).unwrap()).unwrap();
    let items = vectors.get("items").and_then(Value::as_array).unwrap();
    let mut same = 0;
    let mut skipped = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    let mut different = Vec::new();
    for item in items {
        let id = text(item, "id");
        match case(item) {
            Verdict::Same => same += 1,
            Verdict::Skipped(reason) => skipped.entry(reason).or_default().push(id),
            Verdict::Different(how) => different.push(format!("{id}: {how}\n    {item}")),
        }
    }
    let left_out: Vec<String> = skipped
        .iter()
        .map(|(reason, ids)| format!("{} {reason} ({})", ids.len(), ids.join(" ")))
        .collect();
    eprintln!("{file}: {same} same; skipped: [{}]", left_out.join("; "));
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        items.len(),
        different.join("\n")
    );
}

/// Compares with the item's `result`: the same value, or both an error.
fn verdict(item: &Value, ours: Result<Value, String>) -> Verdict {
    let result = item.get("result").unwrap();
    match (result.get("value"), ours) {
        (Some(value), Ok(ours)) if *value == ours => Verdict::Same,
        (None, Err(_)) => Verdict::Same,
        (_, Ok(ours)) => Verdict::Different(format!("got {ours}")),
        (_, Err(error)) => Verdict::Different(format!("got the error: {error}")),
    }
}

/// The slice that a JSON object of its parts stands for.
fn slice_of(value: &Value) -> StreamSlice {
    let part = |key| match value.get(key) {
        Some(Value::Object(map)) => map.clone(),
        _ => Map::new(),
    };
    StreamSlice {
        partition: part("partition"),
        cursor: part("cursor_slice"),
        extra_fields: part("extra_fields"),
    }
}

fn text<'v>(item: &'v Value, key: &str) -> &'v str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The document that a JSON value stands for.
fn node(value: &Value) -> crate::document::Node {
    crate::document::Node::of_value(value)
}
