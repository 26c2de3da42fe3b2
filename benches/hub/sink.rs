//! Where pushes arrive: a server so lean that it should bound neither contender.

use crate::process;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

const LISTENER: Token = Token(0);
/// A whole push in one read, and still within the processor's cache.
const READ: usize = 1 << 18;
/// Heads are shorter; more of what was read is not looked through for their end.
const HEAD_STEP: usize = 1_024;
/// Of each so many callbacks one keeps what it got, to be compared afterwards.
const SAMPLED: usize = 997;
const DONE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Whose request it is, as the first part of the path says: all three are of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A callback with a secret.
    Signed,
    /// A callback without.
    Simple,
    /// wrk's.
    Loaded,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Simple => "simple",
            Self::Loaded => "loaded",
        }
    }

    pub fn path(self, number: usize) -> String {
        format!("/{}/{number:06}", self.word())
    }

    /// Reads a path, without its query.
    fn of_path(path: &str) -> Option<(Self, usize)> {
        let (word, number) = path.strip_prefix('/')?.split_once('/')?;
        let kind = [Self::Signed, Self::Simple, Self::Loaded].into_iter().find(|kind| kind.word() == word)?;
        Some((kind, number.parse().ok()?))
    }
}

/// A push as it came.
pub struct Sample {
    pub number: usize,
    /// Without the request line.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What came since `expect`.
#[derive(Default)]
pub struct Tally {
    expected: Option<Kind>,
    wanted: usize,
    /// How many pushes each callback had.
    seen: Vec<u32>,
    /// Callbacks that had one; of wrk: requests.
    pub reached: usize,
    pub repeated: usize,
    /// Requests of another turn.
    pub stray: usize,
    pub bytes: usize,
    pub first: Option<Instant>,
    /// When the last of those that were waited for was there.
    pub last: Option<Instant>,
    pub samples: Vec<Sample>,
}

impl Tally {
    fn note(&mut self, kind: Kind, number: usize, bytes: usize) {
        if self.expected != Some(kind) {
            self.stray += 1;
            return;
        }
        if kind != Kind::Loaded {
            let Some(seen) = self.seen.get_mut(number) else {
                self.stray += 1;
                return;
            };
            *seen += 1;
            if *seen > 1 {
                self.repeated += 1;
                return;
            }
        }
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.reached += 1;
        if self.reached <= self.wanted {
            self.bytes += bytes;
            self.last = Some(now);
        }
    }
}

/// What the thread and the bench share.
#[derive(Default)]
struct Books {
    tally: Mutex<Tally>,
    verified: std::sync::atomic::AtomicUsize,
}

pub struct Sink {
    pub port: u16,
    books: Arc<Books>,
    /// Its folder below /proc.
    thread: String,
}

impl Sink {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let books = Arc::new(Books::default());
        let (told, thread) = mpsc::channel();
        let shared = Arc::clone(&books);
        std::thread::spawn(move || {
            told.send(std::fs::read_link("/proc/thread-self").unwrap().display().to_string()).unwrap();
            serve(listener, &shared);
        });
        Self { port, books, thread: thread.recv().unwrap() }
    }

    /// A turn begins: from now on these count, up to so many.
    pub fn expect(&self, kind: Kind, wanted: usize) {
        *self.tally() = Tally { expected: Some(kind), wanted, seen: vec![0; wanted], ..Tally::default() };
    }

    /// Waits for as many as were expected. The turn goes on: what is repeated is counted.
    pub async fn wait(&self, patience: Duration) {
        let begun = Instant::now();
        loop {
            let (reached, wanted) = {
                let tally = self.tally();
                (tally.reached, tally.wanted)
            };
            if reached >= wanted {
                return;
            }
            assert!(begun.elapsed() < patience, "{reached} of {wanted} came within {patience:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.books.tally.lock().unwrap()
    }

    /// How many challenges were answered.
    pub fn verified(&self) -> usize {
        self.books.verified.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Seconds of CPU that it took.
    pub fn cpu(&self) -> f64 {
        process::thread_cpu(&self.thread)
    }
}

fn serve(mut listener: TcpListener, books: &Books) {
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    let mut connections: HashMap<Token, Connection> = HashMap::new();
    let (mut events, mut next) = (Events::with_capacity(1_024), 1);
    let mut read = vec![0; READ];
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            let token = event.token();
            if token == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let _ = stream.set_nodelay(true);
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE).unwrap();
                    connections.insert(Token(next), Connection::new(stream));
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&token)
                && !connection.take(&mut read, event.is_read_closed(), books)
            {
                connections.remove(&token);
            }
        }
    }
}

struct Push {
    kind: Kind,
    number: usize,
    bytes: usize,
    left: usize,
    sample: Option<Sample>,
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    push: Option<Push>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, head: Vec::with_capacity(2 * HEAD_STEP), push: None }
    }

    /// Takes what is there. Whether more may come.
    fn take(&mut self, read: &mut [u8], to_the_end: bool, books: &Books) -> bool {
        loop {
            match self.stream.read(read) {
                Ok(0) => return false,
                Ok(count) => {
                    if !self.took(&read[..count], books) {
                        return false;
                    }
                    // A short read emptied the socket: epoll(7), question 9.
                    if count < read.len() && !to_the_end {
                        return true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    fn took(&mut self, mut bytes: &[u8], books: &Books) -> bool {
        while !bytes.is_empty() {
            let used = match &mut self.push {
                Some(push) => {
                    let used = push.left.min(bytes.len());
                    push.left -= used;
                    if let Some(sample) = &mut push.sample {
                        sample.body.extend_from_slice(&bytes[..used]);
                    }
                    used
                }
                None => {
                    let before = self.head.len();
                    self.head.extend_from_slice(&bytes[..bytes.len().min(HEAD_STEP)]);
                    let from = before.saturating_sub(3);
                    let end = self.head[from..].windows(4).position(|four| four == b"\r\n\r\n");
                    let Some(end) = end.map(|at| from + at + 4) else {
                        bytes = &bytes[bytes.len().min(HEAD_STEP)..];
                        continue;
                    };
                    self.head.truncate(end);
                    if !self.begin(books) {
                        return false;
                    }
                    self.head.clear();
                    end - before
                }
            };
            bytes = &bytes[used..];
            if let Some(push) = self.push.take_if(|push| push.left == 0) {
                let mut tally = books.tally.lock().unwrap();
                tally.note(push.kind, push.number, push.bytes);
                tally.samples.extend(push.sample);
                drop(tally);
                if self.stream.write(DONE).ok() != Some(DONE.len()) {
                    return false;
                }
            }
        }
        true
    }

    /// A head is whole: a verification is answered, a push begins. Whatever else ends the connection.
    fn begin(&mut self, books: &Books) -> bool {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        if !request.parse(&self.head).is_ok_and(|status| status.is_complete()) {
            return false;
        }
        let (path, query) =
            request.path.map_or(("", ""), |target| target.split_once('?').unwrap_or((target, "")));
        let Some((kind, number)) = Kind::of_path(path) else {
            return false;
        };
        if request.method == Some("GET") {
            let mut query = url::form_urlencoded::parse(query.as_bytes());
            let Some((_, challenge)) = query.find(|(name, _)| name == "hub.challenge") else {
                return false;
            };
            books.verified.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{challenge}", challenge.len());
            return self.stream.write(answer.as_bytes()).ok() == Some(answer.len());
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let Some(bytes) = length.and_then(|header| text(header.value).parse().ok()) else {
            return false;
        };
        let sample = (kind != Kind::Loaded && number % SAMPLED == 0).then(|| Sample {
            number,
            headers: request.headers.iter().map(|one| (one.name.to_owned(), text(one.value))).collect(),
            body: Vec::with_capacity(bytes),
        });
        self.push = Some(Push { kind, number, bytes, left: bytes, sample });
        true
    }
}
