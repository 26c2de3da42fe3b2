use super::{CategoryId, FeedName, FeedPlace, LabelId, LanguageTag, SearchId, Slug, Term, WebUrl};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The form in which a feed is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RSS 2.0.
    Rss,
    /// Atom 1.0, RFC 4287.
    Atom,
    /// JSON Feed 1.1.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Rss, Self::Atom, Self::Json];

    /// The ending of its URLs.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Rss => "rss",
            Self::Atom => "atom",
            Self::Json => "json",
        }
    }

    /// The format of an ending.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }

    /// Its media type without parameters, as discovery links name it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Rss => "application/rss+xml",
            Self::Atom => "application/atom+xml",
            Self::Json => "application/feed+json",
        }
    }

    /// Its media type as it is served. The charset is spelled out: without it some readers take
    /// XML for US-ASCII (reference thread contao/contao#9704).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Rss => "application/rss+xml; charset=utf-8",
            Self::Atom => "application/atom+xml; charset=utf-8",
            Self::Json => "application/feed+json; charset=utf-8",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rss => "RSS",
            Self::Atom => "Atom",
            Self::Json => "JSON Feed",
        }
    }
}

/// A feed whose entries the store keeps. Independent of slugs and titles, which may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FeedKey {
    /// Everything.
    All,
    /// A category with its children.
    Category(CategoryId),
    /// A tag, byline or source.
    Label(LabelId),
    /// What readers asked to be told of: not published, mailed and in their private feeds.
    Search(SearchId),
}

/// A stored feed key that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no feed key")]
pub struct FeedKeyError(pub String);

impl fmt::Display for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Category(id) => write!(f, "category:{id}"),
            Self::Label(id) => write!(f, "label:{id}"),
            Self::Search(id) => write!(f, "search:{id}"),
        }
    }
}

impl FromStr for FeedKey {
    type Err = FeedKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |_| FeedKeyError(text.to_owned());
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("category", id)) => id.parse().map(Self::Category).map_err(wrong),
            Some(("label", id)) => id.parse().map(Self::Label).map_err(wrong),
            Some(("search", id)) => id.parse().map(Self::Search).map_err(wrong),
            _ => Err(FeedKeyError(text.to_owned())),
        }
    }
}

/// Which articles a published feed selects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Those of one kept feed.
    One(FeedKey),
    /// Those of any of these.
    Union(Vec<FeedKey>),
    /// Those of each of these.
    Intersection(Vec<FeedKey>),
    /// Those that hold all these words, folded.
    Search(String),
}

impl Selection {
    /// The kept feeds it is made of: an event in none of them is none of its own. A search looks
    /// at everything.
    pub fn keys(&self) -> &[FeedKey] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Union(keys) | Self::Intersection(keys) => keys,
            Self::Search(_) => &[FeedKey::All],
        }
    }
}

/// What callbacks of a feed are pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushContent {
    /// What a GET returns.
    #[default]
    Full,
    /// Of RSS and Atom only what is new or changed since the last push (WebSub §7).
    New,
}

/// How much of an article a feed carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedContent {
    /// The whole text.
    #[default]
    Full,
    /// The lead only.
    Summary,
}

/// A feed as it is published: which articles, under which name, how many.
///
/// Comes from a file in `feeds/`, or from the store's defaults where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedDefinition {
    /// Which articles.
    pub selection: Selection,
    /// Where it is published.
    pub place: FeedPlace,
    /// Its name for people.
    pub title: String,
    /// What it is about, in a sentence.
    pub description: String,
    /// How many of the newest articles it shows.
    pub window: usize,
    /// How much of each.
    pub content: FeedContent,
    /// In which formats.
    pub formats: Vec<Format>,
    /// Its language, where it is not the publication's.
    pub language: Option<LanguageTag>,
    /// Its picture.
    pub image: Option<WebUrl>,
    /// What its callbacks are pushed.
    pub push: PushContent,
}

impl FeedDefinition {
    /// The kept feed that it shows, if it shows one: what readers can have by mail.
    pub fn key(&self) -> Option<FeedKey> {
        match self.selection {
            Selection::One(key) => Some(key),
            _ => None,
        }
    }

    /// Its name in URLs, where it is a slug: a category's, or a declared feed's.
    pub fn slug(&self) -> Option<&Slug> {
        match &self.place {
            FeedPlace::Named(FeedName::One(Term::Named(slug))) => Some(slug),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn keys_round_trip() {
        let id = Uuid::from_u128(7);
        let (category, label) = (FeedKey::Category(CategoryId::new(id)), FeedKey::Label(LabelId::new(id)));
        for key in [FeedKey::All, category, label, FeedKey::Search(SearchId::new(id))] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert!("category:x".parse::<FeedKey>().is_err());
        assert!("tags".parse::<FeedKey>().is_err());
    }
}
