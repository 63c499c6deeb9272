//! Configuration: what templates use and what the spec offers must be the same, and secrets must
//! be marked.

use super::super::fields::optional;
use super::report::Report;
use super::templates::Read;
use crate::document::{Entry, Kind, Node, did_you_mean};

/// Parts of a name that make it one of a secret, and endings that make it none.
const SECRET_WORDS: [&str; 8] = [
    "password",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "access_key",
    "passphrase",
];
const HARMLESS_ENDINGS: [&str; 14] = [
    "_url",
    "_uri",
    "_endpoint",
    "_type",
    "_path",
    "_date",
    "_id",
    "_name",
    "_header",
    "_format",
    "_expiry",
    "_expires_in",
    "_method",
    "_location",
];

/// Checks the `spec` of a manifest against what its templates read.
pub(super) fn check(document: &Node, reads: &[Read], report: &mut Report<'_>) {
    let spec = optional(document, "spec");
    let schema = spec.and_then(|spec| optional(spec, "connection_specification"));
    let mut config = reads.iter().filter(|read| read.variable == "config");
    let Some(schema) = schema else {
        if let Some(read) = config.find(|read| !read.path.is_empty()) {
            report.warn(
                "config",
                read.at,
                format!(
                    "config.{} is used, but the manifest has no spec",
                    read.path[0]
                ),
                "add spec.connection_specification, a JSON Schema of the configuration",
            );
        }
        return;
    };
    let added = added(document);
    for read in config {
        unknown_key(schema, read, &added, report);
    }
    unused(document, schema, report);
    unmarked(schema, report);
}

/// A key of the configuration that a template reads and the spec does not offer.
fn unknown_key(schema: &Node, read: &Read, added: &[String], report: &mut Report<'_>) {
    let mut levels = vec![schema];
    for (depth, key) in read.path.iter().enumerate() {
        let properties: Vec<&Entry> = levels.iter().flat_map(|level| properties(level)).collect();
        let is_open = levels.iter().any(|level| {
            !matches!(
                level.get("additionalProperties").map(|node| &node.kind),
                None | Some(Kind::Bool(false))
            )
        });
        if properties.is_empty() || is_open {
            return;
        }
        levels = properties
            .iter()
            .filter(|entry| entry.key == *key)
            .map(|entry| &entry.value)
            .collect();
        if !levels.is_empty() {
            continue;
        }
        // Methods of Python's dicts look like keys; what rules add is there, too.
        if depth == 0 && (added.contains(key) || key.starts_with("__")) {
            return;
        }
        if ["get", "items", "keys", "values"].contains(&&**key) {
            return;
        }
        let known = || properties.iter().map(|entry| &*entry.key);
        let path = read.path[..=depth].join(".");
        let fix = match did_you_mean(key, known()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!(
                "add it to the properties of the spec, which has {}",
                known().collect::<Vec<_>>().join(", ")
            ),
        };
        let message = format!("config.{path} is used, but the spec does not have it");
        return report.warn("config", read.at, message, fix);
    }
}

/// The properties of an object, those of its variants included.
fn properties(schema: &Node) -> Vec<&Entry> {
    let mut all: Vec<&Entry> = schema
        .get("properties")
        .map_or(&[][..], Node::entries)
        .iter()
        .collect();
    for variants in ["oneOf", "anyOf", "allOf"] {
        let variants = schema.get(variants).map_or(&[][..], Node::items);
        all.extend(variants.iter().flat_map(properties));
    }
    for branch in ["if", "then", "else"] {
        all.extend(schema.get(branch).into_iter().flat_map(properties));
    }
    all
}

/// Keys that rules put into the configuration before it is used.
fn added(document: &Node) -> Vec<String> {
    let mut keys = Vec::new();
    let rules = document
        .get("spec")
        .and_then(|spec| spec.get("config_normalization_rules"));
    if let Some(rules) = rules {
        texts(rules, &mut |text| keys.push(text.to_owned()));
    }
    keys
}

fn unused(document: &Node, schema: &Node, report: &mut Report<'_>) {
    let mut used = Vec::new();
    let mut has_custom = false;
    for entry in document.entries() {
        let skipped = match entry.key.as_str() {
            "spec" => entry.value.get("config_normalization_rules"),
            "definitions" | "schemas" => None,
            _ => Some(&entry.value),
        };
        if let Some(node) = skipped {
            texts(node, &mut |text| {
                has_custom |= text.starts_with("Custom");
                used.push(text.to_owned());
            });
        }
    }
    // A Python class may read anything.
    if has_custom || used.iter().any(|text| reads_all_of_config(text)) {
        return;
    }
    for entry in schema.get("properties").map_or(&[][..], Node::entries) {
        let is_used = used.iter().any(|text| text.contains(entry.key.as_str()));
        if !is_used {
            report.warn(
                "config",
                entry.key_at,
                format!("the spec has {}, which nothing uses", entry.key),
                "use it in a template, or remove it",
            );
        }
    }
}

/// `config` without a key after it.
fn reads_all_of_config(text: &str) -> bool {
    text.match_indices("config").any(|(at, word)| {
        let rest = text[at + word.len()..].trim_start();
        let before = text[..at].chars().next_back();
        let is_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        is_word && text[..at].contains("{{") && !rest.starts_with(['.', '[', '_'])
    })
}

fn texts(node: &Node, found: &mut dyn FnMut(&str)) {
    match &node.kind {
        Kind::String(text) => found(text),
        Kind::List(items) => items.iter().for_each(|item| texts(item, found)),
        Kind::Map(entries) => {
            for entry in entries {
                found(&entry.key);
                texts(&entry.value, found);
            }
        }
        _ => {}
    }
}

/// Secrets whose values could end up in a message.
fn unmarked(schema: &Node, report: &mut Report<'_>) {
    for entry in properties(schema) {
        let name = entry.key.to_lowercase();
        let is_marked = entry.value.get("airbyte_secret").is_some();
        let is_text = entry.value.get("type").and_then(Node::as_str) == Some("string");
        let has_constant = entry.value.get("const").is_some() || entry.value.get("enum").is_some();
        let is_secret = SECRET_WORDS.iter().any(|word| name.contains(word))
            && !HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending));
        if is_secret && is_text && !is_marked && !has_constant {
            report.warn(
                "secret",
                entry.key_at,
                format!(
                    "{} looks like a secret, and is not marked as one",
                    entry.key
                ),
                "add airbyte_secret: true, which keeps it out of logs, or false if it is none",
            );
        }
        unmarked(&entry.value, report);
    }
}
