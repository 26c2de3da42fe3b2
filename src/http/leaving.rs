//! A reader leaves, all or a part, and takes it back.

use super::AppState;
use super::answer::{Problem, personal};
use super::forms::Fields;
use super::readers::{choices_of, failed, reader};
use super::visitor::Visitor;
use crate::domain::{Frequency, TokenPurpose, Wish};
use crate::page::{self, DeadLink, Leaving, Part};
use crate::store::Subscriber;
use crate::subscribe::{self, Scope, SubscribeError};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;

/// What a reader has.
pub async fn running(app: &AppState, reader: &Subscriber) -> Result<Vec<Wish>, SubscribeError> {
    let running = app.store.subscriptions(reader.id).await?;
    Ok(running.into_iter().map(|s| Wish { feed: s.feed, frequency: s.frequency }).collect())
}

/// What the query of the link, or the form, says shall end. What nobody understands ends all: who
/// wants to leave shall not be kept by a mail program that cut a link.
fn scope(text: Option<&str>) -> Scope {
    text.and_then(|text| text.parse().ok()).unwrap_or(Scope::Everything)
}

/// `GET /unsubscribe/{token}`: asks. 489 of 497 unsubscribes by GET were link scanners
/// (hackwestern#846).
pub async fn ask(State(app): State<AppState>, Path(token): Path<String>, mut visitor: Visitor) -> Response {
    let scope = scope(visitor.asked("only").as_deref());
    let found = async {
        let (_, reader) = reader(&app, &token, TokenPurpose::Unsubscribe).await?;
        visitor.is_spoken_to_in(reader.language);
        let running = running(&app, &reader).await?;
        Ok::<_, SubscribeError>((reader, running))
    };
    match found.await {
        Ok((reader, running)) if running.is_empty() => done(&app, &visitor, &reader, &token, &scope).await,
        Ok((reader, running)) => match leaving(&app, &visitor, &reader, &running, &token, &scope).await {
            Ok(shown) => personal(&app, &visitor, page::unsubscribe_ask(&visitor.desk(&app), &shown)),
            Err(error) => failed(error, &app, &visitor, DeadLink::Unsubscription),
        },
        Err(error) => failed(error, &app, &visitor, DeadLink::Unsubscription),
    }
}

async fn leaving(
    app: &AppState,
    visitor: &Visitor,
    reader: &Subscriber,
    running: &[Wish],
    token: &str,
    scope: &Scope,
) -> Result<Leaving, SubscribeError> {
    let wording = app.desk.wording(visitor.language(app), reader.habits.time_zone);
    let directory = app.representations.directory();
    let mut parts = Vec::new();
    for wish in running {
        let titles = wording.titles(&app.store, &directory, &[wish.feed]).await?;
        let title = titles.into_iter().next().map(|(_, title)| title);
        parts.extend(title.map(|title| Part { name: Scope::Feed(wish.feed).name(), title }));
    }
    let is_part = running.iter().any(|wish| scope.holds(wish.feed, &wish.frequency))
        && !running.iter().all(|wish| scope.holds(wish.feed, &wish.frequency));
    let this = match scope {
        Scope::Frequency(frequency) if is_part => {
            Some(Part { name: scope.name(), title: title(app, visitor, frequency) })
        }
        Scope::Feed(_) if is_part => parts.iter().find(|part| part.name == scope.name()).cloned(),
        _ => None,
    };
    Ok(Leaving {
        address_hint: reader.address.hint(),
        choices: choices_of(app, visitor, running, reader.habits.time_zone).await?,
        this,
        parts,
        action: format!("{}/unsubscribe/{token}", app.root()),
        preferences_url: app.link(reader.id, TokenPurpose::Preferences).await,
    })
}

/// The name of the list that a mail was of.
fn title(app: &AppState, visitor: &Visitor, frequency: &Frequency) -> String {
    let plan = crate::domain::Plan::of(frequency.clone(), None);
    let digest = app.desk.digest_of(&plan, visitor.language(app));
    digest.map_or_else(|| frequency.to_string(), |digest| digest.title)
}

/// `POST /unsubscribe/{token}`: acts, for the page's form and for the mail program's button (RFC
/// 8058) alike; `undo=1` takes it back. Repeatable for ever.
pub async fn leave(
    State(app): State<AppState>,
    Path(token): Path<String>,
    mut visitor: Visitor,
    body: Bytes,
) -> Response {
    let now = app.clock.now();
    let fields = Fields::parse(&body);
    let undo = fields.get("undo") == Some("1");
    let asked = visitor.asked("only");
    let scope = scope(fields.get("only").or(asked.as_deref()));
    let acted = async {
        let (id, reader) = reader(&app, &token, TokenPurpose::Unsubscribe).await?;
        visitor.is_spoken_to_in(reader.language);
        let taken_back = if undo {
            Some(subscribe::undo(&app.store, id, now).await?)
        } else {
            subscribe::end(&app.store, id, &scope, app.letters.goodbye, now).await?;
            None
        };
        app.wake.dispatch.notify_one();
        Ok::<_, SubscribeError>((reader, taken_back))
    };
    match acted.await {
        Ok((reader, Some(taken_back))) => undone(&app, &visitor, &reader, taken_back).await,
        Ok((reader, None)) => done(&app, &visitor, &reader, &token, &scope).await,
        Err(error) => failed(error, &app, &visitor, DeadLink::Unsubscription),
    }
}

async fn undone(app: &AppState, visitor: &Visitor, reader: &Subscriber, taken_back: bool) -> Response {
    let comes = async {
        let running = running(app, reader).await?;
        choices_of(app, visitor, &running, reader.habits.time_zone).await
    };
    let preferences = app.link(reader.id, TokenPurpose::Preferences).await;
    match comes.await {
        Ok(comes) => {
            let page = page::resubscribed(&visitor.desk(app), taken_back, &comes, &preferences);
            personal(app, visitor, page)
        }
        Err(error) => failed(error, app, visitor, DeadLink::Unsubscription),
    }
}

async fn done(
    app: &AppState,
    visitor: &Visitor,
    reader: &Subscriber,
    token: &str,
    scope: &Scope,
) -> Response {
    let left = async {
        let running = running(app, reader).await?;
        choices_of(app, visitor, &running, reader.habits.time_zone).await
    };
    let action = format!("{}/unsubscribe/{token}{}", app.root(), scope.query());
    let preferences = app.link(reader.id, TokenPurpose::Preferences).await;
    match left.await {
        Ok(left) => {
            let page = page::unsubscribe_done(&visitor.desk(app), &left, &action, &preferences);
            personal(app, visitor, page)
        }
        Err(SubscribeError::Store(error)) => Problem::from(error).page(app, visitor),
        Err(error) => failed(error, app, visitor, DeadLink::Unsubscription),
    }
}
