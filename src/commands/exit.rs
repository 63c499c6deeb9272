//! What went wrong → exit code, and the one place where a command's failure is told.

use std::process::ExitCode;

use thiserror::Error;

use crate::client::FetchError;
use crate::document::{Problem, did_you_mean};
use crate::poller::PollOnceError;
use crate::store::StoreError;
use crate::telemetry::chain;

/// Anything without a code of its own.
pub const FAILURE: u8 = 1;
/// What was asked for cannot be meant.
pub const USAGE: u8 = 2;
/// Store or provider unreachable (`EX_UNAVAILABLE`).
pub const UNREACHABLE: u8 = 69;
/// The lease is held by another (`EX_TEMPFAIL`).
pub const BUSY: u8 = 75;
/// Credentials refused (`EX_NOPERM`).
pub const REFUSED: u8 = 77;
/// Configuration (`EX_CONFIG`).
pub const CONFIGURATION: u8 = 78;

/// Every problem of a configuration.
#[derive(Debug, Error)]
#[error("{} in the configuration", match .0.len() { 1 => "a problem".to_owned(), n => format!("{n} problems") })]
pub struct Problems(pub Vec<Problem>);

/// What was asked for cannot be meant; nothing was changed.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// `name` is none of the `known`; `what` says so.
    pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> Self {
        Self(match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("{what} {name} (did you mean {near}?)"),
            None => format!("{what} {name}; there are {}", known.join(", ")),
        })
    }
}

/// The lease is held by another worker.
#[derive(Debug, Error)]
#[error("the lease of {connector} is held by {holder} for another {remaining_ms} ms")]
pub struct LeaseHeld {
    /// Connector name.
    pub connector: String,
    /// Who holds it.
    pub holder: String,
    /// Time left unless it is renewed.
    pub remaining_ms: u128,
}

/// Tells the user what went wrong and answers the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Problems(problems)) = error.downcast_ref() {
        for problem in problems {
            eprintln!("{problem}");
        }
    }
    tracing::error!(error = %chain(error.as_ref()), "command failed");
    ExitCode::from(code(error))
}

/// The exit code of an error: that of the first cause that has one.
pub fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of).unwrap_or(FAILURE)
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<Problems>() {
        return Some(CONFIGURATION);
    }
    if cause.is::<Usage>() {
        return Some(USAGE);
    }
    if cause.is::<LeaseHeld>() || matches!(cause.downcast_ref(), Some(PollOnceError::Busy { .. })) {
        return Some(BUSY);
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return Some(match error {
            StoreError::Unavailable { .. } => UNREACHABLE,
            StoreError::Misconfigured(_) => CONFIGURATION,
            StoreError::Corrupt(_) => FAILURE,
        });
    }
    cause.downcast_ref::<FetchError>().map(|error| match error {
        FetchError::Unauthorized(_) | FetchError::Forbidden(_) => REFUSED,
        FetchError::Unavailable(_) | FetchError::RateLimited { .. } => UNREACHABLE,
        FetchError::Misconfigured(_) => CONFIGURATION,
        FetchError::Rejected(_) | FetchError::Unusable(_) | FetchError::Bound(_) => FAILURE,
    })
}
