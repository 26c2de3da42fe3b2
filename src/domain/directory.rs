use super::{
    Category, CategoryId, CategoryTree, FeedContent, FeedDefinition, FeedKey, FeedPlace, Format, Label,
    LanguageTag, Publication, Selection, Slug, Term, WebUrl,
};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// How many of its newest articles a feed shows where nobody says otherwise.
pub const DEFAULT_WINDOW: usize = 50;

/// The slug of the feed of everything.
pub const ALL_SLUG: &str = "all";

/// Which articles a file in `feeds/` selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Everything.
    All,
    /// The category of this slug, with its children.
    Category(Slug),
    /// A tag, byline or source.
    Label(Label),
    /// Articles of any of these.
    Union(Vec<Term>),
    /// Articles of each of these.
    Intersection(Vec<Term>),
    /// Articles that hold these words.
    Search(String),
}

/// A feed as a file in `feeds/` declares it; what it leaves out comes from the store.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredFeed {
    /// The file that declares it, for messages.
    pub file: String,
    /// Which articles.
    pub selected: Selected,
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

/// The feeds that have a slug: one of everything, one for each category, and those declared.
/// Labels have feeds too, but there are many; they are looked up in the store.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    feeds: Vec<FeedDefinition>,
    categories: HashMap<CategoryId, Category>,
    by_slug: HashMap<Slug, usize>,
    by_selection: HashMap<Selection, usize>,
}

impl Directory {
    /// Puts declared feeds over the store's defaults. The feed of everything comes first, the
    /// others in the order of their titles.
    pub fn new(publication: &Publication, tree: &CategoryTree, declared: &[DeclaredFeed]) -> Self {
        let mut directory = Self::default();
        let of_all = declared.iter().find(|d| d.selected == Selected::All);
        if let Ok(slug) = Slug::parse(ALL_SLUG) {
            directory.add(define(
                publication,
                Selection::One(FeedKey::All),
                slug,
                &publication.title,
                of_all,
            ));
        }
        let mut others: Vec<FeedDefinition> = Vec::new();
        for category in tree.all() {
            directory.categories.insert(category.id, category.clone());
            let own = declared.iter().find(|d| d.selected == Selected::Category(category.slug.clone()));
            let selection = Selection::One(FeedKey::Category(category.id));
            others.push(define(publication, selection, category.slug.clone(), &category.title, own));
        }
        for own in declared {
            let Some((selection, title)) = selection_of(tree, &own.selected) else { continue };
            let Some(slug) = own.slug.clone() else { continue };
            others.push(define(publication, selection, slug, &title, Some(own)));
        }
        others.sort_by_cached_key(|feed| super::fold(&feed.title));
        others.into_iter().for_each(|feed| directory.add(feed));
        directory
    }

    fn add(&mut self, feed: FeedDefinition) {
        let at = self.feeds.len();
        self.by_selection.insert(feed.selection.clone(), at);
        if let Some(slug) = feed.slug() {
            self.by_slug.entry(slug.clone()).or_insert(at);
        }
        self.feeds.push(feed);
    }

    /// Every feed, that of everything first.
    pub fn feeds(&self) -> &[FeedDefinition] {
        &self.feeds
    }

    /// Those that have an address: of two with one name, the first has it.
    pub fn published(&self) -> impl Iterator<Item = &FeedDefinition> {
        let first = |at: usize, feed: &FeedDefinition| {
            feed.slug().is_none_or(|slug| self.by_slug.get(slug) == Some(&at))
        };
        self.feeds.iter().enumerate().filter(move |(at, feed)| first(*at, feed)).map(|(_, feed)| feed)
    }

    /// The feeds of categories.
    pub fn of_categories(&self) -> impl Iterator<Item = &FeedDefinition> {
        self.feeds.iter().filter(|feed| matches!(feed.selection, Selection::One(FeedKey::Category(_))))
    }

    /// A feed by its name in URLs.
    pub fn by_slug(&self, slug: &Slug) -> Option<&FeedDefinition> {
        self.by_slug.get(slug).map(|at| &self.feeds[*at])
    }

    /// A feed by what it selects.
    pub fn by_selection(&self, selection: &Selection) -> Option<&FeedDefinition> {
        self.by_selection.get(selection).map(|at| &self.feeds[*at])
    }

    /// The feed of a kept feed's entries.
    pub fn by_key(&self, key: FeedKey) -> Option<&FeedDefinition> {
        self.by_selection(&Selection::One(key))
    }

    /// The category that a feed selects.
    pub fn category_of(&self, selection: &Selection) -> Option<&Category> {
        match selection {
            Selection::One(FeedKey::Category(id)) => self.categories.get(id),
            _ => None,
        }
    }

    /// What everything but the articles contributes to a feed's bytes. When it differs from the
    /// stored one, the feed has changed though no article has.
    pub fn fingerprint(publication: &Publication, feed: &FeedDefinition) -> String {
        /// Moves when a release writes the same articles differently.
        const RENDERING: &str = "2";
        let mut hash = Sha256::new();
        hash.update(RENDERING);
        hash.update(format!("{publication:?}\u{0}{feed:?}"));
        // An address prints as `EmailAddress(…)`: what a log must not show, a feed does.
        hash.update(publication.contact.as_ref().map(ToString::to_string).unwrap_or_default());
        super::hex(&hash.finalize()[..16])
    }
}

/// What a file selects that is no feed by default, and its title where the file gives none. `None`
/// where a term names nothing that there is; `bantin check` says so.
fn selection_of(tree: &CategoryTree, selected: &Selected) -> Option<(Selection, String)> {
    let joined = |terms: &[Term], sign: &str| -> Option<(Vec<FeedKey>, String)> {
        let found: Option<Vec<(FeedKey, String)>> = terms.iter().map(|term| key_of(tree, term)).collect();
        let (mut keys, titles): (Vec<FeedKey>, Vec<String>) = found?.into_iter().unzip();
        keys.sort_unstable();
        Some((keys, titles.join(sign)))
    };
    match selected {
        Selected::All | Selected::Category(_) => None,
        Selected::Label(label) => Some((Selection::One(FeedKey::Label(label.id)), label.title.clone())),
        Selected::Union(terms) => joined(terms, ", ").map(|(keys, title)| (Selection::Union(keys), title)),
        Selected::Intersection(terms) => {
            joined(terms, " + ").map(|(keys, title)| (Selection::Intersection(keys), title))
        }
        Selected::Search(words) => Some((Selection::Search(super::fold(words)), words.clone())),
    }
}

fn key_of(tree: &CategoryTree, term: &Term) -> Option<(FeedKey, String)> {
    match term {
        Term::Named(slug) if slug.as_str() == ALL_SLUG => Some((FeedKey::All, slug.to_string())),
        Term::Named(slug) => {
            tree.by_slug(slug).map(|category| (FeedKey::Category(category.id), category.title.clone()))
        }
        Term::Label(kind, slug) => {
            Label::of(*kind, slug.as_str()).map(|label| (FeedKey::Label(label.id), label.title))
        }
    }
}

fn define(
    publication: &Publication,
    selection: Selection,
    slug: Slug,
    title: &str,
    declared: Option<&DeclaredFeed>,
) -> FeedDefinition {
    let of = |pick: fn(&DeclaredFeed) -> Option<String>| declared.and_then(pick);
    let title = of(|d| d.title.clone()).unwrap_or_else(|| title.to_owned());
    let slug = declared.and_then(|d| d.slug.clone()).unwrap_or(slug);
    FeedDefinition {
        description: of(|d| d.description.clone()).unwrap_or_else(|| described(publication, &title)),
        window: declared.and_then(|d| d.window).unwrap_or(DEFAULT_WINDOW),
        content: declared.and_then(|d| d.content).unwrap_or_default(),
        formats: declared.and_then(|d| d.formats.clone()).unwrap_or_else(|| Format::ALL.to_vec()),
        language: declared.and_then(|d| d.language.clone()),
        image: declared.and_then(|d| d.image.clone()),
        ..FeedDefinition::undeclared(publication, selection, FeedPlace::Named(slug.into()), title)
    }
}

impl FeedDefinition {
    /// A feed of which no file says anything.
    pub fn undeclared(
        publication: &Publication,
        selection: Selection,
        place: FeedPlace,
        title: String,
    ) -> Self {
        Self {
            selection,
            place,
            description: described(publication, &title),
            title,
            window: DEFAULT_WINDOW,
            content: FeedContent::default(),
            formats: Format::ALL.to_vec(),
            language: None,
            image: None,
        }
    }
}

fn described(publication: &Publication, title: &str) -> String {
    if title == publication.title { title.to_owned() } else { format!("{title} – {}", publication.title) }
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
            license: None,
            rights: None,
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
        let slugs: Vec<_> = directory.feeds().iter().map(|f| f.slug().unwrap().as_str()).collect();
        assert_eq!(slugs, ["all", "kinh-te", "xay-dung-dang"]);
        let feed = directory.by_slug(&Slug::parse("xay-dung-dang").unwrap()).unwrap();
        assert_eq!((feed.title.as_str(), feed.window), ("Xây dựng Đảng", 50));
        assert_eq!(directory.category_of(&feed.selection).unwrap().title, "Xây dựng Đảng");
    }

    #[test]
    fn a_declared_feed_overrides_only_what_it_says() {
        let declared = DeclaredFeed {
            file: "feeds/kinh-te.toml".into(),
            selected: Selected::Category(Slug::parse("kinh-te").unwrap()),
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
            Directory::fingerprint(&publication(), plain.by_selection(&feed.selection).unwrap())
        );
    }
}
