//! Complaints (RFC 5965): a reader pressed the button that says "spam".

use super::fields::addresses;
use super::papers::Papers;
use super::{Finding, evidence};
use crate::domain::{BounceClass, EmailAddress};

/// What a report of feedback says, if this is one.
pub(super) fn read(papers: &Papers) -> Option<Vec<Finding>> {
    let feedback = papers.feedback.as_ref()?;
    let kind = feedback.iter().find(|(name, _)| name == "feedback-type").map(|(_, kind)| kind.trim());
    let kind = kind.unwrap_or("abuse").to_ascii_lowercase();
    // RFC 5965 §7.3. `auth-failure` and `dmarc` speak of forgers, `not-spam` of the opposite.
    let class = match kind.as_str() {
        "abuse" | "fraud" | "miscategorized" | "opt-out" | "opt-out-list" | "complaint" => {
            BounceClass::Complaint
        }
        _ => BounceClass::NotABounce,
    };
    let finding = |recipient| Finding { class, recipient, evidence: evidence(&format!("feedback: {kind}")) };
    let named = |name: &str| matches!(name, "original-rcpt-to" | "removal-recipient" | "redacted-address");
    let mut recipients: Vec<EmailAddress> = Vec::new();
    let lines = feedback.iter().filter(|(name, _)| named(name)).map(|(_, value)| value);
    let to = papers.returned.iter().filter(|(name, _)| name == "to").map(|(_, value)| value);
    for address in lines.flat_map(|line| addresses(line)) {
        recipients.extend(EmailAddress::parse(&address).ok());
    }
    if recipients.is_empty() {
        recipients.extend(to.flat_map(|line| addresses(line)).find_map(|a| EmailAddress::parse(&a).ok()));
    }
    if recipients.is_empty() {
        return Some(vec![finding(None)]);
    }
    Some(recipients.into_iter().map(|recipient| finding(Some(recipient))).collect())
}
