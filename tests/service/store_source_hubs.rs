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
);

fn bao() -> Slug {
    Slug::parse("bao").unwrap()
}

fn url(text: &str) -> WebUrl {
    WebUrl::parse(text).unwrap()
}

/// A source that names a hub, at seven.
async fn named(newsroom: &Newsroom, hub: &str) -> SourceId {
    newsroom.declare_sources(&[(&bao(), "a".to_owned(), true)], at("07:00:00")).await.unwrap();
    let id = state(newsroom).await.id;
    let (key, secret) = (HookKey::random(&newsroom.chance), CallbackSecret::random(&newsroom.chance));
    let (hub, topic) = (url(hub), url("https://bao.example/rss"));
    newsroom.note_hub(id, Some((&hub, &topic)), (&key, &secret), at("07:00:00")).await.unwrap();
    id
}

async fn state(newsroom: &Newsroom) -> SourceState {
    newsroom.source_states().await.unwrap().remove(0)
}

async fn due(newsroom: &Newsroom, now: Instant) -> Vec<SourceHub> {
    newsroom.due_hubs(&[bao()], now, |_| Duration::minutes(5)).await.unwrap()
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
    assert!(newsroom.due_hubs(&[], at("07:00:00"), |_| Duration::zero()).await.unwrap().is_empty());
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
    newsroom.hub_failed(&first, "x").await.unwrap();
    assert_eq!(newsroom.source_hub(id).await.unwrap().as_ref(), Some(&second));
    let claimed =
        newsroom.claim_source(&bao(), "one", at("07:20:00"), at("07:10:00")).await.unwrap().unwrap();
    assert_eq!(claimed.announced_at, None);
    newsroom.declare_sources(&[(&bao(), "b".to_owned(), true)], at("07:02:00")).await.unwrap();
    assert!(newsroom.source_hub(id).await.unwrap().is_none(), "the source says something else");
    let none = (&first.key, &first.secret);
    newsroom.note_hub(id, None, none, at("07:03:00")).await.unwrap();
    assert!(newsroom.source_hub(id).await.unwrap().is_none());
}
