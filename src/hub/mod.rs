//! Floor 3: the WebSub hub (W3C Recommendation of 23 January 2018). Verifies callbacks, keeps
//! leases, and pushes what changed.
//!
//! What is to be done stands in the store; a worker that dies is followed by another through the
//! same query. A push carries what a GET returns at that moment, so pushes that fell behind are one,
//! and nobody gets an older document after a newer one. Row numbers (H1 …) are those of the
//! checklist in reference/feeds.md §3.6.

mod distribution;
mod endpoints;
mod topics;
mod verification;

pub use endpoints::{WebhookError, WebhookKey};

use crate::domain::{Chance, Clock, LeaseRules, Secret, SignatureMethod, TopicPath, WebUrl};
use crate::fetch::{FetchError, Fetcher};
use crate::representations::{RepresentationError, Representations};
use crate::store::{Asked, CallbackCaps, Refused, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How much is claimed and settled at once.
const BATCH: usize = 256;
/// How long an ended callback is remembered, for whoever asks why no more comes.
const KEPT: chrono::Duration = chrono::Duration::days(1);
/// How long a webhook may be away without missing anything.
const EVENTS_KEPT: chrono::Duration = chrono::Duration::days(30);
/// What callbacks of a feed that has ended are told.
const GONE: &str = "this feed does not exist any more";

/// How the hub works.
#[derive(Clone, Debug)]
pub struct HubRules {
    /// How long callbacks are subscribed.
    pub leases: LeaseRules,
    /// How pushes are signed.
    pub signature: SignatureMethod,
    /// How many requests are under way at once.
    pub connections: usize,
    /// How many of them to one host.
    pub connections_per_host: usize,
    /// How long a worker's claim lasts without a sign of life.
    pub claim: Duration,
    /// What webhooks are signed with.
    pub webhook_key: Option<WebhookKey>,
}

/// The hub.
#[derive(Clone)]
pub struct Hub {
    /// Callbacks, topics and what is due.
    pub store: Store,
    /// The bytes that are pushed.
    pub representations: Arc<Representations>,
    /// For callbacks, whose addresses strangers gave.
    pub fetcher: Fetcher,
    /// For endpoints, whose addresses the newsroom gave.
    pub own_fetcher: Fetcher,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Challenges, and the spread of retries.
    pub chance: Arc<dyn Chance>,
    /// What private topics are proved by.
    pub secret: Secret,
    /// Where our documents are.
    pub base_url: WebUrl,
    /// How it works.
    pub rules: HubRules,
    /// Who holds the claims: one name a process.
    pub worker: String,
    /// What became of everything.
    pub tally: Arc<HubTally>,
    /// The publish sequence up to which topics were looked at, by this process; -1 before the first look.
    pub looked_at: Arc<AtomicI64>,
    /// Once this is cancelled nothing new is begun.
    pub stop: CancellationToken,
}

/// Why the hub's work stopped.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document could not be made.
    #[error(transparent)]
    Representation(#[from] RepresentationError),
    /// A header cannot be written: the base URL holds something odd.
    #[error(transparent)]
    Header(#[from] FetchError),
    /// The work was stopped.
    #[error("the hub's work was stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// How many outcomes of each kind there were since the start, for the metrics.
#[derive(Debug, Default)]
pub struct HubTally {
    counts: Mutex<HashMap<(&'static str, &'static str), u64>>,
}

impl HubTally {
    fn count(&self, what: &'static str, outcome: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry((what, outcome)).or_default() += 1;
    }

    /// The counts by what was tried and what came of it.
    pub fn counts(&self) -> Vec<((&'static str, &'static str), u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (*key, *count)).collect()
    }
}

/// Takes a request down. What comes of it is said to the callback alone, later (H2).
pub async fn ask(
    store: &Store,
    asked: &Asked,
    caps: &CallbackCaps,
    now: crate::domain::Instant,
) -> Result<Result<crate::domain::RequestId, Refused>, StoreError> {
    let taken = store.ask_callback(asked, caps, now).await?;
    match &taken {
        Ok(request) => {
            tracing::info!(%request, mode = asked.mode.as_str(), topic = asked.path.shown(),
                callback.host = asked.callback.host(), "hub request taken");
        }
        Err(refused) => {
            tracing::info!(?refused, callback.host = asked.callback.host(), "hub request refused")
        }
    }
    Ok(taken)
}

impl Hub {
    /// A sign of life: what this process holds is held for another while.
    pub async fn keep_claims(&self) -> Result<u64, StoreError> {
        self.store.extend_hub_claims(&self.worker, self.claim_end()).await
    }

    /// Forgets what ended long ago: callbacks a day after their lease, events that everybody was told.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let callbacks = self.store.forget_expired(now - KEPT).await?;
        let events = self.store.forget_events(now - EVENTS_KEPT).await?;
        tracing::debug!(callbacks, events, "forgotten by the hub");
        Ok(())
    }

    fn claim_end(&self) -> crate::domain::Instant {
        self.clock.now()
            + chrono::Duration::from_std(self.rules.claim).unwrap_or(chrono::Duration::seconds(90))
    }

    /// Lets claims go at an orderly stop, so that the next start need not wait for their end.
    pub async fn give_back(&self) -> Result<u64, StoreError> {
        self.store.give_back_hub_claims(&self.worker, self.clock.now()).await
    }

    fn topic_url(&self, path: &TopicPath) -> String {
        self.base_url.with_path(path.as_str())
    }
}

/// Whether nobody answered: the host may be down. Anything else was said by somebody.
fn is_silence(error: &FetchError) -> bool {
    matches!(error, FetchError::Unreached { .. } | FetchError::Unanswered { .. })
}
