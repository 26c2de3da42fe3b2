//! Pages for people, and what machines watch: links, languages, headers, health, an orderly stop,
//! and how it looks in a browser.

use crate::served::{AT_ONCE, FORMATS, article, id_of, titles, with};
use crate::world::{Answer, World, python};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use url::Url;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

/// A newsroom with the captured page, some articles of its own, and one in English.
fn newsroom() -> World {
    let mut world = World::new();
    world.done(&["import", &format!("{CORPUS}/baosoctrang-article.txt")]);
    let english = json!({ "language": "en", "url": "https://bao.example/port", "tags": ["port"] });
    world.import(&[
        article(
            "a",
            "Đại hội Đảng bộ huyện Trần Đề thành công tốt đẹp, bầu 39 đồng chí vào Ban Chấp hành",
            "Xây dựng Đảng",
        ),
        article("bb", "Giá lúa tăng <b>mạnh</b> & nông dân phấn khởi", "Kinh tế"),
        with(article("ccc", "The province builds a new port", "Kinh tế"), english),
        article("dddd", "Lễ hội Óc Om Bóc", "Văn hóa"),
    ]);
    world.serve();
    world
}

fn all(answer: &Answer, selector: &str, attribute: &str) -> Vec<String> {
    let page = Html::parse_document(&answer.text());
    let selector = Selector::parse(selector).unwrap();
    page.select(&selector).filter_map(|element| element.attr(attribute)).map(str::to_owned).collect()
}

/// The path of one of our addresses.
fn path_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

#[test]
fn every_link_of_every_page_leads_somewhere() {
    let world = newsroom();
    let home = Url::parse(&world.url("/")).unwrap();
    let mut seen = BTreeMap::from([("/".to_owned(), home.clone())]);
    let mut waiting = VecDeque::from([home.clone()]);
    let mut pages = 0;
    while let Some(url) = waiting.pop_front() {
        let mut answer = world.get(&path_of(&url));
        // A search for nothing leads back to its box.
        if answer.status == 303 && url.path() == "/feeds/search" {
            answer = world.get("/");
        }
        assert_eq!(answer.status, 200, "{url}, which another page links to");
        if !answer.header("content-type").is_some_and(|t| t.starts_with("text/html")) {
            continue;
        }
        pages += 1;
        let links = ["a[href]", "link[href]", "form[action]", "img[src]", "iframe[src]"]
            .into_iter()
            .zip(["href", "href", "action", "src", "src"])
            .flat_map(|(selector, attribute)| all(&answer, selector, attribute));
        let ids: BTreeSet<String> = all(&answer, "[id]", "id").into_iter().collect();
        for link in links {
            let target = url.join(&link).unwrap_or_else(|error| panic!("{link} on {url}: {error}"));
            if let Some(id) = target.fragment().filter(|_| path_of(&target) == path_of(&url)) {
                assert!(ids.contains(id), "#{id} on {url}");
            }
            let ours = target.origin() == home.origin();
            if ours && seen.insert(path_of(&target), target.clone()).is_none() {
                assert!(seen.len() < 500, "a page that links to ever more pages: {target}");
                waiting.push_back(target);
            }
        }
    }
    assert!(pages > 12, "home, four feeds, articles and forms, in two languages: {pages}");
    for path in ["/subscribe", "/opml", "/feeds/xay-dung-dang", "/feeds/all.json", "/style.css", "/?lang=en"]
    {
        assert!(seen.contains_key(path), "{path} is linked from nowhere: {:?}", seen.keys());
    }
}

#[test]
fn feeds_are_found_from_the_pages_that_show_them() {
    let world = newsroom();
    let types = BTreeMap::from([
        ("application/rss+xml", "rss"),
        ("application/atom+xml", "atom"),
        ("application/feed+json", "json"),
    ]);
    for (page, slugs) in [
        ("/", &["all", "xay-dung-dang", "kinh-te", "van-hoa"][..]),
        ("/feeds/kinh-te", &["kinh-te", "all"]),
        ("/feeds/all", &["all"]),
        ("/subscribe", &["all"]),
        (&format!("/articles/{}", id_of(&world, "van-hoa", "Lễ hội Óc Om Bóc")), &["all"]),
        ("/nowhere", &["all"]),
        ("/mailbox", &["all"]),
    ] {
        let answer = world.get(page);
        let list = "head link[rel=alternate][type='text/x-opml']";
        assert_eq!(all(&answer, list, "href"), ["/opml"], "{page}");
        let selector = "head link[rel=alternate]:not([type='text/x-opml'])";
        let [hrefs, kinds, names] = ["href", "type", "title"].map(|name| all(&answer, selector, name));
        let expected: BTreeSet<String> = slugs
            .iter()
            .flat_map(|slug| FORMATS.map(|format| world.url(&format!("/feeds/{slug}.{format}"))))
            .collect();
        assert_eq!(hrefs.iter().cloned().collect::<BTreeSet<_>>(), expected, "{page}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), expected.len(), "told apart: {names:?}");
        for (href, kind) in hrefs.iter().zip(&kinds) {
            assert!(href.ends_with(types[kind.as_str()]), "{href} as {kind}");
            let answer = world.get(&href.replace(&world.url(""), ""));
            assert!(answer.header("content-type").unwrap().starts_with(kind.as_str()), "{href}");
        }
    }
}

#[test]
fn a_page_speaks_the_language_of_its_visitor() {
    let world = newsroom();
    let id = id_of(&world, "van-hoa", "Lễ hội Óc Om Bóc");
    for path in ["/", "/feeds/kinh-te", "/subscribe", "/nowhere", "/mailbox", &format!("/articles/{id}")] {
        let language = |query: &str, accept: Option<&str>| {
            let headers: Vec<_> = accept.map(|accept| ("Accept-Language", accept)).into_iter().collect();
            let answer = world.request("GET", &format!("{path}{query}"), &headers, b"");
            let vary = answer.header("vary").unwrap_or_default().to_owned();
            let shared = answer.header("cache-control").is_none_or(|c| !c.contains("no-store"));
            assert!(!shared || vary.contains("Accept-Language"), "{path}: {vary}");
            all(&answer, "html", "lang").remove(0)
        };
        for (query, accept, expected) in [
            ("", None, "vi"),
            ("", Some("en-US,en;q=0.9"), "en"),
            ("", Some("fr, vi;q=0.5, en;q=0.4"), "vi"),
            ("", Some("fr"), "vi"),
            ("?lang=en", None, "en"),
            ("?lang=vi", Some("en"), "vi"),
            ("?lang=xx", Some("en"), "en"),
        ] {
            assert_eq!(language(query, accept), expected, "{path}{query} for {accept:?}");
        }
    }
}

#[test]
fn every_answer_is_guarded_and_head_says_what_get_says() {
    let world = newsroom();
    let article = format!("/articles/{}", id_of(&world, "van-hoa", "Lễ hội Óc Om Bóc"));
    for (path, status) in [
        ("/", 200),
        ("/feeds/kinh-te", 200),
        (article.as_str(), 200),
        ("/subscribe", 200),
        ("/opml", 200),
        ("/style.css", 200),
        ("/mailbox", 200),
        ("/feeds/all.rss", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/nowhere", 404),
        ("/feeds/nowhere", 404),
        ("/feeds/nowhere.rss", 404),
        ("/articles/01a20ae9-3ae6-7f2a-bc4e-3811c8f0a24c", 404),
        ("/articles/no-id", 404),
        ("/confirm/no-token", 404),
        ("/unsubscribe/no-token", 404),
        ("/preferences/no-token", 404),
        ("/editions/no-id/no-token", 404),
        ("/mailbox/..%2fbantin.db", 404),
    ] {
        let get = world.get(path);
        assert_eq!(get.status, status, "{path}");
        let policy = get.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(get.header("x-content-type-options"), Some("nosniff"), "{path}");
        let kind = get.header("content-type").unwrap();
        assert!(kind.contains("charset=utf-8"), "{path}");
        let is_page = kind.starts_with("text/html");
        assert_eq!(
            get.header("referrer-policy").is_some(),
            is_page,
            "{path}: a page's links say nothing of it"
        );
        assert_eq!(policy == "default-src 'none'", !is_page, "{path}: data does nothing in a browser");
        let head = world.request("HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (status, 0), "{path}");
        for name in ["content-type", "content-length", "cache-control", "etag", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        if let Some(tag) = get.header("etag") {
            let again = world.request("GET", path, &[("If-None-Match", tag)], b"");
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        }
    }
}

#[test]
fn an_article_is_on_its_page_while_it_is_out() {
    let world = newsroom();
    let id = id_of(&world, "kinh-te", "Giá lúa tăng <b>mạnh</b> & nông dân phấn khởi");
    let path = format!("/articles/{id}");
    let shown = world.get(&path);
    let headline = Html::parse_document(&shown.text());
    let headline: String = headline.select(&Selector::parse("h1").unwrap()).next().unwrap().text().collect();
    assert_eq!(headline.trim(), "Giá lúa tăng <b>mạnh</b> & nông dân phấn khởi");
    let leads_to_it =
        |world: &World| all(&world.get("/"), "main a", "href").iter().any(|href| href.ends_with(&path));
    assert!(leads_to_it(&world), "the home page leads to it");
    let captured = id_of(&world, "xay-dung-dang", &titles(&world, "xay-dung-dang")[1]);
    let captured = world.get(&format!("/articles/{captured}")).text();
    let story = captured.split_once("<main").unwrap().1;
    assert_eq!(story.matches("Nhiệm kỳ 2020 - 2025, thực hiện công tác").count(), 1, "the lead stands once");
    world.done(&["article", "withdraw", &id]);
    world.wait_at_most(AT_ONCE, "it is gone", |world| world.get(&path).status == 404);
    world.wait_at_most(AT_ONCE, "nothing leads to it", |world| !leads_to_it(world));
    assert!(!world.get("/feeds/kinh-te").text().contains("Giá lúa"));
    world.import(&[with(article("e", "Tin mật", "Kinh tế"), json!({ "published": "2083-01-01T00:00:00Z" }))]);
    let listed = world.done(&["article", "list", "--state", "embargoed", "--json"]);
    let embargoed: Value = serde_json::from_str(&listed).unwrap();
    std::thread::sleep(AT_ONCE);
    assert_eq!(world.get(&format!("/articles/{}", embargoed["id"].as_str().unwrap())).status, 404);
    assert!(!world.get("/").text().contains("Tin mật"));
}

/// Every sample of the metrics by its name and labels.
fn metrics(world: &World) -> BTreeMap<String, f64> {
    let answer = world.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0")
    );
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so");
    let mut told = BTreeSet::new();
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(words) = line.strip_prefix("# ") {
            let mut words = words.splitn(3, ' ');
            assert!(matches!(words.next(), Some("HELP" | "TYPE" | "UNIT")), "{line}");
            told.insert(words.next().unwrap().to_owned());
            assert!(words.next().is_some(), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(told.iter().any(|family| name.starts_with(family.as_str())), "{line} of no family");
        assert_eq!(samples.insert(name.to_owned(), value.parse().unwrap()), None, "{name} twice");
    }
    samples
}

#[test]
fn health_is_told_and_counters_move() {
    let world = newsroom();
    assert_eq!(world.get("/healthz").text(), "ok\n");
    assert_eq!(world.get("/readyz").text(), "ready\n");
    let before = metrics(&world);
    world.get("/feeds/kinh-te.atom");
    world.get("/feeds/kinh-te.atom");
    world.get("/no/such/place");
    world.post("/subscribe", &[("address", "ban.doc@example.vn"), ("feed", "all")]);
    world.wait_for("the letter is counted", |world| {
        metrics(world).get("bantin_subscribers{state=\"pending\"}") == Some(&1.0)
    });
    let after = metrics(&world);
    let moved = |name: &str| {
        after.get(name).unwrap_or_else(|| panic!("{name} in {after:?}")) - before.get(name).unwrap_or(&0.0)
    };
    assert_eq!(moved("bantin_http_answers_total{route=\"/feeds/{name}\",status=\"200\"}"), 2.0);
    assert_eq!(moved("bantin_http_answers_total{route=\"none\",status=\"404\"}"), 1.0);
    assert_eq!(moved("bantin_feeds_rendered"), 1.0, "rendered once, however often it is asked for");
    assert!(moved("bantin_http_answer_duration_seconds_count") >= 4.0);
    assert!(!after.keys().any(|name| name.contains("example.vn")), "no address in a label");
}

#[test]
fn a_stop_is_orderly_and_soon_however_slow_a_client_is() {
    let mut world = newsroom();
    let address = world.url("").replace("http://", "");
    let connect = |sent: &[u8]| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(sent).unwrap();
        stream
    };
    let half_a_request = connect(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let half_a_body = connect(b"POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\naddress=");
    let mut idle = connect(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let started = Instant::now();
    assert_eq!(world.stop(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let mut rest = Vec::new();
    let closed = idle.read_to_end(&mut rest);
    assert!(closed.is_ok(), "an idle connection is closed, not reset: {closed:?}");
    drop((half_a_request, half_a_body));
    assert!(world.log().contains("stopped"), "{}", world.log());
    // Nobody waits: gone at once.
    world.serve();
    let started = Instant::now();
    assert_eq!(world.stop(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// What a browser made of a page.
#[derive(Debug, serde::Deserialize)]
struct Seen {
    address: String,
    width: u32,
    complaints: Vec<String>,
}

/// Opens addresses in Chromium at widths, and leaves pictures in `target/screenshots/`.
fn seen(shots: &[(&str, u32, PathBuf)]) -> Vec<Seen> {
    let mut arguments = Vec::new();
    for (url, width, png) in shots {
        arguments.extend([(*url).to_owned(), width.to_string(), png.display().to_string()]);
    }
    let told = python(include_str!("chromium.py"), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many different lines of pixels a PNG has; a blank one has one or two.
fn different_lines(png: &[u8]) -> usize {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    let width = number(16);
    let channels = if png[25] == 6 { 4 } else { 3 };
    let (mut at, mut packed) = (8, Vec::new());
    while at + 8 <= png.len() {
        let length = number(at);
        if &png[at + 4..at + 8] == b"IDAT" {
            packed.extend_from_slice(&png[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    let mut pixels = Vec::new();
    flate2::read::ZlibDecoder::new(&*packed).read_to_end(&mut pixels).unwrap();
    pixels.chunks(width * channels + 1).collect::<BTreeSet<_>>().len()
}

#[test]
fn pages_and_letters_fit_phones_and_desks() {
    let world = newsroom();
    let form = [("address", "ban.doc@example.vn"), ("feed", "all"), ("lang", "vi")];
    assert_eq!(world.post("/subscribe", &form).status, 200);
    world.wait_for("the confirmation is mailed", |world| world.letters().len() == 1);
    let newest = |world: &World| all(&world.get("/mailbox"), "main a[href^='/mailbox/']", "href").remove(0);
    let confirmation = newest(&world);
    let asked = all(&world.get(&format!("{confirmation}?html")), "a[href*='/confirm/']", "href").remove(0);
    assert_eq!(world.post(&asked.replace(&world.url(""), ""), &[]).status, 200);
    world.import(&[article("eeeee", "Tin sáng sớm", "Thời sự"), article("ffffff", "Tin trưa", "Kinh tế")]);
    let digests: Value =
        serde_json::from_str(world.done(&["digest", "list", "--json"]).lines().next().unwrap()).unwrap();
    world.done(&["digest", "run", digests["slug"].as_str().unwrap()]);
    world.wait_for("the digest is mailed", |world| world.letters().len() == 2);
    let letter = newest(&world);
    assert_ne!(letter, confirmation);
    let article =
        format!("/articles/{}", id_of(&world, "xay-dung-dang", &titles(&world, "xay-dung-dang")[1]));
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots"));
    std::fs::create_dir_all(&folder).unwrap();
    let pages = [
        ("home", "/?lang=vi"),
        ("feed", "/feeds/xay-dung-dang?lang=vi"),
        ("article", &article),
        ("subscribe", "/subscribe?lang=en"),
        ("confirmation", &confirmation),
        ("letter", &letter),
        // The address of a feed in a browser's address bar shows the page.
        ("feed-address", "/feeds/xay-dung-dang.rss"),
    ];
    let urls = pages.map(|(_, path)| world.url(path));
    let mut shots = Vec::new();
    for ((name, _), url) in pages.iter().zip(&urls) {
        for width in [375, 1200] {
            shots.push((url.as_str(), width, folder.join(format!("{name}-{width}.png"))));
        }
    }
    let seen = seen(&shots);
    assert_eq!(seen.len(), shots.len());
    for ((url, width, png), seen) in shots.iter().zip(&seen) {
        let expected = url.trim_end_matches(".rss");
        assert_eq!(seen.address, expected);
        assert!(seen.width <= *width, "{url} is {} wide on a screen of {width}", seen.width);
        assert!(seen.complaints.is_empty(), "{url}: {:?}", seen.complaints);
        let lines = different_lines(&std::fs::read(png).unwrap());
        assert!(lines > 50, "{url} at {width} is blank: {lines}");
    }
}
