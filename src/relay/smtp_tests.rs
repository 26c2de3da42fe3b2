use super::super::{
    MailUrl,
    server::{Act, Encryption, Server, authority},
};
use super::*;
use crate::domain::Reply;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

pub(super) const PATIENCE: Duration = Duration::from_millis(150);

pub(super) fn parcel(text: &str) -> Parcel {
    Parcel {
        envelope_from: "tin+1@bao.vn".parse().unwrap(),
        to: "an@doc.vn".parse().unwrap(),
        delivery: None,
        message_id: "<1@bao.vn>".into(),
        bytes: text.as_bytes().to_vec(),
    }
}

pub(super) fn small() -> Parcel {
    parcel("Subject: x\r\n\r\ny\r\n")
}

pub(super) fn impatient() -> SmtpOptions {
    waiting(PATIENCE)
}

/// Waits so long for each answer.
pub(super) fn waiting(patience: Duration) -> SmtpOptions {
    SmtpOptions {
        hello_name: Some("mail.bao.vn".into()),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            greeting: patience,
            hello: patience,
            mail: patience,
            rcpt: patience,
            data: patience,
            block: patience,
            dot: patience,
        },
        ..SmtpOptions::default()
    }
}

pub(super) fn patient() -> SmtpOptions {
    SmtpOptions { timeouts: Timeouts::default(), ..impatient() }
}

pub(super) fn url(text: &str) -> SmtpUrl {
    match text.parse().unwrap() {
        MailUrl::Smtp(url) => url,
        MailUrl::Outbox(_) | MailUrl::Direct(_) => panic!("no SMTP"),
    }
}

pub(super) fn relay(server: &Server, options: SmtpOptions) -> SmtpRelay {
    SmtpRelay::new(url(&format!("smtp://{}", server.address)), options).unwrap()
}

/// Does `act` at the first occurrence of `step`, and what is right ever after.
pub(super) fn once(
    step: &'static str,
    act: Act,
) -> impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static {
    let done = AtomicBool::new(false);
    move |at, _| (at == step && !done.swap(true, Ordering::SeqCst)).then_some(act)
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Is {
    Accepted,
    Deferred,
    Refused,
    Uncertain,
}

pub(super) fn kind(outcome: &Outcome) -> Is {
    match outcome {
        Outcome::Accepted(_) => Is::Accepted,
        Outcome::Deferred(_) | Outcome::Untried(_) => Is::Deferred,
        Outcome::Refused(_) => Is::Refused,
        Outcome::Uncertain(_) => Is::Uncertain,
        Outcome::Suppressed(_) => panic!("a relay suppresses nothing"),
    }
}

#[tokio::test]
async fn the_words_of_the_server_are_kept_without_addresses() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let relay = relay(&server, patient());
    assert_eq!(
        relay.hand_over(&small()).await,
        Outcome::Accepted(reply(250, "2.0.0", "250 2.0.0 queued as 1 for <…>"))
    );
    assert_eq!(
        server.commands(),
        ["EHLO mail.bao.vn", "MAIL FROM:<tin+1@bao.vn>", "RCPT TO:<an@doc.vn>", "DATA"]
    );
    let refusing =
        Server::start(Encryption::None, once("RCPT", Act::Say("550 5.1.1 <an@doc.vn>: unknown\r\n"))).await;
    let relay = self::relay(&refusing, patient());
    assert_eq!(
        relay.hand_over(&small()).await,
        Outcome::Refused(reply(550, "5.1.1", "550 5.1.1 <…>: unknown (at RCPT TO)"))
    );
    assert_eq!(refusing.commands().last().unwrap(), "RSET");
}

#[tokio::test]
async fn a_connection_that_died_at_rest_costs_nothing() {
    let first_only = |act| move |step: &str, number| (step == "DOT" && number == 1).then_some(act);
    for act in [Act::Last, Act::Say("250 ok\r\n421 4.4.2 tired of waiting\r\n")] {
        let server = Server::start(Encryption::None, first_only(act)).await;
        let relay = relay(&server, patient());
        for _ in 0..3 {
            assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
        }
        assert_eq!(server.connections(), 2);
        assert_eq!(server.messages().len(), 3);
    }
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_is_not_sent_again() {
    let dots = AtomicUsize::new(0);
    let script = move |step: &str, _| {
        (step == "DOT" && dots.fetch_add(1, Ordering::SeqCst) == 1).then_some(Act::Close)
    };
    let server = Server::start(Encryption::None, script).await;
    let relay = relay(&server, patient());
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Uncertain);
    assert_eq!(server.messages().len(), 2);
}

#[tokio::test]
async fn a_text_that_was_cut_off_before_its_dot_can_come_again() {
    let large = parcel(&"abcdefgh\r\n".repeat(3_000_000));
    for act in [Act::Last, Act::Deaf] {
        let server = Server::start(Encryption::None, once("DATA", act)).await;
        let relay = relay(&server, impatient());
        let outcome = relay.hand_over(&large).await;
        assert_eq!(kind(&outcome), Is::Deferred, "{act:?} {outcome:?}");
        assert_eq!(server.messages().len(), 0);
    }
}

#[tokio::test]
async fn what_arrives_is_what_was_given() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let relay = relay(&server, patient());
    let long = format!("Subject: x\r\n\r\n{}", ".\r\n..\r\n.a\r\n\r\n".repeat(20_000));
    for text in ["Subject: x\r\n\r\ny\r\n", ".\r\n.\r\n..\r\n", "\r\n\r\n", &long] {
        assert_eq!(kind(&relay.hand_over(&parcel(text)).await), Is::Accepted);
        assert_eq!(server.messages().pop().unwrap(), text.as_bytes());
    }
    let smuggled = parcel("a\n.\nMAIL FROM:<x@y.vn>\r.\rb\r\n");
    assert_eq!(kind(&relay.hand_over(&smuggled).await), Is::Accepted);
    assert_eq!(server.messages().pop().unwrap(), b"a\r\n.\r\nMAIL FROM:<x@y.vn>\r\n.\r\nb\r\n");
    assert!(!server.log.lock().unwrap().lone_line_end);
    assert_eq!(server.messages().len(), 5);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn there_are_never_more_connections_than_allowed() {
    let refusals = AtomicUsize::new(0);
    let script = move |step: &str, _| {
        let nth = if step == "RCPT" { refusals.fetch_add(1, Ordering::SeqCst) } else { 0 };
        (nth % 5 == 4).then_some(Act::Say("550 5.1.1 unknown\r\n"))
    };
    let server = Server::start(Encryption::None, script).await;
    let relay = Arc::new(relay(&server, SmtpOptions { connections: 3, ..patient() }));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let relay = relay.clone();
        tasks.spawn(async move { kind(&relay.hand_over(&small()).await) });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| **o == Is::Accepted).count(), 40);
    assert_eq!(outcomes.iter().filter(|o| **o == Is::Refused).count(), 10);
    let log = server.log.lock().unwrap();
    assert_eq!((log.connections, log.peak), (3, 3));
}

#[tokio::test]
async fn connections_that_rested_long_are_parted_from() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let relay = relay(&server, patient());
    relay.hand_over(&small()).await;
    relay.part(Duration::from_secs(60)).await;
    assert_ne!(server.commands().last().unwrap(), "QUIT");
    relay.part(Duration::ZERO).await;
    assert_eq!(server.commands().last().unwrap(), "QUIT");
    let restless = self::relay(&server, SmtpOptions { rest: Duration::ZERO, ..patient() });
    restless.hand_over(&small()).await;
    restless.hand_over(&small()).await;
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_dropped_handing_over_frees_its_connection() {
    let server = Server::start(Encryption::None, once("RCPT", Act::Silence)).await;
    let relay = relay(&server, SmtpOptions { connections: 1, ..patient() });
    let parcel = small();
    assert!(tokio::time::timeout(PATIENCE, relay.hand_over(&parcel)).await.is_err());
    assert_eq!(kind(&relay.hand_over(&parcel).await), Is::Accepted);
}

fn encrypted(server: &Server, scheme: &str, query: &str) -> SmtpRelay {
    let mut url = url(&format!("{scheme}://{}{query}", server.address));
    url.authorities = Some(authority());
    SmtpRelay::new(url, patient()).unwrap()
}

#[tokio::test]
async fn the_line_is_encrypted_as_the_policy_says() {
    for (encryption, scheme, query, told) in [
        (Encryption::StartTls, "smtp", "", "encrypted, certificate not looked at"),
        (Encryption::StartTls, "smtp", "?tls=required", "encrypted, certificate valid"),
        (Encryption::StartTls, "smtp", "?tls=none", ": not encrypted"),
        (Encryption::Implicit, "smtps", "", "encrypted, certificate valid"),
        (Encryption::None, "smtp", "", ": not encrypted"),
    ] {
        let server = Server::start(encryption, |_, _| None).await;
        let relay = encrypted(&server, scheme, query);
        let found = relay.check().await.unwrap();
        assert!(found.contains(told), "{scheme} {query}: {found}");
        assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted, "{scheme} {query}");
    }
}

#[tokio::test]
async fn what_is_required_and_not_offered_defers_with_the_reason() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let Outcome::Untried(told) = encrypted(&server, "smtp", "?tls=required").hand_over(&small()).await else {
        panic!("not deferred")
    };
    assert!(told.words.contains("does not offer STARTTLS"), "{told}");
    assert!(!server.commands().iter().any(|c| c.starts_with("MAIL")));
}

#[tokio::test]
async fn an_unknown_authority_is_refused_where_it_matters() {
    let server = Server::start(Encryption::StartTls, |_, _| None).await;
    let mut strict = url(&format!("smtp://{}?tls=required", server.address));
    // Another authority than the one that signed.
    let stranger = concat!(env!("CARGO_MANIFEST_DIR"), "/src/relay/testdata/leaf.pem");
    strict.authorities = Some(stranger.into());
    let told = SmtpRelay::new(strict, patient()).unwrap().check().await.unwrap_err();
    assert!(told.contains("no TLS with") && told.contains("?ca=FILE"), "{told}");
}

#[tokio::test]
async fn a_line_that_cannot_be_encrypted_is_used_in_clear_only_where_that_is_allowed() {
    // As if an eavesdropper spoke behind the answer.
    let tampered =
        |step: &str, _| (step == "STARTTLS").then_some(Act::Say("220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"));
    let server = Server::start(Encryption::StartTls, tampered).await;
    let told = encrypted(&server, "smtp", "?tls=required").check().await.unwrap_err();
    assert!(told.contains("tampered"), "{told}");
    let refused = |step: &str, _| (step == "STARTTLS").then_some(Act::Say("454 4.7.0 not now\r\n"));
    let server = Server::start(Encryption::StartTls, refused).await;
    let relay = encrypted(&server, "smtp", "");
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
    let strict = encrypted(&server, "smtp", "?tls=required");
    assert_eq!(kind(&strict.hand_over(&small()).await), Is::Deferred);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_bounces_nobody() {
    let server = Server::start(Encryption::None, |_, _| None).await;
    let with =
        |user: &str| SmtpRelay::new(url(&format!("smtp://{user}@{}", server.address)), patient()).unwrap();
    assert!(with("an:s3cret").check().await.unwrap().contains("signed in"));
    assert_eq!(kind(&with("an:s3cret").hand_over(&small()).await), Is::Accepted);
    let told = with("an:wrong").check().await.unwrap_err();
    assert!(told.contains("535") && told.contains("password"), "{told}");
    assert_eq!(kind(&with("an:wrong").hand_over(&small()).await), Is::Deferred);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_mend() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let relay = SmtpRelay::new(url(&format!("smtp://{address}")), patient()).unwrap();
    let told = relay.check().await.unwrap_err();
    assert!(told.contains(&address.to_string()) && told.contains("mail.url"), "{told}");
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Deferred);
}

#[tokio::test]
async fn letters_beyond_ascii_go_only_where_they_are_taken() {
    let plain = |step: &str, _| (step == "EHLO").then_some(Act::Say("250 test\r\n"));
    let bare = Server::start(Encryption::None, plain).await;
    let server = Server::start(Encryption::None, |_, _| None).await;
    let eight_bit = parcel("Subject: x\r\n\r\nĐảng\r\n");
    assert_eq!(kind(&relay(&server, patient()).hand_over(&eight_bit).await), Is::Accepted);
    assert!(server.commands().iter().any(|c| c.ends_with("BODY=8BITMIME")));
    assert_eq!(kind(&relay(&bare, patient()).hand_over(&eight_bit).await), Is::Deferred);
    if let Ok(to) = "đảng@doc.vn".parse() {
        let parcel = Parcel { to, ..small() };
        assert_eq!(kind(&relay(&bare, patient()).hand_over(&parcel).await), Is::Refused);
    }
}

#[test]
fn a_name_to_greet_with_is_no_command() {
    for (name, said) in [
        ("mail.bao.vn", Some("mail.bao.vn")),
        ("192.0.2.1", Some("[192.0.2.1]")),
        ("[::1]", Some("[IPv6:::1]")),
    ] {
        assert_eq!(hello_name(name.into()).ok().map(|n| n.to_string()).as_deref(), said);
    }
    for name in ["", "a b", "a\r\nMAIL FROM:<x@y.vn>", "<x>"] {
        assert!(hello_name(name.into()).is_err(), "{name:?}");
    }
}

fn reply(code: u16, status: &str, words: &str) -> Reply {
    Reply { code: Some(code), status: status.parse().ok(), words: words.into() }
}

#[tokio::test]
async fn a_server_that_knows_only_login_is_signed_in_to() {
    let script = |step: &str, _| (step == "EHLO").then_some(Act::Say("250-test\r\n250 AUTH=LOGIN NTLM\r\n"));
    let server = Server::start(Encryption::None, script).await;
    let with =
        |user: &str| SmtpRelay::new(url(&format!("smtp://{user}@{}", server.address)), patient()).unwrap();
    assert!(with("an:s3cret").check().await.unwrap().contains("signed in"));
    assert!(server.commands().contains(&"AUTH LOGIN".to_owned()));
    assert_eq!(kind(&with("an:s3cret").hand_over(&small()).await), Is::Accepted);
}

#[tokio::test]
async fn a_server_that_knows_only_helo_is_spoken_with() {
    let script = |step: &str, _| (step == "EHLO").then_some(Act::Say("500 5.5.1 what?\r\n"));
    let server = Server::start(Encryption::None, script).await;
    let relay = relay(&server, patient());
    assert_eq!(kind(&relay.hand_over(&small()).await), Is::Accepted);
    assert!(server.commands().contains(&"HELO mail.bao.vn".to_owned()));
    assert!(server.commands().contains(&"MAIL FROM:<tin+1@bao.vn>".to_owned()));
}

#[tokio::test]
async fn size_and_reports_are_asked_for_where_they_are_offered() {
    let hello = |step: &str, _| {
        (step == "EHLO").then_some(Act::Say("250-test\r\n250-PIPELINING\r\n250-SIZE 40\r\n250 DSN\r\n"))
    };
    let server = Server::start(Encryption::None, hello).await;
    let relay = relay(&server, patient());
    let dotted = Parcel { delivery: Some(crate::domain::DeliveryId(9)), ..parcel("Subject: x\n\n.y\n") };
    assert_eq!(kind(&relay.hand_over(&dotted).await), Is::Accepted);
    assert_eq!(
        server.commands()[server.commands().len() - 3..],
        [
            "MAIL FROM:<tin+1@bao.vn> SIZE=18 RET=HDRS ENVID=9",
            "RCPT TO:<an@doc.vn> NOTIFY=FAILURE,DELAY ORCPT=rfc822;an@doc.vn",
            "DATA"
        ]
    );
    let large = relay.hand_over(&parcel(&"x".repeat(50))).await;
    assert!(matches!(&large, Outcome::Refused(reply) if reply.status == "5.3.4".parse().ok()), "{large:?}");
    assert_eq!((server.messages().len(), server.connections()), (1, 1), "it was not even offered");
}
