//! The small grammars inside of feeds: dates, addresses, media types, languages, persons.

use crate::domain::Instant;
use chrono::{Datelike, FixedOffset, NaiveDate, TimeZone, Weekday};

/// A date that can be read, and what is odd about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MailDate {
    pub(super) instant: Instant,
    /// The weekday is that of another day.
    pub(super) wrong_weekday: bool,
    /// The year has two digits.
    pub(super) short_year: bool,
    /// The zone is a military letter, whose meaning RFC 822 itself got wrong (RFC 5322 §4.3).
    pub(super) odd_zone: bool,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ZONES: [(&str, i32); 11] = [
    ("GMT", 0),
    ("UT", 0),
    ("Z", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// A date of RFC 822 §5.1, with the years of RFC 1123. Strict: what a lenient parser guesses,
/// another guesses otherwise.
pub(super) fn rfc822(text: &str) -> Option<MailDate> {
    let (weekday, date) = match text.split_once(',') {
        Some((day, date)) => (Some(DAYS.iter().position(|d| *d == day)?), date.strip_prefix(' ')?),
        None => (None, text),
    };
    let mut parts = date.split(' ').filter(|part| !part.is_empty());
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let short_year = year.len() == 2;
    let year = match number(year, 4).or_else(|| number(year, 2))? {
        short @ 0..50 if short_year => 2000 + short,
        short if short_year => 1900 + short,
        year => year,
    };
    let day = number(day, 2).or_else(|| number(day, 1))?;
    let month = MONTHS.iter().position(|m| *m == month)? as u32 + 1;
    let mut clock = time.split(':').map(|part| number(part, 2));
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().unwrap_or(Some(0))?;
    if clock.next().is_some() {
        return None;
    }
    let (offset, odd_zone) = zone_seconds(zone)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    // A leap second is legal and is the last one of its minute to us.
    let local = date.and_hms_opt(hour, minute, if second == 60 { 59 } else { second })?;
    let instant = FixedOffset::east_opt(offset)?.from_local_datetime(&local).single()?.to_utc();
    let wrong_weekday =
        weekday.is_some_and(|day| Weekday::try_from(day as u8).is_ok_and(|day| day != date.weekday()));
    Some(MailDate { instant, wrong_weekday, short_year, odd_zone })
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn zone_seconds(zone: &str) -> Option<(i32, bool)> {
    if let Some((_, hours)) = ZONES.iter().find(|(name, _)| *name == zone) {
        return Some((hours * 3600, false));
    }
    if zone.len() == 1 && zone.bytes().all(|b| b.is_ascii_alphabetic() && b != b'J' && b != b'j') {
        return Some((0, true));
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = number(digits, 4)?;
    let (hours, minutes) = (digits / 100, digits % 100);
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some((sign * seconds, false))
}

/// A date of RFC 3339 as RFC 4287 §3.3 wants it: capital `T`, capital `Z` or an offset, no blank.
pub(super) fn rfc3339(text: &str) -> Option<Instant> {
    let shaped = text.as_bytes().get(10) == Some(&b'T')
        && text.bytes().all(|b| b.is_ascii_digit() || b"-:TZ+.".contains(&b));
    shaped.then(|| chrono::DateTime::parse_from_rfc3339(text).ok()).flatten().map(|date| date.to_utc())
}

/// Why a date that can be read is not believed.
pub(super) fn implausible(date: Instant, now: Option<Instant>) -> Option<&'static str> {
    if date.year() < 1971 {
        return Some("lies before feeds, so it was made of a zero");
    }
    let ahead = now.is_some_and(|now| date > now + chrono::Duration::hours(24)) || date.year() > 2100;
    ahead.then_some("has not come yet")
}

/// What is wrong with an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UriFault {
    /// There is nothing.
    Blank,
    /// It has no scheme.
    Relative,
    /// Nobody registered the scheme.
    Scheme,
    /// Letters outside ASCII.
    Iri,
    /// Characters that no URI has, or no host.
    Malformed,
}

impl UriFault {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Blank => "is empty",
            Self::Relative => "is not absolute",
            Self::Scheme => "has a scheme that is not registered",
            Self::Iri => "has letters outside ASCII",
            Self::Malformed => "is no address",
        }
    }
}

/// IANA's schemes as feeds use them.
const SCHEMES: [&str; 40] = [
    "http",
    "https",
    "ftp",
    "ftps",
    "mailto",
    "tag",
    "urn",
    "news",
    "nntp",
    "data",
    "tel",
    "sms",
    "magnet",
    "doi",
    "info",
    "file",
    "feed",
    "git",
    "svn",
    "rtsp",
    "rtsps",
    "sip",
    "sips",
    "ws",
    "wss",
    "xmpp",
    "geo",
    "cid",
    "mid",
    "acct",
    "did",
    "gemini",
    "gopher",
    "irc",
    "ircs",
    "ldap",
    "webcal",
    "view-source",
    "about",
    "dav",
];

/// The scheme of an absolute reference (RFC 3986 §3.1).
pub(super) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let shaped = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    shaped.then_some(scheme)
}

/// Whether a text is an absolute URI (RFC 3986), or IRI (RFC 3987) where those may stand.
pub(super) fn absolute(text: &str, iri: bool) -> Result<(), UriFault> {
    if text.trim().is_empty() {
        return Err(UriFault::Blank);
    }
    let Some(scheme) = scheme(text) else {
        return Err(if characters(text) { UriFault::Relative } else { UriFault::Malformed });
    };
    if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(UriFault::Scheme);
    }
    let web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    let host = text[scheme.len() + 1..].strip_prefix("//").is_some_and(|rest| !rest.starts_with('/'));
    if !characters(text) || (web && (!host || url::Url::parse(text).is_err())) {
        return Err(UriFault::Malformed);
    }
    if !iri && !text.is_ascii() {
        return Err(UriFault::Iri);
    }
    Ok(())
}

/// Whether a text is an IRI reference: absolute or not.
pub(super) fn is_reference(text: &str) -> bool {
    match scheme(text) {
        Some(_) => !matches!(absolute(text, true), Err(UriFault::Malformed | UriFault::Blank)),
        None => characters(text),
    }
}

fn characters(text: &str) -> bool {
    let bytes = text.as_bytes();
    let whole =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c))
        && bytes.iter().enumerate().all(|(at, b)| *b != b'%' || whole(at))
}

/// Whether a text is a media type (RFC 6838 §4.2).
pub(super) fn is_media_type(text: &str) -> bool {
    const TOP: [&str; 11] = [
        "application",
        "audio",
        "font",
        "haptics",
        "image",
        "message",
        "model",
        "multipart",
        "text",
        "video",
        "example",
    ];
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let (bare, _) = text.split_once(';').unwrap_or((text, ""));
    bare.trim_end()
        .split_once('/')
        .is_some_and(|(top, sub)| TOP.contains(&top.to_ascii_lowercase().as_str()) && name(sub))
}

/// Whether a text is a language tag (RFC 5646 §2.1, shape only).
pub(super) fn is_language(text: &str) -> bool {
    !text.contains(['_', ' ']) && crate::domain::LanguageTag::parse(text).is_some()
}

/// Whether a text is what RSS wants for a person: `mail` or `mail (Name)`.
pub(super) fn is_person(text: &str) -> bool {
    let (mail, name) = match text.split_once(" (") {
        Some((mail, name)) => (mail, name.strip_suffix(')')),
        None => (text, Some("")),
    };
    is_mail(mail) && name.is_some()
}

/// Whether a text has the shape of a mail address (RFC 4287 §3.2.3: `.+@.+`).
pub(super) fn is_mail(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()\"".contains(c);
    text.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(odd)
    })
}

/// The media type of a `Content-Type`, in lower case and without parameters.
pub(super) fn media_type_of(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A parameter of a `Content-Type`, without its quotes.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Whether a plain text holds markup: `<b>`, `</p>`.
pub(super) fn has_markup(text: &str) -> bool {
    let last = text.rfind('>').unwrap_or_default();
    text[..last].match_indices('<').any(|(at, _)| {
        let rest = &text[at + 1..last];
        rest.strip_prefix('/').unwrap_or(rest).starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// The longest reference looked for, so that a text of ampersands is read once and not each time
/// to its end.
const LONGEST_REFERENCE: usize = 11;

/// The first reference in a text that was unescaped already: it was escaped twice.
pub(super) fn escaped_twice(text: &str) -> Option<&str> {
    text.match_indices('&').find_map(|(at, _)| {
        let near = &text.as_bytes()[at..text.len().min(at + LONGEST_REFERENCE)];
        let reference = text.get(at..=at + near.iter().position(|b| *b == b';')?)?;
        let name = reference.trim_start_matches('&').trim_end_matches(';');
        let digits = |d: &str| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit());
        let number = name.strip_prefix('#').is_some_and(|n| digits(n.trim_start_matches(['x', 'X'])));
        let known = ["amp", "lt", "gt", "quot", "apos", "nbsp", "ndash", "mdash", "hellip", "copy"];
        (number || known.contains(&name)).then_some(reference)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mail_dates_are_read_strictly() {
        for good in [
            "Thu, 04 Apr 2024 04:30:00 +0700",
            "Thu, 4 Apr 2024 04:30 GMT",
            "4 Apr 2024 04:30:60 EST",
            "Wed, 03 Apr 2024 21:30:00 -0930",
        ] {
            let date = rfc822(good).unwrap_or_else(|| panic!("{good}"));
            assert!(!date.wrong_weekday && !date.short_year && !date.odd_zone, "{good}");
        }
        assert_eq!(
            rfc822("Thu, 04 Apr 2024 04:30:00 +0700").unwrap().instant,
            rfc822("Wed, 03 Apr 2024 21:30:00 GMT").unwrap().instant
        );
        for bad in [
            "",
            "2024-04-04T04:30:00Z",
            "Thu, 04 Apr 2024 04:30:00",
            "Thu, 04 Apr 2024 04:30:00 +07:00",
            "Gio, 04 Apr 2024 04:30:00 GMT",
            "Thu, 04 Thg 2024 04:30:00 GMT",
            "Thu, 32 Apr 2024 04:30:00 GMT",
            "Sat, Dec 16 2023 02:02:33 PM",
            "Thu, 04 Apr 2024 24:30:00 GMT",
            "Thu, 04 Apr 2024 4:30:00 GMT",
            "Thu, 04 Apr 2024 04:30:00 ICT",
            "Thu, 04 Apr 2024 04:30:00 GMT+7",
            "ế, 04 Apr 2024 04:30:00 ế",
        ] {
            assert_eq!(rfc822(bad), None, "{bad}");
        }
        assert!(rfc822("Fri, 04 Apr 2024 04:30:00 GMT").unwrap().wrong_weekday);
        assert!(rfc822("Thu, 04 Apr 24 04:30:00 GMT").unwrap().short_year);
        assert!(rfc822("Thu, 04 Apr 2024 04:30:00 G").unwrap().odd_zone);
    }

    #[test]
    fn atom_dates_have_capitals_and_no_blanks() {
        assert!(
            rfc3339("2024-04-04T04:30:00.25+07:00").is_some() && rfc3339("2024-04-04T04:30:00Z").is_some()
        );
        for bad in [
            "2024-04-04",
            "2024-04-04t04:30:00z",
            "2024-04-04T04:30:00",
            "2024-04-04 04:30:00Z",
            " 2024-04-04T04:30:00Z",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_scheme_and_a_host() {
        for (text, iri, fault) in [
            ("https://a.vn/b?c=d#e", false, None),
            ("tag:a.vn,2024:1", false, None),
            ("urn:uuid:01920000-0000-7000-8000-000000000002", false, None),
            ("https://a.vn/đ", true, None),
            ("https://a.vn/đ", false, Some(UriFault::Iri)),
            ("//a.vn/b", false, Some(UriFault::Relative)),
            ("/b", false, Some(UriFault::Relative)),
            ("https:///b", false, Some(UriFault::Malformed)),
            ("https://a.vn/b c", false, Some(UriFault::Malformed)),
            ("https://a.vn/%zz", false, Some(UriFault::Malformed)),
            ("uuid:1", false, Some(UriFault::Scheme)),
            (" ", false, Some(UriFault::Blank)),
        ] {
            assert_eq!(absolute(text, iri).err(), fault, "{text}");
        }
    }

    #[test]
    fn persons_media_types_and_languages_have_a_shape() {
        assert!(is_person("a@b.vn (Thu Hà)") && is_person("a@b.vn") && !is_person("Thu Hà"));
        assert!(!is_person("Thu Hà <a@b.vn>") && !is_person("a@b.vn (Thu"));
        assert!(is_media_type("audio/mpeg") && is_media_type("text/html; charset=utf-8"));
        assert!(!is_media_type("mp3") && !is_media_type("audio/") && !is_media_type("nonsense/x"));
        assert!(
            is_language("vi") && is_language("en-GB") && !is_language("vi_VN") && !is_language("tiếng Việt")
        );
        assert_eq!(parameter("text/xml; Charset=\"UTF-8\"", "charset").as_deref(), Some("UTF-8"));
    }

    #[test]
    fn titles_are_plain() {
        assert!(has_markup("a <b>c</b>") && has_markup("x</p>") && !has_markup("1 < 2, 3 > 2"));
        assert_eq!(escaped_twice("A &amp; B"), Some("&amp;"));
        assert_eq!(escaped_twice("A & B; c&d"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            drop((rfc822(&text), rfc3339(&text), absolute(&text, true), is_reference(&text), is_media_type(&text)));
            let _ = (is_person(&text), is_language(&text), has_markup(&text), escaped_twice(&text));
        }
    }
}
