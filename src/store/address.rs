//! The address of a store: `redis://…`, `rediss://…`, `sqlite:PATH`, `memory:`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// In this process; gone with it.
    Memory,
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A Redis server, with credentials if it needs them.
    Redis(url::Url),
}

/// Why a text is no store address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Unknown scheme.
    #[error(
        "unknown store scheme {0:?}; use redis://HOST:PORT, rediss://HOST:PORT, sqlite:PATH or memory:"
    )]
    Scheme(String),
    /// Not an address at all.
    #[error("cannot read the store address: {0}")]
    Syntax(url::ParseError),
    /// `sqlite:` without a path.
    #[error("sqlite: needs a path, as in sqlite:./store.db")]
    NoPath,
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "memory:" || text == "memory://" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(AddressError::NoPath)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        let url = url::Url::parse(text).map_err(AddressError::Syntax)?;
        match url.scheme() {
            "redis" | "rediss" => Ok(Self::Redis(url)),
            other => Err(AddressError::Scheme(other.to_owned())),
        }
    }
}

impl fmt::Display for StoreAddress {
    /// Without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Redis(url) => {
                write!(
                    f,
                    "{}://{}",
                    url.scheme(),
                    url.host_str().unwrap_or("localhost")
                )?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreAddress({self})")
    }
}
