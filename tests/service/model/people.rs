//! What readers do.

use super::history::History;
use super::reference::FEEDS;
use bantin::domain::{
    EmailAddress, EndedReason, FeedKey, Frequency, Habits, Language, Secret, SubscriberId, Wish,
};
use bantin::store::{OptInAnswer, OptInRequest, Yes};
use chrono::Duration;
use chrono_tz::Tz;
use std::collections::BTreeSet;

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
impl History<'_> {
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

    pub async fn subscribe(&mut self, person: usize) {
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
    pub async fn prefer(&mut self, person: usize) {
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
        self.model.end(person, &rest, false);
    }

    pub async fn habits(&mut self, person: usize) {
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

    /// Pauses for long, or no more.
    pub async fn pause(&mut self, person: usize, pauses: bool) {
        let (Some(id), reader) = (self.ids[person], &self.model.people[person]) else { return };
        let paused_until = pauses.then(|| self.now + Duration::days(30));
        let habits = Habits { time_zone: reader.zone, daily_cap: reader.cap, paused_until };
        self.change(person, id, habits).await;
    }

    pub async fn change(&mut self, person: usize, id: SubscriberId, habits: Habits) {
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

    pub async fn leave(&mut self, person: usize, feeds: Vec<usize>) {
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
        self.model.end(person, &feeds, true);
    }

    pub async fn undo(&mut self, person: usize) {
        let Some(id) = self.ids[person] else { return };
        self.tell(format!("{person} takes it back"));
        let now = self.now;
        let undone = self.perhaps(|store| async move { store.undo_end(id, now).await.unwrap() }).await;
        let expected = self.model.undo(person, now);
        match undone {
            Some(undone) => assert_eq!(undone, expected, "{}", self.story()),
            None => drop(self.store().undo_end(id, now).await.unwrap()),
        }
    }
}
