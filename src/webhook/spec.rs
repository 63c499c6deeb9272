//! `metadata.connector.webhooks` of a manifest, read: how deliveries are trusted and what they
//! become.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;

use super::{Place, Scheme};
use crate::json::Pointer;

/// Body of a delivery where the manifest names no other bound.
pub(super) const DEFAULT_MAX_BODY_BYTES: usize = 1 << 20;

/// Everything a manifest says of its provider's webhooks.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhooks {
    /// Ways to trust a delivery; the first that its headers name decides, others are tried too.
    pub schemes: Vec<Scheme>,
    /// Questions that a provider asks before it delivers.
    pub handshakes: Vec<Handshake>,
    /// Which deliveries are the same.
    pub id: Id,
    /// Parts of the event's name, joined by a dot; missing ones are left out.
    pub event: Vec<Place>,
    /// What becomes of an event; the first whose pattern fits counts.
    pub routes: Vec<(Pattern, Vec<Route>)>,
    /// A template that sees `config` and `delivery`: false where the connector does not read what
    /// the delivery is about.
    pub select: Option<String>,
    /// How one record of a stream is fetched.
    pub details: BTreeMap<Arc<str>, Detail>,
    /// Fields of the body that hold a secret: it is not kept.
    pub redact: Vec<Pointer>,
    /// Largest body that is read.
    pub max_body_bytes: usize,
}

/// Which deliveries are the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Id {
    /// Those with the same text at the first of these places that is there, else those with the
    /// same body.
    At(Vec<Place>),
    /// None: the same body again means that something happened again.
    None,
}

impl Id {
    /// Places of the id.
    pub fn places(&self) -> &[Place] {
        match self {
            Self::At(places) => places,
            Self::None => &[],
        }
    }
}

impl Default for Webhooks {
    /// Trusts nobody and does nothing.
    fn default() -> Self {
        Self {
            schemes: Vec::new(),
            handshakes: Vec::new(),
            id: Id::At(Vec::new()),
            event: Vec::new(),
            routes: Vec::new(),
            select: None,
            details: BTreeMap::new(),
            redact: Vec::new(),
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        }
    }
}

impl Webhooks {
    /// A provider of which only the signature is known.
    pub fn of_schemes(schemes: Vec<Scheme>) -> Self {
        Self {
            schemes,
            ..Self::default()
        }
    }

    /// A provider whose deliveries, signed so, say only that something changed.
    pub fn that_wake(schemes: Vec<Scheme>) -> Self {
        let wake = Route {
            when: Vec::new(),
            action: Action::None,
            wake: true,
        };
        Self {
            id: Id::None,
            routes: vec![(Pattern::from("*"), vec![wake])],
            ..Self::of_schemes(schemes)
        }
    }
}

/// A question that is answered with part of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Handshake {
    /// Method of the request.
    pub method: Method,
    /// Values that tell the question from a delivery.
    pub when: Vec<(Place, String)>,
    /// What is sent back, as text.
    pub answer: Place,
    /// Whether the question is signed like a delivery.
    pub signed: bool,
}

/// The name of an event; `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Pattern {
    /// Whether `name` fits.
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        // The split of any text has a first part.
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

/// One thing that becomes of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Whether the event's name alone decides.
    pub when: Vec<(Place, Vec<String>)>,
    /// What is done.
    pub action: Action,
    /// Whether the connector polls at once.
    pub wake: bool,
}

/// What is done with a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Nothing is published.
    None,
    /// Its records take part in a stream.
    Publish {
        /// Stream name.
        stream: Arc<str>,
        /// Where the record, or a list of them, stands in the body.
        record: Pointer,
        /// Where the record's key stands in the body, where the record lacks it.
        key: Option<Pointer>,
        /// What happened to them.
        change: Change,
        /// Fetch each record: the delivery shows too little of it, or in another shape.
        refetch: bool,
    },
}

/// What an event says of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is as delivered; whether that is new is found by its version.
    Upsert,
    /// It is gone.
    Delete,
}

/// How one record is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Path below the stream's base address: a template that sees `config`, `record` and
    /// `delivery`.
    pub path: String,
    /// Where the record stands in the answer.
    pub record: Pointer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, fits, misses) in [
            (
                "issues.opened",
                vec!["issues.opened"],
                vec!["issues", "issues.opened.x"],
            ),
            (
                "issues.*",
                vec!["issues.opened", "issues."],
                vec!["issue.opened", "issues"],
            ),
            ("*", vec!["", "x"], vec![]),
            (
                "*.deleted",
                vec!["a.deleted", ".deleted"],
                vec!["a.deleted.b", "deleted"],
            ),
            (
                "a*b*c",
                vec!["abc", "axbxc", "abbcc"],
                vec!["acb", "ab", "abcd"],
            ),
            ("", vec![""], vec!["x"]),
        ] {
            let pattern_ = Pattern::from(pattern);
            for name in fits {
                assert!(pattern_.fits(name), "{pattern} {name}");
            }
            for name in misses {
                assert!(!pattern_.fits(name), "{pattern} {name}");
            }
        }
    }
}
