//! What a JSON Schema says about one value: its members, its alternatives, its types.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::keys;
use super::super::leaves::Leaves;
use crate::document::{Entry, Kind};

/// Local references are followed this far, so that a circle ends.
const MAX_REFERENCES: usize = 16;

/// A schema within its document.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Shape<'a> {
    schema: &'a Value,
    root: &'a Value,
    /// Steps through lists of schemas and references, which may form a circle.
    depth: usize,
}

impl<'a> Shape<'a> {
    /// The schema of a whole `providerConfig`.
    pub(in crate::config) fn of(root: &'a Value) -> Self {
        Self::at(root, root, 0)
    }

    fn at(schema: &'a Value, root: &'a Value, depth: usize) -> Self {
        let mut schema = schema;
        for _ in 0..MAX_REFERENCES {
            let target = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| root.pointer(reference.strip_prefix('#')?));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        Self {
            schema,
            root,
            depth,
        }
    }

    fn anything(self) -> Self {
        static ANYTHING: Value = Value::Bool(true);
        Self::at(&ANYTHING, self.root, 0)
    }

    fn list(self, keyword: &str) -> Vec<Self> {
        if self.depth == MAX_REFERENCES {
            return Vec::new();
        }
        self.schema
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|schema| Self::at(schema, self.root, self.depth + 1))
            .collect()
    }

    /// The members it names itself, alternatives not included.
    pub(in crate::config) fn members(self) -> Vec<(&'a str, Self)> {
        let mut members: Vec<_> = self
            .schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, schema)| (key.as_str(), Self::at(schema, self.root, 0)))
            .collect();
        for part in self.list("allOf") {
            members.extend(part.members());
        }
        members
    }

    /// The alternatives of `oneOf` or `anyOf`.
    pub(in crate::config) fn alternatives(self) -> Vec<Self> {
        let mut alternatives = self.list("oneOf");
        alternatives.extend(self.list("anyOf"));
        alternatives
    }

    /// The schema of list elements.
    pub(super) fn items(self) -> Self {
        match self.schema.get("items") {
            Some(schema) => Self::at(schema, self.root, 0),
            None => self.anything(),
        }
    }

    /// The schema of members that are not named; `None` when there may be none.
    pub(super) fn additional(self) -> Option<Self> {
        match self.schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(self.anything()),
            Some(schema @ Value::Object(_)) => Some(Self::at(schema, self.root, 0)),
            // A schema that says nothing of members leaves them free.
            None if !self.describes_members() => Some(self.anything()),
            _ => None,
        }
    }

    fn describes_members(self) -> bool {
        self.schema.get("properties").is_some()
            || self.list("allOf").into_iter().any(Self::describes_members)
            || self.alternatives().into_iter().any(Self::describes_members)
    }

    /// Whether `name` is among its types, or a value of that type is possible in an alternative.
    pub(super) fn allows(self, name: &str) -> bool {
        match self.schema.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(types)) => types.iter().any(|t| t.as_str() == Some(name)),
            _ => {
                self.alternatives().into_iter().any(|a| a.allows(name))
                    || self.list("allOf").into_iter().any(|a| a.allows(name))
            }
        }
    }

    /// Whether members are what it holds.
    pub(in crate::config) fn is_object(self) -> bool {
        self.allows("object") || self.describes_members()
    }

    /// The one value it allows.
    fn constant(self) -> Option<&'a Value> {
        let only = || match self.schema.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        self.schema.get("const").or_else(only)
    }

    fn required(self) -> BTreeSet<&'a str> {
        self.schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Which alternative `entries` are meant for: the one whose constants they hold (as in
    /// `"auth_type": "oauth"`), else the only one that has all their keys.
    pub(super) fn choose(self, entries: &[Entry], leaves: &Leaves) -> Choice<'a> {
        let alternatives = self.alternatives();
        if alternatives.is_empty() {
            return Choice::None;
        }
        let own = self.members();
        let value_of = |key: &str| {
            entries
                .iter()
                .find(|entry| keys::alike(&entry.key, key))
                .map(|entry| &entry.value)
        };
        let mut named = Vec::new();
        let mut mismatch = None;
        for (i, alternative) in alternatives.iter().enumerate() {
            let constants: Vec<_> = alternative
                .members()
                .into_iter()
                .filter_map(|(key, shape)| Some((key, shape.constant()?)))
                .collect();
            let mut held = 0;
            for (key, constant) in &constants {
                match value_of(key) {
                    Some(node) if leaves.is_opaque(node.at) => {}
                    Some(node) if is_constant(&node.kind, constant) => held += 1,
                    Some(_) => mismatch = Some(*key),
                    None => {}
                }
            }
            if held > 0 && held == constants.len() {
                named.push(i);
            }
        }
        if let [only] = named.as_slice() {
            return Choice::One(*only, alternatives[*only]);
        }
        if named.is_empty()
            && let Some(key) = mismatch
        {
            let mut allowed: Vec<String> = Vec::new();
            for alternative in &alternatives {
                for (other, shape) in alternative.members() {
                    if other == key
                        && let Some(constant) = shape.constant()
                    {
                        allowed.push(constant.to_string());
                    }
                }
            }
            return Choice::NoSuch {
                key: key.to_owned(),
                allowed,
            };
        }
        let fits = |alternative: &Self| {
            let members = alternative.members();
            let knows = |key: &str| {
                members
                    .iter()
                    .chain(&own)
                    .any(|(known, _)| keys::alike(known, key))
            };
            let needs_no_more = alternative.required().into_iter().all(|key| {
                value_of(key).is_some()
                    || members
                        .iter()
                        .any(|(k, shape)| *k == key && shape.constant().is_some())
            });
            entries.iter().all(|entry| knows(&entry.key)) && needs_no_more
        };
        let mut fitting = alternatives.iter().enumerate().filter(|(_, a)| fits(a));
        match (fitting.next(), fitting.next()) {
            (Some((i, only)), None) => Choice::One(i, *only),
            _ => Choice::Open(alternatives),
        }
    }

    /// The value that holds when the member is left out.
    pub(super) fn default(self) -> Option<&'a Value> {
        self.schema.get("default")
    }

    /// Like [`default`](Self::default), or the constant of a chosen alternative.
    pub(super) fn default_or_constant(self) -> Option<&'a Value> {
        self.default().or_else(|| self.constant())
    }
}

/// Which alternative of a schema is meant.
pub(super) enum Choice<'a> {
    /// There are none.
    None,
    /// This one.
    One(usize, Shape<'a>),
    /// Its constants name none.
    NoSuch {
        /// The member that tells them apart.
        key: String,
        /// What it may hold.
        allowed: Vec<String>,
    },
    /// It cannot be told.
    Open(Vec<Shape<'a>>),
}

fn is_constant(kind: &Kind, constant: &Value) -> bool {
    match (kind, constant) {
        (Kind::String(text), Value::String(expected)) => text == expected,
        (Kind::Bool(flag), Value::Bool(expected)) => flag == expected,
        (Kind::Int(number), Value::Number(expected)) => Some(*number) == expected.as_i64(),
        _ => false,
    }
}

/// All keys at the top of a schema, alternatives included, in the spelling of `connectors.json`.
pub(in crate::config) fn known_keys(spec: &Value) -> Vec<String> {
    let shape = Shape::of(spec);
    let mut known = Vec::new();
    let alternatives = shape.alternatives();
    for (key, _) in shape
        .members()
        .into_iter()
        .chain(alternatives.into_iter().flat_map(Shape::members))
    {
        let key = keys::to_camel(key);
        if !known.contains(&key) {
            known.push(key);
        }
    }
    known
}
