//! Values of a manifest's own metadata, read one by one; whatever is wrong is collected.

use std::time::Duration;

use crate::client::Place;
use crate::document::{Kind, Node, Position, Problem};
use crate::json::Pointer;
use crate::source::manifest::fields::{self, kind_name, problem};
use crate::source::manifest::template::Template;

/// Collects the problems of what it reads.
#[derive(Default)]
pub(in crate::source::manifest) struct Reader {
    pub(in crate::source::manifest) problems: Vec<Problem>,
}

impl Reader {
    pub(in crate::source::manifest) fn complain(
        &mut self,
        at: Position,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(problem(at, message, fix));
    }

    pub(in crate::source::manifest) fn unknown<S: AsRef<str>>(
        &mut self,
        what: &str,
        name: &str,
        at: Position,
        known: &[S],
    ) {
        self.problems.push(Problem::unknown(what, name, at, known));
    }

    /// The members of a map that have a known name.
    pub(in crate::source::manifest) fn members<'n>(
        &mut self,
        place: &str,
        node: &'n Node,
        known: &[&str],
    ) -> Vec<(&'n str, Position, &'n Node)> {
        if !matches!(node.kind, Kind::Map(_)) {
            let found = kind_name(node);
            self.complain(node.at, format!("{place} is {found}"), "make it a map");
        }
        let mut members = Vec::new();
        for entry in node.entries() {
            if known.contains(&&*entry.key) {
                members.push((&*entry.key, entry.key_at, &entry.value));
            } else {
                self.unknown(&format!("key in {place}"), &entry.key, entry.key_at, known);
            }
        }
        members
    }

    pub(in crate::source::manifest) fn wrong(&mut self, key: &str, node: &Node, wanted: &str) {
        let found = kind_name(node);
        self.complain(
            node.at,
            format!("{key} is {found}"),
            format!("make it {wanted}"),
        );
    }

    pub(in crate::source::manifest) fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        let text = node.as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(key, node, "text");
        }
        text
    }

    pub(in crate::source::manifest) fn number(&mut self, key: &str, node: &Node) -> Option<f64> {
        let number = match node.kind {
            Kind::Int(number) => i32::try_from(number).ok().map(f64::from),
            Kind::Float(number) => Some(number),
            _ => None,
        };
        let number = number.filter(|number| *number > 0.0 && number.is_finite());
        if number.is_none() {
            self.complain(node.at, format!("{key} is no number above zero"), "mend it");
        }
        number
    }

    pub(in crate::source::manifest) fn seconds(
        &mut self,
        key: &str,
        node: &Node,
    ) -> Option<Duration> {
        self.number(key, node)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    pub(in crate::source::manifest) fn flag(&mut self, key: &str, node: &Node) -> Option<bool> {
        if let Kind::Bool(flag) = node.kind {
            return Some(flag);
        }
        self.wrong(key, node, "true or false");
        None
    }

    pub(super) fn pointer(&mut self, key: &str, node: &Node) -> Option<Pointer> {
        match self.text(key, node)?.parse() {
            Ok(pointer) => Some(pointer),
            Err(error) => {
                self.complain(
                    node.at,
                    format!("{key} is no JSON pointer"),
                    error.to_string(),
                );
                None
            }
        }
    }

    pub(in crate::source::manifest) fn pointers(&mut self, key: &str, node: &Node) -> Vec<Pointer> {
        match &node.kind {
            Kind::List(items) => items
                .iter()
                .filter_map(|item| self.pointer(key, item))
                .collect(),
            _ => self.pointer(key, node).into_iter().collect(),
        }
    }

    /// Pointers, which begin with a slash, and names of headers.
    pub(super) fn places(&mut self, key: &str, node: &Node) -> Vec<Place> {
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        items
            .iter()
            .filter_map(|item| self.place(key, item))
            .collect()
    }

    /// A pointer, which begins with a slash, or the name of a header.
    pub(in crate::source::manifest) fn place(&mut self, key: &str, node: &Node) -> Option<Place> {
        match node.as_str() {
            Some(name) if !name.is_empty() && !name.starts_with('/') => {
                Some(Place::Header(name.to_ascii_lowercase()))
            }
            _ => self.pointer(key, node).map(Place::Body),
        }
    }

    /// Statuses of refusals; some providers refuse with 200 and an error in the body.
    pub(in crate::source::manifest) fn statuses(&mut self, key: &str, node: &Node) -> Vec<u16> {
        let mut statuses = Vec::new();
        for item in node.items() {
            match item.kind {
                Kind::Int(status @ (200 | 400..=499)) => {
                    statuses.extend(u16::try_from(status).ok());
                }
                _ => self.wrong(key, item, "200, or a status of HTTP from 400 to 499"),
            }
        }
        if node.items().is_empty() {
            self.wrong(key, node, "a list such as [404, 410]");
        }
        statuses
    }

    pub(super) fn texts(&mut self, key: &str, node: &Node) -> Vec<String> {
        let texts = node
            .items()
            .iter()
            .map(|item| item.as_str().map(str::to_owned));
        match (&node.kind, texts.collect::<Option<Vec<_>>>()) {
            (Kind::List(_), Some(texts)) => texts,
            _ => {
                self.wrong(key, node, "a list of fields");
                Vec::new()
            }
        }
    }

    pub(super) fn template(&mut self, key: &str, node: &Node) -> Option<Template> {
        match fields::template_of(key, node) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }
}
