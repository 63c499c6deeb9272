//! Why nothing could be fetched, split by what the poller does about it.

use std::time::Duration;

use thiserror::Error;

use crate::telemetry;

/// What the poller does next depends on the variant; the text is for people and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// Credentials refused (401, or a provider's own way to say it). Retried slowly.
    #[error("credentials refused: {0}")]
    Unauthorized(String),
    /// Credentials valid, permission missing (403, 404 for things not to be seen).
    #[error("permission refused: {0}")]
    Forbidden(String),
    /// The provider asked to wait longer than one poll sits out.
    #[error("rate limited for {} s", .retry_after.as_secs())]
    RateLimited {
        /// Earliest time for the next request, from now.
        retry_after: Duration,
    },
    /// Not reachable, timed out, or failing (5xx), repetitions included.
    #[error("provider unavailable: {0}")]
    Unavailable(String),
    /// The provider refused the request itself (400, 404, 410, 422): configuration to mend.
    #[error("request refused: {0}")]
    Rejected(String),
    /// The answer is not what it should be: no JSON, a truncated body, a page that repeats.
    #[error("unusable answer: {0}")]
    Unusable(String),
    /// The configuration or manifest asks for something that cannot be done.
    #[error("cannot build the request: {0}")]
    Misconfigured(String),
    /// A bound was reached: pages, slices, body size.
    #[error("bound reached: {0}")]
    Bound(String),
}

impl FetchError {
    /// The same without any registered secret: a provider may quote what it was sent, and this
    /// text goes to health, metrics and logs.
    #[must_use]
    pub fn redacted(self) -> Self {
        let clean = |text: String| telemetry::redacted(&text).into_owned();
        match self {
            Self::Unauthorized(text) => Self::Unauthorized(clean(text)),
            Self::Forbidden(text) => Self::Forbidden(clean(text)),
            Self::Unavailable(text) => Self::Unavailable(clean(text)),
            Self::Rejected(text) => Self::Rejected(clean(text)),
            Self::Unusable(text) => Self::Unusable(clean(text)),
            Self::Misconfigured(text) => Self::Misconfigured(clean(text)),
            Self::Bound(text) => Self::Bound(clean(text)),
            Self::RateLimited { .. } => self,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of failure.
    pub kind: TransportKind,
    /// In words a user understands, host named, no query, no secret.
    pub message: String,
}

/// Kinds of [`TransportError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    /// The host name does not resolve.
    Dns,
    /// No connection: refused, unreachable. Nothing was sent.
    Connect,
    /// The connection ended after the request was sent, and before an answer.
    Lost,
    /// TLS handshake or certificate.
    Tls,
    /// Longer than `requestTimeoutMs`.
    Timeout,
    /// The body ended early or does not decompress.
    Truncated,
    /// The body is larger than the bound.
    TooLarge,
    /// An address that may not be reached, or a redirect that may not be followed.
    Refused,
}

impl TransportKind {
    /// Whether the server certainly did nothing, because the request never reached it.
    pub fn is_unsent(self) -> bool {
        matches!(self, Self::Dns | Self::Connect | Self::Tls | Self::Refused)
    }
}

impl From<TransportError> for FetchError {
    fn from(TransportError { kind, message }: TransportError) -> Self {
        use TransportKind::{Connect, Dns, Lost, Refused, Timeout, Tls, TooLarge, Truncated};
        match kind {
            Dns | Connect | Lost | Tls | Timeout => Self::Unavailable(message),
            Truncated => Self::Unusable(message),
            TooLarge => Self::Bound(message),
            Refused => Self::Misconfigured(message),
        }
    }
}
