use super::Templates;
use crate::domain::{Language, Schedule};
use chrono_tz::Tz;

/// When a digest comes, as people say it: "06:30 hằng ngày", "08:00 thứ Bảy hằng tuần". A schedule
/// that has no such name is only said to be the newsroom's own.
/// The zone is named where it is not the reader's.
pub fn when(templates: &Templates, language: Language, schedule: &Schedule, home: Tz) -> String {
    let say = |key: &str, arguments: &[(&str, &str)]| templates.text(language, key, arguments);
    let Some((time, days)) = spoken(schedule.expression()) else { return say("page.when.other", &[]) };
    let words = match days {
        Days::Every => say("page.when.daily", &[("time", &time)]),
        Days::Working => say("page.when.working_days", &[("time", &time)]),
        Days::One(day) => {
            let day = say(&format!("page.when.day_{day}"), &[]);
            say("page.when.weekly", &[("time", &time), ("day", &day)])
        }
    };
    if schedule.time_zone() == home { words } else { format!("{words} ({})", schedule.time_zone().name()) }
}

enum Days {
    Every,
    Working,
    /// Sunday is 0.
    One(usize),
}

/// The times and days of the expressions that have a name in everyday speech.
fn spoken(expression: &str) -> Option<(String, Days)> {
    let fields: Vec<&str> = expression.split(' ').collect();
    let &[minute, hours, "*", "*", weekday] = fields.as_slice() else { return None };
    let minute: u8 = minute.parse().ok()?;
    let times: Option<Vec<String>> =
        hours.split(',').map(|hour| Some(format!("{:02}:{minute:02}", hour.parse::<u8>().ok()?))).collect();
    const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let weekday = weekday.to_ascii_uppercase();
    let days = match weekday.as_str() {
        "*" => Days::Every,
        "1-5" | "MON-FRI" => Days::Working,
        day => Days::One(
            NAMES.iter().position(|name| *name == day).or_else(|| Some(day.parse::<usize>().ok()? % 7))?,
        ),
    };
    Some((times?.join(", "), days))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn schedules_are_said_as_people_say_them() {
        let templates = Templates::built_in().unwrap();
        for (cron, zone, vi, en) in [
            ("30 6 * * *", Tz::Asia__Ho_Chi_Minh, "06:30 hằng ngày", "every day at 06:30"),
            ("0 6,18 * * *", Tz::Asia__Ho_Chi_Minh, "06:00, 18:00 hằng ngày", "every day at 06:00, 18:00"),
            ("0 8 * * 6", Tz::Asia__Ho_Chi_Minh, "08:00 thứ Bảy hằng tuần", "every Saturday at 08:00"),
            ("0 8 * * sun", Tz::Asia__Ho_Chi_Minh, "08:00 Chủ Nhật hằng tuần", "every Sunday at 08:00"),
            ("0 8 * * 7", Tz::UTC, "08:00 Chủ Nhật hằng tuần (UTC)", "every Sunday at 08:00 (UTC)"),
            (
                "5 7 * * 1-5",
                Tz::Asia__Ho_Chi_Minh,
                "07:05 từ thứ Hai đến thứ Sáu",
                "Monday to Friday at 07:05",
            ),
            ("*/20 * 1 * *", Tz::Asia__Ho_Chi_Minh, "theo lịch của toà soạn", "at the newsroom's own hours"),
        ] {
            let schedule = Schedule::parse(cron, zone).unwrap();
            let say = |language| when(&templates, language, &schedule, Tz::Asia__Ho_Chi_Minh);
            assert_eq!((say(Language::Vi).as_str(), say(Language::En).as_str()), (vi, en), "{cron}");
        }
    }
}
