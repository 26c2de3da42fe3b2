//! A page's elements as paragraphs.

use super::blocks::{self, Block, Kind};
use super::html_tree::{self, is_foreign, is_inline, markup, text_size, words};
use super::rules::rules;
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
        if is_foreign(inner, whole) {
            continue;
        }
        let name = inner.value().name();
        let holds_blocks = || {
            inner.descendants().filter_map(ElementRef::wrap).any(|e| {
                matches!(e.value().name(), "p" | "div" | "h2" | "h3" | "figure" | "table" | "ul" | "ol")
            })
        };
        match name {
            "br" => {
                breaks += 1;
                if breaks > 1 {
                    flush(line, parts);
                } else {
                    line.push(("<br>".to_owned(), " ".to_owned()));
                }
                continue;
            }
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "ul" | "ol" | "dl" | "table"
            | "figure" | "pre" | "img" | "picture"
                if name != "table" || text_size(inner) * 10 < whole * 6 =>
            {
                flush(line, parts);
                parts.extend(part(inner, whole));
            }
            _ if is_inline(name) && !holds_blocks() => line.push((markup(inner, whole), words(inner))),
            _ => {
                flush(line, parts);
                collect(inner, whole, line, parts);
                flush(line, parts);
            }
        }
        breaks = 0;
    }
    if !is_inline(element.value().name()) {
        flush(line, parts);
    }
}

/// Ends a paragraph made of what stands between blocks.
fn flush(line: &mut Vec<(String, String)>, parts: &mut Vec<Part>) {
    while line.last().is_some_and(|(html, text)| html == "<br>" || text.trim().is_empty()) {
        line.pop();
    }
    let text = line.iter().map(|(_, text)| text.as_str()).collect::<String>();
    let html: String = line.drain(..).map(|(html, _)| html).collect();
    let text = blocks::without_residue(&text);
    if !text.is_empty() {
        let html = format!("<p>{}</p>", html.trim().trim_start_matches("<br>"));
        parts.push(Part {
            block: Block { kind: Kind::Paragraph, text, gap: 0 },
            html,
            pictured: false,
            links: false,
        });
    }
}

/// A block element as a paragraph.
fn part(element: ElementRef<'_>, whole: usize) -> Option<Part> {
    let text = blocks::without_residue(&words(element));
    let inside = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        element
            .descendants()
            .filter_map(ElementRef::wrap)
            .filter(move |e| names.iter().any(|n| n == e.value().name()))
            .collect::<Vec<_>>()
    };
    let images: Vec<ElementRef<'_>> =
        inside(&["img"]).into_iter().filter(|i| html_tree::image_source(*i).is_some()).collect();
    if text.is_empty() && images.is_empty() {
        return None;
    }
    let name = element.value().name();
    let linked: usize = inside(&["a"]).into_iter().map(|a| words(a).len()).sum();
    let is_list = matches!(name, "ul" | "ol" | "table" | "dl");
    let links = is_list && images.is_empty() && linked * 10 > text.len() * 7 && text.len() > 20;
    let pictured = !images.is_empty();
    let short = text.chars().count() <= rules().captions.longest;
    // Many papers set a picture and its caption as a table.
    let html = if pictured
        && short
        && !matches!(name, "ul" | "ol" | "blockquote")
        && (name != "p" || text.is_empty() || blocks::is_caption(&text))
    {
        let pictures: String = images.iter().map(|i| markup(*i, whole)).collect();
        figure(&pictures, &text)
    } else {
        markup(element, whole)
    };
    let kind = match name {
        "h2" | "h3" | "h4" | "h5" | "h6" => Kind::Heading,
        _ if html.starts_with("<figure") => Kind::Caption,
        _ => Kind::Paragraph,
    };
    Some(Part { block: Block { kind, text, gap: 0 }, html, pictured, links })
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
    let inner = html.trim_start_matches("<p>").trim_end_matches("</p>").trim();
    let bold = |tag: &str| {
        let body = inner.strip_prefix(&format!("<{tag}>")).and_then(|i| i.strip_suffix(&format!("</{tag}>")));
        body.is_some_and(|b| !b.contains(&format!("</{tag}>")))
    };
    bold("strong") || bold("b")
}
