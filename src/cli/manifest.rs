//! `manifest …`: for those who write one.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OutputArgs;

/// `manifest …`
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Show everything that is wrong with manifests, each with its place and the fix
    Lint(LintArgs),
    /// Play recorded or hand-written answers, offline, and compare what is published
    Test(TestArgs),
}

/// Options of `manifest test`.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Manifest
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Cassettes, or folders of them [default: FILE without its ending, `.cassettes`]
    #[arg(value_name = "CASSETTE")]
    pub cassettes: Vec<PathBuf>,
    /// Write what is published as what is expected; to be read before it is kept
    #[arg(long)]
    pub update: bool,
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
