//! The public archive of editions: a list, a page each, and their feed.

use super::AppState;
use super::answer::{Cacheable, Problem, page_validators};
use super::feeds::{CACHE_CONTROL, to_the_page};
use super::visitor::Visitor;
use crate::dispatch::{editions_document, editions_feed, in_sections, public_edition, public_editions};
use crate::domain::{EditionId, Format};
use crate::page::{self, EditionLink, EditionSection};
use crate::store::PublicEdition;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::Response;

/// How many editions the list shows at once: a month of a daily digest.
const LISTED: usize = 30;
/// A withdrawal takes an article out of every edition, so nobody keeps one for long.
const PAGE_CACHE_CONTROL: &str = "public, max-age=60";
const VARY: &str = "Accept-Language, Accept-Encoding";

fn link(app: &AppState, edition: &PublicEdition) -> EditionLink {
    EditionLink {
        id: edition.id,
        title: app.desk.digest_title(&edition.digest),
        slot: edition.slot.0,
        articles: edition.articles,
    }
}

/// `GET /editions`
pub async fn list(State(app): State<AppState>, visitor: Visitor) -> Response {
    let made = async {
        let before = visitor.asked("before").and_then(|number| number.parse().ok()).map(EditionId);
        let found = public_editions(&app.store, &app.desk, before, LISTED + 1).await?;
        let older = found.get(LISTED).and_then(|_| found.get(LISTED - 1)).map(|last| last.id);
        let links: Vec<EditionLink> = found.iter().take(LISTED).map(|edition| link(&app, edition)).collect();
        Ok::<_, Problem>(page::editions(&visitor.desk(&app), &links, older)?)
    };
    answered(&app, &visitor, made.await)
}

/// `GET /editions/{id}`: an edition without anybody's own links.
pub async fn public(State(app): State<AppState>, Path(id): Path<String>, visitor: Visitor) -> Response {
    let made = async {
        let id = id.parse().map(EditionId).map_err(|_| Problem::NotFound)?;
        let found = public_edition(&app.store, &app.desk, id).await?;
        let issue = found.ok_or(Problem::NotFound)?;
        let sections: Vec<EditionSection<'_>> = in_sections(&app.desk, &issue)
            .into_iter()
            .map(|section| EditionSection {
                title: section.title,
                page_url: section.page_url,
                articles: section.articles,
            })
            .collect();
        let lead: Vec<&str> = issue.lead.iter().flat_map(|lead| lead.paragraphs()).collect();
        let link = link(&app, &issue.edition);
        Ok::<_, Problem>(page::edition(&visitor.desk(&app), &link, &lead, &sections)?)
    };
    answered(&app, &visitor, made.await)
}

fn answered(app: &AppState, visitor: &Visitor, made: Result<String, Problem>) -> Response {
    match made {
        Ok(html) => told(app, visitor, html.into(), "text/html; charset=utf-8", PAGE_CACHE_CONTROL),
        Err(problem) => problem.page(app, visitor),
    }
}

/// `GET /editions.rss`, `.atom`, `.json`
pub async fn document(State(app): State<AppState>, uri: Uri, visitor: Visitor) -> Response {
    let ending = uri.path().rsplit_once('.').and_then(|(_, ending)| Format::of_extension(ending));
    let Some(format) = ending else { return Problem::NotFound.page(&app, &visitor) };
    if visitor.navigates() && !visitor.asks_for("raw") {
        return to_the_page(&app, &editions_feed(&app.desk));
    }
    match editions_document(&app.store, &app.desk, format).await {
        Ok(bytes) => told(&app, &visitor, bytes.into(), format.content_type(), CACHE_CONTROL),
        Err(error) => Problem::from(error).page(&app, &visitor),
    }
}

/// By its tag alone: a withdrawal changes the bytes and leaves no date.
fn told(
    app: &AppState,
    visitor: &Visitor,
    bytes: Bytes,
    content_type: &'static str,
    cache_control: &'static str,
) -> Response {
    let mut request = visitor.headers.clone();
    request.remove(header::IF_MODIFIED_SINCE);
    let made = Cacheable {
        validators: page_validators(&bytes, app.started_at),
        bytes,
        content_type,
        coding: None,
        cache_control,
        vary: VARY,
        link: None,
    };
    let mut answer = made.answer(&request, app.clock.now());
    answer.headers_mut().remove(header::LAST_MODIFIED);
    answer
}
