//! The documents that may be copied out at once, by the path that they are asked for with.
//!
//! A shelf in front of the cache: what lies here is whole, present and under its present name.
//! It never holds a document that the cache does not hold, so the cache's bound is its bound.

use super::{Representation, Wanted};
use crate::domain::FeedKey;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A document on the shelf.
#[derive(Debug)]
pub struct Ready {
    /// The bytes and their validators.
    pub document: Arc<Representation>,
    is_present: AtomicBool,
    was_asked_for: AtomicBool,
}

impl Ready {
    fn of(document: &Arc<Representation>) -> Arc<Self> {
        Arc::new(Self {
            document: Arc::clone(document),
            is_present: AtomicBool::new(true),
            was_asked_for: AtomicBool::new(false),
        })
    }

    /// What it was asked for as.
    pub fn wanted(&self) -> &Wanted {
        &self.document.wanted
    }

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
    /// Which documents an event in a feed makes old.
    of_feed: HashMap<FeedKey, HashSet<String>>,
}

impl Places {
    fn remove(&mut self, path: &str) {
        let Some(gone) = self.by_path.remove(path) else { return };
        gone.retire();
        for key in gone.document.keys() {
            if let Some(paths) = self.of_feed.get_mut(key) {
                paths.remove(path);
                if paths.is_empty() {
                    self.of_feed.remove(key);
                }
            }
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

    /// Whether this very document lies at this path.
    pub fn holds(&self, path: &str, document: &Arc<Representation>) -> bool {
        self.read().by_path.get(path).is_some_and(|ready| Arc::ptr_eq(&ready.document, document))
    }

    /// Puts a document at its path. The one that lay there may be served no more.
    pub fn put(&self, path: &str, document: &Arc<Representation>) {
        let mut places = self.write();
        places.remove(path);
        for key in document.keys() {
            places.of_feed.entry(*key).or_default().insert(path.to_owned());
        }
        places.by_path.insert(path.to_owned(), Ready::of(document));
    }

    /// Takes away what is made of a feed and shows an older change than this one.
    pub fn remove_older(&self, key: FeedKey, change_number: i64) {
        let mut places = self.write();
        let paths: Vec<String> = places.of_feed.get(&key).into_iter().flatten().cloned().collect();
        for path in paths {
            let ready = places.by_path.get(&path);
            if ready.is_some_and(|ready| ready.document.change_number < change_number) {
                places.remove(&path);
            }
        }
    }

    /// Takes away this very document, if it still lies here.
    pub fn remove(&self, path: &str, document: &Arc<Representation>) {
        let mut places = self.write();
        if places.by_path.get(path).is_some_and(|ready| Arc::ptr_eq(&ready.document, document)) {
            places.remove(path);
        }
    }

    /// Takes everything away: names may lead elsewhere from now on.
    pub fn clear(&self) {
        let mut places = self.write();
        places.by_path.values().for_each(|ready| ready.retire());
        *places = Places::default();
    }

    /// The paths that were asked for since the last time.
    pub fn asked_for(&self) -> Vec<String> {
        let places = self.read();
        let asked = places.by_path.iter().filter(|(_, ready)| {
            ready.was_asked_for.load(Ordering::Relaxed) && ready.was_asked_for.swap(false, Ordering::Relaxed)
        });
        asked.map(|(path, _)| path.clone()).collect()
    }
}
