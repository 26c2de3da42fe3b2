//! Floor 1: a feed at one instant in, the bytes of its documents out.
//!
//! [`Snapshot`] → `document::Document` (what every format says, cleaned once) → RSS, Atom, JSON.
//! A value that a reader sees is made in `document`, never in a format, so that the formats cannot
//! tell different stories. Nothing here knows the time: what is not in the snapshot is not in the
//! bytes, and the same snapshot gives the same bytes for ever. That is why no document names this
//! program's version.

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
mod text;
pub mod validators;

use crate::domain::{
    Article, Category, CategoryId, FeedDefinition, FeedKey, Format, Instant, Publication, Slug, WebUrl,
};
use document::Document;

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
    /// The WebSub hub that distributes it.
    pub hub: Option<WebUrl>,
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
    let document = Document::of(snapshot);
    match format {
        Format::Rss => rss::render(document),
        Format::Atom => atom::render(document),
        Format::Json => json::render(&document),
    }
}

/// The feed's name for ever, whatever becomes of its slug and title (RFC 4287 §4.2.6).
pub fn feed_urn(publication: &Publication, key: FeedKey) -> String {
    match key {
        FeedKey::All => publication.id.urn().to_string(),
        FeedKey::Category(id) => CategoryId::urn(id),
    }
}

/// The path of a feed's document: `/feeds/xay-dung-dang.rss`.
pub fn feed_path(slug: &Slug, format: Format) -> String {
    format!("/feeds/{slug}.{}", format.extension())
}

/// The path of a feed's page for people: `/feeds/xay-dung-dang`.
pub fn page_path(slug: &Slug) -> String {
    format!("/feeds/{slug}")
}
