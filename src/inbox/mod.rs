//! Floor 4, the door for mail that comes back: an LMTP listener, a Maildir, a mailbox by IMAP.
//!
//! Each hands every message whole to [`Returns`] and lets go of it only when that has written down
//! what follows; so a message that is handed over twice changes nothing, and none is lost.

mod imap;
mod lmtp;
mod maildir;

pub use imap::{ImapUrl, ImapUrlError, check, poll};
pub use lmtp::{LmtpLimits, serve};
pub use maildir::watch;

use crate::bounce::{Arrival, BounceError, Returns};
use crate::domain::Clock;
use crate::store::StoreError;
use std::sync::Arc;

/// What every way in has to hand.
#[derive(Clone)]
pub struct Desk {
    /// Who takes what comes back.
    pub returns: Arc<Returns>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Reports say what they have to say in their first pages.
const MESSAGE_BYTES: usize = 1 << 20;

impl Desk {
    /// Hands one message over. A forged one is done with: nobody will ever mend it.
    async fn take(&self, bytes: &[u8], arrival: Arrival<'_>) -> Result<(), StoreError> {
        match self.returns.take(bytes, arrival, self.clock.now()).await {
            Ok(_) => Ok(()),
            Err(BounceError::Forged(error)) => {
                tracing::warn!(way = arrival.way, %error, "report refused");
                Ok(())
            }
            Err(BounceError::Store(error)) => Err(error),
        }
    }
}
