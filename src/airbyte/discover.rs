//! `discover`: the streams of a manifest as a catalog.

use super::failure::Failure;
use super::message::{Catalog, Level, Message, Stream, raw};
use super::output::Output;
use super::source::Given;
use super::{Inputs, Settings};
use crate::source::Source as _;
use crate::source::manifest::reference::Described;

/// Prints the catalog. A stream that this engine cannot read is left out, and the log says why.
pub(super) async fn discover(
    inputs: &Inputs,
    settings: Settings,
    output: &mut Output,
) -> Result<bool, Failure> {
    let given = Given::load(inputs, settings)?;
    warn_of_components(inputs, output)?;
    given.validate()?;
    let source = given.open(settings).await?;
    let mut streams = Vec::new();
    for (index, spec) in source.streams().iter().enumerate() {
        if let Some(why) = &spec.unavailable {
            let words = format!("stream {} is left out: {why}", spec.name);
            output.send(&Message::log(Level::Warn, words))?;
            continue;
        }
        let described = source.describe_as_the_reference(index).await?;
        streams.push(stream(&spec.name, described));
    }
    output.send(&Message::Catalog {
        catalog: Catalog { streams },
    })?;
    Ok(true)
}

fn stream(name: &str, described: Described) -> Stream {
    let is_incremental = described.cursor_field.is_some();
    let mut supported_sync_modes = vec!["full_refresh"];
    supported_sync_modes.extend(is_incremental.then_some("incremental"));
    let key = described.primary_key.into_iter().map(|field| vec![field]);
    Stream {
        name: name.to_owned(),
        json_schema: raw(&described.schema),
        supported_sync_modes,
        source_defined_cursor: is_incremental.then_some(true),
        default_cursor_field: described.cursor_field.map(|field| vec![field]),
        source_defined_primary_key: Some(key.collect()).filter(|key: &Vec<_>| !key.is_empty()),
        is_resumable: is_incremental,
        is_file_based: false,
    }
}

/// Python code is not run; the streams that need it say so themselves.
pub(super) fn warn_of_components(inputs: &Inputs, output: &mut Output) -> Result<(), Failure> {
    if let Some(path) = &inputs.components {
        let path = path.display();
        let words = format!("{path} is not run: this engine has no custom components");
        output.send(&Message::log(Level::Warn, words))?;
    }
    Ok(())
}
