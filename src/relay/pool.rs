use super::{
    envelope::{Commands, Envelope},
    offers::Offers,
    session::Session,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

/// Connections to one mail server, never more than the cap, and those who wait for one.
///
/// Whoever uses one has a [`Seat`], and opens a new one only where he found none at rest; so seats
/// taken and connections at rest are together never more than seats. A seat goes from hand to hand:
/// who is done gives it, with its connection, to whoever has waited longest; the urgent come first.
pub(super) struct Pool {
    board: Mutex<Board>,
    seats: usize,
}

struct Board {
    taken: usize,
    resting: Vec<(Session, Instant)>,
    waiting: VecDeque<Waiting>,
}

/// Somebody who waits for a seat, and what is known of his parcel.
pub(super) struct Waiting {
    envelope: Envelope,
    seat: oneshot::Sender<Seat>,
    urgent: bool,
}

/// The right to one connection. When it is dropped a connection in good order is laid to rest.
pub(super) struct Seat {
    pool: Arc<Pool>,
    session: Option<Session>,
    is_given: bool,
}

impl Pool {
    pub(super) fn new(seats: usize) -> Arc<Self> {
        let board = Board { taken: 0, resting: Vec::new(), waiting: VecDeque::new() };
        Arc::new(Self { board: Mutex::new(board), seats: seats.max(1) })
    }

    /// Waits for a seat.
    pub(super) async fn seat(self: &Arc<Self>, envelope: &Envelope, urgent: bool) -> Seat {
        loop {
            let turn = {
                let mut board = self.board();
                if board.taken < self.seats {
                    board.taken += 1;
                    return self.seat_with(None);
                }
                let (seat, turn) = oneshot::channel();
                let ahead = if urgent {
                    board.waiting.iter().take_while(|waiting| waiting.urgent).count()
                } else {
                    board.waiting.len()
                };
                board.waiting.insert(ahead, Waiting { envelope: envelope.clone(), seat, urgent });
                turn
            };
            if let Ok(seat) = turn.await {
                return seat;
            }
            // Who had announced our parcel with his own was given up half-way; no text of ours went.
        }
    }

    fn seat_with(self: &Arc<Self>, session: Option<Session>) -> Seat {
        Seat { pool: Arc::clone(self), session, is_given: false }
    }

    /// Takes out who has waited longest, if what he would say can be said to this server.
    pub(super) fn next(&self, offers: &Offers) -> Option<(Waiting, Commands)> {
        let mut board = self.board();
        while let Some(waiting) = board.waiting.pop_front() {
            if waiting.seat.is_closed() {
                continue;
            }
            match waiting.envelope.commands(offers) {
                Ok(commands) => return Some((waiting, commands)),
                // He finds out by himself.
                Err(_) => {
                    board.waiting.push_front(waiting);
                    return None;
                }
            }
        }
        None
    }

    /// Gives a seat up: to whoever waits, or the connection to rest.
    fn pass(self: &Arc<Self>, mut session: Option<Session>) {
        loop {
            let waiting = {
                let mut board = self.board();
                match board.waiting.pop_front() {
                    Some(waiting) => waiting,
                    None => {
                        board.taken -= 1;
                        board.resting.extend(session.map(|session| (session, Instant::now())));
                        return;
                    }
                }
            };
            match waiting.seat.send(self.seat_with(session.take())) {
                Ok(()) => return,
                Err(mut seat) => {
                    seat.is_given = true;
                    session = seat.session.take();
                }
            }
        }
    }

    /// Takes out one connection that has rested for at least this long, and a seat for the time that
    /// it takes to close it.
    pub(super) fn retire(self: &Arc<Self>, rested: Duration) -> Option<(Session, Seat)> {
        let mut board = self.board();
        if board.taken >= self.seats {
            return None;
        }
        let old = board.resting.iter().position(|(_, since)| since.elapsed() >= rested)?;
        board.taken += 1;
        let (session, _) = board.resting.remove(old);
        drop(board);
        Some((session, self.seat_with(None)))
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The connection that came with the seat, or the one that has rested least, and for how long.
    pub(super) fn wake(&mut self) -> Option<(Session, Duration)> {
        if let Some(session) = self.session.take() {
            return Some((session, Duration::ZERO));
        }
        let (session, since) = self.pool.board().resting.pop()?;
        Some((session, since.elapsed()))
    }

    /// Puts a connection back that is ready for anybody.
    pub(super) fn rest(&mut self, session: Session) {
        self.session = session.is_ready().then_some(session);
    }

    /// Gives the seat to somebody whose parcel was announced; where that failed, without connection.
    pub(super) fn give(mut self, waiting: Waiting, session: Session) {
        self.is_given = true;
        let session = session.is_begun().then_some(session);
        if let Err(mut seat) = waiting.seat.send(self.pool.seat_with(session)) {
            // Nobody will send the text that was announced.
            seat.session = None;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_given {
            self.pool.pass(self.session.take().filter(Session::is_ready));
        }
    }
}
