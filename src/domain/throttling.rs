use super::Reply;

/// What servers say when they want fewer letters, in the words of Gmail, Microsoft, Yahoo, Amazon SES,
/// Postfix and Exim.
const WORDS: [&str; 17] = [
    "throttl",
    " rate",
    "too many",
    "too much",
    "too fast",
    "too quickly",
    "quota",
    "limit",
    "exceed",
    "busy",
    "congest",
    "overload",
    "slow down",
    "unusual",
    "unexpected volume",
    "temporarily deferred",
    "concurren",
];

impl Reply {
    /// Whether a reply means that fewer letters should come, and not that this one is unwelcome now.
    ///
    /// 421 always does: the server closes the line (RFC 5321 §3.8). The others do by an enhanced code
    /// that says so, or by their words; never where they speak of the reader (x.1.x, x.2.x), of this letter's size (x.3.4) or of a
    /// first meeting (greylisting), which pass without our slowing down.
    pub fn asks_for_less(&self) -> bool {
        let words = self.words.to_lowercase();
        match self.code {
            Some(421) => true,
            Some(450 | 451 | 452 | 454) => match self.status.map(|status| (status.subject, status.detail)) {
                Some((1 | 2, _) | (3, 4)) => false,
                // RFC 3463 §3.4 (congestion), §3.5 and §3.6 (too many recipients, though there is one; system
                // full); Gmail's 4.7.28; Microsoft's 4.7.65x.
                Some((3, 1 | 2) | (4, 5) | (5, 3) | (7, 28 | 650..=659)) => true,
                _ if ["greylist", "graylist", "grey-list", "gray-list"]
                    .iter()
                    .any(|word| words.contains(word)) =>
                {
                    false
                }
                _ => WORDS.iter().any(|word| words.contains(word)),
            },
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Reply {
        let mut words = text.split(' ');
        Reply {
            code: words.next().and_then(|code| code.parse().ok()),
            status: words.next().and_then(|status| status.parse().ok()),
            words: text.to_owned(),
        }
    }

    #[test]
    fn a_server_that_wants_less_is_understood() {
        for text in [
            "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail",
            "421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume",
            "421 Service not available, closing transmission channel",
            "450 4.7.1 Error: too much mail from 192.0.2.1",
            "451 4.7.650 The mail server has been temporarily rate limited due to IP reputation",
            "451 4.7.500 Server busy. Please try again later",
            "451 too many connections, slow down",
            "452 4.3.1 Insufficient system storage",
            "452 4.5.3 Too many recipients",
            "454 4.7.0 Throttling failure: Maximum sending rate exceeded.",
            "451 4.4.5 System congestion",
        ] {
            assert!(said(text).asks_for_less(), "{text}");
        }
    }

    #[test]
    fn what_concerns_one_letter_slows_nobody_down() {
        for text in [
            "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
            "452 4.2.2 The email account that you tried to reach is over quota",
            "450 4.1.1 Recipient address rejected: unverified address",
            "451 4.7.1 Greylisting in action, please come back later",
            "450 4.2.0 Greylisted",
            "451 4.3.0 Mail server temporarily rejected message",
            "454 4.7.0 TLS not available due to local problem",
            "552 5.2.2 quota exceeded",
            "550 5.7.1 rate",
            "250 2.0.0 rate",
        ] {
            assert!(!said(text).asks_for_less(), "{text}");
        }
        assert!(!Reply::from("no connection: too many open files").asks_for_less());
    }
}
