//! One turn: an edition by us, or as many messages by smtp-source.

use crate::newsroom::Newsroom;
use crate::process;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What one turn gave.
#[derive(Clone, Default)]
pub struct Turn {
    /// Messages a second, from the start of the program to its end.
    pub rate: f64,
    /// CPU time a message of who sends, in microseconds, and of the sink.
    pub cpu_us: f64,
    pub sink_us: f64,
    pub peak_mb: f64,
}

/// Postfix's smtp-sink, which throws away what it gets.
pub struct Sink {
    child: Child,
    pub port: u16,
}

impl Sink {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let child = Command::new("/usr/sbin/smtp-sink")
            .args(["-u", "nobody", &address, "256"])
            .stderr(Stdio::null())
            .spawn()
            .expect("smtp-sink is needed: apt-get install postfix");
        while TcpStream::connect(&address).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end beside the sink, and meters both.
fn run(sink: &Sink, mut command: Command, letters: usize) -> Turn {
    let sink_before = process::cpu(sink.child.id());
    let before = children_cpu();
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut peak_mb = 0.0_f64;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        // Of a program that is just ending there is nothing left to read.
        peak_mb = peak_mb.max(peak_of(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = begun.elapsed().as_secs_f64();
    assert!(ended.success(), "{ended}");
    let each = |seconds: f64| seconds / letters as f64 * 1e6;
    Turn {
        rate: letters as f64 / seconds,
        cpu_us: each(children_cpu() - before),
        sink_us: each(process::cpu(sink.child.id()) - sink_before),
        peak_mb,
    }
}

/// Postfix's own load tool, over connections that stay (`-d`).
pub fn smtp_source(sink: &Sink, letters: usize, length: usize, sessions: usize) -> Turn {
    let mut command = Command::new("/usr/sbin/smtp-source");
    command.args(["-d", "-s", &sessions.to_string(), "-m", &letters.to_string(), "-l", &length.to_string()]);
    command.args(["-f", "bantin@songhau.example", "-t", "doc.gia@mail.example"]);
    command.arg(format!("127.0.0.1:{}", sink.port));
    run(sink, command, letters)
}

/// An edition to every reader, by the program itself, ledger and all.
pub async fn ours(newsroom: &mut Newsroom, sink: &Sink, port: u16, sessions: usize, signed: bool) -> Turn {
    newsroom.cut().await;
    let command = newsroom.program(port, sessions, signed, &["digest", "run", "hang-ngay"]);
    let letters = newsroom.readers;
    let turn = std::thread::scope(|scope| {
        // The proxy goes on meanwhile.
        scope.spawn(|| run(sink, command, letters)).join().unwrap()
    });
    newsroom.assert_all_accepted().await;
    turn
}

/// Seconds of CPU that children took which have ended.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / process::TICKS
}

/// The most that was ever resident, in MB, of a process that may just be ending.
fn peak_of(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1_024.0)
}
