//! What issuers gave, and who asks them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use super::MemoryStore;
use crate::store::{
    CredentialLock, CredentialStore, Saved, StoreError, StoredCredential, Turn, TurnRequest,
};

/// One credential.
#[derive(Debug, Default)]
pub(super) struct Credential {
    kept: StoredCredential,
    lock: Option<(String, Instant)>,
}

impl Credential {
    fn unlock(&mut self, owner: &str) {
        if self
            .lock
            .as_ref()
            .is_some_and(|(holder, _)| holder == owner)
        {
            self.lock = None;
        }
    }
}

impl MemoryStore {
    fn with_credential<T>(&self, id: &str, work: impl FnOnce(&mut Credential) -> T) -> T {
        let mut content = self.content();
        work(content.credentials.entry(id.to_owned()).or_default())
    }
}

#[async_trait]
impl CredentialStore for MemoryStore {
    async fn load_credential(&self, id: &str) -> Result<StoredCredential, StoreError> {
        Ok(self.with_credential(id, |credential| credential.kept.clone()))
    }

    async fn lock_credential(
        &self,
        id: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<CredentialLock, StoreError> {
        Ok(self.with_credential(id, |credential| {
            let now = Instant::now();
            if let Some((holder, until)) = &credential.lock
                && holder != owner
                && *until > now
            {
                return CredentialLock::Busy {
                    remaining: *until - now,
                };
            }
            credential.lock = Some((owner.to_owned(), now + ttl));
            CredentialLock::Held(credential.kept.clone())
        }))
    }

    /// What has ended stays: nothing here outlives the process.
    async fn save_credential(
        &self,
        id: &str,
        owner: &str,
        revision: u64,
        sealed: &[u8],
        _expires: Option<Duration>,
    ) -> Result<Saved, StoreError> {
        Ok(self.with_credential(id, |credential| {
            let kept = &mut credential.kept;
            let is_repeated = kept.revision == revision + 1 && kept.sealed == sealed;
            if kept.revision != revision && !is_repeated {
                return Saved::Outdated;
            }
            kept.revision = revision + 1;
            kept.sealed = sealed.to_vec().into();
            credential.unlock(owner);
            Saved::Yes
        }))
    }

    async fn unlock_credential(&self, id: &str, owner: &str) -> Result<(), StoreError> {
        self.with_credential(id, |credential| credential.unlock(owner));
        Ok(())
    }

    async fn make_credential_wait(&self, id: &str, wait: Duration) -> Result<(), StoreError> {
        let (mut content, now) = (self.content(), Instant::now());
        content.waits.retain(|_, until| *until > now);
        let until = content.waits.entry(id.to_owned()).or_insert(now);
        *until = (now + wait).max(*until);
        Ok(())
    }

    async fn wait_of_credential(&self, id: &str) -> Result<Option<Duration>, StoreError> {
        let until = self.content().waits.get(id).copied();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        Ok(left.filter(|left| !left.is_zero()))
    }

    async fn take_turn(&self, id: &str, request: &TurnRequest<'_>) -> Result<Turn, StoreError> {
        let mut content = self.content();
        let now = Timestamp::now().as_microsecond();
        content.rates.retain(|_, rate| rate.ends() > now);
        let rate = content.rates.entry(id.to_owned()).or_default();
        Ok(rate.take(request, now))
    }
}
