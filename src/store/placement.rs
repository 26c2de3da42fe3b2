use super::categories::lineage_feeds;
use super::feeds::{FeedRow, Touched, keys_of, touch_feeds};
use super::sequence::{advance_tree, hold_sequence};
use super::{Store, StoreError};
use crate::domain::{CategoryId, FeedKey, Instant};
use sqlx::{AnyConnection, Row};
use std::collections::BTreeSet;

/// What stands in the section's feed joins a feed above it under the number it has there: who
/// reads that one by mail gets what comes from now on, not all that was.
const JOIN: &str = "INSERT INTO entries (feed, article, published_at, sequence) \
    SELECT $1, article, published_at, sequence FROM entries WHERE feed = $2 \
    ON CONFLICT (feed, article) DO NOTHING";

/// An article stays where another of its sections holds it.
const LEAVE: &str = "WITH RECURSIVE part (category) AS ( \
        SELECT c.n FROM categories c JOIN feeds f ON f.key = 'category:' || c.id WHERE f.n = $1 \
        UNION SELECT c.n FROM part p JOIN categories c ON c.parent = p.category) \
    DELETE FROM entries WHERE feed = $1 \
    AND article IN (SELECT article FROM entries WHERE feed = $2) \
    AND NOT EXISTS (SELECT 1 FROM article_categories k JOIN part p ON p.category = k.category \
        WHERE k.article = entries.article)";

/// The archive pages out of which it takes something, or may.
const PAGES_LEFT: &str = "SELECT DISTINCT page FROM entries WHERE feed = $1 AND page > 0 \
    AND article IN (SELECT article FROM entries WHERE feed = $2)";

impl Store {
    /// Makes a section part of another one, or of none. Says which feeds gained or lost articles by
    /// it. `None`: there is no such section, or it would be part of itself. Works through all
    /// articles of the section.
    pub async fn place_category(
        &self,
        id: CategoryId,
        parent: Option<CategoryId>,
        now: Instant,
    ) -> Result<Option<Vec<FeedKey>>, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some(section) = category_row(&mut tx, id).await? else { return Ok(None) };
        let above = match parent {
            None => None,
            Some(parent) => match category_row(&mut tx, parent).await? {
                None => return Ok(None),
                Some(row) => Some(row),
            },
        };
        let key = FeedKey::Category(id);
        if let Some(above) = above
            && feeds_above(&mut tx, above).await?.iter().any(|feed| feed.key == key)
        {
            return Ok(None);
        }
        let before = feeds_above(&mut tx, section).await?;
        sqlx::query("UPDATE categories SET parent = $1 WHERE n = $2")
            .bind(above)
            .bind(section)
            .execute(&mut *tx)
            .await?;
        advance_tree(&mut tx).await?;
        let after = feeds_above(&mut tx, section).await?;
        let Some(own) = after.iter().find(|feed| feed.key == key).copied() else { return Ok(None) };
        let mut touched = Vec::new();
        let mut pages = BTreeSet::new();
        for (feed, statement) in before
            .difference(&after)
            .map(|feed| (feed, LEAVE))
            .chain(after.difference(&before).map(|feed| (feed, JOIN)))
        {
            // Nothing stands in a page of a feed that it joins only now.
            if statement == LEAVE {
                for row in sqlx::query(PAGES_LEFT).bind(feed.n).bind(own.n).fetch_all(&mut *tx).await? {
                    pages.insert((feed.n, row.try_get("page")?));
                }
            }
            let moved = sqlx::query(statement).bind(feed.n).bind(own.n).execute(&mut *tx).await?;
            if moved.rows_affected() > 0 {
                touched.push(*feed);
            }
        }
        let changed = Touched { feeds: touched.iter().copied().collect(), pages };
        touch_feeds(&mut tx, &changed, None, now).await?;
        tx.commit().await?;
        Ok(Some(keys_of(&touched)))
    }
}

async fn category_row(connection: &mut AnyConnection, id: CategoryId) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query("SELECT n FROM categories WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(connection).await?;
    row.map(|row| Ok(row.try_get("n")?)).transpose()
}

/// The feeds of a section and of all that it is part of.
async fn feeds_above(connection: &mut AnyConnection, n: i64) -> Result<BTreeSet<FeedRow>, StoreError> {
    let feeds = lineage_feeds(connection, &[n]).await?;
    Ok(feeds.into_values().flatten().collect())
}
