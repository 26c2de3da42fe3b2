//! A message taken apart: what it says to people, what to machines, and what it gives back.

use super::Rules;
use super::fields::{Fields, addresses, blocks, fields};
use mail_parser::decoders::html::html_to_text;
use mail_parser::{MessageParser, MimeHeaders as _, PartType};
use std::borrow::Cow;

/// Reports say what they have to say at their beginning; what they give back behind it may be long.
const BYTES: usize = 1 << 20;
/// A report has three parts. Beyond this many there is nothing for us, and parts that lie in parts
/// thousands deep are built by nobody who reports.
const PARTS: usize = 50;
/// How much of what a server tells people is looked through.
const TEXT_CHARS: usize = 16_000;
/// Where servers write whom they deliver a message to.
const ADDRESSEES: [&str; 7] = [
    "to",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "original-recipient",
    "x-delivered-to",
];

/// The parts of a message that tell what it is.
#[derive(Debug, Default)]
pub(super) struct Papers {
    /// Its own header.
    pub headers: Fields,
    /// Its subject, decoded.
    pub subject: String,
    /// Whom it went to.
    pub addressees: Vec<String>,
    /// Whether it calls itself a report.
    pub is_report: bool,
    /// What it says to people, without the mail that it gives back.
    pub text: String,
    /// The groups of a delivery status (RFC 3464 §2.1).
    pub status: Vec<Fields>,
    /// The fields of a complaint (RFC 5965 §3).
    pub feedback: Option<Fields>,
    /// The header of the mail that it gives back.
    pub returned: Fields,
}

impl Papers {
    pub(super) fn unfold(bytes: &[u8], rules: &Rules) -> Self {
        let bytes = bounded(bytes);
        let mut papers = Self::default();
        let Some(message) = MessageParser::default().parse(bytes.as_ref()) else { return papers };
        papers.headers = message
            .headers_raw()
            .map(|(name, value)| {
                (name.to_ascii_lowercase(), value.split_whitespace().collect::<Vec<_>>().join(" "))
            })
            .collect();
        papers.subject = message.subject().unwrap_or_default().to_owned();
        let to = papers.headers.iter().filter(|(name, _)| ADDRESSEES.contains(&name.as_str()));
        papers.addressees = to.flat_map(|(_, value)| addresses(value)).collect();
        papers.is_report = message.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("multipart") && kind.subtype() == Some("report")
        });
        let mut html = String::new();
        for part in &message.parts {
            let kind = part.content_type().map(|kind| {
                format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase()
            });
            let kind = kind.unwrap_or_default();
            match &part.body {
                PartType::Message(inner) => papers.give_back(&String::from_utf8_lossy(inner.raw_message())),
                PartType::Multipart(_) => {}
                _ if kind.contains("delivery-status") => {
                    papers.status.extend(blocks(&decoded(part.contents())));
                }
                _ if kind.contains("feedback-report") => {
                    papers.feedback = Some(fields(&String::from_utf8_lossy(part.contents())));
                }
                _ if kind.contains("rfc822") => papers.give_back(&String::from_utf8_lossy(part.contents())),
                PartType::Html(text) => html.push_str(text),
                PartType::Text(text) => papers.tell(text),
                PartType::Binary(_) | PartType::InlineBinary(_) => {}
            }
        }
        if papers.text.trim().is_empty() {
            papers.tell(&html_to_text(&html));
        }
        if papers.text.trim().is_empty() && papers.status.is_empty() {
            // Parts whose boundary is none, as old servers make them: the text as it stands.
            let body = bytes.get(message.root_part().raw_body_offset() as usize..).unwrap_or_default();
            papers.tell(&decoded(body));
        }
        papers.cut(rules);
        if papers.status.is_empty() {
            papers.status_in_text();
        }
        papers
    }

    fn tell(&mut self, text: &str) {
        if self.text.len() < TEXT_CHARS * 4 {
            self.text.push_str(text);
            self.text.push('\n');
        }
    }

    /// Takes the header of a mail that came back, the first one.
    fn give_back(&mut self, message: &str) {
        if self.returned.is_empty() {
            let message = message.trim_start_matches(['\r', '\n']);
            let end = message.find("\n\n").or_else(|| message.find("\r\n\r\n")).unwrap_or(message.len());
            self.returned = fields(&message[..end]);
        }
    }

    /// Parts what servers without MIME write into one text: their words, and our mail behind them.
    fn cut(&mut self, rules: &Rules) {
        if let Some((told, back)) = rules.cut(&self.text) {
            let (told, back) = (told.to_owned(), back.to_owned());
            self.text = told;
            self.give_back(&back);
        }
        if let Some((at, _)) = self.text.char_indices().nth(TEXT_CHARS) {
            self.text.truncate(at);
        }
    }

    /// Some write the groups of a delivery status where people read.
    fn status_in_text(&mut self) {
        if self.text.to_ascii_lowercase().contains("final-recipient:") {
            self.status = blocks(&self.text);
        }
    }
}

/// Text that names no character set: UTF-8, or what Japanese servers have always sent.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.windows(2).any(|pair| pair == b"\x1b$") {
        return encoding_rs::ISO_2022_JP.decode_without_bom_handling(bytes).0;
    }
    String::from_utf8_lossy(bytes)
}

/// The beginning of a message, with lines that end as we know them.
fn bounded(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = &bytes[..bytes.len().min(BYTES)];
    // A mailbox file's line before the header.
    let bytes = match bytes.starts_with(b"From ") {
        true => match bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            Some(end) => bytes[end + 1..].strip_prefix(b"\n").unwrap_or(&bytes[end + 1..]),
            None => bytes,
        },
        false => bytes,
    };
    let bytes = &bytes[..parts_end(bytes)];
    if bytes.contains(&b'\r') && !bytes.contains(&b'\n') {
        return bytes.iter().map(|b| if *b == b'\r' { b'\n' } else { *b }).collect::<Vec<u8>>().into();
    }
    Cow::Borrowed(bytes)
}

/// Where the part after the last one that is looked at begins.
fn parts_end(bytes: &[u8]) -> usize {
    const MARK: &[u8] = b"content-type";
    let ends = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| window.eq_ignore_ascii_case(MARK));
    ends.map(|(at, _)| at).nth(PARTS).unwrap_or(bytes.len())
}
