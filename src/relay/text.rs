use std::borrow::Cow;

/// A message as it goes over the wire behind DATA, up to the lone dot: every line ended by CR LF, dots doubled.
///
/// A lone CR or LF would let a second message be smuggled into the first (RFC 5321 §2.3.8,
/// CVE-2023-51764), so each becomes a line's end of its own before dots are doubled (§4.5.2).
pub(super) struct Text<'m> {
    /// What is sent. A message that has nothing to mend, as nearly all, is not copied.
    pub(super) wire: Cow<'m, [u8]>,
    /// How long the message is (RFC 1870 §4: line ends as two, doubled dots as one, no final dot).
    pub(super) octets: usize,
    /// Whether it holds bytes beyond ASCII.
    pub(super) eight_bit: bool,
}

/// What ends a text.
pub(super) const DOT: &[u8] = b".\r\n";

impl<'m> Text<'m> {
    pub(super) fn of(message: &'m [u8]) -> Self {
        let (wire, doubled) = if is_fit(message) { (Cow::Borrowed(message), 0) } else { mended(message) };
        Self { octets: wire.len() - doubled, wire, eight_bit: !message.is_ascii() }
    }

    /// Where its last byte is behind us, the dot's too.
    pub(super) fn end(&self) -> usize {
        self.wire.len() + DOT.len()
    }
}

/// Whether it can go as it is: each LF behind a CR, so that with as many CR there is none alone; and no line
/// begins with a dot.
fn is_fit(message: &[u8]) -> bool {
    let mut ends = 0;
    for end in memchr::memchr_iter(b'\n', message) {
        ends += 1;
        if !message[..end].ends_with(b"\r") || message[end + 1..].starts_with(b".") {
            return false;
        }
    }
    let is_ended = message.is_empty() || message.ends_with(b"\n");
    is_ended && !message.starts_with(b".") && memchr::memchr_iter(b'\r', message).count() == ends
}

/// The same as it may go, and how many dots were doubled.
fn mended(message: &[u8]) -> (Cow<'static, [u8]>, usize) {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 64);
    let (mut rest, mut doubled) = (message, 0);
    while !rest.is_empty() {
        if rest[0] == b'.' {
            wire.push(b'.');
            doubled += 1;
        }
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        wire.extend_from_slice(&rest[..end]);
        wire.extend_from_slice(b"\r\n");
        let ended = if rest[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
        rest = rest.get(ended..).unwrap_or_default();
    }
    (wire.into(), doubled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(text: &Text<'_>) -> Vec<u8> {
        [&text.wire, DOT].concat()
    }

    #[test]
    fn lone_line_ends_are_mended_and_dots_doubled() {
        for (message, wire, octets) in [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n", 6),
            ("a\nb", "a\r\nb\r\n.\r\n", 6),
            ("a\r.\nb", "a\r\n..\r\nb\r\n.\r\n", 9),
            ("a\n.\r\nMAIL FROM:<x@y.vn>\r\n", "a\r\n..\r\nMAIL FROM:<x@y.vn>\r\n.\r\n", 26),
            ("\r\r\n", "\r\n\r\n.\r\n", 4),
            ("..\r\n", "...\r\n.\r\n", 4),
            ("", ".\r\n", 0),
            ("\n", "\r\n.\r\n", 2),
        ] {
            let text = Text::of(message.as_bytes());
            assert_eq!(sent(&text), wire.as_bytes(), "{message:?}");
            assert_eq!(text.octets, octets, "{message:?}");
        }
    }

    /// As a server reads it (RFC 5321 §4.5.2): up to the first lone dot.
    fn received(wire: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        let mut message = Vec::new();
        let mut rest = wire;
        loop {
            let end = rest.windows(2).position(|pair| pair == b"\r\n")? + 2;
            let (line, behind) = rest.split_at(end);
            if line == b".\r\n" {
                return Some((message, behind));
            }
            message.extend(line.strip_prefix(b".").unwrap_or(line));
            rest = behind;
        }
    }

    proptest! {
        #[test]
        fn nothing_can_be_smuggled_and_everything_arrives(message in prop_oneof!["[ab.\r\n]{0,40}", "(\r\n|\n|\r|\\.|[^\r\n]){0,40}"]) {
            let text = Text::of(message.as_bytes());
            let wire = sent(&text);
            prop_assert_eq!(text.end(), wire.len());
            let (arrived, behind) = received(&wire).expect("a final dot");
            prop_assert!(behind.is_empty(), "{:?} stands behind the message", behind);
            prop_assert_eq!(text.octets, arrived.len());
            prop_assert_eq!(is_fit(message.as_bytes()), *mended(message.as_bytes()).0 == *message.as_bytes());
            let arrived = String::from_utf8(arrived).unwrap();
            prop_assert!(!arrived.replace("\r\n", "").contains(['\r', '\n']));
            // The same lines, whatever ended them; the last one is ended too.
            let lines = |text: &str| {
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                text.strip_suffix('\n').unwrap_or(&text).to_owned()
            };
            prop_assert_eq!(lines(&arrived), lines(&message));
        }
    }
}
