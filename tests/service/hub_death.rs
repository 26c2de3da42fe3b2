//! The program dies between any two lines while it pushes, and every callback has the last word.
//!
//! `BANTIN_TEST_SEED=…` replays a run; each prints its own.
#![expect(clippy::print_stdout, reason = "a failed run is replayed by the seed that it printed")]

use crate::callbacks::{Callbacks, Reply, signature};
use crate::crash::{Dice, pause};
use crate::hub::{publish, with_news};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CALLBACKS: usize = 300;
const KILLS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(90);
const TOPIC: &str = "kinh-te.json";

fn path(number: usize) -> String {
    format!("/{number}")
}

/// A newsroom whose hub takes a second or two for all of its callbacks.
fn busy(mut world: World) -> (World, Callbacks) {
    world.set("BANTIN_LIMITS__CLAIM_SECONDS", "2");
    world.set("BANTIN_LOG__LEVEL", "warn");
    with_news(&mut world);
    (world, Callbacks::open())
}

fn subscribe_all(world: &World, callbacks: &Callbacks) {
    for number in 0..CALLBACKS {
        callbacks.when_pushed(&path(number), &[Reply::Slow(Duration::from_millis(30))]);
        ask(world, callbacks, number);
    }
    world.wait_for_verifications();
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), i64::try_from(CALLBACKS).unwrap());
}

/// Asks until the wish is taken: a host may have so many open at a time.
fn ask(world: &World, callbacks: &Callbacks, number: usize) {
    let more = [("hub.secret", "s")];
    world.wait_for("the wish is taken", |world| {
        let answer = world.ask_hub("subscribe", TOPIC, &callbacks.url(&path(number)), &more);
        assert!([202, 429].contains(&answer.status), "{}", answer.text());
        answer.status == 202
    });
}

/// Every callback has what GET returns, signed, and none ever got an older state after a newer one.
/// Returns how many states were pushed once more than needed.
fn judge(world: &World, callbacks: &Callbacks) -> usize {
    let last = world.get(&format!("/feeds/{TOPIC}")).body;
    let lost = || {
        let pushed = callbacks.last_pushed();
        let has_it = |n: &usize| pushed.get(&path(*n)).is_some_and(|push| push.body == last);
        (0..CALLBACKS).filter(|n| !has_it(n)).collect::<Vec<_>>()
    };
    let started = std::time::Instant::now();
    while !lost().is_empty() {
        assert!(started.elapsed() < PATIENCE, "lost: {:?}\n{}", lost(), world.log());
        pause(200);
    }
    world.wait_for_pushes();
    let mut states: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for push in callbacks.requests().into_iter().filter(|request| request.method == "POST") {
        assert_eq!(push.header("x-hub-signature"), Some(signature("sha256", "s", &push.body).as_str()));
        states.entry(push.path().to_owned()).or_default().push(push.titles().len());
    }
    assert_eq!(states.len(), CALLBACKS, "nobody else is pushed to");
    let mut repeats = 0;
    for (path, states) in &states {
        assert!(states.is_sorted(), "{path}: {states:?}");
        let different: BTreeSet<usize> = states.iter().copied().collect();
        repeats += states.len() - different.len();
    }
    repeats
}

fn killed_again_and_again(world: World, story: &str) {
    let dice = Dice::new(story);
    let (mut world, callbacks) = busy(world);
    world.serve();
    subscribe_all(&world, &callbacks);
    let mut running = true;
    for death in 0..KILLS {
        // Published while it runs or while it is dead.
        if running && dice.below(2) == 0 {
            world.kill();
            running = false;
        }
        publish(&world, &format!("Tin {death}"));
        if !running {
            world.start(&["serve"]);
        }
        let (before, some) = (callbacks.count_pushed(), dice.below(CALLBACKS / 3));
        // What the dead held is due again only when its claim ends: fewer may be left than that.
        if dice.below(4) > 0 {
            world.wait_at_most(PATIENCE, "pushes go on", |_| callbacks.count_pushed() >= before + some);
        }
        pause(dice.below(60));
        world.kill();
        // What the dead had sent has come by then.
        pause(50);
        running = dice.below(3) > 0;
        if running {
            world.start(&["serve"]);
        }
    }
    if !running {
        world.start(&["serve"]);
    }
    world.wait_until_ready();
    let repeats = judge(&world, &callbacks);
    println!("{story}: {repeats} repeats in {KILLS} deaths, {} pushes", callbacks.count_pushed());
    assert_eq!(world.stop(), Some(0));
}

#[test]
fn twenty_deaths_lose_no_push_on_sqlite() {
    killed_again_and_again(World::new(), "pushes on SQLite");
}

#[test]
fn twenty_deaths_lose_no_push_on_postgres() {
    let mut world = World::new();
    world.on_postgres();
    killed_again_and_again(world, "pushes on PostgreSQL");
}

#[test]
fn a_death_among_verifications_loses_no_wish() {
    let dice = Dice::new("verifications");
    let (mut world, callbacks) = busy(World::new());
    for round in 0..5 {
        world.serve();
        for number in round * 20..(round + 1) * 20 {
            callbacks.when_asked(&path(number), &[Reply::Slow(Duration::from_millis(20))]);
            ask(&world, &callbacks, number);
        }
        pause(dice.below(120));
        world.kill();
        pause(50);
    }
    world.serve();
    world.wait_for_verifications();
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), 100);
    publish(&world, "Cảng mới");
    world.wait_for("all are pushed", |_| callbacks.last_pushed().len() == 100);
}

#[test]
fn an_orderly_stop_finishes_what_is_under_way_and_leaves_the_rest() {
    let (mut world, callbacks) = busy(World::new());
    world.serve();
    subscribe_all(&world, &callbacks);
    publish(&world, "Cảng mới");
    world.wait_for("pushes go on", |_| callbacks.count_pushed() >= 60);
    assert_eq!(world.stop(), Some(0));
    let heard = callbacks.count_pushed();
    assert!(heard < CALLBACKS, "{heard}: no push is begun once the program is asked to stop");
    assert_eq!(world.number("SELECT count(*) FROM callbacks WHERE claimed_by IS NOT NULL"), 0);
    world.serve();
    assert_eq!(judge(&world, &callbacks), 0, "what was heard is not said again");
}

#[test]
fn two_programs_on_one_database_push_each_state_once() {
    let mut first = World::new();
    first.on_postgres();
    let (mut first, callbacks) = busy(first);
    let mut second = World::new();
    second.open_hub();
    for name in ["STORE__URL", "PUBLICATION__BASE_URL", "LIMITS__CLAIM_SECONDS", "LOG__LEVEL"] {
        let name = format!("BANTIN_{name}");
        second.set(&name, first.setting(&name).unwrap());
    }
    first.serve();
    second.serve();
    subscribe_all(&first, &callbacks);
    for n in 0..10 {
        publish(if n % 2 == 0 { &first } else { &second }, &format!("Tin {n}"));
        pause(150);
    }
    assert_eq!(judge(&first, &callbacks), 0, "no state is two programs'");
    assert_eq!(callbacks.pushed_twice_at_once(), [""; 0]);
    publish(&first, "Tin cuối");
    assert_eq!(judge(&first, &callbacks), 0);
    assert_eq!((first.stop(), second.stop()), (Some(0), Some(0)));
    for world in [&first, &second] {
        assert!(!world.log().contains("ERROR"), "{}", world.log());
    }
}
