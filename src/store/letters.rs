//! The last look before a letter is written: what stands in it, and what is given back.

use super::editions::{still_wanted, with_leads};
use super::statement::{execute_about, rows_about};
use super::subscribers::hold_subscriber;
use super::{AddressHash, Store, StoreError};
use crate::domain::{Article, DeliveryId, EditionId, Instant, SubscriberId, from_micros, micros};
use sqlx::Row as _;
use std::collections::HashMap;

/// What is due of an edition, whether it may still go out, and until when its reader pauses. Less what
/// the editor left out: that comes with no later edition either.
const LETTER: &str = concat!(
    "SELECT l.article, x.revision, CASE WHEN a.state = 'visible' AND ",
    still_wanted!(),
    " THEN 1 ELSE 0 END, (SELECT r.paused_until FROM subscribers r WHERE r.n = l.subscriber),
        e.held_at, e.released_at, l.owed
     FROM editions e CROSS JOIN ledger l CROSS JOIN edition_entries x CROSS JOIN articles a
     WHERE e.n = $1 AND l.edition = e.n AND l.subscriber = $2
       AND x.edition = l.edition AND x.article = l.article AND a.n = l.article AND x.left_out = 0
     ORDER BY x.place IS NULL, x.place, a.published_at DESC, a.n DESC"
);

/// Letters to whose reader nothing has happened that could concern them: he never left anything, does not
/// pause, and may have mail. Of each article which it is, or a hyphen where it is not out any more, or was
/// owed.
const PLAIN: &str = "
    SELECT d.n, e.released_at,
        (SELECT string_agg(CASE WHEN a.state = 'visible' AND l.owed = 0 THEN CAST(l.article AS TEXT) ELSE '-' END, ',')
         FROM ledger l CROSS JOIN articles a
         WHERE l.edition = d.edition AND l.subscriber = d.subscriber AND a.n = l.article)
    FROM (VALUES {rows}) AS v CROSS JOIN deliveries d CROSS JOIN subscribers r CROSS JOIN editions e
    WHERE d.n = v.column1 AND d.state = 'claimed' AND r.n = d.subscriber AND r.state = 'active'
      AND (r.paused_until IS NULL OR r.paused_until <= v.column3) AND e.n = d.edition AND e.held_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM suppressions p WHERE p.address_hash = v.column2)
      AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber = d.subscriber AND s.ended_at IS NOT NULL)";

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

/// What stands in a letter: articles, each as its edition froze it, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LetterContents(Vec<(i64, i64)>);

impl LetterContents {
    /// Nothing is left to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A letter that is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLetter {
    /// What stands in it.
    pub contents: LetterContents,
    /// Whether its edition waits for a person: then nothing is given back. Not known of a letter in
    /// which nothing is left.
    pub held: bool,
    /// When its edition was released, if it was held before the first letter. What the editor may
    /// still change, he changes before.
    pub released_at: Option<Instant>,
    /// Whether nothing is left out that the edition brings to this reader.
    pub is_whole: bool,
}

/// A letter of which nothing is to be left out, to a reader who may have it: whoever is due the same of
/// an edition gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlainLetter {
    /// When its edition was released, if it was held.
    pub released_at: Option<Instant>,
    articles: String,
}

/// Row and revision, whether it is wanted, until when its reader pauses, since when its edition is held,
/// when it was released, and whether an earlier repeat left it out.
type Due = (i64, i64, i64, Option<i64>, Option<i64>, Option<i64>, i64);

impl Store {
    /// What stands in the letter of an edition to a subscriber, which is about to be written: its
    /// articles less what was withdrawn, what he left and, while he pauses, all of them.
    ///
    /// What is left out is given back: the ledger forgets it, so that a later edition brings it
    /// once it is restored, he takes his leaving back, or his pause is over. A letter that is tried
    /// again does not take it back in: it says what it said. Where an earlier try may have reached
    /// the reader (`doubted`), nothing is given back, or he might have it twice: it is owed
    /// ([`Store::queue_owed`]).
    pub async fn open_letter(
        &self,
        edition: EditionId,
        subscriber: SubscriberId,
        doubted: bool,
        now: Instant,
    ) -> Result<OpenLetter, StoreError> {
        let due = sqlx::query_as::<_, Due>(LETTER)
            .bind(edition.0)
            .bind(subscriber.0)
            .fetch_all(self.readers())
            .await?;
        let goes_out = |(_, _, is_wanted, paused, ..): &Due| {
            *is_wanted == 1 && paused.is_none_or(|until| until <= micros(now))
        };
        let (held, released_at) =
            due.first().map_or((None, None), |(.., held, released, _)| (*held, *released));
        let (included, left_out): (Vec<Due>, Vec<Due>) = due.into_iter().partition(goes_out);
        let is_whole = left_out.is_empty();
        let articles = |due: &[Due], owed: i64| -> Vec<i64> {
            due.iter().filter(|(.., was_owed)| *was_owed == owed).map(|(n, ..)| *n).collect()
        };
        let (missing, paid) = (articles(&left_out, 0), articles(&included, 1));
        // Of what is held nothing goes out, so nothing is left out either.
        match (held, doubted) {
            (None, true) if !(missing.is_empty() && paid.is_empty()) => {
                self.note_owed(edition, subscriber, &missing, &paid).await?;
            }
            // Nothing is owed of what nobody can have.
            (None, false) if !missing.is_empty() => {
                self.give_articles_back(edition, subscriber, &missing).await?;
            }
            _ => {}
        }
        let contents = included.into_iter().map(|(n, revision, ..)| (n, revision)).collect();
        Ok(OpenLetter {
            is_whole,
            contents: LetterContents(contents),
            held: held.is_some(),
            released_at: released_at.map(from_micros),
        })
    }

    /// The last look at many claimed letters at once, each with what its address is kept as: which of
    /// them are plain. The others are looked at one by one ([`Store::open_letter`]).
    pub async fn plain_letters(
        &self,
        letters: &[(DeliveryId, AddressHash)],
        now: Instant,
    ) -> Result<Vec<Option<PlainLetter>>, StoreError> {
        let mut connection = self.readers().acquire().await?;
        let rows = rows_about(&mut connection, PLAIN, "(?, ?, ?)", letters, |statement, (id, address)| {
            statement.bind(id.0).bind(address.as_str().to_owned()).bind(micros(now))
        });
        let mut plain = HashMap::new();
        for row in rows.await? {
            let released_at = row.try_get::<Option<i64>, _>(1)?.map(from_micros);
            let articles = row.try_get::<Option<String>, _>(2)?.filter(|articles| !articles.contains('-'));
            plain.extend(
                articles.map(|articles| (row.get::<i64, _>(0), PlainLetter { released_at, articles })),
            );
        }
        Ok(letters.iter().map(|(id, _)| plain.remove(&id.0)).collect())
    }

    /// The articles themselves; texts are there only where [`Article::lead`] needs them.
    pub async fn letter_articles(&self, contents: &LetterContents) -> Result<Vec<Article>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        with_leads(&mut snapshot, &contents.0).await
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
