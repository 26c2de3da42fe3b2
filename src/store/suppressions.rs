use super::bounces::give_up;
use super::statement::{damaged, storable};
use super::{Store, StoreError};
use crate::domain::{
    EmailAddress, Instant, Secret, SubscriberId, SuppressionReason, from_micros, hex, micros,
};
use sqlx::{Any, Executor};

/// An address that must not be mailed, and why. The address itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// What the address is kept as.
    pub hash: AddressHash,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub since: Instant,
    /// A server's words, or the newsroom's.
    pub evidence: String,
}

/// What an address is kept as once nobody may know it any more: a keyed digest, which only this
/// installation can make of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressHash(String);

impl AddressHash {
    /// That of an address.
    pub fn of(address: &EmailAddress, secret: &Secret) -> Self {
        Self(hex(&secret.mac("suppression", &[address.key().as_bytes()])))
    }

    /// Reads one as it was exported.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one =
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_one.then(|| Self(text.to_owned()))
    }

    /// In hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first reason stays: it is the one that the address was lost for.
pub(super) async fn add_suppression(
    database: impl Executor<'_, Database = Any>,
    address: &EmailAddress,
    reason: SuppressionReason,
    evidence: &str,
    secret: &Secret,
    now: Instant,
) -> Result<bool, StoreError> {
    let suppression = Suppression {
        hash: AddressHash::of(address, secret),
        reason,
        since: now,
        evidence: evidence.to_owned(),
    };
    add(database, &suppression).await
}

async fn add(
    database: impl Executor<'_, Database = Any>,
    suppression: &Suppression,
) -> Result<bool, StoreError> {
    let added = sqlx::query(
        "INSERT INTO suppressions (address_hash, reason, since, evidence) VALUES ($1, $2, $3, $4)
         ON CONFLICT (address_hash) DO NOTHING",
    )
    .bind(suppression.hash.0.clone())
    .bind(suppression.reason.as_str())
    .bind(micros(suppression.since))
    .bind(storable(&suppression.evidence))
    .execute(database)
    .await?;
    Ok(added.rows_affected() > 0)
}

pub(super) async fn suppression_stands(
    database: impl Executor<'_, Database = Any>,
    address: &EmailAddress,
    secret: &Secret,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar::<_, i64>("SELECT since FROM suppressions WHERE address_hash = $1")
        .bind(AddressHash::of(address, secret).0)
        .fetch_optional(database)
        .await?;
    Ok(found.is_some())
}

impl Store {
    /// From now on this address is not mailed, whoever asks; what runs for it ends. Repeatable; the
    /// first reason stays. Returns whether it was mailed until now.
    pub async fn suppress(
        &self,
        address: &EmailAddress,
        reason: SuppressionReason,
        evidence: &str,
        secret: &Secret,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let added = add_suppression(&mut *transaction, address, reason, evidence, secret, now).await?;
        let reader = sqlx::query_scalar::<_, i64>("SELECT n FROM subscribers WHERE address_key = $1")
            .bind(address.key())
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(reader) = reader {
            give_up(&mut transaction, SubscriberId(reader), reason, self.engine(), now).await?;
        }
        transaction.commit().await?;
        Ok(added)
    }

    /// Takes a list of another time over, in one transaction. Returns how many are new.
    pub async fn import_suppressions(&self, list: &[Suppression]) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let mut added = 0;
        for suppression in list {
            added += u64::from(add(&mut *transaction, suppression).await?);
        }
        transaction.commit().await?;
        Ok(added)
    }

    /// Lets an address be mailed again: it may ask for a digest and is asked to confirm. What came back
    /// until now counts no more. Returns whether it was suppressed.
    pub async fn lift_suppression(
        &self,
        address: &EmailAddress,
        secret: &Secret,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let lifted = sqlx::query("DELETE FROM suppressions WHERE address_hash = $1")
            .bind(AddressHash::of(address, secret).0)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        sqlx::query(
            "UPDATE bounces SET forgiven_at = $2 WHERE forgiven_at IS NULL
             AND subscriber = (SELECT n FROM subscribers WHERE address_key = $1)",
        )
        .bind(address.key())
        .bind(micros(now))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE subscribers SET state = 'unsubscribed'
             WHERE address_key = $1 AND state IN ('bounced', 'complained')",
        )
        .bind(address.key())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(lifted > 0)
    }

    /// Whether this address must not be mailed.
    pub async fn is_suppressed(&self, address: &EmailAddress, secret: &Secret) -> Result<bool, StoreError> {
        suppression_stands(self.readers(), address, secret).await
    }

    /// Every suppression, the latest first.
    pub async fn suppressions(&self) -> Result<Vec<Suppression>, StoreError> {
        sqlx::query_as::<_, (String, String, i64, String)>(
            "SELECT address_hash, reason, since, evidence FROM suppressions ORDER BY since DESC, address_hash",
        )
        .fetch_all(self.readers())
        .await?
        .into_iter()
        .map(|(hash, reason, since, evidence)| {
            let reason = SuppressionReason::parse(&reason).ok_or_else(|| damaged("suppressions", &hash, &reason))?;
            Ok(Suppression { hash: AddressHash(hash), reason, since: from_micros(since), evidence })
        })
        .collect()
    }

    /// The addresses that we still know: of those that bounced, complained or left.
    pub async fn addresses_not_mailed(&self) -> Result<Vec<EmailAddress>, StoreError> {
        let rows = sqlx::query_scalar::<_, String>(
            "SELECT address FROM subscribers WHERE address <> '' AND state <> 'active' ORDER BY n",
        );
        let rows = rows.fetch_all(self.readers()).await?;
        Ok(rows.iter().filter_map(|address| EmailAddress::parse(address).ok()).collect())
    }
}
