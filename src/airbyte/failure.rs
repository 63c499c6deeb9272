//! What a command could not do, as the protocol tells it.

use serde::Serialize;

use crate::client::FetchError;
use crate::source::Stopped;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum FailureType {
    /// Nobody's who runs the source.
    #[serde(rename = "system_error")]
    System,
    /// The configuration's or the credentials'.
    #[serde(rename = "config_error")]
    Config,
    /// It may work later.
    #[serde(rename = "transient_error")]
    Transient,
}

/// Why a command or a stream failed. Its text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: FailureType,
    pub(super) words: String,
}

impl Failure {
    /// A configuration that cannot work.
    pub(super) fn config(words: impl Into<String>) -> Self {
        Self {
            kind: FailureType::Config,
            words: words.into(),
        }
    }

    /// Input that is not what the protocol demands.
    pub(super) fn system(words: impl Into<String>) -> Self {
        Self {
            kind: FailureType::System,
            words: words.into(),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let error = error.redacted();
        let kind = match &error {
            FetchError::Unauthorized(_) | FetchError::Forbidden(_) => FailureType::Config,
            FetchError::Unavailable(_) | FetchError::RateLimited { .. } => FailureType::Transient,
            FetchError::Rejected(_)
            | FetchError::Unusable(_)
            | FetchError::Misconfigured(_)
            | FetchError::Bound(_) => FailureType::System,
        };
        Self {
            kind,
            words: error.to_string(),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::system(format!("cannot write to stdout: {error}"))
    }
}

impl From<Stopped> for Failure {
    fn from(Stopped: Stopped) -> Self {
        Self::system("nobody reads stdout any more")
    }
}
