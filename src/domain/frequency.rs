use super::{Schedule, Slug};
use chrono::Weekday;
use chrono_tz::Tz;
use std::{fmt, str::FromStr};

/// Looks once an hour after readers of [`Frequency::AtOnce`] to whom something is still due: they
/// paused, had their mails of the day, or came with something unserved. Everybody else is served
/// when the article comes out.
const LOOKING_AFTER: &str = "0 * * * *";

/// An hour and minute on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// `None` beyond 23:59.
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        (hour < 24 && minute < 60).then_some(Self { hour, minute })
    }

    /// The hour, from 0.
    pub fn hour(self) -> u8 {
        self.hour
    }

    /// The minute, from 0.
    pub fn minute(self) -> u8 {
        self.minute
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl FromStr for TimeOfDay {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let two_digits = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Self::new(two_digits(hour)?, two_digits(minute)?))
            .ok_or_else(|| FrequencyError(text.to_owned()))
    }
}

/// A text that is no frequency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no frequency; write `at-once`, `daily:06:30`, `weekly:mon:07:00` or `digest:` and its slug"
)]
pub struct FrequencyError(pub String);

/// How often a reader wants a feed by mail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frequency {
    /// Each article when it comes out.
    AtOnce,
    /// Every day at this time, on the reader's clock.
    Daily(TimeOfDay),
    /// Every week on this day at this time, on the reader's clock.
    Weekly(Day, TimeOfDay),
    /// By a digest of the newsroom, when that comes.
    Digest(Slug),
}

/// A day of the week, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Day(pub Weekday);

impl Day {
    /// Every day, Monday first.
    pub const ALL: [Self; 7] = [
        Self(Weekday::Mon),
        Self(Weekday::Tue),
        Self(Weekday::Wed),
        Self(Weekday::Thu),
        Self(Weekday::Fri),
        Self(Weekday::Sat),
        Self(Weekday::Sun),
    ];

    /// Its word in the store and in forms.
    pub fn word(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self.0.num_days_from_monday() as usize]
    }

    /// The day of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.word() == word)
    }
}

impl PartialOrd for Day {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Day {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.num_days_from_monday().cmp(&other.0.num_days_from_monday())
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("at-once"),
            Self::Daily(time) => write!(f, "daily:{time}"),
            Self::Weekly(day, time) => write!(f, "weekly:{}:{time}", day.word()),
            Self::Digest(slug) => write!(f, "digest:{slug}"),
        }
    }
}

impl FromStr for Frequency {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || FrequencyError(text.chars().take(100).collect());
        let read = match text.split_once(':') {
            None if text == "at-once" => Some(Self::AtOnce),
            Some(("daily", time)) => time.parse().ok().map(Self::Daily),
            Some(("weekly", rest)) => rest
                .split_once(':')
                .and_then(|(day, time)| Some(Self::Weekly(Day::parse(day)?, time.parse().ok()?))),
            Some(("digest", slug)) => Slug::parse(slug).ok().map(Self::Digest),
            _ => None,
        };
        read.ok_or_else(wrong)
    }
}

/// What is planned together: one row of slots, shared by all readers who chose alike.
///
/// A time of day is read on the clock of its zone, or on the publication's where a reader never
/// chose one: so that a publication that moves takes these readers with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plan {
    frequency: Frequency,
    zone: Option<ZoneName>,
}

/// A zone in the order of its name.
type ZoneName = &'static str;

impl Plan {
    /// The plan of a reader's choice. Only a time of day needs the zone.
    pub fn of(frequency: Frequency, zone: Option<Tz>) -> Self {
        let zone = match frequency {
            Frequency::Daily(_) | Frequency::Weekly(..) => zone.map(|zone| zone.name()),
            Frequency::AtOnce | Frequency::Digest(_) => None,
        };
        Self { frequency, zone }
    }

    /// How often.
    pub fn frequency(&self) -> &Frequency {
        &self.frequency
    }

    /// On whose clock, where that is not the publication's.
    pub fn zone(&self) -> Option<Tz> {
        self.zone.and_then(|name| name.parse().ok())
    }

    /// The newsroom's digest that it is.
    pub fn digest(&self) -> Option<&Slug> {
        match &self.frequency {
            Frequency::Digest(slug) => Some(slug),
            _ => None,
        }
    }

    /// Its slots, where readers chose them; those of a digest stand in its file.
    pub fn schedule(&self, publication: Tz) -> Option<Schedule> {
        let zone = self.zone().unwrap_or(publication);
        let at = |time: &TimeOfDay, days: &str| format!("{} {} * * {days}", time.minute(), time.hour());
        let (cron, zone) = match &self.frequency {
            Frequency::AtOnce => (LOOKING_AFTER.to_owned(), Tz::UTC),
            Frequency::Daily(time) => (at(time, "*"), zone),
            Frequency::Weekly(day, time) => (at(time, day.word()), zone),
            Frequency::Digest(_) => return None,
        };
        Schedule::parse(&cron, zone).ok()
    }
}

impl From<Slug> for Plan {
    fn from(digest: Slug) -> Self {
        Self::of(Frequency::Digest(digest), None)
    }
}

/// The slug of a digest, or what holds a colon and so is none: `at-once:`, `daily:06:30`,
/// `daily:06:30@Europe/London`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.frequency, self.zone) {
            (Frequency::Digest(slug), _) => slug.fmt(f),
            (Frequency::AtOnce, _) => f.write_str("at-once:"),
            (frequency, None) => frequency.fmt(f),
            (frequency, Some(zone)) => write!(f, "{frequency}@{zone}"),
        }
    }
}

impl FromStr for Plan {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || FrequencyError(text.chars().take(100).collect());
        if text == "at-once:" {
            return Ok(Self::of(Frequency::AtOnce, None));
        }
        let (frequency, zone) = match text.split_once('@') {
            Some((frequency, zone)) => (frequency, Some(zone.parse::<Tz>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        match frequency.parse() {
            Ok(frequency @ (Frequency::Daily(_) | Frequency::Weekly(..))) => Ok(Self::of(frequency, zone)),
            _ => Slug::parse(text).map(Self::from).map_err(|_| wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_are_written_as_they_are_read() {
        for text in ["at-once", "daily:06:30", "weekly:mon:07:00", "weekly:sun:00:00", "digest:hang-ngay"] {
            assert_eq!(text.parse::<Frequency>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "daily",
            "daily:6:30",
            "daily:24:00",
            "daily:06:60",
            "weekly:06:30",
            "digest:",
            "daily:+6:30",
        ] {
            assert!(text.parse::<Frequency>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_plan_has_one_name_and_no_digests() {
        let daily = Frequency::Daily(TimeOfDay::new(6, 30).unwrap());
        let slug = Slug::parse("at-once").unwrap();
        for (plan, name) in [
            (Plan::of(Frequency::AtOnce, Some(Tz::Europe__London)), "at-once:"),
            (Plan::from(slug), "at-once"),
            (Plan::of(daily.clone(), None), "daily:06:30"),
            (Plan::of(daily, Some(Tz::Europe__London)), "daily:06:30@Europe/London"),
        ] {
            assert_eq!(plan.to_string(), name);
            assert_eq!(name.parse(), Ok(plan));
        }
        assert!("daily:06:30@Europe/Hanoi".parse::<Plan>().is_err());
        assert!("a b".parse::<Plan>().is_err());
    }

    #[test]
    fn a_weekly_plan_comes_on_its_day_on_the_readers_clock() {
        let plan: Plan = "weekly:mon:07:00@America/New_York".parse().unwrap();
        let schedule = plan.schedule(Tz::UTC).unwrap();
        let next = schedule.next_after("2026-11-24T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(next.to_rfc3339(), "2026-11-30T12:00:00+00:00");
        let own: Plan = "daily:06:30".parse().unwrap();
        let next = own.schedule(Tz::Asia__Ho_Chi_Minh).unwrap();
        let next = next.next_after("2026-11-24T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(next.to_rfc3339(), "2026-11-24T23:30:00+00:00");
    }
}
