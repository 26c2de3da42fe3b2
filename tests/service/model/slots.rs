//! When something comes by a clock on the wall, worked out in the plainest way: by looking at the
//! clock every quarter of an hour.

use bantin::domain::{Frequency, Instant};
use chrono::{Datelike as _, Duration, NaiveDateTime, NaiveTime, Timelike as _, Weekday};
use chrono_tz::Tz;

/// A clock change starts and ends at such a moment everywhere, and so do the hours of the model.
const QUARTER: Duration = Duration::minutes(15);

fn wall(zone: Tz, instant: Instant) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// The first moment at which the clock shows this time or a later one.
fn first_shown(zone: Tz, time: NaiveDateTime) -> Instant {
    let mut look = time.and_utc() - Duration::hours(15);
    while wall(zone, look) < time {
        look += QUARTER;
    }
    look
}

/// When the day of an instant began: the moment since which the clock has shown its date.
pub fn day_began(zone: Tz, now: Instant) -> Instant {
    let date = wall(zone, now).date();
    let mut look = first_shown(zone, date.and_time(NaiveTime::MIN));
    while wall(zone, look).date() < date {
        look += QUARTER;
    }
    look.min(now)
}

/// What a frequency means on a clock: the time, and the day of the week where it has one.
fn meaning(frequency: &Frequency) -> (NaiveTime, Option<Weekday>) {
    let (time, day) = match frequency {
        Frequency::Daily(time) => (*time, None),
        Frequency::Weekly(day, time) => (*time, Some(day.0)),
        // The one digest of the model: `30 6 * * *`.
        Frequency::Digest(_) => return (NaiveTime::from_hms_opt(6, 30, 0).unwrap(), None),
        Frequency::AtOnce => unreachable!("comes by the hour"),
    };
    (NaiveTime::from_hms_opt(time.hour().into(), time.minute().into(), 0).unwrap(), day)
}

/// The first slot after an instant.
pub fn next_slot(frequency: &Frequency, zone: Tz, after: Instant) -> Instant {
    if *frequency == Frequency::AtOnce {
        let hour = after.with_minute(0).unwrap().with_second(0).unwrap().with_nanosecond(0).unwrap();
        return hour + Duration::hours(1);
    }
    let (time, weekday) = meaning(frequency);
    let mut date = wall(zone, after).date().pred_opt().unwrap();
    loop {
        if weekday.is_none_or(|day| date.weekday() == day) {
            let slot = first_shown(zone, date.and_time(time));
            if slot > after {
                return slot;
            }
        }
        date = date.succ_opt().unwrap();
    }
}
