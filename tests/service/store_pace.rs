//! What the store promises of mail that goes at a pace, on both engines.

use crate::newsroom::{Newsroom, at, on_both_engines};
use crate::store_readers::{asked, claim, count, publish, queued, reader, settle, slug, two_sections};
use bantin::domain::{Attempt, DeliveryKind, EndedReason, FeedKey, Slot, micros};
use bantin::store::{CutAnswer, Cutting, Settlement, Turn};
use std::time::Duration;

on_both_engines!(
    what_is_put_off_counts_no_try_and_keeps_its_words,
    who_is_waited_for_is_claimed_alone,
    a_spread_edition_falls_due_letter_by_letter,
);

async fn what_is_put_off_counts_no_try_and_keeps_its_words(newsroom: Newsroom) {
    queued(&newsroom, 2).await;
    let first = claim(&newsroom, "w", "05:00:00", "04:10:00").await;
    let deferred = Settlement::Deferred { reply: "451 later".into(), next: at("04:20:00") };
    settle(&newsroom, first[0].id, "w", deferred).await;
    let down = Settlement::PutOff { reply: Some("no connection".into()), next: at("04:30:00") };
    settle(&newsroom, first[1].id, "w", down).await;
    assert_eq!(count(&newsroom, "SELECT count(*) FROM deliveries WHERE state = 'deferred'").await, 2);
    let second = claim(&newsroom, "w", "05:00:00", "04:20:00").await;
    assert_eq!((second.len(), second[0].id, second[0].attempt), (1, first[0].id, Attempt(2)));
    let paced = Settlement::PutOff { reply: None, next: at("04:40:00") };
    settle(&newsroom, second[0].id, "w", paced).await;
    let words =
        "SELECT count(*) FROM deliveries WHERE state = 'pending' AND reply = '451 later' AND attempts = 1";
    assert_eq!(count(&newsroom, words).await, 1);
    let third = claim(&newsroom, "w", "05:00:00", "04:40:00").await;
    let attempts: Vec<_> = third.iter().map(|d| (d.id, d.attempt)).collect();
    assert_eq!(attempts, [(first[1].id, Attempt(1)), (first[0].id, Attempt(2))]);
    // Whose claim ended puts nothing off.
    let late = Settlement::PutOff { reply: None, next: at("23:00:00") };
    assert!(!newsroom.settle_delivery(first[0].id, "other", &late, at("04:41:00")).await.unwrap());
}

async fn who_is_waited_for_is_claimed_alone(newsroom: Newsroom) {
    queued(&newsroom, 3).await;
    assert!(!newsroom.is_urgent_due(at("04:30:00")).await.unwrap());
    let until = at("05:00:00");
    assert!(newsroom.claim_urgent_deliveries("w", 9, until, at("04:30:00")).await.unwrap().is_empty());
    asked(&newsroom, "moi", "sang", &[FeedKey::All], at("04:30:00")).await;
    assert!(newsroom.is_urgent_due(at("04:30:00")).await.unwrap());
    let urgent = newsroom.claim_urgent_deliveries("w", 9, until, at("04:30:00")).await.unwrap();
    assert_eq!(urgent.iter().map(|d| d.kind).collect::<Vec<_>>(), [DeliveryKind::Confirmation]);
    assert!(!newsroom.is_urgent_due(at("04:30:00")).await.unwrap());
    assert_eq!(claim(&newsroom, "w", "05:00:00", "04:30:00").await.len(), 3);
}

async fn a_spread_edition_falls_due_letter_by_letter(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(reader(&newsroom, &format!("r{n}"), "sang", &[a], "02:00:00").await);
    }
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    let (slot, spread) = (Slot(at("04:00:00")), Duration::from_secs(700));
    let (plan, zone) = (slug("sang").into(), chrono_tz::Tz::UTC);
    let cutting = Cutting { plan: &plan, slot, slots: 1, turn: Turn::ByHand, zone, spread };
    let cut = newsroom.cut_edition(&cutting, slot.0).await.unwrap();
    assert!(matches!(cut, CutAnswer::Made(cut) if cut.deliveries == 7), "{cut:?}");
    let due = "SELECT due_at FROM deliveries WHERE kind = 'edition' ORDER BY due_at";
    let due: Vec<i64> = sqlx::query_scalar(due).fetch_all(&mut newsroom.raw().await).await.unwrap();
    let places: Vec<i64> = due.iter().map(|at| (at - micros(slot.0)) / 1_000_000).collect();
    assert_eq!(places, [0, 100, 200, 300, 400, 500, 600]);
    assert_eq!(newsroom.oldest_due(at("04:03:00")).await.unwrap(), Some(slot.0));
    let first = claim(&newsroom, "w", "06:00:00", "04:03:00").await;
    assert_eq!(first.iter().map(|d| d.subscriber.id).collect::<Vec<_>>(), ids[..2]);
    // Who leaves before his place comes gets nothing.
    newsroom.end_subscriptions(ids[2], None, EndedReason::Reader, at("04:03:01")).await.unwrap();
    let second = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    assert_eq!(second.iter().map(|d| d.subscriber.id).collect::<Vec<_>>(), ids[3..]);
    for delivery in first.iter().chain(&second) {
        settle(&newsroom, delivery.id, "w", Settlement::Accepted("250 ok".into())).await;
    }
    assert!(newsroom.edition(first[0].edition.unwrap()).await.unwrap().unwrap().completed_at.is_some());
}
