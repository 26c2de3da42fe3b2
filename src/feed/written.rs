//! A document as it was written, and how the next version takes over what stayed as it was.
//!
//! Entries are written one by one, so that an entry's bytes depend on its [`Stamp`], the format and the
//! publication alone: an article that comes into seven feeds is written once in each format, and a feed that
//! gets one more article copies the others. The bytes are the same whether they were copied or not.

use super::document::{Document, Entry};
use super::{RenderError, Snapshot, atom, json, rss};
use crate::domain::{Article, FeedContent, FeedDefinition, Format, micros};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Half of SHA-256: 128 bits tell apart everything that will ever be written.
pub type Digest = [u8; 16];

/// The digest of these bytes, one after the other.
pub fn digest<'b>(bytes: impl IntoIterator<Item = &'b [u8]>) -> Digest {
    let mut hasher = Sha256::new();
    bytes.into_iter().for_each(|bytes| hasher.update(bytes));
    half(hasher)
}

fn half(hasher: Sha256) -> Digest {
    let mut half = Digest::default();
    half.copy_from_slice(&hasher.finalize()[..16]);
    half
}

/// Everything by which an entry can change while the program runs: two alike are written alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp(Digest);

impl Stamp {
    /// Of an article as it stands in a feed. Its text has its revision, silent ones too; a return moves
    /// `updated` alone; a section can be renamed.
    pub fn of(article: &Article, feed: &FeedDefinition) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(article.id.uuid().as_bytes());
        for number in [article.revision, micros(article.published), micros(article.updated)] {
            hasher.update(number.to_le_bytes());
        }
        hasher.update([u8::from(feed.content == FeedContent::Full)]);
        let mut tell = |text: &str| {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text);
        };
        tell(feed.language.as_ref().map(|language| language.as_str()).unwrap_or_default());
        for category in &article.categories {
            tell(category.slug.as_str());
            tell(&category.title);
        }
        Self(half(hasher))
    }

    /// Enough of it to tell the entries of one document apart.
    pub fn short(self) -> u64 {
        self.0.iter().take(8).fold(0, |short, byte| short << 8 | u64::from(*byte))
    }
}

/// A part of a document: its head, an entry, its tail. They follow each other, with nothing but the format's
/// separator in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of an entry.
    pub stamp: Option<Stamp>,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Of its bytes.
    pub digest: Digest,
}

/// A document's bytes and their parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Written {
    /// Bytes that have no entries.
    pub fn whole(bytes: Vec<u8>) -> Self {
        let part = Part { stamp: None, start: 0, end: bytes.len(), digest: digest([&*bytes]) };
        Self { bytes, parts: vec![part] }
    }

    /// A document of any texts.
    #[cfg(test)]
    pub fn of_texts(head: &str, entries: &[String], tail: &str) -> Self {
        let mut written = Self::default();
        written.push(head.as_bytes(), None, digest([head.as_bytes()]));
        for entry in entries {
            let digest = digest([entry.as_bytes()]);
            written.push(entry.as_bytes(), Some(Stamp(digest)), digest);
        }
        written.push(tail.as_bytes(), None, digest([tail.as_bytes()]));
        written
    }

    /// Its parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The bytes alone.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What tells it from every other document: the digests of its parts, and where they end.
    pub fn digest(&self) -> Digest {
        let told = self.parts.iter().map(|part| (part.digest, part.end.to_le_bytes()));
        let told: Vec<u8> = told.flat_map(|(digest, end)| [&digest[..], &end[..]].concat()).collect();
        digest([&*told])
    }

    fn push(&mut self, bytes: &[u8], stamp: Option<Stamp>, digest: Digest) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.parts.push(Part { stamp, start, end: self.bytes.len(), digest });
    }

    fn entries(&self) -> impl Iterator<Item = (Stamp, &[u8], Digest)> {
        let bytes = |part: &Part| self.bytes.get(part.start..part.end).unwrap_or_default();
        self.parts.iter().filter_map(move |part| Some((part.stamp?, bytes(part), part.digest)))
    }
}

/// An entry that was written a short while ago, in whichever feed.
#[derive(Clone)]
struct Fresh {
    bytes: Arc<[u8]>,
    digest: Digest,
}

#[derive(Default)]
struct Lately {
    entries: HashMap<(Format, Stamp), Fresh>,
    order: VecDeque<(Format, Stamp)>,
    bytes: usize,
}

/// The entries that were written last: an article comes into all of its feeds at once.
pub struct Recent {
    most: usize,
    lately: Mutex<Lately>,
}

impl Recent {
    /// So many bytes of them.
    pub fn new(most: usize) -> Self {
        Self { most, lately: Mutex::default() }
    }

    fn find(&self, key: (Format, Stamp)) -> Option<Fresh> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner).entries.get(&key).cloned()
    }

    fn note(&self, key: (Format, Stamp), fresh: Fresh) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let length = fresh.bytes.len();
        if length > self.most || lately.entries.insert(key, fresh).is_some() {
            return;
        }
        lately.order.push_back(key);
        lately.bytes += length;
        while lately.bytes > self.most
            && let Some(oldest) = lately.order.pop_front()
        {
            lately.bytes -= lately.entries.remove(&oldest).map_or(0, |gone| gone.bytes.len());
        }
    }
}

/// How a format writes a document in parts.
pub(super) struct Frame {
    /// What comes before the entries.
    pub head: Vec<u8>,
    /// What comes behind each but the last of them.
    pub separator: &'static [u8],
    /// What comes behind the last.
    pub tail: Vec<u8>,
}

/// Writes a feed in a format, where `former` is the version of the document that came before.
pub(super) fn write<'s>(
    snapshot: &'s Snapshot,
    document: &Document<'s>,
    entries: &mut [Option<Entry>],
    format: Format,
    former: Option<&Written>,
    recent: &Recent,
) -> Result<Written, RenderError> {
    let Frame { head, separator, tail } = match format {
        Format::Rss => rss::frame(document)?,
        Format::Atom => atom::frame(document)?,
        Format::Json => json::frame(document, entries.is_empty())?,
    };
    let known: HashMap<Stamp, (&[u8], Digest)> = former
        .map(|former| former.entries().map(|(stamp, bytes, digest)| (stamp, (bytes, digest))).collect())
        .unwrap_or_default();
    let of_texts = || snapshot.articles.iter().map(|article| article.body.as_str().len() + 1_500).sum();
    let likely: usize = former.map_or_else(of_texts, |former| former.bytes.len());
    let mut written = Written {
        bytes: Vec::with_capacity(head.len() + likely + likely / 16),
        parts: Vec::with_capacity(entries.len() + 2),
    };
    written.push(&head, None, digest([&*head]));
    for (at, (article, entry)) in snapshot.articles.iter().zip(entries).enumerate() {
        if at > 0 {
            written.bytes.extend_from_slice(separator);
        }
        let stamp = Stamp::of(article, &snapshot.feed);
        if let Some((bytes, digest)) = known.get(&stamp) {
            written.push(bytes, Some(stamp), *digest);
        } else if let Some(fresh) = recent.find((format, stamp)) {
            written.push(&fresh.bytes, Some(stamp), fresh.digest);
        } else {
            let entry = entry.get_or_insert_with(|| Entry::of(article, snapshot, document.language));
            let bytes = match format {
                Format::Rss => rss::entry(entry.clone())?,
                Format::Atom => atom::entry(entry.clone(), document.language.as_str())?,
                Format::Json => json::entry(entry)?,
            };
            let digest = digest([&*bytes]);
            written.push(&bytes, Some(stamp), digest);
            recent.note((format, stamp), Fresh { bytes: bytes.into(), digest });
        }
    }
    written.push(&tail, None, digest([&*tail]));
    written.bytes.shrink_to_fit();
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::super::{render, render_each, sample};
    use super::*;
    use crate::domain::{Category, LanguageTag, Slug};
    use std::collections::HashSet;

    fn article() -> Article {
        sample::snapshot().articles.remove(0)
    }

    #[test]
    fn whatever_can_change_in_an_entry_is_in_its_stamp() {
        let (article, feed) = (article(), sample::feed());
        let later = |instant| instant + chrono::TimeDelta::microseconds(1);
        let other = sample::article(77, "").id;
        let section = |change: fn(&mut Category)| {
            let mut category = sample::category();
            change(&mut category);
            Article { categories: vec![category], ..article.clone() }
        };
        let articles = [
            article.clone(),
            Article { id: other, ..article.clone() },
            Article { revision: article.revision + 1, ..article.clone() },
            Article { published: later(article.published), ..article.clone() },
            Article { updated: later(article.updated), ..article.clone() },
            Article { categories: Vec::new(), ..article.clone() },
            section(|category| category.title.push('x')),
            section(|category| category.slug = Slug::parse("khac").unwrap()),
            Article { categories: vec![sample::category(), sample::category()], ..article.clone() },
        ];
        let stamps: HashSet<Stamp> = articles.iter().map(|article| Stamp::of(article, &feed)).collect();
        assert_eq!(stamps.len(), articles.len());
        let summary = FeedDefinition { content: FeedContent::Summary, ..feed.clone() };
        let english = FeedDefinition { language: LanguageTag::parse("en"), ..feed.clone() };
        for other in [summary, english] {
            assert!(!stamps.contains(&Stamp::of(&article, &other)));
        }
        let named = FeedDefinition { title: "Khác".into(), place: sample::place("khac"), ..feed };
        assert!(stamps.contains(&Stamp::of(&article, &named)), "an entry is the same in every feed");
    }

    #[test]
    fn an_entry_is_taken_over_by_its_stamp_and_from_nowhere_else() {
        let mut snapshot = sample::snapshot();
        for format in Format::ALL {
            let recent = Recent::new(1 << 20);
            let former = Arc::new(render_each(&snapshot, &[(format, None)], &recent).unwrap().remove(0));
            let mut forged = snapshot.clone();
            forged.articles[0].title = "Đổi".into();
            let again = |snapshot: &Snapshot, former: Option<&Arc<Written>>, recent: &Recent| {
                render_each(snapshot, &[(format, former.cloned())], recent).unwrap().remove(0).into_bytes()
            };
            let none = Recent::new(0);
            // The title is part of the revision: without another one, nobody looks.
            assert_eq!(again(&forged, Some(&former), &none), again(&snapshot, None, &none));
            assert_eq!(again(&forged, None, &recent), again(&snapshot, None, &none));
            forged.articles[0].revision += 1;
            assert_eq!(again(&forged, Some(&former), &recent), render(&forged, format).unwrap());
            assert!(String::from_utf8(again(&forged, Some(&former), &recent)).unwrap().contains("Đổi"));
        }
        snapshot.articles.clear();
        let gone = render_each(&snapshot, &[(Format::Json, None)], &Recent::new(0)).unwrap();
        assert_eq!(gone[0].entries().count(), 0);
    }

    #[test]
    fn what_was_written_last_is_kept_up_to_a_bound() {
        let recent = Recent::new(100);
        let key = |number: u8| (Format::Rss, Stamp([number; 16]));
        let fresh = |length: usize| Fresh { bytes: vec![0; length].into(), digest: Digest::default() };
        for number in 0..10 {
            recent.note(key(number), fresh(30));
            recent.note(key(number), fresh(30));
        }
        let kept: Vec<u8> = (0..10).filter(|number| recent.find(key(*number)).is_some()).collect();
        assert_eq!(kept, [7, 8, 9]);
        recent.note(key(20), fresh(101));
        assert!(recent.find(key(20)).is_none() && recent.find(key(9)).is_some());
        assert_eq!(recent.lately.lock().unwrap().bytes, 90);
    }

    #[test]
    fn other_bytes_and_other_parts_are_another_document() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let documents = [
            Written::of_texts("a", &texts(&["b", "c"]), "d"),
            Written::of_texts("a", &texts(&["c", "b"]), "d"),
            Written::of_texts("ab", &texts(&["c"]), "d"),
            Written::of_texts("a", &texts(&["b", "c"]), "e"),
            Written::whole(b"abcd".to_vec()),
        ];
        let digests: HashSet<Digest> = documents.iter().map(Written::digest).collect();
        assert_eq!(digests.len(), documents.len());
    }
}
