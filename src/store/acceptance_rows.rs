use super::acceptance::{Incoming, Times};
use super::archives::PageRow;
use super::article_rows::{Content, Details};
use super::feeds::FeedRow;
use super::search::{forget_articles, index_articles};
use super::statement::{Statement, damaged, execute_about, fetch_about, insert_rows, storable};
use super::{Engine, StoreError};
use crate::domain::{ArticleId, ArticleState, Draft, Instant, LanguageTag, micros};
use sqlx::{AnyConnection, Row};
use std::collections::{BTreeSet, HashMap};

const PRESENT: &str = "SELECT n, id, state, revision, fingerprint, published_at, updated_at, mailable, \
    sequence FROM articles WHERE n IN ({keys})";

const ENTRIES: &str = "SELECT e.article, e.page, f.n AS feed, f.key FROM entries e JOIN feeds f ON f.n = e.feed \
    WHERE e.article IN ({keys})";

/// The present state becomes a revision as it stands in the rows: nothing is lost on the way.
const CONTENTS: &str = "SELECT a.n, a.revision, a.title, a.summary, a.url, a.language, a.details, \
    a.updated_at, b.html FROM articles a JOIN article_bodies b ON b.article = a.n WHERE a.n IN ({keys})";

const INSERT: &str = "INSERT INTO articles (id, state, revision, fingerprint, title, summary, url, language, \
    details, published_at, updated_at, accepted_at, visible_since, sequence, mailable) VALUES {rows} \
    RETURNING n, id";

const REVISE: &str = "UPDATE articles SET state = $1, revision = revision + 1, fingerprint = $2, title = $3, \
    summary = $4, url = $5, language = $6, details = $7, published_at = $8, updated_at = $9, \
    visible_since = COALESCE($10, visible_since), sequence = COALESCE($11, sequence) WHERE n = $12";

/// An article as it stands before a draft changes it.
pub(super) struct Present {
    pub(super) n: i64,
    pub(super) id: ArticleId,
    pub(super) state: ArticleState,
    pub(super) revision: i64,
    pub(super) published: i64,
    pub(super) updated: i64,
    /// Since when it is out, by the publish sequence.
    pub(super) sequence: Option<i64>,
    mailable: bool,
    fingerprint: String,
    pub(super) feeds: BTreeSet<FeedRow>,
    /// The archive pages in which it stands; 0 for none.
    pub(super) pages: Vec<PageRow>,
}

impl Present {
    /// Whether a draft says anything new. Of an article that is still to come, also when it comes.
    pub(super) fn differs_from(&self, incoming: &Incoming<'_>) -> bool {
        let moved = self.state == ArticleState::Embargoed
            && incoming.draft.published.is_some_and(|published| micros(published) != self.published);
        moved || self.fingerprint != incoming.fingerprint
    }
}

/// An article to be inserted.
pub(super) struct NewArticle<'d> {
    pub(super) incoming: &'d Incoming<'d>,
    pub(super) id: ArticleId,
    pub(super) times: Times,
    pub(super) categories: Vec<i64>,
    pub(super) feeds: BTreeSet<FeedRow>,
    /// What it is found by.
    pub(super) words: String,
    pub(super) sequence: i64,
}

impl NewArticle<'_> {
    /// The feeds that it enters.
    pub(super) fn touched(&self) -> BTreeSet<FeedRow> {
        if self.times.is_visible() { self.feeds.clone() } else { BTreeSet::new() }
    }
}

/// An article to be changed.
pub(super) struct RevisedArticle<'d> {
    pub(super) incoming: &'d Incoming<'d>,
    pub(super) present: Present,
    pub(super) times: Times,
    pub(super) categories: Vec<i64>,
    pub(super) feeds: BTreeSet<FeedRow>,
    /// What it is found by.
    pub(super) words: String,
    pub(super) sequence: i64,
}

impl RevisedArticle<'_> {
    /// The feeds that it enters by this change.
    pub(super) fn enters(&self) -> impl Iterator<Item = &FeedRow> {
        let visible = self.times.is_visible();
        self.feeds.difference(&self.present.feeds).filter(move |_| visible)
    }

    /// Every feed that shows the change: those it stands in, those it leaves, those it enters.
    pub(super) fn touched(&self) -> BTreeSet<FeedRow> {
        self.enters().chain(&self.present.feeds).copied().collect()
    }

    /// Whether this change brings it out.
    fn comes_out(&self) -> bool {
        self.times.is_visible() && self.present.state != ArticleState::Visible
    }
}

/// Which of these keys lead to which article.
pub(super) async fn keys_in_use(
    connection: &mut AnyConnection,
    keys: &[String],
) -> Result<HashMap<String, i64>, StoreError> {
    let text = "SELECT key, article FROM article_keys WHERE key IN ({keys})";
    let rows = fetch_about(connection, text, &[], keys).await?;
    rows.iter().map(|row| Ok((row.try_get("key")?, row.try_get("article")?))).collect()
}

/// Lets these keys lead to their articles.
pub(super) async fn record_keys(
    connection: &mut AnyConnection,
    keys: &[(String, i64)],
) -> Result<(), StoreError> {
    let text = "INSERT INTO article_keys (key, article) VALUES {rows} ON CONFLICT (key) DO NOTHING";
    insert_rows(connection, text, "(?, ?)", keys, |s, (key, n)| s.bind(key.clone()).bind(*n)).await?;
    Ok(())
}

/// How these articles stand now, and in which feeds.
pub(super) async fn present_articles(
    connection: &mut AnyConnection,
    rows: &[i64],
) -> Result<HashMap<i64, Present>, StoreError> {
    let mut entered: HashMap<i64, (BTreeSet<FeedRow>, Vec<PageRow>)> = HashMap::new();
    for row in fetch_about(connection, ENTRIES, &[], rows).await? {
        let (feeds, pages) = entered.entry(row.try_get("article")?).or_default();
        let feed = FeedRow::of_row(&row)?;
        feeds.insert(feed);
        pages.push((feed.n, row.try_get("page")?));
    }
    let mut present = HashMap::with_capacity(rows.len());
    for row in fetch_about(connection, PRESENT, &[], rows).await? {
        let n: i64 = row.try_get("n")?;
        let (id, state): (String, String) = (row.try_get("id")?, row.try_get("state")?);
        let (feeds, pages) = entered.remove(&n).unwrap_or_default();
        present.insert(
            n,
            Present {
                n,
                id: id.parse().map_err(|_| damaged("articles", n, id))?,
                state: ArticleState::parse(&state).ok_or_else(|| damaged("articles", n, state))?,
                revision: row.try_get("revision")?,
                published: row.try_get("published_at")?,
                updated: row.try_get("updated_at")?,
                sequence: row.try_get("sequence")?,
                mailable: row.try_get::<i64, _>("mailable")? == 1,
                fingerprint: row.try_get("fingerprint")?,
                feeds,
                pages,
            },
        );
    }
    Ok(present)
}

/// Inserts articles with all that hangs on them; their rows in the order given.
pub(super) async fn insert_articles(
    connection: &mut AnyConnection,
    engine: Engine,
    articles: &[NewArticle<'_>],
    mailable: bool,
    now: Instant,
) -> Result<Vec<i64>, StoreError> {
    let now = micros(now);
    let inserted = insert_rows(
        connection,
        INSERT,
        "(?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        articles,
        |statement, article| {
            let statement = statement.bind(article.id.to_string()).bind(article.times.state.as_str());
            bind_content(statement, article.incoming, article.times)
                .bind(now)
                .bind(article.times.is_visible().then_some(now))
                .bind(article.times.is_visible().then_some(article.sequence))
                .bind(i64::from(mailable))
        },
    )
    .await?;
    // RETURNING promises no order.
    let mut by_id: HashMap<String, i64> = HashMap::with_capacity(inserted.len());
    for row in &inserted {
        by_id.insert(row.try_get("id")?, row.try_get("n")?);
    }
    let rows = articles.iter().map(|a| by_id.get(&a.id.to_string()).copied());
    let rows: Vec<i64> = rows.collect::<Option<_>>().ok_or_else(|| damaged("articles", "new", "no row"))?;

    let drafts = || rows.iter().copied().zip(articles.iter().map(|a| a.incoming.draft));
    write_bodies(connection, drafts()).await?;
    let words: Vec<(i64, &str)> =
        rows.iter().copied().zip(articles.iter().map(|a| a.words.as_str())).collect();
    index_articles(connection, engine, &words).await?;
    write_categories(connection, rows.iter().copied().zip(articles.iter().map(|a| &a.categories[..])))
        .await?;
    let entries: Vec<Entry> = rows
        .iter()
        .zip(articles)
        .flat_map(|(n, article)| {
            article.touched().into_iter().map(|feed| Entry {
                feed: feed.n,
                article: *n,
                published: article.times.published,
                sequence: if mailable { article.sequence } else { 0 },
            })
        })
        .collect();
    write_entries(connection, entries).await?;
    Ok(rows)
}

/// Changes articles, and keeps what they were.
pub(super) async fn revise_articles(
    connection: &mut AnyConnection,
    engine: Engine,
    articles: &[RevisedArticle<'_>],
    now: Instant,
) -> Result<(), StoreError> {
    let rows: Vec<i64> = articles.iter().map(|article| article.present.n).collect();
    keep_revisions(connection, &rows, now).await?;
    for article in articles {
        let statement = sqlx::query(REVISE).bind(article.times.state.as_str());
        bind_content(statement, article.incoming, article.times)
            .bind(article.comes_out().then_some(micros(now)))
            .bind(article.comes_out().then_some(article.sequence))
            .bind(article.present.n)
            .execute(&mut *connection)
            .await?;
        let left: Vec<i64> = article.present.feeds.difference(&article.feeds).map(|feed| feed.n).collect();
        let text = "DELETE FROM entries WHERE article = $1 AND feed IN ({keys})";
        execute_about(connection, text, &[article.present.n], &left).await?;
    }
    write_bodies(connection, articles.iter().map(|a| (a.present.n, a.incoming.draft))).await?;
    forget_articles(connection, engine, &rows).await?;
    let words: Vec<(i64, &str)> = articles.iter().map(|a| (a.present.n, a.words.as_str())).collect();
    index_articles(connection, engine, &words).await?;
    execute_about(connection, "DELETE FROM article_categories WHERE article IN ({keys})", &[], &rows).await?;
    write_categories(connection, articles.iter().map(|a| (a.present.n, &a.categories[..]))).await?;
    let entries: Vec<Entry> = articles
        .iter()
        .flat_map(|article| {
            article.enters().map(|feed| Entry {
                feed: feed.n,
                article: article.present.n,
                published: article.times.published,
                sequence: if article.present.mailable { article.sequence } else { 0 },
            })
        })
        .collect();
    write_entries(connection, entries).await
}

/// fingerprint, title, summary, url, language, details, published_at, updated_at.
fn bind_content(statement: Statement, incoming: &Incoming<'_>, times: Times) -> Statement {
    let draft = incoming.draft;
    let details = Details {
        authors: draft.authors.clone(),
        tags: draft.tags.clone(),
        image: draft.image.clone(),
        enclosures: draft.enclosures.clone(),
        source: draft.source.clone(),
    };
    statement
        .bind(incoming.fingerprint.clone())
        .bind(storable(&draft.title))
        .bind(draft.summary.as_deref().map(storable))
        .bind(draft.url.as_ref().map(|url| url.as_str().to_owned()))
        .bind(draft.language.as_ref().map(LanguageTag::to_string))
        .bind(serde_json::to_string(&details).unwrap_or_else(|_| "{}".to_owned()))
        .bind(times.published)
        .bind(times.updated)
}

async fn keep_revisions(
    connection: &mut AnyConnection,
    rows: &[i64],
    now: Instant,
) -> Result<(), StoreError> {
    let mut revisions: Vec<(i64, i64, String)> = Vec::with_capacity(rows.len());
    for row in fetch_about(connection, CONTENTS, &[], rows).await? {
        let n = row.try_get("n")?;
        let details: String = row.try_get("details")?;
        let content = Content {
            title: row.try_get("title")?,
            summary: row.try_get("summary")?,
            url: row.try_get("url")?,
            language: row.try_get("language")?,
            details: serde_json::from_str(&details).map_err(|_| damaged("articles", n, details))?,
            html: row.try_get("html")?,
            updated_at: row.try_get("updated_at")?,
        };
        let content = serde_json::to_string(&content).map_err(|e| damaged("articles", n, e.to_string()))?;
        revisions.push((n, row.try_get("revision")?, content));
    }
    let text = "INSERT INTO revisions (article, number, superseded_at, content) VALUES {rows}";
    insert_rows(connection, text, "(?, ?, ?, ?)", &revisions, |s, (n, number, content)| {
        s.bind(*n).bind(*number).bind(micros(now)).bind(content.clone())
    })
    .await?;
    Ok(())
}

async fn write_bodies<'d>(
    connection: &mut AnyConnection,
    drafts: impl Iterator<Item = (i64, &'d Draft)>,
) -> Result<(), StoreError> {
    let drafts: Vec<(i64, &Draft)> = drafts.collect();
    let text = "INSERT INTO article_bodies (article, html) VALUES {rows} \
        ON CONFLICT (article) DO UPDATE SET html = excluded.html";
    insert_rows(connection, text, "(?, ?)", &drafts, |s, (n, draft)| {
        s.bind(*n).bind(storable(draft.body.as_str()))
    })
    .await?;
    Ok(())
}

async fn write_categories<'c>(
    connection: &mut AnyConnection,
    articles: impl Iterator<Item = (i64, &'c [i64])>,
) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64, i64)> = articles
        .flat_map(|(n, categories)| (0..).zip(categories).map(move |(position, c)| (n, *c, position)))
        .collect();
    let text = "INSERT INTO article_categories (article, category, position) VALUES {rows}";
    insert_rows(connection, text, "(?, ?, ?)", &rows, |s, (n, category, position)| {
        s.bind(*n).bind(*category).bind(*position)
    })
    .await?;
    Ok(())
}

/// An article that enters a feed.
pub(super) struct Entry {
    pub(super) feed: i64,
    pub(super) article: i64,
    pub(super) published: i64,
    /// 0 where it is never mailed.
    pub(super) sequence: i64,
}

/// Puts articles into feeds.
pub(super) async fn write_entries(
    connection: &mut AnyConnection,
    entries: Vec<Entry>,
) -> Result<(), StoreError> {
    let text = "INSERT INTO entries (feed, article, published_at, sequence) VALUES {rows}";
    insert_rows(connection, text, "(?, ?, ?, ?)", &entries, |s, entry| {
        s.bind(entry.feed).bind(entry.article).bind(entry.published).bind(entry.sequence)
    })
    .await?;
    Ok(())
}
