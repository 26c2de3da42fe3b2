use super::StoreError;
use crate::domain::{EmailAddress, Instant, Secret, from_micros, hex, micros};
use sqlx::AnyConnection;

fn address_hash(address: &EmailAddress, secret: &Secret) -> String {
    hex(&secret.mac("erasure", &[address.key().as_bytes()]))
}

/// Remembers that an address was forgotten.
pub(super) async fn note_erasure(
    connection: &mut AnyConnection,
    address: &EmailAddress,
    secret: &Secret,
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO erasures (address_hash, erased_at) VALUES ($1, $2)
         ON CONFLICT (address_hash) DO UPDATE SET erased_at = excluded.erased_at",
    )
    .bind(address_hash(address, secret))
    .bind(micros(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// When an address was forgotten, if it was.
pub(super) async fn erased_at(
    connection: &mut AnyConnection,
    address: &EmailAddress,
    secret: &Secret,
) -> Result<Option<Instant>, StoreError> {
    let at = sqlx::query_scalar::<_, i64>("SELECT erased_at FROM erasures WHERE address_hash = $1")
        .bind(address_hash(address, secret))
        .fetch_optional(connection)
        .await?;
    Ok(at.map(from_micros))
}
