//! Process entry point: parse, run one command, map the result to an exit code.

use std::process::ExitCode;

use connector_worker::cli::Cli;
use connector_worker::commands::{self, exit};
use connector_worker::config::Environment;
use connector_worker::{client, os_signal, telemetry};

// Page-sized buffers come and go: the system allocator keeps far more of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any I/O: an early SIGHUP must reload, not kill, and TLS needs its provider.
    let signals = os_signal::install();
    client::install_crypto_provider();
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    // Names or values that are no UTF-8 cannot be configuration.
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    telemetry::init(&telemetry::LogOptions {
        format: cli.global.log_format,
        filter: environment
            .get("RUST_LOG")
            .cloned()
            .or_else(|| commands::log_filter(&cli)),
        no_color: environment
            .get("NO_COLOR")
            .is_some_and(|value| !value.is_empty()),
    });
    for unread in &cli.unread {
        tracing::warn!("{unread}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match (runtime, signals) {
        (Ok(runtime), Ok(signals)) => {
            let result = runtime.block_on(commands::execute(cli, environment, signals));
            // A task that ignores its stop must not hold the process.
            runtime.shutdown_background();
            result
        }
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}
