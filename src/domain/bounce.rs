use super::Instant;
use chrono::Duration;

/// What a message that came back means for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BounceClass {
    /// The address is none: no such mailbox, no such domain, moved away.
    Hard,
    /// It could not be delivered this time: mailbox full, switched off, server down for days.
    Soft,
    /// We were refused, not the reader: spam filter, SPF, DKIM, DMARC, block list, size.
    Policy,
    /// The reader told its provider that our mail is unwanted.
    Complaint,
    /// The reader is away, or a program answered.
    AutoReply,
    /// Nothing of all this: delayed, delivered, or a letter from a person.
    NotABounce,
}

impl BounceClass {
    /// Every class.
    pub const ALL: [Self; 6] =
        [Self::Hard, Self::Soft, Self::Policy, Self::Complaint, Self::AutoReply, Self::NotABounce];

    /// The word in which it is stored and told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Policy => "policy",
            Self::Complaint => "complaint",
            Self::AutoReply => "auto-reply",
            Self::NotABounce => "not-a-bounce",
        }
    }

    /// Reads a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// Whether it is written down: what changes nothing is only counted.
    pub fn matters(self) -> bool {
        !matches!(self, Self::AutoReply | Self::NotABounce)
    }
}

/// Why an address must not be mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SuppressionReason {
    /// Its mail server says that it does not exist, or takes nothing for weeks.
    Bounced,
    /// Its owner reported our mail as unwanted.
    Complained,
    /// The newsroom says so.
    Newsroom,
}

impl SuppressionReason {
    /// The word in which it is stored and told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Newsroom => "newsroom",
        }
    }

    /// Reads a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Bounced, Self::Complained, Self::Newsroom].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// How many soft bounces an address survives: the weight of each halves with time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftRule {
    /// After how long a bounce weighs half.
    pub half_life: Duration,
    /// At which sum the address is given up.
    pub limit: f64,
}

/// A daily digest that comes back each day is given up on the sixth, a weekly one in the ninth week.
/// With a half-life of a week the latter would never be: its sum stays below 2.
pub const SOFT_RULE: SoftRule = SoftRule { half_life: Duration::days(30), limit: 4.9 };

impl SoftRule {
    /// How far back bounces weigh anything that counts: a 64th.
    pub fn memory(&self) -> Duration {
        self.half_life * 6
    }

    /// The weight of bounces at an instant. Several within one day are one: the server had one bad day.
    pub fn score(&self, bounces: &[Instant], now: Instant) -> f64 {
        let mut bounces = bounces.to_vec();
        bounces.sort();
        let mut counted: Option<Instant> = None;
        let mut score = 0.0;
        for at in bounces {
            if counted.is_some_and(|before| at - before < Duration::hours(20)) {
                continue;
            }
            counted = Some(at);
            let age = (now - at).num_seconds().max(0) as f64;
            score += (-age / self.half_life.num_seconds().max(1) as f64).exp2();
        }
        score
    }

    /// Whether so many are enough.
    pub fn is_enough(&self, bounces: &[Instant], now: Instant) -> bool {
        self.score(bounces, now) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every(days: i64, count: i64) -> (Vec<Instant>, Instant) {
        let bounces: Vec<Instant> =
            (0..count).map(|n| Instant::default() + Duration::days(n * days)).collect();
        let now = bounces.last().copied().unwrap_or_default();
        (bounces, now)
    }

    #[test]
    fn a_daily_digest_is_given_up_on_the_sixth_day_and_a_weekly_one_in_the_ninth_week() {
        for (days, enough) in [(1, 6), (7, 9)] {
            for count in 1..12 {
                let (bounces, now) = every(days, count);
                assert_eq!(SOFT_RULE.is_enough(&bounces, now), count >= enough, "{count} every {days} days");
            }
        }
    }

    #[test]
    fn an_old_trouble_is_forgotten_and_a_bad_hour_is_one() {
        let (bounces, now) = every(1, 5);
        assert!(SOFT_RULE.score(&bounces, now + Duration::days(90)) < 1.0);
        let hour: Vec<Instant> = (0..50).map(|minute| now + Duration::minutes(minute)).collect();
        assert!(SOFT_RULE.score(&hour, now) <= 1.0);
    }

    #[test]
    fn words_round_trip() {
        for class in BounceClass::ALL {
            assert_eq!(BounceClass::parse(class.as_str()), Some(class));
        }
    }

    proptest! {
        #[test]
        fn a_score_only_falls_while_nothing_comes_back(
            days in proptest::collection::vec(0_i64..200, 0..20), later in 0_i64..400
        ) {
            let bounces: Vec<Instant> = days.iter().map(|day| Instant::default() + Duration::days(*day)).collect();
            let now = Instant::default() + Duration::days(200);
            prop_assert!(SOFT_RULE.score(&bounces, now) >= SOFT_RULE.score(&bounces, now + Duration::days(later)));
        }
    }
}
