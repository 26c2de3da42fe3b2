use super::article_rows::{Bodies, articles_at_revision};
use super::deliveries::state_of;
use super::editing::{lead_of, places, take_over};
use super::endpoints::note_edition_event;
use super::holds::{Hold, hold_if_asked};
use super::outcomes::forget_kept_letters;
use super::statement::damaged;
use super::{Engine, Store, StoreError};
use crate::domain::{
    Article, ArticleId, DeliveryState, EditionId, Frequency, Instant, Lead, Plan, Slot, SubscriberId,
    day_start, from_micros, micros,
};
use chrono_tz::Tz;
use sqlx::{Any, AnyConnection, Transaction};
use std::collections::HashMap;
use std::time::Duration;

/// A cut that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Cutting<'c> {
    /// Of what.
    pub plan: &'c Plan,
    /// For which instant.
    pub slot: Slot,
    /// For how many slots it stands.
    pub slots: u32,
    /// Whose turn it is.
    pub turn: Turn,
    /// The publication's zone: the clock of readers who never chose one.
    pub zone: Tz,
    /// Over how long its letters fall due, one after the other.
    pub spread: Duration,
}

/// What must still be so for a cut to be made: whoever is late finds it done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// By hand: the schedule stays as it is.
    ByHand,
    /// The next slot of the plan.
    Planned {
        /// As it was found.
        expected: Slot,
        /// The one after.
        next: Slot,
    },
    /// What came out, for whom wants it at once.
    AtOnce {
        /// The publish sequence of the last cut, as it was found.
        after: i64,
        /// Up to which one this one goes.
        up_to: i64,
    },
}

/// For whom a cut is looked at that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All its readers.
    Everybody,
    /// One of them.
    One(SubscriberId),
}

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
    /// Of which digest, or of which readers' own choice.
    pub plan: Plan,
    /// For which planned instant.
    pub slot: Slot,
    /// For how many slots it stands: more than one after a time in which nothing was cut. Of what
    /// is mailed at once, for how many articles.
    pub slots: u32,
    /// When it was cut.
    pub cut_at: Instant,
    /// When the last delivery was settled.
    pub completed_at: Option<Instant>,
    /// Whether it waits for a person.
    pub held: Option<Hold>,
    /// When it was released, where it was held before the first letter.
    pub released_at: Option<Instant>,
    /// What the editor says above the articles.
    pub lead: Option<Lead>,
    /// The articles that the editor put first, in that order.
    pub placed: Vec<ArticleId>,
    /// How many articles are in it.
    pub articles: u64,
    /// How many deliveries stand where.
    pub counts: Vec<(DeliveryState, u64)>,
}

#[cfg(test)]
impl Edition {
    /// One of which nothing is told but what it is cut from.
    pub(crate) fn bare(plan: Plan) -> Self {
        Self {
            id: EditionId(1),
            plan,
            slot: Slot(Instant::default()),
            slots: 1,
            cut_at: Instant::default(),
            completed_at: None,
            held: None,
            released_at: None,
            lead: None,
            placed: Vec::new(),
            articles: 1,
            counts: Vec::new(),
        }
    }
}

/// Who may have mail now, as `r`: active, in no pause, and not yet mailed as often as he wants to be
/// on this day by his own clock. `$days` says when the day began on each clock that is asked for.
macro_rules! may_have_mail {
    ($days:literal) => {
        concat!(
            "r.state = 'active' AND (r.paused_until IS NULL OR r.paused_until <= $4)
             AND (r.daily_cap IS NULL OR r.daily_cap > (
                 SELECT count(*) FROM deliveries d WHERE d.subscriber = r.n AND d.kind = 'edition'
                   AND d.created_at >= CAST(",
            $days,
            " ->> coalesce(r.time_zone, 'publication') AS BIGINT) AND d.state <> 'suppressed'))"
        )
    };
}

/// What is due by a plan: articles behind a subscription's cursor, up to the cut. One range of
/// entries_by_sequence for each subscription, so a reader who was away for long costs only
/// himself. The number counts when an article entered the feed and is given at commit: one with
/// an old date or a slow transaction is in the next edition all the same.
///
/// Entries are of visible articles alone, and those of an archive have number 0, so `articles` is
/// not asked: with it, 20 articles to 20,000 readers took PostgreSQL 1.5 s longer.
macro_rules! due {
    ($days:literal) => {
        concat!(
            " FROM subscriptions s
              JOIN subscribers r ON r.n = s.subscriber AND ",
            may_have_mail!($days),
            " JOIN entries e ON e.feed = s.feed AND e.sequence > s.cursor AND e.sequence <= $1
              WHERE s.plan = $2 AND s.ended_at IS NULL"
        )
    };
}

/// Only feeds that changed since the last cut at once: the others have nothing new for anybody.
macro_rules! in_changed_feeds {
    () => {
        " AND s.feed IN (SELECT f.n FROM feeds f WHERE f.change_number > $6)"
    };
}

/// The ledger's key drops what a subscriber got before, by whatever section, digest or edition.
/// In the order of that key, in which it is kept; two cuts at once never wait in a circle.
macro_rules! fill_ledger {
    ($days:literal, $whom:literal) => {
        concat!(
            "INSERT INTO ledger (subscriber, article, edition)
             SELECT DISTINCT s.subscriber, e.article, CAST($3 AS BIGINT)",
            due!($days),
            in_changed_feeds!(),
            $whom,
            " ORDER BY 1, 2 ON CONFLICT (subscriber, article) DO NOTHING"
        )
    };
}

/// Whose cursor the cut moves: exactly those whom it looked at. One behind which nothing lies may
/// stay where it is.
macro_rules! served {
    ($days:literal) => {
        concat!(
            "s.plan = $2 AND s.ended_at IS NULL AND s.cursor < $1",
            in_changed_feeds!(),
            " AND EXISTS (SELECT 1 FROM entries e WHERE e.feed = s.feed AND e.sequence > s.cursor
                          AND e.sequence <= $1)
              AND EXISTS (SELECT 1 FROM subscribers r WHERE r.n = s.subscriber AND ",
            may_have_mail!($days),
            ")"
        )
    };
}

const FILL_LEDGER: &str = fill_ledger!("$5", "");

const FILL_FOR: &str = fill_ledger!("$5", " AND ($7 = 0 OR s.subscriber = $7)");

const FILL_FOR_ON_POSTGRES: &str = fill_ledger!("CAST($5 AS JSON)", " AND ($7 = 0 OR s.subscriber = $7)");

const MOVE_CURSORS: &str = concat!("UPDATE subscriptions AS s SET cursor = $1 WHERE ", served!("$5"));

/// PostgreSQL has many writers, and both parts of one statement see the same rows: a subscription
/// that starts meanwhile is neither served nor moved. One that somebody is just changing is served
/// and not moved; the ledger knows next time. So readers and newsroom never wait for a cut.
const FILL_AND_MOVE: &str = concat!(
    "WITH moved AS (
        UPDATE subscriptions SET cursor = $1 WHERE n IN (
            SELECT s.n FROM subscriptions s WHERE ",
    served!("CAST($5 AS JSON)"),
    " FOR NO KEY UPDATE OF s SKIP LOCKED)) ",
    fill_ledger!("CAST($5 AS JSON)", "")
);

/// One cut after the other: each counts what the ones before it queued on this day. Readers and
/// newsroom do not wait for it.
const ONE_CUT_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(4871)";

const FREEZE_ENTRIES: &str = "
    INSERT INTO edition_entries (edition, article, revision)
    SELECT CAST($1 AS BIGINT), a.n, a.revision FROM articles a
    WHERE a.n IN (SELECT article FROM ledger WHERE edition = $1)";

/// Each is due at its place in the time over which the edition is spread, $3 microseconds.
const QUEUE_DELIVERIES: &str = "
    INSERT INTO deliveries (kind, urgency, edition, subscriber, state, created_at, due_at)
    SELECT 'edition', 1, CAST($1 AS BIGINT), subscriber, 'pending', CAST($2 AS BIGINT),
           CAST($2 AS BIGINT)
           + (row_number() OVER (ORDER BY subscriber) - 1) * CAST($3 AS BIGINT) / count(*) OVER ()
    FROM (SELECT DISTINCT subscriber FROM ledger WHERE edition = $1) served ORDER BY subscriber";

macro_rules! due_to_one {
    ($days:literal) => {
        concat!(
            "SELECT a.n, a.revision FROM articles a WHERE a.n IN (SELECT e.article",
            due!($days),
            " AND s.subscriber = $3 AND NOT EXISTS (
                 SELECT 1 FROM ledger l WHERE l.subscriber = s.subscriber AND l.article = e.article))
              ORDER BY a.published_at DESC, a.n DESC"
        )
    };
}

/// By feeds_by_change, and in those feeds from the end of entries_by_sequence.
const WAITING_AT_ONCE: &str = "
    SELECT DISTINCT e.sequence FROM feeds f JOIN entries e ON e.feed = f.n AND e.sequence > $1
    WHERE f.change_number > $1 AND EXISTS (
        SELECT 1 FROM subscriptions s WHERE s.plan = $2 AND s.feed = f.n AND s.ended_at IS NULL)
    ORDER BY e.sequence LIMIT $3";

/// Whether a reader still has, by some subscription, an article `l` of the ledger.
macro_rules! still_wanted {
    () => {
        "(EXISTS (SELECT 1 FROM subscriptions s JOIN entries e ON e.feed = s.feed AND e.article = l.article
                  WHERE s.subscriber = l.subscriber AND s.ended_at IS NULL)
          OR NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber = l.subscriber AND (
                             s.ended_behind >= l.edition
                             OR s.ended_at IS NOT NULL AND EXISTS (
                                 SELECT 1 FROM entries e WHERE e.feed = s.feed AND e.article = l.article))))"
    };
}
pub(super) use still_wanted;

/// Left out is what the reader gets by nothing any more and has left: its section, or, where the
/// newsroom has put it into another section since, anything at all since the cut.
///
/// CROSS JOIN keeps SQLite at this order; left to itself it walks over all visible articles.
const IN_EDITION: &str = concat!(
    "SELECT a.n, x.revision FROM ledger l CROSS JOIN edition_entries x CROSS JOIN articles a
     WHERE l.edition = $1 AND l.subscriber = $2
       AND x.edition = l.edition AND x.article = l.article AND a.n = l.article AND a.state = 'visible'
       AND x.left_out = 0 AND ($3 = 0 OR ",
    still_wanted!(),
    ") ORDER BY x.place IS NULL, x.place, a.published_at DESC, a.n DESC"
);

impl Store {
    /// Cuts an edition: freezes its articles, queues one delivery for each reader who may have mail
    /// and to whom something is due, and moves the cursors. Who pauses or had his mails of the day
    /// is left where he stands. Nothing due to anybody: no edition.
    ///
    /// The cut is the last number that is committed. Publishing takes numbers under a lock that
    /// it holds until its commit, so everything up to that one is there, and what comes out
    /// meanwhile has a higher one; the newsroom does not wait for a large cut.
    pub async fn cut_edition(&self, wish: &Cutting<'_>, now: Instant) -> Result<CutAnswer, StoreError> {
        let mut transaction = self.write().await?;
        let answer = cut(&mut transaction, self.engine(), wish, None, now).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    /// The publish sequence of the last cut at once, and those after it by which something came out
    /// in a feed that somebody wants at once, in order and at most `limit`.
    pub async fn waiting_at_once(&self, limit: u32) -> Result<(i64, Vec<i64>), StoreError> {
        let mut snapshot = self.snapshot().await?;
        let plan = Plan::of(Frequency::AtOnce, None).to_string();
        let row = sqlx::query_as::<_, (i64, i64)>("SELECT n, cut FROM digests WHERE slug = $1");
        let Some((plan, after)) = row.bind(plan).fetch_optional(&mut *snapshot).await? else {
            return Ok((0, Vec::new()));
        };
        let waiting = sqlx::query_scalar::<_, i64>(WAITING_AT_ONCE)
            .bind(after)
            .bind(plan)
            .bind(i64::from(limit))
            .fetch_all(&mut *snapshot)
            .await?;
        Ok((after, waiting))
    }

    /// One edition.
    pub async fn edition(&self, id: EditionId) -> Result<Option<Edition>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        edition(&mut snapshot, id).await
    }

    /// The same without its counts: for who writes letter after letter of it, since counting looks at
    /// every delivery.
    pub async fn edition_to_mail(&self, id: EditionId) -> Result<Option<Edition>, StoreError> {
        // Its lead and the places of its articles change only while it is held.
        let mut connection = self.readers().acquire().await?;
        match edition_row(&mut connection, id).await? {
            Some(row) => Ok(Some(uncounted(&mut connection, row).await?)),
            None => Ok(None),
        }
    }

    /// The newest editions, the newest first.
    pub async fn editions(&self, limit: usize) -> Result<Vec<Edition>, StoreError> {
        self.editions_below(EditionId(i64::MAX), limit).await
    }

    /// The newest editions below a number, the newest first.
    pub async fn editions_below(&self, below: EditionId, limit: usize) -> Result<Vec<Edition>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let text = concat!(edition_columns!(), " WHERE e.n < $1 ORDER BY e.n DESC LIMIT $2");
        let rows = sqlx::query_as::<_, EditionRow>(text)
            .bind(below.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *snapshot)
            .await?;
        let mut editions = Vec::with_capacity(rows.len());
        for row in rows {
            editions.push(edition_of(&mut snapshot, row).await?);
        }
        Ok(editions)
    }

    /// What an edition brings to a subscriber, in the editor's order and then the newest first: as it
    /// stood at the cut, also after a correction; without what was withdrawn or left out since, and
    /// with `still_subscribed` without what the reader gets by no subscription any more. Texts are
    /// there only where an article has no summary, so that [`Article::lead`] works.
    pub async fn edition_articles(
        &self,
        edition: EditionId,
        subscriber: SubscriberId,
        still_subscribed: bool,
    ) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let rows = rows_in_edition(&mut snapshot, edition, subscriber, still_subscribed).await?;
        with_leads(&mut snapshot, &rows).await
    }

    /// What a subscriber would get if a plan were cut now, the newest first. Writes nothing.
    pub async fn due_articles(
        &self,
        plan: &Plan,
        subscriber: SubscriberId,
        zone: Tz,
        now: Instant,
    ) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let present = publish_sequence(&mut snapshot).await?;
        let days = days(&mut snapshot, zone, now).await?;
        let text = match self.engine() {
            Engine::Sqlite => due_to_one!("$5"),
            Engine::Postgres => due_to_one!("CAST($5 AS JSON)"),
        };
        let plan =
            sqlx::query_scalar::<_, i64>("SELECT n FROM digests WHERE slug = $1").bind(plan.to_string());
        let Some(plan) = plan.fetch_optional(&mut *snapshot).await? else { return Ok(Vec::new()) };
        let rows = sqlx::query_as::<_, (i64, i64)>(text)
            .bind(present)
            .bind(plan)
            .bind(subscriber.0)
            .bind(micros(now))
            .bind(days)
            .fetch_all(&mut *snapshot)
            .await?;
        with_leads(&mut snapshot, &rows).await
    }
}

/// Cuts an edition; the caller commits or, where the cut is for somebody to look at (`whom`), takes it
/// back. What is looked at moves no cursor: no reader waits for it.
pub(super) async fn cut(
    transaction: &mut Transaction<'static, Any>,
    engine: Engine,
    wish: &Cutting<'_>,
    whom: Option<Whom>,
    now: Instant,
) -> Result<CutAnswer, StoreError> {
    if engine == Engine::Postgres {
        sqlx::query(ONE_CUT_AT_A_TIME).execute(&mut **transaction).await?;
    }
    let present = publish_sequence(transaction).await?;
    let Some(plan) = sqlx::query_scalar::<_, i64>("SELECT n FROM digests WHERE slug = $1")
        .bind(wish.plan.to_string())
        .fetch_optional(&mut **transaction)
        .await?
    else {
        return Ok(CutAnswer::Empty);
    };
    if !take_turn(transaction, plan, wish.turn, present).await? {
        return Ok(CutAnswer::TakenByAnother);
    }
    let (changed_after, cut) = match wish.turn {
        Turn::AtOnce { after, up_to } => (after, up_to),
        Turn::ByHand | Turn::Planned { .. } => (-1, present),
    };
    let edition = sqlx::query_scalar::<_, i64>(
        "INSERT INTO editions (digest, slot, cut_at, cut, slots) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (digest, slot) DO NOTHING RETURNING n",
    )
    .bind(plan)
    .bind(micros(wish.slot.0))
    .bind(micros(now))
    .bind(cut)
    .bind(i64::from(wish.slots))
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(edition) = edition else {
        // Somebody cut this slot by hand. The turn is over all the same, or the schedule
        // would stand still for ever; what is due comes with the next slot.
        return Ok(CutAnswer::TakenByAnother);
    };
    let days = days(transaction, wish.zone, now).await?;
    let fill = Filling { cut, plan, edition, now, days, changed_after, whom };
    let due = match (engine, whom) {
        (Engine::Sqlite, None) => {
            let due = fill.run(transaction, FILL_LEDGER).await?;
            fill.run(transaction, MOVE_CURSORS).await?;
            due
        }
        (Engine::Postgres, None) => fill.run(transaction, FILL_AND_MOVE).await?,
        (Engine::Sqlite, Some(_)) => fill.run(transaction, FILL_FOR).await?,
        (Engine::Postgres, Some(_)) => fill.run(transaction, FILL_FOR_ON_POSTGRES).await?,
    };
    queue_edition(transaction, EditionId(edition), due, engine, wish.spread, now).await
}

pub(super) async fn publish_sequence(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT publish_sequence FROM installation WHERE one = 1")
        .fetch_one(connection)
        .await?)
}

/// When the present day began on each clock by which a reader has a cap: a JSON object by the names
/// of zones.
async fn days(connection: &mut AnyConnection, publication: Tz, now: Instant) -> Result<String, StoreError> {
    let zones: Vec<Option<String>> =
        sqlx::query_scalar("SELECT DISTINCT time_zone FROM subscribers WHERE daily_cap IS NOT NULL")
            .fetch_all(connection)
            .await?;
    let begun = |zone: Tz| serde_json::Value::from(micros(day_start(zone, now)));
    let mut days = serde_json::Map::new();
    for name in zones.into_iter().flatten() {
        // One row that a hand in the database broke must not hold up all the others.
        let zone = name.parse().unwrap_or(publication);
        days.insert(name, begun(zone));
    }
    days.insert("publication".to_owned(), begun(publication));
    Ok(serde_json::Value::from(days).to_string())
}

/// Compare and set: only one instance finds what it expected.
async fn take_turn(
    connection: &mut AnyConnection,
    plan: i64,
    turn: Turn,
    present: i64,
) -> Result<bool, StoreError> {
    let moving = match turn {
        Turn::ByHand => return Ok(true),
        Turn::Planned { expected, next } => {
            sqlx::query("UPDATE digests SET next_slot = $3, cut = $4 WHERE n = $1 AND next_slot = $2")
                .bind(plan)
                .bind(micros(expected.0))
                .bind(micros(next.0))
                .bind(present)
        }
        Turn::AtOnce { after, up_to } => sqlx::query("UPDATE digests SET cut = $3 WHERE n = $1 AND cut = $2")
            .bind(plan)
            .bind(after)
            .bind(up_to),
    };
    Ok(moving.execute(connection).await?.rows_affected() == 1)
}

/// What the statements of a cut are about.
struct Filling {
    cut: i64,
    plan: i64,
    edition: i64,
    now: Instant,
    days: String,
    changed_after: i64,
    whom: Option<Whom>,
}

impl Filling {
    /// Returns how many rows it wrote: in the ledger, how many there are to send.
    async fn run(
        &self,
        transaction: &mut Transaction<'static, Any>,
        statement: &'static str,
    ) -> Result<u64, StoreError> {
        let statement = sqlx::query(statement)
            .bind(self.cut)
            .bind(self.plan)
            .bind(self.edition)
            .bind(micros(self.now))
            .bind(self.days.clone())
            .bind(self.changed_after);
        let statement = match self.whom {
            None => statement,
            Some(Whom::Everybody) => statement.bind(0_i64),
            Some(Whom::One(subscriber)) => statement.bind(subscriber.0),
        };
        let done = statement.execute(&mut **transaction).await?;
        Ok(done.rows_affected())
    }
}

/// Freezes what is in the ledger now and queues it, or takes the edition away where nothing is.
async fn queue_edition(
    transaction: &mut Transaction<'static, Any>,
    edition: EditionId,
    due: u64,
    engine: Engine,
    spread: Duration,
    now: Instant,
) -> Result<CutAnswer, StoreError> {
    if due == 0 {
        sqlx::query("DELETE FROM editions WHERE n = $1").bind(edition.0).execute(&mut **transaction).await?;
        return Ok(CutAnswer::Empty);
    }
    let frozen = sqlx::query(FREEZE_ENTRIES).bind(edition.0).execute(&mut **transaction).await?;
    let queued = sqlx::query(QUEUE_DELIVERIES)
        .bind(edition.0)
        .bind(micros(now))
        .bind(i64::try_from(spread.as_micros()).unwrap_or_default())
        .execute(&mut **transaction)
        .await?;
    take_over(transaction, edition).await?;
    hold_if_asked(transaction, edition, engine, now).await?;
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
            forget_kept_letters(transaction).await?;
        }
    }
    Ok(())
}

type EditionRow =
    (i64, String, i64, i64, i64, Option<i64>, Option<i64>, Option<String>, Option<i64>, Option<String>, i64);

macro_rules! edition_columns {
    () => {
        "SELECT e.n, d.slug, e.slot, e.slots, e.cut_at, e.completed_at, e.held_at, e.held_reason, e.released_at,
         e.lead,
         (SELECT count(*) FROM edition_entries x WHERE x.edition = e.n)
         FROM editions e JOIN digests d ON d.n = e.digest"
    };
}
use edition_columns;

/// One edition, as this connection sees it.
pub(super) async fn edition(
    connection: &mut AnyConnection,
    id: EditionId,
) -> Result<Option<Edition>, StoreError> {
    match edition_row(connection, id).await? {
        Some(row) => Ok(Some(edition_of(connection, row).await?)),
        None => Ok(None),
    }
}

async fn edition_row(
    connection: &mut AnyConnection,
    id: EditionId,
) -> Result<Option<EditionRow>, StoreError> {
    let row = sqlx::query_as::<_, EditionRow>(concat!(edition_columns!(), " WHERE e.n = $1"));
    Ok(row.bind(id.0).fetch_optional(connection).await?)
}

async fn edition_of(connection: &mut AnyConnection, row: EditionRow) -> Result<Edition, StoreError> {
    let counts = sqlx::query_as::<_, (String, i64)>(
        "SELECT state, count(*) FROM deliveries WHERE edition = $1 GROUP BY state ORDER BY state",
    )
    .bind(row.0)
    .fetch_all(&mut *connection)
    .await?;
    let counts = counts
        .into_iter()
        .map(|(state, count)| Ok((state_of(&state)?, count.unsigned_abs())))
        .collect::<Result<_, StoreError>>()?;
    Ok(Edition { counts, ..uncounted(connection, row).await? })
}

async fn uncounted(connection: &mut AnyConnection, row: EditionRow) -> Result<Edition, StoreError> {
    let (n, plan, slot, slots, cut_at, completed_at, held_at, held_reason, released_at, lead, articles) = row;
    Ok(Edition {
        id: EditionId(n),
        plan: plan.parse().map_err(|_| damaged("digests", n, plan))?,
        slot: Slot(from_micros(slot)),
        slots: u32::try_from(slots).unwrap_or(1),
        cut_at: from_micros(cut_at),
        completed_at: completed_at.map(from_micros),
        held: Hold::of(held_at, held_reason),
        released_at: released_at.map(from_micros),
        lead: lead.map(|lead| lead_of(n, &lead)).transpose()?,
        placed: places(connection, EditionId(n)).await?,
        articles: articles.unsigned_abs(),
        counts: Vec::new(),
    })
}

/// The articles of [`Store::edition_articles`] by their rows, each with its frozen revision.
pub(super) async fn rows_in_edition(
    connection: &mut AnyConnection,
    edition: EditionId,
    subscriber: SubscriberId,
    still_subscribed: bool,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let rows = sqlx::query_as::<_, (i64, i64)>(IN_EDITION)
        .bind(edition.0)
        .bind(subscriber.0)
        .bind(i64::from(still_subscribed));
    Ok(rows.fetch_all(connection).await?)
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
