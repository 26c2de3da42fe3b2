//! What a mail server says (RFC 5321 §4.2), read from bytes that it sent.

use crate::domain::{Reply, StatusCode, clean_line, excerpt};

/// RFC 5321 §4.5.3.1.5 allows 512 octets to a reply line; servers write longer ones.
const LINE_BYTES: usize = 4096;
/// No server has so much to say; one without end must not fill the memory.
const ANSWER_BYTES: usize = 64 * 1024;

/// One reply, all its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u16,
    /// The enhanced code that it begins with, where it fits (RFC 2034 §4).
    pub(super) status: Option<StatusCode>,
    /// A line each, without codes.
    pub(super) lines: Vec<String>,
}

/// What the bytes that are there make.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The beginning of an answer, or nothing yet.
    Unfinished,
    /// An answer, and how many bytes it took.
    Whole(Answer, usize),
    /// No answer, and why.
    Nonsense(&'static str),
}

impl Answer {
    /// Reads the first answer in these bytes. More forgiving than RFC 5321 §4.2 in what does not
    /// matter: a bare code, a lone LF, letters beyond ASCII.
    pub(super) fn read(bytes: &[u8]) -> Reading {
        let (mut at, mut code) = (0, None);
        let mut lines = Vec::new();
        while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
            if length > LINE_BYTES {
                break;
            }
            let line = bytes[at..at + length].strip_suffix(b"\r").unwrap_or(&bytes[at..at + length]);
            at += length + 1;
            let (digits, text) = line.split_at(line.len().min(3));
            let said = number(digits);
            if said.is_none() || *code.get_or_insert(said) != said {
                return Reading::Nonsense("the reply is none");
            }
            let is_last = match text.first() {
                Some(b'-') => false,
                None | Some(b' ') => true,
                // What is left of a line of blanks, or worse.
                Some(_) => return Reading::Nonsense("the reply is none"),
            };
            lines.push(readable(text.get(1..).unwrap_or_default()));
            if is_last {
                let code = said.unwrap_or_default();
                let mut answer = Self { code, status: status_in(code, &lines[0]), lines };
                answer.drop_codes();
                return Reading::Whole(answer, at);
            }
            if at > ANSWER_BYTES {
                break;
            }
        }
        if bytes.len() - at > LINE_BYTES || at > ANSWER_BYTES {
            return Reading::Nonsense("a reply without end");
        }
        Reading::Unfinished
    }

    /// An answer that we give ourselves, because the server would.
    pub(super) fn ours(code: u16, words: &str) -> Self {
        Self { code, status: status_in(code, words), lines: vec![without_code(words)] }
    }

    fn drop_codes(&mut self) {
        if self.status.is_some() {
            for line in &mut self.lines {
                if status_in(self.code, line) == self.status {
                    *line = without_code(line);
                }
            }
        }
    }

    /// For people and logs.
    pub(super) fn reply(&self, place: &str) -> Reply {
        let status = self.status.map(|status| format!("{status} ")).unwrap_or_default();
        let words = loggable(&format!("{} {status}{}", self.code, self.lines.join(" ")));
        Reply { code: Some(self.code), status: self.status, words: words + place }
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    let code = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    code.parse().ok().filter(|code| (200..600).contains(code))
}

fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn status_in(code: u16, line: &str) -> Option<StatusCode> {
    let status: StatusCode = line.split_whitespace().next()?.parse().ok()?;
    (u16::from(status.class) == code / 100).then_some(status)
}

fn without_code(line: &str) -> String {
    let line = line.trim_start();
    line.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// One line of limited length, without addresses: it ends in logs.
pub(super) fn loggable(text: &str) -> String {
    let line = clean_line(text);
    let told: Vec<&str> = line
        .split(' ')
        .map(|word| match word {
            // %40 as in the links that servers put beside their refusals.
            word if !word.contains('@') && !word.contains("%40") => word,
            word if word.ends_with(':') => "<…>:",
            word if word.ends_with(',') => "<…>,",
            _ => "<…>",
        })
        .collect();
    excerpt(&told.join(" "), 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Answer {
        match Answer::read(bytes) {
            Reading::Whole(answer, length) if length == bytes.len() => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replies_are_read_as_servers_write_them() {
        for (bytes, code, status, words) in [
            (&b"250 2.1.0 Ok\r\n"[..], 250, "2.1.0", "250 2.1.0 Ok"),
            (b"250\r\n", 250, "", "250"),
            (b"250 ok\n", 250, "", "250 ok"),
            (b"250-\r\n250-   \r\n250 x\r\n", 250, "", "250 x"),
            (b"250 \xe9t\xe9 \x00b\r\n", 250, "", "250 \u{fffd}t\u{fffd} b"),
            (
                b"550-5.1.1 <An@doc.vn>:\r\n550 5.1.1 no such user\r\n",
                550,
                "5.1.1",
                "550 5.1.1 <…>: no such user",
            ),
            // Of another class than the reply: words like others.
            (b"450 5.1.1 odd\r\n", 450, "", "450 5.1.1 odd"),
        ] {
            let answer = whole(bytes);
            assert_eq!((answer.code, answer.status), (code, status.parse().ok()), "{words}");
            assert_eq!(answer.reply("").words, words);
        }
    }

    #[test]
    fn what_is_no_reply_is_seen() {
        let endless = "250-x\r\n".repeat(20_000);
        let long = format!("250 {}", "x".repeat(5_000));
        for bytes in [
            "hello\r\n",
            "\r\n",
            "25\r\n",
            "250x\r\n",
            "99 x\r\n",
            "650 x\r\n",
            "250-a\r\n550 b\r\n",
            &endless,
            &long,
        ] {
            assert!(matches!(Answer::read(bytes.as_bytes()), Reading::Nonsense(_)), "{bytes:.20}");
        }
        for bytes in ["", "25", "250 ok", "250-a\r\n", "250-a\r\n25"] {
            assert_eq!(Answer::read(bytes.as_bytes()), Reading::Unfinished, "{bytes}");
        }
    }

    #[test]
    fn no_address_gets_into_a_log() {
        for (said, told) in [
            (
                "5.1.1 <An@doc.vn>: Recipient address rejected: User unknown",
                "5.1.1 <…>: Recipient address rejected: User unknown",
            ),
            ("user an@doc.vn, gone", "user <…>, gone"),
            ("see http://spf.example/why?id=an%40doc.vn now", "see <…> now"),
            ("a\r\nb\u{0}", "a b"),
        ] {
            assert_eq!(loggable(said), told);
        }
        assert!(loggable(&"dài ".repeat(1000)).chars().count() <= 500);
    }

    proptest! {
        #[test]
        fn a_reply_is_the_same_however_it_comes_in(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                "(250[- ][a-z0-9. ]{0,9}\r?\n){1,5}x?".prop_map(String::into_bytes),
            ],
        ) {
            // What was Unfinished with fewer bytes may become anything; what was decided stays.
            let read = Answer::read(&bytes);
            for end in 0..bytes.len() {
                match Answer::read(&bytes[..end]) {
                    Reading::Unfinished => {}
                    decided => prop_assert_eq!(&decided, &read),
                }
            }
        }
    }
}
