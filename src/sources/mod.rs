//! Floor 3: what articles flow in from by themselves: polled feeds and sitemaps, watched folders, the
//! newsroom's own database, a webhook.
//!
//! Each look at a source is an errand of its own under a claim of the store, so that one that fails or
//! hangs holds up no other. What is taken, what is remembered and how far it was read move in one
//! transaction; whatever is met again changes nothing. A bad item is told with its place, and the others
//! go in; a doubtful one waits as a draft.

mod catch;
mod document;
mod feed;
mod folder;
mod hook;
mod hub;
mod looking;
mod mark;
mod pages;
mod politeness;
mod table;
mod trial;

pub use folder::files_below;
pub use hook::HookAnswer;
pub use hub::{HubQuestion, HubReply};
pub use looking::SourceError;

use crate::domain::{CategoryName, Chance, Clock, HookKey, Slug, WebUrl, hex};
use crate::fetch::{Fetcher, Limits, Reach};
use crate::intake::ReadingRules;
use crate::query::DatabaseUrl;
use crate::store::Store;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A declared source.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the configuration calls it.
    pub name: Slug,
    /// What it is.
    pub kind: SourceKind,
    /// The shortest time between two looks.
    pub every: Duration,
    /// The section of articles that name none.
    pub category: Option<CategoryName>,
    /// The site that relative addresses belong to, where a source does not say it.
    pub base: Option<WebUrl>,
    /// The zone of times that stand without one, where it is not the publication's.
    pub zone: Option<chrono_tz::Tz>,
    /// Whether it may lie within the own network.
    pub private: bool,
    /// Whether the hub that a feed names is asked to push (WebSub).
    pub websub: bool,
    /// Whether digests mail what it brings.
    pub mailing: Mailing,
}

/// What digests mail of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailing {
    /// What was published within a week before it came, or has no date: the years before are no news.
    Young,
    /// Everything.
    All,
    /// Nothing.
    Nothing,
}

/// What a source is.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// A feed that is polled.
    Feed(WebUrl),
    /// A sitemap that is polled, and the pages that it names.
    Sitemap(WebUrl),
    /// A folder that is watched.
    Folder(PathBuf),
    /// A question to the newsroom's own database.
    Sql(Box<Table>),
    /// An address to which the newsroom's programs post.
    Webhook(Hook),
}

impl SourceKind {
    /// The word for it in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Feed(_) => "feed",
            Self::Sitemap(_) => "sitemap",
            Self::Folder(_) => "folder",
            Self::Sql(_) => "sql",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// A question to a database, and what its answer means.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where it is.
    pub url: DatabaseUrl,
    /// A SELECT.
    pub query: String,
    /// The column by which a row is known.
    pub key: String,
    /// The column that grows whenever a row is written; without one, all is read each time.
    pub mark: Option<String>,
    /// How far behind the mark is read again: what is written there may be committed later than what was
    /// seen. Seconds, or as many numbers.
    pub overlap: Duration,
    /// Fields of articles by columns, where they have other names.
    pub columns: BTreeMap<String, String>,
}

/// What proves who posts to a webhook. One of them at least.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The last part of its address.
    pub key: Option<HookKey>,
    /// By what bodies are signed.
    pub secret: Option<HookKey>,
}

impl Source {
    /// What it is, in a line without secrets.
    pub fn place(&self) -> String {
        match &self.kind {
            SourceKind::Feed(url) | SourceKind::Sitemap(url) => url.to_string(),
            SourceKind::Folder(path) => path.display().to_string(),
            SourceKind::Sql(table) => table.url.to_string(),
            SourceKind::Webhook(_) => format!("/hooks/articles/{}", self.name),
        }
    }

    /// The fingerprint of what decides which articles it brings and what they say. Where that changes, the
    /// source begins anew.
    fn definition(&self) -> String {
        let said = match &self.kind {
            SourceKind::Sql(table) => {
                format!("{} {} {:?} {:?}", table.query, table.key, table.mark, table.columns)
            }
            _ => String::new(),
        };
        let (kind, place) = (self.kind.as_str(), self.place());
        let told = format!("{kind} {place} {said} {:?} {:?} {:?}", self.category, self.base, self.zone);
        hex(&Sha256::digest(told))
    }

    /// Whether it is looked at by itself.
    fn is_polled(&self) -> bool {
        !matches!(self.kind, SourceKind::Webhook(_))
    }
}

/// Who looks at the declared sources.
#[derive(Clone)]
pub struct Sources {
    /// Where articles go.
    pub store: Store,
    /// What is declared.
    pub declared: Arc<Vec<Source>>,
    /// Where hubs find us.
    pub base_url: WebUrl,
    /// The publication's zone.
    pub zone: chrono_tz::Tz,
    /// What is known of pages.
    pub rules: ReadingRules,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub chance: Arc<dyn Chance>,
    /// In whose name sources are claimed.
    pub worker: String,
    /// How long a source is held after a sign of life.
    pub claim: Duration,
    /// When it is time to stop.
    pub stop: CancellationToken,
    public: Fetcher,
    anywhere: Fetcher,
}

impl Sources {
    /// A desk that nobody works at yet.
    pub fn new(
        store: Store,
        declared: Vec<Source>,
        (base_url, zone): (WebUrl, chrono_tz::Tz),
        rules: ReadingRules,
        claim: Duration,
        (clock, chance): (Arc<dyn Clock>, Arc<dyn Chance>),
    ) -> Self {
        let worker = crate::domain::new_uuid(clock.now(), &*chance).to_string();
        Self {
            store,
            declared: Arc::new(declared),
            base_url,
            zone,
            rules,
            clock,
            chance,
            worker,
            claim,
            stop: CancellationToken::new(),
            public: Fetcher::new(Reach::Public, Limits::default()),
            anywhere: Fetcher::new(Reach::Anywhere, Limits::default()),
        }
    }

    /// The same, at work until it is asked to stop.
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// A declared source.
    pub fn find(&self, name: &str) -> Option<&Source> {
        self.declared.iter().find(|source| source.name.as_str() == name)
    }

    fn fetcher(&self, source: &Source) -> &Fetcher {
        if source.private { &self.anywhere } else { &self.public }
    }
}
