//! What was answered under an Idempotency-Key, so that a repeat gets the same and does nothing.

use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{Instant, micros};
use chrono::Duration;
use sqlx::Row;

/// How long a key is remembered.
const KEPT: Duration = Duration::hours(24);

/// How long the first request has for its answer: longer than any answer may take. After that its
/// process has died, and a repeat does the work.
const CLAIM: Duration = Duration::seconds(60);

/// An answer as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status code.
    pub status: u16,
    /// The fields of its header.
    pub head: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What a key says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It is the first of its key: it is to be carried out.
    First,
    /// The one before it died, before its work or after it: what is not done is to be carried out.
    Unanswered,
    /// It was answered.
    Answered(KeptAnswer),
    /// The first one is still at work.
    UnderWay,
    /// The key was used for another request.
    Another,
}

impl Store {
    /// Takes a key for a request, or tells what became of the one that has it.
    pub async fn take_key(
        &self,
        handle: &str,
        key: &str,
        fingerprint: &str,
        now: Instant,
    ) -> Result<Repeat, StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM api_answers WHERE asked_at < $1")
            .bind(micros(now - KEPT))
            .execute(&mut *tx)
            .await?;
        let taken = sqlx::query(
            "INSERT INTO api_answers (handle, key, fingerprint, asked_at, claimed_until)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (handle, key) DO UPDATE SET claimed_until = excluded.claimed_until
             WHERE api_answers.status IS NULL AND api_answers.claimed_until <= excluded.asked_at
               AND api_answers.fingerprint = excluded.fingerprint
             RETURNING asked_at",
        )
        .bind(handle.to_owned())
        .bind(key.to_owned())
        .bind(fingerprint.to_owned())
        .bind(micros(now))
        .bind(micros(now + CLAIM))
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(taken) = taken {
            tx.commit().await?;
            let is_first = taken.try_get::<i64, _>("asked_at")? == micros(now);
            return Ok(if is_first { Repeat::First } else { Repeat::Unanswered });
        }
        let text = "SELECT fingerprint, status, head, body FROM api_answers WHERE handle = $1 AND key = $2";
        let row = sqlx::query(text).bind(handle.to_owned()).bind(key.to_owned());
        // It was given back just now.
        let Some(row) = row.fetch_optional(&mut *tx).await? else { return Ok(Repeat::UnderWay) };
        if row.try_get::<String, _>("fingerprint")? != fingerprint {
            return Ok(Repeat::Another);
        }
        let Some(status) = row.try_get::<Option<i64>, _>("status")? else { return Ok(Repeat::UnderWay) };
        let head: Option<String> = row.try_get("head")?;
        let head = head.unwrap_or_default();
        Ok(Repeat::Answered(KeptAnswer {
            status: u16::try_from(status).map_err(|_| damaged("api_answers", handle, status.to_string()))?,
            head: serde_json::from_str(&head).map_err(|_| damaged("api_answers", handle, head))?,
            body: row.try_get::<Option<String>, _>("body")?.unwrap_or_default(),
        }))
    }

    /// Keeps the answer for repeats.
    pub async fn keep_answer(&self, handle: &str, key: &str, answer: &KeptAnswer) -> Result<(), StoreError> {
        let head = serde_json::to_string(&answer.head).unwrap_or_else(|_| "[]".to_owned());
        sqlx::query(
            "UPDATE api_answers SET status = $3, head = $4, body = $5 WHERE handle = $1 AND key = $2",
        )
        .bind(handle.to_owned())
        .bind(key.to_owned())
        .bind(i64::from(answer.status))
        .bind(head)
        .bind(answer.body.clone())
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// Gives a key back whose request was not carried out: a repeat may do it.
    pub async fn give_key_back(&self, handle: &str, key: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM api_answers WHERE handle = $1 AND key = $2 AND status IS NULL")
            .bind(handle.to_owned())
            .bind(key.to_owned())
            .execute(self.writer())
            .await?;
        Ok(())
    }
}
