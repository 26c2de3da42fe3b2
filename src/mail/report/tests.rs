use super::*;

fn rules() -> Rules {
    Rules::built_in().unwrap()
}

/// The class of each message of a folder, for a look at foreign collections: `BANTIN_BOUNCES` names it.
#[test]
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "told to whoever asked")]
fn a_foreign_collection_is_read_without_a_fall() {
    let Ok(folder) = std::env::var("BANTIN_BOUNCES") else { return };
    let rules = std::env::var("BANTIN_RULES").map_or_else(|_| rules(), |f| toml::from_str(&std::fs::read_to_string(f).unwrap()).unwrap());
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let report = read(&std::fs::read(&file).unwrap(), &rules);
        let classes: Vec<&str> = report.findings.iter().map(|finding| finding.class.as_str()).collect();
        let named = report.findings.iter().filter(|finding| finding.recipient.is_some()).count();
        println!("{}\t{}\t{named}\t{}", file.file_name().unwrap().to_string_lossy(), classes.join(" "), report.findings.first().map_or("", |f| &f.evidence));
    }
}
