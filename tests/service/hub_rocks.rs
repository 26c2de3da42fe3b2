//! The tests of websub.rocks for hubs (100 to 106) and publishers, made again from their description,
//! with rel=self compared to the topic; and npm's `pubsubhubbub` as a subscriber that knows nothing
//! of us.

use crate::callbacks::{Callbacks, Request, links, signature, targets};
use crate::hub::{newsroom, publish, push_of, quiet_newsroom};
use crate::served::FORMATS;
use crate::world::{World, node_command};
use regex::Regex;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A subscriber that discovers a topic as anybody does: Link header first, then the document.
struct Subscriber<'w> {
    world: &'w World,
    callbacks: Callbacks,
    topic: String,
    hub: String,
    secret: Option<&'static str>,
}

/// Hubs and selves that the document itself names.
fn links_in(body: &str, format: &str) -> Vec<(String, String)> {
    if format == "json" {
        let feed: Value = serde_json::from_str(body).unwrap();
        let hub = |hub: &Value| {
            assert_eq!(hub["type"], "WebSub");
            (hub["url"].as_str().unwrap().to_owned(), "hub".to_owned())
        };
        let hubs = feed["hubs"].as_array().unwrap().iter().map(hub);
        return hubs.chain([(feed["feed_url"].as_str().unwrap().to_owned(), "self".to_owned())]).collect();
    }
    let link = Regex::new(r"<(?:atom:)?link\b[^>]*>").unwrap();
    let value = |tag: &str, name: &str| {
        let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        tag[from..].split('"').next().map(str::to_owned)
    };
    let header = body.split("<entry>").next().unwrap().split("<item>").next().unwrap();
    link.find_iter(header)
        .filter_map(|tag| Some((value(tag.as_str(), "href")?, value(tag.as_str(), "rel")?)))
        .filter(|(_, rel)| rel == "hub" || rel == "self")
        .collect()
}

impl<'w> Subscriber<'w> {
    fn discovers(world: &'w World, path: &str, secret: Option<&'static str>) -> Self {
        let answer = world.get(path);
        let mut selves = targets(&links(answer.header("link").unwrap()), "self");
        let hubs = targets(&links(answer.header("link").unwrap()), "hub");
        assert_eq!(selves.len(), 1, "exactly one rel=self: {selves:?}");
        let topic = selves.pop().unwrap();
        Self { world, callbacks: Callbacks::open(), topic, hub: hubs[0].clone(), secret }
    }

    fn asks(&self, mode: &str, more: &[(&str, &str)]) {
        let callback = self.callbacks.url("/callback?token=a1b2");
        let mut fields =
            vec![("hub.mode", mode), ("hub.topic", self.topic.as_str()), ("hub.callback", callback.as_str())];
        fields.extend(self.secret.map(|secret| ("hub.secret", secret)));
        fields.extend(more);
        let path = self.hub.strip_prefix(&self.world.url("")).expect("the hub is ours");
        let before = self.callbacks.asked("/callback").len();
        assert_eq!(self.world.post(path, &fields).status, 202);
        self.world.wait_for("the hub verifies", |_| self.callbacks.asked("/callback").len() > before);
        let asked = self.callbacks.asked("/callback").pop().unwrap();
        assert_eq!(asked.parameter("hub.mode").as_deref(), Some(mode));
        assert_eq!(asked.parameter("hub.topic").as_ref(), Some(&self.topic));
        assert!(asked.parameter("hub.challenge").is_some_and(|challenge| !challenge.is_empty()));
        if mode == "subscribe" {
            let lease: u64 = asked.parameter("hub.lease_seconds").unwrap().parse().unwrap();
            assert!(lease > 0);
        }
        self.world.wait_for_verifications();
    }

    /// Waits for the notification of an article and judges it as websub.rocks does, and its self.
    fn is_told(&self, title: &str) -> Request {
        let push = push_of(self.world, &self.callbacks, "/callback", title);
        let path = self.topic.strip_prefix(&self.world.url("")).expect("the topic is ours");
        let topic = self.world.get(path);
        assert!(!push.body.trim_ascii().is_empty());
        assert!(push.body == topic.body, "the notification is what the topic is");
        assert_eq!(push.header("content-type"), topic.header("content-type"));
        assert_eq!(targets(&push.links(), "hub")[0], self.hub);
        assert_eq!(targets(&push.links(), "self"), std::slice::from_ref(&self.topic));
        let given = push.header("x-hub-signature");
        match self.secret {
            None => assert_eq!(given, None, "no secret was given"),
            Some(secret) => {
                let method = given.unwrap().split('=').next().unwrap();
                assert_eq!(given, Some(signature(method, secret, &push.body).as_str()));
            }
        }
        push
    }

    fn count(&self) -> usize {
        self.world.wait_for_pushes();
        self.callbacks.count_pushed()
    }
}

#[test]
fn hub_100_a_typical_subscriber() {
    let world = newsroom();
    let subscriber = Subscriber::discovers(&world, "/feeds/kinh-te.atom", None);
    subscriber.asks("subscribe", &[]);
    publish(&world, "Cảng mới");
    subscriber.is_told("Cảng mới");
}

#[test]
fn hub_101_a_subscription_with_a_secret() {
    let world = newsroom();
    let subscriber = Subscriber::discovers(&world, "/feeds/kinh-te.rss", Some("Zm9vYmFyYmF6cXV4cXV1"));
    subscriber.asks("subscribe", &[]);
    publish(&world, "Cảng mới");
    subscriber.is_told("Cảng mới");
}

#[test]
fn hub_102_a_subscriber_sends_additional_parameters() {
    let world = newsroom();
    let subscriber = Subscriber::discovers(&world, "/feeds/kinh-te.rss", None);
    subscriber.asks("subscribe", &[("foo", "bar"), ("hub.foo", "hub.bar")]);
    publish(&world, "Cảng mới");
    subscriber.is_told("Cảng mới");
}

#[test]
fn hub_103_a_subscriber_renews_before_its_lease_ends() {
    let world = newsroom();
    let subscriber = Subscriber::discovers(&world, "/feeds/kinh-te.rss", None);
    subscriber.asks("subscribe", &[]);
    publish(&world, "Cảng mới");
    subscriber.is_told("Cảng mới");
    subscriber.asks("subscribe", &[]);
    publish(&world, "Chợ nổi");
    subscriber.is_told("Chợ nổi");
    assert_eq!(subscriber.count(), 2, "one notification each: a renewal is no second subscription");
}

#[test]
fn hub_104_who_unsubscribed_is_notified_no_more() {
    let world = newsroom();
    let subscriber = Subscriber::discovers(&world, "/feeds/kinh-te.rss", None);
    let other = Subscriber::discovers(&world, "/feeds/kinh-te.rss", None);
    subscriber.asks("subscribe", &[]);
    other.asks("subscribe", &[]);
    publish(&world, "Cảng mới");
    subscriber.is_told("Cảng mới");
    subscriber.asks("unsubscribe", &[]);
    publish(&world, "Chợ nổi");
    other.is_told("Chợ nổi");
    assert_eq!(subscriber.count(), 1);
}

/// We publish no text/plain; what the test is about is that a hub neither guesses a type nor reads
/// what it carries.
#[test]
fn hub_105_each_type_goes_out_under_its_own_name() {
    let world = newsroom();
    let kinds = FORMATS.map(|format| {
        let subscriber = Subscriber::discovers(&world, &format!("/feeds/kinh-te.{format}"), None);
        subscriber.asks("subscribe", &[]);
        subscriber
    });
    publish(&world, "Cảng <b>mới</b> & ]]> \u{1F6A2}");
    let types = kinds.map(|subscriber| {
        let push = subscriber.is_told("\u{1F6A2}");
        push.header("content-type").unwrap().split(';').next().unwrap().to_owned()
    });
    assert_eq!(types, ["application/rss+xml", "application/atom+xml", "application/feed+json"]);
}

#[test]
fn hub_106_a_topic_in_json() {
    let world = newsroom();
    let subscriber = Subscriber::discovers(&world, "/feeds/kinh-te.json", None);
    subscriber.asks("subscribe", &[]);
    publish(&world, "Cảng mới");
    assert_eq!(subscriber.is_told("Cảng mới").titles()[0], "Cảng mới");
}

#[test]
fn publisher_every_topic_names_its_hub_and_one_self_in_header_and_document() {
    let world = newsroom();
    for format in FORMATS {
        for name in ["kinh-te", "all", "kinh-te,van-hoa", "author:thu-ha"] {
            let path = format!("/feeds/{name}.{format}");
            let answer = world.get(&path);
            let header = links(answer.header("link").unwrap_or_else(|| panic!("{path} has links")));
            let document = links_in(&answer.text(), format);
            for (place, links) in [("header", &header), ("document", &document)] {
                assert_eq!(targets(links, "self"), [world.url(&path)], "{path}: {place}");
                assert_eq!(targets(links, "hub"), [world.url("/websub")], "{path}: {place}");
            }
            let head = world.request("HEAD", &path, &[], b"");
            assert_eq!(head.header("link"), answer.header("link"), "{path}");
        }
    }
    assert_ne!(world.get("/.well-known/host-meta").status, 200, "which would be asked as well");
}

#[test]
fn publisher_a_subscription_for_two_hours_delivers_live() {
    let world = newsroom();
    for format in FORMATS {
        let subscriber = Subscriber::discovers(&world, &format!("/feeds/kinh-te.{format}"), None);
        subscriber.asks("subscribe", &[("hub.lease_seconds", "7200")]);
        let granted = subscriber.callbacks.asked("/callback")[0].parameter("hub.lease_seconds");
        assert_eq!(granted.as_deref(), Some("7200"));
        let title = format!("Tin bằng {format}");
        publish(&world, &title);
        subscriber.is_told(&title);
    }
}

#[test]
fn publisher_an_address_that_moved_leads_to_the_topic_of_today() {
    let world = newsroom();
    world.done(&["category", "rename", "kinh-te", "--slug", "lam-an"]);
    world.wait_for("the old address redirects", |world| world.get("/feeds/kinh-te.rss").status == 301);
    let moved = world.get("/feeds/kinh-te.rss");
    assert!(moved.header("link").is_none(), "a redirect is no topic");
    let subscriber = Subscriber::discovers(&world, moved.header("location").unwrap(), None);
    assert_eq!(subscriber.topic, world.topic("lam-an.rss"));
    subscriber.asks("subscribe", &[]);
    publish(&world, "Cảng mới");
    subscriber.is_told("Cảng mới");
}

#[test]
fn publisher_a_newsroom_without_a_hub_names_none() {
    let mut world = quiet_newsroom();
    world.set("BANTIN_HUB__ENABLED", "false");
    world.serve();
    for format in FORMATS {
        let answer = world.get(&format!("/feeds/kinh-te.{format}"));
        let hubs = answer.header("link").map(links).map(|links| targets(&links, "hub")).unwrap_or_default();
        assert!(hubs.is_empty() && !answer.text().contains("/websub"), "{answer:?}");
    }
    assert_eq!(world.ask_hub("subscribe", "kinh-te.rss", "http://127.0.0.1:1/", &[]).status, 404);
}

/// npm's `pubsubhubbub` at work.
struct Library {
    process: Child,
    orders: ChildStdin,
    told: Receiver<Value>,
}

impl Library {
    fn start(topic: &str, hub: &str) -> Self {
        let mut command = node_command(include_str!("readers/pubsubhubbub.js"), &[topic, hub]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| {
            panic!("node is needed for the tests ({e}); tests/run installs it");
        });
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        let orders = process.stdin.take().unwrap();
        let library = Self { process, orders, told };
        library.tells("listen");
        library
    }

    /// The next thing it tells.
    #[track_caller]
    fn next(&self) -> Value {
        self.told.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|error| {
            panic!("it tells nothing ({error}); npm's pubsubhubbub is needed, tests/run installs it")
        })
    }

    /// The next thing it tells, which must be this.
    #[track_caller]
    fn tells(&self, what: &str) -> Value {
        let told = self.next();
        assert_eq!(told["event"], what, "{told}");
        told
    }

    /// The next two things, which may come in either order, in the alphabet's.
    #[track_caller]
    fn tells_both(&self, first: &str, second: &str) -> [Value; 2] {
        let mut told = [self.next(), self.next()];
        told.sort_by_key(|told| told["event"].to_string());
        assert_eq!((&told[0]["event"], &told[1]["event"]), (&json!(first), &json!(second)));
        told
    }

    /// Tells it what to do.
    fn does(&mut self, what: &str) {
        writeln!(self.orders, "{what}").unwrap();
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn npm_pubsubhubbub_subscribes_verifies_receives_renews_and_leaves() {
    let mut world = quiet_newsroom();
    world.set("BANTIN_HUB__SIGNATURE", "sha512");
    world.serve();
    let callbacks = Callbacks::open();
    for format in FORMATS {
        let name = format!("kinh-te.{format}");
        let mut library = Library::start(&world.topic(&name), &world.url("/websub"));
        for round in ["Lần đầu", "Lần sau"] {
            library.does("subscribe");
            // It may be asked before it hears that its wish was taken.
            let [_, verified] = library.tells_both("asked", "subscribe");
            assert_eq!(verified["topic"], json!(world.topic(&name)));
            let left = verified["left"].as_i64().unwrap();
            assert!((3_590..=3_601).contains(&left), "it asked for an hour: {left}");
            world.wait_for_verifications();
            let title = format!("{round}, {format}");
            publish(&world, &title);
            // It tells of nothing whose signature is wrong.
            let feed = library.tells("feed");
            assert_eq!(feed["topic"], json!(world.topic(&name)));
            assert_eq!(feed["hub"], json!(world.url("/websub")));
            let got = world.get(&format!("/feeds/{name}"));
            assert!(got.text().contains(&title));
            assert_eq!(feed["body"], json!(got.text()));
            assert_eq!(feed["type"].as_str(), got.header("content-type"));
            world.wait_for_pushes();
        }
        library.does("unsubscribe");
        library.tells_both("asked", "unsubscribe");
        world.wait_for_verifications();
        let path = format!("/{format}");
        world.follow(&name, &callbacks.url(&path), &[]);
        publish(&world, &format!("Sau đó, {format}"));
        push_of(&world, &callbacks, &path, "Sau đó");
        world.wait_for_pushes();
        assert!(library.told.try_recv().is_err(), "who left hears nothing");
    }
}
