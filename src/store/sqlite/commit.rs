//! The one fenced write: signals, versions, state and dead letters in one transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, SqliteConnection, query, query_as};

use super::bulk::{self, Query};
use super::connect::Connections;
use super::error::Failure;
use super::lease::Row;
use crate::store::entry::{EntryWriter, FIELD_NAMES};
use crate::store::{Commit, Committed, DEAD_LETTERS_KEPT, Lease};

/// Times a commit is tried whose `COMMIT` failed.
const ATTEMPTS: u32 = 3;

/// Wait between them: a disk or a lock may need a moment.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Entries that one commit drops at most. More than any commit appends, so that a limit is kept;
/// few enough that a limit which was lowered by a million does not hold the write lock past a TTL.
const MOST_DROPPED: i64 = 5_000;

/// `connector` and `output` are the names with the key prefix, under which rows are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) connector: &'a str,
    pub(super) output: &'a str,
}

/// Why an attempt did not end in an answer.
enum Undone {
    /// The write lock was not reached, so nothing was learned.
    Unreached(Failure),
    /// Certainly not applied.
    NotApplied(Failure),
    /// `COMMIT` failed: it may or may not have happened.
    InDoubt(Failure),
}

/// Writes `commit`, repeating it while its outcome is unknown.
///
/// A `COMMIT` that fails is like a lost connection. The next attempt opens the file anew and,
/// holding the write lock that the old connection must have given up, finds the sequence either
/// applied or not.
pub(super) async fn commit(
    connections: &Connections,
    names: Names<'_>,
    lease: &Lease,
    commit: &Commit,
) -> Result<Committed, Failure> {
    let mut doubt: Option<Failure> = None;
    for attempt in 0..=ATTEMPTS {
        // The last look only resolves the doubt that the attempts left.
        let last = doubt.take_if(|_| attempt == ATTEMPTS);
        let in_doubt = doubt.is_some() || last.is_some();
        match attempt_commit(connections, names, lease, commit, last).await {
            Ok(answer) => return Ok(answer),
            Err(Undone::NotApplied(failure)) => return Err(failure),
            Err(Undone::Unreached(failure)) if !in_doubt => return Err(failure),
            Err(Undone::Unreached(failure) | Undone::InDoubt(failure)) => doubt = Some(failure),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
    Ok(Committed::InDoubt)
}

/// One transaction. With `give_up` nothing is written: it is the answer if the commit turns out
/// not to be applied.
async fn attempt_commit(
    connections: &Connections,
    names: Names<'_>,
    lease: &Lease,
    commit: &Commit,
    give_up: Option<Failure>,
) -> Result<Committed, Undone> {
    let mut transaction = connections.write().await.map_err(Undone::Unreached)?;
    let row = Row::load(transaction.connection(), names.connector)
        .await
        .map_err(|error| Undone::Unreached(error.into()))?
        .unwrap_or_default();
    let stored = row.sequence.cast_unsigned();
    let refused = if !row.may_write(lease) {
        Some(Committed::Fenced)
    } else if stored != commit.sequence && stored + 1 != commit.sequence {
        Some(Committed::Gap { stored })
    } else {
        None
    };
    let not_applied = |error: sqlx::Error| Undone::NotApplied(error.into());
    if let Some(answer) = refused {
        transaction.rollback().await.map_err(not_applied)?;
        return Ok(answer);
    }
    let lease_held = if stored == commit.sequence {
        // Applied before; only the lease is extended.
        row.extend(transaction.connection(), lease).await
    } else if let Some(failure) = give_up {
        return Err(Undone::NotApplied(failure));
    } else {
        write(transaction.connection(), &row, names, lease, commit).await
    }
    .map_err(not_applied)?;
    match transaction.commit().await {
        Ok(()) => Ok(Committed::Applied { lease_held }),
        Err(error) => Err(Undone::InDoubt(error.into())),
    }
}

/// Everything that the commit holds; answers whether the lease is still ours.
async fn write(
    connection: &mut SqliteConnection,
    row: &Row,
    names: Names<'_>,
    lease: &Lease,
    commit: &Commit,
) -> Result<bool, sqlx::Error> {
    append_signals(connection, names.output, lease, commit).await?;
    write_versions(connection, row.id, commit).await?;
    for (field, value) in &commit.state {
        let statement = match value {
            Some(value) => query(
                "INSERT INTO state_fields (connector, field, value) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )
            .bind(row.id)
            .bind(field)
            .bind(value),
            None => query("DELETE FROM state_fields WHERE connector = ? AND field = ?")
                .bind(row.id)
                .bind(field),
        };
        statement.execute(&mut *connection).await?;
    }
    keep_dead_letters(connection, row.id, commit).await?;
    super::queue::acknowledge(connection, row.id, &commit.acknowledged).await?;
    query("UPDATE connectors SET sequence = ? WHERE id = ?")
        .bind(commit.sequence.cast_signed())
        .bind(row.id)
        .execute(&mut *connection)
        .await?;
    row.extend(connection, lease).await
}

/// Appends, then drops the oldest entries beyond the limit.
async fn append_signals(
    connection: &mut SqliteConnection,
    output: &str,
    lease: &Lease,
    commit: &Commit,
) -> Result<(), sqlx::Error> {
    if commit.signals.is_empty() {
        return Ok(());
    }
    let (output, length): (i64, i64) = query_as(
        "INSERT INTO outputs (name, length) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET length = length + excluded.length
         RETURNING id, length",
    )
    .bind(output)
    .bind(i64::try_from(commit.signals.len()).unwrap_or(i64::MAX))
    .fetch_one(&mut *connection)
    .await?;

    let columns = FIELD_NAMES.join(", ");
    let head = format!("INSERT INTO entries (output, {columns})");
    let mut writer = EntryWriter::new(lease, commit);
    let shape = (head.as_str(), FIELD_NAMES.len() + 1, "");
    bulk::insert(connection, shape, &commit.signals, |query, signal| {
        let [text @ .., data] = writer.values(signal);
        let query = text.into_iter().fold(query.bind(output), |query, value| {
            query.bind(value.map(String::from_utf8_lossy))
        });
        query.bind(data)
    })
    .await?;

    let limit = commit.output.max_len.cast_signed();
    if limit > 0 && length > limit {
        let surplus = (length - limit).min(MOST_DROPPED);
        drop_oldest(connection, output, surplus).await?;
    }
    Ok(())
}

async fn drop_oldest(
    connection: &mut SqliteConnection,
    output: i64,
    surplus: i64,
) -> Result<(), sqlx::Error> {
    let dropped = query(
        "DELETE FROM entries WHERE position IN
         (SELECT position FROM entries WHERE output = ? ORDER BY position LIMIT ?)",
    )
    .bind(output)
    .bind(surplus)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    query("UPDATE outputs SET length = length - ? WHERE id = ?")
        .bind(dropped.cast_signed())
        .bind(output)
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_versions(
    connection: &mut SqliteConnection,
    connector: i64,
    commit: &Commit,
) -> Result<(), sqlx::Error> {
    bulk::insert(
        connection,
        (
            "INSERT INTO versions (connector, field, known)",
            3,
            "ON CONFLICT DO UPDATE SET known = excluded.known",
        ),
        &commit.versions,
        |query, entry| {
            query
                .bind(connector)
                .bind(entry.field.as_slice())
                .bind(entry.known.encode())
        },
    )
    .await?;
    for portion in bulk::portions(&commit.gone) {
        // Built from constants and question marks alone.
        let sql = AssertSqlSafe(format!(
            "DELETE FROM versions WHERE connector = ? AND field IN ({})",
            bulk::placeholders(portion.len())
        ));
        let bind = |query: Query, field: &Vec<u8>| query.bind(field.as_slice());
        let deletion = portion.iter().fold(query(sql).bind(connector), bind);
        deletion.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn keep_dead_letters(
    connection: &mut SqliteConnection,
    connector: i64,
    commit: &Commit,
) -> Result<(), sqlx::Error> {
    if commit.dead_letters.is_empty() {
        return Ok(());
    }
    let now = jiff::Timestamp::now().to_string();
    bulk::insert(
        connection,
        (
            "INSERT INTO dead_letters (connector, time, stream, reason, data)",
            5,
            "",
        ),
        &commit.dead_letters,
        |query, letter| {
            query
                .bind(connector)
                .bind(now.clone())
                .bind(letter.stream.clone())
                .bind(letter.reason.clone())
                .bind(&letter.data[..])
        },
    )
    .await?;
    query(
        "DELETE FROM dead_letters WHERE connector = ?1 AND position <=
         (SELECT position FROM dead_letters WHERE connector = ?1
          ORDER BY position DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(connector)
    .bind(i64::try_from(DEAD_LETTERS_KEPT).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(())
}
