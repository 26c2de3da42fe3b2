//! Bản Tin: feeds and e-mail digests for a newsroom.
//!
//! The floors, each using only what is below it (ARCHITECTURE.md walks three paths through them):
//!
//! - 5 assembly: [`cli`], [`app`], [`config`]
//! - 4 doors: [`http`], [`inbox`], [`tick`]
//! - 3 workflows: [`publish`], [`sources`], [`representations`], [`digest`], [`dispatch`], [`subscribe`], [`bounce`], [`hub`], [`errands`]
//! - 2 outside: [`store`] (SQL), [`query`] (the newsroom's own database), [`relay`] (SMTP), [`fetch`] (HTTP out)
//! - 1 makers: [`feed`], [`mail`], [`page`], [`intake`], with their words in [`wording`]
//! - 0 words: [`domain`]
//!
//! Floors 0 and 1 are pure and compile without the feature `server`.

pub mod domain;
pub mod feed;
pub mod intake;
pub mod mail;
pub mod page;
pub mod wording;

#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod bounce;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod digest;
#[cfg(feature = "server")]
pub mod dispatch;
#[cfg(feature = "server")]
pub mod errands;
#[cfg(feature = "server")]
pub mod fetch;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod hub;
#[cfg(feature = "server")]
pub mod inbox;
#[cfg(feature = "server")]
pub mod publish;
#[cfg(feature = "server")]
pub mod query;
#[cfg(feature = "server")]
pub mod relay;
#[cfg(feature = "server")]
pub mod representations;
#[cfg(feature = "server")]
pub mod sources;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod subscribe;
#[cfg(feature = "server")]
pub mod tick;
