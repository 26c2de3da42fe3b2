use super::document::{Document, Entry, File, Picture, Withdrawn};
use crate::domain::escape_html;
use std::collections::BTreeMap;

/// The namespaces of our documents. Those of articles are declared in every document: the feed
/// crates write an undeclared prefix without an error, and no reader can read it.
pub(super) const NAMESPACES: [(&str, &str); 6] = [
    ("at", "http://purl.org/atompub/tombstones/1.0"),
    ("atom", "http://www.w3.org/2005/Atom"),
    ("content", "http://purl.org/rss/1.0/modules/content/"),
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("fh", "http://purl.org/syndication/history/1.0"),
    ("media", "http://search.yahoo.com/mrss/"),
];

/// Those of articles, and those of the feed's own elements, as the feed crates take them.
pub(super) fn namespaces(articles: &[&str], own: &[Element]) -> BTreeMap<String, String> {
    NAMESPACES
        .into_iter()
        .filter(|(prefix, _)| {
            articles.contains(prefix) || own.iter().any(|element| element.prefix == *prefix)
        })
        .map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()))
        .collect()
}

/// An element of another vocabulary, on its way into either feed crate's extension map.
pub(super) struct Element {
    prefix: &'static str,
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: Option<String>,
    children: Vec<Element>,
}

impl Element {
    pub(super) fn text(prefix: &'static str, name: &'static str, text: String) -> Self {
        Self { prefix, name, attributes: Vec::new(), text: Some(text), children: Vec::new() }
    }

    /// What marks an archive document (RFC 5005 §4).
    pub(super) fn archive(document: &Document<'_>) -> Option<Self> {
        let archive = || Self {
            prefix: "fh",
            name: "archive",
            attributes: Vec::new(),
            text: None,
            children: Vec::new(),
        };
        document.addresses.is_archive().then(archive)
    }

    /// A tombstone (RFC 6721 §3).
    pub(super) fn deleted_entry(withdrawn: &Withdrawn) -> Self {
        Self {
            prefix: "at",
            name: "deleted-entry",
            attributes: vec![("ref", withdrawn.id.clone()), ("when", withdrawn.when.to_rfc3339())],
            text: None,
            children: Vec::new(),
        }
    }

    /// Media RSS 1.5.1 §`media:content`.
    fn media(attributes: Vec<(&'static str, String)>, children: Vec<Element>) -> Self {
        Self { prefix: "media", name: "content", attributes, text: None, children }
    }

    fn picture(picture: &Picture) -> Self {
        let mut attributes = vec![("url", picture.url.clone()), ("medium", "image".to_owned())];
        attributes.extend(picture.media_type.map(|media_type| ("type", media_type.to_owned())));
        attributes.extend(picture.width.map(|width| ("width", width.to_string())));
        attributes.extend(picture.height.map(|height| ("height", height.to_string())));
        let child = |name, text: &Option<String>| text.clone().map(|text| Self::text("media", name, text));
        let children = [child("credit", &picture.credit), child("description", &picture.caption)];
        Self::media(attributes, children.into_iter().flatten().collect())
    }

    fn file(file: &File) -> Self {
        let mut attributes = vec![("url", file.url.clone()), ("type", file.media_type.clone())];
        if file.length > 0 {
            attributes.push(("fileSize", file.length.to_string()));
        }
        let kind = file.media_type.split('/').next().unwrap_or_default();
        if matches!(kind, "image" | "audio" | "video") {
            attributes.push(("medium", kind.to_owned()));
        }
        Self::media(attributes, Vec::new())
    }
}

/// The picture, then as many of the files as the format has no place of its own for.
pub(super) fn media(entry: &Entry, files: &[File]) -> Vec<Element> {
    entry.picture.iter().map(Element::picture).chain(files.iter().map(Element::file)).collect()
}

/// Elements as an extension map: by prefix, by name, in order.
pub(super) fn extensions<E: From<Element>>(
    elements: impl IntoIterator<Item = Element>,
) -> BTreeMap<String, BTreeMap<String, Vec<E>>> {
    let mut map: BTreeMap<String, BTreeMap<String, Vec<E>>> = BTreeMap::new();
    for element in elements {
        let names = map.entry(element.prefix.to_owned()).or_default();
        names.entry(element.name.to_owned()).or_default().push(element.into());
    }
    map
}

macro_rules! into_extension {
    ($extension:path, $attribute:expr) => {
        impl From<Element> for $extension {
            fn from(element: Element) -> Self {
                let mut extension = Self::default();
                extension.name = format!("{}:{}", element.prefix, element.name);
                // Text, though empty, keeps the writers from putting a line end into an element.
                extension.value = element.text.or_else(|| element.children.is_empty().then(String::new));
                extension.attrs =
                    element.attributes.into_iter().map(|(n, v)| (n.to_owned(), $attribute(v))).collect();
                for child in element.children {
                    extension.children.entry(child.name.to_owned()).or_default().push(child.into());
                }
                extension
            }
        }
    };
}

into_extension!(::rss::extension::Extension, std::convert::identity);
// This crate (0.12.10) writes an extension's attributes as they are, so that one `&` in a picture's
// address would end the document; `rss` escapes them.
into_extension!(atom_syndication::extension::Extension, |value: String| escape_html(&value));
