//! Answers as the bytes that go out, made once for each document and coding.
//!
//! They are written down from the very [`Response`] that a handler would give, so that nobody can
//! tell by which lane an answer came.

use super::sheet::Filing;
use crate::domain::Instant;
use crate::feed::validators::{Precondition, Validators, http_date};
use crate::http::{feeds, put_guards};
use crate::representations::{Coding, Ready, Representation};
use axum::body::{Bytes, HttpBody as _};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use std::rc::Rc;
use std::sync::Arc;

/// A document in one coding.
pub struct Copied {
    /// What conditional requests are judged by.
    pub validators: Validators,
    /// The head of a 200 up to the date.
    pub whole: Vec<u8>,
    /// The head of a 304 up to the date.
    pub unchanged: Vec<u8>,
    /// The body of a 200; none while nobody has made this coding.
    pub body: Option<Bytes>,
    /// Whether that lies in a file as well.
    pub filing: Filing,
    /// When the heads have to be written anew: the date of the last change may be told then.
    good_until: Option<Instant>,
}

impl Copied {
    /// Whether it is all that could be copied.
    fn is_good(&self, now: Instant, document: &Representation, coding: Coding) -> bool {
        self.good_until.is_none_or(|until| now < until)
            && (self.body.is_some() || document.coded_before(coding).is_none())
    }

    /// The body, or none of it.
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }
}

/// A document in the codings that were asked for.
pub struct Copies {
    /// The document.
    pub ready: Arc<Ready>,
    codings: Vec<(Coding, Rc<Copied>)>,
}

impl Copies {
    /// None made yet.
    pub fn of(ready: Arc<Ready>) -> Self {
        Self { ready, codings: Vec::new() }
    }

    /// The document in a coding.
    pub fn coded(&mut self, coding: Coding, now: Instant) -> &Rc<Copied> {
        let found = self.codings.iter().position(|(made, _)| *made == coding);
        let at = match found {
            Some(at) => {
                if !self.codings[at].1.is_good(now, &self.ready.document, coding) {
                    self.codings[at].1 = Rc::new(self.copy(coding, now));
                }
                at
            }
            None => {
                self.codings.push((coding, Rc::new(self.copy(coding, now))));
                self.codings.len() - 1
            }
        };
        &self.codings[at].1
    }

    fn copy(&self, coding: Coding, now: Instant) -> Copied {
        let document = &self.ready.document;
        let body = document.coded_before(coding).map(|coded| coded.bytes.clone());
        let cacheable = || feeds::cacheable(document, coding, body.clone().unwrap_or_default());
        let validators = cacheable().validators;
        Copied {
            whole: head_of(cacheable().told(Precondition::Send, now)),
            unchanged: head_of(cacheable().told(Precondition::NotModified, now)),
            good_until: validators.last_modified(now).is_none().then(|| validators.last_modified_from()),
            validators,
            body,
            filing: Filing::default(),
        }
    }
}

/// The head of a response that has not passed the layers, as hyper writes it, up to the date.
pub fn head_of(mut response: Response) -> Vec<u8> {
    let length = response.body().size_hint().exact();
    put_guards(&mut response);
    let headers = response.headers_mut();
    if let (Some(length), false) = (length, headers.contains_key(header::CONTENT_LENGTH)) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    written(response.status(), response.headers())
}

/// A head as hyper writes it, up to the date.
pub fn written(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(768);
    let reason = status.canonical_reason().unwrap_or_default();
    head.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).as_bytes());
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head
}

/// The end of a head, which is the same for a second.
pub struct DateLine {
    second: i64,
    text: String,
}

impl DateLine {
    /// Of no second.
    pub fn new() -> Self {
        Self { second: i64::MIN, text: String::new() }
    }

    /// The Date field (RFC 9110 §6.6.1) and the empty line.
    pub fn at(&mut self, now: Instant) -> &[u8] {
        if self.second != now.timestamp() {
            self.second = now.timestamp();
            self.text = format!("date: {}\r\n\r\n", http_date(now));
        }
        self.text.as_bytes()
    }
}
