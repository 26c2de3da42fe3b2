//! HTML into a tree, within bounds, and back into markup.

use super::blocks;
use super::blocks::escape;
use super::page_lines::{Line, MOST_LINES};
use super::position::position;
use super::rules::Rules;
use super::{Fault, MAX_PAGE_BYTES};
use crate::domain::{bounded_document, clean_line};
use scraper::{ElementRef, Html, Node, Selector};

/// Parses a page, and stops at once where its tree becomes too deep or too big.
pub fn parse(text: &str) -> Result<Html, Fault> {
    within_size(text.len())?;
    bounded_document(text).map_err(|bomb| {
        let line = position(text, bomb.offset).0;
        Fault::new(
            line,
            "the page nests its elements too deeply or has too many of them; no article is like that",
        )
    })
}

/// Refuses a page by its size alone.
pub fn within_size(bytes: usize) -> Result<(), Fault> {
    if bytes <= MAX_PAGE_BYTES {
        return Ok(());
    }
    Err(Fault::new(
        None,
        format!(
            "the page has {bytes} bytes, more than the {MAX_PAGE_BYTES} that are read; no article is that long"
        ),
    ))
}

/// The elements that a selector of ours finds.
pub fn all<'h>(html: &'h Html, css: &str) -> Vec<ElementRef<'h>> {
    Selector::parse(css).map(|selector| html.select(&selector).collect()).unwrap_or_default()
}

/// The first one.
pub fn first<'h>(html: &'h Html, css: &str) -> Option<ElementRef<'h>> {
    let selector = Selector::parse(css).ok()?;
    html.select(&selector).next()
}

/// The words of an element on one line, without what nobody sees.
pub fn words(element: ElementRef<'_>) -> String {
    let mut text = String::new();
    for node in element.descendants() {
        match node.value() {
            Node::Text(words) if !is_hidden(node.parent().and_then(ElementRef::wrap)) => text.push_str(words),
            // Blocks and breaks part words.
            Node::Element(e) if !is_inline(e.name()) || e.name() == "br" => text.push(' '),
            _ => {}
        }
    }
    clean_line(&text)
}

/// The lines of a page as a browser shows them, and whether each is a link and nothing else.
pub fn lines(rules: &Rules, html: &Html) -> Vec<(Line, bool)> {
    let mut page = Lines { rules, lines: Vec::new(), raw: String::new(), linked: 0 };
    if let Some(body) = first(html, "body") {
        page.walk(body, false);
        page.end();
    }
    page.lines
}

struct Lines<'r> {
    rules: &'r Rules,
    lines: Vec<(Line, bool)>,
    raw: String,
    linked: usize,
}

impl Lines<'_> {
    // The tree's depth is bounded, and so is this recursion.
    fn walk(&mut self, element: ElementRef<'_>, linked: bool) {
        for child in element.children() {
            match child.value() {
                Node::Text(text) => {
                    let text = text.replace(['\n', '\r', '\t'], " ");
                    self.linked += if linked { text.trim().len() } else { 0 };
                    self.raw.push_str(&text);
                }
                Node::Element(value) => {
                    let Some(inner) = ElementRef::wrap(child) else { continue };
                    let name = value.name();
                    if matches!(
                        name,
                        "script"
                            | "style"
                            | "noscript"
                            | "template"
                            | "textarea"
                            | "select"
                            | "svg"
                            | "head"
                            | "amp-sidebar"
                    ) {
                        continue;
                    }
                    let ends = name == "br" || !is_inline(name);
                    if ends {
                        self.end();
                    } else if matches!(name, "a" | "span" | "label")
                        && !self.raw.ends_with(char::is_alphanumeric)
                    {
                        // Steps of a breadcrumb that only style sheets keep apart.
                        self.raw.push_str("   ");
                    }
                    self.walk(inner, linked || name == "a");
                    if ends {
                        self.end();
                    } else if name == "a" {
                        self.raw.push_str("   ");
                    }
                }
                _ => {}
            }
        }
    }

    fn end(&mut self) {
        let raw = std::mem::take(&mut self.raw);
        let linked = std::mem::take(&mut self.linked);
        let text = blocks::without_residue(self.rules, &raw);
        if text.chars().any(char::is_alphanumeric) && self.lines.len() < MOST_LINES {
            let is_link = linked * 10 > text.len() * 8;
            self.lines.push((Line { number: self.lines.len() + 1, raw, text, gap: 0 }, is_link));
        }
    }
}

/// How many bytes of text there are in an element: cheap, for comparing parts of a page.
pub fn text_size(element: ElementRef<'_>) -> usize {
    element.descendants().filter_map(|n| n.value().as_text().map(|t| t.trim().len())).sum()
}

fn is_hidden(parent: Option<ElementRef<'_>>) -> bool {
    parent.is_some_and(|p| {
        matches!(p.value().name(), "script" | "style" | "noscript" | "template" | "textarea")
    })
}

/// Whether an element stands within a line.
pub fn is_inline(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "b"
            | "bdi"
            | "bdo"
            | "big"
            | "br"
            | "cite"
            | "code"
            | "del"
            | "dfn"
            | "em"
            | "font"
            | "i"
            | "ins"
            | "kbd"
            | "mark"
            | "q"
            | "s"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "time"
            | "tt"
            | "u"
            | "var"
            | "wbr"
            | "label"
            | "o:p"
            | "st1:place"
    )
}

/// Whether an element of a page is no part of an article, by its name, class or id. A part that
/// holds much of the text is the article, whatever it is called.
pub fn is_foreign(rules: &Rules, element: ElementRef<'_>, whole: usize) -> bool {
    let value = element.value();
    if matches!(
        value.name(),
        "script"
            | "style"
            | "nav"
            | "amp-sidebar"
            | "amp-ad"
            | "aside"
            | "footer"
            | "iframe"
            | "button"
            | "noscript"
            | "template"
            | "select"
            | "input"
            | "textarea"
            | "svg"
            | "object"
            | "embed"
            | "link"
            | "meta"
            | "audio"
            | "video"
    ) {
        return true;
    }
    let named = [value.attr("class"), value.attr("id"), value.attr("type")]
        .into_iter()
        .flatten()
        .any(|n| rules.html.not_article.is_match(n));
    let hidden = value.attr("style").is_some_and(|s| s.replace(' ', "").contains("display:none"))
        || value.attr("hidden").is_some();
    // Old pages stand in one form as a whole.
    (named || hidden || value.name() == "form") && text_size(element) * 5 < whole * 2
}

/// The markup of an element and all in it, less foreign parts; pictures that scripts would load
/// get their address.
pub fn markup(rules: &Rules, element: ElementRef<'_>, whole: usize) -> String {
    let mut html = String::new();
    write(rules, element, whole, &mut html);
    html
}

fn write(rules: &Rules, element: ElementRef<'_>, whole: usize, html: &mut String) {
    if is_foreign(rules, element, whole) {
        return;
    }
    let name = match element.value().name() {
        "amp-img" => "img",
        name => name,
    };
    html.push('<');
    html.push_str(name);
    for (attribute, value) in element.value().attrs() {
        if matches!(attribute, "src" | "srcset") && name == "img" {
            continue;
        }
        if matches!(
            attribute,
            "href"
                | "alt"
                | "title"
                | "width"
                | "height"
                | "colspan"
                | "rowspan"
                | "lang"
                | "datetime"
                | "start"
        ) {
            html.push_str(&format!(" {attribute}=\"{}\"", escape(value)));
        }
    }
    if name == "img"
        && let Some(source) = image_source(element)
    {
        html.push_str(&format!(" src=\"{}\"", escape(source)));
    }
    html.push('>');
    if matches!(name, "img" | "br" | "hr" | "wbr" | "col" | "source" | "track" | "area") {
        return;
    }
    for child in element.children() {
        match child.value() {
            Node::Text(text) => html.push_str(&escape(text)),
            // The tree's depth is bounded, and so is this recursion.
            Node::Element(_) => {
                ElementRef::wrap(child).into_iter().for_each(|child| write(rules, child, whole, html))
            }
            _ => {}
        }
    }
    html.push_str(&format!("</{name}>"));
}

/// Where a picture is: lazy loaders keep it beside a placeholder.
pub fn image_source(image: ElementRef<'_>) -> Option<&str> {
    let attributes = ["data-src", "data-original", "data-lazy-src", "data-photo-original-src", "src"];
    attributes
        .iter()
        .filter_map(|name| image.attr(name))
        .find(|src| !src.trim().is_empty() && !src.starts_with("data:"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::intake;
    use super::*;
    #[test]
    fn bombs_are_one_fault() {
        let fault = parse(&format!("\n{}", "<div>".repeat(50_000))).unwrap_err();
        assert!(fault.to_string().starts_with("line 2: the page nests"), "{fault}");
        assert!(parse(&" ".repeat(MAX_PAGE_BYTES + 1)).unwrap_err().message.contains("bytes"));
    }

    #[test]
    fn markup_comes_back_without_foreign_parts() {
        let html = parse("<div id=x><p onclick=y>Một &lt; <b>hai</b><img src='data:x' data-src='/a.jpg'></p><div class='box share-top'>Chia sẻ</div></div>").unwrap();
        let element = first(&html, "#x").unwrap();
        assert_eq!(
            markup(intake("").rules, element, 100),
            "<div><p>Một &lt; <b>hai</b><img src=\"/a.jpg\"></p></div>"
        );
        assert_eq!(words(element), "Một < hai Chia sẻ");
    }
}
