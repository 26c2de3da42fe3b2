//! An edition to 10,000 readers by the release program, and as many messages of that size by Postfix's
//! smtp-source, to the same smtp-sink, by turns.
//!
//! `cargo bench --bench deliver`; with `-- --quick` 2,000 letters and one round. `BANTIN_BENCH_LETTERS`,
//! `BANTIN_BENCH_ROUNDS` and `BANTIN_BENCH_SESSIONS` take other figures, `BANTIN_BENCH_READERS` besides
//! mails one edition to so many readers and tells the memory. Needs Postfix. The method: benches/README.md.
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
#[path = "../hub/process.rs"]
#[expect(dead_code, reason = "made for another benchmark, which uses all of it")]
mod process;
mod proxy;
mod turn;

use newsroom::Newsroom;
use turn::{Sink, Turn, ours, smtp_source};

fn middle(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A line of the table: the middle of the rounds, and what each is of smtp-source's of its round.
fn print_line(name: &str, turns: &[Turn], source: &[Turn]) {
    let ratios: Vec<Turn> = std::iter::zip(turns, source)
        .map(|(turn, source)| Turn { rate: turn.rate / source.rate, ..Turn::default() })
        .collect();
    let (slowest, fastest) =
        turns.iter().fold((f64::MAX, 0.0_f64), |(low, high), t| (low.min(t.rate), high.max(t.rate)));
    println!(
        "| {name} | {:.0} ({slowest:.0}-{fastest:.0}) | {:.2} | {:.0} | {:.0} | {:.1} |",
        middle(turns, |turn| turn.rate),
        middle(&ratios, |ratio| ratio.rate),
        middle(turns, |turn| turn.cpu_us),
        middle(turns, |turn| turn.sink_us),
        middle(turns, |turn| turn.peak_mb),
    );
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let number = |name: &str, default: usize| {
        let said = std::env::var(name).ok();
        said.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let letters = number("BANTIN_BENCH_LETTERS", if quick { 2_000 } else { 10_000 });
    let rounds = number("BANTIN_BENCH_ROUNDS", if quick { 1 } else { 3 });
    let sessions = number("BANTIN_BENCH_SESSIONS", 10);
    let readers = number("BANTIN_BENCH_READERS", 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sink = Sink::start();
        let mut newsroom = Newsroom::open(letters).await;
        let length = newsroom.letter_bytes(sink.port).await;
        println!(
            "{} cores, load {}, {letters} letters of {length} bytes signed, {sessions} sessions, {rounds} rounds",
            std::thread::available_parallelism().unwrap(),
            std::fs::read_to_string("/proc/loadavg").unwrap().split(' ').next().unwrap(),
        );
        println!("| | messages/s (spread) | x smtp-source | CPU us a message | sink's | peak MB |");
        println!("|---|---|---|---|---|---|");
        let (mut source, mut signed, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            source.push(smtp_source(&sink, letters, length, sessions));
            signed.push(ours(&mut newsroom, &sink, sink.port, sessions, true).await);
            plain.push(ours(&mut newsroom, &sink, sink.port, sessions, false).await);
        }
        print_line("smtp-source -d", &source, &source);
        print_line("signed RSA-2048 and Ed25519", &signed, &source);
        print_line("not signed", &plain, &source);
        let away = proxy::Delayed::start(sink.port, std::time::Duration::from_millis(10));
        for sessions in [1, sessions] {
            // A session alone takes 20 ms a letter.
            let mut newsroom = Newsroom::open(400 * sessions).await;
            let turn = ours(&mut newsroom, &sink, away.port, sessions, true).await;
            let each = turn.rate / sessions as f64;
            println!("20 ms round trip, {sessions} sessions, signed: {:.0} messages/s, {each:.1} a session", turn.rate);
        }
        if readers > 0 {
            let mut newsroom = Newsroom::open(readers).await;
            let turn = ours(&mut newsroom, &sink, sink.port, sessions, true).await;
            println!("{readers} readers: {:.0} messages/s, at most {:.1} MB", turn.rate, turn.peak_mb);
        }
    });
}
