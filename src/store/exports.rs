//! What an export asks beside the documents themselves: which there are, and which have changed.

use super::labels::label_of_row;
use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{FeedKey, Label};
use sqlx::Row;

const LABELS: &str = "SELECT n, id, kind, slug, title FROM labels WHERE n > $1 ORDER BY n LIMIT $2";

const PAGES: &str = "SELECT pages FROM feeds WHERE key = $1";

/// A range of the primary key: the pages of one feed.
const CHANGED_PAGES: &str = "SELECT a.page FROM archives a JOIN feeds f ON f.n = a.feed \
    WHERE f.key = $1 AND a.change_number > $2 ORDER BY a.page";

impl Store {
    /// Labels behind a row, in the order of rows, each with its row.
    pub async fn labels_behind(&self, row: i64, limit: i64) -> Result<Vec<(i64, Label)>, StoreError> {
        let rows = sqlx::query(LABELS).bind(row).bind(limit).fetch_all(self.readers()).await?;
        rows.iter().map(|row| Ok((row.try_get("n")?, label_of_row(row)?))).collect()
    }

    /// How many archive pages a kept feed has, and which of them changed after a change.
    pub async fn pages_changed_after(
        &self,
        key: FeedKey,
        number: i64,
    ) -> Result<(i64, Vec<i64>), StoreError> {
        let mut tx = self.snapshot().await?;
        let pages: Option<i64> =
            sqlx::query_scalar(PAGES).bind(key.to_string()).fetch_optional(&mut *tx).await?;
        let changed =
            sqlx::query_scalar(CHANGED_PAGES).bind(key.to_string()).bind(number).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let pages = pages.unwrap_or_default();
        if changed.len() > usize::try_from(pages).unwrap_or_default() {
            return Err(damaged("feeds", key, pages.to_string()));
        }
        Ok((pages, changed))
    }
}
