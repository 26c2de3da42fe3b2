use super::Dispatcher;
use crate::domain::{DeliveryId, Instant};
use crate::store::{AddressHash, ClaimedDelivery, PlainLetter, StoreError};
use std::collections::HashMap;
use std::iter::repeat_n;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How many letters share a look: a question costs what two dozen answers do. When an edition is stopped, those
/// that were looked at go all the same.
const SHEAF: usize = 32;

/// Letters that were claimed together. Whoever takes the first of them looks at all; a look that has aged
/// meanwhile is nobody's any more.
pub(super) struct Sheaf {
    letters: Vec<(DeliveryId, AddressHash)>,
    seen: Mutex<Option<(Instant, HashMap<DeliveryId, PlainLetter>)>>,
}

impl Sheaf {
    /// The sheaf of each of these letters, in their order.
    pub(super) fn bind(claimed: &[ClaimedDelivery], dispatcher: &Dispatcher) -> Vec<Arc<Self>> {
        let address = |letter: &ClaimedDelivery| {
            (letter.id, AddressHash::of(&letter.subscriber.address, &dispatcher.desk.secret))
        };
        let sheaf = |letters: &[ClaimedDelivery]| {
            let sheaf = Self { letters: letters.iter().map(address).collect(), seen: Mutex::default() };
            repeat_n(Arc::new(sheaf), letters.len())
        };
        claimed.chunks(SHEAF).flat_map(sheaf).collect()
    }

    /// What was seen of a letter, and when; nothing where it was not looked at with the others, or too long
    /// ago.
    pub(super) async fn look(
        &self,
        letter: DeliveryId,
        dispatcher: &Dispatcher,
        oldest: Instant,
    ) -> Result<Option<(Option<PlainLetter>, Instant)>, StoreError> {
        let mut seen = self.seen.lock().await;
        if seen.is_none() {
            let now = dispatcher.clock.now();
            let plain = dispatcher.store.plain_letters(&self.letters, now).await?;
            let ids = self.letters.iter().map(|(id, _)| *id);
            *seen = Some((now, ids.zip(plain).filter_map(|(id, plain)| Some((id, plain?))).collect()));
        }
        let fresh = seen.as_mut().filter(|(at, _)| *at >= oldest);
        Ok(fresh.map(|(at, letters)| (letters.remove(&letter), *at)))
    }
}
