//! How a foreign collection of bounces is read: `cargo bench --bench bounces -- FOLDER`.
//!
//! The folder holds `*.eml` and `verdicts.tsv`: a name, a tab, and the classes that are right.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it prints, and may fall over")]

use bantin::mail::report::{Rules, read};
use std::path::PathBuf;

fn main() {
    let Some(folder) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("name the folder: cargo bench --bench bounces -- FOLDER");
        return;
    };
    let (rules, folder) = (Rules::built_in().unwrap(), PathBuf::from(folder));
    let verdicts = std::fs::read_to_string(folder.join("verdicts.tsv")).unwrap();
    let (mut right, mut judged) = (0, 0);
    for (name, expected) in verdicts.lines().filter_map(|line| line.split_once('\t')) {
        let expected: Vec<&str> = expected.split(' ').collect();
        let report = read(&std::fs::read(folder.join(name)).unwrap(), &rules);
        let classes: Vec<&str> = report.findings.iter().map(|finding| finding.class.as_str()).collect();
        judged += 1;
        if classes.iter().all(|class| expected.contains(class)) {
            right += 1;
        } else {
            println!("{name}: {classes:?}, not {expected:?}: {}", report.findings[0].evidence);
        }
    }
    println!("{right} of {judged} are right");
}
