//! Deltas (RFC 3229) with the instance manipulation `feed`: a document with only those entries
//! that are new or changed against a version which the client names by its entity tag.
//!
//! Past versions are known by fingerprints of what they showed and lie in memory alone: who names
//! one that is forgotten gets the whole document.

use super::{Representation, RepresentationError, Representations, Wanted, Which};
use crate::domain::{ArticleId, FeedPlace, Selection, micros};
use crate::feed::validators::{EntityTag, entity_tags};
use crate::feed::{RenderError, Snapshot, Stamp, Tombstone, render_one};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many versions of a document are remembered beside the present one: a newsroom publishes
/// fewer pieces between two polls of a living reader.
const PAST_VERSIONS: usize = 16;
/// The bytes that remembered versions take: some 1,500 documents of fifty entries.
const VERSION_MEMORY: u64 = 16 << 20;
/// The bytes that made deltas take. All readers who polled at the same time get the same one.
const DELTA_MEMORY: u64 = 16 << 20;

/// Whether an A-IM field (RFC 3229 §10.5.3) accepts `feed`. What is not named is not accepted, a
/// weight of 0 refuses, and a weight that is none does too.
pub fn accepts_feed(a_im: &str) -> bool {
    let mut quoted = false;
    let mut members = a_im.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    members.any(|member| {
        let mut parts = member.split(';').map(str::trim);
        let is_feed = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("feed"));
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(1.0, |(_, weight)| weight.trim().parse::<f32>().unwrap_or(0.0));
        is_feed && weight > 0.0 && weight <= 1.0
    })
}

/// What a client lacks of the present version of a document.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The tag, among those that the client named, of the version that it starts from.
    pub base: EntityTag,
    /// The document without what stood in that version. Its validators are those of the whole
    /// present document, which the client has once it has this.
    pub made: Arc<Representation>,
}

/// What a version of a document showed.
#[derive(Debug)]
pub(super) struct Version {
    path: String,
    /// A name may come to stand for another feed.
    selection: Selection,
    tags: [EntityTag; 4],
    /// Fingerprints of entries and tombstones, in order.
    shown: Box<[u64]>,
}

impl Version {
    pub(super) fn of(path: String, made: &Representation, snapshot: &Snapshot) -> Self {
        let entries = made.written().parts().iter().filter_map(|part| part.stamp).map(Stamp::short);
        let mut shown: Vec<u64> = entries.chain(snapshot.tombstones.iter().map(of_tombstone)).collect();
        shown.sort_unstable();
        let selection = snapshot.feed.selection.clone();
        Self { path, selection, tags: made.tags().clone(), shown: shown.into_boxed_slice() }
    }

    fn showed(&self, fingerprint: u64) -> bool {
        self.shown.binary_search(&fingerprint).is_ok()
    }

    /// The tag of this version that an If-None-Match names, in whatever coding it was had.
    fn named_by(&self, if_none_match: &str) -> Option<&EntityTag> {
        self.tags.iter().find(|tag| entity_tags(if_none_match).any(|theirs| tag.matches(theirs)))
    }

    /// What is new or changed since this version, and what was taken back since.
    fn cut(&self, mut snapshot: Snapshot) -> Snapshot {
        // What stands was not taken back, also where it is left out as known.
        let standing: HashSet<ArticleId> = snapshot.articles.iter().map(|article| article.id).collect();
        snapshot.tombstones.retain(|tombstone| {
            !standing.contains(&tombstone.article) && !self.showed(of_tombstone(tombstone))
        });
        let Snapshot { articles, feed, .. } = &mut snapshot;
        articles.retain(|article| !self.showed(Stamp::of(article, feed).short()));
        snapshot
    }

    fn weight(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.as_str().len() + 24).sum();
        self.path.len() + tags + self.shown.len() * 8 + 128
    }
}

fn of_tombstone(tombstone: &Tombstone) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tombstone.article, "withdrawn", micros(tombstone.withdrawn_at)).hash(&mut hasher);
    hasher.finish()
}

/// The memory of versions, and the deltas that were made.
pub(super) struct Deltas {
    /// By path, the newest last.
    versions: moka::future::Cache<String, Arc<Vec<Arc<Version>>>>,
    /// By path, base and present version; `None` where the whole document is no larger.
    made: moka::future::Cache<String, Option<Arc<Representation>>>,
}

impl Deltas {
    fn new() -> Self {
        let of_versions = |path: &String, versions: &Arc<Vec<Arc<Version>>>| {
            let versions: usize = versions.iter().map(|version| version.weight()).sum();
            u32::try_from(path.len() + versions).unwrap_or(u32::MAX)
        };
        let of_delta = |key: &String, made: &Option<Arc<Representation>>| {
            let key = u32::try_from(key.len()).unwrap_or(u32::MAX);
            key.saturating_add(made.as_ref().map_or(64, |made| made.weight()))
        };
        let versions =
            moka::future::Cache::builder().max_capacity(VERSION_MEMORY).weigher(of_versions).build();
        let made = moka::future::Cache::builder().max_capacity(DELTA_MEMORY).weigher(of_delta).build();
        Self { versions, made }
    }

    async fn remember(&self, version: Version) {
        let version = Arc::new(version);
        let path = version.path.clone();
        let entry = self.versions.entry(path);
        let next = |before: Option<moka::Entry<String, Arc<Vec<Arc<Version>>>>>| {
            let before = before.map(moka::Entry::into_value).unwrap_or_default();
            let others = before.iter().filter(|other| other.tags != version.tags);
            let mut versions: Vec<_> = others.cloned().collect();
            versions.push(version);
            versions.drain(..versions.len().saturating_sub(PAST_VERSIONS + 1));
            std::future::ready(Arc::new(versions))
        };
        entry.and_upsert_with(next).await;
    }

    /// The newest version of a document that an If-None-Match names (§7.1: any of those named may
    /// be the base), and the tag by which it does.
    async fn base(
        &self,
        path: &str,
        wanted: &Wanted,
        if_none_match: &str,
    ) -> Option<(Arc<Version>, EntityTag)> {
        let versions = self.versions.get(path).await?;
        let of_feed = |version: &&Arc<Version>| version.selection == wanted.feed.selection;
        versions
            .iter()
            .rev()
            .filter(of_feed)
            .find_map(|version| version.named_by(if_none_match).map(|tag| (Arc::clone(version), tag.clone())))
    }
}

impl Representations {
    /// The same, with a memory of past versions, so that deltas can be had.
    pub fn with_deltas(self) -> Self {
        Self { deltas: Some(Deltas::new()), ..self }
    }

    /// The path by which versions of a document are remembered: those that are polled in public.
    pub(super) fn path_in_memory(&self, wanted: &Wanted) -> Option<String> {
        let is_polled =
            wanted.which == Which::Subscription && matches!(wanted.feed.place, FeedPlace::Named(_));
        self.deltas.as_ref().filter(|_| is_polled).and_then(|_| wanted.path())
    }

    pub(super) async fn remember(&self, version: Option<Version>) {
        if let (Some(deltas), Some(version)) = (&self.deltas, version) {
            deltas.remember(version).await;
        }
    }

    /// What a client lacks who has one of the versions that its If-None-Match names, and not the
    /// `present` one. `None` where the whole document is the answer: deltas are switched off, no
    /// named version is known, or nothing would be saved.
    pub async fn delta(
        &self,
        wanted: &Wanted,
        present: &Representation,
        if_none_match: &str,
    ) -> Result<Option<Delta>, RepresentationError> {
        let (Some(deltas), Some(path)) = (&self.deltas, self.path_in_memory(wanted)) else { return Ok(None) };
        let has_it = |tag: &EntityTag| entity_tags(if_none_match).any(|theirs| tag.matches(theirs));
        if present.tags().iter().any(has_it) {
            return Ok(None);
        }
        let Some((version, base)) = deltas.base(&path, wanted, if_none_match).await else { return Ok(None) };
        let key = format!("{path} {} {}", version.tags[0], present.tags()[0]);
        let make = self.render_delta(path, wanted.clone(), version);
        let made = deltas.made.try_get_with(key, make).await.map_err(RepresentationError::Shared)?;
        Ok(made.map(|made| Delta { base, made }))
    }

    /// Both documents are made of one snapshot, so that the delta leads to the version whose tag it
    /// bears, also where the feed changed once more since the whole one was made ready.
    async fn render_delta(
        &self,
        path: String,
        wanted: Wanted,
        base: Arc<Version>,
    ) -> Result<Option<Arc<Representation>>, RepresentationError> {
        let (snapshot, contents) = self.snapshot(&wanted).await?;
        let link = self.link(&wanted);
        let recent = Arc::clone(&self.recent);
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let work = tokio::task::spawn_blocking(move || {
            let format = wanted.format;
            let whole = Representation::of(render_one(&snapshot, format, &recent)?, wanted, &contents, link);
            let version = Version::of(path, &whole, &snapshot);
            let written = render_one(&base.cut(snapshot), format, &recent)?;
            let is_smaller = written.as_ref().len() < whole.bytes().len();
            Ok::<_, RenderError>((is_smaller.then(|| Arc::new(whole.manipulated(written))), version))
        });
        let (made, version) = work.await??;
        self.remember(Some(version)).await;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn feed_is_accepted_by_name_alone_and_not_at_weight_0() {
        for yes in [
            "feed",
            "FEED",
            " feed ",
            "vcdiff, feed",
            "vcdiff;q=0,feed;q=0.5,gzip",
            "feed;q=1.000",
            "feed ; Q = 0.001",
            ",,feed",
            "gdiff;x=\"a\",feed",
        ] {
            assert!(accepts_feed(yes), "{yes}");
        }
        for no in [
            "",
            "vcdiff",
            "vcdiff, gzip",
            "feed;q=0",
            "feed;q=0.000",
            "feed;q=",
            "feed;q=x",
            "feed;q=nan",
            "feed;q=inf",
            "feed;q=-1",
            "feeds",
            "x-feed",
            "\"feed\"",
            "*",
            "vcdiff;x=\"a,feed,b\"",
        ] {
            assert!(!accepts_feed(no), "{no}");
        }
    }

    proptest! {
        #[test]
        fn no_field_is_too_odd(a_im in any::<String>()) {
            accepts_feed(&a_im);
        }
    }
}
