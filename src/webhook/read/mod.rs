//! Reads `metadata.connector.webhooks`: every problem with its place and the fix.

mod routes;
mod signature;

use std::str::FromStr as _;
use std::sync::Arc;

use http::HeaderName;

use super::Place;
use super::scheme::Scheme;
use super::spec::{DEFAULT_MAX_BODY_BYTES, Id, Webhooks};
use crate::document::{Kind, Node, Position, Problem};
use crate::json::Pointer;

/// Bound on `max_body_bytes`.
const LARGEST_BODY: i64 = 64 << 20;

const KEYS: [&str; 10] = [
    "signature",
    "handshake",
    "id",
    "event",
    "routes",
    "streams",
    "select",
    "details",
    "redact",
    "max_body_bytes",
];

/// What `id` says where deliveries have none, and the same body again means something new.
const NO_ID: &str = "none";

/// Reads the schemes of `signature` alone, as a connector's configuration may name them.
pub fn read_schemes(node: &Node) -> (Vec<Scheme>, Vec<Problem>) {
    let mut reader = Reader::of(&[]);
    let schemes = reader.schemes(node);
    (schemes, reader.problems)
}

/// Reads the node. `streams` are the names that routes may use. Gives what could be read, and
/// whatever is wrong.
pub fn read(node: &Node, streams: &[Arc<str>]) -> (Webhooks, Vec<Problem>) {
    let mut reader = Reader::of(streams);
    let mut webhooks = Webhooks::default();
    for (key, value) in reader.members("webhooks", node, &KEYS) {
        match key {
            "signature" => webhooks.schemes = reader.schemes(value),
            "handshake" => webhooks.handshakes = reader.each(value, Reader::handshake),
            "id" if value.as_str() == Some(NO_ID) => webhooks.id = Id::None,
            "id" => {
                let places = reader.each(value, |reader, node| reader.place("id", node));
                webhooks.id = Id::At(places);
            }
            "event" => {
                webhooks.event = reader.each(value, |reader, node| reader.place("event", node));
            }
            "routes" => webhooks.routes = reader.routes(value),
            "details" => webhooks.details = reader.details(value),
            "select" => webhooks.select = reader.text("select", value).map(str::to_owned),
            "redact" => webhooks.redact = reader.each(value, |r, node| r.pointer("redact", node)),
            "max_body_bytes" => {
                webhooks.max_body_bytes =
                    reader.body_bound(value).unwrap_or(DEFAULT_MAX_BODY_BYTES);
            }
            // Signal rules: read by the manifest, like those of other streams.
            _ => {}
        }
    }
    if matches!(node.kind, Kind::Map(_)) && node.get("signature").is_none() {
        reader.complain(
            node.at,
            "webhooks has no signature: no delivery could be trusted",
            "add signature",
        );
    }
    reader.check_details(&webhooks, node);
    (webhooks, reader.problems)
}

struct Reader<'s> {
    problems: Vec<Problem>,
    streams: &'s [Arc<str>],
}

impl<'s> Reader<'s> {
    fn of(streams: &'s [Arc<str>]) -> Self {
        Self {
            problems: Vec::new(),
            streams,
        }
    }
}

impl Reader<'_> {
    fn complain(&mut self, at: Position, message: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem {
            file: "".into(),
            at: Some(at),
            message: message.into(),
            fix: Some(fix.into()),
        });
    }

    fn unknown<S: AsRef<str>>(&mut self, what: &str, name: &str, at: Position, known: &[S]) {
        self.problems.push(Problem::unknown(what, name, at, known));
    }

    fn members<'n>(
        &mut self,
        place: &str,
        node: &'n Node,
        known: &[&str],
    ) -> Vec<(&'n str, &'n Node)> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.complain(node.at, format!("{place} is no map"), "make it a map");
        }
        let mut members = Vec::new();
        for entry in node.entries() {
            if known.contains(&&*entry.key) {
                members.push((&*entry.key, &entry.value));
            } else {
                self.unknown(&format!("key in {place}"), &entry.key, entry.key_at, known);
            }
        }
        members
    }

    /// The elements of a list, or the one thing that stands in its place.
    fn each<T>(
        &mut self,
        node: &Node,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| read(self, item)).collect(),
            _ => read(self, node).into_iter().collect(),
        }
    }

    fn text<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n str> {
        let text = node.as_str();
        if text.is_none() {
            self.complain(node.at, format!("{key} is no text"), "make it text");
        }
        text
    }

    fn flag(&mut self, key: &str, node: &Node) -> Option<bool> {
        if let Kind::Bool(flag) = node.kind {
            return Some(flag);
        }
        self.complain(
            node.at,
            format!("{key} is neither true nor false"),
            "make it true or false",
        );
        None
    }

    fn word<T: Copy>(&mut self, key: &str, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key, node)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.unknown(key, text, node.at, &known);
        }
        found.map(|(_, value)| *value)
    }

    fn place(&mut self, key: &str, node: &Node) -> Option<Place> {
        let text = self.text(key, node)?;
        let place = text.parse();
        if let Err(error) = &place {
            let error = format!("{error}");
            self.complain(
                node.at,
                format!("{key} names no place in a delivery: \"{text}\""),
                error,
            );
        }
        place.ok()
    }

    fn pointer(&mut self, key: &str, node: &Node) -> Option<Pointer> {
        let pointer = self.text(key, node)?.parse::<Pointer>();
        if let Err(error) = &pointer {
            let error = error.to_string();
            self.complain(node.at, format!("{key} is no JSON pointer"), error);
        }
        pointer.ok()
    }

    fn header(&mut self, key: &str, node: &Node) -> Option<HeaderName> {
        let text = self.text(key, node)?;
        let name = HeaderName::from_str(text).ok();
        if name.is_none() {
            self.complain(
                node.at,
                format!("{key} is no name of a header"),
                "write X-Name",
            );
        }
        name
    }

    fn body_bound(&mut self, node: &Node) -> Option<usize> {
        match node.kind {
            Kind::Int(number @ 1..=LARGEST_BODY) => usize::try_from(number).ok(),
            _ => {
                let message = format!("max_body_bytes is no number from 1 to {LARGEST_BODY}");
                self.complain(node.at, message, "mend it");
                None
            }
        }
    }
}
