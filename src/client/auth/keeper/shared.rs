//! Renewing a credential that workers share through a store: one asks at a time, and what the issuer
//! gave is stored before anybody uses it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Keeper, Kept};
use crate::client::FetchError;
use crate::client::auth::{Grant, Issued, Secret, Token};
use crate::store::{CredentialLock, CredentialStore, Saved, StoreError, StoredCredential};

/// How long the lock on a credential outlives its last extension: what a worker that was killed
/// costs the others.
const LOCK_TTL: Duration = Duration::from_secs(15);
const EXTEND_EVERY: Duration = Duration::from_secs(4);

/// Longest wait for another worker that asks the issuer.
const LONGEST_TURN: Duration = Duration::from_secs(90);

/// How long a save is tried before whoever waits is told; it is tried again at the next renewal.
const LONGEST_SAVE: Duration = Duration::from_mins(1);

/// How long what was rotated is kept after the last renewal: no issuer lets a token sleep so long,
/// and a configuration that nobody has any more leaves nothing behind for ever.
const KEPT_ASLEEP: Duration = Duration::from_hours(400 * 24);

/// Rounds in which another worker may have renewed meanwhile.
const ROUNDS: usize = 4;

impl Keeper {
    /// With a store to share through.
    pub(super) async fn renew_in(
        &self,
        store: &dyn CredentialStore,
        grant: &Grant,
        refused: Option<&Token>,
    ) -> Result<Token, FetchError> {
        if let Some((revision, kept)) = self.owed() {
            let token = self.save(store, revision, kept).await?;
            if !self.is_due(&token) && refused.is_none_or(|old| old.expose() != token.expose()) {
                return Ok(token);
            }
        }
        let is_rotating = grant.configured_refresh_token().is_some();
        for _ in 0..ROUNDS {
            let stored = match self.lock(store, refused).await {
                Ok(Turn::Ours(stored)) => stored,
                Ok(Turn::Renewed(token)) => return Ok(token),
                // What is good once must not be used without the others knowing.
                Err(error) if is_rotating => return Err(error),
                Err(error) => {
                    tracing::warn!(credential = self.sealer.id(), %error, "cannot share a token through the store");
                    return self.renew_alone(grant).await;
                }
            };
            let kept = self.open(&stored);
            if let Some(kept) = &kept
                && self.is_usable(&kept.token, refused)
            {
                self.unlock(store).await;
                return Ok(self.adopt(kept.clone()));
            }
            let kept_refresh = kept.and_then(|kept| kept.refresh);
            let refresh = kept_refresh
                .clone()
                .or_else(|| grant.configured_refresh_token());
            let error = match self.ask(store, grant, refresh.as_ref()).await {
                Ok(issued) => {
                    let kept = self.kept(issued, kept_refresh);
                    return self.save(store, stored.revision, kept).await;
                }
                Err(error) => error,
            };
            let is_outrun = matches!(error, FetchError::Unauthorized(_))
                && store
                    .load_credential(self.sealer.id())
                    .await
                    .is_ok_and(|now| now.revision != stored.revision);
            self.unlock(store).await;
            if !is_outrun {
                return Err(error);
            }
            // Refused because another worker was quicker: what it stored is good.
        }
        Err(FetchError::Unavailable(
            "other workers keep renewing the same credential".to_owned(),
        ))
    }

    /// Waits for the lock, or for what whoever has it stores.
    async fn lock(
        &self,
        store: &dyn CredentialStore,
        refused: Option<&Token>,
    ) -> Result<Turn, FetchError> {
        let id = self.sealer.id();
        let began = Instant::now();
        loop {
            let lock = store.lock_credential(id, &self.owner, LOCK_TTL).await;
            let remaining = match lock.map_err(|error| unavailable(&error))? {
                CredentialLock::Held(stored) => return Ok(Turn::Ours(stored)),
                CredentialLock::Busy { remaining } => remaining,
            };
            if began.elapsed() > LONGEST_TURN {
                return Err(FetchError::Unavailable(
                    "another worker is still renewing this credential".to_owned(),
                ));
            }
            let pause = Duration::from_millis(rand::random_range(50..250));
            tokio::time::sleep(pause.min(remaining)).await;
            let stored = store.load_credential(id).await;
            let stored = stored.map_err(|error| unavailable(&error))?;
            if let Some(kept) = self.open(&stored)
                && self.is_usable(&kept.token, refused)
            {
                return Ok(Turn::Renewed(self.adopt(kept)));
            }
        }
    }

    /// Asks the issuer, and keeps the lock meanwhile, however slow it is.
    async fn ask(
        &self,
        store: &dyn CredentialStore,
        grant: &Grant,
        refresh: Option<&Secret>,
    ) -> Result<Issued, FetchError> {
        let asking = grant.ask(&self.client, refresh);
        tokio::pin!(asking);
        let mut extend = tokio::time::interval_at(Instant::now() + EXTEND_EVERY, EXTEND_EVERY);
        loop {
            tokio::select! {
                answer = &mut asking => return answer,
                _ = extend.tick() => {
                    // The revision decides in the end; losing the lock only wakes others early.
                    if let Err(error) = store
                        .lock_credential(self.sealer.id(), &self.owner, LOCK_TTL)
                        .await
                    {
                        tracing::warn!(error = %error, "cannot extend the lock on a credential");
                    }
                }
            }
        }
    }

    /// Stores `kept`, and only then uses it.
    async fn save(
        &self,
        store: &dyn CredentialStore,
        revision: u64,
        kept: Kept,
    ) -> Result<Token, FetchError> {
        self.current().owed = Some((revision, kept.clone()));
        let sealed = self.sealer.seal(&kept).map_err(|_| {
            FetchError::Misconfigured("this machine gives no random numbers".to_owned())
        })?;
        // An access token alone is of no use after its end.
        let life = match (&kept.refresh, kept.token.expires) {
            (Some(_), _) => Some(KEPT_ASLEEP),
            (None, None) => None,
            (None, Some(expires)) => {
                let left = expires.duration_since(Timestamp::now());
                Some(Duration::try_from(left).unwrap_or_default() + LOCK_TTL)
            }
        };
        let id = self.sealer.id();
        let (began, mut pause) = (Instant::now(), Duration::from_millis(100));
        loop {
            let saved = store
                .save_credential(id, &self.owner, revision, &sealed, life)
                .await;
            match saved {
                Ok(Saved::Yes) => {
                    self.current().owed = None;
                    tracing::info!(credential = id, "a token was renewed");
                    return Ok(self.adopt(kept));
                }
                Ok(Saved::Outdated) => {
                    self.current().owed = None;
                    let stored = store.load_credential(id).await;
                    let stored = stored.map_err(|error| unavailable(&error))?;
                    return match self.open(&stored) {
                        Some(kept) if !kept.token.is_expired(Timestamp::now()) => {
                            Ok(self.adopt(kept))
                        }
                        _ => Err(FetchError::Unavailable(
                            "another worker renewed this credential at the same time".to_owned(),
                        )),
                    };
                }
                Err(error) if began.elapsed() > LONGEST_SAVE => return Err(unavailable(&error)),
                Err(error) => {
                    tracing::error!(
                        credential = id,
                        error = %error,
                        "cannot store a renewed token yet; it is not used before, and tried again"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    async fn unlock(&self, store: &dyn CredentialStore) {
        let id = self.sealer.id();
        if let Err(error) = store.unlock_credential(id, &self.owner).await {
            // It ends by itself.
            tracing::debug!(credential = id, error = %error, "cannot give up the lock on a credential");
        }
    }

    fn open(&self, stored: &StoredCredential) -> Option<Kept> {
        if stored.sealed.is_empty() {
            return None;
        }
        let kept = self.sealer.open(&stored.sealed);
        if kept.is_none() {
            tracing::error!(
                credential = self.sealer.id(),
                "what the store keeps of a credential cannot be opened; using the configured one"
            );
        }
        kept
    }
}

/// What waiting for the lock gave.
enum Turn {
    Ours(StoredCredential),
    /// Another worker has done it.
    Renewed(Token),
}

fn unavailable(error: &StoreError) -> FetchError {
    FetchError::Unavailable(format!(
        "a credential cannot be renewed without the store: {error}"
    ))
}
