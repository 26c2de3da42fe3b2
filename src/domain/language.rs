use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A language that readers are spoken to in. Vietnamese is the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Tiếng Việt.
    #[default]
    Vi,
    /// English.
    En,
}

impl Language {
    /// Every language, the first one first.
    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    /// The ISO 639-1 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// The best language for an `Accept-Language` header (RFC 9110 §12.5.4), or `None` where it
    /// names none of ours. Weights decide; `q=0` refuses.
    pub fn negotiate(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let weight =
                parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
            let primary = tag.split('-').next().unwrap_or_default();
            if let Ok(language) = primary.parse::<Self>()
                && weight > 0.0
                && best.is_none_or(|(most, _)| weight > most)
            {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

impl FromStr for Language {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "vi" => Ok(Self::Vi),
            "en" => Ok(Self::En),
            _ => Err(()),
        }
    }
}

/// The language of a text: a BCP 47 tag such as `vi` or `en-GB` (shape only, RFC 5646 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LanguageTag(String);

impl LanguageTag {
    /// Reads a tag; `None` where the text has not the shape of one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().replace('_', "-");
        let mut parts = text.split('-');
        let primary = parts.next()?;
        let shaped = (2..=8).contains(&primary.len())
            && primary.bytes().all(|b| b.is_ascii_alphabetic())
            && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
        shaped.then_some(Self(text))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language in which readers of this text are spoken to.
    pub fn spoken(&self) -> Language {
        self.0.split('-').next().and_then(|p| p.parse().ok()).unwrap_or_default()
    }
}

impl Default for LanguageTag {
    fn default() -> Self {
        Self("vi".to_owned())
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for LanguageTag {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no language tag; write `vi` or `en-GB`"))
    }
}

impl From<LanguageTag> for String {
    fn from(tag: LanguageTag) -> Self {
        tag.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_known_language_wins() {
        assert_eq!(Language::negotiate("fr, en;q=0.8, vi;q=0.9"), Some(Language::Vi));
        assert_eq!(Language::negotiate("en-GB,en;q=0.9"), Some(Language::En));
        assert_eq!(Language::negotiate("vi;q=0, fr"), None);
        assert_eq!(Language::negotiate(""), None);
    }

    #[test]
    fn tags_have_a_shape() {
        assert_eq!(LanguageTag::parse("vi_VN").unwrap().as_str(), "vi-VN");
        assert!(LanguageTag::parse("tiếng Việt").is_none());
        assert_eq!(LanguageTag::parse("en-GB").unwrap().spoken(), Language::En);
    }
}
