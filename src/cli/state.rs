//! `state …`: what a connector remembers.

use std::path::PathBuf;

use clap::Subcommand;

use super::listing::ConfirmArgs;

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
        /// Take what was exported from a connector of another name
        #[arg(long)]
        rename: bool,
        /// Asked for on a terminal
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}
