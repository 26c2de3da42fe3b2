//! Floor 3: the finished bytes of every feed, per format and content-coding, with validators.
//!
//! A feed is rendered once per change and a request copies from here: no database, no template.
//! A cold feed is rendered on demand, once, however many ask. Memory is bounded by bytes.

mod coding;
mod express;

pub use coding::Coding;
pub use express::Ready;

use crate::domain::{
    CategoryTree, DeclaredFeed, Directory, FeedDefinition, FeedKey, Format, Instant, Publication,
};
use crate::feed::validators::{EntityTag, Validators};
use crate::feed::{RenderError, Snapshot, render};
use crate::store::{FeedState, Store, StoreError};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// One content-coding of a feed's document.
#[derive(Clone, Debug)]
pub struct Coded {
    /// The bytes as they go out.
    pub bytes: Bytes,
    /// Their own strong entity tag (RFC 9110 §8.8.3).
    pub entity_tag: EntityTag,
}

/// A feed's document in one format, ready to be copied out.
#[derive(Clone, Debug)]
pub struct Representation {
    identity: Coded,
    gzip: Coded,
    brotli: Coded,
    /// The publish sequence of the change that it shows.
    pub change_number: i64,
    last_modified: Instant,
    twice_in_one_second: bool,
}

impl Representation {
    fn of(bytes: Vec<u8>, state: &FeedState) -> std::io::Result<Self> {
        // Tags are made of the uncoded bytes and the coding's name, so that a newer compressor
        // does not make every reader fetch every feed again.
        let tag = |coding: Coding| EntityTag::of(&bytes, coding.name().unwrap_or("identity"));
        let [identity, gzip, brotli] = [Coding::Identity, Coding::Gzip, Coding::Brotli].map(tag);
        let coded = |bytes: Vec<u8>, entity_tag| Coded { bytes: Bytes::from(bytes), entity_tag };
        Ok(Self {
            gzip: coded(coding::gzip(&bytes)?, gzip),
            brotli: coded(coding::brotli(&bytes)?, brotli),
            identity: coded(bytes, identity),
            change_number: state.change_number,
            last_modified: state.changed_at,
            twice_in_one_second: state.twice_in_one_second,
        })
    }

    /// The bytes in a coding.
    pub fn coded(&self, coding: Coding) -> &Coded {
        match coding {
            Coding::Identity => &self.identity,
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
        }
    }

    /// What conditional requests are judged by.
    pub fn validators(&self, coding: Coding) -> Validators {
        let all = [&self.identity, &self.gzip, &self.brotli];
        let own = &self.coded(coding).entity_tag;
        Validators {
            entity_tag: own.clone(),
            siblings: all.iter().map(|c| c.entity_tag.clone()).filter(|tag| tag != own).collect(),
            last_modified: self.last_modified,
            twice_in_one_second: self.twice_in_one_second,
        }
    }

    fn size(&self) -> usize {
        self.identity.bytes.len() + self.gzip.bytes.len() + self.brotli.bytes.len()
    }
}

/// Why a feed has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum RepresentationError {
    /// The store did not answer. Later may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The document could not be made.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// It could not be compressed, or the work was stopped.
    #[error("the feed could not be compressed: {0}")]
    Coding(String),
    /// Another request was making the same bytes and failed.
    #[error("{0}")]
    Shared(Arc<RepresentationError>),
}

type Slot = (FeedKey, Format);

/// The finished bytes of every feed.
pub struct Representations {
    store: Store,
    publication: Publication,
    declared: Vec<DeclaredFeed>,
    directory: RwLock<Arc<Directory>>,
    ready: moka::future::Cache<Slot, Arc<Representation>>,
    /// The newest change that is known of each feed that changed since the start. Bytes of an
    /// older one are never served, also when a cold rendering ends after the change came.
    newest: RwLock<HashMap<FeedKey, i64>>,
    shelf: Arc<express::Shelf>,
    seen: AtomicI64,
    announced: AtomicBool,
    rendered: AtomicU64,
}

impl Representations {
    /// Starts with nothing rendered.
    pub async fn open(
        store: Store,
        publication: Publication,
        declared: Vec<DeclaredFeed>,
        memory: u64,
    ) -> Result<Self, StoreError> {
        let shelf: Arc<express::Shelf> = Arc::default();
        let behind = Arc::clone(&shelf);
        let ready = moka::future::Cache::builder()
            .max_capacity(memory)
            .eviction_listener(move |slot: Arc<Slot>, made, _| behind.remove(*slot, &made))
            .weigher(|_, made: &Arc<Representation>| u32::try_from(made.size()).unwrap_or(u32::MAX))
            .build();
        let representations = Self {
            store,
            publication,
            declared,
            directory: RwLock::default(),
            ready,
            newest: RwLock::default(),
            shelf,
            seen: AtomicI64::new(0),
            announced: AtomicBool::new(false),
            rendered: AtomicU64::new(0),
        };
        let tree = representations.store.category_tree().await?;
        representations.read_directory(&tree);
        let states = representations.store.feed_states().await?;
        let seen = states.iter().map(|state| state.change_number).max().unwrap_or_default();
        representations.seen.store(seen, Ordering::Release);
        Ok(representations)
    }

    /// Tells the store what each feed is called and how it looks, so that a changed title or
    /// window counts as a change of the feed. Said by whoever serves, never by a command that
    /// only looks: it may run with another configuration.
    pub async fn announce(&self, now: Instant) -> Result<(), StoreError> {
        self.announced.store(true, Ordering::Release);
        self.note_definitions(&self.directory(), now).await
    }

    async fn note_definitions(&self, directory: &Directory, now: Instant) -> Result<(), StoreError> {
        let definitions: Vec<_> = directory
            .feeds()
            .iter()
            .map(|feed| (feed.key, Directory::fingerprint(&self.publication, feed)))
            .collect();
        self.store.note_definitions(&definitions, now).await
    }

    fn read_directory(&self, tree: &CategoryTree) -> Arc<Directory> {
        let directory = Arc::new(Directory::new(&self.publication, tree, &self.declared));
        let mut present = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        *present = Arc::clone(&directory);
        // Under the lock, so that nothing is put on the shelf by an old name afterwards.
        self.shelf.clear();
        directory
    }

    /// What may be copied out at once for a path; `None` where only [`Self::get`] knows.
    pub fn ready(&self, path: &str) -> Option<Arc<Ready>> {
        self.shelf.find(path)
    }

    /// Puts a document on the shelf if it is present, kept, and its feed's name still leads to it.
    fn shelve(&self, feed: &FeedDefinition, format: Format, made: &Arc<Representation>) {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let is_named = directory
            .by_slug(&feed.slug)
            .is_some_and(|named| named.key == feed.key && named.formats.contains(&format));
        let is_present = newest.get(&feed.key).is_none_or(|newest| *newest <= made.change_number);
        if is_named && is_present && self.ready.contains_key(&(feed.key, format)) {
            self.shelf.put(feed, format, made);
        }
    }

    /// The feeds there are.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest change that was seen in the store: pages made before it are old.
    pub fn seen(&self) -> i64 {
        self.seen.load(Ordering::Acquire)
    }

    /// How many documents were rendered since the start.
    pub fn rendered(&self) -> u64 {
        self.rendered.load(Ordering::Relaxed)
    }

    /// A feed's document. Copies when it is ready, renders when it is not.
    pub async fn get(
        &self,
        feed: &FeedDefinition,
        format: Format,
    ) -> Result<Arc<Representation>, RepresentationError> {
        let slot = (feed.key, format);
        if let Some(made) = self.ready.get(&slot).await
            && !self.is_stale(feed.key, made.change_number)
        {
            self.shelve(feed, format, &made);
            return Ok(made);
        }
        let made = self.make(feed, format).await?;
        self.shelve(feed, format, &made);
        Ok(made)
    }

    fn is_stale(&self, key: FeedKey, change_number: i64) -> bool {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest.get(&key).is_some_and(|newest| *newest > change_number)
    }

    async fn make(
        &self,
        feed: &FeedDefinition,
        format: Format,
    ) -> Result<Arc<Representation>, RepresentationError> {
        let slot = (feed.key, format);
        if let Some(old) = self.ready.get(&slot).await
            && self.is_stale(feed.key, old.change_number)
        {
            self.ready.invalidate(&slot).await;
        }
        self.ready
            .try_get_with(slot, self.render(feed.clone(), format))
            .await
            .map_err(RepresentationError::Shared)
    }

    /// Renders a document from the store's present state, beside the cache.
    pub async fn render(
        &self,
        feed: FeedDefinition,
        format: Format,
    ) -> Result<Arc<Representation>, RepresentationError> {
        let found = self.store.feed_snapshot(feed.key, feed.window).await?;
        let (state, articles) = found.unwrap_or_else(|| (untouched(feed.key), Vec::new()));
        let snapshot = Snapshot {
            publication: self.publication.clone(),
            category: self.directory().category_of(feed.key).cloned(),
            feed,
            changed_at: state.changed_at,
            articles,
            hub: None,
        };
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let work = tokio::task::spawn_blocking(move || {
            let bytes = render(&snapshot, format)?;
            Representation::of(bytes, &state).map_err(|e| RepresentationError::Coding(e.to_string()))
        });
        Ok(Arc::new(work.await.map_err(|e| RepresentationError::Coding(e.to_string()))??))
    }

    /// Asks the store what changed since the last time, and renders again what is in use.
    /// One indexed query when nothing did. Returns how many feeds changed.
    pub async fn refresh(&self, now: Instant) -> Result<usize, RepresentationError> {
        for slot in self.shelf.asked_for() {
            self.ready.get(&slot).await;
        }
        let changed = self.store.feeds_changed_after(self.seen()).await?;
        let Some(last) = changed.last() else { return Ok(0) };
        {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            newest.extend(changed.iter().map(|state| (state.key, state.change_number)));
            // Under the lock: whoever shelves an older document comes before, or sees the newer change.
            for state in &changed {
                self.shelf.remove_older(state.key, state.change_number);
            }
        }
        let mut directory = self.directory();
        if changed.iter().any(|state| directory.by_key(state.key).is_none()) {
            let tree = self.store.category_tree().await?;
            directory = self.read_directory(&tree);
            if self.announced.load(Ordering::Acquire) {
                self.note_definitions(&directory, now).await?;
            }
        }
        self.seen.store(last.change_number, Ordering::Release);
        for state in &changed {
            let Some(feed) = directory.by_key(state.key) else { continue };
            for format in Format::ALL {
                if self.ready.contains_key(&(state.key, format)) {
                    let made = self.render(feed.clone(), format).await?;
                    self.ready.insert((state.key, format), Arc::clone(&made)).await;
                    self.shelve(feed, format, &made);
                }
            }
        }
        Ok(changed.len())
    }
}

/// The state of a feed that nothing ever happened to.
fn untouched(key: FeedKey) -> FeedState {
    FeedState { key, changed_at: Instant::default(), change_number: 0, twice_in_one_second: false }
}
