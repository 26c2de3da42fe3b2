//! Deltas at the door (RFC 3229): who asked for one, and how the answer tells that it is one.
//!
//! Answers that are no delta do not vary by A-IM or If-None-Match: a cache that holds one may give
//! it to everybody, as the whole document is always a right answer.

use super::AppState;
use super::answer::joined;
use super::visitor::Visitor;
use crate::representations::{Delta, Representation, RepresentationError, Wanted, accepts_feed};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// A cache that does not know 226 keeps nothing; one that does goes by what stands after `im`.
const CACHE_CONTROL: &str = "no-store, im, max-age=300";
/// A delta depends on what the client has and on what it can take too.
const VARY: &str = "Accept-Encoding, Sec-Fetch-Dest, A-IM, If-None-Match";

/// What the visitor lacks, where he asked for no more and that can be told.
pub async fn asked(
    app: &AppState,
    wanted: &Wanted,
    present: &Representation,
    visitor: &Visitor,
) -> Result<Option<Delta>, RepresentationError> {
    // They may be made for the hub alone.
    if !app.delta {
        return Ok(None);
    }
    let text = |name| joined(&visitor.headers, &name);
    match (text(HeaderName::from_static("a-im")), text(header::IF_NONE_MATCH)) {
        (Some(a_im), Some(tags)) if accepts_feed(&a_im) => {
            app.representations.delta(wanted, present, &tags).await
        }
        _ => Ok(None),
    }
}

/// The answer as a delta. A 304 stays one: the delta may lead to a version that is newer than the
/// one that was ready, and the client may have just that.
pub fn told(mut answer: Response, delta: &Delta) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    *answer.status_mut() = StatusCode::IM_USED;
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("im"), HeaderValue::from_static("feed"));
    if let Ok(base) = HeaderValue::from_str(delta.base.as_str()) {
        headers.insert(HeaderName::from_static("delta-base"), base);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
    answer
}
