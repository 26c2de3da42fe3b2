//! A page's elements as paragraphs.

use super::blocks::{self, Block, Kind};
use super::html_tree::{self, is_foreign, is_inline, markup, text_size, words};
use super::rules::Rules;
use scraper::{ElementRef, Node};

/// A paragraph with its markup.
pub struct Part {
    /// Its words.
    pub block: Block,
    /// Its markup.
    pub html: String,
    /// Whether there is a picture in it.
    pub pictured: bool,
    /// Whether it is a list of links and little else.
    pub links: bool,
}

/// Takes an element apart into paragraphs. What is neither block nor in one becomes a paragraph.
pub fn collect(
    rules: &Rules,
    element: ElementRef<'_>,
    whole: usize,
    line: &mut Vec<(String, String)>,
    parts: &mut Vec<Part>,
) {
    let mut breaks = 0;
    for child in element.children() {
        let Some(inner) = ElementRef::wrap(child) else {
            if let Node::Text(text) = child.value() {
                if !text.trim().is_empty() {
                    breaks = 0;
                }
                line.push((blocks::escape(text), text.to_string()));
            }
            continue;
        };
        let name = inner.value().name();
        if let Some(part) = embed(inner) {
            flush(rules, line, parts);
            parts.push(part);
            continue;
        }
        if is_foreign(rules, inner, whole) {
            continue;
        }
        let holds_blocks = || {
            inner.descendants().filter_map(ElementRef::wrap).any(|e| {
                matches!(e.value().name(), "p" | "div" | "h2" | "h3" | "figure" | "table" | "ul" | "ol")
            })
        };
        // One font element around a whole text that line breaks part.
        let holds_breaks = || {
            let breaks =
                inner.descendants().filter(|n| n.value().as_element().is_some_and(|e| e.name() == "br"));
            breaks.count() >= 2
        };
        // A heading and a summary in one link lead to another article.
        if name == "a"
            && text_size(inner) > 20
            && text_size(inner) * 3 < whole
            && holds_blocks()
            && !captioned(inner)
        {
            continue;
        }
        match name {
            "br" => {
                breaks += 1;
                if breaks > 1 {
                    flush(rules, line, parts);
                } else {
                    line.push(("<br>".to_owned(), " ".to_owned()));
                }
                continue;
            }
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "ul" | "ol" | "dl" | "table"
            | "figure" | "pre" | "img" | "amp-img" | "picture"
                if name != "table" || text_size(inner) * 10 < whole * 6 =>
            {
                flush(rules, line, parts);
                parts.extend(part(rules, inner, whole));
            }
            _ if is_inline(name) && !holds_blocks() && !holds_breaks() => {
                line.push((markup(rules, inner, whole), words(inner)))
            }
            _ => {
                flush(rules, line, parts);
                collect(rules, inner, whole, line, parts);
                flush(rules, line, parts);
            }
        }
        breaks = 0;
    }
    if !is_inline(element.value().name()) {
        flush(rules, line, parts);
    }
}

/// Whether there is a picture with its caption in an element, as in links to the larger picture.
fn captioned(element: ElementRef<'_>) -> bool {
    element.descendants().any(|n| n.value().as_element().is_some_and(|e| e.name() == "figcaption"))
}

/// Ends a paragraph made of what stands between blocks.
fn flush(rules: &Rules, line: &mut Vec<(String, String)>, parts: &mut Vec<Part>) {
    while line.last().is_some_and(|(html, text)| html == "<br>" || text.trim().is_empty()) {
        line.pop();
    }
    let text = line.iter().map(|(_, text)| text.as_str()).collect::<String>();
    let html: String = line.drain(..).map(|(html, _)| html).collect();
    let text = blocks::without_residue(rules, &text);
    if !text.is_empty() {
        let html = html.trim().trim_start_matches("<br>");
        // A paragraph that is one link leads to another article.
        let is_link = text.len() > 20
            && html.starts_with("<a ")
            && html.ends_with("</a>")
            && html.matches("<a ").count() == 1;
        let html = format!("<p>{html}</p>");
        parts.push(Part {
            block: Block { kind: Kind::Paragraph, text, gap: 0 },
            html,
            pictured: false,
            links: is_link,
        });
    }
}

/// A block element as a paragraph.
fn part(rules: &Rules, element: ElementRef<'_>, whole: usize) -> Option<Part> {
    let text = blocks::without_residue(rules, &words(element));
    let inside = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        element
            .descendants()
            .filter_map(ElementRef::wrap)
            .filter(move |e| names.iter().any(|n| n == e.value().name()))
            .collect::<Vec<_>>()
    };
    let images: Vec<ElementRef<'_>> =
        inside(&["img", "amp-img"]).into_iter().filter(|i| html_tree::image_source(*i).is_some()).collect();
    if text.is_empty() && images.is_empty() {
        return None;
    }
    let name = element.value().name();
    let linked: usize = inside(&["a"]).into_iter().map(|a| words(a).len()).sum();
    let is_list = matches!(name, "ul" | "ol" | "table" | "dl");
    let share = if is_list { 7 } else { 9 };
    let links = images.is_empty() && linked * 10 > text.len() * share && text.len() > 20;
    let pictured = !images.is_empty();
    let short = text.chars().count() <= rules.captions.longest;
    // Many papers set a picture and its caption as a table.
    let html = if pictured
        && short
        && !matches!(name, "ul" | "ol" | "blockquote")
        && (name != "p" || text.is_empty() || blocks::is_caption(rules, &text))
    {
        let pictures: String = images.iter().map(|i| markup(rules, *i, whole)).collect();
        figure(&pictures, &text)
    } else {
        markup(rules, element, whole)
    };
    let heads = matches!(name, "h2" | "h3" | "h4" | "h5" | "h6");
    // A lead is often set as a heading.
    let speaks = heads && !pictured && blocks::is_prose(rules, &text) && text.ends_with('.');
    let html = if speaks { format!("<p>{}</p>", blocks::escape(&text)) } else { html };
    let kind = match name {
        _ if heads && !speaks => Kind::Heading,
        _ if html.starts_with("<figure") => Kind::Caption,
        "p" if short && element.attr("class").is_some_and(|c| rules.html.captions.is_match(c)) => {
            Kind::Caption
        }
        _ => Kind::Paragraph,
    };
    Some(Part { block: Block { kind, text, gap: 0 }, html, pictured, links })
}

/// A film or another page set into this one: what is clean has a link in its place.
fn embed(element: ElementRef<'_>) -> Option<Part> {
    let name = element.value().name();
    if !matches!(name, "iframe" | "video" | "audio" | "amp-youtube" | "amp-video") {
        return None;
    }
    let sources = element.descendants().filter_map(ElementRef::wrap);
    let source = sources.filter_map(|e| e.attr("src").or_else(|| e.attr("data-src"))).find(|s| !s.is_empty());
    let source = match element.attr("data-videoid") {
        Some(id) => format!("https://www.youtube.com/watch?v={id}"),
        None => source?.to_owned(),
    };
    let title = element.attr("title").unwrap_or_default();
    let tag = if name == "audio" { "audio" } else { "iframe" };
    let html = format!(
        "<p><{tag} src=\"{}\" title=\"{}\"></{tag}></p>",
        blocks::escape(&source),
        blocks::escape(title)
    );
    let block = Block { kind: Kind::Paragraph, text: String::new(), gap: 0 };
    Some(Part { block, html, pictured: true, links: false })
}

/// A picture and the words under it.
pub fn figure(pictures: &str, caption: &str) -> String {
    if caption.is_empty() {
        return format!("<figure>{pictures}</figure>");
    }
    format!("<figure>{pictures}<figcaption>{}</figcaption></figure>", blocks::escape(caption))
}

/// Whether a paragraph is bold from end to end, as sub-headings often are.
pub fn is_bold(html: &str) -> bool {
    is_all_in(html, &["strong", "b"])
}

/// Whether a paragraph is slanted from end to end, as captions often are.
pub fn is_slanted(html: &str) -> bool {
    is_all_in(html, &["em", "i"])
}

fn is_all_in(html: &str, tags: &[&str]) -> bool {
    let inner = html.trim_start_matches("<p>").trim_end_matches("</p>").trim();
    tags.iter().any(|tag| {
        let body = inner.strip_prefix(&format!("<{tag}>")).and_then(|i| i.strip_suffix(&format!("</{tag}>")));
        body.is_some_and(|b| !b.contains(&format!("</{tag}>")))
    })
}
