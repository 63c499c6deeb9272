//! `manifest`: for those who write one.

mod lint;
mod test;

pub(super) use self::lint::errors_of;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::ManifestCommand;

/// Checks or plays a manifest.
pub(super) async fn manifest(command: ManifestCommand) -> Result<ExitCode> {
    match command {
        ManifestCommand::Lint(args) => lint::lint(&args),
        ManifestCommand::Test(args) => test::test(&args).await,
    }
}
