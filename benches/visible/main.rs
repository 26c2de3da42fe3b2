//! From the commit of an article until every feed that it is in shows it: 1,000 feeds in use, the
//! release program in one process, the newsroom's import in another.
//!
//! `cargo bench --bench visible` takes stores of 1,000, 100,000 and 1,000,000 articles; with
//! `-- --quick` the first two. `BANTIN_BENCH_SIZES`, `BANTIN_BENCH_ROUNDS` and
//! `BANTIN_BENCH_MEMORY_MB` take other figures, `BANTIN_BENCH_STORES=FOLDER` keeps the stores for the
//! next run, `BANTIN_BENCH_PROGRAM` measures another build. The method: benches/README.md.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark prints, waits, and may fall over"
)]

mod draft;
mod served;

use bantin::app::{SystemChance, SystemClock};
use bantin::domain::{Clock, Draft};
use bantin::publish::{self, Occasion};
use bantin::store::Store;
use draft::{Dice, Writer, documents_of, parent_of, paths, section};
use served::{Line, Served};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BATCH: usize = 200;
/// Rounds before those that count.
const WARM_UP: usize = 30;
/// How often a reader asks: what is measured is late by half of it on average, by all of it at most.
const ASKING: Duration = Duration::from_millis(2);

async fn open(path: &Path) -> Store {
    let store = Store::open(&format!("sqlite:{}", path.display()).parse().unwrap()).await.unwrap();
    store.migrate(SystemClock.now()).await.unwrap();
    store.installation(SystemClock.now(), &SystemChance).await.unwrap();
    store
}

async fn accept(store: &Store, drafts: &[Draft]) -> Vec<bantin::store::Acceptance> {
    publish::accept(store, drafts, Occasion::News, SystemClock.now(), &SystemChance).await.unwrap()
}

/// A store of so many articles, grown from the one before. Every section has its parent.
async fn fill(path: &Path, from: usize, to: usize, writer: &Writer) {
    let store = open(path).await;
    let begun = Instant::now();
    for start in (from..to).step_by(BATCH) {
        let mut drafts: Vec<Draft> =
            (start..to.min(start + BATCH)).map(|n| writer.draft(n, n % 2 == 0)).collect();
        if start == 0 {
            // So that all sections are there before they are placed.
            drafts[0]
                .categories
                .extend((0..draft::SECTIONS).map(|n| bantin::domain::CategoryName(section(n))));
        }
        accept(&store, &drafts).await;
        if start == 0 {
            let tree = store.category_tree().await.unwrap();
            let ids: HashMap<_, _> = tree.all().iter().map(|c| (c.title.clone(), c.id)).collect();
            for n in 0..draft::SECTIONS {
                let parent = parent_of(n).map(|parent| ids[&section(parent)]);
                publish::place(&store, ids[&section(n)], parent, SystemClock.now()).await.unwrap();
            }
        }
    }
    store.close().await;
    println!("{} articles imported in {:.0} s", to - from, begun.elapsed().as_secs_f64());
}

/// One reader who has a document and waits for the next one. When it was there.
async fn await_document(line: &mut Line, path: &str, tag: &mut Option<String>, id: &str) -> (Instant, usize) {
    loop {
        let answer = line.ask(path, tag.as_deref()).await;
        if answer.status == 200 {
            tag.clone_from(&answer.entity_tag);
            // Unpacked later: that would keep the processor from the server.
            tokio::time::sleep(Duration::from_millis(100)).await;
            if answer.holds(id) {
                return (answer.at, answer.text().len());
            }
        }
        // 404 while no article has that label yet.
        assert!(matches!(answer.status, 200 | 304 | 404), "{path}: {}", answer.status);
        tokio::time::sleep(ASKING).await;
    }
}

struct Round {
    commit_ms: f64,
    visible_ms: f64,
    bytes: usize,
}

/// Publishes one article and waits until its documents show it.
async fn publish_one(store: &Store, served: &Served, lines: &mut Vec<Line>, draft: Draft) -> Round {
    let documents = documents_of(&draft);
    let mut readers = Vec::new();
    for path in documents {
        let mut line = match lines.pop() {
            Some(line) => line,
            None => Line::open(&served.address).await.unwrap(),
        };
        let tag = line.ask(&path, None).await.entity_tag;
        readers.push((line, path, tag));
    }
    let begun = Instant::now();
    let id = accept(store, &[draft]).await[0].id.to_string();
    let committed = Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for (mut line, path, mut tag) in readers {
        let id = id.clone();
        waiting.spawn(async move {
            let seen = await_document(&mut line, &path, &mut tag, &id).await;
            (line, seen)
        });
    }
    let (mut last, mut bytes) = (committed, 0);
    while let Some(seen) = waiting.join_next().await {
        let (line, (at, length)) = seen.unwrap();
        last = last.max(at);
        bytes += length;
        lines.push(line);
    }
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    Round { commit_ms: ms(committed - begun), visible_ms: ms(last - committed), bytes }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap().split(' ').take(2).collect::<Vec<_>>().join(" ")
}

async fn measure(program: &str, path: &Path, size: usize, rounds: usize, first: &mut Option<(f64, f64)>) {
    let writer = Writer::new();
    let store = open(path).await;
    let served = Served::start(program, path.parent().unwrap(), &path.display().to_string()).await;
    let (mut line, begun) = (Line::open(&served.address).await.unwrap(), Instant::now());
    let (mut documents, mut zipped) = (0, 0);
    for path in paths() {
        let answer = line.ask(&path, None).await;
        // A label that no article has yet has no feed.
        documents += usize::from(answer.status == 200);
        zipped += answer.size();
    }
    println!(
        "{size} articles: {documents} documents in use, {} MB with gzip, made in {:.0} s; {} MB resident",
        zipped >> 20,
        begun.elapsed().as_secs_f64(),
        served.resident_mb()
    );
    // Two halves: articles of the busy feeds, whose documents are full at every size; and of any.
    for (busy, name) in [(true, "busy"), (false, "any")] {
        let mut lines = Vec::new();
        let mut dice = Dice::new(size as u64);
        let (mut done, mut before) = (Vec::new(), (0.0, 0.0));
        for round in 0..WARM_UP + rounds {
            if round == WARM_UP {
                before = (served.rendered().await, served.cpu_ms());
            }
            // Not in step with the server's looks.
            tokio::time::sleep(Duration::from_micros(100_000 + dice.below(40_000) as u64)).await;
            let n = usize::try_from(SystemClock.now().timestamp_micros()).unwrap_or_default();
            done.push(publish_one(&store, &served, &mut lines, writer.draft(n, busy)).await);
        }
        let done = &done[WARM_UP..];
        let count = done.len() as f64;
        let rendered = (served.rendered().await - before.0) / count;
        let cpu = (served.cpu_ms() - before.1) / count;
        let sorted = |of: fn(&Round) -> f64| {
            let mut values: Vec<f64> = done.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (seen, commits) = (sorted(|round| round.visible_ms), sorted(|round| round.commit_ms));
        let at = |share: f64| quantile(&seen, share);
        let base = if busy { *first.get_or_insert((at(0.5), at(0.99))) } else { (f64::NAN, f64::NAN) };
        println!(
            "| {size} | {name} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2}, {:.2} | {:.1}, {:.1} | {rendered:.1} | {} | {cpu:.0} | {} | {} |",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
            at(0.5) / base.0,
            at(0.99) / base.1,
            quantile(&commits, 0.5),
            quantile(&commits, 0.99),
            done.iter().map(|round| round.bytes).sum::<usize>() / done.len() / 1_000,
            served.resident_mb(),
            load()
        );
    }
    store.close().await;
}

fn main() {
    let said = |name: &str| std::env::var(name).ok();
    let quick = std::env::args().any(|argument| argument == "--quick");
    let sizes = if quick { "1000,100000" } else { "1000,100000,1000000" };
    let sizes = said("BANTIN_BENCH_SIZES").unwrap_or_else(|| sizes.to_owned());
    let sizes: Vec<usize> =
        sizes.split(',').map(|size| size.trim().parse().expect("sizes are numbers")).collect();
    let rounds =
        said("BANTIN_BENCH_ROUNDS").map_or(300, |rounds| rounds.parse().expect("rounds are a number"));
    let program = said("BANTIN_BENCH_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_bantin").to_owned());
    let temporary = tempfile::tempdir().unwrap();
    let folder = said("BANTIN_BENCH_STORES").map_or(temporary.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = |size: usize| folder.join(format!("{size}.db"));
        let mut grown = 0;
        for &size in &sizes {
            if !store(size).exists() {
                if grown > 0 {
                    std::fs::copy(store(grown), store(size)).unwrap();
                }
                fill(&store(size), grown, size, &Writer::new()).await;
            }
            grown = size;
        }
        println!(
            "| articles | feeds | p50 ms | p90 | p99 | max | p50, p99 against the first | commit p50, p99 ms | rendered | KB | server's CPU ms | MB resident | load |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        let mut first = None;
        for &size in &sizes {
            measure(&program, &store(size), size, rounds, &mut first).await;
        }
    });
}
