//! What is listed for machines: sitemaps and the list of all feeds. Whoever serves them and
//! whoever exports them take the same bytes from here.

use super::{RepresentationError, Representations};
use crate::domain::{FeedDefinition, FeedKey, Instant};
use crate::feed::sitemap::{self, Location, MOST_NEWS, NEWS_DAYS};
use crate::feed::{RenderError, opml};
use crate::store::{FeedState, ListedArticle};
use chrono::TimeDelta;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// A list for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listed {
    /// `/sitemap.xml`: the other sitemaps.
    Sitemaps,
    /// `/sitemap-news.xml`: articles of the last two days.
    News,
    /// `/sitemap-pages.xml`: the home page, the form, the page of each feed.
    Pages,
    /// `/sitemap-articles-{n}.xml`: a range of the store's rows, counted from 1.
    Articles(i64),
    /// `/opml`: all feeds.
    Feeds,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sitemaps => f.write_str(sitemap::INDEX_PATH),
            Self::News => f.write_str(sitemap::NEWS_PATH),
            Self::Pages => f.write_str("/sitemap-pages.xml"),
            Self::Articles(number) => write!(f, "/sitemap-articles-{number}.xml"),
            Self::Feeds => f.write_str("/opml"),
        }
    }
}

/// By its path. A number has one spelling.
impl FromStr for Listed {
    type Err = ();

    fn from_str(path: &str) -> Result<Self, ()> {
        let named = [Self::Sitemaps, Self::News, Self::Pages, Self::Feeds];
        let number = || path.strip_prefix("/sitemap-articles-")?.strip_suffix(".xml")?.parse().ok();
        let numbered = number().filter(|number| *number > 0).map(Self::Articles);
        let found = named.into_iter().chain(numbered).find(|listed| listed.to_string() == path);
        found.ok_or(())
    }
}

impl Listed {
    /// The media type in which it is served.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Feeds => opml::CONTENT_TYPE,
            _ => sitemap::CONTENT_TYPE,
        }
    }
}

/// A list as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it may have changed last; never backwards.
    pub changed_at: Instant,
    /// Whether it may have changed before in that same second.
    pub twice_in_one_second: bool,
    /// When it changes by itself, if nothing happens before.
    pub until: Option<Instant>,
}

impl Listing {
    fn since(change: Change, bytes: Vec<u8>) -> Self {
        Self { bytes, changed_at: change.at, twice_in_one_second: change.twice, until: None }
    }
}

/// The last change of several feeds.
#[derive(Clone, Copy, Default)]
struct Change {
    at: Instant,
    twice: bool,
}

impl Change {
    fn of(states: &[FeedState]) -> Self {
        let at = states.iter().map(|state| state.changed_at).max().unwrap_or_default();
        let within = states.iter().filter(|state| state.changed_at.timestamp() == at.timestamp());
        let twice = within.into_iter().any(|state| state.twice_in_one_second || state.changed_at != at);
        Self { at, twice }
    }
}

impl Representations {
    /// A list as the store has it now. [`RepresentationError::Absent`] where there is none.
    pub async fn listing(&self, listed: Listed, now: Instant) -> Result<Listing, RepresentationError> {
        match listed {
            Listed::Sitemaps => self.sitemaps().await,
            Listed::News => self.news(now).await,
            Listed::Pages => self.pages().await,
            Listed::Articles(number) => self.articles(number).await,
            Listed::Feeds => {
                let change = Change::of(&self.store.feed_states().await?);
                let bytes = opml::render(&self.publication, self.directory().feeds(), change.at)?;
                Ok(Listing::since(change, bytes))
            }
        }
    }

    /// The sitemaps of articles that there are.
    pub async fn article_sitemaps(&self) -> Result<Vec<Listed>, RepresentationError> {
        let (_, ranges) = self.store.sitemap_ranges(&self.origin()).await?;
        Ok(ranges.into_iter().map(|(number, _)| Listed::Articles(number)).collect())
    }

    async fn sitemaps(&self) -> Result<Listing, RepresentationError> {
        let (state, ranges) = self.store.sitemap_ranges(&self.origin()).await?;
        let named = [Listed::News, Listed::Pages].map(|listed| (listed, None));
        let numbered = ranges.into_iter().map(|(number, updated)| (Listed::Articles(number), Some(updated)));
        let sitemaps: Vec<Location> = named
            .into_iter()
            .chain(numbered)
            .map(|(listed, lastmod)| self.location(&listed.to_string(), lastmod))
            .collect();
        Ok(Listing::since(Change::of(state.as_slice()), sitemap::index(&self.publication, &sitemaps)))
    }

    async fn news(&self, now: Instant) -> Result<Listing, RepresentationError> {
        let days = TimeDelta::days(NEWS_DAYS);
        let young = self.store.young_articles(&self.origin(), now - days, MOST_NEWS).await?;
        let mut change = Change::of(young.state.as_slice());
        // What fell out since the last event was a change too.
        if let Some(fallen) = young.before.map(|published| published + days)
            && fallen.timestamp() >= change.at.timestamp()
        {
            change = Change { at: fallen.max(change.at), twice: true };
        }
        let bytes = sitemap::news(&self.publication, &young.articles);
        let until = young.articles.last().map(|oldest| oldest.published + days);
        Ok(Listing { until, ..Listing::since(change, bytes) })
    }

    async fn pages(&self) -> Result<Listing, RepresentationError> {
        let states = self.store.feed_states().await?;
        let changed: HashMap<FeedKey, Instant> =
            states.iter().map(|state| (state.key, state.changed_at)).collect();
        let of = |keys: &[FeedKey]| keys.iter().filter_map(|key| changed.get(key)).max().copied();
        let directory = self.directory();
        let mut pages = vec![self.location("/", of(&[FeedKey::All])), self.location("/subscribe", None)];
        let page = |feed: &FeedDefinition| self.location(&feed.place.page_path(), of(feed.selection.keys()));
        pages.extend(directory.published().map(page));
        Ok(Listing::since(Change::of(&states), sitemap::urls(&self.publication, &pages)))
    }

    async fn articles(&self, number: i64) -> Result<Listing, RepresentationError> {
        let (state, articles) = self.store.listed_articles(&self.origin(), number).await?;
        if articles.is_empty() {
            return Err(RepresentationError::Absent);
        }
        let publication = self.publication.clone();
        // Ten thousand addresses are parsed and written.
        let work = tokio::task::spawn_blocking(move || {
            let location = |article: &ListedArticle| Location {
                loc: match &article.url {
                    Some(url) => url.as_str().to_owned(),
                    None => publication.url(&format!("/articles/{}", article.id)),
                },
                lastmod: Some(article.updated),
            };
            let pages: Vec<Location> = articles.iter().map(location).collect();
            Ok::<_, RenderError>(sitemap::urls(&publication, &pages))
        });
        Ok(Listing::since(Change::of(state.as_slice()), work.await??))
    }

    /// How the addresses of the publication's own host begin.
    fn origin(&self) -> String {
        format!("{}/", self.publication.base_url.as_url().origin().ascii_serialization())
    }

    fn location(&self, path: &str, lastmod: Option<Instant>) -> Location {
        Location { loc: self.publication.url(path), lastmod }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_path() {
        for listed in [Listed::Sitemaps, Listed::News, Listed::Pages, Listed::Feeds, Listed::Articles(12)] {
            assert_eq!(listed.to_string().parse(), Ok(listed));
        }
        for wrong in ["0", "-1", "+1", "01", "", "x", "9223372036854775808", "1.xml"] {
            assert_eq!(format!("/sitemap-articles-{wrong}.xml").parse::<Listed>(), Err(()), "{wrong}");
        }
    }
}
