//! Where rotated tokens live: what a credential's issuer gave last, and who is asking for more.
//!
//! A credential is no connector's: several connectors and workers may share one. So it is fenced by
//! a revision instead of a lease: who saves names the revision that he read, and a save from an
//! older one is refused. The lock only keeps two workers from asking the issuer at once; that it
//! ends in time costs a wait, never a token.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{StoreError, Turn, TurnRequest};

/// What is kept of a credential: sealed bytes that the store does not look into.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StoredCredential {
    /// Grows by one with every save; 0 where nothing was saved yet.
    pub revision: u64,
    /// What the last save left; empty where nothing was saved yet.
    pub sealed: Bytes,
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredCredential(revision {})", self.revision)
    }
}

/// Answer to [`CredentialStore::lock_credential`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialLock {
    /// Ours for the time asked for, with what is kept now.
    Held(StoredCredential),
    /// Somebody else is asking the issuer.
    Busy {
        /// When the lock ends unless it is renewed.
        remaining: Duration,
    },
}

/// Answer to [`CredentialStore::save_credential`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Kept, and the lock given up.
    Yes,
    /// Somebody else saved since: what is kept is theirs.
    Outdated,
}

/// Keeps tokens, waits that providers asked for, and the rate that is kept to. The first is called
/// about once an hour per credential, the second about once a second while requests are made, the
/// third as often by a process that is alone, else once per request.
#[async_trait]
pub trait CredentialStore: Send + Sync + fmt::Debug {
    /// What is kept of credential `id`.
    async fn load_credential(&self, id: &str) -> Result<StoredCredential, StoreError>;

    /// Takes or extends the lock of credential `id` for `ttl`.
    async fn lock_credential(
        &self,
        id: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<CredentialLock, StoreError>;

    /// Keeps `sealed` where the revision is still `revision`, and gives the lock up if it is
    /// `owner`'s. A save whose answer was lost may be repeated: the same bytes count as saved.
    ///
    /// `expires`: when nobody needs it any more; `None` keeps it.
    async fn save_credential(
        &self,
        id: &str,
        owner: &str,
        revision: u64,
        sealed: &[u8],
        expires: Option<Duration>,
    ) -> Result<Saved, StoreError>;

    /// Gives the lock up if it is `owner`'s.
    async fn unlock_credential(&self, id: &str, owner: &str) -> Result<(), StoreError>;

    /// Tells all workers that a provider asked for a wait; `id` names server and credential. A
    /// longer wait that was told before stays.
    async fn make_credential_wait(&self, id: &str, wait: Duration) -> Result<(), StoreError>;

    /// What is left of that wait.
    async fn wait_of_credential(&self, id: &str) -> Result<Option<Duration>, StoreError>;

    /// Takes a turn of the rate `id`, which names server and credential.
    async fn take_turn(&self, id: &str, request: &TurnRequest<'_>) -> Result<Turn, StoreError>;
}
