//! Looks at the clock, letters, and what must be true at the end.

use super::history::History;
use super::reference::{Cut, Mail, Progress, READERS, Titles};
use bantin::digest::open_due;
use bantin::domain::{DeliveryId, EditionId, Habits, SubscriberId};
use bantin::store::Settlement;
use chrono::Duration;
use std::collections::{BTreeMap, BTreeSet};

impl History<'_> {
    /// A look at the clock, by one program or by both at once.
    pub async fn look(&mut self) {
        self.tell("looks at the clock".to_owned());
        let now = self.now;
        let expected = self.model.tick(now);
        // Two at once may part what comes at once otherwise; who counts his mails would notice.
        let both = self.roll(3) == 0 && self.model.people.iter().all(|person| person.cap.is_none());
        if both {
            let (one, two) = (self.ground.store(0), self.ground.store(1));
            let calendar = self.calendar();
            let (one, two) = tokio::join!(open_due(&one, &calendar, now), open_due(&two, &calendar, now));
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

    /// The editions that are new: what each brings to whom, and that all of it is queued.
    async fn made(&mut self) -> Vec<(i64, Cut)> {
        type Row = (i64, String, i64, i64, String, i64);
        let rows = sqlx::query_as::<_, Row>(
            "SELECT e.n, d.slug, e.slots, l.subscriber, a.title,
                    (SELECT count(*) FROM deliveries q WHERE q.edition = e.n)
             FROM editions e JOIN digests d ON d.n = e.digest
             JOIN ledger l ON l.edition = e.n JOIN articles a ON a.n = l.article
             WHERE e.n > $1 ORDER BY e.n",
        );
        let rows = rows.bind(self.last_edition).fetch_all(&mut self.ground.raw).await.unwrap();
        let mut made: Vec<(i64, Cut)> = Vec::new();
        let mut queued = Vec::new();
        for (edition, plan, slots, subscriber, title, letters) in rows {
            if made.last().is_none_or(|(last, _)| *last != edition) {
                made.push((edition, (plan, u32::try_from(slots).unwrap(), BTreeMap::new())));
                queued.push(letters);
                self.last_edition = edition;
            }
            let person = self.person(SubscriberId(subscriber));
            let (_, (_, _, readers)) = made.last_mut().unwrap();
            readers.entry(person).or_default().insert(title);
        }
        let readers: Vec<i64> = made.iter().map(|(_, (_, _, readers))| readers.len() as i64).collect();
        assert_eq!(queued, readers, "{}", self.story());
        made
    }

    fn person(&self, id: SubscriberId) -> usize {
        self.ids.iter().position(|known| *known == Some(id)).unwrap()
    }

    /// The model's mails are those of the editions that were made, however two programs parted them.
    fn adopt(&mut self, made: &[(i64, Cut)]) {
        for person in &mut self.model.people {
            person.mails.retain(|mail| mail.edition > 0);
        }
        for (edition, (_, _, readers)) in made {
            for (person, titles) in readers {
                self.model.people[*person].mails.push(Mail {
                    edition: *edition,
                    titles: titles.clone(),
                    at: self.now,
                    look: self.model.looks,
                    state: Progress::Waiting,
                    doubted: false,
                    owed: Titles::new(),
                    held_back: None,
                });
            }
        }
    }

    /// A worker's round. It may die with letters in hand, handed over or not.
    pub async fn deliver(&mut self) {
        self.workers += 1;
        let worker = format!("w{}", self.workers);
        let (store, now, until) = (self.store(), self.now, self.now + Duration::minutes(30));
        let limit = 1 + self.roll(4);
        let claiming = self.perhaps(|store| {
            let worker = worker.clone();
            async move { store.claim_deliveries(&worker, limit, until, now).await.unwrap() }
        });
        let Some(claimed) = claiming.await else { return self.die_claiming(&worker).await };
        self.tell(format!("{worker} takes {}", claimed.len()));
        for delivery in claimed {
            let Some(edition) = delivery.edition else {
                let done = Settlement::Accepted("250 ok".into());
                assert!(store.settle_delivery(delivery.id, &worker, &done, now).await.unwrap());
                continue;
            };
            let person = self.person(delivery.subscriber.id);
            let (at, doubted) = self.take(person, edition);
            assert_eq!(delivery.doubted, doubted, "{}", self.story());
            if self.goes_wrong() {
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
                self.model.needless(person, at);
                if delivery.doubted {
                    let reader = delivery.subscriber.id;
                    self.surely(|store| async move { store.owe_letter(edition, reader).await.unwrap() })
                        .await;
                }
                Titles::new()
            };
            self.hand_over(delivery.id.0, person, at, articles, &worker).await;
        }
    }

    /// A worker died over its claim: what it holds all the same, it may have mailed.
    async fn die_claiming(&mut self, worker: &str) {
        self.tell(format!("{worker} dies over its claim"));
        self.ground.settle_down().await;
        let text = "SELECT edition, subscriber FROM deliveries WHERE claimed_by = $1 AND edition IS NOT NULL";
        let held = sqlx::query_as::<_, (i64, i64)>(text).bind(worker);
        for (edition, subscriber) in held.fetch_all(&mut self.ground.raw).await.unwrap() {
            self.take(self.person(SubscriberId(subscriber)), EditionId(edition));
        }
    }

    /// A letter of an edition is in somebody's hands: which of the reader's, and whether in doubt.
    fn take(&mut self, person: usize, edition: EditionId) -> (usize, bool) {
        let mails = &mut self.model.people[person].mails;
        let at = mails.iter().position(|mail| mail.edition == edition.0).unwrap();
        let over = mails[at].is_over();
        mails[at].doubted |= matches!(mails[at].state, Progress::InHand | Progress::Doubtful);
        mails[at].state = Progress::InHand;
        let doubted = mails[at].doubted;
        assert!(!over, "a letter that is over goes out again: {}", self.story());
        (at, doubted)
    }

    async fn hand_over(&mut self, delivery: i64, person: usize, at: usize, titles: Titles, worker: &str) {
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
            if self.goes_wrong() {
                self.tell(format!("{worker} dies after handing {delivery} over"));
                return;
            }
        }
        let id = DeliveryId(delivery);
        self.surely(|store| {
            let settlement = settlement.clone();
            async move { store.settle_delivery(id, worker, &settlement, now).await.unwrap() }
        })
        .await;
        let person = &mut self.model.people[person];
        let mail = &mut person.mails[at];
        mail.state = state;
        mail.held_back = (state == Progress::Suppressed).then_some(person.changes);
    }

    /// Everybody may have mail again, the clock goes on for ten days, and the queue is emptied: then
    /// nothing is due to anybody, and nobody has read anything twice.
    pub async fn end(&mut self) {
        self.pass(Duration::days(2));
        for person in 0..READERS {
            if let Some(id) = self.ids[person] {
                let habits = Habits { time_zone: self.model.people[person].zone, ..Habits::default() };
                self.change(person, id, habits).await;
            }
        }
        for _ in 0..2 {
            self.pass(Duration::days(8));
            self.look().await;
            for _ in 0..200 {
                if self.ground.store(0).oldest_due(self.now + Duration::days(1)).await.unwrap().is_none() {
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
            let under_way = person.mails.iter().find(|mail| !mail.is_over());
            assert!(under_way.is_none(), "{under_way:?} never went out to {number}: {}", self.story());
            let accepted = person.mails.iter().filter(|mail| mail.state == Progress::Accepted);
            let told = accepted.flat_map(|mail| mail.titles.difference(&mail.owed));
            for title in told.filter(|title| person.had.contains(*title)) {
                assert!(seen.contains(&(number, title)), "{title} never came to {number}: {}", self.story());
            }
        }
        for edition in self.ground.store(0).editions(1_000).await.unwrap() {
            assert!(edition.completed_at.is_some(), "{edition:?}: {}", self.story());
        }
    }
}
