//! `airbyte`: the protocol of Airbyte's sources on stdout.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::context::Context;
use crate::airbyte::{self, Command, Inputs, Settings};
use crate::cli::{AirbyteArgs, AirbyteCommand};

/// Runs one command of the protocol.
pub(super) async fn airbyte(context: &Context, command: AirbyteCommand) -> Result<ExitCode> {
    let inputs = |args: AirbyteArgs| Inputs {
        config: args.config,
        manifest: args.manifest_path,
        components: args.components_path,
    };
    let command = match command {
        AirbyteCommand::Spec { manifest_path, .. } => Command::Spec {
            manifest: manifest_path,
        },
        AirbyteCommand::Check(args) => Command::Check(inputs(args)),
        AirbyteCommand::Discover(args) => Command::Discover(inputs(args)),
        AirbyteCommand::Read {
            args,
            catalog,
            state,
        } => Command::Read {
            inputs: inputs(args),
            catalog,
            state,
        },
    };
    let settings = Settings {
        clock: context.clock,
        max_backoff: context.max_backoff,
    };
    let ended_well = airbyte::run(&command, settings)
        .await
        .context("cannot write to stdout")?;
    Ok(if ended_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::exit::FAILURE)
    })
}
