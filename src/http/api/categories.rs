//! `/api/v1/categories`: sections, their names, and which is part of which.

use super::asked::JsonBytes;
use super::caller::Caller;
use super::problem::ApiProblem;
use crate::domain::{Category, CategoryTree, FeedKey, Scope, Slug};
use crate::http::AppState;
use crate::publish;
use crate::store::Renaming;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A section.
#[derive(Serialize, ToSchema)]
#[schema(as = Category)]
pub struct CategoryJson {
    /// Its name in URLs.
    slug: String,
    /// Its name for people.
    title: String,
    /// The slug of the section that it is part of.
    parent: Option<String>,
    /// Slugs that it had; they lead to it for ever.
    former: Vec<String>,
    /// Its page; null where its feed is retired.
    url: Option<String>,
}

/// All sections.
#[derive(Serialize, ToSchema)]
pub struct Categories {
    /// The oldest first.
    categories: Vec<CategoryJson>,
}

/// A new section.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryInput {
    /// Its name for people.
    #[schema(pattern = r"\S")]
    title: String,
    /// Its name in URLs; without one it is made of the title.
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 63)]
    slug: Option<String>,
    /// The slug of the section that it is part of.
    parent: Option<String>,
}

/// What shall be otherwise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryPatch {
    /// Another name for people.
    #[schema(pattern = r"\S")]
    title: Option<String>,
    /// Another name in URLs; the former one leads to it for ever.
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 63)]
    slug: Option<String>,
    /// The slug of the section that it becomes part of; null: of none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    parent: Option<Option<String>>,
}

/// Tells a null from a field that is not there.
fn present<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn json(app: &AppState, tree: &CategoryTree, category: &Category) -> CategoryJson {
    let former = tree.all_former().filter(|(slug, id)| *id == category.id && tree.by_slug(slug).is_none());
    let mut former: Vec<String> = former.map(|(slug, _)| slug.to_string()).collect();
    former.sort_unstable();
    let directory = app.representations.directory();
    let feed = directory.by_key(FeedKey::Category(category.id));
    CategoryJson {
        slug: category.slug.to_string(),
        title: category.title.clone(),
        parent: category.parent.and_then(|id| tree.get(id)).map(|parent| parent.slug.to_string()),
        former,
        url: feed.map(|feed| app.publication.url(&feed.place.page_path())),
    }
}

/// The section of a slug, also of a former one.
fn find<'t>(tree: &'t CategoryTree, name: &str) -> Result<&'t Category, ApiProblem> {
    let slug = Slug::parse(name).ok();
    slug.and_then(|slug| tree.find(&slug)).ok_or_else(|| ApiProblem::missing("category"))
}

/// The section that a field names as the one above.
fn above<'t>(tree: &'t CategoryTree, name: &str) -> Result<&'t Category, ApiProblem> {
    find(tree, name).map_err(|_| ApiProblem::field("/parent", "is no slug of a category"))
}

fn slug_of(field: Option<&String>) -> Result<Option<Slug>, ApiProblem> {
    let wrong = |error: crate::domain::SlugError| ApiProblem::field("/slug", error.to_string());
    field.map(|slug| Slug::parse(slug).map_err(wrong)).transpose()
}

fn named(renaming: Renaming) -> Result<Category, ApiProblem> {
    Err(match renaming {
        Renaming::Renamed { category, .. } => return Ok(category),
        Renaming::Unknown => ApiProblem::missing("category"),
        Renaming::SlugReserved(slug) => ApiProblem::conflict(
            "slug-taken",
            format!("`{slug}` is a feed of the program's own; choose another slug"),
        ),
        Renaming::SlugTaken(other) => ApiProblem::conflict(
            "slug-taken",
            format!("the slug is or was that of “{}”; choose another one", other.title),
        ),
        Renaming::TitleTaken(other) => ApiProblem::conflict(
            "title-taken",
            format!(
                "`{}` is called “{}”; two spellings of a title are one category",
                other.slug, other.title
            ),
        ),
        Renaming::TitleBlank => ApiProblem::field("/title", "is blank; write one with a letter in it"),
    })
}

/// The section as it is after a change, under the addresses that it has now.
async fn changed(app: &AppState, category: &Category) -> Result<CategoryJson, ApiProblem> {
    // What cannot be made anew now is made by the next tick.
    if let Err(error) = app.representations.refresh(app.clock.now()).await {
        tracing::warn!(%error, "feeds are made anew later");
    }
    let tree = app.store.category_tree().await?;
    let category = tree.get(category.id).ok_or_else(|| ApiProblem::missing("category"))?;
    Ok(json(app, &tree, category))
}

/// Lists the sections.
#[utoipa::path(get, path = "/api/v1/categories", tag = "Categories", operation_id = "listCategories",
    security(("token" = ["articles:read"])),
    responses((status = 200, description = "All of them", body = Categories)))]
pub async fn list(State(app): State<AppState>, caller: Caller) -> Result<Json<Categories>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let tree = app.store.category_tree().await?;
    Ok(Json(Categories { categories: tree.all().iter().map(|own| json(&app, &tree, own)).collect() }))
}

/// Gets a section, also by a slug that it had.
#[utoipa::path(get, path = "/api/v1/categories/{slug}", tag = "Categories", operation_id = "getCategory",
    security(("token" = ["articles:read"])), params(("slug" = String, Path, description = "Its slug")),
    responses((status = 200, description = "The section", body = CategoryJson)))]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<CategoryJson>, ApiProblem> {
    caller.may(Scope::ArticlesRead)?;
    let tree = app.store.category_tree().await?;
    Ok(Json(json(&app, &tree, find(&tree, &name)?)))
}

/// Makes a section, with its feed. Articles that name a new one make it as well.
#[utoipa::path(post, path = "/api/v1/categories", tag = "Categories", operation_id = "createCategory",
    security(("token" = ["articles:write"])), request_body = CategoryInput,
    responses((status = 201, description = "It is made", body = CategoryJson, headers(("Location" = String))),
        (status = 409, description = "Another section has this title or slug")))]
pub async fn create(
    State(app): State<AppState>,
    caller: Caller,
    body: JsonBytes,
) -> Result<Response, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let input: CategoryInput = body.read()?;
    let slug = slug_of(input.slug.as_ref())?;
    let tree = app.store.category_tree().await?;
    let parent = input.parent.as_deref().map(|name| above(&tree, name)).transpose()?;
    let now = app.clock.now();
    let made = publish::add_category(&app.store, &input.title, slug.as_ref(), now, &*app.chance).await?;
    let made = named(made)?;
    if let Some(parent) = parent {
        publish::place(&app.store, made.id, Some(parent.id), now).await?;
    }
    let made = changed(&app, &made).await?;
    let location = format!("{}/api/v1/categories/{}", app.root(), made.slug);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)).into_response())
}

/// Renames a section, or makes it part of another one.
#[utoipa::path(patch, path = "/api/v1/categories/{slug}", tag = "Categories", operation_id = "patchCategory",
    security(("token" = ["articles:write"])), params(("slug" = String, Path, description = "Its slug")),
    request_body(content = CategoryPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "It is changed", body = CategoryJson),
        (status = 404, description = "There is no such section"),
        (status = 409, description = "Another section has this title or slug, or it would be part of itself")))]
pub async fn patch(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    body: JsonBytes,
) -> Result<Json<CategoryJson>, ApiProblem> {
    caller.may(Scope::ArticlesWrite)?;
    let patch: CategoryPatch = body.read()?;
    let slug = slug_of(patch.slug.as_ref())?;
    let tree = app.store.category_tree().await?;
    let own = find(&tree, &name)?;
    let itself = || ApiProblem::conflict("part-of-itself", "it would be part of itself");
    let parent = match &patch.parent {
        None => None,
        Some(None) => Some(None),
        Some(Some(name)) => Some(Some(above(&tree, name)?.id)),
    };
    // Seen before anything is done: a name and a place are two steps.
    if let Some(Some(parent)) = parent
        && tree.lineage(parent).contains(&own.id)
    {
        return Err(itself());
    }
    let now = app.clock.now();
    if patch.title.is_some() || slug.is_some() {
        named(publish::rename(&app.store, own.id, patch.title.as_deref(), slug.as_ref(), now).await?)?;
    }
    if let Some(parent) = parent {
        publish::place(&app.store, own.id, parent, now).await?.ok_or_else(itself)?;
    }
    Ok(Json(changed(&app, own).await?))
}
