//! Answers of parent streams, kept for the other streams that have the same parent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::{Method, StatusCode};
use xxhash_rust::xxh3::Xxh3;

use crate::client::{Request, Response};

/// Bodies kept at most, in bytes. Too small costs requests, too large memory.
const MAX_BYTES: usize = 16 << 20;

/// Answers of one process, by everything that their request says.
#[derive(Default)]
pub(in crate::source::manifest) struct ResponseCache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<u128, Response>,
    bytes: usize,
}

impl ResponseCache {
    pub(super) fn get(&self, key: u128) -> Option<Response> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.answers.get(&key).cloned()
    }

    /// Keeps an answer, as long as there is room.
    pub(super) fn put(&self, key: u128, response: &Response) {
        let size = response.body.len();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if response.status == StatusCode::OK && kept.bytes.saturating_add(size) <= MAX_BYTES {
            kept.bytes += size;
            kept.answers.insert(key, response.clone());
        }
    }
}

/// What tells a request from others; `None` if its answer is not to be kept.
pub(super) fn key(request: &Request) -> Option<u128> {
    if request.method != Method::GET {
        return None;
    }
    let mut hash = Xxh3::new();
    hash.update(request.url.as_str().as_bytes());
    for (name, value) in &request.headers {
        hash.update(b"\n");
        hash.update(name.as_str().as_bytes());
        hash.update(b":");
        hash.update(value.as_bytes());
    }
    hash.update(b"\n\n");
    hash.update(request.body.as_deref().unwrap_or_default());
    Some(hash.digest128())
}
