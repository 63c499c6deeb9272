//! Reading what commits appended: output streams and dead letters.

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, query, query_as, query_scalar};

use crate::store::entry::FIELD_NAMES;
use crate::store::{DeadLetter, DeadLetterEntry, StreamEntry, local_id};

/// Up to `count` entries after the position `after`.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    output: &str,
    after: u64,
    count: usize,
) -> Result<Vec<StreamEntry>, sqlx::Error> {
    let columns = FIELD_NAMES.join(", ");
    // Built from constants alone.
    let sql = AssertSqlSafe(format!(
        "SELECT position, {columns} FROM entries
         WHERE output = (SELECT id FROM outputs WHERE name = ?) AND position > ?
         ORDER BY position LIMIT ?"
    ));
    let rows = query(sql)
        .bind(output)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<StreamEntry, sqlx::Error> {
    let position: i64 = row.try_get(0)?;
    let mut fields = Vec::with_capacity(FIELD_NAMES.len());
    for (column, name) in (1..).zip(FIELD_NAMES) {
        let value: Option<Vec<u8>> = if name == "data" {
            row.try_get(column)?
        } else {
            row.try_get::<Option<String>, _>(column)?
                .map(String::into_bytes)
        };
        if let Some(value) = value {
            fields.push((name.to_owned(), Bytes::from(value)));
        }
    }
    Ok(StreamEntry {
        id: local_id(position.cast_unsigned()),
        fields,
    })
}

/// Id of the newest entry.
pub(super) async fn last(
    connection: &mut SqliteConnection,
    output: &str,
) -> Result<Option<String>, sqlx::Error> {
    let position: Option<i64> = query_scalar(
        "SELECT max(position) FROM entries
         WHERE output = (SELECT id FROM outputs WHERE name = ?)",
    )
    .bind(output)
    .fetch_one(connection)
    .await?;
    Ok(position.map(|position| local_id(position.cast_unsigned())))
}

/// Entries in the stream.
pub(super) async fn length(
    connection: &mut SqliteConnection,
    output: &str,
) -> Result<u64, sqlx::Error> {
    let length: Option<i64> = query_scalar("SELECT length FROM outputs WHERE name = ?")
        .bind(output)
        .fetch_optional(connection)
        .await?;
    Ok(length.unwrap_or(0).cast_unsigned())
}

/// Up to `count` dead letters after the position `after`, oldest first.
pub(super) async fn dead_letters(
    connection: &mut SqliteConnection,
    name: &str,
    after: u64,
    count: usize,
) -> Result<Vec<DeadLetterEntry>, sqlx::Error> {
    let rows: Vec<(i64, String, String, String, Vec<u8>)> = query_as(
        "SELECT position, time, stream, reason, data FROM dead_letters
         WHERE connector = (SELECT id FROM connectors WHERE name = ?) AND position > ?
         ORDER BY position LIMIT ?",
    )
    .bind(name)
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let entries = rows
        .into_iter()
        .map(|(position, time, stream, reason, data)| DeadLetterEntry {
            id: local_id(position.cast_unsigned()),
            time,
            letter: DeadLetter {
                stream,
                reason,
                data: data.into(),
            },
        });
    Ok(entries.collect())
}

/// Removes the dead letters at `positions`, or all; answers how many.
pub(super) async fn purge_dead_letters(
    connection: &mut SqliteConnection,
    name: &str,
    positions: Option<&[u64]>,
) -> Result<u64, sqlx::Error> {
    const OF_CONNECTOR: &str =
        "DELETE FROM dead_letters WHERE connector = (SELECT id FROM connectors WHERE name = ?)";
    const ONE: &str = "DELETE FROM dead_letters
         WHERE connector = (SELECT id FROM connectors WHERE name = ?) AND position = ?";
    let Some(positions) = positions else {
        let done = query(OF_CONNECTOR).bind(name).execute(connection).await?;
        return Ok(done.rows_affected());
    };
    let mut purged = 0;
    for position in positions {
        let done = query(ONE)
            .bind(name)
            .bind(i64::try_from(*position).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
        purged += done.rows_affected();
    }
    Ok(purged)
}
