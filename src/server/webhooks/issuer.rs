//! Keeps the public keys of an issuer of identity tokens current: fetched when a delivery first
//! needs them, again when one is signed with a key that is not known, and after a while.

use std::time::Duration;

use http::{HeaderMap, Method};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::client::{Client, ClientConfig, FetchError, HttpJudge, Request};
use crate::webhook::KeySet;

/// How long fetched keys are used without looking whether some were withdrawn.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// Between two fetches: a stranger can name any key.
const FETCH_EVERY: Duration = Duration::from_secs(10);

/// Bound on a fetch; whoever sent the delivery waits.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Largest answer.
const MAX_BYTES: usize = 1 << 20;

/// The keys of one issuer, and where they come from.
#[derive(Debug)]
pub(super) struct Issuer {
    url: Url,
    keys: KeySet,
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    tried: Option<Instant>,
    succeeded: Option<Instant>,
}

/// The keys cannot be had now.
#[derive(Debug)]
pub(super) struct Unreachable;

impl Issuer {
    pub(super) fn new(url: Url, keys: KeySet) -> Self {
        Self {
            url,
            keys,
            fetched: Mutex::default(),
        }
    }

    /// Fetches the keys unless that happened lately. `is_unknown`: a delivery names one that is
    /// not among them.
    pub(super) async fn refresh(&self, is_unknown: bool) -> Result<(), Unreachable> {
        // Whoever comes meanwhile waits for the same answer.
        let mut fetched = self.fetched.lock().await;
        let since = |at: Option<Instant>| at.map_or(Duration::MAX, |at| at.elapsed());
        let is_due = since(fetched.succeeded) >= KEPT_FOR || is_unknown;
        if !is_due || since(fetched.tried) < FETCH_EVERY {
            return fetched.succeeded.map(drop).ok_or(Unreachable);
        }
        fetched.tried = Some(Instant::now());
        let answer = tokio::time::timeout(PATIENCE, self.fetch()).await;
        let failure = match answer {
            Ok(Ok(published)) => match self.keys.replace(&published) {
                Ok(()) => {
                    fetched.succeeded = Some(Instant::now());
                    return Ok(());
                }
                Err(error) => error.to_string(),
            },
            Ok(Err(error)) => error.redacted().to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(
            server = self.url.host_str(),
            error = failure,
            "cannot fetch the keys of an issuer of identity tokens"
        );
        // Keys that were good an hour ago are better than none.
        fetched.succeeded.map(drop).ok_or(Unreachable)
    }

    async fn fetch(&self) -> Result<bytes::Bytes, FetchError> {
        let request = Request {
            method: Method::GET,
            url: self.url.clone(),
            headers: HeaderMap::new(),
            body: None,
        };
        let config = ClientConfig {
            max_retries: 1,
            max_body_bytes: MAX_BYTES,
            ..ClientConfig::default()
        };
        let answer = Client::new(config)?
            .send(&request, &HttpJudge::default())
            .await?;
        Ok(answer.body)
    }
}
