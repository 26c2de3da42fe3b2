//! The release program in a process of its own, and what is asked of it.

use flate2::read::GzDecoder;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Linux counts a process's CPU time in hundredths of a second.
const TICK_MS: f64 = 10.0;

pub struct Served {
    process: Child,
    pub address: String,
}

impl Served {
    pub async fn start(program: &str, folder: &Path, store: &str) -> Self {
        // The documents of 1,000 feeds in three formats take more than the 256 MB of the default.
        let memory = std::env::var("BANTIN_BENCH_MEMORY_MB").unwrap_or_else(|_| "4096".to_owned());
        let store = format!("sqlite:{store}");
        let settings = [("BANTIN_SERVER__FEED_MEMORY_MB", &*memory), ("BANTIN_STORE__URL", &store)];
        Self::with(program, folder, &settings).await
    }

    /// With these settings, as environment variables.
    pub async fn with(program: &str, folder: &Path, settings: &[(&str, &str)]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let process = Command::new(program)
            .arg("serve")
            .current_dir(folder)
            .env("BANTIN_SERVER__LISTEN", &address)
            .env("BANTIN_LOG__LEVEL", "warn")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .expect("the release program: cargo build --release");
        let served = Self { process, address };
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Ok(mut line) = Line::open(&served.address).await
                && line.ask("/readyz", None).await.status == 200
            {
                return served;
            }
        }
        panic!("nobody answers at {}", served.address);
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Milliseconds of CPU since its start.
    pub fn cpu_ms(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * TICK_MS
    }

    pub fn resident_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
    }

    /// How many documents it rendered since its start.
    pub async fn rendered(&self) -> f64 {
        let answer = Line::open(&self.address).await.unwrap().ask("/metrics", None).await;
        let text = String::from_utf8(answer.text()).unwrap();
        let line = text.lines().find(|line| line.contains("rendered") && !line.starts_with('#'));
        line.and_then(|line| line.split_whitespace().nth(1)).unwrap().parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Answer {
    pub status: u16,
    pub entity_tag: Option<String>,
    is_zipped: bool,
    body: Vec<u8>,
    /// When its last byte was there.
    pub at: Instant,
}

impl Answer {
    /// In bytes, as it came.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    pub fn text(&self) -> Vec<u8> {
        if !self.is_zipped {
            return self.body.clone();
        }
        let mut text = Vec::new();
        GzDecoder::new(&*self.body).read_to_end(&mut text).unwrap();
        text
    }

    pub fn holds(&self, id: &str) -> bool {
        String::from_utf8_lossy(&self.text()).contains(id)
    }
}

/// A connection that is kept.
pub struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Line {
    pub async fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(1 << 18) })
    }

    pub async fn ask(&mut self, path: &str, known: Option<&str>) -> Answer {
        let condition = known.map(|tag| format!("If-None-Match: {tag}\r\n")).unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n{condition}\r\n");
        self.exchange(head.as_bytes()).await
    }

    /// One whole request, one answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Answer {
        self.stream.write_all(request).await.unwrap();
        self.read.clear();
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more().await;
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        let length = if status == 304 { 0 } else { field("content-length").unwrap().parse().unwrap() };
        while self.read.len() < end + 4 + length {
            self.more().await;
        }
        let (entity_tag, coding) = (field("etag"), field("content-encoding"));
        let at = Instant::now();
        let body = self.read[end + 4..].to_vec();
        Answer { status, entity_tag, is_zipped: coding.as_deref() == Some("gzip"), body, at }
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.read).await.unwrap();
        assert!(read > 0, "the server hung up");
    }
}
