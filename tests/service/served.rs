//! Feeds as they come over the wire, read with parsers of others.

use crate::world::{Answer, World};
use serde_json::{Value, json};
use std::time::Duration;

/// The endings of the three formats.
pub const FORMATS: [&str; 3] = ["rss", "atom", "json"];

/// A change is promised within a second; twice that keeps a busy machine from failing the story.
pub const AT_ONCE: Duration = Duration::from_secs(2);

/// What every format says of an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub id: String,
    pub title: String,
    /// Unix seconds, the finest that RSS has.
    pub published: i64,
}

/// An article as JSON, published on the morning of 2 November 2026.
pub fn article(key: &str, title: &str, category: &str) -> Value {
    json!({
        "external_id": key,
        "title": title,
        "summary": format!("Lời dẫn của {title}."),
        "content_html": format!("<p>{title}. Toàn văn.</p>"),
        "categories": [category],
        "authors": ["Thu Hà"],
        "published": format!("2026-11-02T07:{:02}:00+07:00", key.len() % 60),
    })
}

/// The article with some fields set to something else.
pub fn with(mut article: Value, fields: Value) -> Value {
    article.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    article
}

/// A feed's answer.
pub fn feed(world: &World, slug: &str, format: &str) -> Answer {
    let answer = world.get(&format!("/feeds/{slug}.{format}"));
    assert_eq!(answer.status, 200, "{slug}.{format}: {answer:?}");
    answer
}

/// The items of a feed's JSON document.
pub fn items(world: &World, slug: &str) -> Vec<Value> {
    let feed: Value = serde_json::from_slice(&feed(world, slug, "json").body).unwrap();
    feed["items"].as_array().unwrap().clone()
}

/// The titles of a feed, the newest first; none where there is no such feed yet.
pub fn titles(world: &World, slug: &str) -> Vec<String> {
    let answer = world.get(&format!("/feeds/{slug}.json"));
    if answer.status != 200 {
        return Vec::new();
    }
    let feed: Value = serde_json::from_slice(&answer.body).unwrap();
    feed["items"].as_array().unwrap().iter().map(|item| text(item, "title")).collect()
}

/// A text of a JSON object.
pub fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {object}")).to_owned()
}

/// What a format says, read with serde_json or feed-rs.
pub fn said(world: &World, slug: &str, format: &str) -> Vec<Said> {
    if format == "json" {
        let seconds = |item: &Value| instant(&text(item, "date_published"));
        return items(world, slug)
            .iter()
            .map(|item| Said { id: text(item, "id"), title: text(item, "title"), published: seconds(item) })
            .collect();
    }
    let feed = feed_rs::parser::parse(&*feed(world, slug, format).body).unwrap();
    feed.entries
        .into_iter()
        .map(|entry| Said {
            id: entry.id,
            title: entry.title.unwrap().content,
            published: entry.published.unwrap().timestamp(),
        })
        .collect()
}

/// The Unix seconds of an RFC 3339 date.
pub fn instant(date: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(date).unwrap().timestamp()
}

/// The id of the article with a title, as commands take it.
pub fn id_of(world: &World, slug: &str, title: &str) -> String {
    let items = items(world, slug);
    let item = items.iter().find(|item| item["title"] == title).unwrap_or_else(|| panic!("no {title}"));
    text(item, "id").trim_start_matches("urn:uuid:").to_owned()
}
