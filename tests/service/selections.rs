//! Any selection is a feed: labels, unions, intersections, searches, and a reader's own.

use crate::served::{AT_ONCE, FORMATS, article, feed, said, titles, with};
use crate::world::{World, judged};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn newsroom() -> World {
    let mut world = World::new();
    world.import(&[
        with(
            article("a", "Giá lúa", "Kinh tế"),
            json!({ "tags": ["Lúa gạo"], "source": { "title": "TTXVN" } }),
        ),
        with(article("bb", "Cảng mới", "Kinh tế"), json!({ "categories": ["Kinh tế", "Xã hội"] })),
        with(article("ccc", "Ngày hội", "Xã hội"), json!({ "tags": ["Lễ hội", "lúa  gạo"] })),
        with(article("dddd", "Trận cầu", "Thể thao"), json!({ "authors": ["Chí Bảo"] })),
    ]);
    world.serve();
    world
}

/// The path in a page that begins so.
fn path_in(page: &str, door: &str) -> String {
    let page = page.replace("&#x2f;", "/");
    let start = page.find(door).unwrap_or_else(|| panic!("no {door} in {page}"));
    page[start..].chars().take_while(|c| !"<\"&".contains(*c)).collect()
}

fn in_any_order(world: &World, name: &str) -> BTreeSet<String> {
    titles(world, name).into_iter().collect()
}

#[test]
fn every_selection_is_a_feed_in_every_format() {
    let world = newsroom();
    for (name, expected) in [
        ("tag:lua-gao", vec!["Giá lúa", "Ngày hội"]),
        ("author:chi-bao", vec!["Trận cầu"]),
        ("source:ttxvn", vec!["Giá lúa"]),
        ("kinh-te,the-thao", vec!["Cảng mới", "Giá lúa", "Trận cầu"]),
        ("kinh-te+xa-hoi", vec!["Cảng mới"]),
        ("xa-hoi+tag:lua-gao", vec!["Ngày hội"]),
        ("tag:lua-gao,author:chi-bao", vec!["Giá lúa", "Ngày hội", "Trận cầu"]),
        ("kinh-te+the-thao", vec![]),
    ] {
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(in_any_order(&world, name), expected, "{name}");
        let first = said(&world, name, "json");
        for format in FORMATS {
            assert_eq!(said(&world, name, format), first, "{name}.{format}");
        }
        for format in ["rss", "atom"] {
            let path = world.write("out.xml", &feed(&world, name, format).body);
            judged("xmllint", &["--noout"], &path).unwrap();
        }
        let page = world.get(&format!("/feeds/{name}"));
        assert_eq!(page.status, 200, "{name}");
        let shown = page.text().replace("&#x2f;", "/");
        assert!(shown.contains(&format!("/feeds/{name}.atom")), "{name}: its page leads to it");
    }
    for nothing in ["tag:lua", "tag:kinh-te", "author:an", "kinh-te,khong-co", "kinh-te+xa-hoi,the-thao"] {
        assert_eq!(world.get(&format!("/feeds/{nothing}.rss")).status, 404, "{nothing}");
        assert_eq!(world.get(&format!("/feeds/{nothing}")).status, 404, "{nothing}");
    }
}

#[test]
fn a_combination_has_one_address() {
    let world = newsroom();
    for (asked, canonical) in [
        ("the-thao,kinh-te.atom", "kinh-te,the-thao.atom"),
        ("xa-hoi+kinh-te.json", "kinh-te+xa-hoi.json"),
        ("xa-hoi%2Bkinh-te.json", "kinh-te+xa-hoi.json"),
        ("kinh-te,kinh-te.rss", "kinh-te.rss"),
        ("the-thao,kinh-te", "kinh-te,the-thao"),
        ("the-thao,kinh-te/archive/1.rss", "kinh-te,the-thao/archive/1.rss"),
    ] {
        let answer = world.get(&format!("/feeds/{asked}"));
        assert_eq!(answer.status, 301, "{asked}");
        assert_eq!(answer.header("location"), Some(&*format!("/feeds/{canonical}")), "{asked}");
    }
    assert_eq!(feed(&world, "kinh-te,the-thao", "rss").body, feed(&world, "kinh-te,the-thao", "rss").body);
}

#[test]
fn an_event_reaches_each_selection_it_is_in_and_no_other() {
    let world = newsroom();
    let names = ["kinh-te,xa-hoi", "kinh-te+xa-hoi", "tag:lua-gao", "author:chi-bao", "kinh-te,the-thao"];
    let bytes = |name: &str| feed(&world, name, "atom").body;
    let before: Vec<_> = names.iter().map(|name| bytes(name)).collect();
    world.import(&[with(article("eeeee", "Chợ nổi", "Xã hội"), json!({ "tags": ["Lúa gạo"] }))]);
    world.wait_at_most(AT_ONCE, "the union and the tag show it", |world| {
        ["kinh-te,xa-hoi", "tag:lua-gao"]
            .iter()
            .all(|name| feed(world, name, "atom").text().contains("Chợ nổi"))
    });
    let after: Vec<_> = names.iter().map(|name| bytes(name)).collect();
    let changed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
    // The intersection holds nothing new, though a feed of it does.
    assert_eq!(changed, [true, false, true, false, false]);
}

#[test]
fn a_declared_selection_has_a_name_of_its_own() {
    let mut world = newsroom();
    world.stop();
    world.write(
        "feeds/lam-an.toml",
        "[feed]\nunion = [\"kinh-te\", \"tag:lua-gao\"]\ntitle = \"Làm ăn\"\nformats = [\"rss\", \"json\"]\n",
    );
    world.write("feeds/nuoc.toml", "[feed]\nsearch = \"ngày hội\"\ntitle = \"Hội hè\"\n");
    world.write("feeds/gao.toml", "[feed]\ntag = \"Lúa gạo\"\ntitle = \"Hạt gạo\"\nwindow = 1\n");
    world.serve();
    assert_eq!(titles(&world, "lam-an").len(), 3);
    assert_eq!(titles(&world, "nuoc"), ["Ngày hội"]);
    assert_eq!(titles(&world, "gao"), ["Ngày hội"]);
    let moved = |name: &str| world.get(name).header("location").map(str::to_owned);
    assert_eq!(moved("/feeds/kinh-te,tag:lua-gao.json").as_deref(), Some("/feeds/lam-an.json"));
    assert_eq!(moved("/feeds/tag:lua-gao.atom").as_deref(), Some("/feeds/gao.atom"));
    assert!(world.get("/").text().contains("Hội hè"));
}

#[test]
fn a_search_is_paged_and_knows_no_diacritics() {
    let world = newsroom();
    let more: Vec<Value> =
        (0..120).map(|n| article(&format!("n{n}"), &format!("Nước mặn {n}"), "Xã hội")).collect();
    world.import(&more);
    let mut next = Some("/feeds/search.json?q=nuoc%20man".to_owned());
    let (mut found, mut pages) = (BTreeSet::new(), 0);
    while let Some(path) = next {
        let answer = world.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
        next = page["next_url"].as_str().map(|url| url.replace(&world.url(""), ""));
        pages += 1;
    }
    assert_eq!((found.len(), pages), (120, 3));
    let atom = world.get("/feeds/search.atom?q=N%C6%B0%E1%BB%9Bc+m%E1%BA%B7n&page=2").text();
    for rel in ["first", "previous", "next"] {
        assert!(atom.contains(&format!("rel=\"{rel}\"")), "{rel}");
    }
    for (path, status) in [
        ("/feeds/search.rss", 400),
        ("/feeds/search.rss?q=%F0%9F%98%80", 400),
        ("/feeds/search.rss?q=lua&page=99", 404),
        ("/feeds/search.rss?q=lua&page=x", 404),
        ("/feeds/search.rss?q=khongcogi", 200),
        ("/feeds/search?q=l%C3%BAa", 200),
    ] {
        assert_eq!(world.get(path).status, status, "{path}");
    }
    world.import(&[article("moi", "Nước mặn mới", "Xã hội")]);
    world.wait_at_most(AT_ONCE, "it is found", |world| {
        world.get("/feeds/search.json?q=nuoc%20man").text().contains("Nước mặn mới")
    });
}

#[test]
fn a_union_can_be_walked_to_its_end() {
    let mut world = World::new();
    world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nwindow = 4\n");
    world.write("feeds/xa-hoi.toml", "[feed]\ncategory = \"xa-hoi\"\nwindow = 4\n");
    world.import(&[article("", "Đầu", "Kinh tế"), article("x", "Đuôi", "Xã hội")]);
    world.serve();
    for n in 0..30 {
        let section = if n % 3 == 0 { "Xã hội" } else { "Kinh tế" };
        world.import(&[article(&"y".repeat(n + 2), &format!("Tin {n}"), section)]);
    }
    let whole: BTreeSet<String> =
        (0..30).map(|n| format!("Tin {n}")).chain(["Đầu".to_owned(), "Đuôi".to_owned()]).collect();
    world.wait_at_most(AT_ONCE, "the last shows", |world| {
        titles(world, "kinh-te,xa-hoi").contains(&"Tin 29".into())
    });
    let (mut found, mut next) = (BTreeSet::new(), Some("/feeds/kinh-te,xa-hoi.json".to_owned()));
    while let Some(path) = next {
        let page: Value = serde_json::from_slice(&world.get(&path).body).unwrap();
        found.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()),
        );
        next = page["next_url"].as_str().map(|url| url.replace(&world.url(""), ""));
    }
    assert_eq!(found, whole);
}

#[test]
fn a_reader_has_a_feed_of_what_he_chose() {
    let world = newsroom();
    let link = world.ask("an@doc.example", &["kinh-te", "the-thao"]).link("confirm");
    let preferences = path_in(&world.post(&link, &[]).text(), "/preferences/");
    let path = path_in(&world.get(&preferences).text(), "/my/");
    let own = world.get(&path);
    assert_eq!(own.status, 200, "{path}");
    let text = own.text();
    for title in ["Giá lúa", "Cảng mới", "Trận cầu"] {
        assert!(text.contains(title), "{title}");
    }
    assert!(!text.contains("Ngày hội"));
    assert_eq!(own.header("cache-control"), Some("private, max-age=300"));
    assert_eq!(own.header("x-robots-tag"), Some("noindex"));
    assert!(own.header("last-modified").is_none());
    let tag = own.header("etag").unwrap();
    assert_eq!(world.request("GET", &path, &[("If-None-Match", tag)], b"").status, 304);
    // Another choice shows at once, with the same address.
    world.post(
        &preferences,
        &[("shown", "kinh-te"), ("shown", "the-thao"), ("shown", "xa-hoi"), ("feed", "xa-hoi")],
    );
    let after = world.request("GET", &path, &[("If-None-Match", tag)], b"");
    assert_eq!(after.status, 200);
    assert!(after.text().contains("Ngày hội") && !after.text().contains("Trận cầu"));
    for forged in [path.replace("/my/", "/my/x"), path.replace(".rss", "x.rss"), "/my/.rss".to_owned()] {
        assert_eq!(world.get(&forged).status, 404, "{forged}");
    }
    // The key of one door opens no other.
    let token = preferences.rsplit('/').next().unwrap();
    assert_eq!(world.get(&format!("/my/{token}.rss")).status, 404);
}
