use super::document::{Document, Entry, Label};
use super::element::{Element, extensions, media, namespaces};
use super::text::rfc822;
use super::written::Frame;
use super::{GENERATOR, RenderError};
use crate::domain::{Format, escape_html};
use ::rss::extension::atom::{AtomExtension, Link};
use ::rss::extension::dublincore::DublinCoreExtension;
use ::rss::{Category, Channel, Enclosure, Guid, Image, Item, Source};

/// Minutes for which a reader need not come back; FreshRSS polls no faster anyway.
const TTL: &str = "15";

/// The prefixes that items use.
const NAMESPACES: &[&str] = &["atom", "content", "dc", "media"];

/// How the crate ends a document, behind its items.
const END: &[u8] = b"\n </channel>\n</rss>";

/// The RSS 2.0 document (RSS Advisory Board specification 2.0.11 and profile) without its items.
pub(super) fn frame(document: &Document<'_>) -> Result<Frame, RenderError> {
    let bytes = write(&channel(document))?;
    let head = bytes.strip_suffix(END).ok_or(RenderError::Frame)?;
    Ok(Frame { head: head.to_vec(), separator: b"", tail: END.to_vec() })
}

/// An item as it stands in a document: what a channel with it has more than one without.
pub(super) fn entry(entry: Entry) -> Result<Vec<u8>, RenderError> {
    let namespaces = namespaces(NAMESPACES, &[]);
    let mut channel = Channel { namespaces, ..Channel::default() };
    let bare = write(&channel)?;
    channel.items = vec![item(entry)];
    let with_it = write(&channel)?;
    let head = bare.strip_suffix(END).ok_or(RenderError::Frame)?;
    let item = with_it.strip_prefix(head).and_then(|rest| rest.strip_suffix(END));
    item.map(<[u8]>::to_vec).ok_or(RenderError::Frame)
}

fn write(channel: &Channel) -> Result<Vec<u8>, RenderError> {
    Ok(channel.pretty_write_to(Vec::new(), b' ', 1)?)
}

fn channel(document: &Document<'_>) -> Channel {
    let own: Vec<Element> = Element::archive(document).into_iter().collect();
    Channel {
        language: Some(document.language.to_string()),
        copyright: document.rights.clone(),
        managing_editor: mailbox(document),
        webmaster: mailbox(document),
        last_build_date: Some(rfc822(document.changed_at)),
        categories: document.category.iter().map(category).collect(),
        generator: Some(GENERATOR.to_owned()),
        docs: Some("https://www.rssboard.org/rss-specification".to_owned()),
        ttl: Some(TTL.to_owned()),
        image: document.image.as_ref().map(|url| Image {
            url: url.clone(),
            title: document.title.clone(),
            link: document.page.clone(),
            ..Image::default()
        }),
        atom_ext: Some(AtomExtension { links: links(document) }),
        namespaces: namespaces(NAMESPACES, &own),
        extensions: extensions(own),
        title: document.title.clone(),
        link: document.page.clone(),
        description: document.description.clone(),
        ..Channel::default()
    }
}

/// `mail (Name)`, the only form RSS takes for a person. Parentheses would end the comment.
fn mailbox(document: &Document<'_>) -> Option<String> {
    let name = document.publisher.name.replace(['(', ')', '\\'], " ");
    document.publisher.mail.as_ref().map(|mail| format!("{mail} ({})", name.trim()))
}

fn links(document: &Document<'_>) -> Vec<Link> {
    let own = Format::Rss;
    let link = |rel: &str, href: String, format: Option<Format>| Link {
        rel: rel.to_owned(),
        href,
        mime_type: format.map(|format| format.media_type().to_owned()),
        ..Link::default()
    };
    // The relations of RFC 5005 stand in RSS as Atom links (Appendix B).
    let others = document.addresses.relations(own).into_iter();
    std::iter::once(link("self", document.addresses.own(own), Some(own)))
        .chain(document.alternates(own).map(|(format, url)| link("alternate", url, Some(format))))
        .chain(others.map(|(relation, url)| link(relation, url, Some(own))))
        .chain(document.hubs.iter().map(|hub| link("hub", hub.clone(), None)))
        .chain(document.license.iter().map(|license| link("license", license.clone(), None)))
        .collect()
}

fn category(label: &Label) -> Category {
    Category { name: label.term.clone(), domain: label.scheme.clone() }
}

fn item(mut entry: Entry) -> Item {
    // One enclosure an item (profile, § "enclosure"); the others are said by media:content.
    let further = entry.files.split_off(entry.files.len().min(1));
    let mut others = media(&entry, &further);
    // RSS has no word of its own for the instant of a correction; pubDate never moves.
    others.push(Element::text("atom", "updated", entry.updated.to_rfc3339()));
    let (source, unlinked) = match entry.source {
        Some(origin) => match origin.url {
            Some(url) => (Some(Source { url, title: Some(origin.title) }), None),
            None => (None, Some(origin.title)),
        },
        None => (None, None),
    };
    Item {
        title: Some(entry.title),
        link: Some(entry.link),
        // Readers take a description for HTML, whatever it was meant to be.
        description: Some(escape_html(&entry.lead)),
        categories: entry.labels.iter().map(category).collect(),
        enclosure: entry.files.into_iter().next().map(|file| Enclosure {
            url: file.url,
            length: file.length.to_string(),
            mime_type: file.media_type,
        }),
        guid: Some(Guid { value: entry.id, permalink: false }),
        pub_date: Some(rfc822(entry.published)),
        source,
        content: entry.content,
        extensions: extensions(others),
        dublin_core_ext: Some(DublinCoreExtension {
            creators: entry.authors,
            languages: entry.language.into_iter().collect(),
            sources: unlinked.into_iter().collect(),
            ..DublinCoreExtension::default()
        }),
        ..Item::default()
    }
}
