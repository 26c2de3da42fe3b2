//! Where the text of an article stands in a page.

use super::html_tree::{all, is_foreign, is_inline, text_size};
use super::rules::Rules;
use ego_tree::NodeId;
use scraper::{ElementRef, Html, Node};
use std::collections::HashMap;

/// The element that the text stands in, and whether papers name it so; else it is the one with most
/// running text directly below it.
pub fn container<'h>(html: &'h Html, rules: &Rules) -> Option<(ElementRef<'h>, bool)> {
    const ENOUGH: usize = 200;
    for css in &rules.html.containers {
        let found =
            all(html, css).into_iter().take(40).map(|e| (text_size(e), e)).max_by_key(|(size, _)| *size);
        if let Some((_, element)) = found.filter(|(size, _)| *size >= ENOUGH) {
            // Teasers are articles too.
            return Some((element, css != "article"));
        }
    }
    let body = all(html, "body").into_iter().next()?;
    let mut scores = Scores { rules, whole: text_size(body), of: HashMap::new() };
    scores.walk(body);
    let best = scores.of.into_iter().max_by_key(|(id, score)| (*score, std::cmp::Reverse(*id)))?;
    let element = html.tree.get(best.0).and_then(ElementRef::wrap).filter(|_| best.1 >= 100)?;
    Some((element, false))
}

struct Scores<'r> {
    rules: &'r Rules,
    whole: usize,
    of: HashMap<NodeId, usize>,
}

impl Scores<'_> {
    /// Each paragraph speaks for the element it stands in, and half as much for the next one up. One
    /// that papers break into lines speaks for itself. The tree's depth is bounded.
    fn walk(&mut self, element: ElementRef<'_>) {
        let mut own = Own::default();
        // An inline element is read with the block that it stands in.
        if !is_inline(element.value().name()) {
            own.read(element, false);
        }
        if own.text >= 40 && own.linked * 2 < own.text && own.stops > 0 {
            let parents = || element.ancestors().filter_map(ElementRef::wrap);
            if own.blocks > 0 || own.breaks >= 2 {
                *self.of.entry(element.id()).or_default() += own.text;
            } else if let Some(parent) = parents().next() {
                *self.of.entry(parent.id()).or_default() += own.text;
                if let Some(above) = parents().nth(1) {
                    *self.of.entry(above.id()).or_default() += own.text / 2;
                }
            }
        }
        for child in element.children().filter_map(ElementRef::wrap) {
            if !is_foreign(self.rules, child, self.whole) {
                self.walk(child);
            }
        }
    }
}

/// The text of an element that stands in no block below it.
#[derive(Default)]
struct Own {
    text: usize,
    linked: usize,
    stops: usize,
    blocks: usize,
    breaks: usize,
}

impl Own {
    fn read(&mut self, element: ElementRef<'_>, linked: bool) {
        for child in element.children() {
            match child.value() {
                Node::Text(text) => {
                    let size = text.trim().len();
                    self.text += size;
                    self.linked += if linked { size } else { 0 };
                    self.stops += text.matches(['.', ',', ';', '?', '!']).count();
                }
                Node::Element(value) => {
                    let name = value.name();
                    self.breaks += usize::from(name == "br");
                    if !is_inline(name) {
                        self.blocks += 1;
                    } else if let Some(inner) = ElementRef::wrap(child) {
                        self.read(inner, linked || name == "a");
                    }
                }
                _ => {}
            }
        }
    }
}
