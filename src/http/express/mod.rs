//! The express lane: what is asked for most is answered by threads that do nothing else.
//!
//! A clerk reads a request's head. Where it asks plainly for a document that lies ready, the clerk
//! copies out the answer that a handler would have given, byte for byte. Where the document has to be
//! made first, the routes are asked for this one answer. Everything else goes to hyper and the
//! routes, with the bytes that were read, and stays there.

mod clerk;
mod connection;
mod copies;
mod counter;
mod handover;
mod head;
mod house;
mod sheet;

use super::AppState;
use axum::Router;
use clerk::{CUT, Clerk, DRAINING, OPEN};
use handover::Handed;
use house::Routes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a client may keep a connection waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the rest of a head.
    pub head: Duration,
    /// For the next request.
    pub idle: Duration,
    /// Until it takes more of an answer.
    pub taking: Duration,
    /// For an answer of the routes, which have a patience of their own.
    pub house: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            // Longer than the 60 s of nginx's upstream keepalive: the proxy lets go first.
            idle: Duration::from_secs(75),
            taking: Duration::from_secs(60),
            house: super::PATIENCE + Duration::from_secs(5),
        }
    }
}

/// The clerks, who stop at once when nobody needs them any more.
struct Clerks {
    all: Vec<Clerk>,
    state: Arc<AtomicU8>,
}

impl Clerks {
    fn tell(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.all.iter().for_each(Clerk::wake);
    }

    /// To the one with the fewest connections; back if there is none.
    fn give(&self, stream: std::net::TcpStream, peer: SocketAddr) -> Result<(), std::net::TcpStream> {
        match self.all.iter().min_by_key(|clerk| clerk.open()) {
            Some(clerk) => clerk.give(stream, peer),
            None => Err(stream),
        }
    }
}

impl Drop for Clerks {
    fn drop(&mut self) {
        self.tell(CUT);
    }
}

/// Serves until `stop`: then listens no more, and ends when the last answers are given. Dropped
/// before that, it cuts them.
pub async fn serve(app: AppState, routes: Router, listener: TcpListener, stop: CancellationToken) {
    serve_patiently(app, routes, listener, stop, Patience::default()).await;
}

/// The same with a patience of one's own.
pub async fn serve_patiently(
    app: AppState,
    routes: Router,
    listener: TcpListener,
    stop: CancellationToken,
    patience: Patience,
) {
    let (hand, mut handed) = unbounded_channel::<Handed>();
    let state = Arc::new(AtomicU8::new(OPEN));
    // One clerk gives 50,000 compressed feeds a second. Half the cores: a clerk with more connections
    // finds more of them ready each time it is woken, and being woken costs more than answering
    // (benches/README.md, serve).
    let count = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
    let cut = CancellationToken::new();
    let _cut_at_the_end = cut.clone().drop_guard();
    let house = Routes { all: routes.clone(), runtime: Handle::current(), cut: cut.clone() };
    let start = |_| Clerk::start(Arc::clone(&app), house.clone(), patience, Arc::clone(&state), hand.clone());
    let all = (0..count).map(start).filter_map(|started| match started {
        Ok(clerk) => Some(clerk),
        Err(error) => {
            tracing::error!(%error, "a thread of the express lane did not start");
            None
        }
    });
    let clerks = Clerks { all: all.collect(), state: Arc::clone(&state) };
    drop(hand);
    let talks = TaskTracker::new();
    let talk = |handed: Handed| {
        app.health.handed_over();
        let talk = handed.serve(routes.clone(), patience.idle, stop.clone());
        let cut = cut.clone();
        talks.spawn(async move {
            if let Some(Err(error)) = cut.run_until_cancelled(talk).await {
                tracing::debug!(%error, "connection ended");
            }
        });
    };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(taken) = handed.recv() => talk(taken),
            accepted = listener.accept() => match accepted.and_then(prepared) {
                Ok((stream, peer)) => if let Err(stream) = clerks.give(stream, peer) {
                    talk(Handed { stream, peer, read: Vec::new() });
                },
                Err(error) => rest_after(&error).await,
            },
        }
    }
    drop(listener);
    clerks.tell(DRAINING);
    // Ends when the last clerk has gone home.
    while let Some(taken) = handed.recv().await {
        talk(taken);
    }
    talks.close();
    talks.wait().await;
}

fn prepared((stream, peer): (TcpStream, SocketAddr)) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, peer))
}

/// A client that has gone again costs nothing; without file descriptors a moment's rest helps.
async fn rest_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    let gone = [ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected];
    if !gone.contains(&error.kind()) {
        tracing::error!(%error, "no connection accepted; tried again in a second");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
