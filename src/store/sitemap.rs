//! What search engines are told of: visible articles by age and by row, and sections by change.

use super::article_rows::{Bodies, articles_by_row};
use super::feeds::{FeedState, STATE, state_of};
use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{Article, ArticleId, FeedKey, Instant, WebUrl, from_micros, micros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

/// Rows of the store in one sitemap of articles. Rows never move, so a sitemap changes only with
/// an article of its own; 50,000 is the most that sitemaps.org allows.
const SITEMAP_ROWS: i64 = 10_000;

/// Walks articles_by_state from its end.
const NEWS: &str = "SELECT n FROM articles WHERE state = 'visible' AND published_at > $1 \
    AND (url IS NULL OR substr(url, 1, length($2)) = $2) ORDER BY published_at DESC, n DESC LIMIT $3";

/// When the newest article went that is too old: the other end of the same walk.
const LAST_NEWS: &str =
    "SELECT max(published_at) FROM articles WHERE state = 'visible' AND published_at <= $1";

/// A range of the primary key: `|| ''` keeps SQLite off articles_by_state, all of which it would
/// walk and sort (300,000 rows: 8 ms instead of 40).
const IN_ROWS: &str = "SELECT n, id, url, updated_at FROM articles \
    WHERE n > $1 AND n <= $2 AND state || '' = 'visible' \
    AND (url IS NULL OR substr(url, 1, length($3)) = $3) ORDER BY n";

/// Reads the whole table, so its answer is kept until the store changes; in its own order (300,000
/// rows: 0.14 s instead of 0.6).
const RANGES: &str = "SELECT (n - 1) / $1 + 1 AS number, max(updated_at) AS updated_at FROM articles \
    WHERE state || '' = 'visible' AND (url IS NULL OR substr(url, 1, length($2)) = $2) GROUP BY 1 ORDER BY 1";

/// The young articles, as of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct YoungArticles {
    /// When the feed of everything last changed; `None` where nothing was ever in it.
    pub state: Option<FeedState>,
    /// Those that are young enough, the newest first, without full texts.
    pub articles: Vec<Article>,
    /// When the youngest was published that is too old.
    pub before: Option<Instant>,
}

/// An article as sitemaps name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedArticle {
    /// Which.
    pub id: ArticleId,
    /// Its own address, where it has one.
    pub url: Option<WebUrl>,
    /// Its last significant change.
    pub updated: Instant,
}

/// A sitemap lists pages of its own host only; `origin` is how their addresses begin.
impl Store {
    /// The visible articles that were published after an instant, the newest first.
    pub async fn young_articles(
        &self,
        origin: &str,
        after: Instant,
        limit: usize,
    ) -> Result<YoungArticles, StoreError> {
        let mut tx = self.snapshot().await?;
        let state = state_of_everything(&mut tx).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let news = sqlx::query_scalar(NEWS).bind(micros(after)).bind(origin.to_owned()).bind(limit);
        let rows: Vec<i64> = news.fetch_all(&mut *tx).await?;
        let articles = articles_by_row(&mut tx, &rows, Bodies::Without).await?;
        let before: Option<i64> =
            sqlx::query_scalar(LAST_NEWS).bind(micros(after)).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        let articles = articles.into_iter().map(|(_, article)| article).collect();
        Ok(YoungArticles { state, articles, before: before.map(from_micros) })
    }

    /// The visible articles of a sitemap, counted from 1, in the order of their rows, and when the
    /// feed of everything last changed.
    pub async fn listed_articles(
        &self,
        origin: &str,
        number: i64,
    ) -> Result<(Option<FeedState>, Vec<ListedArticle>), StoreError> {
        let end = number.saturating_mul(SITEMAP_ROWS);
        let mut tx = self.snapshot().await?;
        let state = state_of_everything(&mut tx).await?;
        let rows = sqlx::query(IN_ROWS).bind(end.saturating_sub(SITEMAP_ROWS)).bind(end);
        let rows = rows.bind(origin.to_owned()).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok((state, rows.iter().map(listed_of).collect::<Result<_, _>>()?))
    }

    /// The sitemaps that have visible articles, by number, with the last change of an article of
    /// each; and when the feed of everything last changed.
    pub async fn sitemap_ranges(
        &self,
        origin: &str,
    ) -> Result<(Option<FeedState>, Vec<(i64, Instant)>), StoreError> {
        let mut tx = self.snapshot().await?;
        let state = state_of_everything(&mut tx).await?;
        let rows = sqlx::query(RANGES).bind(SITEMAP_ROWS).bind(origin.to_owned()).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let range = |row: &AnyRow| Ok((row.try_get("number")?, from_micros(row.try_get("updated_at")?)));
        Ok((state, rows.iter().map(range).collect::<Result<_, StoreError>>()?))
    }
}

/// Whatever a sitemap lists is in the feed of everything, and changes with it.
async fn state_of_everything(connection: &mut AnyConnection) -> Result<Option<FeedState>, StoreError> {
    let row = sqlx::query(STATE).bind(FeedKey::All.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(state_of).transpose()
}

fn listed_of(row: &AnyRow) -> Result<ListedArticle, StoreError> {
    let n: i64 = row.try_get("n")?;
    let (id, url): (String, Option<String>) = (row.try_get("id")?, row.try_get("url")?);
    Ok(ListedArticle {
        id: id.parse().map_err(|_| damaged("articles", n, id))?,
        url: url.map(|url| WebUrl::parse(&url).map_err(|_| damaged("articles", n, url))).transpose()?,
        updated: from_micros(row.try_get("updated_at")?),
    })
}
