use super::{fold, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// The longest slug, in bytes. It becomes a label of a List-Id, and RFC 1035 §2.3.4 allows 63.
const MAX_BYTES: usize = 63;

/// A name in a URL: lower-case ASCII letters, digits and single hyphens, at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// Why a text is no slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    /// Nothing is left of the text.
    #[error("`{0}` has no letter or digit to make a slug of")]
    Empty(String),
    /// The text holds something that a slug cannot.
    #[error("`{0}` is no slug: use lower-case letters a to z, digits and single hyphens, at most 63")]
    Malformed(String),
}

impl Slug {
    /// Reads a slug as it stands in a URL or a file.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let well_formed = !text.is_empty()
            && text.len() <= MAX_BYTES
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--");
        if well_formed { Ok(Self(text.to_owned())) } else { Err(SlugError::Malformed(text.to_owned())) }
    }

    /// Makes the slug of a title: "Xây dựng Đảng" becomes `xay-dung-dang`.
    pub fn of_title(title: &str) -> Result<Self, SlugError> {
        let folded = fold(title);
        let mut slug = String::new();
        for word in folded.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
            let needed = word.len() + usize::from(!slug.is_empty());
            if slug.len() + needed > MAX_BYTES {
                if slug.is_empty() {
                    slug.push_str(&word[..MAX_BYTES]);
                }
                break;
            }
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.push_str(word);
        }
        if slug.is_empty() { Err(SlugError::Empty(title.to_owned())) } else { Ok(Self(slug)) }
    }

    /// Makes the slug of a folded text, no two texts the same one: where letters are lost (other
    /// scripts, a text beyond the longest slug), a digest tells it from others.
    pub fn telling(folded: &str) -> Self {
        let cut = Self::of_title(folded).map(String::from).unwrap_or_default();
        if cut == folded.replace(' ', "-") && !cut.is_empty() {
            return Self(cut);
        }
        let digest = hex(&Sha256::digest(folded)[..5]);
        let start = cut[..cut.len().min(50)].trim_end_matches('-');
        Self(if start.is_empty() { digest } else { format!("{start}-{digest}") })
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_slugs() {
        for (title, slug) in [
            ("Xây dựng Đảng", "xay-dung-dang"),
            ("Đắk Lắk", "dak-lak"),
            ("An ninh - Quốc phòng", "an-ninh-quoc-phong"),
            ("  Văn hóa/Thể thao & Du lịch ", "van-hoa-the-thao-du-lich"),
            ("Tin 24h 😀", "tin-24h"),
        ] {
            assert_eq!(Slug::of_title(title).unwrap().as_str(), slug, "{title}");
        }
    }

    #[test]
    fn what_has_no_letter_is_refused() {
        assert_eq!(Slug::of_title("😀"), Err(SlugError::Empty("😀".into())));
        for text in ["", "Abc", "a--b", "-a", "a-", "a b", "đ", "a+b", "a,b", "../x"] {
            assert!(Slug::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn long_titles_are_cut_between_words() {
        let slug = Slug::of_title(&"phong su ".repeat(20)).unwrap();
        assert!(slug.as_str().len() <= 63);
        assert!(Slug::parse(slug.as_str()).is_ok());
        let word = Slug::of_title(&"a".repeat(200)).unwrap();
        assert_eq!(word.as_str().len(), 63);
    }
}
