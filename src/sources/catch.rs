//! What came of one look, or a part of it, on its way into the store.

use super::looking::SourceError;
use super::{Mailing, Source, Sources};
use crate::domain::{Doubt, Draft, Instant, SourceId};
use crate::intake::{Arrival, Fault};
use crate::publish::{self, Occasion};
use crate::store::{Doubtful, Haul, ItemMet, StoreError, Taken};
use chrono::Duration;

/// What was published longer ago when it first comes is no news.
const YOUNG: Duration = Duration::days(7);
/// How much of what is wrong with one item is told.
const FEW: usize = 5;

/// Articles, and the items that they were.
#[derive(Debug, Default)]
pub struct Catch {
    news: Vec<Draft>,
    archive: Vec<Draft>,
    doubtful: Vec<(Draft, Vec<Doubt>, bool, String)>,
    items: Vec<ItemMet>,
}

impl Catch {
    /// Takes what an item holds. What is wrong with a part of it is noted and leaves the others alone.
    pub fn add(
        &mut self,
        source: &Source,
        (item, state): (&str, &str),
        input: &str,
        arrivals: Vec<Result<Arrival, Fault>>,
        now: Instant,
    ) {
        let mut faults = Vec::new();
        for arrival in arrivals {
            match arrival {
                Ok(arrival) => self.put(source, input, arrival, now),
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        let more = faults.len().saturating_sub(FEW);
        faults.truncate(FEW);
        if more > 0 {
            faults.push(format!("and {more} more"));
        }
        self.note(item, state, (!faults.is_empty()).then(|| faults.join("; ")));
    }

    /// Takes an article that is no item of its own.
    pub fn put(&mut self, source: &Source, input: &str, arrival: Arrival, now: Instant) {
        let mailable = match source.mailing {
            Mailing::All => true,
            Mailing::Nothing => false,
            Mailing::Young => arrival.draft.published.is_none_or(|at| now - at < YOUNG),
        };
        let doubts = arrival.doubts();
        if !doubts.is_empty() {
            self.doubtful.push((arrival.draft, doubts, mailable, input.to_owned()));
        } else if mailable {
            self.news.push(arrival.draft);
        } else {
            self.archive.push(arrival.draft);
        }
    }

    /// Notes that an item was met in a state, and what was wrong with it.
    pub fn note(&mut self, item: &str, state: &str, error: Option<String>) {
        self.items.push(ItemMet { item: item.to_owned(), state: state.to_owned(), error });
    }
}

impl Sources {
    /// Takes a catch into the store, with what is remembered from now on; big ones in parts, the items
    /// and the memory with the last.
    pub(super) async fn take(
        &self,
        id: SourceId,
        source: &Source,
        catch: Catch,
        memory: Option<&str>,
        whole: bool,
    ) -> Result<Taken, SourceError> {
        let doubtful: Vec<Doubtful<'_>> = catch
            .doubtful
            .iter()
            .map(|(draft, doubts, mailable, input)| Doubtful { draft, doubts, input, mailable: *mailable })
            .collect();
        for met in catch.items.iter().filter(|met| met.error.is_some()) {
            let error = met.error.as_deref().unwrap_or_default();
            tracing::warn!(source = %source.name, item = met.item, error, "item left out");
        }
        let mut sum = Taken::default();
        let part = publish::BATCH;
        let (mut news, mut archive) = (catch.news.as_slice(), catch.archive.as_slice());
        loop {
            let (now_news, later_news) = news.split_at(news.len().min(part));
            let (now_archive, later_archive) = archive.split_at(archive.len().min(part - now_news.len()));
            (news, archive) = (later_news, later_archive);
            let is_last = news.is_empty() && archive.is_empty();
            let rest = if is_last {
                Haul { doubtful: &doubtful, items: &catch.items, memory, whole, ..Haul::default() }
            } else {
                Haul::default()
            };
            let haul = Haul { news: now_news, archive: now_archive, ..rest };
            let now = self.clock.now();
            let taken = self
                .store
                .take_from_source(&self.worker, id, haul, self.hold(), now, &*self.chance)
                .await?
                .ok_or(SourceError::Lost)?;
            sum += taken;
            if is_last {
                return Ok(sum);
            }
        }
    }

    /// Takes what was posted. A post has no claim, and is no-one's to remember.
    pub(super) async fn take_posted(&self, source: &Source, catch: &Catch) -> Result<Taken, StoreError> {
        let (mut taken, now) = (Taken::default(), self.clock.now());
        for (drafts, occasion) in [(&catch.news, Occasion::News), (&catch.archive, Occasion::Archive)] {
            for acceptance in publish::accept(&self.store, drafts, occasion, now, &*self.chance).await? {
                taken.count(&acceptance.what);
            }
        }
        self.store.note_post(&source.name, now).await?;
        Ok(taken)
    }
}
