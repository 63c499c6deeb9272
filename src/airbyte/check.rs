//! `check`: the first record of each stream that the manifest's `check` names.

use super::failure::{Failure, FailureType};
use super::message::{ConnectionStatus, Message, Status};
use super::output::Output;
use super::source::{Given, index_of};
use super::{Inputs, Settings};
use crate::json::{Map, Value};
use crate::source::Source as _;
use crate::source::manifest::reference::Availability;

/// The configuration's own choice of streams to check.
const NAMES_IN_CONFIG: &str = "__airbyte_check_stream_names";

/// Says whether the configuration works. That it does not is an answer, too.
pub(super) async fn check(
    inputs: &Inputs,
    settings: Settings,
    output: &mut Output,
) -> Result<bool, Failure> {
    let given = Given::load(inputs)?;
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
    let mut config = given.config.clone();
    if let Some(Value::Object(overrides)) = check.get("config_overrides") {
        config.extend(overrides.clone());
    }
    let source = given.open_with(config, settings, None)?;
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
        match source.probe_as_the_reference(stream).await {
            Ok(Availability::Records | Availability::Empty) => {}
            Ok(Availability::NoSlice) => {
                let words = "nothing to ask for: its parent stream has no record";
                return Ok(Some(format!("stream {name} is not available: {words}")));
            }
            Err(error) => {
                let words = Failure::from(error).words;
                return Ok(Some(format!("stream {name} is not available: {words}")));
            }
        }
    }
    Ok(None)
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
