//! JSON pointers (RFC 6901), as manifests and `changeDetection.ignore` write them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Value;

/// A path into a JSON value; empty is the whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Pointer(Vec<String>);

/// Why a text is no pointer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PointerError {
    /// Neither empty nor starting with a slash.
    #[error("a JSON pointer starts with a slash, as in /fields/updated")]
    NoSlash,
    /// `~` followed by neither 0 nor 1.
    #[error("in a JSON pointer ~ is written ~0 and / is written ~1")]
    Escape,
}

impl Pointer {
    /// A pointer of these unescaped parts.
    pub fn of<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Self {
        Self(parts.into_iter().map(Into::into).collect())
    }

    /// The unescaped parts.
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// What it points at in `value`; a number selects an array element.
    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |at, part| match at {
            Value::Object(map) => map.get(part),
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rest = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        rest.split('/')
            .map(unescape)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn unescape(part: &str) -> Result<String, PointerError> {
    let mut text = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(char) = chars.next() {
        text.push(match (char, char == '~') {
            (char, false) => char,
            (_, true) => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::Escape),
            },
        });
    }
    Ok(text)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|part| write!(f, "/{}", part.replace('~', "~0").replace('/', "~1")))
    }
}
