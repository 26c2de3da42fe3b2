//! The habits of servers that follow no standard: `rules.toml`, and what a newsroom adds to it.

use super::fields::value;
use super::papers::Papers;
use super::verdict::folded;
use crate::domain::BounceClass;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How far apart the halves of a phrase with a star may stand.
const GAP: usize = 90;

/// What is known of servers' words and codes. The order is that of the file: the first that fits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    bounce: Bounce,
    #[serde(default)]
    auto_reply: AutoReply,
    #[serde(default)]
    returned: Returned,
    #[serde(default)]
    complaint: Complaint,
    #[serde(default)]
    delayed: Delayed,
    /// Phrases, and what they mean. They are believed more than a status code.
    #[serde(default)]
    pub(super) verdict: Vec<Verdict>,
    /// Phrases that are believed less.
    #[serde(default)]
    pub(super) guess: Vec<Verdict>,
    /// Enhanced status codes, whole or without their last number.
    #[serde(default)]
    pub(super) status: BTreeMap<Meaning, Vec<String>>,
    /// Reply codes.
    #[serde(default)]
    pub(super) reply: BTreeMap<Meaning, Vec<u16>>,
}

/// By what a bounce is known that is no report by RFC 3464.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Bounce {
    /// Words of `From`.
    senders: Vec<String>,
    /// Beginnings of subjects.
    subjects: Vec<String>,
    /// Header fields that only bounces have.
    headers: Vec<String>,
    /// Phrases of the text.
    says: Vec<String>,
}

/// By what a complaint is known that is no report by RFC 5965.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Complaint {
    /// Header fields of the mail that it gives back.
    returned: Vec<String>,
}

/// By what a notice is known that mail is still on its way.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Delayed {
    /// Phrases of subject and text.
    says: Vec<String>,
}

/// By what an automatic answer is known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AutoReply {
    /// Header lines, `name: beginning of the value`.
    headers: Vec<String>,
    /// Beginnings of subjects.
    subjects: Vec<String>,
}

/// Where the returned mail begins in a text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Returned {
    /// Lines, or beginnings of lines.
    marks: Vec<String>,
}

/// Phrases of one meaning. A star stands for up to 90 letters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    pub class: Meaning,
    pub says: Vec<String>,
}

/// The classes that words and codes can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    Policy,
    Hard,
    Soft,
}

impl Meaning {
    pub(super) fn class(self) -> BounceClass {
        match self {
            Self::Policy => BounceClass::Policy,
            Self::Hard => BounceClass::Hard,
            Self::Soft => BounceClass::Soft,
        }
    }
}

/// Why a file of rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rules for bounces: {0}")]
pub struct RulesError(String);

impl Rules {
    /// The built-in rules.
    pub fn built_in() -> Result<Self, RulesError> {
        toml::from_str(include_str!("rules.toml")).map_err(|error| RulesError(error.to_string()))
    }

    /// The built-in rules behind a newsroom's own, in the same form: its words go before ours.
    pub fn with_own(own: &str) -> Result<Self, RulesError> {
        let mut rules: Self = toml::from_str(own).map_err(|error| RulesError(error.to_string()))?;
        let known = Self::built_in()?;
        rules.bounce.senders.extend(known.bounce.senders);
        rules.bounce.subjects.extend(known.bounce.subjects);
        rules.bounce.headers.extend(known.bounce.headers);
        rules.bounce.says.extend(known.bounce.says);
        rules.auto_reply.headers.extend(known.auto_reply.headers);
        rules.auto_reply.subjects.extend(known.auto_reply.subjects);
        rules.returned.marks.extend(known.returned.marks);
        rules.complaint.returned.extend(known.complaint.returned);
        rules.delayed.says.extend(known.delayed.says);
        rules.verdict.extend(known.verdict);
        rules.guess.extend(known.guess);
        let own_codes: Vec<String> = rules.status.values().flatten().cloned().collect();
        for (meaning, codes) in known.status {
            let codes = codes.into_iter().filter(|code| !own_codes.contains(code));
            rules.status.entry(meaning).or_default().extend(codes);
        }
        let own_replies: Vec<u16> = rules.reply.values().flatten().copied().collect();
        for (meaning, codes) in known.reply {
            let codes = codes.into_iter().filter(|code| !own_replies.contains(code));
            rules.reply.entry(meaning).or_default().extend(codes);
        }
        Ok(rules)
    }

    /// Whether a message that carries no delivery status is a bounce all the same.
    pub(super) fn is_bounce(&self, papers: &Papers) -> bool {
        let from = folded_header(papers, "from");
        let subject = folded(&papers.subject);
        if self.bounce.headers.iter().any(|name| value(&papers.headers, name).is_some()) {
            return true;
        }
        let by_sender = self.bounce.senders.iter().any(|sender| from.contains(sender.as_str()));
        let by_subject = self.bounce.subjects.iter().any(|beginning| begins(&subject, beginning));
        let by_text = || matches(&self.bounce.says, &folded(&papers.text));
        // An answer of a person quotes our subject; that of a program follows a form.
        (by_sender && (by_subject || by_text() || !self.is_auto_reply(papers)))
            || (by_subject && by_text())
            || ((papers.is_report || !papers.returned.is_empty()) && by_text())
    }

    /// Whether a provider passes a complaint on in a form of its own.
    pub(super) fn is_complaint(&self, papers: &Papers) -> bool {
        self.complaint.returned.iter().any(|name| value(&papers.returned, name).is_some())
    }

    /// Whether a message says that mail is still on its way.
    pub(super) fn is_delayed(&self, papers: &Papers) -> bool {
        matches(&self.delayed.says, &folded(&format!("{} {}", papers.subject, papers.text)))
    }

    /// Whether a program answered in its owner's place.
    pub(super) fn is_auto_reply(&self, papers: &Papers) -> bool {
        let subject = folded(&papers.subject);
        let by_header = self.auto_reply.headers.iter().any(|line| {
            let (name, beginning) = line.split_once(':').unwrap_or((line, ""));
            papers
                .headers
                .iter()
                .any(|(known, value)| known == name && value.to_lowercase().starts_with(beginning.trim()))
        });
        by_header || self.auto_reply.subjects.iter().any(|beginning| begins(&subject, beginning))
    }

    /// A text parted where the returned mail begins.
    pub(super) fn cut<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let told = folded(line);
            if self.returned.marks.iter().any(|mark| begins(&told, mark)) {
                return Some((&text[..at], &text[at + line.len()..]));
            }
            at += line.len();
        }
        None
    }
}

/// The name of a sender must not become the `@` of an address.
fn folded_header(papers: &Papers, name: &str) -> String {
    value(&papers.headers, name).unwrap_or_default().to_lowercase()
}

fn begins(text: &str, beginning: &str) -> bool {
    match beginning.split_once('*') {
        Some((first, rest)) => text.strip_prefix(first).is_some_and(|behind| has(near(behind, rest), rest)),
        None => text.starts_with(beginning),
    }
}

/// Whether one of the phrases stands in a text.
pub(super) fn matches(phrases: &[String], text: &str) -> bool {
    phrases.iter().any(|phrase| has(text, phrase))
}

fn has(text: &str, phrase: &str) -> bool {
    let Some((first, rest)) = phrase.split_once('*') else { return text.contains(phrase) };
    text.match_indices(first).take(GAP).any(|(at, found)| {
        let behind = &text[at + found.len()..];
        has(near(behind, rest), rest)
    })
}

/// As much of a text as a phrase may lie in.
fn near<'t>(text: &'t str, phrase: &str) -> &'t str {
    let mut end = (GAP + phrase.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    &text[..end]
}
