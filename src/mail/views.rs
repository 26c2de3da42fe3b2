//! What the templates see: plain text, cut to a length that people read, links that can be followed.

use super::{Letterhead, Section};
use crate::domain::{
    Article, Image, Instant, Language, LanguageTag, Publication, WebUrl, clean_line, excerpt, micros,
};
use chrono_tz::Tz;
use serde::Serialize;

const TITLE_CHARS: usize = 300;
const LEAD_CHARS: usize = 300;
const BYLINE_CHARS: usize = 120;
const ALT_CHARS: usize = 160;
/// Browsers and mail programs follow no more, and one address must not eat the 100 kB.
const URL_BYTES: usize = 2_000;
/// The column of the sheet, less its margins, in CSS pixels.
const PICTURE_WIDTH: u32 = 552;
/// The small picture beside a headline.
const THUMB_WIDTH: u32 = 96;
/// A picture known to be smaller on either side is a counter or an ornament, and one known to be
/// more than three times as long as broad would be a stripe.
const LEAST_SIDE: u32 = THUMB_WIDTH;
const STRIPE: u64 = 3;
/// What a template's date filters can write; nobody prints an earlier or later year.
const YEARS: (i64, i64) = (-62_135_596_800_000_000, 253_402_214_400_000_000);

/// The newspaper, as every mail shows it.
#[derive(Serialize)]
pub(super) struct PublicationView {
    pub(super) title: String,
    pub(super) url: String,
    pub(super) contact: Option<ContactView>,
}

/// Whom readers write to.
#[derive(Serialize)]
pub(super) struct ContactView {
    pub(super) address: String,
    pub(super) link: String,
}

/// What stands around every mail's own content.
#[derive(Serialize)]
pub(super) struct Frame {
    /// Which language `t` speaks.
    pub(super) lang: &'static str,
    /// In which zone the date filters write.
    pub(super) zone: &'static str,
    pub(super) publication: PublicationView,
    /// Whom it goes to.
    pub(super) address: String,
    /// The finished subject line; empty while the subject itself is filled in.
    pub(super) subject: String,
}

impl Frame {
    pub(super) fn new(head: &Letterhead<'_>, language: Language, zone: Tz, address: &str) -> Self {
        let publication = head.publication;
        Self {
            lang: language.code(),
            zone: zone.name(),
            publication: PublicationView {
                title: excerpt(&publication.title, 120),
                url: publication.url("/"),
                contact: publication.contact.as_ref().map(|address| ContactView {
                    address: address.to_string(),
                    link: super::headers::mailto(address),
                }),
            },
            address: address.to_owned(),
            subject: String::new(),
        }
    }
}

/// One article as a template shows it.
#[derive(Clone, Serialize)]
pub(super) struct ArticleView {
    pub(super) title: String,
    pub(super) link: String,
    pub(super) lead: Option<String>,
    pub(super) byline: Option<String>,
    pub(super) published: i64,
    pub(super) image: Option<ImageView>,
    /// Its language, where that is not the mail's: screen readers change their voice.
    pub(super) language: Option<String>,
}

/// A picture in two sizes; heights keep the proportions and are absent where they are not known.
#[derive(Clone, Serialize)]
pub(super) struct ImageView {
    pub(super) url: String,
    pub(super) alt: String,
    pub(super) width: u32,
    pub(super) height: Option<u32>,
    pub(super) thumb_width: u32,
    pub(super) thumb_height: Option<u32>,
}

/// A section with the articles that are shown.
#[derive(Serialize)]
pub(super) struct SectionView {
    pub(super) title: String,
    pub(super) page_url: String,
    pub(super) language: Option<String>,
    pub(super) articles: Vec<ArticleView>,
    /// How many of its articles are not shown.
    pub(super) more: usize,
}

impl ArticleView {
    pub(super) fn of(article: &Article, publication: &Publication, language: Language) -> Self {
        let title = excerpt(&article.title, TITLE_CHARS);
        let lead = excerpt(&article.lead(), LEAD_CHARS);
        let source = article.source.as_ref().map(|source| clean_line(&source.title));
        let byline: Vec<String> = article.authors.iter().map(|a| clean_line(a)).chain(source).collect();
        let byline: Vec<&str> = byline.iter().map(String::as_str).filter(|b| !b.is_empty()).collect();
        let byline = excerpt(&byline.join(", "), BYLINE_CHARS);
        let mut link = article.link(publication);
        if link.len() > URL_BYTES {
            link = publication.url(&format!("/articles/{}", article.id));
        }
        Self {
            // A headline of nothing but invisible characters still needs something to click on.
            title: if title.is_empty() { link.clone() } else { title },
            link,
            lead: (!lead.is_empty()).then_some(lead),
            byline: (!byline.is_empty()).then_some(byline),
            published: written(article.published),
            image: article.image.as_ref().and_then(ImageView::of),
            language: foreign(article.language.as_ref().unwrap_or(&publication.language), language),
        }
    }
}

impl ImageView {
    fn of(image: &Image) -> Option<Self> {
        let (natural, tall) = (image.width.filter(|w| *w > 0), image.height.filter(|h| *h > 0));
        if image.url.as_str().len() > URL_BYTES
            || [natural, tall].into_iter().flatten().any(|s| s < LEAST_SIDE)
        {
            return None;
        }
        if let (Some(w), Some(h)) = (natural.map(u64::from), tall.map(u64::from))
            && w.max(h) > w.min(h) * STRIPE
        {
            return None;
        }
        let width = natural.unwrap_or(PICTURE_WIDTH).min(PICTURE_WIDTH);
        let thumb_width = width.min(THUMB_WIDTH);
        let height = |shown: u32| {
            let (w, h) = (u64::from(natural?), u64::from(tall?));
            u32::try_from((h * u64::from(shown)).div_ceil(w)).ok()
        };
        let alt: Vec<String> = [&image.caption, &image.credit]
            .into_iter()
            .flatten()
            .map(|text| excerpt(text, ALT_CHARS))
            .filter(|text| !text.is_empty())
            .collect();
        Some(Self {
            url: image.url.to_string(),
            alt: alt.join(" – "),
            width,
            height: height(width),
            thumb_width,
            thumb_height: height(thumb_width),
        })
    }
}

impl SectionView {
    /// The section without its articles.
    pub(super) fn of(section: &Section<'_>, publication: &Publication, language: Language) -> Self {
        Self {
            title: excerpt(&section.title, BYLINE_CHARS),
            page_url: section.page_url.clone(),
            language: foreign(&publication.language, language),
            articles: Vec::new(),
            more: 0,
        }
    }
}

/// An instant as templates take it.
pub(super) fn written(instant: Instant) -> i64 {
    micros(instant).clamp(YEARS.0, YEARS.1)
}

/// A text's language, where it is not the mail's.
pub(super) fn foreign(tag: &LanguageTag, language: Language) -> Option<String> {
    let same = tag.as_str().split('-').next().is_some_and(|p| p.eq_ignore_ascii_case(language.code()));
    (!same).then(|| tag.to_string())
}

/// Undoes the one escape of minijinja that HTML does not need and that costs 5 bytes a slash;
/// spam filters also dislike addresses that hide their slashes. A `&#x2f;` typed by a writer
/// stands there as `&amp;#x2f;` and is left alone.
pub(super) fn bare_slashes(html: &str) -> String {
    html.replace("&#x2f;", "/")
}

/// Whether a section's own page can be linked to.
pub(super) fn is_web(link: &str) -> bool {
    link.len() <= URL_BYTES && WebUrl::parse(link).is_ok()
}
