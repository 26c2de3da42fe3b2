//! What the store promises of held editions, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{
    Attempt, DeliveryState, EditionId, EmailAddress, FeedKey, Frequency, Instant, Language, Secret, Slot,
    Slug, SubscriberId, Wish,
};
use bantin::store::{ClaimedDelivery, CutAnswer, Cutting, OptInRequest, Planned, Settlement, Turn};
use chrono::Duration;

on_both_engines!(
    nothing_of_a_held_edition_is_claimed,
    what_was_claimed_when_the_hold_came_waits_too,
    an_edition_is_held_and_released_once,
    a_reviewed_digest_holds_every_edition,
    a_digest_is_held_with_what_is_under_way,
    what_an_undo_brings_back_is_held_too,
    a_long_hold_does_not_use_up_the_patience,
    workers_and_holders_do_not_wait_in_a_circle,
);

pub fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub fn secret() -> Secret {
    Secret::new([7; 32])
}

impl Newsroom {
    /// Readers `r0`, `r1` … of everything by the digest `sang`, who said yes elsewhere.
    pub async fn readers(&self, count: usize) -> Vec<SubscriberId> {
        let plan =
            Planned { plan: slug("sang").into(), schedule: "at six".into(), next: Slot(at("06:00:00")) };
        self.register_plans(&[plan]).await.unwrap();
        let mut readers = Vec::new();
        for n in 0..count {
            let request = OptInRequest {
                address: EmailAddress::parse(&format!("r{n}@bao.example")).unwrap(),
                wishes: vec![Wish { feed: FeedKey::All, frequency: Frequency::Digest(slug("sang")) }],
                time_zone: None,
                language: Language::Vi,
                remote_address: "192.0.2.1".into(),
                wording: "w1".into(),
            };
            let first = |_: &Frequency| Instant::default();
            let taken = self.accept_consent(&request, &first, &secret(), at("00:00:00")).await;
            readers.push(taken.unwrap().unwrap());
        }
        readers
    }

    /// Cuts an edition of `sang`.
    pub async fn cut_by_hand(&self, time: &str) -> EditionId {
        let plan = slug("sang").into();
        let (slot, zone) = (Slot(at(time)), chrono_tz::Tz::UTC);
        let cutting = Cutting {
            plan: &plan,
            slot,
            slots: 1,
            turn: Turn::ByHand,
            zone,
            spread: std::time::Duration::ZERO,
        };
        match self.cut_edition(&cutting, at(time)).await.unwrap() {
            CutAnswer::Made(cut) => cut.edition,
            other => panic!("{other:?}"),
        }
    }

    /// Publishes one article and cuts an edition of `sang`.
    pub async fn edition_of(&self, title: &str, time: &str) -> EditionId {
        self.take(&draft(title, title, &["A"]), at(time) - Duration::minutes(1)).await;
        self.cut_by_hand(time).await
    }
}

async fn claim(newsroom: &Newsroom, time: &str) -> Vec<ClaimedDelivery> {
    newsroom.claim_deliveries("w", 1_000, at(time) + Duration::minutes(5), at(time)).await.unwrap()
}

async fn held(newsroom: &Newsroom, edition: EditionId) -> Option<String> {
    newsroom.edition(edition).await.unwrap().unwrap().held.map(|hold| hold.reason)
}

async fn nothing_of_a_held_edition_is_claimed(newsroom: Newsroom) {
    newsroom.readers(3).await;
    let first = newsroom.edition_of("một", "05:00:00").await;
    let second = newsroom.edition_of("hai", "05:10:00").await;
    assert!(newsroom.hold_edition(first, "sai tên", at("05:11:00")).await.unwrap());
    assert_eq!(held(&newsroom, first).await.as_deref(), Some("sai tên"));
    let claimed = claim(&newsroom, "05:12:00").await;
    assert!(claimed.len() == 3 && claimed.iter().all(|delivery| delivery.edition == Some(second)));
    assert_eq!(newsroom.oldest_due(at("05:12:00")).await.unwrap(), None, "what is held does not lag");
    assert!(newsroom.release_edition(first, at("05:14:00")).await.unwrap());
    assert_eq!(newsroom.oldest_due(at("05:14:00")).await.unwrap(), Some(at("05:14:00")));
    let claimed = claim(&newsroom, "05:14:00").await;
    assert!(claimed.len() == 3 && claimed.iter().all(|delivery| delivery.attempt == Attempt(1)));
    let edition = newsroom.edition(first).await.unwrap().unwrap();
    assert_eq!((edition.held, edition.released_at), (None, Some(at("05:14:00"))));
}

async fn what_was_claimed_when_the_hold_came_waits_too(newsroom: Newsroom) {
    newsroom.readers(3).await;
    let edition = newsroom.edition_of("một", "05:00:00").await;
    let claimed = claim(&newsroom, "05:01:00").await;
    newsroom.hold_edition(edition, "x", at("05:02:00")).await.unwrap();
    let deferred = Settlement::Deferred { reply: "held".into(), next: at("05:03:00") };
    let accepted = Settlement::Accepted("250".into());
    assert!(newsroom.settle_delivery(claimed[0].id, "w", &deferred, at("05:02:10")).await.unwrap());
    assert!(newsroom.settle_delivery(claimed[1].id, "w", &accepted, at("05:02:10")).await.unwrap());
    assert_eq!(newsroom.give_back_claims("w", at("05:02:20")).await.unwrap(), 1);
    assert!(claim(&newsroom, "05:30:00").await.is_empty());
    assert!(newsroom.release_edition(edition, at("06:00:00")).await.unwrap());
    assert_eq!(claim(&newsroom, "06:00:00").await.len(), 2);
    assert_eq!(
        newsroom.edition(edition).await.unwrap().unwrap().released_at,
        None,
        "a letter is out already, and a repeat of it says the same date"
    );
}

async fn an_edition_is_held_and_released_once(newsroom: Newsroom) {
    newsroom.readers(1).await;
    let edition = newsroom.edition_of("một", "05:00:00").await;
    assert!(!newsroom.hold_edition(EditionId(99), "x", at("05:01:00")).await.unwrap());
    assert!(!newsroom.release_edition(edition, at("05:01:00")).await.unwrap());
    assert!(newsroom.hold_edition(edition, "first", at("05:02:00")).await.unwrap());
    assert!(!newsroom.hold_edition(edition, "second", at("05:03:00")).await.unwrap());
    assert_eq!(held(&newsroom, edition).await.as_deref(), Some("first"));
    assert!(newsroom.release_edition(edition, at("05:04:00")).await.unwrap());
    assert!(!newsroom.release_edition(edition, at("05:05:00")).await.unwrap());
    let claimed = claim(&newsroom, "05:06:00").await;
    let accepted = Settlement::Accepted("250".into());
    assert!(newsroom.settle_delivery(claimed[0].id, "w", &accepted, at("05:06:00")).await.unwrap());
    assert!(!newsroom.hold_edition(edition, "late", at("05:07:00")).await.unwrap(), "it is complete");
}

async fn a_reviewed_digest_holds_every_edition(newsroom: Newsroom) {
    newsroom.readers(2).await;
    newsroom.set_review(&slug("sang"), true).await.unwrap();
    let edition = newsroom.edition_of("một", "05:00:00").await;
    assert_eq!(held(&newsroom, edition).await.as_deref(), Some("waits to be looked at"));
    assert!(claim(&newsroom, "05:01:00").await.is_empty());
    assert!(newsroom.release_edition(edition, at("05:02:00")).await.unwrap());
    assert_eq!(claim(&newsroom, "05:03:00").await.len(), 2);
    newsroom.set_review(&slug("sang"), false).await.unwrap();
    let next = newsroom.edition_of("hai", "05:10:00").await;
    assert_eq!(held(&newsroom, next).await, None);
}

async fn a_digest_is_held_with_what_is_under_way(newsroom: Newsroom) {
    newsroom.readers(2).await;
    let first = newsroom.edition_of("một", "05:00:00").await;
    assert_eq!(newsroom.hold_digest(&slug("khong-co"), "x", at("05:00:30")).await.unwrap(), None);
    let held_now = newsroom.hold_digest(&slug("sang"), "lỗi", at("05:01:00")).await.unwrap();
    assert_eq!(held_now, Some(vec![first]));
    let second = newsroom.edition_of("hai", "05:10:00").await;
    assert_eq!(held(&newsroom, second).await.as_deref(), Some("lỗi"));
    assert_eq!(newsroom.held_digests().await.unwrap().len(), 1);
    let released = newsroom.release_digest(&slug("sang"), at("05:20:00")).await.unwrap();
    assert_eq!(released, Some(vec![first, second]));
    let third = newsroom.edition_of("ba", "05:30:00").await;
    assert_eq!(held(&newsroom, third).await, None);
    assert_eq!(claim(&newsroom, "05:40:00").await.len(), 6);
}

async fn what_an_undo_brings_back_is_held_too(newsroom: Newsroom) {
    let readers = newsroom.readers(2).await;
    let edition = newsroom.edition_of("một", "05:00:00").await;
    let reason = bantin::domain::EndedReason::Reader;
    newsroom.end_subscriptions(readers[0], None, reason, at("05:01:00")).await.unwrap();
    newsroom.hold_edition(edition, "x", at("05:02:00")).await.unwrap();
    assert_eq!(newsroom.undo_end(readers[0], at("05:03:00")).await.unwrap(), 1);
    assert!(claim(&newsroom, "05:04:00").await.is_empty());
    newsroom.release_edition(edition, at("05:05:00")).await.unwrap();
    assert_eq!(claim(&newsroom, "05:06:00").await.len(), 2);
}

async fn a_long_hold_does_not_use_up_the_patience(newsroom: Newsroom) {
    newsroom.readers(1).await;
    let edition = newsroom.edition_of("một", "05:00:00").await;
    newsroom.hold_edition(edition, "x", at("05:01:00")).await.unwrap();
    let later = at("05:01:00") + Duration::days(9);
    newsroom.release_edition(edition, later).await.unwrap();
    let claimed = newsroom.claim_deliveries("w", 9, later + Duration::minutes(1), later).await.unwrap();
    assert_eq!(claimed[0].created_at, later);
}

async fn workers_and_holders_do_not_wait_in_a_circle(newsroom: Newsroom) {
    newsroom.readers(60).await;
    let edition = newsroom.edition_of("một", "05:00:00").await;
    let claimed = claim(&newsroom, "05:01:00").await;
    let mut work = tokio::task::JoinSet::new();
    for batch in claimed.chunks(4) {
        let store = newsroom.store.clone();
        let deferred = Settlement::Deferred { reply: "451".into(), next: at("05:30:00") };
        let batch: Vec<_> = batch.iter().rev().map(|delivery| (delivery.id, deferred.clone())).collect();
        work.spawn(async move {
            store.settle_deliveries("w", &batch, at("05:10:00")).await.unwrap();
        });
    }
    for _ in 0..8 {
        let store = newsroom.store.clone();
        work.spawn(async move {
            store.hold_edition(edition, "x", at("05:10:00")).await.unwrap();
            store.release_edition(edition, at("05:11:00")).await.unwrap();
        });
    }
    work.join_all().await;
    assert_eq!(held(&newsroom, edition).await, None);
    assert_eq!(claim(&newsroom, "05:40:00").await.len(), 60);
    assert!(newsroom.delivery_counts().await.unwrap().contains(&(DeliveryState::Claimed, 60)));
}
