//! The program's own source as text, as far as walls can be seen in it: code without comments,
//! strings and tests, and the paths that it names.

use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One file of `src/`.
pub struct Source {
    /// Its path below `src/`.
    pub file: String,
    /// The module of `src/lib.rs` that it belongs to; `lib` and `main` for those two.
    pub module: String,
    /// How many modules deep it lies: 1 for `feed/mod.rs`, 2 for `feed/rss.rs`.
    pub depth: usize,
    /// What runs: comments, strings and tests are blanks. Empty where only tests see the file.
    pub code: String,
    /// The same with its tests.
    pub with_tests: String,
}

/// A path of the repository.
pub fn repository(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// A file of the repository.
pub fn text(below: &str) -> String {
    std::fs::read_to_string(repository(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
}

/// Every Rust file below a folder of the repository, in the order of their names.
pub fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![repository(folder)];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The program, file by file.
pub fn program() -> Vec<Source> {
    let root = repository("src");
    let mut of_tests = BTreeSet::new();
    let mut sources = Vec::new();
    for path in rust_files("src") {
        let original: Vec<char> = std::fs::read_to_string(&path).unwrap().chars().collect();
        let bare = bare(&original);
        let (code, files) = without_tests(&bare, &original);
        let folder = path.parent().unwrap();
        of_tests.extend(files.iter().map(|name| folder.join(name)));
        let below = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> =
            below.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
        sources.push((
            path.clone(),
            Source {
                module: parts[0].to_owned(),
                depth: parts.len(),
                file: below,
                code,
                with_tests: bare.into_iter().collect(),
            },
        ));
    }
    for (path, source) in &mut sources {
        if of_tests.contains(path) {
            source.code.clear();
        }
    }
    sources.into_iter().map(|(_, source)| source).collect()
}

/// The code alone, character for character where it stood: comments and what is between quotes
/// become blanks.
pub fn bare(text: &[char]) -> Vec<char> {
    let mut bare = text.to_vec();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut i = 0;
    while i < text.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..text.len()).find(|&j| at(j) == '\n').unwrap_or(text.len()),
            ('/', '*') => {
                let (mut depth, mut j) = (1, i + 2);
                while depth > 0 && j < text.len() {
                    match (at(j), at(j + 1)) {
                        ('/', '*') => (depth, j) = (depth + 1, j + 2),
                        ('*', '/') => (depth, j) = (depth - 1, j + 2),
                        _ => j += 1,
                    }
                }
                j
            }
            ('"', _) => end_of_quoted(text, i + 1, '"'),
            ('r', '"' | '#') if i == 0 || !word(at(i - 1)) || matches!(at(i - 1), 'b' | 'c') => {
                let hashes = (i + 1..text.len()).take_while(|&j| at(j) == '#').count();
                if at(i + 1 + hashes) == '"' {
                    let mut j = i + 2 + hashes;
                    let closed = |j: usize| at(j) == '"' && (1..=hashes).all(|h| at(j + h) == '#');
                    while j < text.len() && !closed(j) {
                        j += 1;
                    }
                    j + 1 + hashes
                } else {
                    i
                }
            }
            ('\'', '\\') => end_of_quoted(text, i + 1, '\''),
            // Otherwise it is a lifetime.
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        for place in bare.iter_mut().take(end).skip(i).filter(|c| **c != '\n') {
            *place = ' ';
        }
        i = end.max(i + 1);
    }
    bare
}

fn end_of_quoted(text: &[char], from: usize, quote: char) -> usize {
    let mut i = from;
    while i < text.len() && text[i] != quote {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// What is left without the items under `#[cfg(test)]`, and the files such items name.
fn without_tests(bare: &[char], original: &[char]) -> (String, Vec<String>) {
    let path = Regex::new(r#"path = "([^"]+)""#).unwrap();
    let name = Regex::new(r"mod (\w+);").unwrap();
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut code = bare.to_vec();
    let mut files = Vec::new();
    let mut i = 0;
    while i + mark.len() <= bare.len() {
        if bare[i..i + mark.len()] != mark[..] {
            i += 1;
            continue;
        }
        let end = end_of_item(bare, i + mark.len());
        let item: String = original[i..end].iter().collect();
        if item.ends_with(';') {
            let named = path.captures(&item).map(|found| found[1].to_owned());
            files.extend(named.or_else(|| name.captures(&item).map(|found| format!("{}.rs", &found[1]))));
        }
        code[i..end].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        i = end;
    }
    (code.into_iter().collect(), files)
}

/// Where an item ends: at its semicolon, or at the brace that closes it.
fn end_of_item(code: &[char], from: usize) -> usize {
    let (mut round, mut braces) = (0, 0);
    for (i, c) in code.iter().enumerate().skip(from) {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return i + 1;
                }
            }
            ';' if round == 0 && braces == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path that code names, those in `use` with their braces opened: `use std::{fs, io};` names
/// `std::fs` and `std::io`.
pub fn paths(code: &str) -> BTreeSet<String> {
    let imports = Regex::new(r"\buse\s+([^;]+);").unwrap();
    let inline = Regex::new(r"[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)+").unwrap();
    let mut paths = BTreeSet::new();
    for import in imports.captures_iter(code) {
        open(String::new(), &import[1], &mut paths);
    }
    let rest = imports.replace_all(code, " ");
    paths.extend(inline.find_iter(&rest).map(|path| path.as_str().split_whitespace().collect()));
    paths
}

fn open(before: String, tree: &str, paths: &mut BTreeSet<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        None => {
            let leaf = tree.split_once(" as ").map_or(tree, |(path, _)| path);
            let path: String = format!("{before}{leaf}").split_whitespace().collect();
            paths.insert(path.trim_end_matches("::self").trim_start_matches("::").to_owned());
        }
        Some((head, list)) => {
            let list = list.trim_end().strip_suffix('}').expect("a list of imports is closed");
            let before = format!("{before}{}", head.trim());
            let (mut depth, mut from) = (0, 0);
            for (at, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        open(before.clone(), &list[from..at], paths);
                        from = at + 1;
                    }
                    _ => {}
                }
            }
            if !list[from..].trim().is_empty() {
                open(before, &list[from..], paths);
            }
        }
    }
}

#[test]
fn only_what_runs_is_looked_at() {
    let text = r##"
        // use crate::comment;
        /* use crate::nested; /* use crate::deeper; */ use crate::after; */
        const A: &str = "use crate::quoted; \" use crate::still;";
        const B: &str = r#"use crate::raw; " use crate::raw_still;"#;
        const C: char = '"'; const D: char = '\''; fn f<'a>(r: &'a str) { crate::seen::g(r) }
        #[cfg(test)]
        fn helper(x: [u8; 3]) { crate::test_only::h(x) }
        #[cfg(test)]
        #[path = "odd_tests.rs"]
        mod tests;
        use crate::{domain::{Slug, self}, feed as f, page::*};
    "##;
    let original: Vec<char> = text.chars().collect();
    let (code, files) = without_tests(&bare(&original), &original);
    let expected =
        ["crate::domain", "crate::domain::Slug", "crate::feed", "crate::page::*", "crate::seen::g"];
    assert_eq!(paths(&code).into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(files, ["odd_tests.rs"]);
}
