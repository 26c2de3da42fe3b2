use super::Instant;
use chrono::{DateTime, Duration, LocalResult, SubsecRound, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use std::{fmt, str::FromStr};

/// How far from a slot's wall-clock time a clock change can move it.
const CLOCK_CHANGE: Duration = Duration::hours(26);

/// How many missed slots are counted. Who was away for longer does not care how long.
const MOST_SLOTS: u32 = 1_000;

/// When something happens again and again: a cron expression in a time zone of the IANA database.
///
/// The instant of the next slot is worked out here from the zone's own rules and stored; the
/// scheduler crate only wakes us (its offset is fixed when a job is made,
/// tokio-cron-scheduler#107, so it is an hour off after a clock change).
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: Tz,
    cron: Cron,
}

/// Why a schedule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression is wrong.
    #[error(
        "`{text}` is no schedule ({reason}); write minute hour day month weekday, as in `30 6 * * *` for 6.30 every day"
    )]
    Cron {
        /// What was given.
        text: String,
        /// What the parser said.
        reason: String,
    },
    /// The zone is not in the IANA database.
    #[error("`{0}` is no time zone; write one of the IANA database, as in `Asia/Ho_Chi_Minh`")]
    Zone(String),
    /// It never comes.
    #[error("`{0}` never comes: no such day exists")]
    Never(String),
}

impl Schedule {
    /// Reads a five-field cron expression (minute hour day month weekday) in a zone.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .dom_and_dow(true)
            .build()
            .parse(&text)
            .map_err(|error| ScheduleError::Cron { text: text.clone(), reason: error.to_string() })?;
        let schedule = Self { text, zone, cron };
        if schedule.next_after(Instant::UNIX_EPOCH).is_none() {
            return Err(ScheduleError::Never(schedule.text));
        }
        Ok(schedule)
    }

    /// The zone of a name, or the error that says how to write one.
    pub fn zone(name: &str) -> Result<Tz, ScheduleError> {
        Tz::from_str(name).map_err(|_| ScheduleError::Zone(name.to_owned()))
    }

    /// The zone in which the expression is read.
    pub fn time_zone(&self) -> Tz {
        self.zone
    }

    /// The expression.
    pub fn expression(&self) -> &str {
        &self.text
    }

    /// The first slot strictly after an instant. On the day when clocks go forward a slot inside
    /// the gap comes at its end; on the day when they go back it comes once, the first time.
    pub fn next_after(&self, instant: Instant) -> Option<Instant> {
        let mut wall = self.wall_clock(instant) - CLOCK_CHANGE;
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let slot = self.on_time_line(wall);
            if slot > instant {
                return Some(slot);
            }
        }
    }

    /// The last slot at or before an instant.
    pub fn last_at(&self, instant: Instant) -> Option<Instant> {
        let mut wall = self.wall_clock(instant) + CLOCK_CHANGE;
        loop {
            wall = self.cron.find_previous_occurrence(&wall, false).ok()?;
            let slot = self.on_time_line(wall);
            if slot <= instant {
                return Some(slot);
            }
        }
    }

    /// What a clock on the wall shows, carried in a `DateTime<Utc>`: the cron expression is worked
    /// out on the wall clock, where no hour is missing and none comes twice (croner 3.0.1, given
    /// the zone itself, yields 01:30 twice on the day New York's clocks go forward). In whole
    /// seconds: croner carries fractions over into what it finds, and a slot is one instant for
    /// all who look at it.
    fn wall_clock(&self, instant: Instant) -> DateTime<Utc> {
        instant.with_timezone(&self.zone).naive_local().and_utc().trunc_subsecs(0)
    }

    fn on_time_line(&self, wall: DateTime<Utc>) -> Instant {
        let naive = wall.naive_utc();
        let mut later = naive;
        loop {
            match self.zone.from_local_datetime(&later) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return at.with_timezone(&Utc),
                LocalResult::None => later += Duration::minutes(1),
            }
            // No zone's gap is longer than a day (Samoa's skipped Friday, December 2011).
            if later - naive > Duration::days(2) {
                return naive.and_utc();
            }
        }
    }

    /// The slots that have come since one was expected: the last of them, and how many they are, at
    /// least one. `None` while that one is still to come.
    pub fn come_since(&self, expected: Instant, now: Instant) -> Option<(Instant, u32)> {
        if expected > now {
            return None;
        }
        let (mut last, mut slots) = (expected, 1);
        while let Some(next) = self.next_after(last).filter(|next| *next <= now && slots < MOST_SLOTS) {
            (last, slots) = (next, slots + 1);
        }
        // Beyond, only the last one counts.
        Some((if slots < MOST_SLOTS { last } else { self.last_at(now)?.max(last) }, slots))
    }

    /// How long before an instant the slot before the one at it was: the period that a digest at
    /// that slot tells of.
    pub fn period_before(&self, instant: Instant) -> Duration {
        let last = self.last_at(instant).unwrap_or(instant);
        let before = self.last_at(last - Duration::seconds(1)).unwrap_or(last);
        last - before
    }
}

/// When the day of an instant began on the clock of a zone. Where clocks skip midnight, at the first
/// moment that there is.
pub fn day_start(zone: Tz, now: Instant) -> Instant {
    let midnight = now.with_timezone(&zone).date_naive().and_time(chrono::NaiveTime::MIN);
    let quarters = (0..=8).map(|quarters| midnight + Duration::minutes(15 * quarters));
    let first = quarters.into_iter().find_map(|wall| zone.from_local_datetime(&wall).earliest());
    first.map_or(now, |first| first.with_timezone(&Utc).min(now))
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

/// The form in which a schedule is compared with the stored one: expression and zone.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn schedule(text: &str, zone: Tz) -> Schedule {
        Schedule::parse(text, zone).unwrap()
    }

    #[test]
    fn a_vietnamese_morning_is_the_night_before_in_utc() {
        let morning = schedule("30 6 * * *", Tz::Asia__Ho_Chi_Minh);
        assert_eq!(morning.next_after(at("2026-11-22T23:29:59Z")), Some(at("2026-11-22T23:30:00Z")));
        assert_eq!(morning.next_after(at("2026-11-22T23:30:00Z")), Some(at("2026-11-23T23:30:00Z")));
        assert_eq!(morning.last_at(at("2026-11-22T23:30:00Z")), Some(at("2026-11-22T23:30:00Z")));
        assert_eq!(morning.period_before(at("2026-11-23T05:00:00Z")), Duration::days(1));
    }

    #[test]
    fn missed_slots_become_the_last_one_and_are_counted() {
        let morning = schedule("30 6 * * *", Tz::Asia__Ho_Chi_Minh);
        let expected = at("2026-11-01T23:30:00Z");
        let come = |now: &str| morning.come_since(expected, at(now));
        assert_eq!(come("2026-11-01T23:29:59Z"), None);
        assert_eq!(come("2026-11-01T23:30:00Z"), Some((expected, 1)));
        assert_eq!(come("2026-11-05T08:00:00Z"), Some((at("2026-11-04T23:30:00Z"), 4)));
        let often = schedule("* * * * *", Tz::UTC);
        assert_eq!(
            often.come_since(expected, at("2026-11-05T08:00:30Z")),
            Some((at("2026-11-05T08:00:00Z"), 1_000))
        );
    }

    #[test]
    fn a_slot_is_the_same_instant_whenever_it_is_looked_for() {
        for text in ["* * * * *", "30 6 * * *"] {
            let schedule = schedule(text, Tz::Asia__Ho_Chi_Minh);
            let slot = at("2026-11-22T23:30:00Z");
            assert_eq!(schedule.last_at(at("2026-11-22T23:30:00.497053Z")), Some(slot));
            assert_eq!(schedule.next_after(at("2026-11-22T23:29:59.999999Z")), Some(slot));
            assert_eq!(schedule.last_at(slot), Some(slot));
        }
    }

    #[test]
    fn a_slot_in_the_gap_comes_once_and_a_repeated_one_too() {
        for zone in [Tz::America__New_York, Tz::Europe__London, Tz::Australia__Lord_Howe] {
            let night = schedule("30 1 * * *", zone);
            let night_gap = schedule("30 2 * * *", zone);
            for schedule in [night, night_gap] {
                let mut slot = zone.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).unwrap().with_timezone(&Utc);
                let mut days = Vec::new();
                for _ in 0..365 {
                    let next = schedule.next_after(slot).unwrap();
                    assert_eq!(schedule.last_at(next), Some(next), "{schedule}");
                    assert_eq!(schedule.last_at(next - Duration::seconds(1)), schedule.last_at(slot));
                    slot = next;
                    days.push(slot.with_timezone(&zone).date_naive());
                }
                let mut distinct = days.clone();
                distinct.dedup();
                assert_eq!(days, distinct, "{schedule}");
                assert_eq!(*days.last().unwrap() - days[0], Duration::days(364), "{schedule}");
            }
        }
    }

    #[test]
    fn a_day_begins_where_the_clock_says_so() {
        for (zone, now, begun) in [
            (Tz::Asia__Ho_Chi_Minh, "2026-11-22T17:30:00Z", "2026-11-22T17:00:00Z"),
            (Tz::Asia__Ho_Chi_Minh, "2026-11-22T16:30:00Z", "2026-11-21T17:00:00Z"),
            // Chile's clocks go forward at midnight, Havana's back at one.
            (Tz::America__Santiago, "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z"),
            (Tz::America__Havana, "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z"),
        ] {
            assert_eq!(day_start(zone, at(now)), at(begun), "{zone} {now}");
        }
    }

    #[test]
    fn faults_say_how_to_mend_them() {
        for text in ["", "30 6", "61 6 * * *", "0 30 6 * * *", "halb sieben", "0 0 31 2 *"] {
            let error = Schedule::parse(text, Tz::UTC).unwrap_err();
            assert!(error.to_string().contains('`'), "{error}");
        }
        assert!(matches!(Schedule::zone("Asia/Hanoi"), Err(ScheduleError::Zone(_))));
    }
}
