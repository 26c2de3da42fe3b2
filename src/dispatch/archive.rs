//! The editions that everybody may read, and their feed.

use super::letter::{Desk, sections};
use crate::domain::{
    Article, ArticleId, ArticleState, EditionId, FeedContent, FeedDefinition, FeedPlace, Format, Lead,
    PushContent, SafeHtml, Selection, Slug, WebUrl, escape_html,
};
use crate::feed::{Part, RenderError, Snapshot, render};
use crate::mail::Section;
use crate::store::{PublicEdition, Store, StoreError};
use crate::wording::full_date;
use uuid::Uuid;

/// How many editions the feed shows: three weeks of a daily digest.
const WINDOW: usize = 20;

/// Why the feed of the editions was not made.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Later may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl Desk {
    /// The digests whose editions everybody may read.
    fn archived(&self) -> Vec<Slug> {
        self.digests.iter().filter(|digest| digest.archive).map(|digest| digest.slug.clone()).collect()
    }

    /// A digest's name for people.
    pub fn digest_title(&self, slug: &Slug) -> String {
        self.digest(slug).map_or_else(|| slug.to_string(), |digest| digest.title.clone())
    }
}

/// The newest public editions below a number, at most `limit`.
pub async fn public_editions(
    store: &Store,
    desk: &Desk,
    before: Option<EditionId>,
    limit: usize,
) -> Result<Vec<PublicEdition>, StoreError> {
    store.public_editions(&desk.archived(), before, limit).await
}

/// A public edition, whole.
#[derive(Clone, Debug)]
pub struct PublicIssue {
    /// Which.
    pub edition: PublicEdition,
    /// What the editor says above the articles.
    pub lead: Option<Lead>,
    /// The articles, in the editor's order.
    pub articles: Vec<Article>,
    /// Those that the editor put first.
    pub placed: Vec<ArticleId>,
}

/// One public edition with its articles; `None`: there is none of this number.
pub async fn public_edition(
    store: &Store,
    desk: &Desk,
    id: EditionId,
) -> Result<Option<PublicIssue>, StoreError> {
    let after = Some(EditionId(id.0.saturating_add(1)));
    let newest = public_editions(store, desk, after, 1).await?;
    match newest.into_iter().next().filter(|edition| edition.id == id) {
        Some(edition) => Ok(Some(issue(store, edition).await?)),
        None => Ok(None),
    }
}

async fn issue(store: &Store, edition: PublicEdition) -> Result<PublicIssue, StoreError> {
    let articles = store.public_edition(edition.id).await?;
    let whole = store.edition(edition.id).await?;
    let (lead, placed) = whole.map(|whole| (whole.lead, whole.placed)).unwrap_or_default();
    Ok(PublicIssue { edition, lead, articles, placed })
}

/// An edition's articles below their sections.
pub fn in_sections<'a>(desk: &Desk, issue: &'a PublicIssue) -> Vec<Section<'a>> {
    sections(desk, &issue.articles, &issue.placed)
}

/// The feed of the editions: an entry each, which lists its headlines.
pub fn editions_feed(desk: &Desk) -> FeedDefinition {
    let language = desk.publication.language.spoken();
    let say = |key| desk.templates.text(language, key, &[("publication", &desk.publication.title)]);
    FeedDefinition {
        // Of no kept feed: its entries are editions.
        selection: Selection::Union(Vec::new()),
        place: FeedPlace::Editions,
        title: format!("{} – {}", say("page.editions.title"), desk.publication.title),
        description: say("page.editions.intro"),
        window: WINDOW,
        content: FeedContent::Full,
        formats: Format::ALL.to_vec(),
        language: None,
        image: None,
        push: PushContent::Full,
    }
}

/// The bytes of that feed in a format.
pub async fn editions_document(store: &Store, desk: &Desk, format: Format) -> Result<Vec<u8>, ArchiveError> {
    let editions = public_editions(store, desk, None, WINDOW).await?;
    let mut entries = Vec::with_capacity(editions.len());
    let changed_at = editions.iter().map(|edition| edition.cut_at).max().unwrap_or_default();
    for edition in editions {
        entries.push(entry(desk, &issue(store, edition).await?));
    }
    let snapshot = Snapshot {
        publication: desk.publication.clone(),
        feed: editions_feed(desk),
        category: None,
        changed_at,
        articles: entries,
        tombstones: Vec::new(),
        part: Part::Subscription { archives: 0 },
        hubs: Vec::new(),
    };
    Ok(render(&snapshot, format)?)
}

/// An edition as an entry.
fn entry(desk: &Desk, issue: &PublicIssue) -> Article {
    let PublicIssue { edition, lead, articles, .. } = issue;
    let publication = &desk.publication;
    let mut html = String::new();
    for paragraph in lead.iter().flat_map(Lead::paragraphs) {
        html.push_str(&format!("<p>{}</p>\n", escape_html(paragraph)));
    }
    for section in in_sections(desk, issue) {
        html.push_str(&format!("<h2>{}</h2>\n<ul>\n", escape_html(&section.title)));
        for article in section.articles {
            let (link, title) = (escape_html(&article.link(publication)), escape_html(&article.title));
            html.push_str(&format!("<li><a href=\"{link}\">{title}</a></li>\n"));
        }
        html.push_str("</ul>\n");
    }
    let date = full_date(edition.slot.0, publication.time_zone, publication.language.spoken());
    let headlines: Vec<&str> = articles.iter().take(5).map(|article| article.title.as_str()).collect();
    Article {
        id: ArticleId::new(Uuid::new_v5(&publication.id, format!("edition:{}", edition.id).as_bytes())),
        state: ArticleState::Visible,
        revision: 1,
        title: format!("{}: {date}", desk.digest_title(&edition.digest)),
        summary: Some(headlines.join(" · ")),
        body: SafeHtml::clean(&html, None),
        url: WebUrl::parse(&publication.url(&format!("/editions/{}", edition.id))).ok(),
        categories: Vec::new(),
        tags: Vec::new(),
        authors: Vec::new(),
        published: edition.slot.0.min(edition.cut_at),
        updated: edition.cut_at,
        image: None,
        enclosures: Vec::new(),
        source: None,
        language: None,
    }
}
