//! The command line: types only.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::server::HttpAddress;
use crate::store::StoreAddress;
use crate::telemetry::LogFormat;

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
}

impl Cli {
    /// Reads a command line. Options of `run` may stand before it; before a command that does not
    /// know them they are refused rather than ignored.
    pub fn read<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let mut command = Self::command();
        let matches = command
            .try_get_matches_from_mut(arguments)
            .map_err(without_password)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let before = |id: &&&str| is_given(&matches, id);
        let refuse = |option: &str, of: &str| {
            let option = option.replace('_', "-");
            command.clone().error(
                ErrorKind::ArgumentConflict,
                format!("--{option} has no meaning for `{of}`"),
            )
        };
        match (&mut cli.command, matches.subcommand()) {
            (Some(Command::Run(run)), Some((_, after))) => {
                for option in RUN_OPTIONS.iter().filter(before) {
                    if !is_given(after, option) {
                        run.take(option, &cli.run);
                    }
                }
                cli.run = run.clone();
            }
            (Some(known), Some((name, after))) => {
                for option in RUN_OPTIONS.iter().filter(before) {
                    match known {
                        Command::Validate(names) | Command::Status(StatusArgs { names, .. })
                            if *option == "name" =>
                        {
                            if !is_given(after, option) {
                                names.name.clone_from(&cli.run.name);
                            }
                        }
                        Command::Demo(demo) if *option == "http_addr" => {
                            demo.http_addr = demo.http_addr.or(cli.run.http_addr);
                        }
                        _ => return Err(refuse(option, name)),
                    }
                }
            }
            _ => {}
        }
        let knows_names = matches!(
            cli.command,
            Some(Command::Run(_) | Command::Validate(_) | Command::Status(_))
        );
        let after = matches.subcommand().filter(|_| knows_names);
        let given =
            is_given(&matches, "name") || after.is_some_and(|(_, after)| is_given(after, "name"));
        for names in cli.names() {
            // Empty in the environment means unset; an empty option is a script's slip that
            // would start everything.
            let count = names.len();
            names.retain(|name| !name.is_empty());
            if given && names.len() < count {
                return Err(command.error(ErrorKind::InvalidValue, "--name is empty"));
            }
        }
        Ok(cli)
    }

    /// Every list of names.
    fn names(&mut self) -> impl Iterator<Item = &mut Vec<String>> {
        let of_command = match &mut self.command {
            Some(Command::Run(run)) => Some(&mut run.name),
            Some(Command::Validate(names) | Command::Status(StatusArgs { names, .. })) => {
                Some(&mut names.name)
            }
            _ => None,
        };
        std::iter::once(&mut self.run.name).chain(of_command)
    }
}

/// Options of [`RunArgs`] by their ids.
const RUN_OPTIONS: [&str; 5] = ["name", "http_addr", "watch", "shutdown_timeout", "no_wait"];

/// A store's address may hold a password, which the message about a slip in it would show.
fn without_password(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidValue)
        && let Some((_, after)) = given.rsplit_once('@')
    {
        let shown = format!("***@{after}");
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    error
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok()
        && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Options every command has.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Configuration file [default: ./connectors.json]
    #[arg(
        long,
        global = true,
        env = "CONNECTORS_CONFIG_PATH",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,

    /// Where leases, state and signals live: redis://HOST:PORT, rediss://…,
    /// redis+sentinel://HOST:PORT/SERVICE, sqlite:PATH, memory:
    /// [default: $REDIS_URL, else sqlite:./.connector-worker/store.db]
    #[arg(
        long,
        global = true,
        env = "CONNECTOR_STORE",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    pub store: Option<StoreAddress>,

    /// Prepended to every key in the store
    #[arg(
        long,
        global = true,
        env = "CONNECTOR_KEY_PREFIX",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub key_prefix: String,

    /// Accept a Redis that may evict keys: state or signals can then disappear
    #[arg(long, global = true)]
    pub allow_eviction: bool,

    /// Folder with more manifests, one connector type each
    #[arg(
        long,
        global = true,
        env = "CONNECTOR_MANIFESTS_DIR",
        value_name = "DIR"
    )]
    pub manifests_dir: Option<PathBuf>,

    /// How log lines look (they go to stderr; RUST_LOG chooses which)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

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
    fn take(&mut self, option: &str, other: &Self) {
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

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run connectors until told to stop (the default)
    Run(RunArgs),
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
    /// Records that could not become signals
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Connector types that configuration may name
    #[command(subcommand)]
    Connectors(ConnectorsCommand),
    /// JSON Schema of connectors.json, for editors
    Schema {
        /// The schema of a published signal instead
        #[arg(long)]
        signal: bool,
    },
    /// Shell completions on stdout
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
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

/// Options of `preview`.
#[derive(Debug, Clone, Args)]
pub struct PreviewArgs {
    /// Connector name
    pub name: String,
    /// Stop each stream after about this many records
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
    /// Only this stream; repeatable
    #[arg(long, value_name = "STREAM")]
    pub stream: Vec<String>,
}

/// Options of `tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// Output stream
    #[arg(default_value = "raw-input-signals")]
    pub stream: String,
    /// Begin with the oldest signal that is kept, not with the next
    #[arg(long)]
    pub from_start: bool,
    /// End after this many signals
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
}

/// How a listing is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// Format [default: table on a terminal, json elsewhere]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
}

/// Formats of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One JSON document.
    Json,
    /// Aligned columns.
    Table,
}

/// Asks before something is destroyed.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConfirmArgs {
    /// Do not ask; needed where there is no terminal
    #[arg(long)]
    pub yes: bool,
}

/// `state …`
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Cursors, validators and item versions as JSON
    Show {
        /// Connector name
        name: String,
    },
    /// Forget everything, or one stream: the next poll publishes all of it again
    Reset {
        /// Connector name
        name: String,
        /// Only this stream
        #[arg(long, value_name = "STREAM")]
        stream: Option<String>,
        /// Asked for on a terminal
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Set the cursor of one stream to a JSON value
    Set {
        /// Connector name
        name: String,
        /// Stream
        #[arg(long, value_name = "STREAM")]
        stream: String,
        /// The cursor, as `state show` prints it
        #[arg(long, value_name = "JSON")]
        cursor: String,
        /// Asked for on a terminal
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Everything `import` needs, as JSON
    Export {
        /// Connector name
        name: String,
    },
    /// Replace the state by what `export` wrote
    Import {
        /// Connector name
        name: String,
        /// File, or `-` for stdin
        file: PathBuf,
        /// Asked for on a terminal
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

/// `leases …`
#[derive(Debug, Subcommand)]
pub enum LeasesCommand {
    /// All leases that are held now
    List(OutputArgs),
    /// Take a lease away from its holder, which is fenced; another worker may go on
    Release {
        /// Connector name
        name: String,
        /// Asked for on a terminal
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

/// `dlq …`
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Dead letters, oldest first
    List {
        /// Connector name
        name: String,
        /// How many
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        limit: usize,
        /// Format
        #[command(flatten)]
        output: OutputArgs,
    },
    /// One dead letter with its record
    Show {
        /// Connector name
        name: String,
        /// Its id
        id: String,
    },
    /// Try the stored records again, under the lease; what is published leaves the dead letters
    Replay {
        /// Connector name
        name: String,
        /// Ids; none means all
        id: Vec<String>,
    },
    /// Delete dead letters
    Purge {
        /// Connector name
        name: String,
        /// Ids; none means all
        id: Vec<String>,
        /// Asked for on a terminal
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

/// `connectors …`
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// All connector types
    List(OutputArgs),
    /// One type: version, streams, providerConfig
    Show {
        /// Connector type, as in `type`
        kind: String,
        /// Format
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// `500ms`, `15s`, `2m`, `1h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| invalid_duration(text))?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(invalid_duration(text)),
    };
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(|| invalid_duration(text))
}

fn invalid_duration(text: &str) -> String {
    format!("{text:?} is no duration; write 500ms, 15s, 2m or 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_run_count_before_and_after_it() {
        let read = |line: &str| Cli::read(line.split(' '));
        let names = |line| read(line).map(|cli| cli.run.name).ok();
        let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(names("cw --name a"), list(&["a"]));
        assert_eq!(names("cw --name a run"), list(&["a"]));
        assert_eq!(names("cw run --name a,b"), list(&["a", "b"]));
        assert_eq!(names("cw --name a run --name b"), list(&["b"]));
        assert!(read("cw --watch run").unwrap().run.watch);
        let status = read("cw --name a status").unwrap();
        assert!(matches!(status.command, Some(Command::Status(args)) if args.names.name == ["a"]));
        for refused in [
            "cw --watch poll a",
            "cw --name a poll b",
            "cw --watch validate",
            "cw --name= run",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_slip_in_an_address_does_not_show_its_password() {
        let error = Cli::read(["cw", "--store", "redsi://:hush@host", "validate"]).unwrap_err();
        let told = error.to_string();
        assert!(
            !told.contains("hush") && told.contains("***@host"),
            "{told}"
        );
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_mins(2)));
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "99999999999999999999h",
            "99999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
