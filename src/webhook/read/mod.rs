//! Reads `metadata.connector.webhooks`: every problem with its place and the fix.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;

use http::{HeaderName, Method};

use super::Place;
use super::scheme::{
    Content, Encoding, Hash, Hmac, Jwt, KeyForm, PRESETS, Scheme, Stamp, StampPlace, Token, Unit,
};
use super::spec::{
    Action, Change, DEFAULT_MAX_BODY_BYTES, Detail, Handshake, Pattern, Route, Webhooks,
};
use crate::document::{Kind, Node, Position, Problem, did_you_mean};
use crate::json::Pointer;

/// Bound on `max_body_bytes`.
const LARGEST_BODY: i64 = 64 << 20;

const KEYS: [&str; 8] = [
    "signature",
    "handshake",
    "id",
    "event",
    "routes",
    "streams",
    "details",
    "max_body_bytes",
];
const SCHEME_TYPES: [&str; 3] = ["hmac", "token", "jwt"];
const HMAC_KEYS: [&str; 10] = [
    "type",
    "algorithm",
    "header",
    "separator",
    "prefix",
    "encoding",
    "content",
    "key",
    "key_prefix",
    "timestamp",
];
const TOKEN_KEYS: [&str; 3] = ["type", "from", "each"];
const JWT_KEYS: [&str; 4] = ["type", "from", "prefix", "query_hash"];
const STAMP_KEYS: [&str; 4] = ["from", "item", "unit", "tolerance_seconds"];
const HANDSHAKE_KEYS: [&str; 4] = ["method", "when", "answer", "signed"];
const ROUTE_KEYS: [&str; 6] = ["stream", "record", "change", "refetch", "wake", "when"];
const DETAIL_KEYS: [&str; 2] = ["path", "record"];

/// Reads the node. `streams` are the names that routes may use. Gives what could be read, and
/// whatever is wrong.
pub fn read(node: &Node, streams: &[Arc<str>]) -> (Webhooks, Vec<Problem>) {
    let mut reader = Reader {
        problems: Vec::new(),
        streams,
    };
    let mut webhooks = Webhooks {
        schemes: Vec::new(),
        handshakes: Vec::new(),
        id: Vec::new(),
        event: Vec::new(),
        routes: Vec::new(),
        details: BTreeMap::new(),
        max_body_bytes: DEFAULT_MAX_BODY_BYTES,
    };
    for (key, value) in reader.members("webhooks", node, &KEYS) {
        match key {
            "signature" => webhooks.schemes = reader.each(value, Reader::scheme),
            "handshake" => webhooks.handshakes = reader.each(value, Reader::handshake),
            "id" => webhooks.id = reader.each(value, |reader, node| reader.place("id", node)),
            "event" => {
                webhooks.event = reader.each(value, |reader, node| reader.place("event", node));
            }
            "routes" => webhooks.routes = reader.routes(value),
            "details" => webhooks.details = reader.details(value),
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
        let fix = match did_you_mean(name, known.iter().map(AsRef::as_ref)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
                format!("known: {}", known.join(", "))
            }
        };
        self.complain(at, format!("unknown {what} \"{name}\""), fix);
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

    fn scheme(&mut self, node: &Node) -> Option<Scheme> {
        if let Some(name) = node.as_str() {
            let preset = Scheme::preset(name);
            if preset.is_none() {
                self.unknown("signature", name, node.at, &PRESETS);
            }
            return preset;
        }
        let Some(kind) = node.get("type") else {
            self.complain(
                node.at,
                "signature has no type",
                format!("add type: {}", SCHEME_TYPES.join(", ")),
            );
            return None;
        };
        match kind.as_str() {
            Some("hmac") => self.hmac(node).map(Scheme::Hmac),
            Some("token") => self.token(node).map(Scheme::Token),
            Some("jwt") => self.jwt(node).map(Scheme::Jwt),
            other => {
                self.unknown(
                    "type of signature",
                    other.unwrap_or_default(),
                    kind.at,
                    &SCHEME_TYPES,
                );
                None
            }
        }
    }

    fn hmac(&mut self, node: &Node) -> Option<Hmac> {
        let (mut header, mut key_text, mut key_prefix) = (None, true, None);
        let mut scheme = Hmac {
            hash: Hash::Sha256,
            header: HeaderName::from_static("x-signature"),
            separator: None,
            prefix: String::new(),
            encoding: Encoding::Hex,
            content: vec![Content::Body],
            key: KeyForm::Text,
            stamp: None,
        };
        for (key, value) in self.members("signature", node, &HMAC_KEYS) {
            match key {
                "algorithm" => {
                    let hashes = [("sha256", Hash::Sha256), ("sha512", Hash::Sha512)];
                    scheme.hash = self.word(key, value, &hashes)?;
                }
                "header" => header = self.header(key, value),
                "separator" => scheme.separator = self.separator(value),
                "prefix" => self.text(key, value)?.clone_into(&mut scheme.prefix),
                "encoding" => {
                    let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
                    scheme.encoding = self.word(key, value, &encodings)?;
                }
                "content" => scheme.content = self.content(value)?,
                "key" => key_text = self.word(key, value, &[("text", true), ("base64", false)])?,
                "key_prefix" => {
                    key_prefix = self
                        .text(key, value)
                        .map(|text| (text.to_owned(), value.at));
                }
                "timestamp" => scheme.stamp = self.stamp(value),
                _ => {}
            }
        }
        match (key_text, key_prefix) {
            (false, prefix) => {
                let prefix = prefix.map(|(prefix, _)| prefix).unwrap_or_default();
                scheme.key = KeyForm::Base64 { prefix };
            }
            (true, Some((_, at))) => {
                self.complain(
                    at,
                    "key_prefix is only cut off a base64 key",
                    "add key: base64",
                );
            }
            (true, None) => {}
        }
        if scheme.content.contains(&Content::Timestamp) && scheme.stamp.is_none() {
            self.complain(
                node.at,
                "content holds {timestamp}, and there is no timestamp",
                "add timestamp",
            );
        }
        if !scheme.content.contains(&Content::Body) {
            self.complain(
                node.at,
                "content leaves the body out: anybody could change it",
                "add {body}",
            );
        }
        match header {
            Some(name) => scheme.header = name,
            None if node.get("header").is_none() => {
                self.complain(
                    node.at,
                    "signature has no header",
                    "add the header that carries it",
                );
                return None;
            }
            None => return None,
        }
        Some(scheme)
    }

    fn separator(&mut self, node: &Node) -> Option<char> {
        let text = self.text("separator", node)?;
        let mut chars = text.chars();
        let (first, more) = (chars.next(), chars.next());
        if more.is_some() || first.is_none() {
            self.complain(
                node.at,
                "separator is not one character",
                "write one such as \",\"",
            );
            return None;
        }
        first
    }

    /// `v0:{timestamp}:{body}` → its parts.
    fn content(&mut self, node: &Node) -> Option<Vec<Content>> {
        let mut rest = self.text("content", node)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let open = rest.find('{').unwrap_or(rest.len());
            if open > 0 {
                parts.push(Content::Text(rest[..open].to_owned()));
                rest = &rest[open..];
                continue;
            }
            let Some(close) = rest.find('}') else {
                self.complain(node.at, "content has a { without }", "close it");
                return None;
            };
            let name = &rest[1..close];
            rest = &rest[close + 1..];
            parts.push(match name {
                "body" => Content::Body,
                "timestamp" => Content::Timestamp,
                _ => match name.strip_prefix("header:").map(HeaderName::from_str) {
                    Some(Ok(name)) => Content::Header(name),
                    _ => {
                        let known = ["body", "timestamp", "header:NAME"];
                        self.unknown("part of content", name, node.at, &known);
                        return None;
                    }
                },
            });
        }
        Some(parts)
    }

    fn stamp(&mut self, node: &Node) -> Option<Stamp> {
        let (mut place, mut unit, mut tolerance_seconds) = (None, Unit::Seconds, 300);
        for (key, value) in self.members("timestamp", node, &STAMP_KEYS) {
            match key {
                "from" => place = self.place(key, value).map(StampPlace::At),
                "item" => {
                    place = self
                        .text(key, value)
                        .map(|item| StampPlace::Item(item.to_owned()));
                }
                "unit" => {
                    let units = [
                        ("seconds", Unit::Seconds),
                        ("milliseconds", Unit::Milliseconds),
                    ];
                    unit = self.word(key, value, &units)?;
                }
                _ => match value.kind {
                    Kind::Int(seconds @ 1..=86_400) => tolerance_seconds = seconds,
                    _ => self.complain(
                        value.at,
                        "tolerance_seconds is no number from 1 to 86400",
                        "mend it",
                    ),
                },
            }
        }
        if place.is_none() && node.get("from").is_none() && node.get("item").is_none() {
            self.complain(
                node.at,
                "timestamp says not where it stands",
                "add from or item",
            );
        }
        Some(Stamp {
            place: place?,
            unit,
            tolerance_seconds,
        })
    }

    fn token(&mut self, node: &Node) -> Option<Token> {
        let (mut place, mut each) = (None, None);
        for (key, value) in self.members("signature", node, &TOKEN_KEYS) {
            match key {
                "from" => place = self.place(key, value),
                "each" => each = self.pointer(key, value),
                _ => {}
            }
        }
        if node.get("from").is_none() {
            self.complain(
                node.at,
                "signature says not where the token stands",
                "add from",
            );
        }
        Some(Token {
            place: place?,
            each,
        })
    }

    fn jwt(&mut self, node: &Node) -> Option<Jwt> {
        let (mut place, mut prefix, mut query_hash) = (None, String::new(), false);
        for (key, value) in self.members("signature", node, &JWT_KEYS) {
            match key {
                "from" => place = self.place(key, value),
                "prefix" => self.text(key, value)?.clone_into(&mut prefix),
                "query_hash" => query_hash = self.flag(key, value)?,
                _ => {}
            }
        }
        if node.get("from").is_none() {
            self.complain(
                node.at,
                "signature says not where the token stands",
                "add from",
            );
        }
        Some(Jwt {
            place: place?,
            prefix,
            query_hash,
        })
    }

    fn handshake(&mut self, node: &Node) -> Option<Handshake> {
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

    fn routes(&mut self, node: &Node) -> Vec<(Pattern, Vec<Route>)> {
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
        let (mut stream, mut record, mut change, mut refetch) =
            (None, Pointer::default(), Change::Upsert, false);
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
                    change,
                    refetch,
                };
            }
            None if ["record", "change", "refetch"]
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

    fn details(&mut self, node: &Node) -> BTreeMap<Arc<str>, Detail> {
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
    fn check_details(&mut self, webhooks: &Webhooks, node: &Node) {
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
