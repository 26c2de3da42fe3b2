//! What is wrong with a feed: findings with the rule, its clause, and the mend.
//!
//! [`lint_document`] looks at one document (RSS 2.0, Atom, JSON Feed, OPML 2.0), [`exchange`] at how
//! a server answers for it, [`walk`] at the chain of its archives. Each file declares its rules as a
//! table, and no finding exists that is not in one: [`all_rules`] lists them.

mod atom;
pub mod exchange;
mod history;
mod html;
mod json;
mod opml;
mod rss;
#[cfg(test)]
mod tests;
mod text;
pub mod walk;
mod xml;

use crate::domain::Instant;
use std::collections::HashMap;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know; nothing is broken.
    Note,
    /// A SHOULD is not kept, or some readers fail.
    Warning,
    /// A MUST is not kept, or many readers fail.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Where in a document or exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The whole of it.
    Document,
    /// A line and a column, both from 1; columns count characters.
    Line {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A value of a JSON document: `items[3].url`.
    Path(String),
    /// A header of an answer.
    Header(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => Ok(()),
            Self::Line { line, column } => write!(f, "{line}:{column}"),
            Self::Path(path) => f.write_str(path),
            Self::Header(name) => f.write_str(name),
        }
    }
}

/// A rule: what it is called, how bad a breach is, where it is written, how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its short name, which never changes: `rss-guid-permalink`.
    pub code: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// The specification and section.
    pub clause: &'static str,
    /// What to do about a breach.
    pub mend: &'static str,
}

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// The rule's name.
    pub rule: &'static str,
    /// Where the rule is written.
    pub clause: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

/// What is known of a document beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The address it was fetched from.
    pub url: Option<String>,
    /// The address of the feed that it is an older part of: the name that JSON Feed has for all parts.
    pub part_of: Option<String>,
    /// The `Content-Type` it came with.
    pub content_type: Option<String>,
    /// The time, to know dates that have not come yet.
    pub now: Option<Instant>,
}

/// What a document turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSS 2.0.
    Rss,
    /// Atom 1.0.
    Atom,
    /// JSON Feed 1.1.
    Json,
    /// OPML 2.0.
    Opml,
}

/// Declares the rules of a file as constants, and their list.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $code:literal, $severity:ident, $clause:literal, $mend:literal;)+) => {
        $($(#[$doc])* pub(super) const $name: $crate::feed::lint::Rule = $crate::feed::lint::Rule {
            code: $code,
            severity: $crate::feed::lint::Severity::$severity,
            clause: $clause,
            mend: $mend,
        };)+
        pub(super) const RULES: &[$crate::feed::lint::Rule] = &[$($name),+];
    };
}
use rules;

/// Every rule there is.
pub fn all_rules() -> impl Iterator<Item = &'static Rule> {
    [xml::RULES, rss::RULES, atom::RULES, json::RULES, opml::RULES, html::RULES, history::RULES]
        .into_iter()
        .chain([exchange::RULES, walk::RULES])
        .flatten()
}

/// A feed with one fault has it in every entry; so many say it.
const OF_ONE_RULE: usize = 20;

/// Findings as they are made.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    counts: HashMap<&'static str, usize>,
}

impl Report {
    fn add(&mut self, rule: &Rule, place: Place, what: impl Into<String>) {
        let count = self.counts.entry(rule.code).or_default();
        *count += 1;
        if *count <= OF_ONE_RULE {
            self.findings.push(Finding {
                severity: rule.severity,
                place,
                rule: rule.code,
                clause: rule.clause,
                what: what.into(),
                mend: rule.mend.to_owned(),
            });
        }
    }

    fn add_if(&mut self, wrong: bool, rule: &Rule, place: Place, what: impl FnOnce() -> String) {
        if wrong {
            self.add(rule, place, what());
        }
    }

    /// The findings in the order of the document, the last of a frequent kind with its number.
    fn into_findings(mut self) -> Vec<Finding> {
        for (code, count) in self.counts {
            if count > OF_ONE_RULE
                && let Some(last) = self.findings.iter_mut().rev().find(|finding| finding.rule == code)
            {
                last.what.push_str(&format!(" (and {} more like this)", count - OF_ONE_RULE));
            }
        }
        let line = |finding: &Finding| match finding.place {
            Place::Line { line, column } => (line, column),
            _ => (0, 0),
        };
        self.findings.sort_by_key(line);
        self.findings
    }
}

/// A text from outside as a finding quotes it: one short line without control characters.
fn quoted(text: &str) -> String {
    let short = crate::domain::excerpt(text, 80);
    format!("`{short}`")
}

/// Everything that is wrong with one document. What it is, it says itself; any bytes will do.
pub fn lint_document(bytes: &[u8], about: &About) -> Vec<Finding> {
    examine(bytes, about).findings
}

/// A document that was looked at: what it is, what is wrong with it, where it leads.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What it is, if that is known.
    pub kind: Option<Kind>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Where it stands in a chain of archives.
    pub page: walk::Page,
}

/// As [`lint_document`], with what a walk along the archives needs to know.
pub fn examine(bytes: &[u8], about: &About) -> Examined {
    let mut report = Report::default();
    let mut page = walk::Page { url: about.url.clone().unwrap_or_default(), ..walk::Page::default() };
    let said_json = about.content_type.as_deref().is_some_and(|t| text::media_type_of(t).ends_with("json"));
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf));
    let kind = if matches!(first, Some(b'{' | b'[')) || (said_json && first != Some(&b'<')) {
        json::lint(bytes, about, &mut report, &mut page);
        Some(Kind::Json)
    } else {
        xml::read(bytes, about, &mut report).and_then(|document| {
            let root = &document.root;
            match (root.namespace.as_str(), root.name.as_str()) {
                ("", "rss") => {
                    rss::lint(&document, about, &mut report, &mut page);
                    Some(Kind::Rss)
                }
                (xml::ATOM, "feed") => {
                    atom::lint(&document, about, &mut report, &mut page);
                    Some(Kind::Atom)
                }
                ("", "opml") => {
                    opml::lint(&document, about, &mut report);
                    Some(Kind::Opml)
                }
                (namespace, name) => {
                    let of = if namespace.is_empty() {
                        String::new()
                    } else {
                        format!(" of {}", quoted(namespace))
                    };
                    let what = format!("the root element is {}{of}", quoted(name));
                    report.add(&xml::UNKNOWN, root.place(), what);
                    None
                }
            }
        })
    };
    Examined { kind, findings: report.into_findings(), page }
}
