//! Work for many hosts at once: so much overall, so much for one host, each host in its turn.

use crate::domain::Instant;
use std::collections::{HashMap, VecDeque};

/// How many failures in a row, without an answer between, say that a host is down.
const FAILURES: u32 = 3;

/// How much may lie here for a host, lest those who try wait for the store.
const ENOUGH: usize = 128;

/// What one host has to do.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    under_way: usize,
    unanswered: u32,
    down_until: Option<Instant>,
}

/// What is claimed and waits, by host. A host that is slow or dead fills its own lane alone.
#[derive(Debug)]
pub struct Lanes<T> {
    lanes: HashMap<String, Lane<T>>,
    /// Hosts with something waiting, in the order of their turns.
    turns: VecDeque<String>,
    waiting: usize,
    under_way: usize,
    most: usize,
    most_per_host: usize,
}

impl<T> Lanes<T> {
    /// With nothing to do: so many at once, so many for one host.
    pub fn new(most: usize, most_per_host: usize) -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), waiting: 0, under_way: 0, most, most_per_host }
    }

    /// Puts work behind what its host has already.
    pub fn wait(&mut self, host: &str, work: T) {
        let lane = self.lane(host);
        lane.waiting.push_back(work);
        if lane.waiting.len() == 1 {
            self.turns.push_back(host.to_owned());
        }
        self.waiting += 1;
    }

    fn lane(&mut self, host: &str) -> &mut Lane<T> {
        self.lanes.entry(host.to_owned()).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            under_way: 0,
            unanswered: 0,
            down_until: None,
        })
    }

    /// What may begin now, if anything may. It is under way until [`Self::end`].
    pub fn begin(&mut self) -> Option<(String, T)> {
        if self.under_way >= self.most {
            return None;
        }
        for _ in 0..self.turns.len() {
            let host = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&host) else { continue };
            if lane.under_way >= self.most_per_host {
                self.turns.push_back(host);
                continue;
            }
            let Some(work) = lane.waiting.pop_front() else { continue };
            lane.under_way += 1;
            self.under_way += 1;
            self.waiting -= 1;
            if !lane.waiting.is_empty() {
                self.turns.push_back(host.clone());
            }
            return Some((host, work));
        }
        None
    }

    /// How many may begin now.
    pub fn room(&self) -> usize {
        let of_host = |host: &String| {
            self.lanes
                .get(host)
                .map_or(0, |lane| lane.waiting.len().min(self.most_per_host.saturating_sub(lane.under_way)))
        };
        let free = self.most.saturating_sub(self.under_way);
        self.turns.iter().map(of_host).sum::<usize>().min(free)
    }

    /// Something came to its end: whether the host answered. `Some`: it is down for so many tries, and
    /// what waited for it is handed back.
    pub fn end(&mut self, host: &str, answered: bool) -> Option<(u32, Vec<T>)> {
        self.under_way = self.under_way.saturating_sub(1);
        let lane = self.lane(host);
        lane.under_way = lane.under_way.saturating_sub(1);
        lane.unanswered = if answered { 0 } else { lane.unanswered.saturating_add(1) };
        let (unanswered, is_down) = (lane.unanswered, lane.unanswered >= FAILURES);
        let handed_back: Vec<T> = if is_down { lane.waiting.drain(..).collect() } else { Vec::new() };
        let is_idle = lane.waiting.is_empty() && lane.under_way == 0;
        if is_idle && lane.unanswered == 0 {
            self.lanes.remove(host);
        }
        self.waiting -= handed_back.len();
        if is_down || is_idle {
            self.turns.retain(|turn| turn != host);
        }
        is_down.then_some((unanswered, handed_back))
    }

    /// Nothing is claimed for a host until an instant.
    pub fn rest(&mut self, host: &str, until: Instant) {
        self.lane(host).down_until = Some(until);
    }

    /// Hosts for which nothing more is to be claimed: they have enough, or are down.
    pub fn closed(&mut self, now: Instant) -> Vec<String> {
        // A host that was forgotten begins anew; one that is down keeps its count of failures.
        let day = chrono::Duration::days(1);
        self.lanes.retain(|_, lane| {
            lane.under_way > 0
                || !lane.waiting.is_empty()
                || lane.down_until.is_some_and(|until| now < until + day)
        });
        let enough = (self.most_per_host * 4).max(ENOUGH);
        let is_closed =
            |lane: &Lane<T>| lane.waiting.len() >= enough || lane.down_until.is_some_and(|until| now < until);
        self.lanes.iter().filter(|(_, lane)| is_closed(lane)).map(|(host, _)| host.clone()).collect()
    }

    /// How much is under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// How much waits here for its turn.
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_host_leaves_the_others_their_turn() {
        let mut lanes = Lanes::new(3, 2);
        (0..5).for_each(|n| lanes.wait("slow", n));
        (10..12).for_each(|n| lanes.wait("quick", n));
        let begun: Vec<(String, i32)> = std::iter::from_fn(|| lanes.begin()).collect();
        let of = |host: &str| begun.iter().filter(|(at, _)| at == host).count();
        assert_eq!((of("slow"), of("quick"), lanes.waiting()), (2, 1, 4));
        assert!(lanes.end("quick", true).is_none());
        assert_eq!(lanes.begin(), Some(("quick".to_owned(), 11)));
        assert_eq!(lanes.begin(), None);
    }

    #[test]
    fn a_host_that_never_answers_is_down_and_hands_back_what_waits() {
        let mut lanes = Lanes::new(9, 1);
        (0..6).for_each(|n| lanes.wait("dead", n));
        for _ in 0..2 {
            lanes.begin().unwrap();
            assert!(lanes.end("dead", false).is_none());
        }
        lanes.begin().unwrap();
        assert_eq!(lanes.end("dead", false), Some((3, vec![3, 4, 5])));
        let now = Instant::default();
        lanes.rest("dead", now + chrono::Duration::seconds(5));
        assert_eq!(lanes.closed(now), ["dead"]);
        assert!(lanes.closed(now + chrono::Duration::seconds(5)).is_empty());
        // One more failure is enough from here on; an answer begins anew.
        lanes.wait("dead", 7);
        lanes.begin().unwrap();
        assert_eq!(lanes.end("dead", false), Some((4, vec![])));
        lanes.wait("dead", 8);
        lanes.begin().unwrap();
        assert!(lanes.end("dead", true).is_none());
        assert_eq!((lanes.waiting(), lanes.under_way()), (0, 0));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_bound_is_passed(steps in prop::collection::vec((0_u8..4, 0_u8..4, any::<bool>()), 0..200)) {
            let mut lanes = Lanes::new(5, 2);
            let mut under_way: Vec<String> = Vec::new();
            let (mut put, mut out) = (0, 0);
            for (what, host, answered) in steps {
                match what {
                    0 | 1 => {
                        lanes.wait(&host.to_string(), put);
                        put += 1;
                    }
                    2 => under_way.extend(lanes.begin().map(|(host, _)| host)),
                    _ => if let Some(host) = under_way.pop() {
                        out += 1;
                        if let Some((_, back)) = lanes.end(&host, answered) {
                            out += back.len();
                        }
                    },
                }
                prop_assert!(under_way.len() <= 5);
                prop_assert!(lanes.room() <= lanes.waiting().min(5 - under_way.len()));
                for host in &under_way {
                    prop_assert!(under_way.iter().filter(|other| *other == host).count() <= 2);
                }
                prop_assert_eq!(lanes.under_way(), under_way.len());
                prop_assert_eq!(put, out + under_way.len() + lanes.waiting());
            }
            // Whatever waits is begun in the end.
            loop {
                while let Some((host, _)) = lanes.begin() {
                    under_way.push(host);
                }
                let Some(host) = under_way.pop() else { break };
                lanes.end(&host, true);
            }
            prop_assert_eq!(lanes.waiting(), 0);
        }
    }
}
