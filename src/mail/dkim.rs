//! DKIM signatures (RFC 6376, RFC 8463): one for each key, over the same header fields.
//!
//! Written here because lettre's own signs no Content-Type of a multipart message, and what it makes
//! with its defaults does not verify (reference/crates.md §0). The same message gives the same
//! signatures: RSA in PKCS #1 v1.5 and Ed25519 draw no random number that shows.

use crate::domain::Instant;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The fields that are signed where they are there (reference/mail.md R9). Those of a list stand so
/// that nobody can add an unsubscribe button of his own (RFC 8058 §4).
const SIGNED: [&str; 14] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "auto-submitted",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
    "content-transfer-encoding",
];
/// Named once more than they occur, so that a second one breaks the signature (RFC 6376 §8.15): what a
/// mail program shows, and what says how to read the body.
const SEALED: [&str; 8] =
    ["from", "to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"];
/// Lines of a signature are no longer.
const LINE: usize = 72;

/// A private key.
#[derive(Clone)]
enum Key {
    Rsa(Arc<RsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// Keys never reach a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "Rsa(…)",
            Self::Ed25519(_) => "Ed25519(…)",
        })
    }
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    /// Not a PEM file of a private key.
    #[error("is no private key in PEM form (-----BEGIN PRIVATE KEY-----); make one with `bantin dkim new`")]
    Pem,
    /// Not a key of a kind that DKIM knows, or too short to be accepted.
    #[error(
        "is neither an RSA key of at least 2048 bits nor an Ed25519 key; make one with `bantin dkim new`"
    )]
    Kind,
    /// The name of a selector or domain cannot stand in DNS.
    #[error("is no name for DNS: letters, digits and hyphens, parts joined by dots")]
    Name,
    /// The library could not sign.
    #[error("the message could not be signed")]
    Unsigned,
}

/// A key, and where its public half is published: `{selector}._domainkey.{domain}`.
#[derive(Clone, Debug)]
pub struct Seal {
    domain: String,
    selector: String,
    key: Key,
}

/// Which kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits: what everybody verifies.
    Rsa,
    /// Ed25519 (RFC 8463): short and quick; who does not know it looks at the other signature.
    Ed25519,
}

impl KeyKind {
    /// Both, RSA first.
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Ed25519];

    /// The name in DNS and in `a=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Makes a private key, as a PEM file. Its chance is the library's own.
    pub fn generate(self) -> Result<String, DkimError> {
        let der = match self {
            Self::Rsa => {
                let key =
                    RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).map_err(|_| DkimError::Kind)?;
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key)
                    .map_err(|_| DkimError::Kind)?
                    .as_ref()
                    .to_vec()
            }
            Self::Ed25519 => {
                let key = Ed25519KeyPair::generate().map_err(|_| DkimError::Kind)?;
                key.to_pkcs8v1().map_err(|_| DkimError::Kind)?.as_ref().to_vec()
            }
        };
        let coded = STANDARD.encode(der);
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for line in coded.as_bytes().chunks(64) {
            let _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
        }
        Ok(pem + "-----END PRIVATE KEY-----\n")
    }
}

impl Seal {
    /// Reads a key from a PEM file's text (PKCS #8, or PKCS #1 for RSA).
    pub fn new(domain: &str, selector: &str, pem: &str) -> Result<Self, DkimError> {
        for name in [domain, selector] {
            let is_label = |label: &str| {
                !label.is_empty()
                    && label.len() < 64
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            if name.len() > 200 || !name.split('.').all(is_label) {
                return Err(DkimError::Name);
            }
        }
        let key = key_of(pem)?;
        Ok(Self { domain: domain.to_ascii_lowercase(), selector: selector.to_ascii_lowercase(), key })
    }

    /// Which kind of key it is.
    pub fn kind(&self) -> KeyKind {
        match self.key {
            Key::Rsa(_) => KeyKind::Rsa,
            Key::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// Where the public key is published.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What is published there (RFC 6376 §3.6.1).
    pub fn record(&self) -> Result<String, DkimError> {
        let public = match &self.key {
            Key::Rsa(key) => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(key.public_key())
                .map_err(|_| DkimError::Kind)?
                .as_ref()
                .to_vec(),
            // The bare key, without its frame (RFC 8463 §4.2).
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
        };
        Ok(format!("v=DKIM1; k={}; p={}", self.kind().as_str(), STANDARD.encode(public)))
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, DkimError> {
        match &self.key {
            Key::Rsa(key) => {
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signed)
                    .map_err(|_| DkimError::Unsigned)?;
                Ok(signed)
            }
            // Over the hash of the data, not over the data (RFC 8463 §3).
            Key::Ed25519(key) => {
                let hash = digest(&SHA256, input);
                Ok(key.try_sign(hash.as_ref()).map_err(|_| DkimError::Unsigned)?.as_ref().to_vec())
            }
        }
    }
}

fn key_of(pem: &str) -> Result<Key, DkimError> {
    let block = |label: &str| {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (coded, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let coded: String = coded.split_ascii_whitespace().collect();
        STANDARD.decode(coded).ok()
    };
    let long_enough = |key: RsaKeyPair| {
        if key.public_modulus_len() >= 256 { Ok(Key::Rsa(Arc::new(key))) } else { Err(DkimError::Kind) }
    };
    if let Some(der) = block("PRIVATE KEY") {
        if let Ok(key) = RsaKeyPair::from_pkcs8(&der) {
            return long_enough(key);
        }
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| DkimError::Kind)?;
        return Ok(Key::Ed25519(Arc::new(key)));
    }
    let der = block("RSA PRIVATE KEY").ok_or(DkimError::Pem)?;
    long_enough(RsaKeyPair::from_der(&der).map_err(|_| DkimError::Kind)?)
}

/// Gathers the randomness that the first signature of a process wants: aws-lc takes 40 ms for it, which may pass
/// beside other work.
pub fn prepare() {
    // Where it fails, the signature does, and says so.
    let _ = aws_lc_rs::rand::fill(&mut [0]);
}

/// The lines that go before a message: a signature of each seal over its head and body (RFC 5322, lines
/// ended by CRLF). The body is hashed once for all.
pub fn signatures(head: &[u8], body: &[u8], seals: &[Seal], signed_at: Instant) -> Result<String, DkimError> {
    let mut lines = String::new();
    if seals.is_empty() {
        return Ok(lines);
    }
    let fields = fields_of(head);
    let (names, signed) = chosen(&fields);
    let body_hash = STANDARD.encode(hash_of_body(body));
    for seal in seals {
        let mut value = format!(
            "v=1; a={}-sha256; c=relaxed/relaxed; d={};\r\n s={}; t={};\r\n",
            seal.kind().as_str(),
            seal.domain,
            seal.selector,
            signed_at.timestamp().max(0)
        );
        folded(&mut value, " h=", &names, ":");
        let _ = write!(value, ";\r\n bh={body_hash};\r\n b=");
        let mut input = signed.clone();
        relaxed_field(&mut input, b"dkim-signature", value.as_bytes());
        let signature = STANDARD.encode(seal.sign(&input)?);
        lines.push_str("DKIM-Signature: ");
        lines.push_str(&value);
        // Base64 is ASCII.
        for at in (0..signature.len()).step_by(LINE) {
            lines.push_str(if at == 0 { "" } else { "\r\n " });
            lines.push_str(&signature[at..signature.len().min(at + LINE)]);
        }
        lines.push_str("\r\n");
    }
    Ok(lines)
}

/// Names joined by a sign, in lines that are not too long.
fn folded(text: &mut String, begin: &str, names: &[&str], sign: &str) {
    text.push_str(begin);
    let mut used = begin.len();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            text.push_str(sign);
            used += sign.len();
            if used + name.len() > LINE {
                text.push_str("\r\n ");
                used = 1;
            }
        }
        text.push_str(name);
        used += name.len();
    }
}

/// A field: its name in lower case, and its value as it stands.
type Field<'m> = (Vec<u8>, &'m [u8]);

fn fields_of(head: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut at = 0;
    while at < head.len() {
        let mut end = at;
        // A line that begins with a blank goes on with the one before (RFC 5322 §2.2.3).
        loop {
            end = head[end..]
                .windows(2)
                .position(|e| e == b"\r\n")
                .map_or(head.len(), |length| end + length + 2);
            if !matches!(head.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let field = head[at..end].strip_suffix(b"\r\n").unwrap_or(&head[at..end]);
        if let Some(colon) = field.iter().position(|b| *b == b':') {
            let name = field[..colon].trim_ascii_end().to_ascii_lowercase();
            fields.push((name, &field[colon + 1..]));
        }
        at = end;
    }
    fields
}

/// The names of `h=`, and the fields that they stand for, canonicalised. Of several of a name the
/// last comes first (RFC 6376 §5.4.2).
fn chosen<'n>(fields: &[Field<'_>]) -> (Vec<&'n str>, Vec<u8>) {
    let (mut names, mut signed) = (Vec::new(), Vec::new());
    for name in SIGNED {
        for (_, value) in fields.iter().rev().filter(|(other, _)| other == name.as_bytes()) {
            names.push(name);
            relaxed_field(&mut signed, name.as_bytes(), value);
            signed.extend_from_slice(b"\r\n");
        }
        if SEALED.contains(&name) {
            names.push(name);
        }
    }
    (names, signed)
}

/// RFC 6376 §3.4.2: unfolded, blanks run together, none at the ends.
fn relaxed_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.push(b':');
    let mut blank = false;
    let begin = out.len();
    for byte in value {
        match byte {
            b' ' | b'\t' => blank = true,
            b'\r' | b'\n' => {}
            byte => {
                if blank && out.len() > begin {
                    out.push(b' ');
                }
                blank = false;
                out.push(*byte);
            }
        }
    }
}

/// RFC 6376 §3.4.4: blanks run together, none at the ends of lines, no empty lines at the end.
fn hash_of_body(body: &[u8]) -> Vec<u8> {
    let hash = if is_relaxed(body) { digest(&SHA256, body) } else { digest(&SHA256, &relaxed_body(body)) };
    hash.as_ref().to_vec()
}

fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut relaxed = Vec::with_capacity(body.len() + 2);
    let mut begin = 0;
    let last = (!body.ends_with(b"\r\n")).then_some(body.len());
    for end in memchr::memmem::find_iter(body, b"\r\n").chain(last) {
        relaxed_line(&mut relaxed, &body[begin..end]);
        relaxed.extend_from_slice(b"\r\n");
        begin = end + 2;
    }
    while relaxed.ends_with(b"\r\n\r\n") {
        relaxed.truncate(relaxed.len() - 2);
    }
    if relaxed == b"\r\n" { Vec::new() } else { relaxed }
}

/// Whether a body is as it is hashed already, as ours are: base64 has no blank.
fn is_relaxed(body: &[u8]) -> bool {
    let stays =
        |at: usize| body[at] == b' ' && !matches!(body.get(at + 1), None | Some(b' ' | b'\t' | b'\r'));
    body.len() > 2
        && body.ends_with(b"\r\n")
        && !body.ends_with(b"\r\n\r\n")
        && memchr::memchr2_iter(b' ', b'\t', body).all(stays)
}

fn relaxed_line(out: &mut Vec<u8>, line: &[u8]) {
    // Base64 has no blank.
    if memchr::memchr2(b' ', b'\t', line).is_none() {
        return out.extend_from_slice(line);
    }
    let mut blank = false;
    for byte in line {
        if matches!(byte, b' ' | b'\t') {
            blank = true;
            continue;
        }
        if blank {
            out.push(b' ');
        }
        blank = false;
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 8463 §A.2: its secret key, framed as PKCS #8.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    fn seal() -> Seal {
        Seal::new("football.example.com", "brisbane", ED25519).unwrap()
    }

    fn relaxed(name: &str, value: &str) -> String {
        let mut out = Vec::new();
        relaxed_field(&mut out, name.as_bytes(), value.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_public_half_of_the_rfcs_key_is_the_one_it_names() {
        let record = seal().record().unwrap();
        assert_eq!(record, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert_eq!(seal().record_name(), "brisbane._domainkey.football.example.com");
    }

    #[test]
    fn fields_and_bodies_are_relaxed_as_the_rfc_shows() {
        // RFC 6376 §3.4.5.
        assert_eq!(relaxed("a", " X"), "a:X");
        assert_eq!(relaxed("b", " Y\t\r\n\tZ  "), "b:Y Z");
        let same = |body: &str, canonical: &str| {
            assert_eq!(
                hash_of_body(body.as_bytes()),
                digest(&SHA256, canonical.as_bytes()).as_ref(),
                "{body:?}"
            );
        };
        same(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
        same("", "");
        same("\r\n\r\n", "");
        same("a\r\n\r\nb", "a\r\n\r\nb\r\n");
        // RFC 8463 §A.3: the body hash of its message.
        let body = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
        assert_eq!(
            STANDARD.encode(hash_of_body(body.as_bytes())),
            "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
        );
    }

    #[test]
    fn the_rfcs_ed25519_signature_is_made_again() {
        // RFC 8463 §A.3, the fields of its h=, as they stand in the message.
        let head = "From: Joe SixPack <joe@football.example.com>\r\n\
            To: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n\
            Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
            Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
        let fields = fields_of(head.as_bytes());
        let mut input = Vec::new();
        for name in ["from", "to", "subject", "date", "message-id", "from", "subject", "date"] {
            let already = input.windows(name.len() + 1).any(|w: &[u8]| w == format!("{name}:").as_bytes());
            let value = fields.iter().find(|(other, _)| other == name.as_bytes()).unwrap().1;
            if !already {
                relaxed_field(&mut input, name.as_bytes(), value);
                input.extend_from_slice(b"\r\n");
            }
        }
        let value = " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
            q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
            bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
        relaxed_field(&mut input, b"dkim-signature", value.as_bytes());
        let signed = STANDARD.encode(seal().sign(&input).unwrap());
        assert_eq!(
            signed,
            "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
        );
    }

    #[test]
    fn keys_that_are_none_are_told_with_the_mend() {
        let new = |pem: &str| Seal::new("bao.example", "s1", pem).map(|_| ()).unwrap_err();
        assert_eq!(new("x"), DkimError::Pem);
        assert_eq!(new("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), DkimError::Kind);
        assert_eq!(Seal::new("bao.example", "s 1", ED25519).unwrap_err(), DkimError::Name);
        assert_eq!(Seal::new("bao..example", "s1", ED25519).unwrap_err(), DkimError::Name);
        assert!(!format!("{:?}", seal()).contains("157"), "no key in a log");
    }

    #[test]
    fn a_made_key_reads_back_and_its_signatures_repeat() {
        for kind in KeyKind::ALL {
            let seal = Seal::new("bao.example", "s1", &kind.generate().unwrap()).unwrap();
            assert_eq!(seal.kind(), kind);
            let sign = || {
                let head = b"From: a@bao.example\r\nSubject: x\r\n";
                signatures(head, b"body\r\n", std::slice::from_ref(&seal), Instant::default()).unwrap()
            };
            let text = sign();
            assert_eq!(text, sign());
            assert!(text.lines().all(|line| line.len() <= 78), "{text}");
            assert!(text.contains("from:from:to:subject:subject:"), "{text}");
        }
    }

    fn odd() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b'a'), any::<u8>()];
        prop::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(head in odd(), body in odd()) {
            let signed = signatures(&head, &body, &[seal()], Instant::default()).unwrap();
            prop_assert!(signed.starts_with("DKIM-Signature: ") && signed.ends_with("\r\n"));
        }

        #[test]
        fn what_is_hashed_as_it_is_is_relaxed(body in "([a:]?[ \t]{0,2}[a:\r\n]?(\r\n)?){0,8}") {
            if is_relaxed(body.as_bytes()) {
                prop_assert_eq!(relaxed_body(body.as_bytes()), body.as_bytes());
            }
        }

        #[test]
        fn relaxing_again_changes_nothing(value in "[ \ta-c\r\n]{0,60}") {
            let once = relaxed("x", &value);
            prop_assert_eq!(relaxed("x", once.strip_prefix("x:").unwrap()), once);
        }
    }
}
