use super::{Desk, DigestChoice, FeedChoice, SubscribeForm};
use crate::domain::{Instant, Slug, micros};
use crate::wording::TemplateFault;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// `GET /subscribe`, and the answer to a form with a fault.
pub fn subscribe(desk: &Desk<'_>, form: &SubscribeForm) -> Result<String, TemplateFault> {
    let canonical = desk.publication.url("/subscribe");
    desk.render("page/subscribe.html", context! { canonical, form => Serde(form) })
}

/// The answer to a subscription: look into your mailbox. It is the same whether the address is
/// known or not, so nobody can ask this page who reads the newspaper.
pub fn subscribe_done(desk: &Desk<'_>) -> Result<String, TemplateFault> {
    desk.render("page/subscribe-done.html", context! {})
}

/// `GET /confirm/{token}`: asks. Programs that follow links in mails confirm nothing.
pub fn confirm_ask(
    desk: &Desk<'_>,
    feeds: &[String],
    digest: &str,
    action: &str,
) -> Result<String, TemplateFault> {
    desk.render("page/confirm.html", context! { feeds => Serde(feeds), digest, action })
}

/// The answer to a confirmation: what comes, and when for the first time.
pub fn confirm_done(
    desk: &Desk<'_>,
    feeds: &[String],
    digest: &str,
    next: Option<Instant>,
    preferences_url: &str,
) -> Result<String, TemplateFault> {
    let next = next.map(micros);
    desk.render("page/confirm-done.html", context! { feeds => Serde(feeds), digest, next, preferences_url })
}

/// `GET /unsubscribe/{token}`: asks and does nothing (hackwestern#846: 489 of 497 unsubscribes on
/// GET were link scanners).
pub fn unsubscribe_ask(
    desk: &Desk<'_>,
    address_hint: &str,
    feeds: &[String],
    action: &str,
    preferences_url: &str,
) -> Result<String, TemplateFault> {
    desk.render(
        "page/unsubscribe.html",
        context! { address_hint, feeds => Serde(feeds), action, preferences_url },
    )
}

/// The answer to an unsubscription, the same on every repeat. Its form posts `undo=1`.
pub fn unsubscribe_done(desk: &Desk<'_>, undo_action: &str) -> Result<String, TemplateFault> {
    desk.render("page/unsubscribe-done.html", context! { undo_action })
}

/// The answer to an undone unsubscription.
pub fn resubscribed(desk: &Desk<'_>, preferences_url: &str) -> Result<String, TemplateFault> {
    desk.render("page/resubscribed.html", context! { preferences_url })
}

/// A reader's choices, as he can change them without a login.
///
/// The form posts `feed` for each feed that is ticked and `shown` for each that was there to be
/// ticked, so that a feed which was not shown is not switched off (Mautic's fault).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preferences {
    /// Whose they are, as much of the address as its owner needs to know it: `m…@example.vn`.
    pub address_hint: String,
    /// The feeds there are.
    pub feeds: Vec<FeedChoice>,
    /// The digests there are.
    pub digests: Vec<DigestChoice>,
    /// The digest that is chosen.
    pub chosen: Option<Slug>,
    /// Where the form goes.
    pub action: String,
    /// His own feed of what he chose.
    pub feed_url: String,
    /// Where the reader leaves.
    pub unsubscribe_url: String,
    /// Whether they were saved just now.
    pub saved: bool,
}

/// `/preferences/{token}`.
pub fn preferences(desk: &Desk<'_>, preferences: &Preferences) -> Result<String, TemplateFault> {
    desk.render("page/preferences.html", preferences)
}
