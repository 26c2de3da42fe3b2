//! Mail to the servers of the readers' own domains, without a relay between (RFC 5321 §5.1).

use crate::mailroom::article;
use crate::nameserver::{NameServer, Says};
use crate::postbox::{Manners, Postbox};
use crate::world::World;
use std::net::{Ipv4Addr, SocketAddr};

fn at(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// A newsroom with news, its readers, and how it finds their servers.
fn newsroom(readers: &[&str], names: &NameServer, parameters: &str) -> World {
    let mut world = World::new();
    world.set("BANTIN_MAIL__URL", &format!("mx:?dns={}{parameters}", names.address));
    world.import(&[article("1", "Cầu mới qua sông Tiền", "Kinh tế")]);
    world.fill_with(readers.iter().map(|reader| (*reader).to_owned()));
    world
}

fn recipients(server: &Postbox) -> Vec<String> {
    let mut to: Vec<String> = server.taken().into_iter().map(|letter| letter.to).collect();
    to.sort();
    to
}

#[test]
fn each_letter_goes_to_its_readers_own_server() {
    let first = Postbox::open_at((at(2), 0).into(), Manners::default());
    let port = first.address().port();
    // Port 0 was free there; on the other addresses it is the same number.
    let second = Postbox::open_at(SocketAddr::from((at(3), port)), Manners::default());
    let names = NameServer::open(&[
        ("first.example", Says::Mx(vec![(20, "mx.second.example"), (10, "mx.first.example")])),
        ("mx.first.example", Says::A(at(2))),
        ("mx.second.example", Says::A(at(3))),
        // Its best server is down.
        (
            "backup.example",
            Says::Mx(vec![(1, "gone.example"), (2, "nowhere.example"), (3, "mx.second.example")]),
        ),
        ("gone.example", Says::A(at(4))),
        // No MX: the domain is its own server.
        ("implicit.example", Says::A(at(3))),
        ("null.example", Says::Mx(vec![(0, ".")])),
        ("trouble.example", Says::Trouble),
        ("bare.example", Says::Nothing),
    ]);
    let readers = [
        "an@first.example",
        "an@backup.example",
        "an@implicit.example",
        "an@null.example",
        "an@never.example",
        "an@trouble.example",
        "an@bare.example",
    ];
    let world = newsroom(&readers, &names, &format!("&inside=true&port={port}"));
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(recipients(&first), ["an@first.example"]);
    assert_eq!(recipients(&second), ["an@backup.example", "an@implicit.example"]);
    assert_eq!(
        (world.deliveries("accepted"), world.deliveries("bounced"), world.deliveries("deferred")),
        (3, 2, 2)
    );
    let replies = world.texts("SELECT reply FROM deliveries WHERE state <> 'accepted' ORDER BY subscriber");
    for (reply, words) in replies.iter().zip(["5.1.10", "5.1.2", "4.4.3", "4.4.4"]) {
        assert!(reply.contains(words), "{replies:?}");
    }
    let state = |address: &str| world.subscriber(address)["state"].as_str().unwrap().to_owned();
    assert_eq!((state("an@null.example"), state("an@never.example")), ("bounced".into(), "bounced".into()));
    assert_eq!(state("an@bare.example"), "active", "its domain is there, so it may come back");
    let log = format!("{replies:?}");
    assert!(!log.contains('@'), "{log}");
}

#[test]
fn a_stranger_cannot_send_our_mail_into_our_own_network() {
    let inside = Postbox::open(Manners::default());
    let port = inside.address().port();
    let names = NameServer::open(&[
        ("trap.example", Says::Mx(vec![(10, "mx.trap.example")])),
        ("mx.trap.example", Says::A(at(1))),
    ]);
    let world = newsroom(&["an@trap.example"], &names, &format!("&port={port}"));
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!((inside.count(), world.deliveries("deferred")), (0, 1));
    let replies = world.texts("SELECT reply FROM deliveries");
    assert!(replies[0].contains("has a public address"), "{replies:?}");
}

#[test]
fn domains_of_one_provider_share_its_pace_and_hold_up_no_other() {
    let provider = Postbox::open_at((at(5), 0).into(), Manners::default());
    let other = Postbox::open_at(SocketAddr::from((at(6), provider.address().port())), Manners::default());
    let names = NameServer::open(&[
        ("a.example", Says::Mx(vec![(10, "mx1.big.example")])),
        ("b.example", Says::Mx(vec![(10, "mx2.big.example")])),
        ("c.example", Says::Mx(vec![(10, "mx.small.example")])),
        ("mx1.big.example", Says::A(at(5))),
        ("mx2.big.example", Says::A(at(5))),
        ("mx.small.example", Says::A(at(6))),
    ]);
    let big = (0..120).map(|n| format!("an{n}@{}.example", if n % 2 == 0 { "a" } else { "b" }));
    let readers: Vec<String> = big.chain((0..20).map(|n| format!("an{n}@c.example"))).collect();
    let readers: Vec<&str> = readers.iter().map(String::as_str).collect();
    let parameters = format!("&inside=true&port={}", provider.address().port());
    let mut world = newsroom(&readers, &names, &parameters);
    world.set("BANTIN_MAIL__DOMAIN_RATES", "big.example=20/minute");
    world.miss_the_slot();
    world.serve();
    world.wait_for("the small provider has its letters", |_| other.count() == 20);
    // What came at once, and one every three seconds.
    let seconds = 15;
    assert!(provider.count() <= 2 + seconds / 3, "{} in less than {seconds} s", provider.count());
    assert!(provider.count() >= 1);
    assert_eq!(
        world.number(
            "SELECT count(*) FROM deliveries WHERE state = 'deferred' AND reply NOT LIKE '%gets no more%'"
        ),
        0
    );
    world.assert_discreet();
}
