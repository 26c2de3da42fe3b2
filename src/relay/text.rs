/// A message as it goes over the wire behind DATA: every line ended by CR LF, dots doubled, and the
/// lone dot at its end.
///
/// A lone CR or LF would let a second message be smuggled into the first (RFC 5321 §2.3.8,
/// CVE-2023-51764), so each becomes a line's end of its own before dots are doubled (§4.5.2).
pub(super) struct Text {
    /// What is sent.
    pub(super) wire: Vec<u8>,
    end: usize,
    /// How long the message is (RFC 1870 §4: line ends as two, doubled dots as one, no final dot).
    pub(super) octets: usize,
    /// Whether it holds bytes beyond ASCII.
    pub(super) eight_bit: bool,
}

/// Beside the text there is room for the commands of the message behind it.
const ROOM: usize = 1024;

impl Text {
    pub(super) fn of(message: &[u8]) -> Self {
        let mut wire = Vec::with_capacity(message.len() + message.len() / 64 + ROOM);
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
        let octets = wire.len() - doubled;
        wire.extend_from_slice(b".\r\n");
        Self { end: wire.len(), wire, octets, eight_bit: !message.is_ascii() }
    }

    /// Where its last byte is behind us; what stands there is not of it.
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            assert_eq!(String::from_utf8(text.wire).unwrap(), wire, "{message:?}");
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
            let (arrived, behind) = received(&text.wire).expect("a final dot");
            prop_assert!(behind.is_empty(), "{:?} stands behind the message", behind);
            prop_assert_eq!(text.octets, arrived.len());
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
