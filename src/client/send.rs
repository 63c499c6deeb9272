//! The client: attempts a request until the judge accepts an answer or a budget is spent.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::address::AddressPolicy;
use super::attempt::Way;
use super::budget::Budget;
use super::config::ClientConfig;
use super::exchange::Exchange;
use super::retry;
use super::traffic::{Lane, NOTABLE};
use super::{FetchError, Judge, Observer, Request, Response, TransportError, Verdict};

/// Bound on one attempt at a token endpoint. Giving up on one that is merely slow may throw the
/// only good refresh token away.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(45);

/// Sends requests. Cheap to clone: clones share connections and lanes.
#[derive(Clone)]
pub struct Client {
    pub(super) config: ClientConfig,
    pub(super) shared: Arc<Shared>,
    /// Whether requests may use up what is kept back of the provider's limits.
    urgent: bool,
    /// What the manifest allows of calls.
    pub(super) budget: Option<Arc<Budget>>,
}

pub(super) struct Shared {
    pub(super) exchange: Exchange,
    /// Milliseconds that this poll has waited to repeat requests.
    repeating_ms: AtomicU64,
    /// Processes that keep to the limits together, as the observer was told.
    pub(super) processes: AtomicU32,
    /// The lanes of this client, by server.
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    /// Until when each server is left alone, as the observer was told.
    pub(super) told: Mutex<HashMap<String, Instant>>,
}

/// Servers told apart; a connector asks a handful.
const MAX_SERVERS: usize = 64;

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
        let shared = Arc::new(Shared {
            exchange,
            repeating_ms: AtomicU64::new(0),
            processes: AtomicU32::new(0),
            lanes: Mutex::default(),
            told: Mutex::default(),
        });
        Ok(Self {
            config,
            shared,
            urgent: false,
            budget: None,
        })
    }

    /// Who is told of waits and answers.
    pub(super) fn observer(&self) -> Option<&Arc<dyn Observer>> {
        self.config.observer.as_ref()
    }

    /// What it may reach.
    pub fn address_policy(&self) -> AddressPolicy {
        self.config.address_policy
    }

    /// The same client for requests that may use up what is kept back of the provider's limits.
    #[must_use]
    pub fn from_reserve(&self) -> Self {
        Self {
            urgent: true,
            ..self.clone()
        }
    }

    /// The same client, making no more calls than `budget` allows.
    #[must_use]
    pub fn within(self, budget: Option<Budget>) -> Self {
        Self {
            budget: budget.map(|budget| {
                let traffic = &self.config.traffic;
                traffic.budget(&self.config.credential, budget)
            }),
            ..self
        }
    }

    /// A poll begins: what the last one spent on repetitions does not count any more.
    pub fn begin_poll(&self) {
        self.shared.repeating_ms.store(0, Ordering::Relaxed);
    }

    fn has_repeated_enough(&self) -> bool {
        let spent = self.shared.repeating_ms.load(Ordering::Relaxed);
        Duration::from_millis(spent) >= self.config.max_repeating
    }

    /// Whether a server that failed again and again has been left alone for long enough, so that
    /// one request would tell whether it is back.
    pub fn wants_probe(&self) -> bool {
        let now = Instant::now();
        let lanes = locked(&self.shared.lanes);
        lanes.values().any(|lane| lane.breaker.is_due(now))
    }

    /// The same with more patience, for requests whose answer must not be lost: those to token
    /// endpoints. Their rate and their circuit are not those of the API; `observer` is told.
    pub fn patient(&self, observer: Arc<dyn Observer>) -> Result<Self, FetchError> {
        Self::new(ClientConfig {
            request_timeout: self.config.request_timeout.max(TOKEN_TIMEOUT),
            max_retries: self.config.max_retries.max(3),
            limits: Arc::default(),
            credential: format!("{} tokens", self.config.credential),
            observer: Some(observer),
            ..self.config.clone()
        })
    }

    /// Sends `request` until `judge` accepts or gives up, or a budget is spent.
    ///
    /// Dropping the future stops everything. Repetitions send the same request again, so the
    /// caller's credentials must outlive the waits.
    pub async fn send(&self, request: &Request, judge: &dyn Judge) -> Result<Response, FetchError> {
        let mut way = self.way(Cow::Borrowed(request));
        let (mut failures, mut throttles, mut waited) = (0, 0, Duration::ZERO);
        let mut attempt = 0;
        // Ends: every turn that is not the last costs a retry, a wait or a redirect, and all of
        // them are bounded.
        loop {
            attempt += u32::from(way.redirects == 0);
            self.config.traffic.hear(&way.lane, &way.subject).await;
            waited += self.room(&way, waited).await?;
            let lane = way.lane.clone();
            let probe = self.enter(&way.server, &lane)?;
            let Some(answer) = self.step(&mut way, probe, attempt).await else {
                continue;
            };
            let server = &way.server;
            let wait = match judge.judge(answer.as_ref(), attempt) {
                Verdict::Accept => return answer.map_err(FetchError::from),
                Verdict::Fail(error) => {
                    if let FetchError::RateLimited { retry_after } = &error {
                        self.block(&way, *retry_after).await;
                    }
                    return Err(error);
                }
                Verdict::Retry { error, .. }
                    if failures >= self.config.max_retries
                        || self.has_repeated_enough()
                        || !retry::may_repeat(&request.method, answer.as_ref()) =>
                {
                    return Err(error);
                }
                Verdict::Retry { wait, error } => {
                    failures += 1;
                    let asked = wait.max(self.declared(answer.as_ref()));
                    let asked = asked.filter(|wait| !wait.is_zero());
                    let delay = self.delay(asked, failures);
                    self.spend(delay);
                    if asked.is_some() {
                        waited += delay;
                        self.block(&way, delay).await;
                    }
                    tracing::debug!(server, attempt, ?delay, %error, "will repeat the request");
                    delay
                }
                Verdict::Throttle { wait } => {
                    throttles += 1;
                    // A provider that says "now" and refuses again must not be hammered.
                    let wait = wait.max(self.declared(answer.as_ref()));
                    let delay = self.delay(wait, throttles).max(self.delay(None, throttles));
                    waited += delay;
                    self.block(&way, delay).await;
                    if self.has_repeated_enough() {
                        return Err(FetchError::RateLimited {
                            retry_after: self.capped(delay),
                        });
                    }
                    self.spend(delay);
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
            way = self.way(Cow::Borrowed(request));
        }
    }

    /// Waits until the provider's limits leave room for the request; an error if that is longer
    /// than is sat out.
    async fn room(&self, way: &Way<'_>, waited: Duration) -> Result<Duration, FetchError> {
        let (request, lane) = (&*way.request, &way.lane);
        let now = Instant::now();
        let most = self.config.max_wait.saturating_sub(waited);
        let budget = self.budget.as_ref();
        let jitter = Duration::from_millis(rand::random_range(1..=100));
        let budgeted = match budget {
            Some(budget) => {
                let among = self.processes(lane).await;
                budget.take(request, most, now, jitter, among)
            }
            None => Duration::ZERO,
        };
        let scope = self.config.limits.scope;
        let room = lane.pace.room(&request.url, scope, self.urgent, most, now);
        let paced = if room.is_zero() { room } else { room + jitter };
        let wait = self.capped(paced.max(budgeted));
        if wait.is_zero() {
            return Ok(wait);
        }
        if wait > most {
            return Err(FetchError::RateLimited { retry_after: wait });
        }
        if wait >= NOTABLE {
            tracing::info!(
                server = way.server,
                ?wait,
                "little is left of the provider's limit; waiting"
            );
            self.observe(|observer| observer.throttled(wait));
        }
        tokio::time::sleep(wait).await;
        Ok(wait)
    }

    /// The lane of requests to `server`.
    pub(super) fn lane(&self, server: &str) -> Arc<Lane> {
        let mut lanes = locked(&self.shared.lanes);
        if let Some(lane) = lanes.get(server) {
            return lane.clone();
        }
        if lanes.len() >= MAX_SERVERS {
            lanes.clear();
            locked(&self.shared.told).clear();
        }
        let lane = self.config.traffic.lane(server, &self.config.credential);
        lanes.insert(server.to_owned(), lane.clone());
        lane
    }

    /// Lets nobody with the credential ask before `wait` is over.
    async fn block(&self, way: &Way<'_>, wait: Duration) {
        let (lane, subject, wait) = (&way.lane, &way.subject, self.capped(wait));
        lane.pace.block(subject, Instant::now() + wait);
        self.config.traffic.tell(lane, subject, wait).await;
    }

    /// How long an answer asks to wait in the provider's own way.
    fn declared(&self, answer: Result<&Response, &TransportError>) -> Option<Duration> {
        let response = answer.ok()?;
        self.config.limits.wait(response, Timestamp::now())
    }

    /// Counts a wait among those of this poll.
    fn spend(&self, delay: Duration) {
        let millis = u64::try_from(self.capped(delay).as_millis()).unwrap_or(u64::MAX);
        let spent = &self.shared.repeating_ms;
        spent.fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn delay(&self, asked: Option<Duration>, failures: u32) -> Duration {
        // Above 0: a wait without jitter is what several workers have in common.
        let random = 1.0 - rand::random::<f64>();
        match asked {
            Some(hint) => retry::hinted(&self.config.retry, hint, random),
            None => retry::backoff(&self.config.retry, failures, random),
        }
    }

    pub(super) fn capped(&self, wait: Duration) -> Duration {
        self.config.max_backoff.map_or(wait, |cap| wait.min(cap))
    }

    pub(super) fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.config.observer {
            tell(observer.as_ref());
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
