use lettre::transport::smtp::client::AsyncTokioStream;
use std::{
    borrow::Cow,
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// RFC 5321 §4.5.3.1.5 allows 512 octets to a reply line; servers write longer ones.
const MAX_LINE: usize = 4096;

/// A byte stream to a mail server, that gives its replies line by line and in good order.
///
/// What lettre reads passes through here, because lettre 0.11.23 panics at an EHLO line of
/// blanks, takes a bare `250` (RFC 5321 §4.2 allows it) and letters beyond ASCII for garbage,
/// and reads a line without end into memory. One line at a time also keeps what a stranger
/// pushed in behind the answer to STARTTLS in our sight (CVE-2011-0411).
pub(super) struct Wire<S> {
    inner: S,
    peer: SocketAddr,
    raw: Vec<u8>,
    line: Vec<u8>,
    given: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(inner: S, peer: SocketAddr) -> Self {
        Self { inner, peer, raw: Vec::new(), line: Vec::new(), given: 0 }
    }

    /// Puts this line before whatever the server says next.
    pub(super) fn say_first(&mut self, line: &str) {
        self.line = clean(line.as_bytes());
        self.given = 0;
    }

    /// The next line, or `None` when the server hung up.
    pub(super) async fn read_line(&mut self) -> io::Result<Option<String>> {
        let there = std::future::poll_fn(|cx| self.poll_line(cx)).await?;
        self.given = self.line.len();
        Ok(there.then(|| String::from_utf8_lossy(&self.line).trim_end().to_owned()))
    }

    /// The stream itself, unless the server has said more than was read.
    pub(super) fn into_quiet_inner(self) -> Option<(S, SocketAddr)> {
        (self.raw.is_empty() && self.given == self.line.len()).then_some((self.inner, self.peer))
    }

    pub(super) fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Makes a line ready. `false` at the end of the stream.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.given < self.line.len() {
            return Poll::Ready(Ok(true));
        }
        loop {
            if let Some(end) = self.raw.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.raw.drain(..=end).collect();
                self.line = clean(&line);
                self.given = 0;
                return Poll::Ready(Ok(true));
            }
            if self.raw.len() > MAX_LINE {
                return Poll::Ready(Err(io::Error::other("a reply line without end")));
            }
            let mut room = [0; 2048];
            let mut buffer = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.raw.extend_from_slice(buffer.filled());
        }
    }
}

/// A reply line as lettre can read it: UTF-8, a separator behind the code, ended by CR LF.
fn clean(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.truncate(text.trim_end().len());
    if text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()) {
        text.push(' ');
    }
    text.push_str("\r\n");
    text.into_bytes()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.poll_line(cx))? {
            let rest = &self.line[self.given..];
            let taken = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..taken]);
            self.given += taken;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.peer)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Wire<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

/// The message with every line ended by CR LF: a lone CR or LF lets a second message be smuggled
/// into the first (RFC 5321 §2.3.8, CVE-2023-51764). The last line's end is left to the dot.
pub(super) fn lines_ended(message: &[u8]) -> Cow<'_, [u8]> {
    let lone = |at: usize| match message[at] {
        b'\r' => message.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || message[at - 1] != b'\r',
        _ => false,
    };
    if !(0..message.len()).any(lone) {
        return Cow::Borrowed(message.strip_suffix(b"\r\n").unwrap_or(message));
    }
    let mut ended = Vec::with_capacity(message.len() + message.len() / 32);
    for (at, byte) in message.iter().enumerate() {
        if lone(at) { ended.extend(b"\r\n") } else { ended.push(*byte) }
    }
    if ended.ends_with(b"\r\n") {
        ended.truncate(ended.len() - 2);
    }
    Cow::Owned(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reply_lines_are_put_in_order() {
        for (line, cleaned) in [
            (&b"250\r\n"[..], &b"250 \r\n"[..]),
            (b"250-    \r\n", b"250-\r\n"),
            (b"250 ok\n", b"250 ok\r\n"),
            (b"250 \xe9t\xe9\r\n", "250 \u{fffd}t\u{fffd}\r\n".as_bytes()),
            (b"250 a\x00b\rc\r\n", b"250 a b c\r\n"),
            (b"hello\r\n", b"hello\r\n"),
        ] {
            assert_eq!(clean(line), cleaned);
        }
    }

    #[test]
    fn lone_line_ends_are_mended() {
        for (message, ended) in [
            ("a\r\nb\r\n", "a\r\nb"),
            ("a\nb\n", "a\r\nb"),
            ("a\r.\nb", "a\r\n.\r\nb"),
            ("a\n.\r\nMAIL FROM:<x@y.vn>\r\n", "a\r\n.\r\nMAIL FROM:<x@y.vn>"),
            ("\r\r\n", "\r\n"),
            ("a\r\n\r\n", "a\r\n"),
            ("", ""),
            ("\n", ""),
        ] {
            assert_eq!(lines_ended(message.as_bytes()), ended.as_bytes(), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn no_lone_line_end_is_left(message in "[ab.\r\n]{0,40}") {
            let ended = lines_ended(message.as_bytes());
            let rest = String::from_utf8(ended.to_vec()).unwrap().replace("\r\n", "");
            prop_assert!(!rest.contains(['\r', '\n']), "{:?}", ended);
        }
    }
}
