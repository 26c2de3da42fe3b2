use super::article_rows::{Bodies, articles_by_row};
use super::statement::{execute_about, insert_rows};
use super::{Engine, Store, StoreError};
use crate::domain::{Article, Draft, SafeHtml, fold};
use sqlx::AnyConnection;
use std::collections::HashSet;

/// How much of an article is searched, in characters. Nobody looks for what stands beyond, and
/// PostgreSQL takes 1 MB of words at most.
const SEARCHED_CHARS: usize = 20_000;

/// The longest word, in characters; PostgreSQL refuses words beyond 2,046 bytes.
const WORD_CHARS: usize = 60;

/// How many words of a query count.
const QUERY_WORDS: usize = 32;

/// The matches are gathered once; joined directly, the planner would put the whole query to the
/// index once for each article. What is visible stands in the feed of everything.
const SEARCH_SQLITE: &str = "WITH found AS MATERIALIZED ( \
        SELECT rowid AS article FROM article_search WHERE article_search MATCH $1) \
    SELECT e.article FROM entries e \
    WHERE e.feed = (SELECT n FROM feeds WHERE key = 'all') AND e.article IN (SELECT article FROM found) \
    ORDER BY e.published_at DESC, e.article DESC LIMIT $2 OFFSET $3";

const SEARCH_POSTGRES: &str = "WITH found AS MATERIALIZED ( \
        SELECT article FROM article_search WHERE words @@ CAST($1 AS tsquery)) \
    SELECT e.article FROM entries e \
    WHERE e.feed = (SELECT n FROM feeds WHERE key = 'all') AND e.article IN (SELECT article FROM found) \
    ORDER BY e.published_at DESC, e.article DESC LIMIT $2 OFFSET $3";

impl Store {
    /// The visible articles that hold all these words, the newest first, without full texts. The
    /// last word may be the beginning of one. Diacritics do not matter.
    pub async fn search(&self, words: &str, limit: usize) -> Result<Vec<Article>, StoreError> {
        let mut tx = self.snapshot().await?;
        let found = find(&mut tx, self.engine(), words, limit, 0).await?;
        let articles = articles_by_row(&mut tx, &found, Bodies::Without).await?;
        tx.commit().await?;
        Ok(articles.into_iter().map(|(_, article)| article).collect())
    }
}

/// The rows of what is found, the newest first, after so many.
pub(super) async fn find(
    connection: &mut AnyConnection,
    engine: Engine,
    words: &str,
    limit: usize,
    after: usize,
) -> Result<Vec<i64>, StoreError> {
    let Some(query) = search_query(engine, words) else { return Ok(Vec::new()) };
    matches(connection, engine, query, limit, after).await
}

/// The rows of the newest articles that hold each of these folded words whole.
pub(super) async fn find_whole(
    connection: &mut AnyConnection,
    engine: Engine,
    words: &[String],
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let query = match engine {
        Engine::Sqlite => format!("\"{}\"", words.join("\" \"")),
        Engine::Postgres => format!("'{}'", words.join("' & '")),
    };
    matches(connection, engine, query, limit, 0).await
}

async fn matches(
    connection: &mut AnyConnection,
    engine: Engine,
    query: String,
    limit: usize,
    after: usize,
) -> Result<Vec<i64>, StoreError> {
    let text = match engine {
        Engine::Sqlite => SEARCH_SQLITE,
        Engine::Postgres => SEARCH_POSTGRES,
    };
    Ok(sqlx::query_scalar(text)
        .bind(query)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?)
}

/// The words of a text, folded and cut.
fn words_of(folded: &str) -> impl Iterator<Item = &str> {
    folded
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.char_indices().nth(WORD_CHARS).map_or(word, |(end, _)| &word[..end]))
}

/// A query in the engine's language. Folding leaves only letters, digits and blanks of what was
/// typed, so that no quote, star or bracket of it reaches the parser.
fn search_query(engine: Engine, typed: &str) -> Option<String> {
    let typed: String = typed.chars().take(QUERY_WORDS * (WORD_CHARS + 1)).collect();
    let folded = fold(&typed);
    let words: Vec<&str> = words_of(&folded).take(QUERY_WORDS).collect();
    if words.is_empty() {
        return None;
    }
    Some(match engine {
        Engine::Sqlite => format!("\"{}\"*", words.join("\" \"")),
        Engine::Postgres => format!("'{}':*", words.join("' & '")),
    })
}

/// What an article is found by: each word once, as order does not count.
pub(super) fn search_words(draft: &Draft) -> String {
    words_in(&draft.title, draft.summary.as_deref(), &draft.authors, &draft.body)
}

fn words_in(title: &str, summary: Option<&str>, authors: &[String], body: &SafeHtml) -> String {
    let mut text = title.to_owned();
    for part in summary.into_iter().chain(authors.iter().map(String::as_str)) {
        text.push('\n');
        text.push_str(part);
    }
    text.push('\n');
    text.push_str(&body.text());
    let end = text.char_indices().nth(SEARCHED_CHARS).map_or(text.len(), |(end, _)| end);
    let folded = fold(&text[..end]);
    let mut seen = HashSet::new();
    let words: Vec<&str> = words_of(&folded).filter(|word| seen.insert(*word)).collect();
    words.join(" ")
}

/// The words of articles as they stand in the store.
pub(super) async fn words_of_articles(
    connection: &mut AnyConnection,
    rows: &[i64],
) -> Result<Vec<(i64, String)>, StoreError> {
    let articles = articles_by_row(connection, rows, Bodies::With).await?;
    let words = |article: &Article| {
        words_in(&article.title, article.summary.as_deref(), &article.authors, &article.body)
    };
    Ok(articles.iter().map(|(n, article)| (*n, words(article))).collect())
}

/// Makes articles findable by these words.
pub(super) async fn index_articles(
    connection: &mut AnyConnection,
    engine: Engine,
    articles: &[(i64, &str)],
) -> Result<(), StoreError> {
    let (text, row) = match engine {
        Engine::Sqlite => ("INSERT INTO article_search (rowid, words) VALUES {rows}", "(?, ?)"),
        // The words are the ones we folded; to_tsvector would cut them its own way.
        Engine::Postgres => (
            "INSERT INTO article_search (article, words) VALUES {rows}",
            "(?, array_to_tsvector(string_to_array(?, ' ')))",
        ),
    };
    insert_rows(connection, text, row, articles, |s, (n, words)| s.bind(*n).bind((*words).to_owned()))
        .await?;
    Ok(())
}

/// Makes articles unfindable, before they are indexed anew.
pub(super) async fn forget_articles(
    connection: &mut AnyConnection,
    engine: Engine,
    articles: &[i64],
) -> Result<(), StoreError> {
    let text = match engine {
        Engine::Sqlite => "DELETE FROM article_search WHERE rowid IN ({keys})",
        Engine::Postgres => "DELETE FROM article_search WHERE article IN ({keys})",
    };
    execute_about(connection, text, &[], articles).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_queries_become_words() {
        for typed in ["\" OR NEAR(a*", "' OR 1=1 --", "a:b AND NOT (c", "^a -b +c"] {
            let query = search_query(Engine::Sqlite, typed).unwrap();
            assert!(query.chars().all(|c| c.is_alphanumeric() || " \"*".contains(c)), "{query}");
        }
        assert_eq!(search_query(Engine::Sqlite, "Xây Đảng").unwrap(), "\"xay\" \"dang\"*");
        assert_eq!(search_query(Engine::Postgres, "Xây Đảng").unwrap(), "'xay' & 'dang':*");
        assert_eq!(search_query(Engine::Sqlite, "\"*:(-"), None);
    }

    #[test]
    fn an_article_is_found_by_each_word_once() {
        let mut draft = Draft::titled("Đảng, Đảng").unwrap();
        draft.summary = Some("Xây dựng".into());
        draft.body = SafeHtml::from_text("đảng ở Đắk Lắk");
        draft.authors = vec!["Chí Bảo".into()];
        assert_eq!(search_words(&draft), "dang xay dung chi bao o dak lak");
    }

    proptest! {
        #[test]
        fn no_query_is_too_odd(typed in any::<String>()) {
            for engine in [Engine::Sqlite, Engine::Postgres] {
                let query = search_query(engine, &typed).unwrap_or_default();
                let quotes = query.chars().filter(|c| *c == '\'' || *c == '"').count();
                prop_assert_eq!(quotes % 2, 0);
                prop_assert!(!query.contains('\\') && !query.contains('\0'));
            }
        }
    }
}
