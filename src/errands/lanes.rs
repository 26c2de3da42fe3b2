//! Work for many hosts at once: so much overall, so much for one host, each host in its turn.

use super::{NotYet, Waits};
use crate::domain::Instant;
use std::collections::{HashMap, VecDeque};

/// How many failures in a row, without an answer between, say that a host is down.
const FAILURES: u32 = 3;

/// How much may lie here for a host, lest those who try wait for the store.
const ENOUGH: usize = 128;

/// How much stays here in all for hosts that do not get their turn; the rest goes back to the queue, or
/// it would take up the room of the others.
const KEPT: usize = 8;

/// How many more than all may be under way where somebody waits for them.
const URGENT: usize = 2;

/// After how long it is asked again whether something may begin that might not: what holds it up may
/// have changed.
const ASK_AGAIN: chrono::Duration = chrono::Duration::seconds(1);

/// What one host has to do.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    /// The first so many of what waits overtook the rest.
    urgent: usize,
    /// Before then it is not asked whether something may begin.
    not_before: Option<Instant>,
    /// Whether what holds it up is its own.
    is_slow: bool,
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
    urgent: usize,
    under_way: usize,
    /// Whether any lane may be held up, so that others need not be looked through.
    is_held_up: bool,
    /// Whether nothing can begin at all.
    is_shut: bool,
    most: usize,
    most_per_host: usize,
}

impl<T> Lane<T> {
    fn is_shut(&self, now: Instant) -> bool {
        // A clock that was set back shuts nothing for longer.
        self.not_before.is_some_and(|until| now < until && until - now <= ASK_AGAIN)
    }
}

impl<T> Lanes<T> {
    /// With nothing to do: so many at once, so many for one host.
    pub fn new(most: usize, most_per_host: usize) -> Self {
        let (lanes, turns) = (HashMap::new(), VecDeque::new());
        let (is_held_up, is_shut) = (false, false);
        Self { lanes, turns, waiting: 0, urgent: 0, under_way: 0, is_held_up, is_shut, most, most_per_host }
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

    /// Puts work before what its host has already, and gives it the next turn.
    pub fn overtake(&mut self, host: &str, work: T) {
        let lane = self.lane(host);
        lane.waiting.insert(lane.urgent, work);
        lane.urgent += 1;
        lane.not_before = None;
        self.turns.retain(|turn| turn != host);
        self.turns.push_front(host.to_owned());
        self.waiting += 1;
        self.urgent += 1;
    }

    fn lane(&mut self, host: &str) -> &mut Lane<T> {
        self.lanes.entry(host.to_owned()).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            urgent: 0,
            not_before: None,
            is_slow: false,
            under_way: 0,
            unanswered: 0,
            down_until: None,
        })
    }

    /// What may begin now, if anything may. It is under way until [`Self::end`].
    pub fn begin(
        &mut self,
        now: Instant,
        mut admit: impl FnMut(&mut T) -> Result<(), NotYet>,
    ) -> Option<(String, T)> {
        let is_full = self.under_way >= self.most;
        if is_full && (self.urgent == 0 || self.under_way >= self.most + URGENT) {
            return None;
        }
        for _ in 0..self.turns.len() {
            let host = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&host) else { continue };
            if lane.under_way >= self.most_per_host || lane.is_shut(now) || (is_full && lane.urgent == 0) {
                self.turns.push_back(host);
                continue;
            }
            let Some(first) = lane.waiting.front_mut() else { continue };
            if let Err(wait) = admit(first) {
                lane.not_before = Some(wait.until.min(now + ASK_AGAIN));
                lane.is_slow = wait.waits == Waits::Host;
                self.is_shut |= wait.waits == Waits::Everybody;
                self.is_held_up = true;
                self.turns.push_back(host);
                continue;
            }
            let Some(work) = lane.waiting.pop_front() else { continue };
            let was_urgent = usize::from(lane.urgent > 0);
            lane.urgent -= was_urgent;
            (lane.not_before, lane.is_slow) = (None, false);
            lane.under_way += 1;
            self.urgent -= was_urgent;
            self.under_way += 1;
            self.waiting -= 1;
            if !lane.waiting.is_empty() {
                self.turns.push_back(host.clone());
            }
            return Some((host, work));
        }
        None
    }

    /// How many may begin now, as far as is known.
    pub fn room(&self, now: Instant) -> usize {
        let of_host = |host: &String| match self.lanes.get(host) {
            Some(lane) if !lane.is_shut(now) => {
                lane.waiting.len().min(self.most_per_host.saturating_sub(lane.under_way))
            }
            _ => 0,
        };
        let most = self.most + self.urgent.min(URGENT);
        self.turns.iter().map(of_host).sum::<usize>().min(most.saturating_sub(self.under_way))
    }

    /// When the next is to be asked for that might not begin.
    pub fn opens_at(&mut self) -> Option<Instant> {
        if !self.is_held_up {
            return None;
        }
        let waits = |lane: &&Lane<T>| !lane.waiting.is_empty();
        let first = self.lanes.values().filter(waits).filter_map(|lane| lane.not_before).min();
        self.is_held_up = first.is_some();
        first
    }

    /// Takes out what goes back to the queue, where it leaves the room to others: all but a few for
    /// hosts that are slow by themselves, and everything where nothing can begin.
    pub fn spill(&mut self) -> Vec<(String, Vec<T>)> {
        let mut spilt = Vec::new();
        if !self.is_held_up {
            return spilt;
        }
        let mut kept = 0;
        for (host, lane) in &mut self.lanes {
            let keep = match (self.is_shut, lane.is_slow) {
                (true, _) => 0,
                (false, true) => lane.urgent.max(KEPT.saturating_sub(kept)).min(lane.waiting.len()),
                (false, false) => continue,
            };
            kept += keep;
            if lane.waiting.len() > keep {
                self.urgent -= lane.urgent.saturating_sub(keep);
                lane.urgent = lane.urgent.min(keep);
                spilt.push((host.clone(), lane.waiting.drain(keep..).collect::<Vec<T>>()));
            }
            if lane.waiting.is_empty() {
                (lane.is_slow, lane.not_before) = (false, None);
                self.turns.retain(|turn| turn != host);
            }
        }
        self.is_shut = false;
        self.waiting -= spilt.iter().map(|(_, work)| work.len()).sum::<usize>();
        spilt
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
        let was_urgent = if is_down { std::mem::take(&mut lane.urgent) } else { 0 };
        let is_idle = lane.waiting.is_empty() && lane.under_way == 0;
        if is_idle && lane.unanswered == 0 {
            self.lanes.remove(host);
        }
        self.waiting -= handed_back.len();
        self.urgent -= was_urgent;
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
    use chrono::Duration;
    use proptest::prelude::*;

    fn begin<T>(lanes: &mut Lanes<T>) -> Option<(String, T)> {
        lanes.begin(Instant::default(), |_| Ok(()))
    }

    #[test]
    fn who_is_waited_for_overtakes_and_has_room_of_its_own() {
        let mut lanes = Lanes::new(2, 9);
        (0..4).for_each(|n| lanes.wait("a", n));
        begin(&mut lanes).unwrap();
        begin(&mut lanes).unwrap();
        assert_eq!(begin(&mut lanes), None);
        lanes.overtake("a", 10);
        lanes.overtake("b", 11);
        lanes.overtake("a", 12);
        assert_eq!(lanes.room(Instant::default()), 2);
        assert_eq!(begin(&mut lanes), Some(("a".to_owned(), 10)));
        assert_eq!(begin(&mut lanes), Some(("b".to_owned(), 11)));
        assert_eq!(begin(&mut lanes), None, "two more than all");
        (0..3).for_each(|_| assert!(lanes.end("a", true).is_none()));
        assert_eq!(begin(&mut lanes), Some(("a".to_owned(), 12)));
        assert_eq!(begin(&mut lanes), None);
        assert!(lanes.end("b", true).is_none());
        assert_eq!(begin(&mut lanes), Some(("a".to_owned(), 2)));
    }

    #[test]
    fn a_slow_host_gives_its_room_to_others() {
        let mut lanes = Lanes::new(9, 9);
        (0..20).for_each(|n| lanes.wait("slow", n));
        lanes.overtake("slow", 100);
        (30..32).for_each(|n| lanes.wait("quick", n));
        let now = Instant::default();
        let until = now + Duration::seconds(30);
        let mut asked = 0;
        let mut next = |lanes: &mut Lanes<i32>, now| {
            lanes.begin(now, |n| {
                asked += 1;
                if *n < 30 || *n == 100 { Err(NotYet { until, waits: Waits::Host }) } else { Ok(()) }
            })
        };
        assert_eq!(next(&mut lanes, now), Some(("quick".to_owned(), 30)));
        assert_eq!(next(&mut lanes, now), Some(("quick".to_owned(), 31)));
        assert_eq!((next(&mut lanes, now), lanes.room(now)), (None, 0));
        assert_eq!(asked, 3, "who might not is not asked again at once");
        assert_eq!(lanes.opens_at(), Some(now + ASK_AGAIN), "but soon, should it recover");
        let spilt = lanes.spill();
        assert_eq!(spilt, [("slow".to_owned(), (7..20).collect())]);
        assert_eq!(lanes.waiting(), KEPT, "the urgent one stays, with the next few");
        let begun = lanes.begin(now + ASK_AGAIN, |_| Ok(()));
        assert_eq!(begun, Some(("slow".to_owned(), 100)));
        assert!(lanes.spill().is_empty());
    }

    #[test]
    fn where_nothing_can_begin_everything_goes_back() {
        let mut lanes = Lanes::new(9, 9);
        (0..5).for_each(|n| lanes.wait("a", n));
        lanes.overtake("b", 10);
        let now = Instant::default();
        let down = NotYet { until: now + Duration::seconds(30), waits: Waits::Everybody };
        assert_eq!(lanes.begin(now, |_| Err(down)), None);
        assert_eq!(lanes.spill().iter().map(|(_, work)| work.len()).sum::<usize>(), 6);
        assert_eq!((lanes.waiting(), lanes.opens_at(), lanes.room(now)), (0, None, 0));
        lanes.wait("a", 20);
        assert_eq!(begin(&mut lanes), Some(("a".to_owned(), 20)));
    }

    #[test]
    fn a_full_host_leaves_the_others_their_turn() {
        let mut lanes = Lanes::new(3, 2);
        (0..5).for_each(|n| lanes.wait("slow", n));
        (10..12).for_each(|n| lanes.wait("quick", n));
        let begun: Vec<(String, i32)> = std::iter::from_fn(|| begin(&mut lanes)).collect();
        let of = |host: &str| begun.iter().filter(|(at, _)| at == host).count();
        assert_eq!((of("slow"), of("quick"), lanes.waiting()), (2, 1, 4));
        assert!(lanes.end("quick", true).is_none());
        assert_eq!(begin(&mut lanes), Some(("quick".to_owned(), 11)));
        assert_eq!(begin(&mut lanes), None);
    }

    #[test]
    fn a_host_that_never_answers_is_down_and_hands_back_what_waits() {
        let mut lanes = Lanes::new(9, 1);
        (0..6).for_each(|n| lanes.wait("dead", n));
        for _ in 0..2 {
            begin(&mut lanes).unwrap();
            assert!(lanes.end("dead", false).is_none());
        }
        begin(&mut lanes).unwrap();
        assert_eq!(lanes.end("dead", false), Some((3, vec![3, 4, 5])));
        let now = Instant::default();
        lanes.rest("dead", now + chrono::Duration::seconds(5));
        assert_eq!(lanes.closed(now), ["dead"]);
        assert!(lanes.closed(now + chrono::Duration::seconds(5)).is_empty());
        // One more failure is enough from here on; an answer begins anew.
        lanes.wait("dead", 7);
        begin(&mut lanes).unwrap();
        assert_eq!(lanes.end("dead", false), Some((4, vec![])));
        lanes.wait("dead", 8);
        begin(&mut lanes).unwrap();
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
                    2 => under_way.extend(begin(&mut lanes).map(|(host, _)| host)),
                    _ => if let Some(host) = under_way.pop() {
                        out += 1;
                        if let Some((_, back)) = lanes.end(&host, answered) {
                            out += back.len();
                        }
                    },
                }
                prop_assert!(under_way.len() <= 5);
                prop_assert!(lanes.room(Instant::default()) <= lanes.waiting().min(5 - under_way.len()));
                for host in &under_way {
                    prop_assert!(under_way.iter().filter(|other| *other == host).count() <= 2);
                }
                prop_assert_eq!(lanes.under_way(), under_way.len());
                prop_assert_eq!(put, out + under_way.len() + lanes.waiting());
            }
            // Whatever waits is begun in the end.
            loop {
                while let Some((host, _)) = begin(&mut lanes) {
                    under_way.push(host);
                }
                let Some(host) = under_way.pop() else { break };
                lanes.end(&host, true);
            }
            prop_assert_eq!(lanes.waiting(), 0);
        }
    }
}
