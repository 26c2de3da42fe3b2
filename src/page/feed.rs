use super::article::Card;
use super::{Desk, SubscribeForm};
use crate::domain::{Article, FeedDefinition, FeedPlace, Format};
use crate::wording::TemplateFault;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// A feed as pages name it.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedLink {
    /// Its name for people.
    pub title: String,
    /// Where it is published.
    pub place: FeedPlace,
    /// What it is about, in a sentence; may be empty.
    pub description: String,
    /// In which formats it is published.
    pub formats: Vec<Format>,
}

/// A feed with its addresses spelled out.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    title: &'a str,
    path: String,
    description: &'a str,
    formats: Vec<Address>,
}

#[derive(Serialize)]
struct Address {
    name: &'static str,
    media_type: &'static str,
    url: String,
}

impl FeedLink {
    /// How a feed is named.
    pub fn of(feed: &FeedDefinition) -> Self {
        Self {
            title: feed.title.clone(),
            place: feed.place.clone(),
            description: feed.description.clone(),
            formats: feed.formats.clone(),
        }
    }

    pub(super) fn listed(&self, desk: &Desk<'_>) -> Listed<'_> {
        let address = |format: &Format| Address {
            name: format.name(),
            media_type: format.media_type(),
            url: desk.publication.url(&self.place.document_path(*format)),
        };
        Listed {
            title: &self.title,
            path: self.place.page_path(),
            description: &self.description,
            formats: self.formats.iter().map(address).collect(),
        }
    }
}

#[derive(Serialize)]
struct Home<'a> {
    canonical: String,
    all: Listed<'a>,
    categories: Vec<Listed<'a>>,
    articles: Vec<Card>,
    form: &'a SubscribeForm,
}

/// `/`: sections, latest articles, and the form to subscribe.
pub fn home(
    desk: &Desk<'_>,
    categories: &[FeedLink],
    all: &FeedLink,
    latest: &[Article],
    form: &SubscribeForm,
) -> Result<String, TemplateFault> {
    let home = Home {
        canonical: desk.publication.url("/"),
        all: all.listed(desk),
        categories: categories.iter().map(|c| c.listed(desk)).collect(),
        articles: latest.iter().map(|a| Card::of(desk, a)).collect(),
        form,
    };
    desk.render("page/home.html", home)
}

#[derive(Serialize)]
struct FeedPage<'a> {
    canonical: String,
    /// What stands before `lang=` in the query, where the page has one of its own.
    query: String,
    feed: Listed<'a>,
    readers: Vec<Reader>,
    articles: Vec<Card>,
    form: &'a SubscribeForm,
}

/// A reader on the web that takes a feed's address in its own.
#[derive(Serialize)]
struct Reader {
    name: &'static str,
    href: String,
}

const READERS: [(&str, &str); 3] = [
    ("Feedly", "https://feedly.com/i/subscription/feed%2F"),
    ("Inoreader", "https://www.inoreader.com/?add_feed="),
    ("NewsBlur", "https://www.newsblur.com/?url="),
];

/// `/feeds/{slug}`: a feed's page for people: what it is, its addresses, its articles.
pub fn feed(
    desk: &Desk<'_>,
    feed: &FeedLink,
    articles: &[Article],
    form: &SubscribeForm,
) -> Result<String, TemplateFault> {
    let listed = feed.listed(desk);
    let readers = match listed.formats.first() {
        Some(first) => {
            let address = utf8_percent_encode(&first.url, NON_ALPHANUMERIC).to_string();
            READERS.iter().map(|(name, href)| Reader { name, href: format!("{href}{address}") }).collect()
        }
        None => Vec::new(),
    };
    let path = feed.place.page_path();
    let page = FeedPage {
        query: path.split_once('?').map(|(_, query)| format!("{query}&")).unwrap_or_default(),
        canonical: desk.publication.url(&path),
        feed: listed,
        readers,
        articles: articles.iter().map(|a| Card::of(desk, a)).collect(),
        form,
    };
    desk.render("page/feed.html", page)
}
