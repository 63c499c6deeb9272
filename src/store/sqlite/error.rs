//! What can go wrong with a file, sorted by what the operator does about it.

use std::path::Path;

use thiserror::Error;

use crate::store::StoreError;

/// A failed use of the file, before the path is added.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// SQLite or sqlx.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Creating directory or file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Written by a later release.
    #[error("layout {file} is newer than layout {known} of this release")]
    NewerFile {
        /// Layout of the file.
        file: i64,
        /// Newest layout this release knows.
        known: usize,
    },
    /// Some other program's database.
    #[error("it is a SQLite database of another program")]
    ForeignFile,
}

/// Why SQLite cannot do it now, in words.
#[derive(Debug, Error)]
#[error("{what}")]
struct Trouble {
    what: &'static str,
    #[source]
    cause: sqlx::Error,
}

// Primary result codes: https://sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const AUTH: i32 = 23;
const NOTADB: i32 = 26;

impl Failure {
    /// Whether another process was in the way for a moment.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sql(error) if matches!(code(error), Some(BUSY | LOCKED)))
    }

    /// As the caller of the store sees it.
    pub(super) fn at(self, path: &Path) -> StoreError {
        let shown = path.display();
        match self {
            Self::Sql(error) => from_sqlite(error, path),
            Self::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                unavailable(path, Box::new(error))
            }
            Self::Io(error) => {
                StoreError::Misconfigured(format!("cannot create the store at {shown}: {error}"))
            }
            Self::NewerFile { file, known } => StoreError::Misconfigured(format!(
                "the store at {shown} was written by a newer release (layout {file}, this one \
                 knows {known}); use that release or another file"
            )),
            Self::ForeignFile => StoreError::Misconfigured(format!(
                "{shown} is a SQLite database of another program; name another file"
            )),
        }
    }
}

fn from_sqlite(error: sqlx::Error, path: &Path) -> StoreError {
    let shown = path.display();
    let what = match code(&error) {
        Some(FULL) => "the disk is full",
        Some(BUSY | LOCKED) => "another process holds the write lock",
        Some(IOERR) => "reading or writing the file failed",
        Some(READONLY | AUTH) => {
            return StoreError::Misconfigured(format!("cannot write to the store at {shown}"));
        }
        Some(CANTOPEN) => {
            return StoreError::Misconfigured(format!(
                "cannot open the store at {shown}: is the directory writable?"
            ));
        }
        Some(NOTADB) => {
            return StoreError::Corrupt(format!("{shown} is not a SQLite database"));
        }
        Some(CORRUPT) => {
            return StoreError::Corrupt(format!("the file {shown} is damaged: {error}"));
        }
        _ => return unavailable(path, Box::new(error)),
    };
    unavailable(path, Box::new(Trouble { what, cause: error }))
}

fn unavailable(path: &Path, cause: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Unavailable {
        address: format!("sqlite:{}", path.display()),
        cause,
    }
}

/// The primary result code, without what the extended one adds.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
