use super::StoreError;
use super::statement::{damaged, fetch_about};
use crate::domain::{
    Article, ArticleState, Category, Enclosure, Image, Label, LanguageTag, SafeHtml, Source, WebUrl,
    from_micros, labels_of,
};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::HashMap;

/// Whether full texts are read too; they are most of an article's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bodies {
    /// They are.
    With,
    /// They stay empty.
    Without,
}

/// What an article has besides its text: the JSON of `articles.details`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) authors: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) image: Option<Image>,
    pub(super) enclosures: Vec<Enclosure>,
    pub(super) source: Option<Source>,
}

impl Details {
    /// Under which the article is gathered.
    pub(super) fn labels(&self) -> Vec<Label> {
        labels_of(&self.tags, &self.authors, self.source.as_ref())
    }
}

/// What an article said before it was changed: the JSON of `revisions.content`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) title: String,
    pub(super) summary: Option<String>,
    pub(super) url: Option<String>,
    pub(super) language: Option<String>,
    pub(super) details: Details,
    pub(super) html: String,
    pub(super) updated_at: i64,
}

const WITH_BODIES: &str = "SELECT a.n, a.id, a.state, a.revision, a.title, a.summary, a.url, a.language, \
    a.details, a.published_at, a.updated_at, b.html \
    FROM articles a JOIN article_bodies b ON b.article = a.n WHERE a.n IN ({keys})";

const WITHOUT_BODIES: &str = "SELECT a.n, a.id, a.state, a.revision, a.title, a.summary, a.url, a.language, \
    a.details, a.published_at, a.updated_at, '' AS html FROM articles a WHERE a.n IN ({keys})";

const CATEGORIES: &str = "SELECT k.article, c.id, c.slug, c.title, p.id AS parent \
    FROM article_categories k JOIN categories c ON c.n = k.category LEFT JOIN categories p ON p.n = c.parent \
    WHERE k.article IN ({keys}) ORDER BY k.article, k.position";

const REVISIONS: &str = "SELECT article, number, content FROM revisions WHERE article IN ({keys})";

/// The articles of these rows, in this order; a row that is gone is left out. Two queries, plus two
/// for each further thousand.
pub(super) async fn articles_by_row(
    connection: &mut AnyConnection,
    rows: &[i64],
    bodies: Bodies,
) -> Result<Vec<(i64, Article)>, StoreError> {
    let text = if bodies == Bodies::With { WITH_BODIES } else { WITHOUT_BODIES };
    let mut categories = categories_by_article(connection, rows).await?;
    let mut articles = HashMap::with_capacity(rows.len());
    for row in fetch_about(connection, text, &[], rows).await? {
        let n: i64 = row.try_get("n")?;
        articles.insert(n, article_of_row(&row, n, categories.remove(&n).unwrap_or_default())?);
    }
    Ok(rows.iter().filter_map(|n| articles.remove(n).map(|article| (*n, article))).collect())
}

/// The articles of these rows as they were at these revisions, in this order. State and categories
/// are the present ones: what was withdrawn since is withdrawn.
pub(super) async fn articles_at_revision(
    connection: &mut AnyConnection,
    wanted: &[(i64, i64)],
    bodies: Bodies,
) -> Result<Vec<(i64, Article)>, StoreError> {
    let rows: Vec<i64> = wanted.iter().map(|(n, _)| *n).collect();
    let numbers: HashMap<i64, i64> = wanted.iter().copied().collect();
    let mut articles = articles_by_row(connection, &rows, bodies).await?;
    let revised: Vec<i64> = articles
        .iter()
        .filter(|(n, article)| numbers.get(n).is_some_and(|number| *number != article.revision))
        .map(|(n, _)| *n)
        .collect();
    let mut contents: HashMap<i64, (i64, Content)> = HashMap::new();
    for row in fetch_about(connection, REVISIONS, &[], &revised).await? {
        let (n, number): (i64, i64) = (row.try_get("article")?, row.try_get("number")?);
        if numbers.get(&n) == Some(&number) {
            let content: String = row.try_get("content")?;
            let content = serde_json::from_str(&content)
                .map_err(|error| damaged("revisions", format!("{n}/{number}"), error.to_string()))?;
            contents.insert(n, (number, content));
        }
    }
    for (n, article) in &mut articles {
        if let Some((number, content)) = contents.remove(n) {
            apply_content(article, *n, number, content, bodies)?;
        }
    }
    Ok(articles)
}

fn apply_content(
    article: &mut Article,
    n: i64,
    number: i64,
    content: Content,
    bodies: Bodies,
) -> Result<(), StoreError> {
    article.revision = number;
    article.title = content.title;
    article.summary = content.summary;
    article.url = url_of(content.url, "revisions", n)?;
    article.language = language_of(content.language, "revisions", n)?;
    article.updated = from_micros(content.updated_at);
    if bodies == Bodies::With {
        article.body = SafeHtml::stored(content.html);
    }
    let Details { authors, tags, image, enclosures, source } = content.details;
    (article.authors, article.tags, article.image) = (authors, tags, image);
    (article.enclosures, article.source) = (enclosures, source);
    Ok(())
}

fn article_of_row(row: &AnyRow, n: i64, categories: Vec<Category>) -> Result<Article, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let (id, state, details) = (text("id")?, text("state")?, text("details")?);
    let Details { authors, tags, image, enclosures, source } =
        serde_json::from_str(&details).map_err(|_| damaged("articles", n, details))?;
    Ok(Article {
        id: id.parse().map_err(|_| damaged("articles", n, id))?,
        state: ArticleState::parse(&state).ok_or_else(|| damaged("articles", n, state))?,
        revision: row.try_get("revision")?,
        title: text("title")?,
        summary: row.try_get("summary")?,
        body: SafeHtml::stored(text("html")?),
        url: url_of(row.try_get("url")?, "articles", n)?,
        categories,
        tags,
        authors,
        published: from_micros(row.try_get("published_at")?),
        updated: from_micros(row.try_get("updated_at")?),
        image,
        enclosures,
        source,
        language: language_of(row.try_get("language")?, "articles", n)?,
    })
}

fn url_of(text: Option<String>, table: &'static str, n: i64) -> Result<Option<WebUrl>, StoreError> {
    text.map(|text| WebUrl::parse(&text).map_err(|_| damaged(table, n, text))).transpose()
}

fn language_of(text: Option<String>, table: &'static str, n: i64) -> Result<Option<LanguageTag>, StoreError> {
    text.map(|text| LanguageTag::parse(&text).ok_or_else(|| damaged(table, n, text))).transpose()
}

async fn categories_by_article(
    connection: &mut AnyConnection,
    articles: &[i64],
) -> Result<HashMap<i64, Vec<Category>>, StoreError> {
    let mut categories: HashMap<i64, Vec<Category>> = HashMap::new();
    for row in fetch_about(connection, CATEGORIES, &[], articles).await? {
        categories.entry(row.try_get("article")?).or_default().push(category_of_row(&row)?);
    }
    Ok(categories)
}

/// A row with `id`, `slug`, `title`, and `parent` as an id.
pub(super) fn category_of_row(row: &AnyRow) -> Result<Category, StoreError> {
    let id: String = row.try_get("id")?;
    let slug: String = row.try_get("slug")?;
    let parent: Option<String> = row.try_get("parent")?;
    Ok(Category {
        slug: slug.parse().map_err(|_| damaged("categories", &id, slug))?,
        title: row.try_get("title")?,
        parent: parent
            .map(|parent| parent.parse().map_err(|_| damaged("categories", &id, parent)))
            .transpose()?,
        id: id.parse().map_err(|_| damaged("categories", "id", id))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Chance, Draft, Instant};
    use crate::store::Store;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Chance for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    #[tokio::test]
    async fn a_frozen_revision_says_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/bantin.db", folder.path().display());
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        store.migrate(Instant::default()).await.unwrap();
        let chance = Counting(0.into());
        let mut draft = Draft::titled("Một").unwrap();
        for (title, body) in [("Một", "a"), ("Hai", "b"), ("Ba", "c")] {
            draft.title = title.to_owned();
            draft.body = SafeHtml::from_text(body);
            draft.authors = vec![body.to_owned()];
            draft.url = WebUrl::parse(&format!("https://bao.example/{body}")).ok();
            store.accept(&[draft.clone()], true, Instant::default(), &chance).await.unwrap();
        }
        let mut tx = store.snapshot().await.unwrap();
        for (number, title, body) in [(1, "Một", "a"), (2, "Hai", "b"), (3, "Ba", "c")] {
            let articles = articles_at_revision(&mut tx, &[(1, number)], Bodies::With).await.unwrap();
            let (n, article) = &articles[0];
            assert_eq!((*n, article.revision, article.title.as_str()), (1, number, title));
            assert_eq!((article.body.text().as_str(), article.authors[0].as_str()), (body, body));
            assert!(article.url.as_ref().unwrap().as_str().ends_with(body));
        }
        assert!(articles_at_revision(&mut tx, &[(7, 1)], Bodies::With).await.unwrap().is_empty());
    }
}
