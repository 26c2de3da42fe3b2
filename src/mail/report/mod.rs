//! What comes back of our mail: bounces, complaints, automatic answers. Bytes in, findings out.
//!
//! The standards first (RFC 3464 for bounces, RFC 5965 for complaints, RFC 3834 for automatic
//! answers), then the habits of servers that know none of them, which are data: `rules.toml`.
//! Nothing that is said here is believed to be true; it is only what the message says.

mod feedback;
mod fields;
pub mod hooks;
mod papers;
mod rules;
pub mod sns;
mod status;
#[cfg(test)]
mod tests;
mod verdict;

pub use rules::{Rules, RulesError};

use crate::domain::{BounceClass, EmailAddress, clean_line, excerpt};
use fields::{addresses, value};
use papers::Papers;
use status::{Action, Recipient};

/// Evidence is kept for people; more than this nobody reads.
const EVIDENCE_CHARS: usize = 500;
/// How many recipients one report may name. Ours have one.
const RECIPIENTS: usize = 100;

/// What a message says of mail that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each recipient that it speaks of; at least one.
    pub findings: Vec<Finding>,
    /// What may tell which mail it was.
    pub marks: Marks,
}

/// What is said of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub class: BounceClass,
    /// Who, where the message says it.
    pub recipient: Option<EmailAddress>,
    /// The server's words for people: one line, without addresses.
    pub evidence: String,
}

/// Traces of the mail that came back. None of them is proved yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Addresses that the message went to, and that the returned mail came from.
    pub return_paths: Vec<String>,
    /// RFC 3461 §4.4: what we called the delivery when we handed it over.
    pub envelope_id: Option<String>,
    /// Message-IDs of the returned mail, with angle brackets.
    pub message_ids: Vec<String>,
    /// Links of its header that only its reader has.
    pub links: Vec<String>,
}

/// Reads a message, whatever it is. Never fails: what cannot be read is [`BounceClass::NotABounce`].
pub fn read(bytes: &[u8], rules: &Rules) -> Report {
    let papers = Papers::unfold(bytes, rules);
    let mut findings = findings(&papers, rules);
    findings.truncate(RECIPIENTS);
    Report { findings, marks: marks(&papers) }
}

fn findings(papers: &Papers, rules: &Rules) -> Vec<Finding> {
    if let Some(found) = feedback::read(papers) {
        return found;
    }
    if rules.is_complaint(papers) {
        let to = value(&papers.returned, "to").map(addresses).unwrap_or_default();
        let recipient = to.iter().find_map(|address| EmailAddress::parse(address).ok());
        return vec![Finding {
            class: BounceClass::Complaint,
            recipient,
            evidence: evidence(&papers.subject),
        }];
    }
    if let Some(report) = hooks::in_text(&papers.text, rules) {
        return report;
    }
    let recipients = status::recipients(papers);
    if !recipients.is_empty() {
        return recipients.iter().map(|recipient| of_recipient(recipient, papers, rules)).collect();
    }
    if rules.is_bounce(papers) {
        return vec![of_text(papers, rules)];
    }
    let class = if rules.is_auto_reply(papers) { BounceClass::AutoReply } else { BounceClass::NotABounce };
    vec![Finding { class, recipient: None, evidence: evidence(&papers.subject) }]
}

fn of_recipient(recipient: &Recipient, papers: &Papers, rules: &Rules) -> Finding {
    let class = match recipient.action {
        Action::Failed if recipient.diagnosis.is_empty() => {
            let address = recipient.address.as_ref().map(ToString::to_string).unwrap_or_default();
            let told = Some(verdict::diagnosis_of(&papers.text, &address))
                .filter(|told| told.trim().len() > address.len() + 5);
            let told = told.unwrap_or_else(|| verdict::diagnosis(&papers.text));
            rules.judge(recipient.status.or_else(|| verdict::status_in(&told)), &told, &papers.text)
        }
        Action::Failed => rules.judge(recipient.status, &recipient.diagnosis, &papers.text),
        Action::Other => BounceClass::NotABounce,
    };
    let said = if recipient.diagnosis.is_empty() { &papers.text } else { &recipient.diagnosis };
    let status = recipient.status.map(|status| format!("{status} ")).unwrap_or_default();
    Finding { class, recipient: recipient.address.clone(), evidence: evidence(&format!("{status}{said}")) }
}

/// A bounce that follows no standard: all that is known is what it says to people.
fn of_text(papers: &Papers, rules: &Rules) -> Finding {
    let diagnosis = verdict::diagnosis(&papers.text);
    let status = verdict::status_in(&diagnosis).or_else(|| verdict::status_in(&papers.text));
    let around = format!("{}\n{}", papers.text, papers.subject);
    let named = value(&papers.headers, "x-failed-recipients").map(addresses).unwrap_or_default();
    let own = value(&papers.headers, "from").map(addresses).unwrap_or_default();
    let named = named
        .into_iter()
        .chain(addresses(&papers.text))
        .chain(papers.returned.iter().filter(|(name, _)| name == "to").flat_map(|(_, to)| addresses(to)));
    let recipient = named
        .filter(|address| !own.contains(address) && !papers.addressees.contains(address))
        .find_map(|address| EmailAddress::parse(&address).ok());
    let told = if diagnosis.is_empty() { &papers.text } else { &diagnosis };
    let class = match rules.is_delayed(papers) {
        true => BounceClass::NotABounce,
        false => rules.judge(status, &diagnosis, &around),
    };
    Finding { class, recipient, evidence: evidence(told) }
}

fn marks(papers: &Papers) -> Marks {
    let returned = |wanted: &[&str]| -> Vec<String> {
        let lines = papers.returned.iter().filter(|(name, _)| wanted.contains(&name.as_str()));
        lines.map(|(_, value)| value.clone()).collect()
    };
    let mut return_paths = papers.addressees.clone();
    return_paths
        .extend(returned(&["return-path", "x-original-from"]).iter().flat_map(|line| addresses(line)));
    return_paths.extend(
        papers
            .feedback
            .iter()
            .flatten()
            .filter(|(name, _)| name == "original-mail-from")
            .flat_map(|(_, value)| addresses(value)),
    );
    let envelope_id = papers
        .status
        .iter()
        .find_map(|group| value(group, "original-envelope-id"))
        .or_else(|| papers.feedback.as_ref().and_then(|fields| value(fields, "original-envelope-id")))
        .map(|id| id.trim().to_owned());
    let links = returned(&["list-unsubscribe"]);
    let links = links
        .iter()
        .flat_map(|line| line.split(','))
        .map(|link| link.trim().trim_matches(['<', '>']).to_owned());
    Marks {
        return_paths,
        envelope_id,
        message_ids: returned(&["message-id"]).iter().map(|id| id.trim().to_owned()).collect(),
        links: links.filter(|link| link.starts_with("http")).collect(),
    }
}

/// What an SMTP reply to our own handing over means.
pub fn of_reply(reply: &str, rules: &Rules) -> BounceClass {
    rules.judge(verdict::status_in(reply), reply, "")
}

/// One line of bounded length without addresses: it is stored, shown and logged.
pub fn evidence(words: &str) -> String {
    let line = clean_line(words);
    let told: Vec<&str> = line
        .split(' ')
        .map(|word| if word.contains('@') || word.contains("%40") { "<…>" } else { word })
        .collect();
    excerpt(&told.join(" "), EVIDENCE_CHARS)
}
