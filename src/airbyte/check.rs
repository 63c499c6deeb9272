//! `check`: the first record of each stream that the manifest's `check` names.

use super::failure::{Failure, FailureType};
use super::message::{ConnectionStatus, Message, Status};
use super::output::Output;
use super::source::{Given, index_of};
use super::{Inputs, Settings};
use crate::json::{Map, Value};
use crate::source::Source as _;
use crate::source::manifest::ManifestSource;
use crate::source::manifest::reference::Availability;

/// The configuration's own choice of streams to check.
const NAMES_IN_CONFIG: &str = "__airbyte_check_stream_names";

/// Says whether the configuration works. That it does not is an answer, too.
pub(super) async fn check(
    inputs: &Inputs,
    settings: Settings,
    output: &mut Output,
) -> Result<bool, Failure> {
    let given = Given::load(inputs, settings)?;
    super::discover::warn_of_components(inputs, output)?;
    let problem = match given.validate() {
        Err(failure) if failure.kind == FailureType::Config => Some(failure.words),
        Err(failure) => return Err(failure),
        Ok(()) => probe(&given, settings).await?,
    };
    let status = match &problem {
        None => Status::Succeeded,
        Some(_) => Status::Failed,
    };
    output.send(&Message::ConnectionStatus {
        connection_status: ConnectionStatus {
            status,
            message: problem,
        },
    })?;
    Ok(true)
}

/// What keeps one of the streams from being read, if anything does.
async fn probe(given: &Given, settings: Settings) -> Result<Option<String>, Failure> {
    let check = given
        .manifest
        .document
        .get("check")
        .map(crate::document::Node::to_value)
        .ok_or_else(|| Failure::system("the manifest has no check"))?;
    let names = names(&given.config, &check)?;
    let is_dynamic = check.get("type") == Some(&"CheckDynamicStream".into());
    let mut config = given.config.clone();
    if let Some(Value::Object(overrides)) = check.get("config_overrides") {
        config.extend(overrides.clone());
    }
    let mut source = given.open_with(config, settings, None)?;
    let is_there = |name: &String| index_of(&source, name).is_some();
    let checks_made = check.get("dynamic_streams_check_configs").is_some();
    if is_dynamic || checks_made || names.is_empty() || !names.iter().all(is_there) {
        // What the provider says is asked for only where it matters.
        source = match source.with_asked_streams().await {
            Ok(source) => source,
            Err(error) => return Ok(Some(Failure::from(error).words)),
        };
    }
    if is_dynamic {
        return first_streams(&source, &check).await;
    }
    for name in &names {
        let Some(stream) = index_of(&source, name) else {
            let known: Vec<&str> = source
                .streams()
                .iter()
                .map(|stream| &*stream.name)
                .collect();
            let words = format!("{name} is no stream; there are {}", known.join(", "));
            return Err(Failure::system(words));
        };
        if let Some(problem) = one(&source, stream).await {
            return Ok(Some(problem));
        }
    }
    made_streams(&source, &check).await
}

/// `CheckDynamicStream`: so many of the streams, whatever they are called.
async fn first_streams(source: &ManifestSource, check: &Value) -> Result<Option<String>, Failure> {
    let Some(Value::Int(count)) = check.get("stream_count") else {
        return Err(Failure::system("CheckDynamicStream has no stream_count"));
    };
    if source.streams().is_empty() {
        return Ok(Some("there is no stream to check".to_owned()));
    }
    if check.get("use_check_availability") == Some(&Value::Bool(false)) {
        return Ok(None);
    }
    let count = usize::try_from(*count).unwrap_or(0);
    for stream in 0..count.min(source.streams().len()) {
        if let Some(problem) = one(source, stream).await {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

/// `dynamic_streams_check_configs`: streams that were made from templates.
async fn made_streams(source: &ManifestSource, check: &Value) -> Result<Option<String>, Failure> {
    let configs = check.get("dynamic_streams_check_configs");
    for config in configs.and_then(Value::as_array).unwrap_or_default() {
        let name = config.get("dynamic_stream_name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        if !source.templates().iter().any(|known| **known == *name) {
            return Ok(Some(format!("{name} is no template of streams")));
        }
        let mut streams = source.made_from(name);
        if let Some(Value::Int(count)) = config.get("stream_count") {
            streams.truncate(usize::try_from(*count).unwrap_or(0));
        }
        for stream in streams {
            if let Some(problem) = one(source, stream).await {
                return Ok(Some(problem));
            }
        }
    }
    Ok(None)
}

/// What keeps a stream from being read, if anything does.
async fn one(source: &ManifestSource, stream: usize) -> Option<String> {
    let words = match source.probe_as_the_reference(stream).await {
        Ok(Availability::Records | Availability::Empty) => return None,
        Ok(Availability::NoSlice) => {
            "nothing to ask for: its parent stream has no record".to_owned()
        }
        Err(error) => Failure::from(error).words,
    };
    let name = &source.streams()[stream].name;
    Some(format!("stream {name} is not available: {words}"))
}

fn names(config: &Map, check: &Value) -> Result<Vec<String>, Failure> {
    let of = |names: &Value| -> Option<Vec<String>> {
        let names = names.as_array()?.iter();
        names.map(|name| Some(name.as_str()?.to_owned())).collect()
    };
    match config.get(NAMES_IN_CONFIG) {
        Some(names) if names.as_array() != Some(&[]) => of(names)
            .ok_or_else(|| Failure::system(format!("{NAMES_IN_CONFIG} is no list of texts"))),
        _ => Ok(check.get("stream_names").and_then(of).unwrap_or_default()),
    }
}
