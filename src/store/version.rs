//! Versions of records as a store keeps them: field name and encoding are a public contract.

use crate::signal::Version;

/// One version to keep: `{stream}\0{key}` → 16-byte hash, optionally followed by the 8-byte
/// big-endian instant (milliseconds since 1970, as `i64`) of the record's own update time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    /// `{stream}\0{key}`; see [`version_field`].
    pub field: Vec<u8>,
    /// 16 or 24 bytes; see [`KnownVersion`].
    pub known: KnownVersion,
}

/// A version as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownVersion {
    /// The hash.
    pub version: Version,
    /// The record's own update time in milliseconds since 1970.
    pub instant: Option<i64>,
    /// Day the record was last seen (days since 1970), for streams whose versions age out.
    pub day: Option<u16>,
}

impl KnownVersion {
    /// Bytes in the store: hash, then instant (8, big-endian; `i64::MIN` for none, present only
    /// when instant or day is), then day (2, big-endian).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.version.0.to_vec();
        if self.instant.is_some() || self.day.is_some() {
            bytes.extend(self.instant.unwrap_or(i64::MIN).to_be_bytes());
        }
        if let Some(day) = self.day {
            bytes.extend(day.to_be_bytes());
        }
        bytes
    }

    /// The reverse of [`encode`](Self::encode); `None` for any other length.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let version = Version(bytes.get(..16)?.try_into().ok()?);
        let instant = match bytes.get(16..24) {
            Some(raw) => {
                Some(i64::from_be_bytes(raw.try_into().ok()?)).filter(|at| *at != i64::MIN)
            }
            None => None,
        };
        let day = match bytes.get(24..26) {
            Some(raw) => Some(u16::from_be_bytes(raw.try_into().ok()?)),
            None => None,
        };
        matches!(bytes.len(), 16 | 24 | 26).then_some(Self {
            version,
            instant,
            day,
        })
    }
}

/// The name under which the version of `key` in `stream` is kept.
pub fn version_field(stream: &str, key: &str) -> Vec<u8> {
    [stream.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// Whether [`version_field`] made `field` for a key of `stream`.
pub(super) fn is_version_field_of(field: &[u8], stream: &str) -> bool {
    field
        .strip_prefix(stream.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&0))
}
