//! Files and environment → validated connectors, all problems at once.
//!
//! Read, parse, substitute on parsed leaves, validate. Nothing here talks to a provider or a store.

mod auth;
mod build;
mod entry;
mod env_mode;
mod environment;
mod fields;
mod interpret;
mod keys;
mod leaves;
mod provider;
pub mod reference;
mod report;
pub mod schema;
mod secrets;
mod settings;
mod substitute;
mod texts;
mod validate;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::connector::ConnectorConfig;
use crate::document::{Node, Position, Problem, decode, parse_json_keeping_repeats};
use crate::source::manifest::catalog::Catalog;

pub use environment::Environment;
pub use keys::to_camel;

use interpret::{Source, interpret};
use report::{Place, Report};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "connectors.json";

/// The connector type whose manifest is named in the connector's entry.
pub const MANIFEST: &str = "MANIFEST";

/// Largest configuration file.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Where the configuration is and which part of it this process runs.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--config` / `CONNECTORS_CONFIG_PATH`; `None`: `./connectors.json`, else environment mode.
    pub file: Option<PathBuf>,
    /// `--name`; empty: every enabled connector. Only these have their `${…}` resolved.
    pub names: Vec<String>,
    /// The environment.
    pub environment: Environment,
    /// Connector types.
    pub catalog: Arc<Catalog>,
    /// Treat the disabled connectors among [`names`](Self::names) as if they were to run, so that
    /// `check`, `preview` and `poll` can try one before it is enabled.
    pub include_disabled: bool,
    /// Look up nothing but names and `enabled`: for commands that ask how connectors stand and
    /// have none of their secrets.
    pub structure_only: bool,
    /// A name that is not in the file is no problem: set on a reload, which may have removed it.
    pub allow_unknown_names: bool,
}

/// A configuration without a problem.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The connectors this process is about, in file order, disabled ones included. The provider
    /// part of one that does not run holds its `${…}` as written.
    pub connectors: Vec<Arc<ConnectorConfig>>,
    /// Every connector name in the file, for messages and for names removed by a reload.
    pub all_names: Vec<String>,
    /// What works but will disappoint.
    pub warnings: Vec<Problem>,
    /// Where it came from, as messages name it: a path, or `environment`.
    pub origin: String,
    /// Files that `${file:…}` named, with the digest (XXH3) of what they held.
    pub secret_files: BTreeMap<PathBuf, u64>,
}

/// Reads, parses, substitutes and validates; gives every problem there is, in file order.
pub fn load(options: &LoadOptions) -> Result<Loaded, Vec<Problem>> {
    let has_list = options
        .environment
        .get(env_mode::ENABLED)
        .is_some_and(|list| !list.trim().is_empty());
    let default = Path::new(DEFAULT_FILE);
    // An empty variable, as templates of deployments leave them, names no file.
    let named = options
        .file
        .as_deref()
        .filter(|file| !file.as_os_str().is_empty());
    match named {
        None if has_list && !default.exists() => from_environment(options),
        file => from_file(file.unwrap_or(default), has_list, options),
    }
}

/// As [`load`], of a tree that is read already. `origin` is the file that its positions are in, and
/// `directory` where relative paths start.
pub fn load_tree(
    root: &Node,
    origin: &str,
    directory: PathBuf,
    options: &LoadOptions,
) -> Result<Loaded, Vec<Problem>> {
    let source = Source {
        origin: origin.to_owned(),
        directory,
        is_environment: false,
    };
    interpret(root, &source, options, Report::new(origin, Vec::new()))
}

fn from_environment(options: &LoadOptions) -> Result<Loaded, Vec<Problem>> {
    let read = env_mode::read(&options.environment, &options.catalog);
    let source = Source {
        origin: "environment".to_owned(),
        directory: PathBuf::new(),
        is_environment: true,
    };
    interpret(&read.root, &source, options, read.report)
}

fn from_file(file: &Path, has_list: bool, options: &LoadOptions) -> Result<Loaded, Vec<Problem>> {
    let shown = file.display().to_string();
    let bytes = read_file(file).map_err(|problem| vec![problem])?;
    let text = decode(&shown, &bytes).map_err(|problem| vec![problem])?;
    let (root, repeated) =
        parse_json_keeping_repeats(&shown, text).map_err(|problem| vec![problem])?;
    let mut report = Report::new(&shown, Vec::new());
    for problem in repeated {
        report.adopt(problem.at.unwrap_or_default(), vec![problem]);
    }
    if has_list {
        let place = Place {
            at: Position::default(),
            connector: "",
            field: "",
        };
        let message = format!("{} is ignored, because this file exists", env_mode::ENABLED);
        report.warning(&place, &message, None);
    }
    let source = Source {
        origin: shown,
        directory: file.parent().map(Path::to_path_buf).unwrap_or_default(),
        is_environment: false,
    };
    interpret(&root, &source, options, report)
}

fn read_file(file: &Path) -> Result<Vec<u8>, Problem> {
    let problem = |message: String, fix: Option<String>| Problem {
        file: file.display().to_string().into(),
        at: None,
        message,
        fix,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let fix = (error.kind() == io::ErrorKind::NotFound).then(|| {
                format!(
                    "name a configuration file with --config or CONNECTORS_CONFIG_PATH, or \
                     connectors in {} and CONNECTOR_<NAME>_<FIELD>; `connector-worker demo` needs \
                     none",
                    env_mode::ENABLED
                )
            });
            let message = format!("cannot read the configuration: {}", io_reason(&error));
            problem(message, fix)
        })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(problem(message, None));
    }
    Ok(bytes)
}

/// Why a file cannot be read, in words.
fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
