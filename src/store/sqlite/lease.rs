//! Who may try and who may write: the row of a connector.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection, query, query_as, query_scalar};

use crate::store::{Lease, LeaseInfo, Owner, Renewed};

/// The row of a connector; all zero when there is none.
#[derive(Debug, Default)]
pub(super) struct Row {
    name: String,
    pub(super) id: i64,
    pub(super) epoch: i64,
    owner: String,
    pub(super) sequence: i64,
    lease_owner: Option<String>,
    lease_until_ms: i64,
    lease_ttl_ms: i64,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            id: row.try_get("id")?,
            epoch: row.try_get("epoch")?,
            owner: row.try_get("owner")?,
            sequence: row.try_get("sequence")?,
            lease_owner: row.try_get("lease_owner")?,
            lease_until_ms: row.try_get("lease_until_ms")?,
            lease_ttl_ms: row.try_get("lease_ttl_ms")?,
        })
    }
}

/// Milliseconds since 1970 by the clock of this machine, the only one that leases are held by.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn ttl_ms(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 4)
}

impl Row {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        name: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        query_as("SELECT * FROM connectors WHERE name = ?")
            .bind(name)
            .fetch_optional(connection)
            .await
    }

    /// Who holds the lease, if its time is not up.
    pub(super) fn holder(&self, now: i64) -> Option<(&str, Duration)> {
        let owner = self.lease_owner.as_deref()?;
        let remaining = self.lease_until_ms.saturating_sub(now);
        // A lease that claims far more than its TTL was taken before the clock was set back. To
        // believe it would leave the connector idle for as long; the fence protects its holder.
        let believable = remaining <= self.lease_ttl_ms.saturating_mul(2);
        let remaining = u64::try_from(remaining).ok().filter(|left| *left > 0)?;
        believable.then_some((owner, Duration::from_millis(remaining)))
    }

    pub(super) fn may_write(&self, lease: &Lease) -> bool {
        self.epoch.cast_unsigned() == lease.epoch && self.owner == lease.owner.as_str()
    }

    /// Gives the lease another TTL if it still names this owner; answers whether it did.
    pub(super) async fn extend(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
    ) -> Result<bool, sqlx::Error> {
        let now = now_ms();
        let held = self
            .holder(now)
            .is_some_and(|(owner, _)| owner == lease.owner.as_str());
        if held {
            set_lease(connection, self.id, &lease.owner, lease.ttl, now).await?;
        }
        Ok(held)
    }
}

async fn set_lease(
    connection: &mut SqliteConnection,
    id: i64,
    owner: &Owner,
    ttl: Duration,
    now: i64,
) -> Result<(), sqlx::Error> {
    let ttl = ttl_ms(ttl);
    query(
        "UPDATE connectors SET lease_owner = ?, lease_until_ms = ?, lease_ttl_ms = ? WHERE id = ?",
    )
    .bind(owner.as_str())
    .bind(now.saturating_add(ttl))
    .bind(ttl)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(())
}

/// What [`acquire`] found.
pub(super) enum Attempt {
    /// Ours, with this epoch.
    Held { epoch: u64 },
    /// Somebody else's.
    Busy { holder: String, remaining: Duration },
}

/// Takes the lease if it is free, already ours, or held by `previous`.
pub(super) async fn acquire(
    connection: &mut SqliteConnection,
    name: &str,
    owner: &Owner,
    previous: Option<&Owner>,
    ttl: Duration,
) -> Result<Attempt, sqlx::Error> {
    let now = now_ms();
    let row = Row::load(connection, name).await?.unwrap_or_default();
    let mut already_ours = false;
    if let Some((holder, remaining)) = row.holder(now) {
        let is_previous = previous.is_some_and(|previous| holder == previous.as_str());
        if holder != owner.as_str() && !is_previous {
            let holder = holder.to_owned();
            return Ok(Attempt::Busy { holder, remaining });
        }
        already_ours = holder == owner.as_str() && row.owner == owner.as_str();
    }
    // Only now: a standby that finds the lease held writes nothing.
    let id = connector_id(connection, name).await?;
    let epoch = if already_ours {
        row.epoch
    } else {
        query_scalar(
            "UPDATE connectors SET epoch = epoch + 1, owner = ? WHERE id = ? RETURNING epoch",
        )
        .bind(owner.as_str())
        .bind(id)
        .fetch_one(&mut *connection)
        .await?
    };
    set_lease(connection, id, owner, ttl, now).await?;
    Ok(Attempt::Held {
        epoch: epoch.cast_unsigned(),
    })
}

/// Extends the lease of a worker that believes `applied` to be the last commit.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    name: &str,
    lease: &Lease,
    applied: u64,
) -> Result<Renewed, sqlx::Error> {
    let row = Row::load(connection, name).await?.unwrap_or_default();
    if !row.may_write(lease) {
        return Ok(Renewed::Fenced);
    }
    if row.sequence.cast_unsigned() < applied {
        return Ok(Renewed::Gap);
    }
    Ok(if row.extend(connection, lease).await? {
        Renewed::Held
    } else {
        Renewed::Lost
    })
}

/// Gives up what `lease` still holds.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    name: &str,
    lease: &Lease,
) -> Result<(), sqlx::Error> {
    let row = Row::load(connection, name).await?.unwrap_or_default();
    if !row.may_write(lease) {
        return Ok(());
    }
    query("UPDATE connectors SET owner = '', lease_owner = nullif(lease_owner, ?) WHERE id = ?")
        .bind(lease.owner.as_str())
        .bind(row.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the lease whoever holds it; answers whether somebody did.
pub(super) async fn break_lease(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let row = Row::load(connection, name).await?.unwrap_or_default();
    let existed = row.holder(now_ms()).is_some();
    query("UPDATE connectors SET lease_owner = NULL WHERE id = ?")
        .bind(row.id)
        .execute(connection)
        .await?;
    Ok(existed)
}

/// Leases of connectors whose stored name starts with `prefix`, by name.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    prefix: &str,
) -> Result<Vec<LeaseInfo>, sqlx::Error> {
    let rows: Vec<Row> =
        query_as("SELECT * FROM connectors WHERE lease_owner IS NOT NULL ORDER BY name")
            .fetch_all(connection)
            .await?;
    let now = now_ms();
    let held = rows.iter().filter_map(|row| {
        let connector = row.name.strip_prefix(prefix)?;
        let (owner, remaining) = row.holder(now)?;
        Some(LeaseInfo {
            connector: connector.to_owned(),
            owner: owner.to_owned(),
            epoch: row.epoch.cast_unsigned(),
            remaining,
        })
    });
    Ok(held.collect())
}

/// The number of the row of `name`, which is made if it is missing.
pub(super) async fn connector_id(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<i64, sqlx::Error> {
    query_scalar(
        "INSERT INTO connectors (name) VALUES (?)
         ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id",
    )
    .bind(name)
    .fetch_one(connection)
    .await
}
