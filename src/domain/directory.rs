use super::{
    Alias, Category, CategoryId, CategoryTree, FeedContent, FeedDefinition, FeedKey, FeedPlace, Format,
    Label, LanguageTag, Lookup, OldAddress, OldPath, Publication, PushContent, Selection, Slug, Term, WebUrl,
};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};

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
    /// None: a retired feed of which only the address is known.
    Nothing,
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
    /// What its callbacks are pushed.
    pub push: Option<PushContent>,
    /// The addresses that it had before.
    pub aliases: Vec<Alias>,
    /// Whether it has ended for good: its addresses say so, and it is in no list.
    pub retired: bool,
}

/// The feeds that have a slug: one of everything, one for each category, and those declared.
/// Labels have feeds too, but there are many; they are looked up in the store.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    feeds: Vec<FeedDefinition>,
    categories: HashMap<CategoryId, Category>,
    by_slug: HashMap<Slug, usize>,
    by_selection: HashMap<Selection, usize>,
    /// Slugs that feeds had before, or would have had.
    moved: HashMap<Slug, usize>,
    retired: HashSet<Slug>,
    /// Paths of old systems; `None` where the feed is retired.
    paths: HashMap<OldAddress, Option<usize>>,
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
        let overrides = overrides(tree, declared);
        directory.retire(declared.iter().filter(|d| d.is_retired()));
        let mut others: Vec<FeedDefinition> = Vec::new();
        for category in tree.all() {
            directory.categories.insert(category.id, category.clone());
            let own = overrides.get(&category.id).copied();
            let selection = Selection::One(FeedKey::Category(category.id));
            let feed = define(publication, selection, category.slug.clone(), &category.title, own);
            if own.is_some_and(DeclaredFeed::is_retired) {
                directory.retired.insert(category.slug.clone());
            } else if feed.slug().is_none_or(|slug| !is_retired_by_name(slug, declared)) {
                others.push(feed);
            }
        }
        for own in declared.iter().filter(|d| !d.retired) {
            let Some((selection, title)) = selection_of(tree, &own.selected) else { continue };
            let Some(slug) = own.slug.clone() else { continue };
            others.push(define(publication, selection, slug, &title, Some(own)));
        }
        others.sort_by_cached_key(|feed| super::fold(&feed.title));
        others.into_iter().for_each(|feed| directory.add(feed));
        directory.add_aliases(tree, declared);
        directory.add_former(tree);
        directory
    }

    fn retire<'f>(&mut self, ended: impl Iterator<Item = &'f DeclaredFeed>) {
        for feed in ended {
            self.retired.extend(feed.slug.clone());
            if let Selected::Category(slug) = &feed.selected {
                self.retired.insert(slug.clone());
            }
            for alias in &feed.aliases {
                match alias {
                    Alias::Slug(slug) => drop(self.retired.insert(slug.clone())),
                    Alias::Path(path) => drop(self.paths.insert(path.clone(), None)),
                }
            }
        }
    }

    /// What files say of former addresses goes before what the store remembers.
    fn add_aliases(&mut self, tree: &CategoryTree, declared: &[DeclaredFeed]) {
        for feed in declared.iter().filter(|d| !d.is_retired()) {
            let selection = match &feed.selected {
                Selected::All => Some(Selection::One(FeedKey::All)),
                Selected::Category(slug) => {
                    tree.find(slug).map(|category| Selection::One(FeedKey::Category(category.id)))
                }
                other => selection_of(tree, other).map(|(selection, _)| selection),
            };
            let Some(at) = selection.and_then(|s| self.by_selection.get(&s)).copied() else { continue };
            for alias in &feed.aliases {
                match alias {
                    Alias::Slug(slug) => drop(self.moved.entry(slug.clone()).or_insert(at)),
                    Alias::Path(path) => drop(self.paths.entry(path.clone()).or_insert(Some(at))),
                }
            }
        }
    }

    /// A category's own slug where a file gave its feed another, and the slugs that it had before.
    fn add_former(&mut self, tree: &CategoryTree) {
        let present = tree.all().iter().map(|category| (&category.slug, category.id));
        for (slug, id) in present.chain(tree.all_former()) {
            match self.by_selection.get(&Selection::One(FeedKey::Category(id))) {
                Some(at) => drop(self.moved.entry(slug.clone()).or_insert(*at)),
                None if self.categories.contains_key(&id) && !self.moved.contains_key(slug) => {
                    self.retired.insert(slug.clone());
                }
                None => {}
            }
        }
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

    /// What a name in URLs leads to: a present feed before an ended one, and that before a moved.
    pub fn lookup(&self, slug: &Slug) -> Lookup<'_> {
        match self.by_slug(slug) {
            Some(feed) => Lookup::Feed(feed),
            None if self.retired.contains(slug) => Lookup::Retired,
            None => self.moved.get(slug).map_or(Lookup::Nothing, |at| Lookup::Moved(&self.feeds[*at])),
        }
    }

    /// What became of a path of an old system, as it stands in the request.
    pub fn old_path(&self, path: &str) -> Option<OldPath<'_>> {
        let address = OldAddress::of(path);
        Some(match self.paths.get(&address)? {
            Some(at) => OldPath::Moved { feed: &self.feeds[*at], format: address.format() },
            None => OldPath::Retired,
        })
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

impl DeclaredFeed {
    /// That of everything cannot end.
    fn is_retired(&self) -> bool {
        self.retired && self.selected != Selected::All
    }
}

/// Whether a file retires whatever feed has this name. One that says which articles it means
/// retires those alone, also when another feed takes its name.
fn is_retired_by_name(slug: &Slug, declared: &[DeclaredFeed]) -> bool {
    declared.iter().any(|d| d.retired && d.selected == Selected::Nothing && d.slug.as_ref() == Some(slug))
}

/// What files say of categories. A file that names a category by a former slug still speaks of it,
/// unless another names it as it is called now.
fn overrides<'f>(tree: &CategoryTree, declared: &'f [DeclaredFeed]) -> HashMap<CategoryId, &'f DeclaredFeed> {
    let named = |find: &dyn Fn(&Slug) -> Option<CategoryId>| -> Vec<(CategoryId, &'f DeclaredFeed)> {
        let of_category = declared.iter().filter_map(|feed| match &feed.selected {
            Selected::Category(slug) => Some((find(slug)?, feed)),
            _ => None,
        });
        of_category.collect()
    };
    let mut overrides = HashMap::new();
    let present = named(&|slug| tree.by_slug(slug).map(|category| category.id));
    let former = named(&|slug| tree.find(slug).map(|category| category.id));
    for (id, feed) in present.into_iter().chain(former) {
        overrides.entry(id).or_insert(feed);
    }
    overrides
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
        Selected::All | Selected::Category(_) | Selected::Nothing => None,
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
            tree.find(slug).map(|category| (FeedKey::Category(category.id), category.title.clone()))
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
        push: declared.and_then(|d| d.push).unwrap_or_default(),
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
            push: PushContent::default(),
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
            title: Some("Làm ăn".into()),
            window: Some(5),
            formats: Some(vec![Format::Rss]),
            ..file(of("kinh-te"), None)
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
    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn of(category: &str) -> Selected {
        Selected::Category(slug(category))
    }

    fn file(selected: Selected, name: Option<&str>) -> DeclaredFeed {
        DeclaredFeed {
            file: "feeds/mot.toml".into(),
            selected,
            slug: name.map(slug),
            title: None,
            description: None,
            window: None,
            content: None,
            push: None,
            formats: None,
            language: None,
            image: None,
            aliases: Vec::new(),
            retired: false,
        }
    }

    fn known_as(feed: DeclaredFeed, aliases: &[&str]) -> DeclaredFeed {
        DeclaredFeed { aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(), ..feed }
    }

    fn ended(feed: DeclaredFeed) -> DeclaredFeed {
        DeclaredFeed { retired: true, ..feed }
    }

    fn directory(tree: &CategoryTree, declared: &[DeclaredFeed]) -> Directory {
        Directory::new(&publication(), tree, declared)
    }

    /// `kinh-te`, `-> kinh-te` where it moved, `ended`, `nothing`.
    fn found(directory: &Directory, name: &str) -> String {
        match directory.lookup(&slug(name)) {
            Lookup::Feed(feed) => feed.slug().unwrap().to_string(),
            Lookup::Moved(feed) => format!("-> {}", feed.slug().unwrap()),
            Lookup::Retired => "ended".to_owned(),
            Lookup::Nothing => "nothing".to_owned(),
        }
    }

    fn renamed() -> CategoryTree {
        let economy = CategoryId::new(Uuid::from_u128(3));
        tree().with_former(vec![(slug("lam-an"), economy), (slug("xay-dung-dang"), economy)])
    }

    #[test]
    fn a_name_that_a_feed_had_leads_to_the_one_it_has() {
        let plain = directory(&renamed(), &[]);
        assert_eq!(found(&plain, "kinh-te"), "kinh-te");
        assert_eq!(found(&plain, "lam-an"), "-> kinh-te");
        assert_eq!(found(&plain, "xay-dung-dang"), "xay-dung-dang", "another has it now");
        assert_eq!(found(&plain, "la"), "nothing");
        let named = directory(&renamed(), &[known_as(file(of("kinh-te"), Some("tien")), &["tien-bac"])]);
        for old in ["kinh-te", "lam-an", "tien-bac"] {
            assert_eq!(found(&named, old), "-> tien");
        }
    }

    #[test]
    fn a_file_speaks_of_its_category_also_by_a_former_slug() {
        let by_old = DeclaredFeed { window: Some(5), ..file(of("lam-an"), None) };
        let by_new = DeclaredFeed { window: Some(6), ..file(of("kinh-te"), None) };
        let window = |declared: &[DeclaredFeed]| {
            directory(&renamed(), declared).by_slug(&slug("kinh-te")).unwrap().window
        };
        assert_eq!(window(std::slice::from_ref(&by_old)), 5);
        assert_eq!(window(&[by_old, by_new]), 6);
        let union = Selected::Union(vec!["lam-an".parse().unwrap(), "tag:lua".parse().unwrap()]);
        assert_eq!(found(&directory(&renamed(), &[file(union, Some("hai"))]), "hai"), "hai");
    }

    #[test]
    fn an_alias_goes_before_what_the_store_remembers() {
        let named = [known_as(file(of("xay-dung-dang"), None), &["lam-an", "kinh-te"])];
        let directory = directory(&renamed(), &named);
        assert_eq!(found(&directory, "lam-an"), "-> xay-dung-dang");
        assert_eq!(found(&directory, "kinh-te"), "kinh-te", "a present feed is not hidden");
    }

    #[test]
    fn a_retired_feed_is_in_no_list_and_all_its_names_say_so() {
        let own = ended(known_as(file(of("kinh-te"), Some("tien")), &["tien-bac", "/rss/tien.rss"]));
        let directory = directory(&renamed(), &[own]);
        for name in ["tien", "kinh-te", "tien-bac", "lam-an"] {
            assert_eq!(found(&directory, name), "ended", "{name}");
        }
        assert_eq!(directory.feeds().len(), 2);
        assert_eq!(directory.old_path("/rss/tien.rss"), Some(OldPath::Retired));
    }

    #[test]
    fn a_name_can_be_retired_of_which_the_store_knows_nothing() {
        let gone = |name| ended(file(Selected::Nothing, Some(name)));
        let by_name = directory(&renamed(), &[gone("the-thao"), gone("kinh-te"), gone("lam-an")]);
        assert_eq!(found(&by_name, "the-thao"), "ended");
        assert_eq!(found(&by_name, "kinh-te"), "ended", "whatever feed has the name");
        assert_eq!(found(&by_name, "lam-an"), "ended");
        assert_eq!(found(&by_name, "xay-dung-dang"), "xay-dung-dang");
        assert_eq!(found(&directory(&tree(), &[ended(file(of("mat"), None))]), "mat"), "ended");
    }

    #[test]
    fn an_old_path_leads_to_its_feed_in_its_format() {
        let own = known_as(file(of("kinh-te"), None), &["/rss/kinh-tế.rss", "/muc/kinh-te/"]);
        let directory = directory(&tree(), &[own, known_as(file(Selected::All, None), &["/feed"])]);
        let format = |path: &str| match directory.old_path(path) {
            Some(OldPath::Moved { feed, format }) => (feed.slug().unwrap().as_str(), format),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(format("/rss/kinh-t%E1%BA%BF.rss"), ("kinh-te", Some(Format::Rss)));
        assert_eq!(format("/muc/kinh-te"), ("kinh-te", None));
        assert_eq!(format("/feed/"), ("all", Some(Format::Rss)));
        assert_eq!(directory.old_path("/rss/khac.rss"), None);
    }
}
