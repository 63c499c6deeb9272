//! `dlq …`: records that could not become signals, deliveries that were given up.

use clap::Subcommand;

use super::listing::{ConfirmArgs, OutputArgs};

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
