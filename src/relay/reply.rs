use crate::domain::{Outcome, Reply, StatusCode, clean_line, excerpt};
use lettre::transport::smtp::{Error, response::Response};
use std::{error::Error as _, fmt, time::Duration};

/// Where in the conversation something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Connect,
    Tls,
    Greeting,
    Hello,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Text,
    Dot,
    Reset,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Text => "the text",
            Self::Dot => "the final dot",
            Self::Reset => "RSET",
        })
    }
}

/// Why a step did not get the answer it needs.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server said no (4xx or 5xx).
    Said { code: u16, words: String },
    /// The server said something that is no answer.
    Garbled(String),
    /// The line broke.
    Lost(String),
    /// Nothing came in time.
    Silent(Duration),
    /// What we insist on is not to be had.
    Unmet(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        match error.status() {
            Some(code) => Self::Said { code: code.into(), words: loggable(&words) },
            // lettre's words for the end of the stream, which it does not tell from garbage.
            None if words == "incomplete response" => Self::Lost("the server hung up".into()),
            None if error.is_response() => Self::Garbled("the reply is none".into()),
            None if error.is_client() => Self::Unmet(loggable(&words)),
            None => Self::Lost(loggable(&words)),
        }
    }
}

impl Fault {
    /// What is known, for operators and logs.
    pub(super) fn told(&self, step: Step) -> String {
        match self {
            Self::Said { code, words } => format!("{code} {words} (at {step})"),
            Self::Garbled(words) => format!("no SMTP answer at {step}: {words}"),
            Self::Lost(words) => format!("connection lost at {step}: {words}"),
            Self::Silent(limit) => format!("no answer at {step} within {} s", limit.as_secs_f32()),
            Self::Unmet(words) => words.clone(),
        }
    }

    pub(super) fn reply(&self, step: Step) -> Reply {
        let words = self.told(step);
        match self {
            Self::Said { code, words: said } => {
                Reply { code: Some(*code), status: status_in(*code, said), words }
            }
            _ => words.into(),
        }
    }

    /// What it means for the parcel.
    ///
    /// A 5xx refuses the parcel only where it speaks of it: before MAIL, and where it asks for a
    /// password (RFC 4954 §6), it speaks of us, and no reader shall bounce for that.
    pub(super) fn outcome(&self, step: Step) -> Outcome {
        let told = self.reply(step);
        match self {
            Self::Said { code: 530 | 534 | 535 | 538, .. } => Outcome::Deferred(told),
            Self::Said { code: 500.., .. } if step >= Step::Mail => Outcome::Refused(told),
            Self::Said { .. } => Outcome::Deferred(told),
            _ if step == Step::Dot => Outcome::Uncertain(told),
            _ => Outcome::Deferred(told),
        }
    }

    /// Whether the line can be used on. 421 announces its end (RFC 5321 §3.8).
    pub(super) fn leaves_line(&self) -> bool {
        matches!(self, Self::Said { code, .. } if *code != 421)
    }
}

/// An answer in one line: code, enhanced code, text.
pub(super) fn reply(response: &Response) -> Reply {
    let (code, words) = (response.code().into(), words(response));
    Reply { code: Some(code), status: status_in(code, &words[3..]), words }
}

/// The enhanced code that a text begins with, where it fits its reply (RFC 2034 §4).
fn status_in(code: u16, text: &str) -> Option<StatusCode> {
    let status: StatusCode = text.split_whitespace().next()?.parse().ok()?;
    (u16::from(status.class) == code / 100).then_some(status)
}

pub(super) fn words(response: &Response) -> String {
    let text: Vec<&str> = response.message().collect();
    loggable(&format!("{} {}", response.code(), text.join(" ")))
}

/// One line of limited length, without addresses: it ends in logs.
pub(super) fn loggable(text: &str) -> String {
    let line = clean_line(text);
    let told: Vec<&str> = line
        .split(' ')
        .map(|word| match word {
            // %40 as in the links that servers put beside their refusals.
            word if !word.contains('@') && !word.contains("%40") => word,
            word if word.ends_with(':') => "<…>:",
            word if word.ends_with(',') => "<…>,",
            _ => "<…>",
        })
        .collect();
    excerpt(&told.join(" "), 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_gets_into_a_log() {
        for (said, told) in [
            (
                "5.1.1 <An@doc.vn>: Recipient address rejected: User unknown",
                "5.1.1 <…>: Recipient address rejected: User unknown",
            ),
            ("user an@doc.vn, gone", "user <…>, gone"),
            ("see http://spf.example/why?id=an%40doc.vn now", "see <…> now"),
            ("a\r\nb\u{0}", "a b"),
        ] {
            assert_eq!(loggable(said), told);
        }
        assert!(loggable(&"dài ".repeat(1000)).chars().count() <= 500);
    }

    #[test]
    fn our_own_faults_refuse_no_reader() {
        let said = |code| Fault::Said { code, words: String::new() };
        assert!(matches!(said(554).outcome(Step::Greeting), Outcome::Deferred(_)));
        assert!(matches!(said(535).outcome(Step::Auth), Outcome::Deferred(_)));
        assert!(matches!(said(530).outcome(Step::Mail), Outcome::Deferred(_)));
        assert!(matches!(said(550).outcome(Step::Mail), Outcome::Refused(_)));
    }
}
