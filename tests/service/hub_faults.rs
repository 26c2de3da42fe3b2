//! Callbacks that do anything but what they should: it is their own loss and nobody else's, costs
//! little, and tells strangers nothing of the network that the hub stands in.

use crate::callbacks::{Callbacks, Reply, deaf_host, nobody, slamming_host};
use crate::hub::{newsroom, publish, push_of, quiet_newsroom};
use crate::served::AT_ONCE;
use crate::world::World;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What a few socket buffers hold; far below what [`Reply::Huge`] would send.
const SOME_MEGABYTES: u64 = 64 << 20;

/// A newsroom that waits three seconds for an answer.
fn impatient() -> World {
    let mut world = quiet_newsroom();
    world.set("BANTIN_HUB__TIMEOUT_SECONDS", "3");
    world.serve();
    world
}

fn faults() -> Vec<(&'static str, Reply)> {
    vec![
        ("/dong", Reply::Close),
        ("/nua-dau", Reply::HalfHead),
        ("/nua-than", Reply::HalfBody),
        ("/lang", Reply::Silence),
        ("/500", Reply::Status(500)),
        ("/503", Reply::Status(503)),
    ]
}

#[test]
fn a_verification_that_fails_on_the_way_is_tried_again() {
    let (world, callbacks) = (impatient(), Callbacks::open());
    for (path, fault) in faults() {
        callbacks.when_asked(path, &[fault, Reply::Fine]);
        assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &callbacks.url(path), &[]).status, 202);
    }
    let started = Instant::now();
    assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &callbacks.url("/tot"), &[]).status, 202);
    world.wait_for("the others wait for nobody", |_| !callbacks.asked("/tot").is_empty());
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    for (path, _) in faults() {
        world.wait_for(&format!("{path} is asked again"), |_| callbacks.asked(path).len() == 2);
        let challenges: BTreeSet<_> =
            callbacks.asked(path).iter().map(|asked| asked.parameter("hub.challenge")).collect();
        assert_eq!(challenges.len(), 2, "{path}: each question is its own");
    }
    world.wait_for_verifications();
    publish(&world, "Cảng mới");
    for (path, _) in faults() {
        push_of(&world, &callbacks, path, "Cảng mới");
    }
}

#[test]
fn a_push_that_fails_in_any_way_is_made_up_for() {
    let (world, callbacks) = (impatient(), Callbacks::open());
    for (path, fault) in faults().into_iter().chain([("/to", Reply::Huge)]) {
        callbacks.when_pushed(path, &[fault, Reply::Fine]);
        world.follow("kinh-te.json", &callbacks.url(path), &[]);
    }
    world.follow("kinh-te.json", &callbacks.url("/tot"), &[]);
    publish(&world, "Cảng mới");
    let done = Instant::now();
    let push = push_of(&world, &callbacks, "/tot", "Cảng mới");
    assert!(push.at.saturating_duration_since(done) < AT_ONCE, "it waits for nobody");
    // A head that says 200 and a body that nobody reads: whether that was taken is for the hub to say.
    for path in ["/dong", "/nua-dau", "/lang", "/500", "/503"] {
        world.wait_for(&format!("{path} is tried again"), |_| callbacks.pushed(path).len() == 2);
        let tries = callbacks.pushed(path);
        assert!(tries[0].body == tries[1].body && tries[1].body == push.body, "{path}");
    }
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/tot").len(), 1);
    publish(&world, "Chợ nổi");
    for path in ["/dong", "/nua-dau", "/nua-than", "/lang", "/500", "/503", "/to", "/tot"] {
        push_of(&world, &callbacks, path, "Chợ nổi");
    }
    assert!(callbacks.poured() < SOME_MEGABYTES, "{} bytes of an answer", callbacks.poured());
}

#[test]
fn a_gigabyte_confirms_nothing_and_costs_nothing() {
    let (world, callbacks) = (impatient(), Callbacks::open());
    callbacks.when_asked("/to", &[Reply::Huge]);
    assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &callbacks.url("/to"), &[]).status, 202);
    world.wait_for("it is asked", |_| !callbacks.asked("/to").is_empty());
    world.follow_soon("kinh-te.json", &callbacks.url("/tot"));
    publish(&world, "Cảng mới");
    push_of(&world, &callbacks, "/tot", "Cảng mới");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(callbacks.pushed("/to").len(), 0);
    assert!(callbacks.poured() < SOME_MEGABYTES, "{} bytes of an answer", callbacks.poured());
}

impl World {
    /// Subscribes a callback while other wishes stay open.
    fn follow_soon(&self, topic: &str, callback: &str) {
        let before = self.number("SELECT count(*) FROM callbacks");
        let asked = Instant::now();
        assert_eq!(self.ask_hub("subscribe", topic, callback, &[]).status, 202);
        self.wait_for("it is subscribed", |world| world.number("SELECT count(*) FROM callbacks") > before);
        assert!(asked.elapsed() < AT_ONCE, "{callback} waited {:?}", asked.elapsed());
    }
}

#[test]
fn hosts_that_are_dead_from_the_start_delay_no_verification() {
    let (world, callbacks) = (impatient(), Callbacks::open());
    let deaf = deaf_host();
    let hosts = [nobody(), deaf.local_addr().unwrap(), slamming_host()];
    let mut taken = 0;
    for n in 0..40 {
        for host in hosts {
            let answer = world.ask_hub("subscribe", "kinh-te.json", &format!("http://{host}/{n}"), &[]);
            // A host that never answers may be told to wait.
            assert!([202, 429].contains(&answer.status), "{}", answer.text());
            taken += usize::from(answer.status == 202);
        }
    }
    assert!(taken >= 30, "{taken} were taken");
    for n in 0..3 {
        world.follow_soon("kinh-te.json", &callbacks.url(&format!("/{n}")));
    }
    publish(&world, "Cảng mới");
    for n in 0..3 {
        push_of(&world, &callbacks, &format!("/{n}"), "Cảng mới");
    }
}

#[test]
fn hosts_that_die_later_delay_no_push() {
    let world = impatient();
    let [silent, gone, alive] = [Callbacks::open(), Callbacks::open(), Callbacks::open()];
    for n in 0..40 {
        let path = format!("/{n}");
        silent.when_pushed(&path, &[Reply::Silence]);
        for callbacks in [&silent, &gone, &alive] {
            assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &callbacks.url(&path), &[]).status, 202);
        }
    }
    world.wait_for_verifications();
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), 120);
    drop(gone);
    for title in ["Tin một", "Tin hai"] {
        publish(&world, title);
        let done = Instant::now();
        for n in 0..40 {
            let push = push_of(&world, &alive, &format!("/{n}"), title);
            let late = push.at.saturating_duration_since(done);
            assert!(late < AT_ONCE, "{n}: {late:?}");
        }
    }
    assert_eq!(alive.count_pushed(), 80);
    // Who is silent costs a few connections at a time, not one a callback.
    assert!(silent.most_at_once() <= 8, "{}", silent.most_at_once());
}

#[test]
fn no_host_sees_more_connections_than_the_newsroom_allows() {
    let mut world = quiet_newsroom();
    world.set("BANTIN_HUB__CONNECTIONS", "5");
    world.set("BANTIN_HUB__CONNECTIONS_PER_HOST", "3");
    world.serve();
    // One server that is three hosts: it counts them together.
    let callbacks = Callbacks::open_at("0.0.0.0:0");
    let url = |host: usize, path: &str| format!("http://127.0.0.{host}:{}{path}", callbacks.port());
    for n in 0..24 {
        let path = format!("/{n}");
        callbacks.when_asked(&path, &[Reply::Slow(Duration::from_millis(60))]);
        callbacks.when_pushed(&path, &[Reply::Slow(Duration::from_millis(60))]);
        assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &url(1, &path), &[]).status, 202);
    }
    world.wait_for_verifications();
    publish(&world, "Cảng mới");
    world.wait_for("all are pushed", |_| callbacks.count_pushed() == 24);
    world.wait_for_pushes();
    assert!((2..=3).contains(&callbacks.most_at_once()), "{} to one host", callbacks.most_at_once());
    for n in 0..24 {
        for host in [2, 3] {
            let path = format!("/{host}-{n}");
            callbacks.when_pushed(&path, &[Reply::Slow(Duration::from_millis(60))]);
            assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &url(host, &path), &[]).status, 202);
        }
    }
    world.wait_for_verifications();
    publish(&world, "Chợ nổi");
    world.wait_for("all are pushed", |_| callbacks.count_pushed() == 24 + 72);
    assert!((4..=5).contains(&callbacks.most_at_once()), "{} in all", callbacks.most_at_once());
}

/// Spellings of this machine and of addresses that lie inside networks, all with one port.
fn inside(port: u16) -> Vec<String> {
    [
        "127.0.0.1",
        "127.1",
        "127.9.9.9",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "１２７.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "ip6-localhost",
    ]
    .map(|host| format!("http://{host}:{port}/a"))
    .to_vec()
}

/// What the hub says to each of these, without the port in question.
fn answers(world: &World, port: u16) -> Vec<(u16, Vec<u8>)> {
    let answer = |url: String| {
        let answer = world.ask_hub("subscribe", "kinh-te.json", &url, &[]);
        (answer.status, answer.text().replace(&port.to_string(), "PORT").into_bytes())
    };
    inside(port).into_iter().map(answer).collect()
}

/// A program on its default settings, but that it does not make its tests wait.
fn closed_newsroom() -> World {
    let mut world = quiet_newsroom();
    world.unset("BANTIN_HUB__ALLOW_PRIVATE_CALLBACKS");
    world
}

#[test]
fn nobody_gets_the_hub_to_look_inside_its_network() {
    let mut world = closed_newsroom();
    world.serve();
    // On every address of this machine that there is.
    let callbacks = std::net::TcpListener::bind("[::]:0")
        .map_or_else(|_| Callbacks::open_at("0.0.0.0:0"), |_| Callbacks::open_at("[::]:0"));
    let (open, closed) = (callbacks.port(), nobody().port());
    let said = answers(&world, open);
    assert_eq!(said, answers(&world, closed), "what listens there is not told");
    for (url, (status, text)) in inside(open).iter().zip(&said) {
        let text = String::from_utf8_lossy(text);
        assert!([202, 400].contains(status), "{url}: {status} {text}");
    }
    let literal = &said[0];
    assert_eq!(literal.0, 400, "an address that is seen to be private is refused at the door");
    // Past the first repetition of what failed.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(callbacks.connections(), 0, "not even a connection");
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), 0);
    publish(&world, "Cảng mới");
    world.wait_for("it is published", |world| {
        crate::served::titles(world, "kinh-te").contains(&"Cảng mới".to_owned())
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(callbacks.connections(), 0);
}

#[test]
fn a_callback_that_turns_out_to_lie_inside_is_not_pushed_to() {
    let mut world = newsroom();
    let callbacks = Callbacks::open();
    let mut gone = Some(Callbacks::open());
    let named = |callbacks: &Callbacks| format!("http://localhost:{}/a", callbacks.port());
    let urls = [callbacks.url("/a"), named(&callbacks), gone.as_ref().unwrap().url("/a")];
    for url in &urls {
        world.follow("kinh-te.json", url, &[]);
    }
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), 3);
    world.stop();
    gone.take();
    world.unset("BANTIN_HUB__ALLOW_PRIVATE_CALLBACKS");
    let before = callbacks.connections();
    world.serve();
    publish(&world, "Cảng mới");
    world.wait_for("each push has failed", |world| {
        world.number("SELECT count(*) FROM callbacks WHERE failing_since IS NOT NULL") == 3
    });
    assert_eq!(callbacks.connections(), before);
    let errors = world.texts("SELECT coalesce(last_error, '') FROM callbacks");
    assert_eq!(errors.len(), 3);
    for error in &errors {
        assert!(
            !error.contains("refused") && !error.contains("127.0.0.1"),
            "it tells what it found: {error}"
        );
    }
    let shown = world.done(&["hub", "show", "/feeds/kinh-te.json"]);
    let without = urls.iter().fold(shown.clone(), |text, url| text.replace(url, ""));
    assert!(!without.contains("refused (os error") && !without.contains("127.0.0.1"), "{shown}");
}
