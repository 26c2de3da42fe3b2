use super::{Chance, hex};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::{fmt, str::FromStr};
use subtle::ConstantTimeEq as _;

/// By which a leaked token is recognised, by people and by scanners of source code.
const PREFIX: &str = "bantin_";
const HANDLE_BYTES: usize = 8;
/// 256 bits: nobody guesses one, so a plain digest of it may lie in the store.
const SECRET_BYTES: usize = 32;

/// What the bearer of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See articles, categories and feeds.
    ArticlesRead,
    /// Change articles and categories, and see them.
    ArticlesWrite,
    /// See digests and editions.
    DigestsRead,
    /// Hold and release them, and see them.
    DigestsWrite,
    /// See readers, with their addresses.
    SubscribersRead,
    /// Ask and erase readers, and see them.
    SubscribersWrite,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [
        Self::ArticlesRead,
        Self::ArticlesWrite,
        Self::DigestsRead,
        Self::DigestsWrite,
        Self::SubscribersRead,
        Self::SubscribersWrite,
    ];

    /// The word for it (RFC 6749 §3.3).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArticlesRead => "articles:read",
            Self::ArticlesWrite => "articles:write",
            Self::DigestsRead => "digests:read",
            Self::DigestsWrite => "digests:write",
            Self::SubscribersRead => "subscribers:read",
            Self::SubscribersWrite => "subscribers:write",
        }
    }

    /// The scope that has this one in it.
    fn wider(self) -> Self {
        match self {
            Self::ArticlesRead | Self::ArticlesWrite => Self::ArticlesWrite,
            Self::DigestsRead | Self::DigestsWrite => Self::DigestsWrite,
            Self::SubscribersRead | Self::SubscribersWrite => Self::SubscribersWrite,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All that the bearer of a token may do; never nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

/// A word that names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no scope; write read, write, or some of articles:read, articles:write, digests:read, \
     digests:write, subscribers:read, subscribers:write"
)]
pub struct UnknownScope(String);

impl Scopes {
    /// Whether these are enough for what needs that one: who may write may read as well.
    pub fn permit(&self, needed: Scope) -> bool {
        self.0.contains(&needed) || self.0.contains(&needed.wider())
    }

    /// These and those.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    /// Reads scopes with blanks or commas between them; `read` and `write` stand for all of a kind.
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut scopes = BTreeSet::new();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let before = scopes.len();
            let named =
                |scope: &Scope| scope.as_str() == word || scope.as_str().split(':').nth(1) == Some(word);
            scopes.extend(Scope::ALL.into_iter().filter(named));
            if scopes.len() == before && !Scope::ALL.iter().any(|scope| scope.as_str() == word) {
                return Err(UnknownScope(word.to_owned()));
            }
        }
        if scopes.is_empty() { Err(UnknownScope(text.to_owned())) } else { Ok(Self(scopes)) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

/// What a program of the newsroom shows to the API (RFC 6750). Only a digest of it is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiToken {
    handle: [u8; HANDLE_BYTES],
    secret: [u8; SECRET_BYTES],
}

impl ApiToken {
    /// A new one, that nobody has had.
    pub fn new(chance: &dyn Chance) -> Self {
        let mut token = Self { handle: [0; HANDLE_BYTES], secret: [0; SECRET_BYTES] };
        chance.fill(&mut token.handle);
        chance.fill(&mut token.secret);
        token
    }

    /// Reads a token as it is shown. `None`: it is not of this form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (handle, secret) = bytes.split_at_checked(HANDLE_BYTES)?;
        Some(Self { handle: handle.try_into().ok()?, secret: secret.try_into().ok()? })
    }

    /// The token in full, to be shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&self.handle[..], &self.secret].concat()))
    }

    /// By what it is looked up; no secret.
    pub fn handle(&self) -> String {
        hex(&self.handle)
    }

    /// What is kept of its secret.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether it is the one of which this is kept, told in the same time whatever differs.
    pub fn is_of(&self, kept: &[u8]) -> bool {
        self.digest().ct_eq(kept).into()
    }
}

/// Secrets never reach a log.
impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    struct Counting(AtomicU8);

    impl Chance for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn token() -> ApiToken {
        ApiToken::new(&Counting(AtomicU8::new(0)))
    }

    #[test]
    fn a_token_is_recognised_by_what_is_kept_of_it() {
        let shown = token().reveal();
        assert!(shown.starts_with("bantin_") && shown.len() == 61, "{shown}");
        let read = ApiToken::parse(&shown).unwrap();
        assert!(read.is_of(&token().digest()) && read.handle() == "0001020304050607");
        assert!(!read.is_of(&[0; 32]) && !read.is_of(b""));
        assert_eq!(format!("{read:?}"), "ApiToken(…)");
        for wrong in ["", "bantin_", &shown[7..], &shown[..60], &format!("{shown}AA")] {
            assert!(ApiToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn who_may_write_may_read() {
        let scopes: Scopes = "articles:write digests:read".parse().unwrap();
        let allowed: Vec<&str> =
            Scope::ALL.iter().filter(|s| scopes.permit(**s)).map(|s| s.as_str()).collect();
        assert_eq!(allowed, ["articles:read", "articles:write", "digests:read"]);
        assert_eq!(scopes.to_string(), "articles:write digests:read");
    }

    #[test]
    fn read_and_write_stand_for_all_of_a_kind() {
        let read: Scopes = "read,articles:read".parse().unwrap();
        assert_eq!(read.to_string(), "articles:read digests:read subscribers:read");
        let write: Scopes = "write".parse().unwrap();
        assert!(Scope::ALL.iter().all(|scope| write.permit(*scope)));
        for wrong in ["", " ", "articles", "admin", "articles:read,x"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_other_secret_fits(at in 0_usize..SECRET_BYTES, bit in 0_u8..8) {
            let mut other = token();
            other.secret[at] ^= 1 << bit;
            prop_assert!(!other.is_of(&token().digest()));
        }
    }
}
