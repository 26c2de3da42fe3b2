use super::archives::{PageRow, close_pages, touch_pages};
use super::article_rows::{Bodies, articles_by_row};
use super::sequence::{advance_sequence, hold_sequence};
use super::statement::{damaged, execute_about, fetch_about, insert_rows};
use super::{Store, StoreError};
use crate::domain::{Article, DEFAULT_WINDOW, FeedKey, Instant, from_micros, micros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::{BTreeSet, HashMap};

/// When a feed last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedState {
    /// Which feed.
    pub key: FeedKey,
    /// When; never runs backwards, even where the clock does.
    pub changed_at: Instant,
    /// The publish sequence of that change; grows with every change of any feed.
    pub change_number: i64,
    /// Whether it changed before in that same second, so that a date with seconds cannot tell the
    /// two states apart (RFC 9110 §8.8.2.2).
    pub twice_in_one_second: bool,
}

/// A feed inside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FeedRow {
    pub(super) n: i64,
    pub(super) key: FeedKey,
}

impl FeedRow {
    /// Reads a row with `feed` and `key`.
    pub(super) fn of_row(row: &AnyRow) -> Result<Self, StoreError> {
        let n = row.try_get("feed")?;
        Ok(Self { n, key: key_of(row, n)? })
    }
}

const ALL_STATES: &str = "SELECT n, key, changed_at, change_number, same_second FROM feeds ORDER BY n";

const CHANGED_AFTER: &str = "SELECT n, key, changed_at, change_number, same_second FROM feeds \
    WHERE change_number > $1 ORDER BY change_number, n";

pub(super) const STATE: &str =
    "SELECT n, key, changed_at, change_number, same_second FROM feeds WHERE key = $1";

/// Read off the index entries_by_age alone: as many steps as rows, however large the feed.
const NEWEST: &str = "SELECT article FROM entries WHERE feed = $1 \
    ORDER BY published_at DESC, article DESC LIMIT $2";

const NOTED: &str = "SELECT n AS feed, key, definition, window_size FROM feeds WHERE n IN ({keys})";

const NOTE: &str = "UPDATE feeds SET definition = $1, window_size = $2, defined_at = COALESCE($3, defined_at) \
    WHERE n = $4";

const NOTED_LABELS: &str = "SELECT n AS feed, key, definition, window_size FROM feeds \
    WHERE key LIKE 'label:%' AND definition <> $1";

/// The clock may run backwards, changed_at may not. The flag is raised where the second is one that
/// Last-Modified said before: then it says the next one (`Validators::last_modified`).
const TOUCH: &str = "UPDATE feeds SET \
    same_second = CASE WHEN changed_at > $1 OR changed_at / 1000000 + same_second >= $1 / 1000000 THEN 1 ELSE 0 END, \
    changed_at = CASE WHEN changed_at > $1 THEN changed_at ELSE $1 END, \
    change_number = $2 WHERE n IN ({keys})";

impl Store {
    /// The state of every feed.
    pub async fn feed_states(&self) -> Result<Vec<FeedState>, StoreError> {
        let rows = sqlx::query(ALL_STATES).fetch_all(self.readers()).await?;
        rows.iter().map(state_of).collect()
    }

    /// The publish sequence of the last change of any feed.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        let last = sqlx::query_scalar("SELECT COALESCE(max(change_number), 0) FROM feeds");
        Ok(last.fetch_one(self.readers()).await?)
    }

    /// The feeds that changed after a change, the oldest change first. Nothing can appear later at
    /// or below a number seen here.
    pub async fn feeds_changed_after(&self, change_number: i64) -> Result<Vec<FeedState>, StoreError> {
        let rows = sqlx::query(CHANGED_AFTER).bind(change_number).fetch_all(self.readers()).await?;
        rows.iter().map(state_of).collect()
    }

    /// A feed's state and its newest articles with their full texts, as of one moment. Four queries.
    pub async fn feed_snapshot(
        &self,
        key: FeedKey,
        limit: usize,
    ) -> Result<Option<(FeedState, Vec<Article>)>, StoreError> {
        let mut tx = self.snapshot().await?;
        let Some(row) = sqlx::query(STATE).bind(key.to_string()).fetch_optional(&mut *tx).await? else {
            return Ok(None);
        };
        let state = state_of(&row)?;
        let newest = newest_entries(&mut tx, row.try_get("n")?, limit).await?;
        let articles = articles_by_row(&mut tx, &newest, Bodies::With).await?;
        tx.commit().await?;
        Ok(Some((state, articles.into_iter().map(|(_, article)| article).collect())))
    }

    /// Notes how feeds are defined now. A changed definition is an event of its feed; an unchanged
    /// one moves nothing. Feeds of labels that no file declares share the definition `labels`.
    pub async fn note_definitions(
        &self,
        definitions: &[Definition],
        labels: &str,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let wanted: HashMap<FeedKey, &Definition> = definitions.iter().map(|d| (d.key, d)).collect();
        let keys: Vec<FeedKey> = std::iter::once(FeedKey::All).chain(wanted.keys().copied()).collect();
        let (rows, made) = feed_rows(&mut tx, &keys).await?;
        let mut touched = Touched::feeds(made);
        let ns: Vec<i64> = rows.values().map(|row| row.n).collect();
        let mut known = fetch_about(&mut tx, NOTED, &[], &ns).await?;
        known.extend(sqlx::query(NOTED_LABELS).bind(labels.to_owned()).fetch_all(&mut *tx).await?);
        for row in known {
            let feed = FeedRow::of_row(&row)?;
            let (fingerprint, window) = match wanted.get(&feed.key) {
                Some(definition) => (definition.fingerprint.as_str(), definition.window),
                None if matches!(feed.key, FeedKey::Label(_)) => (labels, DEFAULT_WINDOW),
                None => continue,
            };
            let window = i64::try_from(window).unwrap_or(i64::MAX);
            let (known, shown): (String, i64) = (row.try_get("definition")?, row.try_get("window_size")?);
            if known == fingerprint && shown == window {
                continue;
            }
            // A feed that an import made says here for the first time how it looks; nothing about
            // it has changed, unless it shows more or less.
            let changed = !known.is_empty() || shown != window;
            let statement = sqlx::query(NOTE).bind(fingerprint.to_owned()).bind(window);
            let statement = statement.bind(changed.then(|| micros(now))).bind(feed.n);
            statement.execute(&mut *tx).await?;
            touched.feeds.extend(changed.then_some(feed));
        }
        touch_feeds(&mut tx, &touched, None, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// How a feed is published, as far as its bytes depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Which feed.
    pub key: FeedKey,
    /// Of title, description and the like.
    pub fingerprint: String,
    /// How many articles it shows.
    pub window: usize,
}

/// The rows of the newest entries of a feed, newest first.
pub(super) async fn newest_entries(
    connection: &mut AnyConnection,
    feed: i64,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    Ok(sqlx::query_scalar(NEWEST)
        .bind(feed)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?)
}

/// What a transaction changed that readers see.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The feeds.
    pub(super) feeds: BTreeSet<FeedRow>,
    /// The archive pages that hold what changed.
    pub(super) pages: BTreeSet<PageRow>,
}

impl Touched {
    /// Feeds whose archives are as they were.
    pub(super) fn feeds(feeds: impl IntoIterator<Item = FeedRow>) -> Self {
        Self { feeds: feeds.into_iter().collect(), pages: BTreeSet::new() }
    }
}

/// Marks feeds as changed by this transaction, whose last number `number` is; without one a number
/// is taken. Closes the archive pages that are due by it. Touches nothing where there is nothing to
/// touch.
pub(super) async fn touch_feeds(
    connection: &mut AnyConnection,
    touched: &Touched,
    number: Option<i64>,
    now: Instant,
) -> Result<(), StoreError> {
    if touched.feeds.is_empty() {
        return Ok(());
    }
    let number = match number {
        Some(number) => number,
        None => advance_sequence(connection, 1).await?,
    };
    let feeds: Vec<FeedRow> = touched.feeds.iter().copied().collect();
    let ns: Vec<i64> = feeds.iter().map(|feed| feed.n).collect();
    execute_about(connection, TOUCH, &[micros(now), number], &ns).await?;
    touch_pages(connection, touched.pages.iter().copied(), number, now).await?;
    close_pages(connection, &feeds, number, now).await
}

/// The rows of these feeds, and which of them were made just now. A new one stands at the epoch
/// until the caller touches it.
pub(super) async fn feed_rows(
    connection: &mut AnyConnection,
    keys: &[FeedKey],
) -> Result<(HashMap<FeedKey, FeedRow>, Vec<FeedRow>), StoreError> {
    let texts: Vec<String> = keys.iter().map(FeedKey::to_string).collect();
    let mut rows = HashMap::new();
    let text = "SELECT n AS feed, key FROM feeds WHERE key IN ({keys})";
    for row in fetch_about(connection, text, &[], &texts).await? {
        let feed = FeedRow::of_row(&row)?;
        rows.insert(feed.key, feed);
    }
    let mut missing: Vec<FeedKey> = keys.iter().filter(|key| !rows.contains_key(key)).copied().collect();
    missing.sort_unstable();
    missing.dedup();
    let text = "INSERT INTO feeds (key, changed_at, change_number, same_second) VALUES {rows} \
        RETURNING n AS feed, key";
    let mut made = Vec::new();
    for row in
        insert_rows(connection, text, "(?, 0, 0, 0)", &missing, |s, key| s.bind(key.to_string())).await?
    {
        let feed = FeedRow::of_row(&row)?;
        rows.insert(feed.key, feed);
        made.push(feed);
    }
    Ok((rows, made))
}

/// What the outside knows these feeds by, in order.
pub(super) fn keys_of<'f>(feeds: impl IntoIterator<Item = &'f FeedRow>) -> Vec<FeedKey> {
    let mut keys: Vec<FeedKey> = feeds.into_iter().map(|feed| feed.key).collect();
    keys.sort_unstable();
    keys
}

pub(super) fn state_of(row: &AnyRow) -> Result<FeedState, StoreError> {
    Ok(FeedState {
        key: key_of(row, row.try_get("n")?)?,
        changed_at: from_micros(row.try_get("changed_at")?),
        change_number: row.try_get("change_number")?,
        twice_in_one_second: row.try_get::<i64, _>("same_second")? == 1,
    })
}

fn key_of(row: &AnyRow, n: i64) -> Result<FeedKey, StoreError> {
    let key: String = row.try_get("key")?;
    key.parse().map_err(|_| damaged("feeds", n, key))
}
