use super::plans::plan_running;
use super::statement::{damaged, storable};
use super::subscribers::{hold_subscriber, subscriber_for};
use super::subscriptions::{Beginning, run_wishes};
use super::suppressions::suppression_stands;
use super::{Engine, Store, StoreError};
use crate::domain::{
    EmailAddress, Instant, Language, NoticeKind, OptInId, Secret, SubscriberId, Wish, from_micros, micros,
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

/// Somebody says yes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Yes<'y> {
    /// From which network address, for the proof of consent.
    pub from: &'y str,
    /// Whether who becomes a reader by it is welcomed by a letter.
    pub greet: bool,
}

/// A request as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// Its number.
    pub id: OptInId,
    /// What its letter is for.
    pub kind: NoticeKind,
    /// Whose it is.
    pub subscriber: SubscriberId,
    /// Where the letter goes.
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

pub(super) fn wishes_text(wishes: &[Wish]) -> String {
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
    /// An address is asked once within `quiet`, however often strangers type it, and who does not
    /// answer more and more seldom. Another wish meanwhile takes the place of the unanswered one, and
    /// its mail is not repeated. A suppressed address gets nothing.
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
        let answer = ask_once(&mut transaction, request, quiet, now).await?;
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
        let subscriber =
            say_yes(&mut transaction, id, beginning, &Yes { from: "", greet: false }, self.engine(), now)
                .await?;
        transaction.commit().await?;
        Ok(subscriber)
    }

    /// A request, unless its subscriber was erased.
    pub async fn opt_in(&self, id: OptInId) -> Result<Option<OptIn>, StoreError> {
        type Row = (i64, String, String, String, String, Option<String>, i64, Option<i64>);
        let row = sqlx::query_as::<_, Row>(
            "SELECT o.subscriber, o.kind, coalesce(o.address, s.address), o.wishes, o.language, o.time_zone,
                 o.requested_at, o.confirmed_at
             FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
             WHERE o.n = $1 AND s.address <> ''",
        )
        .bind(id.0)
        .fetch_optional(self.readers())
        .await?;
        let Some((subscriber, kind, address, wishes, language, zone, requested_at, confirmed_at)) = row
        else {
            return Ok(None);
        };
        let damaged = |value: &str| damaged("opt_ins", id, value);
        Ok(Some(OptIn {
            id,
            kind: NoticeKind::parse(&kind).ok_or_else(|| damaged(&kind))?,
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
        yes: &Yes<'_>,
        now: Instant,
    ) -> Result<Option<SubscriberId>, StoreError> {
        let mut transaction = self.write().await?;
        let whose = sqlx::query_scalar::<_, i64>(
            "SELECT subscriber FROM opt_ins WHERE n = $1 AND kind = 'confirmation'",
        )
        .bind(id.0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(whose) = whose else { return Ok(None) };
        hold_subscriber(&mut transaction, SubscriberId(whose), self.engine()).await?;
        let subscriber = say_yes(&mut transaction, id, beginning, yes, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(subscriber)
    }
}

/// Asks unless the question is on its way already.
pub(super) async fn ask_once(
    transaction: &mut Transaction<'static, Any>,
    request: &OptInRequest,
    quiet: Duration,
    now: Instant,
) -> Result<OptInAnswer, StoreError> {
    let subscriber = subscriber_for(transaction, &request.address, request.language, now).await?;
    let asked_before = quiet_until(transaction, subscriber, NoticeKind::Confirmation, quiet, now).await?;
    Ok(match asked_before {
        Some(unanswered) => {
            replace_wish(transaction, unanswered, request).await?;
            OptInAnswer::AskedBefore
        }
        None => OptInAnswer::Asked(ask(transaction, subscriber, request, now).await?),
    })
}

/// Runs what a request wished for. The caller holds the subscriber.
pub(super) async fn say_yes(
    transaction: &mut Transaction<'static, Any>,
    id: OptInId,
    beginning: &Beginning<'_>,
    yes: &Yes<'_>,
    engine: Engine,
    now: Instant,
) -> Result<Option<SubscriberId>, StoreError> {
    let row = sqlx::query_as::<_, (i64, String, String, String, Option<String>, Option<i64>)>(
        "SELECT o.subscriber, s.state, o.wishes, o.language, o.time_zone, o.confirmed_at
         FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
         WHERE o.n = $1 AND s.address <> ''",
    )
    .bind(id.0)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some((subscriber, state, wishes, language, zone, confirmed_at)) = row else { return Ok(None) };
    let subscriber = SubscriberId(subscriber);
    if confirmed_at.is_some() {
        return Ok(Some(subscriber));
    }
    sqlx::query("UPDATE opt_ins SET confirmed_at = $2, confirmed_from = $3 WHERE n = $1")
        .bind(id.0)
        .bind(micros(now))
        .bind(storable(yes.from))
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
    if yes.greet && state != "active" {
        greet(transaction, id, subscriber, now).await?;
    }
    Ok(Some(subscriber))
}

/// Queues the welcome to what was confirmed.
async fn greet(
    transaction: &mut Transaction<'static, Any>,
    confirmed: OptInId,
    subscriber: SubscriberId,
    now: Instant,
) -> Result<(), StoreError> {
    let n = sqlx::query_scalar::<_, i64>(
        "INSERT INTO opt_ins (subscriber, kind, wishes, language, time_zone, requested_at, remote_address,
             wording, confirmed_at)
         SELECT subscriber, 'welcome', wishes, language, time_zone, $2, '', '', $2 FROM opt_ins
         WHERE n = $1 RETURNING n",
    )
    .bind(confirmed.0)
    .bind(micros(now))
    .fetch_one(&mut **transaction)
    .await?;
    queue_letter(transaction, OptInId(n), subscriber, now).await
}

/// The last unanswered request of a kind, where it is too young for another one. Who does not answer
/// is asked again after ten minutes, an hour, a day and a week, where `quiet` is ten minutes: nobody
/// can fill a stranger's mailbox by typing his address.
pub(super) async fn quiet_until(
    transaction: &mut Transaction<'static, Any>,
    subscriber: SubscriberId,
    kind: NoticeKind,
    quiet: Duration,
    now: Instant,
) -> Result<Option<OptInId>, StoreError> {
    const GROWTH: [i32; 4] = [1, 6, 144, 1_008];
    let unanswered = sqlx::query_as::<_, (i64, i64)>(
        "SELECT n, requested_at FROM opt_ins WHERE subscriber = $1 AND kind = $2 AND confirmed_at IS NULL
         AND n > (SELECT coalesce(max(n), 0) FROM opt_ins
                  WHERE subscriber = $1 AND kind = $2 AND confirmed_at IS NOT NULL)
         ORDER BY n DESC LIMIT 4",
    )
    .bind(subscriber.0)
    .bind(kind.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    let Some((last, requested_at)) = unanswered.first() else { return Ok(None) };
    let growth = GROWTH.get(unanswered.len() - 1).copied().unwrap_or(1);
    let quiet = quiet.checked_mul(growth).unwrap_or(Duration::MAX);
    Ok((now - from_micros(*requested_at) < quiet).then_some(OptInId(*last)))
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
    queue_letter(transaction, id, subscriber, now).await?;
    Ok(id)
}

/// Queues the letter of a request: somebody waits for it.
pub(super) async fn queue_letter(
    transaction: &mut Transaction<'static, Any>,
    id: OptInId,
    subscriber: SubscriberId,
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO deliveries (kind, urgency, opt_in, subscriber, state, created_at, due_at)
         VALUES ('confirmation', 0, $1, $2, 'pending', $3, $3)",
    )
    .bind(id.0)
    .bind(subscriber.0)
    .bind(micros(now))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Keeps a request: what was wished for, when, and from where.
pub(super) async fn note(
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
