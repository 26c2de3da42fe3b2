//! Letters as a queue that is worked off: claimed in batches, each in the lane of its reader's mail provider,
//! tried in their turn, settled together.

use super::gate::Places;
use super::sheaf::Sheaf;
use super::{DispatchError, Dispatcher};
use crate::domain::{Attempt, DeliveryId, EditionId, Instant, Outcome, SubscriberId, fraction};
use crate::errands::{Errand, NotYet, Waits};
use crate::relay::{Turn, Wait};
use crate::store::{ClaimedDelivery, Settlement};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How many deliveries a worker claims at once for each connection it may use: enough that
/// connections never wait for the store, few enough that a crash leaves little to wait for.
const CLAIMS_PER_CONNECTION: usize = 16;

/// How many seconds letters are put off at most beyond the rest of a relay that cannot be reached, lest
/// all come at once.
const SPREAD: f64 = 30.0;

/// How long a letter that was handed over waits for others, to be written down with them: a question to the
/// store costs two threads a sleep and an awakening each, which is more than the writing.
const SETTLE_WITHIN: Duration = Duration::from_millis(10);

/// Letters, each in the lane of its reader's mail provider.
#[derive(Clone)]
pub(super) struct Letters {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) places: Places,
}

/// A letter that waits for its turn, or has it.
pub(super) struct Waiting {
    delivery: ClaimedDelivery,
    sheaf: Arc<Sheaf>,
    turn: Option<Turn>,
}

impl Errand for Letters {
    type Item = Waiting;
    type Done = (DeliveryId, Settlement, Letter);
    type Error = DispatchError;

    fn batch(&self) -> usize {
        self.dispatcher.connections * CLAIMS_PER_CONNECTION
    }

    fn settles(&self) -> (usize, Duration) {
        (self.places.to_settle, SETTLE_WITHIN)
    }

    fn bounds(&self) -> (usize, usize) {
        // For each letter that has a place another is written, or announced.
        let hands = self.dispatcher.connections * 4 + 2;
        (hands, self.dispatcher.relay.most_per_domain().map_or(hands, |most| most.min(hands)))
    }

    fn host(&self, letter: &Waiting) -> String {
        self.dispatcher.relay.lane(letter.delivery.subscriber.address.domain())
    }

    fn is_urgent(letter: &Waiting) -> bool {
        letter.delivery.kind.is_urgent()
    }

    fn claim(
        &self,
        _closed: Vec<String>,
        only_urgent: bool,
    ) -> impl Future<Output = Result<Vec<Waiting>, DispatchError>> + Send + 'static {
        let letters = self.clone();
        async move {
            let dispatcher = &letters.dispatcher;
            let now = dispatcher.clock.now();
            if dispatcher.relay.rests_until().is_some() {
                return Ok(Vec::new());
            }
            let (store, worker, until) = (&dispatcher.store, &dispatcher.worker, dispatcher.claim_end());
            // Asking is a read; claiming takes the one write lock of SQLite, each second.
            let claimed = if only_urgent {
                if !store.is_urgent_due(now).await? {
                    return Ok(Vec::new());
                }
                store.claim_urgent_deliveries(worker, letters.batch(), until, now).await?
            } else {
                if store.oldest_due(now).await?.is_none() {
                    return Ok(Vec::new());
                }
                store.claim_deliveries(worker, letters.batch(), until, now).await?
            };
            let sheaves = Sheaf::bind(&claimed, dispatcher);
            let wait = |(delivery, sheaf)| Waiting { delivery, sheaf, turn: None };
            Ok(claimed.into_iter().zip(sheaves).map(wait).collect())
        }
    }

    fn admit(&self, letter: &mut Waiting) -> Result<(), NotYet> {
        let urgent = letter.delivery.kind.is_urgent();
        let turn = self.dispatcher.relay.turn(&letter.delivery.subscriber.address, urgent);
        letter.turn = Some(turn.map_err(|wait| NotYet {
            until: wait.until,
            waits: match wait {
                Wait { is_down: true, .. } => Waits::Everybody,
                Wait { provider_alone: true, .. } => Waits::Host,
                _ => Waits::All,
            },
        })?);
        Ok(())
    }

    fn hand_back(&self, lane: &str, waiting: Vec<Waiting>) -> Vec<Self::Done> {
        tracing::debug!(provider = lane, letters = waiting.len(), "letters wait for their turn in the queue");
        let rest = self.dispatcher.relay.rests_until();
        let later = |letter: Waiting| {
            let delivery = letter.delivery;
            let put_off = match rest {
                Some(next) => {
                    let spread = (SPREAD * 1_000.0 * fraction(&*self.dispatcher.chance)) as i64;
                    let next = next + chrono::Duration::milliseconds(spread);
                    Settlement::PutOff { reply: Some("no mail server can be reached".to_owned()), next }
                }
                None => {
                    let turn = self.dispatcher.relay.turn_of_the_queue(&delivery.subscriber.address);
                    // Where nothing says when, what held it up is over.
                    Settlement::PutOff { reply: None, next: turn.unwrap_or(self.now()) }
                }
            };
            (delivery.id, put_off, Letter::of(&delivery))
        };
        waiting.into_iter().map(later).collect()
    }

    fn attempt(&self, letter: Waiting) -> impl Future<Output = (Self::Done, bool)> + Send + 'static {
        let letters = self.clone();
        async move {
            let Waiting { delivery, sheaf, turn } = letter;
            let dispatcher = &letters.dispatcher;
            let mut letter = Letter::of(&delivery);
            let place = &mut letter.place;
            let turn = turn.unwrap_or_default();
            let delivered = dispatcher.deliver(&delivery, &sheaf, turn, &letters.places, place).await;
            let outcome = match delivered {
                Ok(Some(outcome)) => outcome,
                // Due again at once.
                Ok(None) => {
                    let put_off = Settlement::PutOff { reply: None, next: dispatcher.clock.now() };
                    return ((delivery.id, put_off, letter), true);
                }
                // The store's trouble is not the letter's.
                Err(error) => Outcome::Deferred(format!("not composed: {error}").into()),
            };
            let now = dispatcher.clock.now();
            let jitter = || fraction(&*dispatcher.chance);
            let settlement = dispatcher.rules.settlement(
                delivery.kind,
                delivery.attempt,
                delivery.created_at,
                now,
                jitter,
                outcome,
            );
            // That a mail server is down is the relay's to know: each letter is told so by itself.
            ((delivery.id, settlement, letter), true)
        }
    }

    fn put_off(&self, _: &str, _: u32, _: Vec<Waiting>) -> (Instant, Vec<Self::Done>) {
        (self.now(), Vec::new())
    }

    fn settle(
        &self,
        done: Vec<Self::Done>,
    ) -> impl Future<Output = Result<(), DispatchError>> + Send + 'static {
        let dispatcher = Arc::clone(&self.dispatcher);
        async move { Ok(dispatcher.settle(done).await?) }
    }

    fn now(&self) -> Instant {
        self.dispatcher.clock.now()
    }
}

/// What is told of a letter when it is settled.
pub(super) struct Letter {
    pub(super) subscriber: SubscriberId,
    pub(super) domain: String,
    pub(super) edition: Option<EditionId>,
    pub(super) attempt: Attempt,
    pub(super) queued: Instant,
    /// Free again when it is settled.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Letter {
    fn of(delivery: &ClaimedDelivery) -> Self {
        Self {
            subscriber: delivery.subscriber.id,
            domain: delivery.subscriber.address.domain().to_owned(),
            edition: delivery.edition,
            attempt: delivery.attempt,
            queued: delivery.created_at,
            place: None,
        }
    }
}
