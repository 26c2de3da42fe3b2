//! What was promised, in sets: which articles stand where, who wishes for what, what is due to whom.
//! It knows no cursor, no ledger and no statement of the store.

use super::slots::{day_began, next_slot};
use bantin::domain::{Frequency, Instant, Plan};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// Sections 0 to 2, everything, and a search.
pub const SECTIONS: usize = 3;
pub const EVERYTHING: usize = 3;
pub const SEARCH: usize = 4;
pub const FEEDS: usize = 5;
pub const READERS: usize = 3;
pub const HOME: Tz = Tz::Asia__Ho_Chi_Minh;

/// How many articles may wait before one mail brings all.
const MANY: usize = 3;

pub type Titles = BTreeSet<String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Embargoed(Instant),
    Visible,
    Withdrawn,
}

/// An article: in which feeds it stands since which event.
#[derive(Clone, Debug)]
pub struct Piece {
    pub title: String,
    pub sections: BTreeSet<usize>,
    pub telling: bool,
    pub state: State,
    pub published: Instant,
    pub out_since: u64,
    pub stands: BTreeMap<usize, u64>,
}

#[derive(Clone, Debug)]
pub struct Wished {
    pub frequency: Frequency,
    pub begun: u64,
}

/// A mail on its way.
#[derive(Clone, Debug)]
pub struct Mail {
    pub edition: i64,
    pub titles: Titles,
    /// When it was cut, and at which look.
    pub at: Instant,
    pub look: u64,
    pub state: Progress,
    pub doubted: bool,
    /// What its repeat left out, while it was in doubt.
    pub owed: Titles,
    /// Since which of its reader's changes it is held back.
    pub held_back: Option<u64>,
}

impl Mail {
    pub fn is_over(&self) -> bool {
        matches!(self.state, Progress::Accepted | Progress::Suppressed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Waiting,
    InHand,
    Doubtful,
    Accepted,
    Suppressed,
}

#[derive(Clone, Debug, Default)]
pub struct Person {
    pub active: bool,
    pub zone: Option<Tz>,
    pub cap: Option<u32>,
    pub paused_until: Option<Instant>,
    pub wishes: BTreeMap<usize, Wished>,
    /// How often what he gets was changed.
    pub changes: u64,
    /// What ended, by which change and behind which look at the clock.
    pub ended: Vec<(usize, u64, u64)>,
    /// What he left by his last change, if that can be taken back.
    pub left: Option<BTreeMap<usize, Wished>>,
    pub had: Titles,
    pub mails: Vec<Mail>,
}

/// What a look at the clock brings: by which plan, for how many slots, what to whom.
pub type Cut = (String, u32, BTreeMap<usize, Titles>);

pub struct Reference {
    pub pieces: Vec<Piece>,
    pub people: Vec<Person>,
    /// Events, counted: what comes out, is changed or taken back, in its order.
    pub event: u64,
    /// Looks at the clock, counted.
    pub looks: u64,
    touched: [u64; FEEDS],
    watched: Option<u64>,
    plans: BTreeMap<Plan, Instant>,
    told_at_once: u64,
}

impl Person {
    pub fn plan(&self, frequency: &Frequency) -> Plan {
        Plan::of(frequency.clone(), self.zone)
    }

    fn may_have_mail(&self, now: Instant) -> bool {
        let begun = day_began(self.zone.unwrap_or(HOME), now);
        let today = self.mails.iter().filter(|mail| mail.at >= begun && mail.state != Progress::Suppressed);
        self.active
            && self.paused_until.is_none_or(|until| until <= now)
            && self.cap.is_none_or(|cap| today.count() < cap as usize)
    }

    fn wishes_for(&self, piece: &Piece) -> bool {
        piece.stands.keys().any(|feed| self.wishes.contains_key(feed))
    }
}

/// Whether an article is out, and came by something that is wished for since before.
fn comes(pieces: &[Piece], wishes: &BTreeMap<usize, Wished>, title: &String) -> bool {
    let mut stands = pieces.iter().filter(|piece| piece.title == *title).flat_map(|piece| &piece.stands);
    stands.any(|(feed, came)| wishes.get(feed).is_some_and(|wished| *came > wished.begun))
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            people: vec![Person::default(); READERS],
            event: 0,
            looks: 0,
            touched: [0; FEEDS],
            watched: None,
            plans: BTreeMap::new(),
            told_at_once: 0,
        }
    }
}

impl Reference {
    fn next(&mut self) -> u64 {
        self.event += 1;
        self.event
    }

    /// A digest that is declared before anything happens.
    pub fn declare(&mut self, plan: Plan, now: Instant) {
        self.plans.entry(plan.clone()).or_insert(next_slot(plan.frequency(), HOME, now));
    }

    pub fn publish(
        &mut self,
        title: &str,
        sections: BTreeSet<usize>,
        telling: bool,
        published: Instant,
        now: Instant,
    ) {
        self.pieces.push(Piece {
            title: title.to_owned(),
            sections,
            telling,
            state: if published > now { State::Embargoed(published) } else { State::Visible },
            published,
            out_since: 0,
            stands: BTreeMap::new(),
        });
        if published <= now {
            self.bring_out(self.pieces.len() - 1);
        }
    }

    fn bring_out(&mut self, piece: usize) {
        let event = self.next();
        let watched = self.watched.is_some();
        let piece = &mut self.pieces[piece];
        (piece.state, piece.out_since) = (State::Visible, event);
        let found = (piece.telling && watched).then_some(SEARCH);
        let feeds = piece.sections.iter().copied().chain([EVERYTHING]).chain(found);
        piece.stands = feeds.map(|feed| (feed, event)).collect();
        for feed in piece.stands.keys() {
            self.touched[*feed] = event;
        }
    }

    /// Other sections or other words.
    pub fn revise(&mut self, piece: usize, section: Option<usize>, telling: bool, now: Instant) {
        let watched = self.watched;
        let event = self.next();
        let number = piece;
        let piece = &mut self.pieces[piece];
        piece.telling = telling;
        piece.sections.extend(section);
        // Its hour has come and nobody has looked at the clock yet.
        if matches!(piece.state, State::Embargoed(from) if from <= now) {
            return self.bring_out(number);
        }
        if piece.state != State::Visible {
            return;
        }
        for feed in piece.stands.keys() {
            self.touched[*feed] = event;
        }
        if let Some(section) = section {
            piece.stands.entry(section).or_insert(event);
            self.touched[section] = event;
        }
        let news = watched.is_some_and(|since| piece.out_since > since);
        if !telling {
            piece.stands.remove(&SEARCH);
        } else if news {
            piece.stands.entry(SEARCH).or_insert(event);
            self.touched[SEARCH] = event;
        }
    }

    pub fn withdraw(&mut self, piece: usize) {
        let event = self.next();
        for feed in std::mem::take(&mut self.pieces[piece].stands).into_keys() {
            self.touched[feed] = event;
        }
        self.pieces[piece].state = State::Withdrawn;
    }

    /// By a clock that went back it may be still to come.
    pub fn restore(&mut self, piece: usize, now: Instant) {
        let published = self.pieces[piece].published;
        if published > now {
            self.pieces[piece].state = State::Embargoed(published);
        } else {
            self.bring_out(piece);
        }
    }

    /// Embargoes end in the order of their instants.
    fn release(&mut self, now: Instant) {
        let mut due: Vec<(Instant, usize)> = Vec::new();
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece.state {
                State::Embargoed(from) if from <= now => due.push((from, at)),
                _ => {}
            }
        }
        due.sort_unstable();
        due.into_iter().for_each(|(_, piece)| self.bring_out(piece));
    }

    /// Everything named is wished for from now on, or as often as it says from now on.
    pub fn wish(&mut self, person: usize, wishes: &[(usize, Frequency)], now: Instant) {
        // Who comes back has not had what was held back from him.
        if !self.people[person].active {
            let person = &mut self.people[person];
            for mail in person.mails.iter_mut().filter(|m| m.state == Progress::Suppressed && !m.doubted) {
                for title in std::mem::take(&mut mail.titles) {
                    person.had.remove(&title);
                }
            }
        }
        let change = self.people[person].changes + 1;
        for (feed, frequency) in wishes {
            if *feed == SEARCH && self.watched.is_none() {
                self.watch();
            }
            let (event, look) = (self.event, self.looks);
            let person = &mut self.people[person];
            match person.wishes.get_mut(feed) {
                Some(wished) if wished.frequency == *frequency => {}
                Some(wished) => {
                    wished.frequency = frequency.clone();
                    person.ended.push((*feed, change, look));
                    (person.changes, person.left) = (change, None);
                }
                None => {
                    person.wishes.insert(*feed, Wished { frequency: frequency.clone(), begun: event });
                    (person.changes, person.left) = (change, None);
                }
            }
        }
        self.people[person].active = true;
        self.plan(person, now);
    }

    fn watch(&mut self) {
        self.watched = Some(self.event);
        for piece in self.pieces.iter_mut().filter(|piece| piece.telling && piece.state == State::Visible) {
            piece.stands.insert(SEARCH, piece.out_since);
        }
        self.touched[SEARCH] = self.next();
    }

    /// A plan is there since its first reader.
    pub fn plan(&mut self, person: usize, now: Instant) {
        for wished in self.people[person].wishes.values() {
            let plan = self.people[person].plan(&wished.frequency);
            let zone = plan.zone().unwrap_or(HOME);
            if !self.plans.contains_key(&plan) {
                if plan.frequency() == &Frequency::AtOnce {
                    self.told_at_once = self.event;
                }
                self.plans.insert(plan.clone(), next_slot(plan.frequency(), zone, now));
            }
        }
    }

    /// Ends wishes. `by_link`: so that it can be taken back.
    pub fn end(&mut self, person: usize, feeds: &[usize], by_link: bool) {
        let look = self.looks;
        let person = &mut self.people[person];
        let gone: BTreeMap<usize, Wished> =
            feeds.iter().filter_map(|feed| Some((*feed, person.wishes.remove(feed)?))).collect();
        if !gone.is_empty() {
            person.changes += 1;
            person.ended.extend(gone.keys().map(|feed| (*feed, person.changes, look)));
            person.left = by_link.then_some(gone);
        }
        if person.wishes.is_empty() {
            person.active = false;
            for mail in person.mails.iter_mut().filter(|mail| mail.state == Progress::Waiting) {
                (mail.state, mail.held_back) = (Progress::Suppressed, Some(person.changes));
                if mail.doubted {
                    mail.owed.clone_from(&mail.titles);
                }
            }
        }
    }

    /// Takes his last change back, if it was a leaving. What the store says of it: how many.
    pub fn undo(&mut self, person: usize, now: Instant) -> u64 {
        let gone = self.people[person].left.take().unwrap_or_default();
        if !gone.is_empty() {
            let person = &mut self.people[person];
            let left = person.changes;
            person.changes += 1;
            person.ended.retain(|(_, change, _)| *change != left);
            person.wishes.extend(gone.clone());
            person.active = true;
            for mail in
                person.mails.iter_mut().filter(|mail| mail.held_back.is_some_and(|since| since >= left))
            {
                (mail.state, mail.held_back) = (Progress::Waiting, None);
            }
        }
        self.plan(person, now);
        gone.len() as u64
    }

    /// What is due to whom by a plan: wished for by it, came out since, up to an event, never had.
    fn due(
        &self,
        plan: &Plan,
        up_to: u64,
        changed_after: Option<u64>,
        now: Instant,
    ) -> BTreeMap<usize, Titles> {
        let mut due: BTreeMap<usize, Titles> = BTreeMap::new();
        for (number, person) in self.people.iter().enumerate().filter(|(_, p)| p.may_have_mail(now)) {
            for (feed, wished) in &person.wishes {
                if person.plan(&wished.frequency) != *plan
                    || changed_after.is_some_and(|after| self.touched[*feed] <= after)
                {
                    continue;
                }
                for piece in &self.pieces {
                    let came = piece.stands.get(feed);
                    if came.is_some_and(|came| *came > wished.begun && *came <= up_to)
                        && !person.had.contains(&piece.title)
                    {
                        due.entry(number).or_default().insert(piece.title.clone());
                    }
                }
            }
        }
        due
    }

    fn mail(
        &mut self,
        plan: &Plan,
        slots: u32,
        due: BTreeMap<usize, Titles>,
        now: Instant,
        cuts: &mut Vec<Cut>,
    ) {
        if due.is_empty() {
            return;
        }
        for (person, titles) in &due {
            let person = &mut self.people[*person];
            person.had.extend(titles.iter().cloned());
            person.mails.push(Mail {
                edition: 0,
                titles: titles.clone(),
                at: now,
                look: self.looks,
                state: Progress::Waiting,
                doubted: false,
                owed: Titles::new(),
                held_back: None,
            });
        }
        cuts.push((plan.to_string(), slots, due));
    }

    /// A look at the clock.
    pub fn tick(&mut self, now: Instant) -> Vec<Cut> {
        self.looks += 1;
        self.release(now);
        self.pay(now);
        let mut cuts = Vec::new();
        self.tell_at_once(now, &mut cuts);
        let mut come: Vec<(Instant, String, Plan)> = Vec::new();
        for (plan, next) in self.plans.iter().filter(|(_, next)| **next <= now) {
            come.push((*next, plan.to_string(), plan.clone()));
        }
        come.sort();
        for (next, _, plan) in come {
            let zone = plan.zone().unwrap_or(HOME);
            let (mut after, mut slots) = (next, 0);
            while after <= now {
                after = next_slot(plan.frequency(), zone, after);
                slots += 1;
            }
            if plan.frequency() == &Frequency::AtOnce {
                (self.told_at_once, slots) = (self.event, 1);
            }
            let due = self.due(&plan, self.event, None, now);
            self.mail(&plan, slots, due, now, &mut cuts);
            self.plans.insert(plan, after);
        }
        cuts
    }

    /// Letters in doubt that are over go out again, once they can tell what they left out.
    fn pay(&mut self, now: Instant) {
        for person in &mut self.people {
            if !person.active || person.paused_until.is_some_and(|until| until > now) {
                continue;
            }
            let (pieces, wishes) = (&self.pieces, &person.wishes);
            let comes = |title: &String| comes(pieces, wishes, title);
            for mail in &mut person.mails {
                if mail.is_over() && mail.owed.iter().any(comes) {
                    (mail.state, mail.at, mail.held_back) = (Progress::Waiting, now, None);
                    mail.owed.clear();
                }
            }
        }
    }

    fn tell_at_once(&mut self, now: Instant, cuts: &mut Vec<Cut>) {
        let plan = Plan::of(Frequency::AtOnce, None);
        if !self.plans.contains_key(&plan) {
            return;
        }
        let wished = |feed: &usize| {
            let mut all = self.people.iter().filter_map(|person| person.wishes.get(feed));
            all.any(|wished| wished.frequency == Frequency::AtOnce)
        };
        let stands = self.pieces.iter().flat_map(|piece| &piece.stands);
        let events: BTreeSet<u64> = stands
            .filter(|(feed, came)| **came > self.told_at_once && wished(feed))
            .map(|(_, came)| *came)
            .collect();
        let events: Vec<u64> = events.into_iter().collect();
        for together in events.chunks(if events.len() > MANY { events.len() } else { 1 }) {
            let up_to = together[together.len() - 1];
            let due = self.due(&plan, up_to, Some(self.told_at_once), now);
            self.mail(&plan, together.len() as u32, due, now, cuts);
            self.told_at_once = up_to;
        }
    }

    /// What a letter says if it is written now; what it leaves out is due again, where nobody can
    /// have seen it.
    pub fn letter(&mut self, person: usize, mail: usize, now: Instant) -> Titles {
        let (pieces, person) = (&self.pieces, &mut self.people[person]);
        let paused = person.paused_until.is_some_and(|until| until > now);
        let Mail { titles, look, doubted, .. } = &person.mails[mail];
        let stays = |title: &&String| {
            let piece = pieces.iter().find(|piece| piece.title == **title).unwrap();
            // Left is its section, or anything at all since the cut where it is in none any more.
            let left = person
                .ended
                .iter()
                .any(|(feed, _, behind)| behind >= look || piece.stands.contains_key(feed));
            !paused && piece.state == State::Visible && (person.wishes_for(piece) || !left)
        };
        let said: Titles = titles.iter().filter(stays).cloned().collect();
        if *doubted {
            let mail = &mut person.mails[mail];
            mail.owed = mail.titles.difference(&said).cloned().collect();
        } else {
            let mail = &mut person.mails[mail];
            for title in mail.titles.iter().filter(|title| !said.contains(*title)) {
                person.had.remove(title);
            }
            mail.titles = said.clone();
        }
        said
    }

    /// A letter is in hand whose reader has left.
    pub fn needless(&mut self, person: usize, mail: usize) {
        let mail = &mut self.people[person].mails[mail];
        if mail.doubted {
            mail.owed.clone_from(&mail.titles);
        }
    }

    /// What is due to anybody and on no way to him.
    pub fn still_due(&self) -> Vec<(usize, String)> {
        let mut due = Vec::new();
        for (number, person) in self.people.iter().enumerate() {
            for (feed, wished) in &person.wishes {
                let came = |piece: &&Piece| piece.stands.get(feed).is_some_and(|came| *came > wished.begun);
                let missing = self.pieces.iter().filter(came).filter(|p| !person.had.contains(&p.title));
                due.extend(missing.map(|piece| (number, piece.title.clone())));
            }
            let owed = person.mails.iter().flat_map(|mail| &mail.owed);
            let missing = owed.filter(|title| comes(&self.pieces, &person.wishes, title));
            due.extend(missing.map(|title| (number, title.clone())));
        }
        due
    }
}
