//! One entry of the file → one [`ConnectorConfig`].

use std::sync::Arc;

use super::auth;
use super::fields::{self, Default as FieldDefault};
use super::leaves::{self, Leaves, Sources};
use super::provider::{self, Subject, known_keys};
use super::report::{Place, Report, kind_of, suggest};
use super::settings::{self, Checked, Scope, Setting, Settings};
use super::{MANIFEST, validate};
use crate::connector::ConnectorConfig;
use crate::document::{Kind, Node, Position};
use crate::source::manifest::catalog::{Catalog, Manifest};
use crate::telemetry::KeptOut;

/// How much of an entry's substitutions is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Only what says which connector it is.
    Name,
    /// Also whether it runs.
    Enabled,
    /// Everything: it runs.
    All,
}

impl Reach {
    /// Whether the top-level key `key` is looked up.
    pub(super) fn covers(self, key: &str) -> bool {
        match self {
            Self::Name => key == "name",
            Self::Enabled => matches!(key, "name" | "enabled"),
            Self::All => true,
        }
    }
}

/// What is the same for all entries of one load.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) sources: Sources<'a>,
    pub(super) defaults: &'a Settings,
    /// Whether the entries come from environment variables.
    pub(super) is_environment: bool,
}

/// An entry that was looked at to find out whether it runs.
pub(super) struct Candidate<'a> {
    pub(super) node: &'a Node,
    /// How messages call it: `connector "jira-prod"`, or `connectors[2]`.
    pub(super) label: String,
    pub(super) reach: Reach,
}

/// Reads one entry. `None` when a problem keeps it from being built; every problem is reported.
pub(super) fn read(
    candidate: &Candidate<'_>,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<ConnectorConfig> {
    let label = candidate.label.as_str();
    if !matches!(candidate.node.kind, Kind::Map(_)) {
        let message = format!("must be an object, not {}", kind_of(candidate.node));
        let place = Place {
            at: candidate.node.at,
            connector: label,
            field: "",
        };
        report.problem(&place, &message, None);
        return None;
    }
    let before = report.problem_count();
    let (node, leaves) = leaves::resolve(
        candidate.node,
        label,
        "",
        |key| candidate.reach.covers(key),
        context.sources,
        report,
    );
    let early = find_manifest(&node, &leaves, context);
    let keys = match &early {
        Found::Manifest(manifest) => known_keys(&manifest.spec),
        _ => Vec::new(),
    };
    let own = settings::read(&node, Scope::Entry, label, &leaves, &keys, report);
    let entry = Entry {
        node: &node,
        label,
        leaves: &leaves,
        own: &own,
        context,
    };
    entry.required(report);
    let manifest = entry.manifest(early, report);
    if let Some(manifest) = &manifest {
        entry.streams(manifest, report);
    }
    let provider = manifest
        .as_ref()
        .map(|manifest| entry.provider(manifest, report));
    if let (Some(manifest), Some((provider, _))) = (&manifest, &provider) {
        entry.requirements(manifest, provider, report);
    }
    validate::entry(&entry, manifest.as_deref(), report);
    if report.problem_count() > before {
        return None;
    }
    let mut built = entry.build(provider)?;
    if let Some(manifest) = manifest {
        built.streams = manifest.chosen_streams(built.streams);
    }
    Some(built)
}

/// An entry whose fields are read.
pub(super) struct Entry<'a> {
    pub(super) node: &'a Node,
    label: &'a str,
    leaves: &'a Leaves,
    own: &'a Settings,
    pub(super) context: &'a Context<'a>,
}

/// What `type` and `manifest` name.
enum Found {
    /// A type that exists.
    Manifest(Arc<Manifest>),
    /// No file, and why.
    Unreadable(String),
    /// A file that does not load.
    Broken(Vec<crate::document::Problem>),
    /// Nothing, or not known.
    Nothing,
}

fn find_manifest(node: &Node, leaves: &Leaves, context: &Context<'_>) -> Found {
    let text = |key: &str| {
        node.get(key)
            .filter(|value| !leaves.is_opaque(value.at))
            .and_then(Node::as_str)
            .filter(|text| !text.is_empty() && !text.contains('\0'))
    };
    match (text("type"), text("manifest")) {
        (Some(MANIFEST), Some(path)) => {
            let path = context.sources.directory.join(path);
            if let Err(error) = std::fs::metadata(&path) {
                return Found::Unreadable(super::io_reason(&error));
            }
            match context.catalog.file(&path) {
                Ok(manifest) => Found::Manifest(manifest),
                Err(problems) => Found::Broken(problems),
            }
        }
        (Some(MANIFEST), None) | (None, _) => Found::Nothing,
        (Some(kind), _) => context
            .catalog
            .get(kind)
            .map_or(Found::Nothing, |manifest| {
                Found::Manifest(Arc::clone(manifest))
            }),
    }
}

impl Entry<'_> {
    /// Reports something about this entry.
    pub(super) fn place<'p>(&'p self, at: Position, field: &'p str) -> Place<'p> {
        Place {
            at,
            connector: self.label,
            field,
        }
    }

    /// The entry's own setting, else that of `defaults`.
    pub(super) fn setting(&self, path: &str) -> Option<&Setting> {
        self.layer(path)?.get(path)
    }

    /// Who sets the field: the entry, or `defaults`.
    fn layer(&self, path: &str) -> Option<&Settings> {
        [self.own, self.context.defaults]
            .into_iter()
            .find(|settings| settings.has(path))
    }

    /// A whole number or its default; `None` also when it is set to something that is not known.
    pub(super) fn known_integer(&self, path: &str) -> Option<u64> {
        match self.layer(path) {
            Some(_) if self.setting(path).is_none() => None,
            _ => self.integer(path),
        }
    }

    /// The entry's own setting.
    pub(super) fn own(&self, path: &str) -> Option<&Setting> {
        self.own.get(path)
    }

    /// Where the value of a top-level key stands.
    pub(super) fn at(&self, key: &str) -> Option<Position> {
        self.node.get(key).map(|value| value.at)
    }

    fn required(&self, report: &mut Report) {
        for field in fields::FIELDS {
            if field.default == FieldDefault::Required && self.node.get(field.path).is_none() {
                let message = format!("\"{}\" is missing", field.path);
                let fix = if self.context.is_environment {
                    let name = self
                        .node
                        .get("name")
                        .and_then(Node::as_str)
                        .unwrap_or_default();
                    format!("set {}{}", super::env_mode::prefix(name), field.variable())
                } else if field.path == "type" {
                    format!("known types: {}", self.known_types().join(", "))
                } else {
                    format!("add \"{}\"", field.path)
                };
                report.problem(&self.place(self.node.at, ""), &message, Some(fix));
            }
        }
    }

    fn known_types(&self) -> Vec<&str> {
        self.context.catalog.names().chain([MANIFEST]).collect()
    }

    /// Reports what is wrong with `type` and `manifest`.
    fn manifest(&self, found: Found, report: &mut Report) -> Option<Arc<Manifest>> {
        let kind = self.own("type")?;
        let Checked::Text(name) = &kind.value else {
            return None;
        };
        let given = self.node.get("manifest");
        let is_unknown = given.is_some_and(|node| self.leaves.is_opaque(node.at));
        if let Some(given) = given
            && name != MANIFEST
        {
            let fix = format!("remove it, or make the type \"{MANIFEST}\"");
            let message = format!("only type \"{MANIFEST}\" has a manifest of its own");
            report.problem(&self.place(given.at, "manifest"), &message, Some(fix));
        }
        match found {
            Found::Manifest(manifest) => return Some(manifest),
            Found::Unreadable(reason) => {
                let at = given.map_or(kind.at, |node| node.at);
                let fix = "the path starts at the directory of the configuration file".to_owned();
                let message = format!("cannot read it: {reason}");
                report.problem(&self.place(at, "manifest"), &message, Some(fix));
            }
            Found::Broken(mut problems) => {
                let at = given.map_or(kind.at, |node| node.at);
                // The path is a value of the environment then, and not to be shown.
                if self.leaves.is_substituted(at) {
                    for problem in &mut problems {
                        problem.file = format!("manifest of {}", self.label).into();
                    }
                }
                report.adopt(at, problems);
            }
            Found::Nothing if name == MANIFEST => {
                if given.is_none() && !is_unknown {
                    let message = format!("type \"{MANIFEST}\" needs \"manifest\"");
                    let fix = "add \"manifest\": \"path/to/manifest.yaml\"".to_owned();
                    report.problem(&self.place(kind.at, "type"), &message, Some(fix));
                }
            }
            Found::Nothing => {
                let (message, fix) = if self.leaves.is_substituted(kind.at) {
                    let all = format!("known types: {}", self.known_types().join(", "));
                    ("its value is no known connector type".to_owned(), Some(all))
                } else {
                    let fix = suggest(name, "known types", self.known_types());
                    (format!("unknown connector type \"{name}\""), fix)
                };
                report.problem(&self.place(kind.at, "type"), &message, fix);
            }
        }
        None
    }

    fn streams(&self, manifest: &Manifest, report: &mut Report) {
        let Some(Checked::List(streams)) = self.own("streams").map(|s| &s.value) else {
            return;
        };
        let delivered = manifest.metadata.pushed.iter().map(|(name, _)| &**name);
        let read = manifest.streams.iter().map(|(name, _)| &**name);
        let known: Vec<&str> = read.chain(delivered).collect();
        for (i, (stream, at)) in streams.iter().enumerate() {
            let field = format!("streams[{i}]");
            let place = self.place(*at, &field);
            let shown = if self.leaves.is_substituted(*at) {
                "its value".to_owned()
            } else {
                format!("\"{stream}\"")
            };
            if streams[..i].iter().any(|(other, _)| other == stream) {
                report.problem(&place, &format!("{shown} is listed twice"), None);
                continue;
            }
            match manifest.streams.iter().find(|(name, _)| **name == **stream) {
                None if known.contains(&stream.as_str()) => {}
                // Whether there is one, its configuration says.
                None if manifest.makes_streams => {}
                None => {
                    let message = format!("{shown} is no stream of type {}", manifest.kind);
                    let fix = suggest(stream, "its streams", known.iter().copied());
                    report.problem(&place, &message, fix);
                }
                Some((_, Some(reason))) => {
                    let message = format!("stream {shown} cannot be read: {reason}");
                    report.problem(&place, &message, None);
                }
                Some((_, None)) => {}
            }
        }
    }

    /// What the streams that are read cannot do without.
    fn requirements(&self, manifest: &Manifest, provider: &Node, report: &mut Report) {
        let Some(Checked::List(streams)) = self.own("streams").map(|s| &s.value) else {
            return;
        };
        for (i, (stream, at)) in streams.iter().enumerate() {
            let requires = manifest.metadata.signals.get(stream.as_str());
            for key in requires.map_or(&[][..], |signal| &signal.requires) {
                let given = provider.get(key);
                if given.is_some_and(
                    |node| !matches!(&node.kind, Kind::List(items) if items.is_empty()),
                ) {
                    continue;
                }
                let field = format!("streams[{i}]");
                let message = format!("stream \"{stream}\" needs providerConfig.{key}");
                let fix = Some("add it, or leave the stream out".to_owned());
                report.problem(&self.place(*at, &field), &message, fix);
            }
        }
    }

    fn provider(&self, manifest: &Manifest, report: &mut Report) -> (Node, KeptOut) {
        let empty;
        let given = match self.own("providerConfig").map(|setting| &setting.value) {
            Some(Checked::Node(given)) => given,
            // Of another kind: reported already.
            _ if self.node.get("providerConfig").is_some() => {
                return (Node::synthetic(Kind::Map(Vec::new())), KeptOut::default());
            }
            _ => {
                empty = Node {
                    kind: Kind::Map(Vec::new()),
                    at: self.node.at,
                };
                &empty
            }
        };
        let name = self
            .node
            .get("name")
            .and_then(Node::as_str)
            .unwrap_or_default();
        let prefix = super::env_mode::prefix(name);
        let kind = self.own("type").map(|setting| &setting.value);
        let subject = Subject {
            connector: self.label,
            kind: match kind {
                Some(Checked::Text(kind)) => kind,
                _ => &manifest.kind,
            },
            spec: &manifest.spec,
            variables: self.context.is_environment.then_some(&prefix),
            leaves: self.leaves,
        };
        let before = report.problem_count();
        let (read, kept_out) = provider::read(&subject, given, report);
        // What is misspelled or of the wrong type is not missing as well.
        if report.problem_count() == before {
            let methods = &manifest.metadata.auth;
            auth::check(methods, given, &read, self.leaves, self.label, report);
        }
        (read, kept_out)
    }
}
