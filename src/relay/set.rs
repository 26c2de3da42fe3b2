use super::{Gate, Handing, Parcel, Relay, Shut, Standing, Turn, Wait, circuit::Circuit};
use crate::domain::{Chance, Clock, EmailAddress, Instant, Outcome, Pace, Rate, Reply, fraction};
use chrono::Duration as Span;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Beyond this many, mail providers are forgotten of which nothing is to be remembered.
const PROVIDERS: usize = 10_000;
/// How many slow mail providers the metrics name.
const NAMED: usize = 20;
/// So many letters wait for their turn nearer by than the queue.
const NEARER: i32 = 8;
/// How far ahead a letter queues for a slow mail provider at most: whether it recovered is seen then.
const HORIZON: Span = Span::minutes(10);

/// One of several relays.
pub struct Member {
    /// Its host, for people.
    pub name: String,
    /// The relay itself.
    pub relay: Arc<dyn Relay>,
    /// Its share of the letters, beside those of the others.
    pub weight: u32,
    /// How fast letters go to it at most.
    pub rate: Option<Rate>,
}

/// How fast letters go to one mail provider at most.
#[derive(Clone, Debug, Default)]
pub struct ProviderRates {
    /// To each.
    pub each: Option<Rate>,
    /// To some, by domain; also to what lies below it.
    pub some: Vec<(String, Rate)>,
}

impl ProviderRates {
    fn of(&self, provider: &str) -> Option<Rate> {
        let is_of = |domain: &str| {
            provider.strip_suffix(domain).is_some_and(|below| below.is_empty() || below.ends_with('.'))
        };
        self.some.iter().find(|(domain, _)| is_of(domain)).map(|(_, rate)| *rate).or(self.each)
    }
}

/// Several relays as one, or one alone: letters are shared out by weight, none faster than it may go,
/// and past a relay that is down.
///
/// A letter that nobody heard goes to the next relay at once. One that may have been taken
/// ([`Outcome::Uncertain`]) does not: two servers would know nothing of each other's copy.
pub struct RelaySet {
    members: Vec<Member>,
    rates: ProviderRates,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    relays: Vec<Line>,
    providers: HashMap<String, Provider>,
    /// Whose servers take a domain's mail, as far as is known.
    known: HashMap<String, String>,
}

struct Line {
    weight: i64,
    /// How much of its share is still to come (smooth weighted round robin).
    balance: i64,
    pace: Pace,
    circuit: Circuit,
}

struct Provider {
    pace: Pace,
    /// Up to when letters queue for it in the store.
    queue_until: Instant,
}

impl Line {
    fn free_at(&self, urgent: bool, now: Instant) -> Instant {
        self.circuit.free_at(now).max(self.pace.free_at(urgent, now))
    }
}

impl Board {
    fn lane(&self, domain: &str) -> String {
        self.known.get(domain).map_or(domain, String::as_str).to_owned()
    }

    /// Until when all rest.
    fn rests_until(&self, now: Instant) -> Option<Instant> {
        let rests: Option<Vec<Instant>> =
            self.relays.iter().map(|line| line.circuit.rests_until(now)).collect();
        rests?.into_iter().min()
    }

    fn provider(&mut self, name: &str, rates: &ProviderRates, now: Instant) -> &mut Provider {
        if self.providers.len() >= PROVIDERS && !self.providers.contains_key(name) {
            self.providers.retain(|_, provider| !provider.pace.is_idle(now));
        }
        self.providers
            .entry(name.to_owned())
            .or_insert_with(|| Provider { pace: Pace::new(rates.of(name)), queue_until: now })
    }

    /// Chooses a relay that may be used now, none of `not`; or tells from when on one may.
    fn choose(&mut self, urgent: bool, not: &[usize], now: Instant) -> Result<usize, Instant> {
        let mut opens_at: Option<Instant> = None;
        let mut shares = 0;
        let mut best: Option<usize> = None;
        for at in (0..self.relays.len()).filter(|at| !not.contains(at)) {
            let free = self.relays[at].free_at(urgent, now);
            if free > now {
                opens_at = opens_at.into_iter().chain([free]).min();
                continue;
            }
            self.relays[at].balance += self.relays[at].weight;
            shares += self.relays[at].weight;
            if best.is_none_or(|best| self.relays[at].balance > self.relays[best].balance) {
                best = Some(at);
            }
        }
        let Some(best) = best else { return Err(opens_at.unwrap_or(now + HORIZON)) };
        let line = &mut self.relays[best];
        line.pace.take(urgent, now)?;
        line.balance -= shares;
        line.circuit.begin(now);
        Ok(best)
    }
}

impl RelaySet {
    /// Relays with their weights and rates.
    pub fn new(
        members: Vec<Member>,
        rates: ProviderRates,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Self {
        let line = |member: &Member| Line {
            weight: member.weight.max(1).into(),
            balance: 0,
            pace: Pace::new(member.rate),
            circuit: Circuit::default(),
        };
        let board = Board { relays: members.iter().map(line).collect(), ..Board::default() };
        Self { members, rates, clock, chance, board: Mutex::new(board) }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_turn(&self, to: &EmailAddress, urgent: bool) -> Result<Turn, Wait> {
        let now = self.clock.now();
        let mut board = self.board();
        let name = board.lane(to.domain());
        let free = board.provider(&name, &self.rates, now).pace.free_at(urgent, now);
        if free > now {
            return Err(Wait { until: free, provider_alone: true, is_down: false });
        }
        let is_down = board.rests_until(now).is_some();
        let chosen = board.choose(urgent, &[], now);
        let relay = chosen.map_err(|until| Wait { until, provider_alone: false, is_down })?;
        // It was free a moment ago, under the same lock.
        let _ = board.provider(&name, &self.rates, now).pace.take(urgent, now);
        Ok(Turn { relay, provider: name, urgent })
    }

    async fn deliver(&self, parcel: &Parcel, mut turn: Turn, gate: &dyn Gate) -> Result<Outcome, Shut> {
        let mut tried = Vec::new();
        loop {
            let Some(member) = self.members.get(turn.relay) else {
                return Ok(Outcome::Untried("there is no such relay".into()));
            };
            let found = member.relay.provider(parcel.to.domain()).await;
            let is_direct = found.is_some();
            if let Some(found) = found.filter(|found| *found != turn.provider)
                && !self.moves(&mut turn, found, parcel.to.domain())
            {
                let busy = format!("`{}` gets no more letters just now", turn.provider);
                return Ok(Outcome::Untried(busy.into()));
            }
            let handed = member.relay.hand_over_in_turn(parcel, turn.beneath(), gate).await;
            let Ok(outcome) = handed else {
                self.board().relays[turn.relay].circuit.answered();
                return Err(Shut);
            };
            self.note(&turn, is_direct, &outcome);
            if !matches!(outcome, Outcome::Untried(_)) {
                return Ok(outcome);
            }
            tried.push(turn.relay);
            match self.board().choose(turn.urgent, &tried, self.clock.now()) {
                Ok(next) => turn.relay = next,
                Err(_) => return Ok(outcome),
            }
        }
    }

    /// A letter's provider turned out to be another: whether it has a turn for it as well.
    fn moves(&self, turn: &mut Turn, found: String, domain: &str) -> bool {
        let now = self.clock.now();
        let mut board = self.board();
        if board.known.len() >= PROVIDERS {
            board.known.clear();
        }
        board.known.insert(domain.to_owned(), found.clone());
        let has_turn = board.provider(&found, &self.rates, now).pace.take(turn.urgent, now).is_ok();
        turn.provider = found;
        has_turn
    }

    /// Learns from what became of a letter.
    fn note(&self, turn: &Turn, is_direct: bool, outcome: &Outcome) {
        let now = self.clock.now();
        let jitter = || fraction(&*self.chance);
        let mut board = self.board();
        let Some(line) = board.relays.get_mut(turn.relay) else { return };
        let name = &self.members[turn.relay].name;
        let mut rests = false;
        match outcome {
            Outcome::Accepted(_) => {
                line.circuit.answered();
                line.pace.went_well(now);
                board.provider(&turn.provider, &self.rates, now).pace.went_well(now);
            }
            Outcome::Refused(_) => line.circuit.answered(),
            Outcome::Deferred(reply) | Outcome::Uncertain(reply) => {
                if reply.code.is_some() || is_direct {
                    line.circuit.answered();
                } else {
                    rests = line.circuit.refused(now, jitter);
                }
                let asks = reply.asks_for_less();
                if asks && (is_direct || speaks_of_the_reader(reply)) {
                    let pace = &mut board.provider(&turn.provider, &self.rates, now).pace;
                    if pace.throttled(now) {
                        tracing::warn!(
                            provider = turn.provider,
                            rate = pace.rate().map(tracing::field::display),
                            reply = reply.words,
                            "a mail provider asks for fewer letters"
                        );
                    }
                } else if asks && line.pace.throttled(now) {
                    tell_slower(name, &line.pace, reply);
                }
            }
            Outcome::Untried(reply) => {
                if reply.asks_for_less() && line.pace.throttled(now) {
                    tell_slower(name, &line.pace, reply);
                }
                rests = match reply.code {
                    Some(_) => line.circuit.refused(now, jitter),
                    None => line.circuit.lost(now, jitter),
                };
            }
            Outcome::Suppressed(_) => {}
        }
        if rests {
            tracing::warn!(
                relay.host = name,
                "a relay cannot be reached and rests; `bantin check` tells why"
            );
        }
    }
}

fn tell_slower(name: &str, pace: &Pace, reply: &Reply) {
    tracing::warn!(
        relay.host = name,
        rate = pace.rate().map(tracing::field::display),
        reply = reply.words,
        "a relay asks for fewer letters"
    );
}

/// Whether a relay passes on what the reader's own server said: it asked there at RCPT, which names
/// him. 421 closes the line to us, so it is the relay's own.
fn speaks_of_the_reader(reply: &Reply) -> bool {
    reply.code != Some(421) && reply.words.ends_with("(at RCPT TO)")
}

impl Relay for RelaySet {
    fn turn(&self, to: &EmailAddress, urgent: bool) -> Result<Turn, Wait> {
        self.next_turn(to, urgent)
    }

    fn hand_over_in_turn<'a>(
        &'a self,
        parcel: &'a Parcel,
        turn: Turn,
        gate: &'a dyn Gate,
    ) -> Handing<'a, Result<Outcome, Shut>> {
        Box::pin(self.deliver(parcel, turn, gate))
    }

    fn turn_of_the_queue(&self, to: &EmailAddress) -> Option<Instant> {
        let now = self.clock.now();
        let mut board = self.board();
        let name = board.lane(to.domain());
        let provider = board.provider(&name, &self.rates, now);
        let rate = provider.pace.rate()?;
        let between = Span::microseconds((1_000_000.0 / rate.a_second()) as i64);
        let first = provider.pace.free_at(false, now) + between * NEARER;
        provider.queue_until = (provider.queue_until.max(first) + between).min(now + HORIZON);
        Some(provider.queue_until)
    }

    fn lane(&self, domain: &str) -> String {
        self.board().lane(domain)
    }

    fn rests_until(&self) -> Option<Instant> {
        self.board().rests_until(self.clock.now())
    }

    fn most_per_domain(&self) -> Option<usize> {
        self.members.iter().filter_map(|member| member.relay.most_per_domain()).min()
    }

    fn standings(&self) -> Vec<Standing> {
        let board = self.board();
        let relays = self.members.iter().zip(&board.relays).map(|(member, line)| Standing {
            name: member.name.clone(),
            is_relay: true,
            rate: line.pace.rate(),
            is_lowered: line.pace.is_lowered(),
            rests: line.circuit.rests(),
        });
        let mut slow: Vec<Standing> = board
            .providers
            .iter()
            .filter(|(_, provider)| provider.pace.is_lowered())
            .map(|(name, provider)| Standing {
                name: name.clone(),
                is_relay: false,
                rate: provider.pace.rate(),
                is_lowered: true,
                rests: false,
            })
            .collect();
        // The slowest are named; a rate that is lower sorts behind, by its time between two.
        slow.sort_by_key(|standing| (std::cmp::Reverse(standing.rate), standing.name.clone()));
        slow.truncate(NAMED);
        relays.chain(slow).collect()
    }

    fn check(&self) -> Handing<'_, Result<String, String>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for member in &self.members {
                found.push(member.relay.check().await?);
            }
            Ok(found.join("\n"))
        })
    }

    fn part(&self, rested: Duration) -> Handing<'_, ()> {
        Box::pin(async move {
            for member in &self.members {
                member.relay.part(rested).await;
            }
        })
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
