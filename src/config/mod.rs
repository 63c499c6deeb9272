//! Files and environment → validated connectors, all problems at once.
//!
//! Read, parse, substitute on parsed leaves, validate. Nothing here talks to a provider or a store.

mod entry;
mod env_mode;
mod fields;
mod keys;
mod leaves;
mod provider;
pub mod reference;
mod report;
pub mod schema;
mod settings;
mod substitute;
mod validate;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::connector::ConnectorConfig;
use crate::document::{Kind, Node, Position, Problem, decode, parse_json_keeping_repeats};
use crate::source::manifest::catalog::Catalog;

use entry::{Candidate, Context, Reach};
use leaves::{Leaves, Sources};
use report::{Place, Report, kind_of, suggest};
use settings::{Scope, Settings};

/// The process environment, read once in `main` and passed down.
pub type Environment = BTreeMap<String, String>;

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
}

/// Reads, parses, substitutes and validates; gives every problem there is, in file order.
pub fn load(options: &LoadOptions) -> Result<Loaded, Vec<Problem>> {
    let has_list = options
        .environment
        .get(env_mode::ENABLED)
        .is_some_and(|list| !list.trim().is_empty());
    let default = Path::new(DEFAULT_FILE);
    match &options.file {
        None if has_list && !default.exists() => Ok(from_environment(options)?),
        file => {
            let file = file.as_deref().unwrap_or(default);
            from_file(file, has_list, options)
        }
    }
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

/// Where a tree came from.
struct Source {
    origin: String,
    directory: PathBuf,
    is_environment: bool,
}

fn interpret(
    root: &Node,
    source: &Source,
    options: &LoadOptions,
    mut report: Report,
) -> Result<Loaded, Vec<Problem>> {
    let sources = Sources {
        environment: &options.environment,
        directory: &source.directory,
    };
    let top = Top::read(root, &mut report);
    let candidates = candidates(&top, options, sources, &mut report);
    let any_runs = candidates.iter().any(|c| c.candidate.reach == Reach::All);
    let defaults = defaults(&top, any_runs, sources, &mut report);
    let context = Context {
        catalog: &options.catalog,
        sources,
        defaults: &defaults,
        is_environment: source.is_environment,
    };
    let mut connectors = Vec::new();
    for named in &candidates {
        let built = entry::read(&named.candidate, &context, &mut report);
        if named.is_selected {
            connectors.extend(built.map(Arc::new));
        }
    }
    let all_names: Vec<String> = candidates.into_iter().filter_map(|c| c.name).collect();
    unknown_names(options, &all_names, &mut report);
    let (problems, warnings) = report.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Loaded {
        connectors,
        all_names,
        warnings,
        origin: source.origin.clone(),
    })
}

/// The members of the top-level object.
#[derive(Default)]
struct Top<'a> {
    defaults: Option<&'a Node>,
    connectors: &'a [Node],
}

impl<'a> Top<'a> {
    fn read(root: &'a Node, report: &mut Report) -> Self {
        let mut top = Self::default();
        let place = |at, field| Place {
            at,
            connector: "",
            field,
        };
        if !matches!(root.kind, Kind::Map(_)) {
            let message = format!("must be an object, not {}", kind_of(root));
            let fix = "write { \"connectors\": [ … ] }".to_owned();
            report.problem(&place(root.at, ""), &message, Some(fix));
            return top;
        }
        for entry in root.entries() {
            let expected = match (entry.key.as_str(), &entry.value.kind) {
                ("connectors", Kind::List(items)) => {
                    top.connectors = items;
                    continue;
                }
                ("defaults", Kind::Map(_)) => {
                    top.defaults = Some(&entry.value);
                    continue;
                }
                ("$schema", Kind::String(_)) => continue,
                ("connectors", _) => "a list",
                ("defaults", _) => "an object",
                ("$schema", _) => "text",
                (key, _) => {
                    let valid = ["connectors", "defaults", "$schema"];
                    let fix = match fields::find(key) {
                        Some(_) => Some("it belongs in an element of \"connectors\"".to_owned()),
                        None => suggest(key, "valid fields", valid),
                    };
                    let message = format!("unknown field \"{key}\"");
                    report.problem(&place(entry.key_at, ""), &message, fix);
                    continue;
                }
            };
            let message = format!("must be {expected}, not {}", kind_of(&entry.value));
            report.problem(&place(entry.value.at, &entry.key), &message, None);
        }
        if let Some(list) = root.get("connectors")
            && matches!(&list.kind, Kind::List(items) if items.is_empty())
        {
            let message = "the list is empty: nothing will run";
            report.warning(&place(list.at, "connectors"), message, None);
        }
        let has_typo = root
            .entries()
            .iter()
            .any(|entry| crate::document::did_you_mean(&entry.key, ["connectors"]).is_some());
        if root.get("connectors").is_none() && !has_typo {
            let fix = "add \"connectors\": [ … ]".to_owned();
            report.problem(&place(root.at, ""), "\"connectors\" is missing", Some(fix));
        }
        top
    }
}

/// An entry, its name, and whether this process is about it.
struct Named<'a> {
    candidate: Candidate<'a>,
    name: Option<String>,
    is_selected: bool,
}

/// Finds out which entries run, and so how much of their substitutions is looked up.
fn candidates<'a>(
    top: &Top<'a>,
    options: &LoadOptions,
    sources: Sources<'_>,
    report: &mut Report,
) -> Vec<Named<'a>> {
    let default_enabled = top
        .defaults
        .and_then(|defaults| is_enabled(defaults, sources))
        .unwrap_or(true);
    let mut all: Vec<Named<'a>> = Vec::new();
    for (i, node) in top.connectors.iter().enumerate() {
        let value = node.get("name").and_then(|value| sources.quiet(value));
        let name = value
            .as_ref()
            .and_then(Node::as_str)
            .filter(|name| settings::flaw_of_name(name).is_none());
        let label = match name {
            Some(name) => format!("connector \"{name}\""),
            None => format!("connectors[{i}]"),
        };
        let is_selected = options.names.is_empty()
            || name.is_some_and(|name| options.names.iter().any(|wanted| wanted == name));
        let is_enabled = match node.get("enabled") {
            // A value that cannot be had is reported when it is looked up; nothing else is.
            Some(_) => is_enabled(node, sources).unwrap_or(false),
            None => default_enabled,
        };
        let forced = options.include_disabled && !options.names.is_empty();
        let runs = (is_enabled || forced) && !options.structure_only;
        let reach = match (is_selected, runs) {
            (false, _) => Reach::Name,
            (true, false) => Reach::Enabled,
            (true, true) => Reach::All,
        };
        if let Some((name, first)) = name.and_then(|name| {
            let first = all
                .iter()
                .find(|other| other.name.as_deref() == Some(name))?;
            Some((name, first.candidate.node.get("name")?.at))
        }) {
            let place = Place {
                at: node.get("name").map_or(node.at, |value| value.at),
                connector: "",
                field: "",
            };
            let message = format!(
                "the name \"{name}\" is used already, in line {}",
                first.line
            );
            let fix = "names are unique: leases and state are kept by name".to_owned();
            report.problem(&place, &message, Some(fix));
        }
        all.push(Named {
            name: name.map(str::to_owned),
            is_selected,
            candidate: Candidate { node, label, reach },
        });
    }
    all
}

/// The `enabled` of an object, if it has one that can be read.
fn is_enabled(node: &Node, sources: Sources<'_>) -> Option<bool> {
    match &sources.quiet(node.get("enabled")?)?.kind {
        Kind::Bool(flag) => Some(*flag),
        Kind::String(text) => settings::parse_flag(text),
        _ => None,
    }
}

fn defaults(top: &Top<'_>, any_runs: bool, sources: Sources<'_>, report: &mut Report) -> Settings {
    let Some(node) = top.defaults else {
        return Settings::default();
    };
    let wanted = |key: &str| any_runs || key == "enabled";
    let (node, leaves): (Node, Leaves) =
        leaves::resolve(node, "", "defaults.", wanted, sources, report);
    settings::read(&node, Scope::Defaults, "", &leaves, &[], report)
}

fn unknown_names(options: &LoadOptions, all_names: &[String], report: &mut Report) {
    if options.allow_unknown_names {
        return;
    }
    for wanted in &options.names {
        if all_names.contains(wanted) {
            continue;
        }
        let place = Place {
            at: Position::default(),
            connector: "",
            field: "",
        };
        let names = all_names.iter().map(String::as_str);
        let fix = suggest(wanted, "its connectors", names)
            .unwrap_or_else(|| "the file has no connectors".to_owned());
        let message = format!("no connector is named \"{wanted}\"");
        report.problem(&place, &message, Some(fix));
    }
}

#[cfg(test)]
mod tests;
