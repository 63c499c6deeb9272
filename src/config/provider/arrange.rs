//! Brings a provider configuration into the form of its schema: spelling, order, types, defaults.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::report::{Place, Report, suggest};
use super::super::{fields, keys, texts};
use super::Subject;
use super::shape::{Choice, Shape};
use crate::document::{Entry, Kind, Node, Position};

/// A provider configuration in the schema's form.
pub(super) struct Arranged {
    /// The map.
    pub(super) node: Node,
    /// Which alternative was taken, by the JSON pointer of the map that has alternatives; `None`
    /// when the choice is wrong and reported.
    pub(super) choices: BTreeMap<String, Option<usize>>,
    /// Whether the file writes keys in `snake_case`, so that messages shall too.
    pub(super) is_snake: bool,
    /// Keys, in the schema's spelling, that a reported unknown key is a typo of; with the JSON
    /// pointer of their map.
    pub(super) misspelled: Vec<(String, String)>,
}

/// Arranges `given`; reports keys that are unknown or mean the same.
pub(super) fn arrange(subject: &Subject<'_>, given: &Node, report: &mut Report) -> Arranged {
    let mut pass = Pass {
        subject,
        report,
        choices: BTreeMap::new(),
        misspelled: Vec::new(),
        is_snake: subject.variables.is_none() && has_underscores(given),
    };
    let path = Path {
        shown: "providerConfig".to_owned(),
        pointer: String::new(),
    };
    let node = pass.value(given, Shape::of(subject.spec), &path);
    Arranged {
        node,
        choices: pass.choices,
        misspelled: pass.misspelled,
        is_snake: pass.is_snake,
    }
}

/// Where a value stands: as messages show it, and in the arranged tree.
struct Path {
    shown: String,
    pointer: String,
}

impl Path {
    fn member(&self, given: &str, spelled: &str) -> Self {
        let escaped = spelled.replace('~', "~0").replace('/', "~1");
        Self {
            shown: format!("{}.{given}", self.shown),
            pointer: format!("{}/{escaped}", self.pointer),
        }
    }

    fn element(&self, i: usize) -> Self {
        Self {
            shown: format!("{}[{i}]", self.shown),
            pointer: format!("{}/{i}", self.pointer),
        }
    }
}

struct Pass<'a> {
    subject: &'a Subject<'a>,
    report: &'a mut Report,
    choices: BTreeMap<String, Option<usize>>,
    misspelled: Vec<(String, String)>,
    is_snake: bool,
}

impl<'a> Pass<'a> {
    fn problem(&mut self, at: Position, path: &Path, message: &str, fix: Option<String>) {
        let place = Place {
            at,
            connector: self.subject.connector,
            field: &path.shown,
        };
        self.report.problem(&place, message, fix);
    }

    fn value(&mut self, node: &Node, shape: Shape<'a>, path: &Path) -> Node {
        let kind = match &node.kind {
            Kind::String(_) if self.subject.leaves.is_opaque(node.at) => node.kind.clone(),
            Kind::String(text) => return self.text(text, node.at, shape, path),
            Kind::List(items) => {
                let shape = shape.items();
                Kind::List(
                    items
                        .iter()
                        .enumerate()
                        .map(|(i, item)| self.value(item, shape, &path.element(i)))
                        .collect(),
                )
            }
            Kind::Map(entries) => Kind::Map(self.map(entries, shape, path)),
            other => other.clone(),
        };
        Node { kind, at: node.at }
    }

    /// Text where the schema asks for something else.
    fn text(&mut self, text: &str, at: Position, shape: Shape<'a>, path: &Path) -> Node {
        let as_text = || Kind::String(text.to_owned());
        let kind = if shape.allows("string") {
            as_text()
        } else if at.line == 0 && is_json(text, shape) {
            return self.json(text, at, shape, path);
        } else if shape.allows("array") {
            let items = shape.items();
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Kind::List(
                parts
                    .enumerate()
                    .map(|(i, part)| self.text(part, at, items, &path.element(i)))
                    .collect(),
            )
        } else if shape.allows("integer") || shape.allows("number") {
            parse_number(text).unwrap_or_else(as_text)
        } else if shape.allows("boolean") {
            texts::parse_flag(text).map_or_else(as_text, Kind::Bool)
        } else {
            as_text()
        };
        Node { kind, at }
    }

    /// An environment variable that holds a whole object or list.
    fn json(&mut self, text: &str, at: Position, shape: Shape<'a>, path: &Path) -> Node {
        if let Ok(node) = crate::document::parse_json("", text) {
            return self.value(&placed(&node, at), shape, path);
        }
        // The error of the reader quotes keys of what may be a secret.
        self.problem(at, path, "its value is no valid JSON", None);
        self.choices.insert(path.pointer.clone(), None);
        Node {
            kind: Kind::Map(Vec::new()),
            at,
        }
    }

    fn map(&mut self, entries: &[Entry], shape: Shape<'a>, path: &Path) -> Vec<Entry> {
        let mut known = shape.members();
        let mut chosen = Vec::new();
        let mut additional = shape.additional();
        match shape.choose(entries, self.subject.leaves) {
            Choice::None => {}
            Choice::One(i, alternative) => {
                self.choices.insert(path.pointer.clone(), Some(i));
                chosen = alternative.members();
                additional = additional.or(alternative.additional());
                known.extend(alternative.members());
            }
            Choice::NoSuch { key, allowed } => {
                self.choices.insert(path.pointer.clone(), None);
                if let Some(entry) = entries.iter().find(|e| keys::alike(&e.key, &key)) {
                    let message = format!("must be one of {}", allowed.join(", "));
                    let path = path.member(&entry.key, &key);
                    self.problem(entry.value.at, &path, &message, None);
                }
                known.extend(shape.alternatives().into_iter().flat_map(Shape::members));
            }
            Choice::Open(alternatives) => {
                known.extend(alternatives.into_iter().flat_map(Shape::members));
            }
        }
        let mut named = self.spell(entries, &known, additional.is_some(), path);

        let mut arranged = Vec::new();
        for (key, member) in &known {
            if arranged.iter().any(|entry: &Entry| entry.key == *key) {
                continue;
            }
            if let Some(found) = named.iter().position(|(spelled, _)| spelled == key) {
                let (spelled, given) = named.swap_remove(found);
                let path = path.member(&given.key, &spelled);
                arranged.push(Entry {
                    key: spelled,
                    key_at: given.key_at,
                    value: self.value(&given.value, *member, &path),
                });
            } else {
                let is_chosen = chosen.iter().any(|(k, _)| k == key);
                let is_own = shape.members().iter().any(|(k, _)| k == key);
                let default = if is_chosen {
                    member.default_or_constant()
                } else if is_own {
                    member.default()
                } else {
                    None
                };
                if let Some(value) = default.filter(|value| !value.is_null()) {
                    let path = path.member(key, key);
                    arranged.push(Entry {
                        key: (*key).to_owned(),
                        key_at: Position::default(),
                        value: self.value(&from_json(value), *member, &path),
                    });
                }
            }
        }
        // Additional members in an order that does not depend on the file.
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, given) in named {
            let value = match additional {
                Some(additional) => {
                    self.value(&given.value, additional, &path.member(&given.key, &key))
                }
                None => given.value.clone(),
            };
            arranged.push(Entry {
                key,
                key_at: given.key_at,
                value,
            });
        }
        arranged
    }

    /// Pairs every entry with the schema's spelling of its key; drops those that are unknown or
    /// given twice, with a problem.
    fn spell<'e>(
        &mut self,
        entries: &'e [Entry],
        known: &[(&str, Shape<'a>)],
        allows_more: bool,
        path: &Path,
    ) -> Vec<(String, &'e Entry)> {
        let mut named: Vec<(String, &Entry)> = Vec::new();
        for entry in entries {
            let exact = known.iter().find(|(key, _)| *key == entry.key);
            let alike = || known.iter().find(|(key, _)| keys::alike(key, &entry.key));
            let spelled = match exact.or_else(alike) {
                Some((key, _)) => (*key).to_owned(),
                None if allows_more => entry.key.clone(),
                None => {
                    self.unknown(entry, known, path);
                    continue;
                }
            };
            match named.iter().find(|(key, _)| *key == spelled) {
                Some((_, first)) => {
                    let message = format!(
                        "\"{}\" and \"{}\" are one field in two spellings",
                        first.key, entry.key
                    );
                    let fix = Some("remove one of them".to_owned());
                    self.problem(entry.key_at, path, &message, fix);
                }
                None => named.push((spelled, entry)),
            }
        }
        named
    }

    fn unknown(&mut self, entry: &Entry, known: &[(&str, Shape<'a>)], path: &Path) {
        let mut valid: Vec<String> = Vec::new();
        for (key, _) in known {
            let shown = if self.is_snake {
                (*key).to_owned()
            } else {
                keys::to_camel(key)
            };
            if !valid.contains(&shown) {
                valid.push(shown);
            }
        }
        let near = crate::document::did_you_mean(&entry.key, valid.iter().map(String::as_str));
        if let Some(near) = near
            && let Some((key, _)) = known.iter().find(|(key, _)| keys::alike(key, near))
        {
            self.misspelled
                .push((path.pointer.clone(), (*key).to_owned()));
        }
        let is_universal =
            path.pointer.is_empty() && fields::names_in(None).contains(&entry.key.as_str());
        let fix = if near.is_none() && is_universal {
            Some("it belongs beside providerConfig, not in it".to_owned())
        } else {
            suggest(&entry.key, "valid keys", valid.iter().map(String::as_str))
                .or_else(|| Some("this object has no keys".to_owned()))
        };
        let message = format!(
            "unknown key \"{}\" for type {}",
            entry.key, self.subject.kind
        );
        self.problem(entry.key_at, path, &message, fix);
    }
}

/// Whether any key below `node` has an underscore.
fn has_underscores(node: &Node) -> bool {
    let is_snake = |entry: &Entry| entry.key.contains('_') || has_underscores(&entry.value);
    node.entries().iter().any(is_snake) || node.items().iter().any(has_underscores)
}

fn is_json(text: &str, shape: Shape<'_>) -> bool {
    let text = text.trim_start();
    (text.starts_with('{') && shape.is_object()) || (text.starts_with('[') && shape.allows("array"))
}

fn parse_number(text: &str) -> Option<Kind> {
    let text = text.trim();
    if let Ok(whole) = text.parse() {
        return Some(Kind::Int(whole));
    }
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(Kind::Float(number))
}

/// The same tree with every node at `at`.
fn placed(node: &Node, at: Position) -> Node {
    let kind = match &node.kind {
        Kind::List(items) => Kind::List(items.iter().map(|item| placed(item, at)).collect()),
        Kind::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    key: entry.key.clone(),
                    key_at: at,
                    value: placed(&entry.value, at),
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { kind, at }
}

/// A default of the schema as a node without a place.
fn from_json(value: &Value) -> Node {
    Node::synthetic(match value {
        Value::Null => Kind::Null,
        Value::Bool(flag) => Kind::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Kind::Int(whole),
            (None, Some(float)) if number.is_f64() => Kind::Float(float),
            _ => Kind::BigNumber(number.to_string().into()),
        },
        Value::String(text) => Kind::String(text.clone()),
        Value::Array(items) => Kind::List(items.iter().map(from_json).collect()),
        Value::Object(map) => Kind::Map(
            map.iter()
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    key_at: Position::default(),
                    value: from_json(value),
                })
                .collect(),
        ),
    })
}
