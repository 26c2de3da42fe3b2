//! A reader's choices, without a login. What the form does not say is not changed.

use super::AppState;
use super::answer::{Problem, personal};
use super::choosing::{choosing, keys_of, wishes, zone_of};
use super::forms::Fields;
use super::leaving::running;
use super::readers::{failed, reader};
use super::visitor::Visitor;
use crate::domain::{EmailAddress, Habits, Instant, Language, TokenPurpose, Wish, micros};
use crate::page::{self, DeadLink, Done, Preferences};
use crate::store::Subscriber;
use crate::subscribe::{self, SubscribeError};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// `GET /preferences/{token}`
pub async fn show(State(app): State<AppState>, Path(token): Path<String>, visitor: Visitor) -> Response {
    shown(&app, &token, visitor, None).await
}

async fn shown(app: &AppState, token: &str, mut visitor: Visitor, done: Option<Done>) -> Response {
    let found = async {
        let (_, reader) = reader(app, token, TokenPurpose::Preferences).await?;
        visitor.is_spoken_to_in(reader.language);
        let running = running(app, &reader).await?;
        Ok::<_, SubscribeError>((reader, running))
    };
    match found.await {
        Ok((reader, running)) => match page_of(app, token, &visitor, &reader, &running).await {
            Ok(page) => {
                let mut desk = visitor.desk(app);
                desk.zone = app.desk.clock_of(&reader);
                personal(app, &visitor, page::preferences(&desk, &Preferences { done, ..page }))
            }
            Err(problem) => problem.page(app, &visitor),
        },
        Err(error) => failed(error, app, &visitor, DeadLink::Preferences),
    }
}

async fn page_of(
    app: &AppState,
    token: &str,
    visitor: &Visitor,
    reader: &Subscriber,
    running: &[Wish],
) -> Result<Preferences, Problem> {
    let now = app.clock.now();
    let zone = app.desk.clock_of(reader);
    let day = |instant: Instant| instant.with_timezone(&zone).date_naive().to_string();
    let until = reader.habits.paused_until.filter(|until| *until > now);
    let frequencies = running.iter().map(|wish| &wish.frequency);
    let next = subscribe::next_mail(&app.desk.calendar(), frequencies, reader.habits.time_zone, now);
    Ok(Preferences {
        address_hint: reader.address.hint(),
        choosing: choosing(app, visitor, running, reader.habits.time_zone, true).await?,
        spoken: reader.language.code().to_owned(),
        daily_cap: reader.habits.daily_cap.unwrap_or(0),
        pause: until.map(day).unwrap_or_default(),
        paused_until: until.map(micros),
        tomorrow: day(now + chrono::Duration::days(1)),
        next: next.map(micros),
        action: format!("{}/preferences/{token}", app.root()),
        feed_url: app.link(reader.id, TokenPurpose::Feed).await,
        unsubscribe_url: app.link(reader.id, TokenPurpose::Unsubscribe).await,
        done: None,
    })
}

/// `POST /preferences/{token}`
pub async fn change(
    State(app): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    let fields = Fields::parse(&body);
    let changed = async {
        let (_, reader) = reader(&app, &token, TokenPurpose::Preferences).await?;
        match fields.get("new_address") {
            Some(typed) => ask_to_move(&app, &visitor, &reader, typed).await,
            None => save(&app, &reader, &fields).await,
        }
    };
    match changed.await {
        Ok(done) => shown(&app, &token, visitor, Some(done)).await,
        Err(error) => failed(error, &app, &visitor, DeadLink::Preferences),
    }
}

async fn ask_to_move(
    app: &AppState,
    visitor: &Visitor,
    reader: &Subscriber,
    typed: &str,
) -> Result<Done, SubscribeError> {
    let Ok(to) = EmailAddress::parse(typed) else { return Ok(Done::AddressMalformed) };
    if to.key() == reader.address.key() {
        return Ok(Done::Saved);
    }
    let from = visitor.address(&app.trusted_proxies).to_string();
    let (quiet, now) = (app.limits.confirmation_quiet, app.clock.now());
    subscribe::ask_to_move(&app.store, &app.desk.secret, reader.id, (&to, &from), quiet, now).await?;
    app.wake.dispatch.notify_one();
    Ok(Done::Asked)
}

async fn save(app: &AppState, reader: &Subscriber, fields: &Fields) -> Result<Done, SubscribeError> {
    let now = app.clock.now();
    let habits = habits_of(reader, fields, app.publication.time_zone, now);
    let language = fields.get("spoken").and_then(|code| code.parse::<Language>().ok());
    let language = language.unwrap_or(reader.language);
    // First the clock: the hours that are chosen are meant by it.
    if habits != reader.habits || language != reader.language {
        subscribe::change_habits(&app.store, reader.id, language, &habits, now).await?;
    }
    if fields.get("resume").is_some() {
        return Ok(Done::Saved);
    }
    let shown: Vec<_> = keys_of(app, fields.all("shown")).await?.into_iter().map(|(_, key)| key).collect();
    let running = running(app, reader).await?;
    let wanted = wishes(app, fields, &running).await?.unwrap_or_default();
    let preferences = subscribe::Preferences { shown, wanted };
    subscribe::change(&app.store, reader.id, &preferences, &app.desk.calendar(), now).await?;
    app.wake.digest.notify_one();
    Ok(Done::Saved)
}

/// How the reader wants to be treated, as far as the form says it.
fn habits_of(reader: &Subscriber, fields: &Fields, home: Tz, now: Instant) -> Habits {
    let mut habits = reader.habits;
    if let Some(zone) = zone_of(fields) {
        habits.time_zone = zone;
    }
    if let Some(cap) = fields.get("cap").and_then(|cap| cap.parse::<u32>().ok()) {
        habits.daily_cap = (cap > 0).then_some(cap);
    }
    if let Some(day) = fields.get("pause") {
        let zone = habits.time_zone.unwrap_or(home);
        habits.paused_until = morning_of(day, zone).filter(|until| *until > now);
    }
    if fields.get("resume").is_some() {
        habits.paused_until = None;
    }
    habits
}

/// The first moment of a day on a clock; where it skips midnight, the first that there is.
fn morning_of(day: &str, zone: Tz) -> Option<Instant> {
    let midnight = day.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN);
    let quarters = (0..=8).map(|quarters| midnight + chrono::Duration::minutes(15 * quarters));
    let first = quarters.into_iter().find_map(|wall| zone.from_local_datetime(&wall).earliest())?;
    Some(first.with_timezone(&Utc))
}
