//! What fuzzing has kept, on the compiler of every day.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::Path;

#[test]
fn what_once_reached_far_or_broke_a_promise_keeps_it() {
    for (name, check) in checks::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
        let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!kept.is_empty(), "{name} has no corpus");
        for file in kept {
            let bytes = std::fs::read(&file).unwrap();
            assert!(
                std::panic::catch_unwind(|| check(&bytes)).is_ok(),
                "{}: see above what does not hold",
                file.display()
            );
        }
    }
}

#[test]
fn each_check_has_a_target_and_each_target_a_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/targets");
    let mut targets: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut checks = checks::ALL.map(|(name, _)| name);
    targets.sort();
    checks.sort_unstable();
    assert_eq!(targets, checks);
}
