use super::RenderError;
use super::document::{Document, Entry};
use super::written::Frame;
use crate::domain::Format;
use serde::Serialize;

/// A JSON Feed 1.1 document, <https://jsonfeed.org/version/1.1>.
#[derive(Serialize)]
struct Feed<'d> {
    version: &'static str,
    title: &'d str,
    home_page_url: &'d str,
    feed_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_url: Option<String>,
    description: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'d str>,
    authors: [Author<'d>; 1],
    language: &'d str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hubs: Vec<Hub<'d>>,
    #[serde(rename = "_bantin", skip_serializing_if = "FeedExtension::is_empty")]
    extension: FeedExtension<'d>,
    items: [(); 0],
}

/// What RSS and Atom say of the feed, and JSON Feed has no word for.
#[derive(Serialize)]
struct FeedExtension<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<&'d str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withdrawn: Vec<Withdrawn<'d>>,
}

impl FeedExtension<'_> {
    fn is_empty(&self) -> bool {
        self.rights.is_none() && self.license.is_none() && self.withdrawn.is_empty()
    }
}

#[derive(Serialize)]
struct Withdrawn<'d> {
    id: &'d str,
    when: String,
}

#[derive(Serialize)]
struct Author<'d> {
    name: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'d str>,
}

#[derive(Serialize)]
struct Hub<'d> {
    r#type: &'static str,
    url: &'d str,
}

#[derive(Serialize)]
struct Item<'d> {
    id: &'d str,
    url: &'d str,
    title: &'d str,
    content_html: String,
    summary: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'d str>,
    date_published: String,
    date_modified: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<Author<'d>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'d str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment<'d>>,
    #[serde(rename = "_bantin", skip_serializing_if = "Extension::is_empty")]
    extension: Extension<'d>,
}

#[derive(Serialize)]
struct Attachment<'d> {
    url: &'d str,
    mime_type: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_in_bytes: Option<u64>,
}

/// What RSS and Atom say with `source` and Media RSS, and JSON Feed has no word for.
#[derive(Serialize)]
struct Extension<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Origin<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Picture<'d>>,
}

impl Extension<'_> {
    fn is_empty(&self) -> bool {
        self.source.is_none() && self.image.is_none()
    }
}

#[derive(Serialize)]
struct Origin<'d> {
    title: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'d str>,
}

#[derive(Serialize)]
struct Picture<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<&'d str>,
}

/// How the serializer ends a document without items.
const END: &[u8] = b"]\n}";

/// The document without its items.
pub(super) fn frame(document: &Document<'_>, is_empty: bool) -> Result<Frame, RenderError> {
    let feed = Feed {
        version: "https://jsonfeed.org/version/1.1",
        title: &document.title,
        home_page_url: &document.page,
        // Of the whole feed, whichever of its documents this is: readers know it by that.
        feed_url: document.addresses.subscription(Format::Json),
        next_url: document.addresses.older(Format::Json),
        description: &document.description,
        icon: document.image.as_deref(),
        authors: [Author { name: &document.publisher.name, url: Some(&document.publisher.url) }],
        language: document.language.as_str(),
        hubs: document.hubs.iter().map(|url| Hub { r#type: "WebSub", url }).collect(),
        extension: FeedExtension {
            rights: document.rights.as_deref(),
            license: document.license.as_deref(),
            withdrawn: document
                .withdrawn
                .iter()
                .map(|withdrawn| Withdrawn { id: &withdrawn.id, when: withdrawn.when.to_rfc3339() })
                .collect(),
        },
        items: [],
    };
    let bytes = serde_json::to_vec_pretty(&feed)?;
    let head = bytes.strip_suffix(END).ok_or(RenderError::Frame)?;
    let tail = if is_empty { END.to_vec() } else { [b"\n  ", END].concat() };
    Ok(Frame { head: head.to_vec(), separator: b",", tail })
}

/// An item as it stands in a document, two levels deep. A line end in a text is written with an escape.
pub(super) fn entry(entry: &Entry) -> Result<Vec<u8>, RenderError> {
    let item = serde_json::to_string_pretty(&item(entry))?;
    Ok(format!("\n{item}").replace('\n', "\n    ").into_bytes())
}

fn item(entry: &Entry) -> Item<'_> {
    Item {
        id: &entry.id,
        url: &entry.link,
        title: &entry.title,
        content_html: entry.content_or_lead(),
        summary: &entry.lead,
        image: entry.picture.as_ref().map(|picture| picture.url.as_str()),
        date_published: entry.published.to_rfc3339(),
        date_modified: entry.updated.to_rfc3339(),
        authors: entry.authors.iter().map(|name| Author { name, url: None }).collect(),
        tags: entry.labels.iter().map(|label| label.term.as_str()).collect(),
        language: entry.language.as_deref(),
        attachments: entry
            .files
            .iter()
            .map(|file| Attachment {
                url: &file.url,
                mime_type: &file.media_type,
                size_in_bytes: (file.length > 0).then_some(file.length),
            })
            .collect(),
        extension: extension(entry),
    }
}

fn extension(entry: &Entry) -> Extension<'_> {
    let image = entry.picture.as_ref().map(|picture| Picture {
        width: picture.width,
        height: picture.height,
        caption: picture.caption.as_deref(),
        credit: picture.credit.as_deref(),
    });
    Extension {
        source: entry.source.as_ref().map(|o| Origin { title: &o.title, url: o.url.as_deref() }),
        image: image
            .filter(|p| p.width.is_some() || p.height.is_some() || p.caption.is_some() || p.credit.is_some()),
    }
}
