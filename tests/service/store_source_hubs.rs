//! What the store promises of the hubs that sources name, on both engines.

use crate::newsroom::{Newsroom, at, on_both_engines};
use bantin::domain::{CallbackSecret, HookKey, Instant, Slug, SourceId, WebUrl};
use bantin::store::{SourceHub, SourceSettlement, SourceState};
use chrono::Duration;

on_both_engines!(
    a_due_hub_is_asked_by_one_and_again_by_another,
    only_who_was_asked_lately_can_agree,
    news_that_is_announced_outlives_a_look_that_began_before,
    a_source_that_fails_keeps_its_time_whatever_is_announced,
    another_hub_is_begun_with_anew,
    where_one_hub_does_not_agree_the_next_is_asked,
    a_hub_that_pushes_what_nobody_wants_is_told_so_until_it_hears_it,
);

fn bao() -> Slug {
    Slug::parse("bao").unwrap()
}

fn url(text: &str) -> WebUrl {
    WebUrl::parse(text).unwrap()
}

fn fresh(newsroom: &Newsroom) -> (HookKey, CallbackSecret) {
    (HookKey::random(&newsroom.chance), CallbackSecret::random(&newsroom.chance))
}

const TOPIC: &str = "https://bao.example/rss";

/// A source that names hubs, at seven.
async fn named(newsroom: &Newsroom, hubs: &str) -> SourceId {
    newsroom.declare_sources(&[(&bao(), "a".to_owned(), true)], at("07:00:00")).await.unwrap();
    let id = state(newsroom).await.id;
    let (key, secret) = fresh(newsroom);
    let (hubs, topic) = (hubs.split(' ').map(url).collect::<Vec<_>>(), url(TOPIC));
    newsroom.note_hubs(id, Some((&hubs, &topic)), (&key, &secret), at("07:00:00")).await.unwrap();
    id
}

async fn state(newsroom: &Newsroom) -> SourceState {
    newsroom.source_states().await.unwrap().remove(0)
}

async fn due(newsroom: &Newsroom, now: Instant) -> Vec<SourceHub> {
    newsroom.due_hubs(&[bao()], now, |_| Duration::minutes(5), || fresh(newsroom)).await.unwrap()
}

async fn agree(newsroom: &Newsroom, now: Instant) -> bool {
    let hub = newsroom.hub_of_source(&bao()).await.unwrap().unwrap();
    newsroom.hub_agreed(&hub, now + Duration::hours(2), now + Duration::hours(1), now).await.unwrap()
}

async fn push(newsroom: &Newsroom, now: Instant) {
    let hub = newsroom.hub_of_source(&bao()).await.unwrap().unwrap();
    newsroom.hub_pushed(&hub, now).await.unwrap();
}

/// Looks at the source from one instant to another, for the news that was announced before it.
async fn look(newsroom: &Newsroom, from: Instant, to: Instant, during: impl AsyncFnOnce()) {
    let source =
        newsroom.claim_source(&bao(), "one", from + Duration::minutes(10), from).await.unwrap().unwrap();
    during().await;
    let next = Some(to + Duration::hours(6));
    let done = SourceSettlement::Done { next, memory: None, announced: source.announced_at };
    assert!(newsroom.settle_source("one", source.id, &done, to).await.unwrap());
}

async fn a_due_hub_is_asked_by_one_and_again_by_another(newsroom: Newsroom) {
    named(&newsroom, "https://hub.example/").await;
    let others = newsroom.due_hubs(&[], at("07:00:00"), |_| Duration::zero(), || fresh(&newsroom)).await;
    assert!(others.unwrap().is_empty());
    let asked = due(&newsroom, at("07:00:00")).await;
    assert_eq!((asked.len(), asked[0].attempt.0, asked[0].name.as_str()), (1, 1, "bao"));
    assert!(due(&newsroom, at("07:04:59")).await.is_empty());
    // Whoever asked died, or the hub was silent.
    assert_eq!(due(&newsroom, at("07:05:00")).await[0].attempt.0, 2);
    assert!(agree(&newsroom, at("07:05:01")).await);
    assert!(due(&newsroom, at("08:05:00")).await.is_empty());
    assert_eq!(due(&newsroom, at("08:05:01")).await[0].attempt.0, 1);
}

async fn only_who_was_asked_lately_can_agree(newsroom: Newsroom) {
    let id = named(&newsroom, "https://hub.example/").await;
    assert!(!agree(&newsroom, at("07:00:00")).await, "it was not asked");
    due(&newsroom, at("07:00:00")).await;
    assert!(!agree(&newsroom, at("08:00:00")).await, "it was asked long ago");
    assert!(newsroom.source_hub(id).await.unwrap().unwrap().ends_at.is_none());
    look(&newsroom, at("07:00:00"), at("07:00:01"), async || {}).await;
    assert!(agree(&newsroom, at("07:59:59")).await && agree(&newsroom, at("07:59:59")).await);
    // What was published while nobody pushed is looked for.
    assert_eq!(state(&newsroom).await.due_at, Some(at("07:59:59")));
    let hub = newsroom.source_hub(id).await.unwrap().unwrap();
    assert!(hub.is_live(at("09:59:58")) && !hub.is_live(at("09:59:59")));
    newsroom.hub_denied(&hub, "no", at("23:00:00")).await.unwrap();
    assert!(!agree(&newsroom, at("07:59:59")).await, "it said no");
    let hub = newsroom.source_hub(id).await.unwrap().unwrap();
    assert_eq!((hub.ends_at, hub.last_error.as_deref()), (None, Some("no")));
}

async fn news_that_is_announced_outlives_a_look_that_began_before(newsroom: Newsroom) {
    let id = named(&newsroom, "https://hub.example/").await;
    look(&newsroom, at("07:00:00"), at("07:00:10"), async || {
        push(&newsroom, at("07:00:05")).await;
    })
    .await;
    assert_eq!(state(&newsroom).await.due_at, Some(at("07:00:13")), "what it fetched may be older");
    look(&newsroom, at("07:00:13"), at("07:00:14"), async || {}).await;
    assert_eq!(state(&newsroom).await.due_at, Some(at("13:00:14")), "it was looked for");
    // Nor does a push give the server less peace than it needs.
    push(&newsroom, at("07:00:15")).await;
    assert_eq!(state(&newsroom).await.due_at, Some(at("07:00:18")));
    push(&newsroom, at("07:00:16")).await;
    assert_eq!(state(&newsroom).await.due_at, Some(at("07:00:18")));
    look(&newsroom, at("07:00:18"), at("07:00:19"), async || {}).await;
    push(&newsroom, at("07:30:00")).await;
    assert_eq!(state(&newsroom).await.due_at, Some(at("07:30:00")));
    let hub = newsroom.source_hub(id).await.unwrap().unwrap();
    assert_eq!((hub.pushed_at, hub.is_believed), (Some(at("07:30:00")), true));
    newsroom.hub_missed(id).await.unwrap();
    assert!(!newsroom.source_hub(id).await.unwrap().unwrap().is_believed);
}

async fn a_source_that_fails_keeps_its_time_whatever_is_announced(newsroom: Newsroom) {
    named(&newsroom, "https://hub.example/").await;
    let claimed =
        newsroom.claim_source(&bao(), "one", at("07:10:00"), at("07:00:00")).await.unwrap().unwrap();
    let later = SourceSettlement::Later { next: at("09:00:00"), error: "503".to_owned() };
    newsroom.settle_source("one", claimed.id, &later, at("07:00:01")).await.unwrap();
    push(&newsroom, at("07:30:00")).await;
    assert_eq!(state(&newsroom).await.due_at, Some(at("09:00:00")));
    let claimed =
        newsroom.claim_source(&bao(), "one", at("09:10:00"), at("09:00:00")).await.unwrap().unwrap();
    assert_eq!(claimed.announced_at, Some(at("07:30:00")), "it is looked for then");
}

async fn another_hub_is_begun_with_anew(newsroom: Newsroom) {
    let id = named(&newsroom, "https://hub.example/").await;
    due(&newsroom, at("07:00:00")).await;
    assert!(agree(&newsroom, at("07:00:01")).await);
    let first = newsroom.source_hub(id).await.unwrap().unwrap();
    named(&newsroom, "https://hub.example/").await;
    assert_eq!(newsroom.source_hub(id).await.unwrap().as_ref(), Some(&first), "the same");
    named(&newsroom, "https://other.example/").await;
    let second = newsroom.source_hub(id).await.unwrap().unwrap();
    assert!(second.key != first.key && second.secret != first.secret && second.ends_at.is_none());
    // What the first still says is of no account.
    newsroom.hub_pushed(&first, at("07:01:00")).await.unwrap();
    newsroom.hub_failed(&first, "x", at("07:01:00")).await.unwrap();
    assert_eq!(newsroom.source_hub(id).await.unwrap().as_ref(), Some(&second));
    let claimed =
        newsroom.claim_source(&bao(), "one", at("07:20:00"), at("07:10:00")).await.unwrap().unwrap();
    assert_eq!(claimed.announced_at, None);
    newsroom.declare_sources(&[(&bao(), "b".to_owned(), true)], at("07:02:00")).await.unwrap();
    assert!(newsroom.source_hub(id).await.unwrap().is_none(), "the source says something else");
    let none = (&first.key, &first.secret);
    newsroom.note_hubs(id, None, none, at("07:03:00")).await.unwrap();
    assert!(newsroom.source_hub(id).await.unwrap().is_none());
}

async fn where_one_hub_does_not_agree_the_next_is_asked(newsroom: Newsroom) {
    const HUBS: [&str; 3] = ["https://a.example/", "https://b.example/", "https://c.example/"];
    let id = named(&newsroom, &HUBS.join(" ")).await;
    let asked = async |hub: &str, now: &str| {
        let [asked] = due(&newsroom, at(now)).await.try_into().unwrap();
        assert_eq!(asked.hub.as_str(), hub, "{now}");
        asked
    };
    let first = asked(HUBS[0], "07:00:00").await;
    newsroom.hub_failed(&first, "500", at("07:00:01")).await.unwrap();
    let second = asked(HUBS[1], "07:00:01").await;
    assert!(second.key != first.key && second.secret != first.secret && second.last_error.is_none());
    // It is silent.
    assert!(due(&newsroom, at("07:05:00")).await.is_empty());
    let third = asked(HUBS[2], "07:05:01").await;
    newsroom.hub_failed(&third, "no", at("07:05:02")).await.unwrap();
    assert!(due(&newsroom, at("07:10:00")).await.is_empty(), "each was asked: they have peace");
    assert_eq!(asked(HUBS[0], "07:10:01").await.attempt.0, 4);
    assert!(agree(&newsroom, at("07:10:02")).await);
    // One that pushes is asked again and no other, as long as its lease lasts.
    let live = asked(HUBS[0], "08:10:02").await;
    newsroom.hub_failed(&live, "500", at("08:10:03")).await.unwrap();
    assert_eq!(asked(HUBS[0], "08:15:02").await.key, live.key);
    assert_eq!(asked(HUBS[0], "09:10:01").await.key, live.key);
    asked(HUBS[1], "09:15:01").await;
    assert!(agree(&newsroom, at("09:15:02")).await);
    // It says no, and the feed names others in another order.
    let live = newsroom.source_hub(id).await.unwrap().unwrap();
    newsroom.hub_denied(&live, "no", at("09:16:00")).await.unwrap();
    named(&newsroom, "https://d.example/ https://b.example/ https://e.example/").await;
    asked("https://e.example/", "09:16:00").await;
}

async fn a_hub_that_pushes_what_nobody_wants_is_told_so_until_it_hears_it(newsroom: Newsroom) {
    const ONE: &str = "https://one.example/";
    let told =
        async |now: &str| newsroom.due_leavings(at(now), |_| Some(Duration::minutes(5))).await.unwrap();
    let id = named(&newsroom, ONE).await;
    due(&newsroom, at("07:00:00")).await;
    named(&newsroom, "https://two.example/").await;
    assert!(told("07:00:01").await.is_empty(), "the first had not agreed");
    due(&newsroom, at("07:00:01")).await;
    assert!(agree(&newsroom, at("07:00:02")).await);
    let two = newsroom.source_hub(id).await.unwrap().unwrap();
    named(&newsroom, ONE).await;
    assert!(!newsroom.hub_let_go("bao", two.key.reveal(), TOPIC).await.unwrap(), "it was not told");
    let left = told("07:00:03").await;
    assert_eq!(left.iter().map(|left| (&left.hub, &left.key)).collect::<Vec<_>>(), [(&two.hub, &two.key)]);
    assert!(told("07:05:02").await.is_empty());
    assert_eq!(told("07:05:03").await, left, "it did not ask whether that was meant");
    for (name, key, topic) in [
        ("khac", two.key.reveal(), TOPIC),
        ("bao", "x", TOPIC),
        ("bao", two.key.reveal(), "https://x.example/"),
    ] {
        assert!(!newsroom.hub_let_go(name, key, topic).await.unwrap());
    }
    for _ in 0..2 {
        assert!(newsroom.hub_let_go("bao", two.key.reveal(), TOPIC).await.unwrap());
    }
    assert!(told("08:00:00").await.is_empty(), "it heard it");
    assert!(told("09:00:02").await.is_empty(), "its lease is over");
    assert!(!newsroom.hub_let_go("bao", two.key.reveal(), TOPIC).await.unwrap());

    // A source that says something else, one that is declared no more, and one that names no hub.
    for way in ["b", "none", "no hub"] {
        let id = named(&newsroom, ONE).await;
        due(&newsroom, at("07:00:00")).await;
        assert!(agree(&newsroom, at("07:00:00")).await);
        let hub = newsroom.source_hub(id).await.unwrap().unwrap();
        newsroom.leave_hubs_but_of(&[bao()], at("07:00:01")).await.unwrap();
        assert_eq!(newsroom.source_hub(id).await.unwrap().as_ref(), Some(&hub), "it is wanted");
        match way {
            "none" => newsroom.leave_hubs_but_of(&[], at("07:00:01")).await.unwrap(),
            "no hub" => newsroom.note_hubs(id, None, (&hub.key, &hub.secret), at("07:00:01")).await.unwrap(),
            way => newsroom.declare_sources(&[(&bao(), way.to_owned(), true)], at("07:00:01")).await.unwrap(),
        }
        assert!(newsroom.source_hub(id).await.unwrap().is_none(), "{way}");
        assert_eq!(told("07:00:01").await.remove(0).key, hub.key, "{way}");
    }
}
