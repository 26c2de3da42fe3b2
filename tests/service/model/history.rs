//! One history: what happens is drawn, done to the store and said to the model.

use super::ground::{Ground, draft_of, founded};
use super::kill::{Deaths, Killed};
use super::reference::{FEEDS, HOME, READERS, Reference, SECTIONS, State, Titles};
use crate::newsroom::Seeded;
use bantin::digest::register;
use bantin::domain::{
    ArticleId, Calendar, Chance, Digest, DigestFeeds, FeedKey, Instant, Schedule, Slug, SubscriberId,
};
use bantin::store::Store;
use chrono::Duration;
use chrono_tz::Tz;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

/// An ordinary day, and days before clocks change somewhere.
const BEGINNINGS: [&str; 5] = ["2026-11-16", "2026-03-06", "2026-03-27", "2026-10-23", "2026-04-03"];

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Publish,
    Embargo,
    Revise,
    Withdraw,
    Restore,
    Subscribe,
    Prefer,
    Habits,
    LeaveAll,
    LeavePart,
    Undo,
    Jump,
    Look,
    Deliver,
    /// Something is mailed, perhaps; then it must not be told for a while, and then it may.
    BadDay,
}

pub struct History<'g> {
    seed: u64,
    pub ground: &'g mut Ground,
    deaths: Cell<Deaths>,
    dice: Seeded,
    pub now: Instant,
    digests: Vec<Digest>,
    pub feeds: Vec<FeedKey>,
    /// The articles, by their number in the model.
    articles: Vec<ArticleId>,
    pub ids: Vec<Option<SubscriberId>>,
    /// What each delivery said to whom, where it may have arrived.
    pub said: BTreeMap<i64, (usize, Titles)>,
    pub last_edition: i64,
    pub workers: u32,
    pub model: Reference,
    told: Vec<String>,
}

impl<'g> History<'g> {
    pub async fn begin(seed: u64, deaths: Deaths, ground: &'g mut Ground) -> Self {
        ground.wipe().await;
        let dice = Seeded::starting_at(seed + 1);
        let zone = Tz::Asia__Ho_Chi_Minh;
        let sang = Digest {
            slug: Slug::parse("sang").unwrap(),
            title: "Sáng".to_owned(),
            schedule: Schedule::parse("30 6 * * *", zone).unwrap(),
            feeds: DigestFeeds::Every,
            template: Slug::parse("digest").unwrap(),
            max_articles: 30,
            review: false,
            archive: true,
        };
        let mut history = Self {
            seed,
            feeds: ground.feeds.clone(),
            articles: ground.articles.clone(),
            ground,
            deaths: Cell::new(deaths),
            dice,
            now: Instant::default(),
            digests: vec![sang],
            ids: vec![None; READERS],
            said: BTreeMap::new(),
            last_edition: 0,
            workers: 0,
            model: founded(),
            told: Vec::new(),
        };
        history.now = format!("{}T00:07:00Z", history.pick(&BEGINNINGS)).parse().unwrap();
        register(&history.ground.store(0), &history.calendar(), history.now).await.unwrap();
        history.model.declare(history.digests[0].slug.clone().into(), history.now);
        history
    }

    pub fn calendar(&self) -> Calendar<'_> {
        Calendar { digests: &self.digests, zone: HOME, spread: std::time::Duration::ZERO }
    }

    pub fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % sides as u64).unwrap()
    }

    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Either of two programs on one store.
    pub fn store(&self) -> Store {
        self.ground.store(self.roll(2))
    }

    /// Does something. `None`: the process died over it, and nobody knows how far it came.
    pub async fn perhaps<T, F: Future<Output = T>>(&self, work: impl Fn(Store) -> F) -> Option<T> {
        let waits = match self.deaths.get() {
            Deaths::NowAndThen if self.roll(6) == 0 => u32::try_from(self.roll(24)).unwrap(),
            Deaths::NowAndThen | Deaths::Over => return Some(work(self.store()).await),
            Deaths::After(waits) => waits,
        };
        let lived = Killed::at(waits, work(self.store())).await;
        if let Deaths::After(_) = self.deaths.get() {
            self.deaths.set(lived.as_ref().map_or(Deaths::Over, |(_, left)| Deaths::After(*left)));
            if lived.is_none() {
                self.ground.restart().await;
            }
        }
        lived.map(|(done, _)| done)
    }

    /// Does something; where the process dies over it, another does it again.
    pub async fn surely<T, F: Future<Output = T>>(&self, work: impl Fn(Store) -> F) -> T {
        match self.perhaps(&work).await {
            Some(done) => done,
            None => work(self.store()).await,
        }
    }

    /// Lives through what chance brings, and says where a fault was and what happened before. How many
    /// mails.
    pub async fn live(mut self) -> usize {
        for _ in 0..10 + self.roll(20) {
            let seconds = 60 + self.roll(4 * 3_600);
            self.pass(Duration::seconds(i64::try_from(seconds).unwrap()));
            let person = self.roll(READERS);
            self.act(self.some_act(), person).await;
        }
        self.end().await;
        self.said.len()
    }

    /// Lives through these acts, all of one reader. Whether anybody died.
    pub async fn live_by(mut self, acts: &[Act]) -> bool {
        for act in acts {
            self.pass(Duration::hours(3));
            self.act(*act, 0).await;
        }
        self.end().await;
        self.deaths.get() == Deaths::Over
    }

    pub fn pass(&mut self, time: Duration) {
        // No two moments are the same, also after the clock went back.
        self.now += time + Duration::microseconds(1);
    }

    pub fn tell(&mut self, what: String) {
        self.told.push(format!("{} {what}", self.now.format("%d %H:%M:%S")));
    }

    pub fn story(&self) -> String {
        format!("BANTIN_MODEL_SEED={} {:?}\n{}", self.seed, self.deaths.get(), self.told.join("\n"))
    }

    /// Every eighth history is of bad times: letters die in hands, articles are taken back and come again.
    fn is_of_bad_times(&self) -> bool {
        self.seed % 8 == 1
    }

    /// Whether something goes wrong that does so once in eight times, and in bad times once in two.
    pub fn goes_wrong(&self) -> bool {
        self.roll(if self.is_of_bad_times() { 2 } else { 8 }) == 0
    }

    fn some_act(&self) -> Act {
        if self.is_of_bad_times() && self.roll(8) == 0 {
            return Act::BadDay;
        }
        match self.roll(33) {
            0..=5 => Act::Publish,
            6 => Act::Embargo,
            7 | 8 => Act::Revise,
            9 => Act::Withdraw,
            10 => Act::Restore,
            11..=14 => Act::Subscribe,
            15 | 16 => Act::Prefer,
            17..=19 => Act::Habits,
            20 => Act::LeaveAll,
            21 => Act::LeavePart,
            22 | 23 => Act::Undo,
            24 => Act::Jump,
            25..=29 => Act::Look,
            _ => Act::Deliver,
        }
    }

    async fn act(&mut self, act: Act, person: usize) {
        match act {
            Act::Publish => self.publish(self.some_sections(), self.roll(3) == 0, None).await,
            Act::Embargo => {
                let from = self.now + Duration::minutes(i64::try_from(self.roll(900)).unwrap() + 1);
                self.publish(self.some_sections(), self.roll(2) == 0, Some(from)).await;
            }
            Act::Revise => self.revise().await,
            Act::Withdraw => self.withdraw().await,
            Act::Restore => self.restore().await,
            Act::Subscribe => self.subscribe(person).await,
            Act::Prefer => self.prefer(person).await,
            Act::Habits => self.habits(person).await,
            Act::LeaveAll => self.leave(person, (0..FEEDS).collect()).await,
            Act::LeavePart => self.leave(person, vec![self.roll(FEEDS)]).await,
            Act::Undo => self.undo(person).await,
            Act::Jump => self.jump(),
            Act::Look => self.look().await,
            Act::Deliver => self.deliver().await,
            Act::BadDay => self.bad_day(person).await,
        }
    }

    async fn bad_day(&mut self, person: usize) {
        self.subscribe(person).await;
        self.publish((0..SECTIONS).collect(), true, None).await;
        self.pass(Duration::hours(26));
        self.look().await;
        self.deliver().await;
        let hindrance = self.roll(3);
        match hindrance {
            0 => self.withdraw().await,
            1 => self.pause(person, true).await,
            _ => self.leave(person, vec![self.roll(FEEDS), self.roll(FEEDS)]).await,
        }
        self.pass(Duration::hours(1));
        self.deliver().await;
        match hindrance {
            0 => self.restore().await,
            1 => self.pause(person, false).await,
            _ => self.undo(person).await,
        }
        self.look().await;
        self.deliver().await;
    }

    fn some_sections(&self) -> BTreeSet<usize> {
        (0..=self.roll(2)).map(|_| self.roll(SECTIONS)).collect()
    }

    async fn accept(&self, piece: usize) -> ArticleId {
        let draft = draft_of(&self.model.pieces[piece]);
        self.surely(|store| {
            let (draft, now) = (draft.clone(), self.now);
            let chance = Seeded::starting_at(self.told.len() as u64);
            async move { store.accept(&[draft], true, now, &chance).await.unwrap()[0].id }
        })
        .await
    }

    async fn publish(&mut self, sections: BTreeSet<usize>, telling: bool, from: Option<Instant>) {
        // A date of long ago is no reason to be forgotten.
        let long_ago = self.now - Duration::days(if self.roll(4) == 0 { 400 } else { 0 });
        let title = format!("bài {}", self.model.pieces.len());
        self.tell(format!("publishes {title} in {sections:?}, telling {telling}, from {from:?}"));
        self.model.publish(&title, sections, telling, from.unwrap_or(long_ago), self.now);
        let id = self.accept(self.model.pieces.len() - 1).await;
        self.articles.push(id);
    }

    async fn revise(&mut self) {
        let piece = self.roll(self.model.pieces.len());
        let section = (self.roll(2) == 0).then(|| self.roll(SECTIONS));
        let telling = self.roll(2) == 0;
        let known = &self.model.pieces[piece];
        if known.telling == telling && section.is_none_or(|section| known.sections.contains(&section)) {
            return;
        }
        self.tell(format!("revises bài {piece}: into {section:?}, telling {telling}"));
        self.model.revise(piece, section, telling, self.now);
        self.accept(piece).await;
    }

    fn some_piece(&self, state: impl Fn(&State) -> bool) -> Option<usize> {
        let pieces = self.model.pieces.iter().enumerate();
        let fitting: Vec<usize> = pieces.filter(|(_, piece)| state(&piece.state)).map(|(at, _)| at).collect();
        (!fitting.is_empty()).then(|| *self.pick(&fitting))
    }

    async fn turn(&self, piece: usize, back: bool) {
        let id = self.articles[piece];
        self.surely(|store| {
            let now = self.now;
            async move {
                if back {
                    store.restore(id, now).await.unwrap()
                } else {
                    store.withdraw(id, now).await.unwrap()
                }
            }
        })
        .await;
    }

    async fn withdraw(&mut self) {
        let Some(piece) = self.some_piece(|state| *state == State::Visible) else { return };
        self.tell(format!("withdraws bài {piece}"));
        self.model.withdraw(piece);
        self.turn(piece, false).await;
    }

    async fn restore(&mut self) {
        let Some(piece) = self.some_piece(|state| *state == State::Withdrawn) else { return };
        self.tell(format!("restores bài {piece}"));
        self.model.restore(piece, self.now);
        self.turn(piece, true).await;
    }

    /// The clock is put wrong by a day, or the program is down for days.
    fn jump(&mut self) {
        let days = [-1, 1, 2, 9][self.roll(4)];
        self.tell(format!("the clock jumps {days} days"));
        self.pass(Duration::days(days));
    }
}
