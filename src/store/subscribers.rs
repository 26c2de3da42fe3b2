use super::deliveries::void_everything;
use super::erasures::note_erasure;
use super::plans::plan_running;
use super::statement::damaged;
use super::subscriptions::end_running;
use super::suppressions::add_suppression;
use super::{Engine, Store, StoreError};
use crate::domain::{
    EmailAddress, EndedReason, Habits, Instant, Language, Secret, SubscriberId, SubscriberState,
    SuppressionReason, from_micros, micros,
};
use sqlx::Row;
use sqlx::any::AnyRow;

/// An e-mail address and where it stands with us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Its number.
    pub id: SubscriberId,
    /// Where its mail goes.
    pub address: EmailAddress,
    /// Where it stands.
    pub state: SubscriberState,
    /// The language it is spoken to in.
    pub language: Language,
    /// How it wants to be treated.
    pub habits: Habits,
    /// When it first asked.
    pub created_at: Instant,
    /// When it first confirmed.
    pub confirmed_at: Option<Instant>,
}

/// The columns of a subscriber.
macro_rules! subscriber_columns {
    () => {
        "s.n, s.address, s.state, s.language, s.created_at, s.confirmed_at, \
         s.time_zone, s.daily_cap, s.paused_until"
    };
}
pub(super) use subscriber_columns;

/// Reads a row with [`subscriber_columns`].
pub(super) fn subscriber_of(row: &AnyRow) -> Result<Subscriber, StoreError> {
    let n: i64 = row.try_get("n")?;
    let text = |column: &str| row.try_get::<String, _>(column);
    let (address, state, language) = (text("address")?, text("state")?, text("language")?);
    let zone: Option<String> = row.try_get("time_zone")?;
    let cap: Option<i64> = row.try_get("daily_cap")?;
    Ok(Subscriber {
        id: SubscriberId(n),
        // The address itself must not end in a log.
        address: EmailAddress::parse(&address)
            .map_err(|_| damaged("subscribers", n, "an address that is none"))?,
        state: SubscriberState::parse(&state).ok_or_else(|| damaged("subscribers", n, &state))?,
        language: language.parse().map_err(|()| damaged("subscribers", n, &language))?,
        habits: Habits {
            time_zone: zone
                .map(|zone| zone.parse().map_err(|_| damaged("subscribers", n, zone)))
                .transpose()?,
            daily_cap: cap.and_then(|cap| u32::try_from(cap).ok()),
            paused_until: row.try_get::<Option<i64>, _>("paused_until")?.map(from_micros),
        },
        created_at: from_micros(row.try_get("created_at")?),
        confirmed_at: row.try_get::<Option<i64>, _>("confirmed_at")?.map(from_micros),
    })
}

impl Store {
    /// A subscriber, unless it was erased.
    pub async fn subscriber(&self, id: SubscriberId) -> Result<Option<Subscriber>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            subscriber_columns!(),
            " FROM subscribers s WHERE s.n = $1 AND s.address <> ''"
        ))
        .bind(id.0)
        .fetch_optional(self.readers())
        .await?
        .map(|row| subscriber_of(&row))
        .transpose()
    }

    /// The subscriber behind an address, however it is spelled.
    pub async fn subscriber_by_address(
        &self,
        address: &EmailAddress,
    ) -> Result<Option<Subscriber>, StoreError> {
        sqlx::query(concat!("SELECT ", subscriber_columns!(), " FROM subscribers s WHERE s.address_key = $1"))
            .bind(address.key())
            .fetch_optional(self.readers())
            .await?
            .map(|row| subscriber_of(&row))
            .transpose()
    }

    /// Writes down how a reader wants to be treated. A new time zone moves his own hours with him:
    /// the cursors stay, so nothing is missed, and the ledger drops what he had before.
    pub async fn change_habits(
        &self,
        id: SubscriberId,
        language: Language,
        habits: &Habits,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        sqlx::query(
            "UPDATE subscribers SET language = $2, time_zone = $3, daily_cap = $4, paused_until = $5
             WHERE n = $1 AND address <> ''",
        )
        .bind(id.0)
        .bind(language.code().to_owned())
        .bind(habits.time_zone.map(|zone| zone.name().to_owned()))
        .bind(habits.daily_cap.map(|cap| i64::from(cap.max(1))))
        .bind(habits.paused_until.map(micros))
        .execute(&mut *transaction)
        .await?;
        plan_running(&mut transaction, id, now).await?;
        Ok(transaction.commit().await?)
    }

    /// How many subscribers stand where; erased ones are not counted.
    pub async fn subscriber_count_by_state(&self) -> Result<Vec<(SubscriberState, i64)>, StoreError> {
        sqlx::query_as::<_, (String, i64)>(
            "SELECT state, count(*) FROM subscribers WHERE address <> '' GROUP BY state ORDER BY state",
        )
        .fetch_all(self.readers())
        .await?
        .into_iter()
        .map(|(state, count)| match SubscriberState::parse(&state) {
            Some(state) => Ok((state, count)),
            None => Err(damaged("subscribers", "of a state", state)),
        })
        .collect()
    }

    /// Forgets who a subscriber was: address, network address and words of the requests, where the
    /// private feed is pushed to, and the mail servers' replies, which tend to repeat the address.
    /// What was mailed stays countable, and a hash keeps old lists from bringing the reader back.
    ///
    /// An address that bounced or complained stays suppressed by its hash: the state that kept
    /// mail away from it goes with the row. Returns whether there was anybody to erase.
    pub async fn erase_subscriber(
        &self,
        id: SubscriberId,
        secret: &Secret,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        let found = sqlx::query_as::<_, (String, String)>(
            "SELECT address, state FROM subscribers WHERE n = $1 AND address <> ''",
        )
        .bind(id.0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((address, state)) = found else { return Ok(false) };
        if let Some(reason) = SuppressionReason::parse(&state)
            && let Ok(address) = EmailAddress::parse(&address)
        {
            add_suppression(&mut *transaction, &address, reason, "", secret, now).await?;
        }
        if let Ok(address) = EmailAddress::parse(&address) {
            note_erasure(&mut transaction, &address, secret, now).await?;
        }
        end_running(&mut transaction, id, None, EndedReason::Newsroom, self.engine(), now).await?;
        void_everything(&mut transaction, id, self.engine(), now).await?;
        for statement in [
            "UPDATE subscribers SET address = '', address_key = 'erased:' || CAST(n AS TEXT),
             state = 'unsubscribed' WHERE n = $1",
            "UPDATE opt_ins SET remote_address = '', wording = '', wishes = '[]', address = NULL,
             confirmed_from = NULL WHERE subscriber = $1",
            "UPDATE deliveries SET reply = NULL WHERE subscriber = $1",
            "UPDATE bounces SET evidence = '' WHERE subscriber = $1",
            // Where the private feed is pushed to is somebody's too.
            "DELETE FROM callback_requests WHERE path IN (SELECT path FROM topics WHERE subscriber = $1)",
            "DELETE FROM callbacks WHERE topic IN (SELECT n FROM topics WHERE subscriber = $1)",
            "DELETE FROM topic_feeds WHERE topic IN (SELECT n FROM topics WHERE subscriber = $1)",
            "DELETE FROM topics WHERE subscriber = $1",
        ] {
            sqlx::query(statement).bind(id.0).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        if self.engine() == Engine::Sqlite {
            // The log of writes still holds what was overwritten. Whoever reads just now keeps a part
            // of it; it is written over soon.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(self.writer()).await?;
        }
        Ok(true)
    }
}

/// Finds the subscriber of an address, or makes one that is pending. Holds its row, so that two
/// requests for one address come one after the other.
pub(super) async fn subscriber_for(
    transaction: &mut sqlx::Transaction<'static, sqlx::Any>,
    address: &EmailAddress,
    language: Language,
    now: Instant,
) -> Result<SubscriberId, StoreError> {
    let n = sqlx::query_scalar::<_, i64>(
        "INSERT INTO subscribers (address, address_key, state, language, created_at)
         VALUES ($1, $2, 'pending', $3, $4)
         ON CONFLICT (address_key) DO UPDATE SET address_key = excluded.address_key
         RETURNING n",
    )
    .bind(address.to_string())
    .bind(address.key())
    .bind(language.code().to_owned())
    .bind(micros(now))
    .fetch_one(&mut **transaction)
    .await?;
    Ok(SubscriberId(n))
}

/// Holds a subscriber's row until the transaction ends, so that what is changed about one comes
/// one after the other. Everybody takes it before subscriptions, deliveries and editions.
pub(super) async fn hold_subscriber(
    transaction: &mut sqlx::Transaction<'static, sqlx::Any>,
    id: SubscriberId,
    engine: Engine,
) -> Result<(), StoreError> {
    if engine == Engine::Postgres {
        sqlx::query("SELECT n FROM subscribers WHERE n = $1 FOR NO KEY UPDATE")
            .bind(id.0)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
