//! Letters about a subscription: the question, the welcome, the goodbye, and a change of address.

use super::views::{Frame, bare_slashes, written};
use super::{ComposeError, Letterhead, Links, Message, check_link, envelope, headers};
use crate::domain::{EmailAddress, Instant, Language, NoticeKind, OptInId, clean_line, excerpt};
use chrono_tz::Tz;
use serde::Serialize;

/// How many choices are named one by one.
const CHOICES: usize = 50;

/// What a letter about a subscription says.
#[derive(Clone, Debug)]
pub struct NoticeLetter {
    /// What it is for.
    pub kind: NoticeKind,
    /// Where its button leads: absolute, below 200 characters. A welcome has none.
    pub action_url: Option<String>,
    /// What was chosen, a line each.
    pub choices: Vec<String>,
    /// When the wish was uttered; also the `Date` header.
    pub at: Instant,
    /// When the first digest comes, where that is known.
    pub next: Option<Instant>,
    /// The address at the other end of a move, as much of it as its owner needs to know it.
    pub other: String,
    /// For who gets mail: his own links.
    pub links: Option<Links>,
}

#[derive(Serialize)]
struct LinksView<'a> {
    unsubscribe: &'a str,
    preferences: &'a str,
}

#[derive(Serialize)]
struct NoticeView<'a> {
    #[serde(flatten)]
    frame: &'a Frame,
    kind: &'static str,
    action_url: Option<&'a str>,
    choices: Vec<String>,
    at: i64,
    next: Option<i64>,
    other: String,
    links: Option<LinksView<'a>>,
}

/// The whole message. Only who gets mail is on a list, and so only a welcome carries the header
/// by which one leaves it.
pub fn compose_notice(
    head: &Letterhead<'_>,
    address: &EmailAddress,
    (language, zone): (Language, Tz),
    letter: &NoticeLetter,
    id: OptInId,
) -> Result<Message, ComposeError> {
    let kind = letter.kind.as_str();
    let links = letter.links.iter().flat_map(|links| [&links.unsubscribe, &links.preferences]);
    for link in letter.action_url.iter().chain(links) {
        check_link(kind, link)?;
    }
    let mut frame = Frame::new(head, language, zone, &address.to_string());
    let render = |frame: &Frame, file: &str| {
        let choices = letter.choices.iter().map(|choice| excerpt(choice, 160)).filter(|c| !c.is_empty());
        let view = NoticeView {
            frame,
            kind,
            action_url: letter.action_url.as_deref(),
            choices: choices.take(CHOICES).collect(),
            at: written(letter.at),
            next: letter.next.map(written),
            other: excerpt(&letter.other, 254),
            links: letter
                .links
                .as_ref()
                .map(|links| LinksView { unsubscribe: &links.unsubscribe, preferences: &links.preferences }),
        };
        head.templates.render(&format!("mail/{kind}/{file}"), &view)
    };
    frame.subject = excerpt(&clean_line(&render(&frame, "subject.txt")?), 100);
    let text = render(&frame, "body.txt")?;
    let html = bare_slashes(&render(&frame, "body.html")?);
    let envelope = envelope::Envelope {
        to: address,
        subject: frame.subject.clone(),
        date: letter.at,
        message_id: headers::message_id(head.secret, kind, id.0, 0, head.from.address.domain()),
        lines: letter.links.as_ref().map(headers::one_click).unwrap_or_default(),
    };
    let letter = envelope::Letter {
        head: envelope::head(head, &envelope)?,
        text: envelope::crlf(&text),
        html: envelope::crlf(&html),
    };
    envelope::seal(head, &letter, envelope.message_id, envelope.date)
}
