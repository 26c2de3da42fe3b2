//! Floor 2: the newsroom's ledger, the only module that speaks SQL.
//!
//! One face, two engines. Every statement is written once for both where both take it (`$1`,
//! `RETURNING`, `ON CONFLICT`); [`Engine`] chooses where they differ: claiming and searching.
//! Each method is one whole transaction, no transaction leaves this module, and a statement that
//! reads for sending never moves a marker.

mod acceptance;
mod acceptance_rows;
mod api_answers;
mod api_tokens;
mod archives;
mod article_pages;
mod article_rows;
mod articles;
mod bounces;
mod callbacks;
mod categories;
mod claims;
mod conditional;
mod deliveries;
mod drafts;
mod editing;
mod edition_archive;
mod editions;
mod endpoints;
mod engine;
mod erasures;
mod error;
mod exports;
mod feeds;
mod holds;
mod home;
mod installation;
mod labels;
mod letters;
mod nameless;
mod notices;
mod opens;
mod opt_ins;
mod outcomes;
mod owed;
mod personal;
mod placement;
mod plans;
mod publications;
mod pulse;
mod rehearsals;
mod renaming;
mod rosters;
mod search;
mod searches;
mod sequence;
mod sitemap;
mod source_hubs;
mod source_items;
mod sources;
mod statement;
mod subscribers;
mod subscriptions;
mod suppressions;
mod topics;
mod upgrade;
mod volumes;

pub use acceptance::{Acceptance, Accepted};
pub use api_answers::{KeptAnswer, Repeat};
pub use api_tokens::TokenEntry;
pub use article_pages::{ArticlePage, Position};
pub use articles::ArticleSelection;
pub use bounces::{Bounce, HandedOver, Noted, NotedBounce};
pub use callbacks::{
    Asked, CallbackCaps, CallbackState, ClaimedPush, ClaimedRequest, LiveCallback, PushSettlement, Refused,
    RequestKind, RequestSettlement,
};
pub use conditional::{Change, Condition, KeyedArticle, Put, Which};
pub use deliveries::{ClaimedDelivery, Settlement};
pub use drafts::{Doubtful, Kept, KeptDraft};
pub use editing::{Edited, Issue, Order, OrderedArticle};
pub use edition_archive::PublicEdition;
pub use editions::{Cut, CutAnswer, Cutting, Edition, Turn, Whom};
pub use endpoints::{
    ClaimedEndpoint, EndpointKind, EndpointSettlement, EndpointState, Event, EventKind, EventSubject,
};
pub use engine::{Engine, Store, StoreUrl};
pub use error::StoreError;
pub use feeds::{Definition, FeedState};
pub use holds::Hold;
pub use installation::Installation;
pub use letters::{LetterContents, OpenLetter, PlainLetter};
pub use notices::MoveAnswer;
pub use opt_ins::{OptIn, OptInAnswer, OptInRequest, Yes};
pub use outcomes::{EditionCounts, EditionFigures, Failure};
pub use personal::PERSONAL_TABLES;
pub use plans::Planned;
pub use publications::Contents;
pub use pulse::Pulse;
pub use rehearsals::{Rehearsal, Selection};
pub use renaming::Renaming;
pub use rosters::{Enrolled, ListedReader, RosterEntry};
pub use sitemap::{ListedArticle, YoungArticles};
pub use source_hubs::{LeftHub, SourceHub};
pub use source_items::{OpenItem, WrongItem};
pub use sources::{ClaimedSource, Haul, ItemMet, SourceSettlement, SourceState, Taken};
pub use subscribers::Subscriber;
pub use subscriptions::{Beginning, Subscription};
pub use suppressions::{AddressHash, Suppression};
pub use topics::{HubCounts, TopicBehind, TopicState};
