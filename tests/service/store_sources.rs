//! What the store promises of sources, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{FeedKey, Instant, Slug};
use bantin::store::{ClaimedSource, Haul, ItemMet, OpenItem, SourceSettlement, SourceState, Taken};

on_both_engines!(
    a_due_source_is_looked_at_by_one,
    what_is_taken_and_what_is_remembered_move_together,
    who_lost_his_claim_takes_nothing,
    a_failure_is_told_and_forgotten_by_a_success,
    a_source_that_says_something_else_begins_anew,
    an_item_is_open_when_it_stood_still_and_is_not_as_it_was_taken,
    what_is_asked_for_meanwhile_is_looked_at_soon,
);

fn name(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

async fn declare(newsroom: &Newsroom, definition: &str, now: Instant) {
    let declared = [(&name("bao"), definition.to_owned(), true), (&name("hook"), "h".to_owned(), false)];
    newsroom.declare_sources(&declared, now).await.unwrap();
}

async fn claim(newsroom: &Newsroom, worker: &str, now: Instant) -> Vec<ClaimedSource> {
    let until = now + chrono::Duration::minutes(10);
    newsroom.claim_sources(&[name("bao"), name("hook")], worker, until, now).await.unwrap()
}

async fn state(newsroom: &Newsroom, of: &str) -> SourceState {
    let states = newsroom.source_states().await.unwrap();
    states.into_iter().find(|state| state.name.as_str() == of).unwrap()
}

fn done(next: Option<Instant>) -> SourceSettlement {
    SourceSettlement::Done { next, memory: None, announced: None }
}

async fn a_due_source_is_looked_at_by_one(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    let [claimed]: [ClaimedSource; 1] = claim(&newsroom, "one", at("07:00:00")).await.try_into().unwrap();
    assert_eq!((claimed.name.as_str(), claimed.memory.as_str()), ("bao", "{}"));
    assert!(claim(&newsroom, "two", at("07:05:00")).await.is_empty());
    let by_hand = newsroom.claim_source(&name("bao"), "two", at("07:20:00"), at("07:05:00")).await.unwrap();
    assert!(by_hand.is_none(), "nor by hand");
    // Whoever held it died.
    assert_eq!(claim(&newsroom, "two", at("07:11:00")).await.len(), 1);
    assert!(!newsroom.settle_source("one", claimed.id, &done(None), at("07:12:00")).await.unwrap());
    let next = done(Some(at("08:00:00")));
    assert!(newsroom.settle_source("two", claimed.id, &next, at("07:12:00")).await.unwrap());
    assert!(claim(&newsroom, "one", at("07:59:00")).await.is_empty());
    assert_eq!(claim(&newsroom, "one", at("08:00:00")).await.len(), 1);
    newsroom.give_back_sources("one", at("08:00:30")).await.unwrap();
    assert_eq!(claim(&newsroom, "two", at("08:00:30")).await.len(), 1);
}

async fn what_is_taken_and_what_is_remembered_move_together(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    let source = claim(&newsroom, "one", at("07:00:00")).await.remove(0);
    let (news, archive) = ([draft("1", "Một", &[])], [draft("2", "Hai", &[])]);
    let items = [
        ItemMet { item: "1".to_owned(), state: "x".to_owned(), error: None },
        ItemMet { item: "3".to_owned(), state: "y".to_owned(), error: Some("no title".to_owned()) },
    ];
    let haul = || Haul {
        news: &news,
        archive: &archive,
        items: &items,
        memory: Some("{\"mark\":1}"),
        ..Haul::default()
    };
    for taken in [Taken { new: 2, ..Taken::default() }, Taken { unchanged: 2, ..Taken::default() }] {
        let done = newsroom.take_from_source(
            "one",
            source.id,
            haul(),
            at("07:20:00"),
            at("07:01:00"),
            &newsroom.chance,
        );
        assert_eq!(done.await.unwrap(), Some(taken));
    }
    assert_eq!(newsroom.feed(FeedKey::All).await.len(), 2);
    assert_eq!(newsroom.sequences(FeedKey::All).await.iter().filter(|n| **n > 0).count(), 1, "one is mailed");
    let known = newsroom.items(source.id, ["1".to_owned(), "4".to_owned()].iter()).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [("1".to_owned(), ("x".to_owned(), "x".to_owned()))]);
    assert_eq!(newsroom.item_counts(source.id).await.unwrap(), (0, 1));
    assert_eq!(newsroom.wrong_items(source.id, 9).await.unwrap()[0].error, "no title");
    let state = state(&newsroom, "bao").await;
    assert_eq!(
        (state.memory.as_str(), state.taken_at, state.due_at),
        ("{\"mark\":1}", Some(at("07:01:00")), Some(at("07:20:00")))
    );
    // A source that is read as a whole forgets what was wrong.
    let haul = Haul { whole: true, ..Haul::default() };
    newsroom
        .take_from_source("one", source.id, haul, at("07:20:00"), at("07:02:00"), &newsroom.chance)
        .await
        .unwrap();
    assert_eq!(newsroom.item_counts(source.id).await.unwrap(), (0, 0));
}

async fn who_lost_his_claim_takes_nothing(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    let source = claim(&newsroom, "one", at("07:00:00")).await.remove(0);
    claim(&newsroom, "two", at("07:30:00")).await;
    let news = [draft("1", "Một", &[])];
    let haul = Haul { news: &news, memory: Some("{}"), ..Haul::default() };
    let taken =
        newsroom.take_from_source("one", source.id, haul, at("08:00:00"), at("07:31:00"), &newsroom.chance);
    assert_eq!(taken.await.unwrap(), None);
    assert!(
        newsroom
            .feed_snapshot(FeedKey::All, 9)
            .await
            .unwrap()
            .is_none_or(|(_, articles)| articles.is_empty())
    );
}

async fn a_failure_is_told_and_forgotten_by_a_success(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    for (time, attempt) in [("07:00:00", 1), ("07:05:00", 2)] {
        let source = claim(&newsroom, "one", at(time)).await.remove(0);
        assert_eq!(source.attempt.0, attempt);
        let later = SourceSettlement::Later { next: at("07:05:00"), error: "answers\n500".to_owned() };
        assert!(newsroom.settle_source("one", source.id, &later, at(time)).await.unwrap());
    }
    let failing = state(&newsroom, "bao").await;
    assert_eq!(
        (failing.failing_since, failing.last_error.as_deref()),
        (Some(at("07:00:00")), Some("answers 500"))
    );
    let source = claim(&newsroom, "one", at("07:06:00")).await.remove(0);
    let gone = SourceSettlement::Stopped { error: "gone".to_owned() };
    newsroom.settle_source("one", source.id, &gone, at("07:06:00")).await.unwrap();
    assert!(claim(&newsroom, "one", at("23:00:00")).await.is_empty(), "nobody looks at it by himself");
    let until = at("23:30:00");
    let by_hand = newsroom.claim_source(&name("bao"), "one", until, at("23:00:00")).await.unwrap().unwrap();
    newsroom.settle_source("one", by_hand.id, &done(Some(until)), at("23:01:00")).await.unwrap();
    let well = state(&newsroom, "bao").await;
    assert_eq!(
        (well.failing_since, well.last_error, well.stopped_at, well.due_at),
        (None, None, None, Some(until))
    );
}

async fn a_source_that_says_something_else_begins_anew(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    let source = claim(&newsroom, "one", at("07:00:00")).await.remove(0);
    let items = [ItemMet { item: "1".to_owned(), state: "x".to_owned(), error: None }];
    let haul = Haul { items: &items, memory: Some("{\"mark\":1}"), ..Haul::default() };
    newsroom
        .take_from_source("one", source.id, haul, at("07:20:00"), at("07:01:00"), &newsroom.chance)
        .await
        .unwrap();
    newsroom.settle_source("one", source.id, &done(Some(at("09:00:00"))), at("07:02:00")).await.unwrap();
    declare(&newsroom, "a", at("07:03:00")).await;
    assert_eq!(state(&newsroom, "bao").await.due_at, Some(at("09:00:00")), "the same says nothing new");
    declare(&newsroom, "b", at("07:04:00")).await;
    let anew = state(&newsroom, "bao").await;
    assert_eq!((anew.due_at, anew.memory.as_str()), (Some(at("07:04:00")), "{}"));
    assert!(newsroom.items(source.id, ["1".to_owned()].iter()).await.unwrap().is_empty());
    assert_eq!(state(&newsroom, "hook").await.due_at, None);
}

async fn an_item_is_open_when_it_stood_still_and_is_not_as_it_was_taken(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    let source = claim(&newsroom, "one", at("07:00:00")).await.remove(0);
    let met = |state: &str| [("bai.txt".to_owned(), state.to_owned())];
    let open = |state: &str| vec![OpenItem { item: "bai.txt".to_owned(), wanted: state.to_owned() }];
    let meet = async |state: &str| newsroom.meet_items(source.id, &met(state)).await.unwrap();
    assert!(meet("1").await.is_empty());
    assert!(meet("2").await.is_empty(), "it is being written");
    assert_eq!(meet("2").await, open("2"));
    let items = [ItemMet { item: "bai.txt".to_owned(), state: "2".to_owned(), error: None }];
    let haul = Haul { items: &items, ..Haul::default() };
    newsroom
        .take_from_source("one", source.id, haul, at("07:20:00"), at("07:01:00"), &newsroom.chance)
        .await
        .unwrap();
    assert!(meet("2").await.is_empty());
    assert!(meet("3").await.is_empty());
    assert_eq!(meet("3").await, open("3"));
}

async fn what_is_asked_for_meanwhile_is_looked_at_soon(newsroom: Newsroom) {
    declare(&newsroom, "a", at("07:00:00")).await;
    assert!(!newsroom.ask_for_item(&name("khac"), "x", "1", at("07:00:00")).await.unwrap());
    assert!(
        newsroom.ask_for_item(&name("hook"), "https://bao.example/1", "1", at("07:00:00")).await.unwrap()
    );
    let until = at("07:20:00");
    let source = newsroom.claim_source(&name("hook"), "one", until, at("07:00:00")).await.unwrap().unwrap();
    assert_eq!(newsroom.open_items(source.id, 9).await.unwrap().len(), 1);
    // Another notice comes while its page is fetched.
    newsroom.ask_for_item(&name("hook"), "https://bao.example/2", "2", at("07:01:00")).await.unwrap();
    assert_eq!(state(&newsroom, "hook").await.due_at, Some(until), "the claim stands");
    let take = async |item: &str, state: &str| {
        let items = [ItemMet { item: item.to_owned(), state: state.to_owned(), error: None }];
        let haul = Haul { items: &items, ..Haul::default() };
        newsroom
            .take_from_source("one", source.id, haul, until, at("07:02:00"), &newsroom.chance)
            .await
            .unwrap();
    };
    take("https://bao.example/1", "1").await;
    newsroom.settle_source("one", source.id, &done(None), at("07:03:00")).await.unwrap();
    assert_eq!(state(&newsroom, "hook").await.due_at, Some(at("07:03:00")));
    newsroom.claim_source(&name("hook"), "one", until, at("07:03:00")).await.unwrap().unwrap();
    take("https://bao.example/2", "2").await;
    newsroom.settle_source("one", source.id, &done(None), at("07:04:00")).await.unwrap();
    assert_eq!(state(&newsroom, "hook").await.due_at, None);
}
