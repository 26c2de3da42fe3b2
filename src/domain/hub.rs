use super::chance::unguessable;
use super::{Backoff, Chance, Format, Instant, WebUrl, WebUrlError, hex};
use chrono::Duration;
use hmac::{Hmac, KeyInit, Mac};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;

/// The longest callback or topic address, in bytes: what servers take as a request line (RFC 9110
/// §4.1 asks for 8,000), and an index entry of PostgreSQL holds.
const MAX_ADDRESS: usize = 2_000;
/// WebSub §5.1: less than 200 bytes.
const MAX_SECRET: usize = 199;

/// How a failed push is tried again: within a minute for a server that restarts, then up to a day.
/// After that the notification is dropped, the subscription stays (WebSub §7).
pub const PUSH_BACKOFF: Backoff =
    Backoff { seconds: &[5, 20, 60, 300, 900, 1_800, 3_600], patience: Duration::hours(24) };

/// How a verification is tried again whose callback could not be reached.
pub const VERIFICATION_BACKOFF: Backoff = Backoff { seconds: &[5, 30, 120], patience: Duration::minutes(5) };

/// How a hub that pushes to us is asked again, which did not answer or did not ask whether we meant it:
/// for ever, in the end daily.
pub const HUB_BACKOFF: Backoff =
    Backoff { seconds: &[300, 1_800, 7_200, 21_600, 86_400], patience: Duration::MAX };

/// What is asked of the hub (WebSub §5.1 `hub.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HubMode {
    /// Push this topic to this callback.
    Subscribe,
    /// Push it no more.
    Unsubscribe,
}

impl HubMode {
    /// The word of the protocol, in which it is stored too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Subscribe, Self::Unsubscribe].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// Where pushes go. Used exactly as it was given (WebSub §5.1), so its query stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Callback(WebUrl);

/// Why an address is no callback.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// No web address.
    #[error(transparent)]
    Url(#[from] WebUrlError),
    /// Too long.
    #[error("the address is longer than {MAX_ADDRESS} bytes")]
    Long,
    /// With a name and password, which would stand in logs.
    #[error("the address holds a name or password; put what must be secret into the path")]
    Credentials,
    /// With a fragment, which no request carries.
    #[error("the address has a fragment (#…), which no request carries")]
    Fragment,
}

impl Callback {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, CallbackError> {
        let url = WebUrl::parse(text)?;
        let parts = url.as_url();
        if url.as_str().len() > MAX_ADDRESS {
            return Err(CallbackError::Long);
        }
        if !parts.username().is_empty() || parts.password().is_some() {
            return Err(CallbackError::Credentials);
        }
        if parts.fragment().is_some() {
            return Err(CallbackError::Fragment);
        }
        Ok(Self(url))
    }

    /// The address.
    pub fn url(&self) -> &WebUrl {
        &self.0
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Who answers there: host and port. What is bounded for each server is counted by this.
    pub fn host(&self) -> String {
        let port = self.0.as_url().port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.0.host())
    }

    /// The address of a verification or denial: our parameters behind its own query (WebSub §5.3).
    pub fn with_query(&self, parameters: &[(&str, &str)]) -> url::Url {
        let mut url = self.0.as_url().clone();
        // `query_pairs_mut` leaves what is there as it stands.
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The key of a callback's signatures, which its owner chose.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackSecret(String);

/// A secret that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hub.secret must be shorter than 200 bytes")]
pub struct SecretError;

impl CallbackSecret {
    /// Reads one; an empty text is no secret.
    pub fn parse(text: &str) -> Result<Option<Self>, SecretError> {
        match text.len() {
            0 => Ok(None),
            1..=MAX_SECRET => Ok(Some(Self(text.to_owned()))),
            _ => Err(SecretError),
        }
    }

    /// One of ours, that nobody guesses.
    pub fn random(chance: &dyn Chance) -> Self {
        Self(unguessable(chance))
    }

    /// The text, to be stored.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a value of `X-Hub-Signature` is of this body by this secret (WebSub §8), told in a time
    /// that says nothing of how much of it is right.
    pub fn signed(&self, body: &[u8], signature: &str) -> bool {
        let given = signature.trim().to_ascii_lowercase();
        let method = given.split('=').next().unwrap_or_default().parse::<SignatureMethod>();
        method.is_ok_and(|method| method.sign(self, body).as_bytes().ct_eq(given.as_bytes()).into())
    }
}

/// Secrets never reach a log.
impl fmt::Debug for CallbackSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackSecret(…)")
    }
}

/// How pushes are signed (WebSub §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SignatureMethod {
    /// What the oldest subscribers know; no longer recommended.
    Sha1,
    /// What is recommended.
    #[default]
    Sha256,
    /// Longer.
    Sha384,
    /// Longest.
    Sha512,
}

impl SignatureMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The value of `X-Hub-Signature` for a body: `sha256=…` in lower-case hexadecimal.
    pub fn sign(self, secret: &CallbackSecret, body: &[u8]) -> String {
        fn mac<M: Mac + KeyInit>(secret: &CallbackSecret, body: &[u8]) -> Vec<u8> {
            #[expect(clippy::expect_used, reason = "HMAC takes a key of any length, RFC 2104 §3")]
            let mut mac = <M as KeyInit>::new_from_slice(secret.0.as_bytes()).expect("any key length");
            mac.update(body);
            mac.finalize().into_bytes().to_vec()
        }
        let digest = match self {
            Self::Sha1 => mac::<Hmac<sha1::Sha1>>(secret, body),
            Self::Sha256 => mac::<Hmac<sha2::Sha256>>(secret, body),
            Self::Sha384 => mac::<Hmac<sha2::Sha384>>(secret, body),
            Self::Sha512 => mac::<Hmac<sha2::Sha512>>(secret, body),
        };
        format!("{}={}", self.as_str(), hex(&digest))
    }
}

impl FromStr for SignatureMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|method| method.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no signature method; write sha1, sha256, sha384 or sha512"))
    }
}

/// How long a callback may be subscribed. Never for ever (WebSub §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRules {
    /// What is shorter is made this long.
    pub shortest: Duration,
    /// What who asks for nothing gets.
    pub usual: Duration,
    /// What is longer is made this long.
    pub longest: Duration,
}

impl Default for LeaseRules {
    /// "10 days is a good default" (WebSub §5.1).
    fn default() -> Self {
        Self { shortest: Duration::minutes(1), usual: Duration::days(10), longest: Duration::days(30) }
    }
}

impl LeaseRules {
    /// The lease that who asks for so many seconds gets.
    pub fn grant(&self, asked: Option<u64>) -> Lease {
        let asked = asked.map_or(self.usual, |seconds| {
            i64::try_from(seconds).ok().and_then(Duration::try_seconds).unwrap_or(self.longest)
        });
        Lease(asked.clamp(self.shortest, self.longest.max(self.shortest)).num_seconds())
    }
}

/// For how long a callback is subscribed, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease(pub i64);

impl Lease {
    /// When it ends if it begins now.
    pub fn end(self, now: Instant) -> Instant {
        now + Duration::seconds(self.0)
    }
}

/// The path of a document below the base URL, with its query, as a topic is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPath(String);

impl TopicPath {
    /// Reads a topic's address. `None` where it is no address below ours, or no feed's in a format.
    /// Compared as text: a topic has one spelling, that of its rel=self.
    pub fn parse(topic: &str, base_url: &WebUrl) -> Option<Self> {
        let below = topic.strip_prefix(base_url.as_str().trim_end_matches('/'))?;
        Self::of_path(below)
    }

    /// Reads a path as it is kept.
    pub fn of_path(path: &str) -> Option<Self> {
        let file = path.split('?').next().unwrap_or_default();
        let is_plain = path.len() <= MAX_ADDRESS && path.bytes().all(|byte| byte.is_ascii_graphic());
        let (name, extension) = file.rsplit_once('.')?;
        Format::of_extension(extension)?;
        let name = name.strip_prefix("/feeds/").or_else(|| name.strip_prefix("/my/"))?;
        (is_plain && !name.is_empty() && !name.contains('/')).then(|| Self(path.to_owned()))
    }

    /// The path, with its query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The format of its document.
    pub fn format(&self) -> Option<Format> {
        let file = self.0.split('?').next().unwrap_or_default();
        file.rsplit_once('.').and_then(|(_, extension)| Format::of_extension(extension))
    }

    /// For people and logs: what proves who reads is left out.
    pub fn shown(&self) -> String {
        match self.0.strip_prefix("/my/").and_then(|rest| rest.rsplit_once('.')) {
            Some((_, extension)) => format!("/my/….{extension}"),
            None => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret() -> CallbackSecret {
        CallbackSecret::parse("Jefe").unwrap().unwrap()
    }

    #[test]
    fn signatures_are_those_of_the_rfcs() {
        // RFC 2202 §3 and RFC 4231 §4.3, test case 2.
        let data = b"what do ya want for nothing?";
        let sign = |method: SignatureMethod| method.sign(&secret(), data);
        assert_eq!(sign(SignatureMethod::Sha1), "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            sign(SignatureMethod::Sha256),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(sign(SignatureMethod::Sha384).starts_with("sha384=af45d2e376484031617f78d2b58a6b1b"));
        assert!(sign(SignatureMethod::Sha512).starts_with("sha512=164b7a7bfcf819e2e395fbe73b56e0a3"));
    }

    #[test]
    fn a_signature_is_right_by_any_method_and_by_no_other_secret_or_body() {
        let body = b"<feed/>";
        for method in SignatureMethod::ALL {
            let signature = method.sign(&secret(), body);
            assert!(secret().signed(body, &signature) && secret().signed(body, &signature.to_uppercase()));
            assert!(!secret().signed(b"<feed />", &signature), "{signature}");
            let other = CallbackSecret::parse("jefe").unwrap().unwrap();
            assert!(
                !other.signed(body, &signature) && !secret().signed(body, &signature[..20]),
                "{signature}"
            );
        }
        for none in ["", "=", "sha256=", "sha256", "md5=d41d8cd98f00b204e9800998ecf8427e"] {
            assert!(!secret().signed(body, none), "{none}");
        }
    }

    #[test]
    fn h5_the_callbacks_own_query_stays_before_ours() {
        let callback = Callback::parse("https://doc.example/cb?hub.mode=x&a=%2F").unwrap();
        let url = callback.with_query(&[("hub.mode", "subscribe"), ("hub.topic", "https://a/?b&c")]);
        assert_eq!(
            url.as_str(),
            "https://doc.example/cb?hub.mode=x&a=%2F&hub.mode=subscribe&hub.topic=https%3A%2F%2Fa%2F%3Fb%26c"
        );
        let bare = Callback::parse("http://a.example:81/cb").unwrap();
        assert_eq!(bare.with_query(&[("x", "1")]).as_str(), "http://a.example:81/cb?x=1");
        assert_eq!((bare.host().as_str(), callback.host().ends_with(":443")), ("a.example:81", true));
    }

    #[test]
    fn what_no_push_can_go_to_is_refused_with_the_reason() {
        assert!(matches!(Callback::parse("ftp://a.example/"), Err(CallbackError::Url(_))));
        assert!(matches!(Callback::parse("https://u:p@a.example/"), Err(CallbackError::Credentials)));
        assert!(matches!(Callback::parse("https://a.example/#x"), Err(CallbackError::Fragment)));
        let long = format!("https://a.example/{}", "x".repeat(2_000));
        assert!(matches!(Callback::parse(&long), Err(CallbackError::Long)));
        assert_eq!(CallbackSecret::parse(&"x".repeat(200)), Err(SecretError));
        assert!(CallbackSecret::parse(&"x".repeat(199)).unwrap().is_some());
        assert_eq!(format!("{:?}", secret()), "CallbackSecret(…)");
    }

    #[test]
    fn leases_keep_within_their_bounds() {
        let rules = LeaseRules::default();
        assert_eq!(rules.grant(None), Lease(864_000));
        assert_eq!(rules.grant(Some(7_200)), Lease(7_200));
        assert_eq!((rules.grant(Some(0)), rules.grant(Some(u64::MAX))), (Lease(60), Lease(2_592_000)));
    }

    #[test]
    fn only_documents_of_ours_that_are_polled_are_topics() {
        let base = WebUrl::parse("https://bao.example/tin/").unwrap();
        let path = |topic: &str| TopicPath::parse(topic, &base).map(|path| path.as_str().to_owned());
        assert_eq!(
            path("https://bao.example/tin/feeds/kinh-te.atom").as_deref(),
            Some("/feeds/kinh-te.atom")
        );
        assert_eq!(
            path("https://bao.example/tin/feeds/search.rss?q=l%C5%A9").as_deref(),
            Some("/feeds/search.rss?q=l%C5%A9")
        );
        for no in [
            "https://bao.example/feeds/kinh-te.atom",
            "https://bao.example/tin/feeds/kinh-te",
            "https://bao.example/tin/feeds/.rss",
            "https://bao.example/tin/feeds/a/archive/1.rss",
            "https://bao.example/tin/feeds/a b.rss",
            "https://other.example/tin/feeds/a.rss",
            "https://bao.example/tin/articles/1.rss",
            "",
        ] {
            assert_eq!(path(no), None, "{no}");
        }
        let own = TopicPath::of_path("/my/AAAA.json").unwrap();
        assert_eq!((own.shown().as_str(), own.format()), ("/my/….json", Some(Format::Json)));
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            let _ = Callback::parse(&text);
            let base = WebUrl::parse("https://bao.example/").unwrap();
            let _ = TopicPath::parse(&text, &base);
            let _ = TopicPath::of_path(&text).map(|path| path.shown());
        }
    }
}
