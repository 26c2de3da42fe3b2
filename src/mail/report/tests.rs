use super::*;
use proptest::prelude::*;
use std::path::Path;

fn rules() -> Rules {
    Rules::built_in().unwrap()
}

fn message(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bounces").join(name)).unwrap()
}

fn files(folder: impl AsRef<Path>) -> Vec<(String, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A message's name begins with what it means.
#[test]
fn every_dialect_is_understood() {
    let rules = rules();
    let files = files(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bounces"));
    assert!(files.len() >= 40, "{}", files.len());
    let mut wrong = Vec::new();
    for (name, bytes) in &files {
        let expected = name.split('.').next().unwrap();
        let told: Vec<&str> = read(bytes, &rules).findings.iter().map(|f| f.class.as_str()).collect();
        if told != [expected] {
            wrong.push(format!("{name}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_an_address_that_is_not_there_is_dead() {
    let is_dead = |status: &str| of_reply(&format!("550 {status} no"), &rules()) == BounceClass::Hard;
    assert!(["5.1.1", "5.1.2", "5.1.6", "5.1.10"].into_iter().all(is_dead));
    assert!(!["4.1.1", "5.2.2", "5.3.4", "5.7.1", "5.1.8"].into_iter().any(is_dead));
}

#[test]
fn line_ends_change_nothing() {
    let rules = rules();
    for (name, bytes) in files(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bounces")) {
        let text = String::from_utf8(bytes).unwrap();
        let classes = |text: String| -> Vec<BounceClass> {
            read(text.as_bytes(), &rules).findings.iter().map(|finding| finding.class).collect()
        };
        let unix = classes(text.clone());
        assert_eq!(classes(text.replace('\n', "\r\n")), unix, "{name} by CR LF");
        assert_eq!(classes(text.replace('\n', "\r")), unix, "{name} by CR");
        assert_eq!(
            classes(format!("From MAILER-DAEMON Sat Nov 28 06:31:07 2026\n{text}")),
            unix,
            "{name} by mbox"
        );
    }
}

#[test]
fn a_report_names_recipient_and_mail_and_keeps_no_address() {
    let report = read(&message("hard.postfix-unknown-user.eml"), &rules());
    let finding = &report.findings[0];
    assert_eq!(finding.recipient.as_ref().unwrap().to_string(), "doc.gia.7@doc.example");
    assert!(finding.evidence.starts_with("5.1.1 550 5.1.1 <…>"), "{}", finding.evidence);
    assert!(!finding.evidence.contains('@') && finding.evidence.chars().count() <= EVIDENCE_CHARS);
    assert_eq!(report.marks.message_ids, ["<0123456789abcdef0123456789abcdef@songhau.example>"]);
    assert!(report.marks.return_paths.contains(&"tra-lai@songhau.example".to_owned()));
    assert!(report.marks.links[0].starts_with("https://tin.songhau.example/unsubscribe/"));

    let report = read(&message("hard.original-recipient-differs.eml"), &rules());
    let recipient = report.findings[0].recipient.as_ref().unwrap().to_string();
    assert_eq!(recipient, "doc.gia.7@doc.example", "what we wrote, not where it was forwarded to");
    for old in ["hard.qmail.eml", "hard.exim.eml", "hard.gmail-text.eml", "complaint.microsoft-jmrp.eml"] {
        let report = read(&message(old), &rules());
        assert_eq!(
            report.findings[0].recipient.as_ref().unwrap().to_string(),
            "doc.gia.7@doc.example",
            "{old}"
        );
        assert_eq!(report.marks.message_ids.len(), 1, "{old}");
    }
}

#[test]
fn a_fault_of_ours_gives_no_reader_up() {
    let rules = rules();
    for reply in [
        "550 5.7.1 user unknown, or your policy is not ours",
        "550 5.7.26 This mail is unauthenticated (SPF, DKIM)",
        "550 5.7.515 Access denied",
        "554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org",
        "550 5.1.1 <an@bao.example>: Message rejected as spam by Content Filtering.",
        "550 5.1.8 Sender address rejected: Domain not found",
        "553 5.1.3 http://www.spamhaus.org/query/bl?ip=192.0.2.1",
        "421 4.7.28 too many messages with the same Message-ID",
    ] {
        assert_eq!(of_reply(reply, &rules), BounceClass::Policy, "{reply}");
    }
    for (reply, class) in [
        ("550 5.1.1 <an@bao.example> User unknown (at RCPT TO)", BounceClass::Hard),
        ("550 No such user here", BounceClass::Hard),
        ("551 5.1.6 moved", BounceClass::Hard),
        ("552 5.2.2 mailbox full", BounceClass::Soft),
        ("552 5.3.4 message too large", BounceClass::Soft),
        ("450 4.1.1 user unknown", BounceClass::Soft),
        ("given up after five days: 451 4.3.0 later", BounceClass::Soft),
        ("550", BounceClass::Soft),
    ] {
        assert_eq!(of_reply(reply, &rules), class, "{reply}");
    }
}

#[test]
fn a_hostile_message_costs_neither_time_nor_the_stack() {
    let rules = rules();
    let started = std::time::Instant::now();
    let nested = "Content-Type: message/rfc822\n\n".repeat(100_000);
    let multiparts: String =
        (0..20_000).map(|n| format!("Content-Type: multipart/mixed; boundary=\"{n}\"\n\n--{n}\n")).collect();
    let fields = format!(
        "Content-Type: message/delivery-status\n\n{}",
        "Final-Recipient: rfc822; a@b.vn\n\n".repeat(100_000)
    );
    let stars =
        format!("From: mailer-daemon@x.vn\nSubject: failure notice\n\n{}", "exceeded ".repeat(200_000));
    for text in [
        nested,
        multiparts,
        fields,
        stars,
        "a: b\n".repeat(2_000_000),
        "\0".repeat(10 << 20),
        "@".repeat(10 << 20),
    ] {
        let report = read(text.as_bytes(), &rules);
        assert!(!report.findings.is_empty() && report.findings.len() <= RECIPIENTS);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn providers_say_the_same_in_their_own_words() {
    use hooks::{Provider, read};
    let rules = rules();
    let classes = |provider: &str, body: &str| -> Vec<BounceClass> {
        let reports = read(Provider::parse(provider).unwrap(), body.as_bytes(), &rules).unwrap();
        reports.iter().flat_map(|report| &report.findings).map(|finding| finding.class).collect()
    };
    use BounceClass::{Complaint, Hard, NotABounce, Policy, Soft};
    let ses = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General","bouncedRecipients":[{"emailAddress":"an@doc.example","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{"source":"tra-lai@songhau.example","headers":[{"name":"Message-ID","value":"<m@songhau.example>"}]}}"#;
    let wrapped = serde_json::json!({ "Type": "Notification", "Message": ses }).to_string();
    assert_eq!(classes("ses", ses), [Hard]);
    assert_eq!(classes("ses", &wrapped), [Hard]);
    assert_eq!(
        read(Provider::Ses, wrapped.as_bytes(), &rules).unwrap()[0].marks.message_ids,
        ["<m@songhau.example>"]
    );
    assert_eq!(
        classes("ses", &ses.replace("5.1.1 user unknown", "5.7.1 blocked").replace("\"5.1.1\"", "\"5.7.1\"")),
        [Policy]
    );
    assert_eq!(classes("ses", &ses.replace("Permanent", "Transient")), [Soft]);
    let page =
        r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"https://sns.eu-west-1.amazonaws.com/x"}"#;
    assert!(hooks::confirmation_page(page.as_bytes()).unwrap().starts_with("https://sns."));

    let mailgun = r#"{"signature":{},"event-data":{"event":"failed","severity":"permanent","reason":"bounce","recipient":"an@doc.example","delivery-status":{"code":550,"message":"5.1.1 no such user"},"message":{"headers":{"message-id":"m@songhau.example"}}}}"#;
    assert_eq!(classes("mailgun", mailgun), [Hard]);
    assert_eq!(classes("mailgun", &mailgun.replace("permanent", "temporary")), [NotABounce]);
    assert_eq!(classes("mailgun", &mailgun.replace("\"failed\"", "\"complained\"")), [Complaint]);

    let postmark = r#"{"RecordType":"Bounce","Type":"HardBounce","Email":"an@doc.example","Description":"The server was unable to deliver your message (ex: unknown user, mailbox not found).","Details":"smtp;550 5.1.1 user unknown"}"#;
    assert_eq!(classes("postmark", postmark), [Hard]);
    assert_eq!(classes("postmark", &postmark.replace("HardBounce", "SoftBounce")), [Soft]);
    assert_eq!(classes("postmark", &postmark.replace("HardBounce", "SpamNotification")), [Policy]);
    assert_eq!(
        classes("postmark", r#"{"RecordType":"SpamComplaint","Email":"an@doc.example"}"#),
        [Complaint]
    );

    let sendgrid = r#"[{"email":"an@doc.example","event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 unknown user","smtp-id":"<m@songhau.example>"},{"email":"binh@doc.example","event":"bounce","type":"blocked","reason":"listed"},{"email":"chi@doc.example","event":"spamreport"},{"email":"dung@doc.example","event":"deferred","reason":"450"},{"email":"em@doc.example","event":"dropped","reason":"Bounced Address"}]"#;
    assert_eq!(classes("sendgrid", sendgrid), [Hard, Policy, Complaint, NotABounce, Hard]);

    let brevo = r#"{"event":"hard_bounce","email":"an@doc.example","message-id":"<m@songhau.example>","reason":"550 5.1.1 user unknown"}"#;
    assert_eq!(classes("brevo", brevo), [Hard]);
    assert_eq!(classes("brevo", &brevo.replace("hard_bounce", "soft_bounce")), [Soft]);
    assert_eq!(classes("brevo", &brevo.replace("hard_bounce", "spam")), [Complaint]);
    for (provider, odd) in [
        (Provider::Ses, "{}"),
        (Provider::Mailgun, "[1]"),
        (Provider::Brevo, "x"),
        (Provider::Sendgrid, "[{}]"),
    ] {
        assert!(read(provider, odd.as_bytes(), &rules).is_err(), "{odd}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(!read(&bytes, &rules()).findings.is_empty());
    }

    #[test]
    fn no_cut_and_no_wound_is_too_deep(
        at in any::<prop::sample::Index>(), end in any::<prop::sample::Index>(),
        wounds in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20)
    ) {
        let rules = rules();
        let all = files(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bounces"));
        let mut bytes = at.get(&all).1.clone();
        for (place, byte) in wounds {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(end.index(bytes.len()));
        for finding in read(&bytes, &rules).findings {
            prop_assert!(!finding.evidence.contains('@') && !finding.evidence.contains('\n'));
        }
    }
}
