//! "Is it you who asked?"

use super::views::{Frame, bare_slashes, written};
use super::{ComposeError, Letterhead, Message, check_link, envelope, headers};
use crate::domain::{EmailAddress, Instant, Language, OptInId, clean_line, excerpt};
use serde::Serialize;

/// The folder of its template.
pub(super) const TEMPLATE: &str = "confirmation";
/// How many feeds are named one by one.
const FEEDS: usize = 50;

/// What a person who asked to subscribe is told.
#[derive(Clone, Debug)]
pub struct ConfirmationLetter {
    /// Where the answer is given: absolute, below 200 characters.
    pub confirm_url: String,
    /// The titles of what was asked for.
    pub feeds: Vec<String>,
    /// In which digest.
    pub digest_title: String,
    /// When; also the `Date` header.
    pub requested_at: Instant,
}

#[derive(Serialize)]
struct ConfirmationView<'a> {
    #[serde(flatten)]
    frame: &'a Frame,
    confirm_url: &'a str,
    feeds: Vec<String>,
    digest_title: String,
    requested_at: i64,
}

/// The whole message. It carries no list headers: who has not confirmed is on no list.
pub fn compose_confirmation(
    head: &Letterhead<'_>,
    address: &EmailAddress,
    language: Language,
    letter: &ConfirmationLetter,
    opt_in: OptInId,
) -> Result<Message, ComposeError> {
    check_link("confirmation", &letter.confirm_url)?;
    let mut frame = Frame::new(head, language, &address.to_string());
    let render = |frame: &Frame, file: &str| {
        let view = ConfirmationView {
            frame,
            confirm_url: &letter.confirm_url,
            feeds: letter
                .feeds
                .iter()
                .map(|f| excerpt(f, 120))
                .filter(|f| !f.is_empty())
                .take(FEEDS)
                .collect(),
            digest_title: excerpt(&letter.digest_title, 60),
            requested_at: written(letter.requested_at),
        };
        head.templates.render(&format!("mail/{TEMPLATE}/{file}"), &view)
    };
    frame.subject = excerpt(&clean_line(&render(&frame, "subject.txt")?), 100);
    let text = render(&frame, "body.txt")?;
    let html = bare_slashes(&render(&frame, "body.html")?);
    let domain = head.from.address.domain();
    let envelope = envelope::Envelope {
        to: address,
        subject: frame.subject.clone(),
        date: letter.requested_at,
        message_id: headers::message_id(head.secret, "confirmation", opt_in.0, 0, domain),
        lines: Vec::new(),
    };
    envelope::seal(head, envelope, &text, &html)
}
