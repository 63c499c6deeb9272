//! The queues of webhooks in the file.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{SqliteConnection, query, query_as, query_scalar};

use super::error::Failure;
use super::{LOOK_EVERY, SqliteStore};
use crate::store::queue::{
    Acknowledged, Appended, DEAD_DELIVERIES_KEPT, DeadDelivery, Enqueued, FORGOTTEN_AT_ONCE,
    Failed, QueueLevel, QueueLimits, QueueStore, QueuedDelivery, WaitingDelivery,
};
use crate::store::{StoreError, local_id, parse_local_id};

/// A row of `deliveries`.
struct Row {
    position: i64,
    id: String,
    received_ms: i64,
    head: Vec<u8>,
    body: Vec<u8>,
    attempts: i64,
    died: String,
    reason: Option<String>,
}

type Columns = (
    i64,
    String,
    i64,
    Vec<u8>,
    Vec<u8>,
    i64,
    String,
    Option<String>,
);

impl From<Columns> for Row {
    fn from(columns: Columns) -> Self {
        let (position, id, received_ms, head, body, attempts, died, reason) = columns;
        Self {
            position,
            id,
            received_ms,
            head,
            body,
            attempts,
            died,
            reason,
        }
    }
}

impl Row {
    fn entry(&self) -> String {
        local_id(self.position.cast_unsigned())
    }

    fn attempts(&self) -> u32 {
        u32::try_from(self.attempts).unwrap_or(0)
    }

    fn delivery(self) -> QueuedDelivery {
        QueuedDelivery {
            id: self.id,
            received_ms: self.received_ms,
            head: Bytes::from(self.head),
            body: Bytes::from(self.body),
        }
    }
}

impl SqliteStore {
    /// Rows behind the entry `after`: those that wait, or the dead ones.
    async fn rows(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
        are_dead: bool,
    ) -> Result<Vec<Row>, StoreError> {
        // Both are indexed by what the query says of the reason.
        let rows = if are_dead {
            "SELECT position, id, received_ms, head, body, attempts, died, reason FROM deliveries
             WHERE connector = (SELECT id FROM connectors WHERE name = ?)
             AND reason IS NOT NULL AND position > ? ORDER BY position LIMIT ?"
        } else {
            "SELECT position, id, received_ms, head, body, attempts, died, reason FROM deliveries
             WHERE connector = (SELECT id FROM connectors WHERE name = ?)
             AND reason IS NULL AND position > ? ORDER BY position LIMIT ?"
        };
        let name = self.named(connector);
        let after = after.map_or(Ok(0), parse_local_id)?;
        let work = async {
            let mut reader = self.connections.read().await?;
            let rows: Vec<Columns> = query_as(rows)
                .bind(&name)
                .bind(i64::try_from(after).unwrap_or(i64::MAX))
                .bind(i64::try_from(count).unwrap_or(i64::MAX))
                .fetch_all(reader.connection())
                .await?;
            reader.done();
            Ok::<_, Failure>(rows)
        };
        let rows = work.await.map_err(self.trouble())?;
        Ok(rows.into_iter().map(Row::from).collect())
    }
}

#[async_trait]
impl QueueStore for SqliteStore {
    async fn enqueue(
        &self,
        connector: &str,
        limits: &QueueLimits,
        deliveries: &[QueuedDelivery],
    ) -> Result<Appended, StoreError> {
        let name = self.named(connector);
        let work = async {
            let mut transaction = self.connections.write().await?;
            let answer = append(transaction.connection(), &name, limits, deliveries).await?;
            transaction.commit().await?;
            Ok(answer)
        };
        let answer = work.await.map_err(self.trouble())?;
        self.changed.notify_waiters();
        Ok(answer)
    }

    async fn waiting(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<WaitingDelivery>, StoreError> {
        let rows = self.rows(connector, after, count, false).await?;
        let waiting = rows.into_iter().map(|row| WaitingDelivery {
            entry: row.entry(),
            attempts: row.attempts(),
            delivery: row.delivery(),
        });
        Ok(waiting.collect())
    }

    async fn note_attempts(
        &self,
        connector: &str,
        begun: &[String],
        done: &[String],
    ) -> Result<(), StoreError> {
        let name = self.named(connector);
        let work = async {
            let mut transaction = self.connections.write().await?;
            let notes = [
                (
                    done,
                    "UPDATE deliveries SET attempts = 0 WHERE position = ? AND reason IS NULL
                     AND connector = (SELECT id FROM connectors WHERE name = ?)",
                ),
                (
                    begun,
                    "UPDATE deliveries SET attempts = attempts + 1
                     WHERE position = ? AND reason IS NULL
                     AND connector = (SELECT id FROM connectors WHERE name = ?)",
                ),
            ];
            for (entries, update) in notes {
                for entry in entries {
                    let Ok(position) = parse_local_id(entry) else {
                        continue;
                    };
                    query(update)
                        .bind(i64::try_from(position).unwrap_or(i64::MAX))
                        .bind(&name)
                        .execute(transaction.connection())
                        .await?;
                }
            }
            transaction.commit().await?;
            Ok::<_, Failure>(())
        };
        work.await.map_err(self.trouble())
    }

    async fn delivered(&self, _: &str) -> Result<(), StoreError> {
        // Another process rings no bell here: the caller looks again.
        let _ = tokio::time::timeout(LOOK_EVERY, self.changed.notified()).await;
        Ok(())
    }

    async fn queue_level(&self, connector: &str) -> Result<QueueLevel, StoreError> {
        let name = self.named(connector);
        let work = async {
            let mut reader = self.connections.read().await?;
            let row: Option<(i64, i64, i64, Option<i64>, i64)> = query_as(
                "SELECT q.queued, q.bytes, q.ids,
                   (SELECT received_ms FROM deliveries d WHERE d.connector = q.connector
                    AND d.reason IS NULL ORDER BY d.position LIMIT 1),
                   (SELECT count(*) FROM deliveries d WHERE d.connector = q.connector
                    AND d.reason IS NOT NULL)
                 FROM queues q WHERE q.connector = (SELECT id FROM connectors WHERE name = ?)",
            )
            .bind(&name)
            .fetch_optional(reader.connection())
            .await?;
            reader.done();
            Ok::<_, Failure>(row)
        };
        let row = work.await.map_err(self.trouble())?;
        let Some((queued, bytes, ids, oldest_ms, dead)) = row else {
            return Ok(QueueLevel::default());
        };
        Ok(QueueLevel {
            queued: queued.cast_unsigned(),
            bytes: bytes.cast_unsigned(),
            oldest_ms,
            dead: dead.cast_unsigned(),
            ids: ids.cast_unsigned(),
        })
    }

    async fn dead_deliveries(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        let rows = self.rows(connector, after, count, true).await?;
        let dead = rows.into_iter().map(|mut row| DeadDelivery {
            entry: row.entry(),
            time: std::mem::take(&mut row.died),
            failed: Failed {
                reason: row.reason.take().unwrap_or_default(),
                attempts: row.attempts(),
            },
            delivery: row.delivery(),
        });
        Ok(dead.collect())
    }

    async fn replay_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let name = self.named(connector);
        let positions = positions(entries)?;
        let work = async {
            let mut transaction = self.connections.write().await?;
            let connection = transaction.connection();
            let mut moved = 0;
            for position in chosen(&mut *connection, &name, positions).await? {
                let sizes: Option<(i64, i64)> = query_as(
                    "INSERT INTO deliveries (connector, id, received_ms, head, body, bytes)
                     SELECT connector, id, received_ms, head, body, bytes FROM deliveries
                     WHERE position = ? RETURNING connector, bytes",
                )
                .bind(position)
                .fetch_optional(&mut *connection)
                .await?;
                let Some((connector, bytes)) = sizes else {
                    continue;
                };
                query("DELETE FROM deliveries WHERE position = ?")
                    .bind(position)
                    .execute(&mut *connection)
                    .await?;
                count(&mut *connection, connector, 1, bytes).await?;
                moved += 1;
            }
            transaction.commit().await?;
            Ok::<_, Failure>(moved)
        };
        let moved = work.await.map_err(self.trouble())?;
        self.changed.notify_waiters();
        Ok(moved)
    }

    async fn purge_dead_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let name = self.named(connector);
        let positions = positions(entries)?;
        let work = async {
            let mut transaction = self.connections.write().await?;
            let connection = transaction.connection();
            let mut purged = 0;
            for position in chosen(&mut *connection, &name, positions).await? {
                purged += query("DELETE FROM deliveries WHERE position = ?")
                    .bind(position)
                    .execute(&mut *connection)
                    .await?
                    .rows_affected();
            }
            transaction.commit().await?;
            Ok::<_, Failure>(purged)
        };
        work.await.map_err(self.trouble())
    }
}

fn positions(entries: Option<&[String]>) -> Result<Option<Vec<i64>>, StoreError> {
    let position = |entry: &String| {
        parse_local_id(entry).map(|position| i64::try_from(position).unwrap_or(i64::MAX))
    };
    entries
        .map(|entries| entries.iter().map(position).collect())
        .transpose()
}

/// Positions of dead deliveries of a connector: those asked for, or all.
async fn chosen(
    connection: &mut SqliteConnection,
    name: &str,
    wanted: Option<Vec<i64>>,
) -> Result<Vec<i64>, sqlx::Error> {
    let all: Vec<i64> = query_scalar(
        "SELECT position FROM deliveries
         WHERE connector = (SELECT id FROM connectors WHERE name = ?) AND reason IS NOT NULL
         ORDER BY position",
    )
    .bind(name)
    .fetch_all(connection)
    .await?;
    Ok(match wanted {
        Some(wanted) => all
            .into_iter()
            .filter(|position| wanted.contains(position))
            .collect(),
        None => all,
    })
}

async fn append(
    connection: &mut SqliteConnection,
    name: &str,
    limits: &QueueLimits,
    deliveries: &[QueuedDelivery],
) -> Result<Appended, sqlx::Error> {
    query("INSERT INTO connectors (name) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    let connector: i64 = query_scalar("SELECT id FROM connectors WHERE name = ?")
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    let (queued, bytes, ids): (i64, i64, i64) = query_as(
        "INSERT INTO queues (connector) VALUES (?) ON CONFLICT DO UPDATE SET connector = connector
         RETURNING queued, bytes, ids",
    )
    .bind(connector)
    .fetch_one(&mut *connection)
    .await?;
    let (mut queued, mut bytes, mut ids) = (queued.cast_unsigned(), bytes.cast_unsigned(), ids);
    let now = jiff::Timestamp::now().as_millisecond();
    let oldest = now.saturating_sub(millis(limits.dedupe));
    let mut outcomes = Vec::with_capacity(deliveries.len());
    for one in deliveries {
        let claim = one.claim();
        let seen: Option<i64> =
            query_scalar("SELECT seen_ms FROM delivery_ids WHERE connector = ? AND claim = ?")
                .bind(connector)
                .bind(&claim[..])
                .fetch_optional(&mut *connection)
                .await?;
        if seen.is_some_and(|seen| seen >= oldest) {
            outcomes.push(Enqueued::Known);
            continue;
        }
        let is_full = queued >= limits.max_queued
            || (queued > 0 && bytes.saturating_add(one.bytes()) > limits.max_bytes);
        if is_full {
            outcomes.push(Enqueued::Full);
            continue;
        }
        query(
            "INSERT INTO delivery_ids (connector, claim, seen_ms) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET seen_ms = excluded.seen_ms",
        )
        .bind(connector)
        .bind(&claim[..])
        .bind(now)
        .execute(&mut *connection)
        .await?;
        query(
            "INSERT INTO deliveries (connector, id, received_ms, head, body, bytes)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(connector)
        .bind(&one.id)
        .bind(one.received_ms)
        .bind(&one.head[..])
        .bind(&one.body[..])
        .bind(one.bytes().cast_signed())
        .execute(&mut *connection)
        .await?;
        ids += i64::from(seen.is_none());
        queued += 1;
        bytes += one.bytes();
        outcomes.push(Enqueued::Queued);
    }
    let evicted_ids = forget(&mut *connection, connector, oldest, limits, &mut ids).await?;
    query("UPDATE queues SET queued = ?, bytes = ?, ids = ? WHERE connector = ?")
        .bind(queued.cast_signed())
        .bind(bytes.cast_signed())
        .bind(ids)
        .bind(connector)
        .execute(connection)
        .await?;
    Ok(Appended {
        outcomes,
        evicted_ids,
        queued,
        bytes,
    })
}

/// Forgets ids that aged out, and the oldest beyond their number; how many of those.
async fn forget(
    connection: &mut SqliteConnection,
    connector: i64,
    oldest: i64,
    limits: &QueueLimits,
    ids: &mut i64,
) -> Result<u64, sqlx::Error> {
    let forgotten = query(
        "DELETE FROM delivery_ids WHERE (connector, claim) IN
         (SELECT connector, claim FROM delivery_ids WHERE connector = ? AND seen_ms < ? LIMIT ?)",
    )
    .bind(connector)
    .bind(oldest)
    .bind(i64::try_from(FORGOTTEN_AT_ONCE).unwrap_or(i64::MAX))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    *ids -= forgotten.cast_signed();
    let surplus = ids.saturating_sub(i64::try_from(limits.max_ids).unwrap_or(i64::MAX));
    if surplus <= 0 {
        return Ok(0);
    }
    let evicted = query(
        "DELETE FROM delivery_ids WHERE (connector, claim) IN
             (SELECT connector, claim FROM delivery_ids WHERE connector = ?
              ORDER BY seen_ms LIMIT ?)",
    )
    .bind(connector)
    .bind(surplus)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    *ids -= evicted.cast_signed();
    Ok(evicted)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Adds to the counters of a queue.
async fn count(
    connection: &mut SqliteConnection,
    connector: i64,
    queued: i64,
    bytes: i64,
) -> Result<(), sqlx::Error> {
    query("UPDATE queues SET queued = queued + ?, bytes = bytes + ? WHERE connector = ?")
        .bind(queued)
        .bind(bytes)
        .bind(connector)
        .execute(connection)
        .await
        .map(drop)
}

/// Takes what a commit acknowledges out of the queue.
pub(super) async fn acknowledge(
    connection: &mut SqliteConnection,
    connector: i64,
    acknowledged: &[Acknowledged],
) -> Result<(), sqlx::Error> {
    let now = jiff::Timestamp::now().to_string();
    let (mut gone, mut bytes, mut is_any_dead) = (0, 0, false);
    for one in acknowledged {
        let Ok(position) = parse_local_id(&one.entry) else {
            continue;
        };
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let done = match &one.failed {
            None => query(
                "DELETE FROM deliveries WHERE position = ? AND connector = ? AND reason IS NULL",
            )
            .bind(position)
            .bind(connector)
            .execute(&mut *connection)
            .await?,
            Some(failed) => {
                is_any_dead = true;
                query(
                    "UPDATE deliveries SET reason = ?, attempts = ?, died = ?
                     WHERE position = ? AND connector = ? AND reason IS NULL",
                )
                .bind(&failed.reason)
                .bind(i64::from(failed.attempts))
                .bind(&now)
                .bind(position)
                .bind(connector)
                .execute(&mut *connection)
                .await?
            }
        };
        if done.rows_affected() > 0 {
            gone += 1;
            bytes += one.bytes.cast_signed();
        }
    }
    if gone > 0 {
        count(&mut *connection, connector, -gone, -bytes).await?;
    }
    if is_any_dead {
        query(
            "DELETE FROM deliveries WHERE connector = ?1 AND reason IS NOT NULL AND position <=
             (SELECT position FROM deliveries WHERE connector = ?1 AND reason IS NOT NULL
              ORDER BY position DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(connector)
        .bind(i64::try_from(DEAD_DELIVERIES_KEPT).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    }
    Ok(())
}
