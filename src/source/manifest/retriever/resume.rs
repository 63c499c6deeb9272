//! Where a read that was cut short goes on: a page of a slice.
//!
//! Only pages that a token names by itself are gone back to: a counted page may hold something else
//! by then. What was read before is not read again, so nothing that is missing counts as deleted.

use jiff::{SignedDuration, Timestamp};
use xxhash_rust::xxh3::xxh3_128;

use super::guard::instant;
use super::pages::Pages;
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::template::Literal;

/// How long a place is gone back to: most providers forget the tokens of their pages in time.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A place to go on from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resume {
    /// Tells the slices of the stream apart: what its first request is.
    slice: String,
    /// The page; the slice's first where there is none.
    pub(super) token: Option<Literal>,
    /// When it was noted.
    at: Timestamp,
}

impl Resume {
    /// The slice that `pages` are of, from its page of `token`.
    pub(super) fn at(slice: &str, token: Option<Literal>, now: Timestamp) -> Self {
        Self {
            slice: slice.to_owned(),
            token,
            at: now,
        }
    }

    /// As it was stored, unless that is too long ago.
    pub(super) fn stored(value: &Value, now: Timestamp) -> Option<Self> {
        let at = instant(value.get("at")?.as_str()?)?;
        if now.duration_since(at) > GOOD_FOR {
            return None;
        }
        Some(Self {
            slice: value.get("slice")?.as_str()?.to_owned(),
            token: match value.get("token")? {
                Value::Null => None,
                token => Some(Literal::from(token)),
            },
            at,
        })
    }

    /// What is stored.
    pub(super) fn to_value(&self) -> Value {
        let token = self.token.clone().map_or(Value::Null, Literal::into_json);
        Map::from_iter([
            ("slice".to_owned(), self.slice.as_str().into()),
            ("token".to_owned(), token),
            ("at".to_owned(), self.at.to_string().into()),
        ])
        .into()
    }

    /// Whether it is the same page of the same slice.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.slice, &self.token) == (&other.slice, &other.token)
    }

    /// Whether it is a place in this slice.
    pub(super) fn is_in(&self, slice: &str) -> bool {
        self.slice == slice
    }
}

/// What tells a slice from the others of its stream.
pub(super) fn identity(pages: &Pages<'_>) -> Result<String, FetchError> {
    Ok(format!("{:032x}", xxh3_128(&pages.shape()?)))
}
