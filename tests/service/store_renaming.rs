//! What the store promises of sections that are renamed, on both engines.

use crate::newsroom::{Newsroom, at, draft, on_both_engines};
use bantin::domain::{CategoryId, FeedKey, Slug};
use bantin::store::Renaming;
use std::collections::BTreeSet;

on_both_engines!(
    a_new_name_touches_the_feeds_that_name_the_section,
    a_former_slug_leads_to_its_last_owner,
    names_that_others_have_are_refused,
    what_comes_in_under_a_former_name_finds_its_section,
    a_new_section_takes_no_former_slug,
    the_tree_has_a_version,
    a_renamed_section_can_be_moved,
);

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn id_of(section: FeedKey) -> CategoryId {
    match section {
        FeedKey::Category(id) => id,
        other => panic!("{other} is no section"),
    }
}

/// Renames a section; the feeds touched.
async fn rename(
    newsroom: &Newsroom,
    section: FeedKey,
    title: Option<&str>,
    name: Option<&str>,
    time: &str,
) -> BTreeSet<FeedKey> {
    let name = name.map(slug);
    match newsroom.rename_category(id_of(section), title, name.as_ref(), at(time)).await.unwrap() {
        Renaming::Renamed { feeds, category } => {
            assert_eq!(FeedKey::Category(category.id), section);
            assert!(title.is_none_or(|title| title == category.title));
            feeds.into_iter().collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The slug that a name leads to.
async fn leads_to(newsroom: &Newsroom, name: &str) -> Option<String> {
    newsroom.category_tree().await.unwrap().find(&slug(name)).map(|category| category.slug.to_string())
}

async fn a_new_name_touches_the_feeds_that_name_the_section(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Riêng", &["Kinh tế"]), at("07:00:00")).await;
    newsroom.take(&draft("2", "Chung", &["Kinh tế", "Xã hội"]), at("07:00:00")).await;
    newsroom.take(&draft("3", "Khác", &["Thể thao"]), at("07:00:00")).await;
    newsroom.take(&draft("4", "Con", &["Chợ"]), at("07:00:00")).await;
    let [own, shared] = [newsroom.section("kinh-te").await, newsroom.section("xa-hoi").await];
    let [other, child] = [newsroom.section("the-thao").await, newsroom.section("cho").await];
    newsroom.put_under(child, Some(own), "07:30:00").await;
    let before = [newsroom.state(other).await, newsroom.state(child).await];
    let entries = newsroom.feed(own).await;

    let touched = rename(&newsroom, own, Some("Làm ăn"), Some("lam-an"), "08:00:00").await;
    assert_eq!(touched, BTreeSet::from([FeedKey::All, own, shared]));
    for feed in touched {
        assert_eq!(newsroom.state(feed).await.changed_at, at("08:00:00"));
    }
    assert_eq!([newsroom.state(other).await, newsroom.state(child).await], before);
    assert_eq!(newsroom.feed(own).await, entries);
    let article = newsroom.feed_snapshot(shared, 1).await.unwrap().unwrap().1.remove(0);
    let names: Vec<&str> = article.categories.iter().map(|c| c.title.as_str()).collect();
    assert_eq!(names, ["Làm ăn", "Xã hội"]);

    let all = newsroom.state(FeedKey::All).await;
    assert!(rename(&newsroom, own, Some("Làm ăn"), Some("lam-an"), "09:00:00").await.is_empty());
    assert_eq!(newsroom.state(FeedKey::All).await, all, "it was called so already");
    // Only a slug, and in the second of the last change: a date alone no longer tells.
    rename(&newsroom, own, None, Some("tien"), "07:00:00").await;
    assert_eq!(newsroom.state(own).await.changed_at, at("08:00:00"), "never backwards");
    assert!(newsroom.state(own).await.twice_in_one_second);
    assert_eq!(newsroom.category_tree().await.unwrap().by_slug(&slug("tien")).unwrap().title, "Làm ăn");
    // A section of no article has a feed too.
    newsroom.take(&draft("4", "Con", &["Xã hội"]), at("10:00:00")).await;
    assert_eq!(rename(&newsroom, child, Some("Phiên chợ"), None, "11:00:00").await, BTreeSet::from([child]));
}

async fn a_former_slug_leads_to_its_last_owner(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["Kinh tế", "Xã hội"]), at("07:00:00")).await;
    let [economy, society] = [newsroom.section("kinh-te").await, newsroom.section("xa-hoi").await];
    rename(&newsroom, economy, None, Some("lam-an"), "08:00:00").await;
    rename(&newsroom, economy, None, Some("tien"), "08:00:01").await;
    for name in ["kinh-te", "lam-an", "tien"] {
        assert_eq!(leads_to(&newsroom, name).await.as_deref(), Some("tien"));
    }
    // Another takes the name over, and keeps it when it leaves it.
    rename(&newsroom, society, None, Some("kinh-te"), "08:00:02").await;
    assert_eq!(leads_to(&newsroom, "kinh-te").await.as_deref(), Some("kinh-te"));
    rename(&newsroom, society, None, Some("doi-song"), "08:00:03").await;
    assert_eq!(leads_to(&newsroom, "kinh-te").await.as_deref(), Some("doi-song"));
    // One's own name comes back.
    rename(&newsroom, economy, None, Some("lam-an"), "08:00:04").await;
    assert_eq!(leads_to(&newsroom, "tien").await.as_deref(), Some("lam-an"));
    assert_eq!(leads_to(&newsroom, "lam-an").await.as_deref(), Some("lam-an"));
    assert_eq!(leads_to(&newsroom, "khong-co").await, None);
}

async fn names_that_others_have_are_refused(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["Kinh tế", "Xã hội"]), at("07:00:00")).await;
    let economy = id_of(newsroom.section("kinh-te").await);
    let tree = newsroom.category_tree().await.unwrap();
    let (society, states) =
        (tree.by_slug(&slug("xa-hoi")).unwrap().clone(), newsroom.feed_states().await.unwrap());
    let attempt = async |title: Option<&str>, name: Option<&str>| {
        let name = name.map(slug);
        newsroom.rename_category(economy, title, name.as_ref(), at("08:00:00")).await.unwrap()
    };
    assert_eq!(attempt(None, Some("xa-hoi")).await, Renaming::SlugTaken(society.clone()));
    assert_eq!(attempt(Some("XÃ  HOI"), Some("moi")).await, Renaming::TitleTaken(society));
    assert_eq!(attempt(None, Some("all")).await, Renaming::SlugReserved(slug("all")));
    assert_eq!(attempt(None, Some("search")).await, Renaming::SlugReserved(slug("search")));
    assert_eq!(attempt(Some(" \0\n"), None).await, Renaming::TitleBlank);
    let nobody = CategoryId::new(uuid::Uuid::from_u128(7));
    assert_eq!(
        newsroom.rename_category(nobody, Some("x"), None, at("08:00:00")).await.unwrap(),
        Renaming::Unknown
    );
    assert_eq!(newsroom.feed_states().await.unwrap(), states);
    let mut after = newsroom.category_tree().await.unwrap();
    assert_eq!(after.all(), tree.all());
    assert_eq!(after.all_former().count(), 0);
    // Another spelling of its own title is its own to choose.
    assert!(matches!(attempt(Some("KINH TẾ"), None).await, Renaming::Renamed { .. }));
    after = newsroom.category_tree().await.unwrap();
    assert_eq!(after.by_slug(&slug("kinh-te")).unwrap().title, "KINH TẾ");
}

async fn what_comes_in_under_a_former_name_finds_its_section(newsroom: Newsroom) {
    newsroom.take(&draft("0", "Không", &["Kinh tế", "C 中", "😀"]), at("07:00:00")).await;
    let economy = newsroom.section("kinh-te").await;
    rename(&newsroom, economy, Some("Làm ăn"), Some("lam-an"), "08:00:00").await;
    rename(&newsroom, economy, Some("Tiền"), Some("tien"), "08:00:01").await;
    let names = ["Kinh tế", "KINH TE", "kinh-te", "Làm ăn", "lam-an", "Tiền", "tien"];
    for (n, name) in names.iter().enumerate() {
        newsroom.take(&draft(&n.to_string(), &format!("Tin {n}"), &[name]), at("09:00:00")).await;
    }
    assert_eq!(newsroom.category_tree().await.unwrap().all().len(), 3);
    assert_eq!(newsroom.feed(economy).await.len(), names.len());
    // What a slug cannot say of a title is remembered too, and another title is not taken for it.
    let odd = newsroom.section("c").await;
    rename(&newsroom, odd, Some("Trung"), Some("trung"), "10:00:00").await;
    newsroom.take(&draft("x", "Chữ", &["C 中"]), at("10:00:01")).await;
    newsroom.take(&draft("y", "Khác", &["C 文"]), at("10:00:02")).await;
    assert_eq!(newsroom.feed(odd).await, ["Chữ"]);
    assert_eq!(newsroom.category_tree().await.unwrap().all().len(), 4);
    // Whoever is called so now goes before who was.
    let society = newsroom.section("c-2").await;
    rename(&newsroom, society, Some("Kinh tế"), None, "11:00:00").await;
    newsroom.take(&draft("z", "Mới", &["Kinh tế"]), at("11:00:01")).await;
    assert_eq!(newsroom.feed(society).await, ["Mới", "Khác"]);
}

async fn a_new_section_takes_no_former_slug(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Một", &["C 中"]), at("07:00:00")).await;
    let section = newsroom.section("c").await;
    rename(&newsroom, section, None, Some("trung"), "08:00:00").await;
    newsroom.take(&draft("2", "Hai", &["C 文"]), at("08:00:01")).await;
    assert_eq!(leads_to(&newsroom, "c").await.as_deref(), Some("trung"));
    assert_eq!(leads_to(&newsroom, "c-2").await.as_deref(), Some("c-2"));
}

async fn the_tree_has_a_version(newsroom: Newsroom) {
    let version = async || newsroom.tree_version().await.unwrap();
    let empty = version().await;
    newsroom.take(&draft("1", "Một", &["Kinh tế", "Xã hội"]), at("07:00:00")).await;
    let made = version().await;
    assert!(made > empty);
    newsroom.take(&draft("2", "Hai", &["Kinh tế"]), at("07:00:00")).await;
    assert_eq!(version().await, made, "an article alone changes no tree");
    let [economy, society] = [newsroom.section("kinh-te").await, newsroom.section("xa-hoi").await];
    rename(&newsroom, economy, Some("Làm ăn"), None, "08:00:00").await;
    let renamed = version().await;
    assert!(renamed > made);
    newsroom.put_under(economy, Some(society), "09:00:00").await.unwrap();
    let moved = version().await;
    assert!(moved > renamed);
    assert_eq!(newsroom.put_under(society, Some(economy), "09:00:00").await, None);
    rename(&newsroom, economy, Some("Làm ăn"), None, "10:00:00").await;
    assert_eq!(version().await, moved, "nothing was done");
}

async fn a_renamed_section_can_be_moved(newsroom: Newsroom) {
    newsroom.take(&draft("1", "Con", &["Chợ"]), at("07:00:00")).await;
    newsroom.take(&draft("2", "Cha", &["Kinh tế"]), at("07:00:01")).await;
    let [child, parent] = [newsroom.section("cho").await, newsroom.section("kinh-te").await];
    newsroom.put_under(child, Some(parent), "08:00:00").await;
    let touched = rename(&newsroom, child, Some("Phiên chợ"), Some("phien-cho"), "09:00:00").await;
    assert_eq!(touched, BTreeSet::from([FeedKey::All, parent, child]), "the parent's entries name it");
    newsroom.take(&draft("3", "Cháu", &["Chợ"]), at("10:00:00")).await;
    assert_eq!(newsroom.feed(parent).await, ["Cháu", "Cha", "Con"]);
    assert_eq!(newsroom.put_under(child, None, "11:00:00").await, Some(vec![parent]));
    assert_eq!(newsroom.feed(parent).await, ["Cha"]);
}
