//! The files that a command is given: configuration, catalog, state.

use std::collections::BTreeMap;
use std::path::Path;

use super::failure::Failure;
use crate::json::{Map, Value, parse};

/// The key of a configuration under which the manifest may stand.
pub(super) const INJECTED_MANIFEST: &str = "__injected_declarative_manifest";

/// Reads a JSON file; `what` names it in messages.
fn json(path: &Path, what: &str) -> Result<Value, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::system(format!("cannot read the {what} {shown}: {error}")))?;
    parse(&bytes).map_err(|error| Failure::system(format!("the {what} {shown}: {error}")))
}

/// The configuration.
pub(super) fn config(path: &Path) -> Result<Map, Failure> {
    match json(path, "configuration")? {
        Value::Object(config) => Ok(config),
        _ => Err(Failure::system("the configuration is no JSON object")),
    }
}

/// The names of the streams that a configured catalog asks for, in its order.
pub(super) fn catalog(path: &Path) -> Result<Vec<String>, Failure> {
    let catalog = json(path, "catalog")?;
    let streams = catalog.get("streams").and_then(Value::as_array);
    let streams = streams.ok_or_else(|| Failure::system("the catalog has no list of streams"))?;
    streams
        .iter()
        .map(|configured| {
            let name = configured.get("stream").and_then(|of| of.get("name"));
            let name = name.and_then(Value::as_str).map(str::to_owned);
            name.ok_or_else(|| Failure::system("a stream of the catalog has no name"))
        })
        .collect()
}

/// The state of each stream: the last one where a stream has several.
pub(super) fn state(path: Option<&Path>) -> Result<BTreeMap<String, Value>, Failure> {
    let Some(path) = path else {
        return Ok(BTreeMap::new());
    };
    let messages = match json(path, "state")? {
        Value::Array(messages) => messages,
        Value::Null => Vec::new(),
        Value::Object(map) if map.is_empty() => Vec::new(),
        _ => {
            return Err(Failure::system(
                "the state is no list of state messages, as connectors print them",
            ));
        }
    };
    let mut states = BTreeMap::new();
    for message in &messages {
        match message.get("type").and_then(Value::as_str) {
            Some("STREAM") | None => add(message.get("stream"), &mut states)?,
            Some("GLOBAL") => {
                let global = message.get("global");
                if global
                    .and_then(|global| global.get("shared_state"))
                    .is_some_and(|shared| *shared != Value::Null)
                {
                    return Err(Failure::system(
                        "the state is shared between streams, which no manifest's is",
                    ));
                }
                let streams = global.and_then(|global| global.get("stream_states"));
                for stream in streams.and_then(Value::as_array).unwrap_or_default() {
                    add(Some(stream), &mut states)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(states)
}

fn add(stream: Option<&Value>, states: &mut BTreeMap<String, Value>) -> Result<(), Failure> {
    let name = stream
        .and_then(|stream| stream.get("stream_descriptor")?.get("name"))
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::system("a message of the state names no stream"))?;
    match stream.and_then(|stream| stream.get("stream_state")) {
        Some(state @ Value::Object(_)) => drop(states.insert(name.to_owned(), state.clone())),
        _ => drop(states.remove(name)),
    }
    Ok(())
}
