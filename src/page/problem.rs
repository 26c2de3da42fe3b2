use super::Desk;
use crate::wording::TemplateFault;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// A link of a mail that leads nowhere: it ran out, was forged, or broke on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLink {
    /// The one that confirms a subscription.
    Confirmation,
    /// The one that opens the preferences.
    Preferences,
    /// The one that ends a subscription.
    Unsubscription,
    /// The one that shows a digest in the browser.
    Edition,
}

impl DeadLink {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Confirmation, Self::Preferences, Self::Unsubscription, Self::Edition];
}

/// Says what to do about a link that leads nowhere.
pub fn link_dead(desk: &Desk<'_>, kind: DeadLink) -> Result<String, TemplateFault> {
    desk.render("page/link-dead.html", context! { kind => Serde(kind) })
}

/// A page in place of one that cannot be shown: what happened, and what to do. `code` is the
/// stable name that the newsroom can look up.
pub fn problem(desk: &Desk<'_>, status: u16, code: &str) -> Result<String, TemplateFault> {
    let kind = match status {
        404 => "missing",
        410 if code == "feed-ended" => "feed_ended",
        410 => "gone",
        429 => "too_many",
        400..=499 => "request",
        503 => "busy",
        _ => "failed",
    };
    desk.render("page/problem.html", context! { status, code, kind })
}
