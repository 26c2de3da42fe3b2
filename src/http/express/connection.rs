//! One connection of the express lane: bytes in, prebuilt answers out, in order.

use super::copies::Copied;
use super::counter::Counter;
use super::head::{self, Ask, Reading};
use super::house::Told;
use super::sheet::Filing;
use axum::body::Bytes;
use mio::net::TcpStream;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

/// How often a connection is read before the others have their turn.
const TURNS: usize = 8;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for its client.
    Wait,
    /// It has more to do as soon as the others had their turn.
    Again,
    /// It ends.
    Close,
    /// Hyper takes it.
    HandOver,
}

/// What a connection waits for; each has its own patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A request.
    Idle,
    /// The rest of a head.
    Head,
    /// That the client takes what it asked for.
    Taking,
    /// The routes' answer.
    House,
}

/// A question to the routes. Its head stays unanswered in what was read until the answer is there.
struct Question {
    number: u64,
    /// How many bytes its head has.
    length: usize,
    closes: bool,
    told: Option<Told>,
}

enum Body {
    Copied(Rc<Copied>),
    Told(Bytes),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(copied) => copied.body(),
            Self::Told(bytes) => bytes,
        }
    }

    /// Where it can be sent from a file.
    fn filing(&self) -> Option<&Filing> {
        match self {
            Self::Copied(copied) => Some(&copied.filing).filter(|filing| filing.is_filed()),
            Self::Told(_) => None,
        }
    }
}

/// A connection.
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// Who is at its other end.
    pub peer: SocketAddr,
    /// What was read and not answered yet.
    pub read: Vec<u8>,
    /// When what it waits for began, in the clerk's seconds.
    pub since: u64,
    /// What it waits for.
    pub waiting: Waiting,
    /// Where its clerk has it.
    place: usize,
    unsent: Vec<u8>,
    body: Option<(Body, usize)>,
    question: Option<Question>,
    /// The system may hold bytes that were not read.
    has_more: bool,
    is_at_end: bool,
    is_gone: bool,
    then: Next,
}

impl Connection {
    /// A fresh one.
    pub fn new(stream: TcpStream, peer: SocketAddr, place: usize, now: u64) -> Self {
        Self {
            stream,
            peer,
            read: Vec::new(),
            since: now,
            waiting: Waiting::Idle,
            place,
            unsent: Vec::new(),
            body: None,
            question: None,
            has_more: true,
            is_at_end: false,
            is_gone: false,
            then: Next::Wait,
        }
    }

    /// The system says that there is something to read; `ends` that nothing comes after it.
    pub fn note_readable(&mut self, ends: bool) {
        self.has_more = true;
        self.is_at_end |= ends;
    }

    /// The system says that nothing can be sent any more.
    pub fn note_gone(&mut self) {
        self.is_gone = true;
    }

    /// The routes answered a question. Whether it is the one that waits.
    pub fn note_told(&mut self, number: u64, told: Option<Told>) -> bool {
        let Some(question) = self.question.as_mut().filter(|question| question.number == number) else {
            return false;
        };
        match told {
            Some(told) => question.told = Some(told),
            // Hyper asks again, as if nobody had asked before: it is a GET.
            None => {
                self.question = None;
                self.then = Next::HandOver;
            }
        }
        true
    }

    /// Does everything that can be done without waiting.
    pub fn attend(&mut self, counter: &mut Counter) -> Next {
        let is_answered = self.question.as_ref().is_some_and(|question| question.told.is_some());
        match self.converse(counter) {
            Ok(next) => {
                let waiting = match (self.is_sending(), &self.question, self.read.is_empty()) {
                    (true, ..) => Waiting::Taking,
                    (false, Some(_), _) => Waiting::House,
                    (false, None, false) => Waiting::Head,
                    (false, None, true) => Waiting::Idle,
                };
                // A head that comes byte by byte has one patience for all of them, and so has an
                // answer behind which other requests come.
                let goes_on = matches!(waiting, Waiting::Head | Waiting::House) && waiting == self.waiting;
                if !goes_on || is_answered {
                    self.since = counter.seconds;
                }
                self.waiting = waiting;
                next
            }
            Err(_) => Next::Close,
        }
    }

    /// Ends it. What was not read is read away first: the system would answer it with a reset, and
    /// a reset takes back what the client has not read yet (RFC 9112 §9.6).
    pub fn close(mut self, counter: &mut Counter) {
        // Who has gone already needs no farewell.
        drop(self.stream.shutdown(Shutdown::Write));
        for _ in 0..TURNS {
            if !self.has_more || !self.stream.read(&mut counter.incoming).is_ok_and(|length| length > 0) {
                return;
            }
        }
    }

    fn is_sending(&self) -> bool {
        !self.unsent.is_empty() || self.body.is_some()
    }

    fn converse(&mut self, counter: &mut Counter) -> io::Result<Next> {
        if self.is_sending() {
            if !self.send_rest()? {
                return Ok(Next::Wait);
            }
            // Requests that came behind the one whose answer was not taken.
            self.go_on(counter)?;
        }
        if !self.is_sending() && self.tell(counter)? {
            self.go_on(counter)?;
        }
        if self.is_gone && self.question.is_some() {
            return Ok(Next::Close);
        }
        if self.is_sending() {
            return Ok(Next::Wait);
        }
        for _ in 0..TURNS {
            if self.then != Next::Wait {
                return Ok(self.then);
            }
            if self.question.is_some() || !self.has_more {
                return Ok(Next::Wait);
            }
            let mut fresh = std::mem::take(&mut counter.incoming);
            let read = self.stream.read(&mut fresh);
            let goes_on = match read {
                Ok(0) => Ok(false),
                Ok(length) => {
                    // A short read means that there was no more, unless the end is behind it.
                    self.has_more = length == fresh.len() || self.is_at_end;
                    self.take_in(&fresh[..length], counter).map(|()| true)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_more = false;
                    Ok(true)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
                Err(error) => Err(error),
            };
            counter.incoming = fresh;
            if !goes_on? {
                return Ok(Next::Close);
            }
            if self.is_sending() {
                return Ok(Next::Wait);
            }
        }
        Ok(if self.then == Next::Wait { Next::Again } else { self.then })
    }

    /// Tells what the routes answered. Whether the client took it whole.
    fn tell(&mut self, counter: &mut Counter) -> io::Result<bool> {
        let Some(Question { told: Some(_), .. }) = self.question else { return Ok(false) };
        let Some(Question { length, closes, told: Some(told), .. }) = self.question.take() else {
            return Ok(false);
        };
        self.read.drain(..length);
        let closes = closes || counter.is_draining;
        if closes {
            self.then = Next::Close;
        }
        let Told { mut head, body } = told;
        counter.end_head(&mut head, closes);
        self.send(&head, Some(Body::Told(body)))
    }

    /// Answers what was read already, where nothing stands before it.
    fn go_on(&mut self, counter: &mut Counter) -> io::Result<()> {
        let is_next = self.question.is_none() && self.then == Next::Wait;
        if is_next && !self.is_sending() && !self.read.is_empty() {
            self.answer_read(counter)?;
        }
        Ok(())
    }

    fn take_in(&mut self, fresh: &[u8], counter: &mut Counter) -> io::Result<()> {
        if self.read.is_empty() {
            let rest = self.answer_all(fresh, counter)?;
            self.read.extend_from_slice(&fresh[rest..]);
        } else {
            self.read.extend_from_slice(fresh);
            self.answer_read(counter)?;
        }
        Ok(())
    }

    fn answer_read(&mut self, counter: &mut Counter) -> io::Result<()> {
        let mut read = std::mem::take(&mut self.read);
        let rest = self.answer_all(&read, counter)?;
        read.drain(..rest);
        self.read = read;
        Ok(())
    }

    /// Answers the requests in these bytes as far as they are whole and the client takes what it
    /// gets. Returns how many bytes are done with.
    fn answer_all(&mut self, bytes: &[u8], counter: &mut Counter) -> io::Result<usize> {
        let mut at = 0;
        let mut out = std::mem::take(&mut counter.outgoing);
        out.clear();
        let mut sent = Ok(true);
        while at < bytes.len() && self.is_free() && matches!(sent, Ok(true)) {
            let mut ask = match head::read(&bytes[at..]) {
                Reading::Plain(ask) => ask,
                Reading::Partial => break,
                Reading::Other => {
                    self.then = Next::HandOver;
                    break;
                }
            };
            ask.closes |= counter.is_draining;
            let Some(body) = counter.answer(&ask, self.peer.ip(), &mut out) else {
                self.ask_house(&ask, &bytes[at..at + ask.length], counter);
                break;
            };
            at += ask.length;
            if ask.closes {
                self.then = Next::Close;
            }
            // Small answers to requests that came together leave together.
            if body.is_some() || out.len() > head::LONGEST {
                sent = self.send(&out, body.map(Body::Copied));
                out.clear();
            }
        }
        if !out.is_empty() && matches!(sent, Ok(true)) {
            sent = self.send(&out, None);
        }
        counter.outgoing = out;
        sent.map(|_| at)
    }

    /// Whether the next request may be answered.
    fn is_free(&self) -> bool {
        self.then == Next::Wait && self.question.is_none()
    }

    fn ask_house(&mut self, ask: &Ask<'_>, head: &[u8], counter: &mut Counter) {
        match counter.ask_house(ask, head, self.peer, self.place) {
            Some(number) => {
                let Ask { length, closes, .. } = *ask;
                self.question = Some(Question { number, length, closes, told: None });
            }
            None => self.then = Next::HandOver,
        }
    }

    /// Sends a head, or several, and a body; keeps what does not go. False where something is kept.
    fn send(&mut self, out: &[u8], body: Option<Body>) -> io::Result<bool> {
        let sent = match push(&mut self.stream, out, body.as_ref(), 0) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        if sent < out.len() {
            self.unsent.extend_from_slice(&out[sent..]);
        }
        let sent_of_body = sent.saturating_sub(out.len());
        self.body = body.filter(|body| sent_of_body < body.bytes().len()).map(|body| (body, sent_of_body));
        if self.is_sending() { self.send_rest() } else { Ok(true) }
    }

    /// Sends what was kept. False where the client does not take it now.
    fn send_rest(&mut self) -> io::Result<bool> {
        while self.is_sending() {
            let (body, at) = self.body.as_ref().map_or((None, 0), |(body, at)| (Some(body), *at));
            match push(&mut self.stream, &self.unsent, body, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    let of_head = sent.min(self.unsent.len());
                    self.unsent.drain(..of_head);
                    if let Some((body, at)) = &mut self.body {
                        *at += sent - of_head;
                        if *at == body.bytes().len() {
                            self.body = None;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Sends of a head, and of a body from a place on, what the client takes. Returns how many bytes that are.
fn push(stream: &mut TcpStream, head: &[u8], body: Option<&Body>, from: usize) -> io::Result<usize> {
    let Some(body) = body else { return stream.write(head) };
    match body.filing() {
        Some(filing) => filing.send(stream, head, from, body.bytes().len()),
        None => stream.write_vectored(&[IoSlice::new(head), IoSlice::new(&body.bytes()[from..])]),
    }
}
