//! One publication to 10,000 callbacks, and wrk posting the same bytes to the same sink, by turns.
//!
//! `cargo bench --bench hub` takes 1,000 and 10,000 callbacks with secrets and as many without, on SQLite
//! and PostgreSQL; with `-- --quick` 50 and 200. `BANTIN_BENCH_CALLBACKS`, `BANTIN_BENCH_ROUNDS`,
//! `BANTIN_BENCH_CONNECTIONS`, `BANTIN_BENCH_WRK_THREADS` and `BANTIN_BENCH_ENGINES` take other figures,
//! `BANTIN_BENCH_PROGRAM` measures another build. Needs wrk. The method: benches/README.md.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, waits, and may fall over"
)]

#[path = "../visible/draft.rs"]
#[expect(dead_code, reason = "its 1,000 feeds are for another benchmark")]
mod draft;
mod newsroom;
#[path = "../../tests/service/postgres.rs"]
mod postgres;
mod process;
#[path = "../visible/served.rs"]
#[expect(dead_code, reason = "made for another benchmark, which uses all of it")]
mod served;
mod sink;
mod turn;

use bantin::store::StoreUrl;
use newsroom::{BASE_URL, Newsroom, subscribe};
use served::Served;
use sink::{Kind, Sink};
use std::path::Path;
use std::time::Duration;
use turn::{Turn, load, publication};

struct Plan {
    program: String,
    callbacks: Vec<usize>,
    rounds: usize,
    connections: usize,
}

/// The address with its password, which `StoreUrl` does not show.
fn address(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreUrl::Postgres(url) => url.to_string(),
    }
}

async fn serve(plan: &Plan, folder: &Path, url: &StoreUrl) -> Served {
    let connections = plan.connections.to_string();
    let settings = [
        ("BANTIN_STORE__URL", &*address(url)),
        ("BANTIN_PUBLICATION__BASE_URL", BASE_URL),
        ("BANTIN_HUB__ALLOW_PRIVATE_CALLBACKS", "true"),
        ("BANTIN_HUB__CONNECTIONS", &connections),
        ("BANTIN_HUB__CONNECTIONS_PER_HOST", &connections),
        // One client subscribes them all, of one host.
        ("BANTIN_HUB__CALLBACKS_PER_HOST", "1000000"),
        ("BANTIN_HUB__REQUEST_BURST", "1000000"),
    ];
    Served::with(&plan.program, folder, &settings).await
}

fn quantiles(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

/// A line of the table: the middle of the rounds, and what each is of wrk's of the same round.
fn print_line(engine: &str, callbacks: usize, name: &str, turns: &[Turn], wrk: &[Turn]) {
    let middle = |of: fn(&Turn) -> f64| quantiles(turns, of).1;
    let ratio = |of: fn(&Turn) -> f64| {
        let pairs: Vec<Turn> = std::iter::zip(turns, wrk)
            .map(|(turn, wrk)| Turn { rate: of(turn) / wrk.rate, ..Turn::default() })
            .collect();
        let (least, middle, most) = quantiles(&pairs, |pair| pair.rate);
        format!("{middle:.2} ({least:.2}-{most:.2})")
    };
    let (slowest, rate, fastest) = quantiles(turns, |turn| turn.rate);
    let is_ours = name != "wrk";
    let ours = |text: String| if is_ours { text } else { String::new() };
    println!(
        "| {engine} | {callbacks} | {name} | {:.1} | {} | {} | {rate:.0} ({slowest:.0}-{fastest:.0}) | {} | {} | {:.0} | {} | {} | {:.2} | {:.2} | {:.2} | {} |",
        middle(|turn| turn.body as f64) / 1e3,
        ours(format!("{:.0}", middle(|turn| turn.first_ms))),
        ours(format!("{:.0}", middle(|turn| turn.last_ms))),
        ours(ratio(|turn| turn.rate)),
        ours(ratio(|turn| turn.rate_from_commit)),
        middle(|turn| turn.cpu_us),
        ours(format!("{:.1}", quantiles(turns, |turn| turn.resident_mb).2)),
        ours(format!("{:.1}", quantiles(turns, |turn| turn.peak_mb).2)),
        middle(|turn| turn.sink),
        middle(|turn| turn.sender),
        middle(|turn| turn.others),
        turns.iter().map(|turn| turn.repeated + turn.stray).sum::<usize>(),
    );
}

async fn measure(engine: &str, plan: &Plan, url: &StoreUrl, folder: &Path) {
    let sink = Sink::start();
    let mut newsroom = Newsroom::open(url).await;
    let mut subscribed = 0;
    for &callbacks in &plan.callbacks {
        let served = serve(plan, folder, url).await;
        let begun = std::time::Instant::now();
        subscribe(&served, &sink, subscribed, callbacks).await;
        println!(
            "{engine}: {} callbacks asked for and verified in {:.1} s; at most {:.1} MB resident",
            2 * (callbacks - subscribed),
            begun.elapsed().as_secs_f64() - 1.0,
            process::memory_mb(served.pid(), "VmHWM")
        );
        subscribed = callbacks;
        // What subscribing took is not to be seen in what pushing takes.
        drop(served);
        let served = serve(plan, folder, url).await;
        let fresh = process::memory_mb(served.pid(), "VmRSS");
        let (_, mut push) = publication(&mut newsroom, &served, &sink, Kind::Signed, callbacks).await;
        publication(&mut newsroom, &served, &sink, Kind::Simple, callbacks).await;
        load(&sink, &push, folder, callbacks, plan.connections).await;
        let (before, quiet) = (process::cpu(served.pid()), Duration::from_secs(2));
        tokio::time::sleep(quiet).await;
        println!(
            "{engine}: {fresh:.1} MB resident after the start, {:.1} after the warm-up; at rest {:.0} ms of CPU a second",
            process::memory_mb(served.pid(), "VmRSS"),
            (process::cpu(served.pid()) - before) / quiet.as_secs_f64() * 1e3
        );
        let (mut signed, mut simple, mut wrk) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            let order = [Kind::Signed, Kind::Loaded, Kind::Simple];
            for at in 0..order.len() {
                match order[if round % 2 == 0 { at } else { order.len() - 1 - at }] {
                    Kind::Signed => {
                        let (turn, sample) =
                            publication(&mut newsroom, &served, &sink, Kind::Signed, callbacks).await;
                        (push, _) = (sample, signed.push(turn));
                    }
                    Kind::Simple => simple
                        .push(publication(&mut newsroom, &served, &sink, Kind::Simple, callbacks).await.0),
                    Kind::Loaded => wrk.push(load(&sink, &push, folder, callbacks, plan.connections).await),
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        print_line(engine, callbacks, "signed", &signed, &wrk);
        print_line(engine, callbacks, "without secret", &simple, &wrk);
        print_line(engine, callbacks, "wrk", &wrk, &wrk);
    }
}

fn main() {
    let said = |name: &str| std::env::var(name).ok();
    let number = |name: &str, default: usize| {
        said(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let quick = std::env::args().any(|argument| argument == "--quick");
    let callbacks = if quick { "50,200" } else { "1000,10000" };
    let callbacks = said("BANTIN_BENCH_CALLBACKS").unwrap_or_else(|| callbacks.to_owned());
    let plan = Plan {
        program: said("BANTIN_BENCH_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_bantin").to_owned()),
        callbacks: callbacks
            .split(',')
            .map(|count| count.trim().parse().expect("BANTIN_BENCH_CALLBACKS is a list of numbers"))
            .collect(),
        rounds: number("BANTIN_BENCH_ROUNDS", if quick { 2 } else { 5 }),
        connections: number("BANTIN_BENCH_CONNECTIONS", 32),
    };
    let engines = said("BANTIN_BENCH_ENGINES").unwrap_or_else(|| "sqlite,postgres".to_owned());
    println!(
        "{} cores, load {}, {} connections, {} rounds",
        std::thread::available_parallelism().unwrap(),
        std::fs::read_to_string("/proc/loadavg").unwrap().split(' ').next().unwrap(),
        plan.connections,
        plan.rounds
    );
    println!(
        "| engine | callbacks | | body KB | commit to first ms | commit to last ms | req/s (spread) | x wrk (spread) | from the commit | CPU/req us | MB resident | peak MB | sink | sender | others | unsound |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for engine in engines.split(',') {
            let folder = tempfile::tempdir().unwrap();
            let url = match engine.trim() {
                "sqlite" => StoreUrl::Sqlite(folder.path().join("bantin.db")),
                "postgres" => postgres::fresh_database().await,
                other => panic!("`{other}` is no engine; write sqlite, postgres or both"),
            };
            measure(engine.trim(), &plan, &url, folder.path()).await;
        }
    });
}
