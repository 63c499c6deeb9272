//! How commands print, and whether they ask first.

use clap::{Args, ValueEnum};

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
