use super::{Bucket, Instant, Rate};
use chrono::Duration;

/// How slow it gets at most: a letter every half minute still finds out when it is better again.
const SLOWEST: f64 = 1.0 / 30.0;
/// How long further complaints are the echo of the first: they are of letters under way.
const ECHO: Duration = Duration::seconds(5);
/// How often it gets a step faster, and how many steps lead from nothing to where it was.
const STEP: Duration = Duration::seconds(10);
const STEPS: f64 = 20.0;
/// Over how long the present rate is measured.
const WINDOW: Duration = Duration::seconds(10);

/// How fast letters go to one relay or one mail provider.
///
/// Where a server asks for less, half as many go; where it takes them, a step more every ten
/// seconds, up to what is set. Where nothing is set and it takes twice what it once complained of,
/// the bound goes: the way in which senders on the Internet share a line (RFC 5681 §3.1).
#[derive(Clone, Debug)]
pub struct Pace {
    most: Option<Rate>,
    bucket: Option<Bucket>,
    lowered: Option<Lowered>,
    seen: Meter,
}

#[derive(Clone, Debug)]
struct Lowered {
    /// How many a second went when the first complaint came.
    before: f64,
    at: Instant,
    raised_at: Instant,
}

/// How many go where nothing bounds them.
#[derive(Clone, Debug, Default)]
struct Meter {
    since: Option<Instant>,
    count: u32,
    before: f64,
}

impl Meter {
    fn count(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now - since >= WINDOW || now < since {
            self.before = self.rate(now);
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
    }

    fn rate(&self, now: Instant) -> f64 {
        let time = self.since.map_or(Duration::zero(), |since| now - since).max(Duration::seconds(1));
        let present = f64::from(self.count) / (time.num_milliseconds() as f64 / 1_000.0);
        if time > WINDOW { present } else { present.max(self.before) }
    }
}

impl Pace {
    /// At most this fast, or as fast as it goes.
    pub fn new(most: Option<Rate>) -> Self {
        Self { most, bucket: most.map(Bucket::new), lowered: None, seen: Meter::default() }
    }

    /// From when on a letter may go: `now` where it may at once.
    pub fn free_at(&self, urgent: bool, now: Instant) -> Instant {
        self.bucket.as_ref().map_or(now, |bucket| bucket.free_at(urgent, now))
    }

    /// A letter goes, if it may.
    pub fn take(&mut self, urgent: bool, now: Instant) -> Result<(), Instant> {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(urgent, now)?;
        }
        self.seen.count(now);
        Ok(())
    }

    /// What it is held to now.
    pub fn rate(&self) -> Option<Rate> {
        self.bucket.as_ref().map(Bucket::rate)
    }

    /// Whether a server asked for less than what is set.
    pub fn is_lowered(&self) -> bool {
        self.lowered.is_some()
    }

    /// Whether it may be forgotten: it would be no other if it began anew.
    pub fn is_idle(&self, now: Instant) -> bool {
        let is_over = |since: Instant| now - since > Duration::minutes(1);
        self.lowered.is_none()
            && self.seen.since.is_none_or(is_over)
            && self.bucket.as_ref().is_none_or(|bucket| bucket.is_full(now))
    }

    /// The server asked for less. Whether it goes slower now.
    pub fn throttled(&mut self, now: Instant) -> bool {
        if self.lowered.as_ref().is_some_and(|last| now >= last.at && now - last.at < ECHO) {
            return false;
        }
        let present = self.rate().map_or_else(|| self.seen.rate(now), Rate::a_second);
        let before = self.lowered.as_ref().map_or(present, |last| last.before);
        let lower = Rate::per_second((present / 2.0).max(SLOWEST).min(before.max(f64::MIN_POSITIVE)));
        let bucket = self.bucket.get_or_insert_with(|| Bucket::new(lower));
        bucket.set_rate(lower);
        bucket.empty(now);
        self.lowered = Some(Lowered { before, at: now, raised_at: now });
        true
    }

    /// The server took a letter.
    pub fn went_well(&mut self, now: Instant) {
        let Some(lowered) = &mut self.lowered else { return };
        if now < lowered.raised_at {
            lowered.raised_at = now;
        }
        if now - lowered.raised_at < STEP {
            return;
        }
        lowered.raised_at = now;
        let Some(bucket) = &mut self.bucket else { return };
        let next = bucket.rate().a_second() + lowered.before / STEPS;
        match self.most {
            Some(most) if next >= most.a_second() => {
                bucket.set_rate(most);
                self.lowered = None;
            }
            None if next >= lowered.before * 2.0 => (self.bucket, self.lowered) = (None, None),
            _ => bucket.set_rate(Rate::per_second(next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Instant {
        Instant::default() + Duration::milliseconds(millis)
    }

    #[test]
    fn what_is_unbounded_is_bounded_at_half_of_what_went() {
        let mut pace = Pace::new(None);
        (0..1_000).for_each(|n| pace.take(false, at(n * 10)).unwrap());
        assert!(pace.rate().is_none());
        assert!(pace.throttled(at(10_000)));
        let rate = pace.rate().unwrap().a_second();
        assert!((45.0..=55.0).contains(&rate), "{rate}");
        assert!(pace.free_at(false, at(10_000)) > at(10_000), "nothing goes at once");
        // Letters that were under way complain as well, of the same.
        assert!(!pace.throttled(at(12_000)));
        assert!(pace.throttled(at(15_001)));
        assert!(pace.rate().unwrap().a_second() < 28.0);
    }

    #[test]
    fn it_recovers_step_by_step_and_the_bound_goes() {
        let mut pace = Pace::new(None);
        (0..100).for_each(|n| pace.take(false, at(n * 100)).unwrap());
        pace.throttled(at(10_000));
        let mut rates = vec![pace.rate().unwrap().a_second()];
        let mut now = 10_000;
        while let Some(rate) = pace.rate() {
            rates.push(rate.a_second());
            now += 10_000;
            pace.went_well(at(now));
            // What goes well within the same ten seconds is no further step.
            pace.went_well(at(now + 1));
            assert!(now < 1_000_000, "{rates:?}");
        }
        assert!(rates.windows(2).all(|pair| pair[0] <= pair[1]), "{rates:?}");
        assert!(rates.len() > 20 && rates.last().unwrap() > &15.0, "{rates:?}");
        assert!(!pace.is_lowered());
    }

    #[test]
    fn what_is_set_is_never_passed_and_reached_again() {
        let most: Rate = "20/minute".parse().unwrap();
        let mut pace = Pace::new(Some(most));
        for n in 0..20 {
            pace.throttled(at(n * 6_000));
            assert!(pace.rate().unwrap() >= most, "a longer time between two");
        }
        assert!((pace.rate().unwrap().a_second() - SLOWEST).abs() < 0.001, "it never stands still");
        for n in 0..40 {
            pace.went_well(at(200_000 + n * 10_000));
        }
        assert_eq!((pace.rate(), pace.is_lowered()), (Some(most), false));
    }

    #[test]
    fn a_clock_that_is_set_back_neither_deafens_nor_speeds_up() {
        let mut pace = Pace::new(None);
        pace.take(false, at(86_400_000)).unwrap();
        assert!(pace.throttled(at(86_400_000)));
        assert!(pace.throttled(at(0)), "a complaint a day before the last is a new one");
        let rate = pace.rate();
        pace.went_well(at(0));
        assert_eq!(pace.rate(), rate);
    }
}
