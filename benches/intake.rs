//! How fast articles come in, and in how much memory, beside feedparser and readability on the same files.
//!
//! `cargo bench --bench intake`, or with `-- --quick` in some 2 minutes; needs python3 and pip. The figures
//! that count are the ratios.
#![expect(clippy::expect_used, reason = "a benchmark may fall over")]

use std::process::Command;

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/intake/measure.py");
    let mut command = Command::new("python3");
    let status = command.args([script, env!("CARGO_BIN_EXE_bantin")]).args(std::env::args().skip(1)).status();
    assert!(status.expect("python3 is needed").success(), "the measuring failed");
}
