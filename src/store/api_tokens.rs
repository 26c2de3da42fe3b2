//! Who may use the API. Of a token only a digest lies here.

use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{ApiToken, Instant, Scopes, Slug, from_micros, micros};
use sqlx::Row;
use sqlx::any::AnyRow;

/// A token as its owner knows it, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// What the newsroom calls it.
    pub name: Slug,
    /// By what it is looked up; no secret.
    pub handle: String,
    /// What its bearer may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Instant,
    /// From when on it opens nothing. `None`: never.
    pub expires_at: Option<Instant>,
}

impl TokenEntry {
    fn of_row(row: &AnyRow) -> Result<Self, StoreError> {
        let (name, scopes): (String, String) = (row.try_get("name")?, row.try_get("scopes")?);
        Ok(Self {
            scopes: scopes.parse().map_err(|_| damaged("api_tokens", &name, scopes))?,
            name: Slug::parse(&name).map_err(|_| damaged("api_tokens", &name, &name))?,
            handle: row.try_get("handle")?,
            created_at: from_micros(row.try_get("created_at")?),
            expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(from_micros),
        })
    }
}

impl Store {
    /// Notes a new token. `false`: there is one of this name.
    pub async fn add_token(
        &self,
        name: &Slug,
        token: &ApiToken,
        scopes: &Scopes,
        expires_at: Option<Instant>,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let added = sqlx::query(
            "INSERT INTO api_tokens (name, handle, digest, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.to_string())
        .bind(token.handle())
        .bind(token.digest().to_vec())
        .bind(scopes.to_string())
        .bind(micros(now))
        .bind(expires_at.map(micros))
        .execute(self.writer())
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// All tokens, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenEntry>, StoreError> {
        let text = "SELECT name, handle, scopes, created_at, expires_at FROM api_tokens ORDER BY name";
        let rows = sqlx::query(text).fetch_all(self.readers()).await?;
        rows.iter().map(TokenEntry::of_row).collect()
    }

    /// Whose token this is. `None`: nobody's, or no longer.
    pub async fn token(&self, token: &ApiToken, now: Instant) -> Result<Option<TokenEntry>, StoreError> {
        let text =
            "SELECT name, handle, digest, scopes, created_at, expires_at FROM api_tokens WHERE handle = $1";
        let row = sqlx::query(text).bind(token.handle()).fetch_optional(self.readers()).await?;
        let Some(row) = row else { return Ok(None) };
        let entry = TokenEntry::of_row(&row)?;
        let is_its_own = token.is_of(&row.try_get::<Vec<u8>, _>("digest")?);
        Ok(Some(entry).filter(|entry| is_its_own && entry.expires_at.is_none_or(|end| end > now)))
    }

    /// Takes a token back, from the next request on. `false`: there is none of this name.
    pub async fn revoke_token(&self, name: &Slug) -> Result<bool, StoreError> {
        let gone = sqlx::query("DELETE FROM api_tokens WHERE name = $1").bind(name.to_string());
        let gone = gone.execute(self.writer()).await?;
        Ok(gone.rows_affected() == 1)
    }
}
