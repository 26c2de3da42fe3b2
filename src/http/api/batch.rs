//! `POST /api/v1/articles/batch`: many articles at once, each with its own result.

use super::article_json::Given;
use super::articles::occasion;
use super::asked::{JsonBytes, Query};
use super::caller::Caller;
use super::problem::{ApiProblem, ProblemBody};
use crate::domain::{Draft, Scope};
use crate::http::AppState;
use crate::publish::{self, BATCH};
use crate::store::Accepted;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// How many articles one request brings at most.
const MOST: usize = 1_000;

/// Articles that come in together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// 1 to 1,000 of them.
    #[schema(value_type = Vec<Object>, min_items = 1, max_items = 1000)]
    articles: Vec<Box<RawValue>>,
}

/// What became of one of them.
#[derive(Serialize, ToSchema)]
pub struct BatchResult {
    /// 201 new, 200 known, or why not.
    status: u16,
    /// The article's id.
    id: Option<String>,
    /// `new`, `revised` or `unchanged`.
    what: Option<&'static str>,
    /// What was odd about it, and what was done about it.
    warnings: Vec<String>,
    /// Why it stayed out.
    problem: Option<ProblemBody>,
}

/// What became of all of them.
#[derive(Serialize, ToSchema)]
pub struct BatchResults {
    /// In the order in which they came.
    results: Vec<BatchResult>,
}

impl BatchResult {
    fn refused(problem: &ApiProblem) -> Self {
        let problem = problem.body();
        Self { status: problem.status, id: None, what: None, warnings: Vec::new(), problem: Some(problem) }
    }
}

/// Takes many articles in. One that is wrong never stops the others.
///
/// Each is taken as createArticle takes one.
#[utoipa::path(post, path = "/api/v1/articles/batch", tag = "Articles", operation_id = "createArticles",
    security(("token" = ["articles:write"])),
    params(("archive" = Option<bool>, Query, description = "They are years old: into the feeds, never into a digest")),
    request_body(content = ref("#/components/schemas/Batch"), content_type = "application/json"),
    responses((status = 200, description = "Each has its result", body = BatchResults)))]
pub async fn create(
    State(app): State<AppState>,
    caller: Caller,
    mut query: Query,
    body: JsonBytes,
) -> Result<Json<BatchResults>, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let occasion = occasion(&mut query)?;
    query.end()?;
    let batch: Batch = body.read()?;
    if !(1..=MOST).contains(&batch.articles.len()) {
        return Err(ApiProblem::field("/articles", format!("must hold 1 to {MOST} articles")));
    }
    let mut results = Vec::with_capacity(batch.articles.len());
    for part in batch.articles.chunks(BATCH) {
        let read: Vec<_> = part.iter().map(|item| Given::read(&app, item.get().as_bytes())).collect();
        let drafts: Vec<Draft> =
            read.iter().filter_map(|given| Some(given.as_ref().ok()?.arrival.draft.clone())).collect();
        let accepted = publish::accept(&app.store, &drafts, occasion, app.clock.now(), &*app.chance).await;
        let (mut accepted, failed) = match accepted {
            Ok(accepted) => (accepted.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(ApiProblem::from(error))),
        };
        results.extend(read.iter().map(|given| match (given, &failed) {
            (Err(problem), _) | (Ok(_), Some(problem)) => BatchResult::refused(problem),
            (Ok(given), None) => {
                let (id, what) = match accepted.next() {
                    Some(acceptance) => (Some(acceptance.id.to_string()), acceptance.what),
                    None => (None, Accepted::Unchanged),
                };
                let (status, what) = match what {
                    Accepted::New => (201, "new"),
                    Accepted::Revised { .. } => (200, "revised"),
                    Accepted::Unchanged => (200, "unchanged"),
                };
                BatchResult { status, id, what: Some(what), warnings: given.warnings(), problem: None }
            }
        }));
    }
    Ok(Json(BatchResults { results }))
}
