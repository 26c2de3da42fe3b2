//! `/api/v1/subscribers`: readers, as the newsroom's own account pages need them.
//!
//! Whoever is added is asked by mail: no token subscribes anybody.

use super::asked::{JsonBytes, Query, cursor};
use super::caller::Caller;
use super::problem::ApiProblem;
use crate::domain::{
    EmailAddress, FeedDefinition, FeedKey, Frequency, Instant, Language, Scope, Slug, SubscriberId,
    SubscriberState,
};
use crate::http::AppState;
use crate::store::{OptInAnswer, OptInRequest, Subscriber};
use crate::subscribe::{self, SubscribeError};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a reader gets.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionJson {
    /// The feed's slug, or its title where it has none.
    feed: String,
    /// `digest:…`, `at-once`, `daily:06:30`, `weekly:…`.
    frequency: String,
}

/// A reader.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscriber)]
pub struct SubscriberJson {
    /// Its number.
    id: i64,
    /// Where its mail goes.
    #[schema(format = "email")]
    address: String,
    /// pending, active, unsubscribed, bounced or complained.
    state: &'static str,
    /// The language it is spoken to in.
    language: String,
    /// When it first asked.
    #[schema(value_type = String, format = "date-time")]
    created: Instant,
    /// When it first confirmed.
    #[schema(value_type = Option<String>, format = "date-time")]
    confirmed: Option<Instant>,
    /// Until when nothing is mailed.
    #[schema(value_type = Option<String>, format = "date-time")]
    paused_until: Option<Instant>,
    /// What runs.
    subscriptions: Vec<SubscriptionJson>,
}

/// A page of readers, the oldest first.
#[derive(Serialize, ToSchema)]
pub struct Subscribers {
    /// The readers.
    subscribers: Vec<SubscriberJson>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// Whom to ask for what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberInput {
    /// The address.
    #[schema(format = "email")]
    address: String,
    /// The digest's slug; without one, the first that is declared.
    digest: Option<String>,
    /// Slugs of its feeds; without any, all of it.
    #[serde(default)]
    #[schema(required = false, max_items = 100)]
    feeds: Vec<String>,
    /// `vi` or `en`; without one, the publication's.
    language: Option<String>,
}

/// What became of the question.
#[derive(Serialize, ToSchema)]
pub struct Asked {
    /// `asked`: it is on its way. `asked-before`: it went out shortly before, and is not answered yet.
    answer: &'static str,
}

fn json(
    app: &AppState,
    reader: &Subscriber,
    subscriptions: impl Iterator<Item = (FeedKey, Frequency)>,
) -> SubscriberJson {
    let directory = app.representations.directory();
    let name = |feed: &FeedDefinition| feed.slug().map_or_else(|| feed.title.clone(), Slug::to_string);
    let subscription = |(feed, frequency): (FeedKey, Frequency)| SubscriptionJson {
        feed: directory.by_key(feed).map_or_else(|| feed.to_string(), name),
        frequency: frequency.to_string(),
    };
    SubscriberJson {
        id: reader.id.0,
        address: reader.address.to_string(),
        state: reader.state.as_str(),
        language: reader.language.code().to_owned(),
        created: reader.created_at,
        confirmed: reader.confirmed_at,
        paused_until: reader.habits.paused_until,
        subscriptions: subscriptions.map(subscription).collect(),
    }
}

async fn whole(app: &AppState, reader: &Subscriber) -> Result<SubscriberJson, ApiProblem> {
    let running = app.store.subscriptions(reader.id).await?;
    Ok(json(app, reader, running.into_iter().map(|own| (own.feed, own.frequency))))
}

async fn find(app: &AppState, name: &str) -> Result<Subscriber, ApiProblem> {
    let missing = || ApiProblem::missing("subscriber");
    let id = name.parse().map(SubscriberId).map_err(|_| missing())?;
    app.store.subscriber(id).await?.ok_or_else(missing)
}

/// Lists readers, the oldest first; erased ones are nobody.
#[utoipa::path(get, path = "/api/v1/subscribers", tag = "Subscribers", operation_id = "listSubscribers",
    security(("token" = ["subscribers:read"])),
    params(
        ("address" = Option<String>, Query, format = "email", description = "The one with this address, however it is spelled"),
        ("state" = Option<String>, Query, pattern = "^(pending|active|unsubscribed|bounced|complained)$", description = "pending, active, unsubscribed, bounced or complained"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many; 50 where nothing is said"),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "`next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Subscribers)))]
pub async fn list(
    State(app): State<AppState>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Subscribers>, ApiProblem> {
    caller.may(Scope::SubscribersRead)?;
    let address = query.take::<EmailAddress>("address", "an e-mail address")?;
    let word = query.take::<String>("state", "a word")?;
    let state = word.map(|word| {
        let wanted = "must be pending, active, unsubscribed, bounced or complained";
        SubscriberState::parse(&word).ok_or_else(|| ApiProblem::parameter("state", wanted))
    });
    let state = state.transpose()?;
    let limit = query.limit()?;
    let [after] = query.cursor()?.unwrap_or([0]);
    query.end()?;
    if let Some(address) = address {
        let reader = app.store.subscriber_by_address(&address).await?;
        let mut subscribers = Vec::new();
        if let Some(reader) = reader.filter(|reader| state.is_none_or(|state| state == reader.state)) {
            subscribers.push(whole(&app, &reader).await?);
        }
        return Ok(Json(Subscribers { subscribers, next: None }));
    }
    let mut found = app.store.roster(SubscriberId(after), state, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| cursor(&[last.reader.id.0]));
    let subscribers =
        found.into_iter().map(|entry| json(&app, &entry.reader, entry.subscriptions.into_iter())).collect();
    Ok(Json(Subscribers { subscribers, next }))
}

/// Gets a reader.
#[utoipa::path(get, path = "/api/v1/subscribers/{id}", tag = "Subscribers", operation_id = "getSubscriber",
    security(("token" = ["subscribers:read"])), params(("id" = i64, Path, description = "Its number")),
    responses((status = 200, description = "The reader", body = SubscriberJson)))]
pub async fn get(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<SubscriberJson>, ApiProblem> {
    caller.may(Scope::SubscribersRead)?;
    let reader = find(&app, &name).await?;
    Ok(Json(whole(&app, &reader).await?))
}

/// Asks an address by mail whether it wants a digest, as the form does.
///
/// Nobody is mailed who did not confirm.
#[utoipa::path(post, path = "/api/v1/subscribers", tag = "Subscribers", operation_id = "askSubscriber",
    security(("token" = ["subscribers:write"])), request_body = SubscriberInput,
    responses((status = 202, description = "It is asked", body = Asked),
        (status = 409, description = "The address must not be mailed")))]
pub async fn ask(
    State(app): State<AppState>,
    caller: Caller,
    body: JsonBytes,
) -> Result<(StatusCode, Json<Asked>), ApiProblem> {
    caller.may(Scope::SubscribersWrite)?;
    let input: SubscriberInput = body.read()?;
    let address = EmailAddress::parse(&input.address)
        .map_err(|_| ApiProblem::field("/address", "is no e-mail address"))?;
    let digest = match &input.digest {
        None => app.desk.digests.first(),
        Some(name) => Slug::parse(name).ok().and_then(|slug| app.desk.digest(&slug)),
    };
    let digest = digest.ok_or_else(|| ApiProblem::field("/digest", "is no slug of a digest"))?;
    let feed = |(at, name): (usize, &String)| {
        Slug::parse(name).map_err(|error| ApiProblem::field(&format!("/feeds/{at}"), error.to_string()))
    };
    let feeds = input.feeds.iter().enumerate().map(feed).collect::<Result<Vec<_>, _>>()?;
    let directory = app.representations.directory();
    let wishes = subscribe::wishes(digest, &directory, &feeds).map_err(|slug| {
        let at = feeds.iter().position(|feed| *feed == slug).unwrap_or_default();
        ApiProblem::field(&format!("/feeds/{at}"), format!("the digest `{}` has no such feed", digest.slug))
    })?;
    let language = match &input.language {
        None => app.publication.language.spoken(),
        Some(code) => {
            code.parse::<Language>().map_err(|()| ApiProblem::field("/language", "must be vi or en"))?
        }
    };
    let wish = OptInRequest {
        address,
        wishes,
        time_zone: None,
        language,
        remote_address: "API".to_owned(),
        wording: format!("asked by the program `{}` of the newsroom", caller.name),
    };
    let quiet = app.limits.confirmation_quiet;
    let answer = subscribe::ask(&app.store, &app.desk.secret, wish, quiet, app.clock.now()).await;
    let answer = answer.map_err(|error| match error {
        SubscribeError::Store(error) => ApiProblem::from(error),
        SubscribeError::Link => ApiProblem::missing("link"),
    })?;
    let answer = match answer {
        OptInAnswer::Asked(_) => "asked",
        OptInAnswer::AskedBefore => "asked-before",
        OptInAnswer::Suppressed => {
            let detail = "this address must not be mailed: it bounced, complained or asked for it";
            return Err(ApiProblem::conflict("suppressed", detail));
        }
    };
    app.wake.dispatch.notify_one();
    Ok((StatusCode::ACCEPTED, Json(Asked { answer })))
}

/// Forgets a reader and everything personal; a hash keeps lists from bringing the address back.
#[utoipa::path(delete, path = "/api/v1/subscribers/{id}", tag = "Subscribers", operation_id = "eraseSubscriber",
    security(("token" = ["subscribers:write"])), params(("id" = i64, Path, description = "Its number")),
    responses((status = 204, description = "It is forgotten")))]
pub async fn erase(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiProblem> {
    caller.may(Scope::SubscribersWrite)?;
    let reader = find(&app, &name).await?;
    app.store.erase_subscriber(reader.id, &app.desk.secret, app.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
