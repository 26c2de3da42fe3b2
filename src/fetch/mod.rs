//! Floor 2: outgoing GETs and HEADs, bounded in bytes, time and redirects.
//!
//! What comes back is what the server sent: no coding is undone, no redirect followed unseen, no
//! proxy of the environment used. So a caller can judge the server, and copies what it is given.

use std::time::Duration;
use url::Url;

/// Where requests may go. The guard against private addresses belongs here, so that every caller
/// says which reach it has: addresses that strangers give must not lead into the newsroom's own
/// network. An operator's own command may go anywhere, his test server included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any address, loopback and private ones too. Only for addresses that the operator gave.
    Anywhere,
}

/// How much a server may take of us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub bytes: usize,
    /// From the first packet to the last byte of one answer.
    pub time: Duration,
    /// Redirects on the way.
    pub redirects: usize,
}

impl Default for Limits {
    /// No feed is as big as 16 MiB, and a server that takes 20 s is down for readers.
    fn default() -> Self {
        Self { bytes: 16 << 20, time: Duration::from_secs(20), redirects: 5 }
    }
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The document.
    Get,
    /// Its headers.
    Head,
}

/// A redirect that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where it was.
    pub from: Url,
    /// Its status code.
    pub status: u16,
    /// Where it leads.
    pub to: Url,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where it was found after all redirects.
    pub url: Url,
    /// The redirects on the way.
    pub hops: Vec<Hop>,
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, coded as `Content-Encoding` says.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of a name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
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

/// Fetches documents.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    limits: Limits,
}

impl Fetcher {
    /// A fetcher with a reach and limits.
    pub fn new(reach: Reach, limits: Limits) -> Result<Self, FetchError> {
        // The next reach will want a resolver here that refuses addresses.
        let Reach::Anywhere = reach;
        let client = reqwest::Client::builder()
            .user_agent(concat!("bantin/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(limits.time)
            .build()
            .map_err(|error| FetchError::Tls(told(&error)))?;
        Ok(Self { client, limits })
    }

    /// Asks for a document, following redirects.
    pub async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, FetchError> {
        let mut here = url.clone();
        let mut hops = Vec::new();
        loop {
            let mut answer = self.ask_once(method, &here, headers).await?;
            let redirected = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let to = answer.header("location").filter(|_| redirected).and_then(|to| here.join(to).ok());
            let Some(to) = to else {
                answer.hops = hops;
                return Ok(answer);
            };
            if hops.len() >= self.limits.redirects {
                return Err(FetchError::TooManyRedirects {
                    url: url.clone(),
                    limit: self.limits.redirects,
                    to: Box::new(to),
                });
            }
            hops.push(Hop { from: here, status: answer.status, to: to.clone() });
            here = to;
        }
    }

    async fn ask_once(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.clone()));
        }
        let unanswered = |error: reqwest::Error| FetchError::Unanswered {
            url: url.clone(),
            reason: told(&error.without_url()),
        };
        let method = if method == Method::Head { reqwest::Method::HEAD } else { reqwest::Method::GET };
        let mut request = self.client.request(method, url.clone());
        for (name, value) in headers {
            let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes());
            request = request.header(*name, value.map_err(|_| FetchError::Header(name))?);
        }
        let mut response = request.send().await.map_err(unanswered)?;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > self.limits.bytes {
                return Err(FetchError::TooLong { url: url.clone(), limit: self.limits.bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { url: url.clone(), hops: Vec::new(), status, headers, body })
    }
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
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that gives each connection the answer to its path, and ends with the test.
    fn server(answer: fn(&str) -> String) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                stream.write_all(answer(head.split(' ').nth(1).unwrap_or_default()).as_bytes()).ok();
            }
        });
        url
    }

    fn few() -> Limits {
        Limits { bytes: 100, time: Duration::from_secs(5), redirects: 2 }
    }

    fn answer(path: &str) -> String {
        let end = "Connection: close\r\n\r\n";
        match path {
            "/one" => format!("HTTP/1.1 301 x\r\nLocation: two\r\n{end}"),
            "/two" => format!("HTTP/1.1 302 x\r\nLocation: /found\r\n{end}"),
            "/loop" => format!("HTTP/1.1 302 x\r\nLocation: /loop\r\n{end}"),
            "/file" => format!("HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n{end}"),
            "/long" => format!("HTTP/1.1 200 x\r\n{end}{}", "x".repeat(101)),
            _ => format!("HTTP/1.1 200 x\r\nContent-Encoding: gzip\r\nETag: \"a\"\r\n{end}not gzip"),
        }
    }

    #[tokio::test]
    async fn redirects_are_told_and_nothing_is_decoded() {
        let url = server(answer);
        let fetcher = Fetcher::new(Reach::Anywhere, few()).unwrap();
        let found = fetcher.ask(Method::Get, &url.join("one").unwrap(), &[]).await.unwrap();
        assert_eq!(found.url, url.join("found").unwrap());
        let statuses: Vec<u16> = found.hops.iter().map(|hop| hop.status).collect();
        assert_eq!((statuses, found.status), (vec![301, 302], 200));
        assert_eq!((found.body.as_slice(), found.header("etag")), (&b"not gzip"[..], Some("\"a\"")));
    }

    #[tokio::test]
    async fn nothing_goes_beyond_its_bounds() {
        let url = server(answer);
        let fetcher = Fetcher::new(Reach::Anywhere, few()).unwrap();
        let ask =
            async |path: &str| fetcher.ask(Method::Get, &url.join(path).unwrap(), &[]).await.unwrap_err();
        assert!(matches!(ask("loop").await, FetchError::TooManyRedirects { limit: 2, .. }));
        assert!(matches!(ask("long").await, FetchError::TooLong { limit: 100, .. }));
        assert!(matches!(ask("file").await, FetchError::Scheme(_)));
        let odd = [("If-None-Match", "a\r\nX: b".to_owned())];
        assert!(matches!(fetcher.ask(Method::Get, &url, &odd).await, Err(FetchError::Header(_))));
        let nobody = Url::parse("http://127.0.0.1:1/").unwrap();
        assert!(matches!(fetcher.ask(Method::Head, &nobody, &[]).await, Err(FetchError::Unanswered { .. })));
    }
}
