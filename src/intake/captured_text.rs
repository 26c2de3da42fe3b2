//! The text of a page, as a person copies it out of a browser: masthead, title, date, lead, body,
//! byline, and everything a page carries below. The habits of papers are in `rules.toml`.

use super::blocks::{self, After, Block, Kind};
use super::dates::{PageDate, machine_date, page_date};
use super::masthead::{Headline, Masthead, find_title};
use super::page_lines::{Line, lines};
use super::{Arrival, Fault, Guess, Intake, decode, identity, listing, mend_eth, push_new};
use crate::domain::{Draft, Source};

pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Result<Arrival, Fault> {
    let rules = intake.rules;
    let mut warnings = Vec::new();
    let page = mend_eth(&decode::decode(bytes, &mut warnings)?);
    let lines = lines(rules, &page);
    listing::refuse(lines.iter().map(|l| (l.text.as_str(), false)), intake)?;
    let headline = find_title(&lines, intake).ok_or_else(|| no_article(&lines))?;
    let Headline { title_at, body_at, rule, confidence } = headline;
    let title = lines[title_at].text.trim_end_matches('|').trim().to_owned();
    let mut guesses = vec![Guess::new("title", rule, confidence)];

    let mut masthead = Masthead::read(&lines, title_at, body_at, intake);
    let mut blocks = std::mem::take(&mut masthead.between);
    read_body(&lines[body_at..], intake, &mut blocks);
    // AMP pages glue the date before the text.
    let glued = blocks.iter().take(3).find_map(|block| {
        let found = rules.lead.month.captures(&block.text)?;
        machine_date(rules, found.name("at")?.as_str(), intake.zone)
    });
    for block in &mut blocks {
        block.text = blocks::without_stroke(rules, &rules.lead.month.cut(&block.text));
    }
    let mut bylines = std::mem::take(&mut masthead.bylines);
    bylines.extend(blocks::restore_lead(rules, &mut blocks));
    blocks.truncate(blocks::end_of_article(rules, &blocks));
    let signed = signed_date(&blocks, intake);
    bylines.push(blocks::take_bylines(rules, &mut blocks));
    blocks::tell_kinds(rules, &mut blocks, &title);
    guesses.push(body_guess(intake, &blocks));

    let note = &rules.lead.note;
    let lead = blocks.iter_mut().find(|b| b.kind == Kind::Paragraph && !note.is_match(&b.text));
    let Some(lead) = lead else { return Err(no_article(&lines)) };
    lead.text = blocks::without_prefix(rules, &lead.text, &page);
    let summary = lead.text.clone();

    let mut draft = Draft::titled(&title).ok_or_else(|| no_article(&lines))?;
    draft.summary = Some(summary);
    draft.body = blocks::to_html(&blocks);
    let published = masthead.published(signed).or_else(|| {
        glued.map(|(instant, _)| (instant, Guess::new("published", "the date glued before the text", 70)))
    });
    match published {
        Some((instant, guess)) => {
            draft.published = Some(instant);
            guesses.push(guess);
        }
        None => guesses.push(Guess::undated()),
    }
    match masthead.category() {
        Some((name, guess)) => {
            draft.categories.push(name);
            guesses.push(guess);
        }
        None => draft.categories.extend(intake.category.clone()),
    }
    draft.url = intake.base.clone();
    draft.source = masthead.source;
    for byline in bylines {
        byline.authors.into_iter().for_each(|a| push_new(&mut draft.authors, a));
        draft.source = draft.source.or(byline.source.map(|title| Source { title, url: byline.url.clone() }));
    }
    if !draft.authors.is_empty() {
        guesses.push(Guess::new("authors", "the line that signs the text or stands below the title", 75));
    }
    draft.keys = identity(&draft, None);
    Ok(Arrival { draft, warnings, guesses })
}

/// How surely these paragraphs are an article.
pub fn body_guess(intake: &Intake<'_>, blocks: &[Block]) -> Guess {
    let prose =
        blocks.iter().filter(|b| b.kind == Kind::Paragraph && blocks::is_prose(intake.rules, &b.text));
    match prose.count() {
        0 => Guess::new("body", "no line is a whole sentence", 40),
        1 => Guess::new("body", "one paragraph", 70),
        _ => Guess::new("body", "paragraphs up to the byline or to what stands below articles", 85),
    }
}

fn no_article(lines: &[Line]) -> Fault {
    let what = if lines.is_empty() { "the input is empty" } else { "no article was found here" };
    Fault::new(
        lines.first().map(|l| l.number),
        format!(
            "{what}: a captured page needs a line that is the title and, below it, at least one paragraph of text"
        ),
    )
}

/// Collects the paragraphs until the article ends.
fn read_body(lines: &[Line], intake: &Intake<'_>, blocks: &mut Vec<Block>) {
    let rules = intake.rules;
    let (mut in_list, mut signed) = (false, false);
    for (at, line) in lines.iter().enumerate() {
        let text = &line.text;
        let after = || lines[at + 1..].iter().map(|l| l.text.as_str());
        match blocks::after_body(rules, text) {
            // Journals have their keywords above the text.
            Some(After::End) if at <= 3 && blocks::goes_on(rules, after(), false) => continue,
            Some(After::End) => break,
            Some(After::Related) => {
                if !blocks::goes_on(rules, after(), signed) {
                    break;
                }
                in_list = true;
                continue;
            }
            Some(After::Line) => continue,
            None => {}
        }
        if in_list
            && !(blocks::continues(rules, text)
                || (blocks::is_prose(rules, text) && text.chars().count() >= 100 && !blocks::is_teaser(text)))
        {
            continue;
        }
        in_list = false;
        signed = signed || super::byline::read(rules, text).is_some_and(|b| !b.authors.is_empty());
        blocks.push(line.block());
    }
}

/// A date at the end of the text, as in "NAME - 08:54, 30/11/2024".
fn signed_date(blocks: &[Block], intake: &Intake<'_>) -> Option<PageDate> {
    blocks.iter().rev().take(3).find_map(|b| page_date(intake.rules, &b.text, intake.zone))
}
