//! `/api/v1/editions`: what was cut, how far it is, and keeping it back.

use super::asked::{Query, cursor};
use super::caller::Caller;
use super::digests::reason;
use super::problem::ApiProblem;
use crate::dispatch::{Progress, progress};
use crate::domain::{EditionId, Instant, Scope};
use crate::http::AppState;
use crate::store::Edition;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One run of a digest.
#[derive(Serialize, ToSchema)]
#[schema(as = Edition)]
pub struct EditionJson {
    /// Its number.
    id: i64,
    /// The digest's slug, or the hour that its readers chose.
    digest: String,
    /// For which planned instant.
    #[schema(value_type = String, format = "date-time")]
    slot: Instant,
    /// When it was cut.
    #[schema(value_type = String, format = "date-time")]
    cut: Instant,
    /// When its last letter was settled.
    #[schema(value_type = Option<String>, format = "date-time")]
    completed: Option<Instant>,
    /// Why it is held; null where it is not.
    held: Option<String>,
    /// How many articles are in it.
    articles: u64,
    /// How many letters stand where: pending, claimed, accepted, deferred, bounced, suppressed, uncertain.
    deliveries: BTreeMap<&'static str, u64>,
    /// How many letters it has.
    letters: u64,
    /// How many of them are settled, one way or the other.
    settled: u64,
    /// How many were accepted in the last minute.
    per_minute: u64,
    /// When, at this pace, each has had its first try.
    #[schema(value_type = Option<String>, format = "date-time")]
    ends: Option<Instant>,
}

/// A page of editions, the newest first.
#[derive(Serialize, ToSchema)]
pub struct Editions {
    /// The editions.
    editions: Vec<EditionJson>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

async fn json(app: &AppState, edition: &Edition) -> Result<EditionJson, ApiProblem> {
    let now = app.clock.now();
    let Progress { letters, settled, per_minute, rest, .. } = progress(&app.store, edition, now).await?;
    Ok(EditionJson {
        id: edition.id.0,
        digest: edition.plan.to_string(),
        slot: edition.slot.0,
        cut: edition.cut_at,
        completed: edition.completed_at,
        held: edition.held.as_ref().map(|hold| hold.reason.clone()),
        articles: edition.articles,
        deliveries: edition.counts.iter().map(|(state, count)| (state.as_str(), *count)).collect(),
        letters,
        settled,
        per_minute,
        ends: rest.map(|rest| now + rest),
    })
}

async fn find(app: &AppState, name: &str) -> Result<Edition, ApiProblem> {
    let missing = || ApiProblem::missing("edition");
    let id = name.parse().map(EditionId).map_err(|_| missing())?;
    app.store.edition(id).await?.ok_or_else(missing)
}

/// Lists editions, the newest first.
#[utoipa::path(get, path = "/api/v1/editions", tag = "Editions", operation_id = "listEditions",
    security(("token" = ["digests:read"])),
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many; 50 where nothing is said"),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "`next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Editions)))]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Editions>, ApiProblem> {
    caller.may(Scope::DigestsRead)?;
    let limit = query.limit()?;
    let [below] = query.cursor()?.unwrap_or([i64::MAX]);
    query.end()?;
    let mut found = app.store.editions_below(EditionId(below), limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| cursor(&[last.id.0]));
    let mut editions = Vec::with_capacity(found.len());
    for edition in &found {
        editions.push(json(&app, edition).await?);
    }
    Ok(Json(Editions { editions, next }))
}

/// Gets an edition with its figures and how far it is.
#[utoipa::path(get, path = "/api/v1/editions/{id}", tag = "Editions", operation_id = "getEdition",
    security(("token" = ["digests:read"])), params(("id" = i64, Path, description = "Its number")),
    responses((status = 200, description = "The edition", body = EditionJson)))]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<EditionJson>, ApiProblem> {
    caller.may(Scope::DigestsRead)?;
    Ok(Json(json(&app, &find(&app, &name).await?).await?))
}

/// Keeps an edition from going out. Repeatable.
#[utoipa::path(post, path = "/api/v1/editions/{id}/hold", tag = "Editions", operation_id = "holdEdition",
    security(("token" = ["digests:write"])),
    params(("id" = i64, Path, description = "Its number"),
        ("reason" = Option<String>, Query, description = "Why, for whoever finds it held")),
    responses((status = 200, description = "It is held", body = EditionJson),
        (status = 409, description = "It is complete")))]
pub async fn hold(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    mut query: Query,
) -> Result<Json<EditionJson>, ApiProblem> {
    caller.may(Scope::DigestsWrite)?;
    let id = find(&app, &name).await?.id;
    let reason = reason(&mut query)?;
    query.end()?;
    app.store.hold_edition(id, &reason, app.clock.now()).await?;
    let edition = find(&app, &name).await?;
    if edition.held.is_none() {
        return Err(ApiProblem::conflict("complete", "it is complete: nothing of it is left to hold"));
    }
    Ok(Json(json(&app, &edition).await?))
}

/// Lets a held edition go. Repeatable.
#[utoipa::path(post, path = "/api/v1/editions/{id}/release", tag = "Editions", operation_id = "releaseEdition",
    security(("token" = ["digests:write"])), params(("id" = i64, Path, description = "Its number")),
    responses((status = 200, description = "It goes out", body = EditionJson)))]
pub async fn release(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<EditionJson>, ApiProblem> {
    caller.may(Scope::DigestsWrite)?;
    let id = find(&app, &name).await?.id;
    app.store.release_edition(id, app.clock.now()).await?;
    app.wake.dispatch.notify_one();
    Ok(Json(json(&app, &find(&app, &name).await?).await?))
}
