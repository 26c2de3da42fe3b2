use crate::domain::Slug;
use serde::Serialize;

/// A digest that a reader can choose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DigestChoice {
    /// Its name in forms.
    pub slug: Slug,
    /// Its name for people.
    pub title: String,
    /// When it comes, in words, as [`when`](super::when()) says it: "06:30 hằng ngày".
    pub when: String,
}

/// A feed that a reader can choose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeedChoice {
    /// Its name in forms.
    pub slug: Slug,
    /// Its name for people.
    pub title: String,
    /// Whether it is chosen.
    pub checked: bool,
}

/// The form to subscribe, as it is shown: empty, or with what the reader wrote and what is wrong
/// with it.
///
/// It is posted to `/subscribe` with `address`, `digest`, `feed` (repeated), `lang`, `shown`, and
/// `website`, which people neither see nor hear: who fills it in is a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SubscribeForm {
    /// The digests there are.
    pub digests: Vec<DigestChoice>,
    /// The digest that is chosen; the first one where none is.
    pub chosen: Option<Slug>,
    /// The feeds there are.
    pub feeds: Vec<FeedChoice>,
    /// The address as it was written.
    pub address: String,
    /// When it was shown, sealed.
    pub shown: String,
    /// What is wrong.
    pub fault: Option<FormFault>,
}

/// Why a form could not be taken. Each stands beside its field in the reader's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FormFault {
    /// No address.
    AddressMissing,
    /// What stands there is no address.
    AddressMalformed,
    /// No feed is chosen.
    FeedMissing,
    /// No digest is chosen, or one that is gone.
    DigestMissing,
    /// Too many requests from there.
    TooMany,
    /// It came back sooner than anybody writes, or without having been shown.
    TooSoon,
}

impl FormFault {
    /// Every fault.
    pub const ALL: [Self; 6] = [
        Self::AddressMissing,
        Self::AddressMalformed,
        Self::FeedMissing,
        Self::DigestMissing,
        Self::TooMany,
        Self::TooSoon,
    ];
}
