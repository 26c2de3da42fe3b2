use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{Chance, Instant, Secret, new_uuid};
use sqlx::Row;
use uuid::Uuid;

/// What makes this installation itself, for ever.
#[derive(Clone, Debug)]
pub struct Installation {
    /// From which the permanent ids of its feeds are derived.
    pub publication: Uuid,
    /// From which its tokens and Message-IDs are derived.
    pub secret: Secret,
}

impl Store {
    /// The installation's identity, made by whoever asks first; all others get the same.
    pub async fn installation(&self, now: Instant, chance: &dyn Chance) -> Result<Installation, StoreError> {
        if let Some(installation) = self.present_installation().await? {
            return Ok(installation);
        }
        let mut secret = [0; 32];
        chance.fill(&mut secret);
        let mut tx = self.write().await?;
        // The row is there since the migration; of two who come first, the second changes nothing.
        sqlx::query(
            "UPDATE installation SET publication = $1, secret = $2 WHERE one = 1 AND publication = ''",
        )
        .bind(new_uuid(now, chance).to_string())
        .bind(secret.to_vec())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.present_installation().await?.ok_or_else(|| damaged("installation", 1, ""))
    }

    async fn present_installation(&self) -> Result<Option<Installation>, StoreError> {
        let row = sqlx::query("SELECT publication, secret FROM installation WHERE one = 1")
            .fetch_one(self.readers())
            .await?;
        let publication: String = row.try_get("publication")?;
        if publication.is_empty() {
            return Ok(None);
        }
        let secret: Vec<u8> = row.try_get("secret")?;
        let secret = <[u8; 32]>::try_from(secret)
            .map_err(|bytes| damaged("installation", 1, format!("a secret of {} bytes", bytes.len())))?;
        let publication = publication.parse().map_err(|_| damaged("installation", 1, publication))?;
        Ok(Some(Installation { publication, secret: Secret::new(secret) }))
    }
}
