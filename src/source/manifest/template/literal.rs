//! Python literals: what the text of a field means.

use std::fmt;

use crate::json;

/// A value that a field can have: what Python's `literal_eval` makes of its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// A float; may be infinite.
    Float(f64),
    /// Text.
    Str(String),
}

impl Literal {
    /// The value as JSON. Tuples and sets are arrays; what JSON has no number for is null.
    pub fn into_json(self) -> json::Value {
        match self {
            Self::None => json::Value::Null,
            Self::Bool(value) => json::Value::Bool(value),
            Self::Int(value) => json::Value::Int(value),
            Self::Float(value) => json::Value::Float(value),
            Self::Str(text) => json::Value::String(text),
        }
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Python's `bool(value)`: not `None`, zero or empty.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Self::None | Self::Bool(false))
    }
}

/// As Python's `str(value)`.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(value) => f.write_str(if *value { "True" } else { "False" }),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Str(text) => f.write_str(text),
        }
    }
}
