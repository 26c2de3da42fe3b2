use super::{Format, LabelKind, Slug};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{fmt, str::FromStr};

/// The most terms of one name. Each costs a look at a feed.
const MAX_TERMS: usize = 12;

/// A part of a feed's name: a slug of our own, or a label of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Term {
    /// A category, a feed declared in `feeds/`, or `all`.
    Named(Slug),
    /// `tag:dai-hoi`, `author:chi-bao`, `source:bao-soc-trang`.
    Label(LabelKind, Slug),
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(slug) => slug.fmt(f),
            Self::Label(kind, slug) => write!(f, "{}:{slug}", kind.as_str()),
        }
    }
}

impl FromStr for Term {
    type Err = FeedNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || FeedNameError(text.to_owned());
        match text.split_once(':') {
            None => Slug::parse(text).map(Self::Named).map_err(|_| wrong()),
            Some((kind, slug)) => {
                let kind = LabelKind::parse(kind).ok_or_else(wrong)?;
                Slug::parse(slug).map(|slug| Self::Label(kind, slug)).map_err(|_| wrong())
            }
        }
    }
}

/// A feed's name in URLs: `kinh-te`, `tag:dai-hoi`, the union `kinh-te,xa-hoi`, the intersection
/// `kinh-te+tag:dai-hoi`. Terms stand in their order, each once, so that a feed has one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FeedName {
    /// One term.
    One(Term),
    /// Articles of any of these; two or more.
    Union(Vec<Term>),
    /// Articles of each of these; two or more.
    Intersection(Vec<Term>),
}

/// A text that names no feed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no feed; write a slug, `tag:…`, `author:…` or `source:…`, joined by `,` or by `+`")]
pub struct FeedNameError(pub String);

impl FeedName {
    /// The terms, in order.
    pub fn terms(&self) -> &[Term] {
        match self {
            Self::One(term) => std::slice::from_ref(term),
            Self::Union(terms) | Self::Intersection(terms) => terms,
        }
    }

    /// The union of some terms, or the one that there is; `None` of none or of too many.
    pub fn union(terms: Vec<Term>) -> Option<Self> {
        Self::joined(terms, Self::Union)
    }

    /// The intersection of some terms, or the one that there is; `None` of none or of too many.
    pub fn intersection(terms: Vec<Term>) -> Option<Self> {
        Self::joined(terms, Self::Intersection)
    }

    fn joined(mut terms: Vec<Term>, join: fn(Vec<Term>) -> Self) -> Option<Self> {
        terms.sort_unstable();
        terms.dedup();
        match terms.len() {
            0 => None,
            1 => terms.pop().map(Self::One),
            2..=MAX_TERMS => Some(join(terms)),
            _ => None,
        }
    }
}

impl From<Slug> for FeedName {
    fn from(slug: Slug) -> Self {
        Self::One(Term::Named(slug))
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if matches!(self, Self::Union(_)) { "," } else { "+" };
        for (at, term) in self.terms().iter().enumerate() {
            write!(f, "{}{term}", if at == 0 { "" } else { sign })?;
        }
        Ok(())
    }
}

/// In any order, and with repeats; [`FeedName`]'s own text is the canonical one.
impl FromStr for FeedName {
    type Err = FeedNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || FeedNameError(text.chars().take(200).collect());
        let union = text.contains(',');
        if union && text.contains('+') {
            return Err(wrong());
        }
        let parts = text.split(if union { ',' } else { '+' });
        let terms: Vec<Term> =
            parts.take(MAX_TERMS + 1).map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        if union { Self::union(terms) } else { Self::intersection(terms) }.ok_or_else(wrong)
    }
}

/// Where a feed is published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FeedPlace {
    /// `/feeds/{name}.rss`
    Named(FeedName),
    /// `/feeds/search.rss?q=…`, with the words as they were typed, cleaned.
    Search(String),
    /// `/my/{token}.rss`: for one reader's eyes.
    Private {
        /// What proves who reads.
        token: String,
        /// The public feed of the same articles, whose archives it shares.
        public: Option<FeedName>,
    },
    /// `/editions.rss`: the digests that were mailed.
    Editions,
}

impl FeedPlace {
    /// The path of the document in a format.
    pub fn document_path(&self, format: Format) -> String {
        let extension = format.extension();
        match self {
            Self::Named(name) => format!("/feeds/{name}.{extension}"),
            Self::Search(words) => format!("/feeds/search.{extension}?q={}", query_value(words)),
            Self::Private { token, .. } => format!("/my/{token}.{extension}"),
            Self::Editions => format!("/editions.{extension}"),
        }
    }

    /// The path of a further page of the document, counted from 1 (RFC 5005 §3). A paged feed is
    /// a search; the others are archived.
    pub fn further_page_path(&self, number: u32, format: Format) -> String {
        match self {
            Self::Search(_) if number > 1 => format!("{}&page={number}", self.document_path(format)),
            _ => self.document_path(format),
        }
    }

    /// The path of an archive document (RFC 5005 §4), where the feed has such.
    pub fn archive_path(&self, number: i64, format: Format) -> Option<String> {
        let name = match self {
            Self::Named(name) => name,
            Self::Private { public, .. } => public.as_ref()?,
            Self::Search(_) | Self::Editions => return None,
        };
        Some(format!("/feeds/{name}/archive/{number}.{}", format.extension()))
    }

    /// The path of the feed's page for people.
    pub fn page_path(&self) -> String {
        match self {
            Self::Named(name) => format!("/feeds/{name}"),
            Self::Search(words) => format!("/feeds/search?q={}", query_value(words)),
            Self::Private { public: Some(name), .. } => format!("/feeds/{name}"),
            Self::Private { public: None, .. } => "/".to_owned(),
            Self::Editions => "/editions".to_owned(),
        }
    }
}

fn query_value(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> Option<String> {
        text.parse::<FeedName>().ok().map(|name| name.to_string())
    }

    #[test]
    fn a_feed_has_one_name() {
        for (written, name) in [
            ("kinh-te", Some("kinh-te")),
            ("xa-hoi,kinh-te", Some("kinh-te,xa-hoi")),
            ("b+a+b", Some("a+b")),
            ("a,a", Some("a")),
            ("tag:dai-hoi+kinh-te", Some("kinh-te+tag:dai-hoi")),
            ("a+b,c", None),
            ("", None),
            ("a,", None),
            ("tag:", None),
            ("people:an", None),
            ("../x", None),
            ("a,b,c,d,e,f,g,h,i,j,k,l,m", None),
        ] {
            assert_eq!(canonical(written).as_deref(), name, "{written}");
        }
    }

    #[test]
    fn places_have_paths() {
        let named = FeedPlace::Named("a+b".parse().unwrap());
        assert_eq!(named.document_path(Format::Atom), "/feeds/a+b.atom");
        assert_eq!(named.archive_path(3, Format::Json).unwrap(), "/feeds/a+b/archive/3.json");
        let search = FeedPlace::Search("nước mặn".into());
        assert_eq!(
            search.further_page_path(2, Format::Rss),
            "/feeds/search.rss?q=n%C6%B0%E1%BB%9Bc%20m%E1%BA%B7n&page=2"
        );
        assert_eq!(search.archive_path(1, Format::Rss), None);
    }

    proptest! {
        #[test]
        fn what_was_parsed_is_canonical(text in "[a-c:,+tag-]{0,40}") {
            if let Some(name) = canonical(&text) {
                prop_assert_eq!(canonical(&name), Some(name));
            }
        }
    }
}
