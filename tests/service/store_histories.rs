//! Random histories of a newsroom and its readers, against what was promised to each reader.
//!
//! The reference knows no cursors, ledgers or editions: only who reads what since when, and which
//! articles stand where since when.

use crate::newsroom::{Newsroom, Seeded, draft};
use bantin::domain::{
    Chance, EmailAddress, EndedReason, FeedKey, Instant, Language, Secret, Slot, Slug, SubscriberId,
    SubscriberState,
};
use bantin::store::{OptInAnswer, OptInRequest, Settlement};
use chrono::Duration;
use std::collections::{BTreeMap, BTreeSet};

const HISTORIES: u64 = 200;
const STEPS: u64 = 40;
const SECTIONS: usize = 3;
const READERS: usize = 3;
const DIGESTS: [&str; 2] = ["sang", "tuan"];

type Section = usize;

/// An article: in which sections since which step, and whether it was withdrawn.
#[derive(Default)]
struct Piece {
    title: String,
    sections: BTreeMap<Section, u64>,
    withdrawn: bool,
}

/// A reader: what is wished for since which step, and what the last leaving took away.
#[derive(Default)]
struct Person {
    id: Option<SubscriberId>,
    wishes: BTreeMap<Section, (u64, &'static str)>,
    left: Option<BTreeMap<Section, (u64, &'static str)>>,
    got: BTreeMap<String, u32>,
}

struct History {
    newsroom: Newsroom,
    dice: Seeded,
    step: u64,
    feeds: Vec<FeedKey>,
    pieces: Vec<Piece>,
    people: Vec<Person>,
    told: Vec<String>,
}

impl History {
    async fn begin(seed: u64) -> Self {
        let newsroom = Newsroom::on_sqlite().await;
        let dice = Seeded::default();
        for _ in 0..seed {
            dice.fill(&mut [0; 64]);
        }
        let mut history = Self {
            newsroom,
            dice,
            step: 0,
            feeds: Vec::new(),
            pieces: Vec::new(),
            people: (0..READERS).map(|_| Person::default()).collect(),
            told: Vec::new(),
        };
        let digests = DIGESTS.map(|name| (digest(name), name.to_owned(), Slot(history.now())));
        history.newsroom.register_digests(&digests).await.unwrap();
        for section in 0..SECTIONS {
            history.publish([section].into()).await;
        }
        let tree = history.newsroom.category_tree().await.unwrap();
        history.feeds = tree.all().iter().map(|category| FeedKey::Category(category.id)).collect();
        history
    }

    fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % sides as u64).unwrap()
    }

    fn now(&self) -> Instant {
        "2026-11-02T00:00:00Z".parse::<Instant>().unwrap() + Duration::minutes(self.step.cast_signed())
    }

    fn some_sections(&self) -> BTreeSet<Section> {
        (0..=self.roll(2)).map(|_| self.roll(SECTIONS)).collect()
    }

    async fn accept(&self, piece: usize) {
        let names: Vec<String> = self.pieces[piece].sections.keys().map(|s| format!("C{s}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let draft = draft(&self.pieces[piece].title, &self.pieces[piece].title, &names);
        self.newsroom.accept(&[draft], true, self.now(), &self.newsroom.chance).await.unwrap();
    }

    async fn publish(&mut self, sections: BTreeSet<Section>) {
        let sections = sections.into_iter().map(|section| (section, self.step)).collect();
        self.pieces.push(Piece { title: format!("bài {}", self.pieces.len()), sections, withdrawn: false });
        self.accept(self.pieces.len() - 1).await;
    }

    /// One more section for an article that is out.
    async fn widen(&mut self, piece: usize, section: Section) {
        let step = self.step;
        self.pieces[piece].sections.entry(section).or_insert(step);
        self.accept(piece).await;
    }

    async fn withdraw(&mut self, piece: usize) {
        let title = self.pieces[piece].title.clone();
        let found = self.newsroom.search(&title, 100).await.unwrap();
        if let Some(article) = found.iter().find(|article| article.title == title) {
            self.newsroom.withdraw(article.id, self.now()).await.unwrap();
        }
        self.pieces[piece].withdrawn = true;
    }

    async fn subscribe(&mut self, person: usize, sections: BTreeSet<Section>, name: &'static str) {
        let request = OptInRequest {
            address: EmailAddress::parse(&format!("r{person}@bao.example")).unwrap(),
            digest: digest(name),
            feeds: sections.iter().map(|section| self.feeds[*section]).collect(),
            language: Language::Vi,
            remote_address: String::new(),
            wording: String::new(),
        };
        let (now, secret) = (self.now(), Secret::new([7; 32]));
        let answer = self.newsroom.request_opt_in(&request, Duration::zero(), &secret, now).await.unwrap();
        let OptInAnswer::Asked(opt_in) = answer else { panic!("{answer:?}") };
        let id = self.newsroom.confirm(opt_in, now, now).await.unwrap();
        let (step, person) = (self.step, &mut self.people[person]);
        person.id = id;
        for section in sections {
            person.wishes.entry(section).or_insert((step, name)).1 = name;
            person.left = None;
        }
    }

    async fn leave(&mut self, person: usize) {
        let Some(id) = self.people[person].id else { return };
        let ended = self.newsroom.end_subscriptions(id, None, EndedReason::Reader, self.now()).await.unwrap();
        let person = &mut self.people[person];
        assert_eq!(ended, person.wishes.len() as u64);
        if ended > 0 {
            person.left = Some(std::mem::take(&mut person.wishes));
        }
    }

    async fn undo(&mut self, person: usize) {
        let Some(id) = self.people[person].id else { return };
        let revived = self.newsroom.undo_end(id, self.now()).await.unwrap();
        let person = &mut self.people[person];
        let left = person.left.take().unwrap_or_default();
        assert_eq!(revived, left.len() as u64);
        person.wishes.extend(left);
    }

    /// The preference page: all sections shown, some wanted.
    async fn prefer(&mut self, person: usize, wanted: BTreeSet<Section>, name: &'static str) {
        let Some(id) = self.people[person].id else { return };
        let feeds: Vec<FeedKey> = wanted.iter().map(|section| self.feeds[*section]).collect();
        let (now, step) = (self.now(), self.step);
        self.newsroom.change_subscriptions(id, &self.feeds, &feeds, &digest(name), now, now).await.unwrap();
        let person = &mut self.people[person];
        person.left = None;
        person.wishes.retain(|section, _| wanted.contains(section));
        for section in wanted {
            person.wishes.entry(section).or_insert((step, name)).1 = name;
        }
    }

    async fn cut(&self, name: &str) {
        self.newsroom.cut_edition(&digest(name), Slot(self.now()), None, self.now()).await.unwrap();
    }

    /// A worker's round; one in four dies with its claims in hand.
    async fn mail(&mut self) {
        let (now, until) = (self.now(), self.now() + Duration::minutes(3));
        let worker = format!("w{}", self.step);
        let limit = 1 + self.roll(5);
        let claimed = self.newsroom.claim_deliveries(&worker, limit, until, now).await.unwrap();
        if self.roll(4) == 0 {
            return;
        }
        for delivery in claimed {
            let subscriber = delivery.subscriber;
            let mut settlement = Settlement::Accepted("250".into());
            if let Some(edition) = delivery.edition {
                let articles = self.newsroom.edition_articles(edition, subscriber.id, true).await.unwrap();
                if articles.is_empty() || subscriber.state != SubscriberState::Active {
                    settlement = Settlement::Suppressed("nothing to say".into());
                } else {
                    let titles: Vec<String> = articles.into_iter().map(|article| article.title).collect();
                    self.receive(subscriber.id, &titles);
                }
            }
            assert!(self.newsroom.settle_delivery(delivery.id, &worker, &settlement, now).await.unwrap());
        }
    }

    /// Whatever is in a mail is public, is wished for at that moment, and comes for the first time.
    fn receive(&mut self, id: SubscriberId, titles: &[String]) {
        let person = self.people.iter_mut().find(|person| person.id == Some(id)).unwrap();
        for title in titles {
            let piece = self.pieces.iter().find(|piece| piece.title == *title).unwrap();
            assert!(!piece.withdrawn, "{title} was withdrawn: {:#?}", self.told);
            let wished = piece.sections.keys().any(|section| person.wishes.contains_key(section));
            assert!(wished, "{title} is not wished for: {:#?}", self.told);
            let times = person.got.entry(title.clone()).or_default();
            *times += 1;
            assert_eq!(*times, 1, "{title} came again: {:#?}", self.told);
        }
    }

    async fn live(&mut self) {
        self.step += 1;
        let (person, piece) = (self.roll(READERS), self.roll(self.pieces.len()));
        let (sections, name) = (self.some_sections(), DIGESTS[self.roll(2)]);
        let act = self.roll(20);
        self.told.push(format!("{}: {act} {person} {piece} {sections:?} {name}", self.step));
        match act {
            0..=5 => self.publish(sections).await,
            6 => self.widen(piece, self.roll(SECTIONS)).await,
            7 => self.withdraw(piece).await,
            8..=10 => self.subscribe(person, sections, name).await,
            11 => self.leave(person).await,
            12 => self.undo(person).await,
            13 => self.prefer(person, sections, name).await,
            14..=16 => self.cut(name).await,
            _ => self.mail().await,
        }
    }

    /// At the end everything wished for that came out since the wish has been received.
    async fn end(&mut self) {
        self.step += 10;
        for name in DIGESTS {
            self.cut(name).await;
        }
        while self.newsroom.oldest_due(self.now()).await.unwrap().is_some() {
            self.mail().await;
            self.step += 10;
        }
        for person in &self.people {
            for piece in self.pieces.iter().filter(|piece| !piece.withdrawn) {
                let due = piece.sections.iter().any(|(section, came)| {
                    person.wishes.get(section).is_some_and(|(since, _)| came >= since)
                });
                let got = person.got.contains_key(&piece.title);
                assert!(got || !due, "{} never came to {:?}: {:#?}", piece.title, person.id, self.told);
            }
        }
        for edition in self.newsroom.editions(1_000).await.unwrap() {
            assert!(edition.completed_at.is_some(), "{edition:?}");
        }
    }
}

fn digest(name: &str) -> Slug {
    Slug::parse(name).unwrap()
}

#[tokio::test]
async fn every_due_article_comes_exactly_once() {
    let mut received = 0;
    // Most of a history is waiting for the disk, so eight run side by side.
    for first in (0..HISTORIES).step_by(8) {
        let mut histories = tokio::task::JoinSet::new();
        for seed in first..first + 8 {
            histories.spawn(async move {
                let mut history = History::begin(seed).await;
                for _ in 0..STEPS {
                    history.live().await;
                }
                history.end().await;
                history.people.iter().map(|person| person.got.len()).sum::<usize>()
            });
        }
        received += histories.join_all().await.into_iter().sum::<usize>();
    }
    // The histories are not empty talk.
    assert!(received as u64 > HISTORIES * 10, "{received}");
}
