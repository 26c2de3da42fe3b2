//! What the store promises of readers: asking, subscribing, cutting, delivering, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{
    Article, ArticleId, Attempt, BounceClass, DeliveryId, DeliveryKind, DeliveryState, EditionId,
    EmailAddress, EndedReason, FeedKey, Frequency, Instant, Language, OptInId, Secret, Slot, Slug,
    SubscriberId, SubscriberState, SuppressionReason, Wish,
};
use bantin::store::{
    Bounce, ClaimedDelivery, Cut, CutAnswer, Cutting, Noted, OptInAnswer, OptInRequest, Planned, Settlement,
    Store, Turn, Yes,
};
use chrono::Duration;
use chrono_tz::Tz;
use sqlx::Executor as _;
use std::collections::{BTreeMap, HashSet};

on_both_engines!(
    an_address_is_asked_once_within_the_quiet_period,
    a_suppressed_address_gets_nothing,
    saying_yes_twice_is_saying_it_once,
    who_left_may_come_back,
    a_new_reader_begins_at_since,
    each_article_comes_once_whatever_the_sections,
    a_change_of_frequency_neither_repeats_nor_loses,
    an_old_date_is_no_reason_to_be_forgotten,
    what_is_published_while_cutting_is_in_exactly_one_edition,
    who_confirms_while_cutting_misses_nothing,
    an_archive_is_never_mailed,
    what_was_withdrawn_after_the_cut_is_left_out,
    a_move_to_another_section_mails_nothing_again,
    a_slot_is_cut_once,
    two_instances_cut_one_edition,
    a_slot_cut_by_hand_does_not_stop_the_schedule,
    nothing_new_makes_no_edition,
    leaving_voids_what_is_queued_and_undo_brings_it_back,
    leaving_one_section_takes_its_articles_out_of_the_queue,
    a_leaving_is_taken_back_also_when_the_clock_was_put_back_since,
    saving_preferences_leaves_alone_what_was_not_shown,
    a_claim_that_ended_is_due_again,
    a_confirmation_overtakes_editions,
    claimers_never_share_a_delivery,
    what_is_given_back_does_not_count,
    an_edition_is_complete_when_its_counts_balance,
    the_last_two_settled_at_once_complete_the_edition,
    doubt_is_kept_as_doubt,
    a_retry_says_what_the_first_try_said,
    the_preview_is_what_the_cut_gives,
    an_erased_reader_leaves_no_trace_in_the_open,
    a_bounced_address_gets_nothing_more,
    a_broken_row_does_not_hold_up_the_others,
    a_known_digest_keeps_its_slot,
);

pub fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@bao.example")).unwrap()
}

pub fn secret() -> Secret {
    Secret::new([7; 32])
}

pub fn request(name: &str, digest: &str, feeds: &[FeedKey]) -> OptInRequest {
    OptInRequest {
        address: address(name),
        wishes: wishes(digest, feeds),
        time_zone: None,
        language: Language::Vi,
        remote_address: "192.0.2.1".into(),
        wording: "w1".into(),
    }
}

pub fn wishes(digest: &str, feeds: &[FeedKey]) -> Vec<Wish> {
    feeds.iter().map(|feed| Wish { feed: *feed, frequency: Frequency::Digest(slug(digest)) }).collect()
}

/// By whatever digest: since then.
fn since(time: &str) -> impl Fn(&Frequency) -> Instant + Sync {
    let instant = at(time);
    move |_| instant
}

pub const QUIET: Duration = Duration::minutes(30);

pub async fn publish(newsroom: &Newsroom, title: &str, sections: &[&str], time: &str) -> ArticleId {
    let draft = draft(title, title, sections);
    newsroom.accept(&[draft], true, at(time), &newsroom.chance).await.unwrap()[0].id
}

pub async fn section(newsroom: &Newsroom, title: &str) -> FeedKey {
    let tree = newsroom.category_tree().await.unwrap();
    FeedKey::Category(tree.by_slug(&Slug::of_title(title).unwrap()).unwrap().id)
}

pub async fn asked(store: &Store, name: &str, digest: &str, feeds: &[FeedKey], now: Instant) -> OptInId {
    match store.request_opt_in(&request(name, digest, feeds), QUIET, &secret(), now).await.unwrap() {
        OptInAnswer::Asked(id) => id,
        other => panic!("{other:?}"),
    }
}

/// A confirmed reader whose question was mailed.
pub async fn reader(
    newsroom: &Newsroom,
    name: &str,
    digest: &str,
    feeds: &[FeedKey],
    time: &str,
) -> SubscriberId {
    let opt_in = asked(newsroom, name, digest, feeds, at(time)).await;
    let id = newsroom.confirm(opt_in, &since(time), &Yes::default(), at(time)).await.unwrap().unwrap();
    let question = newsroom.claim_deliveries("asker", 1, at(time), at(time)).await.unwrap();
    assert_eq!(question[0].opt_in, Some(opt_in));
    settle(newsroom, question[0].id, "asker", Settlement::Accepted("250 ok".into())).await;
    id
}

pub async fn settle(store: &Store, id: DeliveryId, worker: &str, settlement: Settlement) {
    assert!(store.settle_delivery(id, worker, &settlement, at("09:00:00")).await.unwrap());
}

fn planned(name: &str, schedule: &str, next: Slot) -> Planned {
    Planned { plan: slug(name).into(), schedule: schedule.into(), next }
}

async fn two_digests(newsroom: &Newsroom) {
    let next = Slot(at("06:00:00"));
    let digests = ["sang", "tuan"].map(|name| planned(name, &format!("{name} at six"), next));
    newsroom.register_plans(&digests).await.unwrap();
}

/// Sections "A" and "B" with one old article each, and two digests.
pub async fn two_sections(newsroom: &Newsroom) -> (FeedKey, FeedKey) {
    two_digests(newsroom).await;
    publish(newsroom, "cũ a", &["A"], "01:00:00").await;
    publish(newsroom, "cũ b", &["B"], "01:00:01").await;
    (section(newsroom, "A").await, section(newsroom, "B").await)
}

async fn cut_by_hand(store: &Store, digest: &str, time: &str) -> CutAnswer {
    cut_as(store, digest, at(time), Turn::ByHand).await
}

async fn cut_as(store: &Store, digest: &str, slot: Instant, turn: Turn) -> CutAnswer {
    let plan = slug(digest).into();
    let (zone, spread) = (Tz::Asia__Ho_Chi_Minh, std::time::Duration::ZERO);
    let cutting = Cutting { plan: &plan, slot: Slot(slot), slots: 1, turn, zone, spread };
    store.cut_edition(&cutting, slot).await.unwrap()
}

fn planned_turn(expected: Slot, next: Slot) -> Turn {
    Turn::Planned { expected, next }
}

async fn due(store: &Store, digest: &str, id: SubscriberId) -> Vec<Article> {
    store.due_articles(&slug(digest).into(), id, Tz::Asia__Ho_Chi_Minh, at("06:00:00")).await.unwrap()
}

pub async fn cut(store: &Store, digest: &str, time: &str) -> Cut {
    match cut_by_hand(store, digest, time).await {
        CutAnswer::Made(cut) => cut,
        other => panic!("{other:?}"),
    }
}

async fn titles(store: &Store, edition: EditionId, subscriber: SubscriberId) -> Vec<String> {
    let articles = store.edition_articles(edition, subscriber, true).await.unwrap();
    articles.into_iter().map(|article| article.title).collect()
}

pub async fn claim(store: &Store, worker: &str, until: &str, now: &str) -> Vec<ClaimedDelivery> {
    store.claim_deliveries(worker, 1_000, at(until), at(now)).await.unwrap()
}

pub async fn count(newsroom: &Newsroom, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&mut newsroom.raw().await).await.unwrap()
}

async fn an_address_is_asked_once_within_the_quiet_period(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let first = asked(&newsroom, "an", "sang", &[a], at("07:00:00")).await;
    let again = |feeds: Vec<FeedKey>, name: &'static str, time: &'static str| {
        let store = newsroom.store.clone();
        async move {
            let request = request(name, "sang", &feeds);
            store.request_opt_in(&request, QUIET, &secret(), at(time)).await.unwrap()
        }
    };
    assert_eq!(again(vec![a], "an", "07:10:00").await, OptInAnswer::AskedBefore);
    assert_eq!(newsroom.opt_in(first).await.unwrap().unwrap().wishes, wishes("sang", &[a]));
    // Another spelling is the same mailbox; another wish takes the place of the unanswered one.
    assert_eq!(again(vec![b], "AN", "07:20:00").await, OptInAnswer::AskedBefore);
    let wish = newsroom.opt_in(first).await.unwrap().unwrap();
    assert_eq!(
        (wish.wishes, wish.requested_at, wish.confirmed_at),
        (wishes("sang", &[b]), at("07:00:00"), None)
    );
    assert_eq!(newsroom.delivery_counts().await.unwrap(), [(DeliveryState::Pending, 1)]);
    let OptInAnswer::Asked(second) = again(vec![a], "an", "07:30:00").await else { panic!() };
    assert_ne!(second, first);
    assert_eq!(newsroom.delivery_counts().await.unwrap(), [(DeliveryState::Pending, 2)]);
    assert_eq!(newsroom.subscriber_count_by_state().await.unwrap(), [(SubscriberState::Pending, 1)]);
    assert!(newsroom.opt_in(OptInId(99)).await.unwrap().is_none());
}

async fn a_suppressed_address_gets_nothing(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let complained = SuppressionReason::Complained;
    newsroom.suppress(&address("AN"), complained, "", &secret(), at("06:00:00")).await.unwrap();
    newsroom
        .suppress(&address("an"), SuppressionReason::Newsroom, "", &secret(), at("06:00:01"))
        .await
        .unwrap();
    assert!(newsroom.is_suppressed(&address("an"), &secret()).await.unwrap());
    assert!(!newsroom.is_suppressed(&address("binh"), &secret()).await.unwrap());
    let answer =
        newsroom.request_opt_in(&request("an", "sang", &[a]), QUIET, &secret(), at("07:00:00")).await;
    assert_eq!(answer.unwrap(), OptInAnswer::Suppressed);
    assert!(newsroom.subscriber_by_address(&address("an")).await.unwrap().is_none());
    assert!(newsroom.delivery_counts().await.unwrap().is_empty());
    assert_eq!(count(&newsroom, "SELECT count(*) FROM suppressions WHERE reason = 'complained'").await, 1);
}

async fn saying_yes_twice_is_saying_it_once(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let opt_in = asked(&newsroom, "an", "sang", &[a, b], at("07:00:00")).await;
    let id =
        newsroom.confirm(opt_in, &since("07:00:00"), &Yes::default(), at("07:01:00")).await.unwrap().unwrap();
    assert_eq!(
        newsroom.confirm(opt_in, &since("07:00:00"), &Yes::default(), at("07:02:00")).await.unwrap(),
        Some(id)
    );
    let subscriber = newsroom.subscriber(id).await.unwrap().unwrap();
    assert_eq!((subscriber.state, subscriber.confirmed_at), (SubscriberState::Active, Some(at("07:01:00"))));
    let running = newsroom.subscriptions(id).await.unwrap();
    assert_eq!(running.iter().map(|s| s.feed).collect::<Vec<_>>(), [a, b]);
    assert!(
        running
            .iter()
            .all(|s| s.frequency == Frequency::Digest(slug("sang")) && s.started_at == at("07:01:00"))
    );
    // An old mail in a mailbox brings nobody back.
    newsroom.end_subscriptions(id, None, EndedReason::Reader, at("08:00:00")).await.unwrap();
    assert_eq!(
        newsroom.confirm(opt_in, &since("07:00:00"), &Yes::default(), at("08:01:00")).await.unwrap(),
        Some(id)
    );
    assert!(newsroom.subscriptions(id).await.unwrap().is_empty());
    assert_eq!(newsroom.subscriber(id).await.unwrap().unwrap().state, SubscriberState::Unsubscribed);
    assert_eq!(
        newsroom.confirm(OptInId(99), &since("07:00:00"), &Yes::default(), at("08:00:00")).await.unwrap(),
        None
    );
}

async fn who_left_may_come_back(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "02:10:00").await;
    cut(&newsroom, "sang", "03:00:00").await;
    newsroom.end_subscriptions(id, None, EndedReason::Reader, at("04:00:00")).await.unwrap();
    publish(&newsroom, "hai", &["A"], "04:10:00").await;
    let opt_in = asked(&newsroom, "an", "sang", &[a], at("05:00:00")).await;
    // `since` reaches back over what was missed, and over what was cut and never mailed.
    assert_eq!(
        newsroom.confirm(opt_in, &since("00:00:00"), &Yes::default(), at("05:00:00")).await.unwrap(),
        Some(id)
    );
    let edition = cut(&newsroom, "sang", "06:00:00").await.edition;
    assert_eq!(titles(&newsroom, edition, id).await, ["hai", "một", "cũ a"]);
}

async fn a_new_reader_begins_at_since(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    publish(&newsroom, "trước", &["A"], "02:59:59").await;
    publish(&newsroom, "đúng", &["A"], "03:00:00").await;
    publish(&newsroom, "sau", &["A"], "03:30:00").await;
    let opt_in = asked(&newsroom, "an", "sang", &[a, FeedKey::All], at("04:00:00")).await;
    let id =
        newsroom.confirm(opt_in, &since("03:00:00"), &Yes::default(), at("04:00:00")).await.unwrap().unwrap();
    let edition = cut(&newsroom, "sang", "06:00:00").await.edition;
    assert_eq!(titles(&newsroom, edition, id).await, ["sau", "đúng"]);
}

async fn each_article_comes_once_whatever_the_sections(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let an = reader(&newsroom, "an", "sang", &[a, b, FeedKey::All], "02:00:00").await;
    let binh = reader(&newsroom, "binh", "sang", &[b], "02:00:00").await;
    publish(&newsroom, "chung", &["A", "B"], "03:00:00").await;
    publish(&newsroom, "riêng", &["A"], "03:01:00").await;
    let first = cut(&newsroom, "sang", "06:00:00").await;
    assert_eq!((first.articles, first.deliveries), (2, 2));
    assert_eq!(titles(&newsroom, first.edition, an).await, ["riêng", "chung"]);
    assert_eq!(titles(&newsroom, first.edition, binh).await, ["chung"]);
    publish(&newsroom, "mới", &["B"], "07:00:00").await;
    let second = cut(&newsroom, "sang", "08:00:00").await;
    for id in [an, binh] {
        assert_eq!(titles(&newsroom, second.edition, id).await, ["mới"]);
    }
}

async fn a_change_of_frequency_neither_repeats_nor_loses(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "thứ hai", &["A"], "03:00:00").await;
    let monday = cut(&newsroom, "sang", "03:30:00").await.edition;
    assert_eq!(titles(&newsroom, monday, id).await, ["thứ hai"]);
    publish(&newsroom, "thứ ba", &["A"], "04:00:00").await;
    // From daily to weekly on the preference page, and back by asking anew.
    newsroom
        .change_subscriptions(id, &[a], &wishes("tuan", &[a]), &since("05:00:00"), at("05:00:00"))
        .await
        .unwrap();
    publish(&newsroom, "thứ tư", &["A"], "05:30:00").await;
    assert_eq!(cut_by_hand(&newsroom, "sang", "06:00:00").await, CutAnswer::Empty);
    let opt_in = asked(&newsroom, "an", "sang", &[a], at("06:10:00")).await;
    newsroom.confirm(opt_in, &since("06:10:00"), &Yes::default(), at("06:10:00")).await.unwrap();
    newsroom
        .change_subscriptions(id, &[a], &wishes("tuan", &[a]), &since("06:20:00"), at("06:20:00"))
        .await
        .unwrap();
    let saturday = cut(&newsroom, "tuan", "07:00:00").await.edition;
    assert_eq!(titles(&newsroom, saturday, id).await, ["thứ tư", "thứ ba"]);
    assert_eq!(newsroom.subscriptions(id).await.unwrap().len(), 1);
}

async fn an_old_date_is_no_reason_to_be_forgotten(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "05:00:00").await;
    cut(&newsroom, "sang", "06:00:00").await;
    let mut late = draft("muộn", "muộn", &["A"]);
    late.published = Some(at("00:30:00"));
    newsroom.accept(&[late], true, at("06:00:01"), &newsroom.chance).await.unwrap();
    // The machine's clock went back an hour, too.
    publish(&newsroom, "lùi giờ", &["A"], "04:30:00").await;
    let edition = cut(&newsroom, "sang", "07:00:00").await.edition;
    assert_eq!(titles(&newsroom, edition, id).await, ["lùi giờ", "muộn"]);
}

async fn what_is_published_while_cutting_is_in_exactly_one_edition(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    let (one, two) = (newsroom.another().await, newsroom.another().await);
    let publishing = async |store: &Store, name: &str| {
        for n in 0..30 {
            let draft = draft(&format!("{name}{n}"), &format!("{name}{n}"), &["A"]);
            store.accept(&[draft], true, at("05:00:00"), &newsroom.chance).await.unwrap();
        }
    };
    let cutting = async {
        for n in 0..20 {
            let slot = Slot(at("06:00:00") + Duration::seconds(n));
            cut_as(&newsroom, "sang", slot.0, Turn::ByHand).await;
        }
    };
    tokio::join!(publishing(&one, "x"), publishing(&two, "y"), cutting);
    cut_by_hand(&newsroom, "sang", "07:00:00").await;
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for edition in newsroom.editions(100).await.unwrap() {
        for title in titles(&newsroom, edition.id, id).await {
            *seen.entry(title).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 60);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

async fn who_confirms_while_cutting_misses_nothing(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let (other, desk) = (newsroom.another().await, newsroom.another().await);
    let mut opt_ins = Vec::new();
    for n in 0..20 {
        opt_ins.push(asked(&newsroom, &format!("r{n}"), "sang", &[a], at("02:00:00")).await);
    }
    publish(&newsroom, "0", &["A"], "02:30:00").await;
    let confirming = async {
        let mut ids = Vec::new();
        for opt_in in &opt_ins {
            ids.push(
                other
                    .confirm(*opt_in, &since("02:00:00"), &Yes::default(), at("03:00:00"))
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        ids
    };
    let publishing = async {
        for n in 1..20 {
            let draft = draft(&n.to_string(), &n.to_string(), &["A"]);
            desk.accept(&[draft], true, at("05:00:00"), &newsroom.chance).await.unwrap();
        }
    };
    let cutting = async {
        for n in 0..30 {
            let slot = Slot(at("06:00:00") + Duration::seconds(n));
            cut_as(&newsroom, "sang", slot.0, Turn::ByHand).await;
        }
    };
    let (ids, (), ()) = tokio::join!(confirming, publishing, cutting);
    cut_by_hand(&newsroom, "sang", "07:00:00").await;
    for id in ids {
        let mut got = 0;
        for edition in newsroom.editions(100).await.unwrap() {
            got += titles(&newsroom, edition.id, id).await.len();
        }
        assert_eq!(got, 20, "subscriber {id}");
    }
}

async fn an_archive_is_never_mailed(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    let old = draft("kho", "kho", &["A"]);
    newsroom.accept(&[old], false, at("03:00:00"), &newsroom.chance).await.unwrap();
    assert_eq!(cut_by_hand(&newsroom, "sang", "06:00:00").await, CutAnswer::Empty);
    assert!(due(&newsroom, "sang", id).await.is_empty());
    // Moved to another section, it is still of an archive.
    let moved = draft("kho", "kho", &["A", "B"]);
    newsroom.accept(&[moved], true, at("03:10:00"), &newsroom.chance).await.unwrap();
    let b = section(&newsroom, "B").await;
    reader(&newsroom, "binh", "sang", &[b], "03:00:00").await;
    assert_eq!(cut_by_hand(&newsroom, "sang", "06:10:00").await, CutAnswer::Empty);
    // Who begins behind an import of the archive does not begin at zero.
    let late = reader(&newsroom, "chi", "sang", &[a], "04:00:00").await;
    assert!(due(&newsroom, "sang", late).await.is_empty());
}

async fn what_was_withdrawn_after_the_cut_is_left_out(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    let wrong = publish(&newsroom, "sai", &["A"], "03:00:00").await;
    publish(&newsroom, "đúng", &["A"], "03:00:01").await;
    let before = publish(&newsroom, "rút trước", &["A"], "03:00:02").await;
    newsroom.withdraw(before, at("05:00:00")).await.unwrap();
    let edition = cut(&newsroom, "sang", "06:00:00").await.edition;
    newsroom.withdraw(wrong, at("06:00:01")).await.unwrap();
    for still_subscribed in [true, false] {
        let articles = newsroom.edition_articles(edition, id, still_subscribed).await.unwrap();
        assert_eq!(articles.iter().map(|a| a.title.as_str()).collect::<Vec<_>>(), ["đúng"]);
    }
    // What was never in an edition comes when it is restored.
    newsroom.restore(before, at("07:00:00")).await.unwrap();
    let edition = cut(&newsroom, "sang", "08:00:00").await.edition;
    assert_eq!(titles(&newsroom, edition, id).await, ["rút trước"]);
}

async fn a_move_to_another_section_mails_nothing_again(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let an = reader(&newsroom, "an", "sang", &[a, b], "02:00:00").await;
    let binh = reader(&newsroom, "binh", "sang", &[b], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    let first = cut(&newsroom, "sang", "04:00:00").await;
    assert_eq!(first.deliveries, 1);
    publish(&newsroom, "một", &["B"], "05:00:00").await;
    let second = cut(&newsroom, "sang", "06:00:00").await;
    assert_eq!(second.deliveries, 1);
    assert_eq!(titles(&newsroom, second.edition, binh).await, ["một"]);
    assert!(titles(&newsroom, second.edition, an).await.is_empty());
    // The queued mail of the first edition still brings it, though it left the section.
    assert_eq!(titles(&newsroom, first.edition, an).await, ["một"]);
}

async fn a_slot_is_cut_once(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    let (slot, next) = (Slot(at("06:00:00")), Slot(at("07:00:00")));
    let cut = async || cut_as(&newsroom, "sang", slot.0, planned_turn(slot, next)).await;
    assert!(matches!(cut().await, CutAnswer::Made(Cut { articles: 1, deliveries: 1, .. })));
    publish(&newsroom, "hai", &["A"], "06:30:00").await;
    assert_eq!(cut().await, CutAnswer::TakenByAnother);
    assert_eq!(cut_by_hand(&newsroom, "sang", "06:00:00").await, CutAnswer::TakenByAnother);
    assert!(newsroom.next_slots().await.unwrap().contains(&(slug("sang"), next)));
    assert_eq!(due(&newsroom, "sang", id).await.len(), 1);
    assert_eq!(cut_by_hand(&newsroom, "khong-co", "06:00:00").await, CutAnswer::Empty);
}

async fn two_instances_cut_one_edition(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    for n in 0..10 {
        reader(&newsroom, &format!("r{n}"), "sang", &[a], "02:00:00").await;
    }
    let other = newsroom.another().await;
    for round in 0..5 {
        publish(&newsroom, &format!("bài {round}"), &["A"], "03:00:00").await;
        let slot = Slot(at("06:00:00") + Duration::hours(round));
        let turn = planned_turn(slot, Slot(slot.0 + Duration::hours(1)));
        let answers = tokio::join!(
            cut_as(&newsroom, "sang", slot.0, turn),
            cut_as(&other, "sang", slot.0, turn),
            cut_as(&newsroom, "sang", slot.0, turn),
        );
        let answers: [CutAnswer; 3] = answers.into();
        let made = answers.iter().filter(|a| matches!(a, CutAnswer::Made(Cut { deliveries: 10, .. })));
        assert_eq!(made.count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|a| **a == CutAnswer::TakenByAnother).count(), 2);
    }
    assert_eq!(count(&newsroom, "SELECT count(*) FROM ledger").await, 50);
}

async fn a_slot_cut_by_hand_does_not_stop_the_schedule(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    cut(&newsroom, "sang", "06:00:00").await;
    publish(&newsroom, "hai", &["A"], "06:00:01").await;
    let (slot, next) = (Slot(at("06:00:00")), Slot(at("07:00:00")));
    let answer = cut_as(&newsroom, "sang", slot.0, planned_turn(slot, next)).await;
    assert_eq!(answer, CutAnswer::TakenByAnother);
    let after = Slot(at("08:00:00"));
    let answer = cut_as(&newsroom, "sang", next.0, planned_turn(next, after)).await;
    let CutAnswer::Made(cut) = answer else { panic!("{answer:?}") };
    assert_eq!(titles(&newsroom, cut.edition, id).await, ["hai"]);
}

async fn nothing_new_makes_no_edition(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "khác", &["B"], "03:00:00").await;
    let (slot, next) = (Slot(at("06:00:00")), Slot(at("07:00:00")));
    let answer = cut_as(&newsroom, "sang", slot.0, planned_turn(slot, next)).await;
    assert_eq!(answer, CutAnswer::Empty);
    assert!(newsroom.editions(10).await.unwrap().is_empty());
    assert!(newsroom.next_slots().await.unwrap().contains(&(slug("sang"), next)));
}

async fn leaving_voids_what_is_queued_and_undo_brings_it_back(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a, b], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    let first = cut(&newsroom, "sang", "04:00:00").await.edition;
    let leave =
        async |time| newsroom.end_subscriptions(id, None, EndedReason::Reader, at(time)).await.unwrap();
    assert_eq!(leave("05:00:00").await, 2);
    assert_eq!(leave("05:00:01").await, 0);
    assert_eq!(newsroom.subscriber(id).await.unwrap().unwrap().state, SubscriberState::Unsubscribed);
    assert!(claim(&newsroom, "w", "06:00:00", "05:00:02").await.is_empty());
    let edition = newsroom.edition(first).await.unwrap().unwrap();
    assert_eq!(edition.counts, [(DeliveryState::Suppressed, 1)]);
    assert_eq!(edition.completed_at, Some(at("05:00:00")));
    assert!(titles(&newsroom, first, id).await.is_empty());
    publish(&newsroom, "hai", &["B"], "05:30:00").await;
    assert_eq!(cut_by_hand(&newsroom, "sang", "05:40:00").await, CutAnswer::Empty);
    assert_eq!(newsroom.undo_end(id, at("06:00:00")).await.unwrap(), 2);
    assert_eq!(newsroom.undo_end(id, at("06:00:01")).await.unwrap(), 0);
    assert_eq!(newsroom.subscriber(id).await.unwrap().unwrap().state, SubscriberState::Active);
    assert_eq!(newsroom.edition(first).await.unwrap().unwrap().completed_at, None);
    let second = cut(&newsroom, "sang", "07:00:00").await.edition;
    let due = claim(&newsroom, "w", "08:00:00", "07:00:01").await;
    assert_eq!(due.iter().map(|d| d.edition.unwrap()).collect::<Vec<_>>(), [first, second]);
    assert_eq!(titles(&newsroom, first, id).await, ["một"]);
    assert_eq!(titles(&newsroom, second, id).await, ["hai"]);
    // An older leaving is not dug out by a second click.
    newsroom.end_subscriptions(id, Some(&[a]), EndedReason::Reader, at("08:00:00")).await.unwrap();
    leave("08:30:00").await;
    assert_eq!(newsroom.undo_end(id, at("08:31:00")).await.unwrap(), 1);
    assert_eq!(newsroom.undo_end(id, at("08:31:01")).await.unwrap(), 0);
    let running = newsroom.subscriptions(id).await.unwrap();
    assert_eq!(running.iter().map(|s| s.feed).collect::<Vec<_>>(), [b]);
}

async fn a_leaving_is_taken_back_also_when_the_clock_was_put_back_since(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a, b], "02:00:00").await;
    let (wanted, since) = (wishes("tuan", &[a]), since("09:00:00"));
    newsroom.change_subscriptions(id, &[a, b], &wanted, &since, at("09:00:00")).await.unwrap();
    publish(&newsroom, "một", &["A"], "09:10:00").await;
    let edition = cut(&newsroom, "tuan", "09:20:00").await.edition;
    // What was chosen before has a later time than what is done now.
    newsroom.end_subscriptions(id, None, EndedReason::Reader, at("03:00:00")).await.unwrap();
    assert!(newsroom.say_goodbye(id, at("03:00:01")).await.unwrap());
    assert!(!newsroom.say_goodbye(id, at("12:00:00")).await.unwrap(), "it was said");
    assert_eq!(newsroom.undo_end(id, at("03:10:00")).await.unwrap(), 1);
    assert_eq!(newsroom.subscriptions(id).await.unwrap().len(), 1);
    let due = claim(&newsroom, "w", "04:00:00", "03:10:01").await;
    assert_eq!(due.iter().filter_map(|d| d.edition).collect::<Vec<_>>(), [edition]);
    assert_eq!(titles(&newsroom, edition, id).await, ["một"]);
}

async fn leaving_one_section_takes_its_articles_out_of_the_queue(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a, b], "02:00:00").await;
    publish(&newsroom, "a", &["A"], "03:00:00").await;
    publish(&newsroom, "b", &["B"], "03:00:01").await;
    publish(&newsroom, "ab", &["A", "B"], "03:00:02").await;
    let edition = cut(&newsroom, "sang", "04:00:00").await.edition;
    assert_eq!(
        newsroom.end_subscriptions(id, Some(&[a]), EndedReason::Reader, at("05:00:00")).await.unwrap(),
        1
    );
    assert_eq!(newsroom.subscriber(id).await.unwrap().unwrap().state, SubscriberState::Active);
    assert_eq!(titles(&newsroom, edition, id).await, ["ab", "b"]);
    // The edition as it was cut, for the browser.
    assert_eq!(newsroom.edition_articles(edition, id, false).await.unwrap().len(), 3);
    assert_eq!(
        newsroom.end_subscriptions(id, Some(&[]), EndedReason::Reader, at("05:00:01")).await.unwrap(),
        0
    );
    assert_eq!(claim(&newsroom, "w", "06:00:00", "05:00:02").await.len(), 1);
}

async fn saving_preferences_leaves_alone_what_was_not_shown(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a, FeedKey::All], "02:00:00").await;
    let save = async |shown: &[FeedKey], wanted: &[FeedKey], time| {
        newsroom
            .change_subscriptions(id, shown, &wishes("tuan", wanted), &since(time), at(time))
            .await
            .unwrap();
    };
    let running = async || {
        let running = newsroom.subscriptions(id).await.unwrap();
        running.into_iter().map(|s| (s.feed, s.frequency.to_string())).collect::<Vec<_>>()
    };
    save(&[a, b], &[b], "03:00:00").await;
    assert_eq!(running().await, [(FeedKey::All, "digest:sang".to_owned()), (b, "digest:tuan".to_owned())]);
    save(&[b], &[b, a], "03:10:00").await;
    assert_eq!(running().await.len(), 2);
    // What the page takes off is not what the unsubscribe link's undo is for.
    save(&[b, FeedKey::All], &[], "03:20:00").await;
    assert!(running().await.is_empty());
    assert_eq!(newsroom.undo_end(id, at("03:21:00")).await.unwrap(), 0);
    assert_eq!(newsroom.subscriber(id).await.unwrap().unwrap().state, SubscriberState::Unsubscribed);
    save(&[a, b], &[a], "03:30:00").await;
    assert_eq!(newsroom.subscriber(id).await.unwrap().unwrap().state, SubscriberState::Active);
    assert_eq!(running().await, [(a, "digest:tuan".to_owned())]);
    // A stranger who never confirmed cannot subscribe by that page.
    asked(&newsroom, "la", "sang", &[a], at("04:00:00")).await;
    let stranger = newsroom.subscriber_by_address(&address("la")).await.unwrap().unwrap();
    newsroom
        .change_subscriptions(stranger.id, &[a], &wishes("sang", &[a]), &since("04:00:00"), at("04:00:00"))
        .await
        .unwrap();
    assert!(newsroom.subscriptions(stranger.id).await.unwrap().is_empty());
}

/// One edition to so many readers.
pub async fn queued(newsroom: &Newsroom, readers: usize) -> (EditionId, Vec<SubscriberId>) {
    let (a, _) = two_sections(newsroom).await;
    let mut ids = Vec::new();
    for n in 0..readers {
        ids.push(reader(newsroom, &format!("r{n}"), "sang", &[a], "02:00:00").await);
    }
    publish(newsroom, "một", &["A"], "03:00:00").await;
    (cut(newsroom, "sang", "04:00:00").await.edition, ids)
}

async fn a_claim_that_ended_is_due_again(newsroom: Newsroom) {
    let (edition, ids) = queued(&newsroom, 1).await;
    assert_eq!(newsroom.oldest_due(at("04:10:00")).await.unwrap(), Some(at("04:00:00")));
    let first = claim(&newsroom, "one", "05:00:00", "04:10:00").await;
    assert_eq!((first[0].kind, first[0].attempt), (DeliveryKind::Edition, Attempt(1)));
    assert_eq!((first[0].edition, first[0].subscriber.id), (Some(edition), ids[0]));
    assert_eq!(first[0].created_at, at("04:00:00"));
    assert!(claim(&newsroom, "two", "06:00:00", "04:59:59").await.is_empty());
    assert_eq!(newsroom.oldest_due(at("04:59:59")).await.unwrap(), None);
    let second = claim(&newsroom, "two", "06:00:00", "05:00:00").await;
    assert_eq!((second[0].id, second[0].attempt), (first[0].id, Attempt(2)));
    let accepted = Settlement::Accepted("250 2.0.0 ok\r\nqueued\0".into());
    let late = newsroom.settle_delivery(first[0].id, "one", &accepted, at("05:01:00")).await.unwrap();
    assert!(!late, "a worker whose claim was lost settles nothing");
    // Late, but nobody else has it.
    let settled = newsroom.settle_delivery(first[0].id, "two", &accepted, at("06:30:00")).await.unwrap();
    assert!(settled);
    assert!(!newsroom.settle_delivery(first[0].id, "two", &accepted, at("06:31:00")).await.unwrap());
    assert!(claim(&newsroom, "three", "23:00:00", "22:00:00").await.is_empty());
    assert_eq!(
        count(&newsroom, "SELECT count(*) FROM deliveries WHERE reply = '250 2.0.0 ok queued'").await,
        1
    );
}

async fn a_confirmation_overtakes_editions(newsroom: Newsroom) {
    let (_, ids) = queued(&newsroom, 3).await;
    let opt_in = asked(&newsroom, "moi", "sang", &[FeedKey::All], at("04:30:00")).await;
    let first = newsroom.claim_deliveries("w", 2, at("05:00:00"), at("04:31:00")).await.unwrap();
    assert_eq!((first[0].kind, first[0].opt_in), (DeliveryKind::Confirmation, Some(opt_in)));
    assert_eq!((first[1].kind, first[1].subscriber.id), (DeliveryKind::Edition, ids[0]));
    let deferred = |next| Settlement::Deferred { reply: "451 later".into(), next: at(next) };
    settle(&newsroom, first[0].id, "w", deferred("04:50:00")).await;
    settle(&newsroom, first[1].id, "w", deferred("04:40:00")).await;
    let rest = claim(&newsroom, "w", "05:00:00", "04:32:00").await;
    assert_eq!(rest.iter().map(|d| d.subscriber.id).collect::<Vec<_>>(), ids[1..]);
    let again = claim(&newsroom, "w", "05:30:00", "04:50:00").await;
    assert_eq!(again.iter().map(|d| d.id).collect::<Vec<_>>(), [first[0].id, first[1].id]);
    assert!(again.iter().all(|d| d.attempt == Attempt(2)));
}

async fn claimers_never_share_a_delivery(newsroom: Newsroom) {
    queued(&newsroom, 200).await;
    let mut claimers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let store = if worker % 2 == 0 { newsroom.store.clone() } else { newsroom.another().await };
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let worker = format!("w{worker}");
                let some = store.claim_deliveries(&worker, 7, at("23:00:00"), at("05:00:00")).await.unwrap();
                if some.is_empty() {
                    return mine;
                }
                mine.extend(some.into_iter().map(|delivery| delivery.id));
            }
        });
    }
    let claimed = claimers.join_all().await.concat();
    assert_eq!(claimed.len(), 200);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 200);
}

async fn what_is_given_back_does_not_count(newsroom: Newsroom) {
    queued(&newsroom, 3).await;
    let claimed = newsroom.claim_deliveries("w", 2, at("06:00:00"), at("05:00:00")).await.unwrap();
    let other = newsroom.claim_deliveries("x", 1, at("06:00:00"), at("05:00:00")).await.unwrap();
    assert_eq!(newsroom.give_back_claims("w", at("05:00:01")).await.unwrap(), 2);
    assert_eq!(newsroom.give_back_claims("w", at("05:00:02")).await.unwrap(), 0);
    let again = claim(&newsroom, "y", "06:00:00", "05:00:01").await;
    assert_eq!(again.iter().map(|d| d.id).collect::<Vec<_>>(), [claimed[0].id, claimed[1].id]);
    assert!(again.iter().all(|d| d.attempt == Attempt(1)));
    settle(&newsroom, other[0].id, "x", Settlement::Accepted(String::new())).await;
}

async fn an_edition_is_complete_when_its_counts_balance(newsroom: Newsroom) {
    let (edition, _) = queued(&newsroom, 5).await;
    let completed = async || newsroom.edition(edition).await.unwrap().unwrap().completed_at;
    let claimed = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    let uncertain = |next: Option<&str>| Settlement::Uncertain { reply: "lost".into(), next: next.map(at) };
    settle(&newsroom, claimed[0].id, "w", Settlement::Accepted("250".into())).await;
    settle(&newsroom, claimed[1].id, "w", Settlement::Bounced("550".into())).await;
    settle(&newsroom, claimed[2].id, "w", Settlement::Suppressed("left".into())).await;
    settle(&newsroom, claimed[3].id, "w", uncertain(None)).await;
    settle(&newsroom, claimed[4].id, "w", uncertain(Some("10:00:00"))).await;
    assert_eq!(completed().await, None);
    let again = claim(&newsroom, "w", "11:00:00", "10:00:00").await;
    assert_eq!(again.iter().map(|d| d.id).collect::<Vec<_>>(), [claimed[4].id]);
    settle(&newsroom, claimed[4].id, "w", Settlement::Deferred { reply: "451".into(), next: at("12:00:00") })
        .await;
    assert_eq!(completed().await, None);
    claim(&newsroom, "w", "13:00:00", "12:00:00").await;
    settle(&newsroom, claimed[4].id, "w", Settlement::Accepted("250".into())).await;
    assert_eq!(completed().await, Some(at("09:00:00")));
    let counts = newsroom.edition(edition).await.unwrap().unwrap().counts;
    let (accepted, bounced) = ((DeliveryState::Accepted, 2), (DeliveryState::Bounced, 1));
    assert_eq!(counts, [accepted, bounced, (DeliveryState::Suppressed, 1), (DeliveryState::Uncertain, 1)]);
    assert_eq!(newsroom.editions(10).await.unwrap()[0].articles, 1);
}

async fn the_last_two_settled_at_once_complete_the_edition(newsroom: Newsroom) {
    let (edition, _) = queued(&newsroom, 40).await;
    let claimed = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    let mut settling = tokio::task::JoinSet::new();
    for batch in claimed.chunks(5) {
        let store = newsroom.store.clone();
        let accepted = Settlement::Accepted("250".into());
        let batch: Vec<_> = batch.iter().map(|delivery| (delivery.id, accepted.clone())).collect();
        settling.spawn(async move { store.settle_deliveries("w", &batch, at("05:30:00")).await.unwrap() });
    }
    assert!(settling.join_all().await.concat().into_iter().all(|settled| settled));
    assert_eq!(newsroom.edition(edition).await.unwrap().unwrap().completed_at, Some(at("05:30:00")));
}

async fn doubt_is_kept_as_doubt(newsroom: Newsroom) {
    queued(&newsroom, 1).await;
    let claimed = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    settle(&newsroom, claimed[0].id, "w", Settlement::Uncertain { reply: "lost".into(), next: None }).await;
    assert!(claim(&newsroom, "w", "23:30:00", "23:00:00").await.is_empty());
    assert!(newsroom.delivery_counts().await.unwrap().contains(&(DeliveryState::Uncertain, 1)));
    assert_eq!(newsroom.oldest_due(at("23:00:00")).await.unwrap(), None);
}

async fn a_retry_says_what_the_first_try_said(newsroom: Newsroom) {
    let (a, _) = two_sections(&newsroom).await;
    let id = reader(&newsroom, "an", "sang", &[a], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    let edition = cut(&newsroom, "sang", "04:00:00").await.edition;
    let first = newsroom.edition_articles(edition, id, true).await.unwrap();
    assert_eq!(first[0].lead(), "một. Toàn văn.");
    for n in ["sửa", "sửa nữa"] {
        let mut corrected = draft("một", n, &["A"]);
        corrected.summary = Some("tóm tắt".into());
        newsroom.accept(&[corrected], true, at("05:00:00"), &newsroom.chance).await.unwrap();
    }
    assert_eq!(newsroom.edition_articles(edition, id, true).await.unwrap(), first);
    assert_eq!(cut_by_hand(&newsroom, "sang", "06:00:00").await, CutAnswer::Empty);
}

async fn the_preview_is_what_the_cut_gives(newsroom: Newsroom) {
    let (a, b) = two_sections(&newsroom).await;
    let an = reader(&newsroom, "an", "sang", &[a, b], "02:00:00").await;
    let binh = reader(&newsroom, "binh", "sang", &[b], "02:00:00").await;
    publish(&newsroom, "một", &["A"], "03:00:00").await;
    cut(&newsroom, "sang", "03:30:00").await;
    publish(&newsroom, "một", &["A", "B"], "03:40:00").await;
    publish(&newsroom, "hai", &["A", "B"], "03:41:00").await;
    let gone = publish(&newsroom, "ba", &["B"], "03:42:00").await;
    newsroom.withdraw(gone, at("03:43:00")).await.unwrap();
    let preview_an = due(&newsroom, "sang", an).await;
    let preview_binh = due(&newsroom, "sang", binh).await;
    assert_eq!(due(&newsroom, "sang", an).await, preview_an, "a preview writes nothing");
    assert!(due(&newsroom, "tuan", an).await.is_empty());
    let edition = cut(&newsroom, "sang", "06:00:00").await.edition;
    assert_eq!(newsroom.edition_articles(edition, an, true).await.unwrap(), preview_an);
    assert_eq!(newsroom.edition_articles(edition, binh, true).await.unwrap(), preview_binh);
    assert_eq!((preview_an.len(), preview_binh.len()), (1, 2));
}

async fn an_erased_reader_leaves_no_trace_in_the_open(newsroom: Newsroom) {
    let (edition, ids) = queued(&newsroom, 3).await;
    let claimed = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    let bounced = Settlement::Bounced("550 <r1@bao.example> unknown".into());
    settle(&newsroom, claimed[1].id, "w", bounced).await;
    came_back(&newsroom, claimed[1].id, at("05:10:00")).await;
    for id in [ids[0], ids[1]] {
        assert!(newsroom.erase_subscriber(id, &secret(), at("05:20:00")).await.unwrap());
        assert!(!newsroom.erase_subscriber(id, &secret(), at("05:21:00")).await.unwrap());
        assert!(newsroom.subscriber(id).await.unwrap().is_none());
    }
    assert!(newsroom.subscriber_by_address(&address("r0")).await.unwrap().is_none());
    let accepted = Settlement::Accepted("250".into());
    let held = newsroom.settle_delivery(claimed[0].id, "w", &accepted, at("05:30:00")).await.unwrap();
    assert!(!held, "what a worker held is out of its hands");
    assert!(claim(&newsroom, "w", "07:00:00", "05:59:59").await.is_empty());
    let traces = "SELECT (SELECT count(*) FROM subscribers WHERE address LIKE 'r0%' OR address LIKE 'r1%')
        + (SELECT count(*) FROM subscribers WHERE address_key LIKE 'r0%' OR address_key LIKE 'r1%')
        + (SELECT count(*) FROM deliveries WHERE reply LIKE '%@%')
        + (SELECT count(*) FROM opt_ins WHERE remote_address <> '' AND subscriber <= 2)";
    assert_eq!(count(&newsroom, traces).await, 0);
    assert!(!newsroom.is_suppressed(&address("r0"), &secret()).await.unwrap());
    assert!(newsroom.is_suppressed(&address("r1"), &secret()).await.unwrap());
    assert_eq!(newsroom.undo_end(ids[0], at("05:40:00")).await.unwrap(), 0);
    assert_eq!(
        newsroom.confirm(OptInId(1), &since("05:00:00"), &Yes::default(), at("05:41:00")).await.unwrap(),
        None
    );
    // Who was erased may begin anew, as a new subscriber.
    assert_ne!(reader(&newsroom, "r0", "sang", &[FeedKey::All], "05:50:00").await, ids[0]);
    let counts = newsroom.edition(edition).await.unwrap().unwrap().counts;
    assert!(
        counts.contains(&(DeliveryState::Suppressed, 1)) && counts.contains(&(DeliveryState::Claimed, 1))
    );
}

/// A report says that the address of a delivery is none.
async fn came_back(newsroom: &Newsroom, delivery: DeliveryId, now: Instant) {
    let class = BounceClass::Hard;
    let bounce = Bounce { delivery, class, way: "test".into(), evidence: "550 5.1.1 unknown".into() };
    let noted = newsroom.note_bounce(&bounce, &secret(), now).await.unwrap();
    assert_eq!(noted, Noted::Suppressed(SuppressionReason::Bounced));
}

async fn a_bounced_address_gets_nothing_more(newsroom: Newsroom) {
    let (_, ids) = queued(&newsroom, 2).await;
    came_back(&newsroom, DeliveryId(1), at("05:00:00")).await;
    let due = claim(&newsroom, "w", "06:00:00", "05:00:01").await;
    assert_eq!(due.iter().map(|d| d.subscriber.id).collect::<Vec<_>>(), [ids[1]]);
    publish(&newsroom, "hai", &["A"], "05:10:00").await;
    assert_eq!(cut(&newsroom, "sang", "06:00:00").await.deliveries, 1);
    assert_eq!(newsroom.undo_end(ids[0], at("06:10:00")).await.unwrap(), 0);
    let states = newsroom.subscriber_count_by_state().await.unwrap();
    assert_eq!(states, [(SubscriberState::Active, 1), (SubscriberState::Bounced, 1)]);
}

async fn a_broken_row_does_not_hold_up_the_others(newsroom: Newsroom) {
    let (_, ids) = queued(&newsroom, 2).await;
    newsroom.raw().await.execute("UPDATE subscribers SET address = 'x' WHERE n = 1").await.unwrap();
    let due = claim(&newsroom, "w", "06:00:00", "05:00:00").await;
    assert_eq!(due.iter().map(|d| d.subscriber.id).collect::<Vec<_>>(), [ids[1]]);
    assert!(claim(&newsroom, "w", "07:00:00", "05:59:59").await.is_empty());
}

async fn a_known_digest_keeps_its_slot(newsroom: Newsroom) {
    two_digests(&newsroom).await;
    let later = Slot(at("12:00:00"));
    let digests = [planned("sang", "sang at six", later), planned("tuan", "tuan at noon", later)];
    newsroom.register_plans(&digests).await.unwrap();
    let slots = newsroom.next_slots().await.unwrap();
    assert_eq!(slots, [(slug("sang"), Slot(at("06:00:00"))), (slug("tuan"), later)]);
}
