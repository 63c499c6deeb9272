//! What becomes of deliveries: handshakes, routes, and how one record is fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;

use super::Reader;
use crate::document::{Kind, Node};
use crate::json::Pointer;
use crate::webhook::Place;
use crate::webhook::spec::{Action, Change, Detail, Handshake, Pattern, Route, Webhooks};

const HANDSHAKE_KEYS: [&str; 4] = ["method", "when", "answer", "signed"];
const ROUTE_KEYS: [&str; 7] = [
    "stream", "record", "key", "change", "refetch", "wake", "when",
];
const DETAIL_KEYS: [&str; 2] = ["path", "record"];

impl Reader<'_> {
    pub(super) fn handshake(&mut self, node: &Node) -> Option<Handshake> {
        let (mut answer, mut when, mut signed, mut method) = (None, Vec::new(), true, Method::POST);
        for (key, value) in self.members("handshake", node, &HANDSHAKE_KEYS) {
            match key {
                "answer" => answer = self.place(key, value),
                "signed" => signed = self.flag(key, value)?,
                "method" => {
                    let is_get = self.word(key, value, &[("GET", true), ("POST", false)])?;
                    method = if is_get { Method::GET } else { Method::POST };
                }
                _ => {
                    for (place, values) in self.conditions(value) {
                        when.extend(values.into_iter().next().map(|value| (place, value)));
                    }
                }
            }
        }
        if node.get("answer").is_none() {
            self.complain(
                node.at,
                "handshake has no answer",
                "add the place of what is sent back",
            );
        }
        let answer = answer?;
        let in_body = |place: &Place| matches!(place, Place::Body(_));
        if !signed && (in_body(&answer) || when.iter().any(|(place, _)| in_body(place))) {
            self.complain(
                node.at,
                "an unsigned handshake looks into the body, which nobody vouches for",
                "use query: or header:, or signed: true",
            );
        }
        Some(Handshake {
            method,
            when,
            answer,
            signed,
        })
    }

    /// `{ PLACE: value or list of values }`
    fn conditions(&mut self, node: &Node) -> Vec<(Place, Vec<String>)> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.complain(node.at, "when is no map", "write when: { /action: opened }");
        }
        let mut conditions = Vec::new();
        for entry in node.entries() {
            let values = self.each(&entry.value, |reader, value| match &value.kind {
                Kind::String(text) => Some(text.clone()),
                Kind::Bool(flag) => Some(flag.to_string()),
                Kind::Int(number) => Some(number.to_string()),
                _ => {
                    reader.complain(
                        value.at,
                        "a condition compares with a scalar",
                        "write text, a number or a flag",
                    );
                    None
                }
            });
            match entry.key.parse() {
                Ok(place) => conditions.push((place, values)),
                Err(error) => self.complain(
                    entry.key_at,
                    format!("\"{}\" names no place in a delivery", entry.key),
                    format!("{error}"),
                ),
            }
        }
        conditions
    }

    pub(super) fn routes(&mut self, node: &Node) -> Vec<(Pattern, Vec<Route>)> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.complain(node.at, "routes is no map", "write EVENT: { stream: … }");
        }
        let mut routes = Vec::new();
        for entry in node.entries() {
            let found = match entry.value.as_str() {
                Some("ignore") => Vec::new(),
                Some("wake") => vec![Route {
                    when: Vec::new(),
                    action: Action::None,
                    wake: true,
                }],
                Some(other) => {
                    self.unknown("route", other, entry.value.at, &["ignore", "wake"]);
                    continue;
                }
                None => self.each(&entry.value, Self::route),
            };
            routes.push((Pattern::from(&*entry.key), found));
        }
        routes
    }

    fn route(&mut self, node: &Node) -> Option<Route> {
        let mut route = Route {
            when: Vec::new(),
            action: Action::None,
            wake: false,
        };
        let (mut stream, mut record, mut key_at, mut change, mut refetch) =
            (None, Pointer::default(), None, Change::Upsert, false);
        for (key, value) in self.members("a route", node, &ROUTE_KEYS) {
            match key {
                "stream" => {
                    let name = self.text(key, value)?;
                    stream = self
                        .streams
                        .iter()
                        .find(|stream| ***stream == *name)
                        .cloned();
                    if stream.is_none() {
                        let known = self.streams;
                        self.unknown("stream", name, value.at, known);
                        return None;
                    }
                }
                "record" => record = self.pointer(key, value)?,
                "key" => key_at = Some(self.pointer(key, value)?),
                "change" => {
                    let changes = [("upsert", Change::Upsert), ("delete", Change::Delete)];
                    change = self.word(key, value, &changes)?;
                }
                "refetch" => refetch = self.flag(key, value)?,
                "wake" => route.wake = self.flag(key, value)?,
                _ => route.when = self.conditions(value),
            }
        }
        match stream {
            Some(stream) => {
                route.action = Action::Publish {
                    stream,
                    record,
                    key: key_at,
                    change,
                    refetch,
                };
            }
            None if ["record", "key", "change", "refetch"]
                .iter()
                .any(|key| node.get(key).is_some()) =>
            {
                self.complain(
                    node.at,
                    "a route that publishes has no stream",
                    "add stream",
                );
            }
            None if !route.wake => {
                self.complain(
                    node.at,
                    "a route does nothing",
                    "add stream or wake: true, or write ignore",
                );
            }
            None => {}
        }
        Some(route)
    }

    pub(super) fn details(&mut self, node: &Node) -> BTreeMap<Arc<str>, Detail> {
        let mut details = BTreeMap::new();
        if !matches!(node.kind, Kind::Map(_)) {
            self.complain(node.at, "details is no map", "write STREAM: PATH");
        }
        for entry in node.entries() {
            let Some(stream) = self
                .streams
                .iter()
                .find(|stream| ***stream == *entry.key)
                .cloned()
            else {
                let known = self.streams;
                self.unknown("stream", &entry.key, entry.key_at, known);
                continue;
            };
            let mut detail = Detail {
                path: String::new(),
                record: Pointer::default(),
            };
            if let Some(path) = entry.value.as_str() {
                path.clone_into(&mut detail.path);
            } else {
                for (key, value) in self.members("a detail", &entry.value, &DETAIL_KEYS) {
                    match key {
                        "path" => self
                            .text(key, value)
                            .unwrap_or_default()
                            .clone_into(&mut detail.path),
                        _ => detail.record = self.pointer(key, value).unwrap_or_default(),
                    }
                }
            }
            if detail.path.is_empty() {
                self.complain(
                    entry.value.at,
                    "a detail has no path",
                    "add the path of one record",
                );
            }
            details.insert(stream, detail);
        }
        details
    }

    /// A record cannot be fetched where nobody says how.
    pub(super) fn check_details(&mut self, webhooks: &Webhooks, node: &Node) {
        let routes = webhooks.routes.iter().flat_map(|(_, routes)| routes);
        for route in routes {
            if let Action::Publish {
                stream,
                refetch: true,
                ..
            } = &route.action
                && !webhooks.details.contains_key(stream)
            {
                self.complain(
                    node.at,
                    format!("a route fetches records of stream {stream}, and details says not how"),
                    format!("add details: {{ {stream}: PATH }}"),
                );
            }
        }
    }
}
