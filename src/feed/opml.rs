//! OPML 2.0: the list of all feeds, for a reader to take in at once.

use super::RenderError;
use super::text::{line, rfc822, uri, zoned};
use crate::domain::{FeedDefinition, Format, Instant, Publication};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// The media type in which the list is served.
pub const CONTENT_TYPE: &str = "text/x-opml; charset=utf-8";

/// A feed as it stands in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// Its document.
    pub xml_url: String,
    /// Its page for people.
    pub html_url: String,
    /// Its language.
    pub language: String,
}

impl Outline {
    /// The line of a feed: its RSS document, or the first format it has.
    pub fn of(publication: &Publication, feed: &FeedDefinition) -> Self {
        let first = feed.formats.first().copied().unwrap_or(Format::Rss);
        let format = if feed.formats.contains(&Format::Rss) { Format::Rss } else { first };
        Self {
            title: line(&feed.title).unwrap_or_else(|| feed.place.page_path()),
            description: line(&feed.description).unwrap_or_default(),
            xml_url: uri(&publication.url(&feed.place.document_path(format))),
            html_url: uri(&publication.url(&feed.place.page_path())),
            language: feed.language.as_ref().unwrap_or(&publication.language).to_string(),
        }
    }
}

/// The list as a document. `type="rss"` stands for every format (OPML 2.0, "Subscription lists").
pub fn render(
    publication: &Publication,
    feeds: &[FeedDefinition],
    changed_at: Instant,
) -> Result<Vec<u8>, RenderError> {
    let outlines: Vec<Outline> = feeds.iter().map(|feed| Outline::of(publication, feed)).collect();
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 1);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let opml = writer.create_element("opml").with_attribute(("version", "2.0"));
    opml.write_inner_content(|writer| {
        writer.create_element("head").write_inner_content(|head| head_of(head, publication, changed_at))?;
        writer.create_element("body").write_inner_content(|body| {
            outlines.iter().try_for_each(|outline| write_outline(body, outline))
        })?;
        Ok(())
    })?;
    Ok(writer.into_inner())
}

fn head_of(head: &mut Writer<Vec<u8>>, publication: &Publication, changed_at: Instant) -> io::Result<()> {
    let title = line(&publication.title).unwrap_or_else(|| publication.base_url.host().to_owned());
    let mut element = |name: &str, text: &str| -> io::Result<()> {
        head.create_element(name).write_text_content(BytesText::new(text)).map(|_| ())
    };
    element("title", &title)?;
    element("dateModified", &rfc822(zoned(changed_at, publication.time_zone)))?;
    element("ownerName", &title)?;
    match &publication.contact {
        Some(contact) => element("ownerEmail", &contact.to_string()),
        None => Ok(()),
    }
}

fn write_outline(body: &mut Writer<Vec<u8>>, outline: &Outline) -> io::Result<()> {
    let described =
        (!outline.description.is_empty()).then_some(("description", outline.description.as_str()));
    body.create_element("outline")
        .with_attributes([
            ("type", "rss"),
            ("text", outline.title.as_str()),
            ("title", outline.title.as_str()),
            ("xmlUrl", outline.xml_url.as_str()),
            ("htmlUrl", outline.html_url.as_str()),
            ("language", outline.language.as_str()),
        ])
        .with_attributes(described)
        .write_empty()
        .map(|_| ())
}
