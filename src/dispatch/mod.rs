//! Floor 3: claims deliveries, looks once more whether they may go, writes the letter, hands it
//! to the relay and settles.
//!
//! The sweeper is the normal path: a claim whose holder died is simply due again, and is found by
//! the same query as a new delivery. A repeat carries the same Message-ID and the same bytes. An
//! edition of which too much is refused is stopped, and a copy of the store mails nothing.

mod archive;
mod errand;
mod gate;
mod letter;
mod opens;
mod press;
mod progress;
mod rules;
mod samples;
mod sheaf;
mod tally;
mod tenure;
mod thread;
mod together;
mod workbench;

pub use archive::{
    ArchiveError, PublicIssue, editions_document, editions_feed, in_sections, public_edition, public_editions,
};
pub use letter::{
    Desk, LetterError, Written, edition_letter, edition_page, notice_letter, sample_letter, written_letter,
};
pub use opens::Opens;
pub use press::Press;
pub use progress::{Progress, progress, tell_progress};
pub use rules::Rules;
pub use samples::newest_articles;
pub use tally::Tally;
pub use tenure::Tenure;
pub use thread::MailThread;
pub use together::Together;
pub use workbench::Workbench;

use crate::bounce::Returns;
use crate::domain::{
    Chance, Clock, DeliveryId, DeliveryKind, EmailAddress, Instant, Outcome, SubscriberState,
};
use crate::errands::work;
use crate::relay::{Parcel, Relay, Shut, Turn};
use crate::store::{AddressHash, Bounce, ClaimedDelivery, PlainLetter, Settlement, Store, StoreError};
use errand::{Letter, Letters};
use gate::{FRESH, LetterGate, Places};
use sheaf::Sheaf;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A worker that empties the queue.
#[derive(Clone)]
pub struct Dispatcher {
    /// The ledger.
    pub store: Store,
    /// What letters are written with.
    pub desk: Arc<Desk>,
    /// Who takes back what is refused.
    pub returns: Arc<Returns>,
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
    /// What the newsroom decides about letters that do not simply arrive.
    pub rules: Rules,
    /// What became of them.
    pub tally: Arc<Tally>,
    /// How often it has begun to work.
    pub runs: Arc<AtomicU64>,
    /// Until when its claims hold.
    pub tenure: Arc<Tenure>,
    /// Who is about to hand over, and wants that written down first: whether the claim still held.
    pub handing: Arc<Together<DeliveryId, bool>>,
    /// On which threads it works (benches/README.md, deliver).
    pub threads: Handle,
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

/// What is to be done with a letter that was looked at.
enum Next {
    /// It was looked at then.
    Goes(Box<Written>, Instant),
    Ends(Outcome),
    /// It is another's, or waits with its edition.
    Rests,
}

impl Dispatcher {
    /// Works until nothing is due, or until it is asked to stop. A wake-up makes it look again.
    /// Returns how many deliveries were settled.
    pub async fn run(&self, wake: &Arc<Notify>) -> Result<usize, DispatchError> {
        if self.store.oldest_due(self.clock.now()).await?.is_none() || rests(&self.store, &self.tally).await?
        {
            return Ok(0);
        }
        self.runs.fetch_add(1, Ordering::Relaxed);
        let mut hired = self.clone();
        hired.worker = self.present_name();
        let keeper = hired.keep_claims();
        let letters = Letters { places: Places::of(&hired), dispatcher: Arc::new(hired) };
        let (wake, stop) = (Arc::clone(wake), self.stop.clone());
        let mut at_work = JoinSet::new();
        at_work.spawn_on(async move { work(letters, &wake, &stop).await }, &self.threads);
        let worked = at_work.join_next().await;
        drop(keeper);
        worked.unwrap_or(Ok(Ok(0)))?
    }

    /// A name of its own for each run: what one has in its hands it never claims again, and what fell
    /// out of its hands the next one may.
    fn present_name(&self) -> String {
        format!("{}.{}", self.worker, self.runs.load(Ordering::Relaxed))
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
                let (now, until) = (dispatcher.clock.now(), dispatcher.claim_end());
                match dispatcher.store.extend_claims(&dispatcher.worker, until).await {
                    Ok(_) => dispatcher.tenure.renew(until, now),
                    Err(error) => tracing::warn!(%error, "claims not renewed"),
                }
            }
        });
        keeper
    }

    /// What became of a letter; `None` where it was not tried.
    async fn deliver(
        &self,
        delivery: &ClaimedDelivery,
        sheaf: &Sheaf,
        turn: Turn,
        places: &Places,
        place: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Option<Outcome>, StoreError> {
        let (written, looked_at) = match self.look(delivery, Some(sheaf)).await? {
            Next::Goes(written, looked_at) => (*written, looked_at),
            Next::Ends(outcome) => return Ok(Some(outcome)),
            Next::Rests => return Ok(None),
        };
        let Written { message, to, articles, .. } = written;
        let parcel = Parcel {
            envelope_from: self.returns.envelope_from(delivery.id),
            to,
            delivery: Some(delivery.id),
            message_id: message.message_id,
            bytes: message.bytes,
        };
        let gate = LetterGate {
            dispatcher: self,
            delivery,
            places,
            looked_at,
            written: (&parcel.to, articles.as_deref()),
            place: OnceLock::new(),
        };
        let handed = tokio::select! {
            biased;
            handed = self.relay.hand_over_in_turn(&parcel, turn, &gate) => handed,
            () = gate.is_stopped() => Err(Shut),
        };
        *place = gate.place.into_inner();
        let Ok(outcome) = handed else { return Ok(None) };
        if place.is_none() {
            // A server that refuses everybody is not asked faster than it can be written down, or than an
            // edition can be stopped.
            *place = tokio::select! {
                place = places.take(delivery.kind) => place,
                () = self.stop.cancelled() => None,
            };
        }
        if let (Outcome::Uncertain(_), Some(articles)) = (&outcome, articles)
            && let Err(error) = self.store.keep_letter(delivery.id, &articles, &parcel.bytes).await
        {
            tracing::warn!(delivery.id = %delivery.id, %error, "a letter in doubt is not kept, and made anew");
        }
        Ok(Some(outcome))
    }

    /// Writes down that a letter is about to go. Whether the claim still held.
    async fn note_handed(&self, delivery: DeliveryId) -> Result<bool, StoreError> {
        let note = async |ids: &[_]| self.store.note_handed(&self.worker, ids, self.clock.now()).await;
        Ok(self.handing.ask(delivery, note).await? == Some(true))
    }

    /// The last look at a letter, which is written where it may go.
    async fn look(&self, delivery: &ClaimedDelivery, sheaf: Option<&Sheaf>) -> Result<Next, StoreError> {
        let mut looked_at = self.clock.now();
        if !self.tenure.holds(delivery.claimed_until, looked_at) {
            return Ok(Next::Rests);
        }
        if delivery.was_handed && self.rules.holds(delivery.kind) {
            let why = "the program ended while this letter was handed over";
            return Ok(Next::Ends(Outcome::Uncertain(why.into())));
        }
        let reader = &delivery.subscriber;
        let letter = match delivery.kind {
            DeliveryKind::Confirmation => notice_letter(&self.store, &self.desk, delivery).await,
            DeliveryKind::Edition if reader.state != SubscriberState::Active => {
                if let Some(edition) = delivery.edition.filter(|_| delivery.doubted) {
                    self.store.owe_letter(edition, reader.id).await?;
                }
                Err(LetterError::Needless("the reader has left"))
            }
            DeliveryKind::Edition => {
                let plain;
                (plain, looked_at) = self.plain(delivery, sheaf).await?;
                // Before the letter is opened: what is in it counts as served.
                if plain.is_none()
                    && let Some(outcome) = self.refused(&reader.address).await?
                {
                    return Ok(Next::Ends(outcome));
                }
                edition_letter(&self.store, &self.desk, delivery, plain, self.clock.now()).await
            }
        };
        Ok(match letter {
            Ok(written) if written.is_looked_at => Next::Goes(Box::new(written), looked_at),
            Ok(written) => match self.refused(&written.to).await? {
                Some(outcome) => Next::Ends(outcome),
                None => Next::Goes(Box::new(written), looked_at),
            },
            Err(LetterError::Needless(why)) => Next::Ends(Outcome::Suppressed(why.to_owned())),
            // Held while a worker had it: it waits parked, and is due again once it is released.
            Err(LetterError::Held) => Next::Rests,
            Err(LetterError::Store(error)) => return Err(error),
            // A broken template is mended by a person; the reader's letter waits for it.
            Err(LetterError::Compose(error)) => {
                Next::Ends(Outcome::Deferred(format!("not composed: {error}").into()))
            }
        })
    }

    /// The last look, with those it was claimed with where that is not long ago: what is due to the reader as
    /// his edition is, if nothing has happened that concerns him. And when that was.
    async fn plain(
        &self,
        delivery: &ClaimedDelivery,
        sheaf: Option<&Sheaf>,
    ) -> Result<(Option<PlainLetter>, Instant), StoreError> {
        let now = self.clock.now();
        if let Some(sheaf) = sheaf
            && let Some(seen) = sheaf.look(delivery.id, self, now - FRESH).await?
        {
            return Ok(seen);
        }
        let hash = AddressHash::of(&delivery.subscriber.address, &self.desk.secret);
        let mut alone = self.store.plain_letters(&[(delivery.id, hash)], now).await?;
        Ok((alone.pop().flatten(), now))
    }

    /// Read now, not when the delivery was claimed: an address may have bounced a second ago.
    async fn refused(&self, to: &EmailAddress) -> Result<Option<Outcome>, StoreError> {
        let suppressed = self.store.is_suppressed(to, &self.desk.secret).await?;
        let why = "the address is on the suppression list";
        Ok(suppressed.then(|| Outcome::Suppressed(why.to_owned())))
    }

    /// Writes down what became of letters, all in one transaction.
    async fn settle(&self, done: Vec<(DeliveryId, Settlement, Letter)>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (settlements, mut letters): (Vec<(DeliveryId, Settlement)>, Vec<Letter>) =
            done.into_iter().map(|(id, settlement, letter)| ((id, settlement), letter)).unzip();
        let refusals: Vec<Bounce> = settlements
            .iter()
            .filter_map(|(id, settlement)| match settlement {
                Settlement::Bounced(reply) => Some(self.returns.refusal(*id, reply)),
                _ => None,
            })
            .collect();
        let reports = (refusals.as_slice(), &self.desk.secret);
        let ours = self.store.settle_refusals(&self.worker, &settlements, reports, now).await?;
        letters.iter_mut().for_each(|letter| drop(letter.place.take()));
        let (mut refused, mut told) = (BTreeSet::new(), refusals.iter());
        for (((id, settlement), letter), ours) in settlements.iter().zip(letters).zip(ours) {
            let (word, reply) = match settlement {
                // Nothing was tried.
                Settlement::PutOff { reply: None, .. } => continue,
                Settlement::PutOff { reply: Some(reply), .. } => ("untried", reply),
                Settlement::Accepted(reply) => ("accepted", reply),
                Settlement::Deferred { reply, .. } => ("deferred", reply),
                Settlement::Bounced(reply) => ("bounced", reply),
                Settlement::Suppressed(reply) => ("suppressed", reply),
                Settlement::Uncertain { reply, .. } => ("uncertain", reply),
            };
            self.tally.count(word);
            match settlement {
                Settlement::Accepted(_) => self.tally.accepted(letter.queued, now),
                Settlement::Deferred { .. } => self.tally.deferred(&letter.domain),
                Settlement::Bounced(_) => refused.extend(letter.edition),
                Settlement::PutOff { .. } | Settlement::Suppressed(_) | Settlement::Uncertain { .. } => {}
            }
            tracing::info!(delivery.id = %id, subscriber.id = %letter.subscriber,
                outcome = word, reply, attempt = letter.attempt.0, ours, "delivery settled");
            if matches!(settlement, Settlement::Bounced(_))
                && let Some(refusal) = told.next()
                && ours
            {
                self.returns.count(refusal);
            }
        }
        for edition in refused {
            self.returns.look_at(edition, now).await?;
        }
        Ok(())
    }

    /// Lets claims go at an orderly stop, so that the next start need not wait for their end.
    pub async fn give_back(&self) -> Result<u64, StoreError> {
        self.store.give_back_claims(&self.present_name(), self.clock.now()).await
    }
}

/// Whether nothing is cut and mailed because the store is a copy of one that mails elsewhere.
pub async fn rests(store: &Store, tally: &Tally) -> Result<bool, StoreError> {
    let is_copy = store.is_copy().await?;
    if tally.pause(is_copy) {
        if is_copy {
            tracing::error!("mail rests: this store is a copy or was moved; `bantin adopt` tells it to mail");
        } else {
            tracing::info!("this store mails again");
        }
    }
    Ok(is_copy)
}
