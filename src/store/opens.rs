//! How many letters of an edition were opened, where the newsroom counts that.

use super::{Store, StoreError};
use crate::domain::{EditionId, SubscriberId};
use std::collections::BTreeSet;

impl Store {
    /// Notes letters that were opened, each once; in the order of editions and readers, so that two
    /// processes never wait in a circle. Returns how many were not known to be.
    pub async fn note_opened(&self, letters: BTreeSet<(EditionId, SubscriberId)>) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let mut fresh = 0;
        for (edition, reader) in letters {
            let noted = sqlx::query(
                "UPDATE deliveries SET opened = 1 WHERE edition = $1 AND subscriber = $2 AND opened = 0",
            );
            fresh += noted.bind(edition.0).bind(reader.0).execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(fresh)
    }

    /// How many of an edition's letters are known to have been opened.
    pub async fn opened(&self, edition: EditionId) -> Result<u64, StoreError> {
        let text = "SELECT count(*) FROM deliveries WHERE edition = $1 AND opened = 1";
        let opened: i64 = sqlx::query_scalar(text).bind(edition.0).fetch_one(self.readers()).await?;
        Ok(opened.unsigned_abs())
    }
}
