//! The embedded store: one SQLite file with the guarantees of Redis, on one machine.
//!
//! Everything of a commit is one `BEGIN IMMEDIATE` transaction in WAL mode with
//! `synchronous = FULL`: a process may be killed, or the machine lose power, at any instant.
//! Several processes may share a file; leases are held by the clock of the machine, so a file on
//! a network file system, used from several machines, is not supported.
//!
//! There are no consumer groups here, so nobody tells what was read: an output stream keeps its
//! newest `max_len` entries, and the commit that passes the limit drops the oldest. A commit is
//! never refused as full, and [`CycleStore::trim`] removes nothing.

/// Runs `$work` in a transaction that may write and answers what it answers.
macro_rules! in_transaction {
    ($store:ident, |$connection:ident| $work:expr) => {{
        let work = async {
            let mut transaction = $store.connections.write().await?;
            let $connection = transaction.connection();
            let answer = $work.await?;
            transaction.commit().await?;
            Ok(answer)
        };
        work.await.map_err($store.trouble())
    }};
}

/// Runs `$work`, one statement, on a connection for reading.
macro_rules! on_reader {
    ($store:ident, |$connection:ident| $work:expr) => {{
        let work = async {
            let mut reader = $store.connections.read().await?;
            let $connection = reader.connection();
            let answer = $work.await?;
            reader.done();
            Ok(answer)
        };
        work.await.map_err($store.trouble())
    }};
}

mod bulk;
mod commit;
mod connect;
mod credentials;
mod error;
mod lease;
mod queue;
mod schema;
mod state;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::query;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::commit::Names;
use self::connect::Connections;
use self::error::Failure;
use self::lease::{Attempt, Row};
use super::{
    Acquired, Commit, Committed, CycleStore, DeadLetterEntry, KnownVersion, Lease, LeaseInfo,
    Owner, Renewed, State, Store, StoreError, StreamEntry, StreamLevel, parse_local_id,
};

/// How often a waiting reader or standby looks for what another process did.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A store in a file.
#[derive(Debug)]
pub(super) struct SqliteStore {
    connections: Connections,
    /// Put before the names of connectors and output streams.
    prefix: String,
    /// Rung whenever this process added entries or gave up a lease.
    changed: Notify,
}

impl SqliteStore {
    /// Opens the file at `path`, creating it and its directory where they are missing.
    pub(super) async fn open(path: &Path, prefix: &str) -> Result<Self, StoreError> {
        let connections = Connections::open(path)
            .await
            .map_err(|failure| failure.at(path))?;
        Ok(Self {
            connections,
            prefix: prefix.to_owned(),
            changed: Notify::new(),
        })
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn trouble(&self) -> impl Fn(Failure) -> StoreError {
        |failure| failure.at(self.connections.path())
    }

    async fn holder_remaining(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let mut reader = self.connections.read().await?;
        let row = Row::load(reader.connection(), name)
            .await?
            .unwrap_or_default();
        reader.done();
        Ok(row.holder(lease::now_ms()).map(|(_, remaining)| remaining))
    }
}

#[async_trait]
impl CycleStore for SqliteStore {
    async fn scan_versions(
        &self,
        connector: &str,
        each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
    ) -> Result<(), StoreError> {
        let name = self.named(connector);
        on_reader!(self, |connection| state::scan_versions(
            connection, &name, each
        ))?
    }

    async fn get_versions(
        &self,
        connector: &str,
        fields: &[Vec<u8>],
    ) -> Result<Vec<Option<KnownVersion>>, StoreError> {
        let name = self.named(connector);
        on_reader!(self, |connection| state::get_versions(
            connection, &name, fields
        ))?
    }

    async fn commit(&self, lease: &Lease, commit: &Commit) -> Result<Committed, StoreError> {
        let names = Names {
            connector: &self.named(&lease.connector),
            output: &self.named(&commit.output.stream),
        };
        let answer = commit::commit(&self.connections, names, lease, commit)
            .await
            .map_err(self.trouble())?;
        self.changed.notify_waiters();
        Ok(answer)
    }

    async fn trim(&self, stream: &str) -> Result<StreamLevel, StoreError> {
        let name = self.named(stream);
        let length = on_reader!(self, |connection| stream::length(connection, &name))?;
        Ok(StreamLevel {
            length,
            ..StreamLevel::default()
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn address(&self) -> String {
        format!("sqlite:{}", self.connections.path().display())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        on_reader!(self, |connection| query("SELECT 1 FROM connectors LIMIT 1")
            .execute(connection))
        .map(drop)
    }

    async fn acquire(
        &self,
        connector: &str,
        owner: &Owner,
        previous: Option<&Owner>,
        ttl: Duration,
    ) -> Result<Acquired, StoreError> {
        let name = self.named(connector);
        in_transaction!(self, |connection| async {
            let attempt = lease::acquire(&mut *connection, &name, owner, previous, ttl).await?;
            let epoch = match attempt {
                Attempt::Held { epoch } => epoch,
                Attempt::Busy { holder, remaining } => {
                    return Ok::<_, Failure>(Acquired::Busy { holder, remaining });
                }
            };
            let state = state::load(connection, &name).await?;
            let lease = Lease {
                connector: connector.into(),
                epoch,
                owner: owner.clone(),
                ttl,
            };
            Ok(Acquired::Held(lease, state))
        })
    }

    async fn renew(&self, lease: &Lease, applied: u64) -> Result<Renewed, StoreError> {
        let name = self.named(&lease.connector);
        in_transaction!(self, |connection| lease::renew(
            connection, &name, lease, applied
        ))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let name = self.named(&lease.connector);
        in_transaction!(self, |connection| lease::release(connection, &name, lease))?;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn released(&self, connector: &str) -> Result<(), StoreError> {
        let name = self.named(connector);
        loop {
            // Subscribe before looking, or a release in between would go unnoticed.
            let changed = self.changed.notified();
            let remaining = self.holder_remaining(&name).await.map_err(self.trouble())?;
            let Some(remaining) = remaining else {
                return Ok(());
            };
            let _ = tokio::time::timeout(remaining.min(LOOK_EVERY), changed).await;
        }
    }

    async fn load_state(&self, connector: &str) -> Result<State, StoreError> {
        let name = self.named(connector);
        on_reader!(self, |connection| async {
            // One moment for both tables.
            query("BEGIN").execute(&mut *connection).await?;
            let state = state::load(&mut *connection, &name).await?;
            query("COMMIT").execute(connection).await?;
            Ok::<_, Failure>(state)
        })
    }

    async fn record_metrics(
        &self,
        connector: &str,
        add: &[(&str, i64)],
        set: &[(&str, String)],
    ) -> Result<(), StoreError> {
        let name = self.named(connector);
        in_transaction!(self, |connection| state::record_metrics(
            connection, &name, add, set
        ))?
    }

    async fn load_metrics(&self, connector: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let name = self.named(connector);
        on_reader!(self, |connection| state::load_metrics(connection, &name))
    }

    async fn read_stream(
        &self,
        stream: &str,
        after: Option<&str>,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        let name = self.named(stream);
        let after = after.map_or(Ok(0), parse_local_id)?;
        let deadline = Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            let entries = on_reader!(self, |connection| stream::read(
                connection, &name, after, count
            ))?;
            let now = Instant::now();
            if !entries.is_empty() || now >= deadline {
                return Ok(entries);
            }
            let _ = tokio::time::timeout((deadline - now).min(LOOK_EVERY), changed).await;
        }
    }

    async fn last_entry(&self, stream: &str) -> Result<Option<String>, StoreError> {
        let name = self.named(stream);
        on_reader!(self, |connection| stream::last(connection, &name))
    }

    async fn leases(&self) -> Result<Vec<LeaseInfo>, StoreError> {
        on_reader!(self, |connection| lease::list(connection, &self.prefix))
    }

    async fn break_lease(&self, connector: &str) -> Result<bool, StoreError> {
        let name = self.named(connector);
        let existed = in_transaction!(self, |connection| lease::break_lease(connection, &name))?;
        self.changed.notify_waiters();
        Ok(existed)
    }

    async fn reset_state(
        &self,
        lease: &Lease,
        stream: Option<&str>,
    ) -> Result<Committed, StoreError> {
        let name = self.named(&lease.connector);
        in_transaction!(self, |connection| async {
            let row = Row::load(&mut *connection, &name)
                .await?
                .unwrap_or_default();
            if !row.may_write(lease) {
                return Ok::<_, Failure>(Committed::Fenced);
            }
            state::reset(&mut *connection, row.id, stream).await?;
            let lease_held = row.extend(connection, lease).await?;
            Ok(Committed::Applied { lease_held })
        })
    }

    async fn dead_letters(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadLetterEntry>, StoreError> {
        let name = self.named(connector);
        let after = after.map_or(Ok(0), parse_local_id)?;
        on_reader!(self, |connection| stream::dead_letters(
            connection, &name, after, count
        ))
    }

    async fn purge_dead_letters(
        &self,
        connector: &str,
        ids: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let name = self.named(connector);
        let positions = ids
            .map(|ids| {
                ids.iter()
                    .map(|id| parse_local_id(id))
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        in_transaction!(self, |connection| stream::purge_dead_letters(
            connection,
            &name,
            positions.as_deref()
        ))
    }
}
