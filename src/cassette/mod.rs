//! Plays a manifest against recorded or hand-written answers, offline: the whole path from request
//! to signal, with nothing of the provider but what a *cassette* holds.
//!
//! A cassette is a folder. `responses.json` or `responses.yaml` says what the provider is asked,
//! in order, and what it answers, poll by poll; `signals.json` says what each poll publishes and how
//! it ends. See `docs/creating-connectors.md` for its members.

mod bench;
mod difference;
mod provider;
mod script;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

pub use script::Script;

use self::bench::Bench;
use self::difference::difference;
use self::provider::Provider;
use crate::document::Problem;
use crate::source::manifest::catalog::Manifest;

/// What a cassette's polls publish.
const SIGNALS: &str = "signals.json";
/// What a cassette's provider answers: whichever of them is there.
const RESPONSES: [&str; 3] = ["responses.json", "responses.yaml", "responses.yml"];

/// Whether expectations are compared or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectations {
    /// What differs is a failure.
    Compare,
    /// What happens is what is expected from now on.
    Update,
}

/// Why a cassette was not played as it is written down.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cassette or its configuration cannot be read.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unreadable(Vec<Problem>),
    /// The provider was asked something else.
    #[error("{during}: {}", .what.join("\n"))]
    Requests {
        /// Which poll.
        during: String,
        /// What was otherwise, one each.
        what: Vec<String>,
    },
    /// The polls published or said something else.
    #[error("{0}")]
    Signals(String),
    /// The cassette cannot be played at all.
    #[error("{0}")]
    Broken(String),
}

/// The cassettes below a folder, in the order of their names.
pub fn cassettes(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_cassette(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the folder is a cassette.
pub fn is_cassette(folder: &Path) -> bool {
    responses_of(folder).is_some()
}

fn responses_of(folder: &Path) -> Option<PathBuf> {
    RESPONSES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// Plays one cassette.
pub async fn play(
    folder: &Path,
    manifest: &Arc<Manifest>,
    expectations: Expectations,
) -> Result<(), Failure> {
    let script = Script::load(folder).map_err(Failure::Unreadable)?;
    let ours = perform(&script, manifest).await?;
    let path = folder.join(SIGNALS);
    if expectations == Expectations::Update {
        let text = format!("{ours:#}\n");
        return std::fs::write(&path, text)
            .map_err(|error| Failure::Broken(format!("cannot write {}: {error}", path.display())));
    }
    let expected = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| Failure::Broken(format!("{}: {error}", path.display())))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::Signals(format!(
                "{} is missing: --update writes it, to be read before it is kept",
                path.display()
            )));
        }
        Err(error) => return Err(Failure::Broken(format!("{}: {error}", path.display()))),
    };
    match difference(&expected, &ours) {
        None => Ok(()),
        Some(shown) => Err(Failure::Signals(shown)),
    }
}

/// What happens, in the form of `signals.json`.
async fn perform(script: &Script, manifest: &Arc<Manifest>) -> Result<Value, Failure> {
    let broken = |error: anyhow::Error| Failure::Broken(format!("{error:#}"));
    let provider = Provider::start().await.map_err(broken)?;
    let mut bench = Bench::new(script, manifest, &provider.base).await?;
    let mut polls = Vec::new();
    for exchanges in &script.polls {
        provider.expect(exchanges);
        let poll = bench.poll().await.map_err(broken)?;
        settled(&provider, &format!("poll {}", polls.len() + 1), &poll)?;
        polls.push(poll);
    }
    let mut ours = json!({ "polls": polls });
    if let Some(exchanges) = &script.check {
        provider.expect(exchanges);
        let check = bench.check().await;
        settled(&provider, "check", &check)?;
        ours["check"] = check;
    }
    Ok(ours)
}

/// Whether the provider was asked what it should be; what was said of it helps to see why not.
fn settled(provider: &Provider, during: &str, said: &Value) -> Result<(), Failure> {
    let mut what = provider.problems();
    if what.is_empty() {
        return Ok(());
    }
    for key in ["failures", "warnings", "error"] {
        match &said[key] {
            Value::Array(texts) => {
                what.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            Value::String(text) => what.push(text.clone()),
            _ => {}
        }
    }
    Err(Failure::Requests {
        during: during.to_owned(),
        what,
    })
}
