//! From the document as written to the document as built from: references replaced, default types
//! and `$parameters` handed down, deprecated spellings made one.
//!
//! Every step keeps positions, so that a problem found later still names the line it came from.
//! What references and parameters may expand to is bounded.

mod normalise;
pub(super) mod parameters;
pub(super) mod references;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;

use super::fields::{problem, with_file};
use crate::document::{Entry, Kind, Node, Position, Problem};

/// Values that all references and parameters of a manifest may expand to.
const MAX_NODES: usize = 1_000_000;
/// References and levels inside each other; also bounds the recursion of everything after.
const MAX_DEPTH: usize = 200;

/// Resolves a manifest read by [`parse_yaml`](crate::document::parse_yaml).
///
/// Afterwards no `$ref` is left, components have their `type`, and a requester is spelled
/// `url` + `path`, `request_body_json` or `request_body_data`.
pub fn resolve(file: &str, document: &Node) -> Result<Node, Problem> {
    if !matches!(document.kind, Kind::Map(_)) {
        return Err(with_file(
            file,
            problem(
                document.at,
                "a manifest is a map of fields",
                "start it with: type: DeclarativeSource",
            ),
        ));
    }
    references::replace(document)
        .map(add_source_type)
        .and_then(parameters::hand_down)
        .and_then(normalise::spellings)
        .map_err(|problem| with_file(file, problem))
}

/// Resolves a part that stands outside the components, whose references are replaced already. It
/// is a `kind`, whether it says so or not.
pub(super) fn resolve_part(kind: &str, part: &Node) -> Result<Node, Problem> {
    let mut part = part.clone();
    if let Kind::Map(entries) = &mut part.kind
        && !entries.iter().any(|entry| entry.key == "type")
    {
        entries.insert(0, synthetic_entry("type", kind, part.at));
    }
    parameters::hand_down(part).and_then(normalise::spellings)
}

/// Resolves a stream that was made from a template, whose references are replaced already.
/// `outer_wins` says whose parameter counts where a component and one around it have the same.
pub(super) fn resolve_made(stream: Node, outer_wins: bool) -> Result<Node, Problem> {
    parameters::hand_down_again(stream, outer_wins).and_then(normalise::spellings)
}

/// The root may leave its type out.
pub(super) fn add_source_type(mut document: Node) -> Node {
    if let Kind::Map(entries) = &mut document.kind
        && !entries.iter().any(|entry| entry.key == "type")
    {
        entries.insert(0, synthetic_entry("type", "DeclarativeSource", document.at));
    }
    document
}

/// A text field that stands nowhere; problems with it name `at`.
fn synthetic_entry(key: &str, text: &str, at: Position) -> Entry {
    Entry {
        key: key.to_owned(),
        key_at: at,
        value: Node {
            kind: Kind::String(text.to_owned()),
            at,
        },
    }
}

/// Members of a map while it is being rewritten: found by key, in order.
type Members = IndexMap<String, (Position, Node)>;

fn into_members(entries: Vec<Entry>) -> Members {
    entries
        .into_iter()
        .map(|Entry { key, key_at, value }| (key, (key_at, value)))
        .collect()
}

fn into_map(members: Members) -> Kind {
    Kind::Map(
        members
            .into_iter()
            .map(|(key, (key_at, value))| Entry { key, key_at, value })
            .collect(),
    )
}

/// Counts what has been built; hostile manifests expand without end.
#[derive(Default)]
struct Budget {
    nodes: usize,
}

impl Budget {
    fn charge(&mut self, nodes: usize, at: Position) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(problem(
                at,
                format!(
                    "the manifest is too large: with references and $parameters expanded it \
                     holds more than {MAX_NODES} values"
                ),
                "refer to smaller parts, or fewer times",
            ));
        }
        Ok(())
    }
}

fn check_depth(depth: usize, at: Position) -> Result<(), Problem> {
    if depth > MAX_DEPTH {
        return Err(problem(
            at,
            format!("references and values are nested more than {MAX_DEPTH} levels deep"),
            "flatten the manifest, or shorten the chain of references",
        ));
    }
    Ok(())
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::List(items) => items.iter().map(count).sum(),
        Kind::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0,
    }
}

/// Calls `found` with every text of a document that may be a template, keys included.
fn each_text(node: &Node, found: &mut dyn FnMut(&str)) {
    match &node.kind {
        Kind::String(text) => found(text),
        Kind::List(items) => items.iter().for_each(|item| each_text(item, found)),
        Kind::Map(entries) => {
            for entry in entries {
                found(&entry.key);
                each_text(&entry.value, found);
            }
        }
        _ => {}
    }
}
