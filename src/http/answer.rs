//! How answers are told to caches and to clients that have something already.

use super::visitor::Visitor;
use crate::domain::Instant;
use crate::feed::validators::{EntityTag, Precondition, Validators, evaluate, http_date};
use crate::http::AppState;
use crate::page;
use crate::wording::TemplateFault;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Something a visitor is told instead of what he asked for.
#[derive(Debug)]
pub enum Problem {
    /// There is nothing here.
    NotFound,
    /// The feed that was here has ended for good.
    Ended,
    /// Ours to mend; it was logged where it was noticed.
    Internal(String),
}

impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        let mut told = error.to_string();
        let mut source = error.source();
        while let Some(deeper) = source {
            told = format!("{told}: {deeper}");
            source = deeper.source();
        }
        Self::Internal(told)
    }
}

impl Problem {
    /// The page that says so.
    pub fn page(self, app: &AppState, visitor: &Visitor) -> Response {
        let (status, code) = match &self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Self::Ended => (StatusCode::GONE, "feed-ended"),
            Self::Internal(error) => {
                tracing::error!(error, "request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };
        match page::problem(&visitor.desk(app), status.as_u16(), code) {
            Ok(html) => uncached(status, html),
            Err(fault) => {
                tracing::error!(%fault, "problem page failed");
                (status, code).into_response()
            }
        }
    }
}

/// A page that only this visitor gets, now.
pub fn uncached(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, html).into_response()
}

/// A page for this visitor, or the page that says what went wrong.
pub fn personal(app: &AppState, visitor: &Visitor, made: Result<String, TemplateFault>) -> Response {
    match made {
        Ok(html) => uncached(StatusCode::OK, html),
        Err(fault) => Problem::from(fault).page(app, visitor),
    }
}

/// What a cacheable answer is made of.
pub struct Cacheable {
    /// The bytes, in `coding`.
    pub bytes: Bytes,
    /// The media type.
    pub content_type: &'static str,
    /// The name of the content-coding.
    pub coding: Option<&'static str>,
    /// Who may keep it how long.
    pub cache_control: &'static str,
    /// Which request headers chose it.
    pub vary: &'static str,
    /// Where changes are told of (RFC 8288).
    pub link: Option<String>,
    /// What conditional requests are judged by.
    pub validators: Validators,
}

impl Cacheable {
    /// 200 with the bytes, or 304 when the client has them (RFC 9110 §15.4.5: with the headers
    /// that a 200 would have carried).
    pub fn answer(self, request: &HeaderMap, now: Instant) -> Response {
        let text = |name| joined(request, &name);
        let condition = evaluate(
            text(header::IF_NONE_MATCH).as_deref(),
            text(header::IF_MODIFIED_SINCE).as_deref(),
            &self.validators,
            now,
        );
        self.told(condition, now)
    }

    /// The answer to a request whose preconditions were weighed.
    pub fn told(self, condition: Precondition, now: Instant) -> Response {
        let mut headers = HeaderMap::with_capacity(8);
        let mut put = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(header::ETAG, &self.validators.entity_tag.to_string());
        if let Some(instant) = self.validators.last_modified(now) {
            put(header::LAST_MODIFIED, &http_date(instant));
        }
        put(header::CACHE_CONTROL, self.cache_control);
        put(header::VARY, self.vary);
        if matches!(condition, Precondition::NotModified) {
            return (StatusCode::NOT_MODIFIED, headers, Body::new(Nothing)).into_response();
        }
        put(header::CONTENT_TYPE, self.content_type);
        if let Some(coding) = self.coding {
            put(header::CONTENT_ENCODING, coding);
        }
        if let Some(link) = &self.link {
            put(header::LINK, link);
        }
        (StatusCode::OK, headers, self.bytes).into_response()
    }
}

/// No body, and no length either. Of an empty body axum writes the length, and §8.6 forbids any
/// but that of the 200; that one makes some parsers wait for a body (wrk's among them).
struct Nothing;

impl HttpBody for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// Validators of a page: its own tag, and the instant of the change that it shows.
pub fn page_validators(bytes: &[u8], last_modified: Instant) -> Validators {
    Validators {
        entity_tag: EntityTag::of(bytes, "identity"),
        siblings: Vec::new(),
        changed_at: last_modified,
        twice_in_one_second: false,
    }
}

/// All lines of a list header as one (RFC 9110 §5.3).
pub fn joined(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}
