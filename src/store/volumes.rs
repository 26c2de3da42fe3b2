use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{FeedKey, Instant, VOLUME_DAYS, Volume, micros};
use std::collections::HashMap;

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// From the young end of articles_by_visibility: as long as four weeks of a newsroom are.
const BY_DAY: &str = "
    SELECT f.key, ($1 - a.visible_since) / $2 AS day, count(*) FROM articles a
    JOIN entries e ON e.article = a.n AND e.sequence > 0 JOIN feeds f ON f.n = e.feed
    WHERE a.visible_since > $3 AND a.visible_since <= $1 GROUP BY f.key, ($1 - a.visible_since) / $2";

impl Store {
    /// How much came out in each feed in the last four weeks; a feed without anything is not there.
    /// One look at that time's articles: the caller keeps the answer for a while.
    pub async fn volumes(&self, now: Instant) -> Result<HashMap<FeedKey, Volume>, StoreError> {
        let mut volumes: HashMap<FeedKey, Volume> = HashMap::new();
        let rows = sqlx::query_as::<_, (String, i64, i64)>(BY_DAY)
            .bind(micros(now))
            .bind(DAY)
            .bind(micros(now) - i64::from(VOLUME_DAYS) * DAY)
            .fetch_all(self.readers())
            .await?;
        for (key, day, count) in rows {
            let volume =
                volumes.entry(key.parse().map_err(|_| damaged("feeds", "of a key", key))?).or_default();
            volume.articles += u32::try_from(count).unwrap_or(u32::MAX);
            volume.days |= 1_u32.checked_shl(u32::try_from(day).unwrap_or(u32::MAX)).unwrap_or_default();
        }
        Ok(volumes)
    }
}
