//! Articles page by page: a page begins behind the last article of the one before, so that what comes
//! in meanwhile moves nothing.

use super::article_rows::Bodies;
use super::articles::STATES;
use super::conditional::{KeyedArticle, keyed_articles};
use super::{Store, StoreError};
use crate::domain::{ArticleState, CategoryId, Instant, micros};
use sqlx::{AnyConnection, AssertSqlSafe};

/// Where an article stands among all, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When it was published, in microseconds.
    pub published: i64,
    /// Its row.
    pub row: i64,
}

impl Position {
    /// Before every article.
    pub const START: Self = Self { published: i64::MAX, row: i64::MAX };
}

/// Which articles a page shows.
#[derive(Clone, Copy, Debug)]
pub struct ArticlePage {
    /// Those of this section and its parts only.
    pub category: Option<CategoryId>,
    /// Those in this state only.
    pub state: Option<ArticleState>,
    /// Those published at this instant or later.
    pub since: Option<Instant>,
    /// Those behind this one.
    pub behind: Position,
    /// How many at most.
    pub limit: usize,
}

/// Walks articles_by_state from its end.
const BEHIND: &str = "SELECT n, published_at FROM articles WHERE state = $1 \
    AND (published_at, n) < ($2, $3) AND published_at >= $4 {of} ORDER BY published_at DESC, n DESC LIMIT $5";

const OF_CATEGORY: &str = "AND n IN (WITH RECURSIVE part (category) AS ( \
        SELECT n FROM categories WHERE id = $6 \
        UNION SELECT c.n FROM part p JOIN categories c ON c.parent = p.category) \
    SELECT k.article FROM part p JOIN article_categories k ON k.category = p.category)";

impl Store {
    /// A page of articles, the newest first, without full texts; and where the next page begins, if
    /// there is one.
    pub async fn article_page(
        &self,
        page: &ArticlePage,
    ) -> Result<(Vec<KeyedArticle>, Option<Position>), StoreError> {
        let mut tx = self.snapshot().await?;
        let states = page.state.map_or(STATES.to_vec(), |state| vec![state]);
        let mut positions = Vec::new();
        for state in states {
            positions.extend(behind(&mut tx, page, state).await?);
        }
        positions.sort_unstable_by(|a, b| b.cmp(a));
        let more = positions.len() > page.limit;
        positions.truncate(page.limit);
        let rows: Vec<i64> = positions.iter().map(|position| position.row).collect();
        let articles = keyed_articles(&mut tx, &rows, Bodies::Without).await?;
        tx.commit().await?;
        Ok((articles, positions.last().copied().filter(|_| more)))
    }
}

/// One more than the page holds, to know whether there is another one.
async fn behind(
    connection: &mut AnyConnection,
    page: &ArticlePage,
    state: ArticleState,
) -> Result<Vec<Position>, StoreError> {
    let text = BEHIND.replace("{of}", if page.category.is_some() { OF_CATEGORY } else { "" });
    let mut statement = sqlx::query_as::<_, (i64, i64)>(AssertSqlSafe(text))
        .bind(state.as_str())
        .bind(page.behind.published)
        .bind(page.behind.row)
        .bind(page.since.map_or(i64::MIN, micros))
        .bind(i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1));
    if let Some(category) = page.category {
        statement = statement.bind(category.to_string());
    }
    let rows = statement.fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(row, published)| Position { published, row }).collect())
}
