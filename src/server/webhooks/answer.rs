//! What senders are told: a status, a word, and when to come back.

use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// No connector of this name takes deliveries.
    UnknownConnector,
    /// Not a POST, nor a question that the provider asks by GET.
    Method,
    /// The address is not on the connector's list.
    Address,
    /// Too many requests of this address or connector.
    RateLimited {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// Headers beyond the bound.
    Head,
    /// Neither JSON nor a form.
    ContentType,
    /// Too large, as received or decompressed.
    TooLarge,
    /// The body took too long.
    SlowBody,
    /// The connection broke in the middle of the body.
    Broken,
    /// Not signed by who knows the secret.
    Signature,
    /// Signed, and yet no JSON.
    Unreadable,
    /// Too many bodies at once.
    Busy,
    /// No room in the queue.
    Full,
    /// The store does not answer.
    Unavailable,
}

impl Rejection {
    /// A word for metrics and the answer.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownConnector => "unknown_connector",
            Self::Method => "method_not_allowed",
            Self::Address => "address_not_allowed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Head => "head_too_large",
            Self::ContentType => "unsupported_content",
            Self::TooLarge => "too_large",
            Self::SlowBody => "body_timeout",
            Self::Broken => "body_incomplete",
            Self::Signature => "signature",
            Self::Unreadable => "unreadable",
            Self::Busy => "too_many_bodies",
            Self::Full => "queue_full",
            Self::Unavailable => "store_unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::UnknownConnector => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Address => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Signature => StatusCode::UNAUTHORIZED,
            Self::Busy | Self::Full | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let body = format!("{{\"error\":\"{}\"}}", self.as_str());
        let mut response =
            (self.status(), [(CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        let retry_after = match self {
            Self::RateLimited { retry_after } => Some(retry_after),
            Self::Busy => Some(1),
            Self::Full => Some(5),
            Self::Unavailable => Some(2),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        // What is left of the body would be read as the next request.
        if matches!(
            self,
            Self::Head | Self::TooLarge | Self::SlowBody | Self::Broken | Self::Busy
        ) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer to a provider's question.
pub(super) fn plain(text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::OK, headers, text).into_response()
}
