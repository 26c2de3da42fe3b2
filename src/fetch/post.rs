use super::{FetchError, Fetcher, failed};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use std::time::Duration;
use url::Url;

/// How much of an answer to a POST is read, and thrown away, so that the connection can serve the
/// next one. Longer ones cost a new connection, not our line.
const MAX_REST: usize = 64 << 10;

/// How long is waited for it. The verdict is known by then.
const REST_TIME: Duration = Duration::from_secs(1);

/// A date is 29 characters long (RFC 9110 §10.2.3); what is much longer says nothing.
const MAX_RETRY_AFTER: usize = 64;

/// The headers of a POST, checked once for all that go out with them.
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// With one more. A name may come twice.
    pub fn with(mut self, name: &'static str, value: &str) -> Result<Self, FetchError> {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FetchError::Header(name))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| FetchError::Header(name))?;
        self.0.append(key, value);
        Ok(self)
    }
}

/// What a server said to a POST. Its body is nobody's business (WebSub §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code; redirects are told, not followed.
    pub status: u16,
    /// When the server wants to be asked again, as it says so: seconds or a date.
    pub retry_after: Option<String>,
    /// Where a redirect leads.
    pub location: Option<Url>,
}

impl Fetcher {
    /// Sends a body, which is shared and not copied.
    pub async fn post(&self, url: &Url, headers: Headers, body: Bytes) -> Result<Reply, FetchError> {
        self.admit(url)?;
        let request = self.client()?.post(url.clone()).headers(headers.0).body(body);
        let response = request.send().await.map_err(|error| failed(url, error))?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.filter(|value| value.len() <= MAX_RETRY_AFTER).map(str::to_owned);
        let status = response.status();
        let location = response.headers().get(LOCATION).filter(|_| status.is_redirection());
        let location = location.and_then(|to| url.join(to.to_str().ok()?).ok());
        let reply = Reply { status: status.as_u16(), retry_after, location };
        read_rest(response).await;
        Ok(reply)
    }
}

/// Reads what is left of a short answer. One that is dropped before its end takes its connection
/// with it.
async fn read_rest(mut response: reqwest::Response) {
    if response.content_length().is_some_and(|length| length > MAX_REST as u64) {
        return;
    }
    let rest = async {
        let mut left = MAX_REST;
        while let Ok(Some(chunk)) = response.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Late or broken off, the reply stands.
    tokio::time::timeout(REST_TIME, rest).await.ok();
}

#[cfg(test)]
mod tests {
    use super::super::server::{OUTSIDE, Server, free, wait_for_end};
    use super::super::{Limits, Reach};
    use super::*;
    use std::io::Write as _;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    fn fetcher() -> Fetcher {
        let limits = Limits { time: Duration::from_millis(2_500), ..Limits::default() };
        Fetcher::new(Reach::Anywhere, limits)
    }

    async fn posted(fetcher: &Fetcher, server: &Server, path: &str) -> Result<Reply, FetchError> {
        let body = Bytes::from_static(b"<feed/>");
        fetcher.post(&server.url.join(path).unwrap(), Headers::default(), body).await
    }

    #[tokio::test]
    async fn what_is_sent_is_what_arrives_on_one_connection() {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&arrived);
        let server = Server::serving(free(OUTSIDE), move |stream, head, body| {
            seen.lock().unwrap().push((head.to_owned(), body.to_vec()));
            stream.write_all(b"HTTP/1.1 200 x\r\nContent-Length: 6\r\n\r\nthanks").is_ok()
        });
        let fetcher = fetcher();
        let headers = Headers::default().with("Content-Type", "application/atom+xml").unwrap();
        let headers = headers.with("link", "<a>; rel=hub").unwrap().with("link", "<b>; rel=self").unwrap();
        let body = Bytes::from(vec![b'x'; 60_000]);
        for _ in 0..3 {
            let url = server.url.join("cb?a=%2F&b").unwrap();
            let reply = fetcher.post(&url, headers.clone(), body.clone()).await.unwrap();
            assert_eq!(reply, Reply { status: 200, retry_after: None, location: None });
        }
        assert_eq!((server.connections(), server.requests()), (1, 3));
        let arrived = arrived.lock().unwrap();
        let (head, bytes) = &arrived[2];
        assert_eq!(bytes, &body);
        assert!(head.starts_with("POST /cb?a=%2F&b HTTP/1.1\r\n"), "{head}");
        for line in [
            "content-type: application/atom+xml",
            "link: <a>; rel=hub",
            "link: <b>; rel=self",
            "content-length: 60000",
            "user-agent: bantin/",
        ] {
            assert!(head.contains(&format!("\r\n{line}")), "{line}: {head}");
        }
        assert!(!head.contains("expect:") && !head.contains("accept-encoding:"), "{head}");
    }

    #[tokio::test]
    async fn every_status_is_told_and_no_redirect_followed() {
        let server = Server::answering(free(OUTSIDE), |path| {
            let (status, more) = path.trim_start_matches('/').split_once('/').unwrap();
            let more = percent_encoding::percent_decode_str(more).decode_utf8_lossy();
            format!("HTTP/1.1 {status} x\r\n{more}Content-Length: 0\r\n\r\n")
        });
        let fetcher = fetcher();
        for (path, status, later) in [
            ("202/", 202, None),
            ("204/", 204, None),
            ("307/Location:%20%2F202%2F%0d%0a", 307, None),
            ("410/", 410, None),
            ("429/Retry-After:%20120%0d%0a", 429, Some("120")),
            (
                "503/Retry-After:%20Fri,%2031%20Dec%201999%2023:59:59%20GMT%0d%0a",
                503,
                Some("Fri, 31 Dec 1999 23:59:59 GMT"),
            ),
            ("503/Retry-After:%20%ff%0d%0a", 503, None),
        ] {
            let reply = posted(&fetcher, &server, path).await.unwrap();
            assert_eq!((reply.status, reply.retry_after.as_deref()), (status, later), "{path}");
            let leads = (status == 307).then(|| server.url.join("/202/").unwrap());
            assert_eq!(reply.location, leads, "{path}");
        }
        let endless = format!("503/Retry-After:%20{}%0d%0a", "1".repeat(MAX_RETRY_AFTER + 1));
        assert_eq!(posted(&fetcher, &server, &endless).await.unwrap().retry_after, None);
        assert_eq!(server.requests(), 8);
    }

    #[tokio::test]
    async fn the_rest_of_an_answer_costs_little_whatever_it_is() {
        let server = Server::serving(free(OUTSIDE), |stream, head, _| {
            let mut say = |text: &str| stream.write_all(text.as_bytes()).is_ok();
            match head.split(' ').nth(1).unwrap() {
                "/short" => {
                    // Its body comes when the status is long known.
                    say("HTTP/1.1 200 x\r\nContent-Length: 5000\r\n\r\n");
                    std::thread::park_timeout(Duration::from_millis(50));
                    return say(&format!("{:5000}", ""));
                }
                "/huge" => drop(say("HTTP/1.1 200 x\r\nContent-Length: 99999999999\r\n\r\nx")),
                "/endless" => {
                    say("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n");
                    while say(&format!("3e8\r\n{:1000}\r\n", "")) {}
                }
                "/broken" => drop(say("HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nhalf")),
                _ => drop(say("HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nhalf")),
            }
            if !head.contains("/broken") {
                wait_for_end(stream);
            }
            false
        });
        let fetcher = fetcher();
        for _ in 0..2 {
            assert_eq!(posted(&fetcher, &server, "short").await.unwrap().status, 200);
        }
        assert_eq!(server.connections(), 1);
        for (path, time) in [("huge", 500), ("endless", 800), ("broken", 500), ("stuck", 2_000)] {
            let begun = Instant::now();
            assert_eq!(posted(&fetcher, &server, path).await.unwrap().status, 200, "{path}");
            assert!(begun.elapsed() < Duration::from_millis(time), "{path}: {:?}", begun.elapsed());
        }
    }

    #[tokio::test]
    async fn without_a_reply_there_is_an_error() {
        let server = Server::serving(free(OUTSIDE), |stream, head, _| {
            match head.split(' ').nth(1).unwrap() {
                "/early" => drop(stream.write_all(b"HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n")),
                "/half" => drop(stream.write_all(b"HTTP/1.1 2")),
                "/silent" => wait_for_end(stream),
                _ => {}
            }
            false
        });
        let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
        let fetcher = Fetcher::new(Reach::Anywhere, limits);
        for path in ["closes", "half", "silent"] {
            let failed = posted(&fetcher, &server, path).await.unwrap_err();
            assert!(matches!(failed, FetchError::Unanswered { .. }), "{path}: {failed:?}");
        }
        // Never twice by itself: whether it arrived is the caller's to judge.
        assert_eq!(server.requests(), 3);
        let odd = Headers::default().with("x-hub-signature", "a\r\nb: c");
        assert!(matches!(odd, Err(FetchError::Header("x-hub-signature"))));
        assert!(matches!(Headers::default().with("no name", ""), Err(FetchError::Header(_))));
        // A server that answers before it has read all may have its say, or break the line.
        let body = Bytes::from(vec![0; 8 << 20]);
        let early = fetcher.post(&server.url.join("early").unwrap(), Headers::default(), body).await;
        assert!(
            matches!(early, Ok(Reply { status: 413, .. }) | Err(FetchError::Unanswered { .. })),
            "{early:?}"
        );
    }

    #[tokio::test]
    async fn connections_are_kept_as_long_as_the_limits_say() {
        let server = Server::answering(free(OUTSIDE), |_| "HTTP/1.1 204 x\r\n\r\n".to_owned());
        let none = Limits { idle_per_host: 0, ..Limits::default() };
        let fetcher = Fetcher::new(Reach::Anywhere, none);
        for _ in 0..2 {
            posted(&fetcher, &server, "").await.unwrap();
        }
        assert_eq!(server.connections(), 2);
        let short = Limits { idle: Duration::from_millis(50), ..Limits::default() };
        let fetcher = Fetcher::new(Reach::Anywhere, short);
        posted(&fetcher, &server, "").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        posted(&fetcher, &server, "").await.unwrap();
        assert_eq!(server.connections(), 4);
    }
}
