//! Searches that readers asked to be told of. Each is a feed whose entries are kept like any
//! other's, so that ledger, cursors, withdrawals and private feeds need not know of it.
//!
//! An article is held against the searches whose telling word it holds: as many as are candidates,
//! not as many as there are. One that nobody has confirmed yet costs nothing.

use super::acceptance_rows::{Entry, write_entries};
use super::editions::publish_sequence;
use super::feeds::{FeedRow, Touched, feed_rows, touch_feeds};
use super::search::{find_whole, words_of_articles};
use super::sequence::hold_sequence;
use super::statement::{damaged, fetch_about, storable};
use super::{Engine, Store, StoreError};
use crate::domain::{DEFAULT_WINDOW, FeedKey, Instant, SavedSearch, SearchId};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row, Transaction};
use std::collections::{BTreeSet, HashMap, HashSet};

const SAVE: &str = "INSERT INTO searches (id, title, words, word) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO NOTHING";

const ONE: &str = "SELECT id, title, words, watched FROM searches WHERE id = $1";

/// By searches_by_word.
const CANDIDATES: &str = "SELECT f.n AS feed, f.key, s.words, s.word, s.watched FROM searches s \
    JOIN feeds f ON f.key = 'search:' || s.id WHERE s.watched IS NOT NULL AND s.word IN ({keys})";

/// A search that an article may be found by.
struct Candidate {
    feed: FeedRow,
    words: Vec<String>,
    watched: i64,
}

/// An article that is held against searches.
pub(super) struct Searched<'w> {
    /// The publish sequence since which it is out; of one that comes out now, the last there is.
    pub(super) since: i64,
    /// Its words, each once.
    pub(super) words: &'w str,
    /// In which feeds it stands.
    pub(super) standing: Option<&'w BTreeSet<FeedRow>>,
}

impl Store {
    /// Keeps what somebody wants to be told of, and says by which feed. Repeatable. Articles are
    /// held against it once the first reader has confirmed.
    pub async fn save_search(&self, search: &SavedSearch) -> Result<FeedKey, StoreError> {
        sqlx::query(SAVE)
            .bind(search.id.to_string())
            .bind(storable(&search.title))
            .bind(search.words.join(" "))
            .bind(search.telling_word().to_owned())
            .execute(self.writer())
            .await?;
        Ok(FeedKey::Search(search.id))
    }

    /// Those of these feeds that are searches, with their titles.
    pub async fn searches(&self, keys: &[FeedKey]) -> Result<Vec<SavedSearch>, StoreError> {
        let ids: Vec<String> = keys
            .iter()
            .filter_map(|key| match key {
                FeedKey::Search(id) => Some(id.to_string()),
                _ => None,
            })
            .collect();
        let text = "SELECT id, title, words FROM searches WHERE id IN ({keys})";
        let rows = fetch_about(&mut *self.readers().acquire().await?, text, &[], &ids).await?;
        let mut found: Vec<SavedSearch> = rows.iter().map(search_of).collect::<Result<_, _>>()?;
        found.sort_by(|a, b| a.title.cmp(&b.title));
        Ok(found)
    }
}

fn search_of(row: &AnyRow) -> Result<SavedSearch, StoreError> {
    let id: String = row.try_get("id")?;
    let words: String = row.try_get("words")?;
    Ok(SavedSearch {
        id: id.parse().map_err(|_| damaged("searches", &id, &id))?,
        words: words.split(' ').map(str::to_owned).collect(),
        title: row.try_get("title")?,
    })
}

/// The feed of a search to which somebody subscribes. When the first one comes it is filled with
/// the newest articles that it finds, each at its own place in the order of publishing: so the first
/// mail reaches back as that of any other feed does. `None`: a search that was never saved.
pub(super) async fn watch_search(
    transaction: &mut Transaction<'static, Any>,
    id: SearchId,
    engine: Engine,
    now: Instant,
) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(ONE).bind(id.to_string()).fetch_optional(&mut **transaction).await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<Option<i64>, _>("watched")?.is_none() {
        // Nothing may come out between the look at what is there and the watching.
        hold_sequence(transaction, engine).await?;
        start_watching(transaction, &search_of(&row)?, engine, now).await?;
    }
    let feed = sqlx::query_scalar("SELECT n FROM feeds WHERE key = $1");
    Ok(feed.bind(FeedKey::Search(id).to_string()).fetch_optional(&mut **transaction).await?)
}

async fn start_watching(
    transaction: &mut Transaction<'static, Any>,
    search: &SavedSearch,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    let present = publish_sequence(transaction).await?;
    let watching = sqlx::query("UPDATE searches SET watched = $2 WHERE id = $1 AND watched IS NULL")
        .bind(search.id.to_string())
        .bind(present)
        .execute(&mut **transaction)
        .await?;
    if watching.rows_affected() == 0 {
        return Ok(());
    }
    let key = FeedKey::Search(search.id);
    let (rows, _) = feed_rows(transaction, &[key]).await?;
    let Some(feed) = rows.get(&key).copied() else { return Ok(()) };
    let found = find_whole(transaction, engine, &search.words, DEFAULT_WINDOW).await?;
    let text = "SELECT n, published_at, sequence, mailable FROM articles WHERE n IN ({keys})";
    let mut entries = Vec::with_capacity(found.len());
    for row in fetch_about(transaction, text, &[], &found).await? {
        let mailed = row.try_get::<i64, _>("mailable")? == 1;
        let sequence: Option<i64> = row.try_get("sequence")?;
        entries.push(Entry {
            feed: feed.n,
            article: row.try_get("n")?,
            published: row.try_get("published_at")?,
            sequence: sequence.filter(|_| mailed).unwrap_or_default(),
        });
    }
    write_entries(transaction, entries).await?;
    touch_feeds(transaction, &Touched::feeds([feed]), None, now).await
}

/// The feeds of the searches by which each of these articles is found, in their order.
///
/// An article that was out before a search was watched does not enter it by a correction: either it
/// held the words all along, or it is no news.
pub(super) async fn search_feeds(
    connection: &mut AnyConnection,
    articles: &[Searched<'_>],
) -> Result<Vec<BTreeSet<FeedRow>>, StoreError> {
    let mut feeds = vec![BTreeSet::new(); articles.len()];
    let any: Option<i64> = sqlx::query_scalar("SELECT n FROM searches WHERE watched IS NOT NULL LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    if any.is_none() {
        return Ok(feeds);
    }
    let words: Vec<HashSet<&str>> =
        articles.iter().map(|article| article.words.split(' ').collect()).collect();
    let all: HashSet<&str> = words.iter().flatten().copied().collect();
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let mut candidates: HashMap<String, Vec<Candidate>> = HashMap::new();
    for row in fetch_about(connection, CANDIDATES, &[], &all).await? {
        let words: String = row.try_get("words")?;
        candidates.entry(row.try_get("word")?).or_default().push(Candidate {
            feed: FeedRow::of_row(&row)?,
            words: words.split(' ').map(str::to_owned).collect(),
            watched: row.try_get("watched")?,
        });
    }
    for ((article, words), feeds) in articles.iter().zip(&words).zip(&mut feeds) {
        let candidates = words.iter().filter_map(|word| candidates.get(*word)).flatten();
        let found = candidates.filter(|candidate| {
            let stands = article.standing.is_some_and(|feeds| feeds.contains(&candidate.feed));
            (stands || candidate.watched < article.since)
                && candidate.words.iter().all(|word| words.contains(word.as_str()))
        });
        feeds.extend(found.map(|candidate| candidate.feed));
    }
    Ok(feeds)
}

/// The same for articles as they stand in the store.
pub(super) async fn search_feeds_of_articles(
    connection: &mut AnyConnection,
    rows: &[i64],
) -> Result<HashMap<i64, BTreeSet<FeedRow>>, StoreError> {
    let any: Option<i64> = sqlx::query_scalar("SELECT n FROM searches WHERE watched IS NOT NULL LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    if any.is_none() {
        return Ok(HashMap::new());
    }
    let words = words_of_articles(connection, rows).await?;
    // They come out now, so after every watching.
    let searched: Vec<Searched<'_>> =
        words.iter().map(|(_, words)| Searched { since: i64::MAX, words, standing: None }).collect();
    let feeds = search_feeds(connection, &searched).await?;
    Ok(words.iter().map(|(n, _)| *n).zip(feeds).collect())
}
