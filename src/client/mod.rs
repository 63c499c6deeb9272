//! The only place that makes outgoing requests.
//!
//! One [`Client`] per connector, and one [`Traffic`] per process: bounds on time, body and redirects, repetition with positive
//! jitter, waits that the provider asks for, no credential to another host, no request to a
//! metadata address. What an answer *means* is the caller's: it passes a [`Judge`].

mod address;
mod attempt;
pub mod auth;
mod breaker;
pub mod budget;
mod config;
mod declared;
mod error;
mod exchange;
mod failure;
mod header;
mod judge;
mod pace;
mod places;
mod quota;
mod rate;
mod redirect;
mod retry;
mod send;
mod share;
mod tls;
mod traffic;
mod wait;
mod window;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

pub use address::{AddressPolicy, is_never_requested};
pub use config::{ClientConfig, USER_AGENT};
pub use declared::{Place, QuotaRule, RateLimits, Scope, TimeFormat, WaitRule};
pub use error::{FetchError, TransportError, TransportKind};
pub use header::set_header;
pub use judge::{HttpJudge, judge_response, judge_transport};
pub use send::Client;
pub use tls::install_crypto_provider;
pub use traffic::{Traffic, identify};
pub use wait::hinted_wait;

/// One request, complete: credentials included.
#[derive(Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Address with query.
    pub url: Url,
    /// All headers but those of the transport.
    pub headers: HeaderMap,
    /// Body, if any.
    pub body: Option<Bytes>,
}

impl std::fmt::Debug for Request {
    /// Method, host and path; query and headers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, without_query(&self.url))
    }
}

/// One answer, body read whole and decompressed.
#[derive(Clone)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers as received.
    pub headers: HeaderMap,
    /// Body, within the client's bound.
    pub body: Bytes,
    /// Address that answered, after redirects.
    pub url: Url,
}

/// Address without query, user name and password: fit for logs and errors.
pub fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for addresses that cannot carry credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// What to do about an answer, or about there being none.
#[derive(Debug)]
pub enum Verdict {
    /// Hand it to the caller.
    Accept,
    /// Repeat within the retry budget. `wait`: what manifest or provider says; `None`: the
    /// client's own back-off.
    Retry {
        /// Wait before the repetition.
        wait: Option<Duration>,
        /// What to report when the budget is spent.
        error: FetchError,
    },
    /// The provider limits us: wait as told, which costs no retry. A wait too long to sit out
    /// inside the poll is handed up as [`FetchError::RateLimited`].
    Throttle {
        /// How long; `None`: the client's own back-off.
        wait: Option<Duration>,
    },
    /// Give up.
    Fail(FetchError),
}

/// Decides what an answer means.
pub trait Judge: Send + Sync {
    /// Called for every attempt, the first being 1.
    fn judge(&self, answer: Result<&Response, &TransportError>, attempt: u32) -> Verdict;
}

/// Told of waits, so that health and metrics can show them.
pub trait Observer: Send + Sync {
    /// The client is about to sleep because the provider asked for it.
    fn throttled(&self, wait: Duration);
    /// An answer arrived (status) after `took`.
    fn answered(&self, status: StatusCode, took: Duration, bytes: usize);
    /// A request got no answer.
    fn unanswered(&self) {}
    /// An answer that nothing had changed left this much of the provider's limits.
    fn saved(&self, _quota: f64) {}
    /// Nothing is asked of `server` for this long, because it failed again and again; `None`: it
    /// is back.
    fn suspended(&self, _server: &str, _pause: Option<Duration>) {}
    /// So many processes keep to the manifest's limits together, this one included.
    fn shares(&self, _processes: u32) {}
}
