//! Floor 1: a feed at one instant in, the bytes of its documents out.
//!
//! [`Snapshot`] → `document::Document` (what every format says, cleaned once) → RSS, Atom, JSON.
//! A value that a reader sees is made in `document`, never in a format, so that the formats cannot
//! tell different stories. Nothing here knows the time: what is not in the snapshot is not in the
//! bytes, and the same snapshot gives the same bytes for ever. That is why no document names this
//! program's version.

mod addresses;
mod atom;
mod document;
mod element;
#[cfg(test)]
mod golden;
mod json;
pub mod lint;
pub mod opml;
#[cfg(test)]
mod promises;
mod rss;
#[cfg(test)]
mod sample;
pub mod sitemap;
mod text;
pub mod validators;

use crate::domain::{
    Article, ArticleId, Category, FeedDefinition, FeedKey, Format, Instant, Publication, Selection, WebUrl,
};
use document::Document;
use uuid::Uuid;

/// What the documents call the program that made them.
const GENERATOR: &str = "Bản Tin";

/// A feed at one instant: everything its documents are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Who publishes it.
    pub publication: Publication,
    /// What is published.
    pub feed: FeedDefinition,
    /// The category it selects, if it selects one.
    pub category: Option<Category>,
    /// When an article last entered, changed or left. Says when the feed changed in every format,
    /// so it must never run backwards (reference thread jsenecal/netbox-notices#70).
    pub changed_at: Instant,
    /// Its articles, newest first by `published`, already cut to the window.
    pub articles: Vec<Article>,
    /// What was taken back, the latest first (RFC 6721).
    pub tombstones: Vec<Tombstone>,
    /// Which of the feed's documents this is.
    pub part: Part,
    /// The WebSub hubs that distribute it.
    pub hubs: Vec<WebUrl>,
}

/// An article that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Which.
    pub article: ArticleId,
    /// When.
    pub withdrawn_at: Instant,
}

/// Which of a feed's documents one is (RFC 5005): all of a feed's entries stand in the document
/// that readers poll and in the archives behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The subscription document; `archives` closed pages stand behind it, the newest of which has
    /// that number.
    Subscription {
        /// How many; 0 while everything is in the window.
        archives: i64,
    },
    /// The archive document of this number, counted from the oldest, 1.
    Archive {
        /// Which.
        number: i64,
        /// How many there are: only a closed one is linked to.
        archives: i64,
    },
    /// A page of a paged feed, counted from the newest, 1.
    Page {
        /// Which.
        number: u32,
        /// Whether one follows.
        more: bool,
    },
}

/// A document that could not be written. Memory takes every byte, so this means a fault in ours.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The RSS writer gave up.
    #[error("the RSS document could not be written: {0}")]
    Rss(#[from] ::rss::Error),
    /// The Atom writer gave up.
    #[error("the Atom document could not be written: {0}")]
    Atom(#[from] atom_syndication::Error),
    /// The JSON writer gave up.
    #[error("the JSON Feed document could not be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The OPML writer gave up.
    #[error("the OPML document could not be written: {0}")]
    Opml(#[from] std::io::Error),
}

/// The feed's document in a format, in UTF-8.
pub fn render(snapshot: &Snapshot, format: Format) -> Result<Vec<u8>, RenderError> {
    written(Document::of(snapshot), format)
}

/// The feed's documents in several formats. What they all say is made once.
pub fn render_each(snapshot: &Snapshot, formats: &[Format]) -> Result<Vec<Vec<u8>>, RenderError> {
    let document = Document::of(snapshot);
    formats.iter().map(|format| written(document.clone(), *format)).collect()
}

fn written(document: Document<'_>, format: Format) -> Result<Vec<u8>, RenderError> {
    match format {
        Format::Rss => rss::render(document),
        Format::Atom => atom::render(document),
        Format::Json => json::render(&document),
    }
}

/// The feed's name for ever, whatever becomes of its slug and title (RFC 4287 §4.2.6). What is not
/// a category's own is made of the publication's name and of what is selected.
pub fn feed_urn(publication: &Publication, selection: &Selection) -> String {
    let derived = |text: String| Uuid::new_v5(&publication.id, text.as_bytes()).urn().to_string();
    let keys = |keys: &[FeedKey]| keys.iter().map(FeedKey::to_string).collect::<Vec<_>>();
    match selection {
        Selection::One(FeedKey::All) => publication.id.urn().to_string(),
        Selection::One(FeedKey::Category(id)) => id.urn(),
        Selection::One(key @ (FeedKey::Label(_) | FeedKey::Search(_))) => derived(key.to_string()),
        Selection::Union(of) => derived(keys(of).join(",")),
        Selection::Intersection(of) => derived(keys(of).join("+")),
        Selection::Search(words) => derived(format!("search:{words}")),
    }
}
