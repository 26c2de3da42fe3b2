//! What the store promises of labels, unions, intersections and archives, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines, titles};
use bantin::domain::{
    ArticleId, CategoryName, FeedKey, Instant, Label, LabelKind, Selection, Slug, Source, from_micros,
};
use bantin::feed::Part;
use bantin::store::{Contents, Definition, Engine};
use sqlx::Executor as _;
use std::collections::{BTreeMap, BTreeSet};

on_both_engines!(
    a_label_has_a_feed_of_its_own,
    what_left_the_window_stands_in_an_archive,
    a_smaller_window_hands_over_to_the_archive,
    a_withdrawal_is_told_until_the_article_returns,
    an_archive_page_changes_only_by_its_own_events,
    a_search_comes_in_pages,
    nothing_is_missed_whatever_happens,
    older_articles_are_caught_up_with,
    labels_follow_the_publication,
);

fn tag(title: &str) -> FeedKey {
    FeedKey::Label(Label::of(LabelKind::Tag, title).unwrap().id)
}

async fn set_window(newsroom: &Newsroom, keys: &[FeedKey], window: usize, now: Instant) {
    let noted = |key: &FeedKey| Definition { key: *key, fingerprint: window.to_string(), window };
    let noted: Vec<Definition> = keys.iter().map(noted).collect();
    newsroom.note_definitions(&noted, "", now).await.unwrap();
}

async fn document(newsroom: &Newsroom, selection: &Selection, window: usize) -> Contents {
    newsroom.subscription_document(selection, window).await.unwrap().unwrap()
}

/// All archive documents, the oldest first.
async fn archives(newsroom: &Newsroom, selection: &Selection) -> Vec<Contents> {
    let mut pages = Vec::new();
    while let Some(page) = newsroom.archive_document(selection, pages.len() as i64 + 1).await.unwrap() {
        pages.push(page);
    }
    pages
}

fn ids(contents: &Contents) -> BTreeSet<ArticleId> {
    contents.articles.iter().map(|article| article.id).collect()
}

async fn a_label_has_a_feed_of_its_own(newsroom: Newsroom) {
    let mut tin = draft("1", "Tin", &["Kinh tế"]);
    tin.tags = vec!["Đại hội Đảng".into(), "dai hoi dang".into(), "😀".into()];
    tin.authors = vec!["Chí Bảo <chibao@example.vn>".into()];
    tin.source = Some(Source { title: "Báo Sóc Trăng".into(), url: None });
    let taken = newsroom.take(&tin, at("07:00:00")).await;
    assert_eq!(taken.feeds.len(), 5, "everything, a section, a tag, an author, a source");

    let find = async |kind, slug: &str| newsroom.label(kind, &Slug::parse(slug).unwrap()).await.unwrap();
    let label = find(LabelKind::Tag, "dai-hoi-dang").await.unwrap();
    assert_eq!(label.title, "Đại hội Đảng");
    assert_eq!(find(LabelKind::Author, "chi-bao").await.unwrap().title, "Chí Bảo");
    assert!(find(LabelKind::Source, "bao-soc-trang").await.is_some());
    assert!(find(LabelKind::Author, "dai-hoi-dang").await.is_none());
    assert_eq!(newsroom.feed(FeedKey::Label(label.id)).await, ["Tin"]);

    newsroom.withdraw(taken.id, at("08:00:00")).await.unwrap();
    assert!(newsroom.feed(FeedKey::Label(label.id)).await.is_empty());
    newsroom.restore(taken.id, at("09:00:00")).await.unwrap();
    assert_eq!(newsroom.feed(FeedKey::Label(label.id)).await, ["Tin"]);

    tin.tags = vec!["Nghị quyết".into()];
    newsroom.take(&tin, at("10:00:00")).await;
    assert!(newsroom.feed(FeedKey::Label(label.id)).await.is_empty());
    assert_eq!(newsroom.feed(tag("nghị quyết")).await, ["Tin"]);
}

async fn what_left_the_window_stands_in_an_archive(newsroom: Newsroom) {
    newsroom.take(&draft("0", "0", &["Kinh tế"]), at("06:00:00")).await;
    let section = newsroom.section("kinh-te").await;
    let one = Selection::One(section);
    set_window(&newsroom, &[section], 3, at("06:00:00")).await;
    for n in 1..=7 {
        newsroom.take(&draft(&n.to_string(), &n.to_string(), &["Kinh tế"]), at(&format!("07:00:0{n}"))).await;
    }
    let shown = document(&newsroom, &one, 3).await;
    assert_eq!(titles(&shown.articles), ["7", "6", "5"]);
    assert_eq!(shown.part, Part::Subscription { archives: 2 });
    let pages: Vec<Vec<String>> =
        archives(&newsroom, &one).await.iter().map(|page| titles(&page.articles)).collect();
    // Each is closed when the first of its entries leaves the window, so the newest may overlap it.
    assert_eq!(pages, [["2", "1", "0"], ["5", "4", "3"]]);

    // Dated before everything: no window will ever show it, so it stands in a page at once.
    let mut old = draft("x", "x", &["Kinh tế"]);
    old.published = Some(at("01:00:00"));
    newsroom.take(&old, at("08:00:00")).await;
    let pages = archives(&newsroom, &one).await;
    assert_eq!(titles(&pages[2].articles), ["7", "6", "x"]);
    assert_eq!(pages[2].part, Part::Archive { number: 3, archives: 3 });
}

async fn a_smaller_window_hands_over_to_the_archive(newsroom: Newsroom) {
    for n in 0..6 {
        newsroom.take(&draft(&n.to_string(), &n.to_string(), &[]), at(&format!("07:00:0{n}"))).await;
    }
    let all = Selection::One(FeedKey::All);
    assert!(archives(&newsroom, &all).await.is_empty());
    set_window(&newsroom, &[FeedKey::All], 2, at("08:00:00")).await;
    let shown = ids(&document(&newsroom, &all, 2).await);
    let archived: BTreeSet<_> = archives(&newsroom, &all).await.iter().flat_map(ids).collect();
    assert_eq!((shown.len(), shown.union(&archived).count()), (2, 6));
    assert_eq!(newsroom.state(FeedKey::All).await.changed_at, at("08:00:00"));
}

async fn a_withdrawal_is_told_until_the_article_returns(newsroom: Newsroom) {
    let id = newsroom.take(&draft("1", "Một", &["Kinh tế"]), at("07:00:00")).await.id;
    newsroom.take(&draft("2", "Hai", &["Xã hội"]), at("07:00:00")).await;
    newsroom.withdraw(id, at("09:00:00")).await.unwrap();
    newsroom.withdraw(id, at("09:30:00")).await.unwrap();
    let (a, b) = (newsroom.section("kinh-te").await, newsroom.section("xa-hoi").await);
    let told = async |selection| document(&newsroom, &selection, 50).await.tombstones;
    for selection in [Selection::One(a), Selection::One(FeedKey::All), Selection::Union(vec![a, b])] {
        let tombstones = told(selection).await;
        assert_eq!((tombstones[0].article, tombstones[0].withdrawn_at), (id, at("09:00:00")));
        assert_eq!(tombstones.len(), 1);
    }
    assert!(told(Selection::One(b)).await.is_empty());
    assert!(told(Selection::Intersection(vec![a, b])).await.is_empty());
    // By a clock that runs behind.
    newsroom.restore(id, at("08:00:00")).await.unwrap();
    assert!(told(Selection::One(a)).await.is_empty());
    assert!(newsroom.whole(id).await.updated > at("09:00:00"));
}

async fn an_archive_page_changes_only_by_its_own_events(newsroom: Newsroom) {
    set_window(&newsroom, &[FeedKey::All], 2, at("05:00:00")).await;
    let drafts: Vec<_> = (0..6).map(|n| draft(&n.to_string(), &n.to_string(), &[])).collect();
    for (n, draft) in drafts.iter().enumerate() {
        newsroom.take(draft, at(&format!("06:00:0{n}"))).await;
    }
    let all = Selection::One(FeedKey::All);
    let before = archives(&newsroom, &all).await;
    assert_eq!(before.len(), 2);
    let mut edited = drafts[0].clone();
    edited.title = "0 sửa".into();
    newsroom.take(&edited, at("07:00:00")).await;
    let after = archives(&newsroom, &all).await;
    assert_eq!(titles(&after[0].articles), ["1", "0 sửa"]);
    assert_eq!(after[0].last_modified, at("07:00:00"));
    assert_eq!((&after[1].articles, after[1].last_modified), (&before[1].articles, before[1].last_modified));
    newsroom.withdraw(after[1].articles[0].id, at("08:00:00")).await.unwrap();
    let last = archives(&newsroom, &all).await;
    assert_eq!((titles(&last[1].articles), last[1].last_modified), (vec!["2".to_owned()], at("08:00:00")));
    assert_eq!(last[0].last_modified, at("07:00:00"));
}

async fn a_search_comes_in_pages(newsroom: Newsroom) {
    for n in 0..5 {
        newsroom.take(&draft(&n.to_string(), &format!("Lúa {n}"), &[]), at(&format!("07:00:0{n}"))).await;
    }
    let page = async |number| newsroom.search_document("lúa", 2, number).await.unwrap();
    let (first, last) = (page(1).await.unwrap(), page(3).await.unwrap());
    assert_eq!(
        (titles(&first.articles), first.part),
        (vec!["Lúa 4".to_owned(), "Lúa 3".to_owned()], Part::Page { number: 1, more: true })
    );
    assert_eq!(
        (titles(&last.articles), last.part),
        (vec!["Lúa 0".to_owned()], Part::Page { number: 3, more: false })
    );
    assert!(page(4).await.is_none());
    assert!(!first.articles[0].body.is_empty(), "a feed carries full texts");
    let nothing = newsroom.search_document("ngô", 2, 1).await.unwrap().unwrap();
    assert!(nothing.articles.is_empty());
}

/// Small numbers out of a seed (the constants of Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

const SECTIONS: [&str; 3] = ["Kinh tế", "Xã hội", "Thể thao"];

/// Random histories against a plain model: whoever reads the document and walks the archive has
/// everything; the document is the newest; a page that was closed takes nothing more in.
async fn nothing_is_missed_whatever_happens(newsroom: Newsroom) {
    // The rules are the same text on both engines; a round trip takes PostgreSQL ten times as long.
    let seeds = if newsroom.engine() == Engine::Sqlite { 6 } else { 1 };
    for seed in 0..seeds {
        history(&newsroom, seed).await;
    }
}

async fn history(newsroom: &Newsroom, seed: u64) {
    let mut dice = Dice(seed);
    let mut clock = at("00:00:00") + chrono::TimeDelta::days(i64::try_from(seed).unwrap());
    for section in SECTIONS {
        newsroom.take(&draft(&format!("{seed} {section}"), section, &[section]), clock).await;
    }
    let mut keys = Vec::new();
    for section in SECTIONS {
        keys.push(newsroom.section(Slug::of_title(section).unwrap().as_str()).await);
    }
    keys.sort_unstable();
    set_window(newsroom, &[FeedKey::All, keys[0], keys[1], keys[2]], 3, clock).await;
    let selections = [
        Selection::One(FeedKey::All),
        Selection::One(keys[0]),
        Selection::Union(vec![keys[0], keys[1]]),
        Selection::Union(keys.clone()),
        Selection::Intersection(vec![keys[0], keys[1]]),
        Selection::Intersection(vec![keys[0], keys[2]]),
    ];
    let mut closed: BTreeMap<(usize, usize), BTreeSet<ArticleId>> = BTreeMap::new();
    let mut known: Vec<(bantin::domain::Draft, ArticleId)> = Vec::new();
    for step in 0..40 {
        clock += chrono::TimeDelta::milliseconds(i64::try_from(dice.below(1_500)).unwrap());
        let pick = usize::try_from(dice.below(known.len().max(1) as u64)).unwrap();
        match dice.below(8) {
            0 if !known.is_empty() => drop(newsroom.withdraw(known[pick].1, clock).await.unwrap()),
            1 if !known.is_empty() => drop(newsroom.restore(known[pick].1, clock).await.unwrap()),
            2 | 3 if !known.is_empty() => {
                known[pick].0.categories = some_sections(&mut dice);
                newsroom.take(&known[pick].0, clock).await;
            }
            _ => {
                let mut new = draft(&format!("{seed}/{step}"), &format!("Tin {step}"), &[]);
                new.categories = some_sections(&mut dice);
                let back = i64::try_from(dice.below(4) * dice.below(20_000)).unwrap();
                new.published = Some(clock - chrono::TimeDelta::seconds(back));
                let id = newsroom.take(&new, clock).await.id;
                known.push((new, id));
            }
        }
        for (at, selection) in selections.iter().enumerate() {
            let story = format!("seed {seed}, step {step}, {selection:?}");
            let whole = expected(newsroom, selection).await;
            let shown = document(newsroom, selection, 3).await;
            let pages = archives(newsroom, selection).await;
            let archived: BTreeSet<ArticleId> = pages.iter().flat_map(ids).collect();
            assert_eq!(ids(&shown).union(&archived).copied().collect::<BTreeSet<_>>(), whole, "{story}");
            if let Selection::One(_) = selection {
                assert_eq!(shown.articles.len(), whole.len().min(3), "{story}");
            }
            assert!(shown.articles.is_sorted_by_key(|a| std::cmp::Reverse(a.published)), "{story}");
            for (number, page) in pages.iter().enumerate() {
                let page = ids(page);
                // An intersection's page gains what joins the other feed later; it stands in that
                // one's next page too.
                if let (Some(before), false) =
                    (closed.get(&(at, number)), matches!(selection, Selection::Intersection(_)))
                {
                    assert!(page.is_subset(before), "{story}: page {number} took something in");
                }
                closed.insert((at, number), page);
            }
        }
    }
}

fn some_sections(dice: &mut Dice) -> Vec<CategoryName> {
    let chosen = SECTIONS.iter().filter(|_| dice.below(2) == 0).collect::<Vec<_>>();
    chosen.into_iter().map(|section| CategoryName((*section).to_owned())).collect()
}

/// What stands in the kept feeds, joined by hand.
async fn expected(newsroom: &Newsroom, selection: &Selection) -> BTreeSet<ArticleId> {
    let mut sets = Vec::new();
    for key in selection.keys() {
        let (_, articles) = newsroom.feed_snapshot(*key, 10_000).await.unwrap().unwrap();
        sets.push(articles.into_iter().map(|article| article.id).collect::<BTreeSet<_>>());
    }
    let first = sets.remove(0);
    sets.into_iter().fold(first, |all, set| match selection {
        Selection::Intersection(_) => all.intersection(&set).copied().collect(),
        _ => all.union(&set).copied().collect(),
    })
}

/// A store as migration 0003 finds one: no labels, no pages.
async fn older_articles_are_caught_up_with(newsroom: Newsroom) {
    for n in 0..1_200_i64 {
        let mut old = draft(&n.to_string(), &n.to_string(), &["Kinh tế"]);
        old.tags = vec!["Lúa".into()];
        newsroom.take(&old, from_micros(n * 1_000_000)).await;
    }
    let mut raw = newsroom.raw().await;
    for text in [
        "DELETE FROM entries WHERE feed IN (SELECT n FROM feeds WHERE key LIKE 'label:%')",
        "DELETE FROM archives",
        "DELETE FROM feeds WHERE key LIKE 'label:%'",
        "DELETE FROM labels",
        "UPDATE entries SET page = 0",
        "UPDATE feeds SET pages = 0",
        "UPDATE installation SET unlabelled_to = (SELECT max(n) FROM articles), labelled_to = 0",
    ] {
        raw.execute(text).await.unwrap();
    }
    newsroom.migrate(at("09:00:00")).await.unwrap();
    let section = newsroom.section("kinh-te").await;
    for key in [FeedKey::All, section, tag("lua")] {
        let selection = Selection::One(key);
        let mut found = ids(&document(&newsroom, &selection, 50).await);
        found.extend(archives(&newsroom, &selection).await.iter().flat_map(ids));
        assert_eq!(found.len(), 1_200, "{key}");
    }
    assert_eq!(newsroom.state(tag("lua")).await.changed_at, at("09:00:00"));
    let before = newsroom.feed_states().await.unwrap();
    newsroom.migrate(at("10:00:00")).await.unwrap();
    assert_eq!(newsroom.feed_states().await.unwrap(), before, "once is enough");
}

async fn labels_follow_the_publication(newsroom: Newsroom) {
    let mut tin = draft("1", "Tin", &[]);
    tin.tags = vec!["Lúa".into()];
    newsroom.take(&tin, at("06:00:00")).await;
    let changed = async |labels: &str, own: &[Definition], now| {
        newsroom.note_definitions(own, labels, at(now)).await.unwrap();
        newsroom.state(tag("lúa")).await.changed_at
    };
    assert_eq!(changed("Báo A", &[], "07:00:00").await, at("06:00:00"), "said for the first time");
    assert_eq!(changed("Báo B", &[], "08:00:00").await, at("08:00:00"));
    assert_eq!(changed("Báo B", &[], "09:00:00").await, at("08:00:00"));
    let own = [Definition { key: tag("lúa"), fingerprint: "own".into(), window: 50 }];
    assert_eq!(changed("Báo B", &own, "10:00:00").await, at("10:00:00"));
    assert_eq!(changed("Báo C", &own, "11:00:00").await, at("10:00:00"));
}
