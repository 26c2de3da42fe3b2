//! Floor 4, the door for HTTP: routes, caching answers, pages and forms.
//!
//! No GET changes anything. Feeds are copied from `representations`; other reads go door → store
//! → maker; every write goes through a workflow.

mod answer;
mod api;
mod choosing;
mod deltas;
mod editions;
pub mod express;
mod feeds;
mod forms;
mod health;
mod hooks;
mod hub_callbacks;
mod leaving;
mod limiter;
mod mail_gauges;
mod mailbox;
mod moved;
mod opened;
mod pace_gauges;
mod pages;
pub mod pictures;
mod preferences;
mod readers;
mod reports;
mod sitemaps;
mod source_gauges;
mod visitor;
mod websub;

pub use choosing::{VolumeShelf, volume_shelf};
pub use health::Health;
pub use limiter::Limiter;
pub use moved::OWN_PATHS;
pub use pages::{PageShelf, shelf};
pub use readers::seal;
pub use sitemaps::ListingShelf;

use crate::app::App;
use crate::page::CONTENT_POLICY;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::{Duration, Instant as StopWatch};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// What handlers share.
pub type AppState = Arc<App>;

/// The largest form: an address and a few hundred category names.
const MAX_BODY: usize = 64 * 1024;
/// How long an answer may take before the client is told to come again.
const PATIENCE: Duration = Duration::from_secs(30);

/// All routes.
pub fn router(app: AppState) -> Router {
    Router::new()
        .route("/", get(pages::home))
        .route("/feeds/{name}", get(feeds::feed_or_page))
        .route("/feeds/{name}/archive/{page}", get(feeds::archive))
        .route("/my/{name}", get(feeds::private))
        .route("/articles/{id}", get(pages::article))
        .route("/opml", get(sitemaps::listing))
        .route("/sitemap.xml", get(sitemaps::listing))
        .route("/sitemap-news.xml", get(sitemaps::listing))
        .route("/sitemap-pages.xml", get(sitemaps::listing))
        .route("/robots.txt", get(sitemaps::robots))
        // `/sitemap-articles-{n}.xml`: the router knows no endings.
        .route("/{file}", get(sitemaps::listing).fallback(pages::nowhere))
        .route("/style.css", get(pages::style))
        .route("/subscribe", get(readers::subscribe_form).post(readers::subscribe))
        .route("/confirm/{token}", get(readers::confirm_ask).post(readers::confirm))
        .route("/unsubscribe/{token}", get(leaving::ask).post(leaving::leave))
        .route("/preferences/{token}", get(preferences::show).post(preferences::change))
        .route("/editions", get(editions::list))
        .route("/editions.rss", get(editions::document))
        .route("/editions.atom", get(editions::document))
        .route("/editions.json", get(editions::document))
        .route("/editions/{id}", get(editions::public))
        .route("/editions/{id}/{token}", get(readers::edition))
        .route("/editions/{id}/{token}/opened.gif", get(opened::picture))
        .route("/mailbox", get(mailbox::letters))
        .route("/mailbox/{name}", get(mailbox::letter))
        .route("/mailbox/{name}/source", get(mailbox::source))
        .route("/websub", get(websub::explain).post(websub::ask))
        .route(
            "/hooks/bounces/{provider}/{key}",
            post(reports::take).layer(DefaultBodyLimit::max(reports::MAX_NOTICE)),
        )
        .route("/api", get(api::reference::show))
        .route("/api/openapi.json", get(api::document::serve))
        .route("/api/article.schema.json", get(api::document::article_schema))
        .merge(api::routes(&app))
        .route("/hooks/articles/{name}", post(hooks::signed).layer(DefaultBodyLimit::max(hooks::MAX_POST)))
        .route(
            "/hooks/articles/{name}/{key}",
            post(hooks::keyed).layer(DefaultBodyLimit::max(hooks::MAX_POST)),
        )
        .route(
            "/hooks/websub/{name}/{key}",
            get(hub_callbacks::verify)
                .post(hub_callbacks::push)
                .layer(DefaultBodyLimit::max(hub_callbacks::MAX_PUSH)),
        )
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(pages::nowhere)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::clone(&app), count))
        .layer(from_fn(guard))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(CatchPanicLayer::new())
        .with_state(app)
}

/// The headers that every answer with a body carries.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    put_guards(&mut response);
    response
}

/// What a browser may do with an answer: with a page what it is made for, with data nothing at all. Not said on
/// a 304: it renews what a client has, headers included (RFC 9110 §15.4.5), and most answers are one.
fn put_guards(response: &mut Response) {
    if response.status() == StatusCode::NOT_MODIFIED {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let is_data =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| !kind.as_bytes().starts_with(b"text/html"));
    let policy = if is_data {
        "default-src 'none'"
    } else {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        CONTENT_POLICY
    };
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
}

/// Counts the answers by kind of route and status.
async fn count(
    axum::extract::State(app): axum::extract::State<AppState>,
    matched: Option<axum::extract::MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = StopWatch::now();
    let route = matched.map_or_else(|| "none".to_owned(), |m| m.as_str().to_owned());
    let response = next.run(request).await;
    app.health.answered(&route, response.status().as_u16(), started.elapsed());
    response
}
