//! `/api/v1`: what the newsroom's own programs read and change, each with a token of its own.
//!
//! Every write goes the way of `bantin import` and the other commands. Every refusal is a problem of
//! RFC 9457. Nothing is opened to scripts of other sites (CORS): a token is no secret in a browser.

mod article_json;
mod articles;
mod asked;
mod batch;
mod caller;
pub mod document;
mod problem;
mod repeats;

use super::AppState;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use std::sync::Arc;
use std::time::Duration;
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
        .route("/api/v1/{*rest}", any(|| async { StatusCode::NOT_FOUND }))
        .layer(DefaultBodyLimit::max(MAX_BATCH))
        .layer(from_fn_with_state(Arc::clone(app), repeats::once))
        .layer(from_fn_with_state(Arc::clone(app), caller::admit))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(from_fn(problem::only_problems))
}
