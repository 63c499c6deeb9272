//! Every cassette under `tests/fixtures/providers/<provider>/<case>/`, played by one test, as
//! `connector-worker manifest test` plays it. A case needs no Rust.
//!
//! Bodies are files under `<provider>/bodies/`, where `PROVENANCE.md` says where they come from.
//! A case of type `MANIFEST` names a manifest beside it. `PROVIDER=jira` plays the cases of one
//! provider alone; `UPDATE_SIGNALS=1` writes what happens as what is expected, to be read then.

use std::path::{Path, PathBuf};

use connector_worker::cassette::{self, Expectations, Script};
use connector_worker::source::manifest::catalog::Catalog;

/// Cases that every built-in provider must have.
const REQUIRED: [&str; 9] = [
    "first_poll",
    "unchanged",
    "changed",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "server_error",
    "truncated",
    "bad_request",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers")
}

#[tokio::test]
async fn providers_are_read_as_recorded() {
    let mut failures = Vec::new();
    let mut played = 0;
    let only = std::env::var_os("PROVIDER");
    for provider in directories(&root()) {
        if only.is_some() && only.as_deref() != provider.file_name() {
            continue;
        }
        for case in cassette::cassettes(&provider).unwrap() {
            played += 1;
            if let Err(how) = play(&case).await {
                failures.push(format!("{}:\n{how}", case.display()));
            }
        }
    }
    assert!(played > 0);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_built_in_provider_has_the_cases_that_go_wrong() {
    let catalog = Catalog::load(None).unwrap();
    // What is only delivered has nothing to read.
    for manifest in catalog
        .kinds()
        .filter(|manifest| !manifest.streams.is_empty())
    {
        let provider = root().join(manifest.kind.to_lowercase());
        for case in REQUIRED {
            let file = provider.join(case).join("signals.json");
            assert!(file.exists(), "{} is missing", file.display());
        }
    }
}

fn directories(path: &Path) -> impl Iterator<Item = PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.into_iter()
}

/// Plays one case; the error says what was different.
async fn play(case: &Path) -> Result<(), String> {
    let script = Script::load(case).map_err(|problems| format!("{problems:?}"))?;
    let file = match (&script.manifest, &script.kind) {
        (Some(file), _) => case.join("..").join(file),
        // The file that is built in, read anew: a case needs no new build.
        (None, Some(kind)) => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("config/connectors/{}.yaml", kind.to_lowercase())),
        (None, None) => return Err("the case names no type".to_owned()),
    };
    let manifest = Catalog::load_file(&file).map_err(|problems| format!("{problems:?}"))?;
    let expectations = match std::env::var_os("UPDATE_SIGNALS") {
        Some(_) => Expectations::Update,
        None => Expectations::Compare,
    };
    cassette::play(case, &manifest, expectations)
        .await
        .map_err(|failure| failure.to_string())
}
