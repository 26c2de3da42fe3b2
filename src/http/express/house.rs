//! Asks the routes for one answer while the connection stays with its clerk.
//!
//! A feed that is made only now takes milliseconds once and then lies ready: no reason to give
//! away a connection that will ask for it a hundred thousand times.

use super::copies::written;
use super::head::Ask;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use httparse::{EMPTY_HEADER, Header};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use mio::Waker;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Below it lie the feeds. Whoever asks for pages is a browser, and they are hyper's.
const FEEDS: &str = "/feeds/";
/// How many answers a clerk waits for; with more, the connection goes to hyper.
const MOST: usize = 1_024;
/// A longer body goes by way of hyper, which need not hold it whole.
const LONGEST: usize = 64 * 1024 * 1024;

/// Where the routes are found, and on which threads they work.
#[derive(Clone)]
pub struct Routes {
    /// All of them.
    pub all: Router,
    /// The threads.
    pub runtime: Handle,
    /// Nobody waits for answers any more.
    pub cut: CancellationToken,
}

/// What the routes answered.
pub struct Told {
    /// The head up to the date.
    pub head: Vec<u8>,
    /// The body.
    pub body: Bytes,
}

/// An answer on its way back.
pub struct Reply {
    /// The connection that waits.
    pub place: usize,
    /// Its question: another may have come to its place.
    pub number: u64,
    /// The answer; `None` where there is none that can be told whole.
    pub told: Option<Told>,
}

/// The way to the house and back, one for each clerk.
pub struct House {
    routes: Routes,
    replies: Sender<Reply>,
    waker: Arc<Waker>,
    asked: u64,
    outstanding: usize,
}

impl House {
    /// Nothing asked yet.
    pub fn new(routes: Routes, replies: Sender<Reply>, waker: Arc<Waker>) -> Self {
        Self { routes, replies, waker, asked: 0, outstanding: 0 }
    }

    /// Asks, and gives the question's number. `None` where the question is hyper's.
    pub fn ask(&mut self, ask: &Ask<'_>, head: &[u8], peer: SocketAddr, place: usize) -> Option<u64> {
        if self.outstanding >= MOST || !ask.path.starts_with(FEEDS) {
            return None;
        }
        let request = request(ask, head, peer)?;
        self.asked += 1;
        self.outstanding += 1;
        let number = self.asked;
        let (replies, waker) = (self.replies.clone(), Arc::clone(&self.waker));
        let mut way = WayBack { reply: Some(Reply { place, number, told: None }), replies, waker };
        let routes = self.routes.all.clone();
        let cut = self.routes.cut.clone();
        self.routes.runtime.spawn(async move {
            let told = cut.run_until_cancelled(answer(routes, request)).await.flatten();
            if let Some(reply) = &mut way.reply {
                reply.told = told;
            }
        });
        Some(number)
    }

    /// Notes that a reply has come, whoever waits for it.
    pub fn replied(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }
}

/// Brings the reply back whatever happens: a connection never waits for nothing.
struct WayBack {
    reply: Option<Reply>,
    replies: Sender<Reply>,
    waker: Arc<Waker>,
}

impl Drop for WayBack {
    fn drop(&mut self) {
        let Some(reply) = self.reply.take() else { return };
        // A clerk who has gone home waits for nothing.
        if self.replies.send(reply).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "the express lane cannot be woken");
        }
    }
}

/// The request as hyper would have read it.
fn request(ask: &Ask<'_>, head: &[u8], peer: SocketAddr) -> Option<Request<Body>> {
    let mut places = [EMPTY_HEADER; super::head::MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut places);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let mut request = Request::new(Body::empty());
    *request.method_mut() = if ask.is_head { Method::HEAD } else { Method::GET };
    *request.uri_mut() = Uri::try_from(ask.path).ok()?;
    *request.headers_mut() = fields(parsed.headers)?;
    request.extensions_mut().insert(ConnectInfo(peer));
    Some(request)
}

fn fields(parsed: &[Header<'_>]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        fields.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(fields)
}

async fn answer(routes: Router, request: Request<Body>) -> Option<Told> {
    let Ok(response) = TowerToHyperService::new(routes).call(request).await;
    let (parts, body) = response.into_parts();
    // Without a length hyper would send it in chunks, which is not this lane's craft.
    let has_length = parts.headers.contains_key(header::CONTENT_LENGTH);
    let body = to_bytes(body, LONGEST).await.ok()?;
    if !has_length && !body.is_empty() {
        return None;
    }
    Some(Told { head: written(parts.status, &parts.headers), body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::express::head::{Reading, read};
    use axum::routing::get;

    fn asked(text: &str) -> Option<Request<Body>> {
        let Reading::Plain(ask) = read(text.as_bytes()) else { return None };
        request(&ask, &text.as_bytes()[..ask.length], ([127, 0, 0, 1], 9).into())
    }

    #[test]
    fn a_request_is_what_was_read() {
        let request = asked(
            "HEAD /feeds/a.rss?q=%20x HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:  2\u{e9}\t\r\nEmpty:\r\n\r\nGET /",
        )
        .unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::HEAD, "/feeds/a.rss"));
        assert_eq!(request.uri().query(), Some("q=%20x"));
        let told: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(_, &[u8]); 4] =
            [("host", b"x"), ("x-a", b"1"), ("x-a", "2\u{e9}".as_bytes()), ("empty", b"")];
        assert_eq!(told, expected);
        assert!(request.extensions().get::<ConnectInfo<SocketAddr>>().is_some());
    }

    async fn told(routes: Router, path: &str) -> Option<(String, Bytes)> {
        let told = answer(routes, asked(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap()).await?;
        Some((String::from_utf8(told.head).unwrap(), told.body))
    }

    #[tokio::test]
    async fn an_answer_without_a_length_is_left_to_hyper() {
        let endless = || async {
            let half = Body::from("x").into_data_stream();
            Body::from_stream(half)
        };
        let routes =
            Router::new().route("/feeds/whole", get(|| async { "whole" })).route("/feeds/half", get(endless));
        let (head, body) = told(routes.clone(), "/feeds/whole").await.unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n"
        );
        assert_eq!(body, "whole");
        assert_eq!(told(routes, "/feeds/half").await, None);
    }
}
