//! A thread that serves many connections: it asks the system which of them have something to do,
//! and does that.

use super::Patience;
use super::connection::{Connection, Next, Waiting};
use super::counter::Counter;
use super::handover::Handed;
use super::house::{House, Reply, Routes};
use crate::http::AppState;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant as StopWatch};
use tokio::sync::mpsc::UnboundedSender;

const WAKER: Token = Token(usize::MAX);
/// How often connections are looked through for those whose patience is over.
const ROUND: Duration = Duration::from_secs(1);

/// Connections are served.
pub const OPEN: u8 = 0;
/// Present answers end, and then connections.
pub const DRAINING: u8 = 1;
/// Connections end now.
pub const CUT: u8 = 2;

/// How others speak with a clerk.
pub struct Clerk {
    inbox: Sender<(std::net::TcpStream, SocketAddr)>,
    waker: Arc<Waker>,
    open: Arc<AtomicUsize>,
}

impl Clerk {
    /// Starts the thread.
    pub fn start(
        app: AppState,
        routes: Routes,
        patience: Patience,
        state: Arc<AtomicU8>,
        handed: UnboundedSender<Handed>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (inbox, arrivals) = channel();
        let (reply, replies) = channel();
        let house = House::new(routes, reply, Arc::clone(&waker));
        let open = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&open);
        let work = move || {
            let mut shift = Shift {
                counter: Counter::new(app, house),
                poll,
                arrivals,
                replies,
                handed,
                state,
                patience,
                connections: Vec::new(),
                free: Vec::new(),
                again: VecDeque::new(),
                open: seen,
                began: StopWatch::now(),
            };
            if let Err(error) = shift.work() {
                tracing::error!(%error, "a thread of the express lane ended");
            }
        };
        std::thread::Builder::new().name("express".to_owned()).spawn(work)?;
        Ok(Self { inbox, waker, open })
    }

    /// How many connections it has.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Gives it a connection; back if its thread has ended.
    pub fn give(&self, stream: std::net::TcpStream, peer: SocketAddr) -> Result<(), std::net::TcpStream> {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.inbox.send((stream, peer)).map_err(|unsent| unsent.0.0)?;
        self.wake();
        Ok(())
    }

    /// Lets it look at what is new.
    pub fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the express lane cannot be woken");
        }
    }
}

struct Shift {
    counter: Counter,
    poll: Poll,
    arrivals: Receiver<(std::net::TcpStream, SocketAddr)>,
    replies: Receiver<Reply>,
    handed: UnboundedSender<Handed>,
    state: Arc<AtomicU8>,
    patience: Patience,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    again: VecDeque<usize>,
    open: Arc<AtomicUsize>,
    began: StopWatch,
}

impl Shift {
    fn work(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            // An idle newsroom sleeps; one with connections looks once a second whose time is over.
            let most = match (self.again.is_empty(), self.free.len() == self.connections.len()) {
                (false, _) => Some(Duration::ZERO),
                (true, false) => Some(ROUND),
                (true, true) => None,
            };
            match self.poll.poll(&mut events, most) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            self.counter.look_up();
            let seconds = self.began.elapsed().as_secs();
            let is_round = self.counter.seconds != seconds;
            self.counter.seconds = seconds;
            let mut is_called = false;
            for event in &events {
                if event.token() == WAKER {
                    is_called = true;
                    continue;
                }
                let Token(at) = event.token();
                if let Some(Some(connection)) = self.connections.get_mut(at) {
                    if event.is_error() || event.is_write_closed() {
                        connection.note_gone();
                    }
                    if event.is_readable() || event.is_error() {
                        connection.note_readable(event.is_read_closed() || event.is_error());
                    }
                    self.attend(at);
                }
            }
            for _ in 0..self.again.len() {
                if let Some(at) = self.again.pop_front() {
                    self.attend(at);
                }
            }
            if is_called {
                while let Ok((stream, peer)) = self.arrivals.try_recv() {
                    self.welcome(stream, peer);
                }
                while let Ok(reply) = self.replies.try_recv() {
                    self.pass_on(reply);
                }
            }
            let is_open = self.state.load(Ordering::Acquire) == OPEN;
            // Being called with an answer says nothing of the other connections.
            if is_round || is_called && !is_open {
                self.look_through();
            }
            let is_empty = self.free.len() == self.connections.len();
            if is_empty && !is_open {
                return Ok(());
            }
        }
    }

    fn welcome(&mut self, stream: std::net::TcpStream, peer: SocketAddr) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let mut stream = mio::net::TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(at), interest) {
            tracing::warn!(%error, "connection not taken");
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.free.push(at);
            return;
        }
        self.connections[at] = Some(Connection::new(stream, peer, at, self.counter.seconds));
        self.attend(at);
    }

    fn attend(&mut self, at: usize) {
        let Some(Some(connection)) = self.connections.get_mut(at) else { return };
        // A fault of ours costs one connection, never the others.
        let next = catch_unwind(AssertUnwindSafe(|| connection.attend(&mut self.counter)));
        match next {
            Ok(Next::Wait) => {}
            Ok(Next::Again) => self.again.push_back(at),
            Ok(Next::Close) => {
                if let Some(connection) = self.release(at) {
                    connection.close(&mut self.counter);
                }
            }
            Ok(Next::HandOver) => self.hand_over(at),
            Err(_) => {
                tracing::error!("a request made the express lane panic");
                self.counter.recover();
                drop(self.release(at));
            }
        }
    }

    /// Gives an answer of the routes to the connection that asked, if it is still there.
    fn pass_on(&mut self, Reply { place, number, told }: Reply) {
        self.counter.house_replied();
        let waits = self.connections.get_mut(place).and_then(Option::as_mut);
        if waits.is_some_and(|connection| connection.note_told(number, told)) {
            self.attend(place);
        }
    }

    fn release(&mut self, at: usize) -> Option<Connection> {
        let connection = self.connections.get_mut(at)?.take()?;
        self.free.push(at);
        self.open.fetch_sub(1, Ordering::Relaxed);
        Some(connection)
    }

    fn hand_over(&mut self, at: usize) {
        let Some(mut connection) = self.release(at) else { return };
        if let Err(error) = self.poll.registry().deregister(&mut connection.stream) {
            tracing::warn!(%error, "connection not handed over");
            return;
        }
        let Connection { stream, peer, read, .. } = connection;
        // Nobody takes it only when the program ends.
        drop(self.handed.send(Handed { stream: stream.into(), peer, read }));
    }

    fn look_through(&mut self) {
        let state = self.state.load(Ordering::Acquire);
        self.counter.is_draining = state != OPEN;
        self.counter.tidy();
        for at in 0..self.connections.len() {
            let Some(connection) = &self.connections[at] else { continue };
            let patience = match connection.waiting {
                Waiting::Idle if state == DRAINING => Duration::ZERO,
                Waiting::Idle => self.patience.idle,
                Waiting::Head => self.patience.head,
                Waiting::Taking => self.patience.taking,
                Waiting::House => self.patience.house,
            };
            let waited = Duration::from_secs(self.counter.seconds.saturating_sub(connection.since));
            if state == CUT || waited > patience || patience.is_zero() {
                drop(self.release(at));
            }
        }
    }
}
