//! One connection of the express lane: bytes in, prebuilt answers out, in order.

use super::copies::Copied;
use super::counter::Counter;
use super::head::{self, Reading};
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
    unsent: Vec<u8>,
    body: Option<(Rc<Copied>, usize)>,
    /// The system may hold bytes that were not read.
    has_more: bool,
    is_at_end: bool,
    then: Next,
}

impl Connection {
    /// A fresh one.
    pub fn new(stream: TcpStream, peer: SocketAddr, now: u64) -> Self {
        Self {
            stream,
            peer,
            read: Vec::new(),
            since: now,
            waiting: Waiting::Idle,
            unsent: Vec::new(),
            body: None,
            has_more: true,
            is_at_end: false,
            then: Next::Wait,
        }
    }

    /// The system says that there is something to read; `ends` that nothing comes after it.
    pub fn note_readable(&mut self, ends: bool) {
        self.has_more = true;
        self.is_at_end |= ends;
    }

    /// Does everything that can be done without waiting.
    pub fn attend(&mut self, counter: &mut Counter) -> Next {
        match self.converse(counter) {
            Ok(next) => {
                let waiting = match (self.is_sending(), self.read.is_empty()) {
                    (true, _) => Waiting::Taking,
                    (false, false) => Waiting::Head,
                    (false, true) => Waiting::Idle,
                };
                // A head that comes byte by byte has one patience for all of them.
                if waiting != Waiting::Head || self.waiting != Waiting::Head {
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
            if !self.read.is_empty() && self.then == Next::Wait {
                self.answer_read(counter)?;
            }
            if self.is_sending() {
                return Ok(Next::Wait);
            }
        }
        for _ in 0..TURNS {
            if self.then != Next::Wait {
                return Ok(self.then);
            }
            if !self.has_more {
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
        while at < bytes.len() && self.then == Next::Wait && matches!(sent, Ok(true)) {
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
                self.then = Next::HandOver;
                break;
            };
            at += ask.length;
            if ask.closes {
                self.then = Next::Close;
            }
            // Small answers to requests that came together leave together.
            if body.is_some() || out.len() > head::LONGEST {
                sent = self.send(&out, body);
                out.clear();
            }
        }
        if !out.is_empty() && matches!(sent, Ok(true)) {
            sent = self.send(&out, None);
        }
        counter.outgoing = out;
        sent.map(|_| at)
    }

    /// Sends a head, or several, and a body; keeps what does not go. False where something is kept.
    fn send(&mut self, out: &[u8], body: Option<Rc<Copied>>) -> io::Result<bool> {
        let written = match &body {
            Some(body) => self.stream.write_vectored(&[IoSlice::new(out), IoSlice::new(body.body())]),
            None => self.stream.write(out),
        };
        let sent = match written {
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
        self.body = body.filter(|body| sent_of_body < body.body().len()).map(|body| (body, sent_of_body));
        if self.is_sending() { self.send_rest() } else { Ok(true) }
    }

    /// Sends what was kept. False where the client does not take it now.
    fn send_rest(&mut self) -> io::Result<bool> {
        while self.is_sending() {
            let body = self.body.as_ref().map_or(&[][..], |(body, at)| &body.body()[*at..]);
            match self.stream.write_vectored(&[IoSlice::new(&self.unsent), IoSlice::new(body)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    let of_head = sent.min(self.unsent.len());
                    self.unsent.drain(..of_head);
                    if let Some((body, at)) = &mut self.body {
                        *at += sent - of_head;
                        if *at == body.body().len() {
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
