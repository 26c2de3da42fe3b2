use crate::domain::{EditionId, SubscriberId};
use crate::store::{Store, StoreError};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many wait to be written down. Who comes later in that second is not counted: the figure is a
/// floor anyway.
const WAITING: usize = 10_000;

/// Letters that were opened just now, where the newsroom counts that. A GET only notes it here; it is
/// written down once a second for all (docs/decisions/0008).
#[derive(Debug, Default)]
pub struct Opens {
    waiting: Mutex<BTreeSet<(EditionId, SubscriberId)>>,
    counted: AtomicU64,
}

impl Opens {
    /// Somebody, or a machine of his, fetched the picture in a letter.
    pub fn note(&self, edition: EditionId, reader: SubscriberId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.insert((edition, reader));
        }
    }

    /// Writes down what was noted. What was counted before counts no more.
    pub async fn write_down(&self, store: &Store) -> Result<(), StoreError> {
        let noted = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if !noted.is_empty() {
            let fresh = store.note_opened(noted).await?;
            self.counted.fetch_add(fresh, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many this process has counted since its start.
    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}
