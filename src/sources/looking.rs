//! One look at a source, from the claim to what is written down of it.

use super::politeness::after_failure;
use super::{Source, SourceKind, Sources};
use crate::domain::{Instant, Slug, WebUrl, fraction};
use crate::intake::{InputFormat, Intake};
use crate::query::QueryError;
use crate::store::{ClaimedSource, SourceSettlement, StoreError, Taken};
use chrono::Duration;
use tokio::task::JoinSet;

/// What came of a look.
#[derive(Debug, Default)]
pub struct Looked {
    /// What was taken.
    pub taken: Taken,
    /// What is to be remembered beside what was taken.
    pub memory: Option<String>,
    /// When to look again.
    pub next: Next,
}

/// When a source is looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// When its time has come.
    #[default]
    InTime,
    /// Not before so long.
    AfterAtLeast(Duration),
    /// After so long, whatever its pace.
    After(Duration),
    /// At once: there is more.
    AtOnce,
    /// When it is asked for.
    WhenAsked,
}

/// What kept a look from its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Later may help.
    #[error("{0}")]
    Failed(String),
    /// The server said no.
    #[error("the server answers {0}")]
    Answered(u16),
    /// The server said when.
    #[error("the server answers {status} and wants to be left alone for {} s", wait.num_seconds())]
    Later {
        /// The status code.
        status: u16,
        /// How long.
        wait: Duration,
    },
    /// The server said that it is gone (RFC 9110 §15.5.11).
    #[error("the server says that it is gone for ever (410); give its new address, or take the source out")]
    Gone,
    /// It is time to stop.
    #[error("stopped on the way")]
    Stopped,
    /// Somebody else looks at it now.
    #[error("another process looks at it now")]
    Lost,
    /// The newsroom's database said no.
    #[error("the database says: {0}")]
    Query(#[from] QueryError),
    /// Our own store did.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sources {
    /// Makes the store know what is declared.
    pub async fn declare(&self) -> Result<(), StoreError> {
        let declared: Vec<(&Slug, String, bool)> =
            self.declared.iter().map(|s| (&s.name, s.definition(), s.is_polled())).collect();
        self.store.declare_sources(&declared, self.clock.now()).await
    }

    /// Begins a look at each source that is due, every one an errand of its own.
    pub async fn look_at_due(&self, errands: &mut JoinSet<()>) -> Result<(), StoreError> {
        if self.declared.is_empty() {
            return Ok(());
        }
        let names: Vec<Slug> = self.declared.iter().map(|source| source.name.clone()).collect();
        let now = self.clock.now();
        for claimed in self.store.claim_sources(&names, &self.worker, self.hold(), now).await? {
            let desk = self.clone();
            errands.spawn(async move {
                // What failed is written down and told already.
                drop(desk.look(claimed).await);
            });
        }
        Ok(())
    }

    /// Looks at one source now, whenever it was due. `None`: another process does.
    pub async fn look_now(&self, source: &Source) -> Result<Option<Taken>, SourceError> {
        let now = self.clock.now();
        match self.store.claim_source(&source.name, &self.worker, self.hold(), now).await? {
            Some(claimed) => self.look(claimed).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives back what is claimed and not done.
    pub async fn give_back(&self) -> Result<u64, StoreError> {
        self.store.give_back_sources(&self.worker, self.clock.now()).await
    }

    /// Until when a source is held from now on.
    pub(super) fn hold(&self) -> Instant {
        self.clock.now() + Duration::from_std(self.claim).unwrap_or(Duration::minutes(10))
    }

    /// Signs of life, for as long as somebody waits for them.
    async fn keep_claims(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(self.claim / 3).await;
            if let Err(error) = self.store.extend_source_claims(&self.worker, self.hold()).await {
                tracing::warn!(%error, "claims of sources not renewed");
            }
        }
    }

    async fn look(&self, claimed: ClaimedSource) -> Result<Taken, SourceError> {
        let Some(source) = self.find(claimed.name.as_str()) else { return Err(SourceError::Lost) };
        let work = async {
            match &source.kind {
                SourceKind::Feed(url) => self.look_at_feed(&claimed, source, url).await,
                SourceKind::Sitemap(url) => self.look_at_sitemap(&claimed, source, url).await,
                SourceKind::Folder(path) => self.look_at_folder(&claimed, source, path).await,
                SourceKind::Sql(table) => self.look_at_table(&claimed, source, table).await,
                SourceKind::Webhook(_) => self.look_at_pages(&claimed, source).await,
            }
        };
        let looked = tokio::select! {
            looked = work => looked,
            // Beside the work and never instead of it, which may hold what this needs.
            never = self.keep_claims() => match never {},
        };
        let now = self.clock.now();
        let settlement = match &looked {
            Ok(looked) => SourceSettlement::Done {
                next: next_look(source, looked.next, now),
                memory: looked.memory.clone(),
                announced: claimed.announced_at,
            },
            // Its claim is given back, or ends by itself.
            Err(SourceError::Stopped | SourceError::Lost) => return looked.map(|looked| looked.taken),
            Err(error @ SourceError::Gone) => SourceSettlement::Stopped { error: error.to_string() },
            Err(error) => {
                let is_far = matches!(
                    source.kind,
                    SourceKind::Feed(_) | SourceKind::Sitemap(_) | SourceKind::Webhook(_)
                );
                let delay = after_failure(is_far, claimed.attempt, now, fraction(&*self.chance));
                let wait = match error {
                    SourceError::Later { wait, .. } => delay.max(*wait),
                    _ => delay,
                };
                SourceSettlement::Later { next: now + wait, error: error.to_string() }
            }
        };
        match &looked {
            Ok(Looked { taken, .. }) if *taken != Taken::default() => tracing::info!(
                source = %source.name, new = taken.new, revised = taken.revised, drafts = taken.drafts,
                "source looked at"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(source = %source.name, %error, "source failed"),
        }
        self.store.settle_source(&self.worker, claimed.id, &settlement, now).await?;
        looked.map(|looked| looked.taken)
    }

    /// What is known about an input of a source.
    pub(super) fn intake<'n>(
        &'n self,
        source: &Source,
        name: &'n str,
        format: Option<InputFormat>,
        base: Option<WebUrl>,
    ) -> Intake<'n> {
        Intake {
            name,
            format,
            base: base.or_else(|| source.base.clone()),
            zone: source.zone.unwrap_or(self.zone),
            category: source.category.clone(),
            rules: &self.rules,
        }
    }
}

fn next_look(source: &Source, next: Next, now: Instant) -> Option<Instant> {
    let every = Duration::from_std(source.every).unwrap_or(Duration::days(1));
    match next {
        Next::InTime => Some(now + every),
        Next::AfterAtLeast(wait) => Some(now + every.max(wait)),
        Next::After(wait) => Some(now + wait),
        Next::AtOnce => Some(now),
        Next::WhenAsked => None,
    }
}
