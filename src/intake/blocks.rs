//! The paragraphs of an article, whatever they were read from, and what of them is the article.

use super::byline::{self, Byline};
use super::rules::Rules;
use crate::domain::{SafeHtml, clean_line, fold};

/// What a paragraph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Running text.
    Paragraph,
    /// A sub-heading.
    Heading,
    /// Words under a picture that we do not have.
    Caption,
}

/// A paragraph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its words, clean.
    pub text: String,
    /// How many blank lines stand before it.
    pub gap: usize,
}

/// Whether a line is running text: long, or a whole sentence.
pub fn is_prose(rules: &Rules, text: &str) -> bool {
    let length = text.chars().count();
    // A block of letters without blanks is an encoded file, seen once as a whole body.
    let blanks = text.matches(' ').count();
    (length >= 40 && blanks * 30 >= length)
        && (length >= 200 || ends_sentence(text) || rules.lead.prefixes.is_match(text))
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '’', ')', '»', ' ']).ends_with(['.', '…', ':', ';', '!', '?'])
}

/// What a line after the text says about the text's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The article is over.
    End,
    /// A list of other articles begins.
    Related,
    /// This line alone is not the article's.
    Line,
}

/// Whether a line belongs to what stands below articles.
pub fn after_body(rules: &Rules, text: &str) -> Option<After> {
    let rules = &rules.after;
    // "Bình luận (3)" is "Bình luận".
    let uncounted = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '(' | ')' | ' ' | ':'));
    if rules.words.contains(uncounted) || (text.chars().count() <= 160 && rules.patterns.is_match(text)) {
        Some(After::End)
    } else if rules
        .related_words
        .contains(text.trim_end_matches([':', '.']).trim_start_matches(['>', ' ', '•']))
    {
        Some(After::Related)
    } else if text.chars().count() <= 250 && rules.related_patterns.is_match(text) {
        Some(After::Line)
    } else {
        None
    }
}

/// Whether a line is running text, and no teaser of another article: those open with the paper's
/// prefix or break off.
pub fn continues(rules: &Rules, text: &str) -> bool {
    text.chars().count() >= 160
        && is_prose(rules, text)
        && !text.ends_with("...")
        && !text.ends_with('…')
        && !rules.lead.prefixes.is_match(text)
}

/// Whether the article goes on behind a list of others or words that mostly end one: two
/// paragraphs of it come soon, or one and then its byline or its end.
pub fn goes_on<'t>(rules: &Rules, texts: impl Iterator<Item = &'t str>, signed: bool) -> bool {
    const SOON: usize = 40;
    let mut paragraphs = 0;
    let mut just = false;
    for text in texts.take(SOON) {
        let ends =
            after_body(rules, text) == Some(After::End) || (just && byline::read(rules, text).is_some());
        if ends {
            return just && paragraphs == 1;
        }
        just = continues(rules, text)
            || (!signed && is_prose(rules, text) && text.chars().count() >= 100 && !is_teaser(text));
        paragraphs += usize::from(just);
        if paragraphs == 2 {
            return true;
        }
    }
    false
}

/// Whether a line is words under a picture. "Tin, ảnh: X" is not, it is a byline.
pub fn is_caption(rules: &Rules, text: &str) -> bool {
    text.chars().count() <= rules.captions.longest
        && !rules.bylines.writer.is_match(text)
        && rules.captions.patterns.is_match(text)
}

/// A line without what editors' tools leave behind.
pub fn without_residue(rules: &Rules, text: &str) -> String {
    clean_line(&rules.captions.residue.blank_all(text))
}

/// The lead without its "STO - ". `page` is where a site may be named.
pub fn without_prefix(rules: &Rules, lead: &str, page: &str) -> String {
    let rules = &rules.lead;
    let glued = rules.place.captures(lead).and_then(|found| Some(found.name("rest")?.as_str().to_owned()));
    if let Some(rest) = glued {
        return rest;
    }
    if let Some(cut) = rules.prefixes.cut_one(lead).filter(|cut| !cut.is_empty()) {
        return cut;
    }
    let glued = rules.glued.iter().find(|g| lead.starts_with(&g.prefix) && page.contains(&g.site));
    glued.and_then(|g| lead.strip_prefix(&g.prefix)).unwrap_or(lead).to_owned()
}

/// "… ./." becomes "….": a closing stroke says nothing to a reader.
pub fn without_stroke(rules: &Rules, text: &str) -> String {
    let cut = rules.lead.stroke.cut(text);
    if cut.len() == text.len() {
        return cut;
    }
    if ends_sentence(&cut) { cut } else { format!("{cut}.") }
}

/// Takes the lines that name the writers off the end.
pub fn take_bylines(rules: &Rules, blocks: &mut Vec<Block>) -> Byline {
    let mut found = Byline::default();
    let mut names: Vec<Byline> = Vec::new();
    // Bylines, a photo credit, a workplace, a source and buttons are at most this many lines.
    for _ in 0..8 {
        let Some(last) = blocks.last().filter(|b| b.text.chars().count() <= 120 && blocks.len() > 1) else {
            break;
        };
        if last.kind == Kind::Caption && !rules.bylines.photo.is_match(&last.text) {
            break;
        }
        let text = last.text.trim_start_matches(['-', '–', '*', ' ']);
        let byline = byline::read(rules, text).or_else(|| {
            // A name and an instant: "NAME - 08:54, 30/11/2024".
            let dated = super::dates::page_date(rules, text, chrono_tz::UTC)?;
            byline::read(rules, &dated.rest).or_else(|| dated.rest.is_empty().then(Byline::default))
        });
        match byline {
            Some(byline) => names.push(byline),
            None if byline::is_workplace(rules, text) && !ends_sentence(text) => {}
            None if rules.header.noise.is_match(text) => {}
            None => break,
        }
        blocks.pop();
    }
    for byline in names.into_iter().rev() {
        byline.authors.into_iter().for_each(|a| super::push_new(&mut found.authors, a));
        found.source = found.source.or(byline.source);
    }
    found
}

/// Whether a line advertises another article: such lines break off.
pub fn is_teaser(text: &str) -> bool {
    text.ends_with("...") || text.ends_with('…') || text.ends_with("[…]")
}

/// How many of these are an article's. It ends at its byline, whatever words a paper has for what
/// stands below; without one, where three lines in a row are neither text nor captions. Where two
/// paragraphs follow, it did not end.
pub fn end_of_article(rules: &Rules, blocks: &[Block]) -> usize {
    let is_text = |block: &Block| {
        block.kind == Kind::Paragraph
            && is_prose(rules, &block.text)
            && !is_teaser(&block.text)
            && !is_caption(rules, &block.text)
            && after_body(rules, &block.text).is_none()
    };
    // How many paragraphs follow each place.
    let mut follow = vec![0_usize; blocks.len() + 1];
    for (at, block) in blocks.iter().enumerate().rev() {
        follow[at] = follow[at + 1] + usize::from(is_text(block));
    }
    let Some(first) = blocks.iter().position(is_text) else { return blocks.len() };
    let mut foreign = 0;
    for at in first + 1..blocks.len() {
        let block = &blocks[at];
        let ended = follow[at] < 2;
        let signs = |text: &str| {
            byline::read(rules, text).is_some_and(|b| !b.authors.is_empty() || b.source.is_some())
        };
        if ended && block.kind == Kind::Paragraph && !is_caption(rules, &block.text) && signs(&block.text) {
            let rest = blocks[at + 1..].iter().take(4);
            let more = rest.take_while(|b| {
                byline::read(rules, &b.text).is_some() || byline::is_workplace(rules, &b.text)
            });
            return at + 1 + more.count();
        }
        let heads = blocks.get(at + 1).is_some_and(is_text);
        let is_foreign = block.kind == Kind::Paragraph
            && !heads
            && !block.text.is_empty()
            && !ends_sentence(&block.text)
            && !is_caption(rules, &block.text)
            && !block.text.contains(':')
            && !block.text.starts_with(['-', '+', '•', '*']);
        foreign = if is_foreign { foreign + 1 } else { 0 };
        if foreign == 3 && ended {
            return at - 2;
        }
    }
    blocks.len()
}

/// Puts a lead that was captured behind the text back in front: it stands last after a byline or
/// a wider gap (3,736 of 3,756 captures), or alone carries the paper's prefix.
pub fn restore_lead(rules: &Rules, blocks: &mut Vec<Block>) -> Option<Byline> {
    let last = blocks.len().checked_sub(1).filter(|last| *last >= 2)?;
    let prefixed = |block: &Block| rules.lead.prefixes.is_match(&block.text);
    let lead = &blocks[last];
    if lead.kind != Kind::Paragraph
        || !is_prose(rules, &lead.text)
        || is_teaser(&lead.text)
        || is_caption(rules, &lead.text)
        || after_body(rules, &lead.text).is_some()
    {
        return None;
    }
    let byline =
        byline::read(rules, &blocks[last - 1].text).filter(|_| blocks[last - 1].kind == Kind::Paragraph);
    let widest = blocks[1..last].iter().map(|b| b.gap).max().unwrap_or(0);
    let apart = lead.gap >= 2 && lead.gap > widest;
    // A prefix such as "- " opens items of lists too, so it must be the only one.
    let only_prefix =
        prefixed(lead) && !lead.text.starts_with(['-', '–']) && !blocks[..last].iter().any(prefixed);
    if byline.is_none() && !apart && !only_prefix {
        return None;
    }
    let lead = blocks.remove(last);
    let found = if byline.is_some() { take_bylines(rules, blocks) } else { Byline::default() };
    if !blocks.first().is_some_and(|first| same_words(rules, &first.text, &lead.text)) {
        blocks.insert(0, lead);
    }
    Some(found)
}

/// Whether two paragraphs are the same, the paper's prefix and punctuation aside.
pub fn same_words(rules: &Rules, a: &str, b: &str) -> bool {
    let bare = |text: &str| fold(&rules.lead.prefixes.cut_one(text).unwrap_or_else(|| text.to_owned()));
    a.len().abs_diff(b.len()) <= 80 && bare(a) == bare(b)
}

/// Takes out what a page prints twice, and tells sub-headings and captions from paragraphs.
pub fn tell_kinds(rules: &Rules, blocks: &mut Vec<Block>, title: &str) {
    let mut kept: Vec<Block> = Vec::with_capacity(blocks.len());
    for mut block in blocks.drain(..) {
        if kept.is_empty() && same_words(rules, &block.text, title) {
            continue;
        }
        // Alternative text and caption, or a lead set above the picture and again below it.
        let twice = kept
            .iter()
            .rev()
            .take(2)
            .chain(kept.first())
            .position(|k| same_words(rules, &k.text, &block.text));
        if let Some(back) = twice {
            let at = if back < 2 { kept.len().saturating_sub(1 + back) } else { 0 };
            if kept[at].kind == Kind::Paragraph && !is_prose(rules, &block.text) {
                kept[at].kind = Kind::Caption;
            }
            continue;
        }
        if block.kind == Kind::Paragraph && is_caption(rules, &block.text) {
            block.kind = Kind::Caption;
        }
        kept.push(block);
    }
    for at in 1..kept.len() {
        let next = kept[at + 1..].iter().take(12).find(|b| b.kind != Kind::Caption);
        let followed = next.is_some_and(|b| b.kind == Kind::Heading || is_prose(rules, &b.text));
        if kept[at].kind == Kind::Paragraph && followed && looks_like_heading(&kept[at].text) {
            kept[at].kind = Kind::Heading;
        }
    }
    *blocks = kept;
}

/// Whether a short line reads like a sub-heading.
pub fn looks_like_heading(text: &str) -> bool {
    let length = text.chars().count();
    let opens =
        text.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit() || matches!(c, '"' | '“'));
    opens && (3..=120).contains(&length) && !ends_sentence(text) && !text.ends_with(',') && text.contains(' ')
}

/// The paragraphs as HTML.
pub fn to_html(blocks: &[Block]) -> SafeHtml {
    let mut html = String::new();
    for block in blocks {
        let (open, close) = match block.kind {
            Kind::Paragraph => ("<p>", "</p>\n"),
            Kind::Heading => ("<h2>", "</h2>\n"),
            Kind::Caption => ("<figure><figcaption>", "</figcaption></figure>\n"),
        };
        html.push_str(open);
        html.push_str(&escape(&block.text));
        html.push_str(close);
    }
    SafeHtml::clean(&html, None)
}

/// Escapes text for HTML content and attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
