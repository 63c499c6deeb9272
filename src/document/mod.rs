//! Files people write (configuration, manifests), read into a tree whose every node knows its
//! line and column, so that a problem can name the place and the fix.

mod json;
mod yaml;

use std::fmt;
use std::sync::Arc;

pub use json::{decode, parse_json, parse_json_keeping_repeats};
pub use yaml::parse_yaml;

/// A place in a file, counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Line, from 1. 0 means the value came from no file (an environment variable, a default).
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What stands there.
    pub kind: Kind,
    /// Where it starts.
    pub at: Position,
}

/// The kinds of value JSON and YAML share.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A number with fraction or exponent.
    Float(f64),
    /// A number beyond 64 bits, as spelled.
    BigNumber(Box<str>),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map in source order; keys are unique (a repeated key is a problem of the reader).
    Map(Vec<Entry>),
}

/// One member of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub key_at: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A node that came from no file.
    pub fn synthetic(kind: Kind) -> Self {
        Self {
            kind,
            at: Position::default(),
        }
    }

    /// The value of `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// The members of a map; empty for every other kind.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; empty for every other kind.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// A value that came from no file.
    pub fn of_value(value: &crate::json::Value) -> Self {
        use crate::json::Value;
        Self::synthetic(match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Int(value) => Kind::Int(*value),
            Value::Float(value) => Kind::Float(*value),
            Value::BigNumber(text) => Kind::BigNumber(text.clone()),
            Value::String(text) => Kind::String(text.clone()),
            Value::Array(items) => Kind::List(items.iter().map(Self::of_value).collect()),
            Value::Object(map) => Kind::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        key_at: Position::default(),
                        value: Self::of_value(value),
                    })
                    .collect(),
            ),
        })
    }

    /// The same value without positions, for templates and schema checks.
    pub fn to_value(&self) -> crate::json::Value {
        use crate::json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Int(*value),
            Kind::Float(value) => Value::Float(*value),
            Kind::BigNumber(text) => Value::BigNumber(text.clone()),
            Kind::String(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Map(entries) => entries
                .iter()
                .map(|e| (e.key.clone(), e.value.to_value()))
                .collect::<crate::json::Map>()
                .into(),
        }
    }
}

/// One thing that is wrong with a document: where, what, and how to mend it.
///
/// Shown as `connectors.json:12:7: unknown field "pollInterval" (did you mean "pollIntervalMs"?)`.
/// The message never holds a substituted value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File as the user named it.
    pub file: Arc<str>,
    /// Place in it; `None` when the problem has none (an environment variable).
    pub at: Option<Position>,
    /// What is wrong: lowercase, no final period, connector and field named.
    pub message: String,
    /// What to do about it, when that is known.
    pub fix: Option<String>,
}

impl Problem {
    /// A name that is none of the `known` ones.
    pub fn unknown<S: AsRef<str>>(what: &str, name: &str, at: Position, known: &[S]) -> Self {
        let fix = match did_you_mean(name, known.iter().map(AsRef::as_ref)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
                format!("known: {}", known.join(", "))
            }
        };
        Self {
            file: "".into(),
            at: Some(at),
            message: format!("unknown {what} \"{name}\""),
            fix: Some(fix),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(fix) = &self.fix {
            write!(f, " ({fix})")?;
        }
        Ok(())
    }
}

/// The candidate nearest to `given`, when one is near enough to be a typo of it.
pub fn did_you_mean<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&given.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= candidate.len().max(given.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
