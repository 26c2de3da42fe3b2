//! Floor 3: a reader asks, confirms, changes his mind and leaves.
//!
//! No answer tells whether an address is known: the same page follows every request, and only the
//! mailbox's owner learns more.

use crate::domain::{
    Calendar, Digest, DigestFeeds, Directory, EndedReason, FeedDefinition, FeedKey, Frequency, Habits,
    Instant, Language, OptInId, Publication, Secret, SubscriberId, Token, TokenError, TokenPurpose, Wish,
};
use crate::store::{OptIn, OptInAnswer, OptInRequest, Store, StoreError};
use crate::wording::Templates;
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
    now: Instant,
) -> Result<SubscriberId, SubscribeError> {
    let beginning = |frequency: &Frequency| calendar.first_mail_reaches_back_to(frequency, now);
    let subscriber = store.confirm(opt_in.id, &beginning, now).await?.ok_or(SubscribeError::Link)?;
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

/// Ends every subscription of a reader. Repeatable; holds from the next mail on, also for
/// editions already cut.
pub async fn end(store: &Store, reader: SubscriberId, now: Instant) -> Result<(), SubscribeError> {
    let ended = store.end_subscriptions(reader, None, EndedReason::Reader, now).await?;
    tracing::info!(subscriber.id = %reader, subscriptions = ended, "reader left");
    Ok(())
}

/// Takes an end back.
pub async fn undo(store: &Store, reader: SubscriberId, now: Instant) -> Result<(), SubscribeError> {
    let resumed = store.undo_end(reader, now).await?;
    tracing::info!(subscriber.id = %reader, subscriptions = resumed, "reader came back");
    Ok(())
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

/// The titles of feeds as readers choose them. The feed of everything bears the newspaper's name,
/// which among the names of sections tells nobody what it is.
pub fn titles(
    directory: &Directory,
    keys: &[FeedKey],
    publication: &Publication,
    templates: &Templates,
    language: Language,
) -> Vec<(FeedKey, String)> {
    let title = |feed: &FeedDefinition| {
        if feed.key() == Some(FeedKey::All) && feed.title == publication.title {
            templates.text(language, "feed.everything", &[])
        } else {
            feed.title.clone()
        }
    };
    let kept = directory.feeds().iter().filter_map(|feed| Some((feed.key()?, feed)));
    kept.filter(|(key, _)| keys.contains(key)).map(|(key, feed)| (key, title(feed))).collect()
}

/// The links that stand in a reader's mails. Equal in every retry, so that the bytes are too.
pub fn links(
    secret: &Secret,
    base: impl Fn(&str) -> String,
    reader: SubscriberId,
    since: Instant,
) -> (String, String) {
    let token = Token { subject: reader.0, issued: since };
    (
        base(&format!("/unsubscribe/{}", token.seal(secret, TokenPurpose::Unsubscribe))),
        base(&format!("/preferences/{}", token.seal(secret, TokenPurpose::Preferences))),
    )
}
