//! Who may run a connector: owner, epoch, and the answers to taking and keeping a lease.

use std::sync::Arc;
use std::time::Duration;

use super::State;

/// Who holds a lease: `host/pid/random64`, unique per acquisition attempt of a process.
///
/// The random part matters: after a failover that lost the last acquisition the next one hands
/// out the same epoch number again, and only the owner tells the two apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// A new owner for this process on `host`.
    pub fn new(host: &str) -> Self {
        Self(
            format!(
                "{host}/{}/{:016x}",
                std::process::id(),
                rand::random::<u64>()
            )
            .into(),
        )
    }

    /// As stored in the lease key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Owner {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The right to run a connector. Everything that writes takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Connector name.
    pub connector: Arc<str>,
    /// Fencing number; only grows.
    pub epoch: u64,
    /// Who holds it.
    pub owner: Owner,
    /// How long it outlives its last renewal.
    pub ttl: Duration,
}

/// Answer to [`Store::acquire`](super::Store::acquire).
#[derive(Debug, Clone, PartialEq)]
pub enum Acquired {
    /// The lease is ours; the state is as the last commit left it.
    Held(Lease, State),
    /// Somebody else holds it.
    Busy {
        /// The holder, as it names itself.
        holder: String,
        /// When the lease ends unless it is renewed.
        remaining: Duration,
    },
}

/// Answer to [`Store::renew`](super::Store::renew).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// Ours for another TTL.
    Held,
    /// The key is gone or names another owner: stop at the page boundary and contend again.
    Lost,
    /// Another epoch or owner may write: drop what is held.
    Fenced,
    /// The store is behind what this worker committed (it lost its tail): reload.
    Gap,
}

/// A lease as `leases list` and `status` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Connector name.
    pub connector: String,
    /// Who holds it.
    pub owner: String,
    /// Fencing number.
    pub epoch: u64,
    /// Time left.
    pub remaining: Duration,
}
