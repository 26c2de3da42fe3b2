//! The lines above the body: every text that came from outside is encoded here, and nowhere else.

use super::{EditionLetter, Letterhead, Links, Recipient};
use crate::domain::{
    DigestFeeds, EditionId, EmailAddress, Instant, Publication, Secret, clean_line, excerpt,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono_tz::Tz;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 2047 §2: a line that holds an encoded-word is at most this long.
const LINE: usize = 76;
/// RFC 2047 §2: an encoded-word is at most this long, its frame of 12 included.
const ENCODED_WORD: usize = 75;
const FRAME: usize = "=?utf-8?b?".len() + "?=".len();
/// The longest name that goes before an address; a mail program shows some 30 characters of it.
const PHRASE_CHARS: usize = 120;
/// RFC 2919 §3: the identifier with its angle brackets.
const LIST_ID_BYTES: usize = 255;
/// What RFC 6068 §2 lets stand in a `mailto:` address.
const MAILTO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+');

/// A header line: its name, and its value as it goes over the wire.
pub(super) type Line = (&'static str, String);

/// The name of a message for ever: `<HMAC@domain>`. It differs from recipient to recipient
/// (Gmail defers mail whose Message-IDs repeat, 421 4.7.28) and is equal in every retry of one
/// delivery, so that a mailbox can fold repeats into one (RFC 7352).
pub fn message_id(secret: &Secret, kind: &str, subject: i64, recipient: i64, domain: &str) -> String {
    let mac = secret.mac("message-id", &[kind.as_bytes(), &subject.to_be_bytes(), &recipient.to_be_bytes()]);
    // 128 bits: no two messages of a newspaper ever meet.
    let name = crate::domain::hex(&mac[..16]);
    format!("<{name}@{domain}>")
}

/// What stands before its domain.
pub(super) fn name_of(message_id: &str) -> &str {
    message_id.trim_start_matches('<').split('@').next().unwrap_or_default()
}

/// Free text, as in `Subject` (RFC 5322 §2.2.1), folded into lines of 76.
///
/// A word that looks like an encoded-word is encoded like the rest: a headline could smuggle in
/// characters that were cleaned out before.
pub(super) fn text(name: &str, value: &str) -> String {
    let value = clean_line(value);
    let used = name.len() + 2;
    if plain(&value) && used + value.len() <= LINE { value } else { encoded_words(&value, used) }
}

/// A name before something in angle brackets: `From`, `List-Id` (RFC 5322 §3.2.5, §3.4).
pub(super) fn named(name: &str, phrase: &str, angle: &str) -> String {
    let phrase = excerpt(phrase, PHRASE_CHARS);
    if phrase.is_empty() {
        return format!("<{angle}>");
    }
    let used = name.len() + 2;
    let phrase = if !plain(&phrase) || used + phrase.len() + 2 > LINE || phrase.contains(['"', '\\']) {
        encoded_words(&phrase, used)
    } else if phrase.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_+!&'*/".contains(&b)) {
        phrase
    } else {
        format!("\"{phrase}\"")
    };
    let last_line = phrase.rsplit("\r\n").next().map_or(0, str::len);
    let last_line = if phrase.contains("\r\n") { last_line } else { used + last_line };
    let gap = if last_line + angle.len() + 3 > LINE { "\r\n " } else { " " };
    format!("{phrase}{gap}<{angle}>")
}

/// The date with the newspaper's own offset (RFC 5322 §3.3). Written by hand: chrono's RFC 2822 form panics beyond the year 9999.
pub(super) fn date(instant: Instant, zone: Tz) -> String {
    instant.with_timezone(&zone).format("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// What only the mails of a digest carry: RFC 2369, 2919, 3834, 8058, and Gmail's Feedback-ID.
pub(super) fn of_edition(
    head: &Letterhead<'_>,
    to: &Recipient<'_>,
    letter: &EditionLetter<'_>,
    edition: EditionId,
) -> Vec<Line> {
    let publication = head.publication;
    let digest = letter.digest;
    let archive = match &digest.feeds {
        _ if digest.archive => publication.url("/editions"),
        DigestFeeds::These(feeds) if feeds.len() == 1 => publication.url(&format!("/feeds/{}", feeds[0])),
        _ => publication.url("/feeds/all"),
    };
    let category = match letter.sections.as_slice() {
        [only] => only.slug.as_str(),
        _ => "all",
    };
    let mut lines = vec![
        (
            "List-Id",
            named("List-Id", &digest.title, &list_id(digest.slug.as_str(), publication.base_url.host())),
        ),
        ("List-Archive", format!("<{archive}>")),
        ("List-Help", format!("<{}>", publication.base_url)),
    ];
    lines.extend(one_click(&to.links));
    if let Some(contact) = &publication.contact {
        lines.push(("List-Owner", format!("<{}>", mailto(contact))));
    }
    lines.push(("Precedence", "bulk".to_owned()));
    lines.push(("Feedback-ID", format!("e{edition}:{}:{category}:{}", digest.slug, sender_id(publication))));
    lines
}

/// The mail program's own button to leave (RFC 8058 §3.1). The link stands on one line whatever its
/// length: folded ones broke signatures (nodemailer#1654).
pub(super) fn one_click(links: &Links) -> Vec<Line> {
    vec![
        ("List-Unsubscribe", format!("<{}>", links.unsubscribe)),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
    ]
}

/// What every mail of this program carries: no machine shall answer it (RFC 3834 §5; Exchange
/// looks at its own header only, portier-broker#894).
pub(super) fn automatic() -> [Line; 2] {
    [
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Auto-Response-Suppress", "OOF, AutoReply".to_owned()),
    ]
}

/// A `mailto:` link (RFC 6068).
pub(super) fn mailto(address: &EmailAddress) -> String {
    format!("mailto:{}@{}", utf8_percent_encode(address.local(), MAILTO), address.domain())
}

/// An identifier of Feedback-ID's last field: Gmail wants 5 to 15 characters that stay the same.
fn sender_id(publication: &Publication) -> String {
    let id = publication.id.simple().to_string();
    format!("bantin{}", &id[..8])
}

/// `slug.host`, in ASCII and stable for ever (RFC 2919 §3). A host that is too long loses labels
/// on the left, an IPv6 address its brackets and colons.
fn list_id(slug: &str, host: &str) -> String {
    let host: String = host
        .trim_matches(['[', ']'])
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' })
        .collect();
    let mut host = host.as_str();
    while slug.len() + host.len() + 3 > LIST_ID_BYTES {
        let Some((_, rest)) = host.split_once('.') else { break };
        host = rest;
    }
    format!("{slug}.{host}")
}

fn plain(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains("=?")
}

/// RFC 2047 §5: whole characters in each word, the blank between two words inside of them.
fn encoded_words(text: &str, used: usize) -> String {
    let mut lines = String::with_capacity(text.len() * 2);
    let mut rest = text;
    let mut room = LINE.saturating_sub(used).min(ENCODED_WORD);
    while !rest.is_empty() {
        let bytes = room.saturating_sub(FRAME) / 4 * 3;
        let mut cut = bytes.max(4).min(rest.len());
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        if !lines.is_empty() {
            lines.push_str("\r\n ");
        }
        lines.push_str("=?utf-8?b?");
        STANDARD.encode_string(&rest[..cut], &mut lines);
        lines.push_str("?=");
        rest = &rest[cut..];
        room = ENCODED_WORD;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads what `text` wrote; each encoded-word must be valid UTF-8 on its own (R5, R6).
    fn decoded(wire: &str) -> String {
        let unfolded = wire.replace("\r\n ", " ");
        if !unfolded.contains("=?utf-8?b?") {
            return unfolded;
        }
        unfolded
            .split(' ')
            .map(|word| {
                assert!(word.len() <= 75, "{word}");
                let base64 = word.strip_prefix("=?utf-8?b?").unwrap().strip_suffix("?=").unwrap();
                String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_long_vietnamese_subject_comes_back_whole() {
        let subject = "Sóc Trăng triển khai nhiều cách làm hay trong công tác xây dựng Đảng ".repeat(8);
        let subject: String = subject.chars().take(525).collect();
        let wire = text("Subject", &subject);
        assert_eq!(decoded(&wire), clean_line(&subject));
        assert!(wire.split("\r\n").enumerate().all(|(n, l)| l.len() + if n == 0 { 9 } else { 0 } <= 76));
        assert_eq!(decoded(&text("Subject", &"ế".repeat(200))), "ế".repeat(200));
    }

    #[test]
    fn plain_words_stay_readable_and_odd_ones_are_encoded() {
        assert_eq!(text("Subject", "Morning news"), "Morning news");
        let smuggled = "=?utf-8?b?DQpCY2M6IHg=?=";
        assert_eq!(decoded(&text("Subject", smuggled)), smuggled);
    }

    #[test]
    fn names_are_atoms_quoted_or_encoded() {
        assert_eq!(named("From", "Ban Tin", "a@b.vn"), "Ban Tin <a@b.vn>");
        assert_eq!(named("From", "Tin, Inc. <x@y.vn>", "a@b.vn"), "\"Tin, Inc. <x@y.vn>\" <a@b.vn>");
        assert_eq!(named("From", "", "a@b.vn"), "<a@b.vn>");
        for name in ["a\"b\r\nBcc: x", "Bản Tin", "\\"] {
            let wire = named("From", name, "a@b.vn");
            assert!(wire.starts_with("=?utf-8?b?") && wire.ends_with(" <a@b.vn>"), "{wire}");
            assert!(!wire.contains("Bcc"));
        }
    }

    #[test]
    fn list_ids_are_short_ascii() {
        assert_eq!(list_id("sang", "tin.example"), "sang.tin.example");
        assert_eq!(list_id("sang", "[::1]"), "sang.--1");
        let long = format!("{}example", "abcdefgh.".repeat(27));
        assert!(list_id(&"s".repeat(63), &long).len() <= 253);
    }

    #[test]
    fn dates_carry_the_offset_and_no_instant_panics() {
        let at: Instant = "2026-11-22T23:30:00Z".parse().unwrap();
        assert_eq!(date(at, Tz::Asia__Ho_Chi_Minh), "Mon, 23 Nov 2026 06:30:00 +0700");
        date(Instant::MAX_UTC, Tz::Asia__Ho_Chi_Minh);
    }

    #[test]
    fn message_ids_differ_by_recipient_only() {
        let secret = Secret::new([1; 32]);
        let id = message_id(&secret, "edition", 1, 2, "b.vn");
        assert_eq!(id, message_id(&secret, "edition", 1, 2, "b.vn"));
        assert_eq!(id.len(), "<@b.vn>".len() + 32);
        for other in [
            message_id(&secret, "edition", 2, 1, "b.vn"),
            message_id(&secret, "edition", 1, 3, "b.vn"),
            message_id(&secret, "confirmation", 1, 2, "b.vn"),
        ] {
            assert_ne!(id, other);
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_line(value in any::<String>(), angle in "[a-z]{1,60}@[a-z]{1,60}") {
            let wire = text("Subject", &value);
            prop_assert_eq!(decoded(&wire), clean_line(&value));
            for wire in [wire, named("List-Id", &value, &angle)] {
                prop_assert!(wire.is_ascii());
                let unfolded = wire.replace("\r\n ", " ");
                prop_assert!(unfolded.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", wire);
            }
        }
    }
}
