use super::text::uri;
use super::{Part, Snapshot};
use crate::domain::{FeedPlace, Format, Publication};
use std::borrow::Cow;

/// Where the documents of a feed are, and which of them lead on from this one (RFC 5005).
#[derive(Clone)]
pub(super) struct Addresses<'s> {
    publication: &'s Publication,
    place: Cow<'s, FeedPlace>,
    part: Part,
}

impl<'s> Addresses<'s> {
    pub(super) fn of(snapshot: &'s Snapshot) -> Self {
        let place = match (&snapshot.feed.place, snapshot.part) {
            // An archive is everybody's: what proves who reads must not stand in it.
            (FeedPlace::Private { public: Some(name), .. }, Part::Archive { .. }) => {
                Cow::Owned(FeedPlace::Named(name.clone()))
            }
            (place, _) => Cow::Borrowed(place),
        };
        Self { publication: &snapshot.publication, part: settled(snapshot.part, &place), place }
    }

    /// Where the document itself is fetched, in a format.
    pub(super) fn own(&self, format: Format) -> String {
        match self.part {
            Part::Subscription { .. } => self.subscription(format),
            Part::Archive { number, .. } => {
                self.archive(number, format).unwrap_or_else(|| self.subscription(format))
            }
            Part::Page { number, .. } => self.page(number, format),
        }
    }

    /// The document that readers poll; of a paged feed, its first page.
    pub(super) fn subscription(&self, format: Format) -> String {
        self.address(&self.place.document_path(format))
    }

    /// Whether a hub tells of this document's changes: it is one that is polled.
    pub(super) fn is_distributed(&self) -> bool {
        matches!(self.part, Part::Subscription { .. } | Part::Page { number: 1, .. })
    }

    /// Whether the document is an archive, whose entries do not change (§4).
    pub(super) fn is_archive(&self) -> bool {
        matches!(self.part, Part::Archive { .. })
    }

    /// The other documents of the feed, by link relation (§3, §4), in the same format.
    pub(super) fn relations(&self, format: Format) -> Vec<(&'static str, String)> {
        let relations = match self.part {
            Part::Subscription { archives } => {
                vec![("prev-archive", (archives > 0).then(|| self.archive(archives, format)).flatten())]
            }
            Part::Archive { number, archives } => {
                let archive = |number| self.archive(number, format);
                vec![
                    ("current", Some(self.subscription(format))),
                    ("prev-archive", (number > 1).then(|| archive(number - 1)).flatten()),
                    // Never one that is still being filled: its entries would change.
                    ("next-archive", (number < archives).then(|| archive(number + 1)).flatten()),
                ]
            }
            Part::Page { number, more } => {
                let next = number.checked_add(1).filter(|_| more);
                vec![
                    ("first", Some(self.page(1, format))),
                    ("previous", (number > 1).then(|| self.page(number - 1, format))),
                    ("next", next.map(|next| self.page(next, format))),
                ]
            }
        };
        relations.into_iter().filter_map(|(relation, url)| Some((relation, url?))).collect()
    }

    /// The document with the articles before these: JSON Feed's only step, `next_url`.
    pub(super) fn older(&self, format: Format) -> Option<String> {
        let mut relations = self.relations(format).into_iter();
        relations.find(|(relation, _)| matches!(*relation, "prev-archive" | "next")).map(|(_, url)| url)
    }

    fn archive(&self, number: i64, format: Format) -> Option<String> {
        self.place.archive_path(number, format).map(|path| self.address(&path))
    }

    fn page(&self, number: u32, format: Format) -> String {
        self.address(&self.place.further_page_path(number, format))
    }

    fn address(&self, path: &str) -> String {
        uri(&self.publication.url(path))
    }
}

/// A part that the place has: a search has no archives, and nothing else has pages. Combining the
/// two kinds is undefined (§1).
fn settled(part: Part, place: &FeedPlace) -> Part {
    let whole = Part::Subscription { archives: 0 };
    match part {
        Part::Page { number, more } if matches!(place, FeedPlace::Search(_)) => {
            Part::Page { number: number.max(1), more }
        }
        Part::Page { .. } => whole,
        Part::Subscription { .. } | Part::Archive { .. } => {
            if place.archive_path(1, Format::Atom).is_some() {
                part
            } else {
                whole
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::sample;

    fn relations(place: FeedPlace, part: Part) -> Vec<(&'static str, String)> {
        let mut snapshot = sample::snapshot();
        snapshot.feed.place = place;
        snapshot.part = part;
        let addresses = Addresses::of(&snapshot);
        let own = ("self", addresses.own(Format::Atom));
        std::iter::once(own)
            .chain(addresses.relations(Format::Atom))
            .map(|(relation, url)| (relation, url.replace("https://bao.example", "")))
            .collect()
    }

    fn said(relations: &[(&'static str, String)]) -> Vec<String> {
        relations.iter().map(|(relation, path)| format!("{relation} {path}")).collect()
    }

    #[test]
    fn archives_hang_together_and_the_one_being_filled_is_not_among_them() {
        let of = |part| said(&relations(sample::place("a"), part));
        assert_eq!(of(Part::Subscription { archives: 0 }), ["self /feeds/a.atom"]);
        assert_eq!(
            of(Part::Subscription { archives: 3 }),
            ["self /feeds/a.atom", "prev-archive /feeds/a/archive/3.atom"]
        );
        assert_eq!(
            of(Part::Archive { number: 2, archives: 3 }),
            [
                "self /feeds/a/archive/2.atom",
                "current /feeds/a.atom",
                "prev-archive /feeds/a/archive/1.atom",
                "next-archive /feeds/a/archive/3.atom",
            ]
        );
        assert_eq!(
            of(Part::Archive { number: 3, archives: 3 }),
            ["self /feeds/a/archive/3.atom", "current /feeds/a.atom", "prev-archive /feeds/a/archive/2.atom",]
        );
        assert_eq!(
            of(Part::Archive { number: 1, archives: 1 }),
            ["self /feeds/a/archive/1.atom", "current /feeds/a.atom"]
        );
    }

    #[test]
    fn pages_of_a_search_hang_together() {
        let of =
            |number, more| said(&relations(FeedPlace::Search("lúa".into()), Part::Page { number, more }));
        let first = "/feeds/search.atom?q=l%C3%BAa";
        assert_eq!(of(1, false), [format!("self {first}"), format!("first {first}")]);
        assert_eq!(of(0, false), of(1, false));
        assert_eq!(
            of(2, true),
            [
                format!("self {first}&page=2"),
                format!("first {first}"),
                format!("previous {first}"),
                format!("next {first}&page=3"),
            ]
        );
        assert!(
            !said(&relations(FeedPlace::Search("a".into()), Part::Page { number: u32::MAX, more: true }))
                .iter()
                .any(|relation| relation.starts_with("next"))
        );
    }

    #[test]
    fn a_private_feed_shares_the_public_archives_and_keeps_its_token() {
        let private = |public: Option<&str>| FeedPlace::Private {
            token: "s3cret".into(),
            public: public.map(|name| name.parse().unwrap()),
        };
        assert_eq!(
            said(&relations(private(Some("a,b")), Part::Subscription { archives: 2 })),
            ["self /my/s3cret.atom", "prev-archive /feeds/a,b/archive/2.atom"]
        );
        assert_eq!(
            said(&relations(private(None), Part::Subscription { archives: 2 })),
            ["self /my/s3cret.atom"]
        );
        let archive = relations(private(Some("a,b")), Part::Archive { number: 1, archives: 2 });
        assert!(archive.iter().all(|(_, path)| !path.contains("s3cret")), "{archive:?}");
    }

    #[test]
    fn a_part_that_a_place_has_not_is_the_whole() {
        assert_eq!(
            said(&relations(sample::place("a"), Part::Page { number: 2, more: true })),
            ["self /feeds/a.atom"]
        );
        assert_eq!(
            said(&relations(FeedPlace::Search("a".into()), Part::Archive { number: 2, archives: 3 })),
            ["self /feeds/search.atom?q=a"]
        );
    }
}
