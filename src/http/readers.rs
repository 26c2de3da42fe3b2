//! The reader's journey: subscribe, confirm, read an edition.

use super::AppState;
use super::answer::{Problem, personal, uncached};
use super::choosing::{choosing, keys_of, offered, wishes, zone_of};
use super::forms::Fields;
use super::visitor::Visitor;
use crate::dispatch::edition_page;
use crate::domain::{
    EditionId, EmailAddress, FeedKey, Frequency, Instant, Language, NoticeKind, SubscriberId, Token,
    TokenPurpose, Wish,
};
use crate::page::{self, DeadLink, FormFault, SubscribeForm};
use crate::store::{MoveAnswer, OptIn, OptInRequest, Subscriber, Yes};
use crate::subscribe::{self, SubscribeError};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono_tz::Tz;
use std::time::Duration;

/// How long a person takes to fill in the form, at the very least.
const FILL_TIME: chrono::Duration = chrono::Duration::seconds(2);

/// How long every request to subscribe takes, at the very least: how much is written down depends on
/// whether an address is known, and the time of the answer shall not tell.
const EVEN_TIME: Duration = Duration::from_millis(100);

/// The form as it is first shown. On a feed's own page that feed is ticked, and on that of a search
/// the search; on the form's own page there is everything to choose.
pub async fn subscribe_form_of(
    app: &AppState,
    visitor: &Visitor,
    ticked: Option<FeedKey>,
    search: &str,
    whole: bool,
) -> Result<SubscribeForm, Problem> {
    let first = app.desk.digests.first().map(|digest| Frequency::Digest(digest.slug.clone()));
    let wished: Vec<Wish> =
        ticked.into_iter().zip(first).map(|(feed, frequency)| Wish { feed, frequency }).collect();
    let rest = rest(app, visitor, ticked, search);
    Ok(SubscribeForm {
        choosing: choosing(app, visitor, &wished, None, whole).await?,
        whole,
        rest,
        search: search.to_owned(),
        address: String::new(),
        opened: opened_now(app),
        fault: None,
    })
}

/// The query of the form's own page, where all that is ticked here is ticked too.
fn rest(app: &AppState, visitor: &Visitor, ticked: Option<FeedKey>, search: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let directory = app.representations.directory();
    if let Some(slug) = ticked.and_then(|key| directory.by_key(key)?.slug()) {
        query.append_pair("feed", slug.as_str());
    }
    if !search.is_empty() {
        query.append_pair("search", search);
    }
    if let Some(language) = visitor.picked {
        query.append_pair("lang", language.code());
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

/// `GET /subscribe`
pub async fn subscribe_form(State(app): State<AppState>, visitor: Visitor) -> Response {
    let made = async {
        let name = visitor.asked("feed").unwrap_or_default();
        let ticked = keys_of(&app, std::iter::once(name.as_str())).await?.first().map(|(_, key)| *key);
        let ticked = ticked.filter(|key| offered(&app, &app.representations.directory()).contains(key));
        let search = crate::domain::excerpt(&visitor.asked("search").unwrap_or_default(), 200);
        let form = subscribe_form_of(&app, &visitor, ticked, &search, true).await?;
        Ok::<_, Problem>(page::subscribe(&visitor.desk(&app), &form)?)
    };
    match made.await {
        Ok(html) => uncached(StatusCode::OK, html),
        Err(problem) => problem.page(&app, &visitor),
    }
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
    if let Err(refused) = admitted(&app, &visitor, &fields, now) {
        return again(&app, &visitor, &fields, refused).await;
    }
    let wish = match wish_of(&app, &visitor, &fields).await {
        Ok(Ok(wish)) => wish,
        Ok(Err(fault)) => return again(&app, &visitor, &fields, Refusal { fault, wait: None }).await,
        Err(error) => return failed(error, &app, &visitor, DeadLink::Confirmation),
    };
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

/// Why a form is shown again.
struct Refusal {
    fault: FormFault,
    /// How many seconds later the same may be tried again.
    wait: Option<u64>,
}

/// Whether a form with an address may be taken: not sooner than anybody writes, and not too many
/// from one network. Somebody at this very machine, a script of the newsroom's among them, is no
/// stranger.
fn admitted(app: &AppState, visitor: &Visitor, fields: &Fields, now: Instant) -> Result<(), Refusal> {
    let refusal = |fault| Refusal { fault, wait: None };
    let typed = fields.get("address").unwrap_or_default();
    if typed.trim().is_empty() {
        return Err(refusal(FormFault::AddressMissing));
    }
    EmailAddress::parse(typed).map_err(|_| refusal(FormFault::AddressMalformed))?;
    if visitor.is_local() {
        return Ok(());
    }
    let opened = Token::open(fields.get("opened").unwrap_or_default(), &app.desk.secret, TokenPurpose::Form);
    if opened.map_or(true, |opened| now - opened.issued < FILL_TIME) {
        return Err(refusal(FormFault::TooSoon));
    }
    let network = visitor.address(&app.trusted_proxies);
    app.sign_ups
        .take_sign_up(network, now)
        .map_err(|wait| Refusal { fault: FormFault::TooMany, wait: Some(wait.0) })
}

async fn wish_of(
    app: &AppState,
    visitor: &Visitor,
    fields: &Fields,
) -> Result<Result<OptInRequest, FormFault>, SubscribeError> {
    let Ok(address) = EmailAddress::parse(fields.get("address").unwrap_or_default()) else {
        return Ok(Err(FormFault::AddressMalformed));
    };
    Ok(wishes(app, fields, &[]).await?.map(|wishes| OptInRequest {
        address,
        wishes,
        time_zone: zone_of(fields).flatten(),
        language: visitor.language(app),
        remote_address: visitor.address(&app.trusted_proxies).to_string(),
        wording: consent_text(app, visitor.language(app)),
    }))
}

fn opened_now(app: &AppState) -> String {
    Token { subject: 0, issued: app.clock.now() }.seal(&app.desk.secret, TokenPurpose::Form)
}

/// The form as it was filled in, with what is wrong.
async fn again(app: &AppState, visitor: &Visitor, fields: &Fields, refusal: Refusal) -> Response {
    let made = async {
        let wished = wishes(app, fields, &[]).await?.unwrap_or_default();
        let form = SubscribeForm {
            choosing: choosing(app, visitor, &wished, zone_of(fields).flatten(), true).await?,
            whole: true,
            rest: String::new(),
            search: crate::domain::excerpt(fields.get("search").unwrap_or_default(), 200),
            address: crate::domain::excerpt(fields.get("address").unwrap_or_default(), 254),
            opened: opened_now(app),
            fault: Some(refusal.fault),
        };
        Ok::<_, Problem>(page::subscribe(&visitor.desk(app), &form)?)
    };
    let status = match refusal.wait {
        Some(_) => StatusCode::TOO_MANY_REQUESTS,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };
    match made.await {
        Ok(html) => {
            let mut answer = uncached(status, html);
            if let Some(seconds) = refusal.wait {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            answer
        }
        Err(problem) => problem.page(app, visitor),
    }
}

/// What the form promised and asked, in the reader's language: part of the proof of consent.
fn consent_text(app: &AppState, language: Language) -> String {
    let publication = app.publication.title.as_str();
    let say = |key| app.templates.text(language, key, &[("publication", publication)]);
    format!("{} {}", say("page.form.intro"), say("page.form.promise"))
}

/// What is chosen, a line each, in the visitor's language.
pub async fn choices_of(
    app: &AppState,
    visitor: &Visitor,
    wishes: &[Wish],
    zone: Option<Tz>,
) -> Result<Vec<String>, SubscribeError> {
    let wording = app.desk.wording(visitor.language(app), zone);
    Ok(wording.wishes(&app.store, &app.representations.directory(), wishes).await?)
}

/// The page that says what is wrong with a link, or with us.
pub fn failed(error: SubscribeError, app: &AppState, visitor: &Visitor, kind: DeadLink) -> Response {
    match error {
        SubscribeError::Link => match page::link_dead(&visitor.desk(app), kind) {
            Ok(html) => uncached(StatusCode::NOT_FOUND, html),
            Err(fault) => Problem::from(fault).page(app, visitor),
        },
        SubscribeError::Store(error) => Problem::from(error).page(app, visitor),
    }
}

fn is_move(opt_in: &OptIn) -> bool {
    matches!(opt_in.kind, NoticeKind::Address | NoticeKind::Moved)
}

/// `GET /confirm/{token}`: asks. Link scanners open every link of a mail.
pub async fn confirm_ask(
    State(app): State<AppState>,
    Path(token): Path<String>,
    mut visitor: Visitor,
) -> Response {
    let read = async {
        let now = app.clock.now();
        let opt_in = subscribe::read_confirmation(&app.store, &app.desk.secret, &token, now).await?;
        visitor.is_spoken_to_in(opt_in.language);
        let choices = choices_of(&app, &visitor, &opt_in.wishes, opt_in.time_zone).await?;
        Ok::<_, SubscribeError>((opt_in, choices))
    };
    let action = format!("{}/confirm/{token}", app.root());
    match read.await {
        Ok((opt_in, _)) if is_move(&opt_in) => {
            let page = page::move_ask(&visitor.desk(&app), &opt_in.address.hint(), &action);
            personal(&app, &visitor, page)
        }
        Ok((_, choices)) => {
            personal(&app, &visitor, page::confirm_ask(&visitor.desk(&app), &choices, &action))
        }
        Err(error) => failed(error, &app, &visitor, DeadLink::Confirmation),
    }
}

/// `POST /confirm/{token}`: acts.
pub async fn confirm(
    State(app): State<AppState>,
    Path(token): Path<String>,
    mut visitor: Visitor,
) -> Response {
    let done = async {
        let now = app.clock.now();
        let opt_in = subscribe::read_confirmation(&app.store, &app.desk.secret, &token, now).await?;
        visitor.is_spoken_to_in(opt_in.language);
        let from = visitor.address(&app.trusted_proxies).to_string();
        if is_move(&opt_in) {
            let answer = subscribe::move_reader(&app.store, &opt_in, &from, now).await?;
            app.wake.dispatch.notify_one();
            let hint = opt_in.address.hint();
            return Ok(page::move_done(&visitor.desk(&app), &hint, answer != MoveAnswer::Taken));
        }
        let yes = Yes { from: &from, greet: app.letters.welcome };
        let reader = subscribe::confirm(&app.store, &opt_in, &app.desk.calendar(), &yes, now).await?;
        app.wake.digest.notify_one();
        app.wake.dispatch.notify_one();
        let choices = choices_of(&app, &visitor, &opt_in.wishes, opt_in.time_zone).await?;
        let frequencies = opt_in.wishes.iter().map(|wish| &wish.frequency);
        let next = subscribe::next_mail(&app.desk.calendar(), frequencies, opt_in.time_zone, now);
        let preferences = app.link(reader, TokenPurpose::Preferences).await;
        let mut desk = visitor.desk(&app);
        desk.zone = opt_in.time_zone.unwrap_or(desk.zone);
        Ok::<_, SubscribeError>(page::confirm_done(&desk, &choices, next, &preferences))
    };
    match done.await {
        Ok(page) => personal(&app, &visitor, page),
        Err(error) => failed(error, &app, &visitor, DeadLink::Confirmation),
    }
}

/// Whose link it is.
pub async fn reader(
    app: &AppState,
    token: &str,
    purpose: TokenPurpose,
) -> Result<(SubscriberId, Subscriber), SubscribeError> {
    let id = subscribe::reader_of(&app.desk.secret, token, purpose)?;
    let reader = app.store.subscriber(id).await?.ok_or(SubscribeError::Link)?;
    Ok((id, reader))
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
        let reader =
            app.desk.reader_of_edition(id, &token, TokenPurpose::Edition).ok_or(SubscribeError::Link)?;
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
