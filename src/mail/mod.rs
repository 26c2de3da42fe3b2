//! Floor 1: delivery data in, finished message bytes out.
//!
//! Nothing here sends, reads a clock or draws a random number: the same input gives the same
//! bytes, so a retry after a crash repeats the very same message under the same Message-ID.
//! Words come from `templates/messages/`, layout from `templates/mail/<template>/`.

pub mod dkim;
mod edition;
mod envelope;
mod fitting;
#[cfg(test)]
mod golden;
mod headers;
mod notice;
pub mod report;
mod samples;
mod typeset;
mod views;

pub use edition::{EditionLetter, Section, compose_edition, edition_html, edition_in_full};
pub use headers::message_id;
pub use notice::{NoticeLetter, compose_notice};
pub use samples::{Sample, samples, try_templates};
pub use typeset::Typeset;

use crate::domain::{EmailAddress, Language, Publication, Secret, WebUrl};
use crate::wording::{TemplateFault, Templates};
use chrono_tz::Tz;
use dkim::{DkimError, Seal};

/// A complete message (RFC 5322, lines ended by CRLF) and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// With its angle brackets.
    pub message_id: String,
    /// What goes after `DATA`, before dot-stuffing.
    pub bytes: Vec<u8>,
}

/// What all mails of this newspaper share.
#[derive(Clone, Copy, Debug)]
pub struct Letterhead<'a> {
    /// Who publishes.
    pub publication: &'a Publication,
    /// Who sends.
    pub from: &'a Sender,
    /// What Message-IDs are derived from.
    pub secret: &'a Secret,
    /// How it looks and what it says.
    pub templates: &'a Templates,
}

/// Whom a mail comes from.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The address; its domain is also that of every Message-ID.
    pub address: EmailAddress,
    /// The name that mail programs show.
    pub name: String,
    /// Where answers go, if not there.
    pub reply_to: Option<EmailAddress>,
    /// What every letter is signed with; none where the mail server signs.
    pub seals: Vec<Seal>,
}

/// Whom an edition goes to.
#[derive(Clone, Debug)]
pub struct Recipient<'a> {
    /// The mailbox.
    pub address: &'a EmailAddress,
    /// In which language we speak.
    pub language: Language,
    /// In which zone dates are written for him.
    pub zone: Tz,
    /// The links that are this reader's alone.
    pub links: Links,
}

/// Links of one reader: absolute, below 200 characters (a header's line is never folded inside a
/// URL).
#[derive(Clone, Debug)]
pub struct Links {
    /// POST ends the subscription, GET asks (RFC 8058).
    pub unsubscribe: String,
    /// The preference page.
    pub preferences: String,
    /// This edition in the browser.
    pub browser: Option<String>,
    /// The picture that counts this letter as opened, where the newsroom wants that.
    pub opened: Option<String>,
}

/// Why a mail could not be composed. Trying again does not help: a person has to mend something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A template or message file is at fault.
    #[error(transparent)]
    Template(#[from] TemplateFault),
    /// A link that mail programs could not follow.
    #[error("the {which} link is no web address below 200 characters; look at `publication.base_url`")]
    Link {
        /// Which one.
        which: &'static str,
    },
    /// It could not be signed.
    #[error(transparent)]
    Unsigned(#[from] DkimError),
    /// Even one article does not fit.
    #[error(
        "`templates/mail/{template}/body.html` makes {bytes} bytes for one article, and mail programs clip a message beyond 100 kB; shorten it"
    )]
    TooLarge {
        /// The folder of the template.
        template: String,
        /// What one article took.
        bytes: usize,
    },
    /// Nothing to say; an edition without articles is not mailed.
    #[error("the edition has no article for this reader")]
    Empty,
    /// The mail library refused.
    #[error("the message cannot be built: {0}")]
    Unbuildable(String),
}

/// The longest link that goes into a header or a button. It is never folded, and RFC 5322 §2.1.1 ends a line at 998.
const LINK_BYTES: usize = 200;

fn check_link(which: &'static str, link: &str) -> Result<(), ComposeError> {
    let graphic = link.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"'));
    if graphic && link.len() < LINK_BYTES && WebUrl::parse(link).is_ok() {
        Ok(())
    } else {
        Err(ComposeError::Link { which })
    }
}
