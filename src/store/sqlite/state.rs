//! State, versions and metrics of a connector, read and reset outside of commits.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, SqliteConnection, query, query_as, query_scalar};

use super::bulk;
use super::lease::{Row, connector_id};
use crate::store::{
    KnownVersion, STATE_SCHEMA, State, StoreError, add_to_metric, is_state_field_of,
};

/// The state as one moment has it; `connection` should be in a transaction.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<State, sqlx::Error> {
    let Some(row) = Row::load(connection, name).await? else {
        return Ok(State::default());
    };
    let fields: Vec<(String, String)> =
        query_as("SELECT field, value FROM state_fields WHERE connector = ?")
            .bind(row.id)
            .fetch_all(&mut *connection)
            .await?;
    let versions: i64 = query_scalar("SELECT count(*) FROM versions WHERE connector = ?")
        .bind(row.id)
        .fetch_one(connection)
        .await?;
    Ok(State {
        schema: STATE_SCHEMA,
        epoch: row.epoch.cast_unsigned(),
        sequence: row.sequence.cast_unsigned(),
        fields: fields.into_iter().collect(),
        versions: versions.cast_unsigned(),
    })
}

/// Passes every version to `each`, as one moment has them. `Err` in the answer: bytes that are no
/// version.
pub(super) async fn scan_versions(
    connection: &mut SqliteConnection,
    name: &str,
    each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
) -> Result<Result<(), StoreError>, sqlx::Error> {
    let mut rows = query_as::<_, (Vec<u8>, Vec<u8>)>(
        "SELECT field, known FROM versions
         WHERE connector = (SELECT id FROM connectors WHERE name = ?)",
    )
    .bind(name)
    .fetch(connection);
    while let Some((field, bytes)) = rows.try_next().await? {
        match decode(&field, &bytes) {
            Ok(known) => each(&field, known),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// The versions of `fields`, in their order.
pub(super) async fn get_versions(
    connection: &mut SqliteConnection,
    name: &str,
    fields: &[Vec<u8>],
) -> Result<Result<Vec<Option<KnownVersion>>, StoreError>, sqlx::Error> {
    let mut found = HashMap::with_capacity(fields.len());
    for portion in bulk::portions(fields) {
        // Built from constants and question marks alone.
        let sql = AssertSqlSafe(format!(
            "SELECT field, known FROM versions
             WHERE connector = (SELECT id FROM connectors WHERE name = ?) AND field IN ({})",
            bulk::placeholders(portion.len())
        ));
        let mut select = query_as::<_, (Vec<u8>, Vec<u8>)>(sql).bind(name);
        for field in portion {
            select = select.bind(field.as_slice());
        }
        let rows = select.fetch_all(&mut *connection).await?;
        for (field, bytes) in rows {
            match decode(&field, &bytes) {
                Ok(known) => found.insert(field, known),
                Err(error) => return Ok(Err(error)),
            };
        }
    }
    Ok(Ok(fields
        .iter()
        .map(|field| found.get(field).copied())
        .collect()))
}

fn decode(field: &[u8], bytes: &[u8]) -> Result<KnownVersion, StoreError> {
    KnownVersion::decode(bytes).ok_or_else(|| {
        StoreError::Corrupt(format!(
            "the version of {} has {} bytes",
            field.escape_ascii(),
            bytes.len()
        ))
    })
}

/// Removes state fields and versions of `stream`, or of all streams. Epoch and sequence stay.
pub(super) async fn reset(
    connection: &mut SqliteConnection,
    id: i64,
    stream: Option<&str>,
) -> Result<(), sqlx::Error> {
    let Some(stream) = stream else {
        for sql in [
            "DELETE FROM state_fields WHERE connector = ?",
            "DELETE FROM versions WHERE connector = ?",
        ] {
            query(sql).bind(id).execute(&mut *connection).await?;
        }
        return Ok(());
    };
    let fields: Vec<String> = query_scalar("SELECT field FROM state_fields WHERE connector = ?")
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    for field in fields
        .iter()
        .filter(|field| is_state_field_of(field, stream))
    {
        query("DELETE FROM state_fields WHERE connector = ? AND field = ?")
            .bind(id)
            .bind(field)
            .execute(&mut *connection)
            .await?;
    }
    // A version field is the stream, a zero byte and the key: the stream's lie in one range.
    query("DELETE FROM versions WHERE connector = ? AND field >= ? AND field < ?")
        .bind(id)
        .bind([stream.as_bytes(), &[0]].concat())
        .bind([stream.as_bytes(), &[1]].concat())
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds to counters and sets gauges.
pub(super) async fn record_metrics(
    connection: &mut SqliteConnection,
    name: &str,
    add: &[(&str, i64)],
    set: &[(&str, String)],
) -> Result<Result<(), StoreError>, sqlx::Error> {
    let id = connector_id(connection, name).await?;
    for (metric, amount) in add {
        let before: Option<String> =
            query_scalar("SELECT value FROM metrics WHERE connector = ? AND name = ?")
                .bind(id)
                .bind(*metric)
                .fetch_optional(&mut *connection)
                .await?;
        match add_to_metric(metric, before.as_deref(), *amount) {
            Ok(after) => set_metric(connection, id, metric, &after).await?,
            Err(error) => return Ok(Err(error)),
        }
    }
    for (metric, value) in set {
        set_metric(connection, id, metric, value).await?;
    }
    Ok(Ok(()))
}

async fn set_metric(
    connection: &mut SqliteConnection,
    id: i64,
    metric: &str,
    value: &str,
) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO metrics (connector, name, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )
    .bind(id)
    .bind(metric)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

/// All metrics of a connector.
pub(super) async fn load_metrics(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows: Vec<(String, String)> = query_as(
        "SELECT name, value FROM metrics
         WHERE connector = (SELECT id FROM connectors WHERE name = ?)",
    )
    .bind(name)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}
