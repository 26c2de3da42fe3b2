//! Letters that do not simply arrive: doubt, refusals, copies of the store, and what is told of them.

use crate::mailroom::{article, reader};
use crate::postbox::{Edge, Manners, Postbox, Taken};
use crate::world::World;
use bantin::domain::EditionId;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A newsroom with news for some readers, and the first edition's number.
fn newsroom(server: &Postbox, readers: usize) -> World {
    let mut world = World::new();
    world.set("BANTIN_MAIL__URL", &server.url());
    world.import(&[article("1", "Tin một", "Kinh tế"), article("2", "Tin hai", "Văn hóa")]);
    world.fill(readers);
    world
}

fn run(world: &World) {
    world.done(&["digest", "run", "hang-ngay"]);
}

/// Signs with both kinds of key, so that nothing of a signature may differ between tries.
fn sign(world: &mut World) {
    let made = world.done(&["dkim", "new", "keys", "--selector", "s1"]);
    let keys = made.lines().find_map(|line| line.strip_prefix("keys = ")).unwrap();
    world.set("BANTIN_DKIM__KEYS", &keys.replace(['[', ']', '"'], ""));
}

/// A new look, a corrected article and a section with another name: none of it is in what was cut.
fn change_everything(world: &World) {
    let corrected = article("1", "Tin một (đã sửa)", "Kinh tế");
    world.import(&[corrected]);
    world.done(&["category", "rename", "van-hoa", "--title", "Văn hóa và nghệ thuật"]);
    let subject = "templates/mail/digest/subject.txt";
    let own = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(subject)).unwrap();
    world.write(subject, format!("Mới! {own}"));
}

fn json(world: &World, arguments: &[&str]) -> Vec<Value> {
    world.done(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_same(first: &Taken, second: &Taken) -> bool {
    first.to == second.to && first.message_id == second.message_id && first.bytes == second.bytes
}

#[test]
fn a_letter_in_doubt_is_repeated_byte_for_byte_whatever_changed_meanwhile() {
    let server = Postbox::open(Manners {
        dot: |_, times| if times == 1 { "" } else { "250 Ok" },
        ..Manners::default()
    });
    let mut world = newsroom(&server, 2);
    sign(&mut world);
    run(&world);
    assert_eq!(world.deliveries("uncertain"), 2);
    change_everything(&world);
    world.later();
    run(&world);
    assert_eq!((world.deliveries("accepted"), world.is_complete()), (2, true));
    let taken = server.taken();
    for number in 0..2 {
        let letters: Vec<&Taken> = taken.iter().filter(|letter| letter.to == reader(number)).collect();
        assert_eq!(letters.len(), 2);
        assert!(is_same(letters[0], letters[1]), "{number}");
    }
    assert_eq!(world.number("SELECT count(*) FROM kept_letters"), 0, "nothing is kept that arrived");
}

#[test]
fn what_is_withdrawn_is_not_in_the_repeat_of_a_letter_in_doubt() {
    let server = Postbox::open(Manners {
        dot: |_, times| if times == 1 { "" } else { "250 Ok" },
        ..Manners::default()
    });
    let world = newsroom(&server, 1);
    run(&world);
    let list = world.done(&["article", "list", "--json"]);
    let gone = list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let gone = gone.into_iter().find(|article| article["title"] == "Tin hai").unwrap();
    world.done(&["article", "withdraw", gone["id"].as_str().unwrap()]);
    world.later();
    run(&world);
    let taken = server.taken();
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0].message_id, taken[1].message_id);
    let headlines = |letter: &Taken| crate::mailroom::Letter(letter.bytes.clone()).headlines();
    assert_eq!((headlines(&taken[0]).len(), headlines(&taken[1]).len()), (2, 1));
}

#[test]
fn a_letter_that_was_put_off_says_the_same_after_a_correction_and_follows_a_mended_template() {
    let server = Postbox::open(Manners {
        dot: |_, times| if times < 3 { "451 4.3.0 later" } else { "250 Ok" },
        ..Manners::default()
    });
    let mut world = newsroom(&server, 1);
    sign(&mut world);
    run(&world);
    world.import(&[article("1", "Tin một (đã sửa)", "Kinh tế")]);
    world.later();
    run(&world);
    let refused = server.refused();
    assert_eq!(refused.len(), 2);
    assert!(is_same(&refused[0], &refused[1]));
    change_everything(&world);
    world.later();
    run(&world);
    let [taken] = &server.taken()[..] else { panic!("one letter is taken") };
    assert_eq!(taken.message_id, refused[0].message_id);
    let letter = crate::mailroom::Letter(taken.bytes.clone());
    assert!(letter.subject().starts_with("Mới! "), "nobody has the first look: {}", letter.subject());
    assert!(letter.headlines().contains(&"Tin một".to_owned()), "{:?}", letter.headlines());
}

#[test]
fn who_is_taken_off_the_list_while_the_mail_server_hesitates_gets_nothing() {
    let server = Postbox::open(Manners::default());
    let world = newsroom(&server, 1);
    server.set_trap(Edge::Named);
    std::thread::scope(|scope| {
        scope.spawn(|| run(&world));
        server.wait_for_the_trap();
        world.done(&["suppression", "add", &reader(0)]);
        std::thread::sleep(Duration::from_millis(200));
        server.open_the_trap();
    });
    assert_eq!((server.count(), world.deliveries("suppressed")), (0, 1));
    assert!(world.is_complete());
}

#[test]
fn held_doubt_waits_for_a_persons_word() {
    let server = Postbox::open(Manners {
        dot: |_, times| if times == 1 { "" } else { "250 Ok" },
        ..Manners::default()
    });
    let mut world = newsroom(&server, 3);
    world.set("BANTIN_MAIL__UNCERTAIN", "hold");
    run(&world);
    assert_eq!((world.deliveries("uncertain"), world.is_complete()), (3, true));
    world.later();
    run(&world);
    assert_eq!(server.count(), 3, "nobody is mailed twice");
    change_everything(&world);
    assert_eq!(json(&world, &["digest", "resend", "1", "--json"])[0]["queued"], 0);
    assert_eq!(json(&world, &["digest", "resend", "1", "--uncertain", "--json"])[0]["queued"], 3);
    run(&world);
    assert_eq!((world.deliveries("accepted"), server.count()), (3, 6));
    let taken = server.taken();
    for letter in &taken[3..] {
        assert!(taken[..3].iter().any(|first| is_same(first, letter)), "the repeat is the same letter");
    }
}

#[test]
fn an_edition_that_is_refused_too_often_stops_until_somebody_looks() {
    let server =
        Postbox::open(Manners { rcpt: |_, _| "550 5.7.1 Your policy is not ours", ..Manners::default() });
    let mut world = newsroom(&server, 300);
    world.set("BANTIN_MAIL__BREAKER_TRIES", "20");
    world.serve();
    world.miss_the_slot();
    let held = |world: &World| world.number("SELECT count(*) FROM editions WHERE held_at IS NOT NULL") == 1;
    world.wait_for("the edition is stopped", held);
    world.wait_for("letters under way are settled", |world| world.deliveries("claimed") == 0);
    let bounced = world.deliveries("bounced");
    assert!((20..100).contains(&bounced), "{bounced}");
    assert!(!world.is_complete());
    let shown = &json(&world, &["digest", "show", "1", "--json"])[0];
    assert!(shown["held"].as_str().unwrap().ends_with("letters were refused"), "{shown}");
    assert!(world.done(&["digest", "list"]).contains("held: "));
    assert!(world.done(&["check", "--offline"]).contains("an edition is stopped"));
    assert!(world.log().contains("too many of its letters are refused"), "{}", world.log());
    let metrics = world.get("/metrics").text();
    assert!(metrics.contains("bantin_editions_stopped 1"), "{metrics}");
    assert_eq!(world.subscriber(&reader(0))["state"], "active", "our policy's fault is not the reader's");

    world.at_the_store(async |store, _| {
        assert!(store.release_edition(EditionId(1), chrono::Utc::now()).await.unwrap());
    });
    world.wait_for("who was asked lets it go to its end", World::is_complete);
    assert_eq!(world.deliveries("bounced"), 300);
    world.assert_discreet();
}

#[test]
fn who_did_not_get_it_is_told_and_gets_a_second_chance() {
    let server = Postbox::open(Manners {
        rcpt: |to, times| match (to.split('@').next().unwrap_or_default(), times) {
            ("doc.gia.0", _) => "550 5.1.1 User unknown",
            ("doc.gia.1", 1) => "550 5.7.1 Blocked",
            ("doc.gia.2", _) => "451 4.7.1 Greylisted",
            _ => "250 2.1.5 Ok",
        },
        ..Manners::default()
    });
    let world = newsroom(&server, 4);
    run(&world);
    let failures = json(&world, &["digest", "failures", "1", "--json"]);
    let told: Vec<(&str, bool)> = failures
        .iter()
        .map(|row| (row["state"].as_str().unwrap(), row["reply"].as_str().unwrap().contains("5.7.1")))
        .collect();
    assert_eq!(told, [("bounced", false), ("bounced", true), ("deferred", false)], "{failures:?}");
    assert!(failures.iter().all(|row| row["subscriber"].is_i64() && row.get("address").is_none()));
    assert!(!world.done(&["digest", "failures", "1"]).contains("@doc.example"));
    assert!(world.done(&["digest", "failures", "1", "--addresses"]).contains(&reader(2)));

    let queued = &json(&world, &["digest", "resend", "1", "--json"])[0];
    assert_eq!(queued["queued"], 1, "not to whose address is dead, and not to whom is tried anyway");
    run(&world);
    assert_eq!(
        (world.deliveries("accepted"), world.deliveries("bounced"), world.deliveries("deferred")),
        (2, 1, 1)
    );
    let missing = world.run(&["digest", "show", "7"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn how_mail_goes_is_told_in_metrics() {
    let server = Postbox::open(Manners {
        rcpt: |to, _| if to.starts_with("doc.gia.0") { "451 4.7.1 later" } else { "250 2.1.5 Ok" },
        ..Manners::default()
    });
    let mut world = newsroom(&server, 3);
    world.serve();
    world.miss_the_slot();
    world.wait_for("two are accepted", |world| world.deliveries("accepted") == 2);
    world.wait_for("one is deferred", |world| world.deliveries("deferred") == 1);
    world.wait_for("all of it is told", |world| {
        let metrics = world.get("/metrics").text();
        metrics.contains("bantin_delivery_accepted_after_seconds_count 2")
            && metrics.contains("bantin_delivery_deferrals{domain=\"doc.example\"} 1")
            && metrics.contains("bantin_editions_running 1")
            && metrics.contains("bantin_mail_paused 0")
    });
    let shown = &json(&world, &["digest", "show", "1", "--json"])[0]["progress"];
    assert_eq!((&shown["letters"], &shown["settled"], &shown["deferred"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(shown["per_minute"], 2);
}

/// The same database in another newsroom's folder.
fn copy_of(original: &World, server: &Postbox) -> World {
    let mut copy = World::new();
    copy.set("BANTIN_MAIL__URL", &server.url());
    copy.write("var/bantin.db", std::fs::read(original.path("var/bantin.db")).unwrap());
    copy
}

#[test]
fn a_copy_of_the_store_mails_nobody_until_it_is_told_to() {
    let server = Postbox::open(Manners::default());
    let mut original = newsroom(&server, 5);
    original.serve();
    original.wait_for("it is at home", |world| world.number("SELECT count(home) FROM installation") == 1);
    assert_eq!(original.stop(), Some(0));
    original.cut();
    let mut copy = copy_of(&original, &server);
    let mut moved = copy_of(&original, &server);
    run(&original);
    assert_eq!(
        (server.count(), original.is_complete()),
        (5, true),
        "the original mails, and after a restart"
    );

    copy.serve();
    copy.miss_the_slot();
    copy.wait_for("it is told", |world| world.log().contains("mail rests"));
    copy.wait_for("it is shown", |world| world.get("/metrics").text().contains("bantin_mail_paused 1"));
    let refused = copy.run(&["digest", "run", "hang-ngay"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("bantin adopt"), "{refused:?}");
    let check = copy.run(&["check", "--offline"]);
    assert!(String::from_utf8_lossy(&check.stdout).contains("copy of one that mails elsewhere"));
    crate::crash::pause(1_500);
    assert_eq!((server.count(), copy.deliveries("pending")), (5, 5));

    copy.import(&[article("3", "Tin ba", "Kinh tế")]);
    let adopted = copy.done(&["adopt", "--mailed-elsewhere"]);
    assert!(adopted.contains("10 deliveries were settled unsent"), "{adopted}");
    copy.import(&[article("4", "Tin bốn", "Kinh tế")]);
    run(&copy);
    assert_eq!(server.count(), 10);
    for letter in &server.taken()[5..] {
        assert_eq!(crate::mailroom::Letter(letter.bytes.clone()).headlines(), ["Tin bốn"]);
    }

    moved.done(&["adopt"]);
    moved.serve();
    moved.wait_for("who moved mails what was due", World::is_complete);
    assert_eq!((server.count(), moved.deliveries("accepted")), (15, 5));
}

/// Much to do, and all of it goes well; then the same newsroom with each thing broken.
const ALERTS: &str = r#"
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - name: a large edition to a slow server is no alarm
    interval: 1m
    input_series: &busy
      - { series: 'up{job="bantin"}', values: '1x720' }
      - { series: 'bantin_deliveries{state="pending"}', values: '900000-1000x720' }
      - { series: 'bantin_delivery_lag_seconds', values: '0+1x720' }
      - { series: 'bantin_delivery_outcomes{state="accepted"}', values: '0+1000x720' }
      - { series: 'bantin_delivery_outcomes{state="deferred"}', values: '0+300x720' }
      - { series: 'bantin_delivery_outcomes{state="bounced"}', values: '0+20x720' }
      - { series: 'bantin_delivery_outcomes{state="uncertain"}', values: '0x720' }
      - { series: 'bantin_editions_stopped', values: '0x720' }
      - { series: 'bantin_mail_paused', values: '0x720' }
    promql_expr_test: &quiet
      - { expr: 'count(ALERTS{alertstate="firing"})', eval_time: 9h, exp_samples: [] }
  - name: what is broken is told
    interval: 1m
    input_series:
      - { series: 'bantin_delivery_lag_seconds', values: '2000x720' }
      - { series: 'bantin_delivery_outcomes{state="accepted"}', values: '500x720' }
      - { series: 'bantin_delivery_outcomes{state="deferred"}', values: '0+10x720' }
      - { series: 'bantin_delivery_outcomes{state="bounced"}', values: '0+10x720' }
      - { series: 'bantin_delivery_outcomes{state="uncertain"}', values: '0+2x720' }
      - { series: 'bantin_editions_stopped', values: '1x720' }
      - { series: 'bantin_mail_paused', values: '1x720' }
    promql_expr_test:
      - expr: 'count by (alertname) (ALERTS{alertstate="firing"})'
        eval_time: 9h
        exp_samples:
          - { labels: '{alertname="BantinMailStuck"}', value: 1 }
          - { labels: '{alertname="BantinMailRests"}', value: 1 }
          - { labels: '{alertname="BantinMailNotTaken"}', value: 1 }
          - { labels: '{alertname="BantinMailRefused"}', value: 1 }
          - { labels: '{alertname="BantinEditionStopped"}', value: 1 }
          - { labels: '{alertname="BantinMailInDoubt"}', value: 1 }
"#;

#[test]
fn alerts_speak_of_what_is_broken_and_not_of_what_is_much() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts.yaml");
    let server = Postbox::open(Manners::default());
    let mut world = newsroom(&server, 1);
    let test = world.write("alerts-test.yaml", ALERTS.replace("RULES", rules.to_str().unwrap()));
    crate::world::judged("promtool", &["test", "rules"], &test).unwrap();

    world.set("BANTIN_WEBHOOKS__URLS", "http://127.0.0.1:9/");
    world.set("BANTIN_WEBHOOKS__SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    world.set("BANTIN_SOURCES__CMS__KIND", "webhook");
    world.set("BANTIN_SOURCES__CMS__KEY", "0123456789abcdef0123456789abcdef");
    world.serve();
    world.miss_the_slot();
    world.wait_for("there is something to tell", World::is_complete);
    let told = world.get("/metrics").text();
    let text = std::fs::read_to_string(&rules).unwrap();
    let expressions = text.lines().filter(|line| line.contains("bantin_") && !line.contains("summary"));
    let names: std::collections::BTreeSet<&str> = expressions
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("bantin_"))
        .collect();
    assert!(names.len() > 7, "{names:?}");
    for name in names {
        assert!(told.contains(&format!("# TYPE {name} ")), "no metric {name}\n{told}");
    }
}
