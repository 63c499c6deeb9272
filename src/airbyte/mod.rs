//! A drop-in for Airbyte's `source-declarative-manifest`: the same commands, flags, protocol lines
//! on stdout and exit status, on this engine in reference mode.
//!
//! ```text
//! input (files) ─► source (manifest + config) ─► check | discover | read ─► output (lines)
//! ```
//!
//! The protocol is described at <https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol>.

mod check;
mod discover;
mod failure;
mod input;
mod limits;
mod message;
mod output;
mod read;
mod source;
mod spec;

use std::path::PathBuf;
use std::time::Duration;

use self::message::Message;
use self::output::Output;
use crate::clock::Clock;

/// What to do, as the command line says it.
#[derive(Debug, Clone)]
pub enum Command {
    /// Print what a configuration must look like.
    Spec {
        /// The manifest whose own specification to print.
        manifest: Option<PathBuf>,
    },
    /// Prove that the configuration works.
    Check(Inputs),
    /// Print the streams.
    Discover(Inputs),
    /// Print the records of the streams in a catalog.
    Read {
        /// Manifest and configuration.
        inputs: Inputs,
        /// Which streams.
        catalog: PathBuf,
        /// Where to go on from.
        state: Option<PathBuf>,
    },
}

/// Files that every command but `spec` needs.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// JSON.
    pub config: PathBuf,
    /// YAML; without it the manifest stands in the configuration.
    pub manifest: Option<PathBuf>,
    /// Python code of custom components, which this engine does not run.
    pub components: Option<PathBuf>,
}

/// What the process brings along.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What "now" is.
    pub clock: Clock,
    /// Cap on every wait; for tests.
    pub max_backoff: Option<Duration>,
}

/// Runs one command and prints its messages; whether it ended well.
///
/// What fails is told as a message, too: whoever drives a source reads stdout.
pub async fn run(command: &Command, settings: Settings) -> std::io::Result<bool> {
    let mut output = Output::stdout(settings.clock);
    let result = match command {
        Command::Spec { manifest } => spec::spec(manifest.as_deref(), &mut output),
        Command::Check(inputs) => check::check(inputs, settings, &mut output).await,
        Command::Discover(inputs) => discover::discover(inputs, settings, &mut output).await,
        Command::Read {
            inputs,
            catalog,
            state,
        } => read::read(inputs, catalog, state.as_deref(), settings, &mut output).await,
    };
    let ended_well = match result {
        Ok(ended_well) => ended_well,
        Err(failure) => {
            output.send(&Message::error(&failure, None, settings.clock))?;
            false
        }
    };
    output.flush()?;
    Ok(ended_well)
}
