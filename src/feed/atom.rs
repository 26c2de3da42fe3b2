use super::document::{self, Document, File, Label};
use super::element::{Element, extensions, media, namespaces};
use super::written::Frame;
use super::{GENERATOR, RenderError};
use crate::domain::Format;
use atom_syndication::{
    Category, Content, Entry, Feed, Generator, Link, Person, Text, TextType, WriteConfig,
};

/// The crate's own declaration names no encoding.
const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// How the crate ends a document.
const END: &[u8] = b"\n</feed>";

/// The Atom 1.0 document (RFC 4287) without its entries. The crate (0.12.10) writes a feed's own extensions
/// behind its entries, where the schema has no place for them; here they stand before.
pub(super) fn frame(document: &Document<'_>) -> Result<Frame, RenderError> {
    let bytes = write(&feed(document))?;
    let head = bytes.strip_suffix(END).ok_or(RenderError::Frame)?;
    Ok(Frame { head: head.to_vec(), separator: b"", tail: END.to_vec() })
}

/// An entry as it stands in a document: what a feed with it has more than one without.
pub(super) fn entry(entry: document::Entry, language: &str) -> Result<Vec<u8>, RenderError> {
    let mut feed = Feed::default();
    let bare = write(&feed)?;
    feed.entries = vec![entry_of(entry, language)];
    let with_it = write(&feed)?;
    let head = bare.strip_suffix(END).ok_or(RenderError::Frame)?;
    let entry = with_it.strip_prefix(head).and_then(|rest| rest.strip_suffix(END));
    entry.map(<[u8]>::to_vec).ok_or(RenderError::Frame)
}

fn write(feed: &Feed) -> Result<Vec<u8>, RenderError> {
    let config = WriteConfig { write_document_declaration: false, indent_size: Some(1) };
    Ok(feed.write_with_config(DECLARATION.to_vec(), config)?)
}

fn feed(document: &Document<'_>) -> Feed {
    let language = document.language.as_str();
    let tombstones = document.withdrawn.iter().map(Element::deleted_entry);
    let own: Vec<Element> = Element::archive(document).into_iter().chain(tombstones).collect();
    Feed {
        lang: Some(language.to_owned()),
        links: links(document),
        authors: vec![Person {
            name: document.publisher.name.clone(),
            email: document.publisher.mail.clone(),
            uri: Some(document.publisher.url.clone()),
            ..Person::default()
        }],
        categories: document.category.iter().map(category).collect(),
        generator: Some(Generator { value: GENERATOR.to_owned(), ..Generator::default() }),
        icon: document.logo.clone(),
        logo: document.image.clone(),
        subtitle: Some(plain(document.description.clone(), None)),
        title: plain(document.title.clone(), None),
        id: document.urn.clone(),
        updated: document.changed_at,
        rights: document.rights.clone().map(|rights| plain(rights, None)),
        namespaces: namespaces(&["dc", "media"], &own),
        extensions: extensions(own),
        ..Feed::default()
    }
}

/// The page for people comes before the other formats: some readers take the first alternate.
/// No two share type and hreflang (RFC 4287 §4.1.1).
fn links(document: &Document<'_>) -> Vec<Link> {
    let link = |rel: &str, href: &str, media_type: Option<&str>| Link {
        mime_type: media_type.map(str::to_owned),
        ..link(rel, href)
    };
    let page = Link {
        hreflang: Some(document.language.to_string()),
        ..link("alternate", &document.page, Some("text/html"))
    };
    let own = Format::Atom;
    let others = document.addresses.relations(own).into_iter();
    [link("self", &document.addresses.own(own), Some(own.media_type())), page]
        .into_iter()
        .chain(document.alternates(own).map(|(f, url)| link("alternate", &url, Some(f.media_type()))))
        .chain(others.map(|(relation, url)| link(relation, &url, Some(own.media_type()))))
        .chain(document.hubs.iter().map(|hub| link("hub", hub, None)))
        // RFC 4946; atom:rights is for people (RFC 4287 §4.2.10).
        .chain(document.license.iter().map(|license| link("license", license, None)))
        .collect()
}

fn link(rel: &str, href: &str) -> Link {
    Link { rel: rel.to_owned(), href: href.to_owned(), ..Link::default() }
}

fn plain(value: String, lang: Option<&String>) -> Text {
    Text { value, lang: lang.cloned(), base: None, r#type: TextType::Text }
}

fn category(label: &Label) -> Category {
    Category { term: label.term.clone(), scheme: label.scheme.clone(), label: None }
}

fn enclosure(file: &File) -> Link {
    Link {
        mime_type: Some(file.media_type.clone()),
        length: (file.length > 0).then(|| file.length.to_string()),
        ..link("enclosure", &file.url)
    }
}

fn entry_of(entry: document::Entry, language: &str) -> Entry {
    let own_language = entry.language.as_ref();
    let mut links = vec![Link {
        mime_type: Some("text/html".to_owned()),
        hreflang: Some(own_language.map_or(language, String::as_str).to_owned()),
        ..link("alternate", &entry.link)
    }];
    links.extend(entry.files.iter().map(enclosure));
    let mut others = media(&entry, &[]);
    // Not atom:source: that is for entries copied from another feed, with that feed's id and
    // instant (§4.2.11), and a newsroom's source need not have one.
    if let Some(origin) = &entry.source {
        match &origin.url {
            Some(url) => links.push(Link { title: Some(origin.title.clone()), ..link("via", url) }),
            None => others.push(Element::text("dc", "source", origin.title.clone())),
        }
    }
    Entry {
        links,
        extensions: extensions(others),
        authors: entry.authors.into_iter().map(|name| Person { name, ..Person::default() }).collect(),
        categories: entry.labels.iter().map(category).collect(),
        published: Some(entry.published),
        summary: Some(plain(entry.lead, own_language)),
        // Never xhtml: the crate writes that raw, and one bad article would break the feed.
        content: entry.content.map(|html| Content {
            value: Some(html),
            lang: own_language.cloned(),
            content_type: Some("html".to_owned()),
            ..Content::default()
        }),
        title: plain(entry.title, own_language),
        id: entry.id,
        updated: entry.updated,
        ..Entry::default()
    }
}
