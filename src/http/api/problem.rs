//! What the API says where it does not do what it was asked (RFC 9457).

use crate::intake::Fault;
use crate::store::StoreError;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type (RFC 9457 §3).
pub const PROBLEM: &str = "application/problem+json";

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// The field of the body, as a JSON Pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong with it, and how to mend it.
    pub detail: String,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Always `about:blank`: the status and the code say what kind it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// A name for programs, which never changes.
    pub code: &'static str,
    /// What happened and what to do, for people.
    pub detail: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// An answer that says what is wrong.
#[derive(Clone, Debug)]
pub struct ApiProblem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    fields: Vec<(HeaderName, String)>,
}

impl ApiProblem {
    /// With a status, a name for programs, and words for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), fields: Vec::new() }
    }

    /// There is no such thing.
    pub fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no such {what}"))
    }

    /// `If-Match` or `If-None-Match` did not hold.
    pub fn precondition() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition-failed",
            "the article is another one than you have seen, or is there already; get it again and try anew",
        )
    }

    /// It cannot be done because of how things stand.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// A field of the body is wrong.
    pub fn field(pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let told = format!("{pointer} {detail}");
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", told);
        problem.errors.push(FieldError { pointer: Some(pointer.to_owned()), parameter: None, detail });
        problem
    }

    /// This, and other fields that are wrong.
    pub fn and(mut self, more: Self) -> Self {
        self.detail = format!("{}; {}", self.detail, more.detail);
        self.errors.extend(more.errors);
        self
    }

    /// A parameter of the query is wrong.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let told = format!("{name} {detail}");
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", told);
        problem.errors.push(FieldError { pointer: None, parameter: Some(name.to_owned()), detail });
        problem
    }

    /// The body is no JSON.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-body", detail)
    }

    /// With a field of the header.
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// As it stands in the result of one item among others.
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail.clone(),
            errors: self.errors.clone(),
        }
    }
}

impl From<StoreError> for ApiProblem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "request of the API failed");
        let detail = "the store does not answer; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", detail).with(header::RETRY_AFTER, "5")
    }
}

impl From<Fault> for ApiProblem {
    fn from(fault: Fault) -> Self {
        match &fault.field {
            Some(field) => {
                let first = Self::field(&pointer(field), fault.message);
                fault.more.into_iter().map(Self::from).fold(first, Self::and)
            }
            None => Self::malformed(fault.to_string()),
        }
    }
}

/// `enclosures[0].url` as a JSON Pointer: `/enclosures/0/url`.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace('[', "/").replace(']', "").replace('.', "/"))
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.fields {
            headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
        }
        response
    }
}

/// Whatever refuses a request before a handler sees it speaks the same language as the handlers.
pub async fn only_problems(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // What is told to one token is nobody else's to keep.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let status = response.status();
    let told = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
    if told || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method", "this cannot be done here; the field Allow says what can")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "the body is too large; send less at once"),
        StatusCode::SERVICE_UNAVAILABLE => ("busy", "this took too long; try again in a moment"),
        status if status.is_server_error() => ("internal", "this went wrong on our side; the log says why"),
        StatusCode::NOT_FOUND => ("not-found", "there is nothing here"),
        _ => ("bad-request", "the request cannot be read"),
    };
    let mut problem = ApiProblem::new(status, code, detail);
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name).and_then(|value| value.to_str().ok()) {
            problem = problem.with(name, value);
        }
    }
    problem.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_by_its_pointer() {
        for (field, told) in
            [("title", "/title"), ("image.url", "/image/url"), ("enclosures[2].url", "/enclosures/2/url")]
        {
            assert_eq!(pointer(field), told);
        }
    }
}
