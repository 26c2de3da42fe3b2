//! The newsroom's own database: rows that are new or changed become articles.
//!
//! Rows are read in the order of their mark, and of their key where marks are equal. Whoever writes a row
//! sets its mark before he commits, so rows appear behind the mark that was read last: each reading begins
//! an overlap behind it. What is met again as it was costs one look-up of its fingerprint.

use super::catch::Catch;
use super::looking::{Looked, Next, SourceError};
use super::mark::Mark;
use super::{Source, Sources, Table};
use crate::domain::{IdentityKey, Instant, hex};
use crate::intake::{ARTICLE_FIELDS, Arrival, Fault, InputFormat, read_json_line};
use crate::query::{Row, Session, Value};
use crate::store::{ClaimedSource, Taken};
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

/// Rows of one question and one transaction.
const ROWS: usize = 200;

/// How far a table was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// The highest mark of all rows that were taken.
    mark: Option<Mark>,
}

impl Sources {
    /// Reads what a table has new.
    pub(super) async fn look_at_table(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        table: &Table,
    ) -> Result<Looked, SourceError> {
        let memory: Memory = serde_json::from_str(&claimed.memory).unwrap_or_default();
        let mut session = Session::open(&table.url).await?;
        let read = self.read_table(&mut session, claimed, source, table, memory).await;
        session.close().await;
        Ok(Looked { taken: read?, memory: None, next: Next::InTime })
    }

    async fn read_table(
        &self,
        session: &mut Session,
        claimed: &ClaimedSource,
        source: &Source,
        table: &Table,
        mut memory: Memory,
    ) -> Result<Taken, SourceError> {
        let mut sum = Taken::default();
        let mut from = Place::Mark(memory.mark.as_ref().and_then(|mark| mark.behind(table.overlap)));
        loop {
            if self.stop.is_cancelled() {
                return Err(SourceError::Stopped);
            }
            let asked = question(table, session, &from);
            let rows = session.rows(asked).await?;
            if let Some(row) = rows.first() {
                admit(table, row)?;
            }
            if let Some(last) = rows.last() {
                from = Place::Behind(last.get(&table.key).cloned(), mark_of(table, last).cloned());
            }
            for mark in rows.iter().filter_map(|row| mark_of(table, row)) {
                // In the order of the database, whatever that is: the last of a reading is the highest.
                memory.mark = Some(Mark::of(mark));
            }
            let catch = self.catch_rows(claimed, source, table, &rows).await?;
            let told = serde_json::to_string(&memory).ok();
            let taken = self.take(claimed.id, source, catch, told.as_deref(), false).await?;
            sum += taken;
            if rows.len() < ROWS {
                return Ok(sum);
            }
        }
    }

    /// Those of some rows that are not as they were when they were taken.
    async fn catch_rows(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        table: &Table,
        rows: &[Row],
    ) -> Result<Catch, SourceError> {
        let met: Vec<(String, String, &Row)> = rows
            .iter()
            .filter_map(|row| Some((row.get(&table.key)?.text.clone(), fingerprint(row), row)))
            .collect();
        let known = self.store.items(claimed.id, met.iter().map(|(key, ..)| key)).await?;
        let mut catch = Catch::default();
        let now = self.clock.now();
        for (key, state, row) in &met {
            if known.get(key).is_none_or(|(_, seen)| seen != state) {
                let read = vec![self.article(source, table, key, row)];
                catch.add(source, (key, state), &format!("{} {key}", source.name), read, now);
            }
        }
        Ok(catch)
    }

    pub(super) fn article(
        &self,
        source: &Source,
        table: &Table,
        key: &str,
        row: &Row,
    ) -> Result<Arrival, Fault> {
        let name = format!("{} {key}", source.name);
        let intake = self.intake(source, &name, Some(InputFormat::JsonLines), None);
        let line = as_json(table, row).to_string();
        let mut arrival = read_json_line(&intake, 1, line.as_bytes()).map_err(|mut fault| {
            // Its line is one of ours; a row has none.
            (fault.line, fault.column) = (None, None);
            fault
        })?;
        arrival.draft.keys.retain(|key| key.as_str().starts_with("id:") || key.as_str().starts_with("url:"));
        arrival.draft.keys.insert(0, IdentityKey::external(&format!("source {}", source.name), key));
        Ok(arrival)
    }
}

/// From where a table is read.
enum Place {
    /// At a mark; without one, from the start.
    Mark(Option<Mark>),
    /// Behind a row that was read: its key, and its mark.
    Behind(Option<Value>, Option<Value>),
}

/// What the database is asked: the newsroom's SELECT, from a place on, in order.
fn question(table: &Table, session: &Session, from: &Place) -> String {
    let (query, key) = (table.query.trim().trim_end_matches(';'), &table.key);
    let told = |value: &Value| session.literal(value);
    let from = match (from, &table.mark) {
        (Place::Mark(Some(mark)), Some(column)) => format!("q.{column} >= {}", told(&mark.value())),
        (Place::Behind(Some(k), Some(m)), Some(column)) => {
            let (k, m) = (told(k), told(m));
            format!("(q.{column} > {m} OR (q.{column} = {m} AND q.{key} > {k}))")
        }
        (Place::Behind(Some(k), _), None) => format!("q.{key} > {}", told(k)),
        _ => "1 = 1".to_owned(),
    };
    let (order, marked) = match &table.mark {
        Some(column) => (format!("q.{column}, q.{key}"), format!(" AND q.{column} IS NOT NULL")),
        None => (format!("q.{key}"), String::new()),
    };
    format!(
        "SELECT q.* FROM ({query}\n) AS q WHERE {from}{marked} AND q.{key} IS NOT NULL ORDER BY {order} LIMIT {ROWS}"
    )
}

/// The first rows, for a trial.
pub fn first_rows(table: &Table, session: &Session) -> String {
    question(table, session, &Place::Mark(None))
}

/// Whether the answer has the columns that are spoken of.
pub fn admit(table: &Table, row: &Row) -> Result<(), SourceError> {
    let spoken = [Some(&table.key), table.mark.as_ref()].into_iter().flatten().chain(table.columns.values());
    for column in spoken {
        if !row.has(column) {
            let there: Vec<&str> = row.0.iter().map(|(name, _)| name.as_str()).collect();
            return Err(SourceError::Failed(format!(
                "the query gives no column `{column}`; it gives {}",
                there.join(", ")
            )));
        }
    }
    Ok(())
}

fn mark_of<'r>(table: &Table, row: &'r Row) -> Option<&'r Value> {
    row.get(table.mark.as_ref()?)
}

/// Tells whether a row is as it was.
fn fingerprint(row: &Row) -> String {
    let mut hash = Sha256::new();
    for (name, value) in &row.0 {
        let text = value.as_ref().map_or("", |value| value.text.as_str());
        for part in [name.as_str(), text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update([u8::from(value.is_some())]);
    }
    hex(&hash.finalize()[..16])
}

/// A row as the JSON of an article.
fn as_json(table: &Table, row: &Row) -> Json {
    let mut article = Map::new();
    for field in ARTICLE_FIELDS {
        let column = table.columns.get(field).map_or(field, String::as_str);
        if let Some(value) = row.get(column) {
            article.insert(field.to_owned(), of_field(field, value));
        }
    }
    Json::Object(article)
}

fn of_field(field: &str, value: &Value) -> Json {
    let text = value.text.trim();
    let is_list = matches!(field, "categories" | "tags" | "authors");
    let has_parts = matches!(field, "image" | "enclosures" | "source") && text.starts_with(['[', '{']);
    // Lists, and what has parts, may be JSON themselves.
    if (has_parts || is_list && text.starts_with('['))
        && let Ok(json) = serde_json::from_str(text)
    {
        return json;
    }
    match field {
        _ if is_list && text.starts_with('{') => json!(of_array(text)),
        "categories" | "tags" | "authors" => {
            text.split(';').map(str::trim).filter(|t| !t.is_empty()).collect()
        }
        "source" if !text.is_empty() => json!({ "title": text }),
        "image" | "source" if text.is_empty() => Json::Null,
        "significant" => {
            json!(matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes"))
        }
        "published" | "updated" => json!(instant_of(value).map_or(text.to_owned(), |at| at.to_rfc3339())),
        _ => json!(value.text),
    }
}

/// The elements of an array as PostgreSQL writes it: `{Kinh tế,"Xã hội, dân sinh"}`.
fn of_array(text: &str) -> Option<Vec<String>> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let (mut elements, mut element, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '\\' => element.extend(letters.next()),
            ',' if !is_quoted => elements.push(std::mem::take(&mut element)),
            _ => element.push(letter),
        }
    }
    elements.push(element);
    elements.retain(|element| !element.is_empty());
    Some(elements)
}

/// A number is the time since 1970, in seconds or milliseconds.
fn instant_of(value: &Value) -> Option<Instant> {
    let number: f64 = value.text.parse().ok().filter(|_| value.is_number)?;
    let millis = if number.abs() < 100_000_000_000.0 { number * 1_000.0 } else { number };
    DateTime::from_timestamp_millis(millis as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, is_number: bool) -> Value {
        Value { text: text.to_owned(), is_number, is_instant: false }
    }

    #[test]
    fn lists_are_read_as_people_and_databases_write_them() {
        let list = |text| of_field("tags", &value(text, false));
        assert_eq!(list("lúa; phà ;"), json!(["lúa", "phà"]));
        assert_eq!(list(r#"["lúa, nếp"]"#), json!(["lúa, nếp"]));
        assert_eq!(list(r#"{lúa,"nếp, \"cẩm\""}"#), json!(["lúa", "nếp, \"cẩm\""]));
        assert_eq!((list("{}"), list("")), (json!([]), json!([])));
    }

    #[test]
    fn numbers_are_instants_where_an_instant_is_wanted() {
        let seconds = of_field("published", &value("1796000000", true));
        assert_eq!(
            (&seconds, seconds.as_str()),
            (&of_field("updated", &value("1796000000000", true)), Some("2026-11-30T00:53:20+00:00"))
        );
        assert_eq!(of_field("published", &value("2026-11-30 08:00", false)), json!("2026-11-30 08:00"));
        assert_eq!(of_field("title", &value("17", true)), json!("17"));
    }
}
