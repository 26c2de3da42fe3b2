//! `/api/v1/articles`: what the newsroom's own system publishes, changes and takes back.

use super::MAX_ARTICLE;
use super::article_json::{ArticleJson, Given, patched};
use super::asked::{JsonBytes, Query, cursor};
use super::caller::Caller;
use super::problem::ApiProblem;
use super::repeats::Maker;
use crate::domain::{ArticleId, ArticleState, IdentityKey, Scope, Slug};
use crate::feed::validators::entity_tags;
use crate::http::AppState;
use crate::http::answer::joined;
use crate::publish::{self, Occasion};
use crate::store::{Accepted, ArticlePage, Change, Condition, KeyedArticle, Position, Put, Which};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

/// How often a patch is made anew because another writer was quicker.
const TRIES: usize = 8;

/// A page of articles, the newest first.
#[derive(Serialize, ToSchema)]
pub struct Articles {
    /// Without their full texts.
    articles: Vec<ArticleJson>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// The article that a path names: an id of ours, or `key:` and the newsroom's own.
fn which(name: &str) -> Result<Which, ApiProblem> {
    match name.strip_prefix("key:") {
        Some(key) if !key.trim().is_empty() => Ok(Which::Key(IdentityKey::external("api", key))),
        Some(_) => Err(ApiProblem::missing("article")),
        None => name.parse().map(Which::Id).map_err(|_| ApiProblem::missing("article")),
    }
}

/// What the request lets its write depend on.
fn condition(headers: &HeaderMap) -> Result<Condition, ApiProblem> {
    if let Some(tags) = joined(headers, &header::IF_MATCH) {
        return Ok(Condition::Matches(tags));
    }
    match joined(headers, &header::IF_NONE_MATCH).as_deref().map(str::trim) {
        None => Ok(Condition::Always),
        Some("*") => Ok(Condition::Absent),
        Some(_) => Err(ApiProblem::new(
            StatusCode::BAD_REQUEST,
            "invalid-condition",
            "a write understands `If-None-Match: *` alone; to change what you have seen, use If-Match",
        )),
    }
}

/// An article with its tag. What is told of it is nobody else's to keep.
pub fn answer(status: StatusCode, article: KeyedArticle, warnings: Vec<String>) -> Response {
    let tag = article.entity_tag();
    let path = format!("/api/v1/articles/{}", article.article.id);
    let mut response =
        (status, Json(ArticleJson { warnings, ..ArticleJson::whole(article) })).into_response();
    let mut put = |name, value: &str| {
        response.headers_mut().extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
    };
    put(header::ETAG, tag.as_str());
    put(header::CACHE_CONTROL, "private, no-cache");
    if status == StatusCode::CREATED {
        put(header::LOCATION, &path);
    }
    response
}

/// The same with our path, where the base URL has one.
fn located(app: &AppState, mut response: Response) -> Response {
    let location = response.headers().get(header::LOCATION).and_then(|path| path.to_str().ok());
    if let Some(Ok(path)) = location.map(|path| HeaderValue::from_str(&format!("{}{path}", app.root()))) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// Lists articles, the newest first, in pages that stay whole while articles come in.
#[utoipa::path(get, path = "/api/v1/articles", tag = "Articles", operation_id = "listArticles",
    security(("token" = ["articles:read"])),
    params(
        ("category" = Option<String>, Query, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 63, description = "Of this section and its parts: its slug"),
        ("state" = Option<String>, Query, pattern = "^(embargoed|visible|withdrawn)$", description = "embargoed, visible or withdrawn"),
        ("since" = Option<String>, Query, format = "date-time", description = "Published at this instant or later"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many; 50 where nothing is said"),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$", description = "`next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Articles)))]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Articles>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let category = match query.take::<Slug>("category", "a slug")? {
        None => None,
        Some(slug) => {
            let tree = app.store.category_tree().await?;
            Some(tree.find(&slug).ok_or_else(|| ApiProblem::missing("category"))?.id)
        }
    };
    let word = query.take::<String>("state", "a word")?;
    let state = word.map(|word| {
        let wrong = || ApiProblem::parameter("state", "must be embargoed, visible or withdrawn");
        ArticleState::parse(&word).ok_or_else(wrong)
    });
    let since = query.instant("since")?;
    let limit = query.limit()?;
    let behind = query.cursor()?.map(|[published, row]| Position { published, row });
    query.end()?;
    let page = ArticlePage {
        category,
        state: state.transpose()?,
        since,
        behind: behind.unwrap_or(Position::START),
        limit,
    };
    let (articles, next) = app.store.article_page(&page).await?;
    Ok(Json(Articles {
        articles: articles.into_iter().map(ArticleJson::listed).collect(),
        next: next.map(|next| cursor(&[next.published, next.row])),
    }))
}

/// Gets an article with its full text.
///
/// The ETag is that of this very version: send it back in If-Match, and nobody's change is lost.
#[utoipa::path(get, path = "/api/v1/articles/{id}", tag = "Articles", operation_id = "getArticle",
    security(("token" = ["articles:read"])),
    params(
        ("id" = String, Path, description = "Its id, or `key:` and its external_id, percent-encoded"),
        ("If-None-Match" = Option<String>, Header, description = "The tag of the version that you have"),
    ),
    responses((status = 200, description = "The article", body = ArticleJson, headers(("ETag" = String))),
        (status = 304, description = "You have it")))]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let found = app.store.keyed_article(&which(&name)?).await?;
    let article = found.ok_or_else(|| ApiProblem::missing("article"))?;
    let tag = article.entity_tag();
    let has = joined(&headers, &header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.trim() == "*" || entity_tags(&tags).any(|theirs| tag.matches(theirs)));
    let mut response = answer(StatusCode::OK, article, Vec::new());
    if has {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = axum::body::Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}

/// Takes an article in.
///
/// An article with this external_id or url is revised instead; what says nothing new changes nothing.
#[utoipa::path(post, path = "/api/v1/articles", tag = "Articles", operation_id = "createArticle",
    security(("token" = ["articles:write"])),
    params(
        ("archive" = Option<bool>, Query, description = "It is years old: into the feeds, never into a digest"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not there yet"),
    ),
    request_body(content = ref("#/components/schemas/ArticleInput"), content_type = "application/json"),
    responses((status = 201, description = "It is new", body = ArticleJson, headers(("ETag" = String), ("Location" = String))),
        (status = 200, description = "It was known", body = ArticleJson, headers(("ETag" = String))),
        (status = 409, description = "external_id and url are those of two articles"),
        (status = 412, description = "It is there already")))]
pub async fn create(
    State(app): State<AppState>,
    caller: Caller,
    mut query: Query,
    headers: HeaderMap,
    maker: Option<Extension<Maker>>,
    body: JsonBytes,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let occasion = occasion(&mut query)?;
    query.end()?;
    bounded(&body)?;
    let mut given = Given::read(&app, &body.0)?;
    if let Some(Extension(maker)) = maker {
        let made = Which::Key(maker.article.clone());
        if maker.unanswered
            && let Some(article) = app.store.keyed_article(&made).await?
        {
            let is_new = article.article.revision == 1;
            return Ok(told(&app, &given, article, is_new));
        }
        given.arrival.draft.keys.push(maker.article);
    }
    written(&app, None, &given, occasion, &condition(&headers)?).await
}

/// Whether what comes in is news.
pub fn occasion(query: &mut Query) -> Result<Occasion, ApiProblem> {
    let archive = query.take("archive", "true or false")?.unwrap_or(false);
    Ok(if archive { Occasion::Archive } else { Occasion::News })
}

fn bounded(body: &JsonBytes) -> Result<(), ApiProblem> {
    if body.0.len() <= MAX_ARTICLE {
        return Ok(());
    }
    let detail = format!("an article has {MAX_ARTICLE} bytes at most");
    Err(ApiProblem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail))
}

async fn written(
    app: &AppState,
    which: Option<&Which>,
    given: &Given,
    occasion: Occasion,
    condition: &Condition,
) -> Result<Response, ApiProblem> {
    let draft = (&given.arrival.draft, occasion);
    let put = publish::put(&app.store, which, draft, condition, app.clock.now(), &*app.chance).await?;
    match put {
        Put::Done(acceptance, article) => Ok(told(app, given, *article, acceptance.what == Accepted::New)),
        Put::Missing => Err(ApiProblem::missing("article")),
        Put::Refused => Err(ApiProblem::precondition()),
        Put::Taken(other) => Err(taken(other)),
    }
}

fn told(app: &AppState, given: &Given, article: KeyedArticle, is_new: bool) -> Response {
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let warnings = warnings(given, &article);
    located(app, answer(status, article, warnings))
}

/// What was odd about what came in, and what of it was not done.
fn warnings(given: &Given, written: &KeyedArticle) -> Vec<String> {
    let mut warnings = given.warnings();
    let is = written.article.published;
    if given.arrival.draft.published.is_some_and(|said| said != is) {
        warnings.push(format!("`published` stays {is}: it never changes once the article is visible"));
    }
    warnings
}

fn taken(other: ArticleId) -> ApiProblem {
    let detail =
        format!("the article {other} has this external_id or url, or this url and another external_id");
    ApiProblem::conflict("taken", detail)
}

/// Puts an article in the place of the present one, or makes it where it is named by its own key.
///
/// What is left out is empty afterwards. `published` stays as it is once the article is visible.
#[utoipa::path(put, path = "/api/v1/articles/{id}", tag = "Articles", operation_id = "replaceArticle",
    security(("token" = ["articles:write"])),
    params(
        ("id" = String, Path, description = "Its id, or `key:` and its external_id, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only if it is still this version"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not there yet"),
    ),
    request_body(content = ref("#/components/schemas/ArticleInput"), content_type = "application/json"),
    responses((status = 200, description = "It is replaced", body = ArticleJson, headers(("ETag" = String))),
        (status = 201, description = "It is new", body = ArticleJson, headers(("ETag" = String), ("Location" = String))),
        (status = 404, description = "There is no article with this id"),
        (status = 409, description = "external_id or url is that of another article"),
        (status = 412, description = "It is another version, or is there already")))]
pub async fn replace(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: JsonBytes,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let which = which(&name)?;
    bounded(&body)?;
    let given = Given::read(&app, &body.0)?;
    if let Which::Key(key) = &which {
        let told = given.external_id.as_ref().map(|id| IdentityKey::external("api", id));
        if told.is_some_and(|told| told != *key) {
            return Err(ApiProblem::field("/external_id", "is another one than the path names"));
        }
    }
    written(&app, Some(&which), &given, Occasion::News, &condition(&headers)?).await
}

/// Changes some fields of an article (RFC 7396): null takes a field away, a list replaces the list.
#[utoipa::path(patch, path = "/api/v1/articles/{id}", tag = "Articles", operation_id = "patchArticle",
    security(("token" = ["articles:write"])),
    params(
        ("id" = String, Path, description = "Its id, or `key:` and its external_id, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only if it is still this version"),
    ),
    request_body(content = ref("#/components/schemas/ArticlePatch"), content_type = "application/merge-patch+json"),
    responses((status = 200, description = "It is changed", body = ArticleJson, headers(("ETag" = String))),
        (status = 404, description = "There is no such article"),
        (status = 409, description = "external_id or url is that of another article, or others change it all the time"),
        (status = 412, description = "It is another version")))]
pub async fn patch(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: JsonBytes,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let which = which(&name)?;
    bounded(&body)?;
    let condition = condition(&headers)?;
    for _ in 0..TRIES {
        let found = app.store.keyed_article(&which).await?;
        let article = found.ok_or_else(|| ApiProblem::missing("article"))?;
        if !condition.holds(Some(&article)) {
            return Err(ApiProblem::precondition());
        }
        let Some(fields) = patched(&article, &body.0)? else {
            return Ok(answer(StatusCode::OK, article, Vec::new()));
        };
        let given = Given::of(&app, fields)?;
        // The patch was made of this version, so it goes on no other.
        let seen = Condition::Matches(article.entity_tag().to_string());
        let which = Which::Id(article.article.id);
        let draft = (&given.arrival.draft, Occasion::News);
        match publish::put(&app.store, Some(&which), draft, &seen, app.clock.now(), &*app.chance).await? {
            Put::Done(_, article) => {
                let warnings = warnings(&given, &article);
                return Ok(answer(StatusCode::OK, *article, warnings));
            }
            Put::Missing => return Err(ApiProblem::missing("article")),
            Put::Taken(other) => return Err(taken(other)),
            Put::Refused => {}
        }
    }
    Err(ApiProblem::conflict("contended", "others change this article all the time; try again"))
}

/// Withdraws an article: it is gone from every feed at once, and never mailed again.
#[utoipa::path(delete, path = "/api/v1/articles/{id}", tag = "Articles", operation_id = "withdrawArticle",
    security(("token" = ["articles:write"])),
    params(
        ("id" = String, Path, description = "Its id, or `key:` and its external_id, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only if it is still this version"),
    ),
    responses((status = 204, description = "It is withdrawn", headers(("ETag" = String))),
        (status = 404, description = "There is no such article"),
        (status = 412, description = "It is another version")))]
pub async fn withdraw(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let (which, condition) = (which(&name)?, condition(&headers)?);
    let changed = publish::withdraw_if(&app.store, &which, &condition, app.clock.now()).await?;
    let article = done(changed)?;
    Ok((StatusCode::NO_CONTENT, [(header::ETAG, article.entity_tag().to_string())]).into_response())
}

/// Publishes an article again that was withdrawn.
#[utoipa::path(post, path = "/api/v1/articles/{id}/publish", tag = "Articles", operation_id = "publishArticle",
    security(("token" = ["articles:write"])),
    params(
        ("id" = String, Path, description = "Its id, or `key:` and its external_id, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Only if it is still this version"),
    ),
    responses((status = 200, description = "It is published", body = ArticleJson, headers(("ETag" = String))),
        (status = 404, description = "There is no such article"),
        (status = 412, description = "It is another version")))]
pub async fn restore(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let (which, condition) = (which(&name)?, condition(&headers)?);
    let changed = publish::restore_if(&app.store, &which, &condition, app.clock.now()).await?;
    Ok(answer(StatusCode::OK, done(changed)?, Vec::new()))
}

fn done(change: Change) -> Result<KeyedArticle, ApiProblem> {
    match change {
        Change::Done(article) => Ok(*article),
        Change::Missing => Err(ApiProblem::missing("article")),
        Change::Refused => Err(ApiProblem::precondition()),
    }
}
