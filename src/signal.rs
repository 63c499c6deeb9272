//! The nouns everything above speaks: a change of one record, and the signal that tells of it.

use std::sync::Arc;

use bytes::Bytes;

/// What happened to a record between two reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Not known before.
    Created,
    /// Known in another version.
    Updated,
    /// Known, and gone from a listing that was read completely.
    Deleted,
}

impl ChangeKind {
    /// The last part of a signal's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// How a record reached the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Read from a listing.
    Poll,
    /// Delivered by the provider.
    Webhook,
}

impl Via {
    /// The value of the signal's `via` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Webhook => "webhook",
        }
    }
}

/// The 16-byte hash of a record's meaningful content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub [u8; 16]);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::hex::hex(&self.0))
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Version({self})")
    }
}

/// What all signals of one commit have in common; written to every entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Connector name: `jira-prod`.
    pub connector: Arc<str>,
    /// Stream name: `issues`.
    pub stream: Arc<str>,
    /// First part of `type`: `jira`.
    pub provider: Arc<str>,
    /// Tenant, if the connector has one.
    pub tenant: Option<Arc<str>>,
    /// How the records came.
    pub via: Via,
}

/// One signal before the store gives it its epoch and sequence.
///
/// The store writes the entry `specversion id source type subject version time datacontenttype
/// connector stream [tenant] via epoch sequence data`, in this order. `id` is
/// `{connector}/{stream}/{key}@{version}.{sequence}`, or `…@{version}-deleted.{sequence}`;
/// `sequence` is the commit's, twelve digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// What happened.
    pub kind: ChangeKind,
    /// The record's key as text: a scalar as it is, a composite one as compact JSON.
    pub subject: String,
    /// The record's version; of a deletion the last one known.
    pub version: Version,
    /// RFC 3339, UTC: the record's own update time, else when it was seen.
    pub time: String,
    /// The record as JSON; `{}` for a deletion.
    pub data: Bytes,
}
