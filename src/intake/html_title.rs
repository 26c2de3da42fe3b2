//! The headline of an HTML page.

use super::html_metadata::{Metadata, is_cut};
use super::html_tree::{all, first, text_size, words};
use super::masthead::find_title;
use super::page_lines::Line;
use super::{Guess, Intake, plain_line};
use crate::domain::fold;
use scraper::Html;

/// The headline: as the page says it to machines, where it also shows it; else the heading; else the
/// window's title without the paper's name; else the line that looks like one.
pub fn title(html: &Html, lines: &[Line], said: &Metadata, intake: &Intake<'_>) -> Option<(String, Guess)> {
    let guess = |title: String, rule, confidence| Some((title, Guess::new("title", rule, confidence)));
    let meta = |css: &str| first(html, css).and_then(|m| m.attr("content")).map(plain_line);
    let paper = meta(r#"meta[property="og:site_name"]"#).map(|name| fold(&name));
    let untitled = &intake.rules.html.untitled;
    let signs = intake.rules.html.papers.iter().flat_map(|css| all(html, css).into_iter().take(3));
    let papers: Vec<String> =
        signs.filter(|e| text_size(*e) <= 200).map(|e| fold(&words(e))).chain(paper.clone()).collect();
    let is_paper = |title: &str| untitled.contains(title) || papers.contains(&fold(title));
    let window = first(html, "title").map(|t| plain_line(&words(t)));
    let graph = meta(r#"meta[property="og:title"]"#).filter(|t| !is_cut(t));
    let shown = |title: &str| {
        let folded = fold(title);
        lines.iter().take(400).find(|line| fold(&line.text) == folded).map(|line| line.text.clone())
    };
    if let Some(title) = &said.title {
        return guess(title.clone(), "the page's JSON-LD", 95);
    }
    let named =
        [&graph, &window].into_iter().flatten().flat_map(|named| without_paper(named, paper.as_deref()));
    let named = named.filter(|title| title.split(' ').count() >= 2 && !is_paper(title));
    // The paper's own name is shown too, but a headline says more.
    if let Some(title) = named.filter_map(|title| shown(&title)).max_by_key(|title| title.split(' ').count())
    {
        return guess(title, "the window's title, shown on the page too", 90);
    }
    let heads: Vec<String> = all(html, "h1")
        .into_iter()
        .filter(|h| text_size(*h) <= 2000)
        .take(20)
        .map(|h| plain_line(&words(h)))
        .filter(|t| !t.is_empty() && !is_paper(t))
        .collect();
    let long = heads.iter().filter(|t| t.split(' ').count() >= 3);
    if let Some(head) = long.max_by_key(|t| t.chars().count().min(200)) {
        return guess(head.clone(), "the page's heading", 85);
    }
    let cut = |named: &String| without_paper(named, paper.as_deref()).into_iter().next_back();
    if let Some(title) = graph.as_ref().and_then(cut).filter(|title| !is_paper(title)) {
        return guess(title, "OpenGraph's title", 80);
    }
    if let Some(found) = find_title(lines, intake).filter(|found| found.confidence >= 80) {
        return guess(lines.get(found.title_at)?.text.clone(), found.rule, found.confidence);
    }
    let head = heads.into_iter().next();
    let title = head.or_else(|| window.as_ref().and_then(cut)).filter(|t| !t.is_empty())?;
    guess(title, "the window's title", 45)
}

/// A title, and what of it may be the title alone: papers add their name before or behind.
fn without_paper(title: &str, paper: Option<&str>) -> Vec<String> {
    let mut found = vec![title.to_owned()];
    let mut rest = title;
    while let Some((head, tail)) =
        rest.rsplit_once(['|', '-', '–', '»', '«']).filter(|(head, _)| head.ends_with(' '))
    {
        rest = head.trim_end_matches([' ', '|', '-', '–', '»', '«']);
        let folded = fold(tail);
        let is_paper = paper == Some(folded.as_str())
            || folded.starts_with("bao ")
            || folded.ends_with(" vn")
            || folded.contains("online");
        found.push(rest.to_owned());
        if is_paper {
            break;
        }
    }
    if let Some((_, tail)) = title.split_once(['|', '-', '–']).filter(|(head, _)| head.ends_with(' ')) {
        found.insert(1, tail.trim().to_owned());
    }
    found
}
