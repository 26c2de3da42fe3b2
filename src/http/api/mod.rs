//! `/api/v1`: what the newsroom's own programs read and change, each with a token of its own.
//!
//! Every write goes the way of `bantin import` and the other commands. Every refusal is a problem of
//! RFC 9457. Nothing is opened to scripts of other sites (CORS): a token is no secret in a browser.

mod article_json;
mod articles;
mod asked;
mod batch;
mod caller;
mod categories;
mod digests;
pub mod document;
mod drafts;
mod editions;
mod feeds;
mod problem;
pub mod reference;
mod repeats;
mod subscribers;

use super::AppState;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// The largest article, in bytes.
const MAX_ARTICLE: usize = 4 << 20;
/// The largest body: a thousand articles as they are.
const MAX_BATCH: usize = 32 << 20;
/// Below the patience of the server as a whole, so that it is told as a problem.
const PATIENCE: Duration = Duration::from_secs(25);

/// The routes below `/api/v1`.
pub fn routes(app: &AppState) -> Router<AppState> {
    Router::new()
        .route("/api/v1/articles", get(articles::list).post(articles::create))
        .route("/api/v1/articles/batch", post(batch::create))
        .route(
            "/api/v1/articles/{id}",
            get(articles::get).put(articles::replace).patch(articles::patch).delete(articles::withdraw),
        )
        .route("/api/v1/articles/{id}/publish", post(articles::restore))
        .route("/api/v1/drafts", get(drafts::list))
        .route("/api/v1/drafts/{id}", get(drafts::get).delete(drafts::put_away))
        .route("/api/v1/drafts/{id}/publish", post(drafts::publish))
        .route("/api/v1/categories", get(categories::list).post(categories::create))
        .route("/api/v1/categories/{slug}", get(categories::get).patch(categories::patch))
        .route("/api/v1/feeds", get(feeds::list))
        .route("/api/v1/feeds/{slug}", get(feeds::get))
        .route("/api/v1/digests", get(digests::list))
        .route("/api/v1/digests/{slug}/preview", get(digests::preview))
        .route("/api/v1/digests/{slug}/hold", post(digests::hold))
        .route("/api/v1/digests/{slug}/release", post(digests::release))
        .route("/api/v1/editions", get(editions::list))
        .route("/api/v1/editions/{id}", get(editions::get))
        .route("/api/v1/editions/{id}/hold", post(editions::hold))
        .route("/api/v1/editions/{id}/release", post(editions::release))
        .route("/api/v1/subscribers", get(subscribers::list).post(subscribers::ask))
        .route("/api/v1/subscribers/{id}", get(subscribers::get).delete(subscribers::erase))
        .route("/api/v1/{*rest}", any(|| async { StatusCode::NOT_FOUND }))
        .layer(DefaultBodyLimit::max(MAX_BATCH))
        .layer(from_fn_with_state(Arc::clone(app), repeats::once))
        .layer(from_fn_with_state(Arc::clone(app), caller::admit))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(CatchPanicLayer::new())
        .layer(from_fn(problem::only_problems))
}
