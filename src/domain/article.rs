use super::{
    ArticleId, Category, Instant, LanguageTag, Publication, SafeHtml, WebUrl, clean_line, fold, hex, micros,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A picture that stands for an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub url: WebUrl,
    /// Its width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What it shows; also its alternative text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
}

/// A file that belongs to an article: a recording, a film, a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclosure {
    /// Where it is.
    pub url: WebUrl,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Its size in bytes; RSS 2.0 demands one, and 0 stands for "not known".
    #[serde(default)]
    pub length: u64,
}

/// Where an article comes from, if not from this newsroom's own pen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name: "Báo Sóc Trăng".
    pub title: String,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<WebUrl>,
}

/// A section as a draft names it: by title or by slug. It is made when it is new.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CategoryName(pub String);

/// What tells that two drafts are one article. Several may lead to the same article.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdentityKey(String);

impl IdentityKey {
    /// The id that another system gave it, and which system that is (its name, or a feed's URL).
    pub fn external(system: &str, id: &str) -> Self {
        Self(format!("id:{}:{}", clean_line(system), clean_line(id)))
    }

    /// Its address. Scheme, `www.`, fragment, trailing slash and campaign parameters do not matter.
    pub fn url(url: &WebUrl) -> Self {
        let parsed = url.as_url();
        let host = url.host().strip_prefix("www.").unwrap_or(url.host()).to_owned();
        let port = parsed.port().map(|p| format!(":{p}")).unwrap_or_default();
        let mut query: Vec<String> = parsed
            .query_pairs()
            .filter(|(name, _)| !name.starts_with("utm_") && name != "fbclid" && name != "gclid")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        query.sort();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        Self(format!("url:{host}{port}{}{query}", parsed.path().trim_end_matches('/')))
    }

    /// Its title at its instant, for a page that was captured without its address.
    pub fn title(title: &str, published: Option<Instant>) -> Self {
        Self(format!("title:{}:{}", published.map_or(0, micros), fold(title)))
    }

    /// Its opening words at its instant: the same page after its title was edited.
    pub fn opening(text: &str, published: Option<Instant>) -> Self {
        let opening: String = fold(text).chars().take(400).collect();
        Self(format!("opening:{}:{}", published.map_or(0, micros), hex(&Sha256::digest(opening))))
    }

    /// The key as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What came in, not yet ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// What it is recognised by, the strongest first; never empty.
    pub keys: Vec<IdentityKey>,
    /// The headline; never empty.
    pub title: String,
    /// The lead, as plain text.
    pub summary: Option<String>,
    /// The full text. May be empty where there is a summary.
    #[serde(with = "cleaned")]
    pub body: SafeHtml,
    /// Where readers find it on the newspaper's site.
    pub url: Option<WebUrl>,
    /// Its sections.
    pub categories: Vec<CategoryName>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its bylines.
    pub authors: Vec<String>,
    /// When it was published, or will be. Without one: when it comes in.
    pub published: Option<Instant>,
    /// When it was last changed in a way that matters, as its source says.
    pub updated: Option<Instant>,
    /// Its picture.
    pub image: Option<Image>,
    /// Its files.
    pub enclosures: Vec<Enclosure>,
    /// Where it comes from.
    pub source: Option<Source>,
    /// Its language, where it is not the publication's.
    pub language: Option<LanguageTag>,
    /// Whether a change moves `updated`.
    pub significant: bool,
}

/// HTML of a draft that we keep ourselves: it was cleaned when it came in.
mod cleaned {
    use super::SafeHtml;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(html: &SafeHtml, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(html.as_str())
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<SafeHtml, D::Error> {
        String::deserialize(from).map(SafeHtml::stored)
    }
}

impl Draft {
    /// A draft with a title and nothing else yet. `None` where the title is blank.
    pub fn titled(title: &str) -> Option<Self> {
        let title = clean_line(title);
        (!title.is_empty()).then(|| Self {
            keys: vec![IdentityKey::title(&title, None)],
            title,
            summary: None,
            body: SafeHtml::default(),
            url: None,
            categories: Vec::new(),
            tags: Vec::new(),
            authors: Vec::new(),
            published: None,
            updated: None,
            image: None,
            enclosures: Vec::new(),
            source: None,
            language: None,
            significant: true,
        })
    }

    /// A digest of everything a reader can see. Two drafts with the same one are the same
    /// revision, so importing a thing twice changes nothing. `published` and `updated` are not in
    /// it: an article without a date must not differ from itself an hour later.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |name: &str, value: &str| {
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
            hash.update((value.len() as u64).to_be_bytes());
            hash.update(value);
        };
        field("title", &self.title);
        field("summary", self.summary.as_deref().unwrap_or_default());
        field("body", self.body.as_str());
        field("url", self.url.as_ref().map_or("", WebUrl::as_str));
        for category in &self.categories {
            field("category", &fold(&category.0));
        }
        for tag in &self.tags {
            field("tag", tag);
        }
        for author in &self.authors {
            field("author", author);
        }
        field("image", &serde_json::to_string(&self.image).unwrap_or_default());
        field("enclosures", &serde_json::to_string(&self.enclosures).unwrap_or_default());
        field("source", &serde_json::to_string(&self.source).unwrap_or_default());
        field("language", self.language.as_ref().map_or("", LanguageTag::as_str));
        hex(&hash.finalize())
    }
}

/// Where an article stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArticleState {
    /// Its instant is still to come; it is invisible everywhere.
    Embargoed,
    /// Everybody can read it.
    Visible,
    /// Taken back: gone from every feed, never mailed again.
    Withdrawn,
}

impl ArticleState {
    /// The word in which the state is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embargoed => "embargoed",
            Self::Visible => "visible",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Reads a stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Embargoed, Self::Visible, Self::Withdrawn].into_iter().find(|s| s.as_str() == word)
    }
}

/// The full text, or the knowledge that it was not asked for.
pub type Body = SafeHtml;

/// One piece in the store, at its present revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Article {
    /// Its name for ever.
    pub id: ArticleId,
    /// Where it stands in its life.
    pub state: ArticleState,
    /// The number of its present revision, from 1.
    pub revision: i64,
    /// The headline.
    pub title: String,
    /// The lead, as plain text.
    pub summary: Option<String>,
    /// The full text.
    pub body: Body,
    /// Where readers find it on the newspaper's site.
    pub url: Option<WebUrl>,
    /// Its sections.
    pub categories: Vec<Category>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its bylines.
    pub authors: Vec<String>,
    /// When it was published; never changes once it is visible.
    pub published: Instant,
    /// When it last changed in a way that matters (RFC 4287 §4.2.15).
    pub updated: Instant,
    /// Its picture.
    pub image: Option<Image>,
    /// Its files.
    pub enclosures: Vec<Enclosure>,
    /// Where it comes from.
    pub source: Option<Source>,
    /// Its language, where it is not the publication's.
    pub language: Option<LanguageTag>,
}

impl Article {
    /// Where a reader finds it: its own address, or our page for it.
    pub fn link(&self, publication: &Publication) -> String {
        match &self.url {
            Some(url) => url.as_str().to_owned(),
            None => publication.url(&format!("/articles/{}", self.id)),
        }
    }

    /// The lead, or the beginning of the text where there is none.
    pub fn lead(&self) -> String {
        match &self.summary {
            Some(summary) if !summary.is_empty() => summary.clone(),
            _ => super::excerpt(&self.body.text(), 300),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_recognised_in_its_variants() {
        let key = |text| IdentityKey::url(&WebUrl::parse(text).unwrap());
        let plain = key("https://bao.example/a.html");
        for variant in [
            "http://www.bao.example/a.html",
            "https://bao.example/a.html#top",
            "https://bao.example/a.html?utm_source=x",
            "https://bao.example/a.html/",
        ] {
            assert_eq!(key(variant), plain, "{variant}");
        }
        assert_ne!(key("https://bao.example/a.html?id=2"), plain);
    }

    #[test]
    fn the_fingerprint_sees_what_readers_see() {
        let draft = Draft::titled("Một").unwrap();
        let mut edited = draft.clone();
        edited.published = Some(Instant::default());
        assert_eq!(draft.fingerprint(), edited.fingerprint());
        edited.authors.push("CHÍ BẢO".into());
        assert_ne!(draft.fingerprint(), edited.fingerprint());
    }

    #[test]
    fn a_blank_title_makes_no_draft() {
        assert!(Draft::titled(" \u{200b}\n").is_none());
    }
}
