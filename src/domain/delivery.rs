use super::{Backoff, Reply};
use chrono::Duration;

/// What a mail is for. Mail that somebody waits for overtakes digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// "Is it you who asked?"
    Confirmation,
    /// One edition of a digest.
    Edition,
}

impl DeliveryKind {
    /// Whether somebody sits and waits for it.
    pub fn is_urgent(self) -> bool {
        self == Self::Confirmation
    }

    /// The word in which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::Edition => "edition",
        }
    }

    /// Reads a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Confirmation, Self::Edition].into_iter().find(|k| k.as_str() == word)
    }
}

/// Where one mail to one subscriber stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Waits to be claimed.
    Pending,
    /// A worker holds it until its claim ends.
    Claimed,
    /// The next mail server took it.
    Accepted,
    /// The next mail server asked to come again.
    Deferred,
    /// The next mail server refused it for good.
    Bounced,
    /// Not to be sent any more: the reader left, or nothing is left to say.
    Suppressed,
    /// The next mail server took the text, and its answer was lost.
    Uncertain,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Claimed,
        Self::Accepted,
        Self::Deferred,
        Self::Bounced,
        Self::Suppressed,
        Self::Uncertain,
    ];

    /// The word in which it is stored and told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Accepted => "accepted",
            Self::Deferred => "deferred",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
            Self::Uncertain => "uncertain",
        }
    }

    /// Reads a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// The number of a try, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub i64);

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next mail server took it; its words.
    Accepted(Reply),
    /// It asked to come again (4xx, or no connection); its words.
    Deferred(Reply),
    /// It refused for good (5xx); its words.
    Refused(Reply),
    /// The text went out and no answer came back; what is known.
    Uncertain(Reply),
    /// It was not handed over, and why it never will be.
    Suppressed(String),
    /// No mail server heard of it: none could be reached, or it was not its turn. Nothing is said about
    /// the letter, so nothing is counted against its reader.
    Untried(Reply),
}

/// How mail that was deferred is tried again.
///
/// RFC 5321 §4.5.4.1: at least 30 minutes after the first retries, give up after 4 to 5 days.
/// The first tries come sooner, since most 4xx are greylisting, which lets a second try pass
/// after a few minutes.
pub const MAIL_BACKOFF: Backoff =
    Backoff { seconds: &[60, 300, 900, 1_800, 3_600, 7_200, 10_800, 14_400], patience: Duration::days(5) };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Instant;

    #[test]
    fn tries_grow_apart_and_end_after_five_days() {
        let since = Instant::default();
        let mut now = since;
        let mut last = Duration::zero();
        let mut attempts = 0;
        for n in 1.. {
            let Some(delay) = MAIL_BACKOFF.delay(Attempt(n), since, now, 0.0) else { break };
            assert!(delay >= last);
            last = delay;
            now += delay;
            attempts = n;
        }
        assert!((20..60).contains(&attempts), "{attempts}");
        assert!(now - since > Duration::days(5));
    }

    #[test]
    fn words_round_trip() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
    }
}
