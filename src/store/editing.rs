//! What an editor does to an edition before its letters go out: words above it, an order, articles
//! left out. For a coming edition it is kept with its digest, and the cut takes it over.

use super::article_rows::{Bodies, articles_at_revision};
use super::statement::{damaged, fetch_about, insert_rows};
use super::{Store, StoreError};
use crate::domain::{Article, ArticleId, EditionId, Lead, Slug};
use sqlx::{Any, AnyConnection, Row, Transaction};
use std::collections::HashMap;

/// What an editor works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// An edition that is cut.
    Edition(EditionId),
    /// The next one of a digest.
    Coming(Slug),
}

/// An editor's order: these first, those not at all, the others after, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// What comes first, in this order.
    pub first: Vec<ArticleId>,
    /// What is not mailed.
    pub left_out: Vec<ArticleId>,
}

/// What became of an editor's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is as wished.
    Done,
    /// There is no such edition or digest.
    Unknown,
    /// It is not held: a worker may be writing its letters.
    NotHeld,
    /// Letters of it are out: the other readers get the same.
    Out,
    /// These articles are not in it, or nowhere.
    NotInIt(Vec<ArticleId>),
}

/// An article of an edition, as the editor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderedArticle {
    /// The article, as it stood at the cut.
    pub article: Article,
    /// Its place from the editor.
    pub place: Option<i64>,
    /// Whether it is not mailed.
    pub left_out: bool,
}

impl Store {
    /// Puts the editor's words above an edition, or takes them away.
    pub async fn set_lead(&self, issue: &Issue, lead: Option<&Lead>) -> Result<Edited, StoreError> {
        let mut transaction = self.write().await?;
        let row = match row_of(&mut transaction, issue).await? {
            Ok(row) => row,
            Err(no) => return Ok(no),
        };
        let statement = match issue {
            Issue::Edition(_) => "UPDATE editions SET lead = $2 WHERE n = $1",
            Issue::Coming(_) => "UPDATE digests SET next_lead = $2 WHERE n = $1",
        };
        sqlx::query(statement)
            .bind(row)
            .bind(lead.map(|lead| lead.as_str().to_owned()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Edited::Done)
    }

    /// Puts the articles of an edition in order, in place of any order before.
    pub async fn set_order(&self, issue: &Issue, order: &Order) -> Result<Edited, StoreError> {
        let mut transaction = self.write().await?;
        let row = match row_of(&mut transaction, issue).await? {
            Ok(row) => row,
            Err(no) => return Ok(no),
        };
        let wanted: Vec<ArticleId> = order.first.iter().chain(&order.left_out).copied().collect();
        let there = rows_of(&mut transaction, issue, row, &wanted).await?;
        let missing: Vec<ArticleId> = wanted.into_iter().filter(|id| !there.contains_key(id)).collect();
        if !missing.is_empty() {
            return Ok(Edited::NotInIt(missing));
        }
        let first = (1..).zip(&order.first).map(|(place, id)| (there[id], Some(place), 0));
        let left_out = order.left_out.iter().map(|id| (there[id], None, 1));
        let places: Vec<(i64, Option<i64>, i64)> = first.chain(left_out).collect();
        match issue {
            Issue::Edition(_) => place_in_edition(&mut transaction, row, &places).await?,
            Issue::Coming(_) => place_in_coming(&mut transaction, row, &places).await?,
        }
        transaction.commit().await?;
        Ok(Edited::Done)
    }

    /// The articles of an edition, in the order in which readers get those that they chose.
    pub async fn order_of(&self, edition: EditionId) -> Result<Vec<OrderedArticle>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let rows = sqlx::query_as::<_, (i64, i64, Option<i64>, i64)>(
            "SELECT x.article, x.revision, x.place, x.left_out FROM edition_entries x
             JOIN articles a ON a.n = x.article
             WHERE x.edition = $1 AND a.state = 'visible'
             ORDER BY x.left_out, x.place IS NULL, x.place, a.published_at DESC, a.n DESC",
        )
        .bind(edition.0)
        .fetch_all(&mut *snapshot)
        .await?;
        let revisions: Vec<(i64, i64)> = rows.iter().map(|row| (row.0, row.1)).collect();
        let articles = articles_at_revision(&mut snapshot, &revisions, Bodies::Without).await?;
        let mut articles: HashMap<i64, Article> = articles.into_iter().collect();
        let ordered = rows.into_iter().filter_map(|(n, _, place, left_out)| {
            let article = articles.remove(&n)?;
            Some(OrderedArticle { article, place, left_out: left_out == 1 })
        });
        Ok(ordered.collect())
    }

    /// What is kept for the next edition of a digest: words and order. `None`: no such digest.
    pub async fn coming(&self, digest: &Slug) -> Result<Option<(Option<Lead>, Order)>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let found =
            sqlx::query_as::<_, (i64, Option<String>)>("SELECT n, next_lead FROM digests WHERE slug = $1")
                .bind(digest.as_str().to_owned())
                .fetch_optional(&mut *snapshot)
                .await?;
        let Some((row, lead)) = found else { return Ok(None) };
        let rows = sqlx::query_as::<_, (String, i64)>(
            "SELECT a.id, x.left_out FROM next_entries x JOIN articles a ON a.n = x.article
             WHERE x.digest = $1 ORDER BY x.left_out, x.place, a.n",
        )
        .bind(row)
        .fetch_all(&mut *snapshot)
        .await?;
        let mut order = Order::default();
        for (id, left_out) in rows {
            let list = if left_out == 1 { &mut order.left_out } else { &mut order.first };
            list.push(id.parse().map_err(|_| damaged("articles", row, &id))?);
        }
        Ok(Some((lead.map(|lead| lead_of(row, &lead)).transpose()?, order)))
    }
}

pub(super) fn lead_of(row: i64, text: &str) -> Result<Lead, StoreError> {
    Lead::parse(text).map_err(|_| damaged("editions", row, "a lead that is none"))
}

/// The articles that the editor put first.
pub(super) async fn places(
    connection: &mut AnyConnection,
    edition: EditionId,
) -> Result<Vec<ArticleId>, StoreError> {
    sqlx::query_scalar::<_, String>(
        "SELECT a.id FROM edition_entries x JOIN articles a ON a.n = x.article
         WHERE x.edition = $1 AND x.place IS NOT NULL ORDER BY x.place",
    )
    .bind(edition.0)
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|id| id.parse().map_err(|_| damaged("articles", edition, &id)))
    .collect()
}

/// Gives a new edition what the editor kept for it, in the transaction that cuts it. What is not in
/// it stays away: an order names what was expected.
pub(super) async fn take_over(
    transaction: &mut Transaction<'static, Any>,
    edition: EditionId,
) -> Result<(), StoreError> {
    for statement in [
        "UPDATE editions SET lead = (SELECT d.next_lead FROM digests d WHERE d.n = editions.digest) WHERE n = $1",
        "UPDATE digests SET next_lead = NULL
         WHERE next_lead IS NOT NULL AND n = (SELECT digest FROM editions WHERE n = $1)",
        "UPDATE edition_entries SET
             place = (SELECT x.place FROM next_entries x JOIN editions e ON e.digest = x.digest
                      WHERE e.n = $1 AND x.article = edition_entries.article),
             left_out = (SELECT x.left_out FROM next_entries x JOIN editions e ON e.digest = x.digest
                         WHERE e.n = $1 AND x.article = edition_entries.article)
         WHERE edition = $1 AND article IN (
             SELECT x.article FROM next_entries x JOIN editions e ON e.digest = x.digest WHERE e.n = $1)",
        "DELETE FROM next_entries WHERE digest = (SELECT digest FROM editions WHERE n = $1)",
    ] {
        sqlx::query(statement).bind(edition.0).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The row that an editor may change.
async fn row_of(
    transaction: &mut Transaction<'static, Any>,
    issue: &Issue,
) -> Result<Result<i64, Edited>, StoreError> {
    let found = match issue {
        Issue::Coming(slug) => {
            sqlx::query_scalar::<_, i64>("SELECT n FROM digests WHERE slug = $1")
                .bind(slug.as_str().to_owned())
                .fetch_optional(&mut **transaction)
                .await?
        }
        Issue::Edition(edition) => {
            // Changes nothing, and keeps the edition from being released until this is done.
            let held = "UPDATE editions SET held_at = held_at WHERE n = $1 RETURNING held_at";
            let Some(held) = sqlx::query_scalar::<_, Option<i64>>(held)
                .bind(edition.0)
                .fetch_optional(&mut **transaction)
                .await?
            else {
                return Ok(Err(Edited::Unknown));
            };
            if held.is_none() {
                return Ok(Err(Edited::NotHeld));
            }
            let tried = "SELECT count(*) FROM (
                SELECT 1 AS one FROM deliveries WHERE edition = $1 AND attempts > 0 LIMIT 1) tried";
            let tried: i64 = sqlx::query_scalar(tried).bind(edition.0).fetch_one(&mut **transaction).await?;
            if tried > 0 {
                return Ok(Err(Edited::Out));
            }
            Some(edition.0)
        }
    };
    Ok(found.ok_or(Edited::Unknown))
}

/// The rows of articles: of those in the edition, or for a coming one of all that were not withdrawn.
async fn rows_of(
    connection: &mut AnyConnection,
    issue: &Issue,
    row: i64,
    ids: &[ArticleId],
) -> Result<HashMap<ArticleId, i64>, StoreError> {
    let text = match issue {
        Issue::Edition(_) => {
            "SELECT a.id, a.n FROM articles a JOIN edition_entries x ON x.article = a.n
             WHERE x.edition = $1 AND a.id IN ({keys})"
        }
        Issue::Coming(_) => {
            "SELECT a.id, a.n FROM articles a WHERE $1 > 0 AND a.state <> 'withdrawn' AND a.id IN ({keys})"
        }
    };
    let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut found = HashMap::new();
    for row in fetch_about(connection, text, &[row], &keys).await? {
        let id: String = row.try_get("id")?;
        found.insert(id.parse().map_err(|_| damaged("articles", &id, &id))?, row.try_get("n")?);
    }
    Ok(found)
}

async fn place_in_edition(
    connection: &mut AnyConnection,
    edition: i64,
    places: &[(i64, Option<i64>, i64)],
) -> Result<(), StoreError> {
    sqlx::query("UPDATE edition_entries SET place = NULL, left_out = 0 WHERE edition = $1")
        .bind(edition)
        .execute(&mut *connection)
        .await?;
    for (article, place, left_out) in places {
        sqlx::query(
            "UPDATE edition_entries SET place = $3, left_out = $4 WHERE edition = $1 AND article = $2",
        )
        .bind(edition)
        .bind(*article)
        .bind(*place)
        .bind(*left_out)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn place_in_coming(
    connection: &mut AnyConnection,
    digest: i64,
    places: &[(i64, Option<i64>, i64)],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM next_entries WHERE digest = $1").bind(digest).execute(&mut *connection).await?;
    let text = "INSERT INTO next_entries (digest, article, place, left_out) VALUES {rows}";
    insert_rows(connection, text, "(?, ?, ?, ?)", places, |statement, (article, place, left_out)| {
        statement.bind(digest).bind(*article).bind(*place).bind(*left_out)
    })
    .await?;
    Ok(())
}
