//! Floor 2: asks the newsroom's own database, and changes nothing there.
//!
//! PostgreSQL, MySQL, MariaDB and SQLite. A session of one's own, told to be read-only, with every value
//! as the text that the server writes: so any type of any column will do, and what an article's field
//! makes of it is for whoever reads articles.

mod session;
mod url;

pub use session::Session;
pub use url::{DatabaseUrl, DatabaseUrlError};

/// What kept a database from answering. Never with its password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(String);

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

/// A value, as its server writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The text.
    pub text: String,
    /// Whether it is a number to the server.
    pub is_number: bool,
    /// Whether it is an instant in UTC, and not the time on some wall.
    pub is_instant: bool,
}

/// A row: the names of its columns, and their values where they have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(pub Vec<(String, Option<Value>)>);

impl Row {
    /// The value of a column, whatever case its name is in.
    pub fn get(&self, column: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
        found.and_then(|(_, value)| value.as_ref())
    }

    /// Whether there is such a column.
    pub fn has(&self, column: &str) -> bool {
        self.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(column))
    }
}
