//! Python literals: what the text of a field means.

use std::fmt::{self, Write as _};

use num_bigint::BigInt;

use super::float::float_text;
use super::literal_parser;
use super::print;
use super::value::{SeqKind, Value};
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
    /// Any other integer.
    Big(BigInt),
    /// A float; may be infinite.
    Float(f64),
    /// Text.
    Str(String),
    /// `b'…'`
    Bytes(Vec<u8>),
    /// `[…]`
    List(Vec<Literal>),
    /// `(…)`
    Tuple(Vec<Literal>),
    /// `{a, b}`
    Set(Vec<Literal>),
    /// `{a: b}`
    Dict(Vec<(Literal, Literal)>),
    /// `...`
    Ellipsis,
}

impl Literal {
    /// The texts of one element of a list that is sent as repeated keys: of a collection within it
    /// what Python iterates over.
    pub(in crate::source::manifest) fn sent(&self) -> Vec<String> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                items.iter().map(ToString::to_string).collect()
            }
            Self::Dict(entries) => entries.iter().map(|(key, _)| key.to_string()).collect(),
            other => vec![other.to_string()],
        }
    }

    /// Reads a Python literal; `None` if the text is none, and so only text.
    pub fn parse(text: &str) -> Option<Self> {
        literal_parser::parse(text)
    }

    /// The literal that the text is, or the text itself.
    pub(super) fn of_text(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self::Str(text))
    }

    /// As [`of_text`](Self::of_text), copying the text only if it stays text.
    pub(super) fn of_str(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Str(text.to_owned()))
    }

    /// The value as JSON. Tuples and sets are arrays; an infinite number is null.
    pub fn into_json(self) -> json::Value {
        let array = |items: Vec<Self>| items.into_iter().map(Self::into_json).collect();
        match self {
            Self::None => json::Value::Null,
            Self::Bool(value) => json::Value::Bool(value),
            Self::Int(value) => json::Value::Int(value),
            Self::Big(value) => json::Value::BigNumber(value.to_string().into()),
            Self::Float(value) if !value.is_finite() => json::Value::Null,
            Self::Float(value) => json::Value::Float(value),
            Self::Str(text) => json::Value::String(text),
            Self::Bytes(bytes) => json::Value::String(String::from_utf8_lossy(&bytes).into()),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                json::Value::Array(array(items))
            }
            Self::Dict(entries) => json::Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.into_key(), value.into_json()))
                    .collect(),
            ),
            Self::Ellipsis => json::Value::String("Ellipsis".to_owned()),
        }
    }

    /// The value as the key of a JSON object.
    pub fn into_key(self) -> String {
        match self {
            Self::None => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Str(text) => text,
            other => other.to_string(),
        }
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Python's `bool(value)`: neither `None` nor zero nor empty.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => !items.is_empty(),
            Self::Dict(entries) => !entries.is_empty(),
            Self::Big(_) | Self::Ellipsis => true,
        }
    }

    /// Whether a condition with this value holds, by the reference's list of false values.
    pub(super) fn is_true_condition(&self) -> bool {
        match self {
            Self::Str(text) => !matches!(
                &**text,
                "" | "False" | "false" | "{}" | "[]" | "()" | "0" | "0.0"
            ),
            Self::Bytes(_) => true,
            other => other.is_truthy(),
        }
    }

    /// The value of an expression, without the detour over its text; `None` if the detour could
    /// make a difference.
    pub(super) fn of_value(value: &Value<'_>) -> Option<Self> {
        Self::of_part(value, 50).filter(|literal| !matches!(literal, Self::Str(_)))
    }

    fn of_part(value: &Value<'_>, depth: u32) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let all = || -> Option<Vec<Self>> {
            value
                .items()
                .ok()?
                .iter()
                .map(|item| Self::of_part(item, depth))
                .collect()
        };
        Some(match value {
            Value::None => Self::None,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) if value.is_finite() => Self::Float(*value),
            Value::Str(text) => Self::Str(text.as_str().to_owned()),
            Value::Array(_) | Value::Seq(SeqKind::List, _) => Self::List(all()?),
            Value::Seq(SeqKind::Tuple, _) => Self::Tuple(all()?),
            Value::Object(_) => Self::Dict(
                value
                    .entries()?
                    .iter()
                    .map(|(key, value)| {
                        Some((Self::of_part(key, depth)?, Self::of_part(value, depth)?))
                    })
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }
}

/// As Python reads JSON. A number that no float holds is infinite.
impl From<&json::Value> for Literal {
    fn from(value: &json::Value) -> Self {
        match value {
            json::Value::Null => Self::None,
            json::Value::Bool(value) => Self::Bool(*value),
            json::Value::Int(value) => Self::Int(*value),
            json::Value::Float(value) => Self::Float(*value),
            json::Value::BigNumber(text) => text.parse().map_or_else(
                |_| Self::Float(text.parse().unwrap_or(f64::INFINITY)),
                Self::Big,
            ),
            json::Value::String(text) => Self::Str(text.clone()),
            json::Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            json::Value::Object(map) => Self::Dict(
                map.iter()
                    .map(|(key, value)| (Self::Str(key.clone()), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

/// As Python's `str(value)`.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            other => other.repr(f),
        }
    }
}

impl Literal {
    fn repr(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(value) => f.write_str(if *value { "True" } else { "False" }),
            Self::Int(value) => write!(f, "{value}"),
            Self::Big(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&float_text(*value)),
            Self::Ellipsis => f.write_str("Ellipsis"),
            Self::Str(text) => {
                let mut quoted = String::with_capacity(text.len() + 2);
                print::quote(text, &mut quoted);
                f.write_str(&quoted)
            }
            Self::Bytes(bytes) => {
                // In single quotes unless that would need an escape.
                let has = |quote| bytes.contains(&quote);
                let quote = if has(b'\'') && !has(b'"') { '"' } else { '\'' };
                write!(f, "b{quote}")?;
                for &byte in bytes {
                    match char::from(byte) {
                        other @ ('\'' | '"') if other != quote => f.write_char(other)?,
                        _ => write!(f, "{}", byte.escape_ascii())?,
                    }
                }
                f.write_char(quote)
            }
            Self::List(items) => {
                f.write_str("[")?;
                separated(f, items, Self::repr)?;
                f.write_str("]")
            }
            Self::Tuple(items) => {
                f.write_str("(")?;
                separated(f, items, Self::repr)?;
                f.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
            Self::Set(items) if items.is_empty() => f.write_str("set()"),
            Self::Set(items) => {
                f.write_str("{")?;
                separated(f, items, Self::repr)?;
                f.write_str("}")
            }
            Self::Dict(entries) => {
                f.write_str("{")?;
                separated(f, entries, |(key, value), f| {
                    key.repr(f)?;
                    f.write_str(": ")?;
                    value.repr(f)
                })?;
                f.write_str("}")
            }
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        each(item, f)?;
    }
    Ok(())
}
