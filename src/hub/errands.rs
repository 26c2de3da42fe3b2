//! How a queue of the store is worked off: claimed in batches, done side by side within the bounds of
//! [`Lanes`], settled in batches while the next are under way.

use super::HubError;
use super::lanes::Lanes;
use crate::domain::Instant;
use std::future::Future;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How much is claimed at once.
pub(super) const CLAIMS: usize = 256;
/// How much is settled at once, unless no more comes.
const SETTLED: usize = 256;
/// How long something that is done waits to be settled with others.
const SETTLE_AFTER: Duration = Duration::from_millis(50);

/// A queue of the store, and what is done with what stands in it.
pub(super) trait Errand: Clone + Send + Sync + 'static {
    /// What is claimed.
    type Item: Send + 'static;
    /// What is known when it was tried.
    type Done: Send + 'static;

    /// Whose lane it takes.
    fn host(item: &Self::Item) -> String;
    /// Claims what is due, at most [`CLAIMS`], and nothing for the closed hosts.
    fn claim(
        &self,
        closed: Vec<String>,
    ) -> impl Future<Output = Result<Vec<Self::Item>, HubError>> + Send + 'static;
    /// Tries it. Whether the host answered.
    fn attempt(&self, item: Self::Item) -> impl Future<Output = (Self::Done, bool)> + Send + 'static;
    /// A host is down after so many tries: until when it rests, and what becomes of what waited for it.
    fn put_off(&self, host: &str, tries: u32, waiting: Vec<Self::Item>) -> (Instant, Vec<Self::Done>);
    /// Writes down what is known.
    fn settle(&self, done: Vec<Self::Done>) -> impl Future<Output = Result<(), HubError>> + Send + 'static;
    /// The time.
    fn now(&self) -> Instant;
}

/// What the store answered.
enum Paper<E: Errand> {
    Claimed(Vec<E::Item>),
    Settled,
}

/// What one call of [`work`] is doing.
struct Worker<E: Errand> {
    errand: E,
    lanes: Lanes<E::Item>,
    under_way: JoinSet<(String, E::Done, bool)>,
    paperwork: JoinSet<Result<Paper<E>, HubError>>,
    is_claiming: bool,
    is_settling: bool,
    /// Something has waited for others long enough.
    is_settling_due: bool,
    done: Vec<E::Done>,
    /// Nothing was due at the last look.
    is_exhausted: bool,
    settled: usize,
}

/// Works until nothing is due and everything is settled. A wake-up makes it look again while slow
/// ones are under way; after a stop nothing is begun. Returns how much was done.
pub(super) async fn work<E: Errand>(
    errand: E,
    connections: usize,
    per_host: usize,
    wake: &Notify,
    stop: &CancellationToken,
) -> Result<usize, HubError> {
    let mut worker = Worker {
        errand,
        lanes: Lanes::new(connections, per_host),
        under_way: JoinSet::new(),
        paperwork: JoinSet::new(),
        is_claiming: false,
        is_settling: false,
        is_settling_due: false,
        done: Vec::new(),
        is_exhausted: false,
        settled: 0,
    };
    loop {
        if !stop.is_cancelled() {
            worker.claim();
            worker.begin();
        }
        worker.settle();
        if worker.is_idle(stop.is_cancelled()) {
            return Ok(worker.settled);
        }
        let Worker { under_way, paperwork, done, .. } = &mut worker;
        tokio::select! {
            Some(ended) = under_way.join_next() => worker.ended(ended),
            Some(paper) = paperwork.join_next() => worker.answered(paper??),
            () = wake.notified() => worker.is_exhausted = false,
            () = tokio::time::sleep(SETTLE_AFTER), if !done.is_empty() => worker.is_settling_due = true,
        }
    }
}

impl<E: Errand> Worker<E> {
    fn claim(&mut self) {
        if self.is_claiming || self.is_exhausted || self.lanes.waiting() >= CLAIMS {
            return;
        }
        self.is_claiming = true;
        let closed = self.lanes.closed(self.errand.now());
        let claim = self.errand.claim(closed);
        self.paperwork.spawn(async move { claim.await.map(Paper::Claimed) });
    }

    fn answered(&mut self, paper: Paper<E>) {
        match paper {
            Paper::Claimed(items) => {
                self.is_claiming = false;
                self.is_exhausted = items.is_empty();
                items.into_iter().for_each(|item| self.lanes.wait(&E::host(&item), item));
            }
            Paper::Settled => {
                self.is_settling = false;
                // What was settled may be due again.
                self.is_exhausted = false;
            }
        }
    }

    fn begin(&mut self) {
        while let Some((host, item)) = self.lanes.begin() {
            let attempt = self.errand.attempt(item);
            self.under_way.spawn(async move {
                let (done, answered) = attempt.await;
                (host, done, answered)
            });
        }
    }

    fn ended(&mut self, ended: Result<(String, E::Done, bool), JoinError>) {
        let (host, done, answered) = match ended {
            Ok(ended) => ended,
            // Its claim ends by itself, and somebody tries again. Its lane stays one narrower until
            // this round ends.
            Err(panic) => return tracing::error!(%panic, "an errand of the hub fell over"),
        };
        self.done.push(done);
        if let Some((tries, waiting)) = self.lanes.end(&host, answered) {
            let (until, done) = self.errand.put_off(&host, tries, waiting);
            self.lanes.rest(&host, until);
            self.done.extend(done);
        }
    }

    /// What comes in quick succession is settled together; what comes alone does not wait long.
    fn settle(&mut self) {
        let is_due = self.done.len() >= SETTLED || self.under_way.is_empty() || self.is_settling_due;
        if self.is_settling || self.done.is_empty() || !is_due {
            return;
        }
        self.is_settling = true;
        self.is_settling_due = false;
        let done = std::mem::take(&mut self.done);
        self.settled += done.len();
        let settle = self.errand.settle(done);
        self.paperwork.spawn(async move { settle.await.map(|()| Paper::Settled) });
    }

    fn is_idle(&self, stopped: bool) -> bool {
        let nothing_runs = self.under_way.is_empty() && self.done.is_empty() && self.paperwork.is_empty();
        nothing_runs && (stopped || (self.is_exhausted && self.lanes.waiting() == 0))
    }
}
