//! How fast mail goes, and by which relay: through the real program, to other people's servers.

use crate::mailroom::{article, reader};
use crate::ports::free_port;
use crate::postbox::{Manners, Postbox};
use crate::postfix::files;
use crate::smtp::smtp_sink;
use crate::world::World;
use std::time::{Duration, Instant};

fn newsroom(server: &str, readers: usize) -> World {
    let mut world = World::new();
    world.set("BANTIN_MAIL__URL", server);
    world.import(&[article("1", "Lúa thơm Sóc Trăng được giá", "Kinh tế")]);
    world.fill(readers);
    world
}

/// The value of a metric with these labels.
fn metric(world: &World, line: &str) -> Option<f64> {
    let metrics = world.get("/metrics").text();
    metrics.lines().find_map(|text| text.strip_prefix(line)?.trim().parse().ok())
}

#[test]
fn a_confirmation_goes_within_a_second_in_mid_edition_and_the_rate_is_kept() {
    let address = free_port();
    let mut world = newsroom(&format!("smtp://{address}"), 200);
    world.set("BANTIN_MAIL__RATE", "20/minute");
    let folder = world.path("sink");
    let _sink = smtp_sink(address, &folder, &[]);
    world.miss_the_slot();
    let started = Instant::now();
    world.serve();
    world.wait_for("the edition is under way", |_| files(&folder).len() >= 2);
    assert_eq!(metric(&world, "bantin_mail_rate{relay=\"127.0.0.1\"}"), Some(1.0 / 3.0));
    let asked = Instant::now();
    let answer = world.post("/subscribe", &[("address", "voi@ban.example"), ("feed", "kinh-te")]);
    assert_eq!(answer.status, 200);
    let is_there = |_: &World| {
        files(&folder).iter().any(|path| {
            std::fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains("voi@ban.example"))
        })
    };
    world.wait_for("the question is mailed", is_there);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Two at once, and one every three seconds since the start.
    let most = 2 + started.elapsed().as_secs() as usize / 3;
    assert!(files(&folder).len() <= most, "{} letters, {most} allowed", files(&folder).len());
    assert!(world.deliveries("accepted") < 10);
}

#[test]
fn a_slow_domain_holds_up_no_other() {
    let server = Postbox::open(Manners {
        rcpt: |to, _| match to.ends_with("@slow.example") {
            true => "451 4.7.28 too many letters from you",
            false => "250 2.1.5 Ok",
        },
        ..Manners::default()
    });
    let mut world = newsroom(&server.url(), 0);
    // Those of the slow one are due first, and are more than a worker holds.
    world.fill_with((0..300).map(|n| format!("doc.gia.{n}@slow.example")));
    world.fill_with((0..30).map(|n| format!("doc.gia.{n}@quick.example")));
    world.miss_the_slot();
    world.serve();
    world.wait_for("the others have their letters", |_| server.count() == 30);
    let asked = world.number("SELECT count(*) FROM deliveries WHERE attempts > 0");
    assert!(asked < 30 + 40, "{asked} were tried, though the server asked for less");
    assert!(
        metric(&world, "bantin_mail_domain_rate{domain=\"slow.example\"}").is_some_and(|rate| rate < 20.0)
    );
    assert_eq!(metric(&world, "bantin_mail_relay_lowered{relay=\"127.0.0.1\"}"), Some(0.0));
    assert_eq!(world.number("SELECT count(*) FROM deliveries WHERE state = 'bounced'"), 0);
    world.assert_discreet();
}

#[test]
fn a_paced_domain_gets_what_its_rate_allows() {
    let server = Postbox::open(Manners::default());
    let mut world = newsroom(&server.url(), 150);
    world.set("BANTIN_MAIL__DOMAIN_RATE", "15/second");
    world.miss_the_slot();
    world.serve();
    world.wait_for("the first letter is taken", |_| server.count() > 0);
    let started = Instant::now();
    world.wait_for("the edition is complete", World::is_complete);
    let took = started.elapsed().as_secs_f64();
    // 15 at once; what a second is late at the end, the second that it looks again.
    assert!((8.0..13.0).contains(&took), "{took} s for 150 letters at 15 a second");
    assert_eq!((server.count(), world.number("SELECT max(attempts) FROM deliveries")), (150, 1));
}

#[test]
fn a_server_that_is_down_holds_up_no_command_and_counts_against_nobody() {
    let address = free_port();
    let world = newsroom(&format!("smtp://{address}"), 150);
    let started = Instant::now();
    world.done(&["digest", "run", "hang-ngay"]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // What was not even looked at is as it was.
    assert_eq!(world.deliveries("pending") + world.deliveries("deferred"), 150);
    assert!(world.deliveries("deferred") > 0);
    assert_eq!(world.number("SELECT max(attempts) FROM deliveries"), 0);
    let server = Postbox::open_at(address, Manners::default());
    world.later();
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!((server.count(), world.deliveries("accepted")), (150, 150));
}

#[test]
fn relays_share_by_weight_and_stand_in_for_each_other() {
    let (one, three) = (Postbox::open(Manners::default()), Postbox::open(Manners::default()));
    let mut world = newsroom(&one.url(), 80);
    world.set("BANTIN_MAIL__RELAYS__1__URL", &three.url());
    world.set("BANTIN_MAIL__RELAYS__1__WEIGHT", "3");
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!((one.count(), three.count()), (20, 60));

    // One is down now: the other takes all, and nobody is counted a failed try.
    let address = three.address();
    drop(three);
    world.wait_for("it is down", |_| std::net::TcpStream::connect(address).is_err());
    world.import(&[article("2", "Tin kế tiếp", "Kinh tế")]);
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(one.count(), 20 + 80);
    assert_eq!(world.number("SELECT max(attempts) FROM deliveries"), 1);
    let check = world.run(&["check"]);
    let told = String::from_utf8(check.stdout).unwrap();
    assert!(
        told.contains("relay 127.0.0.1: `127.0.0.1:") && told.contains("is the mail server running"),
        "{told}"
    );
    assert_eq!(check.status.code(), Some(1));
}

#[test]
fn an_edition_is_spread_and_who_leaves_in_time_gets_nothing() {
    let server = Postbox::open(Manners::default());
    let mut world = newsroom(&server.url(), 60);
    world.set("BANTIN_MAIL__SPREAD", "2m");
    world.miss_the_slot();
    world.serve();
    world.wait_for("the first letters are taken", |_| server.count() >= 2);
    assert!(server.count() < 20, "{} at once", server.count());
    let seconds =
        world.number("SELECT (max(due_at) - min(due_at)) / 1000000 FROM deliveries WHERE state = 'pending'");
    assert!((90..120).contains(&seconds), "{seconds} s");
    world.done(&["subscriber", "erase", &reader(59)]);
    world.later();
    world.wait_for("the edition is complete", World::is_complete);
    assert_eq!(server.count(), 59);
    assert!(server.taken().iter().all(|letter| letter.to != reader(59)));
}
