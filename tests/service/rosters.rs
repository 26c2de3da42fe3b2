//! Lists of readers in and out, a person's whole file, and forgetting.

use crate::mailroom::article;
use crate::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::process::Output;

fn newsroom() -> World {
    let world = World::new();
    world.import(&[article("1", "Tin một", "Kinh tế"), article("2", "Tin hai", "Văn hóa")]);
    world
}

fn import(world: &World, list: &str, more: &[&str]) -> (Output, String) {
    let file = world.write("ban-doc.csv", list);
    let mut arguments = vec!["subscriber", "import", file.to_str().unwrap()];
    arguments.extend(more);
    let output = world.run(&arguments);
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (output, errors)
}

fn words(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

const LIST: &str = "\u{feff}Email;Feeds;Frequency;Language;Time zone;Consent;Consent_at;Consent_from;Ghi chú\r\n\
    an@doc.example;kinh-te;;;;phiếu giấy;2026-11-01;Hội sách Cần Thơ;quen\r\n\
    \"binh@doc.example\";\"kinh-te van-hoa\";daily:06:30;en;Europe/London;quầy báo;2026-11-02T09:00:00+07:00;;\r\n\
    khong-phai-dia-chi;;;;;phiếu giấy;2026-11-01;;\r\n\
    chi@doc.example;bong-da;;;;phiếu giấy;2026-11-01;;\r\n\
    dung@doc.example;;;;;;;;\r\n\
    em@doc.example;;hourly;;;phiếu giấy;2026-11-01;;\r\n\
    giang@doc.example;;;;;phiếu giấy;hôm qua;;\r\n\
    ha@doc.example;;;;Asia/Hanoi;phiếu giấy;2026-11-01;;\r\n\
    \r\n\
    kim@doc.example;;;;;phiếu giấy;2999-01-01;;\r\n";

#[test]
fn a_list_is_taken_over_and_each_bad_line_is_told_with_its_number_and_mend() {
    let world = newsroom();
    let (output, errors) = import(&world, LIST, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(words(&output), "2 subscribed, 0 asked by mail, 0 unchanged, 7 refused");
    for (line, mend) in [
        (1, "`Ghi chú` means nothing here"),
        (4, "write it like ten@example.vn"),
        (5, "has no feed `bong-da`"),
        (6, "import with --ask"),
        (7, "write `at-once`, `daily:06:30`"),
        (8, "2026-11-01"),
        (9, "`Asia/Hanoi` is no time zone"),
        (11, "lies in the future"),
    ] {
        let told = errors.lines().find(|told| told.contains(&format!("ban-doc.csv:{line}:")));
        assert!(told.is_some_and(|told| told.contains(mend)), "{line}: {mend}\n{errors}");
    }
    assert!(!errors.contains('@') || !errors.contains("doc.example"), "no reader's address: {errors}");
    let an = world.subscriber("an@doc.example");
    assert_eq!((&an["state"], &an["language"]), (&json!("active"), &json!("vi")));
    assert_eq!(world.feeds_of("binh@doc.example"), ["kinh-te", "van-hoa"]);
    let held: Value =
        serde_json::from_str(&world.done(&["subscriber", "show", "an@doc.example", "--all"])).unwrap();
    let proof = &held["opt_ins"][0];
    assert_eq!(
        (&proof["wording"], &proof["remote_address"]),
        (&json!("phiếu giấy"), &json!("Hội sách Cần Thơ"))
    );
    assert!(world.letters().is_empty() && world.number("SELECT count(*) FROM deliveries") == 0);
    // Again: nothing new, and no second proof.
    let (output, _) = import(&world, LIST, &[]);
    assert_eq!(words(&output), "0 subscribed, 0 asked by mail, 2 unchanged, 7 refused");
    assert_eq!(world.number("SELECT count(*) FROM opt_ins"), 2);
}

#[test]
fn who_did_not_agree_is_asked_once_and_mailed_nothing_before_the_yes() {
    let mut world = newsroom();
    let list = "address,consent,consent_at\ndung@doc.example,,\nan@doc.example,phiếu,2026-11-01\n";
    let (output, _) = import(&world, list, &["--ask"]);
    assert_eq!(words(&output), "1 subscribed, 1 asked by mail, 0 unchanged, 0 refused");
    let (output, _) = import(&world, list, &["--ask"]);
    assert_eq!(words(&output), "0 subscribed, 0 asked by mail, 2 unchanged, 0 refused");
    world.serve();
    world.wait_for("the question is mailed", |world| !world.mail_to("dung@doc.example").is_empty());
    world.digest_for("an@doc.example");
    let letters = world.mail_to("dung@doc.example");
    assert_eq!(letters.len(), 1);
    assert_eq!(world.post(&letters[0].link("confirm"), &[]).status, 200);
    assert_eq!(world.subscriber("dung@doc.example")["state"], "active");
    world.assert_discreet();
}

#[test]
fn a_list_brings_nobody_back() {
    let mut world = newsroom();
    let list = "address,feeds,consent,consent_at\nan@doc.example,kinh-te van-hoa,phiếu,2026-11-01\n\
                binh@doc.example,,phiếu,2026-11-01\nchi@doc.example,kinh-te van-hoa,phiếu,2026-11-01\n";
    import(&world, list, &[]);
    world.serve();
    let an = world.digest_for("an@doc.example");
    assert_eq!(world.post(&an.link("unsubscribe"), &[]).status, 200);
    world.done(&["subscriber", "erase", "binh@doc.example"]);
    world.change(
        "UPDATE subscriptions SET ended_at = started_at + 1, ended_reason = 'preferences'
        WHERE subscriber = 3 AND feed = (SELECT n FROM feeds WHERE key LIKE 'category:%' ORDER BY n LIMIT 1)",
    );
    let running = "SELECT count(*) FROM subscriptions WHERE ended_at IS NULL";
    let before = world.number(running);
    let (output, errors) = import(&world, list, &[]);
    assert_eq!(words(&output), "0 subscribed, 0 asked by mail, 1 unchanged, 2 refused");
    assert!(errors.contains(":2: left on ") && errors.contains("to be forgotten"), "{errors}");
    let (output, _) = import(&world, "address\nan@doc.example\nbinh@doc.example\n", &["--ask"]);
    assert_eq!(words(&output), "0 subscribed, 0 asked by mail, 0 unchanged, 2 refused");
    assert_eq!(world.number(running), before);
    // A consent of later is another matter.
    let later = (chrono::DateTime::from_timestamp(0, 0).unwrap(), bantin::app::SystemClock);
    let now = bantin::domain::Clock::now(&later.1).to_rfc3339();
    let list = format!(
        "address,consent,consent_at\nan@doc.example,điện thoại,{now}\nbinh@doc.example,điện thoại,{now}\n"
    );
    let (output, errors) = import(&world, &list, &[]);
    assert_eq!(words(&output), "2 subscribed, 0 asked by mail, 0 unchanged, 0 refused", "{errors}");
}

#[test]
fn a_list_that_went_out_comes_in_again_and_holds_no_formula() {
    let world = newsroom();
    let list = "address,feeds,frequency,consent,consent_at,consent_from\n\
        '=cmd|x@doc.example,kinh-te,,=HYPERLINK(1),2026-11-01,@toa-soan\n\
        '+84@doc.example,kinh-te,daily:06:30,phiếu,2026-11-01,\n\
        '+84@doc.example,van-hoa,weekly:mon:07:00,phiếu,2026-11-01,\n";
    let (output, errors) = import(&world, list, &[]);
    assert_eq!(words(&output), "3 subscribed, 0 asked by mail, 0 unchanged, 0 refused", "{errors}");
    let exported = world.done(&["subscriber", "export"]);
    assert!(exported.starts_with("address,feeds,frequency,"), "{exported}");
    for cell in exported.lines().flat_map(|line| line.split(',')) {
        let cell = cell.trim_start_matches('"');
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    assert!(exported.contains("'+84@doc.example,kinh-te,daily:06:30,vi,"), "{exported}");
    assert_eq!(exported.lines().count(), 4);
    let marked = world.done(&["subscriber", "export", "--bom", "--state", "active"]);
    assert_eq!(marked.strip_prefix('\u{feff}').unwrap(), exported);
    assert_eq!(world.done(&["subscriber", "export", "--state", "pending"]).lines().count(), 1);
    let (output, errors) = import(&world, &marked, &[]);
    assert_eq!(words(&output), "0 subscribed, 0 asked by mail, 3 unchanged, 0 refused", "{errors}");
    let other = newsroom();
    let (output, errors) = import(&other, &marked, &[]);
    assert_eq!(words(&output), "3 subscribed, 0 asked by mail, 0 unchanged, 0 refused", "{errors}");
    let columns = |list: String| -> Vec<String> {
        list.lines().map(|line| line.split(',').take(5).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(columns(other.done(&["subscriber", "export"])), columns(exported));
}

#[test]
fn what_is_no_list_is_said_at_once() {
    let world = newsroom();
    for (list, mend) in [
        ("", "is empty"),
        ("an@doc.example\n", "has to name the columns"),
        ("email,address\n", "two columns"),
    ] {
        let (output, errors) = import(&world, list, &[]);
        assert!(!output.status.success() && errors.contains(mend), "{errors}");
    }
    let file = world.write("latin.csv", b"address,consent,consent_at\nan@doc.example,gi\xe2y,2026-11-01\n");
    let output = world.run(&["subscriber", "import", file.to_str().unwrap()]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("latin.csv:2: is not UTF-8"), "{errors}");
}

/// Whether a file or anything below a folder holds a text, in whatever case.
fn holds(path: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let paths: Vec<_> = if path.is_dir() {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
    } else {
        let bytes = std::fs::read(path).unwrap().to_ascii_lowercase();
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
        Vec::new()
    };
    found.extend(paths.iter().flat_map(|below| holds(below, text)));
    found
}

/// A reader of whom everything is known that can be, one of whose mails a worker holds.
fn known_reader(world: &World) {
    world.write("words.txt", "x");
    let list = "address,consent,consent_at,consent_from\n\
                nguyen.van.lan@doc.example,lan nguyen ky ten,2026-11-01,203.0.113.77\n";
    let (output, errors) = import(world, list, &[]);
    assert!(output.status.success(), "{errors}");
    let (output, errors) = import(world, "address\nKhac@doc.example\n", &["--ask"]);
    assert!(output.status.success(), "{errors}");
    world.cut();
    for sql in [
        "UPDATE deliveries SET state = 'claimed', claimed_by = 'w', reply = '451 <nguyen.van.lan@doc.example> later',
         attempts = 1 WHERE kind = 'edition'",
        "INSERT INTO topics (path, subscriber, noticed, entity_tag) VALUES ('/my/geheim-lan.rss', 1, 0, '')",
        "INSERT INTO callbacks (topic, url, host, request, verified_at, expires_at, wanted, pushed, pushed_tag, attempts)
         VALUES (1, 'https://leser.example/nguyen.van.lan', 'leser.example:443', 0, 0, 0, 0, 0, '', 0)",
    ] {
        world.change(sql);
    }
}

const TRACES: [&str; 5] =
    ["nguyen.van.lan", "lan nguyen ky ten", "203.0.113.77", "geheim-lan", "leser.example"];

#[test]
fn an_erased_reader_is_in_no_byte_of_the_database_file() {
    let world = newsroom();
    known_reader(&world);
    world.change(
        "INSERT INTO kept_letters (delivery, articles, bytes)
         SELECT n, '1', CAST('To: nguyen.van.lan@doc.example' AS BLOB) FROM deliveries WHERE kind = 'edition'",
    );
    let held: Value = serde_json::from_str(&world.done(&["subscriber", "show", "1", "--all"])).unwrap();
    assert_eq!(held["kept_letters"][0]["bytes"], "To: nguyen.van.lan@doc.example");
    assert_eq!(held["titles"].as_object().unwrap().len(), 2);
    assert_eq!(held["callbacks"][0]["url"], "https://leser.example/nguyen.van.lan");
    let folder = world.path("var");
    for trace in TRACES {
        assert!(!holds(&folder, trace).is_empty(), "{trace} was there before");
    }
    world.done(&["subscriber", "erase", "1"]);
    for trace in TRACES {
        assert_eq!(holds(&folder, trace), Vec::<String>::new(), "{trace}");
    }
    assert!(!world.run(&["subscriber", "show", "1"]).status.success());
    assert_eq!(
        world.number("SELECT count(*) FROM ledger WHERE subscriber = 1"),
        2,
        "what was mailed is counted"
    );
    assert_eq!(world.deliveries("suppressed"), 1, "also from a worker's hands");
    assert_eq!(world.number("SELECT count(*) FROM erasures"), 1);
}

#[test]
fn an_erased_reader_is_in_no_dump_of_postgres() {
    let mut world = World::new();
    world.on_postgres();
    world.import(&[article("1", "Tin một", "Kinh tế"), article("2", "Tin hai", "Văn hóa")]);
    known_reader(&world);
    let dump = || {
        let output = Command::new("pg_dump").arg(world.setting("BANTIN_STORE__URL").unwrap()).output();
        let output = output.expect("pg_dump, which comes with PostgreSQL, is in the path");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().to_lowercase()
    };
    let before = dump();
    assert!(TRACES.iter().all(|trace| before.contains(trace)));
    world.done(&["subscriber", "erase", "nguyen.van.lan@doc.example"]);
    let after = dump();
    for trace in TRACES {
        assert!(!after.contains(trace), "{trace}");
    }
    assert!(after.contains("khac@doc.example"), "nobody else is forgotten");
}
