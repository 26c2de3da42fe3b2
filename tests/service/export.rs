//! A static tree is what the program serves, byte by byte; it holds nothing that was taken back,
//! and touches nothing that is not its own.

use crate::served::{FORMATS, article, id_of, with};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

const LIST: &str = ".bantin-export";

/// Nine articles in windows of two and three, a combination and a search.
fn newsroom() -> World {
    let world = World::new();
    world.write("feeds/all.toml", "[feed]\nall = true\nwindow = 3\n");
    world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nwindow = 2\n");
    world.write(
        "feeds/ca-hai.toml",
        "[feed]\nslug = \"ca-hai\"\nunion = [\"kinh-te\", \"van-hoa\"]\nwindow = 2\n",
    );
    let sections = ["Kinh tế", "Văn hóa"];
    let articles: Vec<Value> = (0..9)
        .map(|n| {
            let published = format!("2026-11-02T07:{n:02}:00+07:00");
            let fields = json!({ "published": published, "tags": ["đại hội"] });
            with(article(&format!("so-{n}"), &format!("Tin số {n}"), sections[n / 5]), fields)
        })
        .collect();
    world.import(&articles);
    world
}

fn export(world: &World, arguments: &[&str]) -> (u64, u64, u64) {
    let told = world.done(&[&["feed", "export", "www", "--json"], arguments].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    let count = |name: &str| told[name].as_u64().unwrap();
    (count("written"), count("unchanged"), count("removed"))
}

/// Every file below a folder with its bytes and date.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                let date = std::fs::metadata(&path).unwrap().modified().unwrap();
                files.insert(name, (std::fs::read(&path).unwrap(), date));
            }
        }
    }
    files
}

fn decoded(ending: &str, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match ending {
        "gz" => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap()),
        "br" => brotli::BrotliDecompress(&mut &*bytes, &mut plain).unwrap(),
        _ => plain = zstd::decode_all(bytes).unwrap(),
    }
    plain
}

/// Each file is what is served, and nothing that is served is missing.
fn assert_as_served(world: &World, what: &str) -> BTreeSet<String> {
    let files = files(&world.path("www"));
    let mut documents = BTreeSet::new();
    for (name, (bytes, _)) in &files {
        let (plain, ending) = match name.rsplit_once('.') {
            Some((plain, ending @ ("gz" | "br" | "zst"))) => (plain, Some(ending)),
            _ => (name.as_str(), None),
        };
        match ending {
            Some(ending) => assert_eq!(decoded(ending, bytes), files[plain].0, "{what}: {name}"),
            None if name == LIST => {}
            None => {
                let answer = world.get(&format!("/{name}"));
                assert_eq!(answer.status, 200, "{what}: {name}");
                assert!(answer.body == *bytes, "{what}: {name} is not as it is served");
                for ending in ["gz", "br", "zst"] {
                    assert!(files.contains_key(&format!("{name}.{ending}")), "{what}: {name}.{ending}");
                }
                // What a document leads to is there too.
                let text = String::from_utf8(bytes.clone()).unwrap();
                for link in text.split(&world.url("/feeds/")).skip(1) {
                    let link = link.split(['"', '<', '?']).next().unwrap();
                    if FORMATS.iter().any(|format| link.ends_with(&format!(".{format}"))) {
                        assert!(
                            files.contains_key(&format!("feeds/{link}")),
                            "{what}: {name} leads to {link}"
                        );
                    }
                }
                documents.insert(name.clone());
            }
        }
    }
    documents
}

#[test]
fn a_tree_is_what_is_served() {
    let mut world = newsroom();
    let (written, unchanged, removed) = export(&world, &[]);
    assert_eq!((unchanged, removed), (0, 0));
    world.serve();
    let documents = assert_as_served(&world, "the first export");
    assert_eq!(written, documents.len() as u64 * 4);
    let expected = [
        "opml",
        "robots.txt",
        "sitemap.xml",
        "sitemap-news.xml",
        "sitemap-pages.xml",
        "sitemap-articles-1.xml",
    ];
    let feeds = ["all", "kinh-te", "van-hoa", "ca-hai"];
    let feeds = feeds.iter().flat_map(|feed| FORMATS.map(|format| format!("feeds/{feed}.{format}")));
    for name in feeds.chain(expected.map(str::to_owned)) {
        assert!(documents.contains(&name), "{name}");
    }
    for archive in ["feeds/all/archive/2.atom", "feeds/kinh-te/archive/1.rss", "feeds/ca-hai/archive/1.json"]
    {
        assert!(documents.contains(archive), "{archive} in {documents:?}");
    }
    for feed in ["all", "kinh-te", "ca-hai"] {
        let archives = documents.iter().filter(|name| name.starts_with(&format!("feeds/{feed}/archive/")));
        let last = archives.count() / 3;
        let next = world.get(&format!("/feeds/{feed}/archive/{}.rss", last + 1));
        assert_eq!(next.status, 404, "{feed} has more than {last} archives");
    }
    // As the program dates it.
    let path = "feeds/kinh-te/archive/1.rss";
    let date = world.get(&format!("/{path}")).header("last-modified").map(str::to_owned);
    if let Some(date) = date {
        let date = chrono::DateTime::parse_from_rfc2822(&date).unwrap().timestamp();
        let file = files(&world.path("www"))[path].1.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!((date - 1..=date).contains(&i64::try_from(file.as_secs()).unwrap()));
    }

    let before = files(&world.path("www"));
    assert_eq!(export(&world, &[]), (0, written, 0), "nothing happened");
    assert!(files(&world.path("www")) == before, "dates stay, or readers fetch all of it again");

    export(&world, &["--labels"]);
    assert!(assert_as_served(&world, "with labels").contains("feeds/tag:dai-hoi.rss"));
    // A tag and a byline in three formats, each in four codings.
    assert_eq!(export(&world, &[]).2, 2 * 3 * 4, "labels go when they are not asked for");
    assert_eq!(files(&world.path("www")).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

#[test]
fn what_changes_is_written_again_and_nothing_else() {
    let mut world = newsroom();
    world.serve();
    export(&world, &[]);
    let before = files(&world.path("www"));
    // The oldest of its section: in archive pages only.
    let id = id_of(&world, "kinh-te", "Tin số 4");
    world.done(&["article", "withdraw", &id]);
    world.wait_for("it is gone", |world| !world.get("/feeds/kinh-te.json").text().contains("Tin số 4"));
    let (written, _, removed) = export(&world, &[]);
    assert!(written > 0 && removed == 0);
    assert_as_served(&world, "after a withdrawal");
    let after = files(&world.path("www"));
    for (name, (bytes, date)) in after.iter().filter(|(name, _)| *name != LIST) {
        let (old, old_date) = &before[name];
        assert_eq!(bytes == old, date == old_date, "{name}: new bytes have a new date, and only they");
        let says = !name.ends_with("gz") && !name.ends_with("br") && !name.ends_with("zst");
        assert!(!says || !String::from_utf8_lossy(bytes).contains("Tin số 4"), "{name}");
    }
    assert!(before["feeds/van-hoa.rss"] == after["feeds/van-hoa.rss"], "the other section");
    assert!(before["feeds/kinh-te.rss"].0 != after["feeds/kinh-te.rss"].0);

    // A feed that is retired, and one that loses a format.
    std::fs::remove_file(world.path("feeds/ca-hai.toml")).unwrap();
    world.write("feeds/van-hoa.toml", "[feed]\ncategory = \"van-hoa\"\nformats = [\"rss\"]\n");
    assert_eq!(world.stop(), Some(0));
    let (_, _, removed) = export(&world, &[]);
    let now = files(&world.path("www"));
    let gone: BTreeSet<&String> = after.keys().filter(|name| !now.contains_key(*name)).collect();
    assert_eq!(removed, gone.len() as u64);
    assert!(gone.iter().all(|name| name.starts_with("feeds/ca-hai") || name.starts_with("feeds/van-hoa.")));
    assert!(!world.path("www/feeds/ca-hai").exists() && world.path("www/feeds/van-hoa.rss").exists());
    world.serve();
    assert_as_served(&world, "after a retirement");
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let world = newsroom();
    world.write("www/index.html", "trang của toà soạn");
    let refused = world.run(&["feed", "export", "www"]);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(words.contains("`www`") && words.contains("empty or a new folder"), "{words}");
    assert_eq!(files(&world.path("www")).len(), 1);
    assert_eq!(world.run(&["feed", "export", "www/index.html"]).status.code(), Some(2));
    assert_eq!(world.run(&["feed", "export"]).status.code(), Some(2));

    std::fs::remove_file(world.path("www/index.html")).unwrap();
    export(&world, &[]);
    world.write("www/index.html", "trang của toà soạn");
    world.write("www/feeds/kinh-te/anh.jpg", "ảnh");
    world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nslug = \"lam-an\"\nwindow = 2\n");
    assert!(export(&world, &[]).2 > 0, "the old name goes");
    let left = files(&world.path("www"));
    assert!(left.contains_key("index.html") && left.contains_key("feeds/kinh-te/anh.jpg"));
    assert!(!left.keys().any(|name| name.starts_with("feeds/kinh-te.") || name.contains("kinh-te/archive")));
    world.write("feeds/them.toml", "[feed]\nslug = \"them\"\nsearch = \"tin\"\n");
    world.write("www/feeds/them.rss", "của toà soạn");
    let stopped = world.run(&["feed", "export", "www"]);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(String::from_utf8(stopped.stderr).unwrap().contains("them.rss"));
    assert_eq!(std::fs::read_to_string(world.path("www/feeds/them.rss")).unwrap(), "của toà soạn");
}

#[test]
fn a_kill_leaves_whole_files_and_the_next_export_ends_it() {
    let mut world = newsroom();
    export(&world, &[]);
    let whole = files(&world.path("www"));
    let mut interrupted = 0;
    for lines in [2, 20, 60, 100] {
        std::fs::remove_dir_all(world.path("www")).unwrap();
        world.start(&["feed", "export", "www"]);
        let told = |world: &World| std::fs::read_to_string(world.path("www").join(LIST)).unwrap_or_default();
        let started = std::time::Instant::now();
        while told(&world).lines().count() < lines && started.elapsed().as_secs() < 30 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        world.kill();
        let left = files(&world.path("www"));
        interrupted += usize::from(left.len() < whole.len());
        for (name, (bytes, _)) in left {
            let part = name == LIST || name.ends_with(".part");
            assert!(part || bytes == whole[&name].0, "{name} is half written");
        }
        export(&world, &[]);
        let now = files(&world.path("www"));
        assert_eq!(now.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        assert!(now.iter().all(|(name, (bytes, _))| name == LIST || *bytes == whole[name].0));
    }
    assert!(interrupted > 0, "every kill came too late");
}

#[test]
fn what_is_left_alone_is_what_would_be_written() {
    let world = newsroom();
    let numbered = |n: usize, section: &str, fields: Value| {
        let published = format!("2026-11-02T07:{n:02}:00+07:00");
        let own = json!({ "published": published, "tags": ["đại hội"] });
        with(with(article(&format!("so-{n}"), &format!("Tin số {n}"), section), own), fields)
    };
    let id = |title: &str| {
        let found = world.done(&["article", "list", "--search", title, "--json", "--limit", "1"]);
        let found: Value = serde_json::from_str(&found).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let withdrawn = id("Tin số 1");
    let events: [(&str, &dyn Fn()); 8] = [
        ("the first", &|| {}),
        ("an article", &|| drop(world.import(&[numbered(10, "Kinh tế", json!({}))]))),
        ("a correction in an archive", &|| {
            world.import(&[numbered(0, "Kinh tế", json!({ "title": "Tin số không" }))]);
        }),
        ("a withdrawal from an archive", &|| drop(world.done(&["article", "withdraw", &withdrawn]))),
        ("a return", &|| drop(world.done(&["article", "publish", &withdrawn]))),
        ("a move", &|| drop(world.import(&[numbered(2, "Văn hóa", json!({}))]))),
        ("a wider window", &|| {
            world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nwindow = 4\n");
        }),
        ("another combination", &|| {
            world.write(
                "feeds/ca-hai.toml",
                "[feed]\nslug = \"ca-hai\"\nintersection = [\"all\", \"tag:dai-hoi\"]\n",
            );
        }),
    ];
    for (at, (what, event)) in events.iter().enumerate() {
        event();
        export(&world, &["--labels"]);
        let fresh = format!("fresh-{at}");
        world.done(&["feed", "export", &fresh, "--labels"]);
        let (kept, fresh) = (files(&world.path("www")), files(&world.path(&fresh)));
        assert_eq!(kept.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>(), "{what}");
        for (name, (bytes, _)) in &kept {
            assert!(*bytes == fresh[name].0, "{what}: {name} was left as it was before");
        }
    }
}
