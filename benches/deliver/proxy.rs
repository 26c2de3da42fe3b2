//! A mail server that is far away: everything arrives a while later, in either direction.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub struct Delayed {
    pub port: u16,
}

impl Delayed {
    /// Stands before a port of this machine until the benchmark ends.
    pub fn start(behind: u16, way: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for guest in listener.incoming() {
                let guest = guest.unwrap();
                let host = TcpStream::connect(("127.0.0.1", behind)).unwrap();
                for stream in [&guest, &host] {
                    stream.set_nodelay(true).unwrap();
                }
                carry(guest.try_clone().unwrap(), host.try_clone().unwrap(), way);
                carry(host, guest, way);
            }
        });
        Self { port }
    }
}

/// Carries bytes from one to the other: one thread notes when they came, another waits.
fn carry(mut from: TcpStream, mut to: TcpStream, way: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut room = vec![0; 256 * 1024];
        loop {
            match from.read(&mut room) {
                Ok(0) => return,
                Ok(n) => {
                    if sender.send((Instant::now() + way, room[..n].to_vec())).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    thread::spawn(move || {
        let mut late: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        while let Ok(first) = receiver.recv() {
            late.push_back(first);
            late.extend(receiver.try_iter());
            while let Some((at, bytes)) = late.pop_front() {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                if to.write_all(&bytes).is_err() {
                    return;
                }
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}
