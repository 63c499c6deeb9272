//! What issuers gave, and who asks them: the rows of credentials.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Row as _, SqliteConnection, query, query_scalar};

use super::SqliteStore;
use super::error::Failure;
use super::lease::now_ms;
use crate::store::rate::SharedRate;
use crate::store::{
    CredentialLock, CredentialStore, Saved, StoreError, StoredCredential, Turn, TurnRequest,
};

/// Longest wait that a provider is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The row of a credential; empty when there is none.
#[derive(Default)]
struct Row {
    kept: StoredCredential,
    lock_owner: Option<String>,
    lock_until_ms: i64,
    lock_ttl_ms: i64,
}

impl Row {
    async fn load(connection: &mut SqliteConnection, id: &str) -> Result<Self, sqlx::Error> {
        let row = query(
            "SELECT revision, sealed, lock_owner, lock_until_ms, lock_ttl_ms \
             FROM credentials WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else {
            return Ok(Self::default());
        };
        let revision: i64 = row.try_get("revision")?;
        let sealed: Vec<u8> = row.try_get("sealed")?;
        Ok(Self {
            kept: StoredCredential {
                revision: revision.cast_unsigned(),
                sealed: sealed.into(),
            },
            lock_owner: row.try_get("lock_owner")?,
            lock_until_ms: row.try_get("lock_until_ms")?,
            lock_ttl_ms: row.try_get("lock_ttl_ms")?,
        })
    }

    /// How long somebody other than `owner` holds the lock. A lock that claims far more than its
    /// time was taken before the clock was set back.
    fn held_against(&self, owner: &str) -> Option<Duration> {
        self.lock_owner
            .as_deref()
            .filter(|holder| *holder != owner)?;
        let left = self.lock_until_ms.saturating_sub(now_ms());
        let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
        let is_believable = left <= self.lock_ttl_ms.unsigned_abs().saturating_mul(2);
        is_believable.then(|| Duration::from_millis(left))
    }
}

async fn lock(
    connection: &mut SqliteConnection,
    id: &str,
    owner: &str,
    ttl: Duration,
) -> Result<CredentialLock, Failure> {
    // Rows that nobody needs any more make room where somebody writes anyway.
    query("DELETE FROM credentials WHERE expires_ms < ? AND id <> ?")
        .bind(now_ms())
        .bind(id)
        .execute(&mut *connection)
        .await?;
    let row = Row::load(connection, id).await?;
    if let Some(remaining) = row.held_against(owner) {
        return Ok(CredentialLock::Busy { remaining });
    }
    let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 4);
    query(
        "INSERT INTO credentials (id, lock_owner, lock_until_ms, lock_ttl_ms) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (id) DO UPDATE SET lock_owner = ?2, lock_until_ms = ?3, lock_ttl_ms = ?4",
    )
    .bind(id)
    .bind(owner)
    .bind(now_ms().saturating_add(ttl))
    .bind(ttl)
    .execute(connection)
    .await?;
    Ok(CredentialLock::Held(row.kept))
}

async fn save(
    connection: &mut SqliteConnection,
    id: &str,
    owner: &str,
    revision: u64,
    sealed: &[u8],
    expires: Option<Duration>,
) -> Result<Saved, Failure> {
    let row = Row::load(connection, id).await?;
    let is_repeated = row.kept.revision == revision + 1 && row.kept.sealed == sealed;
    if row.kept.revision != revision && !is_repeated {
        return Ok(Saved::Outdated);
    }
    let expires = expires.map(|life| {
        let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX / 4);
        now_ms().saturating_add(life)
    });
    query(
        "INSERT INTO credentials (id, revision, sealed, expires_ms) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (id) DO UPDATE SET revision = ?2, sealed = ?3, expires_ms = ?4",
    )
    .bind(id)
    .bind((revision + 1).cast_signed())
    .bind(sealed)
    .bind(expires)
    .execute(&mut *connection)
    .await?;
    unlock(connection, id, owner).await?;
    Ok(Saved::Yes)
}

async fn unlock(connection: &mut SqliteConnection, id: &str, owner: &str) -> Result<(), Failure> {
    query("UPDATE credentials SET lock_owner = NULL WHERE id = ? AND lock_owner = ?")
        .bind(id)
        .bind(owner)
        .execute(connection)
        .await?;
    Ok(())
}

async fn make_wait(
    connection: &mut SqliteConnection,
    id: &str,
    wait: Duration,
) -> Result<(), Failure> {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4);
    query("DELETE FROM waits WHERE until_ms < ?")
        .bind(now_ms())
        .execute(&mut *connection)
        .await?;
    query(
        "INSERT INTO waits (id, until_ms) VALUES (?1, ?2) \
         ON CONFLICT (id) DO UPDATE SET until_ms = max(until_ms, ?2)",
    )
    .bind(id)
    .bind(now_ms().saturating_add(wait))
    .execute(connection)
    .await?;
    Ok(())
}

async fn take_turn(
    connection: &mut SqliteConnection,
    id: &str,
    request: &TurnRequest<'_>,
) -> Result<Turn, Failure> {
    // Under the lock of the transaction, so that no other process reads the clock in between.
    let now = Timestamp::now().as_microsecond();
    query("DELETE FROM rates WHERE until_us < ?")
        .bind(now)
        .execute(&mut *connection)
        .await?;
    let kept: Option<String> = query_scalar("SELECT bucket FROM rates WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    // What cannot be read is from another release, and over in a moment.
    let kept = kept.and_then(|bucket| serde_json::from_str(&bucket).ok());
    let mut rate: SharedRate = kept.unwrap_or_default();
    let turn = rate.take(request, now);
    query(
        "INSERT INTO rates (id, bucket, until_us) VALUES (?1, ?2, ?3) \
         ON CONFLICT (id) DO UPDATE SET bucket = ?2, until_us = ?3",
    )
    .bind(id)
    .bind(serde_json::to_string(&rate).map_err(|error| sqlx::Error::Encode(error.into()))?)
    .bind(rate.ends())
    .execute(connection)
    .await?;
    Ok(turn)
}

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn load_credential(&self, id: &str) -> Result<StoredCredential, StoreError> {
        let id = self.named(id);
        on_reader!(self, |connection| async {
            Ok::<_, Failure>(Row::load(connection, &id).await?.kept)
        })
    }

    async fn lock_credential(
        &self,
        id: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<CredentialLock, StoreError> {
        let id = self.named(id);
        in_transaction!(self, |connection| lock(connection, &id, owner, ttl))
    }

    async fn save_credential(
        &self,
        id: &str,
        owner: &str,
        revision: u64,
        sealed: &[u8],
        expires: Option<Duration>,
    ) -> Result<Saved, StoreError> {
        let id = self.named(id);
        in_transaction!(self, |connection| save(
            connection, &id, owner, revision, sealed, expires
        ))
    }

    async fn unlock_credential(&self, id: &str, owner: &str) -> Result<(), StoreError> {
        let id = self.named(id);
        in_transaction!(self, |connection| unlock(connection, &id, owner))
    }

    async fn make_credential_wait(&self, id: &str, wait: Duration) -> Result<(), StoreError> {
        let id = self.named(id);
        in_transaction!(self, |connection| make_wait(connection, &id, wait))
    }

    async fn wait_of_credential(&self, id: &str) -> Result<Option<Duration>, StoreError> {
        let id = self.named(id);
        let until: Option<i64> = on_reader!(self, |connection| async {
            let until = query_scalar("SELECT until_ms FROM waits WHERE id = ?")
                .bind(&id)
                .fetch_optional(connection)
                .await?;
            Ok::<_, Failure>(until)
        })?;
        let left = until.map_or(0, |until| until.saturating_sub(now_ms()));
        let left = u64::try_from(left).ok().filter(|left| *left > 0);
        // A wait beyond what any provider is believed was told before the clock was set back.
        Ok(left.map(|left| Duration::from_millis(left).min(LONGEST_WAIT)))
    }

    async fn take_turn(&self, id: &str, request: &TurnRequest<'_>) -> Result<Turn, StoreError> {
        let id = self.named(id);
        in_transaction!(self, |connection| take_turn(connection, &id, request))
    }
}
