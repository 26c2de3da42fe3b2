//! JSON Feed 1.1, which no validator of the W3C reads.

use super::walk::Page;
use super::{About, Place, Report, Rule, html, quoted, rules, text};
use serde_json::{Map, Value};
use std::collections::HashSet;

rules! {
    SYNTAX: "json-syntax", Error, "RFC 8259 §2", "write the document with a JSON writer";
    ENCODING: "json-encoding", Error, "RFC 8259 §8.1", "write UTF-8 without a byte order mark";
    VERSION: "json-version", Error, "JSON Feed 1.1 § version", "write \"version\": \"https://jsonfeed.org/version/1.1\"";
    OLD: "json-version-old", Note, "JSON Feed 1.1 § version", "write version 1.1; it only adds authors and language";
    TITLE: "json-title", Error, "JSON Feed 1.1 § top-level", "write the feed's title as a string that is not empty";
    ITEMS: "json-items", Error, "JSON Feed 1.1 § top-level", "write items as an array of objects, empty if there are none";
    TYPE: "json-type", Error, "JSON Feed 1.1 § top-level, § items", "write the value with the type that the field has";
    ID: "json-id", Error, "JSON Feed 1.1 § items", "give each item an id as a string that never changes";
    ID_REPEATED: "json-id-repeated", Error, "JSON Feed 1.1 § items", "give each item an id of its own; readers show only one of two with the same";
    CONTENT: "json-content", Error, "JSON Feed 1.1 § items", "write content_html or content_text";
    URL: "json-url", Error, "JSON Feed 1.1 § top-level, § items", "write an absolute address: https://…";
    ITEM_URL: "json-item-url", Warning, "JSON Feed 1.1 § items", "write the address of the item's page";
    DATE: "json-date-format", Error, "JSON Feed 1.1 § items; RFC 3339", "write the date like 2024-04-04T04:30:00+07:00";
    IMPLAUSIBLE: "json-date-implausible", Warning, "JSON Feed 1.1 § items", "write when it happened; some readers sort by it, others hide the future";
    HOME: "json-home-page", Warning, "JSON Feed 1.1 § top-level", "write home_page_url";
    SELF_MISSING: "json-feed-url", Warning, "JSON Feed 1.1 § top-level", "write feed_url, the feed's own address";
    SELF_DIFFERS: "json-feed-url-differs", Warning, "JSON Feed 1.1 § top-level", "let feed_url be the address at which the feed is served";
    NEXT: "json-next-url", Error, "JSON Feed 1.1 § next_url", "let next_url lead to older items, never to feed_url; readers that follow this never end";
    AUTHOR: "json-author", Warning, "JSON Feed 1.1 § authors", "write authors, an array; author is of version 1";
    AUTHORS: "json-authors", Error, "JSON Feed 1.1 § authors", "give each author a name, url or avatar";
    LANGUAGE: "json-language", Error, "JSON Feed 1.1 § language; RFC 5646", "write a language tag: vi, en-GB";
    LANGUAGE_MISSING: "json-language-missing", Note, "JSON Feed 1.1 § language", "write \"language\": \"vi\"; readers choose fonts and voices by it";
    ICON: "json-icon", Note, "JSON Feed 1.1 § top-level", "write icon (512 × 512) or favicon (64 × 64)";
    MARKUP: "json-markup", Warning, "JSON Feed 1.1 § items", "write HTML in content_html only; readers show the tags";
    ESCAPED: "json-escaped", Warning, "JSON Feed 1.1 § items", "do not escape for HTML outside of content_html; readers show the letters `&amp;`";
    CHARACTER: "json-character", Warning, "RFC 8259 §7", "take control characters out before writing; converters to XML break on them";
    EXTENSION: "json-extension", Error, "JSON Feed 1.1 § extensions", "let names that are not of the specification begin with _ and hold no dot";
    ATTACHMENT: "json-attachment", Error, "JSON Feed 1.1 § attachments", "write url and mime_type of the attachment, sizes as numbers";
    HUB: "json-hub", Error, "JSON Feed 1.1 § hubs", "write type and url of the hub";
    HUB_TOPIC: "json-hub-topic", Error, "JSON Feed 1.1 § hubs", "write feed_url: it is the topic that readers subscribe to";
    SIZE: "json-size", Note, "JSON Feed 1.1 § suggestions for publishers", "keep a document under 100 KB, and hand over to next_url";
    MEDIA_TYPE: "json-media-type", Warning, "JSON Feed 1.1 § MIME type", "serve it as application/feed+json";
}

/// What a field must be.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Words,
    Address,
    Date,
    Language,
    Html,
    Flag,
    Number,
    List,
    Object,
    /// Judged where it stands.
    Own,
}
use Shape::{Address, Date, Flag, Html, Language, List, Number, Object, Own, Words};

const OF_FEED: [(&str, Shape); 15] = [
    ("version", Own),
    ("title", Own),
    ("home_page_url", Address),
    ("feed_url", Address),
    ("description", Words),
    ("user_comment", Words),
    ("next_url", Address),
    ("icon", Address),
    ("favicon", Address),
    ("author", Object),
    ("authors", List),
    ("language", Language),
    ("expired", Flag),
    ("hubs", List),
    ("items", Own),
];
const OF_ITEM: [(&str, Shape); 16] = [
    ("id", Own),
    ("url", Address),
    ("external_url", Address),
    ("title", Words),
    ("content_html", Html),
    ("content_text", Words),
    ("summary", Words),
    ("image", Address),
    ("banner_image", Address),
    ("date_published", Date),
    ("date_modified", Date),
    ("author", Object),
    ("authors", List),
    ("tags", List),
    ("language", Language),
    ("attachments", List),
];
const OF_AUTHOR: [(&str, Shape); 3] = [("name", Words), ("url", Address), ("avatar", Address)];
const OF_ATTACHMENT: [(&str, Shape); 5] = [
    ("url", Address),
    ("mime_type", Own),
    ("title", Words),
    ("size_in_bytes", Number),
    ("duration_in_seconds", Number),
];
const OF_HUB: [(&str, Shape); 2] = [("type", Words), ("url", Address)];

/// 100 KB is ideal and 250 KB are fine, says the specification.
const FINE_SIZE: usize = 250_000;

/// The page and time around the values.
struct Reading<'r> {
    about: &'r About,
    report: &'r mut Report,
}

pub(super) fn lint(bytes: &[u8], about: &About, report: &mut Report, page: &mut Page) {
    page.is_json = true;
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    report.add_if(body.len() < bytes.len(), &ENCODING, Place::Line { line: 1, column: 1 }, || {
        "there is a byte order mark".to_owned()
    });
    if let Err(error) = std::str::from_utf8(body) {
        let what = format!("byte {} is no UTF-8", error.valid_up_to());
        return report.add(&ENCODING, Place::Document, what);
    }
    let feed: Value = match serde_json::from_slice(body) {
        Ok(feed) => feed,
        Err(error) => {
            let place = Place::Line { line: error.line(), column: error.column().max(1) };
            return report.add(&SYNTAX, place, quoted(&error.to_string()).trim_matches('`').to_owned());
        }
    };
    if let Some(told) = &about.content_type {
        let right =
            ["application/feed+json", "application/json"].contains(&text::media_type_of(told).as_str());
        report.add_if(!right, &MEDIA_TYPE, Place::Header("Content-Type"), || {
            format!("it is served as {}", quoted(told))
        });
    }
    report
        .add_if(bytes.len() > FINE_SIZE, &SIZE, Place::Document, || format!("it has {} bytes", bytes.len()));
    let Value::Object(feed) = feed else {
        return report.add(&ITEMS, Place::Document, "it is no object");
    };
    let mut reading = Reading { about, report };
    reading.feed(&feed);
    page.readable = feed.get("items").is_some_and(Value::is_array);
    page.older = feed.get("next_url").and_then(Value::as_str).map(str::to_owned);
    let items = feed.get("items").and_then(Value::as_array).into_iter().flatten();
    page.entries = items
        .filter_map(|item| {
            let modified = item.get("date_modified").and_then(Value::as_str).unwrap_or_default();
            Some((item.get("id")?.as_str()?.to_owned(), modified.to_owned()))
        })
        .collect();
}

impl Reading<'_> {
    fn say(&mut self, rule: &Rule, path: &str, what: impl Into<String>) {
        self.report.add(rule, Place::Path(path.to_owned()), what);
    }

    fn say_if(&mut self, wrong: bool, rule: &Rule, path: &str, what: &str) {
        if wrong {
            self.say(rule, path, what);
        }
    }

    fn feed(&mut self, feed: &Map<String, Value>) {
        let words = |name: &str| feed.get(name).and_then(Value::as_str);
        match words("version") {
            Some("https://jsonfeed.org/version/1.1") => {}
            Some("https://jsonfeed.org/version/1") => self.say(&OLD, "version", "it is of version 1"),
            Some(other) => self.say(&VERSION, "version", format!("the version is {}", quoted(other))),
            None => self.say(&VERSION, "version", "there is no version"),
        }
        self.fields(feed, &OF_FEED, "");
        match words("title") {
            Some(title) if !title.trim().is_empty() => self.plain(title, "title"),
            _ => self.say(&TITLE, "title", "the feed has no title"),
        }
        self.say_if(words("home_page_url").is_none(), &HOME, "home_page_url", "the feed names no page");
        let own = words("feed_url");
        match (own, &self.about.url) {
            (None, _) => self.say(&SELF_MISSING, "feed_url", "the feed does not name its own address"),
            (Some(own), Some(url)) if own != url && self.about.part_of.as_deref() != Some(own) => {
                let what = format!("it says {} and was found at {}", quoted(own), quoted(url));
                self.say(&SELF_DIFFERS, "feed_url", what);
            }
            _ => {}
        }
        if let Some(next) = words("next_url") {
            let itself = Some(next) == own || Some(next) == self.about.url.as_deref();
            self.say_if(itself, &NEXT, "next_url", "it leads to the document itself");
        }
        let pictured = feed.contains_key("icon") || feed.contains_key("favicon");
        self.say_if(!pictured, &ICON, "icon", "the feed has no picture");
        self.say_if(
            !feed.contains_key("language"),
            &LANGUAGE_MISSING,
            "language",
            "the feed names no language",
        );
        let hubs = feed.get("hubs").and_then(Value::as_array);
        for (number, hub) in hubs.into_iter().flatten().enumerate() {
            let path = format!("hubs[{number}]");
            let whole = hub.get("type").is_some() && hub.get("url").is_some();
            self.say_if(!whole, &HUB, &path, "the hub has no type or no url");
            self.object(hub, &OF_HUB, &HUB, &path);
        }
        self.say_if(hubs.is_some() && own.is_none(), &HUB_TOPIC, "hubs", "there are hubs, and no topic");
        let Some(items) = feed.get("items").and_then(Value::as_array) else {
            return self.say(&ITEMS, "items", "there is no array of items");
        };
        let mut ids = HashSet::new();
        for (number, item) in items.iter().enumerate() {
            let path = format!("items[{number}]");
            match item {
                Value::Object(item) => self.item(item, &path, &mut ids),
                _ => self.say(&ITEMS, &path, "the item is no object"),
            }
        }
    }

    fn item<'i>(&mut self, item: &'i Map<String, Value>, path: &str, ids: &mut HashSet<&'i str>) {
        let at = |name: &str| format!("{path}.{name}");
        self.fields(item, &OF_ITEM, path);
        match item.get("id") {
            Some(Value::String(id)) if !id.is_empty() => {
                self.say_if(!ids.insert(id), &ID_REPEATED, &at("id"), &format!("{} comes twice", quoted(id)));
            }
            Some(Value::Number(id)) => self.say(&ID, &at("id"), format!("the id is the number {id}")),
            _ => self.say(&ID, &at("id"), "the item has no id"),
        }
        let there = item.contains_key("content_html") || item.contains_key("content_text");
        self.say_if(!there, &CONTENT, path, "the item has no content");
        self.say_if(!item.contains_key("url"), &ITEM_URL, &at("url"), "the item has no page");
        let attachments = item.get("attachments").and_then(Value::as_array);
        for (number, attachment) in attachments.into_iter().flatten().enumerate() {
            let path = at(&format!("attachments[{number}]"));
            let typed = attachment.get("mime_type").and_then(Value::as_str).is_some_and(text::is_media_type);
            self.say_if(!typed, &ATTACHMENT, &path, "the attachment has no media type");
            self.say_if(attachment.get("url").is_none(), &ATTACHMENT, &path, "the attachment has no url");
            self.object(attachment, &OF_ATTACHMENT, &ATTACHMENT, &path);
        }
        let tags = item.get("tags").and_then(Value::as_array);
        for (number, tag) in tags.into_iter().flatten().enumerate() {
            let path = at(&format!("tags[{number}]"));
            self.say_if(!tag.is_string(), &TYPE, &path, "the tag is no string");
        }
    }

    fn object(&mut self, value: &Value, known: &[(&str, Shape)], rule: &Rule, path: &str) {
        match value {
            Value::Object(object) => self.fields(object, known, path),
            _ => self.say(rule, path, "it is no object"),
        }
    }

    /// The fields of an object by its vocabulary, and authors, which stand in two places.
    fn fields(&mut self, object: &Map<String, Value>, known: &[(&str, Shape)], path: &str) {
        for (name, value) in object {
            let short = crate::domain::excerpt(name, 40);
            let at = if path.is_empty() { short } else { format!("{path}.{short}") };
            match known.iter().find(|(known, _)| known == name) {
                Some((_, shape)) => self.value(name, value, *shape, &at),
                None => {
                    let wrong = !name.starts_with('_') || name.contains('.');
                    self.say_if(wrong, &EXTENSION, &at, "the name is not of JSON Feed, nor of an extension");
                }
            }
        }
        if object.contains_key("author") && !object.contains_key("authors") {
            let at = if path.is_empty() { "author".to_owned() } else { format!("{path}.author") };
            self.say(&AUTHOR, &at, "there is an author, and no authors");
        }
        let authors = object.get("authors").and_then(Value::as_array);
        for (number, author) in authors.into_iter().flatten().enumerate() {
            let at = format!("{path}{}authors[{number}]", if path.is_empty() { "" } else { "." });
            let told = OF_AUTHOR.iter().any(|(name, _)| author.get(name).is_some());
            self.say_if(!told, &AUTHORS, &at, "the author has neither name nor url nor avatar");
            self.object(author, &OF_AUTHOR, &AUTHORS, &at);
        }
    }

    fn value(&mut self, name: &str, value: &Value, shape: Shape, at: &str) {
        let typed = match shape {
            Words | Address | Date | Language | Html => value.is_string(),
            Flag => value.is_boolean(),
            Number => value.as_f64().is_some_and(|number| number >= 0.0),
            List => value.is_array(),
            Object => value.is_object(),
            Own => true,
        };
        if !typed {
            return self.say(&TYPE, at, format!("{} has another type", quoted(name)));
        }
        let Some(words) = value.as_str() else { return };
        let odd = words.chars().find(|c| !crate::domain::is_allowed_char(*c));
        if let Some(odd) = odd {
            self.say(&CHARACTER, at, format!("U+{:04X} stands in it", u32::from(odd)));
        }
        match shape {
            Words => self.plain(words, at),
            Html => html::check(words, &Place::Path(at.to_owned()), false, self.report),
            Address => {
                if let Err(fault) = text::absolute(words, true) {
                    self.say(&URL, at, format!("{} {}", quoted(words), fault.words()));
                }
            }
            Date => match text::rfc3339(words) {
                None => self.say(&DATE, at, format!("{} is no RFC 3339 date", quoted(words))),
                Some(date) => {
                    if let Some(why) = text::implausible(date, self.about.now) {
                        self.say(&IMPLAUSIBLE, at, format!("{} {why}", quoted(words)));
                    }
                }
            },
            Language => {
                let right = text::is_language(words);
                self.say_if(!right, &LANGUAGE, at, &format!("{} is no language tag", quoted(words)));
            }
            Flag | Number | List | Object | Own => {}
        }
    }

    fn plain(&mut self, words: &str, at: &str) {
        if let Some(twice) = text::escaped_twice(words) {
            self.say(&ESCAPED, at, format!("it says {}", quoted(twice)));
        } else if text::has_markup(words) {
            self.say(&MARKUP, at, format!("there is markup in {}", quoted(words)));
        }
    }
}
