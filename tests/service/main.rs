//! Stories at the doors and contracts at the store, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over")]

mod architecture;
mod gets;
mod newsroom;
mod postgres;
mod source;
mod store_articles;
mod store_feeds;
mod store_histories;
mod store_readers;
mod store_schema;
mod store_search;
mod world;
