use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use url::Url;

/// An absolute `http` or `https` URL, percent-encoded, as RSS requires ("URL, not IRI").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebUrl(Url);

/// Why a text is no web address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebUrlError {
    /// It cannot be read as a URL.
    #[error("`{text}` is no absolute URL ({reason}); write it like https://bao.example/bai.html")]
    Malformed {
        /// What was given.
        text: String,
        /// What the parser said.
        reason: String,
    },
    /// Its scheme is neither http nor https.
    #[error("`{0}` is no web address: it must begin with http:// or https://")]
    Scheme(String),
}

impl WebUrl {
    /// Reads an absolute address; letters outside ASCII are percent-encoded (RFC 3987 §3.1).
    pub fn parse(text: &str) -> Result<Self, WebUrlError> {
        let text = text.trim();
        let url = Url::parse(text)
            .map_err(|error| WebUrlError::Malformed { text: text.to_owned(), reason: error.to_string() })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(WebUrlError::Scheme(text.to_owned()));
        }
        Ok(Self(url))
    }

    /// Resolves a reference found in the document at this address (RFC 3986 §5).
    pub fn join(&self, reference: &str) -> Result<Self, WebUrlError> {
        let url = self.0.join(reference.trim()).map_err(|error| WebUrlError::Malformed {
            text: reference.to_owned(),
            reason: error.to_string(),
        })?;
        Self::parse(url.as_str())
    }

    /// A path under this address: `https://a.example/tin` and `/x.rss` give
    /// `https://a.example/tin/x.rss`. The path is ASCII that we wrote ourselves.
    pub fn with_path(&self, path: &str) -> String {
        format!("{}/{}", self.as_str().trim_end_matches('/'), path.trim_start_matches('/'))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed form.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host name, in lower case, IDN as A-labels.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl FromStr for WebUrl {
    type Err = WebUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for WebUrl {
    type Error = WebUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<WebUrl> for String {
    fn from(url: WebUrl) -> Self {
        url.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vietnamese_addresses_are_encoded() {
        let url = WebUrl::parse("https://báo.example/xây-dựng-đảng?q=đảng").unwrap();
        assert!(url.as_str().is_ascii());
        assert!(url.as_str().contains("%C4%91%E1%BA%A3ng"), "{url}");
    }

    #[test]
    fn other_schemes_are_refused() {
        for text in ["ftp://a.example/", "javascript:alert(1)", "mailto:a@b.vn"] {
            assert!(matches!(WebUrl::parse(text), Err(WebUrlError::Scheme(_))), "{text}");
        }
        assert!(matches!(WebUrl::parse("/bai.html"), Err(WebUrlError::Malformed { .. })));
    }

    #[test]
    fn paths_go_below_the_base() {
        let base = WebUrl::parse("https://a.example/tin/").unwrap();
        assert_eq!(base.with_path("/feeds/all.rss"), "https://a.example/tin/feeds/all.rss");
    }
}
