use super::{FeedKey, Frequency, Instant};
use chrono_tz::Tz;

/// A feed that a reader wants, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Of what.
    pub feed: FeedKey,
    /// How often.
    pub frequency: Frequency,
}

/// How a reader wants to be treated, whatever the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// On whose clock times of day are meant; the publication's where the reader never chose.
    pub time_zone: Option<Tz>,
    /// The most mails of articles a day, by that clock. What is beyond comes with a later one.
    pub daily_cap: Option<u32>,
    /// Until when nothing is mailed. What came meanwhile comes with the next mail after.
    pub paused_until: Option<Instant>,
}

impl Habits {
    /// Whether nothing is mailed now.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }
}

/// Where an address stands with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriberState {
    /// Asked, not confirmed. Gets nothing but the question.
    Pending,
    /// Confirmed.
    Active,
    /// Left by its own will.
    Unsubscribed,
    /// Its mail server says that it does not exist.
    Bounced,
    /// Reported our mail as unwanted.
    Complained,
}

impl SubscriberState {
    /// The word in which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }

    /// Reads a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Unsubscribed, Self::Bounced, Self::Complained]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// Why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedReason {
    /// The reader left, by the link or the button of the mail program.
    Reader,
    /// The reader took the category off the preference page.
    Preferences,
    /// The newsroom ended it.
    Newsroom,
    /// The address bounced.
    Bounced,
    /// The reader reported our mail as unwanted.
    Complained,
}

impl EndedReason {
    /// The word in which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Preferences => "preferences",
            Self::Newsroom => "newsroom",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }
}
