use super::statement::{damaged, storable};
use super::subscribers::{hold_subscriber, subscriber_for};
use super::subscriptions::{Wish, run_wish};
use super::suppressions::suppression_stands;
use super::{Store, StoreError};
use crate::domain::{
    EmailAddress, FeedKey, Instant, Language, OptInId, Secret, Slug, SubscriberId, from_micros, micros,
};
use chrono::Duration;
use sqlx::{Any, Transaction};

/// What somebody asked for on the subscribe page, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptInRequest {
    /// Where the mail shall go.
    pub address: EmailAddress,
    /// By which digest.
    pub digest: Slug,
    /// Of which feeds.
    pub feeds: Vec<FeedKey>,
    /// In which language.
    pub language: Language,
    /// From which network address, for the proof of consent.
    pub remote_address: String,
    /// What the page said, for the proof of consent.
    pub wording: String,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptInAnswer {
    /// The question is on its way.
    Asked(OptInId),
    /// The question is on its way already; it now asks for the present wish.
    AskedBefore,
    /// This address must not be mailed.
    Suppressed,
}

/// A request as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// Its number.
    pub id: OptInId,
    /// Whose it is.
    pub subscriber: SubscriberId,
    /// Where the question goes.
    pub address: EmailAddress,
    /// By which digest.
    pub digest: Slug,
    /// Of which feeds.
    pub feeds: Vec<FeedKey>,
    /// In which language.
    pub language: Language,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When the reader said yes.
    pub confirmed_at: Option<Instant>,
}

fn feeds_text(feeds: &[FeedKey]) -> String {
    let keys: Vec<String> = feeds.iter().map(FeedKey::to_string).collect();
    serde_json::Value::from(keys).to_string()
}

fn feeds_of(id: i64, text: &str) -> Result<Vec<FeedKey>, StoreError> {
    let damaged = || damaged("opt_ins", id, text);
    let keys: Vec<String> = serde_json::from_str(text).map_err(|_| damaged())?;
    keys.iter().map(|key| key.parse().map_err(|_| damaged())).collect()
}

impl Store {
    /// Takes a request to subscribe: the subscriber (pending, where it is new), the opt-in and
    /// the mail that asks "is it you?", due now, in one transaction.
    ///
    /// An address is asked once within `quiet`, however often strangers type it. Another wish
    /// meanwhile takes the place of the unanswered one, and its mail is not repeated. A
    /// suppressed address gets nothing.
    pub async fn request_opt_in(
        &self,
        request: &OptInRequest,
        quiet: Duration,
        secret: &Secret,
        now: Instant,
    ) -> Result<OptInAnswer, StoreError> {
        let mut transaction = self.write().await?;
        if suppression_stands(&mut *transaction, &request.address, secret).await? {
            return Ok(OptInAnswer::Suppressed);
        }
        let subscriber = subscriber_for(&mut transaction, &request.address, request.language, now).await?;
        let asked_before = sqlx::query_scalar::<_, i64>(
            "SELECT n FROM opt_ins WHERE subscriber = $1 AND requested_at > $2 AND confirmed_at IS NULL
             ORDER BY requested_at DESC, n DESC LIMIT 1",
        )
        .bind(subscriber.0)
        .bind(micros(now - quiet))
        .fetch_optional(&mut *transaction)
        .await?;
        let answer = match asked_before {
            Some(unanswered) => {
                replace_wish(&mut transaction, OptInId(unanswered), request).await?;
                OptInAnswer::AskedBefore
            }
            None => OptInAnswer::Asked(ask(&mut transaction, subscriber, request, now).await?),
        };
        transaction.commit().await?;
        Ok(answer)
    }

    /// Takes the word of somebody who said yes elsewhere, on paper or at the desk: the request is
    /// kept as proof and runs at once. In one transaction, so that no worker finds a question to
    /// mail. `None`: a suppressed address, which gets nothing.
    pub async fn accept_consent(
        &self,
        request: &OptInRequest,
        since: Instant,
        secret: &Secret,
        now: Instant,
    ) -> Result<Option<SubscriberId>, StoreError> {
        let mut transaction = self.write().await?;
        if suppression_stands(&mut *transaction, &request.address, secret).await? {
            return Ok(None);
        }
        let subscriber = subscriber_for(&mut transaction, &request.address, request.language, now).await?;
        hold_subscriber(&mut transaction, subscriber, self.engine()).await?;
        let id = note(&mut transaction, subscriber, request, now).await?;
        let subscriber = say_yes(&mut transaction, id, since, now).await?;
        transaction.commit().await?;
        Ok(subscriber)
    }

    /// A request, unless its subscriber was erased.
    pub async fn opt_in(&self, id: OptInId) -> Result<Option<OptIn>, StoreError> {
        type Row = (i64, String, String, String, String, i64, Option<i64>);
        let row = sqlx::query_as::<_, Row>(
            "SELECT o.subscriber, s.address, o.digest, o.feeds, o.language, o.requested_at, o.confirmed_at
             FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
             WHERE o.n = $1 AND s.address <> ''",
        )
        .bind(id.0)
        .fetch_optional(self.readers())
        .await?;
        let Some((subscriber, address, digest, feeds, language, requested_at, confirmed_at)) = row else {
            return Ok(None);
        };
        let damaged = |value: &str| damaged("opt_ins", id, value);
        Ok(Some(OptIn {
            id,
            subscriber: SubscriberId(subscriber),
            address: EmailAddress::parse(&address).map_err(|_| damaged("an address that is none"))?,
            digest: Slug::parse(&digest).map_err(|_| damaged(&digest))?,
            feeds: feeds_of(id.0, &feeds)?,
            language: language.parse().map_err(|()| damaged(&language))?,
            requested_at: from_micros(requested_at),
            confirmed_at: confirmed_at.map(from_micros),
        }))
    }

    /// The reader said yes: what was wished for runs, and the subscriber is active.
    ///
    /// A subscription that runs already as wished is left alone; one that came by another digest
    /// ends, and the new one goes on from its cursor. A new one begins with what became visible
    /// at or after `since`. Saying yes again changes nothing, also after leaving: an old mail in
    /// a mailbox must not bring anybody back. `None`: no such request, or its subscriber was erased.
    pub async fn confirm(
        &self,
        id: OptInId,
        since: Instant,
        now: Instant,
    ) -> Result<Option<SubscriberId>, StoreError> {
        let mut transaction = self.write().await?;
        let whose = sqlx::query_scalar::<_, i64>("SELECT subscriber FROM opt_ins WHERE n = $1")
            .bind(id.0)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(whose) = whose else { return Ok(None) };
        hold_subscriber(&mut transaction, SubscriberId(whose), self.engine()).await?;
        let subscriber = say_yes(&mut transaction, id, since, now).await?;
        transaction.commit().await?;
        Ok(subscriber)
    }
}

/// Runs what a request wished for. The caller holds the subscriber.
async fn say_yes(
    transaction: &mut Transaction<'static, Any>,
    id: OptInId,
    since: Instant,
    now: Instant,
) -> Result<Option<SubscriberId>, StoreError> {
    let row = sqlx::query_as::<_, (i64, String, String, String, Option<i64>)>(
        "SELECT o.subscriber, o.digest, o.feeds, o.language, o.confirmed_at
         FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
         WHERE o.n = $1 AND s.address <> ''",
    )
    .bind(id.0)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some((subscriber, digest, feeds, language, confirmed_at)) = row else { return Ok(None) };
    let subscriber = SubscriberId(subscriber);
    if confirmed_at.is_some() {
        return Ok(Some(subscriber));
    }
    sqlx::query("UPDATE opt_ins SET confirmed_at = $2 WHERE n = $1")
        .bind(id.0)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "UPDATE subscribers SET state = 'active', language = $2,
         confirmed_at = coalesce(confirmed_at, $3) WHERE n = $1",
    )
    .bind(subscriber.0)
    .bind(language)
    .bind(micros(now))
    .execute(&mut **transaction)
    .await?;
    let digest = Slug::parse(&digest).map_err(|_| damaged("opt_ins", id, &digest))?;
    let feeds = feeds_of(id.0, &feeds)?;
    let wish = Wish { subscriber, feeds: &feeds, digest: &digest, since };
    run_wish(transaction, &wish, now).await?;
    Ok(Some(subscriber))
}

async fn replace_wish(
    transaction: &mut Transaction<'static, Any>,
    unanswered: OptInId,
    request: &OptInRequest,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE opt_ins SET digest = $2, feeds = $3, language = $4, remote_address = $5, wording = $6
         WHERE n = $1 AND (digest <> $2 OR feeds <> $3 OR language <> $4)",
    )
    .bind(unanswered.0)
    .bind(request.digest.as_str().to_owned())
    .bind(feeds_text(&request.feeds))
    .bind(request.language.code().to_owned())
    .bind(storable(&request.remote_address))
    .bind(storable(&request.wording))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Keeps a request and queues the question.
async fn ask(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    request: &OptInRequest,
    now: Instant,
) -> Result<OptInId, StoreError> {
    let id = note(transaction, subscriber, request, now).await?;
    sqlx::query(
        "INSERT INTO deliveries (kind, urgency, opt_in, subscriber, state, created_at, due_at)
         VALUES ('confirmation', 0, $1, $2, 'pending', $3, $3)",
    )
    .bind(id.0)
    .bind(subscriber.0)
    .bind(micros(now))
    .execute(&mut **transaction)
    .await?;
    Ok(id)
}

/// Keeps a request: what was wished for, when, and from where.
async fn note(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    request: &OptInRequest,
    now: Instant,
) -> Result<OptInId, StoreError> {
    let n = sqlx::query_scalar::<_, i64>(
        "INSERT INTO opt_ins (subscriber, digest, feeds, language, requested_at, remote_address, wording)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING n",
    )
    .bind(subscriber.0)
    .bind(request.digest.as_str().to_owned())
    .bind(feeds_text(&request.feeds))
    .bind(request.language.code().to_owned())
    .bind(micros(now))
    .bind(storable(&request.remote_address))
    .bind(storable(&request.wording))
    .fetch_one(&mut **transaction)
    .await?;
    Ok(OptInId(n))
}
