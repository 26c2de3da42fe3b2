use super::answer::{Cacheable, Problem, page_validators};
use super::limiter::{Fetch, refusal};
use super::visitor::Visitor;
use super::{AppState, pages};
use crate::domain::{FeedDefinition, Format, Slug};
use crate::feed::{feed_path, opml, page_path};
use crate::representations::{Coding, Representation};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Five minutes: longer hurts readers (NetNewsWire#4478), shorter makes polling dear. Caches may
/// serve the old bytes while they fetch the new ones (RFC 5861).
const CACHE_CONTROL: &str = "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400";
/// A browser that navigates gets the page for people, so the answer depends on that too.
const VARY: &str = "Accept-Encoding, Sec-Fetch-Dest";

/// `/feeds/{slug}.rss` is the feed, `/feeds/{slug}` its page for people.
pub async fn feed_or_page(
    State(app): State<AppState>,
    Path(name): Path<String>,
    method: Method,
    visitor: Visitor,
) -> Response {
    let split = name.rsplit_once('.').and_then(|(slug, ending)| Some((slug, Format::of_extension(ending)?)));
    let Some((slug, format)) = split else {
        return pages::feed(&app, &name, &visitor).await;
    };
    let directory = app.representations.directory();
    let found = Slug::parse(slug).ok().and_then(|slug| directory.by_slug(&slug));
    let Some(feed) = found.filter(|feed| feed.formats.contains(&format)) else {
        return (StatusCode::NOT_FOUND, "404: there is no such feed; / lists all feeds\n").into_response();
    };
    if visitor.navigates() && !visitor.asks_for("raw") {
        return to_the_page(feed);
    }
    serve(&app, feed, format, &method, &visitor).await
}

async fn serve(
    app: &AppState,
    feed: &FeedDefinition,
    format: Format,
    method: &Method,
    visitor: &Visitor,
) -> Response {
    let coding = Coding::negotiate(visitor.header("accept-encoding"));
    match app.representations.get(feed, format).await {
        Ok(made) => {
            let now = app.clock.now();
            let answer = cacheable(&made, format, coding).answer(&visitor.headers, now);
            if answer.status() == StatusCode::OK && *method == Method::GET {
                let fetch = Fetch::of(visitor.is_conditional(), !visitor.query.is_empty());
                let client = visitor.address(&app.trusted_proxies);
                if let Err(wait) = app.limiter.take(client, &feed_path(&feed.slug, format), fetch, now) {
                    return refusal(wait);
                }
            }
            answer
        }
        Err(error) => {
            let path = feed_path(&feed.slug, format);
            tracing::error!(feed.slug = %feed.slug, path, %error, "feed not rendered");
            let retry = [(header::RETRY_AFTER, HeaderValue::from_static("60"))];
            (StatusCode::SERVICE_UNAVAILABLE, retry, "503: the feed cannot be made now\n").into_response()
        }
    }
}

/// A feed's document in a coding, with everything that is told of it.
pub fn cacheable(made: &Representation, format: Format, coding: Coding) -> Cacheable {
    Cacheable {
        bytes: made.coded(coding).bytes.clone(),
        content_type: format.content_type(),
        coding: coding.name(),
        cache_control: CACHE_CONTROL,
        vary: VARY,
        validators: made.validators(coding),
    }
}

/// Sends a person from the raw feed to the page that explains it. Never kept by a cache, so no
/// feed reader is ever sent there.
fn to_the_page(feed: &FeedDefinition) -> Response {
    let location = page_path(&feed.slug);
    let headers = [
        (header::LOCATION, HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static(VARY)),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// All feeds as one subscription list.
pub async fn opml(State(app): State<AppState>, visitor: Visitor) -> Response {
    let directory = app.representations.directory();
    let changed_at = match app.store.feed_states().await {
        Ok(states) => states.iter().map(|state| state.changed_at).max().unwrap_or_default(),
        Err(error) => {
            return Problem::from(error).page(&app, &visitor);
        }
    };
    match opml::render(&app.publication, directory.feeds(), changed_at) {
        Ok(bytes) => Cacheable {
            validators: page_validators(&bytes, changed_at),
            bytes: Bytes::from(bytes),
            content_type: opml::CONTENT_TYPE,
            coding: None,
            cache_control: CACHE_CONTROL,
            vary: "Accept-Encoding",
        }
        .answer(&visitor.headers, app.clock.now()),
        Err(error) => Problem::from(error).page(&app, &visitor),
    }
}
