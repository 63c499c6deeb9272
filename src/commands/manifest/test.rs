//! `manifest test`: plays a manifest's cassettes, offline.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cassette::{self, Expectations, Failure};
use crate::cli::TestArgs;
use crate::commands::exit::{self, Problems};
use crate::commands::output;
use crate::source::manifest::catalog::Catalog;

/// Plays every cassette, and says of each whether it went as written down.
pub(super) async fn test(args: &TestArgs) -> Result<ExitCode> {
    let manifest = Catalog::load_file(&args.file).map_err(Problems)?;
    let cassettes = cassettes(args)?;
    let expectations = if args.update {
        Expectations::Update
    } else {
        Expectations::Compare
    };
    let mut failed = 0;
    let mut misconfigured = false;
    for folder in &cassettes {
        let name = folder.display();
        let verdict = match cassette::play(folder, &manifest, expectations).await {
            Ok(()) if args.update => format!("written  {name}"),
            Ok(()) => format!("ok       {name}"),
            Err(failure) => {
                failed += 1;
                misconfigured |= matches!(failure, Failure::Unreadable(_));
                format!("FAILED   {name}\n{}", indented(&failure.to_string()))
            }
        };
        if !output::line(&verdict)? {
            break;
        }
    }
    eprintln!(
        "{} of {} cassettes as written down",
        cassettes.len() - failed,
        cassettes.len()
    );
    Ok(match (failed, misconfigured) {
        (0, _) => ExitCode::SUCCESS,
        (_, true) => ExitCode::from(exit::CONFIGURATION),
        (_, false) => ExitCode::from(exit::FAILURE),
    })
}

/// The cassettes that are named, or those that lie beside the manifest: in `NAME.cassettes`.
fn cassettes(args: &TestArgs) -> Result<Vec<PathBuf>> {
    let named = if args.cassettes.is_empty() {
        vec![args.file.with_extension("cassettes")]
    } else {
        args.cassettes.clone()
    };
    let mut found = Vec::new();
    for folder in named {
        if cassette::is_cassette(&folder) {
            found.push(folder);
            continue;
        }
        let inside = match cassette::cassettes(&folder) {
            Ok(inside) => inside,
            Err(error) => bail!("cannot read the cassettes in {}: {error}", folder.display()),
        };
        if inside.is_empty() {
            bail!(
                "there is no cassette in {}: one is a folder with a responses.json",
                folder.display()
            );
        }
        found.extend(inside);
    }
    Ok(found)
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
