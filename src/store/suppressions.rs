use super::statement::storable;
use super::{Store, StoreError};
use crate::domain::{EmailAddress, Instant, Secret, hex, micros};
use sqlx::{Any, Executor};

/// What an address is kept as once nobody may know it any more.
fn address_hash(address: &EmailAddress, secret: &Secret) -> String {
    hex(&secret.mac("suppression", &[address.key().as_bytes()]))
}

/// The first reason stays: it is the one that the address was lost for.
pub(super) async fn add_suppression(
    database: impl Executor<'_, Database = Any>,
    address: &EmailAddress,
    reason: &str,
    secret: &Secret,
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO suppressions (address_hash, reason, since) VALUES ($1, $2, $3)
         ON CONFLICT (address_hash) DO NOTHING",
    )
    .bind(address_hash(address, secret))
    .bind(storable(reason))
    .bind(micros(now))
    .execute(database)
    .await?;
    Ok(())
}

pub(super) async fn suppression_stands(
    database: impl Executor<'_, Database = Any>,
    address: &EmailAddress,
    secret: &Secret,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar::<_, i64>("SELECT since FROM suppressions WHERE address_hash = $1")
        .bind(address_hash(address, secret))
        .fetch_optional(database)
        .await?;
    Ok(found.is_some())
}

impl Store {
    /// From now on this address is not mailed, whoever asks. Repeatable; the first reason stays.
    pub async fn suppress(
        &self,
        address: &EmailAddress,
        reason: &str,
        secret: &Secret,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        add_suppression(&mut *transaction, address, reason, secret, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Whether this address must not be mailed.
    pub async fn is_suppressed(&self, address: &EmailAddress, secret: &Secret) -> Result<bool, StoreError> {
        suppression_stands(self.readers(), address, secret).await
    }
}
