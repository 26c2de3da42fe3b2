/// What kept the store from answering.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL in the configuration names no store.
    #[error(
        "store.url `{0}` names no store; write sqlite:var/bantin.db or postgres://user:password@host/name"
    )]
    Url(String),
    /// The folder of the SQLite file cannot be made.
    #[error("the folder `{folder}` of the store cannot be made: {reason}")]
    Folder {
        /// Which folder.
        folder: String,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The database said no. Later may help.
    #[error("the store cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the schema cannot be brought up to date: {0}; was the database written by a newer bantin?")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what the program never writes.
    #[error("{table} {row} holds `{value}`, which bantin never writes: was it edited by hand?")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What stands there.
        value: String,
    },
}

impl StoreError {
    /// Whether PostgreSQL ended a transaction because two waited for each other (`deadlock_detected`):
    /// the same once more goes through.
    pub(super) fn is_deadlock(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(said)) if said.code().as_deref() == Some("40P01"))
    }
}
