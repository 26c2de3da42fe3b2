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
}

impl EndedReason {
    /// The word in which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Preferences => "preferences",
            Self::Newsroom => "newsroom",
            Self::Bounced => "bounced",
        }
    }
}
