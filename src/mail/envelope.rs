//! Headers and the two texts of a mail. lettre builds the head, once for all readers of an edition who get
//! the same; what is each reader's own is filled in behind it.

use super::dkim;
use super::headers::{self, Line};
use super::{ComposeError, Letterhead, Message};
use crate::domain::{EmailAddress, Instant};
use base64::Engine;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use std::time::SystemTime;

/// Bytes of a text in one line of base64: RFC 2045 §6.8 allows 76 characters.
const LINE_BYTES: usize = 57;
/// A full line of it.
const LINE: usize = LINE_BYTES / 3 * 4;
/// Room for a signature with RSA-2048; one with a longer key costs a copy of the letter.
const SEAL: usize = 1024;
/// So many lines are coded at once: a line alone is too short for the machine's wide registers.
const LINES: usize = 24;

/// What is the same for all kinds of mail.
pub(super) struct Envelope<'a> {
    pub(super) to: &'a EmailAddress,
    pub(super) subject: String,
    pub(super) date: Instant,
    pub(super) message_id: String,
    /// What this kind of mail adds.
    pub(super) lines: Vec<Line>,
}

/// A letter's three parts: the lines above its texts, and the texts, their lines ended by CRLF.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) head: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// The lines above the texts.
pub(super) fn head(head: &Letterhead<'_>, envelope: &Envelope<'_>) -> Result<String, ComposeError> {
    let unbuildable = |error: &dyn std::fmt::Display| ComposeError::Unbuildable(error.to_string());
    let from = &head.from.address;
    let mailbox = |address: &EmailAddress| {
        lettre::Address::new(address.local(), address.domain()).map(|address| Mailbox::new(None, address))
    };
    // The texts come later, and are not lettre's: it would look through them for each reader.
    let parts = MultiPart::alternative()
        .boundary(boundary(&envelope.message_id))
        .singlepart(SinglePart::plain(String::new()));
    let mut message = lettre::Message::builder()
        .from(mailbox(from).map_err(|error| unbuildable(&error))?)
        .to(mailbox(envelope.to).map_err(|error| unbuildable(&error))?)
        // Keeps lettre from asking the clock: it does when `Date` is missing or not in UTC.
        .date(SystemTime::UNIX_EPOCH)
        .multipart(parts)
        .map_err(|error| unbuildable(&error))?;

    let mut lines = vec![
        ("From", headers::named("From", &head.from.name, &from.to_string())),
        ("To", envelope.to.to_string()),
        ("Date", headers::date(envelope.date, head.publication.time_zone)),
        ("Message-ID", envelope.message_id.clone()),
        ("Subject", headers::text("Subject", &envelope.subject)),
    ];
    if let Some(reply_to) = &head.from.reply_to {
        lines.push(("Reply-To", reply_to.to_string()));
    }
    lines.extend(headers::automatic());
    lines.extend(envelope.lines.iter().cloned());
    for (name, value) in lines {
        let name = HeaderName::new_from_ascii_str(name);
        message.headers_mut().insert_raw(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
    }
    let formatted = String::from_utf8(message.formatted()).map_err(|error| unbuildable(&error))?;
    // Up to the empty line (RFC 5322 §2.1), which `seal` writes.
    let end = formatted.find("\r\n\r\n").map_or(formatted.len(), |at| at + 2);
    Ok(formatted[..end].to_owned())
}

/// RFC 2046 §5.1.1: a line that the texts cannot hold. Base64 has no hyphen.
fn boundary(message_id: &str) -> String {
    format!("bantin-{}", headers::name_of(message_id))
}

/// The finished bytes. The same input gives the same bytes, at any time and on any machine.
pub(super) fn seal(
    head: &Letterhead<'_>,
    letter: &Letter,
    message_id: String,
    date: Instant,
) -> Result<Message, ComposeError> {
    let boundary = boundary(&message_id);
    let length = |text: &str| (text.len() / LINE_BYTES + 1) * (LINE + 2) + 200;
    let head_length = letter.head.len();
    let room = head.from.seals.len() * SEAL + head_length + length(&letter.text) + length(&letter.html);
    let mut bytes = Vec::with_capacity(room);
    bytes.extend_from_slice(letter.head.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    let body = bytes.len();
    for (kind, text) in [("plain", &letter.text), ("html", &letter.html)] {
        // Base64 whatever the text: Vietnamese costs × 1.35 in it and × 1.91 in quoted-printable, and
        // no relay has a reason to touch it, which keeps signatures whole (reference/mail.md R8).
        let part = format!(
            "--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        bytes.extend_from_slice(part.as_bytes());
        push_base64(&mut bytes, text.as_bytes());
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let seals = dkim::signatures(&bytes[..head_length], &bytes[body..], &head.from.seals, date)?;
    bytes.splice(..0, seals.into_bytes());
    Ok(Message { message_id, bytes })
}

/// A text in lines of base64.
fn push_base64(out: &mut Vec<u8>, text: &[u8]) {
    let coder = coder();
    let mut coded = [0; LINE * LINES];
    for lines in text.chunks(LINE_BYTES * LINES) {
        // There is room for all of them.
        let length = coder.encode_slice(lines, &mut coded).unwrap_or_default();
        for line in coded[..length].chunks(LINE) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn coder() -> impl Engine {
    base64::engine::Simd::standard(base64::engine::general_purpose::PAD)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn coder() -> impl Engine {
    base64::engine::general_purpose::STANDARD
}

/// RFC 2046 §4.1.1: a text's lines end in CRLF.
pub(super) fn crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    for line in text.trim_end().split('\n') {
        lines.extend(line.strip_suffix('\r').unwrap_or(line).split('\r'));
        lines.push_str("\r\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_crlf_whatever_came() {
        assert_eq!(crlf("a\nb\r\nc\rd\n\n"), "a\r\nb\r\ncd\r\n");
    }

    #[test]
    fn a_text_of_any_length_is_lines_of_base64() {
        let text: Vec<u8> = (0..3_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for length in (0..200).chain(1_300..1_500).chain([2_736, 3_000]) {
            let mut lines = Vec::new();
            push_base64(&mut lines, &text[..length]);
            let whole = base64::engine::general_purpose::STANDARD.encode(&text[..length]);
            let expected: Vec<&[u8]> = whole.as_bytes().chunks(76).collect();
            let expected =
                expected.iter().flat_map(|line| [line, &b"\r\n"[..]].concat()).collect::<Vec<u8>>();
            assert_eq!(lines, expected, "{length} bytes");
        }
    }
}
