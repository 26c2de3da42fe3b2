//! Floor 3: how a queue of the store is worked off, be it mail or pushes: claimed in batches, tried
//! side by side within the bounds of [`Lanes`], settled in batches while the next are under way.
//!
//! Hands take their work from a table by themselves, so that a try that ends wakes nobody: waking took
//! a third of the time of a push (benches/README.md, hub).

mod lanes;

pub use lanes::Lanes;

use crate::domain::Instant;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// After how long what might have begun and did not is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Something may not begin yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotYet {
    /// Before then it is not worth asking again.
    pub until: Instant,
    /// Who else may not.
    pub waits: Waits,
}

/// Who waits, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Everything, here: its turn comes.
    All,
    /// Its host alone, but for a few in the queue: it leaves the room to others.
    Host,
    /// Everything, in the queue: nothing can begin.
    Everybody,
}

/// A queue of the store, and what is done with what stands in it.
pub trait Errand: Clone + Send + Sync + 'static {
    /// What is claimed.
    type Item: Send + 'static;
    /// What is known when it was tried.
    type Done: Send + 'static;
    /// Why the work stops.
    type Error: From<JoinError> + Send + 'static;
    /// How much is claimed and settled at once.
    fn batch(&self) -> usize;
    /// How much that was done is written down together without delay, and how long less waits for more (group
    /// commit). What comes in while the store is writing waits for that, too.
    fn settles(&self) -> (usize, Duration) {
        (self.batch(), Duration::from_millis(50))
    }
    /// How many are tried at once, and how many of one lane.
    fn bounds(&self) -> (usize, usize);
    /// Whose lane it takes.
    fn host(&self, item: &Self::Item) -> String;
    /// Whether somebody waits for it, so that it overtakes.
    fn is_urgent(_item: &Self::Item) -> bool {
        false
    }
    /// Claims what is due, at most a batch, and nothing for the closed lanes where the queue can tell;
    /// only what is urgent, where there is no room for more.
    fn claim(
        &self,
        closed: Vec<String>,
        only_urgent: bool,
    ) -> impl Future<Output = Result<Vec<Self::Item>, Self::Error>> + Send + 'static;
    /// Whether it may begin now. What may is begun.
    fn admit(&self, _item: &mut Self::Item) -> Result<(), NotYet> {
        Ok(())
    }
    /// What cannot begin for long goes back to the queue.
    fn hand_back(&self, _host: &str, _waiting: Vec<Self::Item>) -> Vec<Self::Done> {
        Vec::new()
    }
    /// Tries it. Whether the host answered.
    fn attempt(&self, item: Self::Item) -> impl Future<Output = (Self::Done, bool)> + Send + 'static;
    /// A host is down after so many tries: until when it rests, and what becomes of what waited for it.
    fn put_off(&self, host: &str, tries: u32, waiting: Vec<Self::Item>) -> (Instant, Vec<Self::Done>);
    /// Writes down what is known.
    fn settle(&self, done: Vec<Self::Done>)
    -> impl Future<Output = Result<(), Self::Error>> + Send + 'static;
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
    batch: usize,
    /// How much is written down without delay.
    enough: usize,
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
            let now = self.errand.now();
            let begun = self.table.board().lanes.begin(now, |item| self.errand.admit(item));
            let Some((host, item)) = begun else { return };
            self.at = Some(host);
            let (done, answered) = self.errand.attempt(item).await;
            self.end(Some(done), answered);
        }
    }

    /// Lays down what was done.
    fn end(&mut self, done: Option<E::Done>, answered: bool) {
        let Some(host) = self.at.take() else { return };
        let mut board = self.table.board();
        let before = board.done.len();
        board.done.extend(done);
        if let Some((tries, waiting)) = board.lanes.end(&host, answered) {
            let (until, done) = self.errand.put_off(&host, tries, waiting);
            board.lanes.rest(&host, until);
            board.done.extend(done);
        }
        let Table { batch, enough, .. } = *self.table;
        let now = board.done.len();
        // The first lets the time run, in which others join it.
        let is_first = before == 0 && now > 0;
        let is_enough = before < enough && now >= enough;
        let is_needed = is_first || is_enough || board.lanes.waiting() == batch / 2;
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
    /// And whether it was asked for the urgent alone.
    Claimed(Vec<E::Item>, bool),
    Settled,
}

/// Works until nothing is due and everything is settled. A wake-up makes it look again while slow
/// ones are under way; after a stop nothing is begun. Returns how much was done.
pub async fn work<E: Errand>(errand: E, wake: &Notify, stop: &CancellationToken) -> Result<usize, E::Error> {
    let (most, most_per_host) = errand.bounds();
    let batch = errand.batch();
    let (enough, patience) = errand.settles();
    let board = Board { lanes: Lanes::new(most, most_per_host), done: Vec::new(), hands: 0 };
    let table = Arc::new(Table::<E> { board: Mutex::new(board), bell: Notify::new(), batch, enough });
    let mut hands = JoinSet::new();
    let mut paperwork: JoinSet<Result<Paper<E>, E::Error>> = JoinSet::new();
    let (mut is_claiming, mut is_exhausted) = (false, false);
    let mut is_settling = false;
    // Until when what was done waits for more.
    let mut settle_by: Option<tokio::time::Instant> = None;
    // Whoever woke us may have put something urgent into the queue.
    let mut is_urgent_unseen = false;
    let mut settled = 0;
    loop {
        while let Some(ended) = hands.try_join_next() {
            if let Err(panic) = ended {
                tracing::error!(%panic, "an errand fell over");
            }
        }
        let now = errand.now();
        let (waiting, at_work, done, opens_at) = {
            let mut board = table.board();
            for (host, waiting) in board.lanes.spill() {
                board.done.extend(errand.hand_back(&host, waiting));
            }
            if !stop.is_cancelled() {
                for _ in 0..board.lanes.room(now).saturating_sub(board.hands - board.lanes.under_way()) {
                    board.hands += 1;
                    let hand = Hand { table: Arc::clone(&table), errand: errand.clone(), at: None };
                    hands.spawn(hand.work(stop.clone()));
                }
            }
            let is_late = settle_by.is_some_and(|by| by <= tokio::time::Instant::now());
            let is_due = board.done.len() >= enough || board.hands == 0 || is_late;
            let done = if is_due && !is_settling { std::mem::take(&mut board.done) } else { Vec::new() };
            if board.done.is_empty() {
                settle_by = None;
            } else {
                settle_by.get_or_insert_with(|| tokio::time::Instant::now() + patience);
            }
            (board.lanes.waiting(), board.hands, done, board.lanes.opens_at())
        };
        if !done.is_empty() {
            is_settling = true;
            settled += done.len();
            let settle = errand.settle(done);
            paperwork.spawn(async move { settle.await.map(|()| Paper::Settled) });
        }
        let has_room = waiting <= batch / 2;
        let is_wanted = if has_room { !is_exhausted } else { is_urgent_unseen };
        if !is_claiming && is_wanted && !stop.is_cancelled() {
            is_claiming = true;
            is_urgent_unseen = false;
            let claim = errand.claim(table.board().lanes.closed(now), !has_room);
            paperwork.spawn(async move { claim.await.map(|items| Paper::Claimed(items, !has_room)) });
        }
        let is_over = stop.is_cancelled() || (is_exhausted && waiting == 0);
        if is_over && at_work == 0 && paperwork.is_empty() && table.board().done.is_empty() {
            return Ok(settled);
        }
        tokio::select! {
            Some(paper) = paperwork.join_next() => match paper.map_err(E::Error::from)?? {
                Paper::Claimed(items, only_urgent) => {
                    is_claiming = false;
                    is_exhausted = if only_urgent { is_exhausted } else { items.is_empty() };
                    let mut board = table.board();
                    for item in items {
                        let host = errand.host(&item);
                        if E::is_urgent(&item) {
                            board.lanes.overtake(&host, item);
                        } else {
                            board.lanes.wait(&host, item);
                        }
                    }
                }
                Paper::Settled => {
                    is_settling = false;
                    // What was settled may be due again.
                    is_exhausted = false;
                }
            },
            () = table.bell.notified() => {}
            () = wake.notified() => (is_exhausted, is_urgent_unseen) = (false, true),
            // Nothing is begun any more; those who wait for their turn need not.
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            () = sleep_until(settle_by.unwrap_or_else(tokio::time::Instant::now)),
                if settle_by.is_some() && !is_settling => {}
            () = until(opens_at, now), if waiting > 0 => {}
        }
    }
}

/// Waits until something may begin; for ever where nothing is held up.
async fn until(opens_at: Option<Instant>, now: Instant) {
    match opens_at {
        // Where its time has come and it did not begin, whatever is full is in the way.
        Some(at) => sleep((at - now).to_std().unwrap_or(LOOK_AGAIN)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{Semaphore, mpsc};

    /// Errands that end when the test lets them, and tell how many are settled together.
    #[derive(Clone)]
    struct Rehearsed {
        queue: Arc<Mutex<Vec<u32>>>,
        doors: Arc<Semaphore>,
        told: mpsc::UnboundedSender<usize>,
        settles: (usize, Duration),
    }

    #[derive(Debug)]
    struct Fell;

    impl From<JoinError> for Fell {
        fn from(_: JoinError) -> Self {
            Self
        }
    }

    impl Errand for Rehearsed {
        type Item = u32;
        type Done = u32;
        type Error = Fell;

        fn batch(&self) -> usize {
            100
        }

        fn settles(&self) -> (usize, Duration) {
            self.settles
        }

        fn bounds(&self) -> (usize, usize) {
            (9, 9)
        }

        fn host(&self, _: &u32) -> String {
            "a".to_owned()
        }

        fn claim(
            &self,
            _: Vec<String>,
            _: bool,
        ) -> impl Future<Output = Result<Vec<u32>, Fell>> + Send + 'static {
            std::future::ready(Ok(std::mem::take(&mut *self.queue.lock().unwrap())))
        }

        fn attempt(&self, item: u32) -> impl Future<Output = (u32, bool)> + Send + 'static {
            let doors = Arc::clone(&self.doors);
            async move {
                doors.acquire().await.unwrap().forget();
                (item, true)
            }
        }

        fn put_off(&self, _: &str, _: u32, _: Vec<u32>) -> (Instant, Vec<u32>) {
            unreachable!("every host answers")
        }

        fn settle(&self, done: Vec<u32>) -> impl Future<Output = Result<(), Fell>> + Send + 'static {
            self.told.send(done.len()).unwrap();
            std::future::ready(Ok(()))
        }

        fn now(&self) -> Instant {
            Instant::default()
        }
    }

    /// Lets so many end at a time, and compares how many are settled together then.
    async fn rehearse(settles: (usize, Duration), steps: &[(usize, usize)]) {
        let (told, mut hears) = mpsc::unbounded_channel();
        let count: usize = steps.iter().map(|(ended, _)| ended).sum();
        let queue = (0..u32::try_from(count).unwrap()).collect();
        let doors = Arc::new(Semaphore::new(0));
        let errand =
            Rehearsed { queue: Arc::new(Mutex::new(queue)), doors: Arc::clone(&doors), told, settles };
        let (wake, stop) = (Notify::new(), CancellationToken::new());
        let watch = async {
            for (ended, together) in steps {
                doors.add_permits(*ended);
                assert_eq!(hears.recv().await, Some(*together), "{steps:?}");
            }
        };
        let (settled, ()) = tokio::join!(work(errand, &wake, &stop), watch);
        assert_eq!(settled.unwrap(), count);
    }

    #[tokio::test]
    async fn what_is_done_is_settled_once_it_is_enough_or_has_waited_or_nobody_is_at_work() {
        let (an_hour, a_moment) = (Duration::from_secs(3_600), Duration::from_millis(1));
        rehearse((3, an_hour), &[(3, 3), (3, 3), (2, 2)]).await;
        rehearse((3, a_moment), &[(1, 1), (1, 1), (1, 1)]).await;
    }
}
