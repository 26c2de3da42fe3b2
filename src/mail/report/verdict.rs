//! What codes and words of a refusal mean.

use super::Rules;
use super::rules::{Verdict, matches};
use crate::domain::{BounceClass, StatusCode};

/// RFC 3463 §3.1: undefined.
pub(super) fn is_vague(status: StatusCode) -> bool {
    status.subject == 0 || (status.subject != 7 && status.detail == 0)
}

/// RFC 3463 §3.8: security and policy, which is ours or theirs, never the reader's.
pub(super) fn is_policy(status: StatusCode) -> bool {
    status.subject == 7
}

/// The first enhanced status code in a text; one that says something goes before one that does not.
pub(super) fn status_in(text: &str) -> Option<StatusCode> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let codes = words.filter_map(|word| word.trim_matches('.').parse::<StatusCode>().ok());
    let codes: Vec<StatusCode> = codes.filter(|code| code.subject <= 7).take(20).collect();
    codes.iter().find(|code| !is_vague(**code)).or(codes.first()).copied()
}

/// What a text for people says of the refusal itself: the paragraphs in which a reply code or an
/// address stands. Around them are greetings, and guesses of what may have happened.
pub(super) fn diagnosis(text: &str) -> String {
    let mut told = String::new();
    let mut paragraph: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            paragraph.push(line.trim());
        } else if !paragraph.is_empty() {
            let whole = paragraph.join(" ");
            if reply_in(&whole).is_some() || status_in(&whole).is_some() || whole.contains('@') {
                told.push_str(&whole);
                told.push('\n');
            }
            paragraph.clear();
        }
    }
    told
}

/// The lines of a text that speak of one recipient.
pub(super) fn diagnosis_of(text: &str, address: &str) -> String {
    let address = address.to_lowercase();
    let lines: Vec<&str> = text.lines().collect();
    let mut told = String::new();
    for (at, line) in lines.iter().enumerate() {
        if line.to_lowercase().contains(&address) {
            // What is indented, or ends in a colon, goes on.
            let more = lines[at + 1..]
                .iter()
                .take(3)
                .take_while(|next| next.starts_with([' ', '\t']) && !next.contains('@'));
            for line in std::iter::once(line).chain(more) {
                told.push_str(line.trim());
                told.push('\n');
            }
        }
    }
    told
}

/// The first reply code (RFC 5321 §4.2) of a refusal in a text.
fn reply_in(text: &str) -> Option<u16> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let codes = words.filter(|word| word.len() == 3).filter_map(|word| word.parse::<u16>().ok());
    codes.into_iter().find(|code| matches!(code, 421 | 450..=455 | 500..=557))
}

impl Rules {
    /// What a refusal means. `diagnosis` is the word of the server that refused; `text` what is told
    /// around it, which is believed less.
    ///
    /// A status of policy is one, whatever else is said: no reader is given up for our fault.
    pub(super) fn judge(&self, status: Option<StatusCode>, diagnosis: &str, text: &str) -> BounceClass {
        if status.is_some_and(is_policy) {
            return BounceClass::Policy;
        }
        let said = folded(diagnosis);
        let class = self
            .of_words(&self.verdict, &said)
            .or_else(|| status.and_then(|status| self.of_status(status)))
            .or_else(|| self.of_words(&self.verdict, &folded(text)))
            .or_else(|| self.of_words(&self.guess, &said))
            .or_else(|| reply_in(diagnosis).or_else(|| reply_in(text)).and_then(|code| self.of_reply(code)))
            .or_else(|| self.of_words(&self.guess, &folded(text)))
            .unwrap_or(BounceClass::Soft);
        match (class, status) {
            // 4.x.x: whoever says so believes that it may come right (RFC 3463 §2).
            (BounceClass::Hard, Some(status)) if status.class == 4 => BounceClass::Soft,
            _ => class,
        }
    }

    fn of_words(&self, verdicts: &[Verdict], said: &str) -> Option<BounceClass> {
        verdicts.iter().find(|verdict| matches(&verdict.says, said)).map(|verdict| verdict.class.class())
    }

    fn of_status(&self, status: StatusCode) -> Option<BounceClass> {
        let (exact, subject) = (status.to_string(), format!("{}.{}", status.class, status.subject));
        let listed =
            |code: &str| self.status.iter().find(|(_, codes)| codes.iter().any(|known| known == code));
        listed(&exact).or_else(|| listed(&subject)).map(|(class, _)| class.class())
    }

    fn of_reply(&self, code: u16) -> Option<BounceClass> {
        self.reply.iter().find(|(_, codes)| codes.contains(&code)).map(|(class, _)| class.class())
    }
}

/// Small letters, one blank between words, `@` where an address stands.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        if word.contains('@') && word.len() > 2 {
            folded.push('@');
        } else {
            folded.push_str(&word.to_lowercase());
        }
    }
    folded
}
