//! What providers post when mail comes back: JSON in, the same findings out.
//!
//! Who posts is proved by the address that only he was given, so what is said counts. Of Amazon's posts the
//! signature may be asked for besides (`sns.rs`).

use super::{Finding, Marks, Report, Rules, evidence, verdict};
use crate::domain::{BounceClass, EmailAddress};
use serde_json::Value;

/// How many events one post may hold. SendGrid sends up to a thousand.
const EVENTS: usize = 5_000;

/// Who posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon SES, through SNS.
    Ses,
    /// Mailgun.
    Mailgun,
    /// Postmark.
    Postmark,
    /// SendGrid.
    Sendgrid,
    /// Brevo.
    Brevo,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 5] = [Self::Ses, Self::Mailgun, Self::Postmark, Self::Sendgrid, Self::Brevo];

    /// Its name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Mailgun => "mailgun",
            Self::Postmark => "postmark",
            Self::Sendgrid => "sendgrid",
            Self::Brevo => "brevo",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }
}

/// A body that is none of the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no notice of this provider")]
pub struct NoNotice;

/// Reads what a provider posted: one report an event.
pub fn read(provider: Provider, body: &[u8], rules: &Rules) -> Result<Vec<Report>, NoNotice> {
    let body: Value = serde_json::from_slice(body).map_err(|_| NoNotice)?;
    let events = match body {
        Value::Array(events) => events,
        one => vec![one],
    };
    let mut reports = Vec::new();
    for event in events.iter().take(EVENTS) {
        reports.push(match provider {
            Provider::Ses => ses(event, rules)?,
            Provider::Mailgun => mailgun(event, rules)?,
            Provider::Postmark => postmark(event, rules)?,
            Provider::Sendgrid => sendgrid(event, rules)?,
            Provider::Brevo => brevo(event, rules)?,
        });
    }
    Ok(reports)
}

/// The page by which Amazon SNS wants to be confirmed, where a post asks for that.
pub fn confirmation_page(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    (text(&body, "/Type") == "SubscriptionConfirmation").then(|| text(&body, "/SubscribeURL").to_owned())
}

/// A notice of SES that SNS mailed instead of posting it.
pub(super) fn in_text(text: &str, rules: &Rules) -> Option<Vec<Finding>> {
    let start = text.trim_start();
    if !start.starts_with('{') || !start.contains("notificationType") {
        return None;
    }
    // Folded on its way, even inside words; behind it stands how to unsubscribe.
    let json: String = start.lines().take_while(|line| line.trim_end() != "--").collect();
    let event = serde_json::from_str(&json).ok()?;
    ses(&event, rules).ok().map(|report| report.findings)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn finding(class: BounceClass, recipient: &str, words: &str) -> Finding {
    Finding { class, recipient: EmailAddress::parse(recipient).ok(), evidence: evidence(words) }
}

fn report(findings: Vec<Finding>, message_id: &str, sender: &str) -> Report {
    let message_id = message_id.trim_matches(['<', '>']);
    let given = |text: String, is_there: bool| is_there.then_some(text).into_iter().collect();
    let marks = Marks {
        message_ids: given(format!("<{message_id}>"), !message_id.is_empty()),
        return_paths: given(sender.to_owned(), !sender.is_empty()),
        ..Marks::default()
    };
    Report { findings, marks }
}

/// What the provider calls permanent, unless the words say that it was our fault.
fn permanent(words: &str, rules: &Rules) -> BounceClass {
    match rules.judge(verdict::status_in(words), words, "") {
        BounceClass::Policy => BounceClass::Policy,
        _ => BounceClass::Hard,
    }
}

/// <https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html>
fn ses(event: &Value, rules: &Rules) -> Result<Report, NoNotice> {
    // SNS wraps what SES says into a string.
    let inner: Value;
    let event = match event.get("Message").and_then(Value::as_str) {
        Some(message) => {
            inner = serde_json::from_str(message).map_err(|_| NoNotice)?;
            &inner
        }
        None => event,
    };
    let kind = [text(event, "/notificationType"), text(event, "/eventType")].concat();
    let people = |list: &str| event.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let findings = match kind.as_str() {
        "Bounce" => {
            let (kind, sub) = (text(event, "/bounce/bounceType"), text(event, "/bounce/bounceSubType"));
            let of = |person: &Value| {
                let words =
                    format!("{kind} {sub}: {} {}", text(person, "/status"), text(person, "/diagnosticCode"));
                let class = match (kind, sub) {
                    (_, "ContentRejected" | "AttachmentRejected" | "MessageTooLarge") => BounceClass::Policy,
                    ("Permanent", _) => permanent(&words, rules),
                    _ => BounceClass::Soft,
                };
                finding(class, text(person, "/emailAddress"), &words)
            };
            people("/bounce/bouncedRecipients").iter().map(of).collect()
        }
        "Complaint" => {
            let kind = text(event, "/complaint/complaintFeedbackType");
            let class = if kind == "not-spam" { BounceClass::NotABounce } else { BounceClass::Complaint };
            let of =
                |person: &Value| finding(class, text(person, "/emailAddress"), &format!("complaint {kind}"));
            people("/complaint/complainedRecipients").iter().map(of).collect()
        }
        "" => return Err(NoNotice),
        other => vec![finding(BounceClass::NotABounce, "", other)],
    };
    if findings.is_empty() {
        return Err(NoNotice);
    }
    // SES puts a Message-ID of its own in the place of ours; ours is among the headers, where asked for.
    let headers = people("/mail/headers");
    let header = headers.iter().find(|header| text(header, "/name").eq_ignore_ascii_case("message-id"));
    Ok(report(findings, header.map_or("", |header| text(header, "/value")), text(event, "/mail/source")))
}

/// <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads>
fn mailgun(event: &Value, rules: &Rules) -> Result<Report, NoNotice> {
    let event = event.get("event-data").ok_or(NoNotice)?;
    let words = format!(
        "{} {} {}",
        text(event, "/delivery-status/enhanced-code"),
        text(event, "/delivery-status/message"),
        text(event, "/delivery-status/description")
    );
    let class = match (text(event, "/event"), text(event, "/severity"), text(event, "/reason")) {
        ("complained", _, _) => BounceClass::Complaint,
        ("failed", "permanent", "old") => BounceClass::Soft,
        ("failed", "permanent", "espblock" | "suppress-unsubscribe") => BounceClass::Policy,
        ("failed", "permanent", "suppress-complaint") => BounceClass::Complaint,
        ("failed", "permanent", _) => permanent(&words, rules),
        // It goes on trying.
        _ => BounceClass::NotABounce,
    };
    let findings = vec![finding(class, text(event, "/recipient"), &words)];
    Ok(report(findings, text(event, "/message/headers/message-id"), text(event, "/envelope/sender")))
}

/// <https://postmarkapp.com/developer/api/bounce-api#bounce-types>
fn postmark(event: &Value, rules: &Rules) -> Result<Report, NoNotice> {
    let words = format!("{} {}", text(event, "/Description"), text(event, "/Details"));
    let class = match (text(event, "/RecordType"), text(event, "/Type")) {
        ("SpamComplaint", _) | ("Bounce", "SpamComplaint") => BounceClass::Complaint,
        ("Bounce", "HardBounce" | "BadEmailAddress") => permanent(&words, rules),
        ("Bounce", "AutoResponder") => BounceClass::AutoReply,
        (
            "Bounce",
            "Transient"
            | "AddressChange"
            | "Subscribe"
            | "Unsubscribe"
            | "OpenRelayTest"
            | "ChallengeVerification",
        ) => BounceClass::NotABounce,
        (
            "Bounce",
            "SpamNotification"
            | "Blocked"
            | "DMARCPolicy"
            | "VirusNotification"
            | "SMTPApiError"
            | "TemplateRenderingFailed"
            | "InboundError",
        ) => BounceClass::Policy,
        ("Bounce", _) => BounceClass::Soft,
        ("", _) => return Err(NoNotice),
        _ => BounceClass::NotABounce,
    };
    Ok(report(vec![finding(class, text(event, "/Email"), &words)], "", ""))
}

/// <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>
fn sendgrid(event: &Value, rules: &Rules) -> Result<Report, NoNotice> {
    let words = format!("{} {}", text(event, "/status"), text(event, "/reason"));
    let class = match (text(event, "/event"), text(event, "/type")) {
        ("", _) => return Err(NoNotice),
        ("spamreport", _) => BounceClass::Complaint,
        ("bounce", "blocked") => BounceClass::Policy,
        ("bounce", _) => permanent(&words, rules),
        ("dropped", _) if words.contains("Bounced Address") || words.contains("Invalid") => BounceClass::Hard,
        ("dropped", _) if words.contains("Spam Reporting") => BounceClass::Complaint,
        ("dropped", _) => BounceClass::Policy,
        _ => BounceClass::NotABounce,
    };
    Ok(report(vec![finding(class, text(event, "/email"), &words)], text(event, "/smtp-id"), ""))
}

/// <https://developers.brevo.com/docs/transactional-webhooks>
fn brevo(event: &Value, rules: &Rules) -> Result<Report, NoNotice> {
    let words = text(event, "/reason");
    let class = match text(event, "/event") {
        "" => return Err(NoNotice),
        "spam" | "complaint" => BounceClass::Complaint,
        "hard_bounce" | "hardBounce" => permanent(words, rules),
        "invalid_email" | "invalid" => BounceClass::Hard,
        "soft_bounce" | "softBounce" => BounceClass::Soft,
        "blocked" | "error" => BounceClass::Policy,
        _ => BounceClass::NotABounce,
    };
    Ok(report(vec![finding(class, text(event, "/email"), words)], text(event, "/message-id"), ""))
}
