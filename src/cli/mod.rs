//! The command line: types only, one file per group of commands; `parse` makes them of arguments.

mod airbyte;
mod connectors;
mod dlq;
mod duration;
mod examples;
mod global;
mod help;
mod leases;
mod listing;
mod manifest;
mod parse;
mod read;
mod reads;
mod run;
mod serve;
mod state;
mod webhook;

use clap::{Parser, Subcommand};

pub use airbyte::{AirbyteArgs, AirbyteCommand};
pub use connectors::ConnectorsCommand;
pub use dlq::DlqCommand;
pub use duration::parse_duration;
pub use global::GlobalArgs;
pub use leases::LeasesCommand;
pub use listing::{ConfirmArgs, OutputArgs, OutputFormat};
pub use manifest::{LintArgs, ManifestCommand, TestArgs};
pub use read::{PreviewArgs, TailArgs};
pub use run::{DemoArgs, NameArgs, RunArgs, StatusArgs};
pub use serve::{Role, ServeArgs};
pub use state::StateCommand;
pub use webhook::{RecordedArgs, SendArgs, VerifyArgs, WebhookCommand};

const EXAMPLES: &str = "\
Examples:
  connector-worker demo --for 30s                  offline: see signals arrive, no account needed
  connector-worker validate                        every problem in connectors.json at once
  connector-worker --name weather-noaa             run one connector (the Kubernetes form)
  connector-worker check jira-prod                 prove address, credentials and permissions
  connector-worker preview jira-prod --limit 5     what would be published, without publishing
  connector-worker tail --from-start --count 10    read published signals
  REDIS_URL=redis://redis:6379 connector-worker    run all enabled connectors against Redis

Where things are:
  configuration  ./connectors.json, or --config, or the environment (ENABLED_CONNECTORS)
  store          --store, CONNECTOR_STORE or REDIS_URL; else ./.connector-worker/store.db
  health         http://127.0.0.1:9090/ while it runs (--http-addr)

Signals:
  SIGHUP reloads the configuration, SIGTERM and SIGINT finish the page and stop (twice: at once),
  SIGUSR1 logs the state of every connector.

Exit codes:
  0 ok   1 failure   2 usage   69 store or provider unreachable   75 lease held by another
  77 credentials refused   78 configuration.  `status`: 0 healthy, 1 degraded, 2 unhealthy";

/// Brings events out of any SaaS API and into Redis Streams: every version of a record once.
#[derive(Debug, Parser)]
#[command(version, about, after_long_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Options every command has.
    #[command(flatten)]
    pub global: GlobalArgs,

    /// Options of `run`, which is also what happens without a subcommand.
    #[command(flatten)]
    pub run: RunArgs,

    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Options of the process that were given and that the command does not read, in words.
    #[arg(skip)]
    pub unread: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run connectors until told to stop (the default)
    Run(RunArgs),
    /// Receive webhooks, and run connectors beside unless told otherwise
    Serve(Box<ServeArgs>),
    /// Offline: a sandbox provider with recorded payloads, the embedded store, live output
    Demo(DemoArgs),
    /// Show every problem of the configuration at once, with its place and the fix
    Validate(NameArgs),
    /// Prove address, credentials and permissions; publishes nothing
    Check {
        /// Connector name
        name: String,
    },
    /// Read now and print the signals as JSON Lines; writes nothing
    Preview(PreviewArgs),
    /// Exactly one poll cycle, committed; prints its summary as JSON
    Poll {
        /// Connector name
        name: String,
    },
    /// Follow published signals, one CloudEvent a line
    Tail(TailArgs),
    /// Connectors: lease holder, last poll, health; exits 0 healthy, 1 degraded, 2 unhealthy
    Status(StatusArgs),
    /// Look at and change what a connector remembers
    #[command(subcommand)]
    State(StateCommand),
    /// Who runs what
    #[command(subcommand)]
    Leases(LeasesCommand),
    /// Records that could not become signals, and webhook deliveries that were given up
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Recorded webhook deliveries: sign and send one, or find out why one is not trusted
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Connector types that configuration may name
    #[command(subcommand)]
    Connectors(ConnectorsCommand),
    /// For those who write manifests
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Drop-in for Airbyte's source-declarative-manifest: its protocol on stdout
    #[command(subcommand)]
    Airbyte(AirbyteCommand),
    /// JSON Schema of connectors.json, for editors
    Schema {
        /// The schema of a published signal instead
        #[arg(long)]
        signal: bool,
        /// The schema of a manifest instead
        #[arg(long, conflicts_with = "signal")]
        manifest: bool,
    },
    /// Shell completions on stdout
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
}
