//! Ports for programs that a test starts later, or again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that Linux gives to whoever connects or asks for any port (`ip_local_port_range`): another
/// test would be given such a one between our asking and the program's start.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port that nobody listens on, and that no other test of this process is given.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of two processes begin at different places.
    let start = std::process::id().wrapping_mul(499);
    (0..COUNT)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into()) % u32::from(COUNT))
        .filter_map(|n| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + u16::try_from(n).ok()?))))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}
