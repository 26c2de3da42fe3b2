use std::fmt;
use std::str::FromStr;

/// An enhanced status code (RFC 3463 §2): what a mail server means, for machines to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusCode {
    /// 2 done, 4 later, 5 never.
    pub class: u8,
    /// What it is about: 1 the address, 2 the mailbox, 3 the system, 4 the network, 5 the protocol,
    /// 6 the content, 7 security and policy.
    pub subject: u16,
    /// What exactly, within the subject.
    pub detail: u16,
}

/// Why a text is no [`StatusCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no enhanced status code; it looks like 5.1.1")]
pub struct NoStatusCode;

impl StatusCode {
    /// The code of these three numbers, where they are ones.
    pub fn new(class: u8, subject: u16, detail: u16) -> Option<Self> {
        let is_one = matches!(class, 2 | 4 | 5) && subject < 1000 && detail < 1000;
        is_one.then_some(Self { class, subject, detail })
    }
}

impl FromStr for StatusCode {
    type Err = NoStatusCode;

    fn from_str(text: &str) -> Result<Self, NoStatusCode> {
        let number = |part: Option<&str>| {
            let part = part.filter(|p| p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse::<u16>().ok()
        };
        let mut parts = text.split('.');
        let (class, subject, detail) = (number(parts.next()), number(parts.next()), number(parts.next()));
        match (class, subject, detail, parts.next()) {
            (Some(class), Some(subject), Some(detail), None) => u8::try_from(class)
                .ok()
                .and_then(|class| Self::new(class, subject, detail))
                .ok_or(NoStatusCode),
            _ => Err(NoStatusCode),
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// What the next mail server said of a letter, or what is known where it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The three digits (RFC 5321 §4.2), where it was the server that spoke.
    pub code: Option<u16>,
    /// The enhanced status code, where it gave one.
    pub status: Option<StatusCode>,
    /// One line for people and logs, codes included, without addresses.
    pub words: String,
}

/// Words of our own: no server spoke.
impl From<String> for Reply {
    fn from(words: String) -> Self {
        Self { words, ..Self::default() }
    }
}

impl From<&str> for Reply {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_three_numbers_of_a_known_class() {
        for text in ["2.0.0", "4.7.28", "5.1.1", "5.7.515"] {
            assert_eq!(text.parse::<StatusCode>().unwrap().to_string(), text);
        }
        for text in ["", "5", "5.1", "5.1.1.1", "3.1.1", "5.1.1000", "5.1.x", "5..1", "+5.1.1", "550"] {
            assert_eq!(text.parse::<StatusCode>(), Err(NoStatusCode), "{text}");
        }
    }
}
