use super::{FetchError, Fetcher, failed};
use url::Url;

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

impl Fetcher {
    /// Asks for a document, following redirects. Each leads only to where the first address may.
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
            let Some(to) = to.filter(|_| self.limits.redirects > 0) else {
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
        self.admit(url)?;
        let unanswered = |error| failed(url, error);
        let method = if method == Method::Head { reqwest::Method::HEAD } else { reqwest::Method::GET };
        let mut request = self.client()?.request(method, url.clone());
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

#[cfg(test)]
mod tests {
    use super::super::server::{OUTSIDE, Server, free, wait_for_end};
    use super::super::{Limits, Reach};
    use super::*;
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    fn few() -> Limits {
        let time = Duration::from_secs(5);
        Limits { bytes: 100, time, redirects: 2, ..Limits::default() }
    }

    fn fetcher(limits: Limits) -> Fetcher {
        Fetcher::new(Reach::Anywhere, limits)
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
        let url = Server::answering(free(OUTSIDE), answer).url;
        let found = fetcher(few()).ask(Method::Get, &url.join("one").unwrap(), &[]).await.unwrap();
        assert_eq!(found.url, url.join("found").unwrap());
        let statuses: Vec<u16> = found.hops.iter().map(|hop| hop.status).collect();
        assert_eq!((statuses, found.status), (vec![301, 302], 200));
        assert_eq!((found.body.as_slice(), found.header("etag")), (&b"not gzip"[..], Some("\"a\"")));
    }

    #[tokio::test]
    async fn nothing_goes_beyond_its_bounds() {
        let url = Server::answering(free(OUTSIDE), answer).url;
        let fetcher = fetcher(few());
        let ask =
            async |path: &str| fetcher.ask(Method::Get, &url.join(path).unwrap(), &[]).await.unwrap_err();
        assert!(matches!(ask("loop").await, FetchError::TooManyRedirects { limit: 2, .. }));
        assert!(matches!(ask("long").await, FetchError::TooLong { limit: 100, .. }));
        assert!(matches!(ask("file").await, FetchError::Scheme(_)));
        let odd = [("If-None-Match", "a\r\nX: b".to_owned())];
        assert!(matches!(fetcher.ask(Method::Get, &url, &odd).await, Err(FetchError::Header(_))));
        let nobody = Url::parse("http://127.0.0.1:1/").unwrap();
        assert!(matches!(fetcher.ask(Method::Head, &nobody, &[]).await, Err(FetchError::Unreached { .. })));
    }

    #[tokio::test]
    async fn who_follows_no_redirect_gets_it_as_the_answer() {
        let server = Server::answering(free(OUTSIDE), answer);
        let fetcher = fetcher(Limits { redirects: 0, ..few() });
        let found = fetcher.ask(Method::Get, &server.url.join("one").unwrap(), &[]).await.unwrap();
        assert_eq!((found.status, found.header("location")), (301, Some("two")));
        assert_eq!((found.hops.len(), server.requests()), (0, 1));
    }

    #[tokio::test]
    async fn a_slow_or_broken_server_costs_its_time_and_no_more() {
        let server = Server::serving(free(OUTSIDE), |stream, head, _| {
            let begin = |stream: &mut std::net::TcpStream, text: &str| stream.write_all(text.as_bytes()).ok();
            match head.split(' ').nth(1).unwrap() {
                "/silent" => wait_for_end(stream),
                "/head" => {
                    begin(stream, "HTTP/1.1 200 x\r\nX-Half: ");
                    wait_for_end(stream);
                }
                "/body" => {
                    begin(stream, "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nhalf");
                    wait_for_end(stream);
                }
                // A byte now and then keeps no one waiting longer.
                "/drip" => {
                    begin(stream, "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n");
                    while begin(stream, "1\r\nx\r\n").is_some() {
                        std::thread::park_timeout(Duration::from_millis(20));
                    }
                }
                // Interim answers, each complete.
                "/heads" => {
                    while begin(stream, "HTTP/1.1 103 x\r\nX: y\r\n\r\n").is_some() {
                        std::thread::park_timeout(Duration::from_millis(1));
                    }
                }
                "/headers" => {
                    begin(stream, "HTTP/1.1 200 x\r\n");
                    while begin(stream, "X-Endless: header\r\n").is_some() {}
                }
                "/closes" => {}
                "/closes-head" => drop(begin(stream, "HTTP/1.1 200")),
                "/closes-body" => drop(begin(stream, "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nhalf")),
                "/closes-chunk" => {
                    let _ = begin(stream, "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf");
                }
                _ => drop(begin(stream, "SSH-2.0-OpenSSH\r\n\r\n")),
            }
            false
        });
        let fetcher = fetcher(Limits { time: Duration::from_millis(300), ..few() });
        for path in [
            "silent",
            "head",
            "body",
            "drip",
            "heads",
            "headers",
            "closes",
            "closes-head",
            "closes-body",
            "closes-chunk",
            "other",
        ] {
            let begun = Instant::now();
            let failed = fetcher.ask(Method::Get, &server.url.join(path).unwrap(), &[]).await.unwrap_err();
            // Many drips may be longer than the bound before the time is over.
            let is_expected = matches!(failed, FetchError::Unanswered { .. } | FetchError::TooLong { .. });
            assert!(is_expected, "{path}: {failed:?}");
            assert!(begun.elapsed() < Duration::from_secs(3), "{path}: {:?}", begun.elapsed());
        }
    }
}
