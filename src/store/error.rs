//! Why a store could not do what it was asked.

use thiserror::Error;

/// Why the store could not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Not reachable, timed out, or restarting: try again later.
    #[error("cannot reach the store at {address}")]
    Unavailable {
        /// Address without credentials.
        address: String,
        /// The library's error.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reachable, but set up so that the guarantees do not hold or the command is not allowed.
    #[error("{0}")]
    Misconfigured(String),
    /// The stored bytes are not what this version of the worker writes.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}
