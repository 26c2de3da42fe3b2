//! Editions that wait for a person. A held edition's deliveries are parked beyond the urgencies that
//! are claimed: due instants, tries and claims stay as they are, and a claim never walks over them.

use super::statement::storable;
use super::{Engine, Store, StoreError};
use crate::domain::{EditionId, Instant, Slug, from_micros, micros};
use sqlx::{Any, AnyConnection, Transaction};

/// Since when something is held, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub since: Instant,
    /// The words of whoever held it.
    pub reason: String,
}

impl Hold {
    pub(super) fn of(since: Option<i64>, reason: Option<String>) -> Option<Self> {
        Some(Self { since: from_micros(since?), reason: reason.unwrap_or_default() })
    }
}

/// What an edition is held for whose digest says `review = true`.
const REVIEW: &str = "waits to be looked at";

/// Whatever its state: what is brought back later, by an undo or by hand, is parked as well.
const PARK: &str = "
    UPDATE deliveries SET urgency = urgency + 10 WHERE edition = $1 AND urgency < 10 AND state <> 'accepted'";

/// Its patience begins anew: an edition that was held for a week is not given up at the first 4xx.
const UNPARK: &str = "
    UPDATE deliveries SET urgency = urgency - 10,
        created_at = CASE WHEN settled_at IS NULL THEN $2 ELSE created_at END,
        due_at = CASE WHEN state = 'pending' THEN $2 ELSE due_at END
    WHERE edition = $1 AND urgency >= 10";

/// Letters of which none was tried yet are dated at the release, not at the cut hours before.
const RELEASE: &str = "
    UPDATE editions SET held_at = NULL, held_reason = NULL,
        released_at = CASE WHEN EXISTS (SELECT 1 FROM deliveries d WHERE d.edition = $1 AND d.attempts > 0)
                      THEN released_at ELSE $2 END
    WHERE n = $1 AND held_at IS NOT NULL";

impl Store {
    /// From now on no delivery of this edition is claimed; a worker that has one looks again before
    /// it sends. `false`: it is complete, held already, or was never cut.
    pub async fn hold_edition(
        &self,
        edition: EditionId,
        reason: &str,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let held = hold(&mut transaction, edition.0, reason, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(held)
    }

    /// Lets a held edition go. `false`: it was not held.
    pub async fn release_edition(&self, edition: EditionId, now: Instant) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let released = release(&mut transaction, edition.0, self.engine(), now).await?;
        transaction.commit().await?;
        Ok(released)
    }

    /// Holds what a digest has under way and every edition to come. Returns the editions that are
    /// held now and were not, or `None`: there is no such digest.
    pub async fn hold_digest(
        &self,
        digest: &Slug,
        reason: &str,
        now: Instant,
    ) -> Result<Option<Vec<EditionId>>, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query_scalar::<_, i64>(
            "UPDATE digests SET held_at = coalesce(held_at, $2), held_reason = $3 WHERE slug = $1 RETURNING n",
        )
        .bind(digest.as_str().to_owned())
        .bind(micros(now))
        .bind(storable(reason))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let open = "SELECT n FROM editions WHERE digest = $1 AND completed_at IS NULL ORDER BY n";
        let mut held = Vec::new();
        for edition in editions_of(&mut transaction, open, row).await? {
            if hold(&mut transaction, edition, reason, self.engine(), now).await? {
                held.push(EditionId(edition));
            }
        }
        transaction.commit().await?;
        Ok(Some(held))
    }

    /// Lets every held edition of a digest go, and those to come. Returns which were held, or `None`:
    /// there is no such digest.
    pub async fn release_digest(
        &self,
        digest: &Slug,
        now: Instant,
    ) -> Result<Option<Vec<EditionId>>, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query_scalar::<_, i64>(
            "UPDATE digests SET held_at = NULL, held_reason = NULL WHERE slug = $1 RETURNING n",
        )
        .bind(digest.as_str().to_owned())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let held = "SELECT n FROM editions WHERE digest = $1 AND held_at IS NOT NULL ORDER BY n";
        let mut released = Vec::new();
        for edition in editions_of(&mut transaction, held, row).await? {
            if release(&mut transaction, edition, self.engine(), now).await? {
                released.push(EditionId(edition));
            }
        }
        transaction.commit().await?;
        Ok(Some(released))
    }

    /// Notes whether each edition of a digest waits to be looked at, as its file says.
    pub async fn set_review(&self, digest: &Slug, review: bool) -> Result<(), StoreError> {
        sqlx::query("UPDATE digests SET review = $2 WHERE slug = $1 AND review <> $2")
            .bind(digest.as_str().to_owned())
            .bind(i64::from(review))
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The digests whose every edition is held.
    pub async fn held_digests(&self) -> Result<Vec<(String, Hold)>, StoreError> {
        let rows = sqlx::query_as::<_, (String, Option<i64>, Option<String>)>(
            "SELECT slug, held_at, held_reason FROM digests WHERE held_at IS NOT NULL ORDER BY slug",
        )
        .fetch_all(self.readers())
        .await?;
        Ok(rows.into_iter().filter_map(|(slug, at, why)| Some((slug, Hold::of(at, why)?))).collect())
    }
}

/// Holds a new edition whose digest asks for it, in the transaction that cuts it.
pub(super) async fn hold_if_asked(
    transaction: &mut Transaction<'static, Any>,
    edition: EditionId,
    engine: Engine,
    now: Instant,
) -> Result<(), StoreError> {
    let (review, held, reason) = sqlx::query_as::<_, (i64, Option<i64>, Option<String>)>(
        "SELECT d.review, d.held_at, d.held_reason FROM editions e JOIN digests d ON d.n = e.digest
         WHERE e.n = $1",
    )
    .bind(edition.0)
    .fetch_one(&mut **transaction)
    .await?;
    if review == 1 || held.is_some() {
        hold(transaction, edition.0, reason.as_deref().unwrap_or(REVIEW), engine, now).await?;
    }
    Ok(())
}

async fn editions_of(
    connection: &mut AnyConnection,
    statement: &'static str,
    digest: i64,
) -> Result<Vec<i64>, StoreError> {
    Ok(sqlx::query_scalar(statement).bind(digest).fetch_all(connection).await?)
}

async fn hold(
    transaction: &mut Transaction<'static, Any>,
    edition: i64,
    reason: &str,
    engine: Engine,
    now: Instant,
) -> Result<bool, StoreError> {
    hold_deliveries(transaction, edition, engine).await?;
    let held = sqlx::query(
        "UPDATE editions SET held_at = $2, held_reason = $3
         WHERE n = $1 AND held_at IS NULL AND completed_at IS NULL",
    )
    .bind(edition)
    .bind(micros(now))
    .bind(storable(reason))
    .execute(&mut **transaction)
    .await?
    .rows_affected()
        == 1;
    if held {
        sqlx::query(PARK).bind(edition).execute(&mut **transaction).await?;
    }
    Ok(held)
}

async fn release(
    transaction: &mut Transaction<'static, Any>,
    edition: i64,
    engine: Engine,
    now: Instant,
) -> Result<bool, StoreError> {
    hold_deliveries(transaction, edition, engine).await?;
    let released = sqlx::query(RELEASE)
        .bind(edition)
        .bind(micros(now))
        .execute(&mut **transaction)
        .await?
        .rows_affected()
        == 1;
    if released {
        sqlx::query(UNPARK).bind(edition).bind(micros(now)).execute(&mut **transaction).await?;
    }
    Ok(released)
}

/// On PostgreSQL deliveries come before their edition and in the order of their numbers, as when they
/// are settled: whoever settles meanwhile and whoever holds never wait for each other in a circle.
async fn hold_deliveries(
    transaction: &mut Transaction<'static, Any>,
    edition: i64,
    engine: Engine,
) -> Result<(), StoreError> {
    if engine == Engine::Postgres {
        sqlx::query(
            "SELECT count(*) FROM (SELECT n FROM deliveries WHERE edition = $1 ORDER BY n FOR UPDATE) held",
        )
        .bind(edition)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}
