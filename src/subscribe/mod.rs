//! Floor 3: a reader asks, confirms, changes his mind and leaves.
//!
//! No answer tells whether an address is known: the same page follows every request, and only the
//! mailbox's owner learns more.

mod scope;
mod words;

pub use scope::{Scope, ScopeError};
pub use words::{Wording, next_mail, search_titles, titles};

use crate::domain::{
    Calendar, Digest, DigestFeeds, Directory, EmailAddress, EndedReason, FeedDefinition, FeedKey, Frequency,
    Habits, Instant, Language, OptInId, Secret, Slug, SubscriberId, Token, TokenError, TokenPurpose, Wish,
};
use crate::store::{
    Enrolled, ListedReader, MoveAnswer, OptIn, OptInAnswer, OptInRequest, Store, StoreError, Yes,
};
use std::time::Duration;

/// How long a confirmation link can be used.
const CONFIRMATION_LIFE: chrono::Duration = chrono::Duration::days(7);

/// Why a reader's wish was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The link is forged, cut off or too old. Later does not help.
    #[error("the link cannot be used")]
    Link,
    /// Later may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TokenError> for SubscribeError {
    fn from(_: TokenError) -> Self {
        Self::Link
    }
}

/// Notes the wish and has the question mailed to the address.
pub async fn ask(
    store: &Store,
    secret: &Secret,
    wish: OptInRequest,
    quiet: Duration,
    now: Instant,
) -> Result<OptInAnswer, SubscribeError> {
    let quiet = chrono::Duration::from_std(quiet).unwrap_or(chrono::Duration::MAX);
    let answer = store.request_opt_in(&wish, quiet, secret, now).await?;
    match &answer {
        OptInAnswer::Asked(id) => tracing::info!(opt_in.id = %id, "confirmation asked"),
        OptInAnswer::AskedBefore => tracing::info!("confirmation was asked shortly before"),
        OptInAnswer::Suppressed => tracing::info!("request for a suppressed address"),
    }
    Ok(answer)
}

/// Carries out a wish whose owner has agreed elsewhere; nothing is mailed. `None`: the address
/// must not be mailed.
pub async fn consent(
    store: &Store,
    secret: &Secret,
    wish: OptInRequest,
    calendar: &Calendar<'_>,
    now: Instant,
) -> Result<Option<SubscriberId>, SubscribeError> {
    let beginning = |frequency: &Frequency| calendar.first_mail_reaches_back_to(frequency, now);
    let subscriber = store.accept_consent(&wish, &beginning, secret, now).await?;
    if let Some(subscriber) = subscriber {
        tracing::info!(subscriber.id = %subscriber, "consent taken over");
    }
    Ok(subscriber)
}

/// Takes some readers of a list over: who agreed elsewhere is subscribed, who did not is asked.
pub async fn enrol(
    store: &Store,
    secret: &Secret,
    readers: &[ListedReader],
    calendar: &Calendar<'_>,
    now: Instant,
) -> Result<Vec<Enrolled>, SubscribeError> {
    let beginning = |frequency: &Frequency| calendar.first_mail_reaches_back_to(frequency, now);
    let answers = store.enrol(readers, &beginning, secret, now).await?;
    let taken = answers.iter().filter(|answer| **answer == Enrolled::Taken).count();
    tracing::info!(readers = readers.len(), taken, "a part of a list taken over");
    Ok(answers)
}

/// The request that a confirmation link speaks of.
pub async fn read_confirmation(
    store: &Store,
    secret: &Secret,
    token: &str,
    now: Instant,
) -> Result<OptIn, SubscribeError> {
    let token = Token::open(token, secret, TokenPurpose::Confirm)?;
    let opt_in = store.opt_in(OptInId(token.subject)).await?.ok_or(SubscribeError::Link)?;
    // A link that was used keeps working, so that a second click is no error.
    if opt_in.confirmed_at.is_none() && now - token.issued > CONFIRMATION_LIFE {
        return Err(SubscribeError::Link);
    }
    Ok(opt_in)
}

/// Carries out what the link confirms. Repeatable.
pub async fn confirm(
    store: &Store,
    opt_in: &OptIn,
    calendar: &Calendar<'_>,
    yes: &Yes<'_>,
    now: Instant,
) -> Result<SubscriberId, SubscribeError> {
    let beginning = |frequency: &Frequency| calendar.first_mail_reaches_back_to(frequency, now);
    let confirmed = store.confirm(opt_in.id, &beginning, yes, now).await?;
    let subscriber = confirmed.ok_or(SubscribeError::Link)?;
    tracing::info!(subscriber.id = %subscriber, "subscription confirmed");
    Ok(subscriber)
}

/// Whom an unsubscribe or preference link speaks of. Such a link works for ever.
pub fn reader_of(
    secret: &Secret,
    token: &str,
    purpose: TokenPurpose,
) -> Result<SubscriberId, SubscribeError> {
    Ok(SubscriberId(Token::open(token, secret, purpose)?.subject))
}

/// Ends a reader's subscriptions, all or those of a scope. Repeatable; holds from the next mail on,
/// also for editions already cut. With `farewell`, who gets nothing any more is told so once.
pub async fn end(
    store: &Store,
    reader: SubscriberId,
    scope: &Scope,
    farewell: bool,
    now: Instant,
) -> Result<(), StoreError> {
    let only: Option<Vec<FeedKey>> = match scope {
        Scope::Everything => None,
        scope => {
            let running = store.subscriptions(reader).await?;
            Some(running.iter().filter(|s| scope.holds(s.feed, &s.frequency)).map(|s| s.feed).collect())
        }
    };
    let ended = store.end_subscriptions(reader, only.as_deref(), EndedReason::Reader, now).await?;
    tracing::info!(subscriber.id = %reader, subscriptions = ended, "reader left");
    if farewell && store.say_goodbye(reader, now).await? {
        tracing::info!(subscriber.id = %reader, "goodbye queued");
    }
    Ok(())
}

/// Asks a new address whether a reader's mail shall go there. Nobody learns whether it is known.
pub async fn ask_to_move(
    store: &Store,
    secret: &Secret,
    reader: SubscriberId,
    (to, from): (&EmailAddress, &str),
    quiet: Duration,
    now: Instant,
) -> Result<(), SubscribeError> {
    let quiet = chrono::Duration::from_std(quiet).unwrap_or(chrono::Duration::MAX);
    store.request_move(reader, to, from, (quiet, secret), now).await?;
    tracing::info!(subscriber.id = %reader, "new address asked");
    Ok(())
}

/// Carries out a change of address that its new owner confirmed. Repeatable.
pub async fn move_reader(
    store: &Store,
    opt_in: &OptIn,
    from: &str,
    now: Instant,
) -> Result<MoveAnswer, SubscribeError> {
    let answer = store.move_reader(opt_in.id, from, now).await?.ok_or(SubscribeError::Link)?;
    tracing::info!(subscriber.id = %opt_in.subscriber, ?answer, "address changed");
    Ok(answer)
}

/// Takes an end back. `false`: there is none, or something else was chosen since.
pub async fn undo(store: &Store, reader: SubscriberId, now: Instant) -> Result<bool, SubscribeError> {
    let resumed = store.undo_end(reader, now).await?;
    tracing::info!(subscriber.id = %reader, subscriptions = resumed, "reader took a leaving back");
    Ok(resumed > 0)
}

/// What a reader ticked on the preference page.
#[derive(Clone, Debug)]
pub struct Preferences {
    /// The feeds that the page showed. What it did not show is not changed (mautic's plague).
    pub shown: Vec<FeedKey>,
    /// Those that are wanted, and how often each.
    pub wanted: Vec<Wish>,
}

/// Carries out what a reader ticked.
pub async fn change(
    store: &Store,
    reader: SubscriberId,
    preferences: &Preferences,
    calendar: &Calendar<'_>,
    now: Instant,
) -> Result<(), SubscribeError> {
    let beginning = |frequency: &Frequency| calendar.first_mail_reaches_back_to(frequency, now);
    let Preferences { shown, wanted } = preferences;
    store.change_subscriptions(reader, shown, wanted, &beginning, now).await?;
    tracing::info!(subscriber.id = %reader, wanted = wanted.len(), "preferences changed");
    Ok(())
}

/// How a reader wants to be treated from now on.
pub async fn change_habits(
    store: &Store,
    reader: SubscriberId,
    language: Language,
    habits: &Habits,
    now: Instant,
) -> Result<(), SubscribeError> {
    store.change_habits(reader, language, habits, now).await?;
    tracing::info!(subscriber.id = %reader, paused = habits.is_paused(now), "habits changed");
    Ok(())
}

/// The wish for some of a digest's feeds, named by their slugs; of none named, for everything that it
/// has. A slug that the digest has not comes back.
pub fn wishes(digest: &Digest, directory: &Directory, feeds: &[Slug]) -> Result<Vec<Wish>, Slug> {
    let offers = offered(digest, directory);
    let mut keys = Vec::new();
    for slug in feeds {
        let key = directory.lookup(slug).feed().and_then(FeedDefinition::key);
        keys.push(key.filter(|key| offers.contains(key)).ok_or_else(|| slug.clone())?);
    }
    if keys.is_empty() {
        keys = if offers.contains(&FeedKey::All) { vec![FeedKey::All] } else { offers };
    }
    let frequency = Frequency::Digest(digest.slug.clone());
    Ok(keys.into_iter().map(|feed| Wish { feed, frequency: frequency.clone() }).collect())
}

/// The feeds that a digest offers.
pub fn offered(digest: &Digest, directory: &Directory) -> Vec<FeedKey> {
    // Also by a name that a feed had when the digest's file was written.
    let named: Option<Vec<&FeedDefinition>> = match &digest.feeds {
        DigestFeeds::Every => None,
        DigestFeeds::These(slugs) => {
            Some(slugs.iter().filter_map(|slug| directory.lookup(slug).feed()).collect())
        }
    };
    let offers = |feed: &&FeedDefinition| {
        feed.slug().is_some() && named.as_ref().is_none_or(|named| named.contains(feed))
    };
    directory.feeds().iter().filter(offers).filter_map(FeedDefinition::key).collect()
}

/// The links that stand in a reader's mails: to leave what this mail is of, and to change. Equal in
/// every retry, so that the bytes are too.
pub fn links(
    secret: &Secret,
    base: impl Fn(&str) -> String,
    (reader, since): (SubscriberId, Instant),
    scope: &Scope,
) -> (String, String) {
    let token = Token { subject: reader.0, issued: since };
    let unsubscribe = token.seal(secret, TokenPurpose::Unsubscribe);
    (
        base(&format!("/unsubscribe/{unsubscribe}{}", scope.query())),
        base(&format!("/preferences/{}", token.seal(secret, TokenPurpose::Preferences))),
    )
}
