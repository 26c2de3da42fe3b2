//! What the store promises of feeds and sections, on both engines.

use crate::newsroom::{Newsroom, Seeded, at, draft, on_both_engines, titles};
use bantin::domain::FeedKey;
use bantin::store::Definition;
use bantin::store::{Engine, Store};
use sqlx::Executor;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

on_both_engines!(
    a_move_touches_the_feeds_left_and_joined,
    an_event_in_one_section_leaves_the_other_alone,
    a_feed_never_runs_backwards,
    twice_in_one_second,
    sections_are_found_by_title_and_by_slug,
    odd_sections_get_slugs,
    an_article_stands_in_the_feeds_above_its_section,
    a_feed_shows_its_newest,
    a_definition_is_an_event_when_it_changes,
    no_late_commit_slips_behind_a_reader,
    a_late_commit_holds_the_others_back,
    a_section_can_be_moved,
    a_glance_sees_that_somebody_has_written,
);

async fn a_move_touches_the_feeds_left_and_joined(newsroom: Newsroom) {
    newsroom.take(&draft("0", "Khác", &["Thể thao"]), at("06:00:00")).await;
    let mut tin = draft("1", "Tin", &["Kinh tế", "Xã hội"]);
    newsroom.take(&tin, at("07:00:00")).await;
    newsroom.take(&draft("2", "Tin hai", &["Chính trị"]), at("07:00:00")).await;
    let [left, kept] = [newsroom.section("kinh-te").await, newsroom.section("xa-hoi").await];
    let [joined, other] = [newsroom.section("chinh-tri").await, newsroom.section("the-thao").await];
    let untouched = newsroom.state(other).await;
    let number = newsroom.sequences(kept).await[0];

    tin.categories = draft("", "x", &["Xã hội", "Chính trị"]).categories;
    let moved = newsroom.take(&tin, at("08:00:00")).await;
    let touched: BTreeSet<FeedKey> = moved.feeds.iter().copied().collect();
    assert_eq!(touched, BTreeSet::from([FeedKey::All, left, kept, joined]));
    assert!(newsroom.feed(left).await.is_empty());
    assert_eq!(newsroom.feed(joined).await, ["Tin hai", "Tin"]);
    assert_eq!(newsroom.state(other).await, untouched);
    assert_eq!(newsroom.state(left).await.changed_at, at("08:00:00"));
    assert_eq!(newsroom.sequences(kept).await, [number], "it did not enter this feed anew");
    assert!(newsroom.sequences(joined).await[0] > newsroom.sequences(joined).await[1]);
    let own: Vec<String> = newsroom.whole(moved.id).await.categories.into_iter().map(|c| c.title).collect();
    assert_eq!(own, ["Xã hội", "Chính trị"]);
}

async fn an_event_in_one_section_leaves_the_other_alone(newsroom: Newsroom) {
    let mut a = draft("a", "A", &["Kinh tế"]);
    let a_id = newsroom.take(&a, at("07:00:00")).await.id;
    newsroom.take(&draft("b", "B", &["Thể thao"]), at("07:00:00")).await;
    let other = newsroom.section("the-thao").await;
    let before = newsroom.feed_snapshot(other, 10).await.unwrap();
    newsroom.take(&draft("a2", "A2", &["Kinh tế"]), at("08:00:00")).await;
    a.title = "A sửa".into();
    newsroom.take(&a, at("08:00:00")).await;
    newsroom.withdraw(a_id, at("08:00:00")).await.unwrap();
    newsroom.restore(a_id, at("08:00:00")).await.unwrap();
    assert_eq!(newsroom.feed_snapshot(other, 10).await.unwrap(), before);
}

async fn a_feed_never_runs_backwards(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &[]), at("08:00:00")).await;
    let before = newsroom.state(FeedKey::All).await;
    newsroom.take(&draft("2", "Hai", &[]), at("07:00:00")).await;
    let after = newsroom.state(FeedKey::All).await;
    assert_eq!(after.changed_at, at("08:00:00"));
    assert!(after.twice_in_one_second);
    assert!(after.change_number > before.change_number);
}

async fn twice_in_one_second(newsroom: Newsroom) {
    let flag = async |key: &str, now| {
        newsroom.take(&draft(key, key, &[]), now).await;
        newsroom.state(FeedKey::All).await.twice_in_one_second
    };
    assert!(!flag("1", at("07:00:00.1")).await);
    assert!(flag("2", at("07:00:00.9")).await);
    // The second change is dated 07:00:01, so that one is taken too.
    assert!(flag("3", at("07:00:01.0")).await);
    assert!(!flag("4", at("07:00:03.0")).await);
    assert!(!flag("5", at("07:00:04.0")).await);
}

async fn sections_are_found_by_title_and_by_slug(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["Xây dựng Đảng"]), at("07:00:00")).await;
    for (key, name) in
        [("2", "XÂY DỰNG ĐẢNG"), ("3", "xay-dung-dang"), ("4", "Xa\u{302}y du\u{31b}\u{323}ng Đa\u{309}ng")]
    {
        newsroom.take(&draft(key, key, &[name]), at("07:00:00")).await;
    }
    newsroom.take(&draft("5", "Năm", &["Xây dựng Đảng", "xay-dung-dang", "  "]), at("07:00:00")).await;
    let tree = newsroom.category_tree().await.unwrap();
    assert_eq!(tree.all().len(), 1);
    assert_eq!(tree.all()[0].title, "Xây dựng Đảng");
    assert_eq!(newsroom.feed(newsroom.section("xay-dung-dang").await).await.len(), 5);
}

async fn odd_sections_get_slugs(newsroom: Newsroom) {
    let long = "dài ".repeat(300);
    // `+` and `&` fold away: three titles, two of them one section.
    let names = ["😀", "🎉", "Tin+", "Tin", "C#", "All", "search", &long];
    newsroom.take(&draft("1", "Một", &names), at("07:00:00")).await;
    newsroom.take(&draft("2", "Hai", &["😀", "All"]), at("07:00:01")).await;
    let tree = newsroom.category_tree().await.unwrap();
    let slugs: Vec<&str> = tree.all().iter().map(|c| c.slug.as_str()).collect();
    assert_eq!(slugs.len(), 7, "{slugs:?}");
    assert!(slugs[0].starts_with("muc-") && slugs[1].starts_with("muc-") && slugs[0] != slugs[1]);
    assert_eq!(slugs[2..6], ["tin", "c", "all-2", "search-2"]);
    // Another title that makes a taken slug.
    newsroom.take(&draft("3", "Ba", &["C 中", "C 文"]), at("07:00:02")).await;
    let tree = newsroom.category_tree().await.unwrap();
    let slugs: Vec<&str> = tree.all()[7..].iter().map(|c| c.slug.as_str()).collect();
    assert_eq!(slugs, ["c-2", "c-3"]);
}

async fn an_article_stands_in_the_feeds_above_its_section(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Cha", &["Thời sự"]), at("07:00:00")).await;
    newsroom.take(&draft("2", "Con", &["Chính trị"]), at("07:00:00")).await;
    let [parent, child] = [newsroom.section("thoi-su").await, newsroom.section("chinh-tri").await];
    newsroom.put_under(child, Some(parent), "07:30:00").await;
    let cháu = newsroom.take(&draft("3", "Cháu", &["Chính trị"]), at("08:00:00")).await;
    assert_eq!(BTreeSet::from_iter(cháu.feeds), BTreeSet::from([FeedKey::All, parent, child]));
    assert_eq!(newsroom.feed(parent).await, ["Cháu", "Con", "Cha"]);
    assert_eq!(newsroom.feed(child).await, ["Cháu", "Con"]);
    // In both of them it stands once.
    newsroom.take(&draft("4", "Hai nhà", &["Thời sự", "Chính trị"]), at("09:00:00")).await;
    assert_eq!(newsroom.feed(parent).await, ["Hai nhà", "Cháu", "Con", "Cha"]);
    let mut held = draft("5", "Sau", &["Chính trị"]);
    held.published = Some(at("10:00:00"));
    newsroom.take(&held, at("09:00:00")).await;
    newsroom.release_due(at("10:00:00")).await.unwrap();
    assert_eq!(newsroom.feed(parent).await[0], "Sau");
    let tree = newsroom.category_tree().await.unwrap();
    assert_eq!(tree.all().iter().filter(|c| c.parent.is_some()).count(), 1);
}

async fn a_feed_shows_its_newest(newsroom: Newsroom) {
    assert!(newsroom.feed_snapshot(FeedKey::All, 10).await.unwrap().is_none());
    for (key, time) in [("c", "03:00:00"), ("a", "05:00:00"), ("d", "02:00:00"), ("b", "05:00:00")] {
        let mut tin = draft(key, key, &[]);
        tin.published = Some(at(time));
        newsroom.take(&tin, at("07:00:00")).await;
    }
    assert_eq!(newsroom.feed(FeedKey::All).await, ["b", "a", "c", "d"]);
    let (state, articles) = newsroom.feed_snapshot(FeedKey::All, 2).await.unwrap().unwrap();
    assert_eq!(titles(&articles), ["b", "a"]);
    assert!(articles[0].body.as_str().contains("Toàn văn"));
    assert_eq!(state, newsroom.state(FeedKey::All).await);
    assert!(newsroom.feed_snapshot(FeedKey::All, 0).await.unwrap().unwrap().1.is_empty());

    let seen = newsroom.feeds_changed_after(0).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert!(newsroom.feeds_changed_after(seen[0].change_number).await.unwrap().is_empty());
    newsroom.take(&draft("e", "e", &["Kinh tế"]), at("08:00:00")).await;
    newsroom.take(&draft("f", "f", &["Xã hội"]), at("08:00:01")).await;
    let changed = newsroom.feeds_changed_after(seen[0].change_number).await.unwrap();
    let keys: Vec<FeedKey> = changed.iter().map(|state| state.key).collect();
    assert_eq!(keys, [newsroom.section("kinh-te").await, FeedKey::All, newsroom.section("xa-hoi").await]);
    assert!(changed.is_sorted_by_key(|state| state.change_number));
}

async fn a_definition_is_an_event_when_it_changes(newsroom: Newsroom) {
    let note = async |text: &str, now| {
        let noted = Definition { key: FeedKey::All, fingerprint: text.to_owned(), window: 50 };
        newsroom.note_definitions(&[noted], "", now).await.unwrap();
        newsroom.state(FeedKey::All).await
    };
    newsroom.note_definitions(&[], "", at("06:00:00")).await.unwrap();
    assert_eq!(newsroom.state(FeedKey::All).await.changed_at, at("06:00:00"));
    let first = note("one", at("07:00:00")).await;
    assert_eq!(first.changed_at, at("06:00:00"), "said for the first time, nothing has changed");
    assert_eq!(note("one", at("08:00:00")).await, first);
    let changed = note("two", at("09:00:00")).await;
    assert_eq!(changed.changed_at, at("09:00:00"));
    assert!(changed.change_number > first.change_number);
    newsroom.take(&draft("1", "Một", &["Kinh tế"]), at("10:00:00")).await;
    let section = newsroom.state(newsroom.section("kinh-te").await).await;
    note("two", at("11:00:00")).await;
    assert_eq!(newsroom.state(section.key).await, section);
}

/// Two programs publish at once while a third looks: with a cursor that only moves forward it sees
/// every article exactly once.
async fn no_late_commit_slips_behind_a_reader(newsroom: Newsroom) {
    const EACH: usize = 40;
    let publish = async |store: Store, name: &'static str| {
        let chance = Seeded::starting_at(name.len() as u64);
        for n in 0..EACH {
            let tin = draft(&format!("{name}{n}"), "Tin", &[name]);
            store.accept(&[tin], true, at("07:00:00"), &chance).await.unwrap();
        }
    };
    let [a, b] = [newsroom.another().await, newsroom.another().await];
    let look = async {
        let mut raw = newsroom.raw().await;
        let (mut cursor, mut seen) = (0, Vec::new());
        let (mut change, mut latest) = (0, BTreeMap::new());
        while seen.len() < 2 * EACH {
            let text = "SELECT e.sequence, e.article FROM entries e JOIN feeds f ON f.n = e.feed \
                WHERE f.key = 'all' AND e.sequence > $1 ORDER BY e.sequence";
            let rows: Vec<(i64, i64)> = sqlx::query_as(text).bind(cursor).fetch_all(&mut raw).await.unwrap();
            for (sequence, article) in rows {
                cursor = sequence;
                seen.push(article);
            }
            for state in newsroom.feeds_changed_after(change).await.unwrap() {
                change = state.change_number;
                latest.insert(state.key, state);
            }
            tokio::task::yield_now().await;
        }
        for state in newsroom.feeds_changed_after(change).await.unwrap() {
            latest.insert(state.key, state);
        }
        let states = newsroom.feed_states().await.unwrap();
        assert!(states.iter().all(|state| latest[&state.key] == *state), "a change was missed");
        seen
    };
    let all = async { tokio::join!(publish(a, "mot"), publish(b, "hai hai"), look).2 };
    let mut seen = tokio::time::timeout(Duration::from_secs(60), all).await.expect("an article was lost");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2 * EACH);
}

async fn a_late_commit_holds_the_others_back(newsroom: Newsroom) {
    newsroom.take(&draft("0", "Trước", &[]), at("07:00:00")).await;
    let before = newsroom.state(FeedKey::All).await.change_number;
    let mut late = newsroom.raw().await;
    let begin = match newsroom.engine() {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN",
    };
    late.execute(begin).await.unwrap();
    late.execute("UPDATE installation SET publish_sequence = publish_sequence + 1").await.unwrap();
    let tin = draft("1", "Sau", &[]);
    let mut publish = std::pin::pin!(newsroom.take(&tin, at("08:00:00")));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut publish).await;
    assert!(early.is_err(), "it published past a number that was not committed");
    assert!(newsroom.feeds_changed_after(before).await.unwrap().is_empty());
    late.execute("COMMIT").await.unwrap();
    publish.await;
    assert_eq!(newsroom.state(FeedKey::All).await.change_number, before + 2);
}

async fn a_section_can_be_moved(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Con", &["Chính trị"]), at("07:00:00")).await;
    newsroom.take(&draft("2", "Cả hai", &["Chính trị", "Thời sự"]), at("07:00:01")).await;
    newsroom.take(&draft("3", "Khác", &["Kinh tế"]), at("07:00:02")).await;
    let [child, old] = [newsroom.section("chinh-tri").await, newsroom.section("thoi-su").await];
    let new = newsroom.section("kinh-te").await;
    let number = newsroom.sequences(child).await[0];
    let all = newsroom.state(FeedKey::All).await;

    assert_eq!(newsroom.put_under(child, Some(old), "08:00:00").await, Some(vec![old]));
    assert_eq!(newsroom.feed(old).await, ["Cả hai", "Con"]);
    assert_eq!(newsroom.sequences(old).await[0], number, "old articles are not mailed again");
    assert_eq!(newsroom.state(old).await.changed_at, at("08:00:00"));
    assert_eq!(newsroom.put_under(child, Some(old), "08:10:00").await, Some(vec![]));
    assert_eq!(newsroom.put_under(old, Some(child), "08:10:00").await, None, "no circles");
    assert_eq!(newsroom.put_under(old, Some(old), "08:10:00").await, None);

    let moved = newsroom.put_under(child, Some(new), "09:00:00").await.unwrap();
    assert_eq!(BTreeSet::from_iter(moved), BTreeSet::from([old, new]));
    assert_eq!(newsroom.feed(old).await, ["Cả hai"], "its own section holds it");
    assert_eq!(newsroom.feed(new).await, ["Khác", "Cả hai", "Con"]);
    assert_eq!(newsroom.put_under(child, None, "10:00:00").await, Some(vec![new]));
    assert_eq!(newsroom.feed(new).await, ["Khác"]);
    assert_eq!(newsroom.feed(child).await, ["Cả hai", "Con"]);
    assert_eq!(newsroom.state(FeedKey::All).await, all);
}

async fn a_glance_sees_that_somebody_has_written(newsroom: Newsroom) {
    newsroom.take(&draft("0", "Một", &["Kinh tế"]), at("06:00:00")).await;
    // A file's time is as coarse as the kernel's clock.
    let tick = Duration::from_millis(30);
    tokio::time::sleep(tick).await;
    let before = newsroom.pulse();
    assert_eq!(before.is_some(), newsroom.engine() == Engine::Sqlite);
    newsroom.last_change().await.unwrap();
    assert_eq!(newsroom.pulse(), before, "asking writes nothing");
    tokio::time::sleep(tick).await;
    newsroom.take(&draft("1", "Hai", &["Kinh tế"]), at("07:00:00")).await;
    assert!(before.is_none() || newsroom.pulse() != before);
}
