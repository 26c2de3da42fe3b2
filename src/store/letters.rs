//! The last look before a letter is written: what stands in it, and what is given back.

use super::editions::articles_in_edition;
use super::statement::execute_about;
use super::subscribers::hold_subscriber;
use super::{Store, StoreError};
use crate::domain::{Article, EditionId, Instant, SubscriberId, from_micros};
use sqlx::{AnyConnection, Row};
use std::collections::HashSet;

/// Less what the editor left out: that comes with no later edition either.
const LEDGERED: &str = "
    SELECT l.article FROM ledger l JOIN edition_entries x ON x.edition = l.edition AND x.article = l.article
    WHERE l.edition = $1 AND l.subscriber = $2 AND x.left_out = 0";

/// The subscriptions by which a later edition finds what is given back: those that hold it and had
/// served it. None goes back behind where it began.
const MOVE_BACK: &str = "
    UPDATE subscriptions SET cursor = (
        SELECT min(e.sequence) - 1 FROM entries e WHERE e.feed = subscriptions.feed
        AND e.sequence > subscriptions.began AND e.article IN ({keys}))
    WHERE subscriber = $1 AND EXISTS (
        SELECT 1 FROM entries e WHERE e.feed = subscriptions.feed AND e.sequence > subscriptions.began
        AND e.sequence <= subscriptions.cursor AND e.article IN ({keys}))";

const FORGET: &str = "DELETE FROM ledger WHERE subscriber = $1 AND edition = $2 AND article IN ({keys})";

impl Store {
    /// What stands in the letter of an edition to a subscriber, which is about to be written: its
    /// articles less what was withdrawn, what he left and, while he pauses, all of them.
    ///
    /// What is left out is given back: the ledger forgets it, so that a later edition brings it
    /// once it is restored, he takes his leaving back, or his pause is over. A letter that is tried
    /// again does not take it back in: it says what it said. Where an earlier try may have reached
    /// the reader (`doubted`), nothing is given back, or he might have it twice.
    pub async fn open_letter(
        &self,
        edition: EditionId,
        subscriber: SubscriberId,
        doubted: bool,
        now: Instant,
    ) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let until: Option<Option<i64>> =
            sqlx::query_scalar("SELECT paused_until FROM subscribers WHERE n = $1")
                .bind(subscriber.0)
                .fetch_optional(&mut *snapshot)
                .await?;
        let paused = until.flatten().is_some_and(|until| from_micros(until) > now);
        let (rows, articles) = if paused {
            (Vec::new(), Vec::new())
        } else {
            articles_in_edition(&mut snapshot, edition, subscriber, true).await?
        };
        let ledgered = ledgered(&mut snapshot, edition, subscriber).await?;
        drop(snapshot);
        let included: HashSet<i64> = rows.into_iter().collect();
        let left_out: Vec<i64> = ledgered.into_iter().filter(|n| !included.contains(n)).collect();
        if !left_out.is_empty() && !doubted {
            self.give_articles_back(edition, subscriber, &left_out).await?;
        }
        Ok(articles)
    }

    async fn give_articles_back(
        &self,
        edition: EditionId,
        subscriber: SubscriberId,
        articles: &[i64],
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        hold_subscriber(&mut transaction, subscriber, self.engine()).await?;
        execute_about(&mut transaction, MOVE_BACK, &[subscriber.0], articles).await?;
        execute_about(&mut transaction, FORGET, &[subscriber.0, edition.0], articles).await?;
        Ok(transaction.commit().await?)
    }
}

async fn ledgered(
    connection: &mut AnyConnection,
    edition: EditionId,
    subscriber: SubscriberId,
) -> Result<Vec<i64>, StoreError> {
    let rows = sqlx::query(LEDGERED).bind(edition.0).bind(subscriber.0).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get("article")?)).collect()
}
