use super::{Instant, from_micros, micros};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;

/// The key of this installation, from which every token and Message-ID is derived.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Wraps 32 bytes of randomness that somebody else made.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, to be stored.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A keyed digest of some parts, for one purpose; lengths are mixed in, so that parts cannot
    /// run into each other.
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length, RFC 2104 §3")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key length");
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Secrets never reach a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a token opens. One made for one purpose opens nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenPurpose {
    /// Answer a request to subscribe; the subject is an opt-in.
    Confirm,
    /// End subscriptions; the subject is a subscriber.
    Unsubscribe,
    /// See and change preferences; the subject is a subscriber.
    Preferences,
    /// Read an edition in the browser; the subject is a subscriber, the instant stands for the edition.
    Edition,
    /// Count a letter as opened; the subject is a subscriber, the instant stands for the edition.
    Opened,
    /// Read the feed of what one has by mail; the subject is a subscriber.
    Feed,
    /// Post the form to subscribe; the instant is when it was shown.
    Form,
}

impl TokenPurpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Unsubscribe => "unsubscribe",
            Self::Preferences => "preferences",
            Self::Edition => "edition",
            Self::Opened => "opened",
            Self::Feed => "feed",
            Self::Form => "form",
        }
    }
}

/// A link's key: who it speaks of, since when, and the proof that we made it.
///
/// Nothing has to be stored, so it works for ever and is the same in every retry of a mail: 8
/// bytes of subject, 8 of instant, and 128 bits of HMAC-SHA-256 (RFC 2104 §5 allows half).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The number of the row it speaks of.
    pub subject: i64,
    /// When it was made.
    pub issued: Instant,
}

/// A token that we did not make, or not for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this link is incomplete or was not made by us")]
pub struct TokenError;

const MAC_BYTES: usize = 16;

impl Token {
    /// Writes the token for a URL: 43 characters.
    pub fn seal(self, secret: &Secret, purpose: TokenPurpose) -> String {
        let mut bytes = Vec::with_capacity(16 + MAC_BYTES);
        bytes.extend(self.subject.to_be_bytes());
        bytes.extend(micros(self.issued).to_be_bytes());
        let mac = secret.mac(purpose.as_str(), &[&bytes]);
        bytes.extend(&mac[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token; the proof is compared in constant time.
    pub fn open(text: &str, secret: &Secret, purpose: TokenPurpose) -> Result<Self, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError)?;
        let (message, proof) = bytes.split_at_checked(16).ok_or(TokenError)?;
        let mac = secret.mac(purpose.as_str(), &[message]);
        if proof.len() != MAC_BYTES || !bool::from(mac[..MAC_BYTES].ct_eq(proof)) {
            return Err(TokenError);
        }
        let (subject, issued) = message.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).map_err(|_| TokenError);
        Ok(Self { subject: number(subject)?, issued: from_micros(number(issued)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret() -> Secret {
        Secret::new([7; 32])
    }

    fn token() -> Token {
        Token { subject: 42, issued: from_micros(1_700_000_000_000_000) }
    }

    #[test]
    fn a_token_opens_only_its_own_door() {
        let text = token().seal(&secret(), TokenPurpose::Unsubscribe);
        assert_eq!(text.len(), 43);
        assert_eq!(Token::open(&text, &secret(), TokenPurpose::Unsubscribe), Ok(token()));
        assert_eq!(Token::open(&text, &secret(), TokenPurpose::Confirm), Err(TokenError));
        assert_eq!(Token::open(&text, &Secret::new([8; 32]), TokenPurpose::Unsubscribe), Err(TokenError));
        assert_eq!(Token::open(&text[..42], &secret(), TokenPurpose::Unsubscribe), Err(TokenError));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", secret()), "Secret(…)");
    }

    proptest! {
        #[test]
        fn nobody_can_make_one(at in 0_usize..43, c in "[A-Za-z0-9_-]") {
            let text = token().seal(&secret(), TokenPurpose::Edition);
            let mut forged = text.clone();
            forged.replace_range(at..=at, &c);
            prop_assume!(forged != text);
            prop_assert!(Token::open(&forged, &secret(), TokenPurpose::Edition).is_err());
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            prop_assert!(Token::open(&text, &secret(), TokenPurpose::Edition).is_err());
        }
    }
}
