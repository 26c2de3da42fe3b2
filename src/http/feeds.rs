use super::answer::Cacheable;
use super::limiter::{Fetch, refusal};
use super::visitor::Visitor;
use super::{AppState, deltas, moved, pages};
use crate::domain::{FeedDefinition, FeedKey, FeedName, FeedPlace, Format, TokenPurpose};
use crate::feed::feed_urn;
use crate::representations::{Coding, Found, Representation, RepresentationError, Wanted, Which};
use crate::subscribe::{self, SubscribeError};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Five minutes: longer hurts readers (NetNewsWire#4478), shorter makes polling dear. Caches may
/// serve the old bytes while they fetch the new ones (RFC 5861).
pub const CACHE_CONTROL: &str =
    "public, max-age=300, s-maxage=60, stale-while-revalidate=60, stale-if-error=86400";
/// What stands in an archive document stays there (RFC 5005 §4), so whoever has it need not ask
/// again (RFC 8246). A withdrawal must reach shared caches all the same.
const ARCHIVE_CACHE_CONTROL: &str =
    "public, max-age=86400, s-maxage=300, immutable, stale-while-revalidate=60, stale-if-error=86400";
/// A reader's own feed is nobody else's.
const PRIVATE_CACHE_CONTROL: &str = "private, max-age=300";
/// A browser that navigates gets the page for people, so the answer depends on that too.
const VARY: &str = "Accept-Encoding, Sec-Fetch-Dest";
/// The last page of a search: nobody reads so far, and each costs a look at all before it.
const LAST_PAGE: u32 = 200;

/// `name.rss`, split.
fn split(name: &str) -> Option<(&str, Format)> {
    let (name, ending) = name.rsplit_once('.')?;
    Some((name, Format::of_extension(ending)?))
}

/// `/feeds/{name}.rss` is the feed, `/feeds/{name}` its page for people.
pub async fn feed_or_page(
    State(app): State<AppState>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> Response {
    match split(&name) {
        None => pages::feed(&app, &name, &visitor).await,
        Some(("search", format)) => search(&app, format, &visitor).await,
        Some((name, format)) => {
            let feed = match published(&app, name, format).await {
                Ok(feed) => feed,
                Err(answer) => return answer,
            };
            if visitor.navigates() && !visitor.asks_for("raw") {
                return to_the_page(&app, &feed);
            }
            serve(&app, Wanted { feed, which: Which::Subscription, format }, &visitor).await
        }
    }
}

/// `/feeds/{name}/archive/{n}.rss`: what left the window (RFC 5005 §4).
pub async fn archive(
    State(app): State<AppState>,
    Path((name, page)): Path<(String, String)>,
    visitor: Visitor,
) -> Response {
    let asked = split(&page).and_then(|(number, format)| Some((number.parse::<i64>().ok()?, format)));
    let Some((number, format)) = asked else { return nothing() };
    let feed = match published(&app, &name, format).await {
        Ok(feed) => feed,
        Err(answer) if answer.status() == StatusCode::MOVED_PERMANENTLY => {
            return to_the_archive(&app, &name, number, format).await;
        }
        Err(answer) => return answer,
    };
    if visitor.navigates() && !visitor.asks_for("raw") {
        return to_the_page(&app, &feed);
    }
    serve(&app, Wanted { feed, which: Which::Archive(number), format }, &visitor).await
}

/// The archive document of a feed that has another name by now.
async fn to_the_archive(app: &AppState, name: &str, number: i64, format: Format) -> Response {
    let found = match name.parse::<FeedName>() {
        Ok(name) => app.representations.find(&name).await,
        Err(_) => return nothing(),
    };
    match found {
        Ok(Found::Feed(feed) | Found::Moved(feed)) => match feed.place.archive_path(number, format) {
            Some(path) => moved::moved_to(app, &path),
            None => nothing(),
        },
        _ => nothing(),
    }
}

/// The feed of a name in a format, or what to answer instead.
async fn published(app: &AppState, text: &str, format: Format) -> Result<FeedDefinition, Response> {
    let Ok(name) = text.parse::<FeedName>() else { return Err(nothing()) };
    match app.representations.find(&name).await {
        Ok(Found::Feed(feed)) if !feed.formats.contains(&format) => Err(nothing()),
        Ok(Found::Feed(feed)) if name.to_string() == text => Ok(*feed),
        Ok(Found::Feed(feed) | Found::Moved(feed)) => Err(moved::moved_document(app, &feed, format)),
        Ok(Found::Gone) => Err(moved::gone(app)),
        Ok(Found::Nothing) => Err(nothing()),
        Err(error) => {
            tracing::error!(%error, "feed not found out");
            Err(later())
        }
    }
}

/// `/feeds/search.rss?q=…&page=…`: what is found, in pages (RFC 5005 §3).
async fn search(app: &AppState, format: Format, visitor: &Visitor) -> Response {
    let Some(feed) = visitor.asked("q").and_then(|typed| app.representations.search_feed(&typed)) else {
        let words = "400: say what to look for, as in /feeds/search.rss?q=xay+dung+dang\n";
        return (StatusCode::BAD_REQUEST, words).into_response();
    };
    if visitor.navigates() && !visitor.asks_for("raw") {
        return to_the_page(app, &feed);
    }
    let page = visitor.asked("page").map_or(Some(1), |page| page.parse().ok());
    match page.filter(|page| (1..=LAST_PAGE).contains(page)) {
        Some(number) => serve(app, Wanted { feed, which: Which::Page(number), format }, visitor).await,
        None => nothing(),
    }
}

/// `/my/{token}.rss`: the feeds that a reader has by mail, as one feed.
pub async fn private(State(app): State<AppState>, Path(name): Path<String>, visitor: Visitor) -> Response {
    let Some((token, format)) = split(&name) else { return nothing() };
    let own = async {
        let reader = subscribe::reader_of(&app.desk.secret, token, TokenPurpose::Feed)?;
        app.store.subscriber(reader).await?.ok_or(SubscribeError::Link)?;
        Ok::<_, SubscribeError>(app.store.subscriptions(reader).await?)
    };
    let keys: Vec<FeedKey> = match own.await {
        Ok(subscriptions) => subscriptions.iter().map(|subscription| subscription.feed).collect(),
        Err(SubscribeError::Link) => return nothing(),
        Err(SubscribeError::Store(error)) => {
            tracing::error!(%error, "private feed not found out");
            return later();
        }
    };
    let feed = app.representations.private_feed(token, keys);
    let mut visitor = visitor;
    // What the reader chooses changes the feed too, and leaves no date: his tag alone decides.
    visitor.headers.remove(header::IF_MODIFIED_SINCE);
    let wanted = Wanted { feed, which: Which::Subscription, format };
    let mut answer = serve(&app, wanted, &visitor).await;
    let headers = answer.headers_mut();
    headers.remove(header::LAST_MODIFIED);
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    answer
}

async fn serve(app: &AppState, wanted: Wanted, visitor: &Visitor) -> Response {
    let coding = Coding::negotiate(visitor.header("accept-encoding"));
    let made = async {
        let whole = app.representations.get(&wanted).await?;
        let delta = deltas::asked(app, &wanted, &whole, visitor).await?;
        let made = delta.as_ref().map_or(&whole, |delta| &delta.made);
        let body = made.coded(coding).await?.bytes.clone();
        Ok::<_, RepresentationError>((cacheable(made, coding, body), delta))
    };
    match made.await {
        Ok((cacheable, delta)) => {
            let now = app.clock.now();
            let answer = cacheable.answer(&visitor.headers, now);
            if answer.status() == StatusCode::OK && !visitor.is_head {
                let fetch = Fetch::of(visitor.is_conditional(), !visitor.query.is_empty());
                let client = visitor.address(&app.trusted_proxies);
                let path = wanted.feed.place.document_path(wanted.format);
                if let Err(wait) = app.limiter.take(client, &path, fetch, now) {
                    return refusal(wait);
                }
            }
            match delta {
                Some(delta) => deltas::told(answer, &delta),
                None => answer,
            }
        }
        Err(error) if error.is_absent() => nothing(),
        Err(error) => {
            let urn = feed_urn(&app.publication, &wanted.feed.selection);
            tracing::error!(feed.urn = urn, %error, "feed not made");
            later()
        }
    }
}

/// A document in a coding, with everything that is told of it.
pub fn cacheable(made: &Representation, coding: Coding, bytes: Bytes) -> Cacheable {
    let wanted = made.wanted();
    Cacheable {
        bytes,
        content_type: wanted.format.content_type(),
        coding: coding.name(),
        cache_control: match (&wanted.feed.place, wanted.which) {
            (FeedPlace::Private { .. }, _) => PRIVATE_CACHE_CONTROL,
            (_, Which::Archive(_)) => ARCHIVE_CACHE_CONTROL,
            _ => CACHE_CONTROL,
        },
        vary: VARY,
        link: made.link().map(str::to_owned),
        validators: made.validators(coding),
    }
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "404: there is no such feed; / lists all feeds\n").into_response()
}

fn later() -> Response {
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("60"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, "503: the feed cannot be made now\n").into_response()
}

/// Sends a person from the raw feed to the page that explains it. Never kept by a cache, so no
/// feed reader is ever sent there.
pub fn to_the_page(app: &AppState, feed: &FeedDefinition) -> Response {
    let location = format!("{}{}", app.root(), feed.place.page_path());
    let headers = [
        (header::LOCATION, HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static(VARY)),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
