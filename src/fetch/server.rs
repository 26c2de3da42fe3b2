//! What the tests talk to: servers of this machine, names of nobody, and a network of two addresses.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use url::Url;

/// The one that counts as public where [`is_outside`] decides.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// The one that does not.
pub(super) const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A reach for tests: as if 127.0.0.1 were the Internet and the rest of the loopback a network.
pub(super) fn is_outside(address: IpAddr) -> bool {
    address == IpAddr::V4(OUTSIDE)
}

/// A server that ends with the test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) url: Url,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// One that gives each request what belongs to its path, on one connection as long as it lasts.
    /// Where the answer says `Connection: close` the connection ends.
    pub(super) fn answering(at: SocketAddr, answer: impl Fn(&str) -> String + Sync + Send + 'static) -> Self {
        Self::serving(at, move |stream, head, _| {
            let answer = answer(head.split(' ').nth(1).unwrap_or_default());
            stream.write_all(answer.as_bytes()).is_ok() && !answer.contains("Connection: close")
        })
    }

    /// One that does with a connection, the head and the body of each request what is given, and
    /// goes on with the connection as long as that says so.
    pub(super) fn serving(
        at: SocketAddr,
        serve: impl Fn(&mut TcpStream, &str, &[u8]) -> bool + Sync + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, seen, serve) = (Arc::clone(&connections), Arc::clone(&requests), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, seen, serve) = (stream.unwrap(), Arc::clone(&seen), Arc::clone(&serve));
                counted.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    while let Some((head, body)) = request(&mut stream) {
                        seen.fetch_add(1, Ordering::SeqCst);
                        if !serve(&mut stream, &head, &body) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, url, connections, requests }
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An address of ours with a port that is free.
pub(super) fn free(address: Ipv4Addr) -> SocketAddr {
    (address, 0).into()
}

/// Reads until the other side hangs up.
pub(super) fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
}

/// The head and the body of the next request.
fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    // A path that asks for it gets its answer before its body was read.
    if !head.contains("/early") {
        stream.read_exact(&mut body).ok()?;
    }
    Some((head, body))
}

/// Names that answer from a script, each look-up the next of it.
pub(super) struct Script {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
}

impl Script {
    /// Whatever name is asked for.
    pub(super) fn of(answers: &[&[Ipv4Addr]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| (*address).into()).collect());
        Arc::new(Self { answers: Mutex::new(answers.collect()) })
    }

    /// How many look-ups are left.
    pub(super) fn left(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

impl Resolve for Script {
    fn resolve(&self, name: Name) -> Resolving {
        let next = self.answers.lock().unwrap().pop_front();
        let found = next.unwrap_or_else(|| panic!("`{}` is looked up once too often", name.as_str()));
        let found: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
        Box::pin(std::future::ready(Ok(found)))
    }
}
