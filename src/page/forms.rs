use super::Choosing;
use serde::Serialize;

/// The form to subscribe, as it is shown: empty, or with what the reader wrote and what is wrong
/// with it.
///
/// It is posted to `/subscribe` with `address`, `lang`, `opened`, what [`Choosing`] posts, `search`
/// for what the reader looked for, and `website`, which people neither see nor hear: who fills it
/// in is a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SubscribeForm {
    /// What there is to choose.
    pub choosing: Choosing,
    /// Whether every choice is there, or only the newsroom's digests and a way to the rest.
    pub whole: bool,
    /// The way to the rest: the query of `/subscribe` with what is ticked.
    pub rest: String,
    /// What the reader looked for, and may be told of.
    pub search: String,
    /// The address as it was written.
    pub address: String,
    /// When it was shown, sealed.
    pub opened: String,
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
    /// No frequency is chosen, or a digest that is gone.
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
