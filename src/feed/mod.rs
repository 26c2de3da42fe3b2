//! Floor 1: a feed at one instant in, the bytes of its documents out.
//!
//! [`Snapshot`] → `document::Document` (what every format says, cleaned once) → RSS, Atom, JSON, entry by entry
//! (`written`), so that what stayed of a former version is not made again.
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
mod written;

pub use written::{Digest, Part as WrittenPart, Recent, Stamp, Written, digest};

use crate::domain::{
    Article, ArticleId, Category, FeedDefinition, FeedKey, Format, Instant, Publication, Selection, WebUrl,
};
use document::Document;
use std::sync::Arc;
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
    /// A writer put the entries of a document somewhere else than it used to.
    #[error("an entry of a document was not where its writer puts them")]
    Frame,
    /// The JSON writer gave up.
    #[error("the JSON Feed document could not be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The OPML writer gave up.
    #[error("the OPML document could not be written: {0}")]
    Opml(#[from] std::io::Error),
}

/// The feed's document in a format, in UTF-8.
pub fn render(snapshot: &Snapshot, format: Format) -> Result<Vec<u8>, RenderError> {
    render_one(snapshot, format, &Recent::new(0)).map(Written::into_bytes)
}

/// The same with its parts.
pub fn render_one(snapshot: &Snapshot, format: Format, recent: &Recent) -> Result<Written, RenderError> {
    let mut entries = vec![None; snapshot.articles.len()];
    written::write(snapshot, &Document::of(snapshot), &mut entries, format, None, recent)
}

/// The feed's documents in several formats, each with the version that came before it, of which it takes over
/// the entries that stayed as they were. What all formats say is made once, and only where it is not known.
pub fn render_each(
    snapshot: &Snapshot,
    formats: &[(Format, Option<Arc<Written>>)],
    recent: &Recent,
) -> Result<Vec<Written>, RenderError> {
    let document = Document::of(snapshot);
    let mut entries = vec![None; snapshot.articles.len()];
    let write = |(format, former): &(Format, Option<Arc<Written>>)| {
        written::write(snapshot, &document, &mut entries, *format, former.as_deref(), recent)
    };
    formats.iter().map(write).collect()
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
