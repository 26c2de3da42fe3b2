//! What stands in each document of a published feed: of one kept feed, of several joined, of a search.
//!
//! A union's or intersection's entries are kept nowhere. Its archive is made of its feeds' closed
//! pages, in the order in which they were closed; what is in none of them is in a window of
//! theirs, and so in the subscription document. A GET of any of them changes nothing, however many
//! combinations somebody thinks of.

use super::archives::PageRow;
use super::article_rows::{Bodies, articles_by_row};
use super::feeds::{FeedState, state_of};
use super::statement::places;
use super::{Store, StoreError};
use crate::domain::{Article, FeedKey, Instant, Selection, from_micros};
use crate::feed::{Part, Tombstone};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::collections::HashSet;

/// How many tombstones a document shows: what was taken back long ago every reader has noticed.
const TOMBSTONES: i64 = 50;

/// How many of a feed's newest entries are looked at for an intersection. Of what is older, all
/// stands in archive pages.
const LOOKED_AT: i64 = 5_000;

/// What stands in one document of a feed, and since when.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// When it changed, as the document says; never backwards where the feed is a kept one.
    pub changed_at: Instant,
    /// When it changed, as HTTP says; never backwards.
    pub last_modified: Instant,
    /// The publish sequence up to which nothing of it can be missing.
    pub change_number: i64,
    /// Whether it changed before in the second of `last_modified`.
    pub twice_in_one_second: bool,
    /// Its entries, the newest first.
    pub articles: Vec<Article>,
    /// What was taken back, the latest first.
    pub tombstones: Vec<Tombstone>,
    /// Which of the feed's documents it is.
    pub part: Part,
}

impl Contents {
    /// What a feed shows that nothing ever happened to.
    pub fn empty() -> Self {
        Self {
            changed_at: Instant::default(),
            last_modified: Instant::default(),
            change_number: 0,
            twice_in_one_second: false,
            articles: Vec::new(),
            tombstones: Vec::new(),
            part: Part::Subscription { archives: 0 },
        }
    }
}

/// A kept feed as far as documents need it.
struct Kept {
    n: i64,
    state: FeedState,
    pages: i64,
    window: i64,
    defined_at: i64,
}

impl Kept {
    fn of_row(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            n: row.try_get("n")?,
            state: state_of(row)?,
            pages: row.try_get("pages")?,
            window: row.try_get("window_size")?,
            defined_at: row.try_get("defined_at")?,
        })
    }
}

/// An entry by which documents are put in order: instant, row.
type Entry = (i64, i64);

const KEPT: &str = "SELECT n, key, changed_at, change_number, same_second, pages, window_size, defined_at \
    FROM feeds WHERE key = $1";

const NEWEST: &str = "SELECT published_at, article FROM entries WHERE feed = $1 \
    ORDER BY published_at DESC, article DESC LIMIT $2";

const OPEN: &str = "SELECT published_at, article FROM entries WHERE feed = $1 AND page = 0";

const OF_PAGE: &str = "SELECT published_at, article FROM entries WHERE feed = $1 AND page = $2 \
    ORDER BY published_at DESC, article DESC";

const BURIED: &str = "SELECT a.id, t.article, t.withdrawn_at FROM tombstones t JOIN articles a ON a.n = t.article \
    WHERE t.feed = $1 ORDER BY t.withdrawn_at DESC, t.article DESC LIMIT $2";

impl Store {
    /// The document that readers poll. `None` where a feed of the selection has never had anything.
    pub async fn subscription_document(
        &self,
        selection: &Selection,
        window: usize,
    ) -> Result<Option<Contents>, StoreError> {
        let mut tx = self.snapshot().await?;
        let Some(kept) = kept_feeds(&mut tx, selection.keys()).await? else { return Ok(None) };
        let window = i64::try_from(window).unwrap_or(i64::MAX);
        let entries = match selection {
            Selection::One(_) | Selection::Search(_) => newest(&mut tx, kept[0].n, window).await?,
            Selection::Union(_) => newest_of_any(&mut tx, &kept, window).await?,
            Selection::Intersection(_) => newest_of_each(&mut tx, &kept, window).await?,
        };
        let tombstones = tombstones(&mut tx, &kept, selection).await?;
        let rows: Vec<i64> = entries.iter().map(|(_, article)| *article).collect();
        let articles = articles_by_row(&mut tx, &rows, Bodies::With).await?;
        tx.commit().await?;
        let articles: Vec<Article> = articles.into_iter().map(|(_, article)| article).collect();
        let state = latest(&kept);
        Ok(Some(Contents {
            changed_at: match selection {
                Selection::Intersection(_) => {
                    newest_event(&articles, &tombstones).unwrap_or(state.changed_at)
                }
                _ => state.changed_at,
            },
            last_modified: state.changed_at,
            change_number: state.change_number,
            twice_in_one_second: state.twice_in_one_second,
            part: Part::Subscription { archives: kept.iter().map(|feed| feed.pages).sum() },
            articles,
            tombstones,
        }))
    }

    /// An archive document. `None` where there is no such page.
    pub async fn archive_document(
        &self,
        selection: &Selection,
        number: i64,
    ) -> Result<Option<Contents>, StoreError> {
        let mut tx = self.snapshot().await?;
        let Some(kept) = kept_feeds(&mut tx, selection.keys()).await? else { return Ok(None) };
        let archives: i64 = kept.iter().map(|feed| feed.pages).sum();
        if number < 1 || number > archives {
            return Ok(None);
        }
        let Some((page, last_modified, twice)) = closed_page(&mut tx, &kept, number).await? else {
            return Ok(None);
        };
        let mut entries: Vec<Entry> =
            entries_of(&sqlx::query(OF_PAGE).bind(page.0).bind(page.1).fetch_all(&mut *tx).await?)?;
        if let Selection::Intersection(_) = selection {
            entries = standing_in_all(&mut tx, &kept, page.0, entries).await?;
        }
        let rows: Vec<i64> = entries.iter().map(|(_, article)| *article).collect();
        let articles = articles_by_row(&mut tx, &rows, Bodies::With).await?;
        tx.commit().await?;
        Ok(Some(Contents {
            changed_at: last_modified,
            last_modified,
            change_number: latest(&kept).change_number,
            twice_in_one_second: twice,
            articles: articles.into_iter().map(|(_, article)| article).collect(),
            tombstones: Vec::new(),
            part: Part::Archive { number, archives },
        }))
    }

    /// A page of a search, counted from 1. `None` beyond the last one.
    pub async fn search_document(
        &self,
        words: &str,
        window: usize,
        number: u32,
    ) -> Result<Option<Contents>, StoreError> {
        let mut tx = self.snapshot().await?;
        let state = kept_feeds(&mut tx, &[FeedKey::All]).await?.map(|kept| latest(&kept));
        let before = usize::try_from(number.saturating_sub(1)).unwrap_or_default().saturating_mul(window);
        let mut found = super::search::find(&mut tx, self.engine(), words, window + 1, before).await?;
        if number != 1 && found.is_empty() {
            return Ok(None);
        }
        let more = found.len() > window;
        found.truncate(window);
        let articles = articles_by_row(&mut tx, &found, Bodies::With).await?;
        tx.commit().await?;
        let articles: Vec<Article> = articles.into_iter().map(|(_, article)| article).collect();
        let last_modified = state.map(|state| state.changed_at).unwrap_or_default();
        Ok(Some(Contents {
            changed_at: newest_event(&articles, &[]).unwrap_or(last_modified),
            last_modified,
            change_number: state.map(|state| state.change_number).unwrap_or_default(),
            twice_in_one_second: state.is_some_and(|state| state.twice_in_one_second),
            articles,
            tombstones: Vec::new(),
            part: Part::Page { number, more },
        }))
    }
}

/// The latest thing that the entries tell of. What is found by looking has no change of its own
/// that could be kept, and must not seem to change with every article that it does not hold.
fn newest_event(articles: &[Article], tombstones: &[Tombstone]) -> Option<Instant> {
    let articles = articles.iter().map(|article| article.updated.max(article.published));
    articles.chain(tombstones.iter().map(|tombstone| tombstone.withdrawn_at)).max()
}

/// The kept feeds of a selection; `None` where one was never made.
async fn kept_feeds(
    connection: &mut AnyConnection,
    keys: &[FeedKey],
) -> Result<Option<Vec<Kept>>, StoreError> {
    let mut kept = Vec::with_capacity(keys.len());
    for key in keys {
        match sqlx::query(KEPT).bind(key.to_string()).fetch_optional(&mut *connection).await? {
            Some(row) => kept.push(Kept::of_row(&row)?),
            None => return Ok(None),
        }
    }
    Ok(Some(kept).filter(|kept| !kept.is_empty()))
}

/// The state of the feed that changed last. Two that changed within a second are one that changed
/// twice.
fn latest(kept: &[Kept]) -> FeedState {
    let mut states: Vec<FeedState> = kept.iter().map(|feed| feed.state).collect();
    states.sort_by_key(|state| (state.changed_at, state.change_number));
    let mut last = states[states.len() - 1];
    let same = |state: &&FeedState| state.changed_at.timestamp() == last.changed_at.timestamp();
    let within = states.iter().filter(same);
    last.twice_in_one_second =
        within.clone().count() > 1 || within.clone().any(|state| state.twice_in_one_second);
    last.change_number = states.iter().map(|state| state.change_number).max().unwrap_or_default();
    last
}

fn entries_of(rows: &[AnyRow]) -> Result<Vec<Entry>, StoreError> {
    rows.iter().map(|row| Ok((row.try_get("published_at")?, row.try_get("article")?))).collect()
}

async fn newest(connection: &mut AnyConnection, feed: i64, limit: i64) -> Result<Vec<Entry>, StoreError> {
    entries_of(&sqlx::query(NEWEST).bind(feed).bind(limit).fetch_all(connection).await?)
}

/// The newest of all, and whatever stands in no page yet: that is in no archive document.
async fn newest_of_any(
    connection: &mut AnyConnection,
    kept: &[Kept],
    window: i64,
) -> Result<Vec<Entry>, StoreError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut open: HashSet<Entry> = HashSet::new();
    for feed in kept {
        all.extend(newest(connection, feed.n, window.max(feed.window)).await?);
        open.extend(entries_of(&sqlx::query(OPEN).bind(feed.n).fetch_all(&mut *connection).await?)?);
    }
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.dedup();
    let window = usize::try_from(window).unwrap_or(usize::MAX);
    let shown = |(at, entry): (usize, Entry)| (at < window || open.contains(&entry)).then_some(entry);
    Ok(all.into_iter().enumerate().filter_map(shown).collect())
}

/// The newest that stand in each, found from the feed with the fewest pages.
async fn newest_of_each(
    connection: &mut AnyConnection,
    kept: &[Kept],
    window: i64,
) -> Result<Vec<Entry>, StoreError> {
    let Some(first) = kept.iter().min_by_key(|feed| (feed.pages, feed.n)) else { return Ok(Vec::new()) };
    let window = kept.iter().map(|feed| feed.window).max().unwrap_or_default().max(window);
    let others: String = kept
        .iter()
        .filter(|feed| feed.n != first.n)
        .map(|feed| {
            format!(
                " AND EXISTS (SELECT 1 FROM entries o WHERE o.feed = {} AND o.article = e.article)",
                feed.n
            )
        })
        .collect();
    let text = format!(
        "SELECT e.published_at, e.article FROM (SELECT published_at, article FROM entries WHERE feed = $1 \
         ORDER BY published_at DESC, article DESC LIMIT $2) e WHERE 1 = 1{others} \
         ORDER BY e.published_at DESC, e.article DESC LIMIT $3"
    );
    let rows = sqlx::query(AssertSqlSafe(text)).persistent(false).bind(first.n).bind(LOOKED_AT).bind(window);
    entries_of(&rows.fetch_all(connection).await?)
}

/// Those of a page that stand in every other feed too.
async fn standing_in_all(
    connection: &mut AnyConnection,
    kept: &[Kept],
    own: i64,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>, StoreError> {
    let mut standing = entries;
    for feed in kept.iter().filter(|feed| feed.n != own) {
        let articles: Vec<i64> = standing.iter().map(|(_, article)| *article).collect();
        let text = "SELECT article FROM entries WHERE feed = $1 AND article IN ({keys})";
        let rows = super::statement::fetch_about(connection, text, &[feed.n], &articles).await?;
        let there: HashSet<i64> = rows.iter().map(|row| row.try_get("article")).collect::<Result<_, _>>()?;
        standing.retain(|(_, article)| there.contains(article));
    }
    Ok(standing)
}

/// The page that stands at this place in the order of closing, and when it last changed: by an
/// event of its own, by the next page's closing, or by a new definition of its feed.
async fn closed_page(
    connection: &mut AnyConnection,
    kept: &[Kept],
    number: i64,
) -> Result<Option<(PageRow, Instant, bool)>, StoreError> {
    let text = format!(
        "SELECT feed, page, changed_at, same_second FROM archives WHERE feed IN ({}) \
         ORDER BY closed_by, feed, page LIMIT 2 OFFSET ${}",
        places(1, kept.len()),
        kept.len() + 1
    );
    let statement = kept.iter().fold(sqlx::query(AssertSqlSafe(text)), |s, feed| s.bind(feed.n));
    let rows = statement.bind(number - 1).fetch_all(connection).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (feed, page): PageRow = (row.try_get("feed")?, row.try_get("page")?);
    let defined_at = kept.iter().map(|kept| kept.defined_at).max().unwrap_or_default();
    let mut instants = vec![row.try_get::<i64, _>("changed_at")?, defined_at];
    // Of one feed, the page before is touched when the next one is closed.
    if kept.len() > 1
        && let Some(next) = rows.get(1)
    {
        instants.push(next.try_get("changed_at")?);
    }
    let last = instants.iter().copied().max().unwrap_or_default();
    let twice = row.try_get::<i64, _>("same_second")? == 1
        || instants.iter().filter(|instant| **instant / 1_000_000 == last / 1_000_000).count() > 1;
    Ok(Some(((feed, page), from_micros(last), twice)))
}

/// Of a union, what was taken out of any; of an intersection, out of each.
async fn tombstones(
    connection: &mut AnyConnection,
    kept: &[Kept],
    selection: &Selection,
) -> Result<Vec<Tombstone>, StoreError> {
    let mut found: Vec<(i64, i64, Tombstone)> = Vec::new();
    for feed in kept {
        for row in sqlx::query(BURIED).bind(feed.n).bind(TOMBSTONES).fetch_all(&mut *connection).await? {
            let (id, article): (String, i64) = (row.try_get("id")?, row.try_get("article")?);
            let withdrawn: i64 = row.try_get("withdrawn_at")?;
            let id = id.parse().map_err(|_| super::statement::damaged("articles", article, id))?;
            found.push((withdrawn, article, Tombstone { article: id, withdrawn_at: from_micros(withdrawn) }));
        }
    }
    found.sort_unstable_by_key(|(withdrawn, article, _)| std::cmp::Reverse((*withdrawn, *article)));
    let needed = if matches!(selection, Selection::Intersection(_)) { kept.len() } else { 1 };
    let groups = found.chunk_by(|a, b| a.1 == b.1).filter(|group| group.len() >= needed);
    let shown = groups.filter_map(|group| group.first().map(|(_, _, tombstone)| tombstone.clone()));
    Ok(shown.take(usize::try_from(TOMBSTONES).unwrap_or_default()).collect())
}
