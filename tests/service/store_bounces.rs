//! What the store promises of mail that comes back, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{
    BounceClass, DeliveryId, EmailAddress, FeedKey, Frequency, Instant, Language, Secret, Slot, Slug,
    SubscriberId, SubscriberState, SuppressionReason, Wish,
};
use bantin::store::{
    AddressHash, Bounce, Cutting, Noted, OptInAnswer, OptInRequest, Settlement, Suppression, Turn,
};
use chrono::Duration;
use chrono_tz::Tz;
use sqlx::Executor as _;

on_both_engines!(
    a_hard_bounce_ends_everything_once,
    a_complaint_is_stronger_than_a_bounce,
    soft_bounces_add_up_and_fade,
    a_fault_of_ours_is_kept_and_ends_nothing,
    a_report_twice_at_once_counts_once,
    nobody_is_found_where_there_is_nobody,
    a_lifted_suppression_begins_anew,
    a_list_is_taken_over_and_given_back,
    who_is_suppressed_by_hand_is_out_at_once,
    a_refusal_is_settled_with_what_it_means_or_not_at_all,
    complaints_are_counted_for_their_edition,
    who_is_forgotten_while_his_refusal_is_settled_stops_neither,
    two_who_are_refused_editions_of_each_other_stop_nobody,
);

fn secret() -> Secret {
    Secret::new([7; 32])
}

fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@bao.example")).unwrap()
}

fn bounce(delivery: DeliveryId, class: BounceClass) -> Bounce {
    Bounce { delivery, class, way: "lmtp".into(), evidence: "550 5.1.1 <…> unknown".into() }
}

async fn ask(newsroom: &Newsroom, name: &str, now: Instant) -> OptInAnswer {
    let frequency = Frequency::Digest(Slug::parse("sang").unwrap());
    let request = OptInRequest {
        address: address(name),
        wishes: vec![Wish { feed: FeedKey::All, frequency }],
        time_zone: None,
        language: Language::Vi,
        remote_address: "192.0.2.1".into(),
        wording: "w1".into(),
    };
    newsroom.request_opt_in(&request, Duration::minutes(1), &secret(), now).await.unwrap()
}

/// A reader whose confirmation was accepted, and that mail.
async fn reader(newsroom: &Newsroom, name: &str, now: Instant) -> (SubscriberId, DeliveryId) {
    let OptInAnswer::Asked(_) = ask(newsroom, name, now).await else { panic!("not asked") };
    let claimed = newsroom.claim_deliveries("w", 1, now + Duration::hours(1), now).await.unwrap();
    let accepted = Settlement::Accepted("250 2.0.0 queued".into());
    assert!(newsroom.settle_delivery(claimed[0].id, "w", &accepted, now).await.unwrap());
    (claimed[0].subscriber.id, claimed[0].id)
}

async fn state(newsroom: &Newsroom, id: SubscriberId) -> SubscriberState {
    newsroom.subscriber(id).await.unwrap().unwrap().state
}

async fn a_hard_bounce_ends_everything_once(newsroom: Newsroom) {
    let (id, mail) = reader(&newsroom, "an", at("05:00:00")).await;
    let hard = bounce(mail, BounceClass::Hard);
    let note = async |time| newsroom.note_bounce(&hard, &secret(), at(time)).await.unwrap();
    assert_eq!(note("06:00:00").await, Noted::Suppressed(SuppressionReason::Bounced));
    assert_eq!(note("06:00:01").await, Noted::Before);
    assert_eq!(state(&newsroom, id).await, SubscriberState::Bounced);
    assert!(newsroom.is_suppressed(&address("an"), &secret()).await.unwrap());
    assert_eq!(ask(&newsroom, "an", at("07:00:00")).await, OptInAnswer::Suppressed);
    let told = newsroom.bounces_of(id).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].bounce.clone(), told[0].noted_at), (hard, at("06:00:00")));
    assert_eq!(newsroom.bounce_counts().await.unwrap(), [(BounceClass::Hard, 1)]);
    let counts = newsroom.delivery_counts().await.unwrap();
    assert_eq!(counts.iter().map(|(state, n)| (state.as_str(), *n)).collect::<Vec<_>>(), [("bounced", 1)]);
}

async fn a_complaint_is_stronger_than_a_bounce(newsroom: Newsroom) {
    let (id, mail) = reader(&newsroom, "an", at("05:00:00")).await;
    for (class, reason) in [
        (BounceClass::Complaint, SuppressionReason::Complained),
        (BounceClass::Hard, SuppressionReason::Bounced),
    ] {
        let noted = newsroom.note_bounce(&bounce(mail, class), &secret(), at("06:00:00")).await.unwrap();
        assert_eq!(noted, Noted::Suppressed(reason));
        assert_eq!(state(&newsroom, id).await, SubscriberState::Complained);
    }
    let list = newsroom.suppressions().await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].reason, SuppressionReason::Complained, "the first reason stays");
}

/// The mail of an edition to one of the readers, which was accepted as all were.
async fn mailed(newsroom: &Newsroom, reader: SubscriberId, now: Instant) -> DeliveryId {
    let title = now.to_rfc3339();
    let news = draft(&title, &title, &["A"]);
    newsroom.accept(&[news], true, now - Duration::minutes(1), &newsroom.chance).await.unwrap();
    let plan = Slug::parse("sang").unwrap().into();
    let spread = std::time::Duration::ZERO;
    let cutting =
        Cutting { plan: &plan, slot: Slot(now), slots: 1, turn: Turn::ByHand, zone: Tz::UTC, spread };
    newsroom.cut_edition(&cutting, now).await.unwrap();
    let claimed = newsroom.claim_deliveries("w", 9, now + Duration::hours(1), now).await.unwrap();
    let accepted = claimed.iter().map(|d| (d.id, Settlement::Accepted("250 2.0.0 queued".into())));
    newsroom.settle_deliveries("w", &accepted.collect::<Vec<_>>(), now).await.unwrap();
    claimed.iter().find(|delivery| delivery.subscriber.id == reader).unwrap().id
}

async fn soft_bounces_add_up_and_fade(newsroom: Newsroom) {
    let readers = newsroom.readers(2).await;
    let soft = async |reader, now| {
        let mail = mailed(&newsroom, reader, now).await;
        newsroom.note_bounce(&bounce(mail, BounceClass::Soft), &secret(), now).await.unwrap()
    };
    for day in 0..5 {
        let now = at("05:00:00") + Duration::days(day);
        assert_eq!(soft(readers[0], now).await, Noted::Kept);
        // Another one within the hour weighs nothing.
        assert_eq!(soft(readers[0], now + Duration::minutes(50)).await, Noted::Kept);
        assert_eq!(state(&newsroom, readers[0]).await, SubscriberState::Active);
    }
    let last = at("05:00:00") + Duration::days(5);
    assert_eq!(soft(readers[0], last).await, Noted::Suppressed(SuppressionReason::Bounced));
    assert_eq!(state(&newsroom, readers[0]).await, SubscriberState::Bounced);

    // The same six, a quarter of a year apart each.
    for quarter in 1..7 {
        let now = at("05:00:00") + Duration::days(90 * quarter);
        assert_eq!(soft(readers[1], now).await, Noted::Kept);
    }
}

async fn a_fault_of_ours_is_kept_and_ends_nothing(newsroom: Newsroom) {
    for day in 0..20 {
        let now = at("05:00:00") + Duration::days(day);
        let (id, mail) = reader(&newsroom, "an", now).await;
        let noted = newsroom.note_bounce(&bounce(mail, BounceClass::Policy), &secret(), now).await.unwrap();
        assert_eq!((noted, state(&newsroom, id).await), (Noted::Kept, SubscriberState::Pending));
    }
    assert_eq!(newsroom.bounce_counts().await.unwrap(), [(BounceClass::Policy, 20)]);
}

async fn a_report_twice_at_once_counts_once(newsroom: Newsroom) {
    let (id, mail) = reader(&newsroom, "an", at("05:00:00")).await;
    let (hard, key) = (bounce(mail, BounceClass::Hard), secret());
    let another = newsroom.another().await;
    let (one, two) = tokio::join!(
        newsroom.note_bounce(&hard, &key, at("06:00:00")),
        another.note_bounce(&hard, &key, at("06:00:00"))
    );
    let noted = [one.unwrap(), two.unwrap()];
    assert!(noted.contains(&Noted::Before), "{noted:?}");
    assert!(noted.contains(&Noted::Suppressed(SuppressionReason::Bounced)), "{noted:?}");
    assert_eq!(newsroom.bounces_of(id).await.unwrap().len(), 1);
}

async fn who_is_forgotten_while_his_refusal_is_settled_stops_neither(newsroom: Newsroom) {
    let (now, secret) = (at("05:00:00"), secret());
    for round in 0..25 {
        for reader in 0..4 {
            ask(&newsroom, &format!("r{round}.{reader}"), now).await;
        }
        let claimed = newsroom.claim_deliveries("w", 9, at("06:00:00"), now).await.unwrap();
        let refused: Vec<_> =
            claimed.iter().map(|d| (d.id, Settlement::Bounced("550 5.1.1 unknown".into()))).collect();
        let reports: Vec<_> = claimed.iter().map(|d| bounce(d.id, BounceClass::Hard)).collect();
        let settle = newsroom.settle_refusals("w", &refused, (&reports, &secret), at("05:01:00"));
        let forget = async {
            for delivery in claimed.iter().rev() {
                newsroom.erase_subscriber(delivery.subscriber.id, &secret, at("05:01:00")).await?;
            }
            Ok::<_, bantin::store::StoreError>(())
        };
        let (settled, forgotten) = tokio::join!(settle, forget);
        assert_eq!(settled.map_err(|error| error.to_string()).unwrap().len(), 4, "round {round}");
        assert!(forgotten.is_ok(), "round {round}: {forgotten:?}");
        for delivery in &claimed {
            let reader = newsroom.subscriber(delivery.subscriber.id).await.unwrap();
            assert!(reader.is_none_or(|reader| reader.state == SubscriberState::Unsubscribed));
        }
    }
    let counts = newsroom.delivery_counts().await.unwrap();
    assert_eq!(counts.iter().map(|(_, letters)| letters).sum::<i64>(), 100);
    assert!(counts.iter().all(|(state, _)| matches!(state.as_str(), "bounced" | "suppressed")), "{counts:?}");
}

async fn nobody_is_found_where_there_is_nobody(newsroom: Newsroom) {
    let hard = bounce(DeliveryId(99), BounceClass::Hard);
    assert_eq!(newsroom.note_bounce(&hard, &secret(), at("06:00:00")).await.unwrap(), Noted::Nobody);
    let (id, mail) = reader(&newsroom, "an", at("05:00:00")).await;
    assert_eq!(newsroom.handed_over(mail).await.unwrap().unwrap().subscriber, id);
    assert_eq!(newsroom.handed_over_to(id, at("04:00:00")).await.unwrap().len(), 1);
    assert!(newsroom.handed_over_to(id, at("05:00:01")).await.unwrap().is_empty(), "too long ago");
    newsroom.erase_subscriber(id, &secret(), at("06:10:00")).await.unwrap();
    let hard = bounce(mail, BounceClass::Hard);
    assert_eq!(newsroom.note_bounce(&hard, &secret(), at("06:20:00")).await.unwrap(), Noted::Nobody);
    assert!(newsroom.suppressions().await.unwrap().is_empty());
}

async fn a_lifted_suppression_begins_anew(newsroom: Newsroom) {
    let (id, mail) = reader(&newsroom, "an", at("05:00:00")).await;
    newsroom.note_bounce(&bounce(mail, BounceClass::Hard), &secret(), at("06:00:00")).await.unwrap();
    assert!(newsroom.lift_suppression(&address("AN"), &secret(), at("07:00:00")).await.unwrap());
    assert!(!newsroom.lift_suppression(&address("an"), &secret(), at("07:00:01")).await.unwrap());
    assert_eq!(state(&newsroom, id).await, SubscriberState::Unsubscribed);
    assert!(newsroom.bounces_of(id).await.unwrap()[0].is_forgiven);
    assert!(matches!(ask(&newsroom, "an", at("08:00:00")).await, OptInAnswer::Asked(_)));
}

async fn a_list_is_taken_over_and_given_back(newsroom: Newsroom) {
    let (_, mail) = reader(&newsroom, "an", at("05:00:00")).await;
    newsroom.note_bounce(&bounce(mail, BounceClass::Hard), &secret(), at("06:00:00")).await.unwrap();
    let of = |name: &str| Suppression {
        hash: AddressHash::of(&address(name), &secret()),
        reason: SuppressionReason::Newsroom,
        since: at("01:00:00"),
        evidence: "asked for it".into(),
    };
    assert_eq!(newsroom.import_suppressions(&[of("an"), of("binh"), of("binh")]).await.unwrap(), 1);
    let list = newsroom.suppressions().await.unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].evidence, "550 5.1.1 <…> unknown", "what stood there stays");
    assert_eq!(list[1], of("binh"));
    assert_eq!(newsroom.addresses_not_mailed().await.unwrap(), [address("an")]);
    assert_eq!(AddressHash::parse(list[1].hash.as_str()), Some(list[1].hash.clone()));
    assert_eq!(AddressHash::parse("x"), None);
}

async fn who_is_suppressed_by_hand_is_out_at_once(newsroom: Newsroom) {
    let (id, _) = reader(&newsroom, "an", at("05:00:00")).await;
    let by_hand = async |evidence| {
        let reason = SuppressionReason::Newsroom;
        newsroom.suppress(&address("an"), reason, evidence, &secret(), at("06:00:00")).await.unwrap()
    };
    assert!(by_hand("a letter to the editor").await);
    assert!(!by_hand("again").await);
    assert_eq!(state(&newsroom, id).await, SubscriberState::Unsubscribed);
    assert_eq!(newsroom.suppressions().await.unwrap()[0].evidence, "a letter to the editor");
}

async fn a_refusal_is_settled_with_what_it_means_or_not_at_all(newsroom: Newsroom) {
    let now = at("05:00:00");
    let OptInAnswer::Asked(_) = ask(&newsroom, "an", now).await else { panic!("not asked") };
    let claimed = newsroom.claim_deliveries("w", 1, now + Duration::hours(1), now).await.unwrap();
    let (mail, id) = (claimed[0].id, claimed[0].subscriber.id);
    let refused = [(mail, Settlement::Bounced("550 5.1.1 unknown".into()))];
    let (reports, secret) = ([bounce(mail, BounceClass::Hard)], secret());
    let settle =
        async |worker| newsroom.settle_refusals(worker, &refused, (&reports, &secret), at("05:01:00")).await;
    // The report cannot be written: as at a death half-way, the letter is still the worker's.
    let mut raw = newsroom.raw().await;
    raw.execute("ALTER TABLE bounces RENAME TO bounces_elsewhere").await.unwrap();
    assert!(settle("w").await.is_err());
    let counts = newsroom.delivery_counts().await.unwrap();
    assert_eq!(counts.iter().map(|(state, n)| (state.as_str(), *n)).collect::<Vec<_>>(), [("claimed", 1)]);
    raw.execute("ALTER TABLE bounces_elsewhere RENAME TO bounces").await.unwrap();
    assert_eq!(settle("another").await.unwrap(), [false]);
    assert!(newsroom.bounces_of(id).await.unwrap().is_empty(), "whose claim ended reports nothing");
    assert_eq!(settle("w").await.unwrap(), [true]);
    assert_eq!(state(&newsroom, id).await, SubscriberState::Bounced);
    assert!(newsroom.is_suppressed(&address("an"), &secret).await.unwrap());
}

async fn complaints_are_counted_for_their_edition(newsroom: Newsroom) {
    let readers = newsroom.readers(2).await;
    let mail = mailed(&newsroom, readers[0], at("05:00:00")).await;
    for _ in 0..2 {
        newsroom.note_bounce(&bounce(mail, BounceClass::Complaint), &secret(), at("06:00:00")).await.unwrap();
    }
    let edition = newsroom.handed_over(mail).await.unwrap().unwrap().edition.unwrap();
    let figures = newsroom.edition_figures(edition).await.unwrap();
    assert_eq!((figures.accepted, figures.bounced, figures.complained), (2, 0, 1), "the same one twice");
    newsroom.note_bounce(&bounce(mail, BounceClass::Hard), &secret(), at("07:00:00")).await.unwrap();
    let figures = newsroom.edition_figures(edition).await.unwrap();
    assert_eq!((figures.accepted, figures.bounced, figures.complained), (1, 1, 1));
}

/// Each is given up by the letter of one edition while another waits for him, and that of the other by the
/// other way round: so the rows of the editions are wanted in either order.
async fn two_who_are_refused_editions_of_each_other_stop_nobody(newsroom: Newsroom) {
    const READERS: usize = 16;
    let readers = newsroom.readers(READERS).await;
    let editions =
        [newsroom.edition_of("một", "05:00:00").await, newsroom.edition_of("hai", "05:00:01").await];
    let claimed = newsroom.claim_deliveries("w", 99, at("06:00:00"), at("05:01:00")).await.unwrap();
    let goes_by = |reader: SubscriberId| editions[readers.iter().position(|id| *id == reader).unwrap() % 2];
    let (refused, waiting): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|delivery| delivery.edition == Some(goes_by(delivery.subscriber.id)));
    assert_eq!((refused.len(), waiting.len()), (READERS, READERS));
    let deferred = Settlement::Deferred { reply: "451".into(), next: at("07:00:00") };
    let waiting: Vec<_> = waiting.iter().map(|delivery| (delivery.id, deferred.clone())).collect();
    newsroom.settle_deliveries("w", &waiting, at("05:02:00")).await.unwrap();
    let mut work = tokio::task::JoinSet::new();
    for delivery in refused {
        let store = newsroom.store.clone();
        work.spawn(async move {
            let settlement = [(delivery.id, Settlement::Bounced("550 5.1.1 unknown".into()))];
            let reports = [bounce(delivery.id, BounceClass::Hard)];
            let secret = secret();
            let settled = store.settle_refusals("w", &settlement, (&reports, &secret), at("05:03:00"));
            assert_eq!(settled.await.unwrap(), [true]);
        });
    }
    work.join_all().await;
    for edition in editions {
        assert!(newsroom.edition(edition).await.unwrap().unwrap().completed_at.is_some());
    }
}
