//! `leases …`: who runs what.

use clap::Subcommand;

use super::listing::{ConfirmArgs, OutputArgs};

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
