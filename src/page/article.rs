use super::Desk;
use crate::domain::{Article, FeedName, FeedPlace, Image, Label, LabelKind, Term, excerpt, micros, person};
use crate::wording::TemplateFault;
use serde::Serialize;

/// How much of a lead a list shows.
const LEAD_CHARS: usize = 240;

/// An article as it stands in a list.
#[derive(Serialize)]
pub(super) struct Card {
    title: String,
    href: String,
    lead: String,
    published: i64,
    /// Its language, where it is not that of the page.
    language: Option<String>,
    sections: Vec<Section>,
    picture: Option<Picture>,
}

#[derive(Serialize)]
struct Section {
    title: String,
    slug: String,
}

#[derive(Serialize)]
struct Picture {
    src: String,
    width: u32,
    height: u32,
    caption: String,
    credit: String,
}

impl Picture {
    /// Without its measures a picture gets a place of 3:2, which the browser corrects once it is
    /// there; with none at all the text would jump.
    fn of(image: &Image) -> Self {
        let (width, height) = match (image.width, image.height) {
            (Some(width @ 1..), Some(height @ 1..)) => (width, height),
            _ => (1200, 800),
        };
        Self {
            src: image.url.as_str().to_owned(),
            width,
            height,
            caption: image.caption.clone().unwrap_or_default(),
            credit: image.credit.clone().unwrap_or_default(),
        }
    }
}

impl Card {
    pub(super) fn of(desk: &Desk<'_>, article: &Article) -> Self {
        let href = match &article.url {
            Some(url) => url.as_str().to_owned(),
            None => format!("{}/articles/{}", desk.root(), article.id),
        };
        let language = article.language.as_ref().unwrap_or(&desk.publication.language);
        Self {
            title: article.title.clone(),
            href,
            lead: excerpt(&article.lead(), LEAD_CHARS),
            published: micros(article.published),
            language: (language.as_str() != desk.language.code()).then(|| language.to_string()),
            sections: article
                .categories
                .iter()
                .map(|c| Section { title: c.title.clone(), slug: c.slug.to_string() })
                .collect(),
            picture: article.image.as_ref().map(Picture::of),
        }
    }
}

#[derive(Serialize)]
struct Whole {
    article: Card,
    id: String,
    canonical: String,
    summary: String,
    /// Cleaned when it came in, so it is not escaped again.
    body: String,
    authors: Vec<Gathered>,
    tags: Vec<Gathered>,
    updated: Option<i64>,
    source: Option<(String, Option<String>)>,
    files: Vec<File>,
}

/// A tag or byline, and the page of its feed.
#[derive(Serialize)]
struct Gathered {
    title: String,
    path: Option<String>,
}

impl Gathered {
    fn of(kind: LabelKind, title: &str) -> Self {
        let place = |label: Label| FeedPlace::Named(FeedName::One(Term::Label(kind, label.slug)));
        let path = Label::of(kind, title).map(|label| place(label).page_path());
        Self { title: title.to_owned(), path }
    }
}

#[derive(Serialize)]
struct File {
    href: String,
    name: String,
    media_type: String,
}

/// `/articles/{id}`: an article that has no address of its own.
pub fn article(desk: &Desk<'_>, article: &Article) -> Result<String, TemplateFault> {
    let mut card = Card::of(desk, article);
    // Where the text shows the picture itself, once is enough.
    if card.picture.as_ref().is_some_and(|p| article.body.as_str().contains(&p.src.replace('&', "&amp;"))) {
        card.picture = None;
    }
    let whole = Whole {
        article: card,
        id: article.id.to_string(),
        canonical: desk.publication.url(&format!("/articles/{}", article.id)),
        summary: article.summary.clone().filter(|lead| !article.body.says(lead)).unwrap_or_default(),
        body: below_our_headline(article.body.as_str()),
        authors: article.authors.iter().map(|name| Gathered::of(LabelKind::Author, person(name))).collect(),
        tags: article.tags.iter().map(|tag| Gathered::of(LabelKind::Tag, tag)).collect(),
        updated: (article.updated > article.published).then(|| micros(article.updated)),
        source: article
            .source
            .as_ref()
            .map(|s| (s.title.clone(), s.url.as_ref().map(|url| url.as_str().to_owned()))),
        files: article
            .enclosures
            .iter()
            .map(|e| File {
                href: e.url.as_str().to_owned(),
                name: e.url.as_url().path().rsplit('/').next().unwrap_or_default().to_owned(),
                media_type: e.media_type.clone(),
            })
            .collect(),
    };
    desk.render("page/article.html", whole)
}

/// A page has one headline, pictures below the fold can wait, and one without words for those who
/// cannot see it is passed over in silence. The markup was written by ammonia: tags in lower case,
/// quotes and angle brackets escaped inside attributes.
fn below_our_headline(html: &str) -> String {
    let html = html.replace("<h1", "<h2").replace("</h1>", "</h2>").replace("<img>", "");
    let mut shown = String::with_capacity(html.len() + 64);
    let mut parts = html.split("<img ");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        shown.push_str("<img loading=lazy ");
        let tag = part.split('>').next().unwrap_or_default();
        if !format!(" {tag}").contains(" alt=\"") {
            shown.push_str("alt=\"\" ");
        }
        shown.push_str(part);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_fits_below_our_headline() {
        assert_eq!(
            below_our_headline(r#"<h1>A</h1><img><img src="a"><img alt="b" src="c"> x alt="y""#),
            r#"<h2>A</h2><img loading=lazy alt="" src="a"><img loading=lazy alt="b" src="c"> x alt="y""#
        );
    }
}
