//! `manifest`: for those who write one.

mod lint;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::ManifestCommand;

/// Checks or plays a manifest.
pub(super) fn manifest(command: ManifestCommand) -> Result<ExitCode> {
    match command {
        ManifestCommand::Lint(args) => lint::lint(&args),
    }
}
