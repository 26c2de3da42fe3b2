//! The pages of tests/corpus/pages: what each shows is read as the JSON beside it says.

use super::tests::intake;
use super::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/pages");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending != "json"));
    pages.sort();
    pages
}

/// The blocks of a body, a line each: "## " before a sub-heading, "! " before a caption.
fn lines(body: &SafeHtml) -> Vec<String> {
    let marked = body.as_str().replace("<h2>", "<h2>## ").replace("<figcaption>", "<figcaption>! ");
    let text = SafeHtml::stored(marked).text();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What is read otherwise than it is wanted.
fn differences(page: &Path, wanted: &Value) -> Vec<String> {
    let name = page.file_name().unwrap().to_str().unwrap();
    let mut intake = intake(name);
    intake.base = wanted["base"].as_str().map(|base| WebUrl::parse(base).unwrap());
    let read = read(&intake, &std::fs::read(page).unwrap()).remove(0);
    let mut found = Vec::new();
    let draft = match (read, wanted["fault"].as_str()) {
        (Err(fault), Some(words)) if fault.message.contains(words) => return found,
        (Ok(arrival), None) => arrival.draft,
        (read, _) => return vec![format!("{read:?}")],
    };
    let mut same = |field: &str, read: Value| {
        if wanted.get(field).is_some_and(|wanted| *wanted != read) {
            found.push(format!("{field}: {read}\n      wanted {}", wanted[field]));
        }
    };
    let zone = chrono_tz::Asia::Ho_Chi_Minh;
    same("title", draft.title.clone().into());
    same("categories", draft.categories.iter().map(|c| c.0.clone()).collect());
    let published = draft.published.map(|at| at.with_timezone(&zone).to_rfc3339());
    same("published", published.into());
    same("authors", draft.authors.clone().into());
    same("tags", draft.tags.clone().into());
    same("source", draft.source.map(|s| s.title).into());
    same("summary", draft.summary.clone().into());
    same("url", draft.url.as_ref().map(WebUrl::as_str).into());
    same("image", draft.image.as_ref().map(|i| i.url.as_str()).into());
    let body = lines(&draft.body);
    same("body", body.clone().into());
    same("starts", body.first().cloned().into());
    same("ends", body.last().cloned().into());
    let html = draft.body.as_str();
    for part in texts(&wanted["has"]) {
        if !body.iter().any(|line| line.contains(part)) {
            found.push(format!("the body lacks {part}"));
        }
    }
    let attribute = |name: &str, value: &str| html.contains(&format!("{name}=\"{value}\""));
    found.extend(
        texts(&wanted["images"])
            .into_iter()
            .filter(|src| !attribute("src", src))
            .map(|src| format!("no picture {src}")),
    );
    found.extend(
        texts(&wanted["links"])
            .into_iter()
            .filter(|href| !attribute("href", href))
            .map(|href| format!("no link {href}")),
    );
    for part in texts(&wanted["not"]) {
        if body.iter().any(|line| line.contains(part)) {
            found.push(format!("the body has {part}"));
        }
    }
    found
}

#[test]
fn every_page_of_the_corpus_is_read_as_its_newsroom_means_it() {
    let pages = pages();
    assert!(pages.len() >= 40, "{}", pages.len());
    let mut failures = Vec::new();
    for page in &pages {
        let beside = format!("{}.json", page.display());
        let wanted: Value = serde_json::from_str(&std::fs::read_to_string(&beside).unwrap()).unwrap();
        let found = differences(page, &wanted);
        if !found.is_empty() {
            failures.push(format!("{} ({})\n    {}", page.display(), wanted["shows"], found.join("\n    ")));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), pages.len(), failures.join("\n"));
}
