//! Floor 2: the newsroom's ledger, the only module that speaks SQL.
//!
//! One face, two engines. Every statement is written once for both where both take it (`$1`,
//! `RETURNING`, `ON CONFLICT`); [`Engine`] chooses where they differ: claiming and searching.
//! Each method is one whole transaction, no transaction leaves this module, and a statement that
//! reads for sending never moves a marker.

mod engine;
mod error;

pub use engine::{Engine, Store, StoreUrl};
pub use error::StoreError;
