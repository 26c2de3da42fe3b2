//! One turn: a publication by us, or as many requests by wrk.

use crate::newsroom::{Newsroom, secret, topic};
use crate::process;
use crate::served::{Line, Served};
use crate::sink::{Kind, Sample, Sink};
use bantin::domain::{CallbackSecret, SignatureMethod};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(300);
/// In which the server notes what the last callbacks answered.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// What one turn gave.
#[derive(Clone, Default)]
pub struct Turn {
    pub first_ms: f64,
    pub last_ms: f64,
    /// Requests a second between the first and the last of them, at the sink.
    pub rate: f64,
    /// The same from the commit on.
    pub rate_from_commit: f64,
    /// CPU time a request of who sends, in microseconds.
    pub cpu_us: f64,
    pub resident_mb: f64,
    pub peak_mb: f64,
    /// Shares of all cores: of who sends and of other programs.
    pub sender: f64,
    pub others: f64,
    /// The share of its one core.
    pub sink: f64,
    pub repeated: usize,
    pub stray: usize,
    pub body: usize,
}

/// CPU times at one instant.
struct Meter {
    at: Instant,
    sender: f64,
    sink: f64,
    own: f64,
    all: f64,
}

impl Meter {
    fn read(sender: Option<u32>, sink: &Sink) -> Self {
        Self {
            at: Instant::now(),
            sender: sender.map_or(0.0, process::cpu),
            sink: sink.cpu(),
            own: process::cpu(std::process::id()),
            all: process::machine_cpu(),
        }
    }

    /// Notes the shares of the time since then.
    fn shares(&self, now: &Self, turn: &mut Turn) {
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        let took = (now.at - self.at).as_secs_f64();
        let sender = now.sender - self.sender;
        let known = sender + now.own - self.own;
        turn.sender = sender / took / cores;
        turn.sink = (now.sink - self.sink) / took;
        turn.others = ((now.all - self.all - known) / took / cores).max(0.0);
    }
}

/// Publishes one article and waits until every callback was told.
pub async fn publication(
    newsroom: &mut Newsroom,
    served: &Served,
    sink: &Sink,
    kind: Kind,
    callbacks: usize,
) -> (Turn, Sample) {
    let pid = served.pid();
    let mut turn = Turn { resident_mb: process::memory_mb(pid, "VmRSS"), ..Turn::default() };
    process::forget_peak(pid);
    sink.expect(kind, callbacks);
    let before = Meter::read(Some(pid), sink);
    let (id, committed) = newsroom.publish(kind).await;
    sink.wait(PATIENCE).await;
    before.shares(&Meter::read(Some(pid), sink), &mut turn);
    tokio::time::sleep(AFTERWARDS).await;
    turn.cpu_us = (process::cpu(pid) - before.sender) / callbacks as f64 * 1e6;
    turn.peak_mb = process::memory_mb(pid, "VmHWM");
    let samples = {
        let mut tally = sink.tally();
        let (first, last) = (tally.first.unwrap(), tally.last.unwrap());
        let since = |at: Instant| at.saturating_duration_since(committed).as_secs_f64();
        (turn.first_ms, turn.last_ms) = (since(first) * 1e3, since(last) * 1e3);
        turn.rate = rate(callbacks, first, last);
        turn.rate_from_commit = callbacks as f64 / since(last);
        (turn.repeated, turn.stray) = (tally.repeated, tally.stray);
        turn.body = tally.bytes / callbacks;
        std::mem::take(&mut tally.samples)
    };
    let mut line = Line::open(&served.address).await.unwrap();
    let served_now = line.ask(topic(kind), None).await.text();
    assert!(String::from_utf8_lossy(&served_now).contains(&id), "{} lacks its newest article", topic(kind));
    for sample in &samples {
        assert!(sample.body == served_now, "callback {} got other bytes than GET", sample.number);
        assert_eq!(signature(sample), expected_signature(sample, kind), "of callback {}", sample.number);
    }
    (turn, samples.into_iter().next().expect("callback 0 is a sample"))
}

fn signature(sample: &Sample) -> Option<String> {
    let found = sample.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-hub-signature"));
    found.map(|(_, value)| value.clone())
}

fn expected_signature(sample: &Sample, kind: Kind) -> Option<String> {
    let secret = CallbackSecret::parse(&secret(sample.number)).unwrap().unwrap();
    (kind == Kind::Signed).then(|| SignatureMethod::Sha256.sign(&secret, &sample.body))
}

fn rate(count: usize, first: Instant, last: Instant) -> f64 {
    (count - 1) as f64 / (last - first).as_secs_f64()
}

/// wrk sends what a push sent, until as many were there as the publication has callbacks. Its request
/// is made once; only the signature is always the same.
pub async fn load(sink: &Sink, push: &Sample, folder: &Path, callbacks: usize, connections: usize) -> Turn {
    let (body, script) = (folder.join("push"), folder.join("push.lua"));
    std::fs::write(&body, &push.body).unwrap();
    let mut lua = format!("wrk.method = \"POST\"\nwrk.body = io.open({body:?}, \"rb\"):read(\"*a\")\n");
    for (name, value) in &push.headers {
        // These three are wrk's own.
        if !["host", "content-length", "connection"].contains(&&*name.to_ascii_lowercase()) {
            writeln!(lua, "wrk.headers[{name:?}] = {value:?}").unwrap();
        }
    }
    std::fs::write(&script, lua).unwrap();
    let threads = std::env::var("BANTIN_BENCH_WRK_THREADS").unwrap_or_else(|_| "1".to_owned());
    let mut turn = Turn { body: push.body.len(), ..Turn::default() };
    sink.expect(Kind::Loaded, callbacks);
    let before = Meter::read(None, sink);
    let mut wrk = Command::new("wrk")
        .args(["-t", &threads, "-c", &connections.to_string(), "-d", "600s", "--timeout", "60s", "-s"])
        .arg(&script)
        .arg(format!("http://127.0.0.1:{}{}", sink.port, Kind::Loaded.path(0)))
        .stdout(Stdio::null())
        .spawn()
        .expect("wrk is needed");
    sink.wait(PATIENCE).await;
    let after = Meter::read(Some(wrk.id()), sink);
    let sent = sink.tally().reached;
    wrk.kill().unwrap();
    wrk.wait().unwrap();
    before.shares(&after, &mut turn);
    turn.cpu_us = after.sender / sent as f64 * 1e6;
    let tally = sink.tally();
    turn.rate = rate(callbacks, tally.first.unwrap(), tally.last.unwrap());
    turn.stray = tally.stray;
    turn
}
