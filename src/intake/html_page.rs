//! An article page as HTML: what it says of itself first, then what it looks like.

use super::blocks::{self, After, Block, Kind};
use super::byline::Byline;
use super::html_metadata::{self, is_cut};
use super::html_parts::{Part, collect, figure, is_bold};
use super::html_tree::{self, all, first, text_size, words};
use super::rules::rules;
use super::{
    Arrival, Fault, Intake, Warning, dates, decode, foreign_feed, identity, mend_eth, plain_line, push_new,
};
use crate::domain::{CategoryName, Draft, LanguageTag, SafeHtml, Source, fold};
use scraper::{ElementRef, Html};
use std::collections::{HashMap, VecDeque};

pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Result<Arrival, Fault> {
    html_tree::within_size(bytes.len())?;
    let mut warnings = Vec::new();
    let text = mend_eth(&decode::decode(bytes, &mut warnings)?);
    let html = html_tree::parse(&text)?;
    let base =
        first(&html, "base[href]").and_then(|b| foreign_feed::resolve(b.attr("href")?, intake.base.as_ref()));
    let base = base.or_else(|| intake.base.clone());
    let said = html_metadata::read(&html, base.as_ref(), intake.zone);
    let missing = |what: &str| {
        Fault::new(
            None,
            format!(
                "no article was found on this page: it has no {what}; give a page that holds one article"
            ),
        )
    };
    let title = title(&html, said.title.as_deref()).ok_or_else(|| missing("title"))?;
    let mut draft = Draft::titled(&title).ok_or_else(|| missing("title"))?;

    let mut parts = article(&html, &title, intake);
    let byline = signed(&mut parts);
    let lead = lead(&html, &mut parts, said.description.as_deref(), &text);
    if parts.is_empty() {
        return Err(missing("paragraph of text"));
    }
    tell_kinds(&mut parts);
    let base = said.url.as_ref().or(base.as_ref());
    draft.body = SafeHtml::clean(&parts.iter().map(|p| p.html.as_str()).collect::<Vec<_>>().join("\n"), base);
    draft.summary = lead;
    draft.published = match said.published {
        Some((instant, assumed)) => {
            if assumed {
                warnings.push(Warning::new(
                    None,
                    format!("the page's date has no zone; it was read in {}", intake.zone),
                ));
            }
            Some(instant)
        }
        None => shown_date(&html, intake),
    };
    if draft.published.is_none() {
        warnings.push(Warning::new(
            None,
            "no date was found on the page; the article gets the instant at which it comes in",
        ));
    }
    draft.updated =
        said.updated.filter(|updated| draft.published.is_some_and(|published| published < *updated));
    draft.authors = said.authors;
    if draft.authors.is_empty() {
        byline.authors.into_iter().for_each(|a| push_new(&mut draft.authors, a));
    }
    draft.source = byline.source.map(|title| Source { title, url: None });
    draft.categories = said.sections.into_iter().map(CategoryName).collect();
    if draft.categories.is_empty() {
        draft.categories.extend(intake.category.clone());
    }
    draft.tags = said.tags;
    draft.image = said.image;
    draft.language = first(&html, "html[lang]").and_then(|h| LanguageTag::parse(h.attr("lang")?));
    draft.url = said.url;
    draft.keys = identity(&draft, None);
    Ok(Arrival { draft, warnings })
}

/// The headline: as JSON-LD has it, as it stands over the article, or as the window's title
/// without the paper's name behind it.
fn title(html: &Html, said: Option<&str>) -> Option<String> {
    let shown = || {
        let heads = all(html, "h1")
            .into_iter()
            .filter(|h| text_size(*h) <= 2000)
            .take(20)
            .map(|h| plain_line(&words(h)));
        heads.filter(|t| t.split(' ').count() >= 3).max_by_key(|t| t.chars().count().min(200))
    };
    let meta = |css: &str| first(html, css).and_then(|m| m.attr("content")).map(plain_line);
    let window = || first(html, "title").map(|t| plain_line(&words(t)));
    let paper = meta(r#"meta[property="og:site_name"]"#).map(|name| fold(&name));
    let without_paper = |text: String| {
        let Some((head, tail)) = text.rsplit_once(['|', '-', '–']).filter(|(head, _)| head.ends_with(' '))
        else {
            return text;
        };
        let tail = fold(tail);
        let is_paper = paper.as_ref() == Some(&tail)
            || tail.starts_with("bao ")
            || tail.ends_with(" vn")
            || tail.contains("online");
        if is_paper { head.trim().to_owned() } else { text }
    };
    said.map(str::to_owned)
        .or_else(shown)
        .or_else(|| meta(r#"meta[property="og:title"]"#).filter(|t| !is_cut(t)).map(without_paper))
        .or_else(|| first(html, "h1").map(|h| plain_line(&words(h))).filter(|t| !t.is_empty()))
        .or_else(|| window().map(without_paper))
        .filter(|t| !t.is_empty())
}

/// The element that the text stands in: one that papers name so, else the one with most running
/// text directly below it.
fn container(html: &Html) -> Option<ElementRef<'_>> {
    const ENOUGH: usize = 200;
    for css in &rules().html.containers {
        let found =
            all(html, css).into_iter().take(40).map(|e| (text_size(e), e)).max_by_key(|(size, _)| *size);
        if let Some((_, element)) = found.filter(|(size, _)| *size >= ENOUGH) {
            return Some(element);
        }
    }
    let mut best: Option<(usize, ElementRef<'_>)> = None;
    let mut scores = HashMap::new();
    for paragraph in all(html, "p, div, td, section, main, body") {
        let own: usize = match paragraph.value().name() {
            "p" => text_size(paragraph),
            // Papers that break lines instead of writing paragraphs.
            _ => paragraph.children().filter_map(|c| c.value().as_text().map(|t| t.trim().len())).sum(),
        };
        let holder = if paragraph.value().name() == "p" {
            paragraph.parent().and_then(ElementRef::wrap)
        } else {
            Some(paragraph)
        };
        let Some(holder) = holder.filter(|_| own >= 50) else { continue };
        let score = scores.entry(holder.id()).or_insert(0);
        *score += own;
        if best.as_ref().is_none_or(|(most, _)| *score > *most) {
            best = Some((*score, holder));
        }
    }
    best.filter(|(score, _)| *score >= 100).map(|(_, element)| element)
}

/// The paragraphs of the article, without what stands around them.
fn article(html: &Html, title: &str, intake: &Intake<'_>) -> Vec<Part> {
    let Some(container) = container(html) else { return Vec::new() };
    let mut parts = Vec::new();
    collect(container, text_size(container), &mut Vec::new(), &mut parts);
    let mut kept: Vec<Part> = Vec::new();
    let mut rest = VecDeque::from(parts);
    let mut before_text = true;
    while let Some(part) = rest.pop_front() {
        let text = &part.block.text;
        match blocks::after_body(text) {
            Some(After::End) => break,
            Some(After::Related) => {
                // A box in the middle of the text ends where running text goes on.
                if !blocks::goes_on(rest.iter().map(|p| if p.links { "" } else { p.block.text.as_str() })) {
                    break;
                }
                while rest.front().is_some_and(|p| p.links || !blocks::continues(&p.block.text)) {
                    rest.pop_front();
                }
                continue;
            }
            Some(After::Line) => continue,
            None => {}
        }
        before_text = before_text && !kept.last().is_some_and(|p| blocks::is_prose(&p.block.text));
        let of_header = before_text
            && !part.pictured
            && (rules().header.noise.is_match(text) || dates::page_date(text, intake.zone).is_some());
        if part.links
            || of_header
            || (before_text && blocks::same_words(text, title))
            || part.html.starts_with("<h1")
        {
            continue;
        }
        let twice =
            kept.iter().rev().take(3).any(|k| blocks::same_words(&k.block.text, text)) && !text.is_empty();
        if !twice || part.pictured {
            kept.push(part);
        }
    }
    kept
}

/// Takes the byline off the end.
fn signed(parts: &mut Vec<Part>) -> Byline {
    let mut texts: Vec<Block> = parts.iter().map(|p| p.block.clone()).collect();
    let pictured_from = parts.iter().rposition(|p| p.pictured).map_or(0, |at| at + 1);
    let byline = blocks::take_bylines(&mut texts);
    parts.truncate(texts.len().max(pictured_from));
    byline
}

/// The lead: an element named so, else the page's description where it is whole, else the first
/// paragraph. It opens the text too, without the paper's "STO - ".
fn lead(html: &Html, parts: &mut Vec<Part>, described: Option<&str>, page: &str) -> Option<String> {
    let named = ".sapo, .lead, .article-lead, .article__sapo, .detail-sapo, .singular-sapo, h2.description, p.description, .chapeau, .article-summary";
    let named = all(html, named).into_iter().take(5).map(words).find(|t| t.chars().count() >= 40);
    let note = &rules().lead.note;
    let at = parts.iter().position(|p| {
        p.block.kind == Kind::Paragraph && !p.block.text.is_empty() && !note.is_match(&p.block.text)
    });
    let opening = at.map(|at| parts[at].block.text.clone());
    let whole = described.filter(|d| d.chars().count() >= 40 && !is_cut(d)).map(str::to_owned);
    let found = named.clone().or_else(|| {
        // A description that begins as the first paragraph does is that paragraph, cut.
        let opens = |d: &String| {
            opening.as_ref().is_some_and(|o| fold(o).starts_with(&fold(d)) || blocks::same_words(o, d))
        };
        whole.filter(|d| !opens(d)).or_else(|| opening.clone())
    })?;
    let found = blocks::without_stroke(&rules().lead.month.cut(&found));
    let lead = blocks::without_prefix(&found, page);
    if let (Some(at), Some(opening)) = (at, &opening) {
        let bare = blocks::without_prefix(opening, page);
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
    let stands = parts.iter().take(4).any(|p| blocks::same_words(&p.block.text, &found));
    if named.is_some() && !stands {
        let block = Block { kind: Kind::Paragraph, text: lead.clone(), gap: 0 };
        parts.insert(
            0,
            Part { html: format!("<p>{}</p>", blocks::escape(&lead)), block, pictured: false, links: false },
        );
    }
    Some(lead)
}

/// Paragraphs that are captions go to their pictures, bold lines become sub-headings.
fn tell_kinds(parts: &mut Vec<Part>) {
    let mut kept: Vec<Part> = Vec::with_capacity(parts.len());
    let mut rest = parts.drain(..).peekable();
    while let Some(mut part) = rest.next() {
        let text = &part.block.text;
        if part.block.kind == Kind::Paragraph && !part.pictured {
            let bare_picture = kept.last_mut().filter(|k| k.pictured && k.block.text.is_empty());
            if blocks::is_caption(text) {
                if let Some(picture) = bare_picture {
                    let pictures = picture.html.replace("<figure>", "").replace("</figure>", "");
                    picture.html = figure(&pictures, text);
                    picture.block.text.clone_from(text);
                    continue;
                }
                part.html = figure("", text);
            } else if is_bold(&part.html) && blocks::looks_like_heading(text) && rest.peek().is_some() {
                part.html = format!("<h2>{}</h2>", blocks::escape(text));
            } else if text.ends_with("./.") {
                part.html = part.html.replacen("./.", ".", 1);
            }
        }
        kept.push(part);
    }
    drop(rest);
    *parts = kept;
}

/// The date as a reader sees it: the first one below the headline.
fn shown_date(html: &Html, intake: &Intake<'_>) -> Option<crate::domain::Instant> {
    let head = first(html, "h1")?;
    let mut after = html.tree.nodes().skip_while(|n| n.id() != head.id());
    let mut seen = 0;
    after.find_map(|node| {
        let text = node.value().as_text().filter(|t| !t.trim().is_empty() && seen < 200)?;
        seen += 1;
        let parent = node.parent().and_then(ElementRef::wrap).filter(|p| text_size(*p) <= 240);
        let around = parent.map(words);
        let dated = around.and_then(|w| dates::page_date(&w, intake.zone));
        dated.or_else(|| dates::page_date(&plain_line(text), intake.zone)).map(|d| d.instant)
    })
}
