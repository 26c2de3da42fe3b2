//! Drafts as an editor sees them.

use super::print_json;
use crate::domain::Doubt;
use crate::store::KeptDraft;
use serde_json::json;

/// One line of a draft, or all of it.
pub fn print(kept: &KeptDraft, as_json: bool, whole: bool) {
    let KeptDraft { id, input, draft, doubts, taken_at } = kept;
    if as_json {
        let mut value = json!({
            "id": id, "state": "draft", "input": input, "taken_at": taken_at, "doubts": doubts, "title": draft.title,
            "url": draft.url, "categories": draft.categories, "authors": draft.authors, "published": draft.published,
        });
        if whole && let Some(fields) = value.as_object_mut() {
            fields.insert("summary".to_owned(), json!(draft.summary));
            fields.insert("tags".to_owned(), json!(draft.tags));
            fields.insert("source".to_owned(), json!(draft.source));
            fields.insert("content_html".to_owned(), json!(draft.body.as_str()));
        }
        return print_json(&value);
    }
    let published =
        draft.published.map_or_else(|| "no date".to_owned(), |at| at.format("%Y-%m-%dT%H:%MZ").to_string());
    let categories: Vec<&str> = draft.categories.iter().map(|category| category.0.as_str()).collect();
    println!("{id}  {published:17}  draft      {}  [{}]", draft.title, categories.join(", "));
    println!("  {input}: {}", doubts.iter().map(Doubt::told).collect::<Vec<_>>().join("; "));
    if whole {
        println!("url:      {}", draft.url.as_ref().map_or("", |url| url.as_str()));
        println!("authors:  {}", draft.authors.join(", "));
        println!("source:   {}", draft.source.as_ref().map_or("", |source| source.title.as_str()));
        println!("summary:  {}", draft.summary.as_deref().unwrap_or_default());
        println!("\n{}", draft.body.text());
    }
}
