use super::addresses::Addresses;
use super::text::{line, scrub, uri, zoned};
use super::{Snapshot, feed_urn};
use crate::domain::{
    self, Article, Category, FeedContent, FeedName, FeedPlace, Format, Image, LabelKind, LanguageTag,
    Publication, Term, escape_html, excerpt, person,
};
use chrono::{DateTime, FixedOffset, SubsecRound};
use std::collections::HashSet;

/// What every format of a feed says beside its entries, cleaned once.
pub(super) struct Document<'s> {
    pub urn: String,
    pub title: String,
    pub description: String,
    pub language: &'s LanguageTag,
    /// The feed's page for people.
    pub page: String,
    /// Its documents.
    pub addresses: Addresses<'s>,
    formats: &'s [Format],
    pub image: Option<String>,
    pub logo: Option<String>,
    pub publisher: Publisher,
    pub hubs: Vec<String>,
    pub license: Option<String>,
    pub rights: Option<String>,
    pub category: Option<Label>,
    pub changed_at: DateTime<FixedOffset>,
    /// What was taken back, the latest first. What stands among the entries was not.
    pub withdrawn: Vec<Withdrawn>,
}

/// An entry that was taken back (RFC 6721). Instants have the precision of [`Entry::updated`]: a
/// reader compares the two (§3).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Withdrawn {
    pub id: String,
    pub when: DateTime<FixedOffset>,
}

#[derive(Clone)]
pub(super) struct Publisher {
    pub name: String,
    pub mail: Option<String>,
    pub url: String,
}

/// A section or a tag, with the address of its page as its scheme.
#[derive(Clone)]
pub(super) struct Label {
    pub term: String,
    pub scheme: Option<String>,
}

/// An article as it stands in the feed. Text is plain and one line, but for `content`.
#[derive(Clone)]
pub(super) struct Entry {
    pub id: String,
    pub link: String,
    pub title: String,
    /// The title where the article has neither a lead nor a text: a blank entry is refused by
    /// some readers.
    pub lead: String,
    /// HTML; none where the feed carries leads only, or where there is no more than the lead.
    pub content: Option<String>,
    pub published: DateTime<FixedOffset>,
    pub updated: DateTime<FixedOffset>,
    pub authors: Vec<String>,
    pub labels: Vec<Label>,
    pub picture: Option<Picture>,
    pub files: Vec<File>,
    pub source: Option<Origin>,
    /// Where it is not the feed's.
    pub language: Option<String>,
}

#[derive(Clone)]
pub(super) struct Picture {
    pub url: String,
    /// Where the address tells it.
    pub media_type: Option<&'static str>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub caption: Option<String>,
    pub credit: Option<String>,
}

#[derive(Clone)]
pub(super) struct File {
    pub url: String,
    pub media_type: String,
    /// In bytes; 0 stands for "not known".
    pub length: u64,
}

#[derive(Clone)]
pub(super) struct Origin {
    pub title: String,
    pub url: Option<String>,
}

impl<'s> Document<'s> {
    pub(super) fn of(snapshot: &'s Snapshot) -> Self {
        let Snapshot { publication, feed, .. } = snapshot;
        let publisher = Publisher {
            name: line(&publication.title).unwrap_or_else(|| publication.base_url.host().to_owned()),
            mail: publication.contact.as_ref().map(ToString::to_string),
            url: uri(&publication.url("/")),
        };
        let title = line(&feed.title).unwrap_or_else(|| publisher.name.clone());
        let language = feed.language.as_ref().unwrap_or(&publication.language);
        let addresses = Addresses::of(snapshot);
        let logo = publication.logo.as_ref().map(|url| uri(url.as_str()));
        Self {
            urn: feed_urn(publication, &feed.selection),
            // RSS demands a description (§ "Required channel elements").
            description: line(&feed.description).unwrap_or_else(|| title.clone()),
            title,
            language,
            page: uri(&publication.url(&feed.place.page_path())),
            formats: &feed.formats,
            image: feed.image.as_ref().map(|url| uri(url.as_str())).or_else(|| logo.clone()),
            logo,
            publisher,
            hubs: if addresses.is_distributed() {
                snapshot.hubs.iter().map(|url| uri(url.as_str())).collect()
            } else {
                Vec::new()
            },
            addresses,
            license: publication.license.as_ref().map(|url| uri(url.as_str())),
            rights: publication.rights.as_deref().and_then(line),
            category: snapshot.category.as_ref().and_then(|category| section(publication, category)),
            changed_at: zoned(snapshot.changed_at, publication.time_zone),
            withdrawn: withdrawn(snapshot),
        }
    }

    /// The same document in the feed's other formats.
    pub(super) fn alternates(&self, format: Format) -> impl Iterator<Item = (Format, String)> {
        let offered = move |other: &Format| *other != format && self.formats.contains(other);
        Format::ALL.into_iter().filter(offered).map(|other| (other, self.addresses.own(other)))
    }
}

impl Entry {
    pub(super) fn of(article: &Article, snapshot: &Snapshot, language: &LanguageTag) -> Self {
        let Snapshot { publication, feed, .. } = snapshot;
        let lead = line(&article.lead());
        let link = uri(&article.link(publication));
        let title = title_of(article, &link);
        Self {
            id: article.id.urn(),
            content: match feed.content {
                FeedContent::Full => full_text(article),
                FeedContent::Summary => None,
            },
            link,
            lead: lead.unwrap_or_else(|| title.clone()),
            title,
            // To the second, the finest that RSS can say and so that all formats can agree on.
            published: zoned(article.published, publication.time_zone).trunc_subsecs(0),
            updated: zoned(article.updated, publication.time_zone),
            authors: article.authors.iter().filter_map(|name| byline(name)).collect(),
            labels: labels(article, publication),
            picture: article.image.as_ref().map(Picture::of),
            files: article
                .enclosures
                .iter()
                .map(|file| File {
                    url: uri(file.url.as_str()),
                    media_type: media_type(&file.media_type),
                    length: file.length,
                })
                .collect(),
            source: article.source.as_ref().and_then(|source| {
                let url = source.url.as_ref().map(|url| uri(url.as_str()));
                line(&source.title).or_else(|| url.clone()).map(|title| Origin { title, url })
            }),
            language: article.language.as_ref().filter(|tag| *tag != language).map(ToString::to_string),
        }
    }

    /// The text for a format that cannot do without one.
    pub(super) fn content_or_lead(&self) -> String {
        match &self.content {
            Some(content) => content.clone(),
            None => format!("<p>{}</p>", escape_html(&self.lead)),
        }
    }
}

impl Picture {
    fn of(image: &Image) -> Self {
        Self {
            url: uri(image.url.as_str()),
            media_type: picture_type(image.url.as_url().path()),
            width: image.width,
            height: image.height,
            caption: image.caption.as_deref().and_then(line),
            credit: image.credit.as_deref().and_then(line),
        }
    }

    /// The picture as it opens a text.
    fn figure(&self) -> String {
        let mut figure = format!(
            r#"<figure><img src="{}" alt="{}""#,
            escape_html(&self.url),
            escape_html(self.caption.as_deref().unwrap_or_default())
        );
        if let (Some(width), Some(height)) = (self.width, self.height) {
            figure.push_str(&format!(r#" width="{width}" height="{height}""#));
        }
        figure.push('>');
        let caption = match (&self.caption, &self.credit) {
            (Some(caption), Some(credit)) if !caption.contains(credit) => {
                Some(format!("{caption} ({credit})"))
            }
            (Some(text), _) | (None, Some(text)) => Some(text.clone()),
            (None, None) => None,
        };
        if let Some(caption) = caption {
            figure.push_str(&format!("<figcaption>{}</figcaption>", escape_html(&caption)));
        }
        figure.push_str("</figure>\n");
        figure
    }
}

/// Each id and instant once (RFC 6721 §3).
fn withdrawn(snapshot: &Snapshot) -> Vec<Withdrawn> {
    let present: HashSet<_> = snapshot.articles.iter().map(|article| article.id).collect();
    let mut said = HashSet::new();
    snapshot
        .tombstones
        .iter()
        .filter(|tombstone| !present.contains(&tombstone.article))
        .map(|tombstone| Withdrawn {
            id: tombstone.article.urn(),
            when: zoned(tombstone.withdrawn_at, snapshot.publication.time_zone),
        })
        .filter(|withdrawn| said.insert(withdrawn.clone()))
        .collect()
}

/// Never empty: readers have nothing else to open an article by.
pub(super) fn title_of(article: &Article, link: &str) -> String {
    line(&article.title)
        .or_else(|| line(&article.lead()).map(|lead| excerpt(&lead, 80)))
        .unwrap_or_else(|| link.to_owned())
}

/// A name as readers see it.
fn byline(name: &str) -> Option<String> {
    line(person(&line(name)?))
}

fn section(publication: &Publication, category: &Category) -> Option<Label> {
    let scheme = page_of(publication, category.slug.clone().into());
    line(&category.title).map(|term| Label { term, scheme: Some(scheme) })
}

fn tag(publication: &Publication, term: String) -> Label {
    let scheme = domain::Label::of(LabelKind::Tag, &term)
        .map(|label| page_of(publication, FeedName::One(Term::Label(label.kind, label.slug))));
    Label { term, scheme }
}

fn page_of(publication: &Publication, name: FeedName) -> String {
    uri(&publication.url(&FeedPlace::Named(name).page_path()))
}

/// Sections first, then tags; a word is said once.
fn labels(article: &Article, publication: &Publication) -> Vec<Label> {
    let mut labels: Vec<Label> =
        article.categories.iter().filter_map(|category| section(publication, category)).collect();
    for term in article.tags.iter().filter_map(|tag| line(tag)) {
        if !labels.iter().any(|label| label.term == term) {
            labels.push(tag(publication, term));
        }
    }
    labels
}

/// RFC 6838 §4.2 in shape; anything else could be anything.
fn media_type(text: &str) -> String {
    let name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let text = text.split(';').next().unwrap_or_default().trim();
    match text.split_once('/') {
        Some((kind, subtype)) if name(kind) && name(subtype) => text.to_ascii_lowercase(),
        _ => "application/octet-stream".to_owned(),
    }
}

/// The type that a picture's path ends in.
fn picture_type(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        "avif" => Some("image/avif"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// What a reader reads who never comes to the site: picture, lead, text. Picture and lead stand
/// there unless the text has them already, since many readers show the text and nothing else.
fn full_text(article: &Article) -> Option<String> {
    let body = scrub(article.body.as_str());
    let picture = article.image.as_ref().map(Picture::of).filter(|picture| !shows(&body, picture));
    if article.body.is_empty() && picture.is_none() {
        return None;
    }
    let mut content = picture.map(|picture| picture.figure()).unwrap_or_default();
    if let Some(lead) = article.summary.as_deref().and_then(line)
        && !article.body.says(&lead)
    {
        content.push_str(&format!("<p><strong>{}</strong></p>\n", escape_html(&lead)));
    }
    content.push_str(&body);
    Some(content)
}

fn shows(body: &str, picture: &Picture) -> bool {
    body.contains(&picture.url) || body.contains(&escape_html(&picture.url))
}
