//! Connections to the file: one that writes, a few that read.
//!
//! A connection goes back only after its work ended well. Whatever fails or is dropped half-way
//! closes its connection, which rolls its transaction back; the next user opens a new one and
//! waits for the write lock, so it sees how the old transaction ended.

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, query};
use tokio::sync::MutexGuard;

use super::error::Failure;
use super::schema;

/// How long a transaction waits for the write lock of another process. Transactions take
/// milliseconds; one that holds the lock longer belongs to a process that was stopped.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Read connections that are kept for the next reader.
const KEPT_READERS: usize = 2;

/// The file and the open connections to it.
#[derive(Debug)]
pub(super) struct Connections {
    path: PathBuf,
    options: SqliteConnectOptions,
    /// `None` before the first write and after a failed one.
    writer: tokio::sync::Mutex<Option<Opened>>,
    readers: Mutex<Vec<Opened>>,
    connecting: tokio::sync::Mutex<()>,
}

/// A connection, and which file its path named when it was opened.
#[derive(Debug)]
struct Opened {
    connection: SqliteConnection,
    file: FileId,
}

/// Device and inode: tells a file from another one that took its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl From<Metadata> for FileId {
    fn from(metadata: Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl Connections {
    /// Creates the file and its directory where they are missing, and brings the layout up to
    /// date.
    pub(super) async fn open(path: &Path) -> Result<Self, Failure> {
        // An absolute path is never mistaken for a `file:` URI, and a later change of the
        // working directory does not matter.
        let path = std::path::absolute(path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", "67108864")
            // Rows wait for their reader in portions of this size.
            .row_buffer_size(512)
            .thread_name(|id| format!("store-{id}"))
            .disable_statement_logging();
        let connections = Self {
            path,
            options,
            writer: tokio::sync::Mutex::default(),
            readers: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        };
        let first = connections.connect().await?;
        *connections.writer.lock().await = Some(first);
        Ok(connections)
    }

    /// Absolute path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a transaction that may write. Waits for other writers.
    pub(super) async fn write(&self) -> Result<WriteTransaction<'_>, Failure> {
        let mut slot = self.writer.lock().await;
        let mut opened = self.current_or_connect(slot.take()).await?;
        query("BEGIN IMMEDIATE")
            .execute(&mut opened.connection)
            .await?;
        Ok(WriteTransaction { slot, opened })
    }

    /// A connection for reading. A statement sees one state of the file; several may not.
    pub(super) async fn read(&self) -> Result<Reader<'_>, Failure> {
        let kept = self.kept_readers().pop();
        let opened = self.current_or_connect(kept).await?;
        Ok(Reader {
            connections: self,
            opened,
        })
    }

    /// `opened` unless its file was removed or replaced: what is written there, nobody reads.
    async fn current_or_connect(&self, opened: Option<Opened>) -> Result<Opened, Failure> {
        if let Some(opened) = opened {
            let named = std::fs::metadata(&self.path).map(FileId::from);
            if named.is_ok_and(|file| file == opened.file) {
                return Ok(opened);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<Opened, Failure> {
        let deadline = tokio::time::Instant::now() + BUSY_TIMEOUT;
        loop {
            match self.try_connect().await {
                Err(failure) if failure.is_busy() && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done => return done,
            }
        }
    }

    async fn try_connect(&self) -> Result<Opened, Failure> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        // One at a time: closing a second descriptor of a file drops every lock that this process
        // has on it (POSIX), so the one that creates it must be closed before SQLite opens it.
        let _connecting = self.connecting.lock().await;
        // Created here, not by SQLite, because state may hold tokens: for its owner alone. The
        // files beside it inherit the mode.
        let created = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&self.path);
        match created {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        let file = FileId::from(std::fs::metadata(&self.path)?);
        let mut connection = self.options.connect().await?;
        schema::migrate(&mut connection).await?;
        Ok(Opened { connection, file })
    }

    fn kept_readers(&self) -> std::sync::MutexGuard<'_, Vec<Opened>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction that holds the write lock. Dropped, it rolls back.
#[derive(Debug)]
pub(super) struct WriteTransaction<'a> {
    slot: MutexGuard<'a, Option<Opened>>,
    opened: Opened,
}

impl WriteTransaction<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.opened.connection
    }

    /// After an error, or dropped before it answers, nobody knows whether it was committed.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    /// Ends a transaction that wrote nothing and keeps the connection.
    pub(super) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, how: &'static str) -> Result<(), sqlx::Error> {
        query(how).execute(&mut self.opened.connection).await?;
        *self.slot = Some(self.opened);
        Ok(())
    }
}

/// A connection on loan; call [`done`](Reader::done) to keep it for the next reader.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    connections: &'a Connections,
    opened: Opened,
}

impl Reader<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.opened.connection
    }

    pub(super) fn done(self) {
        let mut kept = self.connections.kept_readers();
        if kept.len() < KEPT_READERS {
            kept.push(self.opened);
        }
    }
}
