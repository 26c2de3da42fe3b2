//! Mail that goes over the wire, to servers that other people wrote.

use crate::mailroom::{article, reader};
use crate::ports::free_port;
use crate::postbox::{Manners, Postbox};
use crate::postfix::{Helper, Postfix, files, is_root, wait_for_port};
use crate::world::{World, python};
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const READERS: usize = 3;

/// What Python's `email` makes of each file: one object a file.
const PARSE: &str = r#"
import email, email.policy, email.utils, json, sys
letters = []
for path in sys.argv[1:]:
    message = email.message_from_bytes(open(path, "rb").read(), policy=email.policy.SMTP)
    defects = []
    for part in message.walk():
        defects += [f"{part.get_content_type()}: {d!r}" for d in part.defects]
        for name, value in part.items():
            defects += [f"{name}: {d!r}" for d in getattr(value, "defects", [])]
        if not part.is_multipart():
            part.get_content()
    body = lambda kind: message.get_body(preferencelist=(kind,)).get_content()
    sender = message["From"].addresses[0]
    letters.append({
        "defects": defects, "subject": message["Subject"], "from_name": sender.display_name,
        "from": sender.addr_spec, "to": message["To"].addresses[0].addr_spec,
        "list_id": str(email.header.make_header(email.header.decode_header(message["List-Id"]))),
        "unsubscribe": message["List-Unsubscribe"], "post": message["List-Unsubscribe-Post"],
        "id": message["Message-ID"], "date": message["Date"].datetime.isoformat(),
        "auto": message["Auto-Submitted"], "text": body("plain"), "html": body("html"),
        "longest": max(len(line) for line in open(path, "rb").read().splitlines()),
        "type": message.get_content_type(),
    })
print(json.dumps(letters))
"#;

/// A newsroom with news for three readers; nothing runs, no mail has left.
fn newsroom(server: &str) -> World {
    let mut world = World::new();
    world.set("BANTIN_MAIL__URL", server);
    world.import(&[
        article(
            "1",
            "“Lúa thơm” Sóc Trăng: giá tăng 5% – nông dân phấn khởi, doanh nghiệp lo nguồn hàng",
            "Kinh tế",
        ),
        article("2", ".Dòng bắt đầu bằng dấu chấm", "Văn hóa"),
    ]);
    world.fill(READERS);
    world
}

/// `smtp-sink` of Postfix; what it takes lies in a folder, a file each.
pub fn smtp_sink(address: SocketAddr, folder: &Path, options: &[&str]) -> Helper {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = if Path::new("/usr/sbin/smtp-sink").exists() { "/usr/sbin/smtp-sink" } else { "smtp-sink" };
    let mut command = Command::new(program);
    if is_root() {
        command.args(["-u", "nobody"]);
    }
    // It opens its files below the folder that it is in.
    let child = command
        .args(options)
        .args(["-d", "%M."])
        .arg(address.to_string())
        .arg("16")
        .current_dir(folder)
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("smtp-sink is needed ({error}): apt-get install postfix"));
    let helper = Helper(child);
    wait_for_port(address);
    helper
}

/// Python's parser finds the digest faultless, and in it what was meant.
fn judge(world: &World, paths: &[PathBuf]) {
    let arguments: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let letters: Vec<Value> = serde_json::from_str(&python(PARSE, &arguments)).unwrap();
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap().to_owned();
    let mut ids = Vec::new();
    let mut readers = Vec::new();
    for letter in &letters {
        assert_eq!(letter["defects"], serde_json::json!([]));
        assert_eq!(text(letter, "type"), "multipart/alternative");
        assert_eq!(text(letter, "from_name"), "Báo Sông Hậu");
        assert_eq!(text(letter, "from"), "bantin@songhau.example");
        assert_eq!(text(letter, "list_id"), "Bản tin buổi sáng <hang-ngay.127.0.0.1>");
        assert!(text(letter, "subject").starts_with("Bản tin buổi sáng: "), "{letter}");
        assert!(text(letter, "subject").ends_with(" và 1 tin khác"), "{letter}");
        assert_eq!(text(letter, "post"), "List-Unsubscribe=One-Click");
        let unsubscribe = text(letter, "unsubscribe");
        assert!(unsubscribe.starts_with(&format!("<{}", world.url("/unsubscribe/"))), "{unsubscribe}");
        assert_eq!(text(letter, "auto"), "auto-generated");
        assert!(text(letter, "date").ends_with("+07:00"), "{letter}");
        assert!(letter["longest"].as_u64().unwrap() <= 998, "RFC 5322 §2.1.1");
        for part in ["text", "html"] {
            assert!(text(letter, part).contains("“Lúa thơm” Sóc Trăng"), "{part}");
            assert!(text(letter, part).contains(".Dòng bắt đầu bằng dấu chấm"), "{part}");
            assert!(text(letter, part).contains(unsubscribe.trim_matches(['<', '>'])), "{part}");
        }
        ids.push(text(letter, "id"));
        readers.push(text(letter, "to"));
    }
    readers.sort();
    assert_eq!(readers, (0..READERS).map(reader).collect::<Vec<_>>());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), READERS, "one Message-ID a reader");
}

#[test]
fn a_digest_reaches_smtp_sink_without_a_defect() {
    let address = free_port();
    let world = newsroom(&format!("smtp://{address}"));
    let folder = world.path("sink");
    let _sink = smtp_sink(address, &folder, &[]);
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(world.deliveries("accepted"), 3);
    judge(&world, &files(&folder));
}

#[test]
fn a_server_that_says_later_gets_it_later() {
    let address = free_port();
    let world = newsroom(&format!("smtp://{address}"));
    let folder = world.path("sink");
    for command in ["rcpt", "mail", "data", "."] {
        let _sink = smtp_sink(address, &folder, &["-b", "450 4.2.0 Xin chờ", "-r", command]);
        world.later();
        world.done(&["digest", "run", "hang-ngay"]);
        assert_eq!(world.deliveries("deferred"), 3, "{command}");
        assert!(!world.is_complete());
    }
    // 421, and a line that is cut at RCPT.
    for options in [["-Q", "rcpt"], ["-q", "rcpt"]] {
        let _sink = smtp_sink(address, &folder, &options);
        world.later();
        world.done(&["digest", "run", "hang-ngay"]);
        assert_eq!(world.deliveries("deferred"), 3, "{options:?}");
    }
    for file in files(&folder) {
        std::fs::remove_file(file).unwrap();
    }
    let _sink = smtp_sink(address, &folder, &[]);
    world.later();
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(world.deliveries("accepted"), 3);
    assert!(world.is_complete());
    judge(&world, &files(&folder));
}

#[test]
fn a_server_that_is_down_costs_time_and_no_mail() {
    let address = free_port();
    let mut world = newsroom(&format!("smtp://{address}"));
    world.serve();
    world.miss_the_slot();
    world.wait_for("all are deferred", |world| world.deliveries("deferred") == 3);
    let tries = world.number("SELECT max(attempts) FROM deliveries WHERE kind = 'edition'");
    assert_eq!(tries, 0, "what no server heard of is no try");
    let server = Postbox::open_at(address, Manners::default());
    world.later();
    world.wait_for("all are accepted", World::is_complete);
    assert_eq!((server.count(), world.deliveries("accepted")), (3, 3));
    world.assert_discreet();
}

#[test]
fn a_dead_address_bounces_and_its_reader_with_it() {
    let server = Postbox::open(Manners {
        rcpt: |to, times| match (to.split('@').next().unwrap_or_default(), times) {
            ("doc.gia.0", _) => "550 5.1.1 <doc.gia.0@doc.example>: User unknown",
            ("doc.gia.1", 1) => "450 4.2.0 Greylisted",
            ("doc.gia.2", _) => "550 5.7.1 Your policy is not ours",
            _ => "250 2.1.5 Ok",
        },
        ..Manners::default()
    });
    let mut world = newsroom(&server.url());
    world.set("BANTIN_LOG__LEVEL", "debug");
    world.serve();
    world.miss_the_slot();
    world.wait_for("the first tries are made", |world| world.deliveries("bounced") == 2);
    world.wait_for("the second is deferred", |world| world.deliveries("deferred") == 1);
    world.later();
    world.wait_for("the edition is complete", World::is_complete);
    assert_eq!((world.deliveries("bounced"), world.deliveries("accepted")), (2, 1));
    let state = |number| world.subscriber(&reader(number))["state"].as_str().unwrap().to_owned();
    assert_eq!(state(0), "bounced");
    assert_eq!(state(1), "active");
    assert_eq!(state(2), "active", "a refusal of our policy gives no reader up");

    world.import(&[article("3", "Tin kế tiếp", "Kinh tế")]);
    let cut = world.done(&["digest", "run", "hang-ngay"]);
    assert!(cut.contains("1 article to 2 subscribers"), "{cut}");
    world.assert_discreet();
}

#[test]
#[expect(clippy::print_stdout, reason = "what was not tried is told")]
fn postfix_takes_a_digest_and_names_the_dead_address() {
    if !is_root() {
        println!("not tried: only root can start a Postfix");
        return;
    }
    let postfix = Postfix::start(READERS - 1, "");
    let world = newsroom(&format!("smtp://{}", postfix.address()));
    let check = world.done(&["check"]);
    assert!(check.contains("answers as `relay.songhau.example`"), "{check}");
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!((world.deliveries("accepted"), world.deliveries("bounced")), (2, 1));
    assert_eq!(world.subscriber(&reader(2))["state"], "bounced", "550 5.1.1 in Postfix's own words");
    world.wait_for("Postfix has delivered", |_| postfix.letters().len() == 2);
    let held = files(&world.path("var/outbox"));
    assert!(held.is_empty(), "mail goes to one place");
    // The third reader has no mailbox there, so his letter is looked at as it was written.
    let mut letters = postfix.letters();
    let sent_test = world.done(&["digest", "send-test", "hang-ngay", "--to", &reader(0)]);
    assert!(sent_test.contains("accepted by the mail server"), "{sent_test}");
    world.wait_for("the test letter is delivered", |_| postfix.letters().len() == 3);
    letters.sort();
    let parsed = python(PARSE, &letters.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>());
    let parsed: Vec<Value> = serde_json::from_str(&parsed).unwrap();
    for letter in &parsed {
        assert_eq!(letter["defects"], serde_json::json!([]));
        assert_eq!(letter["from_name"], "Báo Sông Hậu");
        assert_eq!(letter["post"], "List-Unsubscribe=One-Click");
    }
    assert_ne!(parsed[0]["id"], parsed[1]["id"]);
}
