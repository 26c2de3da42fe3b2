use super::{Choosing, Desk, SubscribeForm};
use crate::domain::{Instant, micros};
use crate::wording::TemplateFault;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// `GET /subscribe`, and the answer to a form with a fault.
pub fn subscribe(desk: &Desk<'_>, form: &SubscribeForm) -> Result<String, TemplateFault> {
    let canonical = desk.publication.url("/subscribe");
    let apart = form.choosing.differs();
    desk.render("page/subscribe.html", context! { canonical, apart, form => Serde(form) })
}

/// The answer to a subscription: look into your mailbox. It is the same whether the address is
/// known or not, so nobody can ask this page who reads the newspaper.
pub fn subscribe_done(desk: &Desk<'_>) -> Result<String, TemplateFault> {
    desk.render("page/subscribe-done.html", context! {})
}

/// `GET /confirm/{token}`: asks. Programs that follow links in mails confirm nothing.
pub fn confirm_ask(desk: &Desk<'_>, choices: &[String], action: &str) -> Result<String, TemplateFault> {
    desk.render("page/confirm.html", context! { choices => Serde(choices), action })
}

/// The answer to a confirmation: what comes, and when for the first time.
pub fn confirm_done(
    desk: &Desk<'_>,
    choices: &[String],
    next: Option<Instant>,
    preferences_url: &str,
) -> Result<String, TemplateFault> {
    let next = next.map(micros);
    desk.render("page/confirm-done.html", context! { choices => Serde(choices), next, preferences_url })
}

/// `GET /confirm/{token}` of a change of address: asks. `hint` is where the mail would go.
pub fn move_ask(desk: &Desk<'_>, hint: &str, action: &str) -> Result<String, TemplateFault> {
    desk.render("page/move.html", context! { hint, action })
}

/// The answer to a change of address, done or refused because that address is another reader's.
pub fn move_done(desk: &Desk<'_>, hint: &str, is_done: bool) -> Result<String, TemplateFault> {
    desk.render("page/move-done.html", context! { hint, is_done })
}

/// A part of a reader's mail that he can end by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name in the form, posted as `only`.
    pub name: String,
    /// Its name for people.
    pub title: String,
}

/// What the page shows that asks before a reader leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leaving {
    /// Whose mail it is, as much of the address as its owner needs to know it.
    pub address_hint: String,
    /// What runs, a line each.
    pub choices: Vec<String>,
    /// What the mail was of whose link this is, where there is more beside it.
    pub this: Option<Part>,
    /// What can be ended by itself.
    pub parts: Vec<Part>,
    /// Where the forms go.
    pub action: String,
    /// Where the reader chooses anew.
    pub preferences_url: String,
}

/// `GET /unsubscribe/{token}`: asks and does nothing (hackwestern#846: 489 of 497 unsubscribes on
/// GET were link scanners).
pub fn unsubscribe_ask(desk: &Desk<'_>, leaving: &Leaving) -> Result<String, TemplateFault> {
    desk.render("page/unsubscribe.html", leaving)
}

/// The answer to an unsubscription, the same on every repeat. Its form posts `undo=1`. `left` is
/// what still comes, a line each.
pub fn unsubscribe_done(
    desk: &Desk<'_>,
    left: &[String],
    undo_action: &str,
    preferences_url: &str,
) -> Result<String, TemplateFault> {
    let content = context! { left => Serde(left), undo_action, preferences_url };
    desk.render("page/unsubscribe-done.html", content)
}

/// The answer to who takes an unsubscription back: whether there was one to be taken back, and what
/// comes now, a line each.
pub fn resubscribed(
    desk: &Desk<'_>,
    taken_back: bool,
    comes: &[String],
    preferences_url: &str,
) -> Result<String, TemplateFault> {
    desk.render("page/resubscribed.html", context! { taken_back, comes => Serde(comes), preferences_url })
}

/// A reader's choices, as he can change them without a login.
///
/// The form posts `feed` for each feed that is ticked and `shown` for each that was there to be
/// ticked, so that a feed which was not shown is not switched off (Mautic's fault).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preferences {
    /// Whose they are, as much of the address as its owner needs to know it: `m…@example.vn`.
    pub address_hint: String,
    /// What there is to choose.
    pub choosing: Choosing,
    /// The language that letters are written in.
    pub spoken: String,
    /// The most mails a day; 0: as many as come.
    pub daily_cap: u32,
    /// Until which day nothing is mailed, as `2026-12-24`; blank: no pause.
    pub pause: String,
    /// The same as an instant.
    pub paused_until: Option<i64>,
    /// The first day that a pause can end on.
    pub tomorrow: String,
    /// When the next mail may come.
    pub next: Option<i64>,
    /// Where the forms go.
    pub action: String,
    /// His own feed of what he chose.
    pub feed_url: String,
    /// Where the reader leaves.
    pub unsubscribe_url: String,
    /// What was done just now.
    pub done: Option<Done>,
}

/// What was done just now on the page of choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The choices were saved.
    Saved,
    /// A letter goes to the new address.
    Asked,
    /// What was typed is no address.
    AddressMalformed,
}

/// `/preferences/{token}`.
pub fn preferences(desk: &Desk<'_>, preferences: &Preferences) -> Result<String, TemplateFault> {
    let apart = preferences.choosing.differs();
    desk.render("page/preferences.html", context! { apart, ..minijinja::Value::from(Serde(preferences)) })
}
