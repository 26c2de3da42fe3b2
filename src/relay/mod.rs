//! Floor 2: hands a finished message to the next mail server, or lays it in a folder.
//!
//! A relay never decides what is sent to whom; it says what became of one [`Parcel`]. Its one
//! promise: [`Outcome::Uncertain`] exactly where the server may have taken the text and we did
//! not hear it, so that every other failed try can be repeated without mailing anybody twice.

mod answer;
mod circuit;
mod direct;
mod envelope;
mod exchanges;
mod fault;
mod gate;
mod offers;
mod outbox;
mod partner;
mod pool;
mod rehearsal;
mod session;
mod set;
mod smtp;
mod text;
mod tls;
mod url;
mod wire;

#[cfg(test)]
mod server;

pub use gate::{Gate, Shut};
pub use outbox::{Outbox, OutboxEntry};
pub use rehearsal::Rehearsal;
pub use set::{Member, ProviderRates, RelaySet};
pub use smtp::{SmtpOptions, SmtpRelay, Timeouts};
pub use url::{DirectUrl, MailUrl, MailUrlError, SmtpUrl, TlsPolicy};

use crate::domain::{DeliveryId, EmailAddress, Instant, Outcome, Rate};
use direct::DirectRelay;
use gate::Unguarded;
use std::{fmt, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

/// What a relay gives back: a future that any worker can drive.
pub type Handing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A finished message and its envelope (RFC 5321 §2.3.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Where bounces go.
    pub envelope_from: EmailAddress,
    /// The one reader it goes to. One to a transaction: a refusal then concerns nobody else.
    pub to: EmailAddress,
    /// Which delivery it is; none where it is a letter to try things out. Reports of bounces repeat it
    /// (RFC 3461 §4.4).
    pub delivery: Option<DeliveryId>,
    /// Its Message-ID, the same in every try.
    pub message_id: String,
    /// Header and body, ready to be sent.
    pub bytes: Vec<u8>,
}

/// Hides addresses and text: what is printed with `{:?}` ends in logs.
impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A letter's place in the pace of a relay and of its reader's mail provider. It is taken before the
/// letter is written and used up when it is handed over.
#[derive(Debug, Default)]
pub struct Turn {
    relay: usize,
    provider: String,
    urgent: bool,
}

impl Turn {
    /// The same at a relay beneath, which has no pace of its own.
    fn beneath(&self) -> Self {
        Self { urgent: self.urgent, ..Self::default() }
    }
}

/// It is not a letter's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Before then it is not worth asking again.
    pub until: Instant,
    /// Whether only letters to the same mail provider wait.
    pub provider_alone: bool,
    /// Whether nothing can be reached.
    pub is_down: bool,
}

/// How a relay or a mail provider stands, for the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The relay's host, or the mail provider's domain.
    pub name: String,
    /// Whether it is a relay of ours.
    pub is_relay: bool,
    /// How many letters a second it gets at most now.
    pub rate: Option<Rate>,
    /// Whether it asked for less than it is set to.
    pub is_lowered: bool,
    /// Whether it could not be reached and rests.
    pub rests: bool,
}

/// The next mail server, or what stands for it.
pub trait Relay: Send + Sync {
    /// Hands one parcel over whose turn it is, and tells what became of it. Its text goes through the gate,
    /// which is asked at most once, when nothing else is in the way. Dropping the future half-way closes
    /// the connection; whether a parcel whose gate had opened was taken is then as unknown as after a crash.
    fn hand_over_in_turn<'a>(
        &'a self,
        parcel: &'a Parcel,
        turn: Turn,
        gate: &'a dyn Gate,
    ) -> Handing<'a, Result<Outcome, Shut>>;

    /// The same of a parcel that somebody waits for and nobody has anything against.
    fn hand_over<'a>(&'a self, parcel: &'a Parcel) -> Handing<'a, Outcome> {
        Box::pin(async move {
            match self.turn(&parcel.to, true) {
                Ok(turn) => match self.hand_over_in_turn(parcel, turn, &Unguarded).await {
                    Ok(outcome) => outcome,
                    Err(Shut) => Outcome::Untried("it was held back".into()),
                },
                Err(wait) => {
                    Outcome::Untried(format!("no relay takes a letter before {}", wait.until).into())
                }
            }
        })
    }

    /// The next turn of a letter to this address. The urgent have some kept for them.
    fn turn(&self, to: &EmailAddress, urgent: bool) -> Result<Turn, Wait> {
        let _ = (to, urgent);
        Ok(Turn::default())
    }

    /// When a letter comes to its turn that queues behind all who asked this before.
    fn turn_of_the_queue(&self, to: &EmailAddress) -> Option<Instant> {
        let _ = to;
        None
    }

    /// Whose servers take the mail of a domain, where we hand it to them without a relay between.
    fn provider<'a>(&'a self, domain: &'a str) -> Handing<'a, Option<String>> {
        let _ = domain;
        Box::pin(async { None })
    }

    /// Who is known to take a domain's mail; the domain itself where nothing is.
    fn lane(&self, domain: &str) -> String {
        domain.to_owned()
    }

    /// Until when no letter is worth a try, because nothing can be reached.
    fn rests_until(&self) -> Option<Instant> {
        None
    }

    /// How many letters to one domain are under way at most, where a slow one shall not hold up others.
    fn most_per_domain(&self) -> Option<usize> {
        None
    }

    /// How fast it goes and what rests.
    fn standings(&self) -> Vec<Standing> {
        Vec::new()
    }

    /// Goes as far as one can without sending mail. Tells an operator what the other side offers,
    /// or what is wrong and how to mend it.
    fn check(&self) -> Handing<'_, Result<String, String>>;

    /// Says goodbye to connections that have rested for at least `rested`; zero on shutdown.
    fn part(&self, rested: Duration) -> Handing<'_, ()> {
        let _ = rested;
        Box::pin(async {})
    }
}

/// Why a relay cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The name that we would greet with is none.
    #[error(
        "`{0}` is no name to greet a mail server with; write this machine's full host name, like mail.example.vn"
    )]
    HelloName(String),
    /// The file of certificates named in `mail.url` is unusable.
    #[error("`ca` in `mail.url`: `{}` {reason}; name a PEM file with the certificate of the authority that signed the mail server's", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No name server is known.
    #[error(
        "no mail server can be looked up: {0}; see /etc/resolv.conf, or name a server as in mx:?dns=192.0.2.53"
    )]
    NoNameServer(String),
    /// This machine trusts nobody.
    #[error("no certificate can be verified: {0}; install the package ca-certificates")]
    NoRoots(String),
}

/// Builds the relay that a `mail.url` names.
pub fn open(url: &MailUrl, options: SmtpOptions) -> Result<Arc<dyn Relay>, RelayError> {
    Ok(match url {
        MailUrl::Outbox(folder) => Arc::new(Outbox::new(folder.clone())),
        MailUrl::Smtp(url) => Arc::new(SmtpRelay::new(url.clone(), options)?),
        MailUrl::Direct(url) => Arc::new(DirectRelay::new(url, options)?),
    })
}
