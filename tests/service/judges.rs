//! Outside judges on feeds as they are served: libxml2, the schema of RFC 4287, and feed readers
//! (CONTRACT.md, promise 1; reference/feeds.md §7).

use crate::served::{AT_ONCE, FORMATS, article, feed, id_of, items, text, titles, with};
use crate::world::{World, judged, python};
use bantin::domain::{
    Article, ArticleId, ArticleState, FeedDefinition, FeedKey, FeedPlace, Format, Instant, LanguageTag,
    Publication, SafeHtml, Selection, WebUrl,
};
use bantin::feed::{Part, Snapshot, Tombstone, render, sitemap};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The grammar of RFC 4287, Appendix B.
pub const ATOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/rfc4287.rnc");

/// What breaks feeds, one habit an article, all in one section.
fn hostile() -> Vec<Value> {
    let odd = [
        (
            "control",
            "Bản\u{b} tin\u{1} \u{1f}có\u{0} ký tự\u{fffe} lạ\u{fdd0}",
            json!({
                "content_html": "<p>Một\u{0}\u{8}\u{c}\u{1b} đoạn\u{ffff}\u{85}</p>", "tags": ["thẻ\u{3}", "\u{7}"],
            }),
        ),
        (
            "cdata",
            "Kết thúc ]]> giữa chừng <![CDATA[ rồi lại mở",
            json!({
                "content_html": "<p>]]&gt; ]]> <![CDATA[ x ]]></p>", "summary": "Lời dẫn ]]> dở",
            }),
        ),
        (
            "nfd",
            "Xa\u{302}y du\u{31b}\u{323}ng Đa\u{309}ng",
            json!({ "authors": ["Nguye\u{302}\u{303}n Văn A"] }),
        ),
        ("emoji", "Mưa 🌧️ to 👨‍👩‍👧 ở 𝕊óc Trăng", json!({ "summary": "🇻🇳" })),
        (
            "script",
            "Giá <script>alert(1)</script> & 'lúa' \"tươi\"",
            json!({
                "content_html": "<p onclick='x()'>A<script>alert(1)</script><style>p{}</style><iframe src='//x'></iframe><object data=x></object></p>",
                "summary": "<b>đậm</b> <script>alert(2)</script>", "authors": ["<b>Hà</b> <ha@bao.example>"],
            }),
        ),
        (
            "relative",
            "Địa chỉ tương đối",
            json!({
                "url": "https://bao.example/đường/dẫn có dấu.html?a=[1]&b=|2|#x#y",
                "content_html": "<p><a href='../khác.html'>a</a> <a href='//cdn.example/x'>b</a> <a href='javascript:x()'>c</a> <img src='/ảnh 1.jpg' srcset='/a.jpg 1x, b.jpg 2x'></p>",
                "image": { "url": "https://bao.example/ảnh|1.jpg", "width": 100, "height": 50, "caption": "Chú <i>thích</i>" },
                "enclosures": [{ "url": "https://bao.example/tiếng.mp3", "type": "nonsense", "length": 5 }, { "url": "https://bao.example/b.pdf" }],
                "source": { "title": "Báo & Nguồn", "url": "https://nguồn.example/đ" },
            }),
        ),
        (
            "long",
            "",
            json!({ "title": "Rất dài ".repeat(40).trim(), "tags": ["một", "hai"], "categories": ["Thời sự", "Kinh tế", "Kinh tế"] }),
        ),
        (
            "english",
            "The province builds a new port",
            json!({ "language": "en", "summary": "In English & short." }),
        ),
        (
            "entities",
            "AT&amp;T &nbsp; &#7877; &bogus; 100%",
            json!({ "content_html": "<p>a&nbsp;b &copy; &bogus; &#0; &#x1F;</p>" }),
        ),
        ("empty", "Chỉ có lời dẫn", json!({ "content_html": "", "summary": "Hết." })),
        (
            "unclosed",
            "Thẻ không đóng",
            json!({ "content_html": "<div><p>a<b>b<i>c</div></b><table><td>d<svg><math><p>" }),
        ),
    ];
    odd.into_iter().map(|(key, title, fields)| with(article(key, title, "Thời sự"), fields)).collect()
}

fn newsroom() -> World {
    let mut world = World::new();
    world.import(&hostile());
    world.serve();
    world
}

#[test]
fn libxml_and_the_schema_of_atom_find_nothing() {
    let world = newsroom();
    for slug in ["all", "thoi-su", "kinh-te"] {
        for format in ["rss", "atom"] {
            let file = world.write(&format!("{slug}.{format}"), feed(&world, slug, format).body);
            judged("xmllint", &["--noout"], &file).unwrap_or_else(|words| panic!("{slug}.{format}: {words}"));
            if format == "atom" {
                judged("jing", &["-c", ATOM], &file).unwrap_or_else(|words| panic!("{slug}.atom: {words}"));
            }
        }
    }
    let opml = world.write("all.opml", world.get("/opml").body);
    judged("xmllint", &["--noout"], &opml).unwrap();
    // A judge that lets everything pass is none.
    let broken =
        world.write("broken.atom", b"<feed xmlns='http://www.w3.org/2005/Atom'><title>\x0b</title></feed>");
    assert!(judged("xmllint", &["--noout"], &broken).is_err());
    let bare = world.write("bare.atom", "<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title></feed>");
    assert!(judged("jing", &["-c", ATOM], &bare).is_err(), "a feed without id and updated");
}

#[test]
fn nothing_dangerous_or_relative_leaves_in_any_format() {
    let world = newsroom();
    for format in FORMATS {
        let body = feed(&world, "thoi-su", format).text();
        assert!(!body.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{format}");
        let item = &items(&world, "thoi-su").into_iter().find(|i| i["title"] == "Địa chỉ tương đối").unwrap();
        let html = text(item, "content_html");
        for address in [
            "https://bao.example/kh%C3%A1c.html",
            "https://cdn.example/x",
            "https://bao.example/%E1%BA%A3nh%201.jpg",
        ] {
            assert!(html.contains(&format!("\"{address}\"")), "{address} in {html}");
        }
        for wrong in
            ["javascript:", "onclick", "<script", "<iframe", "<object", "<style", "\"/", "\"../", "\"//"]
        {
            assert!(!html.contains(wrong), "{wrong} in {html}");
        }
    }
    for item in items(&world, "thoi-su") {
        let html = text(&item, "content_html");
        for wrong in ["<script", "<iframe", "<object", "<style", "onclick"] {
            assert!(!html.contains(wrong), "{wrong} in {html}");
        }
        assert!(text(&item, "url").starts_with("http"), "{item}");
    }
    let english = items(&world, "thoi-su")
        .into_iter()
        .find(|i| i["title"].as_str().unwrap().starts_with("The "))
        .unwrap();
    assert_eq!(english["language"], "en");
}

/// The hostile newsroom without a server: rows as a hand in the database leaves them.
fn hostile_snapshot(place: FeedPlace, part: Part) -> Snapshot {
    let at = |second: i64| Instant::from_timestamp(1_793_577_600 - second, 123_456_000).unwrap();
    let id = |number: u128| {
        ArticleId::new(uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number))
    };
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let articles = hostile().into_iter().enumerate().map(|(number, fields)| Article {
        id: id(number as u128),
        state: ArticleState::Visible,
        revision: 1,
        title: text(&fields, "title"),
        summary: fields["summary"].as_str().map(str::to_owned),
        body: SafeHtml::stored(
            SafeHtml::clean(&text(&fields, "content_html"), None).as_str().to_owned() + "]]>\u{b}",
        ),
        url: fields["url"].as_str().and_then(|url| WebUrl::parse(url).ok()),
        categories: Vec::new(),
        tags: texts(&fields["tags"]),
        authors: texts(&fields["authors"]),
        published: at(number as i64),
        updated: at(number as i64),
        image: None,
        enclosures: Vec::new(),
        source: None,
        language: fields["language"].as_str().and_then(LanguageTag::parse),
    });
    let publication = Publication {
        id: uuid::Uuid::from_u128(1),
        title: "Báo ]]> \u{1}Sông & <b>Hậu</b>".into(),
        base_url: WebUrl::parse("https://bao.example/tin").unwrap(),
        language: LanguageTag::default(),
        time_zone: "Asia/Ho_Chi_Minh".parse().unwrap(),
        contact: None,
        logo: None,
        license: WebUrl::parse("https://bao.example/giấy phép?a&b").ok(),
        rights: Some("© Báo ]]> \u{b}& bạn".into()),
    };
    let selection = Selection::One(FeedKey::All);
    let feed = FeedDefinition::undeclared(&publication, selection, place, "Tất cả & <hết>".into());
    let tombstone = |number, second| Tombstone { article: id(number), withdrawn_at: at(second) };
    Snapshot {
        publication,
        feed,
        category: None,
        changed_at: at(0),
        articles: articles.collect(),
        tombstones: vec![tombstone(99, 0), tombstone(99, 0), tombstone(98, 5), tombstone(0, 9)],
        part,
        hubs: WebUrl::parse("https://bao.example/websub?a&b").into_iter().collect(),
    }
}

/// Every kind of document that a feed has.
fn parts() -> Vec<(&'static str, Snapshot)> {
    let named = || FeedPlace::Named("kinh-te+tag:dai-hoi".parse().unwrap());
    let search = FeedPlace::Search("lúa & <gạo> \"x\"".into());
    let private = FeedPlace::Private { token: "a1b2".into(), public: "kinh-te,xa-hoi".parse().ok() };
    [
        ("subscription", named(), Part::Subscription { archives: 3 }),
        ("archive", named(), Part::Archive { number: 2, archives: 3 }),
        ("page", search, Part::Page { number: 2, more: true }),
        ("private", private, Part::Subscription { archives: 1 }),
    ]
    .into_iter()
    .map(|(name, place, part)| (name, hostile_snapshot(place, part)))
    .collect()
}

#[test]
fn libxml_and_the_schema_of_atom_find_nothing_in_archives_pages_and_tombstones() {
    let world = World::new();
    for (name, snapshot) in parts() {
        for format in [Format::Rss, Format::Atom] {
            let document = render(&snapshot, format).unwrap();
            let file = world.write(&format!("{name}.{}", format.extension()), document);
            judged("xmllint", &["--noout"], &file)
                .unwrap_or_else(|words| panic!("{name} {format:?}: {words}"));
            if format == Format::Atom {
                judged("jing", &["-c", ATOM], &file).unwrap_or_else(|words| panic!("{name}: {words}"));
            }
        }
    }
    let (_, archive) = parts().remove(1);
    let document = String::from_utf8(render(&archive, Format::Atom).unwrap()).unwrap();
    let tombstone = document.lines().find(|line| line.contains("<at:deleted-entry")).unwrap();
    let behind = document.replace(tombstone, "").replace("</feed>", &format!("{tombstone}</feed>"));
    let file = world.write("behind.atom", behind);
    assert!(judged("jing", &["-c", ATOM], &file).is_err(), "a tombstone behind the entries");

    let news = world.write("news.xml", sitemap::news(&archive.publication, &archive.articles));
    judged("xmllint", &["--noout"], &news).unwrap();
}

/// Bozo, then the relations of the feed's links, the licence, and id with title of every entry.
const FEEDPARSER_OF_FILES: &str = r"
import feedparser, json, sys
for path in sys.argv[1:]:
    feed = feedparser.parse(path, sanitize_html=False)
    assert feed.bozo == 0, (path, feed.bozo_exception)
    links = {l.rel: l.href for l in feed.feed.links}
    print(json.dumps([links, feed.feed.license, feed.feed.rights] + [[e.id, e.title] for e in feed.entries]))
";

#[test]
fn feedparser_follows_archives_and_reads_their_entries() {
    let world = World::new();
    for (name, snapshot) in parts() {
        let json: Value = serde_json::from_slice(&render(&snapshot, Format::Json).unwrap()).unwrap();
        let items = json["items"].as_array().unwrap();
        let expected: Vec<Value> = items.iter().map(|item| json!([item["id"], item["title"]])).collect();
        assert_eq!(expected.len(), hostile().len());
        for format in [Format::Rss, Format::Atom] {
            let document = render(&snapshot, format).unwrap();
            let file = world.write(&format!("{name}.{}", format.extension()), document);
            let read = python(FEEDPARSER_OF_FILES, &[file.to_str().unwrap()]);
            let read: Vec<Value> = serde_json::from_str(&read).unwrap();
            assert_eq!(read[1], json["_bantin"]["license"], "{name} {format:?}");
            assert_eq!(read[2], json["_bantin"]["rights"], "{name} {format:?}");
            assert_eq!(read[3..], expected, "{name} {format:?}");
            let older =
                ["prev-archive", "next"].map(|rel| read[0][rel].as_str()).into_iter().flatten().next();
            let next =
                json["next_url"].as_str().unwrap().replace(".json", &format!(".{}", format.extension()));
            assert_eq!(older, Some(next.as_str()), "{name} {format:?}");
        }
    }
}

/// Bozo, the version, and id with title of every entry.
const FEEDPARSER: &str = r"
import feedparser, json, sys
for url in sys.argv[1:]:
    feed = feedparser.parse(url, sanitize_html=False)
    assert feed.status == 200, (url, feed.status)
    assert feed.bozo == 0, (url, feed.bozo_exception)
    assert feed.encoding == 'utf-8', (url, feed.encoding)
    print(json.dumps([feed.version] + [[e.id, e.title] for e in feed.entries]))
";

#[test]
fn feedparser_reads_the_same_ids_and_titles_as_json_says() {
    let world = newsroom();
    let urls = ["rss", "atom"].map(|format| world.url(&format!("/feeds/thoi-su.{format}")));
    let read = python(FEEDPARSER, &[&urls[0], &urls[1]]);
    let read: Vec<Vec<Value>> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<Value> =
        items(&world, "thoi-su").iter().map(|i| json!([i["id"], i["title"]])).collect();
    assert_eq!(expected.len(), hostile().len());
    assert_eq!((&read[0][0], &read[1][0]), (&json!("rss20"), &json!("atom10")));
    assert_eq!(read[0][1..], expected, "RSS");
    assert_eq!(read[1][1..], expected, "Atom");
}

/// Keeps a library of its own between calls and tells (new, modified) of an update, then titles.
const READER: &str = r"
import json, sys
from reader import make_reader
reader = make_reader(sys.argv[1])
out = {}
for url in sys.argv[2:]:
    reader.add_feed(url, exist_ok=True)
    change = reader.update_feed(url)
    entries = list(reader.get_entries(feed=url))
    out[url] = {'new': change.new if change else 0, 'modified': change.modified if change else 0,
                'titles': sorted(e.title for e in entries), 'ids': sorted(e.id for e in entries)}
print(json.dumps(out))
";

#[test]
fn reader_lists_each_article_once_and_nothing_new_at_a_second_look() {
    let world = newsroom();
    let library = world.path("reader.sqlite");
    let urls = FORMATS.map(|format| world.url(&format!("/feeds/thoi-su.{format}")));
    let look = || -> BTreeMap<String, Value> {
        let arguments = [library.to_str().unwrap(), &urls[0], &urls[1], &urls[2]];
        serde_json::from_str(&python(READER, &arguments)).unwrap()
    };
    let sorted = |name: &str| {
        let mut texts: Vec<String> = items(&world, "thoi-su").iter().map(|item| text(item, name)).collect();
        texts.sort();
        texts
    };
    let count = hostile().len();
    for (url, seen) in look() {
        assert_eq!((&seen["new"], &seen["modified"]), (&json!(count), &json!(0)), "{url}");
        assert_eq!(seen["titles"], json!(sorted("title")), "{url}");
        assert_eq!(seen["ids"], json!(sorted("id")), "{url}");
    }
    for (url, seen) in look() {
        assert_eq!((&seen["new"], &seen["modified"]), (&json!(0), &json!(0)), "{url}: a second look");
    }
    // An edit is one modified article and no new one.
    world.import(&[with(
        article("english", "The province opens a new port", "Thời sự"),
        json!({ "language": "en" }),
    )]);
    world.wait_at_most(AT_ONCE, "the edit shows", |world| {
        titles(world, "thoi-su").contains(&"The province opens a new port".to_owned())
    });
    for (url, seen) in look() {
        assert_eq!((&seen["new"], &seen["modified"]), (&json!(0), &json!(1)), "{url}: an edit");
        assert_eq!(seen["titles"].as_array().unwrap().len(), count, "{url}");
    }
}

/// The id and title of every article that newsboat keeps.
const NEWSBOAT: &str = r"
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute('select feedurl, guid, title from rss_item')
print(json.dumps(rows.fetchall()))
";

#[test]
fn newsboat_lists_the_sample_article_once() {
    let mut world = World::new();
    world.done(&["import", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/baosoctrang-article.txt")]);
    world.serve();
    let id = id_of(&world, "xay-dung-dang", &titles(&world, "xay-dung-dang")[0]);
    for format in ["rss", "atom"] {
        let url = world.url(&format!("/feeds/xay-dung-dang.{format}"));
        let urls = world.write(&format!("{format}/urls"), format!("{url}\n"));
        let config = world.write(&format!("{format}/config"), "");
        let cache = world.path(&format!("{format}/cache.db"));
        // It sends validators from its third run on, and asks for deltas (RFC 3229).
        for _ in 0..4 {
            reload(&world.path(""), &urls, &cache, &config);
        }
        let kept: Vec<[String; 3]> =
            serde_json::from_str(&python(NEWSBOAT, &[cache.to_str().unwrap()])).unwrap();
        let title = "Sóc Trăng triển khai nhiều cách làm hay, sáng tạo trong công tác xây dựng Đảng";
        assert_eq!(kept, [[url, format!("urn:uuid:{id}"), title.to_owned()]]);
    }
}

/// One poll by newsboat of all feeds in `urls`.
pub fn reload(home: &Path, urls: &Path, cache: &Path, config: &Path) {
    let output = Command::new("newsboat")
        .env("HOME", home)
        .arg("-u")
        .arg(urls)
        .arg("-c")
        .arg(cache)
        .arg("-C")
        .arg(config)
        .args(["-x", "reload"])
        .output()
        .unwrap_or_else(|error| panic!("newsboat is needed for the tests ({error}); tests/run installs it"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
