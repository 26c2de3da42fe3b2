//! The head of a request, read as hyper reads it, and whether the express lane may answer it.
//!
//! The lane takes only what leaves no room for a second opinion: anything that another program on
//! the way may read differently (RFC 9112 §11.2, request smuggling) goes to hyper.

use httparse::{EMPTY_HEADER, Header, Request, Status};

/// A head that is longer goes to hyper, which has its own bound.
pub const LONGEST: usize = 16 * 1024;
/// How many fields the lane looks at; hyper takes 100.
pub const MOST_FIELDS: usize = 48;

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<'b> {
    /// Not a whole head yet.
    Partial,
    /// A plain GET or HEAD.
    Plain(Ask<'b>),
    /// For hyper.
    Other,
}

/// A plain request for a path without a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ask<'b> {
    /// How many bytes the head has.
    pub length: usize,
    /// HEAD instead of GET.
    pub is_head: bool,
    /// What is asked for.
    pub path: &'b str,
    /// Whether the client wants the connection closed.
    pub closes: bool,
    /// Accept-Encoding.
    pub accept_encoding: Option<&'b str>,
    /// If-None-Match.
    pub if_none_match: Option<&'b str>,
    /// If-Modified-Since.
    pub if_modified_since: Option<&'b str>,
    /// X-Forwarded-For.
    pub forwarded: Option<&'b str>,
}

/// Reads the first head in these bytes.
pub fn read(bytes: &[u8]) -> Reading<'_> {
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut request = Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() < LONGEST => return Reading::Partial,
        Ok(Status::Partial) | Err(_) => return Reading::Other,
    };
    if length > LONGEST || !every_line_ends_in_crlf(&bytes[..length]) {
        return Reading::Other;
    }
    let is_head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Reading::Other,
    };
    let (Some(1), Some(path)) = (request.version, request.path) else { return Reading::Other };
    let mut ask = Ask { length, is_head, path, ..Ask::default() };
    match weigh(request.headers, &mut ask) {
        Some(()) => Reading::Plain(ask),
        None => Reading::Other,
    }
}

/// httparse forgives a bare LF, and so do some proxies, but not all.
fn every_line_ends_in_crlf(head: &[u8]) -> bool {
    let line_feeds = head.iter().filter(|byte| **byte == b'\n').count();
    let whole = head.windows(2).filter(|pair| *pair == b"\r\n").count();
    line_feeds == whole
}

/// Takes out what the answer depends on; `None` where the lane must not answer.
fn weigh<'b>(fields: &[Header<'b>], ask: &mut Ask<'b>) -> Option<()> {
    let (mut host, mut connection) = (None, None);
    for field in fields {
        let name = field.name;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            2 if is("te") => return None,
            4 if is("host") => once(&mut host, field)?,
            4 if is("a-im") => return None,
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            10 if is("connection") => once(&mut connection, field)?,
            13 if is("if-none-match") => once(&mut ask.if_none_match, field)?,
            14 if is("content-length") => return None,
            // A person's browser gets the page (RFC 9110 §15.4.4 See Other).
            14 if is("sec-fetch-dest") && field.value.eq_ignore_ascii_case(b"document") => return None,
            15 if is("accept-encoding") => once(&mut ask.accept_encoding, field)?,
            15 if is("x-forwarded-for") => once(&mut ask.forwarded, field)?,
            17 if is("transfer-encoding") => return None,
            17 if is("if-modified-since") => once(&mut ask.if_modified_since, field)?,
            _ => {}
        }
    }
    host?;
    ask.closes = match connection {
        None => false,
        Some(value) if value.eq_ignore_ascii_case("keep-alive") => false,
        Some(value) if value.eq_ignore_ascii_case("close") => true,
        Some(_) => return None,
    };
    Some(())
}

/// A field that stands in one line, in visible ASCII: what `HeaderValue::to_str` takes.
fn once<'b>(place: &mut Option<&'b str>, field: &Header<'b>) -> Option<()> {
    let is_visible = field.value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if place.is_some() || !is_visible {
        return None;
    }
    *place = std::str::from_utf8(field.value).ok();
    place.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> Option<Ask<'_>> {
        match read(text.as_bytes()) {
            Reading::Plain(ask) => Some(ask),
            _ => None,
        }
    }

    #[test]
    fn a_plain_get_is_read() {
        let text = "GET /feeds/all.rss HTTP/1.1\r\nHost: x\r\naccept-ENCODING: gzip\r\nIf-None-Match: \"a\"\r\n\
            If-Modified-Since: x\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: keep-alive\r\n\r\nGET";
        let ask = plain(text).unwrap();
        assert_eq!((ask.path, ask.length, ask.is_head), ("/feeds/all.rss", text.len() - 3, false));
        assert_eq!((ask.accept_encoding, ask.if_none_match), (Some("gzip"), Some("\"a\"")));
        assert_eq!((ask.if_modified_since, ask.forwarded), (Some("x"), Some("1.2.3.4")));
        assert!(plain("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap().closes);
    }

    #[test]
    fn what_leaves_room_for_a_second_opinion_is_for_hyper() {
        for text in [
            "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n Content-Length: 3\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n Content-Length: 3\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\n",
            "GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, te\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA-IM: feed\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nSec-Fetch-Dest: document\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gz\u{e9}p\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(read(text.as_bytes()), Reading::Other, "{text:?}");
        }
    }

    #[test]
    fn a_huge_head_is_for_hyper() {
        let endless = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(LONGEST));
        assert_eq!(read(endless.as_bytes()), Reading::Other);
        assert_eq!(read(format!("{endless}\r\n\r\n").as_bytes()), Reading::Other);
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(MOST_FIELDS));
        assert_eq!(read(many.as_bytes()), Reading::Other);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(&bytes);
        }

        #[test]
        fn a_cut_head_is_partial_until_its_end(cut in 0_usize..54) {
            let whole = b"GET /feeds/all.rss HTTP/1.1\r\nHost: example.org\r\nX: y\r\n\r\n";
            prop_assert_eq!(read(&whole[..cut]), Reading::Partial);
        }
    }
}
