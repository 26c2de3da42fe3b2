//! An edition that is set once for all who get the same of it. What is one reader's own, his address
//! and his links, is put in afterwards: filling the templates in takes most of a letter's time.

use super::edition::{EditionLetter, parts};
use super::envelope::{self, Letter};
use super::{ComposeError, Letterhead, Links, Message, Recipient, check_link, headers};
use crate::domain::{EditionId, EmailAddress, Instant, Language, SubscriberId, escape_html, hex};
use chrono_tz::Tz;

/// What is a reader's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Address,
    /// Of the message.
    Name,
    Unsubscribe,
    Preferences,
    Browser,
    Opened,
}

const OWN: [Own; 6] =
    [Own::Address, Own::Name, Own::Unsubscribe, Own::Preferences, Own::Browser, Own::Opened];

#[derive(Debug)]
enum Piece {
    Same(String),
    Own(Own),
}

/// An edition in one language, with room for what is each reader's own.
#[derive(Debug)]
pub struct Typeset {
    edition: EditionId,
    date: Instant,
    head: Vec<Piece>,
    text: Vec<Piece>,
    html: Vec<Piece>,
}

/// A reader whose address and links are not written as they are in HTML, nor his address in a subject.
const ODD: (&str, &str) = ("đ'n&ly+a=test/1@bao.example", "https://bao.example/?a=1&b='2'/");

impl Typeset {
    /// Sets an edition. `None` where its template does more with what is a reader's own than write
    /// it down: then every letter is composed by itself. `counted`: whether its letters hold a picture
    /// that counts them.
    pub fn set(
        head: &Letterhead<'_>,
        (language, zone): (Language, Tz),
        letter: &EditionLetter<'_>,
        edition: EditionId,
        counted: bool,
    ) -> Result<Option<Self>, ComposeError> {
        // Nobody can write these into an article.
        let mark = |own: Own| hex(&head.secret.mac("typeset", &[&[own as u8]])[..12]);
        let link = |own| format!("https://bantin.example/{}", mark(own));
        let links = Links {
            unsubscribe: link(Own::Unsubscribe),
            preferences: link(Own::Preferences),
            browser: Some(link(Own::Browser)),
            opened: counted.then(|| link(Own::Opened)),
        };
        let (Ok(address), Ok(odd_address)) = (
            EmailAddress::parse(&format!("{}@bantin.example", mark(Own::Address))),
            EmailAddress::parse(ODD.0),
        ) else {
            return Ok(None);
        };
        let nobody = Recipient { address: &address, language, zone, links };
        let name = mark(Own::Name);
        let called = format!("<{name}@{}>", head.from.address.domain());
        let marked = parts(head, &nobody, letter, edition, &called)?;
        let pieces = |text: &str| pieces(text, &values(&nobody, &name));
        let set = Self {
            edition,
            date: letter.composed_at,
            head: pieces(&marked.head),
            text: pieces(&marked.text),
            html: pieces(&marked.html),
        };
        let link = |n: usize| format!("{}{n}", ODD.1);
        let links = Links {
            unsubscribe: link(1),
            preferences: link(2),
            browser: Some(link(3)),
            opened: counted.then(|| link(4)),
        };
        let odd = Recipient { address: &odd_address, language, zone, links };
        // As long as all names are: how a line with it is folded depends on that.
        let domain = head.from.address.domain();
        let message_id = headers::message_id(head.secret, "edition", edition.0, 0, domain);
        let composed = parts(head, &odd, letter, edition, &message_id)?;
        Ok((set.filled(&odd, headers::name_of(&message_id)) == composed).then_some(set))
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
        check_link("browser", to.links.browser.as_deref().unwrap_or_default())?;
        if let Some(opened) = &to.links.opened {
            check_link("opened", opened)?;
        }
        let domain = head.from.address.domain();
        let message_id = headers::message_id(head.secret, "edition", self.edition.0, subscriber.0, domain);
        let letter = self.filled(to, headers::name_of(&message_id));
        envelope::seal(head, &letter, message_id, self.date)
    }

    fn filled(&self, to: &Recipient<'_>, name: &str) -> Letter {
        let written = values(to, name);
        // As minijinja escapes, but for the slashes (`bare_slashes`).
        let escaped = written.each_ref().map(|value| escape_html(value).replace('\'', "&#x27;"));
        Letter {
            head: filled(&self.head, &written),
            text: filled(&self.text, &written),
            html: filled(&self.html, &escaped),
        }
    }
}

/// What is a reader's own, in the order of [`OWN`].
fn values(to: &Recipient<'_>, name: &str) -> [String; 6] {
    OWN.map(|which| match which {
        Own::Address => to.address.to_string(),
        Own::Name => name.to_owned(),
        Own::Unsubscribe => to.links.unsubscribe.clone(),
        Own::Preferences => to.links.preferences.clone(),
        Own::Browser => to.links.browser.clone().unwrap_or_default(),
        Own::Opened => to.links.opened.clone().unwrap_or_default(),
    })
}

/// Parts a text at every mark.
fn pieces(text: &str, marks: &[String; 6]) -> Vec<Piece> {
    let mark = |which: Own| marks[which as usize].as_str();
    // What no letter of this edition has stands nowhere in it.
    let own = OWN.into_iter().filter(|which| !mark(*which).is_empty());
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, which)) =
        own.clone().filter_map(|which| Some((rest.find(mark(which))?, which))).min_by_key(|(at, _)| *at)
    {
        pieces.push(Piece::Same(rest[..at].to_owned()));
        pieces.push(Piece::Own(which));
        rest = &rest[at + mark(which).len()..];
    }
    pieces.push(Piece::Same(rest.to_owned()));
    pieces
}

fn filled(pieces: &[Piece], values: &[String; 6]) -> String {
    let mut text = Vec::with_capacity(pieces.len());
    for piece in pieces {
        text.push(match piece {
            Piece::Same(same) => same.as_str(),
            Piece::Own(which) => values[*which as usize].as_str(),
        });
    }
    text.concat()
}
