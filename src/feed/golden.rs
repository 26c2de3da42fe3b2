//! The bytes of whole documents. `BLESS=1 cargo test` writes them anew after a wanted change.

use super::sitemap::{self, Location};
use super::{Part, Snapshot, opml, render, sample};
use crate::domain::{FeedContent, FeedDefinition, FeedKey, FeedPlace, Format, Publication, Selection};
use std::path::Path;

fn compare(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/feeds").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let written = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        golden == written,
        "`{}` differs; if that is wanted, run the test with BLESS=1 and look at the diff. Now:\n{written}",
        path.display()
    );
}

fn compare_formats(name: &str, snapshot: &Snapshot) {
    for format in Format::ALL {
        compare(&format!("{name}.{}", format.extension()), &render(snapshot, format).unwrap());
    }
}

fn everything() -> Snapshot {
    let feed = FeedDefinition {
        selection: Selection::One(FeedKey::All),
        place: sample::place("all"),
        title: "Báo Mẫu".into(),
        description: String::new(),
        content: FeedContent::Summary,
        ..sample::feed()
    };
    Snapshot {
        feed,
        category: None,
        hubs: vec![sample::url("https://bao.example/websub")],
        ..sample::snapshot()
    }
}

#[test]
fn a_category_with_full_text() {
    compare_formats("xay-dung-dang", &sample::snapshot());
}

#[test]
fn everything_with_leads_only_and_a_hub() {
    compare_formats("all", &everything());
}

#[test]
fn a_feed_that_has_no_articles() {
    let feed = FeedDefinition { place: sample::place("trong"), ..sample::feed() };
    compare_formats("trong", &Snapshot { feed, articles: Vec::new(), ..sample::snapshot() });
}

#[test]
fn a_feed_with_archives_tombstones_and_rights() {
    let publication = Publication {
        license: Some(sample::url("https://creativecommons.org/licenses/by/4.0/?a&b")),
        rights: Some("© Báo Mẫu & cộng sự".into()),
        ..sample::publication()
    };
    compare_formats(
        "luu-tru",
        &Snapshot {
            publication,
            feed: FeedDefinition { place: sample::place("luu-tru"), ..sample::feed() },
            tombstones: sample::tombstones(),
            part: Part::Subscription { archives: 3 },
            hubs: vec![sample::url("https://bao.example/websub")],
            ..sample::snapshot()
        },
    );
}

#[test]
fn an_archive_between_two_others() {
    compare_formats(
        "luu-tru-2",
        &Snapshot {
            feed: FeedDefinition { place: sample::place("luu-tru"), ..sample::feed() },
            part: Part::Archive { number: 2, archives: 3 },
            hubs: vec![sample::url("https://bao.example/websub")],
            ..sample::snapshot()
        },
    );
}

#[test]
fn a_page_of_a_search() {
    let feed = FeedDefinition {
        selection: Selection::Search("dai hoi & dang".into()),
        place: FeedPlace::Search("đại hội & đảng".into()),
        title: "đại hội & đảng".into(),
        ..sample::feed()
    };
    let part = Part::Page { number: 2, more: true };
    compare_formats("tim-2", &Snapshot { feed, category: None, part, ..sample::snapshot() });
}

#[test]
fn what_search_engines_read() {
    let Snapshot { publication, articles, changed_at, .. } = sample::snapshot();
    let locations = [
        Location { loc: publication.url("/feeds/xây-dựng?a&b"), lastmod: Some(changed_at) },
        Location { loc: publication.url("/"), lastmod: None },
    ];
    compare("sitemap-news.xml", &sitemap::news(&publication, &articles));
    compare("sitemap-urls.xml", &sitemap::urls(&publication, &locations));
    compare("sitemap.xml", &sitemap::index(&publication, &locations));
    compare("robots.txt", sitemap::robots(&publication).as_bytes());
}

#[test]
fn the_list_of_feeds() {
    let snapshot = sample::snapshot();
    let feeds = [everything().feed, snapshot.feed];
    compare("feeds.opml", &opml::render(&snapshot.publication, &feeds, snapshot.changed_at).unwrap());
}
