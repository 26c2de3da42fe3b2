//! What search engines and feed readers are told of: sitemaps, robots.txt, the list of all feeds.

use super::answer::{Cacheable, page_validators};
use super::feeds::CACHE_CONTROL;
use super::visitor::Visitor;
use super::{AppState, pages};
use crate::app::App;
use crate::domain::Instant;
use crate::feed::sitemap;
use crate::feed::validators::{EntityTag, Validators};
use crate::representations::{Coding, Listed, Listing, RepresentationError};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What the shelf may hold, in bytes: a sitemap of ten thousand articles is one to two megabytes,
/// and whoever walks them all takes each once.
const MEMORY: u64 = 16 << 20;
const VARY: &str = "Accept-Encoding";

/// A list as it was made for everybody: good until the store changes, or its own time comes.
#[derive(Debug)]
struct MadeListing {
    seen: i64,
    until: Option<Instant>,
    bytes: Bytes,
    validators: Validators,
}

impl MadeListing {
    fn is_fresh(&self, seen: i64, now: Instant) -> bool {
        self.seen == seen && self.until.is_none_or(|until| now < until)
    }
}

/// The lists that are made, in the codings that were asked for. Bounded by bytes.
#[derive(Clone, Debug)]
pub struct ListingShelf(moka::future::Cache<(Listed, Coding), Arc<MadeListing>>);

impl Default for ListingShelf {
    fn default() -> Self {
        let weigh = |_: &_, made: &Arc<MadeListing>| u32::try_from(made.bytes.len()).unwrap_or(u32::MAX);
        Self(moka::future::Cache::builder().max_capacity(MEMORY).weigher(weigh).build())
    }
}

impl ListingShelf {
    /// A list from the shelf, or made once, however many ask. The store is asked nothing while
    /// nothing changed.
    async fn take(
        &self,
        app: &App,
        listed: Listed,
        coding: Coding,
    ) -> Result<Arc<MadeListing>, RepresentationError> {
        let (seen, now) = (app.representations.seen(), app.clock.now());
        let key = (listed, coding);
        match self.0.get(&key).await {
            Some(made) if made.is_fresh(seen, now) => return Ok(made),
            Some(_) => self.0.invalidate(&key).await,
            None => {}
        }
        let make = async {
            let listing = app.representations.listing(listed, now).await?;
            let work = tokio::task::spawn_blocking(move || code(seen, listing, coding));
            Ok::<_, RepresentationError>(Arc::new(work.await??))
        };
        self.0.try_get_with(key, make).await.map_err(RepresentationError::Shared)
    }
}

fn code(seen: i64, listing: Listing, coding: Coding) -> std::io::Result<MadeListing> {
    let tag = |coding: Coding| EntityTag::of(&listing.bytes, coding.name().unwrap_or("identity"));
    let others = Coding::ALL.into_iter().filter(|other| *other != coding);
    let validators = Validators {
        entity_tag: tag(coding),
        siblings: others.map(tag).collect(),
        changed_at: listing.changed_at,
        twice_in_one_second: listing.twice_in_one_second,
    };
    Ok(MadeListing { seen, until: listing.until, bytes: coding.encode(&listing.bytes)?.into(), validators })
}

/// The sitemaps and `/opml`, by path.
pub async fn listing(State(app): State<AppState>, uri: Uri, visitor: Visitor) -> Response {
    let Ok(listed) = uri.path().parse::<Listed>() else {
        return pages::nowhere(State(app), uri, visitor).await;
    };
    let coding = Coding::negotiate(visitor.header("accept-encoding"));
    match app.listings.take(&app, listed, coding).await {
        Ok(made) => Cacheable {
            bytes: made.bytes.clone(),
            content_type: listed.content_type(),
            coding: coding.name(),
            cache_control: CACHE_CONTROL,
            vary: VARY,
            link: None,
            validators: made.validators.clone(),
        }
        .answer(&visitor.headers, app.clock.now()),
        Err(error) if error.is_absent() => pages::nowhere(State(app), uri, visitor).await,
        Err(error) => {
            tracing::error!(%listed, %error, "list not made");
            let retry = [(header::RETRY_AFTER, HeaderValue::from_static("60"))];
            (StatusCode::SERVICE_UNAVAILABLE, retry, "503: the list cannot be made now\n").into_response()
        }
    }
}

/// `/robots.txt`
pub async fn robots(State(app): State<AppState>, visitor: Visitor) -> Response {
    let bytes = Bytes::from(sitemap::robots(&app.publication));
    Cacheable {
        validators: page_validators(&bytes, app.started_at),
        bytes,
        content_type: "text/plain; charset=utf-8",
        coding: None,
        cache_control: "public, max-age=3600",
        vary: VARY,
        link: None,
    }
    .answer(&visitor.headers, app.clock.now())
}
