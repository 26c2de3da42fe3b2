use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{Slot, Slug, from_micros, micros};

/// A digest that is known keeps its next slot, so that a restart neither repeats nor skips one.
const REGISTER: &str = "
    INSERT INTO digests (slug, schedule, next_slot) VALUES ($1, $2, $3)
    ON CONFLICT (slug) DO UPDATE SET schedule = excluded.schedule, next_slot = excluded.next_slot
    WHERE digests.schedule <> excluded.schedule";

impl Store {
    /// Notes the declared digests: slug, schedule as text, and the next slot by that schedule.
    /// One whose schedule changed moves to its new next slot; one that did not stays as it is.
    pub async fn register_digests(&self, digests: &[(Slug, String, Slot)]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        for (slug, schedule, next) in digests {
            sqlx::query(REGISTER)
                .bind(slug.as_str().to_owned())
                .bind(schedule.clone())
                .bind(micros(next.0))
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The next slot of every digest that was ever registered, the earliest first.
    pub async fn next_slots(&self) -> Result<Vec<(Slug, Slot)>, StoreError> {
        sqlx::query_as::<_, (String, i64)>("SELECT slug, next_slot FROM digests ORDER BY next_slot, slug")
            .fetch_all(self.readers())
            .await?
            .into_iter()
            .map(|(slug, next)| {
                let parsed = Slug::parse(&slug);
                Ok((parsed.map_err(|_| damaged("digests", &slug, &slug))?, Slot(from_micros(next))))
            })
            .collect()
    }
}
