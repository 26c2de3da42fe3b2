use super::Desk;
use crate::domain::{Instant, micros};
use crate::wording::TemplateFault;
use minijinja::context;

/// A letter as the list of the built-in mailbox names it.
#[derive(Clone, Debug, PartialEq)]
pub struct LetterHead {
    /// Where its page is.
    pub href: String,
    /// Its subject.
    pub subject: String,
    /// Who it is from.
    pub from: String,
    /// Who it is for.
    pub to: String,
    /// When it was written.
    pub date: Option<Instant>,
}

/// A letter opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Its head.
    pub head: LetterHead,
    /// Where its HTML part is served, as [`letter_frame`] under
    /// [`LETTER_POLICY`](super::LETTER_POLICY); `None` where it has none.
    pub html_href: Option<String>,
    /// Its text part.
    pub text: String,
    /// Where the message itself is, as `message/rfc822`.
    pub source_href: Option<String>,
}

impl LetterHead {
    fn shown(&self) -> minijinja::Value {
        context! {
            href => self.href.as_str(), subject => self.subject.as_str(), from => self.from.as_str(), to => self.to.as_str(),
            date => self.date.map(micros),
        }
    }
}

/// The built-in mailbox: what the outbox relay was given, the newest first.
pub fn mailbox(desk: &Desk<'_>, letters: &[LetterHead]) -> Result<String, TemplateFault> {
    let letters: Vec<_> = letters.iter().map(LetterHead::shown).collect();
    desk.render("page/mailbox.html", context! { letters })
}

/// A letter of the built-in mailbox.
pub fn letter(desk: &Desk<'_>, mailbox_href: &str, letter: &Letter) -> Result<String, TemplateFault> {
    let content = context! {
        letter => letter.head.shown(), mailbox_href,
        html_href => letter.html_href.as_deref(), text => letter.text.as_str(), source_href => letter.source_href.as_deref(),
    };
    desk.render("page/letter.html", content)
}

/// The HTML part of a letter as it stands in its frame: unchanged, but its links open a new tab,
/// since the frame's sandbox lets none of them work inside it.
pub fn letter_frame(html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    let folded = html.to_ascii_lowercase();
    let at = ["<head", "<html", "<!doctype"].iter().find_map(|tag| {
        let start = folded
            .match_indices(tag)
            .map(|(at, _)| at)
            .find(|at| folded[at + tag.len()..].starts_with(|c: char| c == '>' || c.is_ascii_whitespace()))?;
        Some(start + folded[start..].find('>')? + 1)
    });
    match at {
        Some(at) => format!("{}{BASE}{}", &html[..at], &html[at..]),
        None => format!("<!doctype html>{BASE}{html}"),
    }
}
