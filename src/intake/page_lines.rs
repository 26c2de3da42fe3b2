//! The lines of a page, as a reader sees them.

use super::blocks::{self, Block, Kind};
use super::rules::Rules;

/// More lines than this are no article, and each costs many comparisons.
pub const MOST_LINES: usize = 10_000;

/// A line that is not blank.
pub struct Line {
    /// Where it stands, counted from 1.
    pub number: usize,
    /// Blanks and tabs as captured; some breadcrumbs are told by them alone.
    pub raw: String,
    /// Its words, clean.
    pub text: String,
    /// How many blank lines stand before it.
    pub gap: usize,
}

impl Line {
    /// The line as a paragraph.
    pub fn block(&self) -> Block {
        Block { kind: Kind::Paragraph, text: self.text.clone(), gap: self.gap }
    }

    /// How many words it has.
    pub fn words(&self) -> usize {
        self.text.split(' ').count()
    }
}

/// The lines of a text. What has no letter in it parts lines as blank ones do.
pub fn lines(rules: &Rules, page: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut gap = 0;
    for (at, raw) in page.split('\n').flat_map(|l| l.split('\r')).enumerate() {
        let text = blocks::without_residue(rules, raw);
        if !text.chars().any(char::is_alphanumeric) {
            gap += 1;
            continue;
        }
        lines.push(Line { number: at + 1, raw: raw.to_owned(), text, gap });
        gap = 0;
        if lines.len() == MOST_LINES {
            break;
        }
    }
    lines
}
