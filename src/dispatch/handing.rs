use crate::domain::{DeliveryId, Instant};
use crate::store::{Store, StoreError};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Who is about to hand a letter over and wants that written down first. Whoever comes while another
/// writes waits, and then writes for all who have come meanwhile: one commit for many (group commit).
#[derive(Debug, Default)]
pub struct Handing {
    waiting: Mutex<HashSet<DeliveryId>>,
    /// What was written down and not asked for yet: whether the claim still held.
    written: Mutex<HashSet<DeliveryId>>,
    pen: tokio::sync::Mutex<()>,
}

impl Handing {
    /// Returns once it is written down. `false`: the claim has ended, and the letter is another's.
    pub(super) async fn note(
        &self,
        store: &Store,
        worker: &str,
        delivery: DeliveryId,
        now: Instant,
    ) -> Result<bool, StoreError> {
        self.waiting().insert(delivery);
        let _pen = self.pen.lock().await;
        let batch: Vec<DeliveryId> =
            if self.waiting().contains(&delivery) { self.waiting().drain().collect() } else { Vec::new() };
        if !batch.is_empty() {
            let ours = store.note_handed(worker, &batch, now).await?;
            self.written().extend(ours);
        }
        Ok(self.written().remove(&delivery))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashSet<DeliveryId>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashSet<DeliveryId>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
