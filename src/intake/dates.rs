use super::rules::Rules;
use crate::domain::{Instant, from_micros, micros};
use chrono::{
    DateTime, Datelike as _, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone as _, Utc,
};
use chrono_tz::Tz;

/// A date as a page shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PageDate {
    /// The instant meant. A date without a time stands for its first minute.
    pub instant: Instant,
    /// The calendar day.
    pub day: NaiveDate,
    /// Whether a time of day was given.
    pub has_time: bool,
    /// What else stands on the line: often a byline.
    pub rest: String,
}

/// Reads a line that is a date, with a weekday, labels or a name around it. `None` for a sentence
/// that merely has a date in it.
pub fn page_date(rules: &Rules, line: &str, zone: Tz) -> Option<PageDate> {
    if line.chars().count() > 120 {
        return None;
    }
    let rules_of_dates = &rules.dates;
    let found = rules_of_dates.days.captures(line)?;
    let number = |name: &str| found.name(name).and_then(|m| m.as_str().parse::<u32>().ok());
    let (d, m, y) = (found.name("d")?, found.name("m")?, found.name("y")?);
    let whole = found.get(0)?;
    let (from, to) = (d.start().min(y.start()).min(m.start()), d.end().max(y.end()).max(m.end()));
    let year = number("y")?;
    let year = i32::try_from(if y.len() == 2 { 2000 + year } else { year }).ok()?;
    let month = number("m").or_else(|| rules_of_dates.month(m.as_str()))?;
    let day = NaiveDate::from_ymd_opt(year, month, number("d")?).filter(|d| plausible(*d))?;

    let head = if whole.as_str().to_lowercase().starts_with(['n', 't']) { whole.start() } else { from };
    let mut rest = format!("{} | {}", &line[..head], &line[to..]);
    let offset = rules_of_dates.zones.captures(&rest).and_then(|zone| {
        let hours: i32 = zone.name("zh")?.as_str().parse().ok()?;
        let minutes: i32 = zone.name("zm").map_or(Some(0), |m| m.as_str().parse().ok())?;
        let sign = if zone.name("sign")?.as_str() == "-" { -1 } else { 1 };
        FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))
    });
    rest = rules_of_dates.zones.blank_all(&rest);
    let time = rules_of_dates.times.captures(&rest).and_then(|found| {
        let number = |name: &str| found.name(name).map_or(Some(0), |m| m.as_str().parse::<u32>().ok());
        let hour = match (number("h")?, found.name("half").map(|h| h.as_str().to_lowercase()).as_deref()) {
            (12, Some("am" | "sa")) => 0,
            (hour @ 1..=11, Some("pm" | "ch")) => hour + 12,
            (hour, _) => hour,
        };
        NaiveTime::from_hms_opt(hour, number("min")?, number("s")?)
    });
    if time.is_some() {
        rest = rules_of_dates.times.blank_all(&rest);
    }
    rest = rules_of_dates.labels.blank_all(&rest);
    let rest = rest
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .collect::<Vec<_>>()
        .join(" ");
    let rest =
        rest.trim_matches(|c: char| !c.is_alphanumeric() && c != '.' && c != ')' && c != '(').to_owned();
    let names = || super::byline::read(rules, &rest).is_some() || rules.categories.words.contains(&rest);
    if !(rest.is_empty() || names()) {
        return None;
    }
    let at = day.and_time(time.unwrap_or_default());
    let instant = match offset {
        Some(offset) => offset.from_local_datetime(&at).single()?.with_timezone(&Utc),
        None => in_zone(at, zone),
    };
    Some(PageDate { instant, day, has_time: time.is_some(), rest })
}

/// A time that a machine wrote: RFC 3339, RFC 822, or ISO 8601 without a zone, which is then the
/// publication's. The flag says whether the zone had to be assumed.
pub fn machine_date(rules: &Rules, text: &str, zone: Tz) -> Option<(Instant, bool)> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    let instant = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %z"))
        .ok()
        .or_else(|| rfc_822(text));
    if let Some(instant) = instant {
        return whole_micros(instant.with_timezone(&Utc)).map(|i| (i, false));
    }
    let bare = text.trim_end_matches('Z');
    let at = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(bare, form).ok());
    let at = match at {
        Some(at) => Some(at),
        None => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|d| d.and_time(NaiveTime::MIN)),
    };
    if let Some(at) = at.filter(|at| plausible(at.date())) {
        return if bare.len() < text.len() {
            whole_micros(at.and_utc()).map(|i| (i, false))
        } else {
            Some((in_zone(at, zone), true))
        };
    }
    page_date(rules, text, zone).filter(|d| d.rest.is_empty()).map(|d| (d.instant, true))
}

/// RFC 822 with what feeds make of it: a wrong or foreign weekday, "GMT+7", one-digit hours.
fn rfc_822(text: &str) -> Option<DateTime<FixedOffset>> {
    let dated = text.split_once(',').map_or(text, |(_, rest)| rest).trim();
    let mended = dated.replace("GMT+7", "+0700").replace("UTC+7", "+0700").replace("GMT+07", "+07");
    DateTime::parse_from_rfc2822(&mended)
        .or_else(|_| DateTime::parse_from_str(&mended, "%d %B %Y %H:%M:%S %z"))
        .or_else(|_| DateTime::parse_from_str(&mended, "%d %b %Y %H:%M:%S %:z"))
        .ok()
}

/// A local time in a zone. In the hour that a change of clocks skips, the instant after it; in
/// the one that it repeats, the first.
fn in_zone(at: NaiveDateTime, zone: Tz) -> Instant {
    match zone.from_local_datetime(&at) {
        MappedLocalTime::Single(found) | MappedLocalTime::Ambiguous(found, _) => found.with_timezone(&Utc),
        MappedLocalTime::None => at
            .checked_add_signed(TimeDelta::hours(1))
            .and_then(|later| zone.from_local_datetime(&later).earliest())
            .map_or_else(|| at.and_utc(), |found| found.with_timezone(&Utc)),
    }
}

/// Newspapers go back to the 19th century; other years are slips, and four digits are what every
/// format can write.
fn plausible(day: NaiveDate) -> bool {
    (1800..=2999).contains(&day.year())
}

fn whole_micros(instant: Instant) -> Option<Instant> {
    plausible(instant.date_naive()).then(|| from_micros(micros(instant)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::intake;
    use super::*;
    use proptest::prelude::*;

    const ZONE: Tz = chrono_tz::Asia::Ho_Chi_Minh;

    fn read(line: &str) -> String {
        page_date(intake("").rules, line, ZONE).map_or_else(String::new, |d| {
            d.instant.with_timezone(&ZONE).format("%Y-%m-%d %H:%M:%S").to_string()
        })
    }

    #[test]
    fn every_shape_seen_in_newspapers_is_read() {
        for (line, instant) in [
            ("Thứ Năm, 04/04/2024 | 04:30", "2024-04-04 04:30:00"),
            ("04/04/2024 04:30 GMT +7", "2024-04-04 04:30:00"),
            ("Thứ tư, 22/10/2025, 19:25 (GMT+7)", "2025-10-22 19:25:00"),
            ("Thứ tư, 2/3/2016, 9:05 (GMT+7)", "2016-03-02 09:05:00"),
            ("11-03-2026, 16:27 (GMT+7)", "2026-03-11 16:27:00"),
            ("09:19 04/01/2017", "2017-01-04 09:19:00"),
            ("15:05 - 25/05/2024", "2024-05-25 15:05:00"),
            ("Thứ tư, 02/10/2013 - 10:12", "2013-10-02 10:12:00"),
            ("Chủ nhật, 03/08/2025 16:05", "2025-08-03 16:05:00"),
            ("Thứ sáu: 15:00 ngày 09/02/2024", "2024-02-09 15:00:00"),
            ("Thứ ba, ngày 24 tháng 1 năm 2023 | 10:31", "2023-01-24 10:31:00"),
            ("Thứ hai, 26 Tháng 10 2020 14:49", "2020-10-26 14:49:00"),
            ("Cập nhật ngày: 24/04/2015 05:21:36", "2015-04-24 05:21:36"),
            ("Lượt xem: 1.204 | Gửi lúc: 05/12/2013 15:42:27", "2013-12-05 15:42:27"),
            ("Ngày cập nhật 27/05/2021", "2021-05-27 00:00:00"),
            ("Đăng ngày 15-05-2022 10:48", "2022-05-15 10:48:00"),
            ("PV•28/01/2025 08:22", "2025-01-28 08:22:00"),
            ("HỒNG HẠNH - 08:54, 30/11/2024", "2024-11-30 08:54:00"),
            ("15:41' 6/5/2017", "2017-05-06 15:41:00"),
            ("14/12/2015 8:56 AM", "2015-12-14 08:56:00"),
            ("14/12/2015 8:56 PM", "2015-12-14 20:56:00"),
            ("14/12/2015 12:05 AM", "2015-12-14 00:05:00"),
            ("14/12/2024", "2024-12-14 00:00:00"),
            ("29.03.2019", "2019-03-29 00:00:00"),
            ("9-3-2021", "2021-03-09 00:00:00"),
            ("17-4-25 23:49:29", "2025-04-17 23:49:29"),
            ("Thứ 5, 15/07/2018", "2018-07-15 00:00:00"),
            ("04/04/2024 04:30 UTC +00:00", "2024-04-04 11:30:00"),
            ("date 2025-09-28", "2025-09-28 00:00:00"),
            ("Tháng Ba 8, 2023 by admin", "2023-03-08 00:00:00"),
            ("Thứ Hai, 24 Tháng Mười Một 2025 09:30", "2025-11-24 09:30:00"),
            ("Posted on March 8, 2023", "2023-03-08 00:00:00"),
            ("8 Dec 2021 10:15", "2021-12-08 10:15:00"),
        ] {
            assert_eq!(read(line), instant, "{line}");
        }
    }

    #[test]
    fn sentences_and_impossible_dates_are_none() {
        for line in [
            "Sáng 6/2/2024, Ban Thường vụ Tỉnh ủy họp phiên thường kỳ",
            "Điểm báo ngày 04/04/2024",
            "31/02/2024",
            "04/13/2024",
            "Quyết định số 828-QĐ/HU",
            "Phiên bản 1.2.3.2024",
            "",
        ] {
            assert_eq!(read(line), "", "{line}");
        }
    }

    #[test]
    fn machines_write_many_forms() {
        let micros_of = |text: &str| {
            machine_date(intake("").rules, text, ZONE).map(|(i, assumed)| (i.to_rfc3339(), assumed))
        };
        for (text, instant, assumed) in [
            ("2024-04-04T04:30:00+07:00", "2024-04-03T21:30:00+00:00", false),
            ("2024-04-04T04:30+07:00", "2024-04-03T21:30:00+00:00", false),
            ("2024-04-04T04:30:00+0700", "2024-04-03T21:30:00+00:00", false),
            ("2024-04-04T04:30:00", "2024-04-03T21:30:00+00:00", true),
            ("2024-04-04 04:30", "2024-04-03T21:30:00+00:00", true),
            ("2024-04-04", "2024-04-03T17:00:00+00:00", true),
            ("Thu, 04 Apr 2024 04:30:00 +0700", "2024-04-03T21:30:00+00:00", false),
            ("Mon, 04 Apr 2024 04:30:00 GMT+7", "2024-04-03T21:30:00+00:00", false),
            ("04 Apr 2024 04:30 +0700", "2024-04-03T21:30:00+00:00", false),
            ("04/04/2024 04:30", "2024-04-03T21:30:00+00:00", true),
        ] {
            assert_eq!(micros_of(text), Some((instant.to_owned(), assumed)), "{text}");
        }
        for text in ["hôm qua", "", "2024-13-01", "99999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(micros_of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_a_panic(line in "[0-9/:.\\-' ngàythánăm|GMT+]{0,60}") {
            let _ = (page_date(intake("").rules, &line, ZONE), machine_date(intake("").rules, &line, ZONE));
        }
    }
}
