//! Lines of a list of readers, in and out.

use crate::domain::{
    Calendar, Directory, EmailAddress, FeedDefinition, FeedKey, Frequency, Instant, Language, Slug,
    SubscriberState, Wish, clean_line, excerpt,
};
use crate::store::{ListedReader, OptInRequest, RosterEntry};
use crate::subscribe::offered;
use chrono::{NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use csv::StringRecord;

/// The columns of an exported list; the first eight of what is imported.
pub const COLUMNS: [&str; 12] = [
    "address",
    "feeds",
    "frequency",
    "language",
    "time_zone",
    "consent",
    "consent_at",
    "consent_from",
    "state",
    "id",
    "created",
    "confirmed",
];

/// What spreadsheets take for a formula (OWASP, CSV injection), and our own mark against that.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// A cell that no spreadsheet computes.
pub fn guarded(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

/// A cell as it was before [`guarded`].
pub fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        _ => cell,
    }
}

/// Which column is which.
pub struct Header(Vec<Option<usize>>);

impl Header {
    /// Reads the first line; the second list is of columns that mean nothing here.
    pub fn read(record: &StringRecord) -> Result<(Self, Vec<String>), String> {
        let mut places = vec![None; COLUMNS.len()];
        let mut unknown = Vec::new();
        for (at, cell) in record.iter().enumerate() {
            let name = cell.trim().to_lowercase().replace([' ', '-'], "_");
            let name = match name.as_str() {
                "email" | "e_mail" | "mail" => "address",
                "feed" => "feeds",
                other => other,
            };
            match COLUMNS.iter().position(|column| *column == name) {
                Some(column) if places[column].is_none() => places[column] = Some(at),
                Some(_) => return Err(format!("two columns are called `{name}`; keep one of them")),
                None if name.is_empty() => {}
                None => unknown.push(excerpt(cell, 40)),
            }
        }
        if places[0].is_none() {
            return Err(format!(
                "the first line has to name the columns, one of them `address`: {}",
                COLUMNS[..8].join(",")
            ));
        }
        Ok((Self(places), unknown))
    }

    fn cell<'r>(&self, record: &'r StringRecord, name: &str) -> &'r str {
        let column = COLUMNS.iter().position(|column| *column == name);
        let at = column.and_then(|column| self.0[column]);
        at.and_then(|at| record.get(at)).map_or("", |cell| unguarded(cell.trim()))
    }
}

/// What lines are read by.
pub struct Reading<'a> {
    /// The feeds.
    pub directory: &'a Directory,
    /// The digests.
    pub calendar: Calendar<'a>,
    /// Of readers without one.
    pub language: Language,
    /// Whether readers without a consent are asked by mail.
    pub ask: bool,
    /// Now: nobody agreed later.
    pub now: Instant,
}

impl Reading<'_> {
    /// A reader of a line, or what is wrong with it and how to mend it.
    pub fn line(&self, header: &Header, record: &StringRecord) -> Result<ListedReader, String> {
        let cell = |name| header.cell(record, name);
        let address = EmailAddress::parse(cell("address")).map_err(|error| error.to_string())?;
        match cell("state") {
            "" | "active" | "pending" => {}
            state if SubscriberState::parse(state).is_some() => {
                return Err(format!("is {state}, and a list brings nobody back; take the line out"));
            }
            state => return Err(format!("`{}` is no state; leave the column empty", excerpt(state, 40))),
        }
        let frequency = self.frequency(cell("frequency"))?;
        let wishes = self.feeds(cell("feeds"), &frequency)?;
        let language = match cell("language") {
            "" => self.language,
            code => code.parse().map_err(|()| "`language` is vi, en or empty".to_owned())?,
        };
        let time_zone = match cell("time_zone") {
            "" => None,
            name => Some(name.parse::<Tz>().map_err(|_| {
                format!("`{}` is no time zone; write one like Asia/Ho_Chi_Minh", excerpt(name, 40))
            })?),
        };
        let agreed = self.agreed(cell("consent"), cell("consent_at"))?;
        let from = match cell("consent_from") {
            "" => "a list",
            from => from,
        };
        let wording = match cell("consent") {
            "" => "asked because a list names the address",
            basis => basis,
        };
        let (remote_address, wording) = (clean_line(from), clean_line(wording));
        let request = OptInRequest { address, wishes, language, time_zone, remote_address, wording };
        Ok(ListedReader { request, agreed })
    }

    fn frequency(&self, text: &str) -> Result<Frequency, String> {
        let frequency = match text {
            "" => self.calendar.digests.first().map(|digest| Frequency::Digest(digest.slug.clone())),
            text => Some(text.parse().map_err(|error: crate::domain::FrequencyError| error.to_string())?),
        };
        match frequency {
            Some(Frequency::Digest(slug)) if !self.calendar.digests.iter().any(|d| d.slug == slug) => {
                Err(format!("there is no digest `{slug}`; `bantin digest list` names them"))
            }
            Some(frequency) => Ok(frequency),
            None => Err("there is no digest; name a frequency, as in daily:06:30".to_owned()),
        }
    }

    /// The feeds that are named, or everything.
    fn feeds(&self, text: &str, frequency: &Frequency) -> Result<Vec<Wish>, String> {
        let offers = match frequency {
            Frequency::Digest(slug) => {
                let digest = self.calendar.digests.iter().find(|digest| digest.slug == *slug);
                digest.map(|digest| offered(digest, self.directory)).unwrap_or_default()
            }
            _ => self.directory.feeds().iter().filter_map(FeedDefinition::key).collect(),
        };
        let mut keys: Vec<FeedKey> = Vec::new();
        for name in text.split([' ', ',', ';', '|']).filter(|name| !name.is_empty()) {
            // Searches have no slug, an exported list names them by their key.
            let by_key = || name.parse().ok().filter(|key| matches!(key, FeedKey::Search(_)));
            let by_slug = || {
                let slug = Slug::parse(name).ok()?;
                let key = self.directory.lookup(&slug).feed().and_then(FeedDefinition::key)?;
                offers.contains(&key).then_some(key)
            };
            match by_slug().or_else(by_key) {
                Some(key) if keys.contains(&key) => {}
                Some(key) => keys.push(key),
                None => {
                    let name = excerpt(name, 40);
                    return Err(format!("`{frequency}` has no feed `{name}`; `bantin feed list` names them"));
                }
            }
        }
        if keys.is_empty() {
            keys.extend(if offers.contains(&FeedKey::All) { vec![FeedKey::All] } else { offers });
        }
        Ok(keys.into_iter().map(|feed| Wish { feed, frequency: frequency.clone() }).collect())
    }

    fn agreed(&self, basis: &str, at: &str) -> Result<Option<Instant>, String> {
        if clean_line(basis).is_empty() {
            let mend = "no `consent`: say how the reader agreed, or import with --ask, which asks by mail";
            return if self.ask { Ok(None) } else { Err(mend.to_owned()) };
        }
        let day = || {
            let day = NaiveDate::parse_from_str(at, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN);
            self.calendar.zone.from_local_datetime(&day).earliest().map(|at| at.to_utc())
        };
        match at.parse::<Instant>().ok().or_else(day) {
            Some(agreed) if agreed > self.now => Err("`consent_at` lies in the future".to_owned()),
            Some(agreed) => Ok(Some(agreed)),
            None => Err("`consent_at` says when the reader agreed: 2026-11-01 or 2026-11-01T09:00:00+07:00"
                .to_owned()),
        }
    }
}

/// The lines of a reader: one for each frequency, so that a list can be imported again.
pub fn lines(entry: &RosterEntry, directory: &Directory) -> Vec<Vec<String>> {
    let name = |key: &FeedKey| {
        let slug = directory.by_key(*key).and_then(FeedDefinition::slug);
        slug.map_or_else(|| key.to_string(), ToString::to_string)
    };
    let mut by_frequency: Vec<(String, Vec<String>)> = Vec::new();
    for (key, frequency) in &entry.subscriptions {
        let frequency = frequency.to_string();
        match by_frequency.iter_mut().find(|(other, _)| *other == frequency) {
            Some((_, feeds)) => feeds.push(name(key)),
            None => by_frequency.push((frequency, vec![name(key)])),
        }
    }
    if by_frequency.is_empty() {
        by_frequency.push(Default::default());
    }
    let reader = &entry.reader;
    let instant = |at: Instant| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let (consent, from, at) = match &entry.consent {
        Some((wording, from, at)) => (wording.as_str(), from.as_str(), instant(*at)),
        None => ("", "", String::new()),
    };
    let zone = reader.habits.time_zone.map_or("", |zone| zone.name());
    let line = |(frequency, feeds): (String, Vec<String>)| {
        [
            reader.address.to_string(),
            feeds.join(" "),
            frequency,
            reader.language.code().to_owned(),
            zone.to_owned(),
            consent.to_owned(),
            at.clone(),
            from.to_owned(),
            reader.state.as_str().to_owned(),
            reader.id.to_string(),
            instant(reader.created_at),
            reader.confirmed_at.map(instant).unwrap_or_default(),
        ]
        .iter()
        .map(|cell| guarded(cell))
        .collect()
    };
    by_frequency.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+84 90", "-2", "@SUM(A1)", "\t=1", "\r=1", "'=1"] {
            assert!(guarded(cell).starts_with('\''), "{cell}");
        }
        assert_eq!(guarded("an@bao.example"), "an@bao.example");
        assert_eq!(unguarded("'an"), "'an", "another program's apostrophe is the reader's");
    }

    proptest! {
        #[test]
        fn a_guarded_cell_is_read_as_it_was(cell in any::<String>()) {
            let kept = guarded(&cell);
            prop_assert_eq!(unguarded(&kept), cell);
        }
    }

    #[test]
    fn columns_are_known_in_any_order_and_others_are_named() {
        let (header, unknown) =
            Header::read(&StringRecord::from(vec!["Họ tên", "E-mail", "Consent at", ""])).unwrap();
        assert_eq!(unknown, ["Họ tên"]);
        let record = StringRecord::from(vec!["An", " an@bao.example ", "2026-11-01"]);
        assert_eq!(header.cell(&record, "address"), "an@bao.example");
        assert_eq!(header.cell(&record, "consent_at"), "2026-11-01");
        assert_eq!(header.cell(&record, "feeds"), "");
        assert!(Header::read(&StringRecord::from(vec!["x"])).is_err());
        assert!(Header::read(&StringRecord::from(vec!["email", "address"])).is_err());
    }
}
