//! What a clerk of the express lane has within reach: the copies, the date, the figures.

use super::copies::{Copied, Copies, DateLine, head_of};
use super::head::{Ask, LONGEST};
use super::house::House;
use super::sheet::Drawer;
use crate::domain::Instant;
use crate::feed::validators::{Precondition, evaluate};
use crate::http::AppState;
use crate::http::health::FeedAnswers;
use crate::http::limiter::{Fetch, REFUSAL, Wait, refusal};
use crate::http::visitor::address;
use crate::representations::Coding;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant as StopWatch;

/// How many different heads of refusals are kept.
const REFUSALS: usize = 512;

/// A clerk's counter.
pub struct Counter {
    app: AppState,
    copies: HashMap<Box<str>, Copies>,
    refusals: HashMap<Wait, Vec<u8>>,
    date: DateLine,
    answers: FeedAnswers,
    house: House,
    drawer: Drawer,
    now: Instant,
    watch: StopWatch,
    /// Whether every connection is to end with its present answer.
    pub is_draining: bool,
    /// Seconds since the clerk began.
    pub seconds: u64,
    /// Where fresh bytes are read to.
    pub incoming: Vec<u8>,
    /// Where heads are put together.
    pub outgoing: Vec<u8>,
}

impl Counter {
    /// With nothing copied yet.
    pub fn new(app: AppState, house: House) -> Self {
        let store = app.store.clone();
        Self {
            copies: HashMap::new(),
            refusals: HashMap::new(),
            date: DateLine::new(),
            answers: app.health.answers_of("/feeds/{name}"),
            house,
            drawer: Drawer::new(Box::new(move |body| store.nameless(body))),
            now: app.clock.now(),
            watch: StopWatch::now(),
            is_draining: false,
            seconds: 0,
            incoming: vec![0; LONGEST],
            outgoing: Vec::with_capacity(LONGEST),
            app,
        }
    }

    /// Looks at the clocks.
    pub fn look_up(&mut self) {
        self.now = self.app.clock.now();
        self.watch = StopWatch::now();
    }

    /// Makes good what a panic left behind.
    pub fn recover(&mut self) {
        self.incoming.resize(LONGEST, 0);
    }

    /// Forgets copies of what is served no more.
    pub fn tidy(&mut self) {
        self.copies.retain(|_, copies| copies.ready.is_present());
    }

    /// Writes the answer's head, with the date of now, and gives its body. `None` where the lane
    /// has no answer: nothing was written then.
    pub fn answer(&mut self, ask: &Ask<'_>, peer: IpAddr, out: &mut Vec<u8>) -> Option<Option<Rc<Copied>>> {
        let copied = Rc::clone(self.copied(ask)?);
        let condition = evaluate(ask.if_none_match, ask.if_modified_since, &copied.validators, self.now);
        let mut body = None;
        let mut refused = None;
        let status = match condition {
            Precondition::NotModified => {
                out.extend_from_slice(&copied.unchanged);
                304
            }
            // Compressing is not done here: the routes do, and it is there from then on.
            Precondition::Send if copied.body.is_none() => return None,
            Precondition::Send => {
                let is_conditional = ask.if_none_match.is_some() || ask.if_modified_since.is_some();
                let client = address(peer, &self.app.trusted_proxies, ask.forwarded.into_iter());
                let fetch = Fetch::of(is_conditional, false);
                refused = if ask.is_head {
                    None
                } else {
                    self.app.limiter.take(client, ask.path, fetch, self.now).err()
                };
                match refused {
                    Some(wait) => {
                        out.extend_from_slice(self.refusal(wait));
                        429
                    }
                    None => {
                        out.extend_from_slice(&copied.whole);
                        if !ask.is_head {
                            self.drawer.note(&copied.filing, copied.body(), self.seconds);
                            body = Some(copied);
                        }
                        200
                    }
                }
            }
        };
        self.end_head(out, ask.closes);
        if refused.is_some() {
            out.extend_from_slice(REFUSAL.as_bytes());
        }
        let watch = StopWatch::now();
        self.answers.answered(status, watch - self.watch);
        self.watch = watch;
        Some(body)
    }

    /// Writes what stands at the end of every head.
    pub fn end_head(&mut self, out: &mut Vec<u8>, closes: bool) {
        if closes {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(self.date.at(self.now));
    }

    /// Asks the routes, and gives the question's number; `None` where the request is hyper's.
    pub fn ask_house(&mut self, ask: &Ask<'_>, head: &[u8], peer: SocketAddr, place: usize) -> Option<u64> {
        let number = self.house.ask(ask, head, peer, place)?;
        self.app.health.house_asked();
        Some(number)
    }

    /// Notes that an answer of the routes has come.
    pub fn house_replied(&mut self) {
        self.house.replied();
    }

    fn copied(&mut self, ask: &Ask<'_>) -> Option<&Rc<Copied>> {
        if !self.copies.get(ask.path).is_some_and(|copies| copies.ready.is_present()) {
            self.copies.remove(ask.path);
            let ready = self.app.representations.ready(ask.path)?;
            self.copies.insert(ask.path.into(), Copies::of(ready));
        }
        let copies = self.copies.get_mut(ask.path)?;
        copies.ready.ask();
        Some(copies.coded(Coding::negotiate(ask.accept_encoding), self.now))
    }

    fn refusal(&mut self, wait: Wait) -> &[u8] {
        if self.refusals.len() >= REFUSALS {
            self.refusals.clear();
        }
        self.refusals.entry(wait).or_insert_with(|| head_of(refusal(wait)))
    }
}
