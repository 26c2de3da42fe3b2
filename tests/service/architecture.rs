//! The walls of the house (HOUSE.md §2.2 to §2.4, ARCHITECTURE.md), read from the source's text.
//! Whoever needs a new door in a wall writes it into a table here, with its reason.

use crate::source::{Source, bare, paths, program, repository, rust_files, text};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// What a module may use on its own floor.
const NEIGHBOURS: [(&str, &[&str]); 13] = [
    ("mail", &["wording"]),
    ("page", &["wording"]),
    // A mail server that a stranger's domain names lies outside of our network, as a callback does.
    ("relay", &["fetch"]),
    // The release of embargoes belongs to the cut: what became visible until then is in it.
    ("digest", &["publish"]),
    // What flows in is accepted as everything else is.
    ("sources", &["publish"]),
    // A link in the returned mail proves whose it is, as readers' links do.
    ("bounce", &["subscribe"]),
    // Letters name feeds as the directory names them now, and carry the reader's links; a refusal on
    // the spot is a bounce like others.
    ("dispatch", &["bounce", "errands", "representations", "subscribe"]),
    // A push is what a GET returns; a private topic is proved as its reader's links are.
    ("hub", &["errands", "representations", "subscribe"]),
    // The loops of the ways on which mail comes back are started beside the others.
    ("tick", &["inbox"]),
    ("app", &["config"]),
    ("cli", &["app", "config"]),
    // The root of the library, and the program that calls it.
    ("lib", &[]),
    ("main", &[]),
];

/// What a door may see of the assembly: the built program is the state that axum and the loops
/// carry, so its type is named below the floor where it is put together. Nothing else is.
const UPWARD: [(&str, &[&str]); 2] = [
    ("http", &["crate::app::App"]),
    (
        "tick",
        &[
            "crate::app::App",
            "crate::app::AppError",
            "crate::app::Roles",
            "crate::app::Wake",
            "crate::app::listen",
        ],
    ),
];

/// What only some modules may touch. `std` and crates that are not named here are everybody's.
const HANDS: [(&str, &[&str]); 27] = [
    // SQL: our own store, and the newsroom's database, which is only read.
    ("sqlx", &["store", "query"]),
    // SMTP. The message builder and the address type are pure and lie below the purity line.
    ("lettre::transport", &[]),
    ("lettre::SmtpTransport", &[]),
    ("lettre::AsyncSmtpTransport", &[]),
    ("lettre::Transport", &[]),
    ("lettre::AsyncTransport", &[]),
    ("tokio_rustls", &["relay", "inbox"]),
    // The mail servers of a domain.
    ("hickory_resolver", &["relay"]),
    // Connections: to the mail server and the mailbox; the listeners and what they accept; `check`
    // tries whether the port is free.
    ("std::net::TcpStream", &["relay", "http"]),
    ("tokio::net::TcpStream", &["relay", "http", "inbox"]),
    ("std::net::TcpListener", &["cli"]),
    ("tokio::net::TcpListener", &["app", "cli", "http", "inbox"]),
    // The express lane waits for many connections in one thread.
    ("mio", &["http"]),
    // HTTP comes in above floor 3, and goes out only where bytes, time and reach are bounded.
    ("axum", &["http", "app"]),
    ("tower", &["http"]),
    ("tower_http", &["http"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("httparse", &["http"]),
    ("reqwest", &["fetch"]),
    // Files: settings and templates; the SQLite file's folder; the outbox; what is imported, and watched.
    ("std::fs", &["config", "store", "relay", "cli", "sources"]),
    ("tokio::fs", &["relay", "inbox"]),
    // What an export names by number, while it is read; what is sent without being copied.
    ("tempfile", &["cli", "store"]),
    ("tokio_cron_scheduler", &["tick", "app"]),
    // Errors without a type are for whoever only prints them.
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("std::env", &["cli"]),
];

/// State that is not passed in. Each is a constant that cannot be written as one.
const STATICS: [(&str, &str); 3] = [
    // Patterns that never change, and take longer to make than to read an article with.
    ("intake/legacy.rs", "SYLLABLE"),
    ("intake/markdown.rs", "CODES"),
    // The schema of each engine, put into the program when it is built.
    ("store/engine.rs", "SQLITE, POSTGRES"),
];

/// Modules by floor, as the map in `src/lib.rs` draws them.
fn floors() -> BTreeMap<String, u8> {
    let storey = Regex::new(r"(?m)^//! - (\d) \w+: (.+)$").unwrap();
    let name = Regex::new(r"\[`(\w+)`\]").unwrap();
    let mut floors = BTreeMap::new();
    for line in storey.captures_iter(&text("src/lib.rs")) {
        let floor = line[1].parse().unwrap();
        floors.extend(name.captures_iter(&line[2]).map(|module| (module[1].to_owned(), floor)));
    }
    floors.insert("lib".to_owned(), 5);
    floors.insert("main".to_owned(), 6);
    floors
}

/// What a file does that its module may not do.
fn breaches(source: &Source, floors: &BTreeMap<String, u8>) -> Vec<String> {
    let module = source.module.as_str();
    let floor = floors[module];
    let neighbours = NEIGHBOURS.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, list)| list);
    let upward = UPWARD.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, list)| list);
    let is_or_below = |path: &str, of: &str| path == of || path.starts_with(&format!("{of}::"));
    let mut breaches = Vec::new();
    let mut refuse = |what: String| breaches.push(format!("src/{}: {what}", source.file));
    // Tests keep to the floors too, or the pure ones would not run alone.
    for path in paths(&source.with_tests) {
        if let ["crate", other, ..] = path.split("::").collect::<Vec<_>>()[..] {
            let lower = floors.get(other).is_some_and(|other| *other < floor);
            let listed = other == module
                || neighbours.contains(&other)
                || upward.iter().any(|seen| is_or_below(&path, seen))
                || module == "lib";
            if !lower && !listed {
                refuse(format!("`{module}` may not use `{path}`"));
            }
        }
        if path == "crate" || path == "crate::self" || path == "crate::*" {
            refuse("the crate itself under another name hides what is used".to_owned());
        }
    }
    for path in paths(&source.code) {
        if path.split("::").take_while(|part| *part == "super").count() >= source.depth {
            refuse(format!("`{path}` leaves the module; write it from `crate`"));
        }
        for (hand, holders) in HANDS {
            if is_or_below(&path, hand) && !holders.contains(&module) {
                refuse(format!("`{path}`: only {holders:?} may use `{hand}`"));
            }
        }
        let world = ["std::fs", "std::net", "std::env", "std::process", "std::thread", "tokio", "futures"];
        if floor < 2 && world.iter().any(|outside| is_or_below(&path, outside)) {
            refuse(format!("`{path}` touches the world below the purity line"));
        }
    }
    if floor < 2 && Regex::new(r"\b(async|await)\b").unwrap().is_match(&source.code) {
        refuse("waits below the purity line".to_owned());
    }
    if Regex::new(r"\bextern\s+crate\b").unwrap().is_match(&source.code) {
        refuse("`extern crate` gives a crate another name".to_owned());
    }
    breaches
}

#[test]
fn every_module_uses_only_what_lies_below_it() {
    let floors = floors();
    let breaches: Vec<String> = program().iter().flat_map(|source| breaches(source, &floors)).collect();
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn a_hole_in_a_wall_is_seen() {
    let refused = |file: &str, code: &str| {
        let module = file.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let depth = if file.ends_with("/mod.rs") || !file.contains('/') { 1 } else { 2 };
        let (code, with_tests) = (code.to_owned(), code.to_owned());
        !breaches(&Source { file: file.to_owned(), module, depth, code, with_tests }, &floors()).is_empty()
    };
    for (file, code) in [
        ("feed/rss.rs", "use crate::store::Store;"),
        ("feed/rss.rs", "use crate::{domain::Slug, mail};"),
        ("feed/rss.rs", "fn f() { let x: crate::page::Desk; }"),
        ("feed/rss.rs", "use super::super::store;"),
        ("feed/rss.rs", "use crate as all;"),
        ("feed/rss.rs", "use crate::*;"),
        ("feed/rss.rs", "extern crate self as all;"),
        ("feed/rss.rs", "use std::{fs, io};"),
        ("intake/mod.rs", "pub async fn fetch() {}"),
        ("http/mod.rs", "use crate::config::Config;"),
        ("http/mod.rs", "use crate::app::open;"),
        ("digest/mod.rs", "use sqlx as s;"),
        ("dispatch/mod.rs", "use lettre::{Address, transport::smtp::Error};"),
        ("subscribe/mod.rs", "use axum::http::StatusCode;"),
        ("publish/mod.rs", "use crate::digest::open_due;"),
    ] {
        assert!(refused(file, code), "{file}: {code}");
    }
    assert!(!refused("feed/rss.rs", "use crate::domain::{Slug, FeedKey}; use super::document;"));
    assert!(!refused("http/mod.rs", "use crate::app::App; use axum::Router;"));
}

#[test]
fn the_map_names_every_module_and_the_purity_line() {
    let declared = Regex::new(r#"(?m)^(#\[cfg\(feature = "server"\)\]\n)?pub mod (\w+);"#).unwrap();
    let library = text("src/lib.rs");
    let mut floors = floors();
    floors.remove("lib");
    floors.remove("main");
    let modules: BTreeSet<String> = declared.captures_iter(&library).map(|m| m[2].to_owned()).collect();
    assert_eq!(modules, floors.keys().cloned().collect(), "src/lib.rs draws other modules than it declares");
    for module in declared.captures_iter(&library) {
        assert_eq!(
            module.get(1).is_none(),
            floors[&module[2]] < 2,
            "{}: which side of the line?",
            &module[2]
        );
    }
}

#[test]
fn the_architecture_names_every_module_on_its_floor() {
    let row = Regex::new(r"(?m)^\| (\d) [^|]*\| `(\w+)` \|").unwrap();
    let told: BTreeMap<String, u8> = row
        .captures_iter(&text("ARCHITECTURE.md"))
        .map(|row| (row[2].to_owned(), row[1].parse().unwrap()))
        .collect();
    let mut floors = floors();
    floors.remove("lib");
    floors.remove("main");
    assert_eq!(told, floors);
}

#[test]
fn what_the_architecture_names_is_there() {
    let page = text("ARCHITECTURE.md");
    let file = Regex::new(r"`([\w.-]+/[\w./-]*)`").unwrap();
    // A module's file may be named without `src/` before it.
    let missing: Vec<&str> = file
        .captures_iter(&page)
        .map(|found| found.extract::<1>().1[0])
        .filter(|path| !repository(path).exists() && !repository("src").join(path).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let code: String = program().into_iter().map(|source| source.code).collect();
    let function = Regex::new(r"`(?:\w+(?:::|\.))*(\w+)\(\)`").unwrap();
    let unknown: Vec<&str> = function
        .captures_iter(&page)
        .map(|found| found.get(1).unwrap().as_str())
        .filter(|name| !Regex::new(&format!(r"\bfn {name}\b")).unwrap().is_match(&code))
        .collect();
    assert!(unknown.is_empty(), "no such functions: {unknown:?}");
}

#[test]
fn nothing_is_global() {
    let state = Regex::new(r"(?:^|[^'\w])static\s|\b(LazyLock|LazyCell|thread_local)\b").unwrap();
    let holders: BTreeSet<String> = program()
        .into_iter()
        .filter(|source| state.is_match(&source.code))
        .map(|source| source.file)
        .collect();
    let listed: BTreeSet<String> = STATICS.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(holders, listed);
    let name = Regex::new(r"(?:^|[^'\w])static (\w+)").unwrap();
    for (file, names) in STATICS {
        let code: String =
            bare(&text(&format!("src/{file}")).chars().collect::<Vec<_>>()).into_iter().collect();
        let found: Vec<&str> = name.captures_iter(&code).map(|found| found.extract::<1>().1[0]).collect();
        assert_eq!(found.join(", "), names, "{file}");
    }
}

#[test]
fn exceptions_are_said_aloud_and_nothing_is_left_undone() {
    let silent = Regex::new(r"\ballow\s*\(|\b(todo|unimplemented|dbg)!").unwrap();
    for path in
        ["src", "tests", "benches"].into_iter().filter(|f| repository(f).is_dir()).flat_map(rust_files)
    {
        let original: Vec<char> = std::fs::read_to_string(&path).unwrap().chars().collect();
        let code: String = bare(&original).into_iter().collect();
        let found = silent.find(&code).map(|found| found.as_str().to_owned());
        assert_eq!(found, None, "{}", path.display());
    }
}
