//! Many rows by few statements: each call into SQLite crosses a thread, so rows travel together.

use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, SqliteConnection};

/// Most rows of one statement. A power of two; the rest of a batch goes in smaller powers, so
/// that a handful of prepared statements serves batches of every size.
const MOST_ROWS: usize = 64;

/// A query whose values are bound one after another.
pub(super) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Runs `head VALUES (?, …), (?, …) tail` for all `rows` with `columns` values each, which `bind`
/// adds in order.
pub(super) async fn insert<T: Sync>(
    connection: &mut SqliteConnection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    mut bind: impl FnMut(Query, &T) -> Query + Send,
) -> Result<(), sqlx::Error> {
    let one = format!("({})", vec!["?"; columns].join(", "));
    let mut left = rows;
    while !left.is_empty() {
        // The largest power of two that fits.
        let count = MOST_ROWS.min(1 << left.len().ilog2());
        let (now, later) = left.split_at(count);
        let values = vec![one.as_str(); count].join(", ");
        // Built from constants and question marks alone.
        let sql = AssertSqlSafe(format!("{head} VALUES {values} {tail}"));
        let query = now.iter().fold(sqlx::query(sql), &mut bind);
        query.execute(&mut *connection).await?;
        left = later;
    }
    Ok(())
}
