use super::StoreError;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};
use std::fmt::Write as _;

/// A statement whose values are bound one after the other.
pub(super) type Statement = Query<'static, Any, AnyArguments>;

/// Rows in one INSERT. 50 of them doubled the import rate, more gained nothing (crates.md §3e).
const ROWS: usize = 64;

/// Keys in one IN list; far below the 32,766 values that SQLite binds.
pub(super) const KEYS: usize = 1_024;

/// A value by which rows are looked up.
pub(super) trait Key: Clone {
    /// Binds it as the next value.
    fn bind(self, statement: Statement) -> Statement;
}

impl Key for i64 {
    fn bind(self, statement: Statement) -> Statement {
        statement.bind(self)
    }
}

impl Key for String {
    fn bind(self, statement: Statement) -> Statement {
        statement.bind(self)
    }
}

/// `$first, $first+1, …`
pub(super) fn places(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 6);
    for place in first..first + count {
        let _ = write!(text, "{}${place}", if place == first { "" } else { ", " });
    }
    text
}

/// A statement about some keys: `{keys}` in its text becomes their places, behind the `leading`
/// values. The last key is repeated up to a power of two, so that a handful of texts serve every
/// number of keys and the driver's cache of prepared statements holds them all.
fn about<K: Key>(text: &str, leading: &[i64], keys: &[K]) -> Statement {
    let count = keys.len().next_power_of_two();
    let text = text.replace("{keys}", &places(leading.len() + 1, count));
    let statement = leading.iter().fold(sqlx::query(AssertSqlSafe(text)), |s, value| s.bind(*value));
    let padding = std::iter::repeat_n(keys.last(), count - keys.len()).flatten();
    keys.iter().chain(padding).fold(statement, |s, key| key.clone().bind(s))
}

/// The rows of a SELECT about some keys, in no order across [`KEYS`] of them.
pub(super) async fn fetch_about<K: Key>(
    connection: &mut AnyConnection,
    text: &str,
    leading: &[i64],
    keys: &[K],
) -> Result<Vec<AnyRow>, StoreError> {
    let mut rows = Vec::new();
    for keys in keys.chunks(KEYS) {
        rows.extend(about(text, leading, keys).fetch_all(&mut *connection).await?);
    }
    Ok(rows)
}

/// Runs an UPDATE or DELETE about some keys.
pub(super) async fn execute_about<K: Key>(
    connection: &mut AnyConnection,
    text: &str,
    leading: &[i64],
    keys: &[K],
) -> Result<(), StoreError> {
    for keys in keys.chunks(KEYS) {
        about(text, leading, keys).execute(&mut *connection).await?;
    }
    Ok(())
}

/// An INSERT of many rows: `{rows}` in its text becomes the places of a power of two of them, for
/// the same reason as the keys of [`about`].
pub(super) async fn insert_rows<T>(
    connection: &mut AnyConnection,
    text: &str,
    row: &str,
    rows: &[T],
    bind: impl Fn(Statement, &T) -> Statement,
) -> Result<Vec<AnyRow>, StoreError> {
    let numbered = connection.backend_name() != "SQLite";
    let mut returned = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(1 << rest.len().min(ROWS).ilog2());
        let text = text.replace("{rows}", &row_places(row, chunk.len(), numbered));
        let statement = chunk.iter().fold(sqlx::query(AssertSqlSafe(text)), &bind);
        returned.extend(statement.fetch_all(&mut *connection).await?);
        rest = later;
    }
    Ok(returned)
}

/// A statement about many rows of values, in no order across [`ROWS`] of them: `{rows}` in its text
/// becomes their places. The last row is repeated up to a power of two, for the same reason as the keys
/// of [`about`].
pub(super) async fn rows_about<T>(
    connection: &mut AnyConnection,
    text: &str,
    row: &str,
    rows: &[T],
    bind: impl Fn(Statement, &T) -> Statement,
) -> Result<Vec<AnyRow>, StoreError> {
    let numbered = connection.backend_name() != "SQLite";
    let mut returned = Vec::new();
    for rows in rows.chunks(ROWS) {
        let count = rows.len().next_power_of_two();
        let text = text.replace("{rows}", &row_places(row, count, numbered));
        let padding = std::iter::repeat_n(rows.last(), count - rows.len()).flatten();
        let statement = rows.iter().chain(padding).fold(sqlx::query(AssertSqlSafe(text)), &bind);
        returned.extend(statement.fetch_all(&mut *connection).await?);
    }
    Ok(returned)
}

/// `(?, ?), (?, ?)`, for PostgreSQL with numbers: `($1, $2), ($3, $4)`. SQLite understands both,
/// but looks each number up among all of them.
fn row_places(row: &str, count: usize, numbered: bool) -> String {
    let rows = vec![row; count].join(", ");
    if !numbered {
        return rows;
    }
    let mut parts = rows.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (place, part) in (1..).zip(parts) {
        let _ = write!(text, "${place}{part}");
    }
    text
}

/// Text as both engines store it: PostgreSQL's TEXT cannot hold U+0000.
pub(super) fn storable(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() }
}

/// What to say of a row that the program never wrote.
pub(super) fn damaged(
    table: &'static str,
    row: impl std::fmt::Display,
    value: impl Into<String>,
) -> StoreError {
    StoreError::Damaged { table, row: row.to_string(), value: value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered() {
        assert_eq!(places(3, 2), "$3, $4");
        assert_eq!(row_places("(?, f(?))", 2, true), "($1, f($2)), ($3, f($4))");
        assert_eq!(row_places("(?, 1)", 2, false), "(?, 1), (?, 1)");
    }
}
