//! Editions as everybody may read them: whoever got what is nobody's business here.

use super::editions::with_leads;
use super::{Store, StoreError};
use crate::domain::{Article, EditionId, Instant, Slot, Slug, from_micros};

/// An edition of the public archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicEdition {
    /// Its number.
    pub id: EditionId,
    /// Of which digest.
    pub digest: Slug,
    /// For which planned instant.
    pub slot: Slot,
    /// When it was cut.
    pub cut_at: Instant,
    /// How many of its articles are still out.
    pub articles: u64,
}

/// One probe of editions' key (digest, slot) and a count of each edition's entries. An edition of
/// which everything was withdrawn is none any more, and one that is held is none yet.
const NEWEST: &str = "
    SELECT e.n, e.slot, e.cut_at,
        (SELECT count(*) FROM edition_entries x JOIN articles a ON a.n = x.article
         WHERE x.edition = e.n AND x.left_out = 0 AND a.state = 'visible') AS out
    FROM editions e JOIN digests d ON d.n = e.digest
    WHERE d.slug = $1 AND e.n < $2 AND e.held_at IS NULL ORDER BY e.n DESC LIMIT $3";

const ENTRIES: &str = "
    SELECT a.n, x.revision FROM edition_entries x JOIN articles a ON a.n = x.article
    WHERE x.edition = $1 AND x.left_out = 0 AND a.state = 'visible'
    ORDER BY x.place IS NULL, x.place, a.published_at DESC, a.n DESC";

impl Store {
    /// The newest editions of some digests below a number, the newest first.
    pub async fn public_editions(
        &self,
        digests: &[Slug],
        before: Option<EditionId>,
        limit: usize,
    ) -> Result<Vec<PublicEdition>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let mut found = Vec::new();
        for digest in digests {
            let rows = sqlx::query_as::<_, (i64, i64, i64, i64)>(NEWEST)
                .bind(digest.as_str().to_owned())
                .bind(before.map_or(i64::MAX, |id| id.0))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&mut *snapshot)
                .await?;
            found.extend(rows.into_iter().filter(|row| row.3 > 0).map(|(n, slot, cut_at, articles)| {
                PublicEdition {
                    id: EditionId(n),
                    digest: digest.clone(),
                    slot: Slot(from_micros(slot)),
                    cut_at: from_micros(cut_at),
                    articles: articles.unsigned_abs(),
                }
            }));
        }
        found.sort_by_key(|edition| std::cmp::Reverse(edition.id));
        found.truncate(limit);
        Ok(found)
    }

    /// What an edition brought, to whomever: as it stood at the cut, in the editor's order and then the
    /// newest first, without what was withdrawn since.
    pub async fn public_edition(&self, edition: EditionId) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let rows = sqlx::query_as::<_, (i64, i64)>(ENTRIES).bind(edition.0).fetch_all(&mut *snapshot).await?;
        with_leads(&mut snapshot, &rows).await
    }
}
