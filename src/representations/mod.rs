//! Floor 3: the finished bytes of every feed, per format and content-coding, with validators.
//!
//! A feed is rendered once per change and a request copies from here: no database, no template.
//! A cold feed is rendered on demand, once, however many ask. Memory is bounded by bytes.

mod coding;
mod delta;
mod express;
mod found;
mod hubs;
mod listings;
mod made;
mod making;
mod pieces;

pub use coding::Coding;
pub use delta::{Delta, accepts_feed};
pub use express::Ready;
pub use found::Found;
pub use hubs::Hubs;
pub use listings::{Listed, Listing};
pub use made::{Coded, Representation};

use crate::domain::{
    CategoryTree, DeclaredFeed, Directory, FeedDefinition, FeedKey, FeedPlace, Format, Instant, Label,
    LabelKind, Lookup, Publication, Selection, Slug, Term,
};
use crate::feed::{Recent, RenderError, Snapshot, render_one};
use crate::store::{Contents, Definition, Store, StoreError};
use delta::{Deltas, Version};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Each so many looks at the store, the cache is told what was asked for past it.
const LOOKS: u64 = 64;
/// Which part of the memory, at most, holds entries that were written last, and how much is enough: an
/// article comes into all of its feeds at once.
const RECENT_SHARE: u64 = 32;
const RECENT: u64 = 4 << 20;
/// How many labels are kept in mind, so that a request for one's feed need not look it up.
const LABELS_IN_MIND: u64 = 50_000;

/// Which of a feed's documents is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The one that readers poll.
    Subscription,
    /// An archive document, counted from the oldest, 1.
    Archive(i64),
    /// A page of a search, counted from the newest, 1.
    Page(u32),
}

/// A document that somebody asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of which feed.
    pub feed: FeedDefinition,
    /// Which of its documents.
    pub which: Which,
    /// In which format.
    pub format: Format,
}

impl Wanted {
    /// Its path, by which it is kept. `None` where a feed has no such document.
    pub fn path(&self) -> Option<String> {
        let place = &self.feed.place;
        match self.which {
            Which::Subscription => Some(place.document_path(self.format)),
            Which::Archive(number) => place.archive_path(number, self.format),
            Which::Page(number) => Some(place.further_page_path(number, self.format)),
        }
    }
}

/// Why a document has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum RepresentationError {
    /// The store did not answer. Later may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The document could not be made.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The work was stopped.
    #[error("the document could not be made: {0}")]
    Stopped(#[from] tokio::task::JoinError),
    /// It could not be compressed.
    #[error("the document could not be compressed: {0}")]
    Coding(#[from] std::io::Error),
    /// There is no such document.
    #[error("there is no such document")]
    Absent,
    /// Another request was making the same bytes and failed.
    #[error("{0}")]
    Shared(Arc<RepresentationError>),
}

impl RepresentationError {
    /// Whether there is nothing to be had, now or later.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Shared(error) => error.is_absent(),
            _ => false,
        }
    }
}

/// The finished bytes of every feed.
pub struct Representations {
    store: Store,
    publication: Publication,
    declared: Vec<DeclaredFeed>,
    directory: RwLock<Arc<Directory>>,
    labels: moka::future::Cache<(LabelKind, Slug), Arc<Label>>,
    ready: moka::future::Cache<String, Arc<Representation>>,
    making: making::Making,
    recent: Arc<Recent>,
    /// The newest change that is known of each feed that changed since the start. Bytes of an
    /// older one are never served, also when a cold rendering ends after the change came.
    newest: RwLock<HashMap<FeedKey, i64>>,
    shelf: Arc<express::Shelf>,
    seen: AtomicI64,
    /// The version of the tree of sections that the directory was made of.
    tree: AtomicI64,
    announced: AtomicBool,
    looks: AtomicU64,
    rendered: AtomicU64,
    /// Where deltas are switched on.
    deltas: Option<Deltas>,
    hubs: Hubs,
}

impl Representations {
    /// Starts with nothing rendered.
    pub async fn open(
        store: Store,
        publication: Publication,
        declared: Vec<DeclaredFeed>,
        hubs: Hubs,
        memory: u64,
    ) -> Result<Self, StoreError> {
        let shelf: Arc<express::Shelf> = Arc::default();
        let behind = Arc::clone(&shelf);
        let of_entries = (memory / RECENT_SHARE).min(RECENT);
        let ready = moka::future::Cache::builder()
            .max_capacity(memory - of_entries)
            .eviction_listener(move |path: Arc<String>, made, _| behind.remove(&path, &made))
            .weigher(|_, made: &Arc<Representation>| made.weight())
            .build();
        let representations = Self {
            store,
            publication,
            declared,
            directory: RwLock::default(),
            labels: moka::future::Cache::new(LABELS_IN_MIND),
            ready,
            making: making::making(),
            recent: Arc::new(Recent::new(usize::try_from(of_entries).unwrap_or(usize::MAX))),
            newest: RwLock::default(),
            shelf,
            seen: AtomicI64::new(0),
            tree: AtomicI64::new(0),
            announced: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            rendered: AtomicU64::new(0),
            deltas: None,
            hubs,
        };
        representations.tree.store(representations.store.tree_version().await?, Ordering::Release);
        // Seen before read: what changes in between is seen again.
        let seen = representations.store.last_change().await?;
        let tree = representations.store.category_tree().await?;
        representations.read_directory(&tree);
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
        let hubs = self.hubs.fingerprint();
        let fingerprint =
            |feed: &FeedDefinition| format!("{}{hubs}", Directory::fingerprint(&self.publication, feed));
        let kept = directory.feeds().iter().filter_map(|feed| Some((feed.key()?, feed)));
        let definitions: Vec<Definition> = kept
            .map(|(key, feed)| Definition { key, fingerprint: fingerprint(feed), window: feed.window })
            .collect();
        // Whatever is said of every label's feed alike.
        let any_label = Selection::Union(Vec::new());
        let place = crate::domain::FeedPlace::Search(String::new());
        let labels = FeedDefinition::undeclared(&self.publication, any_label, place, String::new());
        self.store.note_definitions(&definitions, &fingerprint(&labels), now).await
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
    fn shelve(&self, path: &str, made: &Arc<Representation>) {
        if self.shelf.holds(path, made) {
            return;
        }
        // A search and a reader's own feed are asked for by few.
        let FeedPlace::Named(name) = &made.wanted.feed.place else { return };
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let is_present =
            made.keys().iter().all(|key| newest.get(key).is_none_or(|newest| *newest <= made.change_number));
        let leads = |term: &Term| match term {
            Term::Named(slug) => matches!(directory.lookup(slug), Lookup::Feed(feed)
                if feed.selection.keys().iter().all(|key| made.keys().contains(key))),
            Term::Label(..) => true,
        };
        if is_present && name.terms().iter().all(leads) && self.ready.contains_key(path) {
            self.shelf.put(path, made);
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

    /// A document. Copies when it is ready, renders when it is not.
    pub async fn get(&self, wanted: &Wanted) -> Result<Arc<Representation>, RepresentationError> {
        let path = wanted.path().ok_or(RepresentationError::Absent)?;
        if let Some(made) = self.ready.get(&path).await {
            // A reader's own feed keeps its place when he chooses other sections.
            if made.wanted.feed == wanted.feed && self.is_fresh(&made) {
                made.note_use();
                self.shelve(&path, &made);
                return Ok(made);
            }
        }
        let made = self.make(&path, wanted).await?;
        made.note_use();
        self.shelve(&path, &made);
        Ok(made)
    }

    /// Whether no change is known that it does not show.
    pub fn is_fresh(&self, made: &Representation) -> bool {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        made.keys().iter().all(|key| newest.get(key).is_none_or(|newest| *newest <= made.change_number))
    }

    /// Renders a document from the store's present state, beside the cache.
    pub async fn render(&self, wanted: Wanted) -> Result<Representation, RepresentationError> {
        let (snapshot, contents) = self.snapshot(&wanted).await?;
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let path = self.path_in_memory(&wanted);
        let link = self.link(&wanted);
        let recent = Arc::clone(&self.recent);
        let work = tokio::task::spawn_blocking(move || {
            let written = render_one(&snapshot, wanted.format, &recent)?;
            let made = Representation::of(written, wanted, &contents, link);
            let version = path.map(|path| Version::of(path, &made, &snapshot));
            Ok::<_, RenderError>((made, version))
        });
        let (made, version) = work.await??;
        self.remember(version).await;
        Ok(made)
    }

    /// What a document is made of, and beside it what its validators are made of.
    async fn snapshot(&self, wanted: &Wanted) -> Result<(Snapshot, Contents), RepresentationError> {
        let contents = self.contents(&wanted.feed, wanted.which).await?;
        let feed = wanted.feed.clone();
        let snapshot = Snapshot {
            publication: self.publication.clone(),
            category: self.directory().category_of(&feed.selection).cloned(),
            feed,
            changed_at: contents.changed_at,
            articles: contents.articles,
            tombstones: contents.tombstones,
            part: contents.part,
            hubs: self.hubs.of(&wanted.feed.place),
        };
        let contents = Contents { articles: Vec::new(), tombstones: Vec::new(), ..contents };
        Ok((snapshot, contents))
    }

    async fn contents(&self, feed: &FeedDefinition, which: Which) -> Result<Contents, RepresentationError> {
        let selection = &feed.selection;
        let found = match (which, selection) {
            (Which::Archive(_), Selection::Search(_)) => None,
            (Which::Archive(number), _) => self.store.archive_document(selection, number).await?,
            (Which::Page(number), Selection::Search(words)) => {
                self.store.search_document(words, feed.window, number).await?
            }
            (Which::Subscription, Selection::Search(words)) => {
                self.store.search_document(words, feed.window, 1).await?
            }
            (Which::Subscription, _) => {
                let found = self.store.subscription_document(selection, feed.window).await?;
                Some(found.unwrap_or_else(Contents::empty))
            }
            (Which::Page(_), _) => None,
        };
        found.ok_or(RepresentationError::Absent)
    }

    /// Asks the store what changed since the last time, and renders again what is in use. One
    /// indexed query when nothing did. Returns how many feeds changed.
    pub async fn refresh(&self, now: Instant) -> Result<usize, RepresentationError> {
        if self.looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOKS) {
            for path in self.shelf.asked_for() {
                self.ready.get(&path).await;
            }
        }
        let changed = self.store.feeds_changed_after(self.seen()).await?;
        let Some(last) = changed.last() else { return Ok(0) };
        // Before what is stale is told: nobody renders the new articles under the old names.
        let version = self.store.tree_version().await?;
        let other_tree = version != self.tree.load(Ordering::Acquire);
        if other_tree {
            let tree = self.store.category_tree().await?;
            self.read_directory(&tree);
            self.tree.store(version, Ordering::Release);
        }
        {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            newest.extend(changed.iter().map(|state| (state.key, state.change_number)));
            // Under the lock: whoever shelves an older document comes before, or sees the newer change.
            for state in &changed {
                self.shelf.remove_older(state.key, state.change_number);
            }
        }
        let directory = self.directory();
        if other_tree && self.announced.load(Ordering::Acquire) {
            self.note_definitions(&directory, now).await?;
        }
        self.seen.store(last.change_number, Ordering::Release);
        self.render_again(&self.directory()).await?;
        Ok(changed.len())
    }
}
