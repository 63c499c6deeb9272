//! Python values as templates see them: borrowed where they come from the context.

use std::rc::Rc;

use jiff::civil::Date;
use num_bigint::BigInt;

use super::context::{Binding, SliceView};
use super::names::Function;
use crate::json;
use crate::source::manifest::datetime::{DateTime, Span};

/// A value during evaluation. Nothing in it can be changed, so cloning is sharing.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    /// Something that is not there: prints as nothing, is false, and fails when used.
    Undefined(Missing<'a>),
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit `Int`.
    Big(Rc<BigInt>),
    Float(f64),
    Str(Text<'a>),
    /// A JSON array: a list.
    Array(&'a [json::Value]),
    /// A JSON object: a dict.
    Object(&'a json::Map),
    /// A dict whose keys match in any case.
    Headers(&'a json::Map),
    Slice(Rc<SliceView<'a>>),
    Seq(SeqKind, Rc<Vec<Value<'a>>>),
    Dict(Rc<Vec<(Value<'a>, Value<'a>)>>),
    DateTime(DateTime),
    Date(Date),
    Span(Span),
    Function(Function),
    /// A method and the value it belongs to.
    Method(Rc<(Value<'a>, Text<'a>)>),
    /// `loop` inside a `for`.
    Loop(Rc<Loop<'a>>),
}

/// Text from the context or made by the template.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// Python's collections that are not dicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeqKind {
    List,
    Tuple,
    Keys,
    Values,
    Items,
}

/// What was looked for in vain.
#[derive(Debug, Clone)]
pub(super) struct Missing<'a> {
    /// Type of the value in which it was looked for; `None`: a name, or nothing in particular.
    pub owner: Option<&'static str>,
    pub name: Text<'a>,
    /// An attribute that templates must not see: using it is an error that no default mends.
    pub forbidden: bool,
}

impl Missing<'_> {
    /// What is missing, in words.
    pub(super) fn message(&self) -> String {
        let name = self.name.as_str();
        match self.owner {
            _ if self.forbidden => format!("access to attribute `{name}` is not allowed"),
            Some(owner) => format!("`{owner}` has no attribute `{name}`"),
            None if name.is_empty() => "the value is undefined".to_owned(),
            None => format!("`{name}` is undefined"),
        }
    }
}

/// State of a `for` that its body can see.
#[derive(Debug)]
pub(super) struct Loop<'a> {
    pub index0: usize,
    pub depth: usize,
    pub items: Rc<Vec<Value<'a>>>,
}

/// Why evaluation stopped, as the exceptions that the reference tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raise {
    /// Jinja's `UndefinedError`: defaults apply.
    Undefined(String),
    /// Python's `TypeError`: the template's own text is the result.
    Type,
    /// Anything else.
    Fail(String),
}

pub(super) type Result<T> = std::result::Result<T, Raise>;

/// An error that is neither about types nor about something undefined.
pub(super) fn fail<T>(what: impl Into<String>) -> Result<T> {
    Err(Raise::Fail(what.into()))
}

impl<'a> Value<'a> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Str(Text::Shared(text.into()))
    }

    pub(super) fn borrowed(text: &'a str) -> Self {
        Self::Str(Text::Borrowed(text))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::Seq(SeqKind::List, Rc::new(items))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Self {
        Self::Seq(SeqKind::Tuple, Rc::new(items))
    }

    /// Undefined without a name: an `if` without `else`, the first of nothing.
    pub(super) fn undefined() -> Self {
        Self::Undefined(Missing {
            owner: None,
            name: Text::Borrowed(""),
            forbidden: false,
        })
    }

    pub(super) fn missing(owner: &'static str, name: Text<'a>) -> Self {
        Self::Undefined(Missing {
            owner: Some(owner),
            name,
            forbidden: false,
        })
    }

    /// An integer of any size.
    pub(super) fn integer(value: BigInt) -> Self {
        match i64::try_from(&value) {
            Ok(small) => Self::Int(small),
            Err(_) => Self::Big(Rc::new(value)),
        }
    }

    /// A JSON value, by reference.
    pub(super) fn from_json(value: &'a json::Value) -> Self {
        match value {
            json::Value::Null => Self::None,
            json::Value::Bool(value) => Self::Bool(*value),
            json::Value::Int(value) => Self::Int(*value),
            json::Value::Float(value) => Self::Float(*value),
            json::Value::BigNumber(text) => Self::from_number(text),
            json::Value::String(text) => Self::borrowed(text),
            json::Value::Array(items) => Self::Array(items),
            json::Value::Object(map) => Self::Object(map),
        }
    }

    /// A JSON value that the template has made, by copy.
    pub(super) fn of_json(value: &json::Value) -> Self {
        match value {
            json::Value::Null => Self::None,
            json::Value::Bool(value) => Self::Bool(*value),
            json::Value::Int(value) => Self::Int(*value),
            json::Value::Float(value) => Self::Float(*value),
            json::Value::BigNumber(text) => Self::from_number(text),
            json::Value::String(text) => Self::text(text.as_str()),
            json::Value::Array(items) => Self::list(items.iter().map(Self::of_json).collect()),
            json::Value::Object(map) => Self::Dict(Rc::new(
                map.iter()
                    .map(|(key, value)| (Self::text(key.as_str()), Self::of_json(value)))
                    .collect(),
            )),
        }
    }

    /// A number of JSON that fits no 64-bit kind.
    fn from_number(text: &str) -> Self {
        let is_integer = !text.contains(['.', 'e', 'E']) && text.len() <= super::MAX_DIGITS;
        let integer = is_integer.then(|| text.parse::<BigInt>().ok()).flatten();
        let float = || text.parse().unwrap_or(f64::INFINITY);
        integer.map_or_else(|| Self::Float(float()), Self::integer)
    }

    pub(super) fn from_binding(binding: Binding<'a>) -> Self {
        match binding {
            Binding::None => Self::None,
            Binding::Json(value) => Self::from_json(value),
            Binding::Map(map) => Self::Object(map),
            Binding::Headers(map) => Self::Headers(map),
            Binding::Text(text) => Self::borrowed(text),
            Binding::Int(value) => Self::Int(value),
            Binding::Slice(slice) => Self::Slice(Rc::new(slice)),
        }
    }

    /// The type's name in messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "undefined",
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Big(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Array(_) | Self::Seq(SeqKind::List, _) => "list",
            Self::Seq(SeqKind::Tuple, _) => "tuple",
            Self::Seq(..) => "dict view",
            Self::Object(_) | Self::Dict(_) | Self::Headers(_) => "dict",
            Self::Slice(_) => "slice",
            Self::DateTime(_) => "datetime",
            Self::Date(_) => "date",
            Self::Span(_) => "duration",
            Self::Function(_) | Self::Method(_) => "function",
            Self::Loop(_) => "loop",
        }
    }

    /// The error of using this value where something defined is needed: undefined, or of a type
    /// that does not fit.
    pub(super) fn misuse(&self) -> Raise {
        match self {
            Self::Undefined(missing) if missing.forbidden => Raise::Fail(missing.message()),
            Self::Undefined(missing) => Raise::Undefined(missing.message()),
            _ => Raise::Type,
        }
    }

    /// Python's `bool(value)`.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.as_str().is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::Object(map) | Self::Headers(map) => !map.is_empty(),
            Self::Slice(slice) => !(slice.partition.is_empty() && slice.cursor.is_empty()),
            Self::Seq(_, items) => !items.is_empty(),
            Self::Dict(entries) => !entries.is_empty(),
            Self::Span(span) => *span != Span::default(),
            Self::Big(_)
            | Self::DateTime(_)
            | Self::Date(_)
            | Self::Function(_)
            | Self::Method(_)
            | Self::Loop(_) => true,
        }
    }

    /// The text of a string.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The text of a string; any other type is an error.
    pub(super) fn expect_str(&self) -> Result<&str> {
        self.as_str().ok_or_else(|| self.misuse())
    }

    /// A bool or an integer that fits.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// An integer; any other type is an error.
    pub(super) fn expect_int(&self) -> Result<i64> {
        match self {
            Self::Big(_) => fail("integer is too large"),
            value => value.as_int().ok_or_else(|| value.misuse()),
        }
    }

    /// A bool or an integer of any size.
    pub(super) fn as_big(&self) -> Option<BigInt> {
        match self {
            Self::Big(value) => Some((**value).clone()),
            value => value.as_int().map(BigInt::from),
        }
    }

    /// A number as a float; `None` if it is no number.
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Big(value) => Some(big_to_float(value)),
            #[expect(clippy::cast_precision_loss, reason = "Python rounds here, too")]
            value => value.as_int().map(|value| value as f64),
        }
    }

    /// Key and value pairs of anything like a dict.
    pub(super) fn entries(&self) -> Option<Vec<(Self, Self)>> {
        let of_map = |map: &'a json::Map| {
            map.iter()
                .map(|(key, value)| (Self::borrowed(key), Self::from_json(value)))
        };
        Some(match self {
            Self::Object(map) | Self::Headers(map) => of_map(map).collect(),
            Self::Dict(entries) => entries.to_vec(),
            Self::Slice(slice) => {
                let shadowed = |(key, _): &(&String, _)| !slice.cursor.contains_key(*key);
                let partition = slice.partition.iter().filter(shadowed);
                let own = |(key, value): (&'a String, &'a json::Value)| {
                    (Self::borrowed(key), Self::from_json(value))
                };
                partition.map(own).chain(of_map(slice.cursor)).collect()
            }
            _ => return None,
        })
    }

    /// The value under a text key of anything like a dict.
    pub(super) fn lookup(&self, key: &str) -> Option<Self> {
        match self {
            Self::Object(map) => map.get(key).map(Self::from_json),
            Self::Headers(map) => map
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| Self::from_json(value)),
            Self::Slice(slice) => {
                let value = slice.cursor.get(key).or_else(|| slice.partition.get(key));
                value.map(Self::from_json)
            }
            Self::Dict(entries) => entries
                .iter()
                .find(|(name, _)| name.as_str() == Some(key))
                .map(|(_, value)| value.clone()),
            _ => None,
        }
    }

    /// Items of anything that Python can iterate. Iterating something undefined gives nothing.
    pub(super) fn items(&self) -> Result<Vec<Self>> {
        Ok(match self {
            Self::Undefined(missing) if !missing.forbidden => Vec::new(),
            Self::Array(items) => items.iter().map(Self::from_json).collect(),
            Self::Seq(_, items) => items.to_vec(),
            Self::Str(text) => text
                .as_str()
                .chars()
                .map(|c| Self::text(c.to_string()))
                .collect(),
            other => match other.entries() {
                Some(entries) => entries.into_iter().map(|(key, _)| key).collect(),
                None => return Err(other.misuse()),
            },
        })
    }

    /// Python's `len`; `None` if the type has none.
    pub(super) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Undefined(missing) if !missing.forbidden => 0,
            Self::Str(text) => text.as_str().chars().count(),
            Self::Array(items) => items.len(),
            Self::Object(map) | Self::Headers(map) => map.len(),
            Self::Seq(_, items) => items.len(),
            Self::Dict(entries) => entries.len(),
            Self::Slice(_) => self.entries()?.len(),
            Self::Loop(state) => state.items.len(),
            _ => return None,
        })
    }

    /// Whether it is a list, tuple, or view of a dict.
    pub(super) fn is_sequence(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Seq(..))
    }

    /// Whether it is anything like a dict.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(
            self,
            Self::Object(_) | Self::Headers(_) | Self::Dict(_) | Self::Slice(_)
        )
    }
}

/// The nearest float; infinite beyond the range.
pub(super) fn big_to_float(value: &BigInt) -> f64 {
    // Reading decimal text rounds correctly, which a conversion digit by digit would not.
    value.to_string().parse().unwrap_or(f64::INFINITY)
}
