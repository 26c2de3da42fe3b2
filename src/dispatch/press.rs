//! Editions that are set already, each for those readers who get the same of it.

use crate::domain::{Directory, EditionId, Instant, Language};
use crate::mail::Typeset;
use crate::store::{Edition, LetterContents, PlainLetter};
use chrono_tz::Tz;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// So many are kept. Where readers choose so differently that this is not enough, letters are composed
/// one by one, and little is gained by keeping more.
const KEPT: usize = 256;

/// Which letters are the same but for what is a reader's own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) edition: EditionId,
    pub(super) language: Language,
    /// In which dates are written.
    pub(super) zone: Tz,
    pub(super) contents: LetterContents,
}

/// Which plain letters are the same: to whom the same is due, of an edition as it was released.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) edition: EditionId,
    pub(super) language: Language,
    pub(super) zone: Tz,
    pub(super) letter: PlainLetter,
}

/// What is known of one combination.
enum Known {
    /// It was asked for once: most that are, are asked for once only, and setting costs two letters.
    Once,
    /// Who sets it holds this; whoever else wants it waits.
    BeingSet(Arc<Mutex<()>>),
    Set(Arc<Print>),
    /// It cannot be set.
    Unfit,
}

/// An edition that is set, and the numbers of its articles.
pub(super) struct Print {
    pub(super) edition: Arc<Edition>,
    pub(super) typeset: Typeset,
    pub(super) articles: String,
}

/// What is done with a letter.
pub(super) enum Order {
    /// Its edition is set.
    Print(Arc<Print>),
    /// It is composed by itself, and its edition set for the next ones, who wait until this is let go.
    ComposeAndSet(OwnedMutexGuard<()>),
    /// Somebody sets it: ask again when this can be had.
    Wait(Arc<Mutex<()>>),
    /// It is composed by itself.
    Compose,
}

/// Editions that are set.
#[derive(Default)]
pub struct Press {
    known: std::sync::Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    /// What sections were called when all this was set.
    directory: Option<Arc<Directory>>,
    /// The editor may change an edition that is held.
    known: HashMap<Key, (Arc<Edition>, Known)>,
    editions: HashMap<EditionId, Arc<Edition>>,
    plain: HashMap<Kind, Arc<Print>>,
}

impl Shelf {
    /// Forgets what was set when sections were called otherwise.
    fn look_at(&mut self, directory: &Arc<Directory>) {
        if !self.directory.as_ref().is_some_and(|known| Arc::ptr_eq(known, directory)) {
            self.known.clear();
            self.plain.clear();
            self.directory = Some(Arc::clone(directory));
        }
    }
}

impl Press {
    /// An edition that was noted since its release.
    pub(super) fn edition(&self, id: EditionId, released_at: Option<Instant>) -> Option<Arc<Edition>> {
        let shelf = self.shelf();
        shelf
            .editions
            .get(&id)
            .filter(|known| known.released_at == released_at && known.held.is_none())
            .cloned()
    }

    /// Notes an edition.
    pub(super) fn note(&self, edition: Edition) -> Arc<Edition> {
        let edition = Arc::new(edition);
        let mut shelf = self.shelf();
        if shelf.editions.len() >= KEPT {
            shelf.editions.clear();
        }
        shelf.editions.insert(edition.id, Arc::clone(&edition));
        edition
    }

    /// What to do with the letter of an edition with these contents.
    pub(super) fn order(&self, key: &Key, edition: &Arc<Edition>, directory: &Arc<Directory>) -> Order {
        let mut shelf = self.shelf();
        shelf.look_at(directory);
        match shelf.known.get(key).filter(|(known, _)| Arc::ptr_eq(known, edition)) {
            Some((_, Known::Set(print))) => Order::Print(Arc::clone(print)),
            Some((_, Known::Unfit)) => Order::Compose,
            Some((_, Known::BeingSet(turn))) => match Arc::clone(turn).try_lock_owned() {
                // Whoever had begun to set it has fallen over.
                Ok(turn) => Order::ComposeAndSet(turn),
                Err(_) => Order::Wait(Arc::clone(turn)),
            },
            Some((_, Known::Once)) => {
                let turn = Arc::new(Mutex::new(()));
                let known = Known::BeingSet(Arc::clone(&turn));
                shelf.known.insert(key.clone(), (Arc::clone(edition), known));
                // Nobody else knows of it.
                turn.try_lock_owned().map_or(Order::Compose, Order::ComposeAndSet)
            }
            None => {
                if shelf.known.len() >= KEPT {
                    shelf.known.clear();
                }
                shelf.known.insert(key.clone(), (Arc::clone(edition), Known::Once));
                Order::Compose
            }
        }
    }

    /// Keeps what was set, or that it cannot be, unless sections changed their names meanwhile.
    pub(super) fn keep(
        &self,
        key: Key,
        edition: Arc<Edition>,
        directory: &Arc<Directory>,
        print: Option<Print>,
    ) {
        let mut shelf = self.shelf();
        if shelf.directory.as_ref().is_some_and(|known| Arc::ptr_eq(known, directory)) {
            let known = print.map_or(Known::Unfit, |print| Known::Set(Arc::new(print)));
            shelf.known.insert(key, (edition, known));
        }
    }

    /// The edition as it is set for plain letters of a kind.
    pub(super) fn ready(&self, kind: &Kind, directory: &Arc<Directory>) -> Option<Arc<Print>> {
        let mut shelf = self.shelf();
        shelf.look_at(directory);
        shelf.plain.get(kind).cloned()
    }

    /// Notes how plain letters of a kind are set.
    pub(super) fn know(&self, kind: Kind, print: &Arc<Print>, directory: &Arc<Directory>) {
        let mut shelf = self.shelf();
        shelf.look_at(directory);
        if shelf.plain.len() >= KEPT {
            shelf.plain.clear();
        }
        shelf.plain.insert(kind, Arc::clone(print));
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Frequency, Plan};

    fn key() -> Key {
        let contents = LetterContents::default();
        Key { edition: EditionId(1), language: Language::Vi, zone: Tz::UTC, contents }
    }

    #[tokio::test]
    async fn one_sets_what_many_want_and_the_others_wait_for_it() {
        let edition = Arc::new(Edition::bare(Plan::of(Frequency::AtOnce, None)));
        let (press, directory) = (Press::default(), Arc::default());
        let order = || press.order(&key(), &edition, &directory);
        assert!(matches!(order(), Order::Compose), "most are asked for once only");
        let Order::ComposeAndSet(turn) = order() else { panic!("the second is set") };
        let Order::Wait(waits) = order() else { panic!("the third waits") };
        assert!(waits.try_lock().is_err());
        // Whoever sets it falls over, or finds it unfit.
        drop(turn);
        assert!(waits.try_lock().is_ok());
        let Order::ComposeAndSet(turn) = order() else { panic!("somebody else sets it") };
        press.keep(key(), Arc::clone(&edition), &directory, None);
        drop(turn);
        assert!(matches!(order(), Order::Compose));
    }
}
