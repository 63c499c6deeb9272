//! `manifest …`: for those who write one.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OutputArgs;

/// `manifest …`
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Show everything that is wrong with manifests, each with its place and the fix
    Lint(LintArgs),
}

/// Options of `manifest lint`.
#[derive(Debug, Clone, Args)]
pub struct LintArgs {
    /// Manifests
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Exit with 78 for warnings, too
    #[arg(long)]
    pub deny_warnings: bool,
    /// Format [default: one finding a line]
    #[command(flatten)]
    pub output: OutputArgs,
}
