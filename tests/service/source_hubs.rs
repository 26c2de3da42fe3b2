//! Polled feeds that a hub pushes (WebSub): our own hub at the other end, and one that does as it is told.

use crate::callbacks::{Callbacks, Reply, Request, signature};
use crate::gets::rows;
use crate::served::article;
use crate::sources::{Bureau, reply, rss, source, titles};
use crate::world::{Answer, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A newsroom that polls a feed seldom, the feed, and the hub that it names.
struct Line {
    world: World,
    bureau: Bureau,
    hub: Callbacks,
}

const TOPIC: &str = "https://ban.example/rss";

impl Line {
    /// The feed names its hub in its headers, the topic in its document alone.
    fn open(more: &str) -> Self {
        let (mut world, bureau, hub) = (World::new(), Bureau::new(), Callbacks::open());
        world.write(
            "bantin.toml",
            format!(
                "[sources.ban]\nkind = \"feed\"\nurl = \"{}\"\nprivate = true\nevery = \"10m\"\n{more}",
                bureau.url("/rss")
            ),
        );
        let line = {
            hub.when_pushed("/hub", &[Reply::Status(202)]);
            tell(&bureau, &hub, &[("1", "Một")]);
            world.serve();
            Self { world, bureau, hub }
        };
        line.world.wait_for("the feed is read", |world| titles(world).contains(&"Một".to_owned()));
        line
    }

    /// What the hub was last asked, once it was asked so often.
    fn asked(&self, times: usize) -> BTreeMap<String, String> {
        self.world.wait_for("the hub is asked", |_| self.hub.pushed("/hub").len() >= times);
        said(&self.hub.pushed("/hub").pop().unwrap())
    }

    /// The hub asks whether that was meant.
    fn ask_back(&self, callback: &str, mode: &str, topic: &str, lease: &str) -> Answer {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("hub.mode", mode),
                ("hub.topic", topic),
                ("hub.challenge", "thử-thách"),
                ("hub.lease_seconds", lease),
                ("hub.reason", "khóa"),
            ])
            .finish();
        self.world.get(&format!("{callback}?{query}"))
    }

    fn push(&self, callback: &str, signature: Option<&str>, body: &str) -> u16 {
        let header = signature.map(|signature| ("X-Hub-Signature", signature));
        self.world.request("POST", callback, header.as_slice(), body.as_bytes()).status
    }

    /// How often the feed was fetched.
    fn fetched(&self) -> usize {
        self.bureau.asked().len()
    }

    fn wait_for_fetches(&self, count: usize) {
        self.world.wait_for("the feed is fetched", |_| self.fetched() >= count);
        assert_eq!(self.fetched(), count);
    }
}

fn tell(bureau: &Bureau, hub: &Callbacks, items: &[(&str, &str)]) {
    let link = format!("Link: <{}>; rel=\"hub\"\r\n", hub.url("/hub"));
    let own = format!("<channel><atom:link rel=\"self\" href=\"{TOPIC}\"/>");
    let body = rss(items).replace("<channel>", &own);
    bureau.answers(move |_, _| reply(200, &link, &body));
}

/// What a hub was told.
fn said(request: &Request) -> BTreeMap<String, String> {
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn path(callback: &str) -> String {
    url::Url::parse(callback).unwrap().path().to_owned()
}

/// Seconds from the last look to the next.
fn pace(world: &World) -> i64 {
    let state = source(world, "ban");
    let at = |name: &str| chrono::DateTime::parse_from_rfc3339(state[name].as_str().unwrap()).unwrap();
    (at("due_at") - at("looked_at")).num_seconds()
}

#[test]
fn an_article_of_another_newsroom_is_here_within_seconds_and_none_is_lost_by_a_death() {
    let (mut there, mut here) = (World::new(), World::new());
    there.open_hub();
    there.import(&[article("1", "Một", "Kinh tế")]);
    there.serve();
    here.write(
        "bantin.toml",
        format!(
            "[sources.ban]\nkind = \"feed\"\nurl = \"{}\"\nprivate = true\nevery = \"6h\"\n",
            there.url("/feeds/all.atom")
        ),
    );
    here.serve();
    here.wait_for("the hub pushes", |world| source(world, "ban")["hub"]["pushes_until"].is_string());
    assert_eq!(titles(&here), ["Một"]);
    // After the look that follows the hub's word.
    here.wait_for("nothing is under way", |world| pace(world) == 21_600);
    there.import(&[article("2", "Hai", "Kinh tế")]);
    here.wait_at_most(Duration::from_secs(8), "it is here", |world| titles(world) == ["Hai", "Một"]);
    assert!(source(&here, "ban")["hub"]["pushed_at"].is_string());
    assert!(here.done(&["source", "list"]).contains("/websub pushes until 20"));
    // Killed while it is told; the hub tells it again.
    here.kill();
    there.import(&[article("3", "Ba", "Kinh tế")]);
    here.serve();
    here.wait_at_most(Duration::from_secs(40), "it is here", |world| titles(world).len() == 3);
    let secrets = here.texts("SELECT key FROM source_hubs UNION ALL SELECT secret FROM source_hubs");
    assert!(secrets.len() == 2 && !secrets.iter().any(|secret| here.log().contains(secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_answered_what_was_asked_of_it_and_nothing_else() {
    let line = Line::open("");
    let asked = line.asked(1);
    assert_eq!((asked["hub.mode"].as_str(), asked["hub.topic"].as_str()), ("subscribe", TOPIC));
    assert_eq!(asked["hub.lease_seconds"], "864000");
    let (callback, secret) = (path(&asked["hub.callback"]), asked["hub.secret"].clone());
    let right = signature("sha256", &secret, b"x");
    assert!(callback.len() > 64 && secret.len() == 64);
    let before = rows(&line.world).await;
    let (most, last) = callback.split_at(callback.len() - 1);
    let other = format!("{most}{}", if last == "0" { "1" } else { "0" });
    let strange = callback.replace("/ban/", "/khac/");
    for (place, mode, topic) in [
        (&callback, "subscribe", "https://ban.example/khac"),
        (&callback, "unsubscribe", TOPIC),
        (&callback, "denied", "https://ban.example/khac"),
        (&callback, "", TOPIC),
        (&other, "subscribe", TOPIC),
        (&other, "denied", TOPIC),
        (&strange, "subscribe", TOPIC),
    ] {
        assert_eq!(line.ask_back(place, mode, topic, "600").status, 404, "{place} {mode} {topic}");
    }
    assert_eq!(line.push(&callback, Some(&right), "x"), 404, "it pushes before it was told to");
    assert_eq!(rows(&line.world).await, before, "who asks for what was not meant changes something");
    let answer = line.ask_back(&callback, "subscribe", TOPIC, "600");
    assert_eq!((answer.status, answer.text().as_str()), (200, "thử-thách"));
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    // What was published before it pushed is looked for.
    line.wait_for_fetches(2);
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "600").status, 200, "our answer was lost");
    assert_eq!(line.push(&other, Some(&right), "x"), 404);
    assert_eq!(line.push(&strange, Some(&right), "x"), 404);

    let wrong = signature("sha256", "khác", b"x");
    for signature in [None, Some(wrong.as_str()), Some(""), Some("sha256="), Some("md5=00")] {
        assert_eq!(line.push(&callback, signature, "x"), 202, "who forges learns nothing: {signature:?}");
    }
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(line.fetched(), 2, "a push that is not signed is heard");
    assert!(source(&line.world, "ban")["hub"]["pushed_at"].is_null());
    for (count, method) in (3..).zip(["sha1", "sha256", "sha384", "sha512"]) {
        assert_eq!(line.push(&callback, Some(&signature(method, &secret, b"x")), "x"), 202);
        line.wait_for_fetches(count);
    }
    assert!(line.bureau.asked()[5].contains("cache-control: no-cache"), "a cache may not know it yet");
    assert!(
        !line.world.log().contains(&secret)
            && !line.world.log().contains(callback.split('/').next_back().unwrap())
    );
}

#[test]
fn a_hub_that_can_be_believed_lets_its_feed_be_polled_less_and_one_that_misses_something_does_not() {
    let line = Line::open("");
    let asked = line.asked(1);
    let (callback, secret) = (path(&asked["hub.callback"]), asked["hub.secret"].clone());
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "86400").status, 200);
    line.wait_for_fetches(2);
    line.world.wait_for("it has not pushed yet", |world| pace(world) == 600);
    tell(&line.bureau, &line.hub, &[("1", "Một"), ("2", "Hai")]);
    assert_eq!(line.push(&callback, Some(&signature("sha512", &secret, b"")), ""), 202);
    line.world.wait_for("it is taken", |world| titles(world).len() == 2);
    line.world.wait_for("it is polled less", |world| pace(world) == 2_400);
    // What is announced and not there is looked for once more.
    assert_eq!(line.push(&callback, Some(&signature("sha1", &secret, b"")), ""), 202);
    line.world.wait_for("it is looked for again", |world| pace(world) == 60);
    line.world.done(&["source", "run", "ban"]);
    assert_eq!(pace(&line.world), 2_400);
    tell(&line.bureau, &line.hub, &[("3", "Ba")]);
    line.world.done(&["source", "run", "ban"]);
    assert_eq!(pace(&line.world), 600, "it came without a push");
}

#[test]
fn a_lease_is_renewed_well_before_its_end_and_a_hub_that_says_no_leaves_the_feed_to_be_polled() {
    let line = Line::open("");
    let first = line.asked(1);
    let callback = path(&first["hub.callback"]);
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "14").status, 200);
    line.hub.when_pushed("/hub", &[Reply::To(307, "/hub2".to_owned())]);
    let begun = std::time::Instant::now();
    line.world.wait_at_most(Duration::from_secs(11), "it is asked again, where it sends us", |_| {
        !line.hub.pushed("/hub2").is_empty()
    });
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(
        said(&line.hub.pushed("/hub2")[0]),
        first,
        "the same callback, the same secret: it is renewed and not another"
    );
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "864000").status, 200);

    assert_eq!(line.ask_back(&callback, "denied", TOPIC, "").status, 204);
    let told = line.world.done(&["source", "list"]);
    assert!(told.contains("does not push: it says no: khóa"), "{told}");
    let right = signature("sha256", &first["hub.secret"], b"x");
    assert_eq!(line.push(&callback, Some(&right), "x"), 404);
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "60").status, 404, "it is asked tomorrow");
    tell(&line.bureau, &line.hub, &[("2", "Hai")]);
    assert!(line.world.done(&["source", "run", "ban"]).contains("1 new"));
    assert_eq!(pace(&line.world), 600);
    let check = line.world.run(&["check"]);
    assert!(String::from_utf8_lossy(&check.stdout).contains("does not push: it says no: khóa"), "{check:?}");
}

#[test]
fn a_hub_that_fails_or_is_not_wanted_costs_nothing() {
    let line = Line::open("");
    line.asked(1);
    // Another hub now, which is out of order.
    line.hub.when_pushed("/hong", &[Reply::Status(500)]);
    let link = format!("Link: <{}>; rel=hub, <{TOPIC}>; rel=self\r\n", line.hub.url("/hong"));
    let one = link.clone();
    line.bureau.answers(move |_, _| reply(200, &one, &rss(&[("2", "Hai")])));
    assert!(line.world.done(&["source", "run", "ban"]).contains("1 new"));
    line.world.wait_for("it fails", |world| source(world, "ban")["hub"]["last_error"] == "it answers 500");
    assert_eq!(source(&line.world, "ban")["state"], "well");
    assert_eq!(pace(&line.world), 600);
    // Two, of which only the second does as it is told.
    let link = link.replace("<https", &format!("<{}>; rel=hub, <https", line.hub.url("/tot")));
    line.hub.when_pushed("/tot", &[Reply::Status(202)]);
    line.bureau.answers(move |_, _| reply(200, &link, &rss(&[("3", "Ba")])));
    assert!(line.world.done(&["source", "run", "ban"]).contains("1 new"));
    line.world.change("UPDATE source_hubs SET due_at = 0");
    line.world.wait_for("the other is asked", |_| !line.hub.pushed("/tot").is_empty());
    let callback = path(&said(&line.hub.pushed("/tot")[0])["hub.callback"]);
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "600").status, 200);
    // None any more: it is told so, and asks whether that was meant.
    line.bureau.answers(|_, _| reply(200, "", &rss(&[("2", "Hai")])));
    line.world.done(&["source", "run", "ban"]);
    assert_eq!(source(&line.world, "ban")["hub"], Value::Null);
    line.world.wait_for("it is told", |_| line.hub.pushed("/tot").len() == 2);
    let told = said(&line.hub.pushed("/tot")[1]);
    assert_eq!((told["hub.mode"].as_str(), path(&told["hub.callback"])), ("unsubscribe", callback.clone()));
    assert_eq!(line.ask_back(&callback, "subscribe", TOPIC, "600").status, 404);
    let answer = line.ask_back(&callback, "unsubscribe", TOPIC, "");
    assert_eq!((answer.status, answer.text().as_str()), (200, "thử-thách"));

    let line = Line::open("websub = false\n");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((source(&line.world, "ban")["hub"].clone(), line.hub.connections()), (Value::Null, 0));
}
