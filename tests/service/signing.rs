//! Signed mail before verifiers that other people wrote: dkimpy and OpenDKIM.

use crate::mailroom::{article, reader};
use crate::ports::free_port;
use crate::postfix::{Helper, Postfix, is_root, wait_for_port};
use crate::world::{World, python};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What dkimpy makes of each file: whether each of its signatures verifies, from the first.
const DKIMPY: &str = r#"
import dkim, json, sys
zone = dict(line.split(" ", 1) for line in open(sys.argv[1]).read().splitlines())
def txt(name, timeout=5):
    found = zone.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    return found and found.encode()
verdicts = []
for path in sys.argv[2:]:
    message = open(path, "rb").read()
    of_file = []
    for at in range(message.lower().count(b"dkim-signature:")):
        try:
            of_file.append(bool(dkim.DKIM(message).verify(idx=at, dnsfunc=txt)))
        except dkim.DKIMException:
            of_file.append(False)
    verdicts.append(of_file)
print(json.dumps(verdicts))
"#;

/// OpenDKIM verifies, and looks at more than three signatures, as while keys are changed.
const SETTINGS: &str = "Mode v\nMaximumSignaturesToVerify 8\n";

/// Makes keys, signs with them from now on, and publishes them in a file as OpenDKIM reads it.
fn sign(world: &mut World, selectors: &[&str]) -> PathBuf {
    let mut keys = Vec::new();
    let (mut zone, file) = (String::new(), world.path("zone"));
    for selector in selectors {
        let told = world.done(&["dkim", "new", "keys", "--selector", selector]);
        let line = told.lines().find_map(|line| line.strip_prefix("keys = ")).unwrap();
        keys.push(line.replace(['[', ']', '"'], ""));
    }
    world.set("BANTIN_DKIM__KEYS", &keys.join(","));
    for line in world.done(&["dkim", "show", "--json"]).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| record[name].as_str().unwrap();
        assert_eq!(text("type"), "TXT");
        zone.push_str(&format!("{} {}\n", text("name"), text("value")));
    }
    std::fs::write(&file, zone).unwrap();
    file
}

fn newsroom() -> World {
    let world = World::new();
    world.import(&[article("1", "Lúa thơm Sóc Trăng", "Kinh tế"), article("2", "Tin  hai", "Văn hóa")]);
    world
}

/// A digest as it was handed over.
fn letter(world: &World) -> String {
    world.fill(1);
    world.done(&["digest", "run", "hang-ngay"]);
    String::from_utf8(world.letters().pop().unwrap()).unwrap()
}

fn by_dkimpy(zone: &Path, files: &[PathBuf]) -> Vec<Vec<bool>> {
    let mut arguments = vec![zone.to_str().unwrap()];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    serde_json::from_str(&python(DKIMPY, &arguments)).unwrap()
}

/// The verdicts of an Authentication-Results header (RFC 8601), in its order.
fn verdicts(results: &str) -> Vec<bool> {
    results.split("dkim=").skip(1).map(|verdict| verdict.starts_with("pass")).collect()
}

fn by_opendkim(world: &World, zone: &Path, file: &Path) -> Vec<bool> {
    let settings = world.write("opendkim.conf", format!("{SETTINGS}TestDNSData file:{}\n", zone.display()));
    let output = Command::new("/usr/sbin/opendkim")
        .args(["-vvv", "-x"])
        .arg(settings)
        .arg("-t")
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("opendkim is needed ({error}); tests/run installs it"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    // It tells nothing of signatures whose body is another one.
    let signatures = std::fs::read_to_string(file).unwrap().matches("DKIM-Signature:").count();
    let results = told.split("hname='Authentication-Results'").nth(1);
    results.map_or_else(|| vec![false; signatures], verdicts)
}

/// What both verifiers say of a letter, in whatever form it came to them.
fn judge(world: &World, zone: &Path, name: &str, letter: &str) -> Vec<bool> {
    let file = world.write(name, letter);
    let one = by_dkimpy(zone, std::slice::from_ref(&file)).remove(0);
    assert_eq!(one, by_opendkim(world, zone, &file), "dkimpy and OpenDKIM of {name}\n{letter}");
    one
}

#[test]
fn both_signatures_verify_and_survive_what_relays_do() {
    let mut world = newsroom();
    let zone = sign(&mut world, &["s1"]);
    let letter = letter(&world);
    for kind in ["a=rsa-sha256", "a=ed25519-sha256", "c=relaxed/relaxed"] {
        assert!(letter.contains(kind), "{letter}");
    }
    let (head, body) = letter.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ");
    let (signatures, rest) = head.split_at(head.find("\r\nFrom: ").unwrap());
    for (name, changed) in [
        ("as it left", letter.clone()),
        ("with a trace", format!("Received: by relay.example; Mon, 30 Nov 2026 06:30:00 +0700\r\n{letter}")),
        ("folded elsewhere", format!("{}\r\n\r\n{body}", head.replace("\r\n ", "\r\n\t  "))),
        ("unfolded", format!("{unfolded}\r\n\r\n{body}")),
        ("with other blanks", format!("{signatures}{}\r\n\r\n{body}", rest.replace(": ", ":   "))),
        ("with other letters in names", letter.replace("\r\nSubject:", "\r\nSUBJECT:")),
        ("with empty lines at its end", format!("{letter}\r\n\r\n")),
    ] {
        assert_eq!(judge(&world, &zone, name, &changed), [true, true], "{name}\n{changed}");
    }
}

#[test]
fn what_a_stranger_adds_or_changes_breaks_both_signatures() {
    let mut world = newsroom();
    let zone = sign(&mut world, &["s1"]);
    let letter = letter(&world);
    let with = |line: &str| letter.replacen("\r\nFrom: ", &format!("\r\n{line}\r\nFrom: "), 1);
    let (head, body) = letter.split_once("\r\n\r\n").unwrap();
    for (name, changed) in [
        ("second sender", with("From: Ngân hàng <bank@evil.example>")),
        ("second subject", with("Subject: Trúng thưởng")),
        ("second receiver", with("To: an@doc.example")),
        ("second date", with("Date: Mon, 30 Nov 2026 06:30:00 +0700")),
        ("answers elsewhere", with("Reply-To: bank@evil.example")),
        ("another list", letter.replace("List-Id: ", "List-Id: x")),
        ("another way out", letter.replace("List-Unsubscribe: <", "List-Unsubscribe: <x")),
        ("another click", letter.replace("=One-Click", "=Two-Click")),
        ("another body", format!("{head}\r\n\r\n{body}\r\n--")),
    ] {
        assert_ne!(changed, letter, "{name}");
        assert_eq!(judge(&world, &zone, name, &changed), [false, false], "{name}");
    }
}

#[test]
fn old_and_new_keys_sign_together_and_the_old_can_go() {
    let mut world = newsroom();
    let zone = sign(&mut world, &["s1", "s2"]);
    let letter = letter(&world);
    assert_eq!(judge(&world, &zone, "both", &letter), [true; 4]);
    let published = std::fs::read_to_string(&zone).unwrap();
    let new: String = published
        .lines()
        .filter(|line| line.starts_with("s2-"))
        .fold(String::new(), |all, line| format!("{all}{line}\n"));
    std::fs::write(&zone, new).unwrap();
    let left = by_dkimpy(&zone, &[world.path("both")]).remove(0);
    assert_eq!(left.iter().filter(|passes| **passes).count(), 2, "{left:?}");
}

#[test]
fn keys_are_nobody_elses_and_never_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = newsroom();
    sign(&mut world, &["s1"]);
    let key = world.path("keys/s1-rsa.pem");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    let check = world.done(&["check", "--offline"]);
    assert!(check.contains("s1-rsa._domainkey.songhau.example") && !check.contains("can be read by others"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = world.done(&["check", "--offline"]);
    assert!(check.contains("s1-rsa.pem can be read by others (mode 644)"), "{check}");
    let again = world.run(&["dkim", "new", "keys", "--selector", "s1"]);
    assert_eq!(again.status.code(), Some(1), "a key is never written over");

    world.set("BANTIN_LOG__LEVEL", "trace");
    world.fill(1);
    world.serve();
    world.miss_the_slot();
    world.wait_for("the digest is mailed", World::is_complete);
    let secret = std::fs::read_to_string(&key).unwrap();
    let log = world.log();
    assert!(secret.lines().filter(|line| line.len() == 64).all(|line| !log.contains(line)));
    world.assert_discreet();
}

/// OpenDKIM beside a Postfix, verifying, with keys from a file instead of DNS.
fn opendkim_beside(folder: &Path, zone: &Path, port: u16) -> Helper {
    let settings = folder.join("opendkim.conf");
    // What comes from 127.0.0.1 would be ours to sign, and not looked at.
    let text = format!(
        "{SETTINGS}Syslog no\nAuthservID relay.songhau.example\nInternalHosts 192.0.2.1\nTestDNSData file:{}\n",
        zone.display()
    );
    std::fs::write(&settings, text).unwrap();
    let child = Command::new("/usr/sbin/opendkim")
        .args(["-f", "-x"])
        .arg(settings)
        .args(["-p", &format!("inet:{port}@127.0.0.1")])
        .arg("-P")
        .arg(folder.join("opendkim.pid"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("opendkim is needed ({error}); tests/run installs it"));
    Helper(child)
}

/// Dovecot on Postfix's mailbox: one user, one password.
pub fn dovecot_on(folder: &Path, port: u16) -> Helper {
    let home = folder.join("dovecot");
    std::fs::create_dir(&home).unwrap();
    let (home, mail) = (home.display(), folder.join("mail/box").display().to_string());
    let text = format!(
        "base_dir = {home}/run\nstate_dir = {home}/state\nlog_path = {home}/log\nprotocols = imap\n\
         listen = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nfirst_valid_uid = 65534\n\
         mail_location = maildir:{mail}\n\
         passdb {{\n driver = static\n args = password=geheim\n}}\n\
         userdb {{\n driver = static\n args = uid=65534 gid=65534 home={home}/user\n}}\n\
         service imap-login {{\n chroot =\n inet_listener imap {{\n  port = {port}\n }}\n inet_listener imaps {{\n  port = 0\n }}\n}}\n"
    );
    let settings = folder.join("dovecot.conf");
    std::fs::write(&settings, text).unwrap();
    let child = Command::new("/usr/sbin/dovecot")
        .args(["-F", "-c"])
        .arg(settings)
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("dovecot is needed ({error}); tests/run installs dovecot-imapd"));
    Helper(child)
}

/// Reads the mailbox as a mail program does, and keeps each letter as a file.
const IMAP: &str = r#"
import email, email.policy, imaplib, json, sys
box = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
box.login("doc.gia", "geheim")
box.select("INBOX")
letters = []
for number in box.search(None, "ALL")[1][0].split():
    raw = box.fetch(number, "(RFC822)")[1][0][1]
    path = f"{sys.argv[2]}/{number.decode()}.eml"
    open(path, "wb").write(raw)
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    letters.append({"path": path, "to": str(message["To"]), "subject": str(message["Subject"]),
        "results": str(message["Authentication-Results"]), "received": len(message.get_all("Received")),
        "text": message.get_body(("plain",)).get_content()})
box.logout()
print(json.dumps(letters))
"#;

#[test]
#[expect(clippy::print_stdout, reason = "what was not tried is told")]
fn postfix_hands_on_what_opendkim_finds_true_and_dovecot_shows_it() {
    if !is_root() {
        println!("not tried: only root can start a Postfix");
        return;
    }
    let mut world = newsroom();
    let zone = sign(&mut world, &["s1"]);
    let milter = free_port();
    let more =
        format!("smtpd_milters = inet:127.0.0.1:{}\nmilter_default_action = tempfail\n", milter.port());
    let postfix = Postfix::start(2, &more);
    let _opendkim = opendkim_beside(&postfix.path(""), &zone, milter.port());
    wait_for_port(milter);
    world.set("BANTIN_MAIL__URL", &format!("smtp://{}", postfix.address()));
    world.fill(2);
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(world.deliveries("accepted"), 2);
    world.wait_for("Postfix has delivered", |_| postfix.letters().len() == 2);

    let imap = free_port();
    let _dovecot = dovecot_on(&postfix.path(""), imap.port());
    wait_for_port(imap);
    let folder = world.path("read");
    std::fs::create_dir(&folder).unwrap();
    let letters = python(IMAP, &[&imap.port().to_string(), folder.to_str().unwrap()]);
    let letters: Vec<Value> = serde_json::from_str(&letters).unwrap();
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap().to_owned();
    let mut readers: Vec<String> = letters.iter().map(|letter| text(letter, "to")).collect();
    readers.sort();
    assert_eq!(readers, [reader(0), reader(1)]);
    for letter in &letters {
        let results = text(letter, "results");
        assert!(results.starts_with("relay.songhau.example;"), "{results}");
        assert_eq!(verdicts(&results), [true, true], "{results}");
        assert!(results.contains("header.d=songhau.example"), "{results}");
        assert!(text(letter, "subject").contains("Lúa thơm Sóc Trăng"), "{letter}");
        assert!(text(letter, "text").contains("Lúa thơm Sóc Trăng"), "{letter}");
        assert_eq!(letter["received"], 1);
    }
    let files: Vec<PathBuf> = letters.iter().map(|letter| PathBuf::from(text(letter, "path"))).collect();
    assert_eq!(by_dkimpy(&zone, &files), [[true, true], [true, true]], "as read from the mailbox");
}
