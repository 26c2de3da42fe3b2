//! `POST /hooks/bounces/{provider}/{key}`: providers tell what came back of our mail.
//!
//! The key is what proves who posts: nobody else was given the address. It is compared in constant time
//! and never logged. Posts of Amazon SNS are to be signed besides, where `bounces.sns_topic` names their topic.

use super::AppState;
use crate::bounce::{Asked, Sns, SnsError};
use crate::mail::report::hooks::{self, Provider};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// SendGrid posts up to a thousand events, Postmark the whole returned mail.
pub const MAX_NOTICE: usize = 4 << 20;

/// `POST /hooks/bounces/{provider}/{key}`
pub async fn take(
    State(app): State<AppState>,
    Path((provider, key)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let is_known = app.bounces.hook_key.as_ref().is_some_and(|known| known.is(&key));
    let Some(provider) = Provider::parse(&provider).filter(|_| is_known) else {
        return (StatusCode::NOT_FOUND, "nothing is taken here\n").into_response();
    };
    if let Some(sns) = app.sns.as_ref().filter(|_| provider == Provider::Ses) {
        match sns.asked(&body).await {
            Ok(Asked::Notice) => {}
            Ok(Asked::Page(page)) => return confirm(sns, &page).await,
            Ok(Asked::Nothing) => return "taken\n".into_response(),
            Err(SnsError::Fault(fault)) => {
                tracing::warn!(%fault, "a post as from Amazon SNS is not taken");
                return (StatusCode::FORBIDDEN, format!("not taken: {fault}\n")).into_response();
            }
            Err(SnsError::Fetch(error)) => {
                tracing::error!(%error, "a post of Amazon SNS is not taken; it comes again");
                return (StatusCode::SERVICE_UNAVAILABLE, "the certificate was not fetched\n")
                    .into_response();
            }
        }
    } else if let Some(page) = hooks::confirmation_page(&body).filter(|_| provider == Provider::Ses) {
        // We open no address that came from outside; the newsroom does it once.
        tracing::warn!(page, "Amazon SNS wants to be confirmed: open this page in a browser");
        return "open the page that the log names\n".into_response();
    }
    let Ok(reports) = hooks::read(provider, &body, &app.returns.rules) else {
        return (StatusCode::BAD_REQUEST, "this is no notice of this provider\n").into_response();
    };
    let way = format!("hook:{}", provider.as_str());
    for report in &reports {
        if let Err(error) = app.returns.take_notice(report, &way, app.clock.now()).await {
            tracing::error!(%error, "notice not taken; the provider posts it again");
            return (StatusCode::SERVICE_UNAVAILABLE, "cannot be written down now\n").into_response();
        }
    }
    "taken\n".into_response()
}

/// The newsroom named the topic, and Amazon signed the question: so the answer is yes.
async fn confirm(sns: &Sns, page: &url::Url) -> Response {
    match sns.confirm(page).await {
        Ok(true) => {
            tracing::info!("posts of Amazon SNS are confirmed");
            "confirmed\n".into_response()
        }
        answer => {
            let reason = answer.err().map(|error| error.reason());
            tracing::error!(reason, "posts of Amazon SNS are not confirmed; it asks again");
            (StatusCode::SERVICE_UNAVAILABLE, "not confirmed\n").into_response()
        }
    }
}
