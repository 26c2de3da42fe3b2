//! Stories at the doors and contracts at the store, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over")]
#![expect(clippy::disallowed_methods, reason = "a story may sleep: it holds up no runtime but its own")]

mod architecture;
mod archives;
mod callbacks;
mod check;
mod commands;
mod crash;
mod delta;
mod demo;
mod export;
mod express;
mod feeds_http;
mod gets;
mod hub;
mod hub_death;
mod hub_faults;
mod hub_pushes;
mod hub_rocks;
mod imports;
mod journey;
mod judges;
mod lint;
mod mailroom;
mod moved;
mod newsroom;
mod pages;
mod postbox;
mod postgres;
mod readers;
mod selections;
mod served;
mod sitemaps;
mod smtp;
mod source;
mod store_articles;
mod store_feeds;
mod store_histories;
mod store_hub;
mod store_readers;
mod store_renaming;
mod store_schema;
mod store_search;
mod store_selections;
mod store_sitemaps;
mod world;
