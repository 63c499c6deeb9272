//! `responses.json`: what a provider is asked and answers.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::document::{Kind, Node, Position, Problem, did_you_mean, parse_json, parse_yaml};

/// A cassette's requests and answers.
#[derive(Debug)]
pub struct Script {
    /// The connector type that it is about, where it says so.
    pub kind: Option<String>,
    /// The manifest that it is about, where it names one: relative to the folder above it.
    pub manifest: Option<PathBuf>,
    /// File, as messages name it.
    pub(super) file: String,
    /// `providerConfig`, in which `{base}` stands for the provider's address.
    pub(super) provider: Node,
    /// Streams to read; all where there are none.
    pub(super) streams: Option<Node>,
    /// What the clock shows; it runs where this is left out.
    pub(super) now: Option<Timestamp>,
    /// The exchanges of each poll.
    pub(super) polls: Vec<Vec<Exchange>>,
    /// The exchanges of a check after them.
    pub(super) check: Option<Vec<Exchange>>,
}

/// One request and its answer. `{base}` stands for the provider's address in all of its texts, and
/// `{other}` for the same server by another name.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange {
    /// `GET /path?query`; the order of the query does not matter.
    pub(super) request: String,
    /// Headers that must be sent; null is for one that must not.
    pub(super) request_headers: Vec<(String, Option<String>)>,
    /// Members that a JSON body must have.
    pub(super) request_json: Option<serde_json::Value>,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Bytes after which the connection ends.
    pub(super) cut_after: Option<usize>,
}

const KEYS: [&str; 7] = [
    "type",
    "manifest",
    "providerConfig",
    "streams",
    "now",
    "polls",
    "check",
];
const EXCHANGE_KEYS: [&str; 9] = [
    "request",
    "requestHeaders",
    "requestJson",
    "status",
    "headers",
    "body",
    "json",
    "text",
    "cutAfter",
];

impl Script {
    /// Reads a cassette's requests and answers, files of bodies included.
    pub fn load(folder: &Path) -> Result<Self, Vec<Problem>> {
        let Some(path) = super::responses_of(folder) else {
            return Err(vec![Problem {
                file: folder.display().to_string().into(),
                at: None,
                message: "there is neither responses.json nor responses.yaml".to_owned(),
                fix: Some("write down what the provider is asked and answers".to_owned()),
            }]);
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            vec![Problem {
                file: file.as_str().into(),
                at: None,
                message: format!("cannot read it: {error}"),
                fix: None,
            }]
        })?;
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        let document = if is_json {
            parse_json(&file, &text)
        } else {
            parse_yaml(&file, &text)
        };
        let mut reader = Reader {
            file: &file,
            folder,
            problems: Vec::new(),
        };
        let script = reader.script(&document.map_err(|problem| vec![problem])?);
        if reader.problems.is_empty() {
            Ok(script)
        } else {
            Err(reader.problems)
        }
    }
}

struct Reader<'f> {
    file: &'f str,
    folder: &'f Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn complain(&mut self, at: Position, message: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.into(),
            at: Some(at),
            message: message.into(),
            fix: Some(fix.into()),
        });
    }

    fn script(&mut self, document: &Node) -> Script {
        self.keys(document, &KEYS);
        let polls = self.list(document, "polls");
        let polls = polls
            .unwrap_or_default()
            .iter()
            .map(|poll| match &poll.kind {
                Kind::List(exchanges) => exchanges.iter().map(|node| self.exchange(node)).collect(),
                _ => {
                    self.complain(poll.at, "a poll is no list", "list its exchanges");
                    Vec::new()
                }
            })
            .collect();
        let check = self
            .list(document, "check")
            .map(|exchanges| exchanges.iter().map(|node| self.exchange(node)).collect());
        let now = self.text(document, "now").and_then(|text| {
            let now = text.parse().ok();
            if now.is_none() {
                self.complain(
                    document.at,
                    "now is no instant",
                    "write it as 2026-02-24T10:30:00Z",
                );
            }
            now
        });
        Script {
            kind: self.text(document, "type"),
            manifest: self.text(document, "manifest").map(PathBuf::from),
            file: self.file.to_owned(),
            provider: document
                .get("providerConfig")
                .cloned()
                .unwrap_or(Node::synthetic(Kind::Map(Vec::new()))),
            streams: document.get("streams").cloned(),
            now,
            polls,
            check,
        }
    }

    fn exchange(&mut self, node: &Node) -> Exchange {
        self.keys(node, &EXCHANGE_KEYS);
        let request = self.text(node, "request").unwrap_or_default();
        if !request.contains(" /") {
            self.complain(
                node.at,
                "an exchange has no request",
                "add the request, as in GET /v1/items?page=2",
            );
        }
        let status = match node.get("status").map(|status| &status.kind) {
            None => Some(200),
            Some(Kind::Int(status)) => u16::try_from(*status).ok(),
            Some(_) => None,
        };
        let status = status.filter(|status| (100..=599).contains(status));
        if status.is_none() {
            self.complain(node.at, "status is no status of HTTP", "write it as 200");
        }
        let pairs = |key| node.get(key).map_or(&[][..], Node::entries);
        let cut_after = match node.get("cutAfter").map(|cut| &cut.kind) {
            Some(Kind::Int(cut)) => usize::try_from(*cut).ok(),
            _ => None,
        };
        Exchange {
            request,
            request_headers: pairs("requestHeaders")
                .iter()
                .map(|entry| (entry.key.clone(), scalar(&entry.value)))
                .collect(),
            request_json: node.get("requestJson").map(json),
            status: status.unwrap_or(200),
            headers: pairs("headers")
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), scalar(&entry.value)?)))
                .collect(),
            body: self.body(node),
            cut_after,
        }
    }

    fn body(&mut self, node: &Node) -> Vec<u8> {
        if let Some(file) = self.text(node, "body") {
            // Beside the cassette, or with those of its neighbours.
            let beside = self.folder.join(&file);
            let shared = self.folder.join("..").join("bodies").join(&file);
            let path = if beside.is_file() { beside } else { shared };
            return std::fs::read(&path).unwrap_or_else(|error| {
                let message = format!("cannot read the body {file}: {error}");
                let fix = "put it beside this file, or into ../bodies";
                self.complain(node.at, message, fix);
                Vec::new()
            });
        }
        match node.get("json") {
            Some(body) => json(body).to_string().into_bytes(),
            None => self.text(node, "text").unwrap_or_default().into_bytes(),
        }
    }

    fn keys(&mut self, node: &Node, known: &[&str]) {
        if !matches!(node.kind, Kind::Map(_)) {
            self.complain(
                node.at,
                "this is no map",
                format!("write {}", known.join(", ")),
            );
        }
        for entry in node.entries() {
            if !known.contains(&&*entry.key) {
                let fix = match did_you_mean(&entry.key, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("there are {}", known.join(", ")),
                };
                self.complain(entry.key_at, format!("unknown key {}", entry.key), fix);
            }
        }
    }

    fn list<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n [Node]> {
        let value = node.get(key)?;
        if let Kind::List(items) = &value.kind {
            return Some(items);
        }
        self.complain(value.at, format!("{key} is no list"), "make it a list");
        None
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key)?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.complain(
                value.at,
                format!("{key} is no text"),
                "put it in quotation marks",
            );
        }
        text
    }
}

fn scalar(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        Kind::String(text) => Some(text.clone()),
        _ => Some(node.to_value().to_string()),
    }
}

fn json(node: &Node) -> serde_json::Value {
    // What was just written parses.
    serde_json::from_slice(&node.to_value().to_json()).unwrap_or_default()
}
