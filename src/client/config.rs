//! Settings of a client: bounds and manners.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Observer;
use super::address::AddressPolicy;
use super::declared::RateLimits;
use super::traffic::Traffic;
use crate::connector::RetryConfig;

/// Bounds and manners of one connector's requests.
#[derive(Clone)]
pub struct ClientConfig {
    /// Bound on one attempt: connection, redirects and body. Too short fails large pages, too
    /// long holds up a poll when a provider hangs. Default 10 s.
    pub request_timeout: Duration,
    /// Longest silence within a body. Default: 30 s, so it matters only to long requests.
    pub read_timeout: Duration,
    /// Largest body, counted after decompression. Default 64 MiB.
    pub max_body_bytes: usize,
    /// Repetitions of a failed request; waits that the provider asks for do not count. Default 2.
    pub max_retries: u32,
    /// Waits between repetitions.
    pub retry: RetryConfig,
    /// Cap on every wait, the provider's included (`CONNECTOR_WORKER_MAX_BACKOFF_MS`; for tests).
    pub max_backoff: Option<Duration>,
    /// Sum of the provider's waits that one [`Client::send`](super::Client::send) sits out; beyond it the caller is
    /// told [`FetchError::RateLimited`](super::FetchError::RateLimited). Default 60 s.
    pub max_wait: Duration,
    /// What all repetitions of one poll may wait together, those that the provider asks for
    /// included: a provider that fails every now and then is read to the end, one that fails all
    /// the time does not hold the poll up for hours. Default 5 min.
    pub max_repeating: Duration,
    /// How much the provider is asked at most, by its manifest.
    pub limits: Arc<RateLimits>,
    /// What is known of the servers, shared with other connectors.
    pub traffic: Traffic,
    /// Names the credential, whose requests share pace and circuit; says nothing about it.
    pub credential: String,
    /// Whether what answers say is left of the provider's limits slows requests down before a
    /// limit is reached. Default yes.
    pub heeds_quotas: bool,
    /// What may be reached.
    pub address_policy: AddressPolicy,
    /// `User-Agent` of requests that set none.
    pub user_agent: String,
    /// Told of waits and answers.
    pub observer: Option<Arc<dyn Observer>>,
}

/// `connector-worker/VERSION`.
pub const USER_AGENT: &str = concat!("connector-worker/", env!("CARGO_PKG_VERSION"));

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            max_body_bytes: 64 * 1024 * 1024,
            max_retries: 2,
            retry: RetryConfig::default(),
            max_backoff: None,
            max_wait: Duration::from_mins(1),
            max_repeating: Duration::from_mins(5),
            limits: Arc::default(),
            traffic: Traffic::default(),
            credential: String::new(),
            heeds_quotas: true,
            address_policy: AddressPolicy::Trusted,
            user_agent: USER_AGENT.to_owned(),
            observer: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("request_timeout", &self.request_timeout)
            .field("max_retries", &self.max_retries)
            .field("retry", &self.retry)
            .field("address_policy", &self.address_policy)
            .finish_non_exhaustive()
    }
}
