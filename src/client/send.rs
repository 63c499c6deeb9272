//! The client: attempts a request until the judge accepts an answer or a budget is spent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::address::AddressPolicy;
use super::exchange::Exchange;
use super::failure;
use super::rate::TokenBucket;
use super::retry;
use super::{FetchError, Judge, Observer, Request, Response, TransportError, Verdict};
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
    /// Sum of the provider's waits that one [`Client::send`] sits out; beyond it the caller is
    /// told [`FetchError::RateLimited`]. Default 60 s.
    pub max_wait: Duration,
    /// Requests per second that the provider is asked at most; `None`: as many as there are.
    pub requests_per_second: Option<f64>,
    /// What may be reached.
    pub address_policy: AddressPolicy,
    /// `User-Agent` of requests that set none.
    pub user_agent: String,
    /// Told of waits and answers.
    pub observer: Option<Arc<dyn Observer>>,
}

/// Bound on one attempt at a token endpoint. Giving up on one that is merely slow may throw the
/// only good refresh token away.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(45);

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
            requests_per_second: None,
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

/// Sends requests. Cheap to share by reference; its connections are reused between polls.
pub struct Client {
    config: ClientConfig,
    exchange: Exchange,
    rate: Option<TokenBucket>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.config).finish()
    }
}

impl Client {
    /// Sets up connections' settings; opens none. Reads the machine's CA certificates and proxy
    /// environment.
    pub fn new(config: ClientConfig) -> Result<Self, FetchError> {
        let exchange = Exchange::new(&config)?;
        let rate = config
            .requests_per_second
            .and_then(|rate| TokenBucket::new(rate, Instant::now()));
        Ok(Self {
            config,
            exchange,
            rate,
        })
    }

    /// What it may reach.
    pub fn address_policy(&self) -> AddressPolicy {
        self.config.address_policy
    }

    /// The same with more patience, for requests whose answer must not be lost: those to token
    /// endpoints. Their rate is not that of the API.
    pub fn patient(&self) -> Result<Self, FetchError> {
        Self::new(ClientConfig {
            request_timeout: self.config.request_timeout.max(TOKEN_TIMEOUT),
            max_retries: self.config.max_retries.max(3),
            requests_per_second: None,
            observer: None,
            ..self.config.clone()
        })
    }

    /// Sends `request` until `judge` accepts or gives up, or a budget is spent.
    ///
    /// Dropping the future stops everything. Repetitions send the same request again, so the
    /// caller's credentials must outlive the waits.
    pub async fn send(&self, request: &Request, judge: &dyn Judge) -> Result<Response, FetchError> {
        let server = failure::server(&request.url);
        let (mut failures, mut throttles, mut waited) = (0, 0, Duration::ZERO);
        let mut attempt = 0;
        // Ends: every turn that is not the last costs a retry or a wait, and both are bounded.
        loop {
            attempt += 1;
            let answer = self.attempt(request, attempt).await;
            let wait = match judge.judge(answer.as_ref(), attempt) {
                Verdict::Accept => return answer.map_err(FetchError::from),
                Verdict::Fail(error) => return Err(error),
                Verdict::Retry { error, .. } if failures >= self.config.max_retries => {
                    return Err(error);
                }
                Verdict::Retry { wait, error } => {
                    failures += 1;
                    let asked = wait.filter(|wait| !wait.is_zero());
                    let delay = self.delay(asked, failures);
                    if asked.is_some() {
                        waited += delay;
                    }
                    tracing::debug!(server, attempt, ?delay, %error, "will repeat the request");
                    delay
                }
                Verdict::Throttle { wait } => {
                    throttles += 1;
                    // A provider that says "now" and refuses again must not be hammered.
                    let delay = self.delay(wait, throttles).max(self.delay(None, throttles));
                    waited += delay;
                    if waited <= self.config.max_wait {
                        tracing::info!(server, ?delay, "the provider limits requests; waiting");
                        self.observe(|observer| observer.throttled(self.capped(delay)));
                    }
                    delay
                }
            };
            // Counted before the cap: capped waits must not turn into a flood of requests.
            if waited > self.config.max_wait {
                return Err(FetchError::RateLimited {
                    retry_after: self.capped(wait),
                });
            }
            tokio::time::sleep(self.capped(wait)).await;
        }
    }

    async fn attempt(&self, request: &Request, attempt: u32) -> Result<Response, TransportError> {
        if let Some(rate) = &self.rate {
            let turn = self.capped(rate.take(Instant::now()));
            if !turn.is_zero() {
                tokio::time::sleep(turn).await;
            }
        }
        let began = Instant::now();
        let answer = self.exchange.run(request).await;
        let took = began.elapsed();
        let server = failure::server(&request.url);
        match &answer {
            Ok(response) => {
                let (status, bytes) = (response.status, response.body.len());
                tracing::debug!(server, attempt, %status, bytes, ?took, "answer");
                self.observe(|observer| observer.answered(status, took, bytes));
            }
            Err(error) => {
                tracing::debug!(server, attempt, %error, ?took, "no answer");
                self.observe(|observer| observer.unanswered());
            }
        }
        answer
    }

    fn delay(&self, asked: Option<Duration>, failures: u32) -> Duration {
        let random = rand::random::<f64>();
        match asked {
            Some(hint) => retry::hinted(&self.config.retry, hint, random),
            None => retry::backoff(&self.config.retry, failures, random),
        }
    }

    fn capped(&self, wait: Duration) -> Duration {
        self.config.max_backoff.map_or(wait, |cap| wait.min(cap))
    }

    fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.config.observer {
            tell(observer.as_ref());
        }
    }
}
