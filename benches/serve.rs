//! Feeds over HTTP beside nginx with the same bytes as files: 304, gzip and identity, by turns.
//!
//! `cargo bench --bench serve`, or with `-- --quick` in some 2 minutes; needs nginx, wrk and python3. The
//! figures that count are the ratios.
#![expect(clippy::expect_used, reason = "a benchmark may fall over")]

use std::process::Command;

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/serve/measure.py");
    let mut command = Command::new("python3");
    let status = command.args([script, env!("CARGO_BIN_EXE_bantin")]).args(std::env::args().skip(1)).status();
    assert!(status.expect("python3 is needed").success(), "the measuring failed");
}
