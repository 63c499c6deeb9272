//! `metadata.connector`: what a manifest says to this worker beyond Airbyte's format.

mod read;
mod reader;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::read::read;
pub(super) use self::reader::Reader;
use super::errors::Refusals;
use super::feed::StreamRules;
use super::methods::AuthMethods;
use crate::client::{Place, RateLimits};
use crate::json::Pointer;
use crate::webhook::Webhooks;

/// The version of the framework that manifests are written for: a manifest's own version has the
/// same major number.
pub const FRAMEWORK_VERSION: u64 = 1;

/// What `metadata.connector` holds; everything is optional.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// First part of a signal's `type`.
    pub id: Option<Arc<str>>,
    /// Semver of the manifest.
    pub version: Option<String>,
    /// Name for people.
    pub display_name: Option<String>,
    /// Time between polls that suits the provider.
    pub poll_interval: Option<Duration>,
    /// How records become signals, by stream.
    pub signals: BTreeMap<Arc<str>, SignalMetadata>,
    /// How `check` proves address and identity.
    pub health_check: Option<HealthCheck>,
    /// Which ways to authenticate there are.
    pub auth: AuthMethods,
    /// What refusals are about, where their status does not tell.
    pub(super) refusals: Refusals,
    /// How much the provider may be asked.
    pub rate_limits: Arc<RateLimits>,
    /// How deliveries of the provider are trusted and mapped.
    pub webhooks: Option<Arc<Webhooks>>,
    /// Streams that are only delivered and never read, and how their records become signals.
    pub pushed: Vec<(Arc<str>, SignalMetadata)>,
    /// How streams are read beyond what Airbyte's format can say.
    pub(super) streams: BTreeMap<Arc<str>, Arc<StreamRules>>,
    /// Streams that a connector reads where its entry names none; empty: all.
    pub default_streams: Vec<Arc<str>>,
}

/// `metadata.connector.signals.<stream>`
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SignalMetadata {
    /// The key; replaces `primary_key`.
    pub subject: Option<Vec<Pointer>>,
    /// What tells the part of the stream that a record belongs to, where the subject does not.
    pub within: Vec<Pointer>,
    /// The record's own update time.
    pub time: Option<Pointer>,
    /// Fields that make the version.
    pub version: Vec<Pointer>,
    /// Fields that do not.
    pub ignore: Vec<Pointer>,
    /// Whether a record older than the published one is dropped.
    pub ordered: bool,
    /// Whether a record missing from a complete read is deleted. Default: where the stream is not
    /// incremental.
    pub deletions: Option<bool>,
    /// An instant in the answer that only grows; an answer with an older one is stale.
    pub freshness: Option<Pointer>,
    /// The cursor's value, where it is no top-level field.
    pub cursor: Option<Pointer>,
    /// What an answer without the list of records means.
    pub absent_list: AbsentList,
    /// Statuses that mean, where the error handler ignores them, that a partition has no such
    /// records: it is left out.
    pub skip: Vec<u16>,
    /// Keys of the configuration without which there is nothing to read.
    pub requires: Vec<String>,
}

/// What an answer without the list of records means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AbsentList {
    /// Nothing that could be relied on.
    #[default]
    Unknown,
    /// That there are none.
    Empty,
}

/// `metadata.connector.health_check`
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// Path below the requester's base address; a template that sees the configuration.
    pub path: String,
    /// Default GET.
    pub method: http::Method,
    /// JSON to send.
    pub body: Option<String>,
    /// Status that means healthy. Default 200.
    pub expected_status: u16,
    /// Bound on the request.
    pub timeout: Option<Duration>,
    /// Where the answer names who we are; the first that is there is shown.
    pub identity: Vec<Pointer>,
    /// Where the answer names what the credentials may do; the first that is there is shown.
    pub permissions: Vec<Place>,
    /// Where the answer says when the credentials end; `check` warns in time.
    pub expires: Vec<Place>,
    /// A second request, about the credentials alone.
    pub credentials: Option<AboutCredentials>,
}

/// `metadata.connector.health_check.credentials`: what may be asked about the credentials. Not
/// every kind of them can be asked about, so a refusal says nothing.
#[derive(Debug, Clone, Default)]
pub struct AboutCredentials {
    /// As [`HealthCheck::path`]; an empty one is not asked.
    pub path: String,
    /// As [`HealthCheck::identity`].
    pub identity: Vec<Pointer>,
    /// As [`HealthCheck::permissions`].
    pub permissions: Vec<Place>,
    /// As [`HealthCheck::expires`].
    pub expires: Vec<Place>,
}

/// Keys of `metadata.connector`.
pub(crate) const CONNECTOR_KEYS: [&str; 15] = [
    "auth",
    "id",
    "version",
    "display_name",
    "poll_interval_seconds",
    "default_streams",
    "signals",
    "streams",
    "health_check",
    "refusals",
    "rate_limits",
    "webhooks",
    "oauth",
    "endpoints",
    "documentation_url",
];
/// Keys of `metadata.connector.signals.<stream>`.
pub(crate) const SIGNAL_KEYS: [&str; 12] = [
    "subject",
    "within",
    "time",
    "version",
    "ignore",
    "ordered",
    "deletions",
    "freshness",
    "cursor",
    "absent_list",
    "skip",
    "requires",
];
/// Keys of `metadata.connector.streams.<stream>`.
pub(crate) const STREAM_KEYS: [&str; 8] = super::feed::STREAM_KEYS;
/// Keys of `metadata.connector.health_check`.
pub(crate) const HEALTH_KEYS: [&str; 9] = [
    "path",
    "http_method",
    "body_json",
    "expected_status",
    "timeout_seconds",
    "identity",
    "permissions",
    "expires",
    "credentials",
];
