//! Substitution over a whole entry: which leaves came from outside, and which are not known.

use std::collections::HashSet;
use std::path::Path;

use super::Environment;
use super::report::{Place, Report};
use super::substitute::Template;
use crate::document::{Entry, Kind, Node, Position};

/// What substitution did to the leaves of an entry. A leaf is known by its position.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    substituted: HashSet<Position>,
    opaque: HashSet<Position>,
}

impl Leaves {
    /// Whether the value came from outside the file: it may be written as text whatever the
    /// field's type, and must not be shown.
    pub(super) fn is_foreign(&self, at: Position) -> bool {
        at.line == 0 || self.substituted.contains(&at)
    }

    /// Whether the value came out of a `${…}`.
    pub(super) fn is_substituted(&self, at: Position) -> bool {
        self.substituted.contains(&at)
    }

    /// Whether the value is not known, because it was not looked up or could not be.
    pub(super) fn is_opaque(&self, at: Position) -> bool {
        self.opaque.contains(&at)
    }

    /// Whether anything in `node` is not known.
    pub(super) fn has_opaque(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::List(items) => items.iter().any(|item| self.has_opaque(item)),
            Kind::Map(entries) => entries.iter().any(|entry| self.has_opaque(&entry.value)),
            _ => self.is_opaque(node.at),
        }
    }
}

/// Where values come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) environment: &'a Environment,
    /// Where relative paths start: the directory of the configuration file.
    pub(super) directory: &'a Path,
}

impl Sources<'_> {
    /// The value of a text leaf, or `None` when it cannot be had; reports nothing.
    pub(super) fn quiet(&self, node: &Node) -> Option<Node> {
        let Kind::String(text) = &node.kind else {
            return Some(node.clone());
        };
        if node.at.line == 0 {
            return Some(node.clone());
        }
        let text = Template::parse(text)
            .ok()?
            .render(self.environment, self.directory, |_, _| {})
            .ok()?;
        Some(Node {
            kind: Kind::String(text),
            at: node.at,
        })
    }
}

/// Substitutes in every text of `node`. Members of the top map that `wanted` refuses are only
/// checked for their syntax. `prefix` stands before the field in messages.
pub(super) fn resolve(
    node: &Node,
    connector: &str,
    prefix: &str,
    wanted: impl Fn(&str) -> bool,
    sources: Sources<'_>,
    report: &mut Report,
) -> (Node, Leaves) {
    let mut pass = Pass {
        connector,
        sources,
        report,
        leaves: Leaves::default(),
    };
    let entries = node.entries().iter().map(|entry| Entry {
        key: entry.key.clone(),
        key_at: entry.key_at,
        value: pass.node(
            &entry.value,
            &format!("{prefix}{}", entry.key),
            wanted(&entry.key),
        ),
    });
    let node = Node {
        kind: Kind::Map(entries.collect()),
        at: node.at,
    };
    (node, pass.leaves)
}

struct Pass<'a> {
    connector: &'a str,
    sources: Sources<'a>,
    report: &'a mut Report,
    leaves: Leaves,
}

impl Pass<'_> {
    fn node(&mut self, node: &Node, path: &str, wanted: bool) -> Node {
        let kind = match &node.kind {
            Kind::String(text) if node.at.line > 0 => {
                Kind::String(self.text(text, node.at, path, wanted))
            }
            Kind::List(items) => Kind::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| self.node(item, &format!("{path}[{i}]"), wanted))
                    .collect(),
            ),
            Kind::Map(entries) => Kind::Map(
                entries
                    .iter()
                    .map(|entry| Entry {
                        key: entry.key.clone(),
                        key_at: entry.key_at,
                        value: self.node(&entry.value, &format!("{path}.{}", entry.key), wanted),
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        Node { kind, at: node.at }
    }

    fn text(&mut self, text: &str, at: Position, path: &str, wanted: bool) -> String {
        let place = Place {
            at,
            connector: self.connector,
            field: path,
        };
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(malformed) => {
                self.report
                    .problem(&place, &malformed.to_string(), Some(malformed.fix()));
                self.leaves.opaque.insert(at);
                return text.to_owned();
            }
        };
        if let Some(literal) = template.literal() {
            return literal.to_owned();
        }
        if !wanted {
            self.leaves.opaque.insert(at);
            return text.to_owned();
        }
        let report = &mut *self.report;
        let note = |file, digest| report.reads(file, digest);
        match template.render(self.sources.environment, self.sources.directory, note) {
            Ok(value) => {
                self.leaves.substituted.insert(at);
                value
            }
            Err(all) => {
                for missing in all {
                    self.report
                        .problem(&place, &missing.to_string(), missing.fix());
                }
                self.leaves.opaque.insert(at);
                text.to_owned()
            }
        }
    }
}
