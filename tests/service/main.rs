//! Stories at the doors and contracts at the store, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over")]

mod feeds_http;
mod imports;
mod judges;
mod newsroom;
mod pages;
mod postgres;
mod served;
mod store_articles;
mod store_feeds;
mod store_histories;
mod store_readers;
mod store_schema;
mod store_search;
mod world;
