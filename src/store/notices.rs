//! Letters about a subscription that nobody has to ask for: welcome, goodbye, a change of address.

use super::opt_ins::{queue_letter, quiet_until, wishes_text};
use super::statement::{damaged, storable};
use super::subscribers::hold_subscriber;
use super::suppressions::suppression_stands;
use super::{Store, StoreError};
use crate::domain::{EmailAddress, Instant, NoticeKind, OptInId, Secret, SubscriberId, Wish, micros};
use chrono::Duration;
use sqlx::{Any, Transaction};

/// What became of a change of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveAnswer {
    /// The mail goes there now.
    Moved(SubscriberId),
    /// That address is another reader's, or he who asked is gone; nothing changed.
    Taken,
}

/// What ended when the reader left last.
const LEFT: &str = "
    SELECT f.key, s.frequency FROM subscriptions s JOIN feeds f ON f.n = s.feed
    WHERE s.subscriber = $1 AND s.ended_reason = 'reader'
      AND s.change = (SELECT max(change) FROM subscriptions WHERE subscriber = $1) ORDER BY s.n";

/// Once a leaving, however often its button is pressed.
const SAY_IT_ONCE: &str = "
    UPDATE subscribers SET goodbye = (SELECT max(change) FROM subscriptions WHERE subscriber = $1)
    WHERE n = $1 AND state = 'unsubscribed' AND address <> '' AND coalesce(goodbye, 0) <
        (SELECT max(change) FROM subscriptions WHERE subscriber = $1)";

impl Store {
    /// Queues the letter that says that nothing comes any more, once a leaving. Nothing where the
    /// reader still gets something.
    pub async fn say_goodbye(&self, id: SubscriberId, now: Instant) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        let due = sqlx::query(SAY_IT_ONCE).bind(id.0).execute(&mut *transaction).await?;
        if due.rows_affected() == 0 {
            return Ok(false);
        }
        let mut left = Vec::new();
        for (feed, frequency) in
            sqlx::query_as::<_, (String, String)>(LEFT).bind(id.0).fetch_all(&mut *transaction).await?
        {
            left.push(Wish {
                feed: feed.parse().map_err(|_| damaged("feeds", id, &feed))?,
                frequency: frequency.parse().map_err(|_| damaged("subscriptions", id, &frequency))?,
            });
        }
        let note = Note { kind: NoticeKind::Goodbye, wishes: &left, address: None, from: "" };
        let row = note.keep(&mut transaction, id, now).await?;
        queue_letter(&mut transaction, row, id, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Asks a new address whether a reader's mail shall go there. A suppressed one gets nothing;
    /// one reader asks as seldom as one address is asked.
    pub async fn request_move(
        &self,
        id: SubscriberId,
        to: &EmailAddress,
        from: &str,
        (quiet, secret): (Duration, &Secret),
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, id, self.engine()).await?;
        let is_quiet = quiet_until(&mut transaction, id, NoticeKind::Address, quiet, now).await?.is_some();
        if is_quiet || suppression_stands(&mut *transaction, to, secret).await? {
            return Ok(());
        }
        let note = Note { kind: NoticeKind::Address, wishes: &[], address: Some(to), from };
        let row = note.keep(&mut transaction, id, now).await?;
        queue_letter(&mut transaction, row, id, now).await?;
        Ok(transaction.commit().await?)
    }

    /// The owner of the other address said yes: the reader's mail goes there, and the former
    /// address is told, with a way back. Repeatable. `None`: no such request.
    ///
    /// Who only asked for mail at that address, and never confirmed, gives way.
    pub async fn move_reader(
        &self,
        id: OptInId,
        from: &str,
        now: Instant,
    ) -> Result<Option<MoveAnswer>, StoreError> {
        let mut transaction = self.write().await?;
        type Row = (i64, String, Option<String>, String, Option<i64>);
        let row = sqlx::query_as::<_, Row>(
            "SELECT o.subscriber, o.kind, o.address, s.address, o.confirmed_at
             FROM opt_ins o JOIN subscribers s ON s.n = o.subscriber
             WHERE o.n = $1 AND o.kind IN ('address', 'moved') AND s.address <> ''",
        )
        .bind(id.0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((subscriber, kind, Some(to), former, confirmed_at)) = row else { return Ok(None) };
        let subscriber = SubscriberId(subscriber);
        if confirmed_at.is_some() {
            return Ok(Some(MoveAnswer::Moved(subscriber)));
        }
        hold_subscriber(&mut transaction, subscriber, self.engine()).await?;
        let address = |text: &str| {
            EmailAddress::parse(text).map_err(|_| damaged("opt_ins", id, "an address that is none"))
        };
        let (to, former) = (address(&to)?, address(&former)?);
        sqlx::query(
            "UPDATE subscribers SET address = '', address_key = 'erased:' || CAST(n AS TEXT)
             WHERE address_key = $1 AND n <> $2 AND state = 'pending' AND confirmed_at IS NULL",
        )
        .bind(to.key())
        .bind(subscriber.0)
        .execute(&mut *transaction)
        .await?;
        let moved = sqlx::query(
            "UPDATE subscribers SET address = $2, address_key = $3,
             state = CASE WHEN state = 'bounced' THEN 'unsubscribed' ELSE state END WHERE n = $1
             AND NOT EXISTS (SELECT 1 FROM subscribers o WHERE o.address_key = $3 AND o.n <> $1)",
        )
        .bind(subscriber.0)
        .bind(to.to_string())
        .bind(to.key())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(Some(MoveAnswer::Taken));
        }
        sqlx::query("UPDATE opt_ins SET confirmed_at = $2, confirmed_from = $3 WHERE n = $1")
            .bind(id.0)
            .bind(micros(now))
            .bind(storable(from))
            .execute(&mut *transaction)
            .await?;
        // Who went back is told nothing: he has just been there.
        if kind == NoticeKind::Address.as_str() {
            let note = Note { kind: NoticeKind::Moved, wishes: &[], address: Some(&former), from: "" };
            let row = note.keep(&mut transaction, subscriber, now).await?;
            queue_letter(&mut transaction, row, subscriber, now).await?;
        }
        transaction.commit().await?;
        Ok(Some(MoveAnswer::Moved(subscriber)))
    }
}

/// A letter to be kept.
struct Note<'n> {
    kind: NoticeKind,
    wishes: &'n [Wish],
    address: Option<&'n EmailAddress>,
    from: &'n str,
}

impl Note<'_> {
    async fn keep(
        &self,
        transaction: &mut Transaction<'static, Any>,
        subscriber: SubscriberId,
        now: Instant,
    ) -> Result<OptInId, StoreError> {
        let n = sqlx::query_scalar(
            "INSERT INTO opt_ins (subscriber, kind, wishes, language, time_zone, requested_at, remote_address,
                 wording, address)
             SELECT n, $2, $3, language, time_zone, $4, $5, '', $6 FROM subscribers WHERE n = $1 RETURNING n",
        )
        .bind(subscriber.0)
        .bind(self.kind.as_str())
        .bind(wishes_text(self.wishes))
        .bind(micros(now))
        .bind(storable(self.from))
        .bind(self.address.map(ToString::to_string))
        .fetch_one(&mut **transaction)
        .await?;
        Ok(OptInId(n))
    }
}
