//! Deltas of feeds (RFC 3229): off they are not there; on a client gets what it lacks, and no client
//! misses anything by them (reference/feeds.md §0.8, §3.7).

use crate::judges::reload;
use crate::served::{AT_ONCE, FORMATS, article, feed, id_of, items, text, titles, with};
use crate::world::{Answer, World, judged, python};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

const SLUG: &str = "kinh-te";

fn piece(key: &str, title: &str) -> Value {
    article(key, title, "Kinh tế")
}

/// Three articles in one section, and a server with the switch as said.
fn newsroom(delta: Option<bool>) -> World {
    let mut world = World::new();
    if let Some(on) = delta {
        world.set("BANTIN_SERVER__DELTA", &on.to_string());
    }
    world.import(&[piece("a", "Giá lúa"), piece("bb", "Cảng mới"), piece("ccc", "Chợ nổi")]);
    world.serve();
    world
}

/// Publishes, and waits until the feeds show it.
fn publish(world: &World, pieces: &[Value]) {
    let before = tag(&feed(world, SLUG, "json"));
    world.import(pieces);
    wait_past(world, &before);
}

fn wait_past(world: &World, before: &str) {
    world.wait_at_most(AT_ONCE, "the change shows", |world| tag(&feed(world, SLUG, "json")) != before);
}

fn path(format: &str) -> String {
    format!("/feeds/{SLUG}.{format}")
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer:?}")).to_owned()
}

fn poll(world: &World, format: &str, a_im: &str, tags: &str) -> Answer {
    world.request("GET", &path(format), &[("A-IM", a_im), ("If-None-Match", tags)], b"")
}

/// The titles of a document, sorted, as a parser of others reads them.
fn entries(format: &str, body: &[u8]) -> BTreeSet<String> {
    if format == "json" {
        let feed: Value = serde_json::from_slice(body).unwrap();
        return feed["items"].as_array().unwrap().iter().map(|item| text(item, "title")).collect();
    }
    let feed = feed_rs::parser::parse(body)
        .unwrap_or_else(|error| panic!("{format}: {error}: {}", String::from_utf8_lossy(body)));
    feed.entries.into_iter().map(|entry| entry.title.unwrap().content).collect()
}

fn set(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

fn unzipped(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn switched_off_the_field_changes_nothing() {
    for setting in [None, Some(false)] {
        let world = newsroom(setting);
        let before = FORMATS.map(|format| tag(&feed(&world, SLUG, format)));
        publish(&world, &[piece("dddd", "Cầu mới")]);
        std::thread::sleep(Duration::from_millis(1_100));
        for (format, old) in FORMATS.iter().zip(&before) {
            let now = tag(&feed(&world, SLUG, format));
            for (tags, status) in [(old, 200), (&now, 304)] {
                for method in ["GET", "HEAD"] {
                    let told = format!("{method} {format} {status}");
                    let plain = [("If-None-Match", tags.as_str())];
                    let asking = [("If-None-Match", tags.as_str()), ("A-IM", "feed")];
                    let [plain, asking] =
                        [&plain[..], &asking[..]].map(|sent| world.request(method, &path(format), sent, b""));
                    assert_eq!((plain.status, asking.status), (status, status), "{told}");
                    assert_eq!(plain.body, asking.body, "{told}");
                    let headers = |answer: &Answer| {
                        let all = answer.headers.iter().filter(|(name, _)| name != "date").cloned();
                        all.collect::<BTreeSet<_>>()
                    };
                    assert_eq!(headers(&plain), headers(&asking), "{told}");
                    assert_eq!((asking.header("im"), asking.header("delta-base")), (None, None), "{told}");
                    assert!(!asking.header("vary").unwrap().to_lowercase().contains("a-im"), "{told}");
                }
            }
        }
    }
}

#[test]
fn a_client_gets_what_is_new_and_changed_and_nothing_else() {
    let world = newsroom(Some(true));
    let first = FORMATS.map(|format| tag(&feed(&world, SLUG, format)));
    publish(&world, &[piece("dddd", "Cầu mới"), piece("eeeee", "Đê biển")]);
    let second = FORMATS.map(|format| tag(&feed(&world, SLUG, format)));
    publish(&world, &[piece("ffffff", "Tôm giống"), piece("bb", "Cảng mới mở")]);
    // A second in which a feed changed twice has no Last-Modified until it is over.
    std::thread::sleep(Duration::from_millis(1_100));
    for (at, format) in FORMATS.into_iter().enumerate() {
        let whole = feed(&world, SLUG, format);
        let delta = poll(&world, format, "vcdiff, feed", &second[at]);
        assert_eq!(delta.status, 226, "{format}: {delta:?}");
        assert_eq!(entries(format, &delta.body), set(&["Tôm giống", "Cảng mới mở"]), "{format}");
        if format != "json" {
            let file = world.write(&format!("delta.{format}"), &delta.body);
            judged("xmllint", &["--noout"], &file).unwrap();
        }
        assert!(delta.body.len() < whole.body.len());
        // The client now has the present version, and says so the next time.
        assert_eq!(delta.header("im"), Some("feed"));
        assert_eq!(delta.header("delta-base"), Some(second[at].as_str()));
        for name in ["etag", "last-modified", "content-type"] {
            assert_eq!(delta.header(name), whole.header(name), "{format}: {name}");
        }
        assert_eq!(delta.header("cache-control"), Some("no-store, im, max-age=300"));
        let vary = "Accept-Encoding, Sec-Fetch-Dest, A-IM, If-None-Match";
        assert_eq!(delta.header("vary"), Some(vary));
        assert_eq!(poll(&world, format, "feed", &tag(&delta)).status, 304, "{format}");
        // Of the versions that it names, the newest; and from further back there is more.
        let both = poll(&world, format, "feed", &format!("\"x\", {}, W/{}", first[at], second[at]));
        assert_eq!((both.status, &both.body), (226, &delta.body), "{format}");
        let older = poll(&world, format, "feed", &first[at]);
        let all = set(&["Cầu mới", "Đê biển", "Tôm giống", "Cảng mới mở"]);
        assert_eq!((older.status, entries(format, &older.body)), (226, all), "{format}");
        // HEAD says what GET says.
        let asking = [("A-IM", "feed"), ("If-None-Match", second[at].as_str())];
        let head = world.request("HEAD", &path(format), &asking, b"");
        assert_eq!((head.status, head.body.len()), (226, 0), "{format}");
        for name in ["etag", "im", "delta-base", "vary", "cache-control", "last-modified", "content-length"] {
            assert_eq!(head.header(name), delta.header(name), "HEAD {format}: {name}");
        }
        // A coding is the delta's own; the tag is that of the whole document in that coding.
        let zipped = world.request("GET", &path(format), &[("Accept-Encoding", "gzip")], b"");
        let asking = [asking[0], asking[1], ("Accept-Encoding", "gzip")];
        let coded = world.request("GET", &path(format), &asking, b"");
        assert_eq!((coded.status, coded.header("content-encoding")), (226, Some("gzip")), "{format}");
        assert_eq!((tag(&coded), unzipped(&coded.body)), (tag(&zipped), delta.body), "{format}");
        // Whoever does not ask for it, or refuses it, gets the whole.
        for (a_im, tags) in [
            ("feed;q=0", second[at].as_str()),
            ("vcdiff", &second[at]),
            ("feed", "\"unknown\""),
            ("feed", second[at].trim_matches('"')),
        ] {
            let answer = poll(&world, format, a_im, tags);
            assert_eq!((answer.status, answer.header("im")), (200, None), "{format}: {a_im} {tags}");
            assert_eq!(answer.body, whole.body, "{format}: {a_im} {tags}");
        }
        assert_eq!(world.request("GET", &path(format), &[("A-IM", "feed")], b"").status, 200);
        assert_eq!(poll(&world, format, "feed", "*").status, 304);
        // Another document's version is none of this one's.
        let elsewhere = tag(&feed(&world, "all", format));
        assert_eq!(poll(&world, format, "feed", &elsewhere).status, 200);
    }
}

#[test]
fn silent_corrections_and_withdrawals_are_told_too() {
    let world = newsroom(Some(true));
    let tags = || FORMATS.map(|format| tag(&feed(&world, SLUG, format)));
    let id = id_of(&world, SLUG, "Giá lúa");
    let first = tags();
    let quiet = json!({ "content_html": "<p>Giá lúa, đã sửa.</p>", "significant": false });
    publish(&world, &[with(piece("a", "Giá lúa"), quiet)]);
    for (format, old) in FORMATS.iter().zip(&first) {
        let delta = poll(&world, format, "feed", old);
        assert_eq!((delta.status, entries(format, &delta.body)), (226, set(&["Giá lúa"])), "{format}");
        assert!(delta.text().contains("đã sửa"), "{format}");
    }
    let second = tags();
    let change = |verb: &str| {
        let before = tag(&feed(&world, SLUG, "json"));
        world.done(&["article", verb, &id]);
        wait_past(&world, &before);
    };
    change("withdraw");
    let third = tags();
    for (format, old) in FORMATS.iter().zip(&second) {
        let delta = poll(&world, format, "feed", old);
        assert_eq!((delta.status, entries(format, &delta.body)), (226, set(&[])), "{format}");
        let tombstone = format!("<at:deleted-entry ref=\"urn:uuid:{id}\"");
        assert_eq!(delta.text().contains(&tombstone), *format == "atom", "{}", delta.text());
    }
    // Who has seen the tombstone is not told again.
    publish(&world, &[piece("dddd", "Cầu mới")]);
    let delta = poll(&world, "atom", "feed", &third[1]);
    assert_eq!((delta.status, entries("atom", &delta.body)), (226, set(&["Cầu mới"])));
    assert!(!delta.text().contains("deleted-entry"), "{}", delta.text());
    // A return is news to who saw the article go, and to who did not.
    change("publish");
    for (format, old) in FORMATS.iter().zip(&third).chain(FORMATS.iter().zip(&second)) {
        let delta = poll(&world, format, "feed", old);
        assert_eq!(entries(format, &delta.body), set(&["Cầu mới", "Giá lúa"]), "{format}");
        assert!(!delta.text().contains(&format!("ref=\"urn:uuid:{id}\"")), "{}", delta.text());
    }
}

#[test]
fn where_nothing_is_saved_or_nothing_is_known_the_whole_comes() {
    let mut world = newsroom(Some(true));
    let old = tag(&feed(&world, SLUG, "rss"));
    let all = [piece("a", "Giá lúa lên"), piece("bb", "Cảng mới mở"), piece("ccc", "Chợ nổi đông")];
    publish(&world, &all);
    let answer = poll(&world, "rss", "feed", &old);
    assert_eq!((answer.status, answer.header("im")), (200, None), "everything changed");
    let old = tag(&answer);
    world.kill();
    world.serve();
    assert_eq!(poll(&world, "rss", "feed", &old).status, 304);
    world.kill();
    world.import(&[piece("dddd", "Cầu mới")]);
    world.serve();
    let answer = poll(&world, "rss", "feed", &old);
    assert_eq!((answer.status, entries("rss", &answer.body).len()), (200, 4), "after a restart");
}

#[test]
fn only_the_documents_of_named_feeds_come_as_deltas() {
    let world = newsroom(Some(true));
    let search = "/feeds/search.rss?q=lua";
    let before = tag(&world.get(search));
    publish(&world, &[piece("dddd", "Lúa mùa")]);
    let asking = [("A-IM", "feed"), ("If-None-Match", before.as_str())];
    world.wait_at_most(AT_ONCE, "it is found", |world| tag(&world.get(search)) != before);
    assert_eq!(world.request("GET", search, &asking, b"").status, 200);
}

#[test]
fn sixteen_versions_back_is_known_and_no_further() {
    let world = newsroom(Some(true));
    let mut tags = vec![tag(&feed(&world, SLUG, "json"))];
    for n in 0..17 {
        publish(&world, &[piece(&"x".repeat(10 + n), &format!("Tin số {n}"))]);
        tags.push(tag(&feed(&world, SLUG, "json")));
    }
    assert_eq!(poll(&world, "json", "feed", &tags[0]).status, 200);
    let delta = poll(&world, "json", "feed", &tags[1]);
    assert_eq!((delta.status, entries("json", &delta.body).len()), (226, 16));
}

#[test]
fn feedparser_is_given_only_what_is_new() {
    let world = newsroom(Some(true));
    let parse = |format: &str, tag: &str| -> Value {
        let url = world.url(&path(format));
        serde_json::from_str(&python(include_str!("readers/feedparser_delta.py"), &[&url, tag])).unwrap()
    };
    let first = ["rss", "atom"].map(|format| parse(format, ""));
    publish(&world, &[piece("dddd", "Cầu mới")]);
    for (format, first) in ["rss", "atom"].iter().zip(first) {
        assert_eq!((&first["status"], first["titles"].as_array().unwrap().len()), (&json!(200), 3));
        let second = parse(format, &text(&first, "etag"));
        assert_eq!((&second["status"], &second["bozo"]), (&json!(226), &json!(false)), "{format}: {second}");
        assert_eq!(second["titles"], json!(["Cầu mới"]), "{format}");
        let third = parse(format, &text(&second, "etag"));
        assert_eq!((&third["status"], &third["titles"]), (&json!(304), &json!([])), "{format}");
    }
}

#[test]
fn newsboat_keeps_every_article_once() {
    let world = newsroom(Some(true));
    for format in ["rss", "atom"] {
        world.write(&format!("{format}/urls"), world.url(&path(format)));
        world.write(&format!("{format}/config"), "");
    }
    let kept = |format: &str| -> Vec<Value> {
        let home = world.path(format);
        let cache = home.join("cache.db");
        reload(&home, &home.join("urls"), &cache, &home.join("config"));
        let script = include_str!("readers/newsboat.py");
        serde_json::from_str(&python(script, &[cache.to_str().unwrap()])).unwrap()
    };
    // It sends its first tag with the second poll and A-IM with the third (feeds.md §6).
    for n in 0..5 {
        if n > 0 {
            // Newsboat goes by whole seconds too.
            std::thread::sleep(Duration::from_millis(1_100));
            let edit = piece("a", &format!("Giá lúa {n}"));
            publish(&world, &[piece(&"x".repeat(10 + n), &format!("Tin số {n}")), edit]);
        }
        for format in ["rss", "atom"] {
            let kept = kept(format);
            let [ids, told] = ["guid", "title"]
                .map(|name| kept.iter().map(|item| text(item, name)).collect::<BTreeSet<_>>());
            assert_eq!((kept.len(), ids.len()), (3 + n, 3 + n), "{format}, reload {n}: {kept:?}");
            assert_eq!(told, titles(&world, SLUG).into_iter().collect(), "{format}, reload {n}");
        }
    }
    assert_eq!(items(&world, SLUG).len(), 7);
    let told = world.get("/metrics").text();
    assert!(told.contains("status=\"226\""), "newsboat was given no delta\n{told}");
}
