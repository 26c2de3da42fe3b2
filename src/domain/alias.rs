use super::{FeedDefinition, Format, Slug};
use percent_encoding::percent_decode_str;
use std::{fmt, str::FromStr};

/// The longest path of an old system, in bytes.
const MAX_PATH: usize = 1_000;

/// An address that a feed had before: a slug of ours, or a whole path of another system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Alias {
    /// `tin-cu`, for `/feeds/tin-cu` and its documents.
    Slug(Slug),
    /// `/rss/xay-dung-dang.rss`, `/category/kinh-te/feed/`.
    Path(OldAddress),
}

/// Why a text is no alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// Neither a slug nor a path.
    #[error(
        "`{0}` is no alias: write a former slug, as in `tin-cu`, or a whole path, as in `/rss/tin-cu.rss`"
    )]
    Malformed(String),
    /// More than a path.
    #[error(
        "`{0}`: write the path alone, from its first `/`, without the host before and the query behind it"
    )]
    NotAPath(String),
    /// An address that is no old system's.
    #[error("`{0}` is an address of this program; of a feed under /feeds/ write the former slug alone")]
    Ours(String),
}

impl FromStr for Alias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let told = || text.chars().take(200).collect::<String>();
        if !text.starts_with('/') {
            let slug = Slug::parse(text).map(Self::Slug);
            return slug.map_err(|_| match text.contains("://") {
                true => AliasError::NotAPath(told()),
                false => AliasError::Malformed(told()),
            });
        }
        if text.contains(['?', '#']) {
            return Err(AliasError::NotAPath(told()));
        }
        let address = OldAddress::of(text);
        match address.0.strip_prefix("/feeds/") {
            _ if text.len() > MAX_PATH || address.0.chars().any(char::is_control) => {
                Err(AliasError::Malformed(told()))
            }
            Some(name) if !name.contains('/') => Err(AliasError::Ours(told())),
            None if address.0.is_empty() => Err(AliasError::Ours(told())),
            _ => Ok(Self::Path(address)),
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slug(slug) => slug.fmt(f),
            Self::Path(path) => f.write_str(&path.0),
        }
    }
}

/// A path of an old system in the form by which it is looked up: percent-decoded, without the
/// slash at its end, which one system writes and the next one leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OldAddress(String);

impl OldAddress {
    /// The address of a path as it stands in a request.
    pub fn of(path: &str) -> Self {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        Self(decoded.trim_end_matches('/').to_owned())
    }

    /// The path, decoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In which format a feed was to be had there; `None` of a page for people.
    ///
    /// Known endings come first; WordPress writes `/category/kinh-te/feed/` and `/feed/atom/`,
    /// Jekyll `/atom.xml`, newspapers of this country `/rss/kinh-te.html`.
    pub fn format(&self) -> Option<Format> {
        let lower = self.0.to_ascii_lowercase();
        let ending = lower.rsplit_once('.').and_then(|(_, ending)| Format::of_extension(ending));
        let has = |words: &[&str]| lower.split(['/', '.']).any(|part| words.contains(&part));
        ending.or_else(|| {
            if has(&["atom"]) {
                Some(Format::Atom)
            } else if has(&["json"]) {
                Some(Format::Json)
            } else {
                has(&["rss", "rss2", "rdf", "xml", "feed", "feeds"]).then_some(Format::Rss)
            }
        })
    }
}

/// What a slug leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup<'d> {
    /// The feed of that name.
    Feed(&'d FeedDefinition),
    /// A feed that has another name now.
    Moved(&'d FeedDefinition),
    /// A feed that the newsroom has ended for good.
    Retired,
    /// Nothing that there is or was.
    Nothing,
}

impl<'d> Lookup<'d> {
    /// The feed, whatever its name is now.
    pub fn feed(self) -> Option<&'d FeedDefinition> {
        match self {
            Self::Feed(feed) | Self::Moved(feed) => Some(feed),
            Self::Retired | Self::Nothing => None,
        }
    }
}

/// What became of a path of an old system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OldPath<'d> {
    /// The feed is published here now.
    Moved {
        /// Which one.
        feed: &'d FeedDefinition,
        /// In which format it was to be had there; `None` of a page for people.
        format: Option<Format>,
    },
    /// The newsroom has ended it for good.
    Retired,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_alias_is_a_slug_or_a_path() {
        let path = |text: &str| match text.parse() {
            Ok(Alias::Path(path)) => path.as_str().to_owned(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!("tin-cu".parse(), Ok(Alias::Slug(Slug::parse("tin-cu").unwrap())));
        assert_eq!(path("/category/kinh-te/feed/"), "/category/kinh-te/feed");
        assert_eq!(path("/rss/kinh%20t%E1%BA%BF.rss"), "/rss/kinh tế.rss");
        assert_eq!(path("/feeds/kinh-te/feed"), "/feeds/kinh-te/feed");
        for wrong in
            ["", "/", "//", "Tin cũ", "https://bao.example/rss", "/rss?cat=3", "/feeds/tin.rss", "/a%00b"]
        {
            assert!(wrong.parse::<Alias>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_ending_tells_the_format() {
        for (path, format) in [
            ("/rss/a.rss", Some(Format::Rss)),
            ("/rss/a.atom", Some(Format::Atom)),
            ("/atom.xml", Some(Format::Atom)),
            ("/feed.xml", Some(Format::Rss)),
            ("/a/feed/", Some(Format::Rss)),
            ("/a/feed/atom/", Some(Format::Atom)),
            ("/feed.json", Some(Format::Json)),
            ("/rss/kinh-te.html", Some(Format::Rss)),
            ("/chuyen-muc/kinh-te.html", None),
        ] {
            assert_eq!(OldAddress::of(path).format(), format, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_an_alias(text in "/?[a-z/%.0-9é-]{0,40}") {
            if let Ok(alias) = text.parse::<Alias>() {
                prop_assert!(!alias.to_string().is_empty());
            }
            OldAddress::of(&text).format();
        }
    }
}
