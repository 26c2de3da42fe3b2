use super::callbacks::{LiveCallback, callback_of};
use super::statement::{damaged, insert_rows};
use super::{Store, StoreError};
use crate::domain::{CallbackId, FeedKey, Instant, TopicId, TopicPath, from_micros, micros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::BTreeMap;

/// A topic that somebody is subscribed to, one of whose feeds changed since it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicBehind {
    /// Which.
    pub id: TopicId,
    /// Of its document.
    pub path: TopicPath,
    /// The newest change of its feeds.
    pub change: i64,
    /// Of the bytes that its callbacks were last told of.
    pub entity_tag: String,
}

/// A topic as the newsroom sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Of its document.
    pub path: TopicPath,
    /// How many callbacks are subscribed.
    pub callbacks: i64,
    /// How many of them could not be pushed to.
    pub failing: i64,
    /// When a push was last accepted.
    pub last_push: Option<Instant>,
    /// Since when the oldest push is due that nobody has taken.
    pub oldest_due: Option<Instant>,
}

/// How the hub stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Topics with a callback.
    pub topics: i64,
    /// Callbacks whose lease runs.
    pub callbacks: i64,
    /// Those that could not be pushed to.
    pub failing: i64,
    /// Requests that wait to be verified.
    pub requests: i64,
    /// Pushes that are due.
    pub due: i64,
    /// Since when the oldest of them is.
    pub oldest_due: Option<Instant>,
}

/// Found from the changed feeds, so that it costs nothing when none changed.
const BEHIND: &str = "SELECT t.n, t.path, t.entity_tag, max(f.change_number) AS change \
    FROM feeds f JOIN topic_feeds tf ON tf.feed = f.key JOIN topics t ON t.n = tf.topic \
    WHERE f.change_number > $1 AND f.change_number > t.noticed \
    AND EXISTS (SELECT 1 FROM callbacks c WHERE c.topic = t.n AND c.expires_at > $2) \
    GROUP BY t.n, t.path, t.entity_tag";

/// What a reader has by mail may change without his topic; so it is looked up each time.
const PRIVATE_BEHIND: &str = "SELECT t.n, t.path, t.entity_tag, max(f.change_number) AS change \
    FROM topics t JOIN subscriptions s ON s.subscriber = t.subscriber AND s.ended_at IS NULL \
    JOIN feeds f ON f.n = s.feed \
    WHERE t.subscriber IS NOT NULL AND f.change_number > $1 AND f.change_number > t.noticed \
    AND EXISTS (SELECT 1 FROM callbacks c WHERE c.topic = t.n AND c.expires_at > $2) \
    GROUP BY t.n, t.path, t.entity_tag";

/// A claimed callback stays claimed: it is due again once it is settled. Its tries begin anew either way.
const MAKE_DUE: &str = "UPDATE callbacks SET wanted = $2, attempts = 0, \
    due_at = CASE WHEN claimed_by IS NULL THEN $3 ELSE due_at END \
    WHERE topic = $1 AND expires_at > $3 AND wanted < $2";

impl Store {
    /// The topics with a live callback of which a feed changed after `seen` and after they were
    /// looked at, the oldest topic first.
    pub async fn topics_behind(&self, seen: i64, now: Instant) -> Result<Vec<TopicBehind>, StoreError> {
        let mut tx = self.snapshot().await?;
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(max(change_number), 0) FROM feeds")
            .fetch_one(&mut *tx)
            .await?;
        if last <= seen {
            return Ok(Vec::new());
        }
        let mut behind: BTreeMap<i64, TopicBehind> = BTreeMap::new();
        for text in [BEHIND, PRIVATE_BEHIND] {
            for row in sqlx::query(text).bind(seen).bind(micros(now)).fetch_all(&mut *tx).await? {
                let n: i64 = row.try_get("n")?;
                let change = row.try_get("change")?;
                let topic = TopicBehind {
                    id: TopicId(n),
                    path: path_of(&row, n)?,
                    change,
                    entity_tag: row.try_get("entity_tag")?,
                };
                let known = behind.entry(n).or_insert(topic);
                known.change = known.change.max(change);
            }
        }
        Ok(behind.into_values().collect())
    }

    /// The smallest mark of the topics with a live callback: where a look at changes begins.
    pub async fn oldest_notice(&self, now: Instant) -> Result<Option<i64>, StoreError> {
        let text = "SELECT min(t.noticed) FROM topics t \
            WHERE EXISTS (SELECT 1 FROM callbacks c WHERE c.topic = t.n AND c.expires_at > $1)";
        Ok(sqlx::query_scalar(text).bind(micros(now)).fetch_one(self.readers()).await?)
    }

    /// A topic was looked at: its mark moves on to `change`, and if its bytes are others than those
    /// its callbacks were told of, all live ones become due. Nothing where somebody else has looked
    /// already. Returns how many became due.
    pub async fn note_topic(
        &self,
        id: TopicId,
        change: i64,
        entity_tag: &str,
        feeds: &[FeedKey],
        now: Instant,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let former: Option<String> =
            sqlx::query_scalar(self.locked("SELECT entity_tag FROM topics WHERE n = $1"))
                .bind(id.0)
                .fetch_optional(&mut *tx)
                .await?;
        let moved =
            sqlx::query("UPDATE topics SET noticed = $2, entity_tag = $3 WHERE n = $1 AND noticed < $2")
                .bind(id.0)
                .bind(change)
                .bind(entity_tag.to_owned())
                .execute(&mut *tx)
                .await?
                .rows_affected();
        let mut due = 0;
        if moved > 0 {
            note_feeds(&mut tx, id.0, feeds).await?;
            if former.as_deref() != Some(entity_tag) {
                let made = sqlx::query(MAKE_DUE).bind(id.0).bind(change).bind(micros(now));
                due = made.execute(&mut *tx).await?.rows_affected();
            }
        }
        tx.commit().await?;
        Ok(due)
    }

    /// A topic is gone for good: every callback ends, and each is to be told. Returns how many.
    pub async fn end_topic(&self, id: TopicId, reason: &str, now: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let text = "SELECT c.n, t.path, c.url FROM callbacks c JOIN topics t ON t.n = c.topic \
            WHERE t.n = $1 AND c.expires_at > $2 ORDER BY c.n";
        let rows = sqlx::query(text).bind(id.0).bind(micros(now)).fetch_all(&mut *tx).await?;
        let live = rows.iter().map(live_of).collect::<Result<Vec<_>, _>>()?;
        super::callbacks::end_callbacks(&mut tx, &live, reason, now).await?;
        tx.commit().await?;
        Ok(live.len() as u64)
    }

    /// Ends subscriptions by hand: those of a topic, of a callback, or of one to the other. Each
    /// callback is to be told.
    pub async fn drop_callbacks(
        &self,
        path: Option<&TopicPath>,
        url: Option<&str>,
        reason: &str,
        now: Instant,
    ) -> Result<Vec<LiveCallback>, StoreError> {
        let mut tx = self.write().await?;
        let text = "SELECT c.n, t.path, c.url FROM callbacks c JOIN topics t ON t.n = c.topic \
            WHERE c.expires_at > $1 AND ($2 = '' OR t.path = $2) AND ($3 = '' OR c.url = $3) ORDER BY c.n";
        let rows = sqlx::query(text)
            .bind(micros(now))
            .bind(path.map_or_else(String::new, |path| path.as_str().to_owned()))
            .bind(url.unwrap_or_default().to_owned())
            .fetch_all(&mut *tx)
            .await?;
        let live = rows.iter().map(live_of).collect::<Result<Vec<_>, _>>()?;
        super::callbacks::end_callbacks(&mut tx, &live, reason, now).await?;
        tx.commit().await?;
        Ok(live)
    }

    /// The topics with a live callback, in the order of their paths.
    pub async fn hub_topics(&self, now: Instant) -> Result<Vec<TopicState>, StoreError> {
        let text = "SELECT t.n, t.path, count(*) AS callbacks, \
            count(c.failing_since) AS failing, max(c.pushed_at) AS last_push, \
            min(CASE WHEN c.due_at <= $1 THEN c.due_at END) AS oldest_due \
            FROM callbacks c JOIN topics t ON t.n = c.topic WHERE c.expires_at > $1 \
            GROUP BY t.n, t.path ORDER BY t.path";
        let rows = sqlx::query(text).bind(micros(now)).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| {
                Ok(TopicState {
                    path: path_of(row, row.try_get("n")?)?,
                    callbacks: row.try_get("callbacks")?,
                    failing: row.try_get("failing")?,
                    last_push: row.try_get::<Option<i64>, _>("last_push")?.map(from_micros),
                    oldest_due: row.try_get::<Option<i64>, _>("oldest_due")?.map(from_micros),
                })
            })
            .collect()
    }

    /// How the hub stands, for the metrics.
    pub async fn hub_counts(&self, now: Instant) -> Result<HubCounts, StoreError> {
        let text = "SELECT count(DISTINCT topic) AS topics, count(*) AS callbacks, \
            count(failing_since) AS failing, count(CASE WHEN due_at <= $1 THEN 1 END) AS due, \
            min(CASE WHEN due_at <= $1 THEN due_at END) AS oldest_due \
            FROM callbacks WHERE expires_at > $1";
        let row = sqlx::query(text).bind(micros(now)).fetch_one(self.readers()).await?;
        let requests = sqlx::query_scalar("SELECT count(*) FROM callback_requests").fetch_one(self.readers());
        Ok(HubCounts {
            topics: row.try_get("topics")?,
            callbacks: row.try_get("callbacks")?,
            failing: row.try_get("failing")?,
            requests: requests.await?,
            due: row.try_get("due")?,
            oldest_due: row.try_get::<Option<i64>, _>("oldest_due")?.map(from_micros),
        })
    }
}

/// The topic of a path, locked until the transaction ends, and the mark up to which it was looked at.
/// Made where there is none; one that nobody was subscribed to begins at the present.
pub(super) async fn hold_topic(
    connection: &mut AnyConnection,
    topic: &NewTopic<'_>,
    now: Instant,
) -> Result<(i64, i64), StoreError> {
    let text = "INSERT INTO topics (path, subscriber, noticed, entity_tag) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (path) DO UPDATE SET path = excluded.path RETURNING n, noticed";
    let row = sqlx::query(text)
        .bind(topic.path.as_str().to_owned())
        .bind(topic.subscriber)
        .bind(topic.change)
        .bind(topic.entity_tag.to_owned())
        .fetch_one(&mut *connection)
        .await?;
    let (n, noticed): (i64, i64) = (row.try_get("n")?, row.try_get("noticed")?);
    let text = "SELECT count(*) FROM callbacks WHERE topic = $1 AND expires_at > $2";
    let live: i64 = sqlx::query_scalar(text).bind(n).bind(micros(now)).fetch_one(&mut *connection).await?;
    if live > 0 {
        return Ok((n, noticed));
    }
    sqlx::query("UPDATE topics SET noticed = $2, entity_tag = $3, subscriber = $4 WHERE n = $1")
        .bind(n)
        .bind(topic.change)
        .bind(topic.entity_tag.to_owned())
        .bind(topic.subscriber)
        .execute(&mut *connection)
        .await?;
    note_feeds(connection, n, topic.feeds).await?;
    Ok((n, topic.change))
}

/// A topic as a new callback finds it.
pub(super) struct NewTopic<'t> {
    pub(super) path: &'t TopicPath,
    pub(super) subscriber: Option<i64>,
    pub(super) change: i64,
    pub(super) entity_tag: &'t str,
    pub(super) feeds: &'t [FeedKey],
}

async fn note_feeds(connection: &mut AnyConnection, topic: i64, feeds: &[FeedKey]) -> Result<(), StoreError> {
    let mut wanted: Vec<String> = feeds.iter().map(FeedKey::to_string).collect();
    wanted.sort_unstable();
    let known: Vec<String> =
        sqlx::query_scalar("SELECT feed FROM topic_feeds WHERE topic = $1 ORDER BY feed")
            .bind(topic)
            .fetch_all(&mut *connection)
            .await?;
    if known == wanted {
        return Ok(());
    }
    sqlx::query("DELETE FROM topic_feeds WHERE topic = $1").bind(topic).execute(&mut *connection).await?;
    let text = "INSERT INTO topic_feeds (topic, feed) VALUES {rows} RETURNING topic";
    insert_rows(connection, text, "(?, ?)", &wanted, |s, feed| s.bind(topic).bind(feed.clone())).await?;
    Ok(())
}

pub(super) fn path_of(row: &AnyRow, n: i64) -> Result<TopicPath, StoreError> {
    let path: String = row.try_get("path")?;
    TopicPath::of_path(&path).ok_or_else(|| damaged("topics", n, path))
}

pub(super) fn live_of(row: &AnyRow) -> Result<LiveCallback, StoreError> {
    let n = row.try_get("n")?;
    Ok(LiveCallback { id: CallbackId(n), path: path_of(row, n)?, callback: callback_of(row, n)? })
}
