//! Floor 3: the finished bytes of every feed, per format and content-coding, with validators.
//!
//! A feed is rendered once per change and a request copies from here: no database, no template.
//! A cold feed is rendered on demand, once, however many ask. Memory is bounded by bytes.

mod coding;
mod found;
mod listings;
mod made;

pub use coding::Coding;
pub use found::Found;
pub use listings::{Listed, Listing};
pub use made::{Coded, Representation};

use crate::domain::{
    CategoryTree, DeclaredFeed, Directory, FeedDefinition, FeedKey, Format, Instant, Label, LabelKind,
    Publication, Selection, Slug,
};
use crate::feed::{RenderError, Snapshot, render};
use crate::store::{Contents, Definition, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

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
    /// The newest change that is known of each feed that changed since the start. Bytes of an
    /// older one are never served, also when a cold rendering ends after the change came.
    newest: RwLock<HashMap<FeedKey, i64>>,
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
        let ready = moka::future::Cache::builder()
            .max_capacity(memory)
            .weigher(|_, made: &Arc<Representation>| made.weight())
            .build();
        let representations = Self {
            store,
            publication,
            declared,
            directory: RwLock::default(),
            labels: moka::future::Cache::new(LABELS_IN_MIND),
            ready,
            newest: RwLock::default(),
            seen: AtomicI64::new(0),
            announced: AtomicBool::new(false),
            rendered: AtomicU64::new(0),
        };
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
        let fingerprint = |feed: &FeedDefinition| Directory::fingerprint(&self.publication, feed);
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
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&directory);
        directory
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
                return Ok(made);
            }
            self.ready.invalidate(&path).await;
        }
        let render = async { self.render(wanted.clone()).await.map(Arc::new) };
        let made =
            self.ready.try_get_with_by_ref(&path, render).await.map_err(RepresentationError::Shared)?;
        made.note_use();
        Ok(made)
    }

    fn is_fresh(&self, made: &Representation) -> bool {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        made.keys().iter().all(|key| newest.get(key).is_none_or(|newest| *newest <= made.change_number))
    }

    /// Renders a document from the store's present state, beside the cache.
    pub async fn render(&self, wanted: Wanted) -> Result<Representation, RepresentationError> {
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
            hub: None,
        };
        let contents = Contents { articles: Vec::new(), tombstones: Vec::new(), ..contents };
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let work = tokio::task::spawn_blocking(move || {
            let bytes = render(&snapshot, wanted.format)?;
            Ok::<_, RenderError>(Representation::of(bytes, wanted, &contents))
        });
        Ok(work.await??)
    }

    async fn contents(&self, feed: &FeedDefinition, which: Which) -> Result<Contents, RepresentationError> {
        let selection = &feed.selection;
        let found = match (which, selection) {
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
        let changed = self.store.feeds_changed_after(self.seen()).await?;
        let Some(last) = changed.last() else { return Ok(0) };
        {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            newest.extend(changed.iter().map(|state| (state.key, state.change_number)));
        }
        let directory = self.directory();
        let made = |key: FeedKey| matches!(key, FeedKey::Category(_)) && directory.by_key(key).is_none();
        if changed.iter().any(|state| made(state.key)) {
            let tree = self.store.category_tree().await?;
            let directory = self.read_directory(&tree);
            if self.announced.load(Ordering::Acquire) {
                self.note_definitions(&directory, now).await?;
            }
        }
        self.seen.store(last.change_number, Ordering::Release);
        self.render_again(&self.directory()).await?;
        Ok(changed.len())
    }

    /// Renders what is old and was asked for since it was made; what nobody asked for goes.
    async fn render_again(&self, directory: &Directory) -> Result<(), RepresentationError> {
        let mut old: Vec<(Arc<String>, Arc<Representation>)> =
            self.ready.iter().filter(|(_, made)| !self.is_fresh(made)).collect();
        // Documents of one kept feed before those that are made of several.
        old.sort_by_cached_key(|(path, made)| (made.keys().len(), Arc::clone(path)));
        let mut again = Vec::new();
        for (path, made) in old {
            if made.wanted.which == Which::Subscription && made.was_asked_for() {
                let mut wanted = made.wanted.clone();
                if let Some(feed) = directory.by_selection(&wanted.feed.selection)
                    && feed.place == wanted.feed.place
                {
                    wanted.feed = feed.clone();
                }
                again.push((path, wanted, made));
            } else {
                self.ready.invalidate(&*path).await;
            }
        }
        let mut fresh = Vec::with_capacity(again.len());
        for (path, wanted, old) in again {
            // A request may have been quicker.
            if self.ready.get(&*path).await.is_some_and(|made| self.is_fresh(&made)) {
                continue;
            }
            let made = Arc::new(self.render(wanted).await?);
            self.ready.insert(path.to_string(), Arc::clone(&made)).await;
            fresh.push((made, old));
        }
        // Only when everything is to be had again: compressing takes longer than rendering.
        for (made, old) in fresh {
            made.code_like(&old).await?;
        }
        Ok(())
    }
}
