//! What migrations leave to be filled in by the program: feeds of labels and archive pages of
//! articles that came in before migration 0003, whose letters SQL cannot fold.
//!
//! In batches, each one transaction with its own mark, so that a stop loses nothing and a second
//! process that starts meanwhile works on from there.

use super::acceptance_rows::Entry;
use super::archives::overflows;
use super::feeds::{FeedRow, Touched, touch_feeds};
use super::labels::label_feeds;
use super::sequence::hold_sequence;
use super::statement::{damaged, insert_rows};
use super::{Store, StoreError};
use crate::domain::{FeedKey, Instant, Label};
use sqlx::{AnyConnection, Row};

/// Articles in one transaction.
const BATCH: i64 = 500;

const PENDING: &str = "SELECT labelled_to, unlabelled_to FROM installation WHERE one = 1";

const UNLABELLED: &str = "SELECT n, details, published_at, sequence, mailable FROM articles \
    WHERE n > $1 AND n <= $2 AND state = 'visible' ORDER BY n LIMIT $3";

impl Store {
    /// Fills in what is pending; nothing on a store that was made by this version.
    pub(super) async fn catch_up(&self, now: Instant) -> Result<(), StoreError> {
        let Some((from, _)) = pending(&mut *self.snapshot().await?).await? else { return Ok(()) };
        tracing::info!(from, "older articles are entered in the feeds of their tags, bylines and sources");
        while self.label_some(now).await? {}
        let feeds =
            sqlx::query("SELECT n AS feed, key FROM feeds ORDER BY n").fetch_all(self.readers()).await?;
        for row in &feeds {
            self.close_overflow(FeedRow::of_row(row)?, now).await?;
        }
        sqlx::query("UPDATE installation SET unlabelled_to = 0 WHERE one = 1").execute(self.writer()).await?;
        Ok(())
    }

    /// One batch. False when there is none left.
    async fn label_some(&self, now: Instant) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some((from, to)) = pending(&mut tx).await? else { return Ok(false) };
        let rows = sqlx::query(UNLABELLED).bind(from).bind(to).bind(BATCH).fetch_all(&mut *tx).await?;
        let mut articles: Vec<(i64, i64, i64, Vec<Label>)> = Vec::with_capacity(rows.len());
        for row in &rows {
            let (n, details): (i64, String) = (row.try_get("n")?, row.try_get("details")?);
            let details: super::article_rows::Details =
                serde_json::from_str(&details).map_err(|_| damaged("articles", n, details))?;
            let mailed = row.try_get::<i64, _>("mailable")? == 1;
            let sequence: Option<i64> = row.try_get("sequence")?;
            let sequence = sequence.filter(|_| mailed).unwrap_or_default();
            articles.push((n, row.try_get("published_at")?, sequence, details.labels()));
        }
        let all = articles.iter().flat_map(|(_, _, _, labels)| labels.iter().cloned());
        let (feeds, _) = label_feeds(&mut tx, all).await?;
        let entries: Vec<Entry> = articles
            .iter()
            .flat_map(|(article, published, sequence, labels)| {
                let of = labels.iter().filter_map(|label| feeds.get(&FeedKey::Label(label.id)));
                of.map(|feed| Entry {
                    feed: feed.n,
                    article: *article,
                    published: *published,
                    sequence: *sequence,
                })
            })
            .collect();
        let text = "INSERT INTO entries (feed, article, published_at, sequence) VALUES {rows} \
            ON CONFLICT (feed, article) DO NOTHING";
        insert_rows(&mut tx, text, "(?, ?, ?, ?)", &entries, |s, entry| {
            s.bind(entry.feed).bind(entry.article).bind(entry.published).bind(entry.sequence)
        })
        .await?;
        touch_feeds(&mut tx, &Touched::feeds(feeds.into_values()), None, now).await?;
        let last = articles.last().map_or(to, |(n, ..)| *n);
        sqlx::query("UPDATE installation SET labelled_to = $1 WHERE one = 1")
            .bind(last)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(last < to)
    }

    async fn close_overflow(&self, feed: FeedRow, now: Instant) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let window: i64 = sqlx::query_scalar("SELECT window_size FROM feeds WHERE n = $1")
            .bind(feed.n)
            .fetch_one(&mut *tx)
            .await?;
        if overflows(&mut tx, feed.n, window).await? {
            touch_feeds(&mut tx, &Touched::feeds([feed]), None, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Up to where articles are entered, and up to where they are to be.
async fn pending(connection: &mut AnyConnection) -> Result<Option<(i64, i64)>, StoreError> {
    let row = sqlx::query(PENDING).fetch_one(connection).await?;
    let (from, to): (i64, i64) = (row.try_get("labelled_to")?, row.try_get("unlabelled_to")?);
    Ok((to > 0).then_some((from, to)))
}
