//! What stands above the text of a page: sections, title, date, source, writers; and of many dates
//! and lines the ones that are meant.

use super::blocks::{self, Block};
use super::byline::{self, Byline};
use super::dates::{PageDate, page_date};
use super::page_lines::Line;
use super::rules::Rules;
use super::{Guess, Intake};
use crate::domain::{CategoryName, Instant, Source, WebUrl, clean_line, fold};

/// How many lines above the text are looked at. A whole nested menu may stand there.
const MASTHEAD: usize = 150;

/// Where the title and the text begin.
pub struct Headline {
    /// The line of the title.
    pub title_at: usize,
    /// The first line of the text.
    pub body_at: usize,
    /// By what it was told, and how surely.
    pub rule: &'static str,
    pub confidence: u8,
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

/// A line without the bullet before it.
fn bare(rules: &Rules, text: &str) -> String {
    clean_line(&rules.header.bullets.cut(text))
}

fn part_of(line: &Line, intake: &Intake<'_>) -> Part {
    let rules = intake.rules;
    let header = &rules.header;
    let text = bare(rules, &line.text);
    if let Some(date) = page_date(rules, &text, intake.zone) {
        return Part::Date(date);
    }
    if let Some(source) =
        header.source.captures(&text).and_then(|found| source(found.name("source")?.as_str()))
    {
        return Part::Source(source);
    }
    if header.noise.is_match(&text) {
        return Part::Noise;
    }
    if let Some((names, sure)) = crumbs(rules, line, &text) {
        return Part::Crumbs(names, sure);
    }
    match byline::read(rules, &text) {
        Some(byline) if line.text.chars().count() <= 60 => Part::Byline(byline),
        _ => Part::Text,
    }
}

/// "Báo Sóc Trăng", or "Báo Sóc Trăng: https://…".
pub fn source(text: &str) -> Option<Source> {
    let at = text.find("http://").or_else(|| text.find("https://"));
    let url = at.and_then(|at| WebUrl::parse(text[at..].split(' ').next()?).ok());
    let title = clean_line(&text[..at.unwrap_or(text.len())]);
    let title = title.trim_end_matches([':', '-', '(', ' ']);
    let title = if title.is_empty() { url.as_ref()?.host() } else { title };
    Some(Source { title: title.to_owned(), url })
}

/// The sections that a line of the masthead names: a breadcrumb, a bullet or a known section.
fn crumbs(rules: &Rules, line: &Line, text: &str) -> Option<(Vec<String>, bool)> {
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
        rules.header.chain.split(&raw).iter().map(|c| bare(rules, c)).filter(|c| !c.is_empty()).collect();
    let is_section = |name: &String| name.split(' ').count() <= 6 && name.chars().any(char::is_alphabetic);
    let starts_home = chain.first().is_some_and(|first| rules.header.home.contains(first));
    let arrows = line.text.contains(['>', '»', '›', '→']);
    // So many steps are a menu in one line.
    if chain.len() > 6 || (chain.len() > 4 && !arrows) {
        return Some((Vec::new(), false));
    }
    // Four sections in a row and nothing else are one too.
    let sections = chain.len() < 4 && chain.iter().all(|c| rules.categories.words.contains(c));
    if chain.len() > 1 && (starts_home || arrows || sections) {
        let names = chain
            .into_iter()
            .filter(|c| is_section(c) && !rules.header.home.contains(c) && !rules.header.media.contains(c));
        return Some((names.collect(), starts_home || arrows));
    }
    let bulleted = text.len() < line.text.len();
    let home = rules.header.home.contains(text) || rules.header.media.contains(text);
    let known = rules.categories.words.contains(text) || home;
    (known || (bulleted && is_section(&text.to_owned()) && text.chars().count() <= 40)).then(|| {
        let names = if home { Vec::new() } else { vec![text.to_owned()] };
        (names, false)
    })
}

/// The title and the first line of the text. The title is the line above the text that says most,
/// stands next to the date, or is printed twice (in the breadcrumb and over the article).
pub fn find_title(lines: &[Line], intake: &Intake<'_>) -> Option<Headline> {
    let rules = intake.rules;
    let starts_text = |line: &Line| {
        let text = bare(rules, &line.text);
        (blocks::is_prose(rules, &line.text)
            && blocks::after_body(rules, &line.text).is_none()
            && !blocks::is_caption(rules, &text))
            && !text.ends_with([':', '?', '!'])
            && page_date(rules, &text, intake.zone).is_none()
    };
    // A title may be a sentence; then the date stands below it.
    let dated = |at: usize| {
        lines
            .get(at + 1)
            .is_some_and(|next| page_date(rules, &bare(rules, &next.text), intake.zone).is_some())
            && lines[at].text.chars().count() <= 200
    };
    let mut body_at = lines.iter().enumerate().position(|(at, line)| starts_text(line) && !dated(at));
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
            .filter(|at| {
                head[*at].text.split(' ').count() >= 2 && !blocks::is_caption(rules, &head[*at].text)
            })
            .filter(|at| blocks::after_body(rules, &head[*at].text).is_none())
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
            .find(|(_, l)| {
                matches!(part_of(l, intake), Part::Text) && blocks::after_body(rules, &l.text).is_none()
            })
            .map(|(at, _)| at)
    })?;
    let (rule, confidence) = match title_at.checked_sub(from).filter(|at| *at < head.len()) {
        None => ("the first line, a sentence itself", 60),
        Some(at) => {
            let beside = is_date(at + 1) || (at > 0 && is_date(at - 1));
            // The runner-up: as good a title, and nothing tells them apart.
            let rival = (0..head.len()).any(|other| {
                other != at
                    && matches!(parts[other], Part::Text)
                    && !blocks::is_caption(rules, &head[other].text)
                    && head[other].text.split(' ').count() >= 4
                    && score(other) >= score(at)
                    && folded[other] != folded[at]
            });
            match (beside, rival) {
                (true, _) => ("the line beside the date", 85),
                (false, false) => ("the line above the text that says most", 65),
                (false, true) => ("one of several lines above the text", 40),
            }
        }
    };
    (title_at < body_at).then_some(Headline { title_at, body_at, rule, confidence })
}

/// A section above the title: where, its name, and whether papers are known to have it.
struct Section {
    at: usize,
    name: String,
    known: bool,
}

/// What stands around the title.
#[derive(Default)]
pub struct Masthead {
    title_at: usize,
    body_at: usize,
    title: String,
    dates: Vec<(usize, PageDate)>,
    breadcrumb: Option<String>,
    sections: Vec<Section>,
    /// Where the article was taken from.
    pub source: Option<Source>,
    /// The writers named above the text.
    pub bylines: Vec<Byline>,
    /// Paragraphs between title and text.
    pub between: Vec<Block>,
}

impl Masthead {
    /// Reads what stands above the text.
    pub fn read(lines: &[Line], title_at: usize, body_at: usize, intake: &Intake<'_>) -> Self {
        let title = lines.get(title_at).map(|l| l.text.clone()).unwrap_or_default();
        let mut found = Self { title_at, body_at, title, ..Self::default() };
        let above = lines.iter().enumerate().take(body_at).skip(body_at.saturating_sub(MASTHEAD));
        for (at, line) in above.filter(|(at, _)| *at != title_at) {
            match part_of(line, intake) {
                Part::Date(date) => {
                    if intake.rules.categories.words.contains(&date.rest) {
                        found.sections.push(Section { at, name: date.rest.clone(), known: true });
                    } else if at > title_at {
                        found.bylines.extend(byline::read(intake.rules, &date.rest));
                    }
                    found.dates.push((at, date));
                }
                Part::Source(source) => found.source = found.source.or(Some(source)),
                Part::Crumbs(names, sure) if at < title_at => found.crumbs(at, names, sure),
                // "Chuyên mục: Nghiên cứu" among the facts below the title.
                Part::Crumbs(names, true) if found.breadcrumb.is_none() => found.crumbs(at, names, true),
                Part::Byline(byline) if at > title_at => found.bylines.push(byline),
                Part::Text
                    if at > title_at
                        && (line.words() >= 8
                            || blocks::is_prose(intake.rules, &line.text)
                            || blocks::is_caption(intake.rules, &line.text)) =>
                {
                    found.between.push(line.block())
                }
                Part::Text
                    if at < title_at && line.words() <= 5 && !line.text.ends_with([':', '.', '!', '?']) =>
                {
                    found.sections.push(Section { at, name: line.text.clone(), known: false });
                }
                _ => {}
            }
        }
        found
    }

    /// Whether a paragraph stands where leads do: not far below the first line of the text, which may
    /// be a caption, and not above the title.
    pub fn stands_above(&self, lines: &[Line], text: &str) -> bool {
        const NEAR: usize = 6;
        let from = if self.title_at < self.body_at { self.title_at } else { 0 };
        lines.iter().skip(from).take(self.body_at + NEAR - from).any(|line| {
            let length = line.text.len().min(text.len()).min(120);
            length > 0 && line.text.as_bytes()[..length] == text.as_bytes()[..length]
        })
    }

    fn crumbs(&mut self, at: usize, mut names: Vec<String>, sure: bool) {
        // The last step of a breadcrumb may be the article itself.
        names.retain(|name| fold(name) != fold(&self.title));
        let Some(name) = names.pop() else { return };
        if sure {
            self.breadcrumb = Some(name);
        } else {
            self.sections.push(Section { at, name, known: true });
        }
    }

    /// The date nearest below the title, then one that signs the text, then the nearest above: what
    /// stands on top of a page is often the visitor's own clock.
    pub fn published(&self, signed: Option<PageDate>) -> Option<(Instant, Guess)> {
        let guess = |rule, confidence| Guess::new("published", rule, confidence);
        let below = self.dates.iter().find(|(at, _)| *at > self.title_at);
        let above = self.dates.iter().rev().find(|(at, _)| *at < self.title_at);
        let (date, guess) = match (below, signed, above) {
            (Some((_, date)), ..) => (date.clone(), guess("the first date below the title", 90)),
            (None, Some(date), _) => return Some((date.instant, guess("the date that signs the text", 75))),
            (None, None, Some((at, date))) if at + 2 >= self.title_at => {
                (date.clone(), guess("the date right above the title", 80))
            }
            (None, None, Some((_, date))) => (
                date.clone(),
                guess("the only date stands far above the title and may be the visitor's clock", 30),
            ),
            (None, None, None) => return None,
        };
        let timed = self.dates.iter().find(|(_, other)| other.has_time && other.day == date.day);
        let instant = timed.filter(|_| !date.has_time).map_or(date.instant, |(_, other)| other.instant);
        Some((instant, guess))
    }

    /// The section: the last step of the breadcrumb, or a line above the title. Of a whole menu
    /// only a line that repeats one of it right above the title says something.
    pub fn category(&self) -> Option<(CategoryName, Guess)> {
        const MENU: usize = 5;
        let found = |name: &str, rule, confidence| {
            Some((CategoryName(name.to_owned()), Guess::new("categories", rule, confidence)))
        };
        if let Some(name) = &self.breadcrumb {
            return found(name, "the breadcrumb", 90);
        }
        let last = self.sections.last()?;
        let before = self.sections.len().checked_sub(2).map(|at| &self.sections[at]);
        let near = last.at + 3 >= self.title_at;
        if self.sections.iter().filter(|s| s.known).count() >= MENU {
            let repeated = |section: &Section| {
                self.sections
                    .iter()
                    .any(|other| other.at < section.at && fold(&other.name) == fold(&section.name))
            };
            let again =
                near && (repeated(last) || before.is_some_and(|b| b.at + 1 == last.at && repeated(b)));
            return again.then(|| found(&last.name, "named again below the menu", 70)).flatten();
        }
        let follows = before.is_some_and(|b| b.known && b.at + 1 == last.at);
        if !last.known && near && follows && last.name.split(' ').count() <= 3 {
            return found(&last.name, "the line below a known section", 65);
        }
        if let Some(known) = self.sections.iter().rfind(|s| s.known) {
            return found(&known.name, "a known section above the title", 80);
        }
        // Many short lines are a menu, whatever they say.
        (near && self.sections.len() <= 2)
            .then(|| found(&last.name, "a short line above the title", 55))
            .flatten()
    }
}
