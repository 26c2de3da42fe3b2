use super::{EmailAddress, LanguageTag, WebUrl};
use uuid::Uuid;

/// The newspaper: what every feed, page and mail says about who publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Made once when the store is made; feeds derive their permanent ids from it.
    pub id: Uuid,
    /// The name as it stands on the masthead.
    pub title: String,
    /// Where this program is reached from outside, without a trailing slash in what is derived.
    pub base_url: WebUrl,
    /// The language of its articles where they say none.
    pub language: LanguageTag,
    /// The zone in which its dates are written.
    pub time_zone: chrono_tz::Tz,
    /// Whom readers may write to.
    pub contact: Option<EmailAddress>,
    /// Its logo.
    pub logo: Option<WebUrl>,
    /// The licence under which its articles may be used.
    pub license: Option<WebUrl>,
    /// Who holds the rights, in a sentence.
    pub rights: Option<String>,
}

impl Publication {
    /// An absolute URL of this program: `url("/feeds/all.rss")`.
    pub fn url(&self, path: &str) -> String {
        self.base_url.with_path(path)
    }
}
