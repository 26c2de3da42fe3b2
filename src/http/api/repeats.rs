//! A POST that carries an Idempotency-Key is carried out once, however often it comes
//! (draft-ietf-httpapi-idempotency-key-header).

use super::MAX_BATCH;
use super::caller::Caller;
use super::problem::ApiProblem;
use crate::domain::{IdentityKey, hex};
use crate::http::AppState;
use crate::store::{KeptAnswer, Repeat};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

/// The field that carries the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says of an answer that it was told before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A UUID has 36.
const LONGEST_KEY: usize = 255;

/// What an article is known by that a request with a key has made: stored with it, so that the request is
/// recognised where its answer was not kept.
#[derive(Clone)]
pub struct Maker {
    /// The key of the article.
    pub article: IdentityKey,
    /// Whether the request came before, and nobody knows whether it was carried out.
    pub unanswered: bool,
}

/// Carries a request out once a key.
pub async fn once(State(app): State<AppState>, caller: Caller, request: Request, next: Next) -> Response {
    let key = match key_of(request.headers()) {
        Ok(Some(key)) if request.method() == Method::POST => key,
        Ok(_) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BATCH).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [parts.uri.to_string().as_bytes(), kind, &body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let fingerprint = hex(&hash.finalize());
    let taken = app.store.take_key(&caller.handle, &key, &fingerprint, app.clock.now()).await;
    match taken {
        Ok(repeat @ (Repeat::First | Repeat::Unanswered)) => {
            let name = format!("{} {fingerprint} {key}", caller.handle);
            let article = IdentityKey::external("request", &hex(&Sha256::digest(name)));
            parts.extensions.insert(Maker { article, unanswered: repeat == Repeat::Unanswered });
        }
        Ok(Repeat::Answered(answer)) => return told_again(answer),
        Ok(Repeat::UnderWay) => {
            let detail = "a request with this Idempotency-Key is still under way";
            return ApiProblem::conflict("under-way", detail).with(header::RETRY_AFTER, "1").into_response();
        }
        Ok(Repeat::Another) => {
            let detail = "this Idempotency-Key was used for another request; take a new one for each";
            return ApiProblem::new(StatusCode::UNPROCESSABLE_ENTITY, "key-used", detail).into_response();
        }
        Err(error) => return ApiProblem::from(error).into_response(),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    remember(&app, &caller, &key, response).await
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, ApiProblem> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| {
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let wrong = || {
        let detail =
            format!("Idempotency-Key must be 1 to {LONGEST_KEY} visible ASCII characters without blanks");
        ApiProblem::new(StatusCode::BAD_REQUEST, "invalid-key", detail)
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

/// Keeps what was decided. What says nothing of the request itself (our fault, a token that may not, a
/// full house) leaves the key free.
async fn remember(app: &AppState, caller: &Caller, key: &str, response: Response) -> Response {
    let status = response.status();
    let passing = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || passing.contains(&status) {
        if let Err(error) = app.store.give_key_back(&caller.handle, key).await {
            tracing::warn!(%error, "an Idempotency-Key stays taken for a minute");
        }
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let kept = [header::CONTENT_TYPE, header::LOCATION, header::ETAG, header::ALLOW, header::CACHE_CONTROL];
    let head = kept.iter().filter_map(|name| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    });
    let answer = KeptAnswer {
        status: status.as_u16(),
        head: head.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    // The work is done: an answer that cannot be kept is no reason to hide it.
    if let Err(error) = app.store.keep_answer(&caller.handle, key, &answer).await {
        tracing::warn!(%error, "the answer under an Idempotency-Key is not kept");
    }
    Response::from_parts(parts, Body::from(body))
}

fn told_again(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in answer.head {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
