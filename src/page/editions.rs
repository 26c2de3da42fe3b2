use super::article::Card;
use super::{Desk, FeedLink};
use crate::domain::{Article, EditionId, FeedPlace, Format, Instant, micros};
use crate::wording::TemplateFault;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// An edition in the list of those that were mailed.
#[derive(Clone, Debug, PartialEq)]
pub struct EditionLink {
    /// Its number, which names its page.
    pub id: EditionId,
    /// The digest's name for people.
    pub title: String,
    /// For which instant it was planned.
    pub slot: Instant,
    /// How many articles are in it.
    pub articles: u64,
}

#[derive(Serialize)]
struct Row {
    path: String,
    title: String,
    slot: i64,
    articles: u64,
}

/// The feed of the editions, as pages lead to it.
fn own_feed(desk: &Desk<'_>) -> FeedLink {
    FeedLink {
        title: desk.templates.text(desk.language, "page.editions.title", &[]),
        place: FeedPlace::Editions,
        description: String::new(),
        formats: Format::ALL.to_vec(),
    }
}

/// `/editions`: the digests that were mailed, the newest first. `older` is the number below which
/// there are more.
pub fn editions(
    desk: &Desk<'_>,
    editions: &[EditionLink],
    older: Option<EditionId>,
) -> Result<String, TemplateFault> {
    let rows: Vec<Row> = editions
        .iter()
        .map(|edition| Row {
            path: format!("/editions/{}", edition.id),
            title: edition.title.clone(),
            slot: micros(edition.slot),
            articles: edition.articles,
        })
        .collect();
    let feed = own_feed(desk);
    let canonical = desk.publication.url("/editions");
    let older = older.map(|id| id.0);
    let content = context! { canonical, older, feed => Serde(feed.listed(desk)), editions => Serde(rows) };
    desk.render("page/editions.html", content)
}

/// A heading of an edition and what stands below it.
#[derive(Clone, Debug)]
pub struct EditionSection<'a> {
    /// Its name for people.
    pub title: String,
    /// Its page.
    pub page_url: String,
    /// What is in it.
    pub articles: Vec<&'a Article>,
}

#[derive(Serialize)]
struct SectionRow {
    title: String,
    page_url: String,
    articles: Vec<Card>,
}

/// `/editions/{id}`: what a digest brought, for everybody, below the editor's words.
pub fn edition(
    desk: &Desk<'_>,
    edition: &EditionLink,
    lead: &[&str],
    sections: &[EditionSection<'_>],
) -> Result<String, TemplateFault> {
    let rows: Vec<SectionRow> = sections
        .iter()
        .map(|section| SectionRow {
            title: section.title.clone(),
            page_url: section.page_url.clone(),
            articles: section.articles.iter().map(|article| Card::of(desk, article)).collect(),
        })
        .collect();
    let feed = own_feed(desk);
    let content = context! {
        canonical => desk.publication.url(&format!("/editions/{}", edition.id)),
        title => edition.title.as_str(),
        slot => micros(edition.slot),
        total => edition.articles,
        lead => Serde(lead),
        feed => Serde(feed.listed(desk)),
        sections => Serde(rows),
    };
    desk.render("page/edition.html", content)
}
