//! Which of several copies of a store mails: the one that lies where it was when it began to. A copy
//! that is started elsewhere, for a trial or from a backup, holds what the other has mailed since.

use super::{Engine, Store, StoreError};
use crate::domain::{Instant, micros};
use std::os::unix::fs::MetadataExt as _;
use std::time::UNIX_EPOCH;

impl Store {
    /// Where the database lies: the file itself, whatever its name, or the database in its cluster. It
    /// is another one for a copied file and for a restored dump, and the same after a restart.
    async fn place(&self) -> Result<String, StoreError> {
        match self.engine() {
            Engine::Sqlite => {
                let text = "SELECT file FROM pragma_database_list WHERE name = 'main'";
                let file: String = sqlx::query_scalar(text).fetch_one(self.readers()).await?;
                let file = std::fs::metadata(&file)
                    .map_err(|reason| StoreError::Folder { folder: file.clone(), reason })?;
                // The number of a file that was deleted is soon another one's; the time of birth is not.
                let born = file.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                Ok(format!("file {} of {}", file.ino(), born.map_or(0, |born| born.as_micros())))
            }
            Engine::Postgres => {
                let text = "SELECT CAST(oid AS TEXT) FROM pg_database WHERE datname = current_database()";
                let database: String = sqlx::query_scalar(text).fetch_one(self.readers()).await?;
                let text = "SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()";
                // Some hosts of databases do not let their customers ask.
                let cluster: Option<String> = sqlx::query_scalar(text).fetch_one(self.readers()).await.ok();
                Ok(format!("database {database} of {}", cluster.unwrap_or_default()))
            }
        }
    }

    /// Whether this is a copy of a store that mails elsewhere.
    pub async fn is_copy(&self) -> Result<bool, StoreError> {
        let text = "SELECT home FROM installation WHERE one = 1";
        let home: Option<String> = sqlx::query_scalar(text).fetch_one(self.readers()).await?;
        Ok(match home {
            None => false,
            Some(home) => home != self.place().await?,
        })
    }

    /// Notes where the store lies, if nobody has yet.
    pub async fn move_in(&self) -> Result<(), StoreError> {
        let place = self.place().await?;
        sqlx::query("UPDATE installation SET home = $1 WHERE one = 1 AND home IS NULL")
            .bind(place)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// From now on it is this copy that mails.
    pub async fn adopt(&self) -> Result<(), StoreError> {
        let place = self.place().await?;
        sqlx::query("UPDATE installation SET home = $1 WHERE one = 1")
            .bind(place)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// Nothing that waits is mailed: the other copy has done it. Returns how many deliveries those were.
    pub async fn settle_as_mailed_elsewhere(&self, now: Instant) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let editions = sqlx::query_scalar::<_, Option<i64>>(
            "UPDATE deliveries SET state = 'suppressed', settled_at = $1, claimed_by = NULL, handed_at = NULL,
                 reply = 'mailed by the store that this one was copied from'
             WHERE settled_at IS NULL RETURNING edition",
        )
        .bind(micros(now))
        .fetch_all(&mut *transaction)
        .await?;
        let settled = editions.len() as u64;
        let editions = editions.into_iter().flatten().collect();
        super::editions::complete_editions(&mut transaction, editions, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(settled)
    }
}
