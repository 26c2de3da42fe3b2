use super::deliveries::void_editions;
use super::editions::complete_editions;
use super::outcomes::count_outcomes;
use super::statement::{damaged, storable};
use super::subscribers::hold_subscriber;
use super::subscriptions::end_running;
use super::suppressions::add_suppression;
use super::{Engine, Store, StoreError};
use crate::domain::{
    BounceClass, DeliveryId, DeliveryKind, DeliveryState, EditionId, EmailAddress, EndedReason, Instant,
    OptInId, SOFT_RULE, Secret, SubscriberId, SuppressionReason, from_micros, micros,
};
use sqlx::{Any, Transaction};

/// A delivery, as far as one must know it to tell whether a report speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Its number.
    pub id: DeliveryId,
    /// What it was for.
    pub kind: DeliveryKind,
    /// To whom.
    pub subscriber: SubscriberId,
    /// Which edition, where it is one.
    pub edition: Option<EditionId>,
    /// Which request it asked about, where it is a confirmation.
    pub opt_in: Option<OptInId>,
}

/// One report about one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Which mail came back.
    pub delivery: DeliveryId,
    /// What it means.
    pub class: BounceClass,
    /// On which way it came to us.
    pub way: String,
    /// The server's words, without addresses.
    pub evidence: String,
}

/// A report that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedBounce {
    /// The report.
    pub bounce: Bounce,
    /// When it came.
    pub noted_at: Instant,
    /// Whether it counts no more.
    pub is_forgiven: bool,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// There is no such delivery, or its reader was erased: nothing is written.
    Nobody,
    /// It was reported before: nothing changes.
    Before,
    /// It is written down; the address is mailed on.
    Kept,
    /// It is written down, and from now on the address is not mailed.
    Suppressed(SuppressionReason),
}

const HANDED: &str = "SELECT n, kind, subscriber, edition, opt_in FROM deliveries";

type HandedRow = (i64, String, i64, Option<i64>, Option<i64>);

fn handed_of((n, kind, subscriber, edition, opt_in): HandedRow) -> Result<HandedOver, StoreError> {
    Ok(HandedOver {
        id: DeliveryId(n),
        kind: DeliveryKind::parse(&kind).ok_or_else(|| damaged("deliveries", n, &kind))?,
        subscriber: SubscriberId(subscriber),
        edition: edition.map(EditionId),
        opt_in: opt_in.map(OptInId),
    })
}

impl Store {
    /// A delivery that was handed over at least once.
    pub async fn handed_over(&self, id: DeliveryId) -> Result<Option<HandedOver>, StoreError> {
        let text = format!("{HANDED} WHERE n = $1 AND attempts > 0");
        let row = sqlx::query_as::<_, HandedRow>(sqlx::AssertSqlSafe(text))
            .bind(id.0)
            .fetch_optional(self.readers())
            .await?;
        row.map(handed_of).transpose()
    }

    /// What was handed over for a subscriber since an instant, the latest first. By
    /// deliveries_by_subscriber: one reader has some hundred in a year.
    pub async fn handed_over_to(
        &self,
        subscriber: SubscriberId,
        since: Instant,
    ) -> Result<Vec<HandedOver>, StoreError> {
        let text = format!(
            "{HANDED} WHERE subscriber = $1 AND attempts > 0 AND state <> 'suppressed'
             AND coalesce(settled_at, due_at) >= $2 ORDER BY n DESC LIMIT 64"
        );
        let rows = sqlx::query_as::<_, HandedRow>(sqlx::AssertSqlSafe(text))
            .bind(subscriber.0)
            .bind(micros(since))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(handed_of).collect()
    }

    /// Writes a report down and does what follows from it, all or nothing. A second report of one
    /// class about one delivery changes nothing, whatever way it comes.
    ///
    /// A delivery that was accepted and came back is bounced from now on. A hard bounce, a complaint, or
    /// more soft bounces than [`SOFT_RULE`] bears end the subscriptions and suppress the address.
    pub async fn note_bounce(
        &self,
        bounce: &Bounce,
        secret: &Secret,
        now: Instant,
    ) -> Result<Noted, StoreError> {
        let mut transaction = self.write().await?;
        let noted = note(&mut transaction, bounce, self.engine(), secret, now).await?;
        transaction.commit().await?;
        Ok(noted)
    }

    /// What came back from a subscriber, the latest first.
    pub async fn bounces_of(&self, subscriber: SubscriberId) -> Result<Vec<NotedBounce>, StoreError> {
        sqlx::query_as::<_, (i64, String, String, String, i64, Option<i64>)>(
            "SELECT delivery, class, way, evidence, noted_at, forgiven_at FROM bounces
             WHERE subscriber = $1 ORDER BY noted_at DESC, n DESC LIMIT 50",
        )
        .bind(subscriber.0)
        .fetch_all(self.readers())
        .await?
        .into_iter()
        .map(|(delivery, class, way, evidence, noted_at, forgiven_at)| {
            let bounce = Bounce {
                delivery: DeliveryId(delivery),
                class: BounceClass::parse(&class).ok_or_else(|| damaged("bounces", delivery, &class))?,
                way,
                evidence,
            };
            Ok(NotedBounce { bounce, noted_at: from_micros(noted_at), is_forgiven: forgiven_at.is_some() })
        })
        .collect()
    }

    /// How many reports of each class there are.
    pub async fn bounce_counts(&self) -> Result<Vec<(BounceClass, i64)>, StoreError> {
        let rows = sqlx::query_as::<_, (String, i64)>("SELECT class, count(*) FROM bounces GROUP BY class");
        classes(rows.fetch_all(self.readers()).await?)
    }
}

fn classes(rows: Vec<(String, i64)>) -> Result<Vec<(BounceClass, i64)>, StoreError> {
    let class = |(word, count): (String, i64)| {
        BounceClass::parse(&word)
            .map(|class| (class, count))
            .ok_or_else(|| damaged("bounces", "of a class", word))
    };
    rows.into_iter().map(class).collect()
}

/// [`Store::note_bounce`] within a transaction.
pub(super) async fn note(
    transaction: &mut Transaction<'static, Any>,
    bounce: &Bounce,
    engine: Engine,
    secret: &Secret,
    now: Instant,
) -> Result<Noted, StoreError> {
    if !bounce.class.matters() {
        return Ok(Noted::Kept);
    }
    let reader = sqlx::query_as::<_, (i64, String)>(
        "SELECT s.n, s.address FROM deliveries d JOIN subscribers s ON s.n = d.subscriber
         WHERE d.n = $1 AND s.address <> ''",
    )
    .bind(bounce.delivery.0)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some((reader, address)) = reader else { return Ok(Noted::Nobody) };
    let reader = SubscriberId(reader);
    hold_subscriber(transaction, reader, engine).await?;
    let noted = sqlx::query(
        "INSERT INTO bounces (delivery, subscriber, class, way, evidence, noted_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (delivery, class) DO NOTHING",
    )
    .bind(bounce.delivery.0)
    .bind(reader.0)
    .bind(bounce.class.as_str())
    .bind(storable(&bounce.way))
    .bind(storable(&bounce.evidence))
    .bind(micros(now))
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    if noted == 0 {
        return Ok(Noted::Before);
    }
    if bounce.class == BounceClass::Complaint {
        sqlx::query(
            "UPDATE editions SET complained = complained + 1
             WHERE n = (SELECT edition FROM deliveries WHERE n = $1)",
        )
        .bind(bounce.delivery.0)
        .execute(&mut **transaction)
        .await?;
    } else {
        turn_back(transaction, bounce, engine, now).await?;
    }
    let reason = match bounce.class {
        BounceClass::Complaint => Some(SuppressionReason::Complained),
        BounceClass::Hard => Some(SuppressionReason::Bounced),
        BounceClass::Soft if soft_is_enough(transaction, reader, now).await? => {
            Some(SuppressionReason::Bounced)
        }
        _ => None,
    };
    if let Some(reason) = reason {
        give_up(transaction, reader, reason, engine, now).await?;
        if let Ok(address) = EmailAddress::parse(&address) {
            add_suppression(&mut **transaction, &address, reason, &bounce.evidence, secret, now).await?;
        }
    }
    Ok(reason.map_or(Noted::Kept, Noted::Suppressed))
}

/// A mail that the next server took, or may have taken, did not arrive.
async fn turn_back(
    transaction: &mut Transaction<'static, Any>,
    bounce: &Bounce,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    for state in [DeliveryState::Accepted, DeliveryState::Uncertain] {
        let edition = sqlx::query_scalar::<_, Option<i64>>(
            "UPDATE deliveries SET state = 'bounced', reply = $3, settled_at = coalesce(settled_at, $4),
             claimed_by = NULL, handed_at = NULL WHERE n = $1 AND state = $2 RETURNING edition",
        )
        .bind(bounce.delivery.0)
        .bind(state.as_str())
        .bind(storable(&bounce.evidence))
        .bind(micros(now))
        .fetch_optional(&mut **transaction)
        .await?;
        let counted = if state == DeliveryState::Accepted { -1 } else { 0 };
        let outcomes = edition.flatten().map(|edition| (edition, (counted, 1))).into_iter().collect();
        count_outcomes(transaction, &outcomes).await?;
        complete_editions(transaction, outcomes.into_keys().collect(), engine, now).await?;
    }
    Ok(())
}

async fn soft_is_enough(
    transaction: &mut Transaction<'static, Any>,
    reader: SubscriberId,
    now: Instant,
) -> Result<bool, StoreError> {
    let bounces = sqlx::query_scalar::<_, i64>(
        "SELECT noted_at FROM bounces
         WHERE subscriber = $1 AND noted_at >= $2 AND class = 'soft' AND forgiven_at IS NULL",
    )
    .bind(reader.0)
    .bind(micros(now - SOFT_RULE.memory()))
    .fetch_all(&mut **transaction)
    .await?;
    let bounces: Vec<Instant> = bounces.into_iter().map(from_micros).collect();
    Ok(SOFT_RULE.is_enough(&bounces, now))
}

/// Ends what runs for a reader. Who complained stays a complainant.
pub(super) async fn give_up(
    transaction: &mut Transaction<'static, Any>,
    reader: SubscriberId,
    reason: SuppressionReason,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    let (ended, statement) = match reason {
        SuppressionReason::Complained => {
            (EndedReason::Complained, "UPDATE subscribers SET state = 'complained' WHERE n = $1")
        }
        SuppressionReason::Bounced => (
            EndedReason::Bounced,
            "UPDATE subscribers SET state = 'bounced' WHERE n = $1 AND state <> 'complained'",
        ),
        SuppressionReason::Newsroom => (
            EndedReason::Newsroom,
            "UPDATE subscribers SET state = 'unsubscribed' WHERE n = $1 AND state IN ('pending', 'active')",
        ),
    };
    end_running(transaction, reader, None, ended, engine, now).await?;
    sqlx::query(statement).bind(reader.0).execute(&mut **transaction).await?;
    void_editions(transaction, reader, engine, now).await
}
