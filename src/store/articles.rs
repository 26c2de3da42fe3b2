use super::acceptance_rows::{Entry, write_entries};
use super::article_rows::{Bodies, articles_by_row};
use super::categories::lineage_feeds;
use super::endpoints::{EventKind, note_article_events};
use super::feeds::{FeedRow, Touched, feed_rows, keys_of, newest_entries, touch_feeds};
use super::labels::{label_feeds, labels_of_articles};
use super::searches::search_feeds_of_articles;
use super::sequence::{advance_sequence, hold_sequence};
use super::statement::{damaged, fetch_about};
use super::{Engine, Store, StoreError};
use crate::domain::{Article, ArticleId, ArticleState, FeedKey, Instant, from_micros, micros};
use sqlx::{Any, AnyConnection, Row, Transaction};
use std::collections::{BTreeSet, HashMap};

/// Which articles a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArticleSelection {
    /// Those of this feed only.
    pub feed: Option<FeedKey>,
    /// Those in this state only.
    pub state: Option<ArticleState>,
}

/// Every state that an article is listed in.
pub(super) const STATES: [ArticleState; 3] =
    [ArticleState::Embargoed, ArticleState::Visible, ArticleState::Withdrawn];

/// Walks articles_by_state from its end.
const NEWEST_IN_STATE: &str = "SELECT n, published_at FROM articles WHERE state = $1 \
    ORDER BY published_at DESC, n DESC LIMIT $2";

/// What is not visible has no entries; of that there is little, so that its sections may be looked at.
const NEWEST_HIDDEN: &str = "WITH RECURSIVE part (category) AS ( \
        SELECT n FROM categories WHERE id = $3 \
        UNION SELECT c.n FROM part p JOIN categories c ON c.parent = p.category) \
    SELECT n, published_at FROM articles WHERE state = $1 AND EXISTS ( \
        SELECT 1 FROM article_categories k JOIN part p ON p.category = k.category \
        WHERE k.article = articles.n) \
    ORDER BY published_at DESC, n DESC LIMIT $2";

const DUE: &str = "SELECT n FROM articles WHERE state = 'embargoed' AND published_at <= $1 \
    ORDER BY published_at, n";

const STANDING: &str = "SELECT n, state, published_at, updated_at, withdrawn_at, mailable FROM articles \
    WHERE id = $1";

/// A tombstone in each feed that it leaves.
const BURY: &str = "INSERT INTO tombstones (feed, article, withdrawn_at) \
    SELECT feed, article, $1 FROM entries WHERE article = $2";

const ENTERED: &str =
    "SELECT e.feed, e.page, f.key FROM entries e JOIN feeds f ON f.n = e.feed WHERE e.article = $1";

/// How an article stands that is withdrawn, restored or released.
pub(super) struct Standing {
    pub(super) n: i64,
    state: ArticleState,
    published: i64,
    updated: i64,
    /// 0 where it never was.
    withdrawn: i64,
    mailable: bool,
}

impl Store {
    /// One article, with its full text.
    pub async fn article(&self, id: ArticleId) -> Result<Option<Article>, StoreError> {
        let mut tx = self.snapshot().await?;
        let n: Option<i64> = sqlx::query_scalar("SELECT n FROM articles WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        let articles = articles_by_row(&mut tx, n.as_slice(), Bodies::With).await?;
        tx.commit().await?;
        Ok(articles.into_iter().next().map(|(_, article)| article))
    }

    /// The newest articles of a selection, the newest first, without full texts.
    pub async fn articles(
        &self,
        selection: &ArticleSelection,
        limit: usize,
    ) -> Result<Vec<Article>, StoreError> {
        let mut tx = self.snapshot().await?;
        let states = selection.state.map_or(STATES.to_vec(), |state| vec![state]);
        let mut newest: Vec<(i64, i64)> = Vec::new();
        for state in states {
            newest.extend(newest_in_state(&mut tx, selection.feed, state, limit).await?);
        }
        newest.sort_unstable_by(|a, b| b.cmp(a));
        let rows: Vec<i64> = newest.into_iter().take(limit).map(|(_, n)| n).collect();
        let articles = articles_by_row(&mut tx, &rows, Bodies::Without).await?;
        tx.commit().await?;
        Ok(articles.into_iter().map(|(_, article)| article).collect())
    }

    /// Takes an article back: it leaves every feed. Says which ones; none where it was in none, as
    /// at a repeat. `None`: there is no such article.
    pub async fn withdraw(&self, id: ArticleId, now: Instant) -> Result<Option<Vec<FeedKey>>, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some(standing) = standing(&mut tx, id).await? else { return Ok(None) };
        let feeds = take_back(&mut tx, &standing, now).await?;
        tx.commit().await?;
        Ok(Some(feeds))
    }

    /// Publishes a withdrawn article again, or puts it back under its embargo. Says which feeds it
    /// is in now; none where it was not withdrawn. `None`: there is no such article.
    pub async fn restore(&self, id: ArticleId, now: Instant) -> Result<Option<Vec<FeedKey>>, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some(standing) = standing(&mut tx, id).await? else { return Ok(None) };
        let feeds = bring_back(&mut tx, standing, now).await?;
        tx.commit().await?;
        Ok(Some(feeds))
    }

    /// Publishes what was under an embargo that has ended, in the order of its instants.
    pub async fn release_due(&self, now: Instant) -> Result<Vec<ArticleId>, StoreError> {
        if self.next_release().await?.is_none_or(|instant| instant > now) {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let ids = release_embargoes(&mut tx, self.engine(), now).await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// When the next embargo ends.
    pub async fn next_release(&self) -> Result<Option<Instant>, StoreError> {
        let next: Option<i64> =
            sqlx::query_scalar("SELECT min(published_at) FROM articles WHERE state = 'embargoed'")
                .fetch_one(self.readers())
                .await?;
        Ok(next.map(from_micros))
    }
}

/// Withdraws an article. The caller holds the sequence.
pub(super) async fn take_back(
    tx: &mut AnyConnection,
    standing: &Standing,
    now: Instant,
) -> Result<Vec<FeedKey>, StoreError> {
    if standing.state == ArticleState::Withdrawn {
        return Ok(Vec::new());
    }
    let mut touched = Touched::default();
    for row in sqlx::query(ENTERED).bind(standing.n).fetch_all(&mut *tx).await? {
        let feed = FeedRow::of_row(&row)?;
        touched.feeds.insert(feed);
        touched.pages.insert((feed.n, row.try_get("page")?));
    }
    sqlx::query(BURY).bind(micros(now)).bind(standing.n).execute(&mut *tx).await?;
    sqlx::query("DELETE FROM entries WHERE article = $1").bind(standing.n).execute(&mut *tx).await?;
    sqlx::query("UPDATE articles SET state = 'withdrawn', withdrawn_at = $1 WHERE n = $2")
        .bind(micros(now))
        .bind(standing.n)
        .execute(&mut *tx)
        .await?;
    touch_feeds(tx, &touched, None, now).await?;
    if standing.state == ArticleState::Visible {
        note_article_events(tx, EventKind::Withdrawn, &[standing.n], now).await?;
    }
    Ok(keys_of(&touched.feeds))
}

/// Publishes a withdrawn article again, or puts it back under its embargo. The caller holds the
/// sequence.
pub(super) async fn bring_back(
    tx: &mut AnyConnection,
    mut standing: Standing,
    now: Instant,
) -> Result<Vec<FeedKey>, StoreError> {
    if standing.state != ArticleState::Withdrawn {
        return Ok(Vec::new());
    }
    if standing.published > micros(now) {
        sqlx::query("UPDATE articles SET state = 'embargoed', withdrawn_at = NULL WHERE n = $1")
            .bind(standing.n)
            .execute(&mut *tx)
            .await?;
        return Ok(Vec::new());
    }
    // Later than the tombstone's instant, whatever the clock says: that is how a reader knows
    // that the article is back (RFC 6721 §3).
    standing.updated = micros(now).max(standing.updated + 1).max(standing.withdrawn + 1);
    sqlx::query("DELETE FROM tombstones WHERE article = $1").bind(standing.n).execute(&mut *tx).await?;
    let feeds = bring_out(tx, &[standing], now).await?;
    Ok(keys_of(&feeds))
}

/// Lets the articles appear whose embargo ends until an instant.
pub(super) async fn release_embargoes(
    tx: &mut Transaction<'static, Any>,
    engine: Engine,
    now: Instant,
) -> Result<Vec<ArticleId>, StoreError> {
    hold_sequence(tx, engine).await?;
    let due: Vec<i64> = sqlx::query_scalar(DUE).bind(micros(now)).fetch_all(&mut **tx).await?;
    let text = "SELECT n, id, state, published_at, updated_at, withdrawn_at, mailable FROM articles \
        WHERE n IN ({keys}) ORDER BY published_at, n";
    let mut released: Vec<(Standing, ArticleId)> = Vec::with_capacity(due.len());
    for row in fetch_about(tx, text, &[], &due).await? {
        let standing = Standing::of_row(&row)?;
        let id: String = row.try_get("id")?;
        let id = id.parse().map_err(|_| damaged("articles", standing.n, id))?;
        released.push((standing, id));
    }
    released.sort_by_key(|(standing, _)| (standing.published, standing.n));
    let (standings, ids): (Vec<Standing>, Vec<ArticleId>) = released.into_iter().unzip();
    bring_out(tx, &standings, now).await?;
    Ok(ids)
}

impl Standing {
    fn of_row(row: &sqlx::any::AnyRow) -> Result<Self, StoreError> {
        let n = row.try_get("n")?;
        let state: String = row.try_get("state")?;
        Ok(Self {
            n,
            state: ArticleState::parse(&state).ok_or_else(|| damaged("articles", n, state))?,
            published: row.try_get("published_at")?,
            updated: row.try_get("updated_at")?,
            withdrawn: row.try_get::<Option<i64>, _>("withdrawn_at")?.unwrap_or_default(),
            mailable: row.try_get::<i64, _>("mailable")? == 1,
        })
    }
}

pub(super) async fn standing(
    connection: &mut AnyConnection,
    id: ArticleId,
) -> Result<Option<Standing>, StoreError> {
    let row = sqlx::query(STANDING).bind(id.to_string()).fetch_optional(connection).await?;
    row.map(|row| Standing::of_row(&row)).transpose()
}

/// `published_at` and row of the newest articles in a state.
async fn newest_in_state(
    connection: &mut AnyConnection,
    feed: Option<FeedKey>,
    state: ArticleState,
    limit: usize,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let limit_value = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = match feed {
        Some(FeedKey::Category(id)) if state != ArticleState::Visible => {
            let statement = sqlx::query(NEWEST_HIDDEN).bind(state.as_str()).bind(limit_value);
            statement.bind(id.to_string()).fetch_all(&mut *connection).await?
        }
        Some(key @ (FeedKey::Category(_) | FeedKey::Label(_) | FeedKey::Search(_))) => {
            let feed: Option<i64> = sqlx::query_scalar("SELECT n FROM feeds WHERE key = $1")
                .bind(key.to_string())
                .fetch_optional(&mut *connection)
                .await?;
            let Some(feed) = feed else { return Ok(Vec::new()) };
            let newest = newest_entries(connection, feed, limit).await?;
            let text = "SELECT n, published_at FROM articles WHERE n IN ({keys})";
            fetch_about(connection, text, &[], &newest).await?
        }
        // The feed of everything holds what is visible.
        None | Some(FeedKey::All) => {
            let statement = sqlx::query(NEWEST_IN_STATE).bind(state.as_str()).bind(limit_value);
            statement.fetch_all(&mut *connection).await?
        }
    };
    rows.iter().map(|row| Ok((row.try_get("published_at")?, row.try_get("n")?))).collect()
}

/// Makes articles visible in this order, puts them into the feeds of their sections, and touches
/// these. The caller holds the sequence.
async fn bring_out(
    connection: &mut AnyConnection,
    articles: &[Standing],
    now: Instant,
) -> Result<Vec<FeedRow>, StoreError> {
    let rows: Vec<i64> = articles.iter().map(|article| article.n).collect();
    let mut categories: HashMap<i64, Vec<i64>> = HashMap::new();
    let text = "SELECT article, category FROM article_categories WHERE article IN ({keys})";
    for row in fetch_about(connection, text, &[], &rows).await? {
        categories.entry(row.try_get("article")?).or_default().push(row.try_get("category")?);
    }
    let distinct: BTreeSet<i64> = categories.values().flatten().copied().collect();
    let lineage = lineage_feeds(connection, &distinct.into_iter().collect::<Vec<_>>()).await?;
    let (all, _) = feed_rows(connection, &[FeedKey::All]).await?;
    let mut labels = labels_of_articles(connection, &rows).await?;
    let (labelled, _) = label_feeds(connection, labels.values().flatten().cloned()).await?;
    let mut found = search_feeds_of_articles(connection, &rows).await?;

    let last = advance_sequence(connection, i64::try_from(articles.len()).unwrap_or(i64::MAX)).await?;
    let mut entries = Vec::new();
    let mut touched: BTreeSet<FeedRow> = BTreeSet::new();
    for (behind, article) in (0..).zip(articles.iter().rev()) {
        let sequence = last - behind;
        sqlx::query(
            "UPDATE articles SET state = 'visible', visible_since = $1, sequence = $2, updated_at = $3, \
             withdrawn_at = NULL WHERE n = $4",
        )
        .bind(micros(now))
        .bind(sequence)
        .bind(article.updated)
        .bind(article.n)
        .execute(&mut *connection)
        .await?;
        let mut feeds: BTreeSet<FeedRow> = found.remove(&article.n).unwrap_or_default();
        feeds.extend(all.values());
        let own = categories.get(&article.n).into_iter().flatten();
        feeds.extend(own.filter_map(|category| lineage.get(category)).flatten());
        let own = labels.remove(&article.n).unwrap_or_default();
        feeds.extend(own.iter().filter_map(|label| labelled.get(&FeedKey::Label(label.id))));
        entries.extend(feeds.iter().map(|feed| Entry {
            feed: feed.n,
            article: article.n,
            published: article.published,
            sequence: if article.mailable { sequence } else { 0 },
        }));
        touched.extend(feeds);
    }
    write_entries(connection, entries).await?;
    touch_feeds(connection, &Touched::feeds(touched.iter().copied()), Some(last), now).await?;
    note_article_events(connection, EventKind::Published, &rows, now).await?;
    Ok(touched.into_iter().collect())
}
