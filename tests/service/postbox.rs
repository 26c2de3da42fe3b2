//! A mail server that does as it is told and remembers what it took.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What the server does.
pub struct Manners {
    /// How long it thinks about a text before it takes it, and again before it says so.
    pub thinks: Duration,
    /// What it says instead of a greeting.
    pub greeting: &'static str,
    /// What it says to RCPT: of whom, and the how manieth time.
    pub rcpt: fn(&str, usize) -> &'static str,
    /// What it says to the final dot, of whom and the how manieth time; nothing: it hangs up. The text
    /// is taken all the same, unless it says 4xx or 5xx.
    pub dot: fn(&str, usize) -> &'static str,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            thinks: Duration::ZERO,
            greeting: "220 postbox.example ESMTP",
            rcpt: |_, _| "250 2.1.5 Ok",
            dot: |_, _| "250 2.0.0 taken",
        }
    }
}

/// Where in a conversation the client may be when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// It has claimed letters and greets.
    Greeted,
    /// It has named the reader.
    Named,
    /// It may send the text.
    Invited,
    /// The text is taken, the answer not given.
    Taken,
    /// The answer is given, and perhaps not written down.
    Answered,
}

impl Edge {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Greeted, Self::Named, Self::Invited, Self::Taken, Self::Answered];
}

/// A text that it took: its answer may or may not have been heard.
#[derive(Clone, PartialEq, Eq)]
pub struct Taken {
    /// To whom.
    pub to: String,
    /// The value of Message-ID.
    pub message_id: String,
    /// Header and body.
    pub bytes: Vec<u8>,
}

struct Room {
    manners: Manners,
    taken: Mutex<Vec<Taken>>,
    refused: Mutex<Vec<Taken>>,
    asked: Mutex<HashMap<String, usize>>,
    /// Where the next conversation stands still, and whether one does.
    trap: Mutex<(Option<Edge>, bool)>,
    sprung: Condvar,
    open: AtomicUsize,
    most: AtomicUsize,
    closed: AtomicBool,
}

/// The server; it ends when this is dropped.
pub struct Postbox {
    address: SocketAddr,
    room: Arc<Room>,
}

impl Postbox {
    /// Opens on a free port.
    pub fn open(manners: Manners) -> Self {
        Self::open_at("127.0.0.1:0".parse().unwrap(), manners)
    }

    /// Opens where one was before.
    pub fn open_at(address: SocketAddr, manners: Manners) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let room = Arc::new(Room {
            manners,
            taken: Mutex::default(),
            refused: Mutex::default(),
            asked: Mutex::default(),
            trap: Mutex::default(),
            sprung: Condvar::new(),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let host = Arc::clone(&room);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if host.closed.load(Ordering::SeqCst) {
                    break;
                }
                let room = Arc::clone(&host);
                std::thread::spawn(move || {
                    let open = room.open.fetch_add(1, Ordering::SeqCst) + 1;
                    room.most.fetch_max(open, Ordering::SeqCst);
                    // A client that dies is part of the story.
                    let _ = room.talk(stream);
                    room.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, room }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for `BANTIN_MAIL__URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.room.taken.lock().unwrap().clone()
    }

    /// What it heard to the end and did not take.
    pub fn refused(&self) -> Vec<Taken> {
        self.room.refused.lock().unwrap().clone()
    }

    /// How much it took so far.
    pub fn count(&self) -> usize {
        self.room.taken.lock().unwrap().len()
    }

    /// The next conversation that comes so far stands still there.
    pub fn set_trap(&self, edge: Edge) {
        *self.room.trap.lock().unwrap() = (Some(edge), false);
    }

    /// Waits until one stands still.
    pub fn wait_for_the_trap(&self) {
        let trap = self.room.trap.lock().unwrap();
        let patience = Duration::from_secs(30);
        let (trap, _) = self.room.sprung.wait_timeout_while(trap, patience, |trap| !trap.1).unwrap();
        assert!(trap.1, "nobody came so far");
    }

    /// Everything goes on.
    pub fn open_the_trap(&self) {
        *self.room.trap.lock().unwrap() = (None, false);
        self.room.sprung.notify_all();
    }

    /// Waits until every conversation has ended: what the dead had sent is taken by then.
    pub fn wait_for_silence(&self) {
        while self.room.open.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The most connections that were open at once.
    pub fn most_connections(&self) -> usize {
        self.room.most.load(Ordering::SeqCst)
    }
}

impl Drop for Postbox {
    fn drop(&mut self) {
        self.room.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for the next caller.
        let _ = TcpStream::connect(self.address);
    }
}

impl Room {
    fn pass(&self, edge: Edge) {
        let mut trap = self.trap.lock().unwrap();
        if trap.0 == Some(edge) {
            trap.1 = true;
            self.sprung.notify_all();
            drop(self.sprung.wait_while(trap, |trap| trap.0 == Some(edge)).unwrap());
        }
    }

    fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        let mut input = BufReader::new(stream);
        let mut say = |words: &str| out.write_all(format!("{words}\r\n").as_bytes());
        say(self.manners.greeting)?;
        let (mut to, mut times, mut is_named) = (String::new(), 0, false);
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.trim().split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    self.pass(Edge::Greeted);
                    say("250-postbox.example\r\n250-PIPELINING\r\n250 8BITMIME")?;
                }
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let mut asked = self.asked.lock().unwrap();
                    times = *asked.entry(to.clone()).and_modify(|times| *times += 1).or_insert(1);
                    drop(asked);
                    self.pass(Edge::Named);
                    let words = (self.manners.rcpt)(&to, times);
                    is_named = words.starts_with('2');
                    say(words)?;
                }
                // Also in a group of commands (RFC 2920 §3.2).
                "DATA" if !is_named => say("503 5.5.1 for whom?")?,
                "DATA" => {
                    self.pass(Edge::Invited);
                    say("354 go on")?;
                    let bytes = text(&mut input)?;
                    std::thread::sleep(self.manners.thinks);
                    let message_id = message_id(&bytes);
                    let words = (self.manners.dot)(&to, times);
                    let is_refused = words.starts_with(['4', '5']);
                    let pile = if is_refused { &self.refused } else { &self.taken };
                    pile.lock().unwrap().push(Taken { to: to.clone(), message_id, bytes });
                    self.pass(Edge::Taken);
                    std::thread::sleep(self.manners.thinks);
                    if words.is_empty() {
                        return Ok(());
                    }
                    say(words)?;
                    self.pass(Edge::Answered);
                    is_named = false;
                }
                "QUIT" => return say("221 2.0.0 bye"),
                "HELO" | "MAIL" | "RSET" | "NOOP" => say("250 2.0.0 Ok")?,
                _ => say("502 5.5.2 what?")?,
            }
        }
    }
}

/// The text up to the final dot; an error where the line ends before it.
fn text(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(bytes);
        }
        bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn message_id(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap_or_default();
    line.trim().to_owned()
}
