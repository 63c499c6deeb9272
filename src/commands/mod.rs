//! One file per subcommand.
//!
//! A command prints its data on stdout and everything else on stderr, and returns its exit code
//! or an error that [`exit`] turns into one.

mod airbyte;
mod check;
mod connectors;
mod context;
pub mod demo;
mod dlq;
pub mod exit;
mod leases;
mod manifest;
mod output;
mod poll;
mod preview;
mod progress;
pub mod render;
mod replay;
mod run;
mod state;
mod status;
mod stores;
mod tail;
mod tokens;
mod validate;
mod webhook;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::config::{Environment, schema};
use crate::os_signal::OsSignals;
use context::Context;

/// How long the end of a process waits for tokens that are being renewed.
const LONGEST_RENEWAL: Duration = Duration::from_secs(20);

/// What is logged where `RUST_LOG` says nothing, if the command wants less than usual: a live
/// table shares its terminal with the log.
pub fn log_filter(cli: &Cli) -> Option<String> {
    let filter = match &cli.command {
        Some(Command::Demo(_)) if std::io::stderr().is_terminal() => "warn",
        Some(Command::Airbyte(command)) if command.debug() => "info,connector_worker=debug",
        _ => return None,
    };
    Some(filter.to_owned())
}

/// Runs the command that was asked for.
pub async fn execute(cli: Cli, environment: Environment, signals: OsSignals) -> Result<ExitCode> {
    let context = Context::new(cli.global.clone(), environment)?;
    let code = Box::pin(command(&context, cli, signals)).await;
    // An answer on its way may hold the only good refresh token.
    if !context.credentials.settle(LONGEST_RENEWAL).await {
        tracing::error!("a token that was being renewed is not stored yet; it may be lost");
    }
    code
}

async fn command(context: &Context, cli: Cli, signals: OsSignals) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        None | Some(Command::Run(_)) => run::run(context, &cli.run, None, signals).await,
        Some(Command::Serve(args)) => run::run(context, &cli.run, Some(&args), signals).await,
        Some(Command::Demo(args)) => demo::demo(context, &args, signals).await.map(done),
        Some(Command::Validate(names)) => validate::validate(context, &names.name).map(done),
        Some(Command::Check { name }) => until_signal(signals, check::check(context, &name)).await,
        Some(Command::Preview(args)) => preview::preview(context, &args, signals).await.map(done),
        Some(Command::Poll { name }) => poll::poll(context, &name, signals).await,
        Some(Command::Tail(args)) => tail::tail(context, &args, signals).await.map(done),
        Some(Command::Status(args)) => {
            tokio::select! {
                code = status::status(context, &args) => code,
                code = interrupted(signals) => code,
            }
        }
        Some(Command::State(command)) => {
            until_signal(signals, state::state(context, command)).await
        }
        Some(Command::Leases(command)) => {
            until_signal(signals, leases::leases(context, command)).await
        }
        Some(Command::Dlq(command)) => until_signal(signals, dlq::dlq(context, command)).await,
        Some(Command::Webhook(command)) => {
            tokio::select! {
                code = webhook::webhook(context, command) => code,
                code = interrupted(signals) => code,
            }
        }
        Some(Command::Connectors(command)) => connectors::connectors(context, command).map(done),
        Some(Command::Manifest(command)) => manifest::manifest(command).await,
        Some(Command::Airbyte(command)) => {
            tokio::select! {
                code = airbyte::airbyte(context, command) => code,
                code = interrupted(signals) => code,
            }
        }
        Some(Command::Schema { signal, manifest }) => {
            let schema = match (signal, manifest) {
                (true, _) => schema::signal(),
                (_, true) => schema::manifest(),
                _ => schema::configuration(&*context.catalog().map_err(exit::Problems)?),
            };
            output::json(&schema).map(done)
        }
        Some(Command::Completions { shell }) => {
            let mut command = Cli::command();
            clap_complete::generate(
                shell,
                &mut command,
                "connector-worker",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command that has nothing to finish when it is told to stop: a lease that it may hold
/// ends by itself.
async fn until_signal(
    signals: OsSignals,
    command: impl Future<Output = Result<()>>,
) -> Result<ExitCode> {
    tokio::select! {
        done = command => done.map(|()| ExitCode::SUCCESS),
        code = interrupted(signals) => code,
    }
}

async fn interrupted(mut signals: OsSignals) -> Result<ExitCode> {
    signals.shutdown().await;
    anyhow::bail!("interrupted")
}
