//! What the store tells sitemaps and exports, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines, titles};
use bantin::domain::{FeedKey, WebUrl};
use bantin::store::Definition;
use std::time::Duration;

on_both_engines!(
    sitemaps_list_what_is_visible_and_on_the_own_host,
    news_are_the_young_ones,
    changed_pages_are_named,
    labels_are_walked_in_batches,
);

const ORIGIN: &str = "https://bao.example/";

async fn sitemaps_list_what_is_visible_and_on_the_own_host(newsroom: Newsroom) {
    assert_eq!(newsroom.sitemap_ranges(ORIGIN).await.unwrap(), (None, Vec::new()));
    let ours = newsroom.take(&draft("1", "Của mình", &[]), at("07:00:00")).await.id;
    for (key, url) in [
        ("2", "https://bao.example/2"),
        ("3", "https://khac.example/3"),
        ("4", "https://bao.example.khac.example/4"),
        ("5", "http://bao.example/5"),
    ] {
        let mut draft = draft(key, key, &[]);
        draft.url = WebUrl::parse(url).ok();
        newsroom.take(&draft, at("08:00:00")).await;
    }
    let mut embargoed = draft("6", "Mật", &[]);
    embargoed.published = Some(at("23:00:00"));
    newsroom.take(&embargoed, at("09:00:00")).await;
    let withdrawn = newsroom.take(&draft("7", "Gỡ", &[]), at("09:30:00")).await.id;
    assert_eq!(newsroom.sitemap_ranges(ORIGIN).await.unwrap().1, [(1, at("09:30:00"))]);
    newsroom.withdraw(withdrawn, at("10:00:00")).await.unwrap();

    let (state, listed) = newsroom.listed_articles(ORIGIN, 1).await.unwrap();
    assert_eq!(state.unwrap().changed_at, at("10:00:00"));
    let urls: Vec<Option<&str>> = listed.iter().map(|one| one.url.as_ref().map(WebUrl::as_str)).collect();
    assert_eq!(urls, [None, Some("https://bao.example/2")]);
    assert_eq!((listed[0].id, listed[0].updated), (ours, at("07:00:00")));
    assert_eq!(newsroom.sitemap_ranges(ORIGIN).await.unwrap().1, [(1, at("08:00:00"))]);
    for number in [2, 0, -1, i64::MAX, i64::MIN] {
        assert!(newsroom.listed_articles(ORIGIN, number).await.unwrap().1.is_empty(), "{number}");
    }
}

async fn news_are_the_young_ones(newsroom: Newsroom) {
    for hour in 1..=5 {
        let time = at(&format!("{hour:02}:00:00"));
        newsroom.take(&draft(&hour.to_string(), &format!("Tin {hour}"), &[]), time).await;
    }
    let young = newsroom.young_articles(ORIGIN, at("03:00:00"), 10).await.unwrap();
    assert_eq!(titles(&young.articles), ["Tin 5", "Tin 4"], "exactly as old is too old");
    assert_eq!(young.before, Some(at("03:00:00")));
    let young = newsroom.young_articles(ORIGIN, at("00:30:00"), 2).await.unwrap();
    assert_eq!((titles(&young.articles).len(), young.before), (2, None));
}

async fn changed_pages_are_named(newsroom: Newsroom) {
    let window = Definition { key: FeedKey::All, fingerprint: "x".into(), window: 2 };
    newsroom.note_definitions(&[window], "x", at("01:00:00")).await.unwrap();
    assert_eq!(newsroom.pages_changed_after(FeedKey::All, 0).await.unwrap(), (0, vec![]));
    let take = async |n: u32| {
        let time = at("02:00:00") + Duration::from_secs(u64::from(n));
        newsroom.take(&draft(&n.to_string(), &format!("Tin {n}"), &[]), time).await.id
    };
    let first = take(0).await;
    for n in 1..6 {
        take(n).await;
    }
    assert_eq!(newsroom.pages_changed_after(FeedKey::All, 0).await.unwrap(), (2, vec![1, 2]));
    let number = newsroom.state(FeedKey::All).await.change_number;
    assert_eq!(newsroom.pages_changed_after(FeedKey::All, number).await.unwrap(), (2, vec![]));
    newsroom.withdraw(first, at("03:00:00")).await.unwrap();
    assert_eq!(newsroom.pages_changed_after(FeedKey::All, number).await.unwrap(), (2, vec![1]));
}

async fn labels_are_walked_in_batches(newsroom: Newsroom) {
    let mut tagged = draft("1", "Tin", &[]);
    tagged.tags = vec!["một".into(), "hai".into(), "ba".into()];
    newsroom.take(&tagged, at("07:00:00")).await;
    let (mut row, mut slugs) = (0, Vec::new());
    loop {
        let batch = newsroom.labels_behind(row, 2).await.unwrap();
        let Some((last, _)) = batch.last() else { break };
        row = *last;
        slugs.extend(batch.into_iter().map(|(_, label)| label.slug.to_string()));
    }
    slugs.sort();
    assert_eq!(slugs, ["ba", "hai", "mot"]);
}
