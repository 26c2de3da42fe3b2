use super::session::Session;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// Connections to one mail server, never more than the cap.
///
/// Whoever uses one holds a permit, and lays it to rest before the permit goes. A new one is
/// opened only by a holder who found none at rest. So there are never more than permits.
pub(super) struct Pool {
    permits: Semaphore,
    resting: Mutex<Vec<(Session, Instant)>>,
}

impl Pool {
    pub(super) fn new(cap: usize) -> Self {
        Self { permits: Semaphore::new(cap.clamp(1, Semaphore::MAX_PERMITS)), resting: Mutex::default() }
    }

    /// Waits for the right to use a connection. `None` never comes: the semaphore is not closed.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// The connection that has rested least, for whoever holds a permit.
    pub(super) fn wake(&self, _permit: &SemaphorePermit<'_>) -> Option<(Session, Duration)> {
        let (session, since) = self.resting().pop()?;
        Some((session, since.elapsed()))
    }

    /// Lays a connection to rest while its permit is still held.
    pub(super) fn rest(&self, session: Session, _permit: &SemaphorePermit<'_>) {
        self.resting().push((session, Instant::now()));
    }

    /// Takes out one connection that has rested for at least this long, and a permit for the time
    /// that it takes to close it.
    pub(super) fn retire(&self, rested: Duration) -> Option<(Session, SemaphorePermit<'_>)> {
        let permit = self.permits.try_acquire().ok()?;
        let mut resting = self.resting();
        let old = resting.iter().position(|(_, since)| since.elapsed() >= rested)?;
        Some((resting.remove(old).0, permit))
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Vec<(Session, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
