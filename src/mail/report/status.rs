//! Delivery status (RFC 3464 §2.3): what a server says of each recipient, for machines.

use super::fields::{Fields, value};
use super::papers::Papers;
use super::verdict::{is_policy, is_vague, status_in};
use crate::domain::{EmailAddress, StatusCode};

/// What a server did with the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It gave up.
    Failed,
    /// It delivered it, or still tries: `delayed` is no bounce (RFC 3464 §2.3.3).
    Other,
}

/// One recipient of a delivery status.
#[derive(Clone, Debug)]
pub(super) struct Recipient {
    pub address: Option<EmailAddress>,
    pub action: Action,
    pub status: Option<StatusCode>,
    /// In the words of the server that refused it.
    pub diagnosis: String,
}

pub(super) fn recipients(papers: &Papers) -> Vec<Recipient> {
    papers.status.iter().filter_map(recipient).collect()
}

/// A group that names a recipient.
fn recipient(group: &Fields) -> Option<Recipient> {
    let names = ["final-recipient", "original-recipient", "x-actual-recipient"];
    let named = names.iter().find_map(|name| value(group, name))?;
    // `rfc822; an@bao.example`, and sometimes the address alone.
    let address = |text: &str| {
        let text = text.rsplit(';').next().unwrap_or_default();
        EmailAddress::parse(text.trim().trim_matches(['<', '>', '"'])).ok()
    };
    // What we wrote is the original one; the final one may be behind a forwarding.
    let original = value(group, "original-recipient").and_then(address);
    let diagnoses: Vec<&str> = group
        .iter()
        .filter(|(name, _)| {
            matches!(name.as_str(), "diagnostic-code" | "x-display-name" | "x-supplementary-info")
        })
        .map(|(name, said)| if name == "diagnostic-code" { after_type(said) } else { said.as_str() })
        .collect();
    let diagnosis = diagnoses.join(" ");
    let told = value(group, "status").and_then(status_in);
    let status = match (told, status_in(&diagnosis)) {
        // 5.0.0 says nothing; the words of the other server may (RFC 3463 §3.1).
        (Some(told), Some(said)) if is_vague(told) || is_policy(said) => Some(said),
        (told, said) => told.or(said),
    };
    let action = value(group, "action").map(|action| action.trim().to_ascii_lowercase());
    let still = ["delayed", "delivered", "relayed", "expanded", "deliverable"];
    let action = match action.as_deref() {
        Some(action) if still.iter().any(|word| action.starts_with(word)) => Action::Other,
        None | Some("") if status.is_some_and(|status| status.class == 2) => Action::Other,
        _ => Action::Failed,
    };
    Some(Recipient { address: original.or_else(|| address(named)), action, status, diagnosis })
}

/// `smtp; 550 5.1.1 …` without its type.
fn after_type(said: &str) -> &str {
    match said.split_once(';') {
        Some((kind, rest)) if !kind.trim().contains(' ') => rest.trim(),
        _ => said,
    }
}
