//! Floor 1: the HTML pages that people see, in Vietnamese and English.
//!
//! One function a page: data in, markup out. Every state-changing form is a POST; no page needs a
//! script, an inline style or a foreign font, so [`CONTENT_POLICY`] can forbid them.
//! Layout stands in `templates/page/`, words in `templates/messages/`.

mod api;
mod article;
mod choosing;
mod desk;
mod editions;
mod feed;
mod forms;
mod journey;
mod mailbox;
mod problem;
mod samples;
#[cfg(test)]
mod tests;

pub use api::{ApiField, ApiObject, ApiOperation, ApiSection, api};
pub use article::article;
pub use choosing::{Choosing, FeedChoice, Region, Way, Zone, zones};
pub use desk::{Desk, style_sheet};
pub use editions::{EditionLink, EditionSection, edition, editions};
pub use feed::{FeedLink, feed, home};
pub use forms::{FormFault, SubscribeForm};
pub use journey::{
    Done, Leaving, Part, Preferences, confirm_ask, confirm_done, move_ask, move_done, preferences,
    resubscribed, subscribe, subscribe_done, unsubscribe_ask, unsubscribe_done,
};
pub use mailbox::{Letter, LetterHead, letter, letter_frame, mailbox};
pub use problem::{DeadLink, link_dead, problem};
pub use samples::try_templates;

/// The Content-Security-Policy under which these pages work. `form-action` lets a form go to this
/// origin alone; Chromium holds the redirect after it to the same rule.
pub const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src https: http: data:; \
     form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The policy for the HTML of a letter in its frame ([`letter_frame`]). It is an answer of its own
/// because an `srcdoc` frame inherits the page's policy (HTML Living Standard §7.1.6), which
/// forbids the inline styles that mail is made of.
pub const LETTER_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; \
     frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";
