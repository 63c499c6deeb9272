//! One record on its way from an answer to the pipeline.

use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::signal::Version;

/// A JSON object as its provider sent it, or as transformations left it, and its hashes: several
/// look at a record, and each hash is made once.
#[derive(Debug, Clone)]
pub struct Record {
    data: Bytes,
    raw: OnceLock<u64>,
    version: Option<Version>,
}

impl Record {
    /// A record whose version was worked out when it was found.
    pub fn with_version(data: Bytes, version: Option<Version>) -> Self {
        Self {
            data,
            raw: OnceLock::new(),
            version,
        }
    }

    /// The hash of its bytes as they are.
    pub fn raw_hash(&self) -> u64 {
        *self.raw.get_or_init(|| xxh3_64(&self.data))
    }

    /// The hash of the whole record by [`canonical_hash`](crate::json::canonical_hash), less the
    /// fields that [`ReadState::hashing`](super::ReadState::hashing) names, if it was asked for.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The record alone.
    pub fn into_data(self) -> Bytes {
        self.data
    }
}

impl From<Bytes> for Record {
    fn from(data: Bytes) -> Self {
        Self::with_version(data, None)
    }
}

impl Deref for Record {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.data
    }
}
