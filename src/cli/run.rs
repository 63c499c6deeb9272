//! Options of `run`, of those that look at the same connectors, and of `demo`.

use std::time::Duration;

use clap::Args;

use super::duration::parse_duration;
use super::listing::OutputArgs;
use crate::server::HttpAddress;

/// Options of the daemon.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Run only this connector; repeatable [env: a comma-separated list]
    #[arg(
        long,
        env = "CONNECTOR_NAME",
        value_delimiter = ',',
        value_parser = trimmed,
        value_name = "NAME"
    )]
    pub name: Vec<String>,

    /// Health and metrics listener: ADDRESS:PORT or `none` [default: 127.0.0.1:9090]
    #[arg(long, env = "CONNECTOR_WORKER_HTTP_ADDR", value_name = "ADDRESS")]
    pub http_addr: Option<HttpAddress>,

    /// Reload when the configuration file changes, as after SIGHUP
    #[arg(long)]
    pub watch: bool,

    /// How long connectors may take to finish their page after SIGTERM
    #[arg(long, value_parser = parse_duration, default_value = "25s", value_name = "DURATION")]
    pub shutdown_timeout: Duration,

    /// Exit with 75 instead of standing by when another worker holds a lease
    #[arg(long)]
    pub no_wait: bool,
}

impl RunArgs {
    /// Takes one option over from `other`.
    pub(super) fn take(&mut self, option: &str, other: &Self) {
        match option {
            "name" => self.name.clone_from(&other.name),
            "http_addr" => self.http_addr = other.http_addr,
            "watch" => self.watch = other.watch,
            "shutdown_timeout" => self.shutdown_timeout = other.shutdown_timeout,
            _ => self.no_wait = other.no_wait,
        }
    }
}

/// Connectors to look at.
#[derive(Debug, Clone, Args)]
pub struct NameArgs {
    /// Only this connector; repeatable [env: a comma-separated list]
    #[arg(
        long,
        env = "CONNECTOR_NAME",
        value_delimiter = ',',
        value_parser = trimmed,
        value_name = "NAME"
    )]
    pub name: Vec<String>,
}

/// Options of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Which connectors
    #[command(flatten)]
    pub names: NameArgs,
    /// Format
    #[command(flatten)]
    pub output: OutputArgs,
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a value parser")]
fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

/// Options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// End by itself after this time; without it, Ctrl-C does
    #[arg(long = "for", value_parser = parse_duration, value_name = "DURATION")]
    pub for_: Option<Duration>,

    /// Health and metrics listener [default: 127.0.0.1:9090, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub http_addr: Option<HttpAddress>,

    /// Chooses the course of events; the same seed gives the same changes
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
}
