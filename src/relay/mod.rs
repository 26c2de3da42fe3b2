//! Floor 2: hands a finished message to the next mail server, or lays it in a folder.
//!
//! A relay never decides what is sent to whom; it says what became of one [`Parcel`]. Its one
//! promise: [`Outcome::Uncertain`] exactly where the server may have taken the text and we did
//! not hear it, so that every other failed try can be repeated without mailing anybody twice.

mod answer;
mod envelope;
mod fault;
mod offers;
mod outbox;
mod partner;
mod pool;
mod rehearsal;
mod session;
mod smtp;
mod text;
mod tls;
mod url;
mod wire;

#[cfg(test)]
mod server;

pub use outbox::{Outbox, OutboxEntry};
pub use rehearsal::Rehearsal;
pub use smtp::{SmtpOptions, SmtpRelay, Timeouts};
pub use url::{MailUrl, MailUrlError, SmtpUrl, TlsPolicy};

use crate::domain::{DeliveryId, EmailAddress, Outcome};
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

/// The next mail server, or what stands for it.
pub trait Relay: Send + Sync {
    /// Hands one parcel over and tells what became of it. Dropping the future half-way closes the
    /// connection; whether the parcel was taken is then as unknown as after a crash.
    fn hand_over<'a>(&'a self, parcel: &'a Parcel) -> Handing<'a, Outcome>;

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
    /// This machine trusts nobody.
    #[error("no certificate can be verified: {0}; install the package ca-certificates")]
    NoRoots(String),
}

/// Builds the relay that a `mail.url` names.
pub fn open(url: &MailUrl, options: SmtpOptions) -> Result<Arc<dyn Relay>, RelayError> {
    Ok(match url {
        MailUrl::Outbox(folder) => Arc::new(Outbox::new(folder.clone())),
        MailUrl::Smtp(url) => Arc::new(SmtpRelay::new(url.clone(), options)?),
    })
}
