//! The text of a page, as a person copies it out of a browser: masthead, title, date, lead, body,
//! byline, and everything a page carries below. The habits of papers are in `rules.toml`.

use super::blocks::{self, After, Block, Kind};
use super::byline::{self, Byline};
use super::dates::{PageDate, page_date};
use super::rules::rules;
use super::{Arrival, Fault, Intake, Warning, decode, identity, mend_eth, push_new};
use crate::domain::{CategoryName, Draft, Source, WebUrl, clean_line, fold};

/// How many lines above the text are looked at. A whole nested menu may stand there.
const MASTHEAD: usize = 150;

/// A line that is not blank.
struct Line {
    number: usize,
    /// Blanks and tabs as captured; some breadcrumbs are told by them alone.
    raw: String,
    text: String,
    gap: usize,
}

/// What a line above the text is.
#[derive(Debug)]
enum Part {
    Date(PageDate),
    Source(Source),
    /// The sections it names, and whether it is surely a breadcrumb and no part of a menu.
    Crumbs(Vec<String>, bool),
    Byline(Byline),
    Noise,
    Text,
}

pub fn read(intake: &Intake<'_>, bytes: &[u8]) -> Result<Arrival, Fault> {
    let mut warnings = Vec::new();
    let page = mend_eth(&decode::decode(bytes, &mut warnings)?);
    let lines = lines(&page);
    let (title_at, body_at) = find_title(&lines, intake).ok_or_else(|| no_article(&lines))?;
    let title = lines[title_at].text.trim_end_matches('|').trim().to_owned();

    let mut blocks = Vec::new();
    let mut header = Header::default();
    let masthead = lines.iter().enumerate().take(body_at).skip(body_at.saturating_sub(MASTHEAD));
    for (at, line) in masthead.filter(|(at, _)| *at != title_at) {
        match part_of(line, intake) {
            Part::Date(date) => {
                if at > title_at {
                    header.bylines.extend(byline::read(&date.rest));
                }
                header.dates.push((at, date));
            }
            Part::Source(source) => header.source = header.source.or(Some(source)),
            Part::Crumbs(names, sure) if at < title_at => header.crumbs.push((names, sure)),
            Part::Byline(byline) if at > title_at => header.bylines.push(byline),
            Part::Text if at > title_at && line.text.split(' ').count() >= 4 => blocks.push(block(line)),
            Part::Text if at < title_at => header.plain.push((at, line.text.clone())),
            _ => {}
        }
    }
    read_body(&lines[body_at..], &mut blocks);
    for block in &mut blocks {
        block.text = blocks::without_stroke(&rules().lead.month.cut(&block.text));
    }
    let mut bylines = std::mem::take(&mut header.bylines);
    bylines.extend(blocks::restore_lead(&mut blocks));
    let signed = signed_date(&blocks, intake);
    bylines.push(blocks::take_bylines(&mut blocks));
    blocks::tell_kinds(&mut blocks, &title);

    let note = &rules().lead.note;
    let lead = blocks.iter_mut().find(|b| b.kind == Kind::Paragraph && !note.is_match(&b.text));
    let Some(lead) = lead else { return Err(no_article(&lines)) };
    lead.text = blocks::without_prefix(&lead.text, &page);
    let summary = lead.text.clone();

    let published = header.published(title_at, signed, &lines, &mut warnings);
    let mut draft = Draft::titled(&title).ok_or_else(|| no_article(&lines))?;
    draft.summary = Some(summary);
    draft.body = blocks::to_html(&blocks);
    draft.published = published;
    draft.categories = header.categories(title_at, &title, intake);
    draft.url = intake.base.clone();
    draft.source = header.source;
    for byline in bylines {
        byline.authors.into_iter().for_each(|a| push_new(&mut draft.authors, a));
        draft.source = draft.source.or(byline.source.map(|title| Source { title, url: None }));
    }
    draft.keys = identity(&draft, None);
    Ok(Arrival { draft, warnings })
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

fn lines(page: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut gap = 0;
    for (at, raw) in page.split('\n').flat_map(|l| l.split('\r')).enumerate() {
        let text = blocks::without_residue(raw);
        if !text.chars().any(char::is_alphanumeric) {
            gap += 1;
            continue;
        }
        lines.push(Line { number: at + 1, raw: raw.to_owned(), text, gap });
        gap = 0;
    }
    lines
}

fn block(line: &Line) -> Block {
    Block { kind: Kind::Paragraph, text: line.text.clone(), gap: line.gap }
}

/// A line without the bullet before it.
fn bare(text: &str) -> String {
    clean_line(&rules().header.bullets.cut(text))
}

fn part_of(line: &Line, intake: &Intake<'_>) -> Part {
    let rules = &rules().header;
    let text = bare(&line.text);
    if let Some(date) = page_date(&text, intake.zone) {
        return Part::Date(date);
    }
    if let Some(source) =
        rules.source.captures(&text).and_then(|found| source(found.name("source")?.as_str()))
    {
        return Part::Source(source);
    }
    if rules.noise.is_match(&text) {
        return Part::Noise;
    }
    if let Some((names, sure)) = crumbs(line, &text) {
        return Part::Crumbs(names, sure);
    }
    match byline::read(&text) {
        Some(byline) if line.text.chars().count() <= 60 => Part::Byline(byline),
        _ => Part::Text,
    }
}

/// "Báo Sóc Trăng", or "Báo Sóc Trăng: https://…".
fn source(text: &str) -> Option<Source> {
    let at = text.find("http://").or_else(|| text.find("https://"));
    let url = at.and_then(|at| WebUrl::parse(text[at..].split(' ').next()?).ok());
    let title = clean_line(&text[..at.unwrap_or(text.len())]);
    let title = title.trim_end_matches([':', '-', '(', ' ']);
    let title = if title.is_empty() { url.as_ref()?.host() } else { title };
    Some(Source { title: title.to_owned(), url })
}

/// The sections that a line of the masthead names: a breadcrumb, a bullet or a known section.
fn crumbs(line: &Line, text: &str) -> Option<(Vec<String>, bool)> {
    let rules = rules();
    if line.text.chars().count() > 160 || line.text.ends_with(['.', '!', '?', ':']) {
        return None;
    }
    if let Some(again) =
        rules.header.again.captures(text).and_then(|f| Some(f.name("category")?.as_str().to_owned()))
    {
        return Some((vec![again], true));
    }
    let raw = rules.header.bullets.cut(line.raw.trim());
    let chain: Vec<String> =
        rules.header.chain.split(&raw).iter().map(|c| bare(c)).filter(|c| !c.is_empty()).collect();
    let is_section = |name: &String| name.split(' ').count() <= 6 && name.chars().any(char::is_alphabetic);
    let starts_home = chain.first().is_some_and(|first| rules.header.home.contains(first));
    let arrows = line.text.contains(['>', '»', '›', '→']);
    if chain.len() > 1 && (starts_home || arrows || chain.iter().all(|c| rules.categories.words.contains(c)))
    {
        let names = chain.into_iter().filter(|c| is_section(c) && !rules.header.home.contains(c));
        return Some((names.collect(), true));
    }
    let bulleted = text.len() < line.text.len();
    let known = rules.categories.words.contains(text) || rules.header.home.contains(text);
    (known || (bulleted && is_section(&text.to_owned()) && text.chars().count() <= 40)).then(|| {
        let names = if rules.header.home.contains(text) { Vec::new() } else { vec![text.to_owned()] };
        (names, false)
    })
}

/// The title and the first line of the text. The title is the line above the text that says most,
/// stands next to the date, or is printed twice (in the breadcrumb and over the article).
fn find_title(lines: &[Line], intake: &Intake<'_>) -> Option<(usize, usize)> {
    let starts_text = |line: &Line| {
        let text = bare(&line.text);
        (blocks::is_prose(&line.text)
            && blocks::after_body(&line.text).is_none()
            && !blocks::is_caption(&text))
            && !text.ends_with([':', '?', '!'])
            && page_date(&text, intake.zone).is_none()
    };
    let mut body_at = lines.iter().position(starts_text);
    let from = body_at.map_or(0, |at| at.saturating_sub(MASTHEAD));
    let head = &lines[from..body_at.unwrap_or(lines.len()).min(from + MASTHEAD)];
    let parts: Vec<Part> = head.iter().map(|l| part_of(l, intake)).collect();
    let folded: Vec<String> = head.iter().map(|l| fold(&l.text)).collect();
    let is_date = |at: usize| matches!(parts.get(at), Some(Part::Date(_)));
    let score = |at: usize| -> usize {
        let text = &head[at].text;
        let beside_date = is_date(at + 1) || (at > 0 && is_date(at - 1));
        let twice =
            folded.iter().enumerate().any(|(other, f)| other != at && f.ends_with(folded[at].as_str()));
        let kicker = text.ends_with(':') || (text.starts_with(['-', '+']));
        let words = text.split(' ').count().min(20);
        (words + 6 * usize::from(beside_date) + 6 * usize::from(twice)).saturating_sub(if kicker {
            12
        } else {
            0
        })
    };
    let candidates = |wanted: fn(&Part) -> bool| {
        let found = parts.iter().enumerate().filter(|(_, p)| wanted(p)).map(|(at, _)| at);
        found
            .filter(|at| head[*at].text.split(' ').count() >= 2 && !blocks::is_caption(&head[*at].text))
            .filter(|at| blocks::after_body(&head[*at].text).is_none())
            .max_by_key(|at| (score(*at), *at))
            .map(|at| from + at)
    };
    let mut title_at = candidates(|p| matches!(p, Part::Text))
        .or_else(|| candidates(|p| matches!(p, Part::Byline(byline) if !byline.authors.is_empty())));
    if title_at.is_none()
        && let Some(first) = body_at
        && lines[first].text.chars().count() <= 200
    {
        // The title itself is a sentence.
        title_at = body_at;
        body_at = lines.iter().skip(first + 1).position(starts_text).map(|at| first + 1 + at);
    }
    let title_at = title_at?;
    // Short news: no line is long enough, so the text is what follows the title.
    let body_at = body_at.or_else(|| {
        let mut below = lines.iter().enumerate().skip(title_at + 1).take(MASTHEAD);
        below
            .find(|(_, l)| matches!(part_of(l, intake), Part::Text) && blocks::after_body(&l.text).is_none())
            .map(|(at, _)| at)
    })?;
    (title_at < body_at).then_some((title_at, body_at))
}

/// Collects the paragraphs until the article ends.
fn read_body(lines: &[Line], blocks: &mut Vec<Block>) {
    let mut in_list = false;
    for (at, line) in lines.iter().enumerate() {
        let text = &line.text;
        match blocks::after_body(text) {
            Some(After::End) => break,
            Some(After::Related) => {
                // A list in the middle of the text: at least two paragraphs of it are to come.
                if !blocks::goes_on(lines[at + 1..].iter().map(|l| l.text.as_str())) {
                    break;
                }
                in_list = true;
                continue;
            }
            Some(After::Line) => continue,
            None => {}
        }
        if in_list && !blocks::continues(text) {
            continue;
        }
        in_list = false;
        blocks.push(block(line));
    }
}

/// A date at the end of the text, as in "NAME - 08:54, 30/11/2024".
fn signed_date(blocks: &[Block], intake: &Intake<'_>) -> Option<PageDate> {
    blocks.iter().rev().take(3).find_map(|b| page_date(&b.text, intake.zone))
}

/// What stands around the title.
#[derive(Default)]
struct Header {
    dates: Vec<(usize, PageDate)>,
    source: Option<Source>,
    crumbs: Vec<(Vec<String>, bool)>,
    plain: Vec<(usize, String)>,
    bylines: Vec<Byline>,
}

impl Header {
    /// The date nearest below the title, else nearest above it: what stands on top of a page is
    /// often the visitor's own clock.
    fn published(
        &self,
        title_at: usize,
        signed: Option<PageDate>,
        lines: &[Line],
        warnings: &mut Vec<Warning>,
    ) -> Option<crate::domain::Instant> {
        let below = self.dates.iter().find(|(at, _)| *at > title_at);
        let above = self.dates.iter().rev().find(|(at, _)| *at < title_at);
        let (at, date) = match (below, signed, above) {
            (Some((at, date)), ..) => (*at, date.clone()),
            (None, Some(date), _) => return Some(date.instant),
            (None, None, Some((at, date))) => (*at, date.clone()),
            (None, None, None) => {
                warnings.push(Warning::new(
                    lines.get(title_at).map(|l| l.number),
                    "no date was found beside the title; the article gets the instant at which it comes in",
                ));
                return None;
            }
        };
        if at + 2 < title_at {
            warnings.push(Warning::new(
                lines.get(at).map(|l| l.number),
                "the only date stands far above the title and may be the visitor's clock",
            ));
        }
        let timed = self.dates.iter().find(|(_, other)| other.has_time && other.day == date.day);
        Some(if date.has_time {
            date.instant
        } else {
            timed.map_or(date.instant, |(_, other)| other.instant)
        })
    }

    /// The sections: the last step of the breadcrumb nearest to the title, or a short line right
    /// above it. A whole menu says nothing.
    fn categories(&self, title_at: usize, title: &str, intake: &Intake<'_>) -> Vec<CategoryName> {
        const MENU: usize = 5;
        // The last step of a breadcrumb may be the article itself.
        let step = |names: &'_ Vec<String>| names.iter().rfind(|n| fold(n) != fold(title)).cloned();
        let sure = self.crumbs.iter().rev().filter(|(_, sure)| *sure).find_map(|(names, _)| step(names));
        let single =
            (self.crumbs.len() < MENU).then(|| self.crumbs.iter().rev().find_map(|(names, _)| step(names)));
        let plain = || {
            let (at, text) = self.plain.last().filter(|_| self.plain.len() <= 3)?;
            let above =
                *at + 3 >= title_at && text.split(' ').count() <= 5 && !text.ends_with([':', '.', '!', '?']);
            above.then(|| text.clone())
        };
        let name = sure.or(single.flatten()).or_else(plain).map(CategoryName);
        name.or_else(|| intake.category.clone()).into_iter().collect()
    }
}
