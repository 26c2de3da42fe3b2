use super::settings::{Origin, Settings};
use super::{duration, not_blank, path, yes_or_no};
use crate::domain::{CategoryName, HookKey, Schedule, Slug, WebUrl};
use crate::intake::ARTICLE_FIELDS;
use crate::query::DatabaseUrl;
use crate::sources::{Hook, Mailing, Source, SourceKind, Table};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// The longest time between two looks, and the longest overlap: a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// What articles flow in from: `[sources.NAME]`.
pub(super) fn declared_sources(s: &mut Settings) -> Vec<Source> {
    let mut declared = Vec::new();
    for name in s.names("sources") {
        let section = format!("sources.{name}");
        match Slug::parse(&name) {
            Ok(slug) => declared.extend(source(s, slug, &section)),
            Err(error) => {
                s.fault(Origin::File(section), format!("a source's name is part of addresses: {error}"))
            }
        }
    }
    declared
}

fn source(s: &mut Settings, name: Slug, section: &str) -> Option<Source> {
    let key = |name: &str| format!("{section}.{name}");
    let word = s.take(&key("kind"), not_blank);
    let every = s.take(&key("every"), time);
    let category = s.take(&key("category"), not_blank).map(CategoryName);
    let base = s.take(&key("base"), WebUrl::parse);
    let zone = s.take(&key("time_zone"), Schedule::zone);
    let private = s.take(&key("private"), yes_or_no).unwrap_or(false);
    let websub = s.take(&key("websub"), yes_or_no).unwrap_or(true);
    let mailing = s.take(&key("mail"), mailing).unwrap_or(Mailing::Young);
    let (kind, usual) = match word.as_deref() {
        Some("feed") => (needed(s, &key("url"), WebUrl::parse).map(SourceKind::Feed), 900),
        Some("sitemap") => (needed(s, &key("url"), WebUrl::parse).map(SourceKind::Sitemap), 900),
        Some("folder") => (needed(s, &key("path"), path).map(SourceKind::Folder), 5),
        Some("sql") => (table(s, &key).map(Box::new).map(SourceKind::Sql), 30),
        Some("webhook") => (hook(s, &key).map(SourceKind::Webhook), 900),
        other => {
            let said = other.map_or_else(|| "is missing".to_owned(), |word| format!("`{word}` is none"));
            s.fault(
                Origin::File(key("kind")),
                format!("{said}; write feed, sitemap, folder, sql or webhook"),
            );
            // One fault is enough: what else is said of it cannot be judged.
            for rest in ["url", "path", "query", "key", "mark", "overlap", "secret"] {
                s.take(&key(rest), not_blank);
            }
            columns(s, &key);
            (None, 900)
        }
    };
    let every = every.unwrap_or(Duration::from_secs(usual)).max(Duration::from_secs(1));
    Some(Source { name, kind: kind?, every, category, base, zone, private, websub, mailing })
}

/// A setting without which a source is none.
fn needed<T, E: std::fmt::Display>(
    s: &mut Settings,
    key: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let is_said = s.has(key);
    let value = s.take(key, read);
    if value.is_none() && !is_said {
        s.fault(Origin::File(key.to_owned()), "is missing");
    }
    value
}

fn table(s: &mut Settings, key: &impl Fn(&str) -> String) -> Option<Table> {
    let url = needed(s, &key("url"), DatabaseUrl::from_str);
    let query = needed(s, &key("query"), |text| {
        let text = text.trim();
        let is_select = text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"))
            || text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("with"));
        if is_select { Ok(text.to_owned()) } else { Err("must be a SELECT") }
    });
    let known = needed(s, &key("key"), column);
    let mark = s.take(&key("mark"), column);
    let overlap = s.take(&key("overlap"), time).unwrap_or(Duration::from_secs(600));
    let columns = columns(s, key);
    Some(Table { url: url?, query: query?, key: known?, mark, overlap, columns })
}

fn columns(s: &mut Settings, key: &impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let mut columns = BTreeMap::new();
    for field in ARTICLE_FIELDS {
        if let Some(column) = s.take(&key(&format!("columns.{field}")), column) {
            columns.insert(field.to_owned(), column);
        }
    }
    columns
}

fn hook(s: &mut Settings, key: &impl Fn(&str) -> String) -> Option<Hook> {
    let is_said = s.has(&key("key")) || s.has(&key("secret"));
    let hook =
        Hook { key: s.take(&key("key"), HookKey::parse), secret: s.take(&key("secret"), HookKey::parse) };
    if !is_said {
        s.fault(
            Origin::File(key("key")),
            "is missing: anybody could post articles; make one with `openssl rand -hex 24`, or give a `secret` that posts are signed with",
        );
    }
    (hook.key.is_some() || hook.secret.is_some()).then_some(hook)
}

fn mailing(text: &str) -> Result<Mailing, String> {
    match text {
        "young" => Ok(Mailing::Young),
        "all" => Ok(Mailing::All),
        "none" => Ok(Mailing::Nothing),
        other => Err(format!("`{other}` is none of young, all, none")),
    }
}

/// A column's name stands in a statement as it is.
fn column(text: &str) -> Result<String, String> {
    let is_one = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_one {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no plain name of a column; give it one in the query, as in … AS title"))
    }
}

fn time(text: &str) -> Result<Duration, String> {
    duration(text, &[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)])
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| format!("`{text}` is no time; write it like 15m, with s, m, h or d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Source>, Vec<String>) {
        let mut s = Settings::of_file("bantin.toml", text);
        let sources = declared_sources(&mut s);
        (sources, s.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_kind_is_read_with_its_usual_pace() {
        let (sources, faults) = read(
            "[sources.bao-ban]\nkind = \"feed\"\nurl = \"https://ban.example/rss\"\nevery = \"1h\"\nmail = \"none\"\n\
             [sources.cms]\nkind = \"sql\"\nurl = \"mariadb://u:p@db/bao\"\nquery = \"SELECT * FROM bai\"\nkey = \"id\"\n\
             mark = \"sua_luc\"\n[sources.cms.columns]\ntitle = \"tieu_de\"\n\
             [sources.trong]\nkind = \"folder\"\npath = \"/srv/bai\"\n",
        );
        assert_eq!(faults, [""; 0]);
        let every: Vec<u64> = sources.iter().map(|source| source.every.as_secs()).collect();
        assert_eq!((every, sources[0].mailing), (vec![3_600, 30, 5], Mailing::Nothing));
        let SourceKind::Sql(table) = &sources[1].kind else { panic!("{:?}", sources[1]) };
        assert_eq!((table.columns["title"].as_str(), table.overlap.as_secs()), ("tieu_de", 600));
        assert_eq!(sources[1].place(), "mysql://db/bao");
    }

    #[test]
    fn what_is_wrong_is_told_once_with_its_mend() {
        let (sources, faults) = read(
            "[sources.a]\nkind = \"rss\"\nurl = \"x\"\n[sources.b]\nkind = \"sql\"\nurl = \"mssql://sa:geheim@x/y\"\n\
             query = \"DELETE FROM bai\"\nkey = \"a b\"\n[sources.c]\nkind = \"webhook\"\n[sources.D_]\nkind = \"feed\"\n\
             [sources.e]\nkind = \"feed\"\nevery = \"15\"\n",
        );
        assert!(sources.is_empty());
        for part in [
            "write feed, sitemap",
            "mssql:…",
            "must be a SELECT",
            "AS title",
            "openssl rand",
            "D_",
            "15m",
            "url: is missing",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:#?}");
        }
        assert!(!faults.concat().contains("geheim"), "{faults:#?}");
    }
}
