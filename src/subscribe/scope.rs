use crate::domain::{FeedKey, Frequency};
use std::str::FromStr;

/// What of a reader's mail ends by a link or a button.
///
/// It stands in the query of the link, outside of the proof: whoever may end a part may end all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Everything,
    /// What comes at one frequency: one digest, or one hour of the reader's own. The list that a
    /// mail belongs to (RFC 8058 §1).
    Frequency(Frequency),
    /// One feed, however it comes.
    Feed(FeedKey),
}

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("names no part of a reader's mail")]
pub struct ScopeError;

impl Scope {
    /// Whether a subscription is in it.
    pub fn holds(&self, feed: FeedKey, frequency: &Frequency) -> bool {
        match self {
            Self::Everything => true,
            Self::Frequency(own) => own == frequency,
            Self::Feed(own) => *own == feed,
        }
    }

    /// Its name in forms and queries; blank for everything.
    pub fn name(&self) -> String {
        match self {
            Self::Everything => String::new(),
            Self::Frequency(frequency) => frequency.to_string(),
            Self::Feed(feed) => format!("feed:{feed}"),
        }
    }

    /// The query of a link: of letters, digits, `-` and `:` alone.
    pub fn query(&self) -> String {
        match self {
            Self::Everything => String::new(),
            scope => format!("?only={}", scope.name()),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("feed:") {
            _ if text.is_empty() => Ok(Self::Everything),
            Some(feed) => feed.parse().map(Self::Feed).map_err(|_| ScopeError),
            None => text.parse().map(Self::Frequency).map_err(|_| ScopeError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_they_are_read() {
        for name in ["", "digest:hang-ngay", "daily:06:30", "weekly:mon:07:00", "at-once", "feed:all"] {
            assert_eq!(name.parse::<Scope>().unwrap().name(), name);
        }
        assert_eq!("tất cả".parse::<Scope>(), Err(ScopeError));
        assert_eq!("feed:kinh-te".parse::<Scope>(), Err(ScopeError));
        let daily: Frequency = "daily:06:30".parse().unwrap();
        assert!(Scope::Frequency(daily.clone()).holds(FeedKey::All, &daily));
        assert!(!Scope::Frequency(daily).holds(FeedKey::All, &Frequency::AtOnce));
    }
}
