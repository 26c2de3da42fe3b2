use super::AppState;
use super::answer::Problem;
use super::visitor::Visitor;
use crate::app::App;
use crate::domain::{FeedDefinition, Format, Language, OldAddress, OldPath};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// As long as a feed is kept: who renames a section back is not contradicted for days by caches,
/// which keep a 301 without a date as long as they like (RFC 9111 §4.2.2).
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The first parts of the paths that are this program's own: an alias below one is never asked for.
pub const OWN_PATHS: [&str; 24] = [
    "",
    "api",
    "articles",
    "confirm",
    "editions",
    "editions.atom",
    "editions.json",
    "editions.rss",
    "healthz",
    "hooks",
    "mailbox",
    "metrics",
    "my",
    "opml",
    "preferences",
    "readyz",
    "robots.txt",
    "sitemap-news.xml",
    "sitemap-pages.xml",
    "sitemap.xml",
    "style.css",
    "subscribe",
    "unsubscribe",
    "websub",
];

/// The feed's document has another address now: the same format, or the first that the feed has.
pub fn moved_document(app: &App, feed: &FeedDefinition, format: Format) -> Response {
    let first = feed.formats.first().copied();
    match feed.formats.iter().copied().find(|own| *own == format).or(first) {
        Some(format) => moved_to(app, &feed.place.document_path(format)),
        None => moved_page(app, feed),
    }
}

/// The feed's page for people has another address now.
pub fn moved_page(app: &App, feed: &FeedDefinition) -> Response {
    moved_to(app, &feed.place.page_path())
}

/// What became of a path of an old system, if it was a feed's or a page's there. Its query went
/// with that system.
pub fn old_path(app: &AppState, visitor: &Visitor, path: &str) -> Response {
    match app.representations.directory().old_path(path) {
        Some(OldPath::Moved { feed, format: Some(format) }) => moved_document(app, feed, format),
        Some(OldPath::Moved { feed, format: None }) => moved_page(app, feed),
        Some(OldPath::Retired) if OldAddress::of(path).format().is_some() => gone(app),
        Some(OldPath::Retired) => Problem::Ended.page(app, visitor),
        None => Problem::NotFound.page(app, visitor),
    }
}

/// It is found at this path from now on.
pub fn moved_to(app: &App, path: &str) -> Response {
    let location = format!("{}{path}", app.root());
    let Ok(location) = HeaderValue::from_str(&location) else { return gone(app) };
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, CACHE_CONTROL)];
    (StatusCode::MOVED_PERMANENTLY, headers).into_response()
}

/// The feed has ended for good (RFC 9110 §15.5.11): feed readers stop asking. Nobody knows which
/// language theirs speaks, so it is told in all.
pub fn gone(app: &App) -> Response {
    let words = Language::ALL.map(|language| app.templates.text(language, "feed.ended", &[]));
    let told = format!("410: {}\n", words.join(" / "));
    (StatusCode::GONE, [(header::CACHE_CONTROL, CACHE_CONTROL)], told).into_response()
}
