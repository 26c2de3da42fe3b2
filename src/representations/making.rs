//! A feed's documents are made together: the store is read and the texts are cleaned once for all
//! formats, by whoever comes first, a reader or the look at what changed.

use super::{Representation, RepresentationError, Representations, Version, Wanted, Which};
use crate::domain::{Directory, FeedPlace, Format};
use crate::feed::{RenderError, render_each};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A feed's documents of one state, in different formats.
type Set = Arc<Vec<Arc<Representation>>>;

/// What is being made, by the path of its RSS document.
pub(super) type Making = moka::future::Cache<String, Set>;

/// Nothing has to stay: a set lies here from its making until those who waited have taken it.
pub(super) fn making() -> Making {
    moka::future::Cache::builder().max_capacity(64).time_to_live(Duration::from_secs(1)).build()
}

/// How often a document is made anew because its feed changed while it was made. The last one is
/// served as it is: it is present for whoever asked.
const TRIES: usize = 3;

/// How many feeds are read and rendered at a time: enough that the processors need not wait for the
/// store, few enough that those who read are not held up.
const AT_A_TIME: usize = 3;

impl Representations {
    /// Makes a document and puts it where readers find it; once, however many ask.
    pub(super) async fn make(
        &self,
        path: &str,
        wanted: &Wanted,
    ) -> Result<Arc<Representation>, RepresentationError> {
        let key = Wanted { format: Format::Rss, ..wanted.clone() }.path().unwrap_or_default();
        for _ in 0..TRIES {
            let set = self.making.try_get_with_by_ref(&key, self.make_set(wanted)).await;
            let set = set.map_err(RepresentationError::Shared)?;
            self.making.invalidate(&key).await;
            let asked = |made: &&Arc<Representation>| {
                made.wanted.format == wanted.format && made.wanted.feed == wanted.feed && self.is_fresh(made)
            };
            if let Some(made) = set.iter().find(asked) {
                return Ok(Arc::clone(made));
            }
        }
        let made = Arc::new(self.render(wanted.clone()).await?);
        self.ready.insert(path.to_owned(), Arc::clone(&made)).await;
        Ok(made)
    }

    async fn make_set(&self, wanted: &Wanted) -> Result<Set, RepresentationError> {
        // Seen before read: what a reader asks for meanwhile is made by himself.
        let formats = self.formats_in_use(wanted).await;
        let (snapshot, contents) = self.snapshot(wanted).await?;
        self.rendered.fetch_add(u64::try_from(formats.len()).unwrap_or_default(), Ordering::Relaxed);
        let wanted: Vec<Wanted> =
            formats.iter().map(|format| Wanted { format: *format, ..wanted.clone() }).collect();
        let told = wanted.iter().map(|wanted| (self.path_in_memory(wanted), self.link(wanted)));
        let told: Vec<(Option<String>, Option<Arc<str>>)> = told.collect();
        let mut formats = Vec::with_capacity(wanted.len());
        for wanted in &wanted {
            let former = self.former(wanted).await;
            formats.push((wanted.format, former.map(|former| Arc::clone(former.written()))));
        }
        let recent = Arc::clone(&self.recent);
        let work = tokio::task::spawn_blocking(move || {
            let documents = render_each(&snapshot, &formats, &recent)?;
            let made =
                documents.into_iter().zip(wanted).zip(told).map(|((written, wanted), (path, link))| {
                    let made = Representation::of(written, wanted, &contents, link);
                    let version = path.map(|path| Version::of(path, &made, &snapshot));
                    (made, version)
                });
            Ok::<Vec<_>, RenderError>(made.collect())
        });
        let mut set = Vec::new();
        for (made, version) in work.await?? {
            self.remember(version).await;
            let made = Arc::new(made);
            if let Some(path) = made.wanted.path() {
                if let Some(former) = self.former(&made.wanted).await {
                    made.follow(&former);
                }
                self.ready.insert(path, Arc::clone(&made)).await;
            }
            set.push(made);
        }
        Ok(Arc::new(set))
    }

    /// The version of a document that lies ready, old or not.
    async fn former(&self, wanted: &Wanted) -> Option<Arc<Representation>> {
        self.ready.get(&wanted.path()?).await
    }

    /// The format that is asked for, and those whose documents are old and in use.
    async fn formats_in_use(&self, wanted: &Wanted) -> Vec<Format> {
        let mut formats = vec![wanted.format];
        if wanted.which != Which::Subscription || matches!(wanted.feed.place, FeedPlace::Search(_)) {
            return formats;
        }
        for format in wanted.feed.formats.iter().copied().filter(|format| *format != wanted.format) {
            let Some(path) = (Wanted { format, ..wanted.clone() }).path() else { continue };
            let Some(old) = self.ready.get(&path).await else { continue };
            let same = old.wanted.feed.selection == wanted.feed.selection;
            if same && old.was_asked_for() && !self.is_fresh(&old) {
                formats.push(format);
            }
        }
        formats
    }

    /// Renders what is old and was asked for since it was made; what nobody asked for goes.
    pub(super) async fn render_again(&self, directory: &Directory) -> Result<(), RepresentationError> {
        let mut old: Vec<(Arc<String>, Arc<Representation>)> =
            self.ready.iter().filter(|(_, made)| !self.is_fresh(made)).collect();
        // Documents of one kept feed before those that are made of several.
        old.sort_by_cached_key(|(path, made)| (made.keys().len(), Arc::clone(path)));
        let mut again: Vec<Again> = Vec::new();
        for (path, made) in old {
            if made.wanted.which == Which::Subscription && made.was_asked_for() {
                let mut wanted = made.wanted.clone();
                if let Some(feed) = directory.by_selection(&wanted.feed.selection)
                    && feed.place == wanted.feed.place
                {
                    wanted.feed = feed.clone();
                }
                again.push(Again { path, wanted, old: made });
            } else {
                self.ready.invalidate(&*path).await;
            }
        }
        let mut feeds: VecDeque<Vec<Again>> = VecDeque::new();
        for one in again {
            match feeds.back_mut() {
                Some(feed) if feed.iter().all(|known| known.wanted.feed == one.wanted.feed) => feed.push(one),
                _ => feeds.push_back(vec![one]),
            }
        }
        let (feeds, made) = (Mutex::new(feeds), Mutex::default());
        const { assert!(AT_A_TIME == 3) };
        let render = || self.render_feeds(&feeds, &made);
        tokio::try_join!(render(), render(), render())?;
        // Only when everything is to be had again: compressing takes longer than rendering.
        let code = || self.code_documents(&made);
        tokio::try_join!(code(), code(), code())?;
        Ok(())
    }

    async fn render_feeds(
        &self,
        feeds: &Mutex<VecDeque<Vec<Again>>>,
        made: &Mutex<VecDeque<Again>>,
    ) -> Result<(), RepresentationError> {
        while let Some(feed) = next(feeds) {
            // The first of a feed's documents makes them all.
            for Again { path, wanted, .. } in &feed {
                // A request may have been quicker.
                if !self.ready.get(&**path).await.is_some_and(|made| self.is_fresh(&made)) {
                    self.make(path, wanted).await?;
                }
            }
            made.lock().unwrap_or_else(PoisonError::into_inner).extend(feed);
        }
        Ok(())
    }

    async fn code_documents(&self, documents: &Mutex<VecDeque<Again>>) -> Result<(), RepresentationError> {
        while let Some(Again { path, old, .. }) = next(documents) {
            if let Some(made) = self.ready.get(&*path).await {
                made.code_like(&old).await?;
                self.shelve(&path, &made);
            }
        }
        Ok(())
    }
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// A document that is to be made again.
struct Again {
    path: Arc<String>,
    wanted: Wanted,
    old: Arc<Representation>,
}
