//! What an article would become, and why: for `bantin import --dry-run`.

use crate::domain::{ArticleId, Doubt, Draft, excerpt};
use crate::intake::{Arrival, Guess};
use serde_json::{Value, json};

/// For people: each field, its value, how surely it is known and by what.
pub fn as_text(arrival: &Arrival) -> String {
    let draft = &arrival.draft;
    let categories: Vec<&str> = draft.categories.iter().map(|c| c.0.as_str()).collect();
    let fields = [
        ("title", draft.title.clone()),
        ("categories", categories.join(", ")),
        ("published", draft.published.map_or_else(|| "when it is imported".to_owned(), |p| p.to_rfc3339())),
        ("authors", draft.authors.join(", ")),
        ("source", draft.source.as_ref().map_or_else(String::new, |s| s.title.clone())),
        ("url", draft.url.as_ref().map_or_else(String::new, ToString::to_string)),
        ("image", draft.image.as_ref().map_or_else(String::new, |i| i.url.to_string())),
        ("summary", draft.summary.as_deref().map(|s| excerpt(s, 120)).unwrap_or_default()),
        ("body", format!("{} characters", draft.body.text().chars().count())),
    ];
    let mut told = String::new();
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let why = arrival.guesses.iter().find(|guess| guess.field == *field).map(why).unwrap_or_default();
        told.push_str(&format!("{:<11} {value}{why}\n", format!("{field}:")));
    }
    told
}

fn why(guess: &Guess) -> String {
    let doubt = if guess.is_doubtful() { ", doubtful" } else { "" };
    format!("  [{}%{doubt}: {}]", guess.confidence, guess.rule)
}

/// For programs: the article as it would be stored, and its guesses.
pub fn as_json(name: &str, arrival: &Arrival) -> Value {
    let draft = &arrival.draft;
    let guesses: Vec<Value> = arrival
        .guesses
        .iter()
        .map(|g| json!({ "field": g.field, "confidence": g.confidence, "rule": g.rule, "doubtful": g.is_doubtful() }))
        .collect();
    json!({
        "input": name, "what": "would be stored", "title": draft.title, "summary": draft.summary,
        "content_html": draft.body.as_str(), "url": draft.url, "categories": draft.categories, "tags": draft.tags,
        "authors": draft.authors, "published": draft.published, "updated": draft.updated, "image": draft.image,
        "enclosures": draft.enclosures, "source": draft.source, "language": draft.language, "guesses": guesses,
    })
}

/// Why an article is left to a person, and how to publish it.
pub fn kept(id: ArticleId, draft: &Draft, doubts: &[Doubt]) -> String {
    let told: Vec<String> = doubts.iter().map(Doubt::told).collect();
    format!(
        "`{}` is kept as a draft: {}; `bantin article publish {id}` publishes it, with that or as it is",
        excerpt(&draft.title, 80),
        told.join("; ")
    )
}
