//! Floor 3: claims deliveries, looks once more whether they may go, writes the letter, hands it
//! to the relay and settles.
//!
//! The sweeper is the normal path: a claim whose holder died is simply due again, and is found by
//! the same query as a new delivery. A repeat carries the same Message-ID and the same bytes.

mod letter;

pub use letter::{Desk, LetterError, confirmation_letter, edition_letter, edition_page, sample_letter};

use crate::domain::{
    Attempt, Chance, Clock, DeliveryKind, Instant, MAIL_BACKOFF, Outcome, SubscriberState, fraction,
};
use crate::mail::Message;
use crate::relay::{Parcel, Relay};
use crate::store::{ClaimedDelivery, Settlement, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many deliveries a worker claims at once for each connection it may use: enough that
/// connections never wait for the store, few enough that a crash leaves little to wait for.
const CLAIMS_PER_CONNECTION: usize = 4;

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

impl Dispatcher {
    /// Works until nothing is due, or until it is asked to stop. Returns how many deliveries were settled.
    pub async fn run(&self) -> Result<usize, StoreError> {
        let mut settled = 0;
        while !self.stop.is_cancelled() {
            let now = self.clock.now();
            // Asking is a read; claiming takes the one write lock of SQLite, each second.
            if self.store.oldest_due(now).await?.is_none() {
                return Ok(settled);
            }
            let limit = self.connections * CLAIMS_PER_CONNECTION;
            let until = now + chrono::Duration::from_std(self.claim).unwrap_or(chrono::Duration::seconds(90));
            let claimed = self.store.claim_deliveries(&self.worker, limit, until, now).await?;
            if claimed.is_empty() {
                break;
            }
            settled += self.deliver_all(claimed).await?;
        }
        Ok(settled)
    }

    async fn deliver_all(&self, claimed: Vec<ClaimedDelivery>) -> Result<usize, StoreError> {
        let keeper = self.keep_claims();
        let mut under_way = JoinSet::new();
        let mut waiting = claimed.into_iter();
        let mut failure = None;
        let mut settled = 0;
        loop {
            while under_way.len() < self.connections && !self.stop.is_cancelled() {
                let Some(delivery) = waiting.next() else { break };
                let dispatcher = self.clone();
                under_way.spawn(async move { dispatcher.deliver(&delivery).await });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Ok(()))) => settled += 1,
                Some(Ok(Err(error))) => failure = Some(error),
                // Its claim ends by itself, and somebody tries again.
                Some(Err(panic)) => tracing::error!(%panic, "a delivery fell over"),
            }
        }
        drop(keeper);
        failure.map_or(Ok(settled), Err)
    }

    /// Renews the claims while the work goes on: the final dot alone may take ten minutes
    /// (RFC 5321 §4.5.3.2.6), a crash should be noticed sooner.
    fn keep_claims(&self) -> JoinSet<()> {
        let dispatcher = self.clone();
        let mut keeper = JoinSet::new();
        keeper.spawn(async move {
            loop {
                tokio::time::sleep(dispatcher.claim / 3).await;
                let now = dispatcher.clock.now();
                let until = now + chrono::Duration::from_std(dispatcher.claim).unwrap_or_default();
                if let Err(error) = dispatcher.store.extend_claims(&dispatcher.worker, until).await {
                    tracing::warn!(%error, "claims not renewed");
                }
            }
        });
        keeper
    }

    async fn deliver(&self, delivery: &ClaimedDelivery) -> Result<(), StoreError> {
        // Read now, not when it was claimed: an address may have bounced a second ago.
        if self.store.is_suppressed(&delivery.subscriber.address, &self.desk.secret).await? {
            let why = "the address is on the suppression list";
            return self.settle(delivery, Outcome::Suppressed(why.to_owned())).await;
        }
        let letter = match delivery.kind {
            DeliveryKind::Confirmation => confirmation_letter(&self.store, &self.desk, delivery).await,
            DeliveryKind::Edition if delivery.subscriber.state == SubscriberState::Active => {
                edition_letter(&self.store, &self.desk, delivery).await
            }
            DeliveryKind::Edition => Err(LetterError::Needless("the reader has left")),
        };
        let outcome = match letter {
            Ok(message) => self.hand_over(delivery, message).await,
            Err(LetterError::Needless(why)) => Outcome::Suppressed(why.to_owned()),
            Err(LetterError::Store(error)) => return Err(error),
            // A broken template is mended by a person; the reader's letter waits for it.
            Err(LetterError::Compose(error)) => Outcome::Deferred(format!("not composed: {error}")),
        };
        self.settle(delivery, outcome).await
    }

    async fn hand_over(&self, delivery: &ClaimedDelivery, message: Message) -> Outcome {
        let parcel = Parcel {
            envelope_from: self.desk.sender.address.clone(),
            to: delivery.subscriber.address.clone(),
            message_id: message.message_id,
            bytes: message.bytes,
        };
        self.relay.hand_over(&parcel).await
    }

    async fn settle(&self, delivery: &ClaimedDelivery, outcome: Outcome) -> Result<(), StoreError> {
        let now = self.clock.now();
        let jitter = fraction(&*self.chance);
        let settlement = settlement(delivery.attempt, delivery.created_at, now, jitter, outcome);
        let (word, reply) = match &settlement {
            Settlement::Accepted(reply) => ("accepted", reply),
            Settlement::Deferred { reply, .. } => ("deferred", reply),
            Settlement::Bounced(reply) => ("bounced", reply),
            Settlement::Suppressed(reply) => ("suppressed", reply),
            Settlement::Uncertain { reply, .. } => ("uncertain", reply),
        };
        let ours = self.store.settle_delivery(delivery.id, &self.worker, &settlement, now).await?;
        self.tally.count(word, now);
        tracing::info!(delivery.id = %delivery.id, subscriber.id = %delivery.subscriber.id,
            outcome = word, reply, attempt = delivery.attempt.0, ours, "delivery settled");
        if let Settlement::Bounced(reply) = &settlement
            && names_a_dead_address(reply)
        {
            self.store.mark_bounced(delivery.subscriber.id, now).await?;
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
