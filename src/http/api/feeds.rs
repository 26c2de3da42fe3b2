//! `/api/v1/feeds`: what is published, and where.

use super::caller::Caller;
use super::problem::ApiProblem;
use crate::domain::{FeedDefinition, Scope, Slug};
use crate::http::AppState;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A feed and its addresses.
#[derive(Serialize, ToSchema)]
#[schema(as = Feed)]
pub struct FeedJson {
    /// Its name in URLs.
    slug: String,
    /// Its name for people.
    title: String,
    /// What it is about.
    description: String,
    /// Its page.
    page: String,
    /// Its documents by format: `rss`, `atom`, `json`.
    documents: BTreeMap<&'static str, String>,
    /// How many of the newest articles it shows.
    window: usize,
    /// Its language.
    language: String,
}

/// All feeds.
#[derive(Serialize, ToSchema)]
pub struct Feeds {
    /// That of everything first.
    feeds: Vec<FeedJson>,
}

fn json(app: &AppState, slug: &Slug, feed: &FeedDefinition) -> FeedJson {
    let document = |format: &crate::domain::Format| {
        (format.extension(), app.publication.url(&feed.place.document_path(*format)))
    };
    FeedJson {
        slug: slug.to_string(),
        title: feed.title.clone(),
        description: feed.description.clone(),
        page: app.publication.url(&feed.place.page_path()),
        documents: feed.formats.iter().map(document).collect(),
        window: feed.window,
        language: feed.language.as_ref().unwrap_or(&app.publication.language).to_string(),
    }
}

/// Lists the feeds that have a name of their own; those of tags, bylines and combinations need none.
#[utoipa::path(get, path = "/api/v1/feeds", tag = "Feeds", operation_id = "listFeeds",
    security(("token" = ["articles:read"])),
    responses((status = 200, description = "All of them", body = Feeds)))]
pub async fn list(State(app): State<AppState>, caller: Caller) -> Result<Json<Feeds>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let directory = app.representations.directory();
    let feeds = directory.feeds().iter().filter_map(|feed| Some(json(&app, feed.slug()?, feed)));
    Ok(Json(Feeds { feeds: feeds.collect() }))
}

/// Gets a feed, also by a slug that it had.
#[utoipa::path(get, path = "/api/v1/feeds/{slug}", tag = "Feeds", operation_id = "getFeed",
    security(("token" = ["articles:read"])), params(("slug" = String, Path, description = "Its slug")),
    responses((status = 200, description = "The feed", body = FeedJson)))]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<FeedJson>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let directory = app.representations.directory();
    let slug = Slug::parse(&name).map_err(|_| ApiProblem::missing("feed"))?;
    let feed = directory.lookup(&slug).feed().ok_or_else(|| ApiProblem::missing("feed"))?;
    Ok(Json(json(&app, feed.slug().unwrap_or(&slug), feed)))
}
