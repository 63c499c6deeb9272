//! Many rows by few statements: each call into SQLite crosses a thread, so rows travel together.

use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, SqliteConnection};

/// Most rows of one statement. A power of two; the rest of a batch goes in smaller powers, so
/// that a handful of prepared statements serves batches of every size.
const MOST_ROWS: usize = 64;

/// A query whose values are bound one after another.
pub(super) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Cuts `rows` into portions for one statement each.
pub(super) fn portions<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let fitting = left.len().checked_ilog2()?;
        let (now, later) = left.split_at(MOST_ROWS.min(1 << fitting));
        left = later;
        Some(now)
    })
}

/// `?, ?, ?`
pub(super) fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Runs `head VALUES (?, …), (?, …) tail` for all `rows` with `columns` values each, which `bind`
/// adds in order.
pub(super) async fn insert<T: Sync>(
    connection: &mut SqliteConnection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    mut bind: impl FnMut(Query, &T) -> Query + Send,
) -> Result<(), sqlx::Error> {
    let one = format!("({})", placeholders(columns));
    for portion in portions(rows) {
        let values = vec![one.as_str(); portion.len()].join(", ");
        // Built from constants and question marks alone.
        let sql = AssertSqlSafe(format!("{head} VALUES {values} {tail}"));
        let query = portion.iter().fold(sqlx::query(sql), &mut bind);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_powers_of_two_and_lose_nothing() {
        for count in [0, 1, 2, 3, 63, 64, 65, 100, 127, 128, 1_000] {
            let rows: Vec<usize> = (0..count).collect();
            let cut: Vec<&[usize]> = portions(&rows).collect();
            assert_eq!(cut.concat(), rows, "{count}");
            for portion in cut {
                assert!(portion.len().is_power_of_two() && portion.len() <= MOST_ROWS);
            }
        }
    }
}
