//! What a letter in doubt left out, and how it comes after all.
//!
//! A letter whose worker died, or whose server gave no answer, may have reached its reader. What is left
//! out of its repeat, because it was withdrawn, left or its reader pauses, can be given to no later
//! edition: he might have it twice. Nor may it be forgotten: he may have nothing. So the ledger notes it as
//! owed, and once it can be told again the same letter goes out again under its Message-ID.

use super::statement::{Statement, execute_about, rows_about};
use super::{Store, StoreError};
use crate::domain::{EditionId, Instant, SubscriberId, micros};
use sqlx::{AnyConnection, Row as _};
use std::collections::BTreeMap;

/// How many letters are queued again by one look.
const LETTERS: i64 = 500;

/// Letters that are over and owe an article which is out, which a live subscription brings, and whose reader
/// may have mail. One range of ledger_owed, empty but for rare hours.
const OWING: &str = "
    SELECT DISTINCT l.edition, l.subscriber
    FROM ledger l CROSS JOIN articles a CROSS JOIN edition_entries x CROSS JOIN editions ed
        CROSS JOIN subscribers r CROSS JOIN deliveries d
    WHERE l.owed = 1 AND a.n = l.article AND a.state = 'visible'
      AND x.edition = l.edition AND x.article = l.article AND x.left_out = 0
      AND ed.n = l.edition AND ed.held_at IS NULL
      AND r.n = l.subscriber AND r.state = 'active' AND (r.paused_until IS NULL OR r.paused_until <= $1)
      AND d.edition = l.edition AND d.subscriber = l.subscriber AND d.state IN ('accepted', 'suppressed')
      AND EXISTS (SELECT 1 FROM subscriptions s JOIN entries e ON e.feed = s.feed AND e.article = l.article
                  WHERE s.subscriber = l.subscriber AND s.ended_at IS NULL AND e.sequence > s.began)
    ORDER BY l.edition, l.subscriber LIMIT $2";

/// Its patience begins anew, and it counts as a mail of this day. It stays in doubt.
const QUEUE_AGAIN: &str = "
    UPDATE deliveries SET state = 'pending', settled_at = NULL, reply = NULL, handed_at = NULL, held_back = NULL,
        created_at = v.column3, due_at = v.column3
    FROM (VALUES {rows}) AS v WHERE edition = v.column1 AND subscriber = v.column2 AND state = v.column4
    RETURNING edition, subscriber";

/// The next look at the letter says anew what it owes.
const CLEAR: &str = "
    UPDATE ledger SET owed = 0 FROM (VALUES {rows}) AS v
    WHERE edition = v.column1 AND subscriber = v.column2 AND owed = 1 RETURNING article";

const OWE: &str =
    "UPDATE ledger SET owed = 1 WHERE subscriber = $1 AND edition = $2 AND owed = 0 AND article IN ({keys})";

const PAY: &str =
    "UPDATE ledger SET owed = 0 WHERE subscriber = $1 AND edition = $2 AND owed = 1 AND article IN ({keys})";

impl Store {
    /// Queues letters in doubt again that can tell now what they left out. Returns how many. Asking twice
    /// queues nothing twice.
    pub async fn queue_owed(&self, now: Instant) -> Result<u64, StoreError> {
        let owing = sqlx::query_as::<_, (i64, i64)>(OWING).bind(micros(now)).bind(LETTERS);
        let owing = owing.fetch_all(self.readers()).await?;
        if owing.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.write().await?;
        let (mut queued, mut accepted) = (Vec::new(), BTreeMap::new());
        for state in ["accepted", "suppressed"] {
            let bind = |statement: Statement, (edition, subscriber): &(i64, i64)| {
                statement.bind(*edition).bind(*subscriber).bind(micros(now)).bind(state)
            };
            for row in rows_about(&mut transaction, QUEUE_AGAIN, "(?, ?, ?, ?)", &owing, bind).await? {
                let edition: i64 = row.try_get(0)?;
                queued.push((edition, row.try_get::<i64, _>(1)?));
                *accepted.entry(edition).or_insert(0_i64) += i64::from(state == "accepted");
            }
        }
        // Only of those: what another program has queued may owe again by now.
        rows_about(&mut transaction, CLEAR, "(?, ?)", &queued, |statement, (edition, subscriber)| {
            statement.bind(*edition).bind(*subscriber)
        })
        .await?;
        for (edition, accepted) in accepted {
            sqlx::query("UPDATE editions SET completed_at = NULL, accepted = accepted - $2 WHERE n = $1")
                .bind(edition)
                .bind(accepted)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(queued.len() as u64)
    }

    /// Notes that a letter in doubt owes its reader everything: he has left, and it is not written.
    pub async fn owe_letter(&self, edition: EditionId, subscriber: SubscriberId) -> Result<(), StoreError> {
        let mut connection = self.writer().acquire().await?;
        owe_editions(&mut connection, subscriber, &[edition.0]).await
    }

    /// Notes what a letter in doubt leaves out, and what it does not owe any more.
    pub(super) async fn note_owed(
        &self,
        edition: EditionId,
        subscriber: SubscriberId,
        owed: &[i64],
        paid: &[i64],
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        execute_about(&mut transaction, OWE, &[subscriber.0, edition.0], owed).await?;
        execute_about(&mut transaction, PAY, &[subscriber.0, edition.0], paid).await?;
        Ok(transaction.commit().await?)
    }
}

/// Letters in doubt of a reader who has just left: taken out of the queue they owe him everything.
pub(super) async fn owe_editions(
    connection: &mut AnyConnection,
    subscriber: SubscriberId,
    editions: &[i64],
) -> Result<(), StoreError> {
    const OWE_ALL: &str = "
        UPDATE ledger SET owed = 1 WHERE subscriber = $1 AND owed = 0 AND edition IN ({keys})";
    execute_about(connection, OWE_ALL, &[subscriber.0], editions).await
}
