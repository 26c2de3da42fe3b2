//! Stories at the doors and contracts at the store, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over")]
#![expect(clippy::disallowed_methods, reason = "a story may sleep: it holds up no runtime but its own")]

mod architecture;
mod archives;
mod check;
mod commands;
mod crash;
mod demo;
mod export;
mod feeds_http;
mod gets;
mod imports;
mod journey;
mod judges;
mod mailroom;
mod newsroom;
mod pages;
mod postbox;
mod postgres;
mod readers;
mod served;
mod sitemaps;
mod smtp;
mod source;
mod store_articles;
mod store_feeds;
mod store_histories;
mod store_readers;
mod store_schema;
mod store_search;
mod store_sitemaps;
mod world;
