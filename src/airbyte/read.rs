//! `read`: the records of the streams in a catalog, with the states to go on from.

use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::limits::Limits;
use super::message::{Level, Message, Progress};
use super::output::{Output, RecordLine};
use super::source::{Given, index_of};
use super::{Inputs, Settings, input};
use crate::client::FetchError;
use crate::json::Value;
use crate::source::Stopped;
use crate::source::manifest::reference::Sink;

/// Reads the streams one after another. One that fails does not keep the others from being read.
pub(super) async fn read(
    inputs: &Inputs,
    catalog: &Path,
    state: Option<&Path>,
    settings: Settings,
    output: &mut Output,
) -> Result<bool, Failure> {
    let given = Given::load(inputs, settings)?;
    let names = input::catalog(catalog)?;
    let states = input::state(state)?;
    super::discover::warn_of_components(inputs, output)?;
    given.validate()?;
    let limits = Arc::new(Limits::new(settings.clock));
    let source = given.open_with(given.config.clone(), settings, Some(limits.clone()))?;
    let source = source.with_asked_streams().await?;
    output.send(&Message::log(Level::Info, "Starting syncing"))?;
    let mut failed = Vec::new();
    for name in &names {
        let Some(stream) = index_of(&source, name) else {
            // The manifest has lost it since the catalog was made.
            output.send(&Message::status(name, Progress::Incomplete, settings.clock))?;
            continue;
        };
        output.send(&Message::status(name, Progress::Started, settings.clock))?;
        limits.reading(name);
        let mut sink = StreamSink::new(name, output);
        let result = source
            .read_as_the_reference(stream, states.get(name), &mut sink)
            .await;
        let is_whole =
            result.map_err(|stopped| sink.broken.take().map_or(stopped.into(), Failure::from))?;
        let end = if is_whole {
            Progress::Complete
        } else {
            failed.push(name.as_str());
            Progress::Incomplete
        };
        output.send(&Message::status(name, end, settings.clock))?;
    }
    if failed.is_empty() {
        output.send(&Message::log(Level::Info, "Finished syncing"))?;
        return Ok(true);
    }
    let words = format!("could not read all of: {}", failed.join(", "));
    Err(Failure::config(words))
}

/// Prints what the read of one stream tells.
struct StreamSink<'o> {
    stream: &'o str,
    line: RecordLine,
    is_running: bool,
    output: &'o mut Output,
    /// Why nothing more can be printed.
    broken: Option<std::io::Error>,
}

impl<'o> StreamSink<'o> {
    fn new(stream: &'o str, output: &'o mut Output) -> Self {
        Self {
            stream,
            line: RecordLine::of(stream),
            is_running: false,
            output,
            broken: None,
        }
    }

    fn told(&mut self, result: std::io::Result<()>) -> Result<(), Stopped> {
        result.map_err(|error| {
            self.broken = Some(error);
            Stopped
        })
    }
}

impl Sink for StreamSink<'_> {
    fn record(&mut self, record: &[u8]) -> Result<(), Stopped> {
        if !self.is_running {
            self.is_running = true;
            let running = Message::status(self.stream, Progress::Running, self.output.clock);
            let result = self.output.send(&running);
            self.told(result)?;
        }
        self.output.count(self.stream, 1);
        let result = self.output.record(&self.line, record);
        self.told(result)
    }

    fn state(&mut self, state: &Value) -> Result<(), Stopped> {
        let result = self.output.state(self.stream, state);
        self.told(result)
    }

    fn failed(&mut self, error: FetchError) -> Result<(), Stopped> {
        let failure = Failure::from(error);
        let message = Message::error(&failure, Some(self.stream), self.output.clock);
        let result = self.output.send(&message);
        self.told(result)
    }
}
