use super::article_rows::{Bodies, articles_at_revision};
use super::deliveries::state_of;
use super::sequence::hold_sequence;
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
macro_rules! due {
    () => {
        " FROM subscriptions s
          JOIN subscribers r ON r.n = s.subscriber AND r.state = 'active'
          JOIN entries e ON e.feed = s.feed AND e.sequence > s.cursor AND e.sequence <= $1
          JOIN articles a ON a.n = e.article AND a.state = 'visible' AND a.mailable = 1
          WHERE s.frequency = $2 AND s.ended_at IS NULL"
    };
}

/// The ledger's key drops what a subscriber got before, by whatever section, digest or edition.
/// In the order of that key, which is the order in which it is kept.
const FILL_LEDGER: &str = concat!(
    "INSERT INTO ledger (subscriber, article, edition)
     SELECT DISTINCT s.subscriber, e.article, CAST($3 AS BIGINT)",
    due!(),
    " ORDER BY 1, 2 ON CONFLICT (subscriber, article) DO NOTHING"
);

const FREEZE_ENTRIES: &str = "
    INSERT INTO edition_entries (edition, article, revision)
    SELECT CAST($1 AS BIGINT), a.n, a.revision FROM articles a
    WHERE a.n IN (SELECT article FROM ledger WHERE edition = $1)";

const QUEUE_DELIVERIES: &str = "
    INSERT INTO deliveries (kind, urgency, edition, subscriber, state, created_at, due_at)
    SELECT 'edition', 1, CAST($1 AS BIGINT), subscriber, 'pending', CAST($2 AS BIGINT), CAST($2 AS BIGINT)
    FROM (SELECT DISTINCT subscriber FROM ledger WHERE edition = $1) served ORDER BY subscriber";

const MOVE_CURSORS: &str = "
    UPDATE subscriptions SET cursor = $1 WHERE frequency = $2 AND ended_at IS NULL AND cursor < $1";

const DUE_TO_ONE: &str = concat!(
    "SELECT DISTINCT a.n, a.revision, a.published_at",
    due!(),
    " AND s.subscriber = $3
      AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.subscriber = s.subscriber AND l.article = a.n)
      ORDER BY a.published_at DESC, a.n DESC"
);

/// An article whose section the newsroom changed since the cut is still due to its readers, so it
/// is left out only where the reader has left something since and gets the article by nothing else.
const IN_EDITION: &str = "
    SELECT a.n, x.revision FROM ledger l
    JOIN editions d ON d.n = l.edition
    JOIN edition_entries x ON x.edition = l.edition AND x.article = l.article
    JOIN articles a ON a.n = l.article AND a.state = 'visible'
    WHERE l.edition = $1 AND l.subscriber = $2 AND ($3 = 0
        OR EXISTS (SELECT 1 FROM entries e JOIN subscriptions s ON s.feed = e.feed
                   WHERE e.article = l.article AND s.subscriber = l.subscriber AND s.ended_at IS NULL)
        OR NOT EXISTS (SELECT 1 FROM subscriptions s
                       WHERE s.subscriber = l.subscriber AND s.ended_at >= d.cut_at))
    ORDER BY a.published_at DESC, a.n DESC";

impl Store {
    /// Cuts the edition of a slot: freezes its articles, queues one delivery for each active
    /// subscriber to whom something is due, and moves the cursors.
    ///
    /// `turn` is the digest's expected slot and the one after; whoever is late finds it moved.
    /// Without a turn (by hand) the schedule stays as it is. Nothing due to anybody: no edition.
    /// The publish sequence is held throughout, so that nothing is published behind the cut and
    /// no subscription starts or ends between what is read and what is moved.
    pub async fn cut_edition(
        &self,
        digest: &Slug,
        slot: Slot,
        turn: Option<(Slot, Slot)>,
        now: Instant,
    ) -> Result<CutAnswer, StoreError> {
        let mut transaction = self.write().await?;
        hold_sequence(&mut transaction, self.engine()).await?;
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
        let answer = fill_edition(&mut transaction, EditionId(edition), digest, cut, now).await?;
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
        let rows: Vec<(i64, i64)> = sqlx::query_as::<_, (i64, i64, i64)>(DUE_TO_ONE)
            .bind(present)
            .bind(frequency_of(digest))
            .bind(subscriber.0)
            .fetch_all(&mut *snapshot)
            .await?
            .into_iter()
            .map(|(n, revision, _)| (n, revision))
            .collect();
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

/// Four statements, however many subscribers there are.
async fn fill_edition(
    transaction: &mut Transaction<'static, Any>,
    edition: EditionId,
    digest: &Slug,
    cut: i64,
    now: Instant,
) -> Result<CutAnswer, StoreError> {
    let frequency = frequency_of(digest);
    let due = sqlx::query(FILL_LEDGER)
        .bind(cut)
        .bind(frequency.clone())
        .bind(edition.0)
        .execute(&mut **transaction)
        .await?
        .rows_affected();
    let answer = if due == 0 {
        sqlx::query("DELETE FROM editions WHERE n = $1").bind(edition.0).execute(&mut **transaction).await?;
        CutAnswer::Empty
    } else {
        let frozen = sqlx::query(FREEZE_ENTRIES).bind(edition.0).execute(&mut **transaction).await?;
        let queued = sqlx::query(QUEUE_DELIVERIES)
            .bind(edition.0)
            .bind(micros(now))
            .execute(&mut **transaction)
            .await?;
        CutAnswer::Made(Cut { edition, articles: frozen.rows_affected(), deliveries: queued.rows_affected() })
    };
    sqlx::query(MOVE_CURSORS).bind(cut).bind(frequency).execute(&mut **transaction).await?;
    Ok(answer)
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
        sqlx::query(
            "UPDATE editions SET completed_at = $2 WHERE n = $1 AND completed_at IS NULL AND NOT EXISTS (
                 SELECT 1 FROM deliveries d WHERE d.edition = $1 AND d.settled_at IS NULL
                   AND d.state IN ('pending', 'claimed', 'deferred', 'uncertain'))",
        )
        .bind(edition)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?;
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
async fn with_leads(connection: &mut AnyConnection, rows: &[(i64, i64)]) -> Result<Vec<Article>, StoreError> {
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
