//! An article page as HTML: what it says of itself first, then what it looks like.

use super::blocks::{self, After, Block, Kind};
use super::byline::{self, Byline};
use super::html_lead::lead;
use super::html_metadata::{self, Metadata};
use super::html_parts::{Part, collect, figure, is_bold, is_slanted};
use super::html_title::title;
use super::html_tree::{self, first, text_size};
use super::masthead::Masthead;
use super::page_lines::Line;
use super::readability::{self, Reading};
use super::{
    Arrival, Fault, Guess, Intake, Rules, Warning, captured_text, dates, decode, foreign_feed, html_body,
    identity, listing, mend_eth, push_new,
};
use crate::domain::{CategoryName, Draft, LanguageTag, SafeHtml, Source, fold};
use scraper::{ElementRef, Html};
use std::collections::VecDeque;

pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Result<Arrival, Fault> {
    html_tree::within_size(bytes.len())?;
    let rules = intake.rules;
    let mut warnings = Vec::new();
    let text = mend_eth(&decode::decode(bytes, &mut warnings)?);
    let html = html_tree::parse(&text)?;
    let base =
        first(&html, "base[href]").and_then(|b| foreign_feed::resolve(b.attr("href")?, intake.base.as_ref()));
    let base = base.or_else(|| intake.base.clone());
    let said = html_metadata::read(&html, base.as_ref(), intake);
    let lines = html_tree::lines(rules, &html);
    if !said.is_article {
        listing::refuse(lines.iter().map(|(line, link)| (line.text.as_str(), *link)), intake)?;
    }
    let lines: Vec<Line> = lines.into_iter().map(|(line, _)| line).collect();
    let missing = |what: &str| {
        Fault::new(
            None,
            format!(
                "no article was found on this page: it has no {what}; give a page that holds one article"
            ),
        )
    };
    let (title, guess) = title(&html, &lines, &said, intake).ok_or_else(|| missing("title"))?;
    let mut draft = Draft::titled(&title).ok_or_else(|| missing("title"))?;
    let mut guesses = vec![guess];

    let (own, named) = html_body::container(&html, rules)
        .map_or_else(Default::default, |(element, named)| (article(element, &title, intake), named));
    let other = readability::read(&text, &html);
    let other = other.map(|tree| article(tree.root_element(), &title, intake)).unwrap_or_default();
    let (mut parts, verdict) = readability::weigh(rules, Reading { parts: own, named }, other, &lines);
    let masthead = masthead(&lines, &title, &parts, intake);
    let mut byline = signed(rules, &mut parts);
    if byline == Byline::default() {
        byline = signed_below(rules, &lines, &parts);
    }
    let above = |lead: &str| masthead.stands_above(&lines, lead);
    let lead = lead(&html, &mut parts, said.description.as_deref(), &masthead.between, above, &text, rules);
    if parts.is_empty() {
        return Err(missing("paragraph of text"));
    }
    tell_kinds(rules, &mut parts);
    let blocks: Vec<Block> = parts.iter().map(|p| p.block.clone()).collect();
    guesses.push(verdict.guess(captured_text::body_guess(intake, &blocks)));
    let base = said.url.as_ref().or(base.as_ref());
    draft.body = SafeHtml::clean(&parts.iter().map(|p| p.html.as_str()).collect::<Vec<_>>().join("\n"), base);
    draft.summary = lead;
    draft.published = published(&html, &said, &masthead, intake, &mut warnings, &mut guesses);
    draft.updated =
        said.updated.filter(|updated| draft.published.is_some_and(|published| published < *updated));
    draft.authors = said.authors;
    if draft.authors.is_empty() {
        let names = byline.authors.into_iter().chain(masthead.bylines.iter().flat_map(|b| b.authors.clone()));
        names.for_each(|name| push_new(&mut draft.authors, name));
        if !draft.authors.is_empty() {
            guesses.push(Guess::new("authors", "the line that signs the text or stands below the title", 75));
        }
    }
    draft.source =
        byline.source.map(|title| Source { title, url: byline.url }).or_else(|| masthead.source.clone());
    draft.categories = said.sections.into_iter().map(CategoryName).collect();
    if draft.categories.is_empty() {
        match masthead.category() {
            Some((name, guess)) => {
                draft.categories.push(name);
                guesses.push(guess);
            }
            None => draft.categories.extend(intake.category.clone()),
        }
    }
    draft.tags = said.tags;
    draft.image = said.image.or_else(|| foreign_feed::first_image(&draft.body));
    draft.language = first(&html, "html[lang]").and_then(|h| LanguageTag::parse(h.attr("lang")?));
    draft.url = said.url;
    draft.keys = identity(&draft, None);
    Ok(Arrival { draft, warnings, guesses })
}

/// What stands above the text, found by where the title and the first words of the text are.
fn masthead(lines: &[Line], title: &str, parts: &[Part], intake: &Intake<'_>) -> Masthead {
    let begins = |line: &Line, words: &str| {
        let length = words.len().min(line.text.len()).min(120);
        length > 0 && line.text.as_bytes()[..length] == words.as_bytes()[..length]
    };
    let opening = parts.iter().map(|p| p.block.text.as_str()).find(|t| t.chars().count() >= 20);
    let body_at = opening.and_then(|opening| lines.iter().position(|line| begins(line, opening)));
    let folded = fold(title);
    let titles: Vec<usize> = (0..lines.len()).filter(|at| fold(&lines[*at].text) == folded).collect();
    let body_at = body_at.unwrap_or_else(|| titles.last().map_or(0, |at| (at + 1).min(lines.len())));
    let title_at = titles.iter().rev().find(|at| **at < body_at).or(titles.first()).copied();
    Masthead::read(lines, title_at.unwrap_or(body_at), body_at, intake)
}

/// When it was published: as the page says it to machines, else as it shows it.
fn published(
    html: &Html,
    said: &Metadata,
    masthead: &Masthead,
    intake: &Intake<'_>,
    warnings: &mut Vec<Warning>,
    guesses: &mut Vec<Guess>,
) -> Option<crate::domain::Instant> {
    if let Some((instant, assumed)) = said.published {
        if assumed {
            warnings.push(Warning::new(
                None,
                format!("the page's date has no zone; it was read in {}", intake.zone),
            ));
        }
        return Some(instant);
    }
    let shown = masthead.published(None);
    let marked = first(html, "time[datetime]")
        .and_then(|time| dates::machine_date(intake.rules, time.attr("datetime")?, intake.zone));
    // The element says the zone; the line says which of several dates is the article's.
    let marked = marked.filter(|(marked, _)| {
        shown.as_ref().is_none_or(|(shown, _)| (*marked - *shown).abs() < chrono::Duration::days(1))
    });
    if let Some((instant, _)) = marked {
        guesses.push(Guess::new("published", "the first time element", 75));
        return Some(instant);
    }
    match shown {
        Some((instant, guess)) => {
            guesses.push(guess);
            Some(instant)
        }
        None => {
            guesses.push(Guess::undated());
            None
        }
    }
}

/// The paragraphs of the article, without what stands around them.
fn article(container: ElementRef<'_>, title: &str, intake: &Intake<'_>) -> Vec<Part> {
    let rules = intake.rules;
    let mut parts = Vec::new();
    collect(rules, container, text_size(container), &mut Vec::new(), &mut parts);
    let mut kept: Vec<Part> = Vec::new();
    let mut rest = VecDeque::from(parts);
    let mut before_text = true;
    while let Some(part) = rest.pop_front() {
        let text = &part.block.text;
        match blocks::after_body(rules, text) {
            Some(After::End)
                if kept.len() <= 2
                    && blocks::goes_on(
                        rules,
                        rest.iter().map(|p| if p.links { "" } else { p.block.text.as_str() }),
                        true,
                    ) =>
            {
                continue;
            }
            Some(After::End) => break,
            Some(After::Related) => {
                // A box in the middle of the text ends where running text goes on.
                if !blocks::goes_on(
                    rules,
                    rest.iter().map(|p| if p.links { "" } else { p.block.text.as_str() }),
                    false,
                ) {
                    break;
                }
                while rest.front().is_some_and(|p| p.links || !blocks::continues(rules, &p.block.text)) {
                    rest.pop_front();
                }
                continue;
            }
            Some(After::Line) => continue,
            None => {}
        }
        before_text = before_text && !kept.last().is_some_and(|p| blocks::is_prose(rules, &p.block.text));
        let of_header = before_text
            && !part.pictured
            && (rules.header.noise.is_match(text) || dates::page_date(rules, text, intake.zone).is_some());
        // "Kinh tế", "Chia sẻ", a counter: nothing that a text begins with.
        let of_header = of_header
            || (before_text
                && !part.pictured
                && part.block.kind == Kind::Paragraph
                && text.split(' ').count() <= 6
                && !text.ends_with(['.', '!', '?', ':', '…', '”']));
        if part.links
            || of_header
            || (before_text && (blocks::same_words(rules, text, title) || heads(text, title)))
            || part.html.starts_with("<h1")
        {
            continue;
        }
        let twice = kept.iter().rev().take(3).any(|k| blocks::same_words(rules, &k.block.text, text))
            && !text.is_empty();
        if !twice || part.pictured {
            kept.push(part);
        }
    }
    let blocks: Vec<Block> = kept.iter().map(|p| p.block.clone()).collect();
    kept.truncate(blocks::end_of_article(rules, &blocks));
    kept
}

/// Whether a line is the title and little more: an old page has the date below it in one element.
fn heads(text: &str, title: &str) -> bool {
    let (text, title) = (fold(text), fold(title));
    title.len() >= 20 && text.len() <= title.len() + 60 && text.starts_with(&title)
}

/// Takes the byline off the end.
fn signed(rules: &Rules, parts: &mut Vec<Part>) -> Byline {
    let mut texts: Vec<Block> = parts.iter().map(|p| p.block.clone()).collect();
    let pictured_from = parts.iter().rposition(|p| p.pictured).map_or(0, |at| at + 1);
    let byline = blocks::take_bylines(rules, &mut texts);
    parts.truncate(texts.len().max(pictured_from));
    byline
}

/// A byline right below the text's element, and labelled lines there: "Tác giả: …", "Nguồn tin: …".
fn signed_below(rules: &Rules, lines: &[Line], parts: &[Part]) -> Byline {
    let mut found = Byline::default();
    let Some(last) = parts.iter().rfind(|p| p.block.text.chars().count() >= 20) else { return found };
    let Some(at) = lines.iter().rposition(|line| line.text == last.block.text) else { return found };
    for (below, line) in lines.iter().skip(at + 1).take(4).enumerate() {
        let source = rules.header.source.captures(&line.text);
        let signs = below == 0 || rules.bylines.writer.is_match(&line.text);
        if let Some(source) = source.and_then(|s| super::masthead::source(s.name("source")?.as_str())) {
            (found.source, found.url) = (Some(source.title), source.url);
        } else if rules.header.noise.is_match(&line.text) {
            continue;
        } else if blocks::after_body(rules, &line.text).is_some() {
            break;
        } else if let Some(byline) = byline::read(rules, &line.text).filter(|_| signs) {
            found.authors.extend(byline.authors);
            found.source = found.source.or(byline.source);
        } else {
            break;
        }
    }
    found
}

/// Paragraphs that are captions go to their pictures, bold lines become sub-headings.
fn tell_kinds(rules: &Rules, parts: &mut Vec<Part>) {
    let mut kept: Vec<Part> = Vec::with_capacity(parts.len());
    let mut rest = parts.drain(..).peekable();
    while let Some(mut part) = rest.next() {
        let text = &part.block.text;
        let named = part.block.kind == Kind::Caption;
        if matches!(part.block.kind, Kind::Paragraph | Kind::Caption) && !part.pictured {
            let bare_picture = kept.last_mut().filter(|k| k.pictured && k.block.text.is_empty());
            // A short slanted line right below a picture speaks of it.
            let slanted = bare_picture.is_some() && is_slanted(&part.html) && text.chars().count() <= 200;
            if named || slanted || blocks::is_caption(rules, text) {
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
                let ended = blocks::without_stroke(rules, text).ends_with('.') && text.ends_with("../.");
                part.html = part.html.replacen("./.", if ended { "" } else { "." }, 1);
            }
        }
        kept.push(part);
    }
    drop(rest);
    *parts = kept;
}
