//! Mail that comes back, on every way on which it may.

use crate::mailroom::{article, reader};
use crate::ports::free_port;
use crate::postbox::{Manners, Postbox};
use crate::postfix::{Postfix, is_root, wait_for_port};
use crate::signing::dovecot_on;
use crate::world::World;
use bantin::domain::{DeliveryId, ReturnPath};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const BOUNCES_TO: &str = "tra-lai+*@songhau.example";
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A newsroom whose readers have an edition; it lies in the outbox and counts as accepted.
fn newsroom(readers: usize) -> World {
    let mut world = World::new();
    world.set("BANTIN_LOG__LEVEL", "debug");
    world.set("BANTIN_MAIL__BOUNCES_TO", BOUNCES_TO);
    world.import(&[article("1", "Giá lúa ở Cần Thơ tăng", "Kinh tế")]);
    world.fill(readers);
    world
}

fn mailed(readers: usize) -> World {
    let world = newsroom(readers);
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(world.deliveries("accepted"), readers as i64);
    world
}

/// The return address of a reader's only mail.
fn return_path(world: &World, number: usize) -> String {
    let delivery = world.number_of(
        "SELECT d.n FROM deliveries d JOIN subscribers s ON s.n = d.subscriber WHERE s.address = $1",
        &reader(number),
    );
    let path: ReturnPath = BOUNCES_TO.parse().unwrap();
    world.at_the_store(async |_, secret| path.of(DeliveryId(delivery), &secret).unwrap().to_string())
}

fn corpus(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bounces").join(name)).unwrap()
}

fn state(world: &World, number: usize) -> String {
    world.subscriber(&reader(number))["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_pipe_takes_a_bounce_once_and_ends_as_a_mail_server_expects() {
    let world = mailed(3);
    let bounce = |message: &str, to: &str| {
        world.run_with_input(&["bounce", "--sysexits", "--recipient", to], &corpus(message))
    };
    let told = |message: &str, to: &str| {
        let output = bounce(message, to);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (first, second) = (return_path(&world, 0), return_path(&world, 1));
    // The report names somebody else's address: the signed one counts.
    let done = told("hard.qmail.eml", &first.to_uppercase());
    assert_eq!(done, "hard: the address is not mailed any more (bounced)");
    assert_eq!(told("hard.qmail.eml", &first), "hard: reported before");
    assert_eq!((state(&world, 0).as_str(), world.deliveries("bounced")), ("bounced", 1));

    for harmless in
        ["auto-reply.exchange-vi.eml", "not-a-bounce.postfix-delayed.eml", "not-a-bounce.arf-not-spam.eml"]
    {
        assert!(told(harmless, &second).ends_with("changes nothing"), "{harmless}");
    }
    assert_eq!(told("policy.postfix-spam.eml", &second), "policy: noted; the address is mailed on");
    assert_eq!(state(&world, 1), "active");
    assert_eq!(
        told("complaint.arf-redacted.eml", &second),
        "complaint: the address is not mailed any more (complained)"
    );
    assert_eq!(state(&world, 1), "complained");

    let forged = second.replace("tra-lai+", "tra-lai+a");
    let forged = bounce("hard.qmail.eml", &forged);
    assert_eq!(forged.status.code(), Some(67), "EX_NOUSER");
    let stranger = told("hard.qmail.eml", "tra-lai@songhau.example");
    assert_eq!(stranger, "hard: changes nothing", "nobody of ours is named in it");
    assert_eq!(state(&world, 2), "active");
    assert_eq!(world.run_with_input(&["bounce"], b"").status.code(), Some(0));

    let shown = world.subscriber(&reader(0));
    assert_eq!(shown["bounces"][0]["class"], "hard");
    assert_eq!(shown["bounces"][0]["way"], "pipe");
    assert!(!shown["bounces"][0]["evidence"].as_str().unwrap().contains('@'));
    std::fs::write(world.path("bantin.toml"), "[store]\nurl = \"postgres://127.0.0.1:1/nothing\"\n").unwrap();
    let later = bounce("hard.qmail.eml", &second);
    assert_eq!(later.status.code(), Some(75), "EX_TEMPFAIL: {}", String::from_utf8_lossy(&later.stderr));
}

#[test]
fn without_a_signed_address_our_own_letter_proves_it_and_an_address_alone_weighs_little() {
    let mut world = newsroom(2);
    world.unset("BANTIN_MAIL__BOUNCES_TO");
    world.done(&["digest", "run", "hang-ngay"]);
    let letter = String::from_utf8(world.mail_to(&reader(0))[0].0.clone()).unwrap();
    let header = &letter[..letter.find("\r\n\r\n").unwrap()];
    let report = |to: &str, header: &str| {
        format!(
            "From: MAILER-DAEMON@doc.example\r\nTo: bantin@songhau.example\r\nSubject: failure notice\r\n\r\n\
             <{to}>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n\
             --- Below this line is a copy of the message.\r\n\r\n{header}\r\n\r\n"
        )
    };
    let told = |text: String| {
        String::from_utf8(world.run_with_input(&["bounce"], text.as_bytes()).stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(
        told(report(&reader(1), "")),
        "hard: noted; the address is mailed on",
        "anybody can write that"
    );
    assert_eq!(state(&world, 1), "active");
    assert_eq!(world.subscriber(&reader(1))["bounces"][0]["class"], "soft");
    assert_eq!(told(report("an@nobody.example", "")), "hard: changes nothing");
    let redacted = report("redacted@doc.example", header);
    assert_eq!(told(redacted), "hard: the address is not mailed any more (bounced)");
    assert_eq!(state(&world, 0), "bounced");
}

/// Says lines to an LMTP server and gives its last words to each.
fn lmtp(address: SocketAddr, lines: &[&str]) -> Vec<String> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut answer = || {
        let mut line = String::new();
        while line.is_empty() || line.as_bytes().get(3) == Some(&b'-') {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return "closed".to_owned();
            }
        }
        line.trim_end().to_owned()
    };
    let mut answers = vec![answer()];
    for line in lines {
        if (&stream).write_all(format!("{line}\r\n").as_bytes()).is_err() {
            answers.push("closed".to_owned());
            break;
        }
        answers.push(answer());
    }
    answers
}

#[test]
fn lmtp_takes_what_is_ours_and_bears_strangers() {
    let mut world = mailed(2);
    let address = free_port();
    world.set("BANTIN_BOUNCES__LMTP", &address.to_string());
    world.serve();
    wait_for_port(address);
    let to = format!("RCPT TO:<{}>", return_path(&world, 0));
    let forged = format!("RCPT TO:<tra-lai+{}@songhau.example>", "a".repeat(32));
    let report = String::from_utf8(corpus("hard.postfix-unknown-user.eml")).unwrap();
    let text = format!("{}\r\n.", report.replace('\n', "\r\n"));
    let said = lmtp(
        address,
        &[
            "EHLO x",
            "MAIL FROM:<>",
            "LHLO x",
            "RCPT TO:<a@b.example>",
            "MAIL FROM:<> BODY=8BITMIME",
            "MAIL FROM:<>",
            &forged,
            "RCPT TO:<a@b.example>",
            "DATA",
            &to,
            "DATA",
            &text,
            "RSET",
            "QUIT",
        ],
    );
    let codes: Vec<&str> = said.iter().map(|line| &line[..3]).collect();
    assert_eq!(
        codes,
        [
            "220", "500", "503", "250", "503", "250", "503", "550", "550", "503", "250", "354", "250", "250",
            "221"
        ],
        "{said:#?}"
    );
    assert_eq!(state(&world, 0), "bounced");

    // Lines without end, texts without end, a peer that goes away in the middle.
    let long = format!("MAIL FROM:<{}>", "x".repeat(100_000));
    assert!(lmtp(address, &["LHLO x", &long])[2].starts_with("500 5.5.2"));
    let nonsense = String::from_utf8_lossy(&[0, 255, 13, 7]).into_owned();
    assert!(lmtp(address, &["", &nonsense, "LHLO"]).iter().all(|line| line.len() > 3));
    let mut cut = TcpStream::connect(address).unwrap();
    cut.write_all(
        format!("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{}>\r\nDATA\r\n{report}", return_path(&world, 1))
            .as_bytes(),
    )
    .unwrap();
    drop(cut);
    let many: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut last = String::new();
    let mut refused = many.last().unwrap();
    refused.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    refused.read_to_string(&mut last).ok();
    assert!(last.starts_with("421 "), "{last}");
    drop(many);
    world.wait_for("there is room again", |_| lmtp(address, &["LHLO x"])[1].starts_with("250"));
    assert_eq!(state(&world, 1), "active", "a report without its end is none");
    let metrics = world.get("/metrics").text();
    assert!(metrics.contains("bantin_bounces{class=\"hard\"} 1"), "{metrics}");
    assert!(metrics.contains("bantin_reports{class=\"hard\"} 1"), "{metrics}");
    assert_eq!(world.stop(), Some(0));
    world.assert_discreet();
}

#[test]
fn a_maildir_is_emptied_and_nothing_is_lost_from_it() {
    let mut world = mailed(2);
    for below in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(world.path("tra-lai").join(below)).unwrap();
    }
    world.set("BANTIN_BOUNCES__MAILDIR", world.path("tra-lai").to_str().unwrap());
    let check = String::from_utf8(world.run(&["check"]).stdout).unwrap();
    assert!(
        check.contains("the Maildir") && check.contains("goes back to tra-lai+*@songhau.example"),
        "{check}"
    );
    let report = String::from_utf8(corpus("hard.exim.eml")).unwrap();
    let report = report.replace(
        "Delivered-To: tra-lai@songhau.example",
        &format!("Delivered-To: {}", return_path(&world, 0)),
    );
    world.write("tra-lai/new/1", &report);
    world.write("tra-lai/new/2", corpus("auto-reply.rfc3834.eml"));
    world.write("tra-lai/new/3", vec![0xff; 3 << 20]);
    world.serve();
    world
        .wait_for("all is taken", |world| std::fs::read_dir(world.path("tra-lai/cur")).unwrap().count() == 3);
    assert_eq!((state(&world, 0).as_str(), state(&world, 1).as_str()), ("bounced", "active"));
    assert!(world.path("tra-lai/cur/1:2,S").exists() && !world.path("tra-lai/new/1").exists());
    world.assert_discreet();
}

#[test]
fn of_amazon_only_what_its_topic_signed_is_taken_where_that_is_asked_for() {
    let mut world = mailed(1);
    world.set("BANTIN_BOUNCES__HOOK_KEY", KEY);
    world.set("BANTIN_BOUNCES__SNS_TOPIC", "arn:aws:sns:eu-west-1:123456789012:tra-lai");
    world.serve();
    let path = format!("/hooks/bounces/ses/{KEY}");
    let post = |body: &Value| {
        world.request("POST", &path, &[("Content-Type", "text/plain")], body.to_string().as_bytes())
    };
    let ses = json!({ "notificationType": "Complaint", "complaint": { "complainedRecipients": [{ "emailAddress": reader(0) }] } });
    let mut notice = json!({
        "Type": "Notification", "MessageId": "1", "Message": ses.to_string(), "Timestamp": "2026-11-24T06:00:00.000Z",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:khac", "SignatureVersion": "1", "Signature": "AAAA",
        "SigningCertURL": "https://sns.evil.example/k.pem",
    });
    let refused = |body: &Value, why: &str| {
        let answer = post(body);
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains(why), "{}", answer.text());
    };
    refused(&ses, "raw");
    refused(&notice, "bounces.sns_topic");
    notice["TopicArn"] = json!("arn:aws:sns:eu-west-1:123456789012:tra-lai");
    refused(&notice, "sns.(region).amazonaws.com");
    assert_eq!(state(&world, 0), "active");
    assert!(world.log().contains("Amazon SNS is not taken"));
    world.assert_discreet();
}

#[test]
fn providers_post_to_an_address_that_only_they_know() {
    let mut world = mailed(4);
    world.set("BANTIN_BOUNCES__HOOK_KEY", KEY);
    world.serve();
    let post = |provider: &str, key: &str, body: Value| {
        let body = body.to_string();
        world
            .request(
                "POST",
                &format!("/hooks/bounces/{provider}/{key}"),
                &[("Content-Type", "application/json")],
                body.as_bytes(),
            )
            .status
    };
    let hard = |number| json!([{ "email": reader(number), "event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user" }]);
    assert_eq!(post("sendgrid", &KEY.replace('0', "1"), hard(0)), 404);
    assert_eq!(post("nobody", KEY, hard(0)), 404);
    assert_eq!(state(&world, 0), "active");
    assert_eq!(post("sendgrid", KEY, hard(0)), 200);
    assert_eq!(state(&world, 0), "bounced");
    let ses = json!({ "notificationType": "Complaint", "complaint": { "complainedRecipients": [{ "emailAddress": reader(1) }] } });
    assert_eq!(post("ses", KEY, json!({ "Type": "Notification", "Message": ses.to_string() })), 200);
    assert_eq!(state(&world, 1), "complained");
    assert_eq!(
        post(
            "postmark",
            KEY,
            json!({ "RecordType": "Bounce", "Type": "SoftBounce", "Email": reader(2), "Details": "full" })
        ),
        200
    );
    assert_eq!(post("brevo", KEY, json!({ "event": "delivered", "email": reader(3) })), 200);
    assert_eq!(post("mailgun", KEY, json!({ "x": 1 })), 400);
    assert_eq!((state(&world, 2).as_str(), state(&world, 3).as_str()), ("active", "active"));
    assert_eq!(post("brevo", KEY, json!({ "event": "hard_bounce", "email": "an@nobody.example" })), 200);
    assert_eq!(world.number("SELECT count(*) FROM bounces"), 3);
    assert!(!world.log().contains(KEY), "the key in the log");
    world.assert_discreet();
}

#[test]
fn the_list_of_the_suppressed_goes_out_and_comes_in() {
    let world = mailed(2);
    let said = |arguments: &[&str]| {
        let mut all = vec!["suppression"];
        all.extend(arguments);
        world.done(&all)
    };
    said(&["add", &reader(0), "--note", "gọi điện đến tòa soạn, không nhận thư nữa"]);
    assert_eq!(state(&world, 0), "unsubscribed");
    assert!(world.run(&["subscriber", "add", &reader(0)]).status.code() == Some(1));
    world.write(
        "cu.csv",
        format!("email;reason;since\nai.do@khac.example;complained;2026-01-02T03:04:05Z\n{};;\n", reader(0)),
    );
    assert_eq!(
        said(&["import", world.path("cu.csv").to_str().unwrap()]).trim(),
        "1 addresses added, 1 were suppressed before, 0 lines not understood"
    );
    let exported = said(&["export"]);
    let rows: Vec<&str> = exported.lines().collect();
    assert_eq!(rows[0], "address,hash,reason,since,evidence");
    assert!(
        rows[1].starts_with(&format!("{},", reader(0)))
            && rows[1].contains("newsroom")
            && rows[1].contains("không nhận thư nữa"),
        "{exported}"
    );
    assert!(rows[2].starts_with(',') && rows[2].contains("complained,2026-01-02T03:04:05"), "{exported}");
    assert!(!exported.contains("ai.do"), "who is no subscriber is kept as a hash");

    assert!(said(&["lift", &reader(0)]).contains("once it asks"));
    assert_eq!(world.run(&["suppression", "lift", &reader(0)]).status.code(), Some(1));
    world.write("lai.csv", &exported);
    assert!(said(&["import", world.path("lai.csv").to_str().unwrap()]).starts_with("1 addresses added"));
    let list = world.done(&["suppression", "list", "--json"]);
    assert_eq!(list.lines().count(), 2);
    world.write("sai.csv", "address\nai.do@khac.example\nkhông phải địa chỉ@\n");
    let wrong = world.run(&["suppression", "import", world.path("sai.csv").to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("sai.csv:3: "), "{wrong:?}");
}

/// A Postfix that takes mail for everybody and finds out later that the third reader has no mailbox.
fn late_postfix(transport: &str) -> Postfix {
    Postfix::start(
        2,
        &format!(
            "smtpd_reject_unlisted_recipient = no\ntransport_maps = inline:{{songhau.example={transport}}}\n"
        ),
    )
}

#[test]
#[expect(clippy::print_stdout, reason = "what was not tried is told")]
fn a_genuine_bounce_of_postfix_comes_back_by_lmtp_and_an_answer_changes_nothing() {
    if !is_root() {
        println!("not tried: only root can start a Postfix");
        return;
    }
    let mut world = newsroom(3);
    let address = free_port();
    let postfix = late_postfix(&format!("lmtp:inet:127.0.0.1:{}", address.port()));
    world.set("BANTIN_MAIL__URL", &format!("smtp://{}", postfix.address()));
    world.set("BANTIN_BOUNCES__LMTP", &address.to_string());
    world.serve();
    wait_for_port(address);
    world.done(&["digest", "run", "hang-ngay"]);
    world.wait_for("the unknown reader bounced", |world| state(world, 2) == "bounced");
    assert_eq!((world.deliveries("accepted"), world.deliveries("bounced")), (2, 1));
    let shown = world.subscriber(&reader(2));
    assert_eq!(shown["bounces"][0]["way"], "lmtp", "{shown}");
    assert!(shown["bounces"][0]["evidence"].as_str().unwrap().starts_with("5.1.1 "), "{shown}");

    // A reader's mailbox answers to the return address, as RFC 3834 §4 asks.
    let answer = format!(
        "From: {}\r\nTo: {}\r\nSubject: Tr=?utf-8?Q?=E1=BA=A3?= l\r\nAuto-Submitted: auto-replied\r\n\r\n550 5.1.1 user unknown? Tôi nghỉ phép.\r\n.",
        reader(0),
        return_path(&world, 0)
    );
    let said = lmtp(
        postfix.address(),
        &[
            "HELO x",
            "MAIL FROM:<>",
            &format!("RCPT TO:<{}>", return_path(&world, 0)),
            "DATA",
            &answer,
            "QUIT",
        ],
    );
    assert!(said[5].starts_with("250"), "{said:?}");
    world.wait_for("the answer came", |world| {
        world.get("/metrics").text().contains("bantin_reports{class=\"auto-reply\"} 1")
    });
    assert_eq!((state(&world, 0).as_str(), state(&world, 1).as_str()), ("active", "active"));
    world.assert_discreet();
}

#[test]
#[expect(clippy::print_stdout, reason = "what was not tried is told")]
fn a_genuine_bounce_of_postfix_comes_back_by_its_pipe() {
    if !is_root() {
        println!("not tried: only root can start a Postfix");
        return;
    }
    let mut world = newsroom(3);
    let postfix = late_postfix("bantin:");
    world.set("BANTIN_MAIL__URL", &format!("smtp://{}", postfix.address()));
    let home = world.path("");
    let script = format!(
        "#!/bin/sh\ncd {}\nBANTIN_MAIL__BOUNCES_TO='{BOUNCES_TO}' BANTIN_MAIL__FROM=bantin@songhau.example \
         exec {} bounce --sysexits --recipient \"$1\"\n",
        home.display(),
        env!("CARGO_BIN_EXE_bantin")
    );
    std::fs::write(postfix.path("pipe"), script).unwrap();
    std::fs::set_permissions(postfix.path("pipe"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let opened = std::process::Command::new("chmod").args(["-R", "a+rwX"]).arg(&home).status().unwrap();
    assert!(opened.success());
    world.done(&["digest", "run", "hang-ngay"]);
    std::process::Command::new("chmod").args(["-R", "a+rwX"]).arg(&home).status().unwrap();
    world.wait_for("the unknown reader bounced", |world| state(world, 2) == "bounced");
    assert_eq!(world.subscriber(&reader(2))["bounces"][0]["way"], "pipe");
    assert_eq!((state(&world, 0).as_str(), state(&world, 1).as_str()), ("active", "active"));
}

#[test]
#[expect(clippy::print_stdout, reason = "what was not tried is told")]
fn a_mailbox_of_dovecot_is_looked_into() {
    if !is_root() {
        println!("not tried: only root can start a Dovecot that serves others");
        return;
    }
    let mut world = mailed(2);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let new = folder.path().join("mail/box/new");
    std::fs::create_dir_all(&new).unwrap();
    let report = String::from_utf8(corpus("hard.sendmail.eml")).unwrap();
    let report = report.replace(
        "Delivered-To: tra-lai@songhau.example",
        &format!("Delivered-To: {}", return_path(&world, 0)),
    );
    std::fs::write(new.join("1.M1.thu"), report).unwrap();
    std::fs::write(new.join("2.M2.thu"), corpus("auto-reply.gmail-vacation.eml")).unwrap();
    let owned = std::process::Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(folder.path().join("mail"))
        .status();
    assert!(owned.unwrap().success());
    let imap = free_port();
    let _dovecot = dovecot_on(folder.path(), imap.port());
    wait_for_port(imap);
    world.set("BANTIN_BOUNCES__IMAP", &format!("imap://tra.lai:sai@127.0.0.1:{}/INBOX", imap.port()));
    let check = String::from_utf8(world.run(&["check"]).stdout).unwrap();
    assert!(check.contains("name or password is refused") && !check.contains("sai@"), "{check}");
    world.set("BANTIN_BOUNCES__IMAP", &format!("imap://tra.lai:geheim@127.0.0.1:{}/INBOX", imap.port()));
    let check = String::from_utf8(world.run(&["check"]).stdout).unwrap();
    assert!(check.contains("can be read; 2 messages wait"), "{check}");
    world.serve();
    world.wait_for("the reader bounced", |world| state(world, 0) == "bounced");
    assert_eq!(world.subscriber(&reader(0))["bounces"][0]["way"], "imap");
    assert_eq!(state(&world, 1), "active");
    world.wait_for("both are seen", |world| {
        String::from_utf8(world.run(&["check"]).stdout).unwrap().contains("0 messages wait")
    });
    assert!(!world.log().contains("geheim"));
    world.assert_discreet();
}

/// An edition that goes on: one reader's server says later, everybody else has it.
fn half_mailed(readers: usize) -> (World, Postbox) {
    let later = |to: &str, _| if to.starts_with("doc.gia.0@") { "450 4.2.1 Later" } else { "250 2.1.5 Ok" };
    let server = Postbox::open(Manners { rcpt: later, ..Manners::default() });
    let mut world = newsroom(readers);
    world.set("BANTIN_MAIL__URL", &server.url());
    world.set("BANTIN_MAIL__BREAKER_TRIES", "10");
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!(world.deliveries("accepted"), readers as i64 - 1);
    (world, server)
}

/// What comes back of one reader's letter; whether the edition is held then.
fn is_held_after(world: &World, report: &str, number: usize) -> bool {
    let to = return_path(world, number);
    let taken = world.run_with_input(&["bounce", "--recipient", &to], &corpus(report));
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    world.number("SELECT count(*) FROM editions WHERE held_at IS NOT NULL") == 1
}

#[test]
fn an_edition_of_which_too_much_comes_back_later_stops() {
    let (world, _server) = half_mailed(40);
    assert!(!is_held_after(&world, "hard.qmail.eml", 1), "one of 39");
    assert!(!is_held_after(&world, "hard.qmail.eml", 1), "the same report again");
    assert!(is_held_after(&world, "hard.qmail.eml", 2), "two of 39 are more than five in a hundred");
    assert!(world.done(&["digest", "list"]).contains("2 of 39 letters were refused"));
}

#[test]
fn an_edition_of_which_too_many_complain_stops() {
    let (world, _server) = half_mailed(40);
    assert!(!is_held_after(&world, "complaint.arf-redacted.eml", 1));
    assert!(!is_held_after(&world, "complaint.arf-redacted.eml", 2), "two may be mistaken");
    assert!(is_held_after(&world, "complaint.arf-redacted.eml", 3));
    assert!(world.done(&["digest", "list"]).contains("of 39 readers 3 complained"));
}
