use super::answer::{Cacheable, Problem, page_validators};
use super::visitor::Visitor;
use super::{AppState, moved};
use crate::domain::{
    ArticleId, ArticleState, FeedDefinition, FeedKey, FeedName, FeedPlace, Instant, Language, Selection,
};
use crate::http::readers::subscribe_form_of;
use crate::page::{self, FeedLink};
use crate::representations::Found;
use crate::store::ArticleSelection;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

/// How many of the latest articles a page lists.
const LATEST: usize = 20;
/// Pages are for people who reload: kept as long as a feed, checked when old.
const CACHE_CONTROL: &str = "public, max-age=60, stale-if-error=86400";
const VARY: &str = "Accept-Language, Accept-Encoding";
const HTML: &str = "text/html; charset=utf-8";

/// A page as it was made for everybody: it is good until the store changes.
#[derive(Clone)]
pub struct MadePage {
    seen: i64,
    made_at: Instant,
    bytes: Bytes,
}

/// The pages that everybody gets, by path, language and whether it was picked. Bounded by number.
pub type PageShelf = moka::future::Cache<(String, Language, bool), Arc<MadePage>>;

/// An empty shelf.
pub fn shelf() -> PageShelf {
    moka::future::Cache::new(1_000)
}

/// Takes a page from the shelf, or makes it. Nothing is asked of the store while nothing changed.
async fn shelved<F>(app: &AppState, visitor: &Visitor, path: &str, make: F) -> Response
where
    F: AsyncFnOnce() -> Result<String, Problem>,
{
    let language = visitor.language(app);
    let key = (path.to_owned(), language, visitor.picked.is_some());
    let seen = app.representations.seen();
    let found = app.shelf.get(&key).await.filter(|made| made.seen == seen);
    let made = match found {
        Some(made) => made,
        None => match make().await {
            Ok(html) => {
                let made = Arc::new(MadePage { seen, made_at: app.clock.now(), bytes: html.into() });
                app.shelf.insert(key, Arc::clone(&made)).await;
                made
            }
            Err(problem) => return problem.page(app, visitor),
        },
    };
    Cacheable {
        validators: page_validators(&made.bytes, made.made_at),
        bytes: made.bytes.clone(),
        content_type: HTML,
        coding: None,
        cache_control: CACHE_CONTROL,
        vary: VARY,
        link: None,
    }
    .answer(&visitor.headers, app.clock.now())
}

async fn latest(app: &AppState, feed: FeedKey) -> Result<Vec<crate::domain::Article>, Problem> {
    let selection = ArticleSelection { feed: Some(feed), state: Some(ArticleState::Visible) };
    Ok(app.store.articles(&selection, LATEST).await?)
}

/// `/`
pub async fn home(State(app): State<AppState>, visitor: Visitor) -> Response {
    shelved(&app, &visitor, "/", async || {
        let directory = app.representations.directory();
        let all = directory.by_key(FeedKey::All).ok_or(Problem::NotFound)?;
        let others = directory.feeds().iter().filter(|feed| feed.key() != Some(FeedKey::All));
        let categories: Vec<FeedLink> = others.map(FeedLink::of).collect();
        let articles = latest(&app, FeedKey::All).await?;
        let form = subscribe_form_of(&app, &visitor, None, "", false).await?;
        Ok(page::home(&visitor.desk(&app), &categories, &FeedLink::of(all), &articles, &form)?)
    })
    .await
}

/// `/feeds/{name}`, and `/feeds/search?q=…`
pub async fn feed(app: &AppState, name: &str, visitor: &Visitor) -> Response {
    let feed = match found(app, name, visitor).await {
        Ok(feed) => feed,
        // Nothing to look for: back to where one says what.
        Err(Problem::NotFound) if name == "search" => {
            return Redirect::to(&format!("{}/#sections", app.root())).into_response();
        }
        Err(problem) => return problem.page(app, visitor),
    };
    let path = feed.place.page_path();
    if matches!(&feed.place, FeedPlace::Named(own) if own.to_string() != name) {
        return moved::moved_page(app, &feed);
    }
    shelved(app, visitor, &path, async || {
        let articles = match &feed.selection {
            Selection::One(key) => latest(app, *key).await?,
            Selection::Search(words) => app.store.search(words, LATEST).await?,
            joined => {
                let found = app.store.subscription_document(joined, LATEST).await?;
                found.map(|contents| contents.articles).unwrap_or_default().into_iter().take(LATEST).collect()
            }
        };
        let search = match &feed.place {
            FeedPlace::Search(words) => words.as_str(),
            _ => "",
        };
        let form = subscribe_form_of(app, visitor, feed.key(), search, false).await?;
        Ok(page::feed(&visitor.desk(app), &FeedLink::of(&feed), &articles, &form)?)
    })
    .await
}

/// The feed of a page's name.
async fn found(app: &AppState, name: &str, visitor: &Visitor) -> Result<FeedDefinition, Problem> {
    if name == "search" {
        let words = visitor.asked("q").unwrap_or_default();
        return app.representations.search_feed(&words).ok_or(Problem::NotFound);
    }
    let name: FeedName = name.parse().map_err(|_| Problem::NotFound)?;
    match app.representations.find(&name).await? {
        Found::Feed(feed) | Found::Moved(feed) => Ok(*feed),
        Found::Gone => Err(Problem::Ended),
        Found::Nothing => Err(Problem::NotFound),
    }
}

/// `/articles/{id}`
pub async fn article(State(app): State<AppState>, Path(id): Path<String>, visitor: Visitor) -> Response {
    let Ok(id) = id.parse::<ArticleId>() else { return Problem::NotFound.page(&app, &visitor) };
    shelved(&app, &visitor, &format!("/articles/{id}"), async || {
        let found = app.store.article(id).await?;
        // Embargoed and withdrawn articles are nowhere.
        let article = found.filter(|a| a.state == ArticleState::Visible).ok_or(Problem::NotFound)?;
        Ok(page::article(&visitor.desk(&app), &article)?)
    })
    .await
}

/// `/style.css`
pub async fn style(State(app): State<AppState>, visitor: Visitor) -> Response {
    let bytes = Bytes::from(page::style_sheet(&app.templates));
    Cacheable {
        validators: page_validators(&bytes, app.started_at),
        bytes,
        content_type: "text/css; charset=utf-8",
        coding: None,
        cache_control: "public, max-age=3600",
        vary: "Accept-Encoding",
        link: None,
    }
    .answer(&visitor.headers, app.clock.now())
}

/// Everything else: where an old system had its feeds, and what never was.
pub async fn nowhere(State(app): State<AppState>, uri: Uri, visitor: Visitor) -> Response {
    moved::old_path(&app, &visitor, uri.path())
}
