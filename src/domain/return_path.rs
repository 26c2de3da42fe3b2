use super::{DeliveryId, EmailAddress, Secret};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// RFC 4648 §6 in small letters: servers change the case of a local part.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 64 bits of number and 96 of HMAC-SHA-256.
const BYTES: usize = 20;
const MAC_BYTES: usize = 12;
/// The same in base 32: 160 bits are 32 letters.
const LETTERS: usize = 32;
/// RFC 5321 §4.5.3.1.1.
const LOCAL_BYTES: usize = 64;

/// Where mail that cannot be delivered goes back to: one address, or, where a `*` stands in it, one
/// for each delivery, in which the star is a signed number (VERP). What comes back to such an address
/// names its delivery whatever the server's report looks like, and nobody else can make one.
#[derive(Clone, PartialEq, Eq)]
pub struct ReturnPath {
    before: String,
    after: String,
    domain: String,
    /// Whether there is a star.
    signed: bool,
}

/// Why a text is no [`ReturnPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnPathError {
    /// It is not of the form.
    #[error(
        "must be an address such as tra-lai@bao.example, or tra-lai+*@bao.example where the mail server takes any word behind a plus: the star becomes a signed number for each mail"
    )]
    Malformed,
    /// No room is left for the number.
    #[error(
        "is too long: with the {LETTERS} letters of the number the part before the @ must stay below {LOCAL_BYTES}"
    )]
    TooLong,
}

/// An address of ours whose number we did not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the return address was not made by us")]
pub struct Forged;

impl ReturnPath {
    /// Whether each delivery has an address of its own.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// The address to which the mail of a delivery comes back.
    pub fn of(&self, delivery: DeliveryId, secret: &Secret) -> Option<EmailAddress> {
        let number = if self.signed { sealed(delivery, secret) } else { String::new() };
        EmailAddress::parse(&format!("{}{number}{}@{}", self.before, self.after, self.domain)).ok()
    }

    /// Whose delivery an address speaks of. `None`: it is not of this form, so somebody else's.
    /// The proof is compared in constant time.
    pub fn delivery_of(&self, address: &str, secret: &Secret) -> Option<Result<DeliveryId, Forged>> {
        if !self.signed {
            return None;
        }
        let address = address.trim().to_ascii_lowercase();
        let (local, domain) = address.rsplit_once('@')?;
        if domain != self.domain {
            return None;
        }
        let number = local.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        Some(opened(number, secret))
    }

    /// Whether an address is where mail comes back to, signed or not.
    pub fn takes(&self, address: &str) -> bool {
        let address = address.trim().to_ascii_lowercase();
        let Some((local, domain)) = address.rsplit_once('@') else { return false };
        let fits = local.starts_with(self.before.as_str()) && local.ends_with(self.after.as_str());
        domain == self.domain && if self.signed { fits } else { local == self.before }
    }
}

impl FromStr for ReturnPath {
    type Err = ReturnPathError;

    fn from_str(text: &str) -> Result<Self, ReturnPathError> {
        let text = text.trim();
        let signed = text.contains('*');
        // A letter in the star's place shows whether the rest is an address.
        let sample =
            EmailAddress::parse(&text.replacen('*', "a", 1)).map_err(|_| ReturnPathError::Malformed)?;
        let local = text.rsplit_once('@').map_or("", |(local, _)| local).to_ascii_lowercase();
        let (before, after) = local.split_once('*').unwrap_or((local.as_str(), ""));
        if after.contains('*') || text.matches('*').count() > usize::from(local.contains('*')) {
            return Err(ReturnPathError::Malformed);
        }
        let letters = if signed { LETTERS } else { 0 };
        if before.len() + after.len() + letters > LOCAL_BYTES {
            return Err(ReturnPathError::TooLong);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
            domain: sample.domain().to_owned(),
            signed,
        })
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.signed { "*" } else { "" };
        write!(f, "{}{star}{}@{}", self.before, self.after, self.domain)
    }
}

/// Hides the address, as [`EmailAddress`] does.
impl fmt::Debug for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReturnPath(…)")
    }
}

fn sealed(delivery: DeliveryId, secret: &Secret) -> String {
    let number = delivery.0.to_be_bytes();
    let mac = secret.mac("return-path", &[&number]);
    letters(number.into_iter().chain(mac.into_iter().take(MAC_BYTES)))
}

fn opened(number: &str, secret: &Secret) -> Result<DeliveryId, Forged> {
    let bytes = bytes(number).ok_or(Forged)?;
    let (number, proof) = bytes.split_at(BYTES - MAC_BYTES);
    let mac = secret.mac("return-path", &[number]);
    if !bool::from(mac[..MAC_BYTES].ct_eq(proof)) {
        return Err(Forged);
    }
    number.try_into().map(|number| DeliveryId(i64::from_be_bytes(number))).map_err(|_| Forged)
}

fn letters(bytes: impl Iterator<Item = u8>) -> String {
    let mut text = String::with_capacity(LETTERS);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
    }
    text
}

fn bytes(letters: &str) -> Option<[u8; BYTES]> {
    if letters.len() != LETTERS {
        return None;
    }
    let mut bytes = [0; BYTES];
    let (mut held, mut bits, mut at) = (0_u32, 0, 0);
    for letter in letters.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(at)? = u8::try_from((held >> bits) & 255).ok()?;
            at += 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret() -> Secret {
        Secret::new([7; 32])
    }

    fn path() -> ReturnPath {
        "Tra-Lai+*@Bao.example".parse().unwrap()
    }

    #[test]
    fn an_address_names_its_delivery_also_in_capitals() {
        let address = path().of(DeliveryId(42), &secret()).unwrap().to_string();
        assert!(address.starts_with("tra-lai+") && address.ends_with("@bao.example"), "{address}");
        assert_eq!(address.find('@'), Some(8 + LETTERS));
        assert_eq!(path().delivery_of(&address, &secret()), Some(Ok(DeliveryId(42))));
        assert_eq!(path().delivery_of(&address.to_uppercase(), &secret()), Some(Ok(DeliveryId(42))));
        assert_eq!(path().delivery_of(&address, &Secret::new([8; 32])), Some(Err(Forged)));
        assert_eq!(path().delivery_of("tra-lai+thu@bao.example", &secret()), Some(Err(Forged)));
        assert_eq!(path().delivery_of("doc.gia@bao.example", &secret()), None);
        assert_eq!(path().delivery_of(&address.replace("bao.", "ke."), &secret()), None);
    }

    #[test]
    fn without_a_star_it_is_one_address_for_all() {
        let plain: ReturnPath = "tra-lai@bao.example".parse().unwrap();
        assert_eq!(plain.of(DeliveryId(42), &secret()).unwrap().to_string(), "tra-lai@bao.example");
        assert_eq!(plain.delivery_of("tra-lai@bao.example", &secret()), None);
        assert!(plain.takes("Tra-lai@bao.example") && !plain.takes("ai@bao.example"));
        assert!(path().takes("tra-lai+x@bao.example") && !path().takes("tra-lai@bao.example"));
    }

    #[test]
    fn what_leaves_no_room_or_is_no_address_is_refused() {
        for wrong in ["", "tra-lai", "@bao.example", "a*b*c@bao.example", "a@*.example", "a b*@bao.example"] {
            assert_eq!(wrong.parse::<ReturnPath>(), Err(ReturnPathError::Malformed), "{wrong}");
        }
        let longest = format!("{}*@bao.example", "a".repeat(32));
        let address = longest.parse::<ReturnPath>().unwrap().of(DeliveryId(i64::MAX), &secret()).unwrap();
        assert_eq!(address.local().len(), 64);
        assert_eq!(format!("a{longest}").parse::<ReturnPath>(), Err(ReturnPathError::TooLong));
        assert_eq!("*@tra.bao.example".parse::<ReturnPath>().unwrap().to_string(), "*@tra.bao.example");
    }

    proptest! {
        #[test]
        fn nobody_can_make_one(n in 0_i64.., at in 8_usize..40, c in "[a-z2-7]") {
            let address = path().of(DeliveryId(n), &secret()).unwrap().to_string();
            prop_assert_eq!(path().delivery_of(&address, &secret()), Some(Ok(DeliveryId(n))));
            let mut forged = address.clone();
            forged.replace_range(at..=at, &c);
            prop_assume!(forged != address);
            prop_assert_eq!(path().delivery_of(&forged, &secret()), Some(Err(Forged)));
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            prop_assert!(!matches!(path().delivery_of(&text, &secret()), Some(Ok(_))));
            let _ = text.parse::<ReturnPath>();
        }
    }
}
