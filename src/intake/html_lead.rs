//! The lead of an HTML page.

use super::blocks::{self, Block, Kind};
use super::html_metadata::is_cut;
use super::html_parts::Part;
use super::html_tree::{self, all, text_size, words};
use super::rules::Rules;
use crate::domain::fold;
use scraper::{ElementRef, Html};

/// The lead: an element named so, else the page's description where it is whole, else what stands
/// between title and text, else the first paragraph. It opens the text too, without the paper's "STO - ".
pub fn lead(
    html: &Html,
    parts: &mut Vec<Part>,
    described: Option<&str>,
    between: &[Block],
    stands_above: impl Fn(&str) -> bool,
    page: &str,
    rules: &Rules,
) -> Option<String> {
    let named = rules.html.leads.iter().flat_map(|css| all(html, css).into_iter().take(20));
    let whole = text_size(html.root_element());
    let named = named.filter(|e| !is_teaser(rules, *e, whole)).map(|e| lead_words(rules, e));
    let named = named.filter(|t| t.chars().count() >= 40).find(|t| stands_above(t));
    let note = &rules.lead.note;
    let between = between.iter().find(|b| blocks::is_prose(rules, &b.text) && !note.is_match(&b.text));
    let named = named.or_else(|| between.map(|b| b.text.clone()));
    let at = parts.iter().position(|p| {
        p.block.kind == Kind::Paragraph && !p.block.text.is_empty() && !note.is_match(&p.block.text)
    });
    let opening = at.map(|at| parts[at].block.text.clone());
    let whole = described.filter(|d| d.chars().count() >= 40 && !is_cut(d)).map(str::to_owned);
    let found = named.clone().or_else(|| {
        // A description that begins as the first paragraph does is that paragraph, cut.
        let opens = |d: &String| {
            opening.as_ref().is_some_and(|o| {
                let bare = fold(&blocks::without_prefix(rules, o, page));
                bare.starts_with(&fold(d)) || blocks::same_words(rules, o, d)
            })
        };
        whole.filter(|d| !opens(d)).or_else(|| opening.clone())
    })?;
    let found = blocks::without_stroke(rules, &rules.lead.month.cut(&found));
    let lead = blocks::without_prefix(rules, &found, page);
    if let (Some(at), Some(opening)) = (at, &opening) {
        let bare = blocks::without_prefix(rules, opening, page);
        let prefix = &opening[..opening.len() - bare.len()];
        if !prefix.is_empty() {
            // The prefix may be bold, so it is looked for in the markup as well as in the text.
            let cut = parts[at].html.replacen(blocks::escape(prefix).trim_end(), "", 1);
            let cut = cut
                .replacen("<strong></strong>", "", 1)
                .replacen("<strong> </strong>", "", 1)
                .replacen("<b></b>", "", 1)
                .replacen("<p> ", "<p>", 1);
            parts[at].html = if cut.len() < parts[at].html.len() {
                cut
            } else {
                format!("<p>{}</p>", blocks::escape(&bare))
            };
            parts[at].block.text = bare;
        }
    }
    let stands = parts.iter().take(4).any(|p| blocks::same_words(rules, &p.block.text, &found));
    if named.is_some() && !stands {
        let block = Block { kind: Kind::Paragraph, text: lead.clone(), gap: 0 };
        parts.insert(
            0,
            Part { html: format!("<p>{}</p>", blocks::escape(&lead)), block, pictured: false, links: false },
        );
    }
    Some(lead)
}

/// Whether a lead is another article's: it stands in a link, in a list or in a small part of such a name.
fn is_teaser(rules: &Rules, lead: ElementRef<'_>, whole: usize) -> bool {
    let mut around = lead.ancestors().filter_map(ElementRef::wrap);
    around.any(|e| {
        let names = [e.attr("class"), e.attr("id")];
        matches!(e.value().name(), "a" | "li" | "aside" | "nav" | "footer")
            || (names.into_iter().flatten().any(|name| rules.html.teasers.is_match(name))
                && text_size(e) * 5 < whole * 2)
    })
}

/// The words of a lead, less what style sheets set apart in it.
fn lead_words(rules: &Rules, element: ElementRef<'_>) -> String {
    let html = html_tree::markup(rules, element, text_size(element).max(1));
    let html = scraper::Html::parse_fragment(&html);
    words(html.root_element())
}
