//! Options of `airbyte …`, named as Airbyte names them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `airbyte …`
#[derive(Debug, Subcommand)]
pub enum AirbyteCommand {
    /// What a configuration must look like
    Spec {
        /// Print this manifest's own specification
        #[arg(long, value_name = "FILE")]
        manifest_path: Option<PathBuf>,
        /// Log more
        #[arg(long)]
        debug: bool,
    },
    /// Whether the configuration works
    Check(AirbyteArgs),
    /// The streams as a catalog
    Discover(AirbyteArgs),
    /// The records of the streams in a catalog
    Read {
        /// Files
        #[command(flatten)]
        args: AirbyteArgs,
        /// Configured catalog: JSON
        #[arg(long, value_name = "FILE")]
        catalog: PathBuf,
        /// State messages of an earlier read: a JSON list
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
    },
}

/// Files that every command but `spec` needs.
#[derive(Debug, Clone, Args)]
pub struct AirbyteArgs {
    /// Configuration of the source: JSON
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Manifest: YAML [default: `__injected_declarative_manifest` of the configuration]
    #[arg(long, value_name = "FILE")]
    pub manifest_path: Option<PathBuf>,
    /// Accepted and not run: Python code of custom components
    #[arg(long, value_name = "FILE")]
    pub components_path: Option<PathBuf>,
    /// Log more
    #[arg(long)]
    pub debug: bool,
}

impl AirbyteCommand {
    /// Whether to log more.
    pub fn debug(&self) -> bool {
        match self {
            Self::Spec { debug, .. } => *debug,
            Self::Check(args) | Self::Discover(args) | Self::Read { args, .. } => args.debug,
        }
    }
}
