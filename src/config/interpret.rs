//! The tree of a whole configuration → connectors: which there are, which run, what they share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::{self, Candidate, Context, Reach};
use super::leaves::{self, Leaves, Sources};
use super::report::{Place, Report, kind_of, suggest};
use super::settings::{self, Scope, Settings};
use super::{LoadOptions, Loaded, fields, texts};
use crate::document::{Kind, Node, Position, Problem};

/// Where a tree came from.
pub(super) struct Source {
    /// As messages name it.
    pub(super) origin: String,
    /// Where relative paths start.
    pub(super) directory: PathBuf,
    /// Whether it was made of environment variables.
    pub(super) is_environment: bool,
}

/// Reads the tree of a whole configuration.
pub(super) fn interpret(
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
    let wanted = wanted_names(options);
    let candidates = candidates(&top, options, &wanted, sources, &mut report);
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
        let warnings = report.warning_count();
        let built = entry::read(&named.candidate, &context, &mut report);
        if named.is_selected {
            connectors.extend(built.map(Arc::new));
        } else {
            // Nobody asked for it, so nobody is disappointed.
            report.forget_warnings(warnings);
        }
    }
    let all_names: Vec<String> = candidates.into_iter().filter_map(|c| c.name).collect();
    if !options.allow_unknown_names {
        unknown_names(&wanted, &all_names, &mut report);
    }
    let secret_files = report.take_files();
    let (problems, warnings) = report.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Loaded {
        connectors,
        all_names,
        warnings,
        origin: source.origin.clone(),
        secret_files,
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

/// The names that were asked for; blanks, as in `CONNECTOR_NAME="a, "`, ask for nothing.
fn wanted_names(options: &LoadOptions) -> Vec<&str> {
    let names = options.names.iter().map(|name| name.trim());
    names.filter(|name| !name.is_empty()).collect()
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
    wanted: &[&str],
    sources: Sources<'_>,
    report: &mut Report,
) -> Vec<Named<'a>> {
    let default_enabled = top
        .defaults
        .and_then(|defaults| is_enabled(defaults, sources))
        .unwrap_or(true);
    let mut all: Vec<Named<'a>> = Vec::new();
    let mut places: BTreeMap<String, Position> = BTreeMap::new();
    for (i, node) in top.connectors.iter().enumerate() {
        let value = node.get("name").and_then(|value| sources.quiet(value));
        let name = value
            .as_ref()
            .and_then(Node::as_str)
            .filter(|name| texts::flaw_of_name(name).is_none());
        let label = match name {
            Some(name) => format!("connector \"{name}\""),
            None => format!("connectors[{i}]"),
        };
        let is_selected = wanted.is_empty() || name.is_some_and(|name| wanted.contains(&name));
        let is_enabled = match node.get("enabled") {
            // A value that cannot be had is reported when it is looked up, with all that will be
            // missing once it is mended.
            Some(_) => is_enabled(node, sources).unwrap_or(true),
            None => default_enabled,
        };
        let forced = options.include_disabled && !wanted.is_empty();
        let runs = (is_enabled || forced) && !options.structure_only;
        let reach = match (is_selected, runs) {
            (false, _) => Reach::Name,
            (true, false) => Reach::Enabled,
            (true, true) => Reach::All,
        };
        if let Some(name) = name {
            let at = node.get("name").map_or(node.at, |value| value.at);
            match places.get(name) {
                Some(first) => repeated_name(name, at, *first, report),
                None => drop(places.insert(name.to_owned(), at)),
            }
        }
        all.push(Named {
            name: name.map(str::to_owned),
            is_selected,
            candidate: Candidate { node, label, reach },
        });
    }
    all
}

fn repeated_name(name: &str, at: Position, first: Position, report: &mut Report) {
    let place = Place {
        at,
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

/// The `enabled` of an object, if it has one that can be read.
fn is_enabled(node: &Node, sources: Sources<'_>) -> Option<bool> {
    match &sources.quiet(node.get("enabled")?)?.kind {
        Kind::Bool(flag) => Some(*flag),
        Kind::String(text) => texts::parse_flag(text),
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

fn unknown_names(names: &[&str], all_names: &[String], report: &mut Report) {
    for wanted in names {
        if all_names.iter().any(|name| name == wanted) {
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
