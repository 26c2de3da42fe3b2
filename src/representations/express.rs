//! The documents that may be copied out at once, by the path that they are asked for with.
//!
//! A shelf in front of the cache: what lies here is whole, present and under its present name.
//! It never holds a document that the cache does not hold, so the cache's bound is its bound.

use super::Representation;
use crate::domain::{FeedDefinition, FeedKey, Format};
use crate::feed::feed_path;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A document on the shelf.
#[derive(Debug)]
pub struct Ready {
    /// The bytes and their validators.
    pub document: Arc<Representation>,
    /// Which feed.
    pub key: FeedKey,
    /// In which format.
    pub format: Format,
    is_present: AtomicBool,
    was_asked_for: AtomicBool,
}

impl Ready {
    /// Whether it may still be served. Whoever keeps a document looks before every answer.
    pub fn is_present(&self) -> bool {
        self.is_present.load(Ordering::Acquire)
    }

    /// Notes that somebody wanted it, so that the cache does not take it for forgotten.
    pub fn ask(&self) {
        // Read first: a line that is only read stays in every core's cache.
        if !self.was_asked_for.load(Ordering::Relaxed) {
            self.was_asked_for.store(true, Ordering::Relaxed);
        }
    }

    fn retire(&self) {
        self.is_present.store(false, Ordering::Release);
    }
}

#[derive(Debug, Default)]
struct Places {
    by_path: HashMap<String, Arc<Ready>>,
    paths: HashMap<(FeedKey, Format), String>,
}

impl Places {
    fn remove(&mut self, slot: (FeedKey, Format)) {
        let gone = self.paths.remove(&slot).and_then(|path| self.by_path.remove(&path));
        if let Some(gone) = gone {
            gone.retire();
        }
    }
}

/// The shelf.
#[derive(Debug, Default)]
pub struct Shelf {
    places: RwLock<Places>,
}

impl Shelf {
    fn read(&self) -> RwLockReadGuard<'_, Places> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Places> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document of a path, if it lies here.
    pub fn find(&self, path: &str) -> Option<Arc<Ready>> {
        self.read().by_path.get(path).cloned()
    }

    /// Puts a document where its feed's path leads. The one that lay there may be served no more.
    pub fn put(&self, feed: &FeedDefinition, format: Format, document: &Arc<Representation>) {
        let slot = (feed.key, format);
        let path = feed_path(&feed.slug, format);
        if self.read().by_path.get(&path).is_some_and(|old| Arc::ptr_eq(&old.document, document)) {
            return;
        }
        let ready = Arc::new(Ready {
            document: Arc::clone(document),
            key: feed.key,
            format,
            is_present: AtomicBool::new(true),
            was_asked_for: AtomicBool::new(false),
        });
        let mut places = self.write();
        places.remove(slot);
        places.paths.insert(slot, path.clone());
        if let Some(old) = places.by_path.insert(path, ready) {
            old.retire();
        }
    }

    /// Takes away a feed's documents that show an older change than this one.
    pub fn remove_older(&self, key: FeedKey, change_number: i64) {
        let mut places = self.write();
        for format in Format::ALL {
            let path = places.paths.get(&(key, format));
            let ready = path.and_then(|path| places.by_path.get(path));
            if ready.is_some_and(|ready| ready.document.change_number < change_number) {
                places.remove((key, format));
            }
        }
    }

    /// Takes away this very document, if it still lies here.
    pub fn remove(&self, slot: (FeedKey, Format), document: &Arc<Representation>) {
        let mut places = self.write();
        let ready = places.paths.get(&slot).and_then(|path| places.by_path.get(path));
        if ready.is_some_and(|ready| Arc::ptr_eq(&ready.document, document)) {
            places.remove(slot);
        }
    }

    /// Takes everything away: names may lead elsewhere from now on.
    pub fn clear(&self) {
        let mut places = self.write();
        places.by_path.values().for_each(|ready| ready.retire());
        *places = Places::default();
    }

    /// What was asked for since the last time.
    pub fn asked_for(&self) -> Vec<(FeedKey, Format)> {
        let places = self.read();
        let asked = places.by_path.values().filter(|ready| {
            ready.was_asked_for.load(Ordering::Relaxed) && ready.was_asked_for.swap(false, Ordering::Relaxed)
        });
        asked.map(|ready| (ready.key, ready.format)).collect()
    }
}
