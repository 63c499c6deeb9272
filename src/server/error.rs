//! What goes wrong at the edge, as JSON with a stable code.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::router::json;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Error {
    /// No connector of this name; those there are.
    UnknownConnector { name: String, known: Vec<String> },
    /// No such page.
    UnknownPath,
    /// The page exists, for GET and HEAD.
    MethodNotAllowed,
    /// The answer could not be written as JSON.
    Unserializable,
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    connectors: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<&'static [&'static str]>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, error, message) = match &self {
            Self::UnknownConnector { name, .. } => (
                StatusCode::NOT_FOUND,
                "unknown_connector",
                format!("no connector is named {name}"),
            ),
            Self::UnknownPath => (
                StatusCode::NOT_FOUND,
                "not_found",
                "nothing is at this path".to_owned(),
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this listener only answers GET and HEAD".to_owned(),
            ),
            // Nothing that could be said as JSON can be relied on here.
            Self::Unserializable => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        let paths = (self == Self::UnknownPath).then_some(super::router::PATHS);
        let connectors = match self {
            Self::UnknownConnector { known, .. } => Some(known),
            _ => None,
        };
        json(
            status,
            &Body {
                error,
                message,
                connectors,
                paths,
            },
        )
    }
}
