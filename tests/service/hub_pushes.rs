//! What is pushed, to whom, and when: each event of the newsroom reaches the callbacks of the topics
//! that it changes, as GET shows it, and nobody else; the newest state is the last.

use crate::callbacks::{Callbacks, Reply, Request, signature, targets};
use crate::hub::{newsroom, publish, push_of, quiet_newsroom, tells, with_news};
use crate::served::{AT_ONCE, FORMATS, article, id_of, text, with};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const SECRET: &str = "Sông Hậu";

/// Callbacks of a feed in every format.
fn followed(world: &World, name: &str) -> Callbacks {
    let callbacks = Callbacks::open();
    for format in FORMATS {
        follow(world, &callbacks, &format!("{name}.{format}"), &format!("/{format}"));
    }
    callbacks
}

fn follow(world: &World, callbacks: &Callbacks, topic: &str, path: &str) {
    world.follow(topic, &callbacks.url(path), &[("hub.secret", SECRET)]);
}

/// Waits until a callback's last push is what GET returns of its topic, signed, and gives it.
#[track_caller]
fn up_to_date(world: &World, callbacks: &Callbacks, path: &str, topic: &str) -> Request {
    let below = topic.replace(&world.url(""), "");
    let below = if below.starts_with('/') { below } else { format!("/feeds/{below}") };
    let last = || callbacks.pushed(path).pop();
    world.wait_for(&format!("{path} has what {below} is"), |world| {
        last().is_some_and(|push| push.body == world.get(&below).body)
    });
    let push = last().unwrap();
    let got = world.get(&below);
    assert_eq!(push.header("content-type"), got.header("content-type"));
    assert_eq!(push.header("x-hub-signature"), Some(signature("sha256", SECRET, &push.body).as_str()));
    push
}

/// Does something, and gives the pushes that tell it, one a format; each came at once.
fn told(world: &World, callbacks: &Callbacks, name: &str, act: impl FnOnce()) -> [Request; 3] {
    let before = FORMATS.map(|format| callbacks.pushed(&format!("/{format}")).len());
    act();
    let done = Instant::now();
    let mut at = 0;
    FORMATS.map(|format| {
        let path = format!("/{format}");
        world.wait_for(&format!("{path} is told"), |_| callbacks.pushed(&path).len() > before[at]);
        let push = up_to_date(world, callbacks, &path, &format!("{name}.{format}"));
        let late = push.at.saturating_duration_since(done);
        assert!(late < AT_ONCE, "{format}: {late:?} after the event");
        at += 1;
        push
    })
}

fn every_event_is_pushed(mut world: World) {
    with_news(&mut world);
    world.serve();
    let callbacks = followed(&world, "kinh-te");
    let act = |act: &dyn Fn()| told(&world, &callbacks, "kinh-te", act);

    for push in act(&|| publish(&world, "Cảng mới")) {
        assert!(tells(&push, "Cảng mới"));
    }
    let edited = with(article("Cảng mới", "Cảng mới mở", "Kinh tế"), json!({ "significant": true }));
    for push in act(&|| drop(world.import(std::slice::from_ref(&edited)))) {
        assert!(tells(&push, "Cảng mới mở"));
    }
    let corrected =
        with(edited.clone(), json!({ "content_html": "<p>Đã sửa dấu.</p>", "significant": false }));
    for push in act(&|| drop(world.import(std::slice::from_ref(&corrected)))) {
        assert!(tells(&push, "Đã sửa dấu"));
    }
    let id = id_of(&world, "kinh-te", "Cảng mới mở");
    let [rss, atom, json] = act(&|| drop(world.done(&["article", "withdraw", &id])));
    for push in [&rss, &atom, &json] {
        assert!(!tells(push, "Cảng mới mở"));
    }
    assert!(tells(&atom, "deleted-entry") && tells(&atom, &id), "RFC 6721");
    for push in act(&|| drop(world.done(&["article", "publish", &id]))) {
        assert!(tells(&push, "Cảng mới mở"));
    }
    let moved = with(corrected, json!({ "categories": ["Văn hóa"] }));
    for push in act(&|| drop(world.import(std::slice::from_ref(&moved)))) {
        assert!(!tells(&push, "Cảng mới mở"));
    }
    world.wait_for_pushes();
    assert_eq!(callbacks.count_pushed(), 6 * 3, "one push an event and callback");
    // What changes no byte is no event.
    world.import(&[moved]);
    publish_elsewhere(&world);
    assert_eq!(callbacks.count_pushed(), 6 * 3);
}

/// An event that callbacks of `kinh-te` have nothing to do with, seen through to its end.
fn publish_elsewhere(world: &World) {
    let callbacks = Callbacks::open();
    follow(world, &callbacks, "van-hoa.json", "/van-hoa");
    world.import(&[article("khac", "Chuyện khác", "Văn hóa")]);
    push_of(world, &callbacks, "/van-hoa", "Chuyện khác");
    world.wait_for_pushes();
}

#[test]
fn every_event_is_pushed_at_once_on_sqlite() {
    every_event_is_pushed(World::new());
}

#[test]
fn every_event_is_pushed_at_once_on_postgres() {
    let mut world = World::new();
    world.on_postgres();
    every_event_is_pushed(world);
}

#[test]
fn an_embargo_that_ends_is_pushed_at_its_instant() {
    let world = newsroom();
    let callbacks = followed(&world, "kinh-te");
    let ends = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::UNIX_EPOCH)
        + chrono::Duration::milliseconds(now_millis() + 4_000);
    let from_now = Instant::now() + Duration::from_millis(4_000);
    world.import(&[with(
        article("mai", "Công bố lúc này", "Kinh tế"),
        json!({ "published": ends.to_rfc3339_opts(chrono::SecondsFormat::Millis, true) }),
    )]);
    publish(&world, "Cảng mới");
    for format in FORMATS {
        let push = push_of(&world, &callbacks, &format!("/{format}"), "Cảng mới");
        assert!(!tells(&push, "Công bố"), "{format}: not a word before its time");
    }
    for format in FORMATS {
        let path = format!("/{format}");
        push_of(&world, &callbacks, &path, "Công bố");
        let push = up_to_date(&world, &callbacks, &path, &format!("kinh-te.{format}"));
        let late = push.at.checked_duration_since(from_now - Duration::from_millis(50));
        assert!(late.is_some_and(|late| late < AT_ONCE), "{format}: {late:?}");
    }
}

fn now_millis() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[test]
fn an_article_of_one_section_reaches_no_callback_of_another() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    for (topic, path) in [
        ("kinh-te.json", "/kinh-te"),
        ("van-hoa.json", "/van-hoa"),
        ("all.json", "/tat-ca"),
        ("kinh-te,van-hoa.json", "/hop"),
        ("kinh-te+van-hoa.json", "/giao"),
        ("author:thu-ha.json", "/thu-ha"),
        ("search.json?q=cang", "/tim"),
        ("search.json?q=tau", "/tim-tau"),
    ] {
        follow(&world, &callbacks, topic, path);
    }
    let told = |title: &str, paths: &[&str]| {
        let before = callbacks.count_pushed();
        for path in paths {
            push_of(&world, &callbacks, path, title);
        }
        world.wait_for_pushes();
        std::thread::sleep(Duration::from_millis(300));
        let pushes = callbacks.requests().into_iter().filter(|request| request.method == "POST");
        let new: Vec<Request> = pushes.filter(|push| tells(push, title)).collect();
        let reached: BTreeSet<String> = new.iter().map(|push| push.path().to_owned()).collect();
        assert_eq!(reached, paths.iter().map(|path| (*path).to_owned()).collect(), "{title}");
        assert!(new.len() == paths.len(), "{title}: one push each, {before} before");
    };
    publish(&world, "Cảng mới");
    told("Cảng mới", &["/kinh-te", "/tat-ca", "/hop", "/thu-ha", "/tim"]);
    world.import(&[with(article("x", "Tàu về", "Văn hóa"), json!({ "authors": ["Chí Bảo"] }))]);
    told("Tàu về", &["/van-hoa", "/tat-ca", "/hop", "/tim-tau"]);
    world.import(&[with(article("y", "Lễ hội", "Văn hóa"), json!({ "categories": ["Kinh tế", "Văn hóa"] }))]);
    told("Lễ hội", &["/kinh-te", "/van-hoa", "/tat-ca", "/hop", "/giao", "/thu-ha"]);
    // Every last body is what GET returns now, also where nothing happened since long.
    for (path, topic) in [("/giao", "kinh-te+van-hoa.json"), ("/tim", "search.json?q=cang")] {
        up_to_date(&world, &callbacks, path, topic);
    }
}

/// The path in a page that begins so.
fn path_in(page: &str, door: &str) -> String {
    let page = page.replace("&#x2f;", "/");
    let start = page.find(door).unwrap_or_else(|| panic!("no {door} in {page}"));
    page[start..].chars().take_while(|c| !"<\"&".contains(*c)).collect()
}

#[test]
fn a_readers_own_feed_is_pushed_as_he_chooses() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let link = world.ask("an@doc.example", &["kinh-te"]).link("confirm");
    let preferences = path_in(&world.post(&link, &[]).text(), "/preferences/");
    let path = path_in(&world.get(&preferences).text(), "/my/").replace(".rss", ".json");
    let topic = targets(&crate::callbacks::links(world.get(&path).header("link").unwrap()), "self");
    assert_eq!(topic, [world.url(&path)]);
    follow(&world, &callbacks, &path, "/an");
    publish(&world, "Cảng mới");
    push_of(&world, &callbacks, "/an", "Cảng mới");
    let push = up_to_date(&world, &callbacks, "/an", &path);
    assert_eq!(targets(&push.links(), "self"), topic);
    world.import(&[article("x", "Tàu về", "Văn hóa")]);
    publish(&world, "Chợ nổi");
    assert!(!tells(&push_of(&world, &callbacks, "/an", "Chợ nổi"), "Tàu về"));
    // Another choice shows in the feed, so its callback is told: at once, or with the next event.
    world.post(&preferences, &[("shown", "kinh-te"), ("shown", "van-hoa"), ("feed", "van-hoa")]);
    world.import(&[article("y", "Hát bội", "Văn hóa")]);
    let push = push_of(&world, &callbacks, "/an", "Hát bội");
    assert!(tells(&push, "Tàu về") && !tells(&push, "Cảng mới"));
    up_to_date(&world, &callbacks, "/an", &path);
    let token = path.trim_start_matches("/my/").trim_end_matches(".json");
    for told in [world.log(), world.done(&["hub", "list"])] {
        assert!(!told.contains(token), "who reads what is nobody's business: {told}");
    }
    // Its end: nobody is pushed what nobody may read.
    world.done(&["subscriber", "erase", "an@doc.example"]);
    world.wait_for("it is gone", |world| world.get(&path).status != 200);
    let before = callbacks.pushed("/an").len();
    world.import(&[article("z", "Cải lương", "Văn hóa")]);
    world.wait_for("the section shows it", |world| {
        crate::served::titles(world, "van-hoa").contains(&"Cải lương".to_owned())
    });
    world.wait_for_pushes();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(callbacks.pushed("/an").len(), before);
}

#[test]
fn who_follows_a_section_goes_on_when_it_is_renamed() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    follow(&world, &callbacks, "kinh-te.json", "/a");
    world.done(&["category", "rename", "kinh-te", "--title", "Làm ăn", "--slug", "lam-an"]);
    push_of(&world, &callbacks, "/a", "Làm ăn");
    let push = up_to_date(&world, &callbacks, "/a", "lam-an.json");
    // The new topic: whoever renews reads it there (WebSub §9.1).
    assert_eq!(targets(&push.links(), "self"), [world.topic("lam-an.json")]);
    assert_eq!(text(&push.json(), "feed_url"), world.topic("lam-an.json"));
    publish(&world, "Cảng mới");
    push_of(&world, &callbacks, "/a", "Cảng mới");
    up_to_date(&world, &callbacks, "/a", "lam-an.json");
    assert_eq!(callbacks.asked("/a").len(), 1, "it is not denied");
    // Under its new name it is the same feed: subscribing there is no second wish of this one.
    follow(&world, &callbacks, "lam-an.json", "/b");
    publish(&world, "Chợ nổi");
    for path in ["/a", "/b"] {
        push_of(&world, &callbacks, path, "Chợ nổi");
        up_to_date(&world, &callbacks, path, "lam-an.json");
    }
}

/// The highest number among the titles of a push.
fn newest(push: &Request) -> usize {
    push.titles().iter().filter_map(|title| title.strip_prefix("Số ")?.parse().ok()).max().unwrap_or(0)
}

#[test]
fn no_older_body_follows_a_newer_one() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let paths: Vec<String> = (0..8).map(|n| format!("/cham-{n}")).collect();
    for (n, path) in (1_u64..).zip(&paths) {
        callbacks.when_pushed(path, &[Reply::Slow(Duration::from_millis(40 * n))]);
        follow(&world, &callbacks, "kinh-te.json", path);
    }
    let failing = "/hong";
    let mut replies = vec![Reply::Fine, Reply::Status(500), Reply::Close, Reply::Fine, Reply::Status(503)];
    replies.push(Reply::Fine);
    callbacks.when_pushed(failing, &replies);
    follow(&world, &callbacks, "kinh-te.json", failing);
    for n in 1..=30 {
        world.import(&[article(&format!("{n}"), &format!("Số {n}"), "Kinh tế")]);
    }
    for path in paths.iter().map(String::as_str).chain([failing]) {
        world.wait_for(&format!("{path} has the last"), |_| {
            callbacks.pushed(path).last().is_some_and(|push| newest(push) == 30)
        });
    }
    world.wait_for_pushes();
    let last = world.get("/feeds/kinh-te.json").body;
    for path in paths.iter().map(String::as_str).chain([failing]) {
        let pushes = callbacks.pushed(path);
        let numbers: Vec<usize> = pushes.iter().map(newest).collect();
        assert!(numbers.is_sorted(), "{path}: {numbers:?}");
        assert!(pushes.last().unwrap().body == last, "{path}: the last is what is");
        assert!(path == failing || numbers.len() <= 31, "{path}: {numbers:?}");
    }
    assert_eq!(callbacks.pushed_twice_at_once(), [""; 0]);
}

#[test]
fn what_changes_while_a_callback_is_verified_reaches_it() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    callbacks.when_asked("/a", &[Reply::Slow(Duration::from_millis(1_500))]);
    let asked = world.ask_hub("subscribe", "kinh-te.json", &callbacks.url("/a"), &[("hub.secret", SECRET)]);
    assert_eq!(asked.status, 202);
    world.wait_for("it is asked", |_| callbacks.asked("/a").len() == 1);
    publish(&world, "Trong lúc chờ");
    push_of(&world, &callbacks, "/a", "Trong lúc chờ");
    up_to_date(&world, &callbacks, "/a", "kinh-te.json");
    // Who comes while nothing happens has what GET gave him, and gets nothing on top.
    follow(&world, &callbacks, "kinh-te.json", "/b");
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/b").len(), 0);
}

#[test]
fn what_happened_while_the_program_was_down_is_pushed_when_it_is_back() {
    let mut world = quiet_newsroom();
    world.serve();
    let callbacks = followed(&world, "kinh-te");
    world.stop();
    publish(&world, "Trong lúc tắt");
    world.serve();
    for format in FORMATS {
        push_of(&world, &callbacks, &format!("/{format}"), "Trong lúc tắt");
        up_to_date(&world, &callbacks, &format!("/{format}"), &format!("kinh-te.{format}"));
    }
}

#[test]
fn the_newsroom_sees_whom_it_pushes_to_and_can_end_it() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    for (path, topic) in [("/a", "kinh-te.json"), ("/b", "kinh-te.json"), ("/c", "van-hoa.rss")] {
        follow(&world, &callbacks, topic, path);
    }
    publish(&world, "Cảng mới");
    push_of(&world, &callbacks, "/a", "Cảng mới");
    world.wait_for_pushes();
    let list = world.done(&["hub", "list"]);
    assert!(list.contains("/feeds/kinh-te.json") && list.contains("/feeds/van-hoa.rss"), "{list}");
    let json: Vec<Value> =
        world.done(&["hub", "list", "--json"]).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(json.iter().any(|topic| topic.to_string().contains("kinh-te.json")), "{json:?}");
    let shown = world.done(&["hub", "show", "/feeds/kinh-te.json"]);
    assert!(shown.contains(&callbacks.url("/a")) && shown.contains(&callbacks.url("/b")), "{shown}");
    assert!(!shown.contains(SECRET) && !list.contains(SECRET));
    world.done(&["hub", "drop", "--callback", &callbacks.url("/a")]);
    publish(&world, "Chợ nổi");
    push_of(&world, &callbacks, "/b", "Chợ nổi");
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/a").len(), 1);
    let metrics = world.get("/metrics").text();
    assert!(metrics.contains("hub"), "{metrics}");
}
