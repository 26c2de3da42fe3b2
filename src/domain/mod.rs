//! Floor 0: the nouns of a newsroom, their rules and their state machines.
//!
//! Nothing here does I/O, waits, or reads the clock: an instant comes in as an
//! argument. A value of one of these types that exists is right; each has one
//! door (`parse`, `new`, `from_*`) and the rest of the program trusts it.

mod address;
mod alias;
mod api_token;
mod article;
mod backoff;
mod bounce;
mod bounded;
mod breaker;
mod category;
mod chance;
mod clock;
mod delivery;
mod digest;
mod directory;
mod doubt;
mod feed;
mod feed_name;
mod fold;
mod frequency;
mod hook_key;
mod html;
mod hub;
mod ids;
mod label;
mod language;
mod lead;
mod locator;
mod notice;
mod pace;
mod publication;
mod rate;
mod reply;
mod return_path;
mod saved_search;
mod schedule;
mod slug;
mod subscriber;
mod text;
mod throttling;
mod token;
mod volume;

pub use address::{AddressError, EmailAddress};
pub use alias::{Alias, AliasError, Lookup, OldAddress, OldPath};
pub use api_token::{ApiToken, Scope, Scopes, UnknownScope};
pub use article::{Article, ArticleState, Body, CategoryName, Draft, Enclosure, IdentityKey, Image, Source};
pub use backoff::Backoff;
pub use bounce::{BounceClass, SOFT_RULE, SoftRule, SuppressionReason};
pub(crate) use bounded::{bounded_document, bounded_fragment};
pub use breaker::Breaker;
pub use category::{Category, CategoryTree};
pub use chance::{Chance, fraction, new_uuid};
pub use clock::{Clock, Instant, from_micros, micros};
pub use delivery::{Attempt, DeliveryKind, DeliveryState, MAIL_BACKOFF, Outcome};
pub use digest::{Calendar, Digest, DigestFeeds, Slot};
pub use directory::{ALL_SLUG, DEFAULT_WINDOW, DeclaredFeed, Directory, Selected};
pub use doubt::Doubt;
pub use feed::{FeedContent, FeedDefinition, FeedKey, FeedKeyError, Format, PushContent, Selection};
pub use feed_name::{FeedName, FeedNameError, FeedPlace, Term};
pub use fold::fold;
pub use frequency::{Day, Frequency, FrequencyError, Plan, TimeOfDay};
pub use hook_key::HookKey;
pub use html::SafeHtml;
pub use hub::{
    Callback, CallbackError, CallbackSecret, HUB_BACKOFF, HubMode, Lease, LeaseRules, PUSH_BACKOFF,
    SecretError, SignatureMethod, TopicPath, VERIFICATION_BACKOFF,
};
pub use ids::{
    ArticleId, CallbackId, CategoryId, DeliveryId, EditionId, EndpointId, LabelId, OptInId, RequestId,
    SearchId, SourceId, SubscriberId, TopicId,
};
pub use label::{Label, LabelKind, labels_of, person};
pub use language::{Language, LanguageTag};
pub use lead::{Lead, LeadError};
pub use locator::{WebUrl, WebUrlError};
pub use notice::NoticeKind;
pub use pace::Pace;
pub use publication::Publication;
pub use rate::{Bucket, Rate, RateError};
pub use reply::{NoStatusCode, Reply, StatusCode};
pub use return_path::{Forged, ReturnPath, ReturnPathError};
pub use saved_search::SavedSearch;
pub use schedule::{Schedule, ScheduleError, day_start};
pub use slug::{Slug, SlugError};
pub use subscriber::{EndedReason, Habits, SubscriberState, Wish};
pub use text::{clean_line, clean_paragraphs, escape_html, excerpt, hex, is_allowed_char};
pub use token::{Secret, Token, TokenError, TokenPurpose};
pub use volume::{VOLUME_DAYS, Volume};
