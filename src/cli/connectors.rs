//! `connectors …`: the types that configuration may name.

use clap::Subcommand;

use super::listing::OutputArgs;

/// `connectors …`
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// All connector types
    List(OutputArgs),
    /// One type: version, streams, ways to authenticate, providerConfig
    Show {
        /// Connector type, as in `type`
        kind: String,
        /// Format
        #[command(flatten)]
        output: OutputArgs,
    },
}
