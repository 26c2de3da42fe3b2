//! `/hooks/websub/{name}/{key}`: hubs ask whether we meant it, and push what changed in a polled feed.
//!
//! The key is known to the hub alone. Asking is a GET that acts, as WebSub §5.3 has it; who does not know
//! the key, or asks for what we did not, changes nothing by it (docs/decisions/0008).

use super::AppState;
use super::hooks::MAX_POST;
use crate::sources::{HubQuestion, HubReply};
use crate::store::StoreError;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// The longest push. What is longer is found by the next poll.
pub const MAX_PUSH: usize = MAX_POST;

/// `GET /hooks/websub/{name}/{key}?hub.mode=…`
pub async fn verify(
    State(app): State<AppState>,
    Path((name, key)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let field = |name: &str| {
        let mut fields = url::form_urlencoded::parse(query.as_bytes());
        fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let question = HubQuestion {
        mode: field("hub.mode"),
        topic: field("hub.topic"),
        challenge: field("hub.challenge"),
        lease: field("hub.lease_seconds").parse().ok(),
        reason: field("hub.reason"),
    };
    match app.sources.answer_hub(&name, &key, question).await {
        Ok(HubReply::Meant(challenge)) => {
            app.wake.sources.notify_one();
            challenge.into_response()
        }
        Ok(HubReply::Heard) => StatusCode::NO_CONTENT.into_response(),
        Ok(HubReply::Unknown) => unknown(),
        Err(error) => failed(&error),
    }
}

/// `POST /hooks/websub/{name}/{key}`
pub async fn push(
    State(app): State<AppState>,
    Path((name, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signature = headers.get("x-hub-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match app.sources.hear_push(&name, &key, signature, &body).await {
        Ok(Some(heard)) => {
            if heard {
                app.wake.sources.notify_one();
            }
            // The same whether it was believed: who forges learns nothing (WebSub §8).
            StatusCode::ACCEPTED.into_response()
        }
        Ok(None) => unknown(),
        Err(error) => failed(&error),
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "nothing of that kind was asked for\n").into_response()
}

fn failed(error: &StoreError) -> Response {
    tracing::error!(%error, "a hub was not answered; it tries again");
    (StatusCode::SERVICE_UNAVAILABLE, "cannot be written down now; try again\n").into_response()
}
