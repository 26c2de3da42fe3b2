//! What the store promises of topics, callbacks and endpoints, on both engines. The clock is passed in,
//! so leases and back-off end when the story says so.

use crate::newsroom::{Newsroom, Seeded, at, draft, on_both_engines};
use bantin::domain::{
    Attempt, Callback, CallbackId, CallbackSecret, Chance, EmailAddress, FeedKey, Frequency, HubMode,
    Instant, Language, Lease, RequestId, Secret, Slug, SubscriberId, TopicPath, WebUrl, Wish,
};
use bantin::store::{
    Asked, CallbackCaps, ClaimedPush, EndpointKind, EndpointSettlement, EventKind, EventSubject, OptInAnswer,
    OptInRequest, PushSettlement, Refused, RequestKind, RequestSettlement, Store, Yes,
};
use chrono::Duration;
use std::collections::BTreeMap;

const ALL: &str = "/feeds/all.atom";
const CAPS: CallbackCaps = CallbackCaps { per_host: 3, per_topic: 4, waiting_per_host: 3 };
const DAY: Lease = Lease(86_400);

on_both_engines!(
    a_request_is_claimed_once_and_again_when_its_claim_ends,
    h4_only_what_was_verified_last_counts,
    h9_a_lease_ends_at_its_instant,
    h14_a_push_that_is_given_up_is_made_up_for_by_the_next_change,
    h15_leaving_takes_effect_at_once_also_for_what_is_claimed,
    a_change_makes_exactly_the_callbacks_of_its_topics_due,
    bytes_that_stayed_the_same_are_no_event,
    what_changed_while_a_callback_was_verified_is_due_at_once,
    a_change_during_a_push_makes_it_due_again_and_never_twice_at_once,
    a_lost_claim_settles_nothing,
    a_host_that_rests_is_left_out,
    caps_hold_and_renewals_pass,
    a_topic_that_is_gone_ends_and_tells_its_callbacks,
    a_private_topic_follows_its_readers_choice,
    what_ended_long_ago_is_forgotten,
    another_hub_is_told_from_its_mark_on,
    events_are_written_while_a_webhook_is_there_in_their_order,
    whatever_happens_every_callback_ends_with_the_last_state,
);

fn path(text: &str) -> TopicPath {
    TopicPath::of_path(text).unwrap()
}

fn asked(mode: HubMode, topic: &str, url: &str) -> Asked {
    Asked { mode, path: path(topic), callback: Callback::parse(url).unwrap(), secret: None, lease: None }
}

fn minute(n: i64) -> Instant {
    at("08:00:00") + Duration::minutes(n)
}

async fn ask(store: &Store, asked: &Asked, now: Instant) -> RequestId {
    let open = CallbackCaps { per_host: 1_000, per_topic: 1_000, waiting_per_host: 1_000 };
    store.ask_callback(asked, &open, now).await.unwrap().unwrap()
}

/// The change that a feed shows now.
async fn change_of(store: &Store, key: FeedKey) -> i64 {
    let states = store.feed_states().await.unwrap();
    states.iter().find(|state| state.key == key).map_or(0, |state| state.change_number)
}

async fn subscribed(store: &Store, key: FeedKey, lease: Lease) -> RequestSettlement {
    let change = change_of(store, key).await;
    RequestSettlement::Subscribed {
        lease,
        feeds: vec![key],
        subscriber: None,
        change,
        entity_tag: change.to_string(),
    }
}

/// Asks, claims and confirms, as the worker `w`.
async fn subscribe(store: &Store, topic: &str, url: &str, key: FeedKey, lease: Lease, now: Instant) {
    let id = ask(store, &asked(HubMode::Subscribe, topic, url), now).await;
    store.claim_requests("w", 100, now + Duration::minutes(1), now).await.unwrap();
    let settlement = subscribed(store, key, lease).await;
    assert!(store.settle_request("w", id, &settlement, now).await.unwrap());
}

/// Looks at all topics that are behind, as a worker does. How many callbacks became due.
async fn notice(store: &Store, now: Instant) -> u64 {
    let mut due = 0;
    for topic in store.topics_behind(0, now).await.unwrap() {
        let feeds = [FeedKey::All];
        let tag = topic.change.to_string();
        due += store.note_topic(topic.id, topic.change, &tag, &feeds, now).await.unwrap();
    }
    due
}

async fn claim(store: &Store, worker: &str, now: Instant) -> Vec<ClaimedPush> {
    store.claim_pushes(worker, 100, &[], now + Duration::minutes(1), now).await.unwrap()
}

fn urls(pushes: &[ClaimedPush]) -> Vec<&str> {
    pushes.iter().map(|push| push.callback.as_str()).collect()
}

fn accepted(push: &ClaimedPush) -> (CallbackId, PushSettlement) {
    (push.id, PushSettlement::Accepted { change: push.wanted, entity_tag: push.wanted.to_string() })
}

async fn publish(newsroom: &Newsroom, title: &str, now: Instant) {
    newsroom.take(&draft(title, title, &["Kinh tế"]), now).await;
}

/// A newsroom with an article and one callback of the feed of everything, nothing due.
async fn followed(newsroom: &Newsroom) {
    publish(newsroom, "Một", minute(0)).await;
    subscribe(newsroom, ALL, "https://a.example/cb", FeedKey::All, DAY, minute(1)).await;
    assert!(claim(newsroom, "w", minute(1)).await.is_empty());
}

async fn a_request_is_claimed_once_and_again_when_its_claim_ends(newsroom: Newsroom) {
    let mut wish = asked(HubMode::Subscribe, ALL, "https://a.example/cb?x=1");
    wish.secret = CallbackSecret::parse("khóa").unwrap();
    wish.lease = Some(7_200);
    let id = ask(&newsroom, &wish, minute(0)).await;
    assert!(newsroom.is_hub_due(minute(0)).await.unwrap());
    let other = newsroom.another().await;
    let [first, second] = [
        newsroom.claim_requests("a", 9, minute(2), minute(0)).await.unwrap(),
        other.claim_requests("b", 9, minute(2), minute(0)).await.unwrap(),
    ];
    assert_eq!((first.len(), second.len()), (1, 0));
    assert_eq!(
        (first[0].id, &first[0].kind, first[0].lease),
        (id, &RequestKind::Asked(HubMode::Subscribe), Some(7_200))
    );
    assert_eq!((first[0].attempt, first[0].callback.as_str()), (Attempt(1), "https://a.example/cb?x=1"));
    assert!(!newsroom.is_hub_due(minute(1)).await.unwrap());
    // The first worker died.
    let again = other.claim_requests("b", 9, minute(4), minute(2)).await.unwrap();
    assert_eq!(again[0].attempt, Attempt(2));
    let settlement = subscribed(&newsroom, FeedKey::All, DAY).await;
    assert!(!newsroom.settle_request("a", id, &settlement, minute(3)).await.unwrap(), "its claim had ended");
    assert!(
        newsroom
            .settle_request("b", id, &RequestSettlement::Later { next: minute(9) }, minute(3))
            .await
            .unwrap()
    );
    assert!(newsroom.claim_requests("b", 9, minute(9), minute(8)).await.unwrap().is_empty());
    assert_eq!(newsroom.claim_requests("b", 9, minute(12), minute(9)).await.unwrap().len(), 1);
    assert_eq!(newsroom.give_back_hub_claims("b", minute(10)).await.unwrap(), 1);
    assert_eq!(newsroom.claim_requests("c", 9, minute(12), minute(10)).await.unwrap()[0].attempt, Attempt(3));
    assert!(newsroom.settle_request("c", id, &settlement, minute(10)).await.unwrap());
    let state = newsroom.topic_callbacks(&path(ALL), minute(10)).await.unwrap().remove(0);
    assert!(state.is_signed);
    assert_eq!(state.expires_at, minute(10) + Duration::days(1));
}

async fn h4_only_what_was_verified_last_counts(newsroom: Newsroom) {
    publish(&newsroom, "Một", minute(0)).await;
    let wish = |secret: &str| Asked {
        secret: CallbackSecret::parse(secret).unwrap(),
        ..asked(HubMode::Subscribe, ALL, "https://a.example/cb")
    };
    let first = ask(&newsroom, &wish("một"), minute(1)).await;
    let second = ask(&newsroom, &wish("hai"), minute(1)).await;
    let leave = ask(&newsroom, &asked(HubMode::Unsubscribe, ALL, "https://a.example/cb"), minute(1)).await;
    newsroom.claim_requests("w", 9, minute(3), minute(1)).await.unwrap();
    let settlement = subscribed(&newsroom, FeedKey::All, DAY).await;
    // The later one was verified sooner; the earlier one comes too late. The end was not meant.
    assert!(newsroom.settle_request("w", second, &settlement, minute(2)).await.unwrap());
    assert!(newsroom.settle_request("w", first, &settlement, minute(2)).await.unwrap());
    assert!(newsroom.settle_request("w", leave, &RequestSettlement::Failed, minute(2)).await.unwrap());
    publish(&newsroom, "Hai", minute(3)).await;
    assert_eq!(notice(&newsroom, minute(3)).await, 1);
    let pushes = claim(&newsroom, "w", minute(3)).await;
    assert_eq!(pushes[0].secret, CallbackSecret::parse("hai").unwrap());
    // An end that was meant, and then a wish from before it.
    let before = ask(&newsroom, &wish("ba"), minute(4)).await;
    let leave = ask(&newsroom, &asked(HubMode::Unsubscribe, ALL, "https://a.example/cb"), minute(4)).await;
    newsroom.claim_requests("w", 9, minute(6), minute(4)).await.unwrap();
    assert!(newsroom.settle_request("w", leave, &RequestSettlement::Unsubscribed, minute(5)).await.unwrap());
    assert!(newsroom.settle_request("w", before, &settlement, minute(5)).await.unwrap());
    assert!(newsroom.topic_callbacks(&path(ALL), minute(5)).await.unwrap().is_empty());
}

async fn h9_a_lease_ends_at_its_instant(newsroom: Newsroom) {
    publish(&newsroom, "Một", minute(0)).await;
    subscribe(&newsroom, ALL, "https://a.example/cb", FeedKey::All, Lease(600), minute(0)).await;
    let last = minute(10) - Duration::microseconds(1);
    assert_eq!(newsroom.topic_callbacks(&path(ALL), last).await.unwrap().len(), 1);
    publish(&newsroom, "Hai", minute(5)).await;
    assert_eq!(notice(&newsroom, last).await, 1);
    assert!(newsroom.topic_callbacks(&path(ALL), minute(10)).await.unwrap().is_empty());
    assert!(claim(&newsroom, "w", minute(10)).await.is_empty(), "what was due is not pushed any more");
    publish(&newsroom, "Ba", minute(11)).await;
    assert_eq!(notice(&newsroom, minute(11)).await, 0);
    assert_eq!(newsroom.oldest_notice(minute(11)).await.unwrap(), None);
    // Whoever comes back begins anew: what was published meanwhile he has fetched.
    subscribe(&newsroom, ALL, "https://a.example/cb", FeedKey::All, Lease(600), minute(12)).await;
    assert!(claim(&newsroom, "w", minute(12)).await.is_empty());
}

async fn h14_a_push_that_is_given_up_is_made_up_for_by_the_next_change(newsroom: Newsroom) {
    followed(&newsroom).await;
    publish(&newsroom, "Hai", minute(2)).await;
    assert_eq!(notice(&newsroom, minute(2)).await, 1);
    let push = claim(&newsroom, "w", minute(2)).await.remove(0);
    let later = PushSettlement::Later { next: minute(5), error: "answered 503".into() };
    assert_eq!(newsroom.settle_pushes("w", &[(push.id, later)], minute(2)).await.unwrap(), 1);
    assert!(claim(&newsroom, "w", minute(4)).await.is_empty());
    let push = claim(&newsroom, "w", minute(5)).await.remove(0);
    assert_eq!((push.attempt, push.failing_since), (Attempt(2), Some(minute(2))));
    let dropped = PushSettlement::Dropped { error: "answered\r\n503".into() };
    assert_eq!(newsroom.settle_pushes("w", &[(push.id, dropped)], minute(5)).await.unwrap(), 1);
    assert!(claim(&newsroom, "w", minute(5_000)).await.is_empty());
    let state = newsroom.topic_callbacks(&path(ALL), minute(6)).await.unwrap().remove(0);
    assert_eq!((state.failing_since, state.last_error.as_deref()), (Some(minute(2)), Some("answered 503")));
    publish(&newsroom, "Ba", minute(7)).await;
    assert_eq!(notice(&newsroom, minute(7)).await, 1);
    let push = claim(&newsroom, "w", minute(7)).await.remove(0);
    assert_eq!(push.attempt, Attempt(1), "tries begin anew");
    newsroom.settle_pushes("w", &[accepted(&push)], minute(7)).await.unwrap();
    let state = newsroom.topic_callbacks(&path(ALL), minute(8)).await.unwrap().remove(0);
    assert_eq!((state.failing_since, state.pushed_at), (None, Some(minute(7))));
}

async fn h15_leaving_takes_effect_at_once_also_for_what_is_claimed(newsroom: Newsroom) {
    followed(&newsroom).await;
    publish(&newsroom, "Hai", minute(2)).await;
    notice(&newsroom, minute(2)).await;
    let push = claim(&newsroom, "w", minute(2)).await.remove(0);
    let leave = ask(&newsroom, &asked(HubMode::Unsubscribe, ALL, "https://a.example/cb"), minute(2)).await;
    newsroom.claim_requests("w", 9, minute(3), minute(2)).await.unwrap();
    newsroom.settle_request("w", leave, &RequestSettlement::Unsubscribed, minute(2)).await.unwrap();
    assert_eq!(newsroom.settle_pushes("w", &[accepted(&push)], minute(2)).await.unwrap(), 0);
    publish(&newsroom, "Ba", minute(3)).await;
    assert_eq!(notice(&newsroom, minute(3)).await, 0);
    assert!(claim(&newsroom, "w", minute(9)).await.is_empty());
}

async fn a_change_makes_exactly_the_callbacks_of_its_topics_due(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["Kinh tế"]), minute(0)).await;
    newsroom.take(&draft("2", "Hai", &["Thể thao"]), minute(0)).await;
    let [economy, sport] = [newsroom.section("kinh-te").await, newsroom.section("the-thao").await];
    subscribe(&newsroom, "/feeds/kinh-te.rss", "https://a.example/1", economy, DAY, minute(1)).await;
    subscribe(&newsroom, "/feeds/kinh-te.json", "https://a.example/2", economy, DAY, minute(1)).await;
    subscribe(&newsroom, "/feeds/the-thao.rss", "https://a.example/3", sport, DAY, minute(1)).await;
    newsroom.take(&draft("3", "Ba", &["Kinh tế"]), minute(2)).await;
    let behind = newsroom.topics_behind(0, minute(2)).await.unwrap();
    let paths: Vec<&str> = behind.iter().map(|topic| topic.path.as_str()).collect();
    assert_eq!(paths, ["/feeds/kinh-te.rss", "/feeds/kinh-te.json"]);
    let seen = behind[0].change;
    assert!(newsroom.topics_behind(seen, minute(2)).await.unwrap().is_empty());
    for topic in &behind {
        assert_eq!(
            newsroom.note_topic(topic.id, topic.change, "mới", &[economy], minute(2)).await.unwrap(),
            1
        );
        assert_eq!(
            newsroom.note_topic(topic.id, topic.change, "nữa", &[economy], minute(2)).await.unwrap(),
            0
        );
    }
    let pushes = claim(&newsroom, "w", minute(2)).await;
    assert_eq!(urls(&pushes), ["https://a.example/1", "https://a.example/2"]);
    assert_eq!(newsroom.oldest_notice(minute(2)).await.unwrap(), Some(change_of(&newsroom, sport).await));
}

async fn bytes_that_stayed_the_same_are_no_event(newsroom: Newsroom) {
    followed(&newsroom).await;
    publish(&newsroom, "Hai", minute(2)).await;
    let topic = newsroom.topics_behind(0, minute(2)).await.unwrap().remove(0);
    let same = topic.entity_tag.clone();
    assert_eq!(
        newsroom.note_topic(topic.id, topic.change, &same, &[FeedKey::All], minute(2)).await.unwrap(),
        0
    );
    assert!(newsroom.topics_behind(0, minute(2)).await.unwrap().is_empty(), "it was looked at all the same");
    assert!(claim(&newsroom, "w", minute(2)).await.is_empty());
}

async fn what_changed_while_a_callback_was_verified_is_due_at_once(newsroom: Newsroom) {
    publish(&newsroom, "Một", minute(0)).await;
    let id = ask(&newsroom, &asked(HubMode::Subscribe, ALL, "https://a.example/cb"), minute(1)).await;
    newsroom.claim_requests("w", 9, minute(3), minute(1)).await.unwrap();
    // Its owner has fetched the feed by now.
    publish(&newsroom, "Hai", minute(2)).await;
    let settlement = subscribed(&newsroom, FeedKey::All, DAY).await;
    newsroom.settle_request("w", id, &settlement, minute(2)).await.unwrap();
    assert_eq!(claim(&newsroom, "w", minute(2)).await.len(), 1);
    // A document that another worker had made before it knew of the change.
    let id = ask(&newsroom, &asked(HubMode::Subscribe, ALL, "https://b.example/cb"), minute(3)).await;
    newsroom.claim_requests("w", 9, minute(4), minute(3)).await.unwrap();
    let old = subscribed(&newsroom, FeedKey::All, DAY).await;
    publish(&newsroom, "Ba", minute(3)).await;
    assert_eq!(notice(&newsroom, minute(3)).await, 1);
    newsroom.settle_request("w", id, &old, minute(3)).await.unwrap();
    assert!(urls(&claim(&newsroom, "v", minute(3)).await).contains(&"https://b.example/cb"));
}

async fn a_change_during_a_push_makes_it_due_again_and_never_twice_at_once(newsroom: Newsroom) {
    followed(&newsroom).await;
    publish(&newsroom, "Hai", minute(2)).await;
    notice(&newsroom, minute(2)).await;
    let push = claim(&newsroom, "w", minute(2)).await.remove(0);
    publish(&newsroom, "Ba", minute(2)).await;
    assert_eq!(notice(&newsroom, minute(2)).await, 1);
    assert!(claim(&newsroom, "v", minute(2)).await.is_empty(), "somebody is pushing it");
    newsroom.settle_pushes("w", &[accepted(&push)], minute(2)).await.unwrap();
    let again = claim(&newsroom, "v", minute(2)).await.remove(0);
    assert!(again.wanted > push.wanted);
    assert_eq!(again.pushed_tag, push.wanted.to_string());
    // The same where the push fails: the change is not put off for the sake of the last failure.
    publish(&newsroom, "Bốn", minute(2)).await;
    notice(&newsroom, minute(2)).await;
    let later = PushSettlement::Later { next: minute(90), error: "answered 500".into() };
    newsroom.settle_pushes("v", &[(again.id, later)], minute(2)).await.unwrap();
    let last = claim(&newsroom, "v", minute(2)).await.remove(0);
    newsroom.settle_pushes("v", &[accepted(&last)], minute(2)).await.unwrap();
    assert!(claim(&newsroom, "v", minute(200)).await.is_empty());
}

async fn a_lost_claim_settles_nothing(newsroom: Newsroom) {
    followed(&newsroom).await;
    publish(&newsroom, "Hai", minute(2)).await;
    notice(&newsroom, minute(2)).await;
    let lost = claim(&newsroom, "dead", minute(2)).await.remove(0);
    assert_eq!(newsroom.extend_hub_claims("dead", minute(5)).await.unwrap(), 1);
    assert!(claim(&newsroom, "w", minute(4)).await.is_empty());
    let found = claim(&newsroom, "w", minute(5)).await.remove(0);
    assert_eq!((found.id, found.attempt), (lost.id, Attempt(2)));
    let ended = PushSettlement::Ended { error: "answered 410".into() };
    assert_eq!(newsroom.settle_pushes("dead", &[(lost.id, ended.clone())], minute(5)).await.unwrap(), 0);
    assert_eq!(newsroom.settle_pushes("w", &[(found.id, ended)], minute(5)).await.unwrap(), 1);
    assert!(newsroom.topic_callbacks(&path(ALL), minute(5)).await.unwrap().is_empty());
}

async fn a_host_that_rests_is_left_out(newsroom: Newsroom) {
    publish(&newsroom, "Một", minute(0)).await;
    for url in ["https://a.example/1", "https://a.example/2", "https://b.example:81/1"] {
        subscribe(&newsroom, ALL, url, FeedKey::All, DAY, minute(1)).await;
    }
    publish(&newsroom, "Hai", minute(2)).await;
    assert_eq!(notice(&newsroom, minute(2)).await, 3);
    let without = ["a.example:443".to_owned()];
    let others = newsroom.claim_pushes("w", 9, &without, minute(3), minute(2)).await.unwrap();
    assert_eq!(urls(&others), ["https://b.example:81/1"]);
    assert_eq!(newsroom.put_off_host("a.example:443", minute(7), minute(2)).await.unwrap(), 2);
    assert_eq!(newsroom.put_off_host("b.example:81", minute(7), minute(2)).await.unwrap(), 0, "it is held");
    assert!(claim(&newsroom, "v", minute(2)).await.is_empty());
    assert_eq!(claim(&newsroom, "v", minute(7)).await.len(), 3, "with the claim that ended");
    let counts = newsroom.hub_counts(minute(9)).await.unwrap();
    assert_eq!((counts.topics, counts.callbacks, counts.due, counts.oldest_due), (1, 3, 3, Some(minute(8))));
}

async fn caps_hold_and_renewals_pass(newsroom: Newsroom) {
    publish(&newsroom, "Một", minute(0)).await;
    for n in 0..3 {
        subscribe(&newsroom, ALL, &format!("https://a.example/{n}"), FeedKey::All, DAY, minute(0)).await;
    }
    let ask = async |mode, url: &str| {
        newsroom.ask_callback(&asked(mode, ALL, url), &CAPS, minute(1)).await.unwrap().err()
    };
    assert_eq!(ask(HubMode::Subscribe, "https://a.example/3").await, Some(Refused::Host));
    assert_eq!(ask(HubMode::Subscribe, "https://a.example:8443/3").await, None, "another server");
    subscribe(&newsroom, ALL, "https://c.example/1", FeedKey::All, DAY, minute(1)).await;
    assert_eq!(ask(HubMode::Subscribe, "https://d.example/1").await, Some(Refused::Topic));
    assert_eq!(ask(HubMode::Subscribe, "https://a.example/2").await, None, "a renewal");
    assert_eq!(ask(HubMode::Unsubscribe, "https://a.example/2").await, None);
    assert_eq!(ask(HubMode::Unsubscribe, "https://a.example/1").await, None);
    assert_eq!(ask(HubMode::Unsubscribe, "https://a.example/0").await, Some(Refused::Waiting));
}

async fn a_topic_that_is_gone_ends_and_tells_its_callbacks(newsroom: Newsroom) {
    followed(&newsroom).await;
    subscribe(&newsroom, ALL, "https://b.example/cb", FeedKey::All, DAY, minute(1)).await;
    publish(&newsroom, "Hai", minute(2)).await;
    let topic = newsroom.topics_behind(0, minute(2)).await.unwrap().remove(0);
    assert_eq!(newsroom.end_topic(topic.id, "hết rồi", minute(2)).await.unwrap(), 2);
    assert_eq!(newsroom.end_topic(topic.id, "hết rồi", minute(2)).await.unwrap(), 0);
    let told = newsroom.claim_requests("w", 9, minute(3), minute(2)).await.unwrap();
    assert!(told.iter().all(|request| request.kind == RequestKind::Denied("hết rồi".into())), "{told:?}");
    assert_eq!(told.len(), 2);
    assert!(claim(&newsroom, "w", minute(2)).await.is_empty());
    // By hand.
    subscribe(&newsroom, ALL, "https://c.example/cb", FeedKey::All, DAY, minute(3)).await;
    subscribe(&newsroom, ALL, "https://d.example/cb", FeedKey::All, DAY, minute(3)).await;
    let dropped =
        newsroom.drop_callbacks(None, Some("https://c.example/cb"), "thôi", minute(4)).await.unwrap();
    assert_eq!(dropped[0].callback.as_str(), "https://c.example/cb");
    assert_eq!(newsroom.drop_callbacks(Some(&path(ALL)), None, "thôi", minute(4)).await.unwrap().len(), 1);
}

fn wish(feed: FeedKey) -> Wish {
    Wish { feed, frequency: Frequency::Digest(Slug::parse("sang").unwrap()) }
}

/// A confirmed reader of one section.
async fn reader(newsroom: &Newsroom, section: FeedKey) -> SubscriberId {
    let request = OptInRequest {
        address: EmailAddress::parse("ban.doc@bao.example").unwrap(),
        wishes: vec![wish(section)],
        time_zone: None,
        language: Language::Vi,
        remote_address: "192.0.2.1".into(),
        wording: "w1".into(),
    };
    let secret = Secret::new([7; 32]);
    let answer = newsroom.request_opt_in(&request, Duration::minutes(30), &secret, minute(0)).await.unwrap();
    let OptInAnswer::Asked(opt_in) = answer else { panic!("{answer:?}") };
    newsroom.confirm(opt_in, &|_: &Frequency| minute(0), &Yes::default(), minute(0)).await.unwrap().unwrap()
}

async fn a_private_topic_follows_its_readers_choice(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["Kinh tế"]), minute(0)).await;
    newsroom.take(&draft("2", "Hai", &["Thể thao"]), minute(0)).await;
    let [economy, sport] = [newsroom.section("kinh-te").await, newsroom.section("the-thao").await];
    let reader = reader(&newsroom, economy).await;
    let id =
        ask(&newsroom, &asked(HubMode::Subscribe, "/my/AAAA.atom", "https://a.example/cb"), minute(1)).await;
    newsroom.claim_requests("w", 9, minute(2), minute(1)).await.unwrap();
    let change = change_of(&newsroom, economy).await;
    let settlement = RequestSettlement::Subscribed {
        lease: DAY,
        feeds: vec![economy],
        subscriber: Some(reader),
        change,
        entity_tag: String::new(),
    };
    newsroom.settle_request("w", id, &settlement, minute(1)).await.unwrap();
    newsroom.take(&draft("3", "Ba", &["Thể thao"]), minute(2)).await;
    assert!(newsroom.topics_behind(0, minute(2)).await.unwrap().is_empty());
    let wishes = [wish(economy), wish(sport)];
    let since = |_: &Frequency| minute(3);
    newsroom.change_subscriptions(reader, &[economy, sport], &wishes, &since, minute(3)).await.unwrap();
    newsroom.take(&draft("4", "Bốn", &["Thể thao"]), minute(4)).await;
    assert_eq!(newsroom.topics_behind(0, minute(4)).await.unwrap().len(), 1);
}

async fn what_ended_long_ago_is_forgotten(newsroom: Newsroom) {
    followed(&newsroom).await;
    let end = minute(1) + Duration::days(1);
    assert_eq!(newsroom.forget_expired(end).await.unwrap(), 0);
    assert_eq!(newsroom.forget_expired(end + Duration::microseconds(1)).await.unwrap(), 1);
    let mut raw = newsroom.raw().await;
    for table in ["topics", "topic_feeds", "callbacks"] {
        let text = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        assert_eq!(sqlx::query_scalar::<_, i64>(text).fetch_one(&mut raw).await.unwrap(), 0, "{table}");
    }
}

fn web(url: &str) -> WebUrl {
    WebUrl::parse(url).unwrap()
}

async fn another_hub_is_told_from_its_mark_on(newsroom: Newsroom) {
    publish(&newsroom, "Một", minute(0)).await;
    let hub = (EndpointKind::Hub, web("https://hub.example/"));
    newsroom.note_endpoints(std::slice::from_ref(&hub)).await.unwrap();
    let claim = async |now| newsroom.claim_endpoints("w", now + Duration::minutes(1), now).await.unwrap();
    assert!(claim(minute(0)).await.is_empty(), "it is told what happens from now on");
    publish(&newsroom, "Hai", minute(1)).await;
    newsroom.note_endpoints(std::slice::from_ref(&hub)).await.unwrap();
    let claimed = claim(minute(1)).await.remove(0);
    assert!(claimed.latest > claimed.told);
    assert!(claim(minute(1)).await.is_empty());
    let later =
        EndpointSettlement::Later { told: claimed.told, next: minute(5), error: "answered 500".into() };
    assert!(newsroom.settle_endpoint("w", claimed.id, &later, minute(1)).await.unwrap());
    assert!(claim(minute(4)).await.is_empty());
    let state = newsroom.endpoint_states().await.unwrap().remove(0);
    assert_eq!((state.failing_since, state.last_error.as_deref()), (Some(minute(1)), Some("answered 500")));
    let again = claim(minute(5)).await.remove(0);
    assert_eq!((again.told, again.attempt), (claimed.told, Attempt(2)));
    let told = EndpointSettlement::Told(again.latest);
    assert!(newsroom.settle_endpoint("w", again.id, &told, minute(5)).await.unwrap());
    assert!(!newsroom.settle_endpoint("w", again.id, &told, minute(5)).await.unwrap());
    assert!(claim(minute(6)).await.is_empty());
    newsroom.note_endpoints(&[]).await.unwrap();
    assert!(newsroom.endpoint_states().await.unwrap().is_empty());
}

async fn events_are_written_while_a_webhook_is_there_in_their_order(newsroom: Newsroom) {
    // Events are named after the installation.
    newsroom.installation(minute(0), &newsroom.chance).await.unwrap();
    publish(&newsroom, "Trước", minute(0)).await;
    newsroom.note_endpoints(&[(EndpointKind::Webhook, web("https://toasoan.example/hook"))]).await.unwrap();
    let mut tin = draft("1", "Tin", &["Kinh tế"]);
    let id = newsroom.take(&tin, minute(1)).await.id;
    tin.title = "Tin sửa".into();
    newsroom.take(&tin, minute(1)).await;
    newsroom.take(&tin, minute(1)).await;
    newsroom.withdraw(id, minute(2)).await.unwrap();
    newsroom.withdraw(id, minute(2)).await.unwrap();
    newsroom.restore(id, minute(3)).await.unwrap();
    let mut later = draft("2", "Sẽ ra", &[]);
    later.published = Some(minute(5));
    newsroom.take(&later, minute(4)).await;
    newsroom.release_due(minute(5)).await.unwrap();
    let events = newsroom.events_after(0, 100).await.unwrap();
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    use EventKind::{Changed, Published, Withdrawn};
    assert_eq!(kinds, [Published, Changed, Withdrawn, Published, Published]);
    assert!(
        matches!(&events[0].subject, EventSubject::Article { id: told, title, .. } if *told == id && title == "Tin sửa")
    );
    assert_eq!(events[4].happened_at, minute(5));
    let again = newsroom.events_after(events[3].number, 100).await.unwrap();
    assert_eq!((again.len(), again[0].id), (1, events[4].id), "an event keeps its id");
    let claimed = newsroom.claim_endpoints("w", minute(7), minute(6)).await.unwrap().remove(0);
    newsroom
        .settle_endpoint("w", claimed.id, &EndpointSettlement::Told(events[2].number), minute(6))
        .await
        .unwrap();
    assert_eq!(newsroom.forget_events(minute(0)).await.unwrap(), 3, "what everybody was told of");
    newsroom.note_endpoints(&[]).await.unwrap();
    publish(&newsroom, "Sau", minute(8)).await;
    assert_eq!(newsroom.events_after(events[4].number, 9).await.unwrap().len(), 0);
}

/// What a callback should be shown, and was.
#[derive(Clone, Debug, Default)]
struct Model {
    /// When its lease ends; 0 where there is none.
    until: i64,
    /// The newest state that a push showed it, or that it came in with.
    has: i64,
}

async fn whatever_happens_every_callback_ends_with_the_last_state(newsroom: Newsroom) {
    let dice = Seeded::starting_at(7);
    let roll = |sides: u64| {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    };
    publish(&newsroom, "Đầu", minute(0)).await;
    let mut model: BTreeMap<String, Model> = BTreeMap::new();
    let mut now = 0;
    let mut held: Vec<(String, ClaimedPush)> = Vec::new();
    for step in 0..120 {
        match roll(10) {
            0..3 => publish(&newsroom, &format!("Tin {step}"), minute(now)).await,
            3 => {
                let url = format!("https://{}.example/cb", roll(6));
                let lease = 60 * (1 + roll(200) as i64);
                let was_live = model.get(&url).is_some_and(|callback| callback.until > now);
                subscribe(&newsroom, ALL, &url, FeedKey::All, Lease(lease), minute(now)).await;
                let callback = model.entry(url).or_default();
                callback.until = now + lease / 60;
                if !was_live {
                    callback.has = change_of(&newsroom, FeedKey::All).await;
                }
            }
            4 | 5 => drop(notice(&newsroom, minute(now)).await),
            6 | 7 => {
                let worker = format!("w{}", roll(3));
                let claimed = claim(&newsroom, &worker, minute(now)).await;
                for push in &claimed {
                    let is_held = |(by, other): &(String, ClaimedPush)| {
                        other.id == push.id && *by != worker && other.attempt >= push.attempt
                    };
                    assert!(!held.iter().any(is_held), "two workers push to one callback");
                }
                held.extend(claimed.into_iter().map(|push| (worker.clone(), push)));
            }
            8 if !held.is_empty() => {
                let (worker, push) = held.swap_remove(roll(held.len() as u64) as usize);
                let is_accepted = roll(3) > 0;
                let settlement = if is_accepted {
                    accepted(&push)
                } else {
                    let next = minute(now + 1 + roll(5) as i64);
                    (push.id, PushSettlement::Later { next, error: "answered 503".into() })
                };
                let ours = newsroom.settle_pushes(&worker, &[settlement], minute(now)).await.unwrap();
                let callback = model.get_mut(push.callback.as_str()).unwrap();
                if is_accepted && ours == 1 {
                    callback.has = callback.has.max(push.wanted);
                }
            }
            _ => {
                now += roll(4) as i64;
                // Claims last a minute; whoever held one longer has died.
                if now % 2 == 0 {
                    held.clear();
                }
            }
        }
    }
    // Everything comes to rest: claims end, what is due goes out.
    now += 10;
    held.clear();
    for _ in 0..4 {
        notice(&newsroom, minute(now)).await;
        let pushes = claim(&newsroom, "last", minute(now)).await;
        let settlements: Vec<_> = pushes.iter().map(accepted).collect();
        newsroom.settle_pushes("last", &settlements, minute(now)).await.unwrap();
        for push in pushes {
            let callback = model.get_mut(push.callback.as_str()).unwrap();
            callback.has = callback.has.max(push.wanted);
        }
        now += 1;
    }
    let last = change_of(&newsroom, FeedKey::All).await;
    for (url, callback) in model.iter().filter(|(_, callback)| callback.until > now) {
        assert_eq!(callback.has, last, "{url}");
    }
}
