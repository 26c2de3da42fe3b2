//! `/api/v1/digests`: what is mailed when; how the next letter may look; holding and releasing.

use super::asked::Query;
use super::caller::Caller;
use super::problem::ApiProblem;
use crate::dispatch::{newest_articles, sample_letter};
use crate::domain::{Digest, DigestFeeds, Instant, Scope, Slug};
use crate::http::AppState;
use crate::store::StoreError;
use axum::Json;
use axum::extract::{Path, State};
use mail_parser::MessageParser;
use serde::Serialize;
use utoipa::ToSchema;

/// What an edition is held for where nobody says why.
pub const NO_REASON: &str = "held by the API";

/// A digest.
#[derive(Serialize, ToSchema)]
#[schema(as = Digest)]
pub struct DigestJson {
    /// Its name in commands and files.
    slug: String,
    /// Its name for people.
    title: String,
    /// When it is mailed, as its file says.
    schedule: String,
    /// The slugs of the feeds that it offers; null: every one.
    feeds: Option<Vec<String>>,
    /// Its next instant.
    #[schema(value_type = Option<String>, format = "date-time")]
    next: Option<Instant>,
    /// Whether each edition waits to be released.
    review: bool,
    /// Why it is held; null where it is not.
    held: Option<String>,
}

/// All digests.
#[derive(Serialize, ToSchema)]
pub struct Digests {
    /// As they are declared.
    digests: Vec<DigestJson>,
}

/// A letter, as it would look.
#[derive(Serialize, ToSchema)]
pub struct Preview {
    /// Its subject.
    subject: String,
    /// Its HTML part.
    html: String,
    /// Its text part.
    text: String,
}

async fn all(app: &AppState) -> Result<Vec<DigestJson>, StoreError> {
    let slots = app.store.next_slots().await?;
    let held = app.store.held_digests().await?;
    let json = |digest: &Digest| DigestJson {
        slug: digest.slug.to_string(),
        title: digest.title.clone(),
        schedule: digest.schedule.to_string(),
        feeds: match &digest.feeds {
            DigestFeeds::Every => None,
            DigestFeeds::These(slugs) => Some(slugs.iter().map(Slug::to_string).collect()),
        },
        next: slots.iter().find(|(slug, _)| *slug == digest.slug).map(|(_, slot)| slot.0),
        review: digest.review,
        held: held
            .iter()
            .find(|(slug, _)| *slug == digest.slug.as_str())
            .map(|(_, hold)| hold.reason.clone()),
    };
    Ok(app.desk.digests.iter().map(json).collect())
}

fn find<'a>(app: &'a AppState, name: &str) -> Result<&'a Digest, ApiProblem> {
    let slug = Slug::parse(name).ok();
    slug.and_then(|slug| app.desk.digest(&slug)).ok_or_else(|| ApiProblem::missing("digest"))
}

async fn one(app: &AppState, digest: &Digest) -> Result<Json<DigestJson>, ApiProblem> {
    let digests = all(app).await?;
    let found = digests.into_iter().find(|json| json.slug == digest.slug.as_str());
    found.map(Json).ok_or_else(|| ApiProblem::missing("digest"))
}

/// Lists the digests and when each is next.
#[utoipa::path(get, path = "/api/v1/digests", tag = "Digests", operation_id = "listDigests",
    security(("token" = ["digests:read"])),
    responses((status = 200, description = "All of them", body = Digests)))]
pub async fn list(State(app): State<AppState>, caller: Caller) -> Result<Json<Digests>, ApiProblem> {
    caller.may(Scope::DigestsRead)?;
    Ok(Json(Digests { digests: all(&app).await? }))
}

/// Shows a sample letter of the newest articles, as `bantin digest preview` does.
#[utoipa::path(get, path = "/api/v1/digests/{slug}/preview", tag = "Digests", operation_id = "previewDigest",
    security(("token" = ["digests:read"])), params(("slug" = String, Path, description = "Its slug")),
    responses((status = 200, description = "The letter", body = Preview),
        (status = 409, description = "There is no article to show")))]
pub async fn preview(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Preview>, ApiProblem> {
    caller.may(Scope::DigestsRead)?;
    let digest = find(&app, &name)?;
    let articles = newest_articles(&app.store, &app.desk, digest).await?;
    if articles.is_empty() {
        return Err(ApiProblem::conflict("no-articles", "there is no article to show yet"));
    }
    let language = app.publication.language.spoken();
    let (desk, now) = (&app.desk, app.clock.now());
    let (message, _) = sample_letter(desk, digest, &articles, &desk.sender.address, language, now)
        .map_err(|error| broken(&error.to_string()))?;
    let parsed = MessageParser::default().parse(&message.bytes).ok_or_else(|| broken("it cannot be read"))?;
    Ok(Json(Preview {
        subject: parsed.subject().unwrap_or_default().to_owned(),
        html: parsed.body_html(0).unwrap_or_default().into_owned(),
        text: parsed.body_text(0).unwrap_or_default().into_owned(),
    }))
}

/// A template of the newsroom's own that cannot be filled.
fn broken(why: &str) -> ApiProblem {
    ApiProblem::conflict("letter", format!("the letter cannot be written: {why}; `bantin check` says more"))
}

/// Why something is held.
pub fn reason(query: &mut Query) -> Result<String, ApiProblem> {
    let reason = query.take::<String>("reason", "a text")?;
    Ok(reason
        .map(|reason| crate::domain::excerpt(&reason, 200))
        .filter(|r| !r.is_empty())
        .unwrap_or_else(|| NO_REASON.to_owned()))
}

/// Keeps what a digest has under way, and every edition to come, from going out.
#[utoipa::path(post, path = "/api/v1/digests/{slug}/hold", tag = "Digests", operation_id = "holdDigest",
    security(("token" = ["digests:write"])),
    params(("slug" = String, Path, description = "Its slug"),
        ("reason" = Option<String>, Query, description = "Why, for whoever finds it held")),
    responses((status = 200, description = "It is held", body = DigestJson)))]
pub async fn hold(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    mut query: Query,
) -> Result<Json<DigestJson>, ApiProblem> {
    caller.may(Scope::DigestsWrite)?;
    let digest = find(&app, &name)?;
    let reason = reason(&mut query)?;
    query.end()?;
    let held = app.store.hold_digest(&digest.slug, &reason, app.clock.now()).await?;
    held.ok_or_else(|| ApiProblem::missing("digest"))?;
    one(&app, digest).await
}

/// Lets a digest go out again, with what was held of it.
#[utoipa::path(post, path = "/api/v1/digests/{slug}/release", tag = "Digests", operation_id = "releaseDigest",
    security(("token" = ["digests:write"])), params(("slug" = String, Path, description = "Its slug")),
    responses((status = 200, description = "It goes out", body = DigestJson)))]
pub async fn release(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<DigestJson>, ApiProblem> {
    caller.may(Scope::DigestsWrite)?;
    let digest = find(&app, &name)?;
    let released = app.store.release_digest(&digest.slug, app.clock.now()).await?;
    released.ok_or_else(|| ApiProblem::missing("digest"))?;
    app.wake.dispatch.notify_one();
    one(&app, digest).await
}
