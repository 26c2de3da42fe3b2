//! Floor 2: outgoing HTTP, bounded in bytes, time, redirects and reach.
//!
//! What comes back is what the server sent: no coding is undone, no redirect followed unseen, no
//! proxy of the environment used. So a caller can judge the server, and copies what it is given.

mod ask;
mod names;
mod post;
mod public;
#[cfg(test)]
mod server;

pub use ask::{Answer, Hop, Method};
pub use post::{Headers, Reply};
pub use public::{is_inside, is_public};

use names::{Guard, OutOfReach, SystemNames};
use reqwest::dns::Resolve;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::{Host, Url};

/// Where requests may go. Every caller says it: addresses that strangers give must not lead into the
/// newsroom's own network. An operator's own command may go anywhere, his test server included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any address, loopback and private ones too. Only for addresses that the operator gave.
    Anywhere,
    /// The public Internet only: no loopback, private, link-local or otherwise special address
    /// (RFC 6890), however it is written, whatever name or redirect leads to it.
    Public,
}

impl Reach {
    /// What tells whether an address is within it.
    fn includes(self) -> fn(IpAddr) -> bool {
        match self {
            Self::Anywhere => |_| true,
            Self::Public => public::is_public,
        }
    }
}

/// How much a server may take of us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub bytes: usize,
    /// From looking its name up to the last byte of one answer.
    pub time: Duration,
    /// Of that, until the connection stands: name, TCP and TLS.
    pub connect: Duration,
    /// Redirects on the way. With none, a redirect is an answer like others.
    pub redirects: usize,
    /// Connections to one host that are kept for the next request: as many as go out to it at once,
    /// or some are made anew each time.
    pub idle_per_host: usize,
    /// How long they are kept. Each holds a file and some memory, and there is no other bound over
    /// all hosts: who asks 200 hosts a second holds 200 times as many as this has seconds.
    pub idle: Duration,
}

impl Default for Limits {
    /// No feed is as big as 16 MiB, and a server that takes 20 s is down for readers. A lost packet
    /// is sent again after 1 s and 3 s, so 5 s are enough to connect.
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            time: Duration::from_secs(20),
            connect: Duration::from_secs(5),
            redirects: 5,
            idle_per_host: 4,
            idle: Duration::from_secs(5),
        }
    }
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is not one of the web.
    #[error("`{0}` is no web address: it must begin with http:// or https://")]
    Scheme(Url),
    /// A header cannot be sent.
    #[error("the header `{0}` cannot be sent")]
    Header(&'static str),
    /// The host lies within a network, where this fetcher may not go. Its addresses are not told.
    #[error("`{host}` leads to no public address")]
    NotPublic {
        /// The host, as the address names it.
        host: String,
    },
    /// No connection came about.
    #[error("{url}: {reason}")]
    Unreached {
        /// Which address was asked.
        url: Url,
        /// What went wrong, the cause last.
        reason: String,
    },
    /// The server did not answer, or broke off.
    #[error("{url}: {reason}")]
    Unanswered {
        /// Which address was asked.
        url: Url,
        /// What went wrong, the cause last.
        reason: String,
    },
    /// The answer is too big.
    #[error("{url}: the answer is longer than {limit} bytes")]
    TooLong {
        /// Which address was asked.
        url: Url,
        /// How long it may be.
        limit: usize,
    },
    /// Redirects lead on and on.
    #[error("{url}: more than {limit} redirects; the last leads to {to}")]
    TooManyRedirects {
        /// Which address was asked.
        url: Url,
        /// How many may be.
        limit: usize,
        /// Where the last one leads.
        to: Box<Url>,
    },
    /// The certificates of the system cannot be read.
    #[error("no HTTPS is possible here: {0}; install the package `ca-certificates`")]
    Tls(String),
}

impl FetchError {
    /// What went wrong without the address, whose path may be a secret: for logs, and to be kept
    /// beside it.
    pub fn reason(&self) -> String {
        match self {
            Self::Scheme(_) => "no web address".to_owned(),
            Self::NotPublic { .. } => "the host leads to no public address".to_owned(),
            Self::Unreached { reason, .. } | Self::Unanswered { reason, .. } => reason.clone(),
            Self::TooLong { limit, .. } => format!("the answer is longer than {limit} bytes"),
            Self::TooManyRedirects { limit, .. } => format!("more than {limit} redirects"),
            Self::Header(_) | Self::Tls(_) => self.to_string(),
        }
    }
}

/// Asks servers and sends to them.
#[derive(Clone)]
pub struct Fetcher {
    /// Made when it is first asked: it reads some 300 files of certificates, and most commands fetch nothing.
    client: Arc<OnceLock<Result<reqwest::Client, String>>>,
    names: Arc<dyn Resolve>,
    includes: fn(IpAddr) -> bool,
    limits: Limits,
}

impl Fetcher {
    /// A fetcher with a reach and limits.
    pub fn new(reach: Reach, limits: Limits) -> Self {
        Self::with(Arc::new(SystemNames::default()), reach.includes(), limits)
    }

    fn with(names: Arc<dyn Resolve>, includes: fn(IpAddr) -> bool, limits: Limits) -> Self {
        Self { client: Arc::default(), names, includes, limits }
    }

    fn client(&self) -> Result<&reqwest::Client, FetchError> {
        let made = self.client.get_or_init(|| self.make_client().map_err(|error| told(&error)));
        made.as_ref().map_err(|reason| FetchError::Tls(reason.clone()))
    }

    fn make_client(&self) -> Result<reqwest::Client, reqwest::Error> {
        let Self { names, includes, limits, .. } = self;
        reqwest::Client::builder()
            .user_agent(concat!("bantin/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .dns_resolver(Guard { names: Arc::clone(names), includes: *includes })
            .connect_timeout(limits.connect)
            .timeout(limits.time)
            .pool_max_idle_per_host(limits.idle_per_host)
            .pool_idle_timeout(limits.idle)
            .build()
    }

    /// Refuses what is no web address, and a host that is an address out of reach. Names go to the
    /// [`Guard`], which never sees addresses.
    fn admit(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.clone()));
        }
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        match address {
            Some(address) if !(self.includes)(address) => Err(not_public(url)),
            _ => Ok(()),
        }
    }
}

/// Why a request failed.
fn failed(url: &Url, error: reqwest::Error) -> FetchError {
    if OutOfReach::caused(&error) {
        return not_public(url);
    }
    let is_connected = !error.is_connect();
    let (url, reason) = (url.clone(), told(&error.without_url()));
    if is_connected { FetchError::Unanswered { url, reason } } else { FetchError::Unreached { url, reason } }
}

fn not_public(url: &Url) -> FetchError {
    FetchError::NotPublic { host: url.host_str().unwrap_or_default().to_owned() }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::server::{INSIDE, OUTSIDE, Script, Server, free, is_outside};
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, SocketAddr};

    /// Where a test's names lead, and a fetcher that takes [`OUTSIDE`] for the Internet.
    fn outward(answers: &[&[Ipv4Addr]]) -> (Arc<Script>, Fetcher) {
        let names = Script::of(answers);
        let limits = Limits { idle_per_host: 0, ..Limits::default() };
        let fetcher = Fetcher::with(Arc::clone(&names) as Arc<dyn Resolve>, is_outside, limits);
        (names, fetcher)
    }

    /// A server outside, and one inside at the same port.
    fn both() -> (Server, Server) {
        let answer = |path: &str| match path.strip_prefix("/to/") {
            Some(to) => {
                let to = percent_encoding::percent_decode_str(to).decode_utf8_lossy();
                format!("HTTP/1.1 302 x\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
            }
            None => "HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        };
        let outside = Server::answering(free(OUTSIDE), answer);
        let inside = Server::answering(SocketAddr::from((INSIDE, outside.address.port())), answer);
        (outside, inside)
    }

    fn at(host: &str, server: &Server) -> Url {
        Url::parse(&format!("http://{host}:{}/", server.address.port())).unwrap()
    }

    #[tokio::test]
    async fn the_public_reach_ends_at_every_spelling_of_an_inner_address() {
        let fetcher = Fetcher::new(Reach::Public, Limits::default());
        let (server, _inside) = both();
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７。０。０。１",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[::1]",
            "[::]",
            "0",
            "0.0.0.0",
            "localhost",
            "LOCALHOST",
            "user:word@127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "[fe80::1]",
            "[fd00::1]",
            "[64:ff9b::7f00:1]",
        ] {
            let url = at(host, &server);
            let asked = fetcher.ask(Method::Get, &url, &[]).await.unwrap_err();
            let posted = fetcher.post(&url, Headers::default(), Bytes::new()).await.unwrap_err();
            for refused in [asked, posted] {
                assert!(matches!(refused, FetchError::NotPublic { .. }), "{host}: {refused:?}");
            }
        }
        assert_eq!(server.connections(), 0);
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_and_its_address_is_not_told() {
        let (server, _inside) = both();
        let names = Script::of(&[&[OUTSIDE], &[Ipv4Addr::new(10, 1, 2, 3), INSIDE]]);
        let fetcher = Fetcher::with(names, Reach::Public.includes(), Limits::default());
        for _ in 0..2 {
            let url = at("cb.example", &server).join("secret?token=1").unwrap();
            let refused = fetcher.post(&url, Headers::default(), Bytes::new()).await.unwrap_err();
            let told = format!("{refused} {refused:?}");
            assert_eq!(refused.to_string(), "`cb.example` leads to no public address");
            assert!(!told.contains("127.") && !told.contains("10.") && !told.contains("token"), "{told}");
        }
        assert_eq!(server.connections(), 0);
    }

    #[tokio::test]
    async fn a_name_that_changes_its_mind_leads_nowhere() {
        let (outside, inside) = both();
        let (names, fetcher) = outward(&[&[OUTSIDE], &[INSIDE], &[INSIDE, OUTSIDE]]);
        let url = at("rebinds.example", &outside);
        let ask = async || fetcher.ask(Method::Get, &url, &[]).await;
        // One look-up for one connection: there is no second answer between check and connection.
        assert_eq!((ask().await.unwrap().status, names.left()), (200, 2));
        assert!(matches!(ask().await, Err(FetchError::NotPublic { .. })));
        assert_eq!((ask().await.unwrap().status, names.left()), (200, 0));
        assert_eq!((outside.connections(), inside.connections()), (2, 0));
    }

    #[tokio::test]
    async fn no_redirect_leads_inside() {
        let (outside, inside) = both();
        let (_, fetcher) = outward(&[&[OUTSIDE], &[INSIDE], &[OUTSIDE], &[OUTSIDE]]);
        let port = outside.address.port();
        let ask = async |to: &str| {
            let url = at("cb.example", &outside).join(&format!("to/http:%2F%2F{to}:{port}%2F")).unwrap();
            fetcher.ask(Method::Get, &url, &[]).await
        };
        assert!(matches!(ask("inner.example").await, Err(FetchError::NotPublic { .. })));
        assert!(matches!(ask("127.0.0.2").await, Err(FetchError::NotPublic { .. })));
        assert_eq!(ask("127.0.0.1").await.unwrap().hops.len(), 1);
        assert_eq!((outside.connections(), inside.connections()), (4, 0));
    }

    #[tokio::test]
    async fn who_may_go_anywhere_does() {
        let (outside, inside) = both();
        let fetcher = Fetcher::new(Reach::Anywhere, Limits::default());
        for host in ["127.0.0.2", "[::ffff:127.0.0.1]", "localhost"] {
            let answer = fetcher.ask(Method::Get, &at(host, &outside), &[]).await.unwrap();
            assert_eq!(answer.body, b"ok", "{host}");
        }
        assert_eq!((outside.connections(), inside.connections()), (2, 1));
        let unknown = Url::parse("http://no-such-name.invalid/").unwrap();
        let failed = fetcher.ask(Method::Get, &unknown, &[]).await.unwrap_err();
        assert!(matches!(failed, FetchError::Unreached { .. }), "{failed:?}");
        assert!(failed.to_string().contains("no-such-name") && !failed.reason().contains("no-such-name"));
    }

    #[tokio::test]
    async fn a_host_that_takes_no_connection_is_left_early() {
        // Its queue is full and nobody accepts: the kernel drops what comes.
        let full = std::net::TcpListener::bind(free(OUTSIDE)).unwrap();
        let address = full.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            held.push(stream);
        }
        let limits = Limits { connect: Duration::from_millis(300), ..Limits::default() };
        let fetcher = Fetcher::new(Reach::Anywhere, limits);
        let begun = std::time::Instant::now();
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        let failed = fetcher.post(&url, Headers::default(), Bytes::new()).await.unwrap_err();
        assert!(matches!(failed, FetchError::Unreached { .. }), "{failed:?}");
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    proptest! {
        /// What would be an address to the connector is one to us: it never looks such a host up.
        #[test]
        fn no_host_is_an_address_in_secret(text in "[0-9a-fx.:%\\[\\]１。]{1,24}") {
            if let Ok(url) = Url::parse(&format!("http://{text}/")) {
                let host = url.host_str().unwrap_or_default();
                let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
                prop_assert_eq!(is_address, !matches!(url.host(), Some(Host::Domain(_)) | None));
            }
        }
    }
}
