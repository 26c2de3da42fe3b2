//! The reader's journey: subscribe, confirm, read an edition, change, leave, come back.

use super::AppState;
use super::answer::{Problem, personal, uncached};
use super::forms::Fields;
use super::visitor::Visitor;
use crate::dispatch::edition_page;
use crate::domain::{
    Digest, Directory, EditionId, EmailAddress, FeedKey, Frequency, Instant, Language, Plan, Slug,
    SubscriberId, Token, TokenPurpose, Wish,
};
use crate::page::{self, DeadLink, DigestChoice, FeedChoice, FormFault, Preferences, SubscribeForm};
use crate::store::{OptIn, OptInRequest, Subscriber};
use crate::subscribe::{self, SubscribeError};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::time::Duration;

/// How long a person takes to fill in the form, at the very least.
const FILL_TIME: chrono::Duration = chrono::Duration::seconds(2);

/// How long every request to subscribe takes, at the very least: how much is written down depends on
/// whether an address is known, and the time of the answer shall not tell.
const EVEN_TIME: Duration = Duration::from_millis(100);

/// The form as it is first shown; on a feed's own page that feed is ticked.
pub fn subscribe_form_of(app: &AppState, visitor: &Visitor, ticked: Option<FeedKey>) -> SubscribeForm {
    let form = SubscribeForm {
        digests: digest_choices(app, visitor),
        chosen: None,
        feeds: feed_choices(app, visitor, |key| Some(key) == ticked),
        address: String::new(),
        shown: shown_now(app),
        fault: None,
    };
    with_one_digest_chosen(form)
}

fn with_one_digest_chosen(mut form: SubscribeForm) -> SubscribeForm {
    form.chosen = form.chosen.or_else(|| form.digests.first().map(|digest| digest.slug.clone()));
    form
}

fn digest_choices(app: &AppState, visitor: &Visitor) -> Vec<DigestChoice> {
    app.desk
        .digests
        .iter()
        .map(|digest| DigestChoice {
            slug: digest.slug.clone(),
            title: digest.title.clone(),
            when: page::when(&visitor.desk(app), &digest.schedule),
        })
        .collect()
}

/// The feeds that digests offer; that of everything first.
fn feed_choices(app: &AppState, visitor: &Visitor, checked: impl Fn(FeedKey) -> bool) -> Vec<FeedChoice> {
    let directory = app.representations.directory();
    let offered: Vec<FeedKey> =
        app.desk.digests.iter().flat_map(|digest| subscribe::offered(digest, &directory)).collect();
    let titles =
        subscribe::titles(&directory, &offered, &app.publication, &app.templates, visitor.language(app));
    titles
        .into_iter()
        .filter_map(|(key, title)| {
            let slug = directory.by_key(key)?.slug()?.clone();
            Some(FeedChoice { slug, title, checked: checked(key) })
        })
        .collect()
}

/// `GET /subscribe`
pub async fn subscribe_form(State(app): State<AppState>, visitor: Visitor) -> Response {
    let form = subscribe_form_of(&app, &visitor, None);
    personal(&app, &visitor, page::subscribe(&visitor.desk(&app), &form))
}

/// `POST /subscribe`. The answer is the same whether the address is known or not.
pub async fn subscribe(State(app): State<AppState>, mut visitor: Visitor, body: Bytes) -> Response {
    let fields = Fields::parse(&body);
    visitor.picked = fields.get("lang").and_then(|code| code.parse().ok()).or(visitor.picked);
    // A field that people neither see nor hear. Machines are told what they want to hear.
    if fields.get("website").is_some_and(|trap| !trap.is_empty()) {
        return personal(&app, &visitor, page::subscribe_done(&visitor.desk(&app)));
    }
    let now = app.clock.now();
    let wish = match wish_of(&app, &visitor, &fields) {
        Ok(wish) => wish,
        Err(form) => return again(&app, &visitor, &form, StatusCode::UNPROCESSABLE_ENTITY),
    };
    // Somebody at this very machine, a script of the newsroom's among them, is no stranger.
    if !visitor.is_local() {
        let refused = |fault| SubscribeForm { fault: Some(fault), ..form_again(&app, &visitor, &fields) };
        if is_hasty(&app, &fields, now) {
            return again(&app, &visitor, &refused(FormFault::TooSoon), StatusCode::UNPROCESSABLE_ENTITY);
        }
        if let Err(wait) = app.sign_ups.take_sign_up(visitor.address(&app.trusted_proxies), now) {
            let form = refused(FormFault::TooMany);
            let mut answer = again(&app, &visitor, &form, StatusCode::TOO_MANY_REQUESTS);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.0));
            return answer;
        }
    }
    let quiet = app.limits.confirmation_quiet;
    let asking = subscribe::ask(&app.store, &app.desk.secret, wish, quiet, now);
    match tokio::join!(asking, tokio::time::sleep(EVEN_TIME)).0 {
        Ok(_) => {
            app.wake.dispatch.notify_one();
            personal(&app, &visitor, page::subscribe_done(&visitor.desk(&app)))
        }
        Err(error) => failed(error, &app, &visitor, DeadLink::Confirmation),
    }
}

fn wish_of(app: &AppState, visitor: &Visitor, fields: &Fields) -> Result<OptInRequest, Box<SubscribeForm>> {
    let directory = app.representations.directory();
    let asked: Vec<FeedKey> = keys_of(&directory, fields.all("feed"));
    let digests = &app.desk.digests;
    let chosen = match fields.get("digest") {
        None => digests.first(),
        Some(slug) => digests.iter().find(|digest| digest.slug.as_str() == slug),
    };
    let typed = fields.get("address").unwrap_or_default();
    let address = EmailAddress::parse(typed);
    let fault = match (&address, chosen) {
        (_, _) if typed.trim().is_empty() => Some(FormFault::AddressMissing),
        (Err(_), _) => Some(FormFault::AddressMalformed),
        (_, None) => Some(FormFault::DigestMissing),
        (_, Some(_)) if asked.is_empty() => Some(FormFault::FeedMissing),
        _ => None,
    };
    let offered = chosen.map(|digest| subscribe::offered(digest, &directory)).unwrap_or_default();
    let feeds: Vec<FeedKey> = asked.iter().copied().filter(|key| offered.contains(key)).collect();
    let fault = fault.or_else(|| feeds.is_empty().then_some(FormFault::FeedMissing));
    match (address, chosen, fault) {
        (Ok(address), Some(digest), None) => Ok(OptInRequest {
            address,
            wishes: feeds
                .into_iter()
                .map(|feed| Wish { feed, frequency: Frequency::Digest(digest.slug.clone()) })
                .collect(),
            time_zone: None,
            language: visitor.language(app),
            remote_address: visitor.address(&app.trusted_proxies).to_string(),
            wording: consent_text(app, visitor.language(app)),
        }),
        (_, _, fault) => Err(Box::new(SubscribeForm { fault, ..form_again(app, visitor, fields) })),
    }
}

/// The form as it was filled in.
fn form_again(app: &AppState, visitor: &Visitor, fields: &Fields) -> SubscribeForm {
    let asked: Vec<FeedKey> = keys_of(&app.representations.directory(), fields.all("feed"));
    let chosen = fields.get("digest").and_then(|slug| app.desk.digest(&Slug::parse(slug).ok()?));
    with_one_digest_chosen(SubscribeForm {
        digests: digest_choices(app, visitor),
        chosen: chosen.map(|digest| digest.slug.clone()),
        feeds: feed_choices(app, visitor, |key| asked.contains(&key)),
        address: crate::domain::excerpt(fields.get("address").unwrap_or_default(), 254),
        shown: shown_now(app),
        fault: None,
    })
}

/// Whether the form came back sooner than anybody writes, or was never shown.
fn is_hasty(app: &AppState, fields: &Fields, now: Instant) -> bool {
    let shown = Token::open(fields.get("shown").unwrap_or_default(), &app.desk.secret, TokenPurpose::Form);
    shown.map_or(true, |shown| now - shown.issued < FILL_TIME)
}

fn shown_now(app: &AppState) -> String {
    Token { subject: 0, issued: app.clock.now() }.seal(&app.desk.secret, TokenPurpose::Form)
}

/// The form once more, with what is wrong.
fn again(app: &AppState, visitor: &Visitor, form: &SubscribeForm, status: StatusCode) -> Response {
    match page::subscribe(&visitor.desk(app), form) {
        Ok(html) => uncached(status, html),
        Err(fault) => Problem::from(fault).page(app, visitor),
    }
}

/// What the form promised and asked, in the reader's language: part of the proof of consent.
fn consent_text(app: &AppState, language: Language) -> String {
    let publication = app.publication.title.as_str();
    let say = |key| app.templates.text(language, key, &[("publication", publication)]);
    format!("{} {}", say("page.form.intro"), say("page.form.promise"))
}

fn keys_of<'f>(directory: &Directory, slugs: impl Iterator<Item = &'f str>) -> Vec<FeedKey> {
    // A form may be older than a feed's present name.
    slugs.filter_map(|slug| directory.lookup(&Slug::parse(slug).ok()?).feed()?.key()).collect()
}

fn titles_of(app: &AppState, visitor: &Visitor, keys: &[FeedKey]) -> Vec<String> {
    let directory = app.representations.directory();
    subscribe::titles(&directory, keys, &app.publication, &app.templates, visitor.language(app))
        .into_iter()
        .map(|(_, title)| title)
        .collect()
}

fn failed(error: SubscribeError, app: &AppState, visitor: &Visitor, kind: DeadLink) -> Response {
    match error {
        SubscribeError::Link => match page::link_dead(&visitor.desk(app), kind) {
            Ok(html) => uncached(StatusCode::NOT_FOUND, html),
            Err(fault) => Problem::from(fault).page(app, visitor),
        },
        SubscribeError::Store(error) => Problem::from(error).page(app, visitor),
    }
}

/// `GET /confirm/{token}`: asks. Link scanners open every link of a mail.
pub async fn confirm_ask(
    State(app): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
) -> Response {
    let read = subscribe::read_confirmation(&app.store, &app.desk.secret, &token, app.clock.now()).await;
    match read {
        Ok(opt_in) => {
            let feeds = titles_of(&app, &visitor, &feeds_of(&opt_in));
            let digest = digest_of(&app, &visitor, &opt_in).map_or_else(String::new, |digest| digest.title);
            let action = format!("{}/confirm/{token}", app.root());
            personal(&app, &visitor, page::confirm_ask(&visitor.desk(&app), &feeds, &digest, &action))
        }
        Err(error) => failed(error, &app, &visitor, DeadLink::Confirmation),
    }
}

fn feeds_of(opt_in: &OptIn) -> Vec<FeedKey> {
    opt_in.wishes.iter().map(|wish| wish.feed).collect()
}

fn digest_of(app: &AppState, visitor: &Visitor, opt_in: &OptIn) -> Option<Digest> {
    let plan = Plan::of(opt_in.wishes.first()?.frequency.clone(), opt_in.time_zone);
    app.desk.digest_of(&plan, visitor.language(app))
}

/// `POST /confirm/{token}`: acts.
pub async fn confirm(State(app): State<AppState>, Path(token): Path<String>, visitor: Visitor) -> Response {
    let now = app.clock.now();
    let done = async {
        let opt_in = subscribe::read_confirmation(&app.store, &app.desk.secret, &token, now).await?;
        let reader = subscribe::confirm(&app.store, &opt_in, &app.desk.calendar(), now).await?;
        Ok::<_, SubscribeError>((opt_in, reader))
    };
    match done.await {
        Ok((opt_in, reader)) => {
            let feeds = titles_of(&app, &visitor, &feeds_of(&opt_in));
            let digest = digest_of(&app, &visitor, &opt_in).map_or_else(String::new, |digest| digest.title);
            let next = digest_of(&app, &visitor, &opt_in).and_then(|digest| digest.schedule.next_after(now));
            let preferences = app.link(reader, TokenPurpose::Preferences).await;
            let desk = visitor.desk(&app);
            personal(&app, &visitor, page::confirm_done(&desk, &feeds, &digest, next, &preferences))
        }
        Err(error) => failed(error, &app, &visitor, DeadLink::Confirmation),
    }
}

async fn reader(
    app: &AppState,
    token: &str,
    purpose: TokenPurpose,
) -> Result<(SubscriberId, Subscriber), SubscribeError> {
    let id = subscribe::reader_of(&app.desk.secret, token, purpose)?;
    let reader = app.store.subscriber(id).await?.ok_or(SubscribeError::Link)?;
    Ok((id, reader))
}

/// `GET /unsubscribe/{token}`: asks. 489 of 497 unsubscribes by GET were link scanners
/// (hackwestern#846).
pub async fn unsubscribe_ask(
    State(app): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
) -> Response {
    let found = async {
        let (id, reader) = reader(&app, &token, TokenPurpose::Unsubscribe).await?;
        let keys: Vec<FeedKey> = app.store.subscriptions(id).await?.iter().map(|s| s.feed).collect();
        Ok::<_, SubscribeError>((id, reader, keys))
    };
    match found.await {
        Ok((id, reader, keys)) => {
            let feeds = titles_of(&app, &visitor, &keys);
            let action = format!("{}/unsubscribe/{token}", app.root());
            let preferences = app.link(id, TokenPurpose::Preferences).await;
            let hint = hint(&reader.address);
            let desk = visitor.desk(&app);
            personal(&app, &visitor, page::unsubscribe_ask(&desk, &hint, &feeds, &action, &preferences))
        }
        Err(error) => failed(error, &app, &visitor, DeadLink::Unsubscription),
    }
}

/// Enough of an address for its owner to know it: `n…@example.vn`.
fn hint(address: &EmailAddress) -> String {
    let first = address.local().chars().next().unwrap_or('…');
    format!("{first}…@{}", address.domain())
}

/// `POST /unsubscribe/{token}`: acts, for the page's form and for the RFC 8058 button alike,
/// whatever the body says; `undo=1` takes it back. Repeatable for ever.
pub async fn unsubscribe(
    State(app): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    let now = app.clock.now();
    let undo = Fields::parse(&body).get("undo") == Some("1");
    let done = async {
        let (id, _) = reader(&app, &token, TokenPurpose::Unsubscribe).await?;
        if undo {
            subscribe::undo(&app.store, id, now).await?
        } else {
            subscribe::end(&app.store, id, now).await?
        }
        Ok::<_, SubscribeError>(id)
    };
    match done.await {
        Ok(id) if undo => {
            let preferences = app.link(id, TokenPurpose::Preferences).await;
            personal(&app, &visitor, page::resubscribed(&visitor.desk(&app), &preferences))
        }
        Ok(_) => {
            let action = format!("{}/unsubscribe/{token}", app.root());
            personal(&app, &visitor, page::unsubscribe_done(&visitor.desk(&app), &action))
        }
        Err(error) => failed(error, &app, &visitor, DeadLink::Unsubscription),
    }
}

/// `GET /preferences/{token}`
pub async fn preferences(
    State(app): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
) -> Response {
    show_preferences(&app, &token, &visitor, false).await
}

async fn show_preferences(app: &AppState, token: &str, visitor: &Visitor, saved: bool) -> Response {
    let found = async {
        let (id, reader) = reader(app, token, TokenPurpose::Preferences).await?;
        Ok::<_, SubscribeError>((id, reader, app.store.subscriptions(id).await?))
    };
    match found.await {
        Ok((id, reader, running)) => {
            let shown = Preferences {
                address_hint: hint(&reader.address),
                feeds: feed_choices(app, visitor, |key| running.iter().any(|s| s.feed == key)),
                digests: digest_choices(app, visitor),
                chosen: running
                    .first()
                    .and_then(|s| Plan::of(s.frequency.clone(), None).digest().cloned())
                    .or_else(|| app.desk.digests.first().map(|digest| digest.slug.clone())),
                action: format!("{}/preferences/{token}", app.root()),
                feed_url: app.link(id, TokenPurpose::Feed).await,
                unsubscribe_url: app.link(id, TokenPurpose::Unsubscribe).await,
                saved,
            };
            personal(app, visitor, page::preferences(&visitor.desk(app), &shown))
        }
        Err(error) => failed(error, app, visitor, DeadLink::Preferences),
    }
}

/// `POST /preferences/{token}`
pub async fn change_preferences(
    State(app): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    let fields = Fields::parse(&body);
    let directory = app.representations.directory();
    let chosen = fields.get("digest").and_then(|slug| app.desk.digest(&Slug::parse(slug).ok()?));
    let wanted = keys_of(&directory, fields.all("feed"));
    let done = async {
        let (id, _) = reader(&app, &token, TokenPurpose::Preferences).await?;
        // What the form does not say is not changed: the reader's own digest stays.
        let own = match chosen {
            Some(_) => None,
            None => app.store.subscriptions(id).await?.into_iter().next().map(|s| s.frequency),
        };
        let chosen = chosen.or(app.desk.digests.first()).map(|digest| Frequency::Digest(digest.slug.clone()));
        let frequency = own.or(chosen).ok_or(SubscribeError::Link)?;
        let wish = subscribe::Preferences {
            shown: keys_of(&directory, fields.all("shown")),
            wanted: wanted.iter().map(|feed| Wish { feed: *feed, frequency: frequency.clone() }).collect(),
        };
        subscribe::change(&app.store, id, &wish, &app.desk.calendar(), app.clock.now()).await
    };
    match done.await {
        Ok(()) => show_preferences(&app, &token, &visitor, true).await,
        Err(error) => failed(error, &app, &visitor, DeadLink::Preferences),
    }
}

/// `GET /editions/{id}/{token}`: a digest in the browser.
pub async fn edition(
    State(app): State<AppState>,
    Path((id, token)): Path<(String, String)>,
    visitor: Visitor,
) -> Response {
    // What is no number names no edition: a dead link like any other, in the reader's words.
    let id = EditionId(id.parse().unwrap_or(0));
    let found = async {
        let reader = app.desk.reader_of_edition(id, &token).ok_or(SubscribeError::Link)?;
        let reader = app.store.subscriber(reader).await?.ok_or(SubscribeError::Link)?;
        let edition = app.store.edition(id).await?.ok_or(SubscribeError::Link)?;
        Ok::<_, SubscribeError>((reader, edition))
    };
    match found.await {
        Err(error) => failed(error, &app, &visitor, DeadLink::Edition),
        Ok((reader, edition)) => match edition_page(&app.store, &app.desk, &edition, &reader).await {
            Ok(html) => super::mailbox::framed(uncached(StatusCode::OK, html)),
            Err(error) => Problem::from(error).page(&app, &visitor),
        },
    }
}

/// The token of a reader's link, for those who need it outside of a mail.
pub fn seal(app: &crate::app::App, reader: &Subscriber, purpose: TokenPurpose) -> String {
    Token { subject: reader.id.0, issued: reader.created_at }.seal(&app.desk.secret, purpose)
}
