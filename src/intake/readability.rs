//! A second reading of a page, by a library that knows nothing of ours: Mozilla's Readability as
//! dom_smoothie has it. What two readings that fail differently agree on is surely the article (0019).

use super::Guess;
use super::blocks::{self, Kind};
use super::html_parts::Part;
use super::html_tree;
use super::page_lines::Line;
use super::rules::Rules;
use crate::domain::fold;
use dom_smoothie::{Config, Readability};
use ego_tree::iter::Edge;
use scraper::Html;
use std::collections::HashMap;

/// The library's time grows faster than depth and size (figures in 0019). Pages that people make stay far
/// below these; the others have one reading.
const MOST_BYTES: usize = 2 << 20;
const MOST_NODES: usize = 15_000;
const MOST_DEPTH: usize = 100;

/// The library's reading of a page, as a tree of its own. Classes stay, since our rules tell by them
/// what is not the article's. The page's tree is known and bounded; the library's is the same.
pub fn read(page: &str, tree: &Html) -> Option<Html> {
    if page.len() > MOST_BYTES || tree.tree.nodes().len() > MOST_NODES || depth(tree) > MOST_DEPTH {
        return None;
    }
    let config = Config { keep_classes: true, disable_json_ld: true, ..Config::default() };
    let article = Readability::new(page, None, Some(config)).ok()?.parse().ok()?;
    html_tree::parse(&article.content).ok()
}

fn depth(tree: &Html) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for edge in tree.tree.root().traverse() {
        match edge {
            Edge::Open(_) => depth += 1,
            Edge::Close(_) => depth -= 1,
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Our own reading, and whether it stands where papers name the place of their text.
pub struct Reading {
    pub parts: Vec<Part>,
    pub named: bool,
}

/// What two readings say of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both are the same text.
    Same,
    /// The library found what our rules did not, or more around it.
    Library,
    /// They are different parts of the page.
    Different,
    /// Something between, or only our rules found anything.
    Own,
}

impl Verdict {
    /// How surely the text is the article's, given what the text alone says.
    pub fn guess(self, told: Guess) -> Guess {
        let said = match self {
            Self::Same if told.confidence >= 85 => {
                return Guess::new("body", "the rules and the readability library read the same text", 95);
            }
            Self::Library => Guess::new("body", "the readability library found more than the rules", 65),
            Self::Different => {
                Guess::new("body", "the readability library takes another part of the page for the text", 40)
            }
            Self::Same | Self::Own => return told,
        };
        if said.confidence < told.confidence { said } else { told }
    }
}

/// Which of two readings is the article.
pub fn weigh(rules: &Rules, own: Reading, other: Vec<Part>, lines: &[Line]) -> (Vec<Part>, Verdict) {
    let Reading { parts: own, named } = own;
    let (ours, theirs) = (triples(&own), triples(&other));
    let (our_size, their_size): (usize, usize) = (ours.values().sum(), theirs.values().sum());
    if their_size == 0 {
        return (own, Verdict::Own);
    }
    if our_size == 0 {
        return (other, Verdict::Library);
    }
    let both: usize = ours.iter().map(|(three, n)| *n.min(theirs.get(three).unwrap_or(&0))).sum();
    // Of our words and of theirs, in a hundred, those that both have.
    let (of_ours, of_theirs) = (both * 100 / our_size, both * 100 / their_size);
    // The library throws films away that it does not know.
    let pictures = |parts: &[Part]| parts.iter().filter(|part| part.pictured).count();
    let complete = pictures(&other) >= pictures(&own);
    match (of_ours, of_theirs) {
        (90.., _) if !named && complete && (of_theirs <= 50 || reaches_back(rules, &own, &other)) => {
            (other, Verdict::Library)
        }
        (75.., 75..) => (own, Verdict::Same),
        // Where a paper names its text, that is it.
        (..=30, ..=30) if !named => match (stands_at(&own, lines), stands_at(&other, lines)) {
            // What readers write stands below what they write of.
            (Some(own_at), Some(other_at)) if other_at < own_at => (other, Verdict::Different),
            _ => (own, Verdict::Different),
        },
        _ => (own, Verdict::Own),
    }
}

/// Whether the other reading has text or pictures before the first paragraph of ours, and ends where it does.
fn reaches_back(rules: &Rules, own: &[Part], other: &[Part]) -> bool {
    let is_text =
        |part: &&Part| part.block.kind == Kind::Paragraph && blocks::is_prose(rules, &part.block.text);
    let last = |parts: &[Part]| parts.iter().rfind(|p| is_text(p)).map(|p| p.block.text.clone());
    let Some(first) = own.iter().find(is_text) else { return false };
    let at = other.iter().position(|p| blocks::same_words(rules, &p.block.text, &first.block.text));
    let before = at.map_or(&other[..0], |at| &other[..at]);
    before.iter().any(|p| p.pictured || is_text(&p))
        && last(own).zip(last(other)).is_some_and(|(own, other)| blocks::same_words(rules, &own, &other))
}

/// The line of the page that a reading begins with.
fn stands_at(parts: &[Part], lines: &[Line]) -> Option<usize> {
    let first = parts.iter().map(|p| fold(&p.block.text)).find(|text| text.len() >= 20)?;
    lines.iter().position(|line| fold(&line.text).starts_with(&first))
}

/// Every three words in a row: single ones are in every text.
fn triples(parts: &[Part]) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    let text = parts.iter().map(|p| fold(&p.block.text)).collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    for three in words.windows(3) {
        *found.entry(three.join(" ")).or_default() += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::intake;
    use super::*;
    use crate::intake::blocks::Block;

    const ARTICLE: &str = "Cây cầu mới cách bến chừng cây số, ai có xe máy đều đi cầu, chỉ mấy người gánh bộ còn cần tới ông lái đò.";
    const MORE: &str = "Năm nay ông bảy mươi hai tuổi, chèo đò từ hồi mười lăm, và ông biết mình là đời sau chót của bến này.";
    const LETTER: &str = "Tôi ở ngay gần đó nên biết rõ chuyện này, mong báo theo đến cùng chứ nói xong rồi để đó thì cũng như không.";

    fn parts(texts: &[&str]) -> Vec<Part> {
        let part = |text: &&str| Part {
            block: Block { kind: Kind::Paragraph, text: (*text).to_owned(), gap: 0 },
            html: format!("<p>{text}</p>"),
            pictured: false,
            links: false,
        };
        texts.iter().map(part).collect()
    }

    /// The texts that are taken, and why; the page is the article and a reader's letter below it.
    fn taken(own: &[&str], named: bool, other: &[&str]) -> (Vec<String>, Verdict) {
        let page = format!("{MORE}\n{ARTICLE}\n{LETTER}");
        let lines = super::super::page_lines::lines(intake("").rules, &page);
        let own = Reading { parts: parts(own), named };
        let (taken, verdict) = weigh(intake("").rules, own, parts(other), &lines);
        (taken.into_iter().map(|part| part.block.text).collect(), verdict)
    }

    #[test]
    fn the_fuller_of_two_readings_is_taken_and_of_different_ones_the_upper() {
        for (own, named, other, wanted, verdict) in [
            (&[MORE, ARTICLE][..], false, &[MORE, ARTICLE][..], &[MORE, ARTICLE][..], Verdict::Same),
            (&[], false, &[MORE, ARTICLE], &[MORE, ARTICLE], Verdict::Library),
            (&[MORE, ARTICLE], false, &[], &[MORE, ARTICLE], Verdict::Own),
            (&[ARTICLE], false, &[MORE, ARTICLE], &[MORE, ARTICLE], Verdict::Library),
            (&[ARTICLE], true, &[MORE, ARTICLE, LETTER], &[ARTICLE], Verdict::Own),
            (&[LETTER], false, &[MORE, ARTICLE], &[MORE, ARTICLE], Verdict::Different),
            (&[MORE, ARTICLE], false, &[LETTER], &[MORE, ARTICLE], Verdict::Different),
            (&[MORE, ARTICLE], true, &[LETTER], &[MORE, ARTICLE], Verdict::Own),
        ] {
            let wanted = wanted.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(taken(own, named, other), (wanted, verdict), "{own:?} {other:?}");
        }
    }

    #[test]
    fn pages_that_would_take_the_library_long_have_one_reading() {
        let wide = "<p>Một câu, hai câu, ba câu, bốn câu, năm câu.</p>".repeat(MOST_NODES / 2);
        let deep = format!("{}{ARTICLE}", "<div>".repeat(MOST_DEPTH));
        for page in [wide, deep, format!("<p>{}</p>", "chữ ".repeat(MOST_BYTES / 4))] {
            let tree = html_tree::parse(&page).unwrap();
            assert!(read(&page, &tree).is_none(), "{}", &page[..40]);
        }
        let page = format!("<div><p>{ARTICLE}</p><p>{MORE}</p></div>");
        assert!(read(&page, &html_tree::parse(&page).unwrap()).is_some());
    }
}
