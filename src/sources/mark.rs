//! How far a table was read, and how far back the next reading begins.

use crate::query::Value;
use chrono::{NaiveDateTime, TimeDelta};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A value of the mark's column, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    text: String,
    #[serde(default)]
    is_number: bool,
    #[serde(default)]
    is_instant: bool,
}

impl Mark {
    /// As the database told it.
    pub fn of(value: &Value) -> Self {
        Self { text: value.text.clone(), is_number: value.is_number, is_instant: value.is_instant }
    }

    /// As the database is told.
    pub fn value(&self) -> Value {
        Value { text: self.text.clone(), is_number: self.is_number, is_instant: self.is_instant }
    }

    /// So far behind: an instant by the time; a number of seconds, milliseconds or microseconds since 1970
    /// likewise; another number, as one that counts rows, by as many as the time has seconds. `None` for
    /// what is neither: then all is read again.
    pub fn behind(&self, overlap: Duration) -> Option<Self> {
        let text = if self.is_number {
            number_behind(&self.text, overlap)?
        } else {
            time_behind(&self.text, overlap)?
        };
        Some(Self { text, ..self.clone() })
    }
}

fn number_behind(text: &str, overlap: Duration) -> Option<String> {
    let number: i128 = text.split('.').next()?.parse().ok()?;
    let unit = match number {
        1_000_000_000_000_000.. => 1_000_000,
        1_000_000_000_000.. => 1_000,
        _ => 1,
    };
    Some((number - i128::from(overlap.as_secs()) * unit).to_string())
}

fn time_behind(text: &str, overlap: Duration) -> Option<String> {
    const FORMS: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    // Behind the time of day there may be a zone, which stays.
    let end = text.char_indices().skip(11).find(|(_, c)| matches!(c, 'Z' | '+' | '-' | ' '));
    let (time, zone) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let form = FORMS.into_iter().find(|form| NaiveDateTime::parse_from_str(time, form).is_ok())?;
    let time = NaiveDateTime::parse_from_str(time, form).ok()?;
    let time = time.checked_sub_signed(TimeDelta::from_std(overlap).ok()?)?;
    Some(format!("{}{zone}", time.format(form)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_begins_behind_the_mark_in_its_own_writing() {
        let behind = |text: &str, is_number| {
            let mark = Mark { text: text.to_owned(), is_number, is_instant: false };
            mark.behind(Duration::from_secs(600)).map(|mark| mark.text)
        };
        for (text, back) in [
            ("2026-11-30 01:05:00", "2026-11-30 00:55:00"),
            ("2026-11-30 00:05:00.123456Z", "2026-11-29 23:55:00.123456Z"),
            ("2026-11-30T01:05:00+07:00", "2026-11-30T00:55:00+07:00"),
        ] {
            assert_eq!(behind(text, false).as_deref(), Some(back));
        }
        for (text, back) in [
            ("1700", "1100"),
            ("1796000000", "1795999400"),
            ("1796000000000", "1795999400000"),
            ("-5", "-605"),
        ] {
            assert_eq!(behind(text, true).as_deref(), Some(back));
        }
        assert_eq!(behind("v17", false), None);
    }
}
