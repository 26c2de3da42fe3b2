//! What is planned: one row of `digests` for each declared digest, and for each time that readers
//! chose themselves.

use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{Frequency, Instant, Plan, Slot, Slug, SubscriberId, from_micros, micros};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

/// A plan that is known keeps its next slot, so that a restart neither repeats nor skips one. One
/// whose clock once ran ahead comes back: a slot that was cut is not cut again.
const REGISTER: &str = "
    INSERT INTO digests (slug, schedule, next_slot, cut)
    SELECT $1, $2, $3, publish_sequence FROM installation WHERE one = 1
    ON CONFLICT (slug) DO UPDATE SET schedule = excluded.schedule, next_slot = excluded.next_slot
    WHERE digests.schedule <> excluded.schedule OR digests.next_slot > excluded.next_slot";

/// Its slots are worked out at the next look, from the moment at which the first reader came.
const MAKE: &str = "
    INSERT INTO digests (slug, schedule, next_slot, cut)
    SELECT $1, '', $2, publish_sequence FROM installation WHERE one = 1
    ON CONFLICT (slug) DO NOTHING";

/// The last second of the year 9999: a digest that no file declares never comes.
const NEVER: i64 = 253_402_300_799_000_000;

/// A plan, and when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub plan: Plan,
    /// By which schedule the next slot was worked out; empty where it was not yet.
    pub schedule: String,
    /// The next slot; of a plan that has none yet, when it was made.
    pub next: Slot,
}

impl Planned {
    fn of_row(row: &AnyRow) -> Result<Self, StoreError> {
        let name: String = row.try_get("slug")?;
        Ok(Self {
            plan: name.parse().map_err(|_| damaged("digests", &name, &name))?,
            schedule: row.try_get("schedule")?,
            next: Slot(from_micros(row.try_get("next_slot")?)),
        })
    }
}

impl Store {
    /// Notes when plans come. One whose schedule changed moves to its new next slot; one that did
    /// not stays as it is, unless its slot lies beyond the next one.
    pub async fn register_plans(&self, plans: &[Planned]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        for planned in plans {
            sqlx::query(REGISTER)
                .bind(planned.plan.to_string())
                .bind(planned.schedule.clone())
                .bind(micros(planned.next.0))
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Every plan that ever was, the earliest first.
    pub async fn plans(&self) -> Result<Vec<Planned>, StoreError> {
        let text = "SELECT slug, schedule, next_slot FROM digests ORDER BY next_slot, slug";
        sqlx::query(text).fetch_all(self.readers()).await?.iter().map(Planned::of_row).collect()
    }

    /// The plans whose slot has come, the earliest first: one range of digests_due.
    pub async fn due_plans(&self, now: Instant) -> Result<Vec<Planned>, StoreError> {
        let text =
            "SELECT slug, schedule, next_slot FROM digests WHERE next_slot <= $1 ORDER BY next_slot, slug";
        let rows = sqlx::query(text).bind(micros(now)).fetch_all(self.readers()).await?;
        rows.iter().map(Planned::of_row).collect()
    }

    /// The next slot of every digest that was ever declared, the earliest first.
    pub async fn next_slots(&self) -> Result<Vec<(Slug, Slot)>, StoreError> {
        let plans = self.plans().await?;
        Ok(plans.into_iter().filter_map(|p| Some((p.plan.digest()?.clone(), p.next))).collect())
    }
}

/// Puts what runs for a subscriber under the plans of his present clock. The caller holds the
/// subscriber.
pub(super) async fn plan_running(
    transaction: &mut Transaction<'static, Any>,
    id: SubscriberId,
    now: Instant,
) -> Result<(), StoreError> {
    let zone: Option<String> = sqlx::query_scalar("SELECT time_zone FROM subscribers WHERE n = $1")
        .bind(id.0)
        .fetch_one(&mut **transaction)
        .await?;
    let zone = zone.map(|zone| zone.parse().map_err(|_| damaged("subscribers", id, zone))).transpose()?;
    let frequencies: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT frequency FROM subscriptions WHERE subscriber = $1 AND ended_at IS NULL",
    )
    .bind(id.0)
    .fetch_all(&mut **transaction)
    .await?;
    for text in frequencies {
        let frequency: Frequency = text.parse().map_err(|_| damaged("subscriptions", id, &text))?;
        let plan = plan_row(transaction, &Plan::of(frequency, zone), now).await?;
        sqlx::query(
            "UPDATE subscriptions SET plan = $3
             WHERE subscriber = $1 AND frequency = $2 AND ended_at IS NULL AND (plan IS NULL OR plan <> $3)",
        )
        .bind(id.0)
        .bind(text)
        .bind(plan)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// The row of a plan, made when the first reader wants it.
async fn plan_row(
    transaction: &mut Transaction<'static, Any>,
    plan: &Plan,
    now: Instant,
) -> Result<i64, StoreError> {
    let text = "SELECT n FROM digests WHERE slug = $1";
    let known = sqlx::query_scalar(text).bind(plan.to_string()).fetch_optional(&mut **transaction).await?;
    if let Some(known) = known {
        return Ok(known);
    }
    let from = if plan.digest().is_some() { NEVER } else { micros(now) };
    sqlx::query(MAKE).bind(plan.to_string()).bind(from).execute(&mut **transaction).await?;
    Ok(sqlx::query_scalar(text).bind(plan.to_string()).fetch_one(&mut **transaction).await?)
}
