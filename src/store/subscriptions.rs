use super::deliveries::{revive_suppressed, void_editions};
use super::editions::publish_sequence;
use super::plans::plan_running;
use super::searches::watch_search;
use super::statement::damaged;
use super::subscribers::hold_subscriber;
use super::{Engine, Store, StoreError};
use crate::domain::{EndedReason, FeedKey, Frequency, Instant, SubscriberId, Wish, from_micros, micros};
use sqlx::{Any, Transaction};

/// A running wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Of what.
    pub feed: FeedKey,
    /// How often.
    pub frequency: Frequency,
    /// Since when it runs.
    pub started_at: Instant,
}

/// Since when an article must be visible to be in the first mail of a subscription by this
/// frequency.
pub type Beginning<'b> = dyn Fn(&Frequency) -> Instant + Sync + 'b;

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
            Ok(Subscription {
                feed: key.parse().map_err(|_| damaged("feeds", n, &key))?,
                frequency: frequency.parse().map_err(|_| damaged("subscriptions", n, &frequency))?,
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
    /// Only the last change can be taken back, and changes are counted: a clock that was put back does
    /// not tell which was the last. A second click does nothing, as coming back is a change.
    pub async fn undo_end(&self, id: SubscriberId, now: Instant) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        let Some(last) = last_change(&mut transaction, id).await? else { return Ok(0) };
        let revived = sqlx::query(
            "UPDATE subscriptions SET ended_at = NULL, ended_reason = NULL, ended_behind = NULL,
                 started_at = $3, change = $2 + 1
             WHERE subscriber = $1 AND change = $2 AND ended_reason = 'reader'",
        )
        .bind(id.0)
        .bind(last)
        .bind(micros(now))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if revived > 0 {
            sqlx::query("UPDATE subscribers SET state = 'active' WHERE n = $1 AND state = 'unsubscribed'")
                .bind(id.0)
                .execute(&mut *transaction)
                .await?;
            // The clock may be another one than at the leaving.
            plan_running(&mut transaction, id, now).await?;
            revive_suppressed(&mut transaction, id, last, now).await?;
        }
        transaction.commit().await?;
        Ok(revived)
    }

    /// Saves a preference page: of the feeds it has `shown`, those `wanted` run as often as it says
    /// and the others end. What it has not shown is left alone, so that a feed the page did not
    /// know is not switched off by saving it.
    pub async fn change_subscriptions(
        &self,
        id: SubscriberId,
        shown: &[FeedKey],
        wanted: &[Wish],
        beginning: &Beginning<'_>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let kept: Vec<Wish> = wanted.iter().filter(|wish| shown.contains(&wish.feed)).cloned().collect();
        let left: Vec<FeedKey> =
            shown.iter().copied().filter(|key| kept.iter().all(|wish| wish.feed != *key)).collect();
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
            run_wishes(&mut transaction, id, &kept, beginning, self.engine(), now).await?;
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

/// Of who has left altogether, what was held back then was never mailed: his ledger forgets it, so
/// that he has it where the new beginning reaches back to it.
const FORGET_UNSENT: &str = "
    DELETE FROM ledger WHERE subscriber = $1
    AND EXISTS (SELECT 1 FROM subscribers r WHERE r.n = $1 AND r.state = 'unsubscribed')
    AND edition IN (SELECT d.edition FROM deliveries d WHERE d.subscriber = $1 AND d.kind = 'edition'
                    AND d.state = 'suppressed' AND d.doubted = 0)";

/// Lets every wish run. What runs already at its frequency is left alone; at another one it ends,
/// and what takes its place goes on from its cursor. The caller holds the subscriber.
pub(super) async fn run_wishes(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    wishes: &[Wish],
    beginning: &Beginning<'_>,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query(FORGET_UNSENT).bind(subscriber.0).execute(&mut **transaction).await?;
    let change = last_change(transaction, subscriber).await?.unwrap_or(0) + 1;
    for Wish { feed: key, frequency } in wishes {
        let Some(feed) = feed_row(transaction, *key, engine, now).await? else { continue };
        let running = sqlx::query_as::<_, (i64, String, i64, i64)>(
            "SELECT n, frequency, cursor, began FROM subscriptions
             WHERE subscriber = $1 AND feed = $2 AND ended_at IS NULL",
        )
        .bind(subscriber.0)
        .bind(feed)
        .fetch_optional(&mut **transaction)
        .await?;
        let (cursor, began) = match running {
            Some((_, present, ..)) if present == frequency.to_string() => continue,
            Some((n, _, cursor, began)) => {
                sqlx::query(concat!(end!(), " WHERE n = $1"))
                    .bind(n)
                    .bind(micros(now))
                    .bind(EndedReason::Preferences.as_str())
                    .bind(change)
                    .execute(&mut **transaction)
                    .await?;
                (cursor, began)
            }
            None => {
                let first = first_cursor(transaction, beginning(frequency), now).await?;
                (first, first)
            }
        };
        sqlx::query(
            "INSERT INTO subscriptions (subscriber, feed, frequency, cursor, began, started_at, change)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(subscriber.0)
        .bind(feed)
        .bind(frequency.to_string())
        .bind(cursor)
        .bind(began)
        .bind(micros(now))
        .bind(change)
        .execute(&mut **transaction)
        .await?;
    }
    plan_running(transaction, subscriber, now).await
}

/// Who begins now begins behind everything that is there, whatever a clock said of it.
async fn first_cursor(
    transaction: &mut Transaction<'static, Any>,
    since: Instant,
    now: Instant,
) -> Result<i64, StoreError> {
    if since >= now {
        return publish_sequence(transaction).await;
    }
    let first = sqlx::query_scalar(CURSOR_AT).bind(micros(since)).fetch_optional(&mut **transaction);
    Ok(first.await?.unwrap_or(0))
}

/// The row of a feed. A category's comes with the category; that of everything is made here when
/// somebody subscribes before the first article. `None`: a category that never was.
async fn feed_row(
    transaction: &mut Transaction<'static, Any>,
    key: FeedKey,
    engine: Engine,
    now: Instant,
) -> Result<Option<i64>, StoreError> {
    if let FeedKey::Search(id) = key {
        return watch_search(transaction, id, engine, now).await;
    }
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

/// How a subscription ends, by the change $4. What was cut before stays known by its number.
macro_rules! end {
    () => {
        "UPDATE subscriptions SET ended_at = $2, ended_reason = $3, change = $4,
             ended_behind = (SELECT coalesce(max(n), 0) FROM editions)"
    };
}
use end;

const END_ONE: &str = concat!(
    end!(),
    " WHERE subscriber = $1 AND ended_at IS NULL AND feed = (SELECT n FROM feeds WHERE key = $5)"
);

const END_ALL: &str = concat!(end!(), " WHERE subscriber = $1 AND ended_at IS NULL");

/// The number of the last change of what a subscriber gets. The caller holds him.
async fn last_change(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
) -> Result<Option<i64>, StoreError> {
    let text = "SELECT max(change) FROM subscriptions WHERE subscriber = $1";
    Ok(sqlx::query_scalar(text).bind(subscriber.0).fetch_one(&mut **transaction).await?)
}

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
    let change = last_change(transaction, id).await?.unwrap_or(0) + 1;
    let ending = |statement| {
        sqlx::query::<Any>(statement).bind(id.0).bind(micros(now)).bind(reason.as_str()).bind(change)
    };
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
