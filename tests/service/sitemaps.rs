//! What search engines read: well-formed, young, nothing that was taken back, and nothing twice.

use crate::served::{AT_ONCE, article, id_of, with};
use crate::world::{Answer, World, judged};
use chrono::{Duration, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::io::Read;

const LISTS: [&str; 5] =
    ["/sitemap.xml", "/sitemap-news.xml", "/sitemap-pages.xml", "/sitemap-articles-1.xml", "/opml"];

/// An article that was published some minutes ago.
fn ago(key: &str, title: &str, minutes: i64) -> Value {
    let published = (Utc::now() - Duration::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Secs, true);
    with(article(key, title, "Kinh tế"), json!({ "published": published }))
}

fn newsroom() -> World {
    let mut world = World::new();
    let elsewhere = json!({ "url": "https://khac.example/bai/1" });
    let ours = json!({ "url": world.url("/bai/1?a=1&b=<2>") });
    world.import(&[
        ago("a", "Hôm nay & <mới>", 5),
        with(ago("b", "Hôm qua", 60 * 24), ours),
        ago("c", "Ba hôm trước", 3 * 60 * 24),
        with(ago("d", "Ở nơi khác", 10), elsewhere),
        with(article("e", "Tin mật", "Kinh tế"), json!({ "published": "2083-01-01T00:00:00Z" })),
    ]);
    world.serve();
    world
}

fn locations(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    let locations = text.split("<loc>").skip(1).map(|rest| rest.split("</loc>").next().unwrap());
    locations.map(|loc| loc.replace("&amp;", "&")).collect()
}

fn path<'a>(world: &World, location: &'a str) -> &'a str {
    location.strip_prefix(&world.url("")).unwrap_or_else(|| panic!("{location} is not ours"))
}

#[test]
fn sitemaps_lead_to_everything_that_is_public() {
    let world = newsroom();
    for list in LISTS {
        let answer = world.get(list);
        assert_eq!(answer.status, 200, "{list}");
        judged("xmllint", &["--noout"], &world.write("list.xml", &answer.body)).unwrap();
        assert!(!answer.text().contains("mật") && !answer.text().contains("khac.example"), "{list}");
    }
    let sitemaps = locations(&world.get("/sitemap.xml"));
    let expected = ["/sitemap-news.xml", "/sitemap-pages.xml", "/sitemap-articles-1.xml"];
    assert_eq!(sitemaps.iter().map(|loc| path(&world, loc)).collect::<Vec<_>>(), expected);
    let pages = locations(&world.get("/sitemap-pages.xml"));
    let paths: Vec<&str> = pages.iter().map(|loc| path(&world, loc)).collect();
    assert_eq!(paths, ["/", "/subscribe", "/feeds/all", "/feeds/kinh-te"]);
    for path in paths {
        let page = world.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text().contains("noindex"), "{path} asks to be listed and not to be listed");
    }
    let articles = locations(&world.get("/sitemap-articles-1.xml"));
    assert_eq!(articles.len(), 3, "two on our pages, one with an address of its own: {articles:?}");
    assert!(articles.contains(&world.url("/bai/1?a=1&b=%3C2%3E")), "{articles:?}");
    for page in articles.iter().filter(|loc| loc.contains("/articles/")) {
        assert_eq!(world.get(path(&world, page)).status, 200);
    }
    let robots = world.get("/robots.txt");
    assert_eq!(robots.header("content-type"), Some("text/plain; charset=utf-8"));
    let told: Vec<String> =
        robots.text().lines().filter_map(|line| line.strip_prefix("Sitemap: ")).map(str::to_owned).collect();
    assert_eq!(told, [world.url("/sitemap.xml"), world.url("/sitemap-news.xml")]);
    for nowhere in [
        "/sitemap-articles-2.xml",
        "/sitemap-articles-0.xml",
        "/sitemap-articles-01.xml",
        "/sitemap-articles-x.xml",
        "/favicon.ico",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(world.request(method, nowhere, &[], b"").status, 404, "{method} {nowhere}");
        }
    }
}

#[test]
fn news_are_two_days_old_at_most_and_fall_out_by_themselves() {
    let world = newsroom();
    let news = world.get("/sitemap-news.xml").text();
    let at = |title: &str| news.find(&format!("<news:title>{title}</news:title>"));
    assert!(at("Hôm nay &amp; &lt;mới&gt;").unwrap() < at("Hôm qua").unwrap(), "the newest first: {news}");
    assert_eq!(at("Ba hôm trước"), None, "{news}");
    assert!(news.contains("<news:name>Báo Sông Hậu</news:name>") && news.contains("<news:language>vi<"));
    // One that is two days old in a few seconds: nothing happens, and it goes.
    let soon = Utc::now() - Duration::days(2) + Duration::seconds(6);
    let soon = with(
        article("f", "Sắp cũ", "Kinh tế"),
        json!({ "published": soon.to_rfc3339_opts(SecondsFormat::Secs, true) }),
    );
    world.import(&[soon]);
    let shows = |world: &World| world.get("/sitemap-news.xml").text().contains("Sắp cũ");
    world.wait_at_most(AT_ONCE, "it is there", shows);
    let before = world.get("/sitemap-news.xml");
    world.wait_at_most(AT_ONCE * 5, "it is old", |world| !shows(world));
    let tag = before.header("etag").unwrap();
    let again = world.request("GET", "/sitemap-news.xml", &[("If-None-Match", tag)], b"");
    assert_eq!(again.status, 200);
    if let Some(date) = before.header("last-modified") {
        let again = world.request("GET", "/sitemap-news.xml", &[("If-Modified-Since", date)], b"");
        assert_eq!(again.status, 200, "a client that knows dates only must notice");
    }
}

#[test]
fn what_is_taken_back_is_gone_at_once_and_the_rest_is_not_fetched_again() {
    let world = newsroom();
    let id = id_of(&world, "kinh-te", "Hôm nay & <mới>");
    for list in LISTS {
        let whole = world.get(list);
        assert_eq!(whole.header("vary"), Some("Accept-Encoding"), "{list}");
        let tag = whole.header("etag").unwrap().to_owned();
        let head = world.request("HEAD", list, &[], b"");
        assert_eq!((head.status, head.header("etag")), (200, Some(&*tag)), "{list}");
        let again = world.request("GET", list, &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{list}");
        let zipped = world.request("GET", list, &[("Accept-Encoding", "gzip")], b"");
        assert_eq!(zipped.header("content-encoding"), Some("gzip"), "{list}");
        assert_ne!(zipped.header("etag"), Some(&*tag), "a strong tag names one coding");
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&*zipped.body).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, whole.body, "{list}");
    }
    assert!(world.get("/sitemap-articles-1.xml").text().contains(&id));
    world.done(&["article", "withdraw", &id]);
    world.wait_at_most(AT_ONCE, "it is nowhere", |world| {
        LISTS.iter().all(|list| !world.get(list).text().contains(&id))
    });
    world.done(&["article", "publish", &id]);
    world.wait_at_most(AT_ONCE, "it is back", |world| {
        world.get("/sitemap-articles-1.xml").text().contains(&id)
    });
}
