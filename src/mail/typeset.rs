//! An edition that is set once for all who get the same of it. What is one reader's own, his address
//! and his links, is put in afterwards: filling the templates in takes most of a letter's time.

use super::edition::{EditionLetter, Texts, texts};
use super::headers::{self, Line};
use super::{ComposeError, Letterhead, Links, Message, Recipient, check_link, envelope};
use crate::domain::{EditionId, EmailAddress, Instant, Language, SubscriberId, escape_html, hex};
use chrono_tz::Tz;

/// What is a reader's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Address,
    Unsubscribe,
    Preferences,
    Browser,
}

const OWN: [Own; 4] = [Own::Address, Own::Unsubscribe, Own::Preferences, Own::Browser];

#[derive(Debug)]
enum Piece {
    Same(String),
    Own(Own),
}

/// An edition in one language, with room for what is each reader's own.
#[derive(Debug)]
pub struct Typeset {
    edition: EditionId,
    subject: String,
    date: Instant,
    lines: Vec<Line>,
    text: Vec<Piece>,
    html: Vec<Piece>,
}

/// A reader whose address and links are not written as they are in HTML.
const ODD: (&str, &str) = ("o'n&ly+a=test/1@bao.example", "https://bao.example/?a=1&b='2'/");

impl Typeset {
    /// Sets an edition. `None` where its template does more with what is a reader's own than write
    /// it down: then every letter is composed by itself.
    pub fn set(
        head: &Letterhead<'_>,
        (language, zone): (Language, Tz),
        letter: &EditionLetter<'_>,
        edition: EditionId,
    ) -> Result<Option<Self>, ComposeError> {
        // Nobody can write these into an article.
        let mark = |own: Own| hex(&head.secret.mac("typeset", &[&[own as u8]])[..12]);
        let link = |own| format!("https://bantin.example/{}", mark(own));
        let links = Links {
            unsubscribe: link(Own::Unsubscribe),
            preferences: link(Own::Preferences),
            browser: Some(link(Own::Browser)),
        };
        let (Ok(address), Ok(odd_address)) = (
            EmailAddress::parse(&format!("{}@bantin.example", mark(Own::Address))),
            EmailAddress::parse(ODD.0),
        ) else {
            return Ok(None);
        };
        let nobody = Recipient { address: &address, language, zone, links };
        let Texts { subject, text, html } = texts(head, &nobody, letter)?;
        let set = Self {
            edition,
            date: letter.composed_at,
            lines: headers::of_edition(head, &nobody, letter, edition),
            text: pieces(&text, &nobody),
            html: pieces(&html, &nobody),
            subject,
        };
        let link = |n: usize| format!("{}{n}", ODD.1);
        let links = Links { unsubscribe: link(1), preferences: link(2), browser: Some(link(3)) };
        let odd = Recipient { address: &odd_address, language, zone, links };
        let composed = texts(head, &odd, letter)?;
        let is_same = set.subject == composed.subject
            && set.text(&odd) == composed.text
            && set.html(&odd) == composed.html;
        Ok(is_same.then_some(set))
    }

    /// The whole message for one reader, byte for byte as it is composed by itself.
    pub fn letter(
        &self,
        head: &Letterhead<'_>,
        to: &Recipient<'_>,
        subscriber: SubscriberId,
    ) -> Result<Message, ComposeError> {
        check_link("unsubscribe", &to.links.unsubscribe)?;
        check_link("preferences", &to.links.preferences)?;
        check_link("browser", own(to, Own::Browser))?;
        let mut lines = self.lines.clone();
        for (name, value) in &mut lines {
            if *name == "List-Unsubscribe" {
                *value = format!("<{}>", to.links.unsubscribe);
            }
        }
        let domain = head.from.address.domain();
        let envelope = envelope::Envelope {
            to: to.address,
            subject: self.subject.clone(),
            date: self.date,
            message_id: headers::message_id(head.secret, "edition", self.edition.0, subscriber.0, domain),
            lines,
        };
        envelope::seal(head, envelope, &self.text(to), &self.html(to))
    }

    fn text(&self, to: &Recipient<'_>) -> String {
        let address = to.address.to_string();
        filled(&self.text, |which| if which == Own::Address { &address } else { own(to, which) })
    }

    fn html(&self, to: &Recipient<'_>) -> String {
        // As minijinja escapes, but for the slashes (`bare_slashes`).
        let escaped = |text: &str| escape_html(text).replace('\'', "&#x27;");
        let address = escaped(&to.address.to_string());
        let links = OWN.map(|which| escaped(own(to, which)));
        filled(&self.html, |which| if which == Own::Address { &address } else { &links[which as usize] })
    }
}

/// A link of a reader.
fn own<'a>(to: &'a Recipient<'_>, which: Own) -> &'a str {
    match which {
        Own::Address => "",
        Own::Unsubscribe => &to.links.unsubscribe,
        Own::Preferences => &to.links.preferences,
        Own::Browser => to.links.browser.as_deref().unwrap_or_default(),
    }
}

/// Parts a text at every mark.
fn pieces(text: &str, marks: &Recipient<'_>) -> Vec<Piece> {
    let address = marks.address.to_string();
    let mark = |which| if which == Own::Address { address.as_str() } else { own(marks, which) };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, which)) =
        OWN.into_iter().filter_map(|which| Some((rest.find(mark(which))?, which))).min_by_key(|(at, _)| *at)
    {
        pieces.push(Piece::Same(rest[..at].to_owned()));
        pieces.push(Piece::Own(which));
        rest = &rest[at + mark(which).len()..];
    }
    pieces.push(Piece::Same(rest.to_owned()));
    pieces
}

fn filled<'a>(pieces: &'a [Piece], value: impl Fn(Own) -> &'a str) -> String {
    let mut text = String::new();
    for piece in pieces {
        text.push_str(match piece {
            Piece::Same(same) => same,
            Piece::Own(which) => value(*which),
        });
    }
    text
}
