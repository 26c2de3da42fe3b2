//! What a request asks for: its query, and a body of JSON.

use super::problem::ApiProblem;
use crate::domain::Instant;
use crate::http::AppState;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// How many rows a page has where nothing else is asked for.
const ROWS: usize = 50;
/// How many it may have.
pub const MOST_ROWS: usize = 200;

/// The query. Parameters are taken out one by one; one that is left over is a mistake of the caller's.
pub struct Query(Vec<(String, String)>);

impl FromRequestParts<AppState> for Query {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiProblem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// A parameter; asked for twice it is a mistake as well.
    pub fn take<T: FromStr>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, ApiProblem> {
        let Some(at) = self.0.iter().position(|(key, _)| key == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        value.parse().map(Some).map_err(|_| ApiProblem::parameter(name, format!("must be {wanted}")))
    }

    /// An instant. A plus sign that was not escaped arrives as a blank.
    pub fn instant(&mut self, name: &str) -> Result<Option<Instant>, ApiProblem> {
        let wrong = || ApiProblem::parameter(name, "must be an instant, as in 2026-11-24T06:00:00Z");
        let text = self.take::<String>(name, "a text")?;
        text.map(|text| text.replace(' ', "+").parse().map_err(|_| wrong())).transpose()
    }

    /// How many rows are wanted.
    pub fn limit(&mut self) -> Result<usize, ApiProblem> {
        let wanted = format!("a number from 1 to {MOST_ROWS}");
        let limit = self.take::<usize>("limit", &wanted)?.unwrap_or(ROWS);
        let fits = (1..=MOST_ROWS).contains(&limit);
        if fits { Ok(limit) } else { Err(ApiProblem::parameter("limit", format!("must be {wanted}"))) }
    }

    /// Where the page begins.
    pub fn cursor<const N: usize>(&mut self) -> Result<Option<[i64; N]>, ApiProblem> {
        let wrong = || ApiProblem::parameter("cursor", "must be `next` of the page before");
        let Some(text) = self.take::<String>("cursor", "a text")? else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let numbers: Vec<i64> =
            bytes.as_chunks::<8>().0.iter().map(|number| i64::from_be_bytes(*number)).collect();
        let whole = bytes.len() == 8 * N;
        numbers.try_into().map(Some).ok().filter(|_| whole).ok_or_else(wrong)
    }

    /// Refuses what nobody asked about.
    pub fn end(self) -> Result<(), ApiProblem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(ApiProblem::parameter(name, "is no parameter of this request")),
        }
    }
}

/// A place as it stands in `next`: opaque to callers.
pub fn cursor(numbers: &[i64]) -> String {
    URL_SAFE_NO_PAD.encode(numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>())
}

/// The bytes of a body that says it is JSON.
pub struct JsonBytes(pub Bytes);

impl FromRequest<AppState> for JsonBytes {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(|kind| kind.trim().to_ascii_lowercase());
        let is_patch = kind.as_deref() == Some("application/merge-patch+json");
        let fits = kind.as_deref() == Some("application/json") || is_patch && request.method() == "PATCH";
        if !fits {
            let detail = "send the body as application/json, or a patch as application/merge-patch+json";
            return Err(ApiProblem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail)
                .with(header::ACCEPT, "application/json, application/merge-patch+json")
                .into_response());
        }
        Bytes::from_request(request, state).await.map(Self).map_err(IntoResponse::into_response)
    }
}

impl JsonBytes {
    /// The body as an object of known fields.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiProblem> {
        // serde would take an array for an object, field by field.
        if self.0.trim_ascii_start().first() == Some(&b'[') {
            return Err(ApiProblem::field("", "must be an object: {…}"));
        }
        serde_json::from_slice(&self.0).map_err(|error| {
            let said = error.to_string();
            if !error.is_data() {
                return ApiProblem::malformed(format!("the body is not JSON: {said}"));
            }
            // serde names a field that is missing or unknown between the first two backticks.
            let field = said.split('`').nth(1).filter(|_| said.contains("field `"));
            ApiProblem::field(&field.map_or_else(String::new, |field| format!("/{field}")), said.clone())
        })
    }
}
