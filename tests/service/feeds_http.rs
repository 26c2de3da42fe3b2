//! The feeds over HTTP: conditional requests and codings, and what an event changes and what not
//! (CONTRACT.md, promises 1 and 2; RFC 9110 §8.8, §13).

use crate::served::{AT_ONCE, FORMATS, article, feed, id_of, instant, items, said, text, titles, with};
use crate::world::{Answer, World};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

/// Two sections with two articles each, not served yet.
fn newsroom() -> World {
    filled(World::new())
}

fn newsroom_on_postgres() -> World {
    let mut world = World::new();
    world.on_postgres();
    filled(world)
}

fn filled(world: World) -> World {
    world.import(&[
        article("a", "Đại hội Đảng bộ", "Xây dựng Đảng"),
        article("bb", "Chi bộ ấp", "Xây dựng Đảng"),
        article("ccc", "Giá lúa", "Kinh tế"),
        article("dddd", "Cảng mới", "Kinh tế"),
    ]);
    world
}

/// A date of HTTP has whole seconds: what comes now falls into another one.
fn next_second() {
    std::thread::sleep(Duration::from_millis(1_100));
}

fn validators(answer: &Answer) -> (String, String) {
    let header = |name| answer.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    (header("etag"), header("last-modified"))
}

/// A document with its date: there is none until the second is over in which it changed twice.
fn dated(world: &World, path: &str) -> Answer {
    let until = std::time::Instant::now() + Duration::from_secs(2);
    loop {
        let answer = world.get(path);
        if answer.header("last-modified").is_some() || std::time::Instant::now() > until {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The Unix seconds of a Last-Modified.
fn seconds(date: &str) -> i64 {
    chrono::DateTime::parse_from_rfc2822(date).unwrap().timestamp()
}

#[test]
fn every_conditional_request_gets_what_rfc_9110_says() {
    let mut world = newsroom();
    world.serve();
    next_second();
    for format in FORMATS {
        let path = format!("/feeds/kinh-te.{format}");
        let tag_in = |coding| world.request("GET", &path, &[("Accept-Encoding", coding)], b"");
        let zipped = validators(&tag_in("gzip")).0;
        for coding in ["identity", "gzip", "br"] {
            let whole = tag_in(coding);
            let (tag, modified) = validators(&whole);
            let now = whole.header("date").unwrap().to_owned();
            assert!(seconds(&modified) < seconds(&now), "the story needs an instant in between");
            let inm = |value: &str| vec![("If-None-Match", value.to_owned())];
            let ims = |value: &str| vec![("If-Modified-Since", value.to_owned())];
            let cases = [
                ("nothing", vec![], 200),
                ("its own tag", inm(&tag), 304),
                ("the gzip form's tag", inm(&zipped), 304),
                ("the weak form", inm(&format!("W/{tag}")), 304),
                ("a list", inm(&format!("\"x\", W/\"y,z\", {tag}")), 304),
                ("a list on two lines", [inm("\"x\""), inm(&tag)].concat(), 304),
                ("a star", inm("*"), 304),
                ("another tag", inm("\"x\""), 200),
                ("the tag without its quotes", inm(tag.trim_matches('"')), 200),
                ("an equal date", ims(&modified), 304),
                ("an older date", ims("Sun, 06 Nov 1994 08:49:37 GMT"), 200),
                ("an older date of 1994's servers", ims("Sunday, 06-Nov-94 08:49:37 GMT"), 200),
                ("a newer date", ims(&now), 304),
                ("a date to come", ims("Fri, 01 Jan 2083 00:00:00 GMT"), 200),
                ("no date", ims("yesterday"), 200),
                (
                    "its own tag and an older date",
                    [inm(&tag), ims("Sun, 06 Nov 1994 08:49:37 GMT")].concat(),
                    304,
                ),
                ("another tag and an equal date", [inm("\"x\""), ims(&modified)].concat(), 200),
            ];
            for (what, headers, status) in cases {
                let mut sent: Vec<(&str, &str)> = vec![("Accept-Encoding", coding)];
                sent.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
                for method in ["GET", "HEAD"] {
                    let answer = world.request(method, &path, &sent, b"");
                    let told = format!("{method} {path} in {coding} with {what}");
                    assert_eq!(answer.status, status, "{told}");
                    for name in ["etag", "last-modified", "cache-control", "vary"] {
                        assert_eq!(answer.header(name), whole.header(name), "{told}: {name}");
                    }
                    let is_whole = method == "GET" && status == 200;
                    assert_eq!(answer.body, if is_whole { &whole.body[..] } else { b"" }, "{told}");
                    let length = answer.header("content-length");
                    if status == 304 {
                        // RFC 9110 §8.6: where a 304 has a length, it is that of the 200.
                        assert!(
                            length.is_none() || length == whole.header("content-length"),
                            "{told}: {length:?}"
                        );
                        assert_eq!(answer.header("content-encoding"), None, "{told}");
                    } else {
                        assert_eq!(length, Some(whole.body.len().to_string().as_str()), "{told}");
                    }
                }
            }
        }
    }
}

#[test]
fn head_says_what_get_says_and_every_coding_holds_the_same_bytes() {
    let mut world = newsroom();
    world.serve();
    for format in FORMATS {
        let path = format!("/feeds/all.{format}");
        let plain = world.get(&path);
        assert_eq!(plain.header("content-encoding"), None);
        let mut tags = BTreeMap::new();
        for (accept, coding) in
            [("identity", None), ("gzip", Some("gzip")), ("gzip, deflate, br, zstd", Some("br"))]
        {
            let headers = [("Accept-Encoding", accept)];
            let get = world.request("GET", &path, &headers, b"");
            let head = world.request("HEAD", &path, &headers, b"");
            assert_eq!(get.header("content-encoding"), coding);
            let decoded = match coding {
                None => get.body.clone(),
                Some("gzip") => {
                    let mut bytes = Vec::new();
                    flate2::read::GzDecoder::new(&*get.body).read_to_end(&mut bytes).unwrap();
                    bytes
                }
                Some(_) => {
                    let mut bytes = Vec::new();
                    brotli::BrotliDecompress(&mut &*get.body, &mut bytes).unwrap();
                    bytes
                }
            };
            assert_eq!(decoded, plain.body, "{path} in {accept}");
            let but_the_clock = |answer: &Answer| {
                let mut headers = answer.headers.clone();
                headers.retain(|(name, _)| name != "date");
                headers
            };
            assert_eq!((head.status, head.body.len()), (200, 0));
            assert_eq!(but_the_clock(&head), but_the_clock(&get), "{path} in {accept}");
            tags.insert(accept, validators(&get).0);
        }
        // A strong tag names one representation (RFC 9110 §8.8.3.3).
        let different: std::collections::BTreeSet<_> = tags.values().collect();
        assert_eq!(different.len(), 3, "{tags:?}");
        assert!(tags.values().all(|tag| tag.starts_with('"') && tag.ends_with('"')), "{tags:?}");
    }
}

#[test]
fn a_feed_comes_as_its_type_whatever_the_client_accepts() {
    let mut world = newsroom();
    world.serve();
    let types = [
        ("rss", "application/rss+xml; charset=utf-8"),
        ("atom", "application/atom+xml; charset=utf-8"),
        ("json", "application/feed+json; charset=utf-8"),
    ];
    for (format, media_type) in types {
        let path = format!("/feeds/xay-dung-dang.{format}");
        let plain = world.get(&path);
        // rss-parser of npm asks for RSS at an Atom address; Miniflux wants text/html as much as
        // anything; none of them may get a 406.
        for accept in ["*/*", "application/rss+xml", "text/html,*/*;q=0.9", "image/png", "nonsense", ""] {
            let answer = world.request("GET", &path, &[("Accept", accept)], b"");
            assert_eq!((answer.status, &answer.body), (200, &plain.body), "{accept}");
            assert_eq!(answer.header("content-type"), Some(media_type));
        }
        assert!(plain.text().contains("Đại hội Đảng bộ"), "Vietnamese as it is");
        let caching = plain.header("cache-control").unwrap();
        let age = caching.split(", ").find_map(|part| part.strip_prefix("max-age=")).unwrap();
        assert!((1..=300).contains(&age.parse::<u32>().unwrap()), "{caching}");
        let vary = plain.header("vary").unwrap().to_ascii_lowercase();
        assert!(vary.contains("accept-encoding") && vary.contains("sec-fetch-dest"), "{vary}");
        let modified = validators(&plain).1;
        let now = seconds(plain.header("date").unwrap());
        assert!((now - 60..=now).contains(&seconds(&modified)), "a sane date: {modified}");
    }
}

#[test]
fn what_is_no_feed_is_not_found() {
    let mut world = newsroom();
    world.serve();
    for path in [
        "/feeds/khong-co.rss",
        "/feeds/all.xml",
        "/feeds/.rss",
        "/feeds/kinh-te.rss.atom",
        "/feeds/KINH-TE.rss",
        "/feeds/%00.rss",
        "/feeds/%ff.atom",
        "/feeds/..%2f..%2fvar%2fbantin.db.rss",
        "/feeds/kinh-te.rss/",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = world.request(method, path, &[], b"");
            assert!(matches!(answer.status, 400 | 404), "{method} {path}: {}", answer.status);
        }
    }
    for method in ["POST", "PUT", "DELETE"] {
        let answer = world.request(method, "/feeds/all.rss", &[], b"");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
}

#[test]
fn a_browser_that_navigates_is_led_to_the_page_and_nobody_else() {
    let mut world = newsroom();
    world.serve();
    for format in FORMATS {
        let path = format!("/feeds/kinh-te.{format}");
        let plain = world.get(&path);
        let browser = [
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Mode", "navigate"),
        ];
        let led = world.request("GET", &path, &browser, b"");
        assert_eq!((led.status, led.header("location")), (303, Some("/feeds/kinh-te")));
        assert_eq!(led.header("cache-control"), Some("no-store"));
        assert_eq!(led.header("vary"), plain.header("vary"), "a cache tells the two apart");
        assert_eq!((led.header("etag"), led.header("last-modified")), (None, None));
        let page = world.request("GET", "/feeds/kinh-te", &browser, b"");
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let raw = world.request("GET", &format!("{path}?raw=1"), &browser, b"");
        assert_eq!((raw.status, raw.body), (200, plain.body.clone()));
        for dest in ["empty", "iframe", "script"] {
            let script = [("Sec-Fetch-Dest", dest), ("Sec-Fetch-Mode", "cors")];
            assert_eq!(world.request("GET", &path, &script, b"").body, plain.body, "{dest}");
        }
    }
}

/// Bytes, tag and date of each format of a feed.
fn state(world: &World, slug: &str) -> Vec<(Vec<u8>, String, String)> {
    FORMATS
        .iter()
        .map(|format| {
            let answer = dated(world, &format!("/feeds/{slug}.{format}"));
            let (tag, modified) = validators(&answer);
            (answer.body, tag, modified)
        })
        .collect()
}

#[test]
fn nothing_changes_but_by_an_event() {
    looked_at_again_and_again(newsroom());
}

#[test]
fn nothing_changes_but_by_an_event_on_postgres() {
    looked_at_again_and_again(newsroom_on_postgres());
}

fn looked_at_again_and_again(mut world: World) {
    world.serve();
    let slugs = ["all", "xay-dung-dang", "kinh-te"];
    let before = slugs.map(|slug| state(&world, slug));
    next_second();
    assert_eq!(slugs.map(|slug| state(&world, slug)), before, "a second look");
    world.kill();
    next_second();
    world.serve();
    assert_eq!(slugs.map(|slug| state(&world, slug)), before, "a kill and a start");
    assert_eq!(world.stop(), Some(0));
    world.serve();
    assert_eq!(slugs.map(|slug| state(&world, slug)), before, "a stop and a start");
    world.import(&[article("a", "Đại hội Đảng bộ", "Xây dựng Đảng")]);
    std::thread::sleep(AT_ONCE);
    assert_eq!(slugs.map(|slug| state(&world, slug)), before, "an import of what is there");
}

#[test]
fn an_event_in_one_section_shows_at_once_there_and_nowhere_else() {
    one_section_lives(newsroom());
}

#[test]
fn an_event_in_one_section_shows_at_once_there_and_nowhere_else_on_postgres() {
    one_section_lives(newsroom_on_postgres());
}

fn one_section_lives(mut world: World) {
    world.serve();
    let other = state(&world, "kinh-te");
    let mut last = [("xay-dung-dang", 0), ("all", 0)];
    let mut polled = [String::new(), String::new()];
    let mut shows = |world: &World, what: &str, expected: &[&str]| {
        world.wait_at_most(AT_ONCE, what, |world| titles(world, "xay-dung-dang") == expected);
        for ((slug, before), polled) in last.iter_mut().zip(&mut polled) {
            for title in expected {
                assert!(titles(world, slug).iter().any(|t| t == title), "{what}: {title} in {slug}");
            }
            // A client that knows dates only must notice, also within one second.
            let path = format!("/feeds/{slug}.rss");
            if !polled.is_empty() {
                let answer = world.request("GET", &path, &[("If-Modified-Since", polled)], b"");
                assert_eq!(answer.status, 200, "{what}: {slug} since {polled}");
            }
            let modified = validators(&dated(world, &path)).1;
            assert!(seconds(&modified) >= *before, "{what}: {slug} ran back to {modified}");
            *before = seconds(&modified);
            *polled = modified;
        }
        assert_eq!(state(world, "kinh-te"), other, "{what}: the other section");
    };
    let start = ["Chi bộ ấp", "Đại hội Đảng bộ"];
    shows(&world, "the start", &start);
    world.import(&[article("eeeee", "Kết nạp đảng viên", "Xây dựng Đảng")]);
    shows(&world, "a new article", &["Kết nạp đảng viên", start[0], start[1]]);
    world.import(&[article("eeeee", "Kết nạp 5 đảng viên", "Xây dựng Đảng")]);
    shows(&world, "an edit", &["Kết nạp 5 đảng viên", start[0], start[1]]);
    let id = id_of(&world, "xay-dung-dang", "Kết nạp 5 đảng viên");
    world.done(&["article", "withdraw", &id]);
    shows(&world, "a withdrawal", &start);
    for slug in ["xay-dung-dang", "all"] {
        for format in FORMATS {
            assert!(!feed(&world, slug, format).text().contains("Kết nạp"), "{slug}.{format}");
        }
    }
    world.done(&["article", "publish", &id]);
    shows(&world, "a change of mind", &["Kết nạp 5 đảng viên", start[0], start[1]]);
    assert_eq!(id_of(&world, "xay-dung-dang", "Kết nạp 5 đảng viên"), id);
}

#[test]
fn documents_that_followed_every_event_are_those_of_a_fresh_start() {
    let mut world = newsroom();
    world.serve();
    // In a coding that is made in pieces, and as they are: bytes and tags.
    let documents = |world: &World| {
        let mut documents = Vec::new();
        for slug in ["all", "xay-dung-dang", "kinh-te", "author:thu-ha"] {
            for (format, coding) in FORMATS.iter().flat_map(|format| [(format, "gzip"), (format, "identity")])
            {
                let path = format!("/feeds/{slug}.{format}");
                let answer = world.request("GET", &path, &[("Accept-Encoding", coding)], b"");
                let tag = answer.header("etag").unwrap_or_default().to_owned();
                documents.push((path, coding, answer.status, tag, answer.body));
            }
        }
        documents
    };
    let standing = |world: &World, what: &str, expected: &[&str]| {
        world.wait_at_most(AT_ONCE, what, |world| titles(world, "kinh-te") == expected);
        for (path, coding, status, _, body) in documents(world) {
            let text = String::from_utf8_lossy(&body);
            assert_eq!(status, 200, "{what}: {path}");
            for title in ["Chợ quê", "Chợ nổi"] {
                let wanted = expected.contains(&title) && !path.contains("xay-dung");
                let shown = text.contains(title);
                assert!(coding == "gzip" || shown == wanted, "{what}: {title} in {path}");
            }
        }
    };
    let market = |title: &str| article("eeeee", title, "Kinh tế");
    standing(&world, "the start", &["Cảng mới", "Giá lúa"]);
    world.import(&[market("Chợ quê")]);
    standing(&world, "a new article", &["Chợ quê", "Cảng mới", "Giá lúa"]);
    world.import(&[with(market("Chợ nổi"), json!({ "significant": false }))]);
    standing(&world, "a silent correction", &["Chợ nổi", "Cảng mới", "Giá lúa"]);
    let id = id_of(&world, "kinh-te", "Chợ nổi");
    world.done(&["article", "withdraw", &id]);
    standing(&world, "a withdrawal", &["Cảng mới", "Giá lúa"]);
    world.done(&["article", "publish", &id]);
    standing(&world, "a return", &["Chợ nổi", "Cảng mới", "Giá lúa"]);
    world.done(&["category", "rename", "kinh-te", "--title", "Làm ăn"]);
    world.wait_at_most(AT_ONCE, "another title", |world| feed(world, "all", "rss").text().contains("Làm ăn"));
    let followed = documents(&world);
    assert!(followed.iter().all(|(.., body)| !String::from_utf8_lossy(body).contains(">Kinh tế<")));
    assert_eq!(world.stop(), Some(0));
    world.serve();
    for (followed, fresh) in followed.into_iter().zip(documents(&world)) {
        let path = fresh.0.clone();
        assert!(followed == fresh, "{path} in {}", fresh.1);
    }
}

#[test]
fn an_article_that_moves_leaves_one_section_and_enters_the_other_under_its_id() {
    let mut world = newsroom();
    world.serve();
    let id = id_of(&world, "xay-dung-dang", "Chi bộ ấp");
    world.import(&[article("bb", "Chi bộ ấp", "Kinh tế")]);
    world.wait_at_most(AT_ONCE, "it has moved", |world| {
        titles(world, "kinh-te").contains(&"Chi bộ ấp".to_owned())
            && titles(world, "xay-dung-dang") == ["Đại hội Đảng bộ"]
    });
    assert_eq!(id_of(&world, "kinh-te", "Chi bộ ấp"), id);
    assert_eq!(titles(&world, "all").len(), 4);
    // A section that nobody knew has its feed as soon as it has an article.
    world.import(&[article("ffffff", "Đờn ca", "Văn hóa")]);
    world.wait_at_most(AT_ONCE, "a new section", |world| titles(world, "van-hoa") == ["Đờn ca"]);
}

#[test]
fn an_embargo_ends_by_itself() {
    let mut world = newsroom();
    world.serve();
    let now = seconds(world.get("/healthz").header("date").unwrap());
    let ends = chrono::DateTime::from_timestamp(now + 4, 0).unwrap();
    let fields = json!({ "published": ends.to_rfc3339() });
    world.import(&[with(article("e", "Bổ nhiệm", "Xây dựng Đảng"), fields)]);
    let before = state(&world, "xay-dung-dang");
    world.wait_for("the embargo ends", |world| {
        let answer = feed(world, "xay-dung-dang", "json");
        let shown = answer.text().contains("Bổ nhiệm");
        let at = seconds(answer.header("date").unwrap());
        assert!(!shown || at >= now + 4, "shown at {at}, {} s early", now + 4 - at);
        shown
    });
    let after = state(&world, "xay-dung-dang");
    assert!(seconds(&after[0].2) >= seconds(&before[0].2));
    assert!(before.iter().zip(&after).all(|(before, after)| before.1 != after.1), "other bytes, other tags");
    assert_eq!(instant(&text(&items(&world, "xay-dung-dang")[0], "date_published")), now + 4);
}

#[test]
fn a_significant_revision_moves_updated_and_a_silent_one_only_the_text() {
    let mut world = newsroom();
    world.serve();
    let find =
        |world: &World, title: &str| items(world, "kinh-te").into_iter().find(|item| item["title"] == title);
    let first = find(&world, "Giá lúa").unwrap();
    let tag = feed(&world, "kinh-te", "json").header("etag").unwrap().to_owned();
    let silent =
        json!({ "content_html": "<p>Giá lúa. Toàn văn, đã sửa lỗi chính tả.</p>", "significant": false });
    world.import(&[with(article("ccc", "Giá lúa", "Kinh tế"), silent)]);
    world.wait_at_most(AT_ONCE, "the silent revision shows", |world| {
        find(world, "Giá lúa").is_some_and(|item| text(&item, "content_html").contains("chính tả"))
    });
    let second = find(&world, "Giá lúa").unwrap();
    assert_ne!(feed(&world, "kinh-te", "json").header("etag").unwrap().to_owned(), tag);
    for name in ["id", "date_published", "date_modified"] {
        assert_eq!(second[name], first[name], "{name}");
    }
    world.import(&[article("ccc", "Giá lúa tăng", "Kinh tế")]);
    world.wait_at_most(AT_ONCE, "the new headline shows", |world| find(world, "Giá lúa tăng").is_some());
    let third = find(&world, "Giá lúa tăng").unwrap();
    assert_eq!((&third["id"], &third["date_published"]), (&first["id"], &first["date_published"]));
    assert!(instant(&text(&third, "date_modified")) > instant(&text(&first, "date_modified")));
    assert_eq!(items(&world, "kinh-te").len(), 2, "a headline changed, no article came");
}

#[test]
fn the_machines_own_zone_moves_no_instant() {
    let mut dates = Vec::new();
    for zone in ["UTC", "Asia/Ho_Chi_Minh", "America/New_York"] {
        let mut world = World::new();
        world.set("TZ", zone);
        // A local time without a zone is the publication's, not the machine's.
        let local = json!({ "published": "2026-11-02 07:30:00" });
        world.import(&[article("a", "Giá lúa", "Kinh tế"), with(article("b", "Cảng mới", "Kinh tế"), local)]);
        world.serve();
        let before = state(&world, "kinh-te");
        dates.push(said(&world, "kinh-te", "rss").into_iter().map(|said| said.published).collect::<Vec<_>>());
        world.kill();
        world.set("TZ", "Pacific/Auckland");
        world.serve();
        assert_eq!(state(&world, "kinh-te"), before, "{zone}");
    }
    assert_eq!(dates[0], [instant("2026-11-02T00:30:00Z"), instant("2026-11-02T00:01:00Z")]);
    assert!(dates.iter().all(|others| *others == dates[0]), "{dates:?}");
}

#[test]
fn a_feed_looks_as_its_file_says_and_a_changed_file_is_an_event() {
    let mut world = newsroom();
    let file = |window: u32| {
        format!(
            "[feed]\nslug = \"lam-an\"\ncategory = \"kinh-te\"\ntitle = \"Làm ăn\"\ndescription = \"Tin thị trường.\"\n\
             window = {window}\ncontent = \"summary\"\nformats = [\"rss\", \"json\"]\n"
        )
    };
    world.write("feeds/kinh-te.toml", file(1));
    world.serve();
    assert_eq!(titles(&world, "lam-an"), ["Cảng mới"]);
    assert_eq!(world.get("/feeds/kinh-te.rss").status, 301, "its name is another now");
    assert_eq!(world.get("/feeds/lam-an.atom").status, 404, "a format that it has not");
    let rss = dated(&world, "/feeds/lam-an.rss");
    let parsed = feed_rs::parser::parse(&*rss.body).unwrap();
    assert_eq!(parsed.title.unwrap().content, "Làm ăn");
    assert_eq!(parsed.description.unwrap().content, "Tin thị trường.");
    assert!(!rss.text().contains("Toàn văn") && rss.text().contains("Lời dẫn của Cảng mới"));
    let other = state(&world, "xay-dung-dang");
    world.stop();
    next_second();
    world.write("feeds/kinh-te.toml", file(2));
    world.serve();
    assert_eq!(titles(&world, "lam-an"), ["Cảng mới", "Giá lúa"]);
    let (old, new) = (validators(&rss), validators(&dated(&world, "/feeds/lam-an.rss")));
    assert!(old.0 != new.0 && seconds(&old.1) < seconds(&new.1), "{old:?} {new:?}");
    assert_eq!(state(&world, "xay-dung-dang"), other);
}

#[test]
fn what_clients_add_on_their_own_is_put_up_with() {
    let mut world = newsroom();
    world.serve();
    let plain = feed(&world, "all", "rss");
    let long = "x".repeat(6_000);
    for query in ["utm_source=feedly&x", "format=rss", "%", "lang=en", "raw", &long] {
        let answer = world.get(&format!("/feeds/all.rss?{query}"));
        assert_eq!((answer.status, &answer.body), (200, &plain.body), "{query}");
        assert_eq!(validators(&answer), validators(&plain), "{query}");
    }
    for (name, value) in [
        ("Cookie", "a=b; c=d"),
        ("Referer", "https://reader.example/"),
        ("Range", "bytes=0-10"),
        ("A-IM", "feed"),
        ("Accept-Language", "en"),
        ("Accept-Encoding", "compress, xyz;q=2, gzip;q=, ;;,"),
        ("Accept-Charset", "us-ascii"),
        ("If-Match", "\"x\""),
        ("User-Agent", ""),
        ("Expect", "100-continue"),
    ] {
        let answer = world.request("GET", "/feeds/all.rss", &[(name, value)], b"");
        assert_eq!(answer.status, 200, "{name}: {value}");
        assert_eq!(answer.header("content-encoding"), None, "{name}");
        assert_eq!(answer.body, plain.body, "{name}: {value}");
    }
}

#[test]
fn the_three_formats_say_the_same() {
    let mut world = newsroom();
    let more: Vec<_> = (0..70)
        .map(|n| {
            // Seven share each instant, so that the order of equals is looked at too.
            let published = format!("2026-11-01T{:02}:00:00+07:00", n / 7);
            with(
                article(&format!("x{n}"), &format!("Tin số {n}: 5 < 6 & 7"), "Thời sự"),
                json!({ "published": published }),
            )
        })
        .collect();
    world.import(&more);
    world.serve();
    for slug in ["all", "thoi-su", "kinh-te"] {
        let [rss, atom, json] = FORMATS.map(|format| said(&world, slug, format));
        assert_eq!(rss, atom, "{slug}");
        assert_eq!(rss, json, "{slug}");
        assert!(json.windows(2).all(|pair| pair[0].published >= pair[1].published), "{slug}: newest first");
        let updated = |entry: &feed_rs::model::Entry| entry.updated.unwrap().timestamp();
        let parsed = feed_rs::parser::parse(&*feed(&world, slug, "atom").body).unwrap();
        let modified: Vec<_> =
            items(&world, slug).iter().map(|i| instant(&text(i, "date_modified"))).collect();
        assert_eq!(parsed.entries.iter().map(updated).collect::<Vec<_>>(), modified, "{slug}");
    }
    assert_eq!(items(&world, "thoi-su").len(), 50, "the window");
}
