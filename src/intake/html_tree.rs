//! HTML into a tree, within bounds, and back into markup.

use super::blocks::escape;
use super::rules::rules;
use super::{Fault, MAX_PAGE_BYTES};
use crate::domain::clean_line;
use html5ever::tendril::{StrTendril, TendrilSink as _};
use scraper::{ElementRef, Html, HtmlTreeSink, Node, Selector};

/// html5ever takes quadratic time in nesting depth (50 kB of nested `<div>` cost 0.25 s to 7 s).
const MAX_DEPTH: usize = 256;
/// Formatting elements left open are opened again in every paragraph, so a small page can make a
/// huge tree: 200 `<font>` and 500,000 `<p>` in 1.5 MB would be 100 million nodes.
const MAX_NODES: usize = 150_000;
/// The tree is looked at after each such part, so that no attack gets further than that.
const SLICE: usize = 2048;

/// Parses a page, and stops at once where its tree becomes too deep or too big.
pub fn parse(text: &str) -> Result<Html, Fault> {
    if text.len() > MAX_PAGE_BYTES {
        return Err(Fault::new(
            None,
            format!(
                "the page has {} bytes, more than the {MAX_PAGE_BYTES} that are read; no article is that long",
                text.len()
            ),
        ));
    }
    let mut parser =
        html5ever::parse_document(HtmlTreeSink::new(Html::new_document()), html5ever::ParseOpts::default());
    let (mut rest, mut looked_at, mut line) = (text, 0, 1);
    while !rest.is_empty() {
        let mut end = rest.len().min(SLICE);
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (slice, after) = rest.split_at(end);
        parser.process(StrTendril::from(slice));
        let html = parser.tokenizer.sink.sink.0.borrow();
        let mut fresh = html.tree.nodes();
        let count = fresh.len();
        let too_deep = fresh.len() > looked_at && {
            // One in eight is enough: a chain of them cannot be missed by more than eight levels.
            let newest = fresh.next_back();
            newest
                .into_iter()
                .chain(html.tree.nodes().skip(looked_at).step_by(8))
                .any(|n| n.ancestors().nth(MAX_DEPTH).is_some())
        };
        if too_deep || count > MAX_NODES {
            let what = if too_deep { "elements nested too deeply" } else { "too many elements" };
            return Err(Fault::new(line, format!("the page has {what}; no article is like that")));
        }
        drop(html);
        looked_at = count;
        line += slice.matches('\n').count();
        rest = after;
    }
    Ok(parser.finish())
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
pub fn is_foreign(element: ElementRef<'_>, whole: usize) -> bool {
    let value = element.value();
    if matches!(
        value.name(),
        "script"
            | "style"
            | "nav"
            | "aside"
            | "form"
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
    let named = [value.attr("class"), value.attr("id")]
        .into_iter()
        .flatten()
        .any(|n| rules().html.not_article.is_match(n));
    let hidden = value.attr("style").is_some_and(|s| s.replace(' ', "").contains("display:none"))
        || value.attr("hidden").is_some();
    (named || hidden) && text_size(element) * 5 < whole * 2
}

/// The markup of an element and all in it, less foreign parts; pictures that scripts would load
/// get their address.
pub fn markup(element: ElementRef<'_>, whole: usize) -> String {
    let mut html = String::new();
    write(element, whole, &mut html);
    html
}

fn write(element: ElementRef<'_>, whole: usize, html: &mut String) {
    if is_foreign(element, whole) {
        return;
    }
    let name = element.value().name();
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
            // The tree is at most MAX_DEPTH deep, and so is this recursion.
            Node::Element(_) => {
                ElementRef::wrap(child).into_iter().for_each(|child| write(child, whole, html))
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
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn bombs_are_refused_fast() {
        let fonts: String = (0..200).map(|n| format!("<font size={n}>")).collect();
        for bomb in [
            "<div>".repeat(50_000),
            "<div></x>".repeat(50_000),
            "<span><div></span>".repeat(50_000),
            "<div title='></div>'>".repeat(50_000),
            "<svg><script>".to_owned() + &"<g>".repeat(50_000),
            "<table><tr><td>".repeat(50_000),
            fonts + &"<p>x".repeat(500_000),
        ] {
            let from = Instant::now();
            let fault = parse(&bomb).unwrap_err();
            assert!(from.elapsed() < Duration::from_secs(3), "{:?} {}", from.elapsed(), &bomb[..40]);
            assert!(fault.message.contains("no article is like that"), "{fault}");
        }
        assert!(parse(&" ".repeat(MAX_PAGE_BYTES + 1)).unwrap_err().message.contains("bytes"));
    }

    #[test]
    fn markup_comes_back_without_foreign_parts() {
        let html = parse("<div id=x><p onclick=y>Một &lt; <b>hai</b><img src='data:x' data-src='/a.jpg'></p><div class='box share-top'>Chia sẻ</div></div>").unwrap();
        let element = first(&html, "#x").unwrap();
        assert_eq!(markup(element, 100), "<div><p>Một &lt; <b>hai</b><img src=\"/a.jpg\"></p></div>");
        assert_eq!(words(element), "Một < hai Chia sẻ");
    }
}
