//! The first thing that anybody runs.

use crate::world::World;

#[test]
fn the_demo_does_everything_and_prints_where_to_look() {
    let mut world = World::new();
    for name in ["LISTEN", "BASE_URL", "TITLE"] {
        let section = if name == "LISTEN" { "SERVER" } else { "PUBLICATION" };
        world.unset(&format!("BANTIN_{section}__{name}"));
    }
    let told = world.done(&["demo", "--exit"]);
    for what in [
        "home page",
        "feed page",
        "RSS",
        "Atom",
        "JSON Feed",
        "mailbox",
        "the digest",
        "all feeds",
        "metrics",
    ] {
        let line =
            told.lines().find(|line| line.trim_start().starts_with(what)).unwrap_or_else(|| panic!("{told}"));
        assert!(line.contains("http://127.0.0.1:"), "{line}");
    }
    let folder = told.split_whitespace().find(|word| word.contains("bantin-demo-")).unwrap();
    assert!(!std::path::Path::new(folder).exists(), "{folder} is left behind");
    assert_eq!(
        std::fs::read_dir(world.path("")).unwrap().count(),
        0,
        "nothing is written where it was started"
    );
}

#[test]
fn a_port_that_is_taken_is_told() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = world.run(&["demo", "--exit", "--port", &port]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is another bantin running"));
}
