use super::answer::Answer;
use crate::domain::{Outcome, Reply};
use std::{fmt, time::Duration};

/// Where in the conversation something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Connect,
    Tls,
    Greeting,
    Hello,
    StartTls,
    Auth,
    Reset,
    Mail,
    Rcpt,
    Data,
    Text,
    Dot,
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
            Self::Reset => "RSET",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Text => "the text",
            Self::Dot => "the final dot",
        })
    }
}

/// Why a step did not get the answer it needs.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The server said no (4xx or 5xx).
    Said(Answer),
    /// The server said something that is no answer.
    Garbled(String),
    /// The line broke.
    Lost(String),
    /// Nothing came in time.
    Silent(Duration),
    /// What we insist on is not to be had.
    Unmet(String),
}

/// A fault and where it happened.
pub(super) type Failed = (Step, Fault);

impl Fault {
    /// What is known, for operators and logs.
    pub(super) fn told(&self, step: Step) -> Reply {
        match self {
            Self::Said(answer) => answer.reply(&format!(" (at {step})")),
            Self::Garbled(words) => format!("no SMTP answer at {step}: {words}").into(),
            Self::Lost(words) => format!("connection lost at {step}: {words}").into(),
            Self::Silent(limit) => format!("no answer at {step} within {} s", limit.as_secs_f32()).into(),
            Self::Unmet(words) => words.as_str().into(),
        }
    }

    /// What it means for the parcel.
    ///
    /// A 5xx refuses the parcel only where it speaks of it: before MAIL, and where it asks for a
    /// password (RFC 4954 §6), it speaks of us, and no reader shall bounce for that.
    pub(super) fn outcome(&self, step: Step) -> Outcome {
        let told = self.told(step);
        match self {
            Self::Said(Answer { code: 530 | 534 | 535 | 538, .. }) => Outcome::Deferred(told),
            Self::Said(Answer { code: 500.., .. }) if step >= Step::Mail => Outcome::Refused(told),
            Self::Said(_) => Outcome::Deferred(told),
            _ if step == Step::Dot => Outcome::Uncertain(told),
            _ => Outcome::Deferred(told),
        }
    }

    /// Whether the line can be used on. 421 announces its end (RFC 5321 §3.8).
    pub(super) fn leaves_line(&self) -> bool {
        matches!(self, Self::Said(answer) if answer.code != 421)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_faults_refuse_no_reader() {
        let said = |code| Fault::Said(Answer::ours(code, ""));
        assert!(matches!(said(554).outcome(Step::Greeting), Outcome::Deferred(_)));
        assert!(matches!(said(535).outcome(Step::Auth), Outcome::Deferred(_)));
        assert!(matches!(said(530).outcome(Step::Mail), Outcome::Deferred(_)));
        assert!(matches!(said(503).outcome(Step::Reset), Outcome::Deferred(_)));
        assert!(matches!(said(550).outcome(Step::Mail), Outcome::Refused(_)));
    }
}
