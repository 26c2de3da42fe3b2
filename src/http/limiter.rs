//! A bound on what one client fetches for nothing.
//!
//! Made for programs that fetch a whole feed every second because they keep no validators, and
//! kind to everybody else: newsboat fetches a new feed twice without any (reference/feeds.md §4),
//! an aggregator fetches a thousand feeds at once, an office has one address. A 304 is free.
//! Most fetchers do not slow down when they are told to (ibidem), so telling them must be cheap.

use crate::domain::{Chance, Instant};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::array::from_fn;
use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Places for accounts, 8 bytes each: half a megabyte, whoever comes.
const PLACES: usize = 1 << 16;
/// An account lies in one of so many neighbours, so that two clients seldom share one.
const NEIGHBOURS: usize = 8;
/// The low bits of a place: when the account is settled, in milliseconds (34 years).
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// What a client may fetch of all feeds together where a 304 was not the answer: an aggregator's
/// start with 3,000 feeds, then more than any person reads.
const ALL_FEEDS: Rate = Rate { burst: 3_000, every: 50 };

/// How many networks may sign up at full speed at once.
const TOGETHER: u64 = 20;

/// What kind of fetch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// A whole feed, by a client that does not say what it has.
    Blind,
    /// One that changed since the client fetched it, or a selection.
    Other,
}

impl Fetch {
    /// By what the request says.
    pub fn of(is_conditional: bool, has_query: bool) -> Self {
        if is_conditional || has_query { Self::Other } else { Self::Blind }
    }
}

/// A burst, and the milliseconds until one more.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u64,
    every: u64,
}

/// Seconds until the client may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wait(pub u64);

/// The accounts of all clients: the generic cell rate algorithm (ITU-T I.371) in a fixed table.
/// Each account is one number, the instant at which nothing is owed any more.
pub struct Limiter {
    places: Box<[AtomicU64]>,
    key: [u8; 16],
    started_at: Instant,
    one_feed: Option<Rate>,
}

impl Limiter {
    /// With nobody owing anything. The key keeps outsiders from choosing whose account is theirs.
    pub fn new(burst: u32, refill: Duration, started_at: Instant, chance: &dyn Chance) -> Self {
        let mut key = [0; 16];
        chance.fill(&mut key);
        let every = u64::try_from(refill.as_millis()).unwrap_or(u64::MAX);
        let one_feed = (burst > 0 && every > 0).then_some(Rate { burst: burst.into(), every });
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { places, key, started_at, one_feed }
    }

    /// Books a fetch, or says how long the client has to wait. Somebody at this very machine is
    /// never refused: behind a proxy that nobody named, everybody is there.
    pub fn take(&self, client: IpAddr, path: &str, fetch: Fetch, now: Instant) -> Result<(), Wait> {
        let Some(one_feed) = self.one_feed else { return Ok(()) };
        let client = client.to_canonical();
        if client.is_loopback() {
            return Ok(());
        }
        let now = self.since_start(now);
        match fetch {
            Fetch::Blind => self.book(self.account(client, path.as_bytes()), one_feed, now),
            Fetch::Other => self.book(self.account(client, b""), ALL_FEEDS, now),
        }
    }

    /// Books a sign-up on the account of the client's network, and on that of all together: whoever
    /// has a thousand networks is bounded too. Somebody at this very machine is never refused.
    pub fn take_sign_up(&self, client: IpAddr, now: Instant) -> Result<(), Wait> {
        let Some(network) = self.one_feed else { return Ok(()) };
        let together = Rate { burst: network.burst * TOGETHER, every: (network.every / TOGETHER).max(1) };
        let client = client.to_canonical();
        if client.is_loopback() {
            return Ok(());
        }
        let now = self.since_start(now);
        self.book(self.account(network_of(client), b"sign-up"), network, now)?;
        self.book(self.account(IpAddr::V4(Ipv4Addr::UNSPECIFIED), b"sign-ups"), together, now)
    }

    /// The first millisecond is 1, so that a place with 0 is empty.
    fn since_start(&self, now: Instant) -> u64 {
        u64::try_from((now - self.started_at).num_milliseconds()).unwrap_or(0).min(TIME / 2) + 1
    }

    fn account(&self, client: IpAddr, what: &[u8]) -> u64 {
        let mut hash = DefaultHasher::new();
        hash.write(&self.key);
        match client {
            IpAddr::V4(address) => hash.write(&address.octets()),
            // A home has a /64 and may come from any address of it.
            IpAddr::V6(address) => hash.write(&address.octets()[..8]),
        }
        hash.write(what);
        hash.finish()
    }

    fn book(&self, account: u64, rate: Rate, now: u64) -> Result<(), Wait> {
        let tag = account >> TIME_BITS;
        let first = usize::try_from(account & TIME).unwrap_or(0) % (PLACES / NEIGHBOURS) * NEIGHBOURS;
        let places = &self.places[first..first + NEIGHBOURS];
        loop {
            // Each is looked at once: between two looks another request may open the account, and this one
            // would open it again beside it.
            let held: [u64; NEIGHBOURS] = from_fn(|at| places[at].load(Ordering::Relaxed));
            let seen = || places.iter().zip(held);
            let own = seen().find(|(_, held)| held >> TIME_BITS == tag);
            // Where every place is taken, the account that owes least is forgotten.
            let place = own.or_else(|| seen().min_by_key(|(_, held)| held & TIME));
            let Some((place, before)) = place else { return Ok(()) };
            let settled_at = if before >> TIME_BITS == tag { (before & TIME).max(now) } else { now };
            let tolerated = (rate.burst - 1).saturating_mul(rate.every);
            let over = (settled_at - now).saturating_sub(tolerated);
            if over > 0 {
                return Err(Wait(over.div_ceil(1_000)));
            }
            let after = tag << TIME_BITS | settled_at.saturating_add(rate.every).min(TIME);
            if place.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
    }
}

/// A /24, or a /64 of IPv6 (which an account has anyway).
fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(_) => client,
    }
}

/// What it says.
pub const REFUSAL: &str = "429: this address fetched the whole feed too often; send If-None-Match\n";

/// The answer to who has to wait. Small, and kept by nobody.
pub fn refusal(Wait(seconds): Wait) -> Response {
    let headers = [
        (header::RETRY_AFTER, HeaderValue::from(seconds)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, REFUSAL).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice;

    impl Chance for Dice {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn at(millis: i64) -> Instant {
        crate::domain::from_micros(1_700_000_000_000_000 + millis * 1_000)
    }

    fn limiter() -> Limiter {
        Limiter::new(3, Duration::from_secs(60), at(0), &Dice)
    }

    fn client(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    #[test]
    fn a_burst_is_free_and_then_one_a_refill() {
        let limiter = limiter();
        let take = |millis| limiter.take(client(1), "/feeds/all.rss", Fetch::Blind, at(millis));
        for _ in 0..3 {
            assert_eq!(take(0), Ok(()));
        }
        assert_eq!(take(0), Err(Wait(60)));
        assert_eq!(take(59_001), Err(Wait(1)));
        assert_eq!(take(60_000), Ok(()));
        assert_eq!(take(60_000), Err(Wait(60)));
        // Who stays away has the whole burst again.
        for _ in 0..3 {
            assert_eq!(take(600_000), Ok(()));
        }
    }

    #[test]
    fn other_feeds_and_other_clients_have_their_own_account() {
        let limiter = limiter();
        let (mut refused, mut asked) = (0, 0);
        for n in 0..2_000 {
            asked += 1;
            let path = format!("/feeds/{n}.rss");
            refused += usize::from(limiter.take(client(1), &path, Fetch::Blind, at(0)).is_err());
            refused += usize::from(limiter.take(client(n), "/feeds/all.rss", Fetch::Blind, at(0)).is_err());
        }
        assert_eq!((asked, refused), (2_000, 0));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_this_machine_none() {
        let limiter = limiter();
        let take = |address: &str| {
            limiter.take(address.parse().unwrap(), "/feeds/all.rss", Fetch::Blind, at(0)).is_ok()
        };
        assert!(["2001:db8::1", "2001:db8::2", "2001:db8::3"].into_iter().all(take));
        assert!(!take("2001:db8::4") && take("2001:db8:0:1::4"));
        assert!((0..9).all(|_| take("127.0.0.1") && take("::1") && take("::ffff:127.0.0.1")));
        assert!((0..3).all(|_| take("::ffff:10.9.9.9")) && !take("10.9.9.9"));
    }

    #[test]
    fn who_asks_with_validators_is_bounded_by_all_feeds_together() {
        let limiter = limiter();
        let taken = (0..5_000).filter(|_| limiter.take(client(1), "/x", Fetch::Other, at(0)).is_ok());
        assert_eq!(taken.count(), 3_000);
        assert_eq!(limiter.take(client(1), "/x", Fetch::Blind, at(0)), Ok(()));
    }

    #[test]
    fn sign_ups_are_bounded_by_network_and_all_together() {
        let limiter = limiter();
        let take = |address: &str| limiter.take_sign_up(address.parse().unwrap(), at(0));
        assert!(["10.0.0.1", "10.0.0.2", "10.0.0.3"].iter().all(|address| take(address).is_ok()));
        assert_eq!(take("10.0.0.4"), Err(Wait(60)), "the same /24");
        assert_eq!(take("10.0.1.4"), Ok(()));
        assert!((1..4).all(|n| take(&format!("2001:db8::{n}")).is_ok()));
        assert!(take("2001:db8::4").is_err() && take("2001:db8:0:1::4").is_ok());
        assert!((0..100).all(|_| take("127.0.0.1").is_ok()));
        let strangers = (0..1_000).filter(|n| limiter.take_sign_up(client(n * 256), at(0)).is_ok()).count();
        assert_eq!(strangers, 60 - 8, "three times twenty, less those before");
    }

    #[test]
    fn nothing_set_bounds_nothing() {
        let limiter = Limiter::new(0, Duration::from_secs(60), at(0), &Dice);
        assert!((0..10_000).all(|_| limiter.take(client(1), "/x", Fetch::Other, at(0)).is_ok()));
    }

    #[test]
    fn a_full_table_and_a_clock_that_runs_back_refuse_nobody_new() {
        let limiter = limiter();
        for n in 0..200_000 {
            assert_eq!(limiter.take(client(n), "/x", Fetch::Blind, at(5_000)), Ok(()), "{n}");
        }
        assert_eq!(limiter.take(client(1_000_000), "/x", Fetch::Blind, at(-9_000)), Ok(()));
    }

    #[test]
    fn many_at_once_take_no_more_than_there_is() {
        let limiter = Limiter::new(1_000, Duration::from_secs(60), at(0), &Dice);
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let is_ok = limiter.take(client(1), "/x", Fetch::Blind, at(0)).is_ok();
                        taken.fetch_add(is_ok.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1_000);
    }
}
