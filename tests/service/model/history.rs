//! One history: what happens is drawn, done to the store and said to the model.

use super::kill::Killed;
use super::reference::{Cut, FEEDS, HOME, Progress, Reference, SECTIONS, State, Titles};
use crate::newsroom::{Seeded, draft};
use bantin::digest::{open_due, register};
use bantin::domain::{
    Calendar, Chance, Digest, DigestFeeds, EmailAddress, EndedReason, FeedKey, Frequency, Habits, Instant,
    Language, SafeHtml, SavedSearch, Schedule, Secret, Slug, SubscriberId, Wish,
};
use bantin::store::{OptInAnswer, OptInRequest, Settlement, Store, StoreUrl, Yes};
use chrono::Duration;
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

const STEPS: u32 = 30;
const READERS: usize = 3;
const HOURS: [&str; 8] = [
    "at-once",
    "at-once",
    "daily:06:30",
    "daily:02:30",
    "daily:01:30",
    "weekly:mon:07:00",
    "weekly:sun:02:30",
    "digest:sang",
];
const ZONES: [Option<Tz>; 5] = [
    None,
    Some(Tz::Europe__London),
    Some(Tz::America__New_York),
    Some(Tz::Australia__Lord_Howe),
    Some(Tz::America__Santiago),
];
/// An ordinary day, and days before clocks change somewhere.
const BEGINNINGS: [&str; 5] = ["2026-11-16", "2026-03-06", "2026-03-27", "2026-10-23", "2026-04-03"];

pub struct History {
    seed: u64,
    stores: [Store; 2],
    dice: Seeded,
    now: Instant,
    digests: Vec<Digest>,
    feeds: Vec<FeedKey>,
    ids: Vec<Option<SubscriberId>>,
    /// What each delivery said to whom, where it may have arrived.
    said: BTreeMap<i64, (usize, Titles)>,
    last_edition: i64,
    workers: u32,
    model: Reference,
    told: Vec<String>,
}

impl History {
    pub async fn begin(seed: u64, url: &StoreUrl) -> Self {
        let stores = [Store::open(url).await.unwrap(), Store::open(url).await.unwrap()];
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
            stores,
            dice,
            now: Instant::default(),
            digests: vec![sang],
            feeds: Vec::new(),
            ids: vec![None; READERS],
            said: BTreeMap::new(),
            last_edition: 0,
            workers: 0,
            model: Reference::of_readers(READERS),
            told: Vec::new(),
        };
        history.now = format!("{}T00:07:00Z", BEGINNINGS[history.roll(BEGINNINGS.len())]).parse().unwrap();
        for section in 0..SECTIONS {
            history.publish([section].into(), false, None).await;
        }
        let tree = history.stores[0].category_tree().await.unwrap();
        history.feeds = tree.all().iter().map(|category| FeedKey::Category(category.id)).collect();
        history.feeds.push(FeedKey::All);
        let search = SavedSearch::of("bão lũ").unwrap();
        history.feeds.push(history.stores[0].save_search(&search).await.unwrap());
        register(&history.stores[0], &history.calendar(), history.now).await.unwrap();
        history.model.declare(history.digests[0].slug.clone().into(), history.now);
        history
    }

    fn calendar(&self) -> Calendar<'_> {
        Calendar { digests: &self.digests, zone: HOME, spread: std::time::Duration::ZERO }
    }

    fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % sides as u64).unwrap()
    }

    fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Either of two programs on one store.
    fn store(&self) -> Store {
        self.pick(&self.stores).clone()
    }

    /// Does something; now and then the process dies over it, and another does it again.
    async fn surely<T, F: Future<Output = T>>(&self, work: impl Fn(Store) -> F) -> T {
        if self.roll(6) == 0 {
            let waits = u32::try_from(self.roll(24)).unwrap();
            if let Some(done) = Killed::at(waits, work(self.store())).await {
                return done;
            }
        }
        work(self.store()).await
    }

    /// Lives through it, and says where a fault was and what happened before. How many mails.
    pub async fn live(mut self) -> usize {
        for _ in 0..STEPS {
            let seconds = 60 + self.roll(4 * 3_600);
            self.pass(Duration::seconds(i64::try_from(seconds).unwrap()));
            self.act().await;
        }
        self.end().await;
        for store in &self.stores {
            store.close().await;
        }
        self.said.len()
    }

    fn pass(&mut self, time: Duration) {
        // No two moments are the same, also after the clock went back.
        self.now += time + Duration::microseconds(1);
    }

    fn tell(&mut self, what: String) {
        self.told.push(format!("{} {what}", self.now.format("%d %H:%M:%S")));
    }

    fn story(&self) -> String {
        format!("BANTIN_MODEL_SEED={}\n{}", self.seed, self.told.join("\n"))
    }

    async fn act(&mut self) {
        let person = self.roll(READERS);
        match self.roll(33) {
            0..=5 => self.publish(self.some_sections(), self.roll(3) == 0, None).await,
            6 => {
                let from = self.now + Duration::minutes(i64::try_from(self.roll(900)).unwrap() + 1);
                self.publish(self.some_sections(), self.roll(2) == 0, Some(from)).await;
            }
            7 | 8 => self.revise().await,
            9 => self.withdraw().await,
            10 => self.restore().await,
            11..=14 => self.subscribe(person).await,
            15 | 16 => self.prefer(person).await,
            17..=19 => self.habits(person).await,
            20 => self.leave(person, (0..FEEDS).collect()).await,
            21 => self.leave(person, vec![self.roll(FEEDS)]).await,
            22 | 23 => self.undo(person).await,
            24 => self.jump(),
            25..=29 => self.tick().await,
            _ => self.deliver().await,
        }
    }

    fn some_sections(&self) -> BTreeSet<usize> {
        (0..=self.roll(2)).map(|_| self.roll(SECTIONS)).collect()
    }

    async fn accept(&self, piece: usize) {
        let piece = &self.model.pieces[piece];
        let names: Vec<String> = piece.sections.iter().map(|section| format!("C{section}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut draft = draft(&piece.title, &piece.title, &names);
        draft.body = SafeHtml::from_text(if piece.telling { "Bão về, lũ lên." } else { "Trời yên." });
        draft.published = Some(piece.published);
        self.surely(|store| {
            let (draft, now) = (draft.clone(), self.now);
            let chance = Seeded::starting_at(self.told.len() as u64);
            async move { store.accept(&[draft], true, now, &chance).await.unwrap() }
        })
        .await;
    }

    async fn publish(&mut self, sections: BTreeSet<usize>, telling: bool, from: Option<Instant>) {
        // A date of long ago is no reason to be forgotten.
        let long_ago = self.now - Duration::days(if self.roll(4) == 0 { 400 } else { 0 });
        let title = format!("bài {}", self.model.pieces.len());
        self.tell(format!("publishes {title} in {sections:?}, telling {telling}, from {from:?}"));
        self.model.publish(&title, sections, telling, from.unwrap_or(long_ago), self.now);
        self.accept(self.model.pieces.len() - 1).await;
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
        let title = &self.model.pieces[piece].title;
        let all = self.stores[0].articles(&Default::default(), 1_000).await.unwrap();
        let id = all.iter().find(|article| article.title == *title).unwrap().id;
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

    fn some_wishes(&self) -> Vec<(usize, Frequency)> {
        let feeds: BTreeSet<usize> = (0..=self.roll(3)).map(|_| self.roll(FEEDS)).collect();
        feeds.into_iter().map(|feed| (feed, self.pick(&HOURS).parse().unwrap())).collect()
    }

    fn as_wishes(&self, wishes: &[(usize, Frequency)]) -> Vec<Wish> {
        wishes
            .iter()
            .map(|(feed, often)| Wish { feed: self.feeds[*feed], frequency: often.clone() })
            .collect()
    }

    async fn subscribe(&mut self, person: usize) {
        let wishes = self.some_wishes();
        self.tell(format!("{person} subscribes to {wishes:?}"));
        let request = OptInRequest {
            address: EmailAddress::parse(&format!("r{person}@bao.example")).unwrap(),
            wishes: self.as_wishes(&wishes),
            language: Language::Vi,
            time_zone: None,
            remote_address: String::new(),
            wording: String::new(),
        };
        let (now, secret) = (self.now, Secret::new([7; 32]));
        // Who was killed over a question asks again, whatever the clock says.
        let never = Duration::days(-30);
        let id = self
            .surely(|store| {
                let (request, secret) = (request.clone(), secret.clone());
                async move {
                    let asked = store.request_opt_in(&request, never, &secret, now).await.unwrap();
                    let OptInAnswer::Asked(opt_in) = asked else { panic!("{asked:?}") };
                    store.confirm(opt_in, &|_: &Frequency| now, &Yes::default(), now).await.unwrap()
                }
            })
            .await;
        self.ids[person] = id;
        self.model.wish(person, &wishes, now);
    }

    /// The preference page: every feed shown, some wanted.
    async fn prefer(&mut self, person: usize) {
        let Some(id) = self.ids[person] else { return };
        let wishes = if self.roll(6) == 0 { Vec::new() } else { self.some_wishes() };
        self.tell(format!("{person} prefers {wishes:?}"));
        let (wanted, now) = (self.as_wishes(&wishes), self.now);
        self.surely(|store| {
            let (shown, wanted) = (self.feeds.clone(), wanted.clone());
            async move {
                store.change_subscriptions(id, &shown, &wanted, &|_: &Frequency| now, now).await.unwrap();
            }
        })
        .await;
        if !wishes.is_empty() {
            self.model.wish(person, &wishes, now);
        }
        let rest: Vec<usize> =
            (0..FEEDS).filter(|feed| wishes.iter().all(|(wanted, _)| wanted != feed)).collect();
        self.model.end(person, &rest, false, now);
    }

    async fn habits(&mut self, person: usize) {
        let Some(id) = self.ids[person] else { return };
        let mut habits = Habits {
            time_zone: self.model.people[person].zone,
            daily_cap: self.model.people[person].cap,
            paused_until: self.model.people[person].paused_until,
        };
        match self.roll(3) {
            0 => habits.time_zone = *self.pick(&ZONES),
            1 => habits.daily_cap = [None, Some(1), Some(2)][self.roll(3)],
            _ => {
                let hours = Duration::hours(i64::try_from(self.roll(72)).unwrap());
                habits.paused_until = [None, Some(self.now + hours)][self.roll(2)];
            }
        }
        self.change(person, id, habits).await;
    }

    async fn change(&mut self, person: usize, id: SubscriberId, habits: Habits) {
        self.tell(format!("{person} has {habits:?}"));
        let now = self.now;
        self.surely(
            |store| async move { store.change_habits(id, Language::Vi, &habits, now).await.unwrap() },
        )
        .await;
        let reader = &mut self.model.people[person];
        (reader.zone, reader.cap, reader.paused_until) =
            (habits.time_zone, habits.daily_cap, habits.paused_until);
        self.model.plan(person, now);
    }

    async fn leave(&mut self, person: usize, feeds: Vec<usize>) {
        let Some(id) = self.ids[person] else { return };
        self.tell(format!("{person} leaves {feeds:?}"));
        let now = self.now;
        self.surely(|store| {
            let keys: Vec<FeedKey> = feeds.iter().map(|feed| self.feeds[*feed]).collect();
            async move {
                let only = (keys.len() < FEEDS).then_some(&keys[..]);
                store.end_subscriptions(id, only, EndedReason::Reader, now).await.unwrap();
            }
        })
        .await;
        self.model.end(person, &feeds, true, now);
    }

    async fn undo(&mut self, person: usize) {
        let Some(id) = self.ids[person].filter(|_| self.model.people[person].left.is_some()) else { return };
        self.tell(format!("{person} takes it back"));
        let now = self.now;
        self.surely(|store| async move { store.undo_end(id, now).await.unwrap() }).await;
        self.model.undo(person, now);
    }

    /// The clock is put wrong by a day, or the program is down for days.
    fn jump(&mut self) {
        let days = [-1, 1, 2, 9][self.roll(4)];
        self.tell(format!("the clock jumps {days} days"));
        self.pass(Duration::days(days));
        if days < 0 {
            // What "the last change" was, a clock that went back cannot say.
            self.model.people.iter_mut().for_each(|person| person.left = None);
        }
    }

    /// A look at the clock, by one program or by both at once.
    async fn tick(&mut self) {
        self.tell("looks at the clock".to_owned());
        let now = self.now;
        let expected = self.model.tick(now);
        // Two at once may part what comes at once otherwise; who counts his mails would notice.
        let both = self.roll(3) == 0 && self.model.people.iter().all(|person| person.cap.is_none());
        if both {
            let (one, two) = (&self.stores[0], &self.stores[1]);
            let calendar = self.calendar();
            let (one, two) = tokio::join!(open_due(one, &calendar, now), open_due(two, &calendar, now));
            one.unwrap();
            two.unwrap();
        } else {
            let calendar = self.calendar();
            self.surely(|store| async move { open_due(&store, &calendar, now).await.unwrap() }).await;
        }
        let made = self.made().await;
        let cuts: Vec<Cut> = made.iter().map(|(_, cut)| cut.clone()).collect();
        if both {
            let sum = |cuts: &[Cut]| {
                let mut sum: BTreeMap<usize, Vec<String>> = BTreeMap::new();
                for (person, titles) in cuts.iter().flat_map(|(_, _, readers)| readers) {
                    sum.entry(*person).or_default().extend(titles.iter().cloned());
                }
                sum.values_mut().for_each(|titles| titles.sort_unstable());
                sum
            };
            assert_eq!(sum(&cuts), sum(&expected), "{}", self.story());
        } else {
            assert_eq!(cuts, expected, "{}", self.story());
        }
        self.adopt(&made);
        self.tell(format!("cut: {cuts:?}"));
    }

    /// The editions that are new: what each brings to whom.
    async fn made(&mut self) -> Vec<(i64, Cut)> {
        let mut made: Vec<(i64, Cut)> = Vec::new();
        let mut editions = self.stores[0].editions(1_000).await.unwrap();
        editions.retain(|edition| edition.id.0 > self.last_edition);
        editions.reverse();
        for edition in editions {
            let mut readers = BTreeMap::new();
            for (person, id) in self.ids.iter().enumerate().filter_map(|(at, id)| Some((at, (*id)?))) {
                let articles = self.stores[0].edition_articles(edition.id, id, false).await.unwrap();
                if !articles.is_empty() {
                    readers.insert(person, articles.into_iter().map(|article| article.title).collect());
                }
            }
            let queued: u64 = edition.counts.iter().map(|(_, count)| count).sum();
            assert_eq!(queued, readers.len() as u64, "{}", self.story());
            self.last_edition = edition.id.0;
            made.push((edition.id.0, (edition.plan.to_string(), edition.slots, readers)));
        }
        made
    }

    /// The model's mails are those of the editions that were made, however two programs parted them.
    fn adopt(&mut self, made: &[(i64, Cut)]) {
        for person in &mut self.model.people {
            person.mails.retain(|mail| mail.edition > 0);
        }
        for (edition, (_, _, readers)) in made {
            for (person, titles) in readers {
                self.model.people[*person].mails.push(super::reference::Mail {
                    edition: *edition,
                    titles: titles.clone(),
                    at: self.now,
                    state: Progress::Waiting,
                    doubted: false,
                    held_back: None,
                });
            }
        }
    }

    /// A worker's round. It may die with letters in hand, handed over or not.
    async fn deliver(&mut self) {
        self.workers += 1;
        let worker = format!("w{}", self.workers);
        let (store, now, until) = (self.store(), self.now, self.now + Duration::minutes(30));
        let limit = 1 + self.roll(4);
        let claimed = store.claim_deliveries(&worker, limit, until, now).await.unwrap();
        self.tell(format!("{worker} takes {}", claimed.len()));
        for delivery in claimed {
            let Some(edition) = delivery.edition else {
                let done = Settlement::Accepted("250 ok".into());
                assert!(store.settle_delivery(delivery.id, &worker, &done, now).await.unwrap());
                continue;
            };
            let person = self.ids.iter().position(|id| *id == Some(delivery.subscriber.id)).unwrap();
            let mails = &mut self.model.people[person].mails;
            let at = mails.iter().position(|mail| mail.edition == edition.0).unwrap();
            let mail = &mut mails[at];
            mail.doubted |= matches!(mail.state, Progress::InHand | Progress::Doubtful);
            mail.state = Progress::InHand;
            let doubted = mail.doubted;
            assert_eq!(delivery.doubted, doubted, "{}", self.story());
            if self.roll(8) == 0 {
                self.tell(format!("{worker} dies with {} in hand", delivery.id));
                continue;
            }
            let articles = if self.model.people[person].active {
                let said = self.model.letter(person, at, now);
                let articles = self
                    .surely(|store| async move {
                        let reader = delivery.subscriber.id;
                        let letter = store.open_letter(edition, reader, delivery.doubted, now).await.unwrap();
                        store.letter_articles(&letter.contents).await.unwrap()
                    })
                    .await;
                let titles: Titles = articles.into_iter().map(|article| article.title).collect();
                assert_eq!(titles, said, "{}", self.story());
                titles
            } else {
                Titles::new()
            };
            self.hand_over(delivery.id.0, person, at, articles, &worker, &store).await;
        }
    }

    async fn hand_over(
        &mut self,
        delivery: i64,
        person: usize,
        at: usize,
        titles: Titles,
        worker: &str,
        store: &Store,
    ) {
        let now = self.now;
        let next = now + Duration::minutes(10);
        let (settlement, state) = if titles.is_empty() {
            (Settlement::Suppressed("nothing to say".into()), Progress::Suppressed)
        } else {
            match self.roll(6) {
                0 => (Settlement::Deferred { reply: "451 later".into(), next }, Progress::Waiting),
                1 => (Settlement::Uncertain { reply: "lost".into(), next: Some(next) }, Progress::Doubtful),
                _ => (Settlement::Accepted("250 ok".into()), Progress::Accepted),
            }
        };
        if matches!(state, Progress::Accepted | Progress::Doubtful) {
            let said = &mut self.said.entry(delivery).or_insert((person, Titles::new())).1;
            said.extend(titles);
            if self.roll(8) == 0 {
                self.tell(format!("{worker} dies after handing {delivery} over"));
                return;
            }
        }
        let id = bantin::domain::DeliveryId(delivery);
        self.surely(|store| {
            let settlement = settlement.clone();
            async move { store.settle_delivery(id, worker, &settlement, now).await.unwrap() }
        })
        .await;
        let _ = store;
        let mail = &mut self.model.people[person].mails[at];
        mail.state = state;
        mail.held_back = (state == Progress::Suppressed).then_some(now);
    }

    /// Everybody may have mail again, the clock goes on for ten days, and the queue is emptied: then
    /// nothing is due to anybody, and nobody has read anything twice.
    async fn end(&mut self) {
        self.pass(Duration::days(2));
        for person in 0..READERS {
            if let Some(id) = self.ids[person] {
                let habits = Habits { time_zone: self.model.people[person].zone, ..Habits::default() };
                self.change(person, id, habits).await;
            }
        }
        for _ in 0..2 {
            self.pass(Duration::days(8));
            self.tick().await;
            for _ in 0..200 {
                if self.stores[0].oldest_due(self.now + Duration::days(1)).await.unwrap().is_none() {
                    break;
                }
                self.pass(Duration::minutes(40));
                self.deliver().await;
            }
        }
        assert_eq!(self.model.still_due(), [], "{}", self.story());
        let mut seen: BTreeSet<(usize, &String)> = BTreeSet::new();
        for (person, titles) in self.said.values() {
            for title in titles {
                assert!(seen.insert((*person, title)), "{title} came twice to {person}: {}", self.story());
            }
        }
        for (number, person) in self.model.people.iter().enumerate() {
            let sure = |mail: &&super::reference::Mail| mail.state == Progress::Accepted && !mail.doubted;
            let accepted = person.mails.iter().filter(sure);
            for title in accepted.flat_map(|mail| &mail.titles).filter(|t| person.had.contains(*t)) {
                assert!(seen.contains(&(number, title)), "{title} never came to {number}: {}", self.story());
            }
        }
        for edition in self.stores[0].editions(1_000).await.unwrap() {
            assert!(edition.completed_at.is_some(), "{edition:?}: {}", self.story());
        }
    }
}
