//! The bytes of whole documents. `BLESS=1 cargo test` writes them anew after a wanted change.

use super::{Snapshot, opml, render, sample};
use crate::domain::{FeedContent, FeedDefinition, FeedKey, Format, Selection};
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
        hub: Some(sample::url("https://bao.example/websub")),
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
fn the_list_of_feeds() {
    let snapshot = sample::snapshot();
    let feeds = [everything().feed, snapshot.feed];
    compare("feeds.opml", &opml::render(&snapshot.publication, &feeds, snapshot.changed_at).unwrap());
}
