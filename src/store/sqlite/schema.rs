//! The tables of the embedded store, and how an older file becomes the current one.
//!
//! `user_version` counts the migrations a file has seen. A released migration is never edited:
//! a change of the layout is a new one at the end.

use sqlx::{SqliteConnection, query, query_scalar, raw_sql};

use super::error::Failure;

/// `application_id` in the header of the file. Tells our files from other SQLite databases.
const APPLICATION_ID: i64 = 0x4357_7374;

/// Steps from an empty file to the current layout.
const MIGRATIONS: [&str; 5] = [
    "
    CREATE TABLE connectors (
        id             INTEGER PRIMARY KEY,
        name           TEXT NOT NULL UNIQUE,
        -- Who may write. The owner is empty after a release.
        epoch          INTEGER NOT NULL DEFAULT 0,
        owner          TEXT NOT NULL DEFAULT '',
        sequence       INTEGER NOT NULL DEFAULT 0,
        -- Who may try; milliseconds since 1970. NULL: nobody holds the lease.
        lease_owner    TEXT,
        lease_until_ms INTEGER NOT NULL DEFAULT 0,
        lease_ttl_ms   INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE state_fields (
        connector INTEGER NOT NULL,
        field     TEXT NOT NULL,
        value     TEXT NOT NULL,
        PRIMARY KEY (connector, field)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE versions (
        connector INTEGER NOT NULL,
        field     BLOB NOT NULL,
        known     BLOB NOT NULL,
        PRIMARY KEY (connector, field)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE metrics (
        connector INTEGER NOT NULL,
        name      TEXT NOT NULL,
        value     TEXT NOT NULL,
        PRIMARY KEY (connector, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE outputs (
        id     INTEGER PRIMARY KEY,
        name   TEXT NOT NULL UNIQUE,
        -- Kept here because counting a million entries per commit is too slow.
        length INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- AUTOINCREMENT: a position is never used again, not even after trimming.
    CREATE TABLE entries (
        position        INTEGER PRIMARY KEY AUTOINCREMENT,
        output          INTEGER NOT NULL,
        specversion     TEXT NOT NULL,
        id              TEXT NOT NULL,
        source          TEXT NOT NULL,
        type            TEXT NOT NULL,
        subject         TEXT NOT NULL,
        version         TEXT NOT NULL,
        time            TEXT NOT NULL,
        datacontenttype TEXT NOT NULL,
        connector       TEXT NOT NULL,
        stream          TEXT NOT NULL,
        tenant          TEXT,
        via             TEXT NOT NULL,
        epoch           TEXT NOT NULL,
        sequence        TEXT NOT NULL,
        data            BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entries_by_output ON entries (output, position);

    CREATE TABLE dead_letters (
        position  INTEGER PRIMARY KEY AUTOINCREMENT,
        connector INTEGER NOT NULL,
        time      TEXT NOT NULL,
        stream    TEXT NOT NULL,
        reason    TEXT NOT NULL,
        data      BLOB NOT NULL
    ) STRICT;
    CREATE INDEX dead_letters_by_connector ON dead_letters (connector, position);
",
    "
    CREATE TABLE queues (
        connector INTEGER PRIMARY KEY,
        -- Kept here because counting per append is too slow.
        queued    INTEGER NOT NULL DEFAULT 0,
        bytes     INTEGER NOT NULL DEFAULT 0,
        ids       INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE deliveries (
        position    INTEGER PRIMARY KEY AUTOINCREMENT,
        connector   INTEGER NOT NULL,
        id          TEXT NOT NULL,
        received_ms INTEGER NOT NULL,
        head        BLOB NOT NULL,
        body        BLOB NOT NULL,
        bytes       INTEGER NOT NULL,
        -- Set once it was given up.
        reason      TEXT,
        attempts    INTEGER NOT NULL DEFAULT 0,
        died        TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX deliveries_waiting ON deliveries (connector, position) WHERE reason IS NULL;
    CREATE INDEX deliveries_dead ON deliveries (connector, position) WHERE reason IS NOT NULL;

    CREATE TABLE delivery_ids (
        connector INTEGER NOT NULL,
        claim     BLOB NOT NULL,
        seen_ms   INTEGER NOT NULL,
        PRIMARY KEY (connector, claim)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX delivery_ids_by_age ON delivery_ids (connector, seen_ms);
",
    "
    -- What issuers gave: sealed, and fenced by a revision that only grows.
    CREATE TABLE credentials (
        id            TEXT PRIMARY KEY,
        revision      INTEGER NOT NULL DEFAULT 0,
        sealed        BLOB NOT NULL DEFAULT x'',
        -- Milliseconds since 1970. NULL: needed until it is replaced.
        expires_ms    INTEGER,
        lock_owner    TEXT,
        lock_until_ms INTEGER NOT NULL DEFAULT 0,
        lock_ttl_ms   INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Until when nobody shall ask a provider with a credential; milliseconds since 1970.
    CREATE TABLE waits (
        id       TEXT PRIMARY KEY,
        until_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    -- The rate that processes with a credential keep to together: JSON, see store/rate.rs.
    CREATE TABLE rates (
        id       TEXT PRIMARY KEY,
        bucket   TEXT NOT NULL,
        -- When nobody needs it any more; microseconds since 1970.
        until_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];

/// Brings the file to the current layout, or refuses it if it is newer or not ours.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Failure> {
    // A transaction, so that the three looks see one moment of a file that is just being made.
    query("BEGIN").execute(&mut *connection).await?;
    let seen = check(connection).await?;
    query("COMMIT").execute(&mut *connection).await?;
    if seen == MIGRATIONS.len() {
        return Ok(());
    }
    // Refused while another process has the file open in the old mode, without waiting for the
    // busy timeout; the caller tries again.
    raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut *connection)
        .await?;
    query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    // Looked at again under the lock: another process may have been quicker.
    let seen = check(connection).await?;
    for step in &MIGRATIONS[seen..] {
        raw_sql(*step).execute(&mut *connection).await?;
    }
    let version = MIGRATIONS.len();
    let stamp =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}");
    raw_sql(sqlx::AssertSqlSafe(stamp))
        .execute(&mut *connection)
        .await?;
    query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// How many migrations the file has seen.
async fn check(connection: &mut SqliteConnection) -> Result<usize, Failure> {
    let version: i64 = query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    let application: i64 = query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    let tables: i64 = query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await?;
    if tables == 0 && version == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Failure::ForeignFile);
    }
    match usize::try_from(version) {
        Ok(seen) if seen <= MIGRATIONS.len() => Ok(seen),
        _ => Err(Failure::NewerFile {
            file: version,
            known: MIGRATIONS.len(),
        }),
    }
}
