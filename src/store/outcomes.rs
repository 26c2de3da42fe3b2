//! What became of an edition's letters: its figures, the letters whose fate is unknown, who did not get
//! it, and their second chance.

use super::deliveries::state_of;
use super::{Store, StoreError};
use crate::domain::{
    DeliveryId, DeliveryState, EditionId, EmailAddress, Instant, SubscriberId, from_micros, micros,
};
use sqlx::{Any, AnyConnection, Row, Transaction};
use std::collections::{BTreeMap, HashSet};

/// An edition's letters so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditionFigures {
    /// How many were accepted.
    pub accepted: u64,
    /// How many were refused for good, or came back.
    pub bounced: u64,
    /// Of how many their reader complained.
    pub complained: u64,
    /// Whether the breaker has stopped it once.
    pub was_stopped: bool,
}

/// How many editions stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditionCounts {
    /// Not complete.
    pub running: u64,
    /// Waiting for a person.
    pub held: u64,
    /// Of those, how many the breaker stopped.
    pub stopped: u64,
}

/// A delivery that has not reached its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its number.
    pub delivery: DeliveryId,
    /// Whose.
    pub subscriber: SubscriberId,
    /// Where to, unless nobody may know it any more.
    pub address: Option<EmailAddress>,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was given up, or will be tried again.
    pub at: Instant,
    /// Why.
    pub reply: String,
}

/// Counts what was settled. Also editions of which nothing is counted are named, so that their rows
/// are held in order before they are completed.
pub(super) async fn count_outcomes(
    connection: &mut AnyConnection,
    outcomes: &BTreeMap<i64, (i64, i64)>,
) -> Result<(), StoreError> {
    for (edition, (accepted, bounced)) in outcomes {
        sqlx::query("UPDATE editions SET accepted = accepted + $2, bounced = bounced + $3 WHERE n = $1")
            .bind(*edition)
            .bind(*accepted)
            .bind(*bounced)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Letters that were kept for a repeat and have been accepted need it no more.
pub(super) async fn forget_kept_letters(connection: &mut AnyConnection) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM kept_letters WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.n = kept_letters.delivery
             AND d.settled_at IS NOT NULL AND d.state <> 'uncertain')",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A letter holds its reader's address, which is about to go.
pub(super) async fn burn_kept_letters(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM kept_letters WHERE delivery IN (SELECT n FROM deliveries WHERE subscriber = $1)",
    )
    .bind(subscriber.0)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// What did not arrive, in the order of numbers: all that is not accepted, and not waiting for its
/// first try.
const FAILURES: &str = "
    SELECT d.n, d.subscriber, s.address, d.state, d.attempts, coalesce(d.settled_at, d.due_at) AS at,
        coalesce(d.reply, '') AS reply
    FROM deliveries d JOIN subscribers s ON s.n = d.subscriber
    WHERE d.edition = $1 AND d.state IN ('bounced', 'deferred', 'suppressed', 'uncertain') AND d.n > $2
    ORDER BY d.n LIMIT $3";

/// A second chance for what was refused or given up: of readers who still want mail. Whether their
/// address is suppressed is looked at before it is sent, as always. What is in doubt stays a repeat.
const RESEND: &str = "
    UPDATE deliveries SET state = 'pending', settled_at = NULL, reply = NULL, handed_at = NULL,
        attempts = CASE WHEN state = 'uncertain' THEN attempts ELSE 0 END, created_at = $2, due_at = $2
    WHERE edition = $1 AND settled_at IS NOT NULL AND (state = 'bounced' OR state = $3)
      AND subscriber IN (SELECT n FROM subscribers WHERE state = 'active')";

impl Store {
    /// An edition's figures: one row, however many readers.
    pub async fn edition_figures(&self, edition: EditionId) -> Result<EditionFigures, StoreError> {
        let row = sqlx::query_as::<_, (i64, i64, i64, Option<i64>)>(
            "SELECT accepted, bounced, complained, stopped_at FROM editions WHERE n = $1",
        )
        .bind(edition.0)
        .fetch_optional(self.readers())
        .await?;
        Ok(row.map_or_else(EditionFigures::default, |(accepted, bounced, complained, stopped)| {
            let [accepted, bounced, complained] = [accepted, bounced, complained].map(i64::unsigned_abs);
            EditionFigures { accepted, bounced, complained, was_stopped: stopped.is_some() }
        }))
    }

    /// The editions that are not complete.
    pub async fn running_editions(&self) -> Result<Vec<EditionId>, StoreError> {
        let text = "SELECT n FROM editions WHERE completed_at IS NULL ORDER BY n";
        let running: Vec<i64> = sqlx::query_scalar(text).fetch_all(self.readers()).await?;
        Ok(running.into_iter().map(EditionId).collect())
    }

    /// How many editions stand where.
    pub async fn edition_counts(&self) -> Result<EditionCounts, StoreError> {
        let (running, held, stopped) = sqlx::query_as::<_, (i64, i64, i64)>(
            "SELECT count(*), count(held_at), count(CASE WHEN held_at IS NOT NULL THEN stopped_at END)
             FROM editions WHERE completed_at IS NULL",
        )
        .fetch_one(self.readers())
        .await?;
        let count = i64::unsigned_abs;
        Ok(EditionCounts { running: count(running), held: count(held), stopped: count(stopped) })
    }

    /// How many of an edition's letters were accepted since an instant.
    pub async fn accepted_since(&self, edition: EditionId, since: Instant) -> Result<u64, StoreError> {
        let text =
            "SELECT count(*) FROM deliveries WHERE edition = $1 AND state = 'accepted' AND settled_at >= $2";
        let accepted: i64 =
            sqlx::query_scalar(text).bind(edition.0).bind(micros(since)).fetch_one(self.readers()).await?;
        Ok(accepted.unsigned_abs())
    }

    /// Who has not got an edition, and why, behind a delivery.
    pub async fn failures(
        &self,
        edition: EditionId,
        behind: DeliveryId,
        limit: usize,
    ) -> Result<Vec<Failure>, StoreError> {
        let rows = sqlx::query(FAILURES)
            .bind(edition.0)
            .bind(behind.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await?;
        rows.iter()
            .map(|row| {
                let address: String = row.try_get("address")?;
                Ok(Failure {
                    delivery: DeliveryId(row.try_get("n")?),
                    subscriber: SubscriberId(row.try_get("subscriber")?),
                    address: EmailAddress::parse(&address).ok(),
                    state: state_of(&row.try_get::<String, _>("state")?)?,
                    attempts: row.try_get("attempts")?,
                    at: from_micros(row.try_get("at")?),
                    reply: row.try_get("reply")?,
                })
            })
            .collect()
    }

    /// Queues what bounced again, and with `uncertain` what waits for a person's word whether to repeat
    /// it. Returns how many.
    pub async fn resend(&self, edition: EditionId, uncertain: bool, now: Instant) -> Result<u64, StoreError> {
        let also = if uncertain { DeliveryState::Uncertain } else { DeliveryState::Bounced };
        let mut transaction = self.write().await?;
        let queued = sqlx::query(RESEND)
            .bind(edition.0)
            .bind(micros(now))
            .bind(also.as_str())
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if queued > 0 {
            // The first failures are told already; the breaker looks at what comes of the second.
            sqlx::query(
                "UPDATE editions SET completed_at = NULL, bounced = 0, stopped_at = NULL WHERE n = $1",
            )
            .bind(edition.0)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(queued)
    }

    /// Writes down that the texts of these letters may go out from now on. Returns of each whether the
    /// worker still holds it: the others are somebody else's.
    pub async fn note_handed(
        &self,
        worker: &str,
        deliveries: &[DeliveryId],
        now: Instant,
    ) -> Result<Vec<bool>, StoreError> {
        let mut transaction = self.write().await?;
        let mut ours = HashSet::new();
        let mut ids: Vec<i64> = deliveries.iter().map(|id| id.0).collect();
        ids.sort_unstable();
        for id in ids {
            let held = sqlx::query(
                "UPDATE deliveries SET handed_at = $3 WHERE n = $1 AND claimed_by = $2 AND state = 'claimed'",
            )
            .bind(id)
            .bind(worker.to_owned())
            .bind(micros(now))
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if held > 0 {
                ours.insert(id);
            }
        }
        transaction.commit().await?;
        Ok(deliveries.iter().map(|id| ours.contains(&id.0)).collect())
    }

    /// Keeps a letter that may have been taken, for its repeat. Its articles name the version.
    pub async fn keep_letter(
        &self,
        delivery: DeliveryId,
        articles: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO kept_letters (delivery, articles, bytes) VALUES ($1, $2, $3)
             ON CONFLICT (delivery) DO UPDATE SET articles = excluded.articles, bytes = excluded.bytes",
        )
        .bind(delivery.0)
        .bind(articles.to_owned())
        .bind(bytes.to_vec())
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// The letter that may have been taken, with the same articles.
    pub async fn kept_letter(
        &self,
        delivery: DeliveryId,
        articles: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let text = "SELECT bytes FROM kept_letters WHERE delivery = $1 AND articles = $2";
        let found = sqlx::query_scalar(text).bind(delivery.0).bind(articles.to_owned());
        Ok(found.fetch_optional(self.readers()).await?)
    }

    /// Notes that the breaker stops an edition. `false`: it did before, and a person let it go on.
    pub async fn note_stop(&self, edition: EditionId, now: Instant) -> Result<bool, StoreError> {
        let text = "UPDATE editions SET stopped_at = $2 WHERE n = $1 AND stopped_at IS NULL AND completed_at IS NULL";
        let stopped = sqlx::query(text).bind(edition.0).bind(micros(now)).execute(self.writer()).await?;
        Ok(stopped.rows_affected() == 1)
    }
}
