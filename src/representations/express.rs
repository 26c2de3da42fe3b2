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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        CategoryId, DEFAULT_WINDOW, FeedContent, FeedDefinition, FeedPlace, Format, Selection, Slug,
    };
    use crate::representations::Which;
    use crate::store::Contents;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicI64;
    use uuid::Uuid;

    fn key(number: u8) -> FeedKey {
        FeedKey::Category(CategoryId::new(Uuid::from_u128(number.into())))
    }

    /// A document that is made of these feeds and shows everything up to a change.
    fn document(keys: &[u8], change_number: i64) -> Arc<Representation> {
        let feed = FeedDefinition {
            selection: Selection::Union(keys.iter().copied().map(key).collect()),
            place: FeedPlace::Named(Slug::parse("any").unwrap().into()),
            title: String::new(),
            description: String::new(),
            window: DEFAULT_WINDOW,
            content: FeedContent::default(),
            formats: Format::ALL.to_vec(),
            language: None,
            image: None,
            push: crate::domain::PushContent::Full,
        };
        let wanted = Wanted { feed, which: Which::Subscription, format: Format::Rss };
        let contents = Contents { change_number, ..Contents::empty() };
        let written = crate::feed::Written::whole(change_number.to_string().into_bytes());
        Arc::new(Representation::of(written, wanted, &contents, None))
    }

    #[test]
    fn what_is_put_is_found_as_the_very_same() {
        let shelf = Shelf::default();
        let (made, alike) = (document(&[1], 1), document(&[1], 1));
        assert!(shelf.find("/a").is_none() && !shelf.holds("/a", &made));
        shelf.put("/a", &made);
        let found = shelf.find("/a").unwrap();
        assert!(Arc::ptr_eq(&found.document, &made) && found.is_present());
        assert!(Arc::ptr_eq(&found, &shelf.find("/a").unwrap()), "whoever looks sees the same present");
        assert!(shelf.holds("/a", &made) && !shelf.holds("/a", &alike) && !shelf.holds("/b", &made));
        // The cache tells what it dropped, and something else may lie there by then.
        shelf.remove("/a", &alike);
        assert!(found.is_present() && shelf.holds("/a", &made));
        shelf.remove("/a", &made);
        assert!(!found.is_present() && shelf.find("/a").is_none());
    }

    #[test]
    fn what_lay_there_before_is_never_present_again() {
        let shelf = Shelf::default();
        let made = document(&[1], 1);
        shelf.put("/a", &made);
        let first = shelf.find("/a").unwrap();
        shelf.put("/a", &made);
        let second = shelf.find("/a").unwrap();
        assert!(!first.is_present() && second.is_present(), "though it is the same document");
        shelf.put("/b", &made);
        assert!(second.is_present(), "another path is another place");
        shelf.clear();
        shelf.put("/a", &made);
        assert!(!first.is_present() && !second.is_present() && shelf.find("/a").unwrap().is_present());
    }

    #[test]
    fn a_change_takes_away_what_is_older_in_every_feed_it_is_made_of() {
        let shelf = Shelf::default();
        for (path, keys) in [("/one", &[1][..]), ("/two", &[2]), ("/both", &[1, 2]), ("/twice", &[1, 1])] {
            shelf.put(path, &document(keys, 5));
        }
        let lies = |path: &str| shelf.find(path).is_some();
        shelf.remove_older(key(1), 5);
        shelf.remove_older(key(3), 9);
        assert!(["/one", "/two", "/both", "/twice"].map(lies).iter().all(|lies| *lies), "5 shows 5");
        let both = shelf.find("/both").unwrap();
        shelf.remove_older(key(1), 6);
        assert_eq!(["/one", "/two", "/both", "/twice"].map(lies), [false, true, false, false]);
        assert!(!both.is_present());
        // By the other feed too, and not because of what lay there before.
        shelf.put("/both", &document(&[1, 2], 6));
        shelf.remove_older(key(1), 6);
        assert!(lies("/both"));
        shelf.put("/both", &document(&[2], 6));
        shelf.remove_older(key(1), 7);
        assert!(lies("/both"), "it is made of that feed no more");
        shelf.remove_older(key(2), 7);
        assert!(!lies("/both") && !lies("/two"));
        assert!(shelf.read().of_feed.is_empty(), "nothing is kept of what is gone");
    }

    #[test]
    fn who_was_asked_for_is_told_once() {
        let shelf = Shelf::default();
        shelf.put("/a", &document(&[1], 1));
        shelf.put("/b", &document(&[1], 1));
        assert!(shelf.asked_for().is_empty());
        shelf.find("/a").unwrap().ask();
        assert_eq!((shelf.asked_for(), shelf.asked_for()), (vec!["/a".to_owned()], Vec::new()));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Put(u8, Vec<u8>, i64),
        Older(u8, i64),
        Remove(u8),
        Clear,
    }

    type Listed = (u8, Vec<u8>, Arc<Representation>, Arc<Ready>);

    fn event() -> impl Strategy<Value = Event> {
        let keys = proptest::collection::vec(0_u8..3, 1..4);
        prop_oneof![
            6 => (0_u8..4, keys, 0_i64..5).prop_map(|(path, keys, number)| Event::Put(path, keys, number)),
            4 => (0_u8..3, 0_i64..6).prop_map(|(key, number)| Event::Older(key, number)),
            2 => (0_u8..4).prop_map(Event::Remove),
            1 => Just(Event::Clear),
        ]
    }

    proptest! {
        #[test]
        fn the_shelf_is_a_plain_list_with_an_index(events in proptest::collection::vec(event(), 0..60)) {
            let shelf = Shelf::default();
            let mut list: Vec<Listed> = Vec::new();
            let mut retired: Vec<Arc<Ready>> = Vec::new();
            for event in events {
                let goes = |at: u8, keys: &[u8], made: &Representation| match &event {
                    Event::Put(path, ..) | Event::Remove(path) => at == *path,
                    Event::Older(key, number) => keys.contains(key) && made.change_number < *number,
                    Event::Clear => true,
                };
                let (gone, stays) = list.into_iter().partition(|(at, keys, made, _)| goes(*at, keys, made));
                list = stays;
                let path = |number: u8| format!("/{number}");
                match &event {
                    Event::Put(at, keys, number) => {
                        let made = document(keys, *number);
                        shelf.put(&path(*at), &made);
                        let ready = shelf.find(&path(*at)).unwrap();
                        list.push((*at, keys.clone(), made, ready));
                    }
                    Event::Older(number, change) => shelf.remove_older(key(*number), *change),
                    Event::Remove(at) => {
                        if let Some((.., made, _)) = gone.first() {
                            shelf.remove(&path(*at), made);
                        }
                    }
                    Event::Clear => shelf.clear(),
                }
                retired.extend(gone.into_iter().map(|(.., ready)| ready));
                prop_assert!(retired.iter().all(|ready| !ready.is_present()));
                for at in 0..4 {
                    let found = shelf.find(&path(at));
                    let listed = list.iter().find(|(other, ..)| *other == at).map(|(.., ready)| ready);
                    prop_assert_eq!(found.as_ref().map(Arc::as_ptr), listed.map(Arc::as_ptr));
                    prop_assert!(found.is_none_or(|ready| ready.is_present()));
                }
                let indexed: usize = shelf.read().of_feed.values().map(HashSet::len).sum();
                let distinct = |keys: &Vec<u8>| keys.iter().collect::<HashSet<_>>().len();
                prop_assert_eq!(indexed, list.iter().map(|(_, keys, ..)| distinct(keys)).sum::<usize>());
            }
        }
    }

    #[test]
    fn readers_beside_a_writer_never_see_what_was_taken_away() {
        const CHANGES: i64 = 3_000;
        let shelf = Shelf::default();
        // Whatever is older was taken away before this was told.
        let oldest = AtomicI64::new(0);
        std::thread::scope(|scope| {
            for reader in 0..3 {
                let (shelf, oldest) = (&shelf, &oldest);
                scope.spawn(move || {
                    let path = if reader % 2 == 0 { "/a" } else { "/ab" };
                    let (mut kept, mut seen): (Option<Arc<Ready>>, _) = (None, 0);
                    loop {
                        let known = oldest.load(Ordering::Acquire);
                        if let Some(old) = &kept
                            && old.is_present()
                        {
                            assert!(old.document.change_number >= known, "a kept one is older than {known}");
                        }
                        if let Some(ready) = shelf.find(path) {
                            let number = ready.document.change_number;
                            assert!(number >= known && number >= seen, "{number} after {seen} and {known}");
                            seen = number;
                            kept = Some(ready);
                        }
                        if known == CHANGES {
                            return assert!(kept.is_none_or(|ready| !ready.is_present()));
                        }
                    }
                });
            }
            for number in 0..CHANGES {
                shelf.put("/a", &document(&[1], number));
                shelf.put("/ab", &document(&[2, 1], number));
                match number % 7 {
                    0 => shelf.clear(),
                    _ => shelf.remove_older(key(1), number + 1),
                }
                oldest.store(number + 1, Ordering::Release);
            }
        });
        assert!(shelf.find("/a").is_none() && shelf.find("/ab").is_none());
    }
}
