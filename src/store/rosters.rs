//! Lists of readers in and out.

use super::erasures::erased_at;
use super::opt_ins::{Yes, ask_once, note, say_yes};
use super::statement::damaged;
use super::subscribers::{Subscriber, hold_subscriber, subscriber_columns, subscriber_for, subscriber_of};
use super::subscriptions::Beginning;
use super::suppressions::suppression_stands;
use super::{OptInAnswer, OptInRequest, Store, StoreError};
use crate::domain::{FeedKey, Frequency, Instant, Secret, SubscriberId, SubscriberState, from_micros};
use chrono::Duration;
use sqlx::{Any, AnyConnection, Row, Transaction};
use std::collections::HashMap;

/// Whoever was asked within this time is not asked again by the same list.
const ASKED_LATELY: Duration = Duration::days(7);

/// A reader as a list names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedReader {
    /// The address, the wishes, and the proof of consent.
    pub request: OptInRequest,
    /// When the reader agreed elsewhere. `None`: to be asked by mail.
    pub agreed: Option<Instant>,
}

/// What became of a reader on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// Subscribed; the proof is kept.
    Taken,
    /// The question is on its way.
    Asked,
    /// Asked lately.
    AskedBefore,
    /// Nothing to do: it runs, or the reader changed it himself since.
    AlreadyThere,
    /// The address must not be mailed.
    Suppressed,
    /// The reader left, after the consent that the list tells of.
    Left(Instant),
    /// The reader asked to be forgotten, after the consent that the list tells of.
    Erased(Instant),
}

/// A reader with what runs and by which consent, as a list takes it.
#[derive(Clone, Debug)]
pub struct RosterEntry {
    /// Who.
    pub reader: Subscriber,
    /// What runs.
    pub subscriptions: Vec<(FeedKey, Frequency)>,
    /// The last consent: its words, where from, and when.
    pub consent: Option<(String, String, Instant)>,
}

impl Store {
    /// Takes some readers of a list over, in one transaction. Repeatable: what a list brought before
    /// changes nothing, and it never undoes what a reader did himself since.
    pub async fn enrol(
        &self,
        readers: &[ListedReader],
        beginning: &Beginning<'_>,
        secret: &Secret,
        now: Instant,
    ) -> Result<Vec<Enrolled>, StoreError> {
        let mut transaction = self.write().await?;
        let mut answers = Vec::with_capacity(readers.len());
        for listed in readers {
            answers.push(enrol_one(&mut transaction, self, listed, beginning, secret, now).await?);
        }
        transaction.commit().await?;
        Ok(answers)
    }

    /// Readers behind a number, in the order of their numbers, all or those in a state; erased ones
    /// are nobody.
    pub async fn roster(
        &self,
        after: SubscriberId,
        state: Option<SubscriberState>,
        limit: usize,
    ) -> Result<Vec<RosterEntry>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            subscriber_columns!(),
            " FROM subscribers s WHERE s.n > $1 AND s.address <> '' AND ($2 = '' OR s.state = $2)
              ORDER BY s.n LIMIT $3"
        ))
        .bind(after.0)
        .bind(state.map_or("", SubscriberState::as_str))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *snapshot)
        .await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let reader = subscriber_of(row)?;
            let subscriptions = running(&mut snapshot, reader.id).await?.into_iter().collect::<Vec<_>>();
            let consent = sqlx::query_as::<_, (String, String, i64)>(
                "SELECT wording, remote_address, requested_at FROM opt_ins
                 WHERE subscriber = $1 AND kind = 'confirmation' AND confirmed_at IS NOT NULL
                 ORDER BY confirmed_at DESC, n DESC LIMIT 1",
            )
            .bind(reader.id.0)
            .fetch_optional(&mut *snapshot)
            .await?;
            let consent = consent.map(|(wording, from, at)| (wording, from, from_micros(at)));
            entries.push(RosterEntry { reader, subscriptions, consent });
        }
        Ok(entries)
    }
}

async fn enrol_one(
    transaction: &mut Transaction<'static, Any>,
    store: &Store,
    listed: &ListedReader,
    beginning: &Beginning<'_>,
    secret: &Secret,
    now: Instant,
) -> Result<Enrolled, StoreError> {
    let mut request = listed.request.clone();
    if suppression_stands(&mut **transaction, &request.address, secret).await? {
        return Ok(Enrolled::Suppressed);
    }
    let before = |at: Instant| listed.agreed.is_none_or(|agreed| agreed <= at);
    let found = sqlx::query(concat!(
        "SELECT ",
        subscriber_columns!(),
        " FROM subscribers s WHERE s.address_key = $1"
    ))
    .bind(request.address.key())
    .fetch_optional(&mut **transaction)
    .await?;
    match found.map(|row| subscriber_of(&row)).transpose()? {
        None => {
            if let Some(at) = erased_at(transaction, &request.address, secret).await?
                && before(at)
            {
                return Ok(Enrolled::Erased(at));
            }
        }
        Some(known) => {
            if matches!(known.state, SubscriberState::Bounced | SubscriberState::Complained) {
                return Ok(Enrolled::Suppressed);
            }
            let ended = ended(transaction, known.id).await?;
            if known.state == SubscriberState::Unsubscribed
                && let Some(at) = ended.values().max().copied()
                && before(at)
            {
                return Ok(Enrolled::Left(at));
            }
            let running = running(transaction, known.id).await?;
            request.wishes.retain(|wish| {
                !running.iter().any(|(feed, _)| *feed == wish.feed)
                    && ended.get(&wish.feed).is_none_or(|at| !before(*at))
            });
            if request.wishes.is_empty() {
                return Ok(Enrolled::AlreadyThere);
            }
            if known.state == SubscriberState::Active {
                (request.language, request.time_zone) = (known.language, None);
            }
        }
    }
    let Some(agreed) = listed.agreed else {
        return Ok(match ask_once(transaction, &request, ASKED_LATELY, now).await? {
            OptInAnswer::Asked(_) => Enrolled::Asked,
            OptInAnswer::AskedBefore => Enrolled::AskedBefore,
            OptInAnswer::Suppressed => Enrolled::Suppressed,
        });
    };
    let subscriber = subscriber_for(transaction, &request.address, request.language, now).await?;
    hold_subscriber(transaction, subscriber, store.engine()).await?;
    let id = note(transaction, subscriber, &request, agreed).await?;
    say_yes(transaction, id, beginning, &Yes::default(), store.engine(), now).await?;
    Ok(Enrolled::Taken)
}

async fn running(
    connection: &mut AnyConnection,
    id: SubscriberId,
) -> Result<Vec<(FeedKey, Frequency)>, StoreError> {
    let rows = sqlx::query_as::<_, (i64, String, String)>(
        "SELECT s.n, f.key, s.frequency FROM subscriptions s JOIN feeds f ON f.n = s.feed
         WHERE s.subscriber = $1 AND s.ended_at IS NULL ORDER BY s.frequency, f.key",
    )
    .bind(id.0)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(n, key, frequency)| {
            let feed = key.parse().map_err(|_| damaged("feeds", n, &key))?;
            let often = frequency.parse();
            Ok((feed, often.map_err(|_| damaged("subscriptions", n, &frequency))?))
        })
        .collect()
}

/// When what a reader had ended last, by feed.
async fn ended(
    connection: &mut AnyConnection,
    id: SubscriberId,
) -> Result<HashMap<FeedKey, Instant>, StoreError> {
    let rows = sqlx::query(
        "SELECT f.key AS key, max(s.ended_at) AS ended FROM subscriptions s JOIN feeds f ON f.n = s.feed
         WHERE s.subscriber = $1 AND s.ended_at IS NOT NULL GROUP BY f.key",
    )
    .bind(id.0)
    .fetch_all(connection)
    .await?;
    let mut ended = HashMap::new();
    for row in rows {
        let key: String = row.try_get("key")?;
        let at = from_micros(row.try_get("ended")?);
        ended.insert(key.parse().map_err(|_| damaged("feeds", &key, &key))?, at);
    }
    Ok(ended)
}
