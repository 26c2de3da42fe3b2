//! How a queue of the store is worked off: claimed in batches, tried side by side within the bounds of
//! [`Lanes`], settled in batches while the next are under way.
//!
//! Hands take their work from a table by themselves, so that a try that ends wakes nobody: waking took
//! a third of the time of a push (benches/README.md, hub).

use super::HubError;
use super::lanes::Lanes;
use crate::domain::Instant;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
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

/// What lies between those who try and the one who claims and settles.
struct Board<E: Errand> {
    lanes: Lanes<E::Item>,
    done: Vec<E::Done>,
    hands: usize,
}

/// The board, and the bell for whoever has to look at it.
struct Table<E: Errand> {
    board: Mutex<Board<E>>,
    bell: Notify,
}

impl<E: Errand> Table<E> {
    fn board(&self) -> MutexGuard<'_, Board<E>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pair of hands, which leaves the table also where an errand falls over.
struct Hand<E: Errand> {
    table: Arc<Table<E>>,
    errand: E,
    at: Option<String>,
}

impl<E: Errand> Hand<E> {
    /// Tries one after the other, as long as something may begin.
    async fn work(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let Some((host, item)) = self.table.board().lanes.begin() else { return };
            self.at = Some(host);
            let (done, answered) = self.errand.attempt(item).await;
            self.end(Some(done), answered);
        }
    }

    fn end(&mut self, done: Option<E::Done>, answered: bool) {
        let Some(host) = self.at.take() else { return };
        let mut board = self.table.board();
        board.done.extend(done);
        if let Some((tries, waiting)) = board.lanes.end(&host, answered) {
            let (until, done) = self.errand.put_off(&host, tries, waiting);
            board.lanes.rest(&host, until);
            board.done.extend(done);
        }
        let is_needed = board.done.len() >= SETTLED || board.lanes.waiting() == CLAIMS / 2;
        drop(board);
        if is_needed {
            self.table.bell.notify_one();
        }
    }
}

impl<E: Errand> Drop for Hand<E> {
    fn drop(&mut self) {
        // Nothing is known of what fell over: its claim ends by itself, and somebody tries again.
        self.end(None, true);
        self.table.board().hands -= 1;
        self.table.bell.notify_one();
    }
}

/// What the store answered.
enum Paper<E: Errand> {
    Claimed(Vec<E::Item>),
    Settled,
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
    let board = Board { lanes: Lanes::new(connections, per_host), done: Vec::new(), hands: 0 };
    let table = Arc::new(Table::<E> { board: Mutex::new(board), bell: Notify::new() });
    let mut hands = JoinSet::new();
    let mut paperwork: JoinSet<Result<Paper<E>, HubError>> = JoinSet::new();
    let (mut is_claiming, mut is_settling, mut is_exhausted) = (false, false, false);
    let mut is_settling_due = false;
    let mut settled = 0;
    loop {
        while let Some(ended) = hands.try_join_next() {
            if let Err(panic) = ended {
                tracing::error!(%panic, "an errand of the hub fell over");
            }
        }
        let (waiting, at_work, done) = {
            let mut board = table.board();
            if !stop.is_cancelled() {
                for _ in 0..board.lanes.room().saturating_sub(board.hands - board.lanes.under_way()) {
                    board.hands += 1;
                    let hand = Hand { table: Arc::clone(&table), errand: errand.clone(), at: None };
                    hands.spawn(hand.work(stop.clone()));
                }
            }
            let is_due = board.done.len() >= SETTLED || board.hands == 0 || is_settling_due;
            let done = if is_due && !is_settling { std::mem::take(&mut board.done) } else { Vec::new() };
            (board.lanes.waiting(), board.hands, done)
        };
        if !done.is_empty() {
            (is_settling, is_settling_due) = (true, false);
            settled += done.len();
            let settle = errand.settle(done);
            paperwork.spawn(async move { settle.await.map(|()| Paper::Settled) });
        }
        if !is_claiming && !is_exhausted && waiting <= CLAIMS / 2 && !stop.is_cancelled() {
            is_claiming = true;
            let claim = errand.claim(table.board().lanes.closed(errand.now()));
            paperwork.spawn(async move { claim.await.map(Paper::Claimed) });
        }
        let is_over = stop.is_cancelled() || (is_exhausted && waiting == 0);
        if is_over && at_work == 0 && paperwork.is_empty() && table.board().done.is_empty() {
            return Ok(settled);
        }
        tokio::select! {
            Some(paper) = paperwork.join_next() => match paper?? {
                Paper::Claimed(items) => {
                    is_claiming = false;
                    is_exhausted = items.is_empty();
                    let mut board = table.board();
                    items.into_iter().for_each(|item| board.lanes.wait(&E::host(&item), item));
                }
                Paper::Settled => {
                    is_settling = false;
                    // What was settled may be due again.
                    is_exhausted = false;
                }
            },
            () = table.bell.notified() => {}
            () = wake.notified() => is_exhausted = false,
            // What comes in quick succession is settled together; what comes alone does not wait long.
            () = tokio::time::sleep(SETTLE_AFTER), if at_work > 0 => is_settling_due = true,
        }
    }
}
