//! Other hubs and the newsroom's own webhooks: each is told what it missed, in order, and nothing that
//! is not for it.

use crate::callbacks::{Callbacks, Reply, Request, links, targets};
use crate::served::{AT_ONCE, FORMATS, article, id_of, with};
use crate::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

const KEY: &[u8] = b"32 bytes that only two sides know";

fn newsroom(settings: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (name, value) in settings {
        world.set(name, value);
    }
    world.import(&[article("a", "Giá lúa", "Kinh tế"), article("b", "Đêm đờn ca", "Văn hóa")]);
    world.serve();
    world
}

/// A newsroom that tells another hub, and that hub.
fn with_other_hub() -> (World, Callbacks) {
    let other = Callbacks::open();
    let world = newsroom(&[("BANTIN_HUB__EXTERNAL", &other.url("/hub"))]);
    (world, other)
}

/// The topics that pings named, below `/feeds/`.
fn named(world: &World, pings: &[Request]) -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    for ping in pings {
        assert_eq!(ping.header("content-type"), Some("application/x-www-form-urlencoded"));
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&ping.body).into_owned().collect();
        assert_eq!(fields[0], ("hub.mode".to_owned(), "publish".to_owned()));
        for (name, topic) in &fields[1..] {
            assert_eq!(name, "hub.url");
            topics.insert(topic.strip_prefix(&world.url("/feeds/")).unwrap().to_owned());
        }
    }
    topics
}

fn in_all_formats(names: &[&str]) -> BTreeSet<String> {
    names.iter().flat_map(|name| FORMATS.map(|format| format!("{name}.{format}"))).collect()
}

#[test]
fn another_hub_is_told_of_exactly_the_feeds_that_changed() {
    let (world, other) = with_other_hub();
    world.import(&[article("c", "Cảng mới", "Kinh tế")]);
    let begun = Instant::now();
    world.wait_for("a ping", |_| !other.pushed("/hub").is_empty());
    let pings = other.pushed("/hub");
    assert!(pings[0].at.saturating_duration_since(begun) < AT_ONCE);
    assert_eq!(named(&world, &pings), in_all_formats(&["all", "kinh-te"]));
    world.import(&[article("c", "Cảng mới", "Kinh tế")]);
    world.import(&[article("d", "Chợ nổi", "Văn hóa")]);
    world.wait_for("another ping", |_| other.pushed("/hub").len() > pings.len());
    let later = &other.pushed("/hub")[pings.len()..];
    assert_eq!(named(&world, later), in_all_formats(&["all", "van-hoa"]));
}

#[test]
fn another_hub_that_was_away_is_told_everything_that_it_missed() {
    let (world, other) = with_other_hub();
    other.when_pushed("/hub", &[Reply::Status(503), Reply::Close, Reply::Fine]);
    world.import(&[article("c", "Cảng mới", "Kinh tế")]);
    world.wait_for("the first try", |_| !other.pushed("/hub").is_empty());
    world.import(&[article("d", "Chợ nổi", "Văn hóa")]);
    world.wait_at_most(std::time::Duration::from_secs(60), "the third try", |_| {
        other.pushed("/hub").len() >= 3
    });
    let last = other.pushed("/hub").pop().unwrap();
    assert_eq!(named(&world, &[last]), in_all_formats(&["all", "kinh-te", "van-hoa"]));
    world.wait_for("it is well again", |world| !world.done(&["hub", "list"]).contains("failing"));
}

#[test]
fn documents_name_the_hubs_that_are_told_of_them() {
    let (world, other) = with_other_hub();
    let (own, other) = (world.url("/websub"), other.url("/hub"));
    let own_only = std::slice::from_ref(&own);
    let hubs_of = |path: &str| {
        let answer = world.get(path);
        let links = links(answer.header("link").unwrap());
        assert_eq!(targets(&links, "self"), [world.url(path)], "exactly one self");
        let body = answer.text();
        for hub in targets(&links, "hub") {
            assert!(body.contains(&hub), "{path} names {hub} in its body too");
        }
        assert_eq!(body.contains(&other), targets(&links, "hub").contains(&other), "{path}");
        targets(&links, "hub")
    };
    for format in FORMATS {
        assert_eq!(hubs_of(&format!("/feeds/kinh-te.{format}")), [own.clone(), other.clone()]);
        assert_eq!(hubs_of(&format!("/feeds/kinh-te,van-hoa.{format}")), own_only);
        assert_eq!(hubs_of(&format!("/feeds/search.{format}?q=lua")), own_only);
    }
    assert_eq!(world.get("/feeds/kinh-te").header("link"), None, "the page for people is no topic");
    assert_eq!(world.get("/opml").header("link"), None);
}

#[test]
fn a_switched_off_hub_leaves_the_others() {
    let other = Callbacks::open();
    let world = newsroom(&[("BANTIN_HUB__ENABLED", "false"), ("BANTIN_HUB__EXTERNAL", &other.url("/hub"))]);
    let answer = world.get("/feeds/kinh-te.atom");
    assert_eq!(targets(&links(answer.header("link").unwrap()), "hub"), [other.url("/hub")]);
    assert!(!answer.text().contains("/websub"));
    assert_eq!(world.get("/feeds/kinh-te,van-hoa.atom").header("link"), None);
    assert_eq!(world.post("/websub", &[("hub.mode", "subscribe")]).status, 404);
    world.import(&[article("c", "Cảng mới", "Kinh tế")]);
    world.wait_for("a ping", |_| !other.pushed("/hub").is_empty());
}

/// A newsroom with a webhook, and its receiver.
fn with_webhook() -> (World, Callbacks) {
    let receiver = Callbacks::open();
    let secret = format!("whsec_{}", STANDARD.encode(KEY));
    let world =
        newsroom(&[("BANTIN_WEBHOOKS__URLS", &receiver.url("/hook")), ("BANTIN_WEBHOOKS__SECRET", &secret)]);
    (world, receiver)
}

/// The message of a webhook, once its signature was checked as Standard Webhooks has it.
#[track_caller]
fn message(request: &Request) -> Value {
    let [id, timestamp] = ["webhook-id", "webhook-timestamp"].map(|name| request.header(name).unwrap());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(request.header("webhook-signature"), Some(expected.as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    request.json()
}

fn kinds(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| message(request)["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_webhook_hears_what_became_of_an_article_in_order() {
    let (world, receiver) = with_webhook();
    world.import(&[article("c", "Cảng mới", "Kinh tế")]);
    let id = id_of(&world, "kinh-te", "Cảng mới");
    world.import(&[with(article("c", "Cảng mới mở", "Kinh tế"), json!({ "significant": true }))]);
    world.done(&["article", "withdraw", &id]);
    world.done(&["article", "publish", &id]);
    world.wait_for("four messages", |_| receiver.pushed("/hook").len() >= 4);
    let told = receiver.pushed("/hook");
    assert_eq!(
        kinds(&told),
        ["article.published", "article.changed", "article.withdrawn", "article.published"]
    );
    let data = &message(&told[2])["data"];
    assert_eq!((&data["id"], &data["title"]), (&json!(id), &json!("Cảng mới mở")));
    assert!(data["url"].as_str().unwrap().starts_with("http"), "{data}");
    let ids: BTreeSet<&str> = told.iter().map(|request| request.header("webhook-id").unwrap()).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn what_a_webhook_did_not_take_is_repeated_under_its_id_and_nothing_overtakes_it() {
    let (mut world, receiver) = with_webhook();
    receiver.when_pushed("/hook", &[Reply::Status(500), Reply::Fine]);
    world.import(&[article("c", "Cảng mới", "Kinh tế"), article("d", "Chợ nổi", "Văn hóa")]);
    world.wait_for("the first try", |_| !receiver.pushed("/hook").is_empty());
    // It dies before the second.
    world.kill();
    world.serve();
    world.wait_at_most(std::time::Duration::from_secs(60), "both messages", |_| {
        receiver.pushed("/hook").len() >= 3
    });
    let told = receiver.pushed("/hook");
    let titles: Vec<String> =
        told.iter().map(|request| message(request)["data"]["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles, ["Cảng mới", "Cảng mới", "Chợ nổi"]);
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    assert_ne!(told[1].header("webhook-id"), told[2].header("webhook-id"));
}

#[test]
fn a_webhook_hears_that_an_edition_is_complete() {
    let (world, receiver) = with_webhook();
    world.fill(3);
    world.import(&[article("c", "Cảng mới", "Kinh tế")]);
    world.done(&["digest", "run", "hang-ngay"]);
    world.wait_for("the edition is told", |_| {
        receiver.pushed("/hook").iter().any(|request| message(request)["type"] == "edition.completed")
    });
    let told = receiver.pushed("/hook");
    let edition = told.iter().map(message).find(|message| message["type"] == "edition.completed").unwrap();
    assert_eq!(edition["data"]["digest"], "hang-ngay");
}
