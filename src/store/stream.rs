//! What is read back from output streams and from the dead letters.

use bytes::Bytes;

use super::{DeadLetter, StoreError};

/// One entry of an output stream, fields in stored order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// Id in the store: `1708770600000-0`.
    pub id: String,
    /// Names and values.
    pub fields: Vec<(String, Bytes)>,
}

impl StreamEntry {
    /// The value of `name`, if the entry has it.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_ref())
    }
}

/// How an output stream stands. The embedded and the memory store have no consumer groups, so
/// there is nothing they could trim: `groups` and `trimmed` are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamLevel {
    /// Entries.
    pub length: u64,
    /// Consumer groups.
    pub groups: u64,
    /// Entries removed by the call that answered this.
    pub trimmed: u64,
}

/// One kept dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterEntry {
    /// Id in the dead-letter stream.
    pub id: String,
    /// When it was written, RFC 3339.
    pub time: String,
    /// What it holds.
    pub letter: DeadLetter,
}

/// Dead letters kept per connector; older ones make room.
pub(super) const DEAD_LETTERS_KEPT: usize = 10_000;

/// The id of an entry in a store that numbers entries itself; looks like one of Redis.
pub(super) fn local_id(number: u64) -> String {
    format!("{number}-0")
}

/// The reverse of [`local_id`]; the plain number will do.
pub(super) fn parse_local_id(id: &str) -> Result<u64, StoreError> {
    id.strip_suffix("-0")
        .unwrap_or(id)
        .parse()
        .map_err(|_| StoreError::Misconfigured(format!("{id:?} is not the id of an entry")))
}
