use super::{
    Category, CategoryId, CategoryTree, FeedContent, FeedDefinition, FeedKey, Format, LanguageTag,
    Publication, Slug, WebUrl,
};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// How many of its newest articles a feed shows where nobody says otherwise.
pub const DEFAULT_WINDOW: usize = 50;

/// The slug of the feed of everything.
pub const ALL_SLUG: &str = "all";

/// Which articles a file in `feeds/` selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    All,
    /// The category of this slug, with its children.
    Category(Slug),
}

/// A feed as a file in `feeds/` declares it; what it leaves out comes from the store.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredFeed {
    /// The file that declares it, for messages.
    pub file: String,
    /// Which articles.
    pub selection: Selection,
    /// Its name in URLs.
    pub slug: Option<Slug>,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// How many articles.
    pub window: Option<usize>,
    /// How much of each.
    pub content: Option<FeedContent>,
    /// In which formats.
    pub formats: Option<Vec<Format>>,
    /// Its language.
    pub language: Option<LanguageTag>,
    /// Its picture.
    pub image: Option<WebUrl>,
}

/// The feeds there are: one of everything and one for each category, as declared.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    feeds: Vec<FeedDefinition>,
    categories: HashMap<CategoryId, Category>,
    by_slug: HashMap<Slug, usize>,
    by_key: HashMap<FeedKey, usize>,
}

impl Directory {
    /// Puts declared feeds over the store's defaults. The feed of everything comes first, the
    /// others in the order of their titles.
    pub fn new(publication: &Publication, tree: &CategoryTree, declared: &[DeclaredFeed]) -> Self {
        let mut directory = Self::default();
        let of_all = declared.iter().find(|d| d.selection == Selection::All);
        if let Ok(slug) = Slug::parse(ALL_SLUG) {
            directory.add(define(publication, FeedKey::All, slug, &publication.title, of_all));
        }
        let mut categories: Vec<&Category> = tree.all().iter().collect();
        categories.sort_by_cached_key(|c| super::fold(&c.title));
        for category in categories {
            let own = declared.iter().find(|d| d.selection == Selection::Category(category.slug.clone()));
            let key = FeedKey::Category(category.id);
            directory.categories.insert(category.id, category.clone());
            directory.add(define(publication, key, category.slug.clone(), &category.title, own));
        }
        directory
    }

    fn add(&mut self, feed: FeedDefinition) {
        let at = self.feeds.len();
        self.by_key.insert(feed.key, at);
        self.by_slug.entry(feed.slug.clone()).or_insert(at);
        self.feeds.push(feed);
    }

    /// Every feed, that of everything first.
    pub fn feeds(&self) -> &[FeedDefinition] {
        &self.feeds
    }

    /// The feeds of categories.
    pub fn of_categories(&self) -> impl Iterator<Item = &FeedDefinition> {
        self.feeds.iter().filter(|feed| feed.key != FeedKey::All)
    }

    /// A feed by its name in URLs.
    pub fn by_slug(&self, slug: &Slug) -> Option<&FeedDefinition> {
        self.by_slug.get(slug).map(|at| &self.feeds[*at])
    }

    /// A feed by what it selects.
    pub fn by_key(&self, key: FeedKey) -> Option<&FeedDefinition> {
        self.by_key.get(&key).map(|at| &self.feeds[*at])
    }

    /// The category that a feed selects.
    pub fn category_of(&self, key: FeedKey) -> Option<&Category> {
        match key {
            FeedKey::All => None,
            FeedKey::Category(id) => self.categories.get(&id),
        }
    }

    /// What everything but the articles contributes to a feed's bytes. When it differs from the
    /// stored one, the feed has changed though no article has.
    pub fn fingerprint(publication: &Publication, feed: &FeedDefinition) -> String {
        /// Moves when a release writes the same articles differently.
        const RENDERING: &str = "1";
        let mut hash = Sha256::new();
        hash.update(RENDERING);
        hash.update(format!("{publication:?}\u{0}{feed:?}"));
        // An address prints as `EmailAddress(…)`: what a log must not show, a feed does.
        hash.update(publication.contact.as_ref().map(ToString::to_string).unwrap_or_default());
        super::hex(&hash.finalize()[..16])
    }
}

fn define(
    publication: &Publication,
    key: FeedKey,
    slug: Slug,
    title: &str,
    declared: Option<&DeclaredFeed>,
) -> FeedDefinition {
    let of = |pick: fn(&DeclaredFeed) -> Option<String>| declared.and_then(pick);
    let title = of(|d| d.title.clone()).unwrap_or_else(|| title.to_owned());
    let description = of(|d| d.description.clone()).unwrap_or_else(|| {
        if title == publication.title { title.clone() } else { format!("{title} – {}", publication.title) }
    });
    FeedDefinition {
        key,
        slug: declared.and_then(|d| d.slug.clone()).unwrap_or(slug),
        title,
        description,
        window: declared.and_then(|d| d.window).unwrap_or(DEFAULT_WINDOW),
        content: declared.and_then(|d| d.content).unwrap_or_default(),
        formats: declared.and_then(|d| d.formats.clone()).unwrap_or_else(|| Format::ALL.to_vec()),
        language: declared.and_then(|d| d.language.clone()),
        image: declared.and_then(|d| d.image.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn publication() -> Publication {
        Publication {
            id: Uuid::from_u128(1),
            title: "Báo Sông Hậu".into(),
            base_url: WebUrl::parse("https://bao.example").unwrap(),
            language: LanguageTag::default(),
            time_zone: chrono_tz::Tz::Asia__Ho_Chi_Minh,
            contact: None,
            logo: None,
        }
    }

    fn tree() -> CategoryTree {
        let category = |n, title: &str| Category {
            id: CategoryId::new(Uuid::from_u128(n)),
            slug: Slug::of_title(title).unwrap(),
            title: title.into(),
            parent: None,
        };
        CategoryTree::new(vec![category(2, "Xây dựng Đảng"), category(3, "Kinh tế")])
    }

    #[test]
    fn every_category_has_a_feed_without_a_file() {
        let directory = Directory::new(&publication(), &tree(), &[]);
        let slugs: Vec<_> = directory.feeds().iter().map(|f| f.slug.as_str()).collect();
        assert_eq!(slugs, ["all", "kinh-te", "xay-dung-dang"]);
        let feed = directory.by_slug(&Slug::parse("xay-dung-dang").unwrap()).unwrap();
        assert_eq!((feed.title.as_str(), feed.window), ("Xây dựng Đảng", 50));
        assert_eq!(directory.category_of(feed.key).unwrap().title, "Xây dựng Đảng");
    }

    #[test]
    fn a_declared_feed_overrides_only_what_it_says() {
        let declared = DeclaredFeed {
            file: "feeds/kinh-te.toml".into(),
            selection: Selection::Category(Slug::parse("kinh-te").unwrap()),
            slug: None,
            title: Some("Làm ăn".into()),
            description: None,
            window: Some(5),
            content: None,
            formats: Some(vec![Format::Rss]),
            language: None,
            image: None,
        };
        let directory = Directory::new(&publication(), &tree(), &[declared]);
        let feed = directory.by_slug(&Slug::parse("kinh-te").unwrap()).unwrap();
        assert_eq!((feed.title.as_str(), feed.window), ("Làm ăn", 5));
        assert_eq!(feed.formats, [Format::Rss]);
        let plain = Directory::new(&publication(), &tree(), &[]);
        assert_ne!(
            Directory::fingerprint(&publication(), feed),
            Directory::fingerprint(&publication(), plain.by_key(feed.key).unwrap())
        );
    }
}
