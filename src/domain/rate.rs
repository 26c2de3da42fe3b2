use super::{Instant, from_micros, micros};
use std::fmt;
use std::str::FromStr;

/// How often something may happen: `20/minute`. Kept as the time between two, rounded up, so that a
/// fraction is never rounded in our favour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    every: i64,
}

/// Why a text is no [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no rate; write it like 20/minute, with second, minute, hour or day")]
pub struct RateError;

const SECOND: i64 = 1_000_000_000;

/// A thousand years are no rate.
const SLOWEST: i64 = 365 * 86_400 * SECOND;

impl Rate {
    /// So many a second, within what a bucket can keep to.
    pub fn per_second(count: f64) -> Self {
        let every = (SECOND as f64 / count.max(f64::MIN_POSITIVE)).ceil();
        Self { every: (every as i64).clamp(1, SLOWEST) }
    }

    /// How many a second.
    pub fn a_second(self) -> f64 {
        SECOND as f64 / self.every as f64
    }

    /// What each of several has, so that all together keep to it.
    pub fn share(self, of: u32) -> Self {
        Self { every: self.every.saturating_mul(of.max(1).into()).min(SLOWEST) }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, unit) = text.split_once('/').ok_or(RateError)?;
        let seconds = match unit.trim() {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return Err(RateError),
        };
        let count: i64 =
            count.trim().parse().ok().filter(|n| (1..=1_000_000_000).contains(n)).ok_or(RateError)?;
        let unit = seconds * SECOND;
        Ok(Self { every: unit / count + i64::from(unit % count > 0) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.a_second();
        if rate >= 1.0 { write!(f, "{rate:.1} a second") } else { write!(f, "{:.1} a minute", rate * 60.0) }
    }
}

/// A token bucket: in any time never more than the rate allows in it, and what is there at once.
///
/// At once there is what comes in a second, and a fifth of that for urgent letters alone, so that a
/// confirmation goes while the digests have used up theirs. It is kept as the instant at which the
/// bucket is full again (the generic cell rate algorithm), so nothing has to refill it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    every: i64,
    /// In nanoseconds since 1970, up to the year 2262.
    full_at: i64,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate) -> Self {
        Self { every: rate.every, full_at: i64::MIN }
    }

    /// Its rate.
    pub fn rate(&self) -> Rate {
        Rate { every: self.every }
    }

    /// Another rate. What was taken stays taken.
    pub fn set_rate(&mut self, rate: Rate) {
        self.every = rate.every;
    }

    /// How much of it only urgent letters get.
    fn reserve(&self) -> i64 {
        (SECOND / self.every / 5).max(1)
    }

    /// How much there is at once.
    pub fn room(&self) -> i64 {
        (SECOND / self.every).max(1) + self.reserve()
    }

    /// A clock that was set back must not close it for longer than it takes to fill.
    fn full_at(&self, now: i64) -> i64 {
        self.full_at.min(now.saturating_add(self.room().saturating_mul(self.every)))
    }

    /// From when on one may be taken: `now` where it may at once.
    pub fn free_at(&self, urgent: bool, now: Instant) -> Instant {
        let present = nanos(now);
        let reserved = if urgent { 0 } else { self.reserve() };
        let allowed = (self.room() - 1 - reserved).saturating_mul(self.every);
        let free = self.full_at(present).saturating_sub(allowed);
        if free <= present { now } else { from_micros(free.div_euclid(1_000) + i64::from(free % 1_000 != 0)) }
    }

    /// Takes one, where one may be taken.
    pub fn take(&mut self, urgent: bool, now: Instant) -> Result<(), Instant> {
        let free = self.free_at(urgent, now);
        if free > now {
            return Err(free);
        }
        let present = nanos(now);
        self.full_at = self.full_at(present).max(present).saturating_add(self.every);
        Ok(())
    }

    /// Pours out what is in it.
    pub fn empty(&mut self, now: Instant) {
        self.full_at = nanos(now).saturating_add(self.room().saturating_mul(self.every));
    }

    /// Whether everything is there.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= nanos(now)
    }
}

fn nanos(instant: Instant) -> i64 {
    micros(instant).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;
    use proptest::prelude::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, shown) in [
            ("20/minute", "20.0 a minute"),
            ("5 / second", "5.0 a second"),
            ("3600/hour", "1.0 a second"),
            ("50/day", "0.0 a minute"),
        ] {
            assert_eq!(rate(text).to_string(), shown);
        }
        for text in ["", "20", "20/m", "0/second", "-1/hour", "1.5/second", "/minute"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
        assert_eq!(rate("20/minute").share(2), rate("10/minute"));
    }

    #[test]
    fn twenty_a_minute_are_one_every_three_seconds() {
        let mut bucket = Bucket::new(rate("20/minute"));
        let now = Instant::default();
        let at = |seconds| now + Duration::seconds(seconds);
        assert_eq!(bucket.take(false, now), Ok(()));
        assert_eq!(bucket.take(false, now), Err(at(3)));
        assert_eq!(bucket.take(true, now), Ok(()), "one is kept for what is urgent");
        assert_eq!(bucket.take(true, now), Err(at(3)));
        assert_eq!(bucket.take(false, at(5)), Err(at(6)));
        assert_eq!(bucket.take(false, at(6)), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_closes_nothing_for_long() {
        let mut bucket = Bucket::new(rate("20/minute"));
        let now = Instant::default() + Duration::days(365);
        bucket.take(false, now).unwrap();
        let before = now - Duration::days(30);
        assert!(bucket.free_at(false, before) <= before + Duration::seconds(6));
    }

    proptest! {
        /// Over every stretch of every history: at most rate × time + what is there at once.
        #[test]
        fn never_more_than_the_rate_allows(
            count in 1_i64..5_000,
            unit in prop::sample::select(vec!["second", "minute", "hour"]),
            steps in prop::collection::vec((0_u32..3_000_000, any::<bool>()), 1..300),
        ) {
            let rate: Rate = format!("{count}/{unit}").parse().unwrap();
            let seconds = match unit { "second" => 1, "minute" => 60, _ => 3_600 };
            let mut bucket = Bucket::new(rate);
            let (room, mut now) = (bucket.room(), Instant::default());
            let mut taken: Vec<i64> = Vec::new();
            for (wait, urgent) in steps {
                // Small steps as often as large ones.
                now += Duration::microseconds(i64::from(wait >> (wait % 20)));
                if bucket.take(urgent, now).is_ok() {
                    taken.push(micros(now));
                }
            }
            for from in 0..taken.len() {
                for to in from..taken.len() {
                    let time = i128::from(taken[to] - taken[from]);
                    let letters = (to - from + 1) as i128;
                    prop_assert!((letters - i128::from(room)) * seconds * 1_000_000 <= time * i128::from(count));
                }
            }
        }

        /// And not less either: who asks at the instant that he was told gets one.
        #[test]
        fn what_is_promised_is_kept(count in 1_i64..5_000, urgent in any::<bool>()) {
            let mut bucket = Bucket::new(format!("{count}/minute").parse().unwrap());
            let mut now = Instant::default();
            for _ in 0..200 {
                if let Err(later) = bucket.take(urgent, now) {
                    prop_assert!(later > now);
                    now = later;
                    prop_assert_eq!(bucket.take(urgent, now), Ok(()));
                }
            }
        }
    }
}
