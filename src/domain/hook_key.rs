use super::chance::unguessable;
use super::{Chance, hex};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// What only those know who may post to us.
#[derive(Clone, PartialEq, Eq)]
pub struct HookKey(String);

impl HookKey {
    /// Reads one. It stands in an address, and must not be guessed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_one =
            text.len() >= 24 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if is_one {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 24 letters and digits or more; make one with `openssl rand -hex 24`")
        }
    }

    /// A new one.
    pub fn random(chance: &dyn Chance) -> Self {
        Self(unguessable(chance))
    }

    /// The text, to be stored and to be part of an address.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is it, told in a time that says nothing of how much of it is right.
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Whether a signature is of this body by this key: `sha256=` and the HMAC-SHA256 in hex digits, as
    /// GitHub and many others write it.
    pub fn signed(&self, body: &[u8], signature: &str) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()) else { return false };
        mac.update(body);
        let right = hex(&mac.finalize().into_bytes());
        let given = signature.trim().strip_prefix("sha256=").unwrap_or_default().to_ascii_lowercase();
        right.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Secrets never reach a log.
impl fmt::Debug for HookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_and_what_it_signed_are_right() {
        let key = HookKey::parse("0123456789abcdef01234567").unwrap();
        assert!(HookKey::parse("short").is_err() && HookKey::parse("0123456789abcdef0123456/").is_err());
        assert!(key.is("0123456789abcdef01234567") && !key.is("0123456789abcdef0123456") && !key.is(""));
        // printf '{}' | openssl dgst -sha256 -hmac 0123456789abcdef01234567
        let signature = "sha256=0857335700863caa243538554050cd91942d5bd213816ddcf5d8e221067af89b";
        assert!(key.signed(b"{}", signature) && !key.signed(b"{ }", signature) && !key.signed(b"{}", ""));
    }
}
