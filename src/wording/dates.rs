//! Dates as people write them (reference/mail.md V6): `Thứ Hai, 12/3/2026`, never an English
//! month in a Vietnamese text.

use crate::domain::{Instant, Language};
use chrono::{Datelike, Timelike, Weekday};
use chrono_tz::Tz;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn weekday(day: Weekday, language: Language) -> &'static str {
    const VI: [&str; 7] = ["Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ Nhật"];
    const EN: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let at = day.num_days_from_monday() as usize;
    match language {
        Language::Vi => VI[at],
        Language::En => EN[at],
    }
}

/// Weekday and date: `Thứ Hai, 12/3/2026`, `Monday 12 March 2026`.
pub fn full_date(instant: Instant, zone: Tz, language: Language) -> String {
    let day = instant.with_timezone(&zone);
    let name = weekday(day.weekday(), language);
    match language {
        Language::Vi => format!("{name}, {}/{}/{}", day.day(), day.month(), day.year()),
        Language::En => {
            format!("{name} {} {} {}", day.day(), MONTHS[day.month0() as usize], day.year())
        }
    }
}

/// The date alone: `12/3/2026`, `12 March 2026`.
pub fn short_date(instant: Instant, zone: Tz, language: Language) -> String {
    let day = instant.with_timezone(&zone);
    match language {
        Language::Vi => format!("{}/{}/{}", day.day(), day.month(), day.year()),
        Language::En => format!("{} {} {}", day.day(), MONTHS[day.month0() as usize], day.year()),
    }
}

/// The time of day: `06:30` in both languages.
pub fn time_of_day(instant: Instant, zone: Tz) -> String {
    let time = instant.with_timezone(&zone);
    format!("{:02}:{:02}", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_people_write_them() {
        let instant = "2026-03-08T23:30:00Z".parse().unwrap();
        let zone = Tz::Asia__Ho_Chi_Minh;
        assert_eq!(full_date(instant, zone, Language::Vi), "Thứ Hai, 9/3/2026");
        assert_eq!(full_date(instant, zone, Language::En), "Monday 9 March 2026");
        assert_eq!(full_date(instant, Tz::UTC, Language::Vi), "Chủ Nhật, 8/3/2026");
        assert_eq!(short_date(instant, zone, Language::Vi), "9/3/2026");
        assert_eq!(time_of_day(instant, zone), "06:30");
    }
}
