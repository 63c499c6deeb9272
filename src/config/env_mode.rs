//! Connectors out of environment variables: `ENABLED_CONNECTORS` and `CONNECTOR_<NAME>_<FIELD>`.
//!
//! Builds the tree that the file would have been read into, so that both are held to the same
//! rules. Values are literal: nothing in them is substituted.

use std::path::Path;

use super::fields::{FIELDS, Rule};
use super::provider::Shape;
use super::report::{Place, Report};
use super::{Environment, MANIFEST, keys, texts};
use crate::document::{Entry, Kind, Node, Position, did_you_mean};
use crate::source::manifest::catalog::{Catalog, Manifest};

/// The variable that switches environment mode on.
pub(super) const ENABLED: &str = "ENABLED_CONNECTORS";

/// Variables of the worker itself that look like a connector's. One that ends in `_` is a prefix.
const OWN: &[&str] = &[
    "CONNECTOR_NAME",
    "CONNECTOR_STORE",
    "CONNECTOR_KEY_PREFIX",
    "CONNECTOR_MANIFESTS_DIR",
    "CONNECTOR_WORKER_",
];

/// The tree, and the names of the variables its positions stand for.
pub(super) struct Read {
    /// `{"connectors": […]}`
    pub(super) root: Node,
    /// Problems of the variables' names.
    pub(super) report: Report,
}

/// How the variables of connector `name` start: `CONNECTOR_JIRA_PROD_`.
pub(super) fn prefix(name: &str) -> String {
    let upper: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("CONNECTOR_{upper}_")
}

/// Reads the connectors that `ENABLED_CONNECTORS` names.
pub(super) fn read(environment: &Environment, catalog: &Catalog) -> Read {
    let mut variables = vec![ENABLED.to_owned()];
    variables.extend(
        environment
            .iter()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("CONNECTOR_"))
            .map(str::to_owned),
    );
    let report = Report::new("environment", variables.clone());
    let mut reader = Reader {
        environment,
        variables,
        report,
    };
    let names = reader.names();
    let entries = names
        .iter()
        .map(|name| reader.connector(name, &names, catalog))
        .collect();
    let connectors = Entry {
        key: "connectors".to_owned(),
        key_at: Position::default(),
        value: Node::synthetic(Kind::List(entries)),
    };
    Read {
        root: Node::synthetic(Kind::Map(vec![connectors])),
        report: reader.report,
    }
}

struct Reader<'a> {
    environment: &'a Environment,
    variables: Vec<String>,
    report: Report,
}

impl Reader<'_> {
    fn at(&self, variable: &str) -> Position {
        let index = self.variables.iter().position(|name| name == variable);
        Position {
            line: 0,
            column: index.map_or(0, |i| u32::try_from(i + 1).unwrap_or(0)),
        }
    }

    fn problem(&mut self, variable: &str, connector: &str, message: &str, fix: Option<String>) {
        let label = match connector {
            "" => String::new(),
            name => format!("connector \"{name}\""),
        };
        let place = Place {
            at: self.at(variable),
            connector: &label,
            field: variable,
        };
        self.report.problem(&place, message, fix);
    }

    /// The names that can be used; the others are reported.
    fn names(&mut self) -> Vec<String> {
        let listed = self.environment.get(ENABLED).cloned().unwrap_or_default();
        let mut names: Vec<String> = Vec::new();
        for name in listed
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let message = if texts::flaw_of_name(name).is_some() {
                Some("is no valid connector name".to_owned())
            } else if names.iter().any(|other| other == name) {
                Some("stands there twice".to_owned())
            } else if let Some(other) = names.iter().find(|other| prefix(other) == prefix(name)) {
                Some(format!("and \"{other}\" have the same variables"))
            } else {
                own_variable(name).map(|own| format!("has variables like the worker's own {own}"))
            };
            match message {
                None => names.push(name.to_owned()),
                Some(message) => {
                    let message = format!("connector \"{name}\" {message}");
                    let fix = "name it otherwise, or use a configuration file";
                    self.problem(ENABLED, "", &message, Some(fix.to_owned()));
                }
            }
        }
        names
    }

    fn connector(&mut self, name: &str, names: &[String], catalog: &Catalog) -> Node {
        let start = prefix(name);
        let mine: Vec<(String, String, String)> = self
            .environment
            .iter()
            .filter_map(|(variable, value)| {
                let rest = variable
                    .strip_prefix(&start)
                    .filter(|rest| !rest.is_empty())?;
                // CONNECTOR_JIRA_PROD_TYPE is jira-prod's, not a field PROD_TYPE of jira.
                let is_others = names
                    .iter()
                    .map(|other| prefix(other))
                    .any(|other| other.len() > start.len() && variable.starts_with(&other));
                (!is_others).then(|| (variable.to_owned(), rest.to_owned(), value.to_owned()))
            })
            .collect();
        let value_of = |field: &str| {
            mine.iter()
                .find(|(_, rest, _)| rest == field)
                .map(|(_, _, value)| value.as_str())
        };
        let manifest = match (value_of("TYPE"), value_of("MANIFEST")) {
            (Some(MANIFEST), Some(path)) => Catalog::load_file(Path::new(path)).ok(),
            (Some(kind), _) => catalog.get(kind).cloned(),
            (None, _) => None,
        };
        let mut entry = vec![member(
            "name",
            self.at(ENABLED),
            text(name, self.at(ENABLED)),
        )];
        let mut provider = Vec::new();
        for (variable, rest, value) in &mine {
            let at = self.at(variable);
            let leaf = text(value, at);
            match field_of(rest, manifest.as_deref()) {
                FieldName::Universal(path) => put(&mut entry, &path, at, leaf),
                FieldName::Provider(path) => put(&mut provider, &path, at, leaf),
                FieldName::Typo(near) => {
                    let fix = Some(format!("did you mean \"{start}{near}\"?"));
                    self.problem(variable, name, "unknown field", fix);
                }
            }
        }
        let provider = Node::synthetic(Kind::Map(provider));
        entry.push(member("providerConfig", Position::default(), provider));
        Node::synthetic(Kind::Map(entry))
    }
}

/// The worker's own variable that a connector of this name would clash with.
fn own_variable(name: &str) -> Option<&'static str> {
    let start = prefix(name);
    OWN.iter().copied().find(|own| {
        own.starts_with(&start) || start.strip_suffix('_') == Some(own) || start.starts_with(own)
    })
}

/// What the rest of a variable's name means.
enum FieldName {
    /// A path in the entry.
    Universal(Vec<String>),
    /// A path in `providerConfig`.
    Provider(Vec<String>),
    /// Nearly this universal field.
    Typo(String),
}

fn field_of(rest: &str, manifest: Option<&Manifest>) -> FieldName {
    let universal = |field: &super::fields::Field| {
        !matches!(field.rule, Rule::Provider | Rule::Name) && field.variable() == rest
    };
    if let Some(field) = FIELDS.iter().find(|field| universal(field)) {
        return FieldName::Universal(field.path.split('.').map(str::to_owned).collect());
    }
    // The way out for a provider's key that has the name of a universal field.
    if let Some(key) = rest
        .strip_prefix("PROVIDER_CONFIG_")
        .filter(|key| !key.is_empty())
    {
        let path = manifest.and_then(|m| provider_path(key, Shape::of(&m.spec)));
        return FieldName::Provider(path.unwrap_or_else(|| vec![keys::to_camel(key)]));
    }
    if let Some(path) = manifest.and_then(|m| provider_path(rest, Shape::of(&m.spec))) {
        return FieldName::Provider(path);
    }
    let variables: Vec<String> = FIELDS
        .iter()
        .filter(|field| !matches!(field.rule, Rule::Provider | Rule::Name))
        .map(super::fields::Field::variable)
        .collect();
    match did_you_mean(rest, variables.iter().map(String::as_str)) {
        Some(near) => FieldName::Typo(near.to_owned()),
        None => FieldName::Provider(vec![keys::to_camel(rest)]),
    }
}

/// The path of schema keys that `rest` spells: `CREDENTIALS_API_TOKEN` is
/// `["credentials", "api_token"]` where `credentials` is an object with such a key.
fn provider_path(rest: &str, shape: Shape<'_>) -> Option<Vec<String>> {
    let alternatives = shape.alternatives();
    let members: Vec<_> = shape
        .members()
        .into_iter()
        .chain(alternatives.into_iter().flat_map(Shape::members))
        .collect();
    let spelled = |key: &str| keys::to_snake(key).to_uppercase();
    let exact = members.iter().find(|(key, _)| spelled(key) == rest);
    let alike = || {
        members
            .iter()
            .find(|(key, _)| keys::alike(key, &rest.to_lowercase()))
    };
    if let Some((key, _)) = exact.or_else(alike) {
        return Some(vec![(*key).to_owned()]);
    }
    members
        .iter()
        .filter(|(_, shape)| shape.is_object())
        .find_map(|(key, shape)| {
            let inner = rest.strip_prefix(&format!("{}_", spelled(key)))?;
            let mut path = vec![(*key).to_owned()];
            path.extend(provider_path(inner, *shape)?);
            Some(path)
        })
}

fn text(value: &str, at: Position) -> Node {
    Node {
        kind: Kind::String(value.to_owned()),
        at,
    }
}

fn member(key: &str, at: Position, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        key_at: at,
        value,
    }
}

/// Sets the leaf at `path`, making the objects on the way.
fn put(entries: &mut Vec<Entry>, path: &[String], at: Position, leaf: Node) {
    let [key, rest @ ..] = path else { return };
    if rest.is_empty() {
        entries.push(member(key, at, leaf));
        return;
    }
    let found = entries.iter().position(|entry| entry.key == *key);
    let index = found.unwrap_or_else(|| {
        entries.push(member(
            key,
            at,
            Node {
                kind: Kind::Map(Vec::new()),
                at,
            },
        ));
        entries.len() - 1
    });
    if let Kind::Map(inner) = &mut entries[index].value.kind {
        put(inner, rest, at, leaf);
    }
}
