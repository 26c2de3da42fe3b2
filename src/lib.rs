//! Bản Tin: feeds and e-mail digests for a newsroom.
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fall over"))]
pub mod domain;
pub mod intake;
