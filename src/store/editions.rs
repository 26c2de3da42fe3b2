use super::article_rows::{Bodies, articles_at_revision};
use super::deliveries::state_of;
use super::endpoints::note_edition_event;
use super::statement::damaged;
use super::subscriptions::frequency_of;
use super::{Engine, Store, StoreError};
use crate::domain::{
    Article, DeliveryState, EditionId, Instant, Slot, Slug, SubscriberId, from_micros, micros,
};
use sqlx::{Any, AnyConnection, Transaction};
use std::collections::HashMap;

/// A new edition, in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its number.
    pub edition: EditionId,
    /// How many articles are in it.
    pub articles: u64,
    /// How many subscribers get it.
    pub deliveries: u64,
}

/// What became of a wish to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutAnswer {
    /// The edition is made and its deliveries are queued.
    Made(Cut),
    /// Nobody would have got anything, so there is no edition.
    Empty,
    /// This slot is somebody else's, or was cut before.
    TakenByAnother,
}

/// One run of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Its number.
    pub id: EditionId,
    /// Of which digest.
    pub digest: Slug,
    /// For which planned instant.
    pub slot: Slot,
    /// When it was cut.
    pub cut_at: Instant,
    /// When the last delivery was settled.
    pub completed_at: Option<Instant>,
    /// How many articles are in it.
    pub articles: u64,
    /// How many deliveries stand where.
    pub counts: Vec<(DeliveryState, u64)>,
}

/// What is due by a digest: articles behind a subscription's cursor, up to the cut. One range of
/// entries_by_sequence for each subscription, so a reader who was away for long costs only
/// himself. The number counts when an article entered the feed and is given at commit: one with
/// an old date or a slow transaction is in the next edition all the same.
///
/// Entries are of visible articles alone, and those of an archive have number 0, so `articles` is
/// not asked: with it, 20 articles to 20,000 readers took PostgreSQL 1.5 s longer.
macro_rules! due {
    () => {
        " FROM subscriptions s
          JOIN subscribers r ON r.n = s.subscriber AND r.state = 'active'
          JOIN entries e ON e.feed = s.feed AND e.sequence > s.cursor AND e.sequence <= $1
          WHERE s.frequency = $2 AND s.ended_at IS NULL"
    };
}

/// The ledger's key drops what a subscriber got before, by whatever section, digest or edition.
/// In the order of that key, in which it is kept; two cuts at once never wait in a circle.
macro_rules! fill_ledger {
    () => {
        concat!(
            "INSERT INTO ledger (subscriber, article, edition)
             SELECT DISTINCT s.subscriber, e.article, CAST($3 AS BIGINT)",
            due!(),
            " ORDER BY 1, 2 ON CONFLICT (subscriber, article) DO NOTHING"
        )
    };
}

const FILL_LEDGER: &str = fill_ledger!();

const MOVE_CURSORS: &str = "
    UPDATE subscriptions SET cursor = $1 WHERE frequency = $2 AND ended_at IS NULL AND cursor < $1";

/// PostgreSQL has many writers, and both parts of one statement see the same rows: a subscription
/// that starts meanwhile is neither served nor moved. One that somebody is just changing is served
/// and not moved; the ledger knows next time. So readers and newsroom never wait for a cut.
const FILL_AND_MOVE: &str = concat!(
    "WITH moved AS (
        UPDATE subscriptions SET cursor = $1 WHERE n IN (
            SELECT n FROM subscriptions
            WHERE frequency = $2 AND ended_at IS NULL AND cursor < $1 FOR NO KEY UPDATE SKIP LOCKED)) ",
    fill_ledger!()
);

const FREEZE_ENTRIES: &str = "
    INSERT INTO edition_entries (edition, article, revision)
    SELECT CAST($1 AS BIGINT), a.n, a.revision FROM articles a
    WHERE a.n IN (SELECT article FROM ledger WHERE edition = $1)";

const QUEUE_DELIVERIES: &str = "
    INSERT INTO deliveries (kind, urgency, edition, subscriber, state, created_at, due_at)
    SELECT 'edition', 1, CAST($1 AS BIGINT), subscriber, 'pending', CAST($2 AS BIGINT), CAST($2 AS BIGINT)
    FROM (SELECT DISTINCT subscriber FROM ledger WHERE edition = $1) served ORDER BY subscriber";

const DUE_TO_ONE: &str = concat!(
    "SELECT a.n, a.revision FROM articles a WHERE a.n IN (SELECT e.article",
    due!(),
    " AND s.subscriber = $3
      AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.subscriber = s.subscriber AND l.article = e.article))
      ORDER BY a.published_at DESC, a.n DESC"
);

/// Left out is what the reader gets by nothing any more and has left: its section, or, where the
/// newsroom has put it into another section since, anything at all since the cut.
///
/// CROSS JOIN keeps SQLite at this order; left to itself it walks over all visible articles.
const IN_EDITION: &str = "
    SELECT a.n, x.revision FROM ledger l CROSS JOIN edition_entries x CROSS JOIN articles a
    WHERE l.edition = $1 AND l.subscriber = $2
      AND x.edition = l.edition AND x.article = l.article AND a.n = l.article AND a.state = 'visible'
      AND ($3 = 0
        OR EXISTS (SELECT 1 FROM subscriptions s JOIN entries e ON e.feed = s.feed AND e.article = l.article
                   WHERE s.subscriber = l.subscriber AND s.ended_at IS NULL)
        OR NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber = l.subscriber AND (
                           s.ended_at >= (SELECT d.cut_at FROM editions d WHERE d.n = l.edition)
                           OR s.ended_at IS NOT NULL AND EXISTS (
                               SELECT 1 FROM entries e WHERE e.feed = s.feed AND e.article = l.article))))
    ORDER BY a.published_at DESC, a.n DESC";

impl Store {
    /// Cuts the edition of a slot: freezes its articles, queues one delivery for each active
    /// subscriber to whom something is due, and moves the cursors.
    ///
    /// `turn` is the digest's expected slot and the one after; whoever is late finds it moved.
    /// Without a turn (by hand) the schedule stays as it is. Nothing due to anybody: no edition.
    ///
    /// The cut is the last number that is committed. Publishing takes numbers under a lock that
    /// it holds until its commit, so everything up to that one is there, and what comes out
    /// meanwhile has a higher one; the newsroom does not wait for a large cut.
    pub async fn cut_edition(
        &self,
        digest: &Slug,
        slot: Slot,
        turn: Option<(Slot, Slot)>,
        now: Instant,
    ) -> Result<CutAnswer, StoreError> {
        let mut transaction = self.write().await?;
        let cut = publish_sequence(&mut transaction).await?;
        let Some(digest_row) = sqlx::query_scalar::<_, i64>("SELECT n FROM digests WHERE slug = $1")
            .bind(digest.as_str().to_owned())
            .fetch_optional(&mut *transaction)
            .await?
        else {
            return Ok(CutAnswer::Empty);
        };
        if let Some((expected, next)) = turn
            && !take_turn(&mut transaction, digest_row, expected, next).await?
        {
            return Ok(CutAnswer::TakenByAnother);
        }
        let edition = sqlx::query_scalar::<_, i64>(
            "INSERT INTO editions (digest, slot, cut_at, cut) VALUES ($1, $2, $3, $4)
             ON CONFLICT (digest, slot) DO NOTHING RETURNING n",
        )
        .bind(digest_row)
        .bind(micros(slot.0))
        .bind(micros(now))
        .bind(cut)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(edition) = edition else {
            // Somebody cut this slot by hand. The turn is over all the same, or the schedule
            // would stand still for ever; what is due comes with the next slot.
            transaction.commit().await?;
            return Ok(CutAnswer::TakenByAnother);
        };
        let frequency = frequency_of(digest);
        let due = match self.engine() {
            Engine::Sqlite => {
                let due = fill(&mut transaction, FILL_LEDGER, cut, &frequency, edition).await?;
                let moving = sqlx::query(MOVE_CURSORS).bind(cut).bind(frequency);
                moving.execute(&mut *transaction).await?;
                due
            }
            Engine::Postgres => fill(&mut transaction, FILL_AND_MOVE, cut, &frequency, edition).await?,
        };
        let answer = queue_edition(&mut transaction, EditionId(edition), due, now).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    /// One edition.
    pub async fn edition(&self, id: EditionId) -> Result<Option<Edition>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let row = sqlx::query_as::<_, EditionRow>(concat!(edition_columns!(), " WHERE e.n = $1"))
            .bind(id.0)
            .fetch_optional(&mut *snapshot)
            .await?;
        match row {
            Some(row) => Ok(Some(edition_of(&mut snapshot, row).await?)),
            None => Ok(None),
        }
    }

    /// The newest editions, the newest first.
    pub async fn editions(&self, limit: usize) -> Result<Vec<Edition>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let rows =
            sqlx::query_as::<_, EditionRow>(concat!(edition_columns!(), " ORDER BY e.n DESC LIMIT $1"))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&mut *snapshot)
                .await?;
        let mut editions = Vec::with_capacity(rows.len());
        for row in rows {
            editions.push(edition_of(&mut snapshot, row).await?);
        }
        Ok(editions)
    }

    /// What an edition brings to a subscriber, the newest first: as it stood at the cut, also
    /// after a correction; without what was withdrawn since, and with `still_subscribed` without
    /// what the reader gets by no subscription any more. Texts are there only where an article
    /// has no summary, so that [`Article::lead`] works.
    pub async fn edition_articles(
        &self,
        edition: EditionId,
        subscriber: SubscriberId,
        still_subscribed: bool,
    ) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let rows = sqlx::query_as::<_, (i64, i64)>(IN_EDITION)
            .bind(edition.0)
            .bind(subscriber.0)
            .bind(i64::from(still_subscribed))
            .fetch_all(&mut *snapshot)
            .await?;
        with_leads(&mut snapshot, &rows).await
    }

    /// What a subscriber would get if the digest were cut now, the newest first. Writes nothing.
    pub async fn due_articles(
        &self,
        digest: &Slug,
        subscriber: SubscriberId,
    ) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let present = publish_sequence(&mut snapshot).await?;
        let rows = sqlx::query_as::<_, (i64, i64)>(DUE_TO_ONE)
            .bind(present)
            .bind(frequency_of(digest))
            .bind(subscriber.0)
            .fetch_all(&mut *snapshot)
            .await?;
        with_leads(&mut snapshot, &rows).await
    }
}

async fn publish_sequence(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT publish_sequence FROM installation WHERE one = 1")
        .fetch_one(connection)
        .await?)
}

/// Compare and set: only one instance finds the slot that it expected.
async fn take_turn(
    connection: &mut AnyConnection,
    digest: i64,
    expected: Slot,
    next: Slot,
) -> Result<bool, StoreError> {
    let moved = sqlx::query("UPDATE digests SET next_slot = $3 WHERE n = $1 AND next_slot = $2")
        .bind(digest)
        .bind(micros(expected.0))
        .bind(micros(next.0))
        .execute(connection)
        .await?;
    Ok(moved.rows_affected() == 1)
}

/// Returns how many ledger rows there are to send.
async fn fill(
    transaction: &mut Transaction<'static, Any>,
    statement: &'static str,
    cut: i64,
    frequency: &str,
    edition: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query(statement)
        .bind(cut)
        .bind(frequency.to_owned())
        .bind(edition)
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected())
}

/// Freezes what is in the ledger now and queues it, or takes the edition away where nothing is.
async fn queue_edition(
    transaction: &mut Transaction<'static, Any>,
    edition: EditionId,
    due: u64,
    now: Instant,
) -> Result<CutAnswer, StoreError> {
    if due == 0 {
        sqlx::query("DELETE FROM editions WHERE n = $1").bind(edition.0).execute(&mut **transaction).await?;
        return Ok(CutAnswer::Empty);
    }
    let frozen = sqlx::query(FREEZE_ENTRIES).bind(edition.0).execute(&mut **transaction).await?;
    let queued =
        sqlx::query(QUEUE_DELIVERIES).bind(edition.0).bind(micros(now)).execute(&mut **transaction).await?;
    Ok(CutAnswer::Made(Cut { edition, articles: frozen.rows_affected(), deliveries: queued.rows_affected() }))
}

/// Completes those of these editions of which nothing is to be tried any more.
///
/// Call it after the deliveries were written. Two workers who settle the last two deliveries at
/// once would each see the other's as open, so on PostgreSQL the edition's row is held first.
pub(super) async fn complete_editions(
    transaction: &mut Transaction<'static, Any>,
    mut editions: Vec<i64>,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    editions.sort_unstable();
    editions.dedup();
    for edition in editions {
        if engine == Engine::Postgres {
            sqlx::query("SELECT n FROM editions WHERE n = $1 FOR NO KEY UPDATE")
                .bind(edition)
                .execute(&mut **transaction)
                .await?;
        }
        // A probe for each open state in deliveries_by_state, not a count of the edition.
        let completed = sqlx::query(
            "UPDATE editions SET completed_at = $2 WHERE n = $1 AND completed_at IS NULL AND NOT EXISTS (
                 SELECT 1 FROM deliveries d WHERE d.edition = $1 AND d.settled_at IS NULL
                   AND d.state IN ('pending', 'claimed', 'deferred', 'uncertain'))",
        )
        .bind(edition)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        if completed > 0 {
            note_edition_event(transaction, engine, edition, now).await?;
        }
    }
    Ok(())
}

type EditionRow = (i64, String, i64, i64, Option<i64>, i64);

macro_rules! edition_columns {
    () => {
        "SELECT e.n, d.slug, e.slot, e.cut_at, e.completed_at,
         (SELECT count(*) FROM edition_entries x WHERE x.edition = e.n)
         FROM editions e JOIN digests d ON d.n = e.digest"
    };
}
use edition_columns;

async fn edition_of(connection: &mut AnyConnection, row: EditionRow) -> Result<Edition, StoreError> {
    let (n, digest, slot, cut_at, completed_at, articles) = row;
    let counts = sqlx::query_as::<_, (String, i64)>(
        "SELECT state, count(*) FROM deliveries WHERE edition = $1 GROUP BY state ORDER BY state",
    )
    .bind(n)
    .fetch_all(connection)
    .await?;
    Ok(Edition {
        id: EditionId(n),
        digest: Slug::parse(&digest).map_err(|_| damaged("digests", n, digest))?,
        slot: Slot(from_micros(slot)),
        cut_at: from_micros(cut_at),
        completed_at: completed_at.map(from_micros),
        articles: articles.unsigned_abs(),
        counts: counts
            .into_iter()
            .map(|(state, count)| Ok((state_of(&state)?, count.unsigned_abs())))
            .collect::<Result<_, StoreError>>()?,
    })
}

/// Full texts are most of an article's bytes; they are read only where the lead is taken from them.
pub(super) async fn with_leads(
    connection: &mut AnyConnection,
    rows: &[(i64, i64)],
) -> Result<Vec<Article>, StoreError> {
    let mut articles = articles_at_revision(connection, rows, Bodies::Without).await?;
    let wanted: HashMap<i64, i64> = rows.iter().copied().collect();
    let leadless: Vec<(i64, i64)> = articles
        .iter()
        .filter(|(_, article)| article.summary.as_deref().unwrap_or_default().is_empty())
        .filter_map(|(n, _)| Some((*n, *wanted.get(n)?)))
        .collect();
    let mut full: HashMap<i64, Article> =
        articles_at_revision(connection, &leadless, Bodies::With).await?.into_iter().collect();
    for (n, article) in &mut articles {
        if let Some(full) = full.remove(n) {
            *article = full;
        }
    }
    Ok(articles.into_iter().map(|(_, article)| article).collect())
}
