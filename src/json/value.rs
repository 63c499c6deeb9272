//! The JSON tree that templates and transformations work on.

use indexmap::IndexMap;

/// An object; keys keep the order in which they were read or added.
pub type Map = IndexMap<String, Value>;

/// One JSON value. Unlike `serde_json::Value` it tells `1` from `1.0` and keeps numbers that fit
/// neither 64-bit kind as their text.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without fraction or exponent that fits 64 bits.
    Int(i64),
    /// A number with fraction or exponent, finite.
    Float(f64),
    /// Any other number, spelled as it was read: more than 64 bits, or too large for a float.
    BigNumber(Box<str>),
    /// Text. A lone surrogate of the source is replaced by U+FFFD.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

impl Value {
    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(map) => map.get(key),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(map) => Some(map),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}
