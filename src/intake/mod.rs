//! Floor 1: bytes from outside in, [`Draft`]s out.
//!
//! A captured page, an HTML page, JSON and JSONL, and every kind of feed. Nothing here fails as a
//! whole: each item of an input is an [`Arrival`] or a [`Fault`] that says what is wrong, where,
//! and how to mend it, and one bad item never stops the others.

mod blocks;
mod byline;
mod captured_text;
mod dates;
mod decode;
mod foreign_feed;
mod front_matter;
mod ghost;
mod gzip;
mod html_body;
mod html_lead;
mod html_metadata;
mod html_page;
mod html_parts;
mod html_title;
mod html_tree;
mod hub_offer;
mod json;
mod json_feed;
mod legacy;
mod listing;
mod markdown;
mod masthead;
mod page_lines;
mod position;
mod readability;
mod rules;
mod shortcodes;
mod sitemap;
pub mod wordpress;
mod xml_feed;
mod xml_tree;

use crate::domain::{CategoryName, Doubt, Draft, IdentityKey, SafeHtml, WebUrl, clean_line};
use std::{collections::HashMap, fmt, str::FromStr};

pub use gzip::{is_gzip, unpacked};
pub use hub_offer::HubOffer;
pub use json::{ARTICLE_FIELDS, ARTICLE_SCHEMA, read_json_line};
pub use rules::{ReadingRules, Rules, RulesError};
pub use sitemap::{Sitemap, article_links};

/// What a source of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// The text of a page, as a person copies it from a browser.
    CapturedText,
    /// A page.
    Html,
    /// One article, an array of them, or `{"articles": […]}`.
    Json,
    /// One article a line.
    JsonLines,
    /// RSS, Atom or JSON Feed.
    Feed,
    /// Markdown with front matter: Hugo, Zola, Jekyll.
    Markdown,
    /// A WordPress export (WXR).
    WordPress,
    /// A Ghost export.
    Ghost,
    /// A sitemap: addresses of pages, none itself.
    Sitemap,
}

impl InputFormat {
    /// Every format.
    pub const ALL: [Self; 9] = [
        Self::CapturedText,
        Self::Html,
        Self::Json,
        Self::JsonLines,
        Self::Feed,
        Self::Markdown,
        Self::WordPress,
        Self::Ghost,
        Self::Sitemap,
    ];

    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CapturedText => "text",
            Self::Html => "html",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Feed => "feed",
            Self::Markdown => "markdown",
            Self::WordPress => "wxr",
            Self::Ghost => "ghost",
            Self::Sitemap => "sitemap",
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no input format; write text, html, markdown, json, jsonl, feed, wxr, ghost or sitemap")]
pub struct UnknownFormat(String);

impl FromStr for InputFormat {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|f| f.as_str() == word).ok_or_else(|| UnknownFormat(word.to_owned()))
    }
}

/// What the caller knows about an input.
#[derive(Clone, Debug)]
pub struct Intake<'a> {
    /// The file's name, or "-": for messages, and for telling the format by its ending.
    pub name: &'a str,
    /// The format, where it is known.
    pub format: Option<InputFormat>,
    /// Where the input was fetched from, where that is known.
    pub base: Option<WebUrl>,
    /// The publication's zone, for times that stand without one.
    pub zone: chrono_tz::Tz,
    /// The section of articles that name none.
    pub category: Option<CategoryName>,
    /// What is known of pages.
    pub rules: &'a ReadingRules,
}

/// An article that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// The article.
    pub draft: Draft,
    /// What was odd about it.
    pub warnings: Vec<Warning>,
    /// What of it was guessed, and how surely. What its source states in so many words is not here.
    pub guesses: Vec<Guess>,
}

impl Arrival {
    /// What of it is for a person to decide.
    pub fn doubts(&self) -> Vec<Doubt> {
        let doubtful = self.guesses.iter().filter(|guess| guess.is_doubtful());
        doubtful.map(|guess| Doubt { field: guess.field.to_owned(), rule: guess.rule.to_owned() }).collect()
    }
}

/// A field that a page does not state, and by what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The field, as JSON names it.
    pub field: &'static str,
    /// By what it was told.
    pub rule: &'static str,
    /// How surely, of 100.
    pub confidence: u8,
}

impl Guess {
    /// What is less sure than this is for a person to decide.
    pub const SURE: u8 = 50;

    fn new(field: &'static str, rule: &'static str, confidence: u8) -> Self {
        Self { field, rule, confidence }
    }

    /// Of a page without a date: it would be as old as its import.
    fn undated() -> Self {
        Self::new("published", "no date was found on the page", 0)
    }

    /// Whether a person should look at it.
    pub fn is_doubtful(&self) -> bool {
        self.confidence < Self::SURE
    }
}

/// Something odd that did not keep an article out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where, counted from 1.
    pub line: Option<usize>,
    /// What, and what was done about it.
    pub message: String,
}

impl Warning {
    fn new(line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self { line: line.into(), message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why an item stayed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    /// The field of a JSON object.
    pub field: Option<String>,
    /// Whether it is a page that lists articles.
    pub is_listing: bool,
    /// What is wrong and how to mend it.
    pub message: String,
    /// What else is wrong with the same item.
    pub more: Vec<Fault>,
}

impl Fault {
    fn new(line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self { line: line.into(), message: message.into(), ..Self::default() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            _ => {}
        }
        if let Some(field) = &self.field {
            write!(f, "field `{field}`: ")?;
        }
        f.write_str(&self.message)?;
        self.more.iter().try_for_each(|fault| write!(f, "; {fault}"))
    }
}

impl std::error::Error for Fault {}

/// The largest HTML page that is read, in bytes: many times an article with all its markup.
const MAX_PAGE_BYTES: usize = 5 * 1024 * 1024;

/// The bytes of an answer as UTF-8, by the character set that its server names; the document's own
/// word is for those that name none.
pub fn in_charset(bytes: Vec<u8>, label: &str) -> Vec<u8> {
    match encoding_rs::Encoding::for_label(label.trim_matches(['"', '\'', ' ']).as_bytes()) {
        Some(encoding) if encoding != encoding_rs::UTF_8 && std::str::from_utf8(&bytes).is_err() => {
            encoding.decode(&bytes).0.into_owned().into_bytes()
        }
        _ => bytes,
    }
}

/// Tells the format of an input by its first bytes, and by its name where they leave it open.
pub fn detect(name: &str, bytes: &[u8]) -> InputFormat {
    let head = decode::peek(bytes, 4096);
    let head = head.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let ending = name.rsplit(['.', '/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    if matches!(ending.as_str(), "md" | "markdown" | "mdx") {
        return InputFormat::Markdown;
    }
    if head.starts_with("+++\n")
        || (head.starts_with("---\n") && head.contains("\n---\n") && head.contains("title:"))
    {
        return InputFormat::Markdown;
    }
    if head.starts_with(['{', '[']) {
        return if ghost::is_export(head) {
            InputFormat::Ghost
        } else if head.contains("https://jsonfeed.org/version/") {
            InputFormat::Feed
        } else if matches!(ending.as_str(), "jsonl" | "ndjson") || json::is_json_lines(bytes) {
            InputFormat::JsonLines
        } else {
            InputFormat::Json
        };
    }
    let lower = head.to_ascii_lowercase();
    // A browser's XML view saves a sentence of its own before the root.
    let first_of = |names: &[&str]| names.iter().filter_map(|name| lower.find(name)).min();
    if first_of(&["wordpress.org/export/", "<wp:wxr_version"]).is_some() && lower.contains("<rss") {
        return InputFormat::WordPress;
    }
    if first_of(&["<urlset", "<sitemapindex"]).is_some() {
        return InputFormat::Sitemap;
    }
    let feed = first_of(&["<rss", "<feed", "<rdf:rdf", "<atom:feed"]);
    let html = first_of(&["<!doctype html", "<html", "<head", "<body", "<article", "<div", "<meta", "<p>"]);
    match (feed, html) {
        (Some(feed), html) if html.is_none_or(|html| feed < html) => InputFormat::Feed,
        (_, Some(html)) if lower.starts_with('<') || lower[html..].starts_with("<!doc") => InputFormat::Html,
        _ => match ending.as_str() {
            "html" | "htm" | "xhtml" | "aspx" | "php" => InputFormat::Html,
            "json" => InputFormat::Json,
            "jsonl" | "ndjson" => InputFormat::JsonLines,
            "xml" | "rss" | "atom" | "rdf" => InputFormat::Feed,
            _ => InputFormat::CapturedText,
        },
    }
}

/// Reads an input. Each item of it is an arrival or a fault; at least one of them comes back.
pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Vec<Result<Arrival, Fault>> {
    match intake.format.unwrap_or_else(|| detect(intake.name, bytes)) {
        InputFormat::CapturedText => vec![captured_text::read(intake, bytes)],
        InputFormat::Html => vec![html_page::read(intake, bytes)],
        InputFormat::Json => json::read(intake, bytes),
        InputFormat::JsonLines => json::read_lines(intake, bytes),
        InputFormat::Feed => foreign_feed::read(intake, bytes),
        InputFormat::Markdown => vec![markdown::read(intake, bytes)],
        InputFormat::WordPress => {
            let mut pictures = HashMap::new();
            let collected = wordpress::collect_pictures(bytes, &mut pictures);
            let found: Vec<_> = wordpress::Export::new(bytes, intake, pictures).collect();
            match collected {
                Err(error) => vec![Err(Fault::new(1, format!("cannot be read: {error}")))],
                Ok(()) if found.is_empty() => {
                    vec![Err(Fault::new(1, "the export has no published post in it"))]
                }
                Ok(()) => found,
            }
        }
        InputFormat::Ghost => ghost::read(intake, bytes),
        InputFormat::Sitemap => vec![Err(sitemap::refusal(bytes))],
    }
}

/// What several sites type for `Đ`: the Icelandic eth (U+00D0), seen on baodaknong.org.vn and
/// baocamau.vn.
fn mend_eth(text: &str) -> String {
    text.replace('Ð', "Đ").replace('ð', "đ")
}

/// A clean line of Vietnamese, with character references that were escaped twice undone.
fn plain_line(text: &str) -> String {
    let line = clean_line(text);
    mend_eth(&if line.contains('&') { clean_line(&undo_references(&line)) } else { line })
}

/// Undoes character references (`&amp;`, `&#7877;`, `&agrave;`) by the full table of HTML. Twice,
/// since titles arrive with `&amp;quot;`.
fn undo_references(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..2 {
        if !has_reference(&text) {
            break;
        }
        text = SafeHtml::clean(&text.replace('<', "&lt;"), None).text();
    }
    text
}

/// Whether there is something like `&amp;` or `&#7877;` in a text.
fn has_reference(text: &str) -> bool {
    text.match_indices('&').any(|(at, _)| {
        let rest = &text[at + 1..];
        let name = rest.trim_start_matches('#').bytes().take_while(u8::is_ascii_alphanumeric).count();
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        (1..=30).contains(&name) && hashes <= 1 && rest[hashes + name..].starts_with(';')
    })
}

/// The keys of a draft: its id and its address where it has them, else what it says.
///
/// A weak key beside a strong one would make one article of two that share a headline.
fn identity(draft: &Draft, external: Option<IdentityKey>) -> Vec<IdentityKey> {
    let mut keys: Vec<_> = external.into_iter().chain(draft.url.as_ref().map(IdentityKey::url)).collect();
    if keys.is_empty() {
        keys.push(IdentityKey::title(&draft.title, draft.published));
        let text = draft.body.text();
        let opening = if text.is_empty() { draft.summary.clone().unwrap_or_default() } else { text };
        // Little text is no fingerprint: "Đang cập nhật." opens many articles.
        if opening.chars().count() >= 40 {
            keys.push(IdentityKey::opening(&opening, draft.published));
        }
    }
    keys
}

/// Pushes what is not yet there, by its folded form, and never an empty one.
fn push_new(list: &mut Vec<String>, text: String) {
    let folded = crate::domain::fold(&text);
    // No article has so many; a list of a million would be compared with itself.
    if !folded.is_empty() && list.len() < 200 && list.iter().all(|known| crate::domain::fold(known) != folded)
    {
        list.push(text);
    }
}

#[cfg(test)]
mod captured_text_tests;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod differential_tests;
#[cfg(test)]
mod foreign_feed_tests;
#[cfg(test)]
mod html_page_tests;
#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod tests;
