//! `/api/v1/drafts`: what came in doubtful, for a person to publish or to put away.

use super::articles::answer;
use super::asked::{JsonBytes, Query, cursor};
use super::caller::Caller;
use super::problem::ApiProblem;
use crate::domain::{
    ArticleId, Doubt, Enclosure, Image, Instant, Scope, Source, WebUrl, clean_line, from_micros,
};
use crate::http::AppState;
use crate::publish;
use crate::store::{KeptDraft, Which};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A draft as it was guessed.
#[derive(Serialize, ToSchema)]
#[schema(as = Draft)]
pub struct DraftJson {
    /// Of the article that it becomes, where that is new.
    #[schema(format = "uuid")]
    id: String,
    /// Where it came from: a file, an address, a source.
    input: String,
    /// When it came in as it is.
    #[schema(value_type = String, format = "date-time")]
    taken_at: Instant,
    /// What of it is for a person to decide.
    #[schema(value_type = Vec<DoubtJson>)]
    doubts: Vec<Doubt>,
    /// Where readers find it on the newspaper's site.
    url: Option<String>,
    /// The headline.
    title: String,
    /// The lead, as plain text.
    summary: Option<String>,
    /// The full text; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_html: Option<String>,
    /// The names of its sections.
    categories: Vec<String>,
    /// Its tags.
    tags: Vec<String>,
    /// Its bylines.
    authors: Vec<String>,
    /// When it was published, if that was found.
    #[schema(value_type = Option<String>, format = "date-time")]
    published: Option<Instant>,
    /// Its language, where it is not the publication's.
    language: Option<String>,
    /// The picture that stands for it.
    #[schema(value_type = Option<super::article_json::ImageJson>)]
    image: Option<Image>,
    /// Recordings, films, documents.
    #[schema(value_type = Vec<super::article_json::EnclosureJson>)]
    enclosures: Vec<Enclosure>,
    /// Where it comes from, if not from this newsroom's own pen.
    #[schema(value_type = Option<super::article_json::SourceJson>)]
    source: Option<Source>,
}

/// What a person should decide.
#[derive(ToSchema)]
#[schema(as = Doubt)]
#[expect(dead_code, reason = "it only describes `domain::Doubt`, which knows nothing of OpenAPI")]
pub struct DoubtJson {
    /// The field.
    field: String,
    /// By what it was guessed.
    rule: String,
}

/// A page of drafts, the newest first.
#[derive(Serialize, ToSchema)]
pub struct Drafts {
    /// Without their full texts.
    drafts: Vec<DraftJson>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// What a person knows better.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The headline, where the one that was guessed is wrong.
    title: Option<String>,
    /// When it was published; without any it is published now.
    #[schema(format = "date-time")]
    published: Option<String>,
}

impl DraftJson {
    fn whole(kept: KeptDraft) -> Self {
        let html = kept.draft.body.as_str().to_owned();
        Self { content_html: Some(html), ..Self::listed(kept) }
    }

    fn listed(KeptDraft { id, input, draft, doubts, taken_at }: KeptDraft) -> Self {
        Self {
            id: id.to_string(),
            input,
            taken_at,
            doubts,
            url: draft.url.as_ref().map(WebUrl::to_string),
            title: draft.title,
            summary: draft.summary,
            content_html: None,
            categories: draft.categories.into_iter().map(|category| category.0).collect(),
            tags: draft.tags,
            authors: draft.authors,
            published: draft.published,
            language: draft.language.map(|language| language.to_string()),
            image: draft.image,
            enclosures: draft.enclosures,
            source: draft.source,
        }
    }
}

impl Decision {
    fn read(&self) -> Result<(Option<String>, Option<Instant>), ApiProblem> {
        let title = self.title.as_deref().map(clean_line);
        let published = self.published.as_deref().map(DateTime::parse_from_rfc3339);
        let untitled = title.as_deref().is_some_and(str::is_empty);
        let untitled =
            untitled.then(|| ApiProblem::field("/title", "is empty; leave it out to keep what was guessed"));
        let undated = published.as_ref().is_some_and(Result::is_err);
        let undated = undated
            .then(|| ApiProblem::field("/published", "must be an instant, as in 2026-11-24T06:00:00+07:00"));
        match [untitled, undated].into_iter().flatten().reduce(ApiProblem::and) {
            Some(problem) => Err(problem),
            None => {
                let published = published.and_then(Result::ok).map(|at| from_micros(at.timestamp_micros()));
                Ok((title, published))
            }
        }
    }
}

fn id_of(name: &str) -> Result<ArticleId, ApiProblem> {
    name.parse().map_err(|_| ApiProblem::missing("draft"))
}

/// Lists the drafts that wait for a person, the newest first.
#[utoipa::path(get, path = "/api/v1/drafts", tag = "Drafts", operation_id = "listDrafts",
    security(("token" = ["articles:read"])),
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many; 50 where nothing is said"),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$", description = "`next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Drafts)))]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Drafts>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let (limit, behind) = (query.limit()?, query.cursor()?);
    query.end()?;
    let (drafts, next) = app.store.draft_page(behind.unwrap_or([i64::MAX; 2]), limit).await?;
    let drafts = drafts.into_iter().map(DraftJson::listed).collect();
    Ok(Json(Drafts { drafts, next: next.map(|next| cursor(&next)) }))
}

/// Gets a draft with its full text.
#[utoipa::path(get, path = "/api/v1/drafts/{id}", tag = "Drafts", operation_id = "getDraft",
    security(("token" = ["articles:read"])),
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The draft", body = DraftJson)))]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<DraftJson>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let draft = app.store.draft(id_of(&name)?).await?;
    draft.map(|draft| Json(DraftJson::whole(draft))).ok_or_else(|| ApiProblem::missing("draft"))
}

/// Publishes a draft, with what a person knows better.
#[utoipa::path(post, path = "/api/v1/drafts/{id}/publish", tag = "Drafts", operation_id = "publishDraft",
    security(("token" = ["articles:write"])),
    params(("id" = String, Path, description = "Its id")),
    request_body(content = Decision, content_type = "application/json"),
    responses((status = 200, description = "The article that it is now", body = super::article_json::ArticleJson, headers(("ETag" = String)))))]
pub async fn publish(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    body: JsonBytes,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let id = id_of(&name)?;
    let (title, published) = body.read::<Decision>()?.read()?;
    let (title, now) = (title.as_deref(), app.clock.now());
    let accepted = publish::publish_draft(&app.store, id, title, published, now, &*app.chance).await?;
    let accepted = accepted.ok_or_else(|| ApiProblem::missing("draft"))?;
    let article = app.store.keyed_article(&Which::Id(accepted.id)).await?;
    let article = article.ok_or_else(|| ApiProblem::missing("article"))?;
    Ok(answer(StatusCode::OK, article, Vec::new()))
}

/// Puts a draft away: nobody is asked about it again until it comes in changed.
#[utoipa::path(delete, path = "/api/v1/drafts/{id}", tag = "Drafts", operation_id = "discardDraft",
    security(("token" = ["articles:write"])),
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is put away")))]
pub async fn put_away(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let done = publish::drop_draft(&app.store, id_of(&name)?, app.clock.now()).await?;
    if done { Ok(StatusCode::NO_CONTENT) } else { Err(ApiProblem::missing("draft")) }
}
