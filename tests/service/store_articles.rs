//! What the store promises of articles, on both engines.

use crate::newsroom::{Newsroom, Seeded, at, draft, on_both_engines, titles};
use bantin::domain::{ArticleId, ArticleState, Draft, FeedKey, IdentityKey, Instant};
use bantin::store::{Accepted, ArticleSelection, Store};
use std::collections::BTreeSet;

on_both_engines!(
    the_installation_is_made_once,
    the_same_thing_twice_changes_nothing,
    a_change_makes_a_revision,
    a_source_may_say_when_it_changed,
    several_keys_lead_to_one_article,
    one_article_twice_in_a_batch,
    an_embargo_ends_by_itself,
    an_embargo_can_be_moved,
    a_withdrawn_article_is_nowhere_and_comes_back,
    two_thousand_at_once,
    articles_are_listed_by_state_and_feed,
    the_archive_is_never_mailed,
    nothing_read_is_lost_on_the_way,
    bad_text_stops_nothing,
);

/// Futures of the store run on any thread.
#[expect(dead_code, reason = "it only has to compile")]
fn answers_travel_between_threads(store: &'static Store, chance: &'static Seeded) {
    fn travels(_: impl Send) {}
    travels(store.accept(&[], true, at("07:00:00"), chance));
    travels(store.feed_snapshot(FeedKey::All, 1));
    travels(store.release_due(at("07:00:00")));
    travels(store.note_definitions(&[], "", at("07:00:00")));
}

async fn the_installation_is_made_once(newsroom: Newsroom) {
    let another = newsroom.another().await;
    let chance = &newsroom.chance;
    let (a, b) = tokio::join!(
        newsroom.installation(at("07:00:00"), chance),
        another.installation(at("07:00:01"), chance)
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.publication, a.secret.bytes()), (b.publication, b.secret.bytes()));
    assert_ne!(a.secret.bytes(), &[0; 32]);
    let later = newsroom.installation(at("09:00:00"), chance).await.unwrap();
    assert_eq!(later.publication, a.publication);
}

async fn the_same_thing_twice_changes_nothing(newsroom: Newsroom) {
    let tin = draft("1", "Khai mạc", &["Chính trị", "Xã hội"]);
    let first = newsroom.take(&tin, at("07:00:00")).await;
    assert_eq!((first.what, first.feeds.len()), (Accepted::New, 3));
    let before = newsroom.feed_states().await.unwrap();
    let again = newsroom.take(&tin, at("08:00:00")).await;
    assert_eq!((again.id, again.what), (first.id, Accepted::Unchanged));
    assert!(again.feeds.is_empty());
    assert_eq!(newsroom.feed_states().await.unwrap(), before);
    let sequence: i64 = sqlx::query_scalar("SELECT publish_sequence FROM installation")
        .fetch_one(&mut newsroom.raw().await)
        .await
        .unwrap();
    assert_eq!(sequence, before.iter().map(|state| state.change_number).max().unwrap());
}

async fn a_change_makes_a_revision(newsroom: Newsroom) {
    let mut tin = draft("1", "Khai mạc", &["Chính trị"]);
    let id = newsroom.take(&tin, at("07:00:00")).await.id;
    assert_eq!(newsroom.whole(id).await.updated, at("07:00:00"));

    tin.title = "Bế mạc".into();
    let revised = newsroom.take(&tin, at("08:00:00")).await;
    assert_eq!(revised.what, Accepted::Revised { number: 2, significant: true });
    assert_eq!(revised.feeds.len(), 2);
    let article = newsroom.whole(id).await;
    assert_eq!((article.revision, article.title.as_str()), (2, "Bế mạc"));
    assert_eq!((article.published, article.updated), (at("07:00:00"), at("08:00:00")));

    tin.title = "Bế mạc hội nghị".into();
    tin.significant = false;
    let silent = newsroom.take(&tin, at("09:00:00")).await;
    assert_eq!(silent.what, Accepted::Revised { number: 3, significant: false });
    assert_eq!(newsroom.whole(id).await.updated, at("08:00:00"));
    assert_eq!(newsroom.state(FeedKey::All).await.changed_at, at("09:00:00"));

    // The clock ran backwards: `updated` still moves forward.
    tin.title = "Bế mạc".into();
    tin.significant = true;
    newsroom.take(&tin, at("06:00:00")).await;
    let article = newsroom.whole(id).await;
    assert_eq!(article.updated, at("08:00:00.000001"));
    let kept: Vec<(i64, String)> = sqlx::query_as("SELECT number, content FROM revisions ORDER BY number")
        .fetch_all(&mut newsroom.raw().await)
        .await
        .unwrap();
    assert_eq!(kept.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(kept[0].1.contains("Khai mạc. Toàn văn."), "{}", kept[0].1);
}

async fn a_source_may_say_when_it_changed(newsroom: Newsroom) {
    let mut tin = draft("1", "Một", &[]);
    (tin.published, tin.updated) = (Some(at("05:00:00")), Some(at("23:00:00")));
    let id = newsroom.take(&tin, at("07:00:00")).await.id;
    let article = newsroom.whole(id).await;
    assert_eq!((article.published, article.updated), (at("05:00:00"), at("07:00:00")));

    tin.title = "Hai".into();
    (tin.published, tin.updated) = (Some(at("04:00:00")), Some(at("07:30:00")));
    newsroom.take(&tin, at("08:00:00")).await;
    let article = newsroom.whole(id).await;
    assert_eq!((article.published, article.updated), (at("05:00:00"), at("07:30:00")));
}

async fn several_keys_lead_to_one_article(newsroom: Newsroom) {
    let key = |name: &str| IdentityKey::external("test", name);
    let mut tin = draft("a", "Khai mạc", &[]);
    tin.keys = vec![key("a"), key("b")];
    let id = newsroom.take(&tin, at("07:00:00")).await.id;
    tin.keys = vec![key("c"), key("b")];
    assert_eq!(newsroom.take(&tin, at("07:01:00")).await.id, id);
    tin.keys = vec![key("c")];
    assert_eq!(newsroom.take(&tin, at("07:02:00")).await.id, id);
    // The first key that is known decides, and keeps the others where they lead.
    let other = newsroom.take(&draft("x", "Khác", &[]), at("07:03:00")).await.id;
    tin.keys = vec![key("x"), key("a")];
    assert_eq!(newsroom.take(&tin, at("07:04:00")).await.id, other);
    tin.keys = vec![key("a")];
    assert_eq!(newsroom.take(&tin, at("07:05:00")).await.id, id);
}

async fn one_article_twice_in_a_batch(newsroom: Newsroom) {
    let key = |name: &str| IdentityKey::external("test", name);
    newsroom.take(&draft("old", "Cũ", &[]), at("06:00:00")).await;
    let mut by_new_key = draft("old", "Cũ, đã sửa", &[]);
    by_new_key.keys.push(key("new"));
    let mut by_other = draft("new", "Cũ, sửa nữa", &[]);
    by_other.keys.push(key("third"));
    let batch = [
        draft("1", "Một", &["Kinh tế"]),
        draft("2", "Hai", &["Kinh tế"]),
        draft("1", "Một, đã sửa", &["Kinh tế"]),
        by_new_key,
        by_other,
        draft("third", "Cũ, sửa nữa", &[]),
    ];
    let done = newsroom.accept(&batch, true, at("07:00:00"), &newsroom.chance).await.unwrap();
    let what: Vec<Accepted> = done.iter().map(|acceptance| acceptance.what).collect();
    let revised = |number| Accepted::Revised { number, significant: true };
    assert_eq!(what, [Accepted::New, Accepted::New, revised(2), revised(2), revised(3), Accepted::Unchanged]);
    assert_eq!(done[0].id, done[2].id);
    assert_eq!(done[3].id, done[5].id);
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Hai", "Một, đã sửa", "Cũ, sửa nữa"]);
    let section = newsroom.section("kinh-te").await;
    assert!(!newsroom.state(section).await.twice_in_one_second, "nobody saw the state in between");
}

async fn an_embargo_ends_by_itself(newsroom: Newsroom) {
    let mut late = draft("late", "Công bố lúc chín giờ", &["Kinh tế"]);
    late.published = Some(at("09:00:00"));
    let mut early = draft("early", "Công bố lúc tám giờ", &["Kinh tế"]);
    early.published = Some(at("08:00:00"));
    let held = newsroom.take(&late, at("07:00:00")).await;
    assert!(held.feeds.is_empty());
    let first = newsroom.take(&early, at("07:00:00")).await.id;
    let open = newsroom.take(&draft("open", "Mở", &["Kinh tế"]), at("07:30:00")).await.id;
    let section = newsroom.section("kinh-te").await;
    assert_eq!(newsroom.feed(section).await, ["Mở"]);
    assert!(newsroom.search("cong bo", 10).await.unwrap().is_empty());
    assert_eq!(newsroom.next_release().await.unwrap(), Some(at("08:00:00")));
    assert!(newsroom.release_due(at("07:59:59")).await.unwrap().is_empty());
    let before = newsroom.state(section).await;

    assert_eq!(newsroom.release_due(at("09:00:00")).await.unwrap(), [first, held.id]);
    assert_eq!(newsroom.feed(section).await, ["Công bố lúc chín giờ", "Công bố lúc tám giờ", "Mở"]);
    assert_eq!(newsroom.search("cong bo", 10).await.unwrap().len(), 2);
    assert_eq!(newsroom.next_release().await.unwrap(), None);
    let after = newsroom.state(section).await;
    assert_eq!(after.changed_at, at("09:00:00"));
    // Released later means numbered later, and the earlier instant first.
    let [late, early, open_number] = newsroom.sequences(section).await[..] else { panic!() };
    assert!(open_number < early && early < late, "{open_number} {early} {late}");
    assert!(open_number <= before.change_number && late == after.change_number);
    assert_eq!(newsroom.whole(held.id).await.state, ArticleState::Visible);
    assert_eq!(newsroom.whole(held.id).await.updated, at("09:00:00"));
    assert!(newsroom.release_due(at("09:00:01")).await.unwrap().is_empty());
    assert_eq!(newsroom.whole(open).await.published, at("07:30:00"));
}

async fn an_embargo_can_be_moved(newsroom: Newsroom) {
    let mut tin = draft("1", "Công bố", &["Kinh tế"]);
    tin.published = Some(at("09:00:00"));
    let id = newsroom.take(&tin, at("07:00:00")).await.id;
    tin.published = Some(at("10:00:00"));
    newsroom.take(&tin, at("07:10:00")).await;
    assert_eq!(newsroom.next_release().await.unwrap(), Some(at("10:00:00")));
    // Without an instant it stays where it is.
    tin.published = None;
    tin.title = "Công bố kết quả".into();
    newsroom.take(&tin, at("07:20:00")).await;
    assert_eq!(newsroom.next_release().await.unwrap(), Some(at("10:00:00")));
    // Brought forward into the past, it is out at once.
    tin.published = Some(at("07:25:00"));
    let out = newsroom.take(&tin, at("07:30:00")).await;
    assert_eq!(out.feeds.len(), 2);
    assert_eq!(newsroom.feed(FeedKey::All).await, ["Công bố kết quả"]);
    let article = newsroom.whole(id).await;
    assert_eq!((article.state, article.published), (ArticleState::Visible, at("07:25:00")));
}

async fn a_withdrawn_article_is_nowhere_and_comes_back(newsroom: Newsroom) {
    let mut tin = draft("1", "Tin sai", &["Xã hội"]);
    let id = newsroom.take(&tin, at("07:00:00")).await.id;
    let section = newsroom.section("xa-hoi").await;
    let number = newsroom.sequences(section).await[0];
    let touched = newsroom.withdraw(id, at("08:00:00")).await.unwrap().unwrap();
    assert_eq!(touched, [FeedKey::All, section]);
    assert!(newsroom.feed(section).await.is_empty());
    assert!(newsroom.feed(FeedKey::All).await.is_empty());
    assert!(newsroom.search("tin sai", 10).await.unwrap().is_empty());
    assert_eq!(newsroom.state(section).await.changed_at, at("08:00:00"));

    let before = newsroom.feed_states().await.unwrap();
    assert_eq!(newsroom.withdraw(id, at("08:30:00")).await.unwrap(), Some(vec![]));
    tin.title = "Tin đúng".into();
    let again = newsroom.take(&tin, at("08:40:00")).await;
    assert_eq!(again.what, Accepted::Revised { number: 2, significant: true });
    assert!(again.feeds.is_empty());
    assert_eq!(newsroom.whole(id).await.state, ArticleState::Withdrawn);
    assert_eq!(newsroom.feed_states().await.unwrap(), before);

    assert_eq!(newsroom.restore(id, at("09:00:00")).await.unwrap().unwrap(), [FeedKey::All, section]);
    assert_eq!(newsroom.feed(section).await, ["Tin đúng"]);
    assert!(newsroom.sequences(section).await[0] > number);
    let article = newsroom.whole(id).await;
    assert_eq!((article.published, article.updated), (at("07:00:00"), at("09:00:00")));
    assert_eq!(newsroom.restore(id, at("09:30:00")).await.unwrap(), Some(vec![]));

    let nobody = ArticleId::new(Default::default());
    assert_eq!(newsroom.withdraw(nobody, at("09:00:00")).await.unwrap(), None);
    assert_eq!(newsroom.restore(nobody, at("09:00:00")).await.unwrap(), None);

    let mut held = draft("2", "Sắp công bố", &["Xã hội"]);
    held.published = Some(at("12:00:00"));
    let held = newsroom.take(&held, at("09:00:00")).await.id;
    assert_eq!(newsroom.withdraw(held, at("09:10:00")).await.unwrap(), Some(vec![]));
    assert_eq!(newsroom.next_release().await.unwrap(), None);
    assert_eq!(newsroom.restore(held, at("09:20:00")).await.unwrap(), Some(vec![]));
    assert_eq!(newsroom.next_release().await.unwrap(), Some(at("12:00:00")));
}

async fn two_thousand_at_once(newsroom: Newsroom) {
    let drafts: Vec<Draft> = (0..2_000)
        .map(|n| draft(&n.to_string(), &format!("Tin {n}"), &[["Kinh tế", "Xã hội", "Thể thao"][n % 3]]))
        .collect();
    let done = newsroom.accept(&drafts, true, at("07:00:00"), &newsroom.chance).await.unwrap();
    assert!(done.iter().all(|acceptance| acceptance.what == Accepted::New));
    let ids: BTreeSet<ArticleId> = done.iter().map(|acceptance| acceptance.id).collect();
    assert_eq!(ids.len(), 2_000);
    for n in [0, 777, 1_999] {
        assert_eq!(newsroom.whole(done[n].id).await.title, format!("Tin {n}"));
    }
    let (_, newest) = newsroom.feed_snapshot(FeedKey::All, 3_000).await.unwrap().unwrap();
    assert_eq!(newest.len(), 2_000);
    assert_eq!(newest[0].title, "Tin 1999");
    assert!(newest.iter().all(|article| article.categories.len() == 1 && !article.body.is_empty()));
    let sequences = newsroom.sequences(FeedKey::All).await;
    assert!(sequences.is_sorted_by(|a, b| a < b), "numbered as they came");
    let again = newsroom.accept(&drafts, true, at("08:00:00"), &newsroom.chance).await.unwrap();
    assert!(again.iter().all(|acceptance| acceptance.what == Accepted::Unchanged));
    let changed: Vec<Draft> =
        drafts.into_iter().map(|d| Draft { authors: vec!["Chí Bảo".into()], ..d }).collect();
    let again = newsroom.accept(&changed, true, at("09:00:00"), &newsroom.chance).await.unwrap();
    assert!(again.iter().all(|a| a.what == Accepted::Revised { number: 2, significant: true }));
    assert_eq!(newsroom.search("chi bao 1234", 10).await.unwrap()[0].title, "Tin 1234");
}

async fn articles_are_listed_by_state_and_feed(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["Kinh tế"]), at("05:00:00")).await;
    newsroom.take(&draft("2", "Hai", &["Xã hội"]), at("06:00:00")).await;
    let gone = newsroom.take(&draft("3", "Ba", &["Kinh tế"]), at("07:00:00")).await.id;
    newsroom.withdraw(gone, at("07:10:00")).await.unwrap();
    let mut held = draft("4", "Bốn", &["Kinh tế"]);
    held.published = Some(at("20:00:00"));
    newsroom.take(&held, at("07:00:00")).await;
    let section = Some(newsroom.section("kinh-te").await);
    let list = async |feed, state, limit| {
        titles(&newsroom.articles(&ArticleSelection { feed, state }, limit).await.unwrap())
    };
    assert_eq!(list(None, None, 10).await, ["Bốn", "Ba", "Hai", "Một"]);
    assert_eq!(list(None, None, 2).await, ["Bốn", "Ba"]);
    assert_eq!(list(section, None, 10).await, ["Bốn", "Ba", "Một"]);
    assert_eq!(list(section, Some(ArticleState::Visible), 10).await, ["Một"]);
    assert_eq!(list(section, Some(ArticleState::Embargoed), 10).await, ["Bốn"]);
    assert_eq!(list(Some(FeedKey::All), Some(ArticleState::Withdrawn), 10).await, ["Ba"]);
    let one = newsroom.articles(&ArticleSelection::default(), 1).await.unwrap();
    assert!(one[0].body.is_empty(), "lists carry no full texts");
}

async fn the_archive_is_never_mailed(newsroom: Newsroom) {
    let mut old = draft("1", "Cũ", &["Kinh tế"]);
    let done = newsroom.accept(&[old.clone()], false, at("07:00:00"), &newsroom.chance).await.unwrap();
    let section = newsroom.section("kinh-te").await;
    assert_eq!(newsroom.sequences(section).await, [0]);
    old.categories = draft("", "x", &["Kinh tế", "Xã hội"]).categories;
    newsroom.take(&old, at("08:00:00")).await;
    newsroom.withdraw(done[0].id, at("09:00:00")).await.unwrap();
    newsroom.restore(done[0].id, at("10:00:00")).await.unwrap();
    for key in [FeedKey::All, section, newsroom.section("xa-hoi").await] {
        assert_eq!(newsroom.sequences(key).await, [0]);
        assert_eq!(newsroom.feed(key).await, ["Cũ"]);
    }
}

async fn nothing_read_is_lost_on_the_way(newsroom: Newsroom) {
    let url = |text: &str| bantin::domain::WebUrl::parse(text).unwrap();
    let mut tin = draft("1", "Đầy đủ", &["Xã hội"]);
    tin.summary = Some("Tóm tắt".into());
    tin.url = Some(url("https://bao.example/a?b=c"));
    tin.tags = vec!["thẻ".into(), "hai".into()];
    tin.authors = vec!["CHÍ BẢO".into()];
    tin.language = bantin::domain::LanguageTag::parse("en-GB");
    tin.image = serde_json::from_str(r#"{"url":"https://bao.example/a.jpg","width":3,"caption":"x"}"#).ok();
    tin.enclosures =
        serde_json::from_str(r#"[{"url":"https://bao.example/a.mp3","type":"audio/mpeg","length":7}]"#)
            .unwrap();
    tin.source = serde_json::from_str(r#"{"title":"Báo Sóc Trăng","url":"https://soctrang.example/"}"#).ok();
    let id = newsroom.take(&tin, at("07:00:00")).await.id;
    let article = newsroom.whole(id).await;
    assert_eq!(
        (&article.title, &article.summary, &article.url, &article.tags, &article.authors),
        (&tin.title, &tin.summary, &tin.url, &tin.tags, &tin.authors)
    );
    assert_eq!(
        (&article.language, &article.image, &article.enclosures, &article.source, &article.body),
        (&tin.language, &tin.image, &tin.enclosures, &tin.source, &tin.body)
    );
    assert!(article.image.is_some() && article.source.is_some());
    assert_eq!((article.id, article.state, article.revision), (id, ArticleState::Visible, 1));
}

async fn bad_text_stops_nothing(newsroom: Newsroom) {
    let url = |text: &str| bantin::domain::WebUrl::parse(text).unwrap();
    let long = format!("https://bao.example/{}", "a".repeat(9_000));
    let mut bad = draft("1", "x", &["\0", "a\0b", &"dài".repeat(5_000)]);
    bad.title = "Nul \0 ở đây '; DROP TABLE articles; --".into();
    bad.summary = Some("\0".into());
    bad.tags = vec!["\0".into()];
    bad.body = bantin::domain::SafeHtml::stored("<p>\0]]></p>".into());
    bad.authors = vec!["a".repeat(100_000), "\u{10ffff}".repeat(3_000)];
    bad.keys = vec![
        IdentityKey::url(&url("https://bao.example/?q=%00")),
        IdentityKey::url(&url(&long)),
        IdentityKey::title(&"tin ".repeat(3_000), None),
    ];
    bad.published = Some(Instant::MIN_UTC);
    bad.updated = Some(Instant::MAX_UTC);
    let mut worse = bad.clone();
    worse.keys = vec![];
    worse.published = Some(Instant::MAX_UTC);
    let done = newsroom
        .accept(&[bad.clone(), worse, draft("2", "Tốt", &[])], true, at("07:00:00"), &newsroom.chance)
        .await
        .unwrap();
    assert_eq!(done.len(), 3);
    let article = newsroom.whole(done[0].id).await;
    assert_eq!((article.published, article.updated), (Instant::MIN_UTC, at("07:00:00")));
    assert!(!article.title.contains('\0'));
    bad.keys = vec![IdentityKey::url(&url(&long))];
    let again = newsroom.take(&bad, at("08:00:00")).await;
    assert_eq!((again.id, again.what), (done[0].id, Accepted::Unchanged));
    assert_eq!(newsroom.feed(FeedKey::All).await[0], "Tốt");
}
