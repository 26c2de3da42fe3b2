use super::deliveries::{revive_suppressed, void_editions};
use super::statement::damaged;
use super::subscribers::hold_subscriber;
use super::{Engine, Store, StoreError};
use crate::domain::{EndedReason, FeedKey, Instant, Slug, SubscriberId, from_micros, micros};
use sqlx::{Any, Transaction};

/// A running wish: this feed by this digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Of what.
    pub feed: FeedKey,
    /// By which digest.
    pub digest: Slug,
    /// Since when it runs.
    pub started_at: Instant,
}

/// What shall run for a subscriber.
pub(super) struct Wish<'a> {
    pub subscriber: SubscriberId,
    pub feeds: &'a [FeedKey],
    pub digest: &'a Slug,
    pub since: Instant,
}

/// How `subscriptions.frequency` names a digest.
pub(super) fn frequency_of(digest: &Slug) -> String {
    format!("digest:{digest}")
}

impl Store {
    /// What runs for a subscriber, in the order in which it was asked for.
    pub async fn subscriptions(&self, id: SubscriberId) -> Result<Vec<Subscription>, StoreError> {
        sqlx::query_as::<_, (i64, String, String, i64)>(
            "SELECT s.n, f.key, s.frequency, s.started_at FROM subscriptions s JOIN feeds f ON f.n = s.feed
             WHERE s.subscriber = $1 AND s.ended_at IS NULL ORDER BY s.n",
        )
        .bind(id.0)
        .fetch_all(self.readers())
        .await?
        .into_iter()
        .map(|(n, key, frequency, started_at)| {
            let digest = frequency.strip_prefix("digest:").and_then(|slug| Slug::parse(slug).ok());
            Ok(Subscription {
                feed: key.parse().map_err(|_| damaged("feeds", n, &key))?,
                digest: digest.ok_or_else(|| damaged("subscriptions", n, &frequency))?,
                started_at: from_micros(started_at),
            })
        })
        .collect()
    }

    /// How many subscriptions to a feed run.
    pub async fn subscriptions_to(&self, feed: FeedKey) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM subscriptions s JOIN feeds f ON f.n = s.feed
             WHERE f.key = $1 AND s.ended_at IS NULL",
        );
        Ok(count.bind(feed.to_string()).fetch_one(self.readers()).await?)
    }

    /// Ends what runs, all of it or on `only` these feeds, and returns how many ended now. When
    /// nothing is left, the subscriber is unsubscribed and queued editions are not sent to it.
    /// Repeatable.
    pub async fn end_subscriptions(
        &self,
        id: SubscriberId,
        only: Option<&[FeedKey]>,
        reason: EndedReason,
        now: Instant,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let ended = end_running(&mut transaction, id, only, reason, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Takes the reader's last leaving back: what ended then runs again from its cursor, and the
    /// editions that were held back are queued again. Returns how many run again.
    ///
    /// Only the last change can be taken back. A second click does nothing: what runs again
    /// counts as started now.
    pub async fn undo_end(&self, id: SubscriberId, now: Instant) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        let last = sqlx::query_scalar::<_, Option<i64>>(
            "SELECT max(ended_at) FROM subscriptions WHERE subscriber = $1",
        )
        .bind(id.0)
        .fetch_one(&mut *transaction)
        .await?;
        let Some(left_at) = last else { return Ok(0) };
        let revived = sqlx::query(
            "UPDATE subscriptions SET ended_at = NULL, ended_reason = NULL, started_at = $3
             WHERE subscriber = $1 AND ended_at = $2 AND ended_reason = 'reader' AND NOT EXISTS (
                 SELECT 1 FROM subscriptions later
                 WHERE later.subscriber = $1 AND later.ended_at IS NULL
                   AND (later.started_at > $2 OR later.feed = subscriptions.feed))",
        )
        .bind(id.0)
        .bind(left_at)
        .bind(micros(now))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if revived > 0 {
            sqlx::query("UPDATE subscribers SET state = 'active' WHERE n = $1 AND state = 'unsubscribed'")
                .bind(id.0)
                .execute(&mut *transaction)
                .await?;
            revive_suppressed(&mut transaction, id, from_micros(left_at), now).await?;
        }
        transaction.commit().await?;
        Ok(revived)
    }

    /// Saves a preference page: of the feeds it has `shown`, those `wanted` run by `digest` and
    /// the others end. What it has not shown is left alone, so that a feed the page did not know
    /// is not switched off by saving it.
    pub async fn change_subscriptions(
        &self,
        id: SubscriberId,
        shown: &[FeedKey],
        wanted: &[FeedKey],
        digest: &Slug,
        since: Instant,
        now: Instant,
    ) -> Result<(), StoreError> {
        let (kept, left): (Vec<FeedKey>, Vec<FeedKey>) = shown.iter().partition(|key| wanted.contains(key));
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        // Only somebody who once confirmed can come back without being asked.
        let standing = sqlx::query_scalar::<_, String>(
            "SELECT state FROM subscribers WHERE n = $1 AND address <> '' AND confirmed_at IS NOT NULL",
        )
        .bind(id.0)
        .fetch_optional(&mut *transaction)
        .await?;
        if !matches!(standing.as_deref(), Some("active" | "unsubscribed")) {
            return Ok(());
        }
        if !kept.is_empty() {
            run_wish(&mut transaction, &Wish { subscriber: id, feeds: &kept, digest, since }, now).await?;
            sqlx::query("UPDATE subscribers SET state = 'active' WHERE n = $1")
                .bind(id.0)
                .execute(&mut *transaction)
                .await?;
        }
        end_running(&mut transaction, id, Some(&left), EndedReason::Preferences, self.engine(), now).await?;
        Ok(transaction.commit().await?)
    }
}

/// Where a new subscription begins: behind the last article that was visible before `since`.
/// One step down articles_by_visibility, however many articles there are.
const CURSOR_AT: &str = "
    SELECT sequence FROM articles WHERE visible_since < $1 AND sequence > 0
    ORDER BY visible_since DESC, sequence DESC LIMIT 1";

/// Lets every wished feed run by the digest. The caller holds the subscriber.
pub(super) async fn run_wish(
    transaction: &mut Transaction<'static, Any>,
    wish: &Wish<'_>,
    now: Instant,
) -> Result<(), StoreError> {
    let first_cursor = sqlx::query_scalar::<_, i64>(CURSOR_AT)
        .bind(micros(wish.since))
        .fetch_optional(&mut **transaction)
        .await?
        .unwrap_or(0);
    let frequency = frequency_of(wish.digest);
    for key in wish.feeds {
        let Some(feed) = feed_row(transaction, *key, now).await? else { continue };
        let running = sqlx::query_as::<_, (i64, String, i64)>(
            "SELECT n, frequency, cursor FROM subscriptions
             WHERE subscriber = $1 AND feed = $2 AND ended_at IS NULL",
        )
        .bind(wish.subscriber.0)
        .bind(feed)
        .fetch_optional(&mut **transaction)
        .await?;
        let cursor = match running {
            Some((_, present, _)) if present == frequency => continue,
            Some((n, _, cursor)) => {
                sqlx::query("UPDATE subscriptions SET ended_at = $2, ended_reason = $3 WHERE n = $1")
                    .bind(n)
                    .bind(micros(now))
                    .bind(EndedReason::Preferences.as_str())
                    .execute(&mut **transaction)
                    .await?;
                cursor
            }
            None => first_cursor,
        };
        sqlx::query(
            "INSERT INTO subscriptions (subscriber, feed, frequency, cursor, started_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(wish.subscriber.0)
        .bind(feed)
        .bind(frequency.clone())
        .bind(cursor)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// The row of a feed. A category's comes with the category; that of everything is made here when
/// somebody subscribes before the first article. `None`: a category that never was.
async fn feed_row(
    transaction: &mut Transaction<'static, Any>,
    key: FeedKey,
    now: Instant,
) -> Result<Option<i64>, StoreError> {
    if key == FeedKey::All {
        sqlx::query(
            "INSERT INTO feeds (key, changed_at, change_number, same_second) VALUES ($1, $2, 0, 0)
             ON CONFLICT (key) DO NOTHING",
        )
        .bind(key.to_string())
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(sqlx::query_scalar::<_, i64>("SELECT n FROM feeds WHERE key = $1")
        .bind(key.to_string())
        .fetch_optional(&mut **transaction)
        .await?)
}

const END_ONE: &str = "
    UPDATE subscriptions SET ended_at = $2, ended_reason = $3
    WHERE subscriber = $1 AND ended_at IS NULL AND feed = (SELECT n FROM feeds WHERE key = $4)";

const END_ALL: &str = "
    UPDATE subscriptions SET ended_at = $2, ended_reason = $3
    WHERE subscriber = $1 AND ended_at IS NULL";

/// Ends what runs, and where nothing is left, the subscriber's being one.
pub(super) async fn end_running(
    transaction: &mut Transaction<'static, Any>,
    id: SubscriberId,
    only: Option<&[FeedKey]>,
    reason: EndedReason,
    engine: Engine,
    now: Instant,
) -> Result<u64, StoreError> {
    hold_subscriber(transaction, id, engine).await?;
    let ending = |statement| sqlx::query::<Any>(statement).bind(id.0).bind(micros(now)).bind(reason.as_str());
    let mut ended = 0;
    match only {
        None => ended = ending(END_ALL).execute(&mut **transaction).await?.rows_affected(),
        Some(only) => {
            for key in only {
                let one = ending(END_ONE).bind(key.to_string());
                ended += one.execute(&mut **transaction).await?.rows_affected();
            }
        }
    }
    let running = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM subscriptions WHERE subscriber = $1 AND ended_at IS NULL",
    )
    .bind(id.0)
    .fetch_one(&mut **transaction)
    .await?;
    if running == 0 {
        sqlx::query(
            "UPDATE subscribers SET state = 'unsubscribed' WHERE n = $1 AND state IN ('pending', 'active')",
        )
        .bind(id.0)
        .execute(&mut **transaction)
        .await?;
        void_editions(transaction, id, engine, now).await?;
    }
    Ok(ended)
}
