use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An e-mail address that a message can be sent to (RFC 5321 §4.1.2), its domain in lower-case
/// A-labels (RFC 5891).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    local: String,
    domain: String,
}

/// Why a text is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has not the form of an address.
    #[error("this is no e-mail address; write it like ten@example.vn")]
    Malformed,
    /// Its domain cannot be on the public network.
    #[error("the part behind the @ is no complete domain name; write it like example.vn")]
    Domain,
    /// It is longer than SMTP carries (RFC 5321 §4.5.3.1).
    #[error("this address is too long: at most 64 characters before the @ and 254 in all")]
    TooLong,
}

impl EmailAddress {
    /// Reads an address as a person types it: blanks around it and a `mailto:` do not matter.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = text.strip_prefix("mailto:").unwrap_or(text);
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Malformed)?;
        if local.len() > 64 || text.len() > 254 {
            return Err(AddressError::TooLong);
        }
        let parsed = lettre::Address::new(local, domain).map_err(|_| AddressError::Malformed)?;
        let hostile =
            |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | ',' | ';' | '\\');
        if parsed.user().contains(hostile) {
            return Err(AddressError::Malformed);
        }
        let domain = match url::Host::parse(domain).map_err(|_| AddressError::Domain)? {
            url::Host::Domain(domain) => domain,
            url::Host::Ipv4(_) | url::Host::Ipv6(_) => return Err(AddressError::Domain),
        };
        let complete = domain == "localhost" || domain.split('.').count() >= 2;
        if !complete || !domain.split('.').all(is_label) {
            return Err(AddressError::Domain);
        }
        if local.len() + 1 + domain.len() > 254 {
            return Err(AddressError::TooLong);
        }
        Ok(Self { local: local.to_owned(), domain })
    }

    /// The part before the `@`, as its owner writes it.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, in lower case, as A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Enough of an address for its owner to know it: `n…@example.vn`.
    pub fn hint(&self) -> String {
        format!("{}…@{}", self.local.chars().next().unwrap_or('…'), self.domain)
    }

    /// The form in which two spellings of one mailbox are the same. RFC 5321 §2.4 lets a server
    /// tell `An@` from `an@`, but none that people use does.
    pub fn key(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }
}

/// A `sub-domain` (RFC 5321 §4.1.2) of a length that DNS carries (RFC 1035 §2.3.4). URLs may have more in
/// theirs, and an A-label is longer than what was typed.
fn is_label(label: &str) -> bool {
    let is_let_dig_or_hyphen = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_let_dig_or_hyphen)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Hides the address: what is printed with `{:?}` ends in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_type_addresses_in_many_ways() {
        for (typed, address) in [
            (" An.Nguyen@Example.VN ", "An.Nguyen@example.vn"),
            ("mailto:a@b.vn", "a@b.vn"),
            ("a+tin@báo.vn", "a+tin@xn--bo-mia.vn"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(EmailAddress::parse(typed).unwrap().to_string(), address);
        }
        assert_eq!(EmailAddress::parse("AN@b.vn").unwrap().key(), "an@b.vn");
    }

    #[test]
    fn what_cannot_be_mailed_is_refused() {
        for typed in [
            "",
            "a",
            "a@",
            "@b.vn",
            "a@b",
            "a b@c.vn",
            "a@b..vn",
            "a@b&c.vn",
            "a@ӊ&-na.vn",
            "a@b_c.vn",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a\r\nRCPT TO:<x@y.vn>@b.vn",
            "a@b.vn\r\nDATA",
            "<a@b.vn>",
        ] {
            assert!(EmailAddress::parse(typed).is_err(), "{typed:?}");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@b.vn", "a".repeat(65))), Err(AddressError::TooLong));
        // 56 letters as they are typed, 64 as an A-label.
        let long = format!("a@{}Ҡ.ӊ&-na", "b".repeat(55));
        assert_eq!(EmailAddress::parse(&long), Err(AddressError::Domain));
    }

    #[test]
    fn debug_shows_no_address() {
        assert!(!format!("{:?}", EmailAddress::parse("a@b.vn").unwrap()).contains('@'));
    }
}
