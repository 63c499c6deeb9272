//! One configured connector, as every module below the configuration knows it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};

use crate::document::Node;
use crate::telemetry::KeptOut;

/// A connector that this process shall run: validated, defaults filled in, `${…}` substituted.
///
/// `Debug` shows no provider value: any of them may be a secret.
#[derive(Clone, PartialEq)]
pub struct ConnectorConfig {
    /// Unique in the file; matches `[A-Za-z0-9][A-Za-z0-9._-]*`.
    pub name: Arc<str>,
    /// The connector type: `JIRA`, or `MANIFEST` with [`manifest`](Self::manifest).
    pub kind: Arc<str>,
    /// Path of the manifest of a `MANIFEST` connector, relative to the working directory.
    pub manifest: Option<PathBuf>,
    /// Whether it shall run.
    pub enabled: bool,
    /// Time from the start of one poll to the start of the next. `None`: the manifest's, else 60 s.
    pub poll_interval: Option<Duration>,
    /// Bound on one request, connection and body included. Default 10 s.
    pub request_timeout: Duration,
    /// Repetitions of a failed request within a poll. Default 2.
    pub max_retries: u32,
    /// Waits between repetitions.
    pub retry: RetryConfig,
    /// Output stream without prefix. Default `raw-input-signals`.
    pub output_stream: Arc<str>,
    /// Entries at which publishing pauses until consumers have read. Default 1,000,000; 0 = none.
    pub output_max_len: u64,
    /// Time a lease outlives its last renewal. Default 30 s.
    pub lease_ttl: Duration,
    /// Streams to read; empty: all the manifest has.
    pub streams: Vec<Arc<str>>,
    /// Value of the signals' `tenant` field.
    pub tenant: Option<Arc<str>>,
    /// How changes are found.
    pub change_detection: ChangeDetection,
    /// How deliveries of the provider are received.
    pub webhook: WebhookConfig,
    /// What the provider needs: addresses, credentials, filters. A map.
    pub provider: Node,
    /// Keeps its secrets out of logs.
    pub kept_out: KeptOut,
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("enabled", &self.enabled)
            .field("provider", &"[hidden]")
            .finish_non_exhaustive()
    }
}

/// Waits between repetitions of a request: `baseDelayMs` × 2ⁿ up to `maxDelayMs`, plus up to
/// `jitterRatio` of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryConfig {
    /// First wait. Default 150 ms.
    pub base_delay: Duration,
    /// Longest wait that the worker chooses itself. Default 10 s.
    pub max_delay: Duration,
    /// Share of the wait added at random, up to 1; a configuration never gives less than
    /// [`LEAST_JITTER`](Self::LEAST_JITTER). Default 0.1.
    pub jitter_ratio: f64,
}

impl RetryConfig {
    /// Workers that failed together must not return together, whatever is configured.
    pub const LEAST_JITTER: f64 = 0.01;
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            base_delay: Duration::from_millis(150),
            max_delay: Duration::from_secs(10),
            jitter_ratio: 0.1,
        }
    }
}

/// How changes are found; each field is one of `changeDetection` in the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeDetection {
    /// JSON pointers of fields that do not make a version.
    pub ignore: Vec<String>,
    /// Publish deletions. `None`: where the listing is complete.
    pub deletions: Option<bool>,
    /// How far behind the cursor an incremental read starts. `None`: the manifest's.
    pub lookback: Option<Duration>,
    /// Days an incremental stream remembers a record it no longer sees. Default 90.
    pub retention_days: u32,
    /// Versions kept at most. Default 1,000,000.
    pub max_keys: u64,
}

impl Default for ChangeDetection {
    fn default() -> Self {
        Self {
            ignore: Vec::new(),
            deletions: None,
            lookback: None,
            retention_days: 90,
            max_keys: 1_000_000,
        }
    }
}

/// How deliveries are received; each field is one of `webhook` in the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    /// Secrets that a delivery may be signed with; several during a rotation.
    pub secrets: Vec<WebhookSecret>,
    /// For whom and by whom identity tokens have to be made: audience and sender.
    pub identity: Option<(Arc<str>, Arc<str>)>,
    /// How deliveries are signed, as manifests say it; `None`: as the connector's manifest says.
    pub signature: Option<Node>,
    /// Networks that deliveries may come from; empty: any.
    pub allow_ips: Vec<IpNet>,
    /// How long the id of a delivery is remembered. Default 7 days.
    pub dedupe: Duration,
    /// Ids remembered at most. Default 1,000,000.
    pub max_ids: u64,
    /// Deliveries that may wait. Default 100,000.
    pub max_queued: u64,
    /// Bytes of deliveries that may wait. Default 256 MiB.
    pub max_queued_bytes: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            identity: None,
            signature: None,
            allow_ips: Vec::new(),
            dedupe: Duration::from_hours(7 * 24),
            max_ids: 1_000_000,
            max_queued: 100_000,
            max_queued_bytes: 256 << 20,
        }
    }
}

/// What provider and worker share to know each other. `Debug` hides it, and logs as long as somebody
/// has it.
#[derive(Debug, Clone)]
pub struct WebhookSecret(SecretString, #[expect(dead_code, reason = "held")] KeptOut);

impl WebhookSecret {
    /// The secret, for who computes with it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for WebhookSecret {
    fn from(text: &str) -> Self {
        Self(text.into(), [text].into_iter().collect())
    }
}

impl PartialEq for WebhookSecret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}
