use crate::domain::{Instant, clean_line, is_allowed_char};
use chrono::{DateTime, Datelike, FixedOffset, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use std::borrow::Cow;

/// Neither feed crate drops the characters that end a document, and one in one article makes the
/// whole feed ill-formed (quick-xml#368). The store holds clean text; this guards against a row
/// that was edited by hand. U+FFFD is what a broken encoding left behind (an unpaired surrogate, a
/// wrong charset): legal, but it tells readers nothing and validators warn of it.
fn is_readable(c: char) -> bool {
    is_allowed_char(c) && c != '\u{fffd}'
}

/// Markup of readable characters. Line ends become what an XML parser makes of them (XML 1.0
/// §2.11), so that every format carries the same text.
pub(super) fn scrub(markup: &str) -> Cow<'_, str> {
    // Most of a text is told by its bytes: what is not readable begins with C2 (U+0080 to U+009F), EF or
    // F0 to F4 (noncharacters), or is a control character.
    let is_plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b' '..=0x7e | 0x80..=0xc1 | 0xc3..=0xee);
    if markup.bytes().all(is_plain) || markup.chars().all(|c| is_readable(c) && c != '\r') {
        return Cow::Borrowed(markup);
    }
    markup.replace("\r\n", "\n").replace('\r', "\n").chars().filter(|c| is_readable(*c)).collect()
}

/// A line of clean text, unless nothing is left of it.
pub(super) fn line(text: &str) -> Option<String> {
    let line =
        if text.contains('\u{fffd}') { clean_line(&text.replace('\u{fffd}', "")) } else { clean_line(text) };
    Some(line).filter(|line| !line.is_empty())
}

/// A web address as RFC 3986 writes it. Browsers' URLs, which [`crate::domain::WebUrl`] holds,
/// let `|`, `[`, `^`, a lone `%` and a second `#` stand, and feed validators refuse them.
pub(super) fn uri(address: &str) -> String {
    let authority = address.find("://").map_or(0, |at| at + 3);
    let path = address[authority..].find(['/', '?', '#']).map_or(address.len(), |at| authority + at);
    let (head, tail) = address.split_at(path);
    let mut uri = String::with_capacity(address.len());
    uri.push_str(head);
    let mut fragment = false;
    for (at, byte) in tail.bytes().enumerate() {
        let legal = match byte {
            b'%' => tail
                .as_bytes()
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
            b'#' => !std::mem::replace(&mut fragment, true),
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=".contains(&byte),
        };
        if legal {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// An instant as a document shows it: in the publication's zone.
pub(super) fn zoned(instant: Instant, zone: Tz) -> DateTime<FixedOffset> {
    let instant = representable(instant);
    let offset = zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
    // Local mean time (+07:06:30 in Sài Gòn until 1906) does not fit RFC 3339's offset of minutes.
    let offset = if offset.local_minus_utc() % 60 == 0 { offset } else { Utc.fix() };
    instant.with_timezone(&offset)
}

/// Years that four digits hold, one less at each end for the zone. What lies outside can only come
/// from a hand in the database.
pub(super) fn representable(instant: Instant) -> Instant {
    match instant.year() {
        1..=9998 => instant,
        _ => Instant::default(),
    }
}

/// RFC 822 with the year in four digits, as RSS wants dates.
pub(super) fn rfc822(date: DateTime<FixedOffset>) -> String {
    date.format("%a, %d %b %Y %H:%M:%S %z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{WebUrl, from_micros};
    use proptest::prelude::*;

    #[test]
    fn what_a_document_cannot_hold_goes() {
        assert_eq!(scrub("a\u{b}\u{0}\u{fffd}b\u{fffe}\r\nc\rd\te"), "ab\nc\nd\te");
        assert_eq!(line(" Xây \u{fffd} dựng\n").as_deref(), Some("Xây dựng"));
        assert_eq!(line("\u{fffd}\u{1}"), None);
        assert!(matches!(scrub("Xây dựng\nĐảng"), Cow::Borrowed(_)));
    }

    #[test]
    fn browsers_urls_become_rfc_3986_uris() {
        for (address, expected) in [
            ("https://a.vn/x|y[1]?q={a}^b#c#d", "https://a.vn/x%7Cy%5B1%5D?q=%7Ba%7D%5Eb#c%23d"),
            ("https://a.vn/100%", "https://a.vn/100%25"),
            ("http://[::1]:80/%C4%91", "http://[::1]:80/%C4%91"),
            ("https://a.vn", "https://a.vn"),
        ] {
            assert_eq!(uri(address), expected);
        }
    }

    #[test]
    fn dates_stand_in_the_newspapers_zone() {
        let date = zoned(from_micros(1_712_179_800_999_999), chrono_tz::Asia::Ho_Chi_Minh);
        assert_eq!(rfc822(date), "Thu, 04 Apr 2024 04:30:00 +0700");
        assert_eq!(date.to_rfc3339(), "2024-04-04T04:30:00.999999+07:00");
    }

    proptest! {
        #[test]
        fn every_address_becomes_ascii_and_stays(path in any::<String>()) {
            if let Ok(url) = WebUrl::parse(&format!("https://a.vn/{path}")) {
                let once = uri(url.as_str());
                prop_assert!(once.is_ascii());
                let illegal = ['|', '[', ']', '^', ' ', '<', '>', '"', '\\', '`', '{', '}'];
                prop_assert!(!once.contains(illegal));
                prop_assert_eq!(uri(&once), once);
            }
        }

        #[test]
        fn every_instant_can_be_written_and_read(micros in any::<i64>()) {
            let date = zoned(from_micros(micros), chrono_tz::Asia::Ho_Chi_Minh);
            prop_assert_eq!(DateTime::parse_from_rfc3339(&date.to_rfc3339()).unwrap(), date);
            prop_assert_eq!(DateTime::parse_from_rfc2822(&rfc822(date)).map(|d| d.timestamp()), Ok(date.timestamp()));
        }
    }
}
