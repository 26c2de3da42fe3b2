use super::bounces::note;
use super::claims::{Claimed, extend, give_back, hold};
use super::editions::complete_editions;
use super::outcomes::{burn_kept_letters, count_outcomes};
use super::owed::owe_editions;
use super::statement::{damaged, fetch_about, rows_about};
use super::subscribers::{Subscriber, hold_subscriber, subscriber_columns, subscriber_of};
use super::{Bounce, Engine, Store, StoreError};
use crate::domain::{
    Attempt, DeliveryId, DeliveryKind, DeliveryState, EditionId, Instant, OptInId, Secret, SubscriberId,
    clean_line, from_micros, micros,
};
use sqlx::{Any, Row, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A mail that one worker may send, until its claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// What it is for.
    pub kind: DeliveryKind,
    /// Which try this is.
    pub attempt: Attempt,
    /// Whether an earlier try may have reached the reader: its holder died, or no answer came.
    pub doubted: bool,
    /// When it was queued.
    pub created_at: Instant,
    /// Until when it is the worker's, unless he says that he lives.
    pub claimed_until: Instant,
    /// Whether a worker that was never heard of again may have sent it.
    pub was_handed: bool,
    /// To whom.
    pub subscriber: Subscriber,
    /// Which edition, where it is one.
    pub edition: Option<EditionId>,
    /// Which request it asks about, where it is a confirmation.
    pub opt_in: Option<OptInId>,
}

/// What became of a claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The next mail server took it; its words.
    Accepted(String),
    /// To be tried again.
    Deferred {
        /// The server's words, or what kept us from it.
        reply: String,
        /// When.
        next: Instant,
    },
    /// No mail server heard of it: it waits for its turn, or none could be reached; what is known of
    /// that. The try does not count.
    PutOff {
        /// What kept us from it, where anything did.
        reply: Option<String>,
        /// When its turn comes.
        next: Instant,
    },
    /// The next mail server refused it for good; its words.
    Bounced(String),
    /// Not to be sent any more, and why.
    Suppressed(String),
    /// The text went out and no answer came back.
    Uncertain {
        /// What is known.
        reply: String,
        /// When to send it again under the same Message-ID; `None` holds it for a person.
        next: Option<Instant>,
    },
}

impl Settlement {
    /// State, next try where there is one, and words.
    fn parts(&self) -> (DeliveryState, Option<Instant>, Option<&str>) {
        match self {
            Self::Accepted(reply) => (DeliveryState::Accepted, None, Some(reply)),
            Self::Deferred { reply, next } => (DeliveryState::Deferred, Some(*next), Some(reply)),
            Self::PutOff { reply: None, next } => (DeliveryState::Pending, Some(*next), None),
            Self::PutOff { reply: Some(reply), next } => (DeliveryState::Deferred, Some(*next), Some(reply)),
            Self::Bounced(reply) => (DeliveryState::Bounced, None, Some(reply)),
            Self::Suppressed(reply) => (DeliveryState::Suppressed, None, Some(reply)),
            Self::Uncertain { reply, next } => (DeliveryState::Uncertain, *next, Some(reply)),
        }
    }
}

/// RFC 5321 §4.5.3.1.5 allows 512 bytes a reply line; a reply may have several.
const REPLY_CHARS: usize = 1_000;

/// Whom mail overtakes: confirmations before editions. What is held has a higher number.
const URGENCIES: [i64; 2] = [0, 1];

/// One range of deliveries_due, which holds nothing that is settled. Claims that have not ended
/// and deferred mail lie beyond the range, so a long backlog costs a claim nothing.
const DUE: &str = concat!(
    "SELECT d.n AS delivery, d.kind, d.attempts, d.created_at AS queued_at, d.handed_at, d.edition, d.opt_in,
        CASE WHEN d.state IN ('claimed', 'uncertain') THEN 1 ELSE d.doubted END AS doubted, ",
    subscriber_columns!(),
    " FROM deliveries d JOIN subscribers s ON s.n = d.subscriber
      WHERE d.settled_at IS NULL AND d.urgency = $1 AND d.due_at <= $2
        AND (d.claimed_by IS NULL OR d.claimed_by <> $4)
      ORDER BY d.due_at, d.n LIMIT $3"
);

/// PostgreSQL has many writers: each passes over what another is just claiming. SQLite has one.
const DUE_SKIPPING: &str = concat!(
    "SELECT d.n AS delivery, d.kind, d.attempts, d.created_at AS queued_at, d.handed_at, d.edition, d.opt_in,
        CASE WHEN d.state IN ('claimed', 'uncertain') THEN 1 ELSE d.doubted END AS doubted, ",
    subscriber_columns!(),
    " FROM deliveries d JOIN subscribers s ON s.n = d.subscriber
      WHERE d.settled_at IS NULL AND d.urgency = $1 AND d.due_at <= $2
        AND (d.claimed_by IS NULL OR d.claimed_by <> $4)
      ORDER BY d.due_at, d.n LIMIT $3 FOR UPDATE OF d SKIP LOCKED"
);

/// What became of claimed letters, one row each: [`SETTLEMENT`].
const SETTLE: &str = "
    UPDATE deliveries SET state = v.column3, reply = coalesce(v.column4, reply), due_at = coalesce(v.column5, due_at),
        settled_at = v.column6, attempts = attempts - v.column7, claimed_by = NULL, handed_at = NULL,
        held_back = CASE WHEN v.column3 = 'suppressed' THEN (
            SELECT max(s.change) FROM subscriptions s WHERE s.subscriber = deliveries.subscriber) END
    FROM (VALUES {rows}) AS v WHERE n = v.column1 AND claimed_by = v.column2 AND state = 'claimed'
    RETURNING n, edition, state, settled_at";

/// Number, worker, state, words, next try, end, and whether it was no try.
const SETTLEMENT: &str = "(?, ?, ?, ?, ?, ?, ?)";

impl Store {
    /// Claims due deliveries for a worker until an instant, the most urgent first and then the
    /// longest due. A claim that ended is simply due again, so recovery is the normal path.
    /// Worker names must not be used twice, or a late one settles its successor's claim. What a worker
    /// holds is never due to him: it is in his hands, and would be in them twice.
    pub async fn claim_deliveries(
        &self,
        worker: &str,
        limit: usize,
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        self.claim(&URGENCIES, worker, limit, until, now).await
    }

    /// The same of mail that somebody waits for, where there is no room for other.
    pub async fn claim_urgent_deliveries(
        &self,
        worker: &str,
        limit: usize,
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        self.claim(&URGENCIES[..1], worker, limit, until, now).await
    }

    async fn claim(
        &self,
        urgencies: &[i64],
        worker: &str,
        limit: usize,
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let due = match self.engine() {
            Engine::Sqlite => DUE,
            Engine::Postgres => DUE_SKIPPING,
        };
        let mut transaction = self.write().await?;
        let mut claimed = Vec::new();
        let mut broken = Vec::new();
        for urgency in urgencies {
            let rest = limit.saturating_sub(claimed.len());
            if rest == 0 {
                break;
            }
            let rows = sqlx::query(due)
                .bind(*urgency)
                .bind(micros(now))
                .bind(i64::try_from(rest).unwrap_or(i64::MAX))
                .bind(worker.to_owned())
                .fetch_all(&mut *transaction)
                .await?;
            for row in rows {
                match claimed_of(&row, until) {
                    Ok(delivery) => claimed.push(delivery),
                    Err(StoreError::Damaged { .. }) => broken.push(row.try_get::<i64, _>("delivery")?),
                    Err(error) => return Err(error),
                }
            }
        }
        let held: Vec<i64> = claimed.iter().map(|delivery| delivery.id.0).collect();
        hold(&mut transaction, Claimed::Deliveries, &held, worker, until).await?;
        // One row that a hand in the database broke must not hold up all the others.
        suppress_broken(&mut transaction, &broken, now).await?;
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Writes down what became of a claimed delivery. `false`: the worker's claim had ended and
    /// somebody else has it, or it was settled before; nothing is changed then.
    pub async fn settle_delivery(
        &self,
        id: DeliveryId,
        worker: &str,
        settlement: &Settlement,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let settled = self.settle_deliveries(worker, &[(id, settlement.clone())], now).await?;
        Ok(settled.first().copied().unwrap_or_default())
    }

    /// The same for many in one transaction: a commit waits for the disk once.
    pub async fn settle_deliveries(
        &self,
        worker: &str,
        settlements: &[(DeliveryId, Settlement)],
        now: Instant,
    ) -> Result<Vec<bool>, StoreError> {
        self.settle(worker, settlements, None, now).await
    }

    /// The same with what refusals mean for their readers, in the same transaction: a report that came
    /// in on the spot comes in no second time.
    pub async fn settle_refusals(
        &self,
        worker: &str,
        settlements: &[(DeliveryId, Settlement)],
        (reports, secret): (&[Bounce], &Secret),
        now: Instant,
    ) -> Result<Vec<bool>, StoreError> {
        self.settle(worker, settlements, Some((reports, secret)), now).await
    }

    /// Who gives a reader up ends what waits for him of other editions, and so holds their rows after
    /// those of his own: two who do so at once may wait for each other, and one begins again.
    async fn settle(
        &self,
        worker: &str,
        settlements: &[(DeliveryId, Settlement)],
        refusals: Option<(&[Bounce], &Secret)>,
        now: Instant,
    ) -> Result<Vec<bool>, StoreError> {
        loop {
            match self.try_to_settle(worker, settlements, refusals, now).await {
                Err(error) if error.is_deadlock() => tracing::debug!(%error, "letters are settled again"),
                settled => return settled,
            }
        }
    }

    async fn try_to_settle(
        &self,
        worker: &str,
        settlements: &[(DeliveryId, Settlement)],
        refusals: Option<(&[Bounce], &Secret)>,
        now: Instant,
    ) -> Result<Vec<bool>, StoreError> {
        // By number, so that two batches never wait for each other in a circle.
        let mut ordered: Vec<&(DeliveryId, Settlement)> = settlements.iter().collect();
        ordered.sort_by_key(|(id, _)| *id);
        let mut transaction = self.write().await?;
        if let (Engine::Postgres, Some((reports, _))) = (self.engine(), refusals) {
            hold_readers(&mut transaction, reports, self.engine()).await?;
        }
        let rows =
            rows_about(&mut transaction, SETTLE, SETTLEMENT, &ordered, |statement, (id, settlement)| {
                let (state, next, reply) = settlement.parts();
                statement
                    .bind(id.0)
                    .bind(worker.to_owned())
                    .bind(state.as_str())
                    .bind(reply.map(storable_reply))
                    .bind(next.map(micros))
                    .bind(next.is_none().then(|| micros(now)))
                    .bind(i64::from(matches!(settlement, Settlement::PutOff { .. })))
            });
        let mut settled = HashSet::new();
        let mut outcomes = BTreeMap::new();
        for row in rows.await? {
            settled.insert(DeliveryId(row.try_get(0)?));
            // Nothing is counted of what is tried again.
            if let (Some(edition), Some(_)) = (row.try_get(1)?, row.try_get::<Option<i64>, _>(3)?) {
                let state = state_of(&row.try_get::<String, _>(2)?)?;
                let (accepted, bounced): &mut (i64, i64) = outcomes.entry(edition).or_default();
                *accepted += i64::from(state == DeliveryState::Accepted);
                *bounced += i64::from(state == DeliveryState::Bounced);
            }
        }
        count_outcomes(&mut transaction, &outcomes).await?;
        complete_editions(&mut transaction, outcomes.into_keys().collect(), self.engine(), now).await?;
        if let Some((reports, secret)) = refusals {
            for report in reports.iter().filter(|report| settled.contains(&report.delivery)) {
                note(&mut transaction, report, self.engine(), secret, now).await?;
            }
        }
        transaction.commit().await?;
        Ok(settlements.iter().map(|(id, _)| settled.contains(id)).collect())
    }

    /// A sign of life: everything that this worker holds is held until a later instant. Returns
    /// how many that are.
    pub async fn extend_claims(&self, worker: &str, until: Instant) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let held = extend(&mut transaction, Claimed::Deliveries, worker, until).await?;
        transaction.commit().await?;
        Ok(held)
    }

    /// An orderly stop: what this worker has claimed and not sent is due now, and the try does
    /// not count. Returns how many. Looks through what is open, once at the end of a worker.
    pub async fn give_back_claims(&self, worker: &str, now: Instant) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let given_back = give_back(&mut transaction, Claimed::Deliveries, worker, now).await?;
        transaction.commit().await?;
        Ok(given_back)
    }

    /// How many deliveries stand where.
    pub async fn delivery_counts(&self) -> Result<Vec<(DeliveryState, i64)>, StoreError> {
        sqlx::query_as::<_, (String, i64)>(
            "SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state",
        )
        .fetch_all(self.readers())
        .await?
        .into_iter()
        .map(|(state, count)| Ok((state_of(&state)?, count)))
        .collect()
    }

    /// Since when the longest waiting delivery is due; claims that hold do not wait.
    pub async fn oldest_due(&self, now: Instant) -> Result<Option<Instant>, StoreError> {
        self.oldest_of(&URGENCIES, now).await
    }

    /// Whether mail is due that somebody waits for.
    pub async fn is_urgent_due(&self, now: Instant) -> Result<bool, StoreError> {
        Ok(self.oldest_of(&URGENCIES[..1], now).await?.is_some())
    }

    async fn oldest_of(&self, urgencies: &[i64], now: Instant) -> Result<Option<Instant>, StoreError> {
        let mut oldest = None;
        for urgency in urgencies {
            let first = sqlx::query_scalar::<_, Option<i64>>(
                "SELECT min(due_at) FROM deliveries
                 WHERE settled_at IS NULL AND urgency = $1 AND due_at <= $2",
            )
            .bind(*urgency)
            .bind(micros(now))
            .fetch_one(self.readers())
            .await?;
            oldest = oldest.into_iter().chain(first).min();
        }
        Ok(oldest.map(from_micros))
    }
}

/// Holds the readers of whom something is reported, before their deliveries: whoever forgets a reader
/// holds him first and then what waits for him, and the other order would end in a deadlock.
async fn hold_readers(
    transaction: &mut Transaction<'static, Any>,
    reports: &[Bounce],
    engine: Engine,
) -> Result<(), StoreError> {
    let deliveries: Vec<i64> = reports.iter().map(|report| report.delivery.0).collect();
    let text = "SELECT subscriber FROM deliveries WHERE n IN ({keys})";
    let mut readers = BTreeSet::new();
    for row in fetch_about(transaction, text, &[], &deliveries).await? {
        readers.insert(row.try_get::<i64, _>(0)?);
    }
    for reader in readers {
        hold_subscriber(transaction, SubscriberId(reader), engine).await?;
    }
    Ok(())
}

pub(super) fn state_of(word: &str) -> Result<DeliveryState, StoreError> {
    DeliveryState::parse(word).ok_or_else(|| damaged("deliveries", "of a state", word))
}

/// What a stranger's server said, fit for a log and a page: one line, of bounded length.
pub(super) fn storable_reply(reply: &str) -> String {
    clean_line(reply).chars().take(REPLY_CHARS).collect()
}

fn claimed_of(row: &sqlx::any::AnyRow, until: Instant) -> Result<ClaimedDelivery, StoreError> {
    let id = row.try_get::<i64, _>("delivery")?;
    let kind = row.try_get::<String, _>("kind")?;
    Ok(ClaimedDelivery {
        id: DeliveryId(id),
        kind: DeliveryKind::parse(&kind).ok_or_else(|| damaged("deliveries", id, &kind))?,
        attempt: Attempt(row.try_get::<i64, _>("attempts")? + 1),
        created_at: from_micros(row.try_get("queued_at")?),
        doubted: row.try_get::<i64, _>("doubted")? == 1,
        claimed_until: until,
        was_handed: row.try_get::<Option<i64>, _>("handed_at")?.is_some(),
        subscriber: subscriber_of(row)?,
        edition: row.try_get::<Option<i64>, _>("edition")?.map(EditionId),
        opt_in: row.try_get::<Option<i64>, _>("opt_in")?.map(OptInId),
    })
}

async fn suppress_broken(
    transaction: &mut Transaction<'static, Any>,
    ids: &[i64],
    now: Instant,
) -> Result<(), StoreError> {
    for id in ids {
        sqlx::query(
            "UPDATE deliveries SET state = 'suppressed', settled_at = $2, claimed_by = NULL,
             reply = 'the subscriber''s row cannot be read' WHERE n = $1",
        )
        .bind(*id)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Takes the editions that wait for a subscriber out of the queue. What a worker holds is caught
/// by the look it takes before it sends.
pub(super) async fn void_editions(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    let voided = sqlx::query_as::<_, (i64, i64)>(
        "UPDATE deliveries SET state = 'suppressed', settled_at = $2, reply = 'the reader left',
             held_back = (SELECT max(change) FROM subscriptions WHERE subscriber = $1)
         WHERE subscriber = $1 AND kind = 'edition' AND state IN ('pending', 'deferred')
         RETURNING edition, doubted",
    )
    .bind(subscriber.0)
    .bind(micros(now))
    .fetch_all(&mut **transaction)
    .await?;
    let doubted = voided.iter().filter(|(_, doubted)| *doubted == 1);
    let doubted: Vec<i64> = doubted.map(|(edition, _)| *edition).collect();
    owe_editions(transaction, subscriber, &doubted).await?;
    let editions = voided.into_iter().map(|(edition, _)| edition).collect();
    complete_editions(transaction, editions, engine, now).await
}

/// Takes everything that waits for a subscriber out of the queue, also from a worker's hands:
/// its address is about to go.
pub(super) async fn void_everything(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    let editions = sqlx::query_scalar::<_, Option<i64>>(
        "UPDATE deliveries SET state = 'suppressed', settled_at = $2, claimed_by = NULL
         WHERE subscriber = $1 AND settled_at IS NULL RETURNING edition",
    )
    .bind(subscriber.0)
    .bind(micros(now))
    .fetch_all(&mut **transaction)
    .await?;
    complete_editions(transaction, editions.into_iter().flatten().collect(), engine, now).await?;
    burn_kept_letters(transaction, subscriber).await
}

/// Queues again what was held back since the change by which a reader left: its articles are in the ledger, so no
/// later edition would bring them. A worker looks again before it sends, so what was held back
/// for another reason is held back again.
pub(super) async fn revive_suppressed(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    since: i64,
    now: Instant,
) -> Result<(), StoreError> {
    let editions = sqlx::query_scalar::<_, i64>(
        "UPDATE deliveries SET state = 'pending', settled_at = NULL, reply = NULL, due_at = $3
         WHERE subscriber = $1 AND kind = 'edition' AND state = 'suppressed' AND held_back >= $2
         RETURNING edition",
    )
    .bind(subscriber.0)
    .bind(since)
    .bind(micros(now))
    .fetch_all(&mut **transaction)
    .await?;
    for edition in editions {
        sqlx::query("UPDATE editions SET completed_at = NULL WHERE n = $1 AND completed_at IS NOT NULL")
            .bind(edition)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
