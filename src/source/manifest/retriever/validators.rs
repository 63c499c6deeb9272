//! Conditional requests: what is remembered of an answer, so that the provider can say that
//! nothing changed.
//!
//! One state field per request shape, `etag:{stream}:{hash}`. A 304 says nothing about which
//! page follows, so the next token is kept beside the validators.

use std::collections::{BTreeMap, HashSet};

use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};

use crate::client::{FetchError, Request, Response, set_header};
use crate::hex::hex;
use crate::json::{Map, Value, parse};
use crate::source::manifest::requester::shape;

/// Answers remembered per stream. More would make the state larger than what it saves.
const MAX_REMEMBERED: usize = 2000;

/// The validators of one stream during one read.
#[derive(Debug)]
pub(super) struct Validators<'r> {
    stream: &'r str,
    /// Part of every shape: other transformations make other records of the same answer.
    config_hash: &'r str,
    fields: &'r BTreeMap<String, String>,
    used: HashSet<String>,
    /// More answers came than are remembered.
    overflowed: bool,
}

/// What was remembered of the answer to one request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remembered {
    etag: Option<String>,
    last_modified: Option<String>,
    /// The token of the page that follows; null when none does.
    pub(super) next: Value,
}

impl<'r> Validators<'r> {
    pub(super) fn new(
        stream: &'r str,
        config_hash: &'r str,
        fields: &'r BTreeMap<String, String>,
    ) -> Self {
        Self {
            stream,
            config_hash,
            fields,
            used: HashSet::new(),
            overflowed: false,
        }
    }

    /// The state field of a request.
    pub(super) fn key(&self, request: &Request) -> String {
        let mut hash = Sha256::new();
        hash.update(self.config_hash.as_bytes());
        hash.update(b"\n");
        hash.update(shape(request));
        format!("etag:{}:{}", self.stream, hex(&hash.finalize()[..8]))
    }

    /// Makes the request conditional, if an answer to it is remembered.
    pub(super) fn apply(
        &self,
        key: &str,
        request: &mut Request,
    ) -> Result<Option<Remembered>, FetchError> {
        if request.method != Method::GET {
            return Ok(None);
        }
        let Some(remembered) = self.fields.get(key).and_then(|text| Remembered::read(text)) else {
            return Ok(None);
        };
        if let Some(etag) = &remembered.etag {
            set_header(&mut request.headers, IF_NONE_MATCH.as_str(), etag)?;
        }
        if let Some(date) = &remembered.last_modified {
            set_header(&mut request.headers, IF_MODIFIED_SINCE.as_str(), date)?;
        }
        Ok(Some(remembered))
    }

    /// Notes that the remembered answer is still good.
    pub(super) fn keep(&mut self, key: String) {
        self.used.insert(key);
    }

    /// What to remember of a fresh answer, as a change of state to be committed with its records.
    pub(super) fn remember(
        &mut self,
        key: String,
        request: &Request,
        response: &Response,
        next: Value,
    ) -> Option<(String, Option<String>)> {
        let remembered = Remembered {
            etag: text(&response.headers, &ETAG),
            last_modified: text(&response.headers, &LAST_MODIFIED),
            next,
        };
        let worthless = remembered.etag.is_none() && remembered.last_modified.is_none();
        if request.method != Method::GET || worthless {
            return None;
        }
        if self.used.len() >= MAX_REMEMBERED {
            self.overflowed = true;
            return None;
        }
        let value = remembered.write();
        self.used.insert(key.clone());
        let known = self.fields.get(&key) == Some(&value);
        (!known).then_some((key, Some(value)))
    }

    /// Removes what no request of a complete read has used, and everything if some answers of a
    /// listing that must be read whole are not remembered: those that did not change would be
    /// asked for twice.
    pub(super) fn stale(&self, reads_whole: bool) -> Vec<(String, Option<String>)> {
        let prefix = format!("etag:{}:", self.stream);
        let is_useless = reads_whole && self.overflowed;
        let stored = (self.fields.range(prefix.clone()..))
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&prefix))
            .filter(|key| is_useless || !self.used.contains(*key));
        let written = self.used.iter().filter(|_| is_useless);
        stored
            .chain(written)
            .map(|key| (key.clone(), None))
            .collect()
    }
}

impl Remembered {
    fn read(text: &str) -> Option<Self> {
        let value = parse(text.as_bytes()).ok()?;
        let member = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            etag: member("etag"),
            last_modified: member("last_modified"),
            next: value.get("next").cloned().unwrap_or_default(),
        })
    }

    fn write(&self) -> String {
        let mut map = Map::new();
        for (name, value) in [("etag", &self.etag), ("last_modified", &self.last_modified)] {
            if let Some(value) = value {
                map.insert(name.to_owned(), value.as_str().into());
            }
        }
        if self.next != Value::Null {
            map.insert("next".to_owned(), self.next.clone());
        }
        Value::from(map).to_string()
    }
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_reads_back() {
        for next in [Value::Null, Value::Int(2), "https://a/?page=2".into()] {
            let remembered = Remembered {
                etag: Some("W/\"a\"".to_owned()),
                last_modified: None,
                next,
            };
            assert_eq!(Remembered::read(&remembered.write()), Some(remembered));
        }
        assert_eq!(Remembered::read("not json"), None);
    }

    #[test]
    fn only_validators_of_this_stream_go_stale() {
        let fields: BTreeMap<String, String> = ["etag:a:1", "etag:a:2", "etag:ab:1", "cursor:a"]
            .into_iter()
            .map(|key| (key.to_owned(), "{}".to_owned()))
            .collect();
        let mut validators = Validators::new("a", "", &fields);
        validators.keep("etag:a:2".to_owned());
        assert_eq!(validators.stale(true), [("etag:a:1".to_owned(), None)]);
    }

    #[test]
    fn validators_of_a_listing_that_is_too_long_are_not_kept() {
        let fields = BTreeMap::from([("etag:a:0".to_owned(), "{}".to_owned())]);
        let mut validators = Validators::new("a", "", &fields);
        let request = Request {
            method: Method::GET,
            url: "http://a/".parse().unwrap(),
            headers: HeaderMap::new(),
            body: None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, "\"x\"".parse().unwrap());
        let response = Response {
            status: http::StatusCode::OK,
            headers,
            body: bytes::Bytes::new(),
            url: request.url.clone(),
        };
        for page in 0..=MAX_REMEMBERED {
            let key = format!("etag:a:{page}");
            let remembered = validators.remember(key, &request, &response, Value::Null);
            assert_eq!(remembered.is_some(), page < MAX_REMEMBERED);
        }
        // An incremental read gains from each that it has.
        assert_eq!(validators.stale(false), []);
        let removed: HashSet<String> = validators
            .stale(true)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(removed.len(), MAX_REMEMBERED);
    }
}
