//! Articles as a newsroom's store holds them, spread over 1,000 feeds.

use bantin::app::SystemClock;
use bantin::domain::{CategoryName, Clock, Draft, IdentityKey, SafeHtml, Source};

/// 200 sections, 20 of which hold the others; tags, bylines, sources: 1,000 feeds besides `all`.
pub const SECTIONS: usize = 200;
pub const PARENTS: usize = 20;
const TAGS: usize = 700;
const AUTHORS: usize = 80;
const SOURCES: usize = 20;
/// The busy ones of each kind share every second article, some 100 of the first 1,000 each: so
/// their documents hold 50 articles in the smallest store as in the largest.
const BUSY_SECTIONS: usize = 5;
const BUSY_TAGS: usize = 10;
const BUSY_AUTHORS: usize = 5;
const BUSY_SOURCES: usize = 2;
const BODY_BYTES: usize = 3_000;
const CORPUS: &str = include_str!("../../tests/corpus/baosoctrang-article.txt");

/// A small generator with a seed of its own: the same articles in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or_default() % limit
    }

    /// Words of a real article, the first ones more often than the last: compresses as prose does.
    fn words(&mut self, words: &[&str], bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            let far = self.below(words.len());
            text.push_str(words[self.below(far + 1)]);
            text.push(' ');
        }
        text.trim_end().to_owned()
    }
}

/// Section `n` is part of this one; the first ones are part of none.
pub fn parent_of(section: usize) -> Option<usize> {
    (section >= PARENTS).then_some(section % PARENTS)
}

pub fn section(n: usize) -> String {
    format!("Chuyên mục {n}")
}

pub struct Writer {
    words: Vec<&'static str>,
}

impl Writer {
    pub fn new() -> Self {
        Self { words: CORPUS.split_whitespace().collect() }
    }

    /// An article in a section with a parent, with two tags, a byline and a source: in 7 feeds.
    pub fn draft(&self, n: usize, busy: bool) -> Draft {
        let mut dice = Dice::new(n as u64 + 1);
        let mut one_of = |busy_ones: usize, all: usize| dice.below(if busy { busy_ones } else { all });
        let section_of = PARENTS + one_of(BUSY_SECTIONS, SECTIONS - PARENTS);
        let (tag, author) = (one_of(BUSY_TAGS, TAGS), one_of(BUSY_AUTHORS, AUTHORS));
        let source = one_of(BUSY_SOURCES, SOURCES);
        let other = (tag + 1) % if busy { BUSY_TAGS } else { TAGS };
        let title = format!("Bài số {n}: {}", dice.words(&self.words, 60));
        let mut draft = Draft::titled(&title).unwrap();
        draft.keys = vec![IdentityKey::external("bench", &n.to_string())];
        draft.summary = Some(dice.words(&self.words, 180));
        let mut body = String::new();
        while body.len() < BODY_BYTES {
            body.push_str(&format!("<p>{}</p>", dice.words(&self.words, 420)));
        }
        draft.body = SafeHtml::stored(body);
        draft.categories = vec![CategoryName(section(section_of))];
        draft.tags = vec![format!("Chủ đề {tag}"), format!("Chủ đề {other}")];
        draft.authors = vec![format!("Tác giả {author}")];
        draft.source = Some(Source { title: format!("Nguồn {source}"), url: None });
        // One a minute, the last one an hour ago.
        let minutes = i64::try_from(5_000_000_usize.saturating_sub(n)).unwrap_or_default();
        draft.published = Some(SystemClock.now() - chrono::Duration::minutes(minutes.max(60)));
        draft
    }
}

/// The documents of every feed, as paths.
pub fn paths() -> Vec<String> {
    use bantin::domain::{Label, LabelKind, Slug};
    let labels = |kind: LabelKind, word: &'static str, count: usize| {
        (0..count).map(move |n| {
            format!("{}:{}", kind.as_str(), Label::of(kind, &format!("{word} {n}")).unwrap().slug)
        })
    };
    let names = std::iter::once("all".to_owned())
        .chain((0..SECTIONS).map(|n| Slug::of_title(&section(n)).unwrap().to_string()))
        .chain(labels(LabelKind::Tag, "Chủ đề", TAGS))
        .chain(labels(LabelKind::Author, "Tác giả", AUTHORS))
        .chain(labels(LabelKind::Source, "Nguồn", SOURCES));
    names.flat_map(|name| documents(&name)).collect()
}

pub fn documents(name: &str) -> [String; 3] {
    ["rss", "atom", "json"].map(|format| format!("/feeds/{name}.{format}"))
}

/// The documents in which an article stands.
pub fn documents_of(draft: &Draft) -> Vec<String> {
    use bantin::domain::{Slug, labels_of};
    let CategoryName(own) = &draft.categories[0];
    let number: usize = own.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap();
    let sections = std::iter::once(number).chain(parent_of(number));
    let sections = sections.map(|n| Slug::of_title(&section(n)).unwrap().to_string());
    let labels = labels_of(&draft.tags, &draft.authors, draft.source.as_ref());
    let labels = labels.into_iter().map(|label| format!("{}:{}", label.kind.as_str(), label.slug));
    let names = std::iter::once("all".to_owned()).chain(sections).chain(labels);
    names.flat_map(|name| documents(&name)).collect()
}
