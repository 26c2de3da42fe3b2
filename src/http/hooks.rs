//! `POST /hooks/articles/{name}/{key}` and `POST /hooks/articles/{name}`, signed: programs of the
//! newsroom bring articles, or say which page is to be fetched.
//!
//! Key and signature are compared in constant time and never logged.

use super::AppState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// An archive comes by `bantin import`; a post is some articles.
pub const MAX_POST: usize = 8 << 20;

/// The headers in which a signature is looked for: our own, and the one of GitHub's form.
const SIGNATURES: [&str; 2] = ["x-bantin-signature", "x-hub-signature-256"];

/// `POST /hooks/articles/{name}/{key}`
pub async fn keyed(
    State(app): State<AppState>,
    Path((name, key)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    match app.sources.hook(&name) {
        Some((source, hook)) if hook.admits(Some(&key), &body, None) => take(&app, source, &body).await,
        _ => (StatusCode::NOT_FOUND, "nothing is taken here\n").into_response(),
    }
}

/// `POST /hooks/articles/{name}`
pub async fn signed(
    State(app): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signature = SIGNATURES.iter().find_map(|header| headers.get(*header)?.to_str().ok());
    match app.sources.hook(&name) {
        Some((source, hook)) if hook.admits(None, &body, signature) => take(&app, source, &body).await,
        // Who may not know it does not learn which names there are.
        _ => (StatusCode::UNAUTHORIZED, "the body is not signed by the secret of this webhook\n")
            .into_response(),
    }
}

async fn take(app: &AppState, source: &crate::sources::Source, body: &[u8]) -> Response {
    match app.sources.take_post(source, body).await {
        Ok(answer) => {
            if answer.new + answer.revised > 0 {
                app.wake.refresh.notify_one();
            }
            if answer.fetching > 0 {
                app.wake.sources.notify_one();
            }
            let took = answer.new + answer.revised + answer.unchanged + answer.drafts + answer.fetching;
            let status = match (took, answer.errors.is_empty()) {
                (0, false) => StatusCode::UNPROCESSABLE_ENTITY,
                _ if answer.fetching > 0 => StatusCode::ACCEPTED,
                _ => StatusCode::OK,
            };
            (status, Json(answer)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, source = %source.name, "post not taken; whoever posts tries again");
            (StatusCode::SERVICE_UNAVAILABLE, "cannot be written down now; post it again\n").into_response()
        }
    }
}
