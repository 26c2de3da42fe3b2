//! `bantin feed lint`: our own feeds are clean, and a bad server is told what is bad.

use crate::served::{article, with};
use crate::world::World;
use bantin::feed::lint::{About, Severity, lint_document};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

/// What the command printed, a finding a line, and its exit code.
fn lint(world: &World, arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let output = world.run(&[&["feed", "lint", "--json"], arguments].concat());
    let printed = String::from_utf8(output.stdout).unwrap();
    let findings = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (findings, output.status.code())
}

fn rules(findings: &[Value]) -> BTreeSet<&str> {
    findings.iter().map(|finding| finding["rule"].as_str().unwrap()).collect()
}

/// A server that gives each request the answer to its method and path, until the test ends.
fn bad_server(answer: fn(&str, &str, &str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let base = address.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 8192];
            let read = stream.read(&mut head).unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            stream.write_all(answer(method, path, &base).as_bytes()).ok();
        }
    });
    address
}

/// No validators, no HEAD, and archives that lead in a circle.
fn careless(method: &str, path: &str, base: &str) -> String {
    if method == "HEAD" {
        return "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n\r\n".to_owned();
    }
    if path == "/old" {
        return format!("HTTP/1.1 302 Found\r\nLocation: {base}/feed.atom\r\nConnection: close\r\n\r\n");
    }
    let (older, archive) = match path {
        "/feed.atom" => ("/1.atom", ""),
        "/1.atom" => ("/2.atom", "<fh:archive/>"),
        "/2.atom" => ("/1.atom", ""),
        _ => return "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_owned(),
    };
    let body = format!(
        "<feed xmlns='http://www.w3.org/2005/Atom' xmlns:fh='http://purl.org/syndication/history/1.0' xml:lang='vi'>\
         <title>Tin</title><id>tag:a.vn,2024:f</id><updated>2024-04-04T00:00:00Z</updated><author><name>A</name></author>\
         <link rel='self' href='{base}{path}'/><link rel='current' href='{base}/feed.atom'/>\
         <link rel='prev-archive' href='{older}'/>{archive}</feed>"
    );
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n{body}")
}

/// An ETag that nothing ever is compared with, and a body that knows the time.
fn forgetful(_: &str, _: &str, base: &str) -> String {
    let body = format!(
        "{{\"version\": \"https://jsonfeed.org/version/1.1\", \"title\": \"Tin\", \"items\": [], \
         \"feed_url\": \"{base}/feed.json\", \"next_url\": \"{base}/feed.json\"}}"
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/feed+json\r\nETag: \"always\"\r\n\
         Last-Modified: Thu, 04 Apr 2024 04:30:00 GMT\r\nCache-Control: max-age=86400\r\nConnection: close\r\n\r\n{body}"
    )
}

#[test]
fn our_own_feeds_are_clean_by_address_and_by_name() {
    let mut world = World::new();
    let awkward = json!({
        "title": "Mưa 🌧️ & 'lúa' ]]> \u{1}", "url": "https://bao.example/đường/dẫn.html",
        "content_html": "<p onclick='x()'><a href='/khác.html'>a</a><script>x</script></p>",
    });
    world.import(&[article("một", "Giá lúa tăng", "Kinh tế"), with(article("hai", "", "Kinh tế"), awkward)]);
    world.serve();
    let paths =
        ["/feeds/kinh-te.rss", "/feeds/kinh-te.atom", "/feeds/kinh-te.json", "/feeds/all.atom", "/opml"];
    for path in paths {
        let (findings, code) = lint(&world, &[&world.url(path), "--strict"]);
        let serious: Vec<_> = findings.iter().filter(|finding| finding["severity"] != "note").collect();
        assert!(serious.is_empty() && code == Some(0), "{path}: {code:?} {serious:#?}");
    }
    let (findings, code) = lint(&world, &["kinh-te", "--strict"]);
    assert_eq!(code, Some(0), "{findings:#?}");
    let told = world.done(&["feed", "lint", "kinh-te"]);
    assert!(told.ends_with('\n') && told.contains("3 documents: 0 errors, 0 warnings"), "{told}");
}

#[test]
fn a_careless_server_is_told_what_readers_suffer() {
    let world = World::new();
    let base = bad_server(careless);
    let (findings, code) = lint(&world, &[&format!("{base}/old")]);
    assert_eq!(code, Some(1), "{findings:#?}");
    let found = rules(&findings);
    for rule in [
        "http-etag-missing",
        "http-last-modified-missing",
        "http-cache-control-missing",
        "http-head",
        "http-media-type",
        "http-redirect-temporary",
        "archive-loop",
        "archive-mark",
    ] {
        assert!(found.contains(rule), "{rule}: {findings:#?}");
    }
    let (findings, _) = lint(&world, &[&format!("{base}/feed.atom"), "--archives", "0"]);
    assert!(!rules(&findings).contains("archive-loop"), "{findings:#?}");
    let base = bad_server(forgetful);
    let (findings, code) = lint(&world, &[&format!("{base}/feed.json")]);
    assert_eq!(code, Some(1));
    let found = rules(&findings);
    for rule in [
        "http-if-none-match",
        "http-if-modified-since",
        "http-max-age",
        "http-gzip",
        "json-next-url",
        "archive-loop",
    ] {
        assert!(found.contains(rule), "{rule}: {findings:#?}");
    }
    assert!(!found.contains("http-head"), "{findings:#?}");
}

#[test]
fn exit_codes_tell_errors_warnings_and_unusable_arguments_apart() {
    let world = World::new();
    let code = |arguments: &[&str]| lint(&world, arguments).1;
    world.write("broken.rss", "<rss version='2.0'><channel>");
    assert_eq!(code(&["broken.rss"]), Some(1));
    let opml = "<opml version='2.0'><head/><body><outline text='Tin'/></body></opml>";
    world.write("list.opml", opml);
    assert_eq!(code(&["list.opml"]), Some(0), "an untitled list is a warning");
    assert_eq!(code(&["list.opml", "--strict"]), Some(1));
    assert_eq!(code(&["khong-co"]), Some(2));
    assert_eq!(code(&["ftp://a.example/feed.rss"]), Some(2));
    assert_eq!(code(&["http://127.0.0.1:1/feed.rss"]), Some(1), "nobody answers");
    let told = String::from_utf8(world.run(&["feed", "lint", "broken.rss"]).stdout).unwrap();
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("error xml-syntax (XML 1.0 §2.1) broken.rss:1:20: "), "{told}");
    assert!(told.ends_with("1 document: 1 error, 0 warnings, 0 notes\n"), "{told}");
}

/// What damage is made of, in places that a plain random byte would seldom hit.
const SPLINTERS: [&[u8]; 30] = [
    b"<",
    b">",
    b"&",
    b";",
    b"\"",
    b"'",
    b"</",
    b"/>",
    b"<!--",
    b"-->",
    b"--",
    b"<![CDATA[",
    b"]]>",
    b"<?x",
    b"?>",
    b"&#0;",
    b"&#x41;",
    b"&lt;",
    b"&foo;",
    b"\x01",
    b"\xc3",
    b"\xef\xbf\xbe",
    b" a=\"1\"",
    b"=",
    b"<1>",
    b"<a b>",
    b"<q:a/>",
    b"<?xml version=\"1.0\"?>",
    b"<!DOCTYPE a>",
    b" ",
];

#[test]
fn libxml_finds_the_same_feeds_broken() {
    let world = World::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/feeds");
    let whole: Vec<Vec<u8>> = ["all.rss", "xay-dung-dang.atom", "feeds.opml"]
        .map(|name| std::fs::read(format!("{folder}/{name}")).unwrap())
        .into();
    // Marsaglia's xorshift: the same damage in every run.
    let mut state = 2463534242_u32;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let (mut sound, mut differ) = (0, Vec::new());
    for number in 0..300 {
        let mut feed = whole[draw(3)].clone();
        // Half of them near the beginning, where the declaration and the namespaces are.
        let within = if draw(2) == 0 { 150 } else { feed.len() };
        let at = draw(within.min(feed.len()));
        let cut = draw(4).saturating_sub(2);
        feed.splice(at..(at + cut).min(feed.len()), SPLINTERS[draw(30)].iter().copied());
        let file = world.write(&format!("damaged/{number}.xml"), &feed);
        let output = Command::new("xmllint").args(["--noout", "--nonet"]).arg(&file).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        // libxml goes on after an undeclared prefix, and succeeds.
        let theirs = !output.status.success() || words.contains("is not defined");
        let found = lint_document(&feed, &About::default());
        let ours: Vec<_> = found
            .iter()
            .filter(|finding| finding.rule.starts_with("xml-") && finding.severity == Severity::Error)
            .collect();
        sound += usize::from(ours.is_empty());
        if ours.is_empty() == theirs {
            differ.push(format!("{}: {words}, {ours:?}", String::from_utf8_lossy(&feed[..at.min(200)])));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!((30..270).contains(&sound), "{sound} of 300 are sound: damage that tells nothing");
}
