//! The program dies between any two lines, and nobody misses a mail.
//!
//! `BANTIN_TEST_SEED=…` replays a run; each prints its own.
#![expect(clippy::print_stdout, reason = "a failed run is replayed by the seed that it printed")]

use crate::mailroom::{Letter, article, reader};
use crate::newsroom::Seeded;
use crate::postbox::{Edge, Manners, Postbox, Taken};
use crate::world::World;
use bantin::app::SystemClock;
use bantin::domain::{Chance, Clock as _};
use bantin::store::CutAnswer;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many readers and deaths there are; a whole newsroom's with `BANTIN_TEST_CRASHES=full`.
const USUAL: Disaster = Disaster { readers: 300, deaths: 12, thinks: Duration::from_millis(12) };
const FULL: Disaster = Disaster { readers: 10_000, deaths: 102, thinks: Duration::from_millis(2) };
/// Readers of the other stories.
const READERS: usize = 300;
/// Four times `limits.mail_connections` as it is by default: so many letters are handed over at once and not
/// written down, a quarter of them with the mail server and the others with the disk.
const IN_FLIGHT: usize = 4 * CONNECTIONS + 1;

/// `limits.mail_connections`: no program ever has more open.
const CONNECTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Disaster {
    readers: usize,
    deaths: usize,
    thinks: Duration,
}

/// Chance that a seed repeats.
pub struct Dice(Seeded);

impl Dice {
    /// Chance for a story, which prints its seed.
    pub fn new(story: &str) -> Self {
        let seed = std::env::var("BANTIN_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| SystemClock.now().timestamp_subsec_micros().into());
        println!("{story}: BANTIN_TEST_SEED={seed}");
        Self(Seeded::starting_at(seed))
    }

    /// A number below this one.
    pub fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(end).unwrap()).unwrap()
    }
}

/// A newsroom with news for many readers, whose mail goes to a server that takes its time.
fn edition_to_be(mut world: World, server: &Postbox, readers: usize) -> World {
    world.set("BANTIN_MAIL__URL", &server.url());
    world.set("BANTIN_LIMITS__CLAIM_SECONDS", "2");
    world.set("BANTIN_LOG__LEVEL", "warn");
    world.import(&[article("1", "Tin một", "Kinh tế"), article("2", "Tin hai", "Văn hóa")]);
    world.fill(readers);
    world
}

fn slow() -> Postbox {
    Postbox::open(Manners { thinks: Duration::from_millis(12), ..Manners::default() })
}

fn on_postgres() -> World {
    let mut world = World::new();
    world.on_postgres();
    world
}

/// Waits.
pub fn pause(milliseconds: usize) {
    std::thread::sleep(Duration::from_millis(u64::try_from(milliseconds).unwrap()));
}

/// Everybody has the one letter; a repeat is the same letter again. Returns how many repeats.
fn judge(world: &World, taken: &[Taken], readers: usize) -> usize {
    let mut letters: BTreeMap<&str, Vec<&Taken>> = BTreeMap::new();
    for letter in taken {
        letters.entry(&letter.to).or_default().push(letter);
    }
    let everybody: BTreeSet<String> = (0..readers).map(reader).collect();
    let lost: Vec<&String> = everybody.iter().filter(|to| !letters.contains_key(to.as_str())).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(letters.len(), readers, "nobody else is mailed");
    for (to, letters) in &letters {
        for letter in &letters[1..] {
            assert_eq!(letter.message_id, letters[0].message_id, "a repeat to {to}");
            assert!(letter.bytes == letters[0].bytes, "a repeat to {to} has other bytes");
        }
    }
    let ids: BTreeSet<&str> = letters.values().map(|letters| letters[0].message_id.as_str()).collect();
    assert_eq!(ids.len(), readers, "each reader's Message-ID is his own");
    assert_eq!(world.deliveries("accepted"), i64::try_from(readers).unwrap());
    assert_eq!(world.number("SELECT count(*) FROM editions"), 1);
    assert!(world.is_complete());
    taken.len() - readers
}

fn killed_again_and_again(world: World, story: &str) {
    let dice = Dice::new(story);
    let is_full = std::env::var("BANTIN_TEST_CRASHES").is_ok_and(|size| size == "full");
    let Disaster { readers, deaths: kills, thinks } = if is_full { FULL } else { USUAL };
    let server = Postbox::open(Manners { thinks, ..Manners::default() });
    let mut world = edition_to_be(world, &server, readers);
    world.miss_the_slot();
    let mut moments: Vec<usize> = (0..kills - 2).map(|_| 1 + dice.below(readers - readers / 5)).collect();
    moments.sort_unstable();
    let mut deaths = Vec::new();
    // The first deaths are around the cut, on a quick machine after some letters; the others each
    // after so many letters.
    for _ in 0..2 {
        world.start(&["serve"]);
        pause(dice.below(1_500));
        world.kill();
        pause(50);
        server.wait_for_silence();
        deaths.push(server.count());
    }
    for after in moments {
        world.start(&["serve"]);
        world.wait_at_most(PATIENCE, "letters go on", |_| server.count() >= after);
        pause(dice.below(60));
        world.kill();
        pause(50);
        server.wait_for_silence();
        deaths.push(server.count());
    }
    assert!(!world.is_complete(), "the program died during the edition");
    world.start(&["serve"]);
    world.wait_at_most(PATIENCE * 5, "the edition is complete", World::is_complete);
    assert_eq!(world.stop(), Some(0));
    let taken = server.taken();
    let repeats = judge(&world, &taken, readers);
    println!("{story}: {repeats} repeats to {readers} readers in {kills} deaths");
    let last: BTreeMap<&str, usize> =
        taken.iter().enumerate().map(|(at, letter)| (letter.to.as_str(), at)).collect();
    let mut unheard = vec![0; deaths.len()];
    for (at, letter) in taken.iter().enumerate() {
        if last[letter.to.as_str()] > at {
            unheard[deaths.iter().position(|taken| at < *taken).expect("no repeat without a death")] += 1;
        }
    }
    assert!(unheard.iter().all(|letters| *letters <= IN_FLIGHT), "repeats by death: {unheard:?}");
    assert!(server.most_connections() <= 2 * CONNECTIONS + 1, "those of the dead and of the living");
}

#[test]
fn twelve_deaths_lose_nobody_on_sqlite() {
    killed_again_and_again(World::new(), "SQLite");
}

#[test]
fn twelve_deaths_lose_nobody_on_postgres() {
    killed_again_and_again(on_postgres(), "PostgreSQL");
}

/// Dies once at each step of a delivery; the letter that stands there is nobody else's.
fn killed_at_each_edge(world: World, holds_doubt: bool) {
    const FEW: usize = 40;
    // Of one connection: no letter is noted as handed over before the last one is written down, so that
    // each death leaves one in doubt.
    let most_doubtful = i64::try_from(Edge::ALL.len()).unwrap();
    let server = Postbox::open(Manners::default());
    let mut world = edition_to_be(world, &server, FEW);
    if holds_doubt {
        world.set("BANTIN_MAIL__UNCERTAIN", "hold");
    }
    world.set("BANTIN_LIMITS__MAIL_CONNECTIONS", "1");
    world.miss_the_slot();
    let mut repeatable = 0;
    for edge in Edge::ALL {
        server.set_trap(edge);
        world.start(&["serve"]);
        server.wait_for_the_trap();
        world.kill();
        server.open_the_trap();
        repeatable += 2 * usize::from(matches!(edge, Edge::Taken | Edge::Answered));
        assert!(!world.is_complete(), "it died during the edition, at {edge:?}");
    }
    world.start(&["serve"]);
    world.wait_at_most(PATIENCE, "the edition is complete", World::is_complete);
    if holds_doubt {
        assert_eq!(
            server.count(),
            server.taken().iter().map(|letter| &letter.to).collect::<BTreeSet<_>>().len()
        );
        let doubtful = world.deliveries("uncertain");
        assert!((1..=most_doubtful).contains(&doubtful), "{doubtful} letters wait for a person");
        world.done(&["digest", "resend", "1", "--uncertain"]);
        world.wait_at_most(PATIENCE, "a person has spoken", World::is_complete);
    }
    assert_eq!(world.stop(), Some(0));
    let repeats = judge(&world, &server.taken(), FEW);
    assert!(holds_doubt || repeats <= repeatable, "{repeats} repeats, {repeatable} letters were in flight");
}

#[test]
fn a_death_at_each_edge_loses_nobody_on_sqlite() {
    killed_at_each_edge(World::new(), false);
}

#[test]
fn a_death_at_each_edge_loses_nobody_on_postgres() {
    killed_at_each_edge(on_postgres(), false);
}

#[test]
fn who_holds_doubt_repeats_nothing_after_a_death_but_at_a_persons_word() {
    killed_at_each_edge(World::new(), true);
}

/// Dies with a letter in hand, of which an article is then taken back and published again.
fn taken_back_over_a_death(world: World) {
    let server = Postbox::open(Manners::default());
    let mut world = edition_to_be(world, &server, 1);
    let list = world.done(&["article", "list", "--json"]);
    let mut articles = list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let first = articles.find(|article| article["title"] == "Tin một").unwrap();
    let first = first["id"].as_str().unwrap();
    world.miss_the_slot();
    server.set_trap(Edge::Invited);
    world.start(&["serve"]);
    server.wait_for_the_trap();
    world.kill();
    server.open_the_trap();
    world.done(&["article", "withdraw", first]);
    world.start(&["serve"]);
    world.wait_at_most(PATIENCE, "the edition is complete", World::is_complete);
    world.done(&["article", "publish", first]);
    world.wait_at_most(PATIENCE, "the letter comes whole", |_| server.count() == 2);
    world.wait_at_most(PATIENCE, "the edition is complete again", World::is_complete);
    let taken = server.taken();
    let headlines = |letter: &Taken| Letter(letter.bytes.clone()).headlines();
    assert_eq!(headlines(&taken[0]), ["Tin hai"]);
    assert_eq!(headlines(&taken[1]).len(), 2, "{:?}", headlines(&taken[1]));
    assert_eq!(taken[0].message_id, taken[1].message_id);
    assert_eq!(world.stop(), Some(0));
    assert_eq!(server.count(), 2);
}

#[test]
fn what_was_taken_back_over_a_death_comes_once_it_is_out_again_on_sqlite() {
    taken_back_over_a_death(World::new());
}

#[test]
fn what_was_taken_back_over_a_death_comes_once_it_is_out_again_on_postgres() {
    taken_back_over_a_death(on_postgres());
}

#[test]
fn a_death_between_cut_and_mail_loses_nothing() {
    let server = Postbox::open(Manners::default());
    let mut world = edition_to_be(World::new(), &server, READERS);
    world.miss_the_slot();
    world.start(&["serve", "--role", "scheduler"]);
    world.wait_for("the edition is cut", |world| world.number("SELECT count(*) FROM editions") == 1);
    world.kill();
    assert_eq!((server.count(), world.deliveries("pending")), (0, i64::try_from(READERS).unwrap()));
    assert_eq!(world.cut(), CutAnswer::Empty, "what is in the ledger is due to nobody again");
    world.start(&["serve", "--role", "worker"]);
    world.wait_at_most(PATIENCE, "the edition is complete", World::is_complete);
    assert_eq!(judge(&world, &server.taken(), READERS), 0);
}

#[test]
fn an_orderly_stop_in_the_middle_repeats_nothing_that_was_heard() {
    let dice = Dice::new("stop");
    let server = slow();
    let mut world = edition_to_be(World::new(), &server, READERS);
    world.miss_the_slot();
    for part in 1..4 {
        let until = part * 60 + dice.below(30);
        world.start(&["serve"]);
        world.wait_at_most(PATIENCE, "letters go on", |_| server.count() >= until);
        assert_eq!(world.stop(), Some(0));
        assert!(server.count() < until + 40, "no letter is begun once the program is asked to stop");
        assert_eq!(world.deliveries("claimed"), 0, "claims are given back");
    }
    world.start(&["serve"]);
    world.wait_at_most(PATIENCE, "the edition is complete", World::is_complete);
    assert_eq!(judge(&world, &server.taken(), READERS), 0, "letters under way end before the program does");
}

#[test]
fn a_death_while_a_reader_confirms_costs_one_more_click() {
    let dice = Dice::new("confirm");
    let mut world = World::new();
    world.set("BANTIN_LIMITS__CLAIM_SECONDS", "1");
    world.import(&[article("1", "Tin một", "Kinh tế")]);
    for number in 0..4 {
        let address = reader(number);
        world.serve();
        let link = world.ask(&address, &["kinh-te"]).link("confirm");
        let patience = dice.below(12);
        std::thread::scope(|threads| {
            let click = threads.spawn(|| world.try_request("POST", &link, &[], b"").is_some());
            pause(patience);
            world.kill_from_beside();
            click.join().unwrap();
        });
        world.kill();
        world.serve();
        assert_eq!(world.post(&link, &[]).status, 200);
        assert_eq!(world.subscriber(&address)["state"], "active");
        assert_eq!(world.feeds_of(&address), ["kinh-te"]);
        world.kill();
    }
    world.serve();
    world.done(&["digest", "run", "hang-ngay"]);
    world.wait_for("all are mailed", |world| world.deliveries("accepted") == 4);
    for number in 0..4 {
        assert_eq!(world.mail_to(&reader(number)).len(), 2, "a question and a digest");
    }
}

#[test]
fn two_programs_on_one_database_mail_everybody_once() {
    let server = slow();
    let mut first = edition_to_be(on_postgres(), &server, READERS);
    let mut second = World::new();
    for name in ["STORE__URL", "MAIL__URL", "PUBLICATION__BASE_URL", "LIMITS__CLAIM_SECONDS"] {
        let name = format!("BANTIN_{name}");
        second.set(&name, first.setting(&name).unwrap());
    }
    // Both stand ready before there is anything to do, or on a busy machine one would do it all.
    first.serve();
    second.serve();
    first.miss_the_slot();
    first.wait_at_most(PATIENCE, "the edition is complete", World::is_complete);
    assert_eq!((first.stop(), second.stop()), (Some(0), Some(0)));
    assert_eq!(judge(&first, &server.taken(), READERS), 0, "no letter is two workers'");
    assert!(server.most_connections() > CONNECTIONS, "both worked");
}

#[test]
fn a_machine_that_slept_through_its_claims_repeats_only_what_was_in_its_hands() {
    let server = Postbox::open(Manners { thinks: Duration::from_millis(40), ..Manners::default() });
    let mut sleeper = edition_to_be(on_postgres(), &server, READERS);
    let mut other = World::new();
    for name in ["STORE__URL", "MAIL__URL", "PUBLICATION__BASE_URL", "LIMITS__CLAIM_SECONDS"] {
        let name = format!("BANTIN_{name}");
        other.set(&name, sleeper.setting(&name).unwrap());
    }
    sleeper.miss_the_slot();
    sleeper.start(&["serve"]);
    sleeper.wait_at_most(PATIENCE, "letters go on", |_| server.count() >= 10);
    sleeper.signal("STOP");
    let claimed = sleeper.deliveries("claimed");
    assert!(claimed > 2 * i64::try_from(IN_FLIGHT).unwrap(), "it sleeps on many letters: {claimed}");
    other.start(&["serve", "--role", "worker"]);
    other.wait_at_most(PATIENCE, "the other has done it all", |_| sleeper.is_complete());
    sleeper.signal("CONT");
    pause(3_000);
    assert_eq!((sleeper.stop(), other.stop()), (Some(0), Some(0)));
    let repeats = judge(&sleeper, &server.taken(), READERS);
    assert!(repeats <= IN_FLIGHT, "{repeats} repeats");
}

#[test]
fn a_machine_that_slept_alone_repeats_nothing_that_waited() {
    let server = Postbox::open(Manners { thinks: Duration::from_millis(40), ..Manners::default() });
    let mut world = edition_to_be(World::new(), &server, READERS);
    world.miss_the_slot();
    world.start(&["serve"]);
    for part in 1..4 {
        world.wait_at_most(PATIENCE, "letters go on", |_| server.count() >= part * 20);
        world.signal("STOP");
        pause(3_000);
        world.signal("CONT");
    }
    world.wait_at_most(PATIENCE, "the edition is complete", |world| {
        world.later();
        world.is_complete()
    });
    assert_eq!(world.stop(), Some(0));
    let repeats = judge(&world, &server.taken(), READERS);
    assert_eq!(repeats, 0, "it hears the answers that came while it slept");
}
