//! The fault matrix: each wrong thing that a mail server does, at each step, what becomes of the mail,
//! and whether the line is used on.

use super::super::server::{Act, Encryption, Server, authority};
use super::tests::{Is, kind, once, small, url, waiting};
use super::*;
use tokio::task::JoinSet;

/// Long enough for a busy machine: all cells are tried at once.
const PATIENCE: Duration = Duration::from_secs(3);
const STEPS: [&str; 10] =
    ["GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "TEXT", "DOT", "RSET"];

/// A letter says what becomes of the parcel (accepted, deferred, refused, uncertain); with a + the
/// line is used on. RSET follows a refused RCPT; TEXT is what is said before the text is read. A 5xx
/// before MAIL speaks of us and refuses no reader; a break is in doubt only behind the final dot.
#[rustfmt::skip]
const MATRIX: [(Act, [&str; 10]); 13] = [
    //                                   GREETING  EHLO  STARTTLS  AUTH  MAIL  RCPT  DATA  TEXT  DOT  RSET
    (Act::Say("250 ok\r\n"),                ["A+", "A+", "A+", "A+", "A+", "A+", "D ", "A+", "A+", "R+"]),
    (Act::Say("421 4.3.2 going\r\n"),       ["D ", "D ", "D ", "D ", "D ", "D ", "D ", "D ", "D ", "R "]),
    (Act::Say("450 4.2.1 <an@doc.vn>\r\n"), ["D ", "D ", "D ", "D ", "D+", "D+", "D+", "D+", "D+", "R "]),
    (Act::Say("451 4.3.0 later\r\n"),       ["D ", "D ", "D ", "D ", "D+", "D+", "D+", "D+", "D+", "R "]),
    (Act::Say("452 4.3.1 full\r\n"),        ["D ", "D ", "D ", "D ", "D+", "D+", "D+", "D+", "D+", "R "]),
    (Act::Say("454 4.7.0 no TLS\r\n"),      ["D ", "D ", "D ", "D ", "D+", "D+", "D+", "D+", "D+", "R "]),
    (Act::Say("550-5.1.1 a\r\n550 b\r\n"),  ["D ", "D ", "D ", "D ", "R+", "R+", "R+", "R+", "R+", "R "]),
    (Act::Say("552 5.2.2 full\r\n"),        ["D ", "D ", "D ", "D ", "R+", "R+", "R+", "R+", "R+", "R "]),
    (Act::Say("554 5.7.1 no\r\n"),          ["D ", "D ", "D ", "D ", "R+", "R+", "R+", "R+", "R+", "R "]),
    (Act::Say("ba\u{1} na\r\n"),            ["D ", "D ", "D ", "D ", "D ", "D ", "D ", "U ", "U ", "R "]),
    (Act::Silence,                          ["D ", "D ", "D ", "D ", "D ", "D ", "D ", "U ", "U ", "R "]),
    (Act::Close,                            ["D ", "D ", "D ", "D ", "D ", "D ", "D ", "U ", "U ", "R "]),
    (Act::HALF,                             ["D ", "D ", "D ", "D ", "D ", "D ", "D ", "U ", "U ", "R "]),
];

/// What does not fit into the matrix.
const ODD: [(&str, Act, &str); 7] = [
    ("GREETING", Act::Say("354 go\r\n"), "D "),
    // RFC 4954 §6: it asks for a password.
    ("MAIL", Act::Say("530 5.7.0 sign in\r\n"), "D+"),
    ("MAIL", Act::Say("354 go\r\n"), "D "),
    ("RCPT", Act::Say("251 will forward\r\n"), "A+"),
    ("RCPT", Act::Say("250\r\n"), "A+"),
    ("DOT", Act::Say("250\r\n"), "A+"),
    ("DOT", Act::Say("354 more\r\n"), "U "),
];

/// Does `act` once at this step; whether the server takes commands in groups.
async fn row(step: &'static str, act: Act, due: &str, is_pipelined: bool) -> Option<String> {
    let first = once(step, act);
    let refusal = once("RCPT", Act::Say("550 5.1.1 no such user\r\n"));
    let script = move |at: &str, number: usize| {
        let plain = Some(Act::Say("250-test\r\n250 AUTH PLAIN\r\n"));
        first(at, number)
            .or_else(|| if step == "RSET" { refusal(at, number) } else { None })
            .or(if at == "EHLO" && !is_pipelined && step != "STARTTLS" { plain } else { None })
    };
    let encryption = if step == "STARTTLS" { Encryption::StartTls } else { Encryption::None };
    let server = Server::start(encryption, script).await;
    let mut url = match step {
        "STARTTLS" => url(&format!("smtp://{}?tls=required", server.address)),
        "AUTH" => url(&format!("smtp://an:s3cret@{}?tls=none", server.address)),
        _ => url(&format!("smtp://{}?tls=none", server.address)),
    };
    url.authorities = (step == "STARTTLS").then(authority);
    let relay = SmtpRelay::new(url, waiting(PATIENCE)).unwrap();
    let outcome = relay.hand_over(&small()).await;
    let after = relay.hand_over(&small()).await;
    let is_used_on = server.connections() == 1;
    let letter = match kind(&outcome) {
        Is::Accepted => 'A',
        Is::Deferred => 'D',
        Is::Refused => 'R',
        Is::Uncertain => 'U',
    };
    let found = format!("{letter}{}", if is_used_on { '+' } else { ' ' });
    let words = format!("{outcome:?}");
    let is_right = found == due && kind(&after) == Is::Accepted && !words.contains('@');
    (!is_right).then(|| {
        format!("{step} {act:?}, pipelined {is_pipelined}: {found} instead of {due}: {words}, then {after:?}")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_at_every_step_has_its_outcome() {
    let cells = MATRIX
        .iter()
        .flat_map(|(act, dues)| std::iter::zip(STEPS, dues).map(|(step, due)| (step, *act, *due)));
    let mut rows = JoinSet::new();
    for (step, act, due) in cells.chain(ODD) {
        for is_pipelined in [true, false] {
            rows.spawn(row(step, act, due, is_pipelined));
        }
    }
    assert_eq!(rows.len(), 2 * (13 * 10 + 7));
    let wrong: Vec<String> = rows.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
