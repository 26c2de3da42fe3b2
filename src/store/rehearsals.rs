//! Cuts that are looked at and taken back: what a preview shows is what the cut itself does.

use super::articles::release_embargoes;
use super::editions::{CutAnswer, Cutting, Edition, Whom, cut, edition, rows_in_edition, with_leads};
use super::subscribers::{Subscriber, subscriber_columns, subscriber_of};
use super::{Engine, Store, StoreError};
use crate::domain::{Article, Instant, SubscriberId};
use sqlx::{AnyConnection, Row};

/// How many different letters of a rehearsed edition are brought along: those with the most articles.
const SELECTIONS: usize = 200;

/// An edition as it would be cut.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The edition, in figures.
    pub edition: Edition,
    /// How many readers get it.
    pub readers: u64,
    /// How many who have it by this plan get nothing: nothing new, paused, or their day is full.
    pub without: u64,
    /// What it brings to whom, the most articles first.
    pub selections: Vec<Selection>,
}

/// One letter of an edition, which a reader would get and perhaps others as well.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The reader.
    pub reader: Subscriber,
    /// What stands in it.
    pub articles: Vec<Article>,
}

impl Store {
    /// What a cut at an instant would make, for everybody or for one: embargoes end and the edition is
    /// cut by the statements that do it for good, and then all of it is taken back. `None`: nobody
    /// would get anything. Writers wait while it lasts: some seconds for 100,000 readers.
    pub async fn rehearse(
        &self,
        wish: &Cutting<'_>,
        whom: Whom,
        now: Instant,
    ) -> Result<Option<Rehearsal>, StoreError> {
        let mut transaction = self.write().await?;
        release_embargoes(&mut transaction, self.engine(), now).await?;
        let answer = cut(&mut transaction, self.engine(), wish, Some(whom), now).await?;
        let CutAnswer::Made(made) = answer else { return Ok(None) };
        let Some(edition) = edition(&mut transaction, made.edition).await? else { return Ok(None) };
        let mut selections = Vec::new();
        for id in different(&mut transaction, &edition, self.engine()).await? {
            let Some(reader) = reader(&mut transaction, id).await? else { continue };
            let rows = rows_in_edition(&mut transaction, edition.id, id, true).await?;
            let articles = with_leads(&mut transaction, &rows).await?;
            selections.push(Selection { reader, articles });
        }
        let all: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT s.subscriber) FROM subscriptions s
             JOIN subscribers r ON r.n = s.subscriber AND r.state = 'active'
             WHERE s.ended_at IS NULL AND s.plan = (SELECT n FROM digests WHERE slug = $1)",
        )
        .bind(wish.plan.to_string())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.rollback().await?;
        let without = all.unsigned_abs().saturating_sub(made.deliveries);
        Ok(Some(Rehearsal { edition, readers: made.deliveries, without, selections }))
    }
}

/// One reader of each different letter: by its articles and its language.
async fn different(
    connection: &mut AnyConnection,
    edition: &Edition,
    engine: Engine,
) -> Result<Vec<SubscriberId>, StoreError> {
    let list = match engine {
        Engine::Sqlite => "group_concat(article, ' ')",
        Engine::Postgres => "string_agg(article::text, ' ')",
    };
    let text = format!(
        "SELECT min(subscriber) AS reader FROM (
             SELECT l.subscriber, r.language, count(*) AS articles, {list} AS list FROM (
                 SELECT subscriber, article FROM ledger WHERE edition = $1 ORDER BY subscriber, article) l
             JOIN subscribers r ON r.n = l.subscriber GROUP BY l.subscriber, r.language) letters
         GROUP BY language, list, articles ORDER BY articles DESC, reader LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(edition.id.0)
        .bind(i64::try_from(SELECTIONS).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(SubscriberId(row.try_get("reader")?))).collect()
}

async fn reader(connection: &mut AnyConnection, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
    sqlx::query(concat!("SELECT ", subscriber_columns!(), " FROM subscribers s WHERE s.n = $1"))
        .bind(id.0)
        .fetch_optional(connection)
        .await?
        .map(|row| subscriber_of(&row))
        .transpose()
}
