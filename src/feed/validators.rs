//! HTTP validators of a representation, and what a conditional request gets (RFC 9110 §8.8, §13).

use super::text::representable;
use super::written::{Digest, digest};
use crate::domain::Instant;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{Datelike, NaiveDateTime, SubsecRound, TimeDelta};
use std::fmt;

/// The strong entity tag of one representation, with its quotes (RFC 9110 §8.8.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(String);

impl EntityTag {
    /// The tag of these bytes in this content-coding (`identity`, `gzip`, `br`, …).
    ///
    /// The coding is in the tag because a strong one must differ between codings (§8.8.3.3). So
    /// the bytes may be those before coding, which do not change with the compressor's version.
    pub fn of(bytes: &[u8], coding: &str) -> Self {
        let [tag] = Self::named_each(digest([bytes]), [coding]);
        tag
    }

    /// Those of what has this digest, in each of several codings.
    pub fn named_each<const N: usize>(digest: Digest, codings: [&str; N]) -> [Self; N] {
        let digest = URL_SAFE_NO_PAD.encode(digest);
        codings.map(|coding| Self::named(&digest, coding))
    }

    fn named(digest: &str, coding: &str) -> Self {
        let suffix: String = coding.chars().filter(char::is_ascii_alphanumeric).collect();
        match suffix.as_str() {
            "" | "identity" => Self(format!("\"{digest}\"")),
            suffix => Self(format!("\"{digest}-{suffix}\"")),
        }
    }

    /// The tag as it stands in the `ETag` field, quotes included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Weak comparison (§8.8.3.2): `W/` does not matter.
    pub fn matches(&self, other: &str) -> bool {
        other.strip_prefix("W/").unwrap_or(other) == self.0
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What tells a client whether it has the present version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The tag of the representation that would be sent.
    pub entity_tag: EntityTag,
    /// The tags of the same content in other codings: who has one of these has it all.
    pub siblings: Vec<EntityTag>,
    /// When the feed last changed.
    pub changed_at: Instant,
    /// Whether the second of `changed_at` may have been told of an earlier version, so that it
    /// does not say which one a client has (§8.8.2.2).
    pub twice_in_one_second: bool,
}

impl Validators {
    /// What Last-Modified says: the second of the last change, or the next one where that second
    /// stood for an earlier version. Two versions never share one: a client that sends both
    /// validators drops a body that is no newer than what it has (curl's time condition, and so
    /// newsboat).
    fn second(&self) -> Instant {
        let second = representable(self.changed_at).trunc_subsecs(0);
        second + TimeDelta::seconds(i64::from(self.twice_in_one_second))
    }

    /// From when on answers have a Last-Modified.
    pub fn last_modified_from(&self) -> Instant {
        self.second()
    }

    /// The Last-Modified of an answer; none while its second is still to come (§8.8.2.1).
    pub fn last_modified(&self, now: Instant) -> Option<Instant> {
        let second = self.second();
        (!self.twice_in_one_second || second <= now).then_some(second)
    }
}

/// What a conditional GET or HEAD is to be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// 304: the client has the present version.
    NotModified,
    /// 200 with the representation.
    Send,
}

/// Weighs the preconditions of a GET or HEAD in the order of §13.2.2: where there is an
/// `If-None-Match`, `If-Modified-Since` does not count.
pub fn evaluate(
    if_none_match: Option<&str>,
    if_modified_since: Option<&str>,
    validators: &Validators,
    now: Instant,
) -> Precondition {
    let has_it = match (if_none_match, if_modified_since) {
        (Some(tags), _) => names(tags, validators),
        (None, Some(date)) => is_as_new(date, validators, now),
        (None, None) => false,
    };
    if has_it { Precondition::NotModified } else { Precondition::Send }
}

fn names(tags: &str, validators: &Validators) -> bool {
    let ours = || std::iter::once(&validators.entity_tag).chain(&validators.siblings);
    tags.trim() == "*" || entity_tags(tags).any(|theirs| ours().any(|tag| tag.matches(theirs)))
}

/// The members of an `If-None-Match` list. A comma may stand inside of a tag (§8.8.3 `etagc`), so
/// the list is cut at quotes. What is no tag matches nothing and hides none of its neighbours.
pub fn entity_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return None;
            }
            let opening = if rest.starts_with("W/\"") { 3 } else { 1 };
            if opening == 3 || rest.starts_with('"') {
                let end = rest[opening..].find('"').map(|end| opening + end + 1)?;
                let (tag, after) = rest.split_at(end);
                rest = after;
                return Some(tag);
            }
            rest = &rest[rest.find(',').unwrap_or(rest.len())..];
        }
    })
}

/// By time, not by equality: clients invent dates (FreshRSS/FreshRSS#6056). A date that has not
/// come yet says nothing, unless it is the one that we sent ourselves from a faster clock.
fn is_as_new(date: &str, validators: &Validators, now: Instant) -> bool {
    let said = validators.second();
    parse_http_date(date, now).is_some_and(|date| date == said || (date > said && date <= now))
}

/// An instant as IMF-fixdate (§5.6.7): `Thu, 04 Apr 2024 04:30:00 GMT`.
pub fn http_date(instant: Instant) -> String {
    representable(instant).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads a date in any of the three forms that a recipient must take (§5.6.7): IMF-fixdate, RFC
/// 850, asctime. `now` tells the century of a year in two digits: not more than 50 years ahead.
pub fn parse_http_date(text: &str, now: Instant) -> Option<Instant> {
    let text = text.trim();
    let read = |form| NaiveDateTime::parse_from_str(text, form).ok().map(|date| date.and_utc());
    if let Some(date) = read("%a, %d %b %Y %H:%M:%S GMT").or_else(|| read("%a %b %e %H:%M:%S %Y")) {
        return Some(date);
    }
    // The weekday is that of a century which is not known yet, so it is not checked.
    let (_, date) = text.split_once(", ")?;
    let date = NaiveDateTime::parse_from_str(date, "%d-%b-%y %H:%M:%S GMT").ok()?.and_utc();
    let century = now.year().div_euclid(100) * 100;
    let year = century + date.year().rem_euclid(100);
    date.with_year(if year > now.year() + 50 { year - 100 } else { year })
}

#[cfg(test)]
mod tests {
    use super::Precondition::{NotModified, Send};
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn validators() -> Validators {
        Validators {
            entity_tag: EntityTag::of(b"feed", "gzip"),
            siblings: vec![EntityTag::of(b"feed", "identity"), EntityTag::of(b"feed", "br")],
            changed_at: at("1994-11-06T08:49:37.9Z"),
            twice_in_one_second: false,
        }
    }

    fn ask(tags: Option<&str>, date: Option<&str>) -> Precondition {
        evaluate(tags, date, &validators(), at("2024-04-04T00:00:00Z"))
    }

    #[test]
    fn a_tag_is_strong_quoted_and_its_codings_own() {
        let tag = EntityTag::of(b"feed", "identity");
        assert!(tag.as_str().starts_with('"') && tag.as_str().ends_with('"') && tag.as_str().len() == 24);
        assert_ne!(tag, EntityTag::of(b"feed", "gzip"));
        assert_ne!(tag, EntityTag::of(b"feed.", "identity"));
        assert_eq!(tag, EntityTag::of(b"feed", ""));
    }

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        let gzip = EntityTag::of(b"feed", "gzip").to_string();
        let plain = EntityTag::of(b"feed", "identity").to_string();
        for (field, answer) in [
            (gzip.clone(), NotModified),
            (plain, NotModified),
            (format!("W/{gzip}"), NotModified),
            (format!("\"other\", W/\"a,b\" ,{gzip}"), NotModified),
            (format!("unquoted, {gzip}"), NotModified),
            (format!(",, {gzip},"), NotModified),
            ("*".into(), NotModified),
            (" * ".into(), NotModified),
            ("\"other\"".into(), Send),
            (gzip.trim_matches('"').into(), Send),
            (format!("\"a, {gzip}"), Send),
            ("W/".into(), Send),
            ("\"".into(), Send),
            (String::new(), Send),
            ("\"*\"".into(), Send),
        ] {
            assert_eq!(ask(Some(&field), None), answer, "{field}");
        }
    }

    #[test]
    fn if_none_match_wins() {
        let gzip = EntityTag::of(b"feed", "gzip").to_string();
        assert_eq!(ask(Some("\"old\""), Some("Sun, 06 Nov 1994 08:49:37 GMT")), Send);
        assert_eq!(ask(Some(&gzip), Some("Sun, 06 Nov 1983 08:49:37 GMT")), NotModified);
        assert_eq!(ask(None, None), Send);
    }

    #[test]
    fn if_modified_since_is_compared_by_time() {
        for (date, answer) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", NotModified),
            ("Sun, 06 Nov 1994 08:49:38 GMT", NotModified),
            ("Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            ("Sun Nov  6 08:49:37 1994", NotModified),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Send),
            // Not come yet, and no date at all.
            ("Fri, 05 Apr 2024 00:00:00 GMT", Send),
            ("Mon, 06 Nov 1994 08:49:37 GMT", Send),
            ("Sun, 06 Nov 1994 08:49:37 +0700", Send),
            ("1994-11-06T08:49:37Z", Send),
            ("0", Send),
            ("", Send),
        ] {
            assert_eq!(ask(None, Some(date)), answer, "{date}");
        }
    }

    #[test]
    fn a_second_with_two_versions_tells_nothing() {
        let twice = Validators { twice_in_one_second: true, ..validators() };
        let ask = |date| evaluate(None, Some(date), &twice, at("2024-04-04T00:00:00Z"));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT"), Send);
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:38 GMT"), NotModified);
        let said = |now: &str| twice.last_modified(at(now)).map(http_date);
        assert_eq!(said("1994-11-06T08:49:37.95Z"), None);
        assert_eq!(said("1994-11-06T08:49:38Z").as_deref(), Some("Sun, 06 Nov 1994 08:49:38 GMT"));
        let once = validators().last_modified(at("1994-11-06T08:49:37.9Z")).map(http_date);
        assert_eq!(once.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    }

    #[test]
    fn our_own_date_counts_though_another_clock_made_it() {
        let now = at("1994-11-06T08:49:35Z");
        let ask = |date| evaluate(None, Some(date), &validators(), now);
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT"), NotModified);
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:38 GMT"), Send);
    }

    #[test]
    fn a_year_in_two_digits_is_not_far_ahead() {
        let now = at("2024-04-04T00:00:00Z");
        let year = |text: &str| parse_http_date(text, now).map(|date| date.year());
        assert_eq!(year("Sunday, 06-Nov-94 08:49:37 GMT"), Some(1994));
        assert_eq!(year("Sunday, 06-Nov-74 08:49:37 GMT"), Some(2074));
        assert_eq!(year("Sunday, 06-Nov-75 08:49:37 GMT"), Some(1975));
        assert_eq!(year("Sunday, 06-Nov-24 08:49:37 GMT"), Some(2024));
    }

    proptest! {
        #[test]
        fn no_field_is_too_odd(tags in any::<String>(), date in any::<String>(), micros in any::<i64>()) {
            ask(Some(&tags), Some(&date));
            ask(None, Some(&date));
            http_date(crate::domain::from_micros(micros));
        }

        #[test]
        fn quotes_and_commas_in_any_order_end(tags in "[W/\",* a]{0,30}") {
            ask(Some(&tags), None);
        }

        #[test]
        fn what_we_send_is_what_we_read(seconds in -60_000_000_000_i64..250_000_000_000) {
            let instant = crate::domain::from_micros(seconds * 1_000_000);
            prop_assert_eq!(parse_http_date(&http_date(instant), instant), Some(instant));
            let validators = Validators { changed_at: instant, ..validators() };
            prop_assert_eq!(evaluate(None, Some(&http_date(instant)), &validators, instant), NotModified);
        }
    }
}
