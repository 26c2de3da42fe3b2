use super::{Dispatcher, Next};
use crate::domain::{DeliveryKind, EmailAddress, Instant};
use crate::relay::{Gate, Handing};
use crate::store::{ClaimedDelivery, StoreError};
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A letter whose last look is older than this when the mail server waits for its text is looked at once
/// more.
pub(super) const FRESH: chrono::Duration = chrono::Duration::milliseconds(100);

/// How many letters may be handed over and not written down: what a crash repeats, or leaves in doubt.
/// Whoever somebody waits for has places of its own.
#[derive(Clone)]
pub(super) struct Places {
    editions: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
    /// So many that are handed over are written down without delay.
    pub(super) to_settle: usize,
}

impl Places {
    /// Where doubt is a person's to settle, it is to be rare: no more letters than connections, and none waits
    /// to be written down. Else the mail server has a quarter of them, half gather to be written down together,
    /// and a quarter is there for those who come while they are.
    pub(super) fn of(dispatcher: &Dispatcher) -> Self {
        let every = dispatcher.connections * 4 + 1;
        let (editions, to_settle) = if dispatcher.rules.holds(DeliveryKind::Edition) {
            (dispatcher.connections, 1)
        } else {
            (every, every / 2)
        };
        Self {
            editions: Arc::new(Semaphore::new(editions)),
            urgent: Arc::new(Semaphore::new(every)),
            to_settle,
        }
    }

    pub(super) async fn take(&self, kind: DeliveryKind) -> Option<OwnedSemaphorePermit> {
        let places = if kind.is_urgent() { &self.urgent } else { &self.editions };
        Arc::clone(places).acquire_owned().await.ok()
    }
}

/// What a letter passes once the mail server waits for its text.
pub(super) struct LetterGate<'a> {
    pub(super) dispatcher: &'a Dispatcher,
    pub(super) delivery: &'a ClaimedDelivery,
    pub(super) places: &'a Places,
    /// When it was looked at.
    pub(super) looked_at: Instant,
    /// To whom it was written, and of which articles.
    pub(super) written: (&'a EmailAddress, Option<&'a str>),
    /// Its place, once it has passed.
    pub(super) place: OnceLock<OwnedSemaphorePermit>,
}

impl LetterGate<'_> {
    /// For ever, where it has passed; else until the dispatch is to stop.
    pub(super) async fn is_stopped(&self) {
        self.dispatcher.stop.cancelled().await;
        if self.place.get().is_some() {
            std::future::pending().await
        }
    }

    async fn passes(&self) -> Result<bool, StoreError> {
        let Self { dispatcher, delivery, .. } = self;
        let Some(place) = self.places.take(delivery.kind).await else { return Ok(false) };
        let now = dispatcher.clock.now();
        if !dispatcher.tenure.holds(delivery.claimed_until, now) {
            return Ok(false);
        }
        if now - self.looked_at > FRESH {
            match dispatcher.look(delivery, None).await? {
                Next::Goes(again, _) if self.written == (&again.to, again.articles.as_deref()) => {}
                // Written anew in its next turn, or ended.
                _ => return Ok(false),
            }
        }
        if dispatcher.rules.holds(delivery.kind) && !dispatcher.note_handed(delivery.id).await? {
            return Ok(false);
        }
        Ok(self.place.set(place).is_ok())
    }
}

impl Gate for LetterGate<'_> {
    fn opens(&self) -> Handing<'_, bool> {
        Box::pin(async {
            self.passes().await.unwrap_or_else(|error| {
                tracing::warn!(delivery.id = %self.delivery.id, %error, "a letter waits for the store");
                false
            })
        })
    }
}
