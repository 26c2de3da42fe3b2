//! Floor 3: claims deliveries, looks once more whether they may go, writes the letter, hands it
//! to the relay and settles.
//!
//! The sweeper is the normal path: a claim whose holder died is simply due again, and is found by
//! the same query as a new delivery. A repeat carries the same Message-ID and the same bytes.

mod archive;
mod letter;

pub use archive::{
    ArchiveError, editions_document, editions_feed, in_sections, public_edition, public_editions,
};
pub use letter::{Desk, LetterError, edition_letter, edition_page, notice_letter, sample_letter};

use crate::domain::{
    Attempt, Chance, Clock, DeliveryId, DeliveryKind, EmailAddress, Instant, MAIL_BACKOFF, Outcome,
    SubscriberId, SubscriberState, fraction,
};
use crate::errands::{Errand, work};
use crate::mail::Message;
use crate::relay::{Parcel, Relay};
use crate::store::{ClaimedDelivery, Settlement, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many deliveries a worker claims at once for each connection it may use: enough that
/// connections never wait for the store, few enough that a crash leaves little to wait for.
const CLAIMS_PER_CONNECTION: usize = 16;

/// How many outcomes of each kind there were since the start, for the metrics.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<HashMap<&'static str, u64>>,
    last_accepted: AtomicU64,
}

impl Tally {
    fn count(&self, outcome: &'static str, now: Instant) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
        if outcome == "accepted" {
            self.last_accepted.store(now.timestamp().unsigned_abs(), Ordering::Relaxed);
        }
    }

    /// The counts by outcome.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(outcome, count)| (*outcome, *count)).collect()
    }
}

/// A worker that empties the queue.
#[derive(Clone)]
pub struct Dispatcher {
    /// The ledger.
    pub store: Store,
    /// What letters are written with.
    pub desk: Arc<Desk>,
    /// Where they go.
    pub relay: Arc<dyn Relay>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Spreads the retries of what was deferred together.
    pub chance: Arc<dyn Chance>,
    /// Who holds the claims: one name a process, so that a clone of the machine holds none.
    pub worker: String,
    /// How long a claim lasts without a sign of life.
    pub claim: Duration,
    /// How many letters are under way at once.
    pub connections: usize,
    /// What became of them.
    pub tally: Arc<Tally>,
    /// Once this is cancelled no new letter is begun; those under way are brought to their end.
    pub stop: CancellationToken,
}

/// Why the work stopped.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was stopped.
    #[error("the dispatch was stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Letters, each in the lane of its reader's mail provider.
#[derive(Clone)]
struct Letters(Arc<Dispatcher>);

impl Errand for Letters {
    type Item = ClaimedDelivery;
    type Done = (DeliveryId, Settlement, Letter);
    type Error = DispatchError;
    // What a crash repeats are letters: no more than there are hands.
    const SETTLES_FIRST: bool = true;

    fn batch(&self) -> usize {
        self.0.connections * CLAIMS_PER_CONNECTION
    }

    fn bounds(&self) -> (usize, usize) {
        // While one half waits for the disk, the other speaks with the mail server.
        let hands = self.0.connections * 2;
        (hands, hands)
    }

    fn host(delivery: &ClaimedDelivery) -> String {
        delivery.subscriber.address.domain().to_owned()
    }

    fn claim(
        &self,
        _closed: Vec<String>,
    ) -> impl Future<Output = Result<Vec<ClaimedDelivery>, DispatchError>> + Send + 'static {
        let letters = self.clone();
        async move {
            let dispatcher = &letters.0;
            let now = dispatcher.clock.now();
            // Asking is a read; claiming takes the one write lock of SQLite, each second.
            if dispatcher.store.oldest_due(now).await?.is_none() {
                return Ok(Vec::new());
            }
            let until = dispatcher.claim_end();
            Ok(dispatcher.store.claim_deliveries(&dispatcher.worker, letters.batch(), until, now).await?)
        }
    }

    fn attempt(
        &self,
        delivery: ClaimedDelivery,
    ) -> impl Future<Output = (Self::Done, bool)> + Send + 'static {
        let dispatcher = Arc::clone(&self.0);
        async move {
            let outcome = match dispatcher.deliver(&delivery).await {
                Ok(outcome) => outcome,
                // The store's trouble is not the letter's.
                Err(error) => Outcome::Deferred(format!("not composed: {error}")),
            };
            let now = dispatcher.clock.now();
            let jitter = fraction(&*dispatcher.chance);
            let settlement = settlement(delivery.attempt, delivery.created_at, now, jitter, outcome);
            let letter = Letter { subscriber: delivery.subscriber.id, attempt: delivery.attempt };
            // That a mail server is down is the relay's to know: each letter is told so by itself.
            ((delivery.id, settlement, letter), true)
        }
    }

    fn put_off(&self, _: &str, _: u32, _: Vec<ClaimedDelivery>) -> (Instant, Vec<Self::Done>) {
        (self.now(), Vec::new())
    }

    fn settle(
        &self,
        done: Vec<Self::Done>,
    ) -> impl Future<Output = Result<(), DispatchError>> + Send + 'static {
        let dispatcher = Arc::clone(&self.0);
        async move { Ok(dispatcher.settle(done).await?) }
    }

    fn now(&self) -> Instant {
        self.0.clock.now()
    }
}

/// What is told of a letter when it is settled.
struct Letter {
    subscriber: SubscriberId,
    attempt: Attempt,
}

impl Dispatcher {
    /// Works until nothing is due, or until it is asked to stop. A wake-up makes it look again.
    /// Returns how many deliveries were settled.
    pub async fn run(&self, wake: &Notify) -> Result<usize, DispatchError> {
        if self.store.oldest_due(self.clock.now()).await?.is_none() {
            return Ok(0);
        }
        let keeper = self.keep_claims();
        let worked = work(Letters(Arc::new(self.clone())), wake, &self.stop).await;
        drop(keeper);
        worked
    }

    fn claim_end(&self) -> Instant {
        self.clock.now() + chrono::Duration::from_std(self.claim).unwrap_or(chrono::Duration::seconds(90))
    }

    /// Renews the claims while the work goes on: the final dot alone may take ten minutes
    /// (RFC 5321 §4.5.3.2.6), a crash should be noticed sooner.
    fn keep_claims(&self) -> JoinSet<()> {
        let dispatcher = self.clone();
        let mut keeper = JoinSet::new();
        keeper.spawn(async move {
            loop {
                tokio::time::sleep(dispatcher.claim / 3).await;
                let held = dispatcher.store.extend_claims(&dispatcher.worker, dispatcher.claim_end()).await;
                if let Err(error) = held {
                    tracing::warn!(%error, "claims not renewed");
                }
            }
        });
        keeper
    }

    async fn deliver(&self, delivery: &ClaimedDelivery) -> Result<Outcome, StoreError> {
        let reader = &delivery.subscriber;
        let letter = match delivery.kind {
            DeliveryKind::Confirmation => notice_letter(&self.store, &self.desk, delivery).await,
            DeliveryKind::Edition if reader.state != SubscriberState::Active => {
                Err(LetterError::Needless("the reader has left"))
            }
            DeliveryKind::Edition => {
                // Before the letter is opened: what is in it counts as served.
                if let Some(outcome) = self.refused(&reader.address).await? {
                    return Ok(outcome);
                }
                let letter = edition_letter(&self.store, &self.desk, delivery, self.clock.now()).await;
                letter.map(|message| (message, reader.address.clone()))
            }
        };
        Ok(match letter {
            Ok((message, to)) => match self.refused(&to).await? {
                Some(outcome) => outcome,
                None => self.hand_over(message, to).await,
            },
            Err(LetterError::Needless(why)) => Outcome::Suppressed(why.to_owned()),
            Err(LetterError::Store(error)) => return Err(error),
            // A broken template is mended by a person; the reader's letter waits for it.
            Err(LetterError::Compose(error)) => Outcome::Deferred(format!("not composed: {error}")),
        })
    }

    /// Read now, not when the delivery was claimed: an address may have bounced a second ago.
    async fn refused(&self, to: &EmailAddress) -> Result<Option<Outcome>, StoreError> {
        let suppressed = self.store.is_suppressed(to, &self.desk.secret).await?;
        let why = "the address is on the suppression list";
        Ok(suppressed.then(|| Outcome::Suppressed(why.to_owned())))
    }

    async fn hand_over(&self, message: Message, to: EmailAddress) -> Outcome {
        let parcel = Parcel {
            envelope_from: self.desk.sender.address.clone(),
            to,
            message_id: message.message_id,
            bytes: message.bytes,
        };
        self.relay.hand_over(&parcel).await
    }

    /// Writes down what became of letters, all in one transaction.
    async fn settle(&self, done: Vec<(DeliveryId, Settlement, Letter)>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (settlements, letters): (Vec<(DeliveryId, Settlement)>, Vec<Letter>) =
            done.into_iter().map(|(id, settlement, letter)| ((id, settlement), letter)).unzip();
        let ours = self.store.settle_deliveries(&self.worker, &settlements, now).await?;
        for (((id, settlement), letter), ours) in settlements.iter().zip(letters).zip(ours) {
            let (word, reply) = match settlement {
                Settlement::Accepted(reply) => ("accepted", reply),
                Settlement::Deferred { reply, .. } => ("deferred", reply),
                Settlement::Bounced(reply) => ("bounced", reply),
                Settlement::Suppressed(reply) => ("suppressed", reply),
                Settlement::Uncertain { reply, .. } => ("uncertain", reply),
            };
            self.tally.count(word, now);
            tracing::info!(delivery.id = %id, subscriber.id = %letter.subscriber,
                outcome = word, reply, attempt = letter.attempt.0, ours, "delivery settled");
            if let Settlement::Bounced(reply) = settlement
                && names_a_dead_address(reply)
            {
                self.store.mark_bounced(letter.subscriber, now).await?;
            }
        }
        Ok(())
    }

    /// Lets claims go at an orderly stop, so that the next start need not wait for their end.
    pub async fn give_back(&self) -> Result<u64, StoreError> {
        self.store.give_back_claims(&self.worker, self.clock.now()).await
    }
}

/// What a try's outcome means for the delivery.
fn settlement(attempt: Attempt, since: Instant, now: Instant, jitter: f64, outcome: Outcome) -> Settlement {
    let next = || MAIL_BACKOFF.delay(attempt, since, now, jitter).map(|delay| now + delay);
    match outcome {
        Outcome::Accepted(reply) => Settlement::Accepted(reply),
        Outcome::Refused(reply) => Settlement::Bounced(reply),
        Outcome::Suppressed(why) => Settlement::Suppressed(why),
        Outcome::Deferred(reply) => match next() {
            Some(next) => Settlement::Deferred { reply, next },
            None => Settlement::Bounced(format!("given up after five days: {reply}")),
        },
        // The same letter under the same Message-ID is harmless where it did arrive.
        Outcome::Uncertain(reply) => Settlement::Uncertain { reply, next: next() },
    }
}

/// Whether a refusal says that the mailbox does not exist (RFC 3463 §3.2: 5.1.1 bad mailbox,
/// 5.1.2 bad system, 5.1.6 moved, 5.1.10 null MX). A refusal of our own policy (5.7.x), size or a
/// full mailbox is no reason to give a reader up.
fn names_a_dead_address(reply: &str) -> bool {
    reply.split_whitespace().any(|word| matches!(word, "5.1.1" | "5.1.2" | "5.1.6" | "5.1.10"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(attempt: i64, days: i64, outcome: Outcome) -> Settlement {
        let since = Instant::default();
        settlement(Attempt(attempt), since, since + chrono::Duration::days(days), 0.0, outcome)
    }

    #[test]
    fn a_deferred_letter_is_tried_for_five_days() {
        let deferred = || Outcome::Deferred("451 4.3.0 later".into());
        assert!(matches!(settled(1, 0, deferred()), Settlement::Deferred { .. }));
        assert!(matches!(settled(30, 6, deferred()), Settlement::Bounced(_)));
    }

    #[test]
    fn doubt_is_told_and_tried_again_under_the_same_id() {
        let doubt = settled(1, 0, Outcome::Uncertain("lost".into()));
        assert!(matches!(doubt, Settlement::Uncertain { next: Some(_), .. }));
    }

    #[test]
    fn only_a_dead_address_ends_a_reader() {
        assert!(names_a_dead_address("550 5.1.1 no such user"));
        assert!(!names_a_dead_address("550 5.7.1 blocked by policy"));
        assert!(!names_a_dead_address("552 5.2.2 mailbox full"));
    }
}
