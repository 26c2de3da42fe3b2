//! Addresses that were: renamed categories, aliases of old systems, retired feeds. Readers'
//! programs follow a 301 and go on; a 410 tells them to stop (RFC 9110 §15.4.2, §15.5.11).

use crate::gets::routes;
use crate::served::{AT_ONCE, FORMATS, article, feed, items, said, text, titles};
use crate::world::{Answer, World};
use std::collections::BTreeSet;
use std::time::Duration;

fn newsroom() -> World {
    let world = World::new();
    world.import(&[
        article("a", "Giá lúa", "Kinh tế"),
        article("bb", "Cảng mới", "Kinh tế"),
        article("ccc", "Đua ghe ngo", "Thể thao"),
    ]);
    world
}

/// What a renaming may not change: bytes, entity tag and date.
fn kept(world: &World, slug: &str) -> Vec<(Vec<u8>, Option<String>, Option<String>)> {
    let header = |answer: &Answer, name: &str| answer.header(name).map(str::to_owned);
    let answers = FORMATS.map(|format| feed(world, slug, format));
    answers.into_iter().map(|a| (a.body.clone(), header(&a, "etag"), header(&a, "last-modified"))).collect()
}

fn last_modified(world: &World, slug: &str) -> i64 {
    // There is none until the second is over in which the feed changed twice.
    world.wait_at_most(AT_ONCE, "the feed has a date", |world| {
        feed(world, slug, "rss").header("last-modified").is_some()
    });
    let answer = feed(world, slug, "rss");
    chrono::DateTime::parse_from_rfc2822(answer.header("last-modified").unwrap()).unwrap().timestamp()
}

/// Where a GET is sent to for good.
#[track_caller]
fn redirect(world: &World, path: &str) -> String {
    let answer = world.get(path);
    assert_eq!(answer.status, 301, "{path}: {answer:?}");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"), "{path}");
    answer.header("location").unwrap().to_owned()
}

fn atom_id(world: &World, slug: &str) -> String {
    feed_rs::parser::parse(&*feed(world, slug, "atom").body).unwrap().id
}

fn renamed_while_serving(mut world: World) {
    world.serve();
    let ids: Vec<_> = FORMATS.map(|format| said(&world, "kinh-te", format)).into_iter().collect();
    let (id, other) = (atom_id(&world, "kinh-te"), kept(&world, "the-thao"));
    let date = last_modified(&world, "kinh-te");
    std::thread::sleep(Duration::from_millis(1_100));

    let told = world.done(&["category", "rename", "kinh-te", "--title", "Làm ăn & sống", "--slug", "lam-an"]);
    world.wait_at_most(AT_ONCE, "the old address redirects", |world| {
        world.get("/feeds/kinh-te.rss").status == 301 && world.get("/feeds/lam-an.rss").status == 200
    });
    for part in ["`kinh-te` “Kinh tế” is now `lam-an` “Làm ăn & sống”", "all", "redirects to"] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    for (format, before) in FORMATS.iter().zip(ids) {
        assert_eq!(redirect(&world, &format!("/feeds/kinh-te.{format}")), format!("/feeds/lam-an.{format}"));
        assert_eq!(said(&world, "lam-an", format), before, "the same entries in {format}");
        for slug in ["lam-an", "all"] {
            let bytes = feed(&world, slug, format).text();
            assert!(bytes.contains("Làm ăn"), "{slug}.{format} names it");
            assert!(!bytes.contains("Kinh tế") && !bytes.contains("kinh-te"), "{slug}.{format}: {bytes}");
        }
    }
    assert_eq!(atom_id(&world, "lam-an"), id, "readers' programs see the feed that they know");
    assert_eq!(kept(&world, "the-thao"), other, "a feed that does not name it keeps its bytes");
    assert!(last_modified(&world, "lam-an") > date);
    assert_eq!(redirect(&world, "/feeds/kinh-te?lang=en"), "/feeds/lam-an");
    assert_eq!(world.get("/feeds/lam-an").status, 200);
    let head = world.request("HEAD", "/feeds/kinh-te.atom", &[("If-None-Match", "*")], b"");
    assert_eq!((head.status, head.header("location")), (301, Some("/feeds/lam-an.atom")));

    // What still comes in under the old name is found under the new one.
    world.import(&[article("dddd", "Chợ nổi", "Kinh tế")]);
    world.wait_at_most(AT_ONCE, "the article is there", |world| titles(world, "lam-an").len() == 3);

    // Once more: one hop, and the first name comes back to life when it is given again.
    world.done(&["category", "rename", "lam-an", "--slug", "doanh-nghiep"]);
    world.wait_at_most(AT_ONCE, "it is renamed again", |world| {
        world.get("/feeds/doanh-nghiep.rss").status == 200
    });
    for old in ["kinh-te", "lam-an"] {
        assert_eq!(redirect(&world, &format!("/feeds/{old}.json")), "/feeds/doanh-nghiep.json");
    }
    world.done(&["category", "rename", "kinh-te", "--slug", "kinh-te", "--title", "Kinh tế"]);
    world.wait_at_most(AT_ONCE, "it has its first name", |world| {
        world.get("/feeds/kinh-te.rss").status == 200
    });
    assert_eq!(redirect(&world, "/feeds/doanh-nghiep.atom"), "/feeds/kinh-te.atom");
    assert_eq!(atom_id(&world, "kinh-te"), id);
}

#[test]
fn a_category_is_renamed_while_its_readers_read() {
    renamed_while_serving(newsroom());
}

#[test]
fn a_category_is_renamed_on_postgres() {
    let mut world = World::new();
    world.on_postgres();
    world.import(&[
        article("a", "Giá lúa", "Kinh tế"),
        article("bb", "Cảng mới", "Kinh tế"),
        article("ccc", "Đua ghe ngo", "Thể thao"),
    ]);
    renamed_while_serving(world);
}

#[test]
fn a_category_is_moved_while_its_readers_read() {
    let mut world = newsroom();
    world.import(&[article("x", "Tiểu thương", "Chợ")]);
    world.serve();
    let other = kept(&world, "the-thao");
    let told = world.done(&["category", "move", "cho", "--under", "kinh-te"]);
    assert!(told.contains("part of `kinh-te`; 1 feed changed: kinh-te"), "{told}");
    world.wait_at_most(AT_ONCE, "its articles joined", |world| titles(world, "kinh-te").len() == 3);
    let circle = world.run(&["category", "move", "kinh-te", "--under", "cho"]);
    assert_eq!(circle.status.code(), Some(1));
    assert!(String::from_utf8(circle.stderr).unwrap().contains("itself part of"));
    world.done(&["category", "move", "cho", "--top"]);
    world.wait_at_most(AT_ONCE, "its articles left", |world| titles(world, "kinh-te").len() == 2);
    assert_eq!(kept(&world, "the-thao"), other);
}

#[test]
fn addresses_of_an_old_system_lead_to_the_feeds_of_today() {
    let mut world = newsroom();
    world.set("BANTIN_PUBLICATION__BASE_URL", "https://bao.example/tin");
    world.write(
        "feeds/kinh-te.toml",
        "[feed]\ncategory = \"kinh-te\"\naliases = [\"lam-an\", \"/rss/kinh-te.rss\", \
         \"/category/kinh-tế/feed/\", \"/chuyen-muc/kinh-te.html\", \"/feeds/kinh-te/feed\"]\n",
    );
    // Other names than the category's, one format, and one of everything.
    world.write(
        "feeds/doi-bong.toml",
        "[feed]\ncategory = \"the-thao\"\nformats = [\"atom\"]\naliases = [\"/the-thao.rss\"]\n",
    );
    world.write("feeds/tat-ca.toml", "[feed]\nall = true\nslug = \"all\"\naliases = [\"/feed.json\"]\n");
    world.serve();
    for (old, new) in [
        ("/feeds/lam-an.atom", "/feeds/kinh-te.atom"),
        ("/feeds/lam-an", "/feeds/kinh-te"),
        ("/rss/kinh-te.rss", "/feeds/kinh-te.rss"),
        ("/rss/kinh-te.rss?utm=x", "/feeds/kinh-te.rss"),
        ("/category/kinh-t%E1%BA%BF/feed/", "/feeds/kinh-te.rss"),
        ("/category/kinh-t%e1%ba%bf/feed", "/feeds/kinh-te.rss"),
        ("/chuyen-muc/kinh-te.html", "/feeds/kinh-te"),
        ("/feeds/kinh-te/feed", "/feeds/kinh-te.rss"),
        ("/the-thao.rss", "/feeds/doi-bong.atom"),
        ("/feeds/the-thao.json", "/feeds/doi-bong.atom"),
        ("/feeds/the-thao", "/feeds/doi-bong"),
        ("/feed.json", "/feeds/all.json"),
    ] {
        assert_eq!(redirect(&world, old), format!("/tin{new}"), "{old}");
        assert_eq!(world.get(new).status, 200, "{new}");
    }
    for nowhere in ["/rss/khac.rss", "/feeds/khac.rss", "/feeds/khac", "/category", "/feeds/doi-bong.rss"] {
        assert_eq!(world.get(nowhere).status, 404, "{nowhere}");
    }
}

#[test]
fn a_retired_feed_says_so_wherever_it_was() {
    let mut world = newsroom();
    world.write(
        "feeds/the-thao.toml",
        "[feed]\ncategory = \"the-thao\"\nretired = true\naliases = [\"bong-da\", \"/rss/tt.rss\", \"/muc/tt\"]\n",
    );
    world.write("feeds/chua-tung-co.toml", "[feed]\nretired = true\n");
    world.serve();
    for slug in ["the-thao", "bong-da", "chua-tung-co"] {
        for format in FORMATS {
            let answer = world.get(&format!("/feeds/{slug}.{format}"));
            assert_eq!(answer.status, 410, "{slug}.{format}");
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            let words = answer.text();
            assert!(words.contains("nguồn tin này đã ngừng") && words.contains("has ended"), "{words}");
        }
        for (language, words) in [("vi", "Nguồn tin này đã ngừng"), ("en", "This feed has ended")] {
            let page = world.get(&format!("/feeds/{slug}?lang={language}"));
            assert_eq!(page.status, 410, "{slug}");
            assert!(page.text().contains(words), "{}", page.text());
        }
    }
    assert_eq!(world.get("/rss/tt.rss").status, 410);
    assert!(world.get("/muc/tt").text().contains("<html"));
    let listed = [world.get("/opml").text(), world.get("/").text(), world.done(&["feed", "list"])];
    for sign in ["the-thao.rss", "value=\"the-thao\""] {
        assert!(listed.iter().all(|list| !list.contains(sign)), "{sign} is in {listed:?}");
    }
    assert_eq!(items(&world, "all").len(), 3, "its articles are where they were");
}

#[test]
fn forms_and_digests_know_a_feed_by_its_former_name() {
    let mut world = newsroom();
    world.write("feeds/tuan.toml", "[digest]\nschedule = \"0 0 1 1 *\"\nfeeds = [\"kinh-te\"]\n");
    world.serve();
    world.done(&["category", "rename", "kinh-te", "--slug", "lam-an"]);
    world.wait_at_most(AT_ONCE, "it is renamed", |world| world.get("/feeds/lam-an.rss").status == 200);
    let wish = [("address", "ban.doc@songhau.example"), ("digest", "tuan"), ("feed", "kinh-te")];
    assert_eq!(world.post("/subscribe", &wish).status, 200);
    world.wait_for("the reader is asked", |world| world.letters().len() == 1);
    assert!(world.get("/subscribe").text().contains("value=\"lam-an\""), "the form offers it");
}

#[test]
fn what_a_file_says_of_a_category_outlives_its_renaming() {
    let mut world = newsroom();
    world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nwindow = 1\n");
    world.serve();
    let told = world.done(&["category", "rename", "kinh-te", "--title", "Làm ăn", "--slug", "lam-an"]);
    assert!(told.contains("its address stays") && told.contains("/feeds/kinh-te"), "{told}");
    world
        .wait_at_most(AT_ONCE, "its new name is known", |world| world.get("/feeds/lam-an.rss").status == 301);
    let title = |feed: String| feed.contains("<title>Làm ăn</title>");
    world.wait_at_most(AT_ONCE, "the title changed", |world| title(feed(world, "kinh-te", "rss").text()));
    assert_eq!(items(&world, "kinh-te").len(), 1);
    assert_eq!(redirect(&world, "/feeds/lam-an.rss"), "/feeds/kinh-te.rss");
}

#[test]
fn commands_tell_what_became_of_a_category() {
    let world = newsroom();
    let code = |arguments: &[&str]| world.run(arguments).status.code();
    let words = |arguments: &[&str]| String::from_utf8(world.run(arguments).stderr).unwrap();
    assert_eq!(code(&["category", "rename", "kinh-te"]), Some(2), "nothing to do");
    assert_eq!(code(&["category", "rename", "kinh-te", "--slug", "Kinh tế"]), Some(2));
    assert_eq!(code(&["category", "move", "kinh-te"]), Some(2));
    assert_eq!(code(&["category", "move", "kinh-te", "--top", "--under", "the-thao"]), Some(2));
    for (arguments, told) in [
        (&["category", "rename", "khong-co", "--title", "X"][..], "bantin category list"),
        (&["category", "rename", "kinh-te", "--slug", "the-thao"], "the slug of “Thể thao”"),
        (&["category", "rename", "kinh-te", "--title", "THỂ THAO"], "is called “Thể thao”"),
        (&["category", "rename", "kinh-te", "--slug", "search"], "choose another slug"),
        (&["category", "rename", "kinh-te", "--title", " "], "nothing is left"),
    ] {
        assert_eq!(code(arguments), Some(1), "{arguments:?}");
        assert!(words(arguments).contains(told), "{arguments:?}: {}", words(arguments));
    }
    let json = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let told = world.done(&[arguments, &["--json"]].concat());
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let renamed = &json(&["category", "rename", "kinh-te", "--slug", "lam-an"])[0];
    assert_eq!((text(renamed, "slug"), text(renamed, "former_slug")), ("lam-an".into(), "kinh-te".into()));
    assert!(text(renamed, "redirects").ends_with("/feeds/kinh-te"), "{renamed}");
    assert_eq!(renamed["feeds"].as_array().unwrap().len(), 3, "everything, its own, its author's: {renamed}");
    let again = world.done(&["category", "rename", "lam-an", "--slug", "lam-an"]);
    assert!(again.contains("called so already"), "{again}");
    let list = json(&["category", "list"]);
    let economy = list.iter().find(|category| category["slug"] == "lam-an").unwrap();
    assert_eq!(economy["former"], serde_json::json!(["kinh-te"]));
    assert!(world.done(&["category", "list"]).contains("was kinh-te"));
}

#[test]
fn an_alias_below_a_path_of_ours_is_never_asked_for() {
    let first = |path: &str| path.split('/').nth(1).unwrap().to_owned();
    // Below /feeds/ there is room; `bantin demo` alone has /demo/; the sitemaps of articles give what
    // is not theirs on.
    let ours: BTreeSet<String> = routes().iter().map(|(path, _)| first(path)).collect();
    let ours: BTreeSet<String> =
        ours.into_iter().filter(|part| !["feeds", "demo", "{file}"].contains(&part.as_str())).collect();
    let told: BTreeSet<String> = bantin::http::OWN_PATHS.iter().map(|part| (*part).to_owned()).collect();
    assert_eq!(told, ours);
}
