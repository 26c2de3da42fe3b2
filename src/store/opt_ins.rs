use super::plans::plan_running;
use super::statement::{damaged, storable};
use super::subscribers::{hold_subscriber, subscriber_for};
use super::subscriptions::{Beginning, run_wishes};
use super::suppressions::suppression_stands;
use super::{Engine, Store, StoreError};
use crate::domain::{
    EmailAddress, Instant, Language, OptInId, Secret, SubscriberId, Wish, from_micros, micros,
};
use chrono::Duration;
use chrono_tz::Tz;
use sqlx::{Any, Transaction};

/// What somebody asked for on the subscribe page, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptInRequest {
    /// Where the mail shall go.
    pub address: EmailAddress,
    /// Which feeds, and how often each.
    pub wishes: Vec<Wish>,
    /// In which language.
    pub language: Language,
    /// On whose clock, where the form asked or knew.
    pub time_zone: Option<Tz>,
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
    /// Which feeds, and how often each.
    pub wishes: Vec<Wish>,
    /// In which language.
    pub language: Language,
    /// On whose clock, where the form asked or knew.
    pub time_zone: Option<Tz>,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When the reader said yes.
    pub confirmed_at: Option<Instant>,
}

fn wishes_text(wishes: &[Wish]) -> String {
    let pairs: Vec<[String; 2]> =
        wishes.iter().map(|w| [w.feed.to_string(), w.frequency.to_string()]).collect();
    serde_json::Value::from(pairs.into_iter().map(serde_json::Value::from).collect::<Vec<_>>()).to_string()
}

fn wishes_of(id: i64, text: &str) -> Result<Vec<Wish>, StoreError> {
    let damaged = || damaged("opt_ins", id, text);
    let pairs: Vec<[String; 2]> = serde_json::from_str(text).map_err(|_| damaged())?;
    let wish = |[feed, frequency]: &[String; 2]| {
        Some(Wish { feed: feed.parse().ok()?, frequency: frequency.parse().ok()? })
    };
    pairs.iter().map(|pair| wish(pair).ok_or_else(damaged)).collect()
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
        beginning: &Beginning<'_>,
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
        let subscriber = say_yes(&mut transaction, id, beginning, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(subscriber)
    }

    /// A request, unless its subscriber was erased.
    pub async fn opt_in(&self, id: OptInId) -> Result<Option<OptIn>, StoreError> {
        type Row = (i64, String, String, String, Option<String>, i64, Option<i64>);
        let row = sqlx::query_as::<_, Row>(
            "SELECT o.subscriber, s.address, o.wishes, o.language, o.time_zone, o.requested_at, o.confirmed_at
             FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
             WHERE o.n = $1 AND s.address <> ''",
        )
        .bind(id.0)
        .fetch_optional(self.readers())
        .await?;
        let Some((subscriber, address, wishes, language, zone, requested_at, confirmed_at)) = row else {
            return Ok(None);
        };
        let damaged = |value: &str| damaged("opt_ins", id, value);
        Ok(Some(OptIn {
            id,
            subscriber: SubscriberId(subscriber),
            address: EmailAddress::parse(&address).map_err(|_| damaged("an address that is none"))?,
            wishes: wishes_of(id.0, &wishes)?,
            language: language.parse().map_err(|()| damaged(&language))?,
            time_zone: zone.map(|zone| zone.parse().map_err(|_| damaged(&zone))).transpose()?,
            requested_at: from_micros(requested_at),
            confirmed_at: confirmed_at.map(from_micros),
        }))
    }

    /// The reader said yes: what was wished for runs, and the subscriber is active.
    ///
    /// A subscription that runs already as wished is left alone; one that came at another frequency
    /// ends, and the new one goes on from its cursor. A new one begins with what became visible
    /// at or after its `beginning`. Saying yes again changes nothing, also after leaving: an old mail in
    /// a mailbox must not bring anybody back. `None`: no such request, or its subscriber was erased.
    pub async fn confirm(
        &self,
        id: OptInId,
        beginning: &Beginning<'_>,
        now: Instant,
    ) -> Result<Option<SubscriberId>, StoreError> {
        let mut transaction = self.write().await?;
        let whose = sqlx::query_scalar::<_, i64>("SELECT subscriber FROM opt_ins WHERE n = $1")
            .bind(id.0)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(whose) = whose else { return Ok(None) };
        hold_subscriber(&mut transaction, SubscriberId(whose), self.engine()).await?;
        let subscriber = say_yes(&mut transaction, id, beginning, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(subscriber)
    }
}

/// Runs what a request wished for. The caller holds the subscriber.
async fn say_yes(
    transaction: &mut Transaction<'static, Any>,
    id: OptInId,
    beginning: &Beginning<'_>,
    engine: Engine,
    now: Instant,
) -> Result<Option<SubscriberId>, StoreError> {
    let row = sqlx::query_as::<_, (i64, String, String, Option<String>, Option<i64>)>(
        "SELECT o.subscriber, o.wishes, o.language, o.time_zone, o.confirmed_at
         FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
         WHERE o.n = $1 AND s.address <> ''",
    )
    .bind(id.0)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some((subscriber, wishes, language, zone, confirmed_at)) = row else { return Ok(None) };
    let subscriber = SubscriberId(subscriber);
    if confirmed_at.is_some() {
        return Ok(Some(subscriber));
    }
    sqlx::query("UPDATE opt_ins SET confirmed_at = $2 WHERE n = $1")
        .bind(id.0)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?;
    run_wishes(transaction, subscriber, &wishes_of(id.0, &wishes)?, beginning, engine, now).await?;
    sqlx::query(
        "UPDATE subscribers SET state = 'active', language = $2, time_zone = coalesce($4, time_zone),
         confirmed_at = coalesce(confirmed_at, $3) WHERE n = $1",
    )
    .bind(subscriber.0)
    .bind(language)
    .bind(micros(now))
    .bind(zone)
    .execute(&mut **transaction)
    .await?;
    plan_running(transaction, subscriber, now).await?;
    Ok(Some(subscriber))
}

async fn replace_wish(
    transaction: &mut Transaction<'static, Any>,
    unanswered: OptInId,
    request: &OptInRequest,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE opt_ins SET wishes = $2, language = $3, time_zone = $4, remote_address = $5, wording = $6
         WHERE n = $1 AND (wishes <> $2 OR language <> $3 OR coalesce(time_zone, '') <> coalesce($4, ''))",
    )
    .bind(unanswered.0)
    .bind(wishes_text(&request.wishes))
    .bind(request.language.code().to_owned())
    .bind(request.time_zone.map(|zone| zone.name().to_owned()))
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
        "INSERT INTO opt_ins (subscriber, wishes, language, time_zone, requested_at, remote_address, wording)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING n",
    )
    .bind(subscriber.0)
    .bind(wishes_text(&request.wishes))
    .bind(request.language.code().to_owned())
    .bind(request.time_zone.map(|zone| zone.name().to_owned()))
    .bind(micros(now))
    .bind(storable(&request.remote_address))
    .bind(storable(&request.wording))
    .fetch_one(&mut **transaction)
    .await?;
    Ok(OptInId(n))
}
