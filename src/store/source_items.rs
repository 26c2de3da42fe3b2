//! What a source has: which of its items are as they were taken, which are to be taken.

use super::statement::{Statement, fetch_about, insert_rows, storable};
use super::{Store, StoreError};
use crate::domain::{Instant, Slug, SourceId, micros};
use sqlx::Row;
use std::collections::HashMap;

/// An item that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenItem {
    /// Its path, address or key.
    pub item: String,
    /// Its state as it was last met.
    pub wanted: String,
}

/// An item with which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongItem {
    /// Its path, address or key.
    pub item: String,
    /// What.
    pub error: String,
}

impl Store {
    /// Notes in which states a source's items were met, and gives the items whose state was the same at
    /// the last meeting and is not the one in which they were taken.
    pub async fn meet_items(
        &self,
        id: SourceId,
        met: &[(String, String)],
    ) -> Result<Vec<OpenItem>, StoreError> {
        let known = self.items(id, met.iter().map(|(item, _)| item)).await?;
        let mut open = Vec::new();
        let mut changed: Vec<&(String, String)> = Vec::new();
        for pair in met {
            let (item, state) = pair;
            match known.get(&storable(item)) {
                Some((wanted, _)) if wanted != state => changed.push(pair),
                Some((_, seen)) if seen == state => {}
                Some(_) => open.push(OpenItem { item: item.clone(), wanted: state.clone() }),
                None => changed.push(pair),
            }
        }
        if !changed.is_empty() {
            let mut tx = self.write().await?;
            let text = "INSERT INTO source_items (source, item, wanted, seen) VALUES {rows} \
                ON CONFLICT (source, item) DO UPDATE SET wanted = excluded.wanted";
            insert_rows(&mut tx, text, "(?, ?, ?, '')", &changed, |s: Statement, (item, state)| {
                s.bind(id.0).bind(storable(item)).bind(storable(state))
            })
            .await?;
            tx.commit().await?;
        }
        Ok(open)
    }

    /// Asks that an item of a source be taken, and soon. `false`: there is no such source.
    pub async fn ask_for_item(
        &self,
        name: &Slug,
        item: &str,
        state: &str,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let text = "UPDATE sources SET due_at = CASE WHEN claimed_by IS NULL THEN $1 ELSE due_at END \
            WHERE name = $2 RETURNING n";
        let statement = sqlx::query_scalar::<_, i64>(text).bind(micros(now)).bind(name.to_string());
        let Some(n) = statement.fetch_optional(&mut *tx).await? else { return Ok(false) };
        let text = "INSERT INTO source_items (source, item, wanted, seen) VALUES ($1, $2, $3, '') \
            ON CONFLICT (source, item) DO UPDATE SET wanted = excluded.wanted";
        sqlx::query(text).bind(n).bind(storable(item)).bind(storable(state)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What is to be taken, the latest state first, behind all else what failed before.
    pub async fn open_items(&self, id: SourceId, limit: i64) -> Result<Vec<OpenItem>, StoreError> {
        let text = "SELECT item, wanted FROM source_items WHERE source = $1 AND wanted <> seen \
            ORDER BY CASE WHEN error IS NULL THEN 0 ELSE 1 END, wanted DESC, item LIMIT $2";
        let rows = sqlx::query(text).bind(id.0).bind(limit).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| Ok(OpenItem { item: row.try_get("item")?, wanted: row.try_get("wanted")? }))
            .collect()
    }

    /// The states in which these items were last met and last taken.
    pub async fn items(
        &self,
        id: SourceId,
        items: impl Iterator<Item = &String>,
    ) -> Result<HashMap<String, (String, String)>, StoreError> {
        let keys: Vec<String> = items.map(|item| storable(item)).collect();
        let text = "SELECT item, wanted, seen FROM source_items WHERE source = $1 AND item IN ({keys})";
        let mut connection = self.readers().acquire().await?;
        let rows = fetch_about(&mut connection, text, &[id.0], &keys).await?;
        rows.iter()
            .map(|row| Ok((row.try_get("item")?, (row.try_get("wanted")?, row.try_get("seen")?))))
            .collect()
    }

    /// How many items of a source are to be taken, and with how many something was wrong.
    pub async fn item_counts(&self, id: SourceId) -> Result<(i64, i64), StoreError> {
        let text = "SELECT (SELECT count(*) FROM source_items WHERE source = $1 AND wanted <> seen) AS open, \
            (SELECT count(*) FROM source_items WHERE source = $1 AND error IS NOT NULL) AS wrong";
        let row = sqlx::query(text).bind(id.0).fetch_one(self.readers()).await?;
        Ok((row.try_get("open")?, row.try_get("wrong")?))
    }

    /// Items with which something was wrong when they were taken.
    pub async fn wrong_items(&self, id: SourceId, limit: i64) -> Result<Vec<WrongItem>, StoreError> {
        let text = "SELECT item, error FROM source_items WHERE source = $1 AND error IS NOT NULL \
            ORDER BY item LIMIT $2";
        let rows = sqlx::query(text).bind(id.0).bind(limit).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| Ok(WrongItem { item: row.try_get("item")?, error: row.try_get("error")? }))
            .collect()
    }
}
