use super::article_rows::category_of_row;
use super::feeds::{FeedRow, feed_rows};
use super::sequence::advance_tree;
use super::statement::{damaged, fetch_about, storable};
use super::{Store, StoreError};
use crate::domain::{
    CategoryId, CategoryName, CategoryTree, Chance, FeedKey, Instant, Slug, clean_line, fold, new_uuid,
};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::{HashMap, HashSet};

/// The longest title of a section, in characters. PostgreSQL indexes 2,704 bytes at most.
const TITLE_CHARS: usize = 200;

/// Slugs that are feeds of their own: `/feeds/all.rss`, `/feeds/search.rss`.
pub(super) const RESERVED: [&str; 2] = ["all", "search"];

const TREE: &str = "SELECT c.id, c.slug, c.title, p.id AS parent \
    FROM categories c LEFT JOIN categories p ON p.n = c.parent ORDER BY c.n";

const FORMER: &str = "SELECT f.slug, c.id FROM former_slugs f JOIN categories c ON c.n = f.category";

const BY_FORMER_NAME: &str = "SELECT slug, category FROM former_slugs WHERE slug IN ({keys})";

const BY_NAME: &str = "SELECT n, slug, folded FROM categories WHERE folded IN ({keys}) OR slug IN ({keys})";

/// A slug that another section had leads to that one for ever.
const MAKE: &str = "INSERT INTO categories (id, slug, title, folded) SELECT $1, $2, $3, $4 \
    WHERE NOT EXISTS (SELECT 1 FROM former_slugs WHERE slug = $2) \
    ON CONFLICT (slug) DO NOTHING RETURNING n";

/// UNION, not UNION ALL, ends a cycle that only a hand in the database can make.
const LINEAGE_FEEDS: &str = "WITH RECURSIVE lineage (category, ancestor) AS ( \
        SELECT n, n FROM categories WHERE n IN ({keys}) \
        UNION \
        SELECT l.category, c.parent FROM lineage l JOIN categories c ON c.n = l.ancestor \
        WHERE c.parent IS NOT NULL) \
    SELECT l.category, f.n AS feed, f.key FROM lineage l \
    JOIN categories c ON c.n = l.ancestor JOIN feeds f ON f.key = 'category:' || c.id";

impl Store {
    /// All sections, the oldest first, who is part of whom, and the slugs that they had.
    pub async fn category_tree(&self) -> Result<CategoryTree, StoreError> {
        let mut tx = self.snapshot().await?;
        let rows = sqlx::query(TREE).fetch_all(&mut *tx).await?;
        let tree = CategoryTree::new(rows.iter().map(category_of_row).collect::<Result<_, _>>()?);
        let former = sqlx::query(FORMER).fetch_all(&mut *tx).await?;
        Ok(tree.with_former(former.iter().map(former_of_row).collect::<Result<_, _>>()?))
    }

    /// Moves whenever a section is made, renamed or moved: whoever keeps the tree in mind reads it
    /// again.
    pub async fn tree_version(&self) -> Result<i64, StoreError> {
        let version = sqlx::query_scalar("SELECT tree_version FROM installation WHERE one = 1");
        Ok(version.fetch_one(self.readers()).await?)
    }
}

fn former_of_row(row: &AnyRow) -> Result<(Slug, CategoryId), StoreError> {
    let (slug, id): (String, String) = (row.try_get("slug")?, row.try_get("id")?);
    let category = id.parse().map_err(|_| damaged("categories", "id", id))?;
    Ok((slug.parse().map_err(|_| damaged("former_slugs", &slug, &slug))?, category))
}

/// A name that somebody gives a section, in the forms by which it is looked up.
pub(super) struct Wanted {
    pub(super) title: String,
    pub(super) folded: String,
    pub(super) slug: Option<Slug>,
}

impl Wanted {
    /// `None` where the name is blank.
    pub(super) fn new(name: &str) -> Option<Self> {
        let line = clean_line(&storable(name));
        let title: String = line.chars().take(TITLE_CHARS).collect();
        let title = title.trim().to_owned();
        if title.is_empty() {
            return None;
        }
        let folded: String = fold(&title).chars().take(TITLE_CHARS).collect();
        // A title of symbols alone folds to nothing, and two of those are not one section.
        let folded = if folded.is_empty() { title.clone() } else { folded };
        Some(Self { slug: Slug::parse(&title).ok(), title, folded })
    }
}

/// The sections of some names, by name; those that are new are made, with their feeds. A blank name
/// has none.
pub(super) async fn categories_of_names(
    connection: &mut AnyConnection,
    names: &[&CategoryName],
    now: Instant,
    chance: &dyn Chance,
) -> Result<(HashMap<CategoryName, i64>, Vec<FeedRow>), StoreError> {
    let mut seen = HashSet::new();
    let wanted: Vec<(&CategoryName, Wanted)> = names
        .iter()
        .filter(|name| seen.insert(**name))
        .filter_map(|name| Wanted::new(&name.0).map(|wanted| (*name, wanted)))
        .collect();
    let keys: Vec<String> = wanted
        .iter()
        .flat_map(|(_, w)| std::iter::once(w.folded.clone()).chain(w.slug.as_ref().map(Slug::to_string)))
        .collect();
    let (mut by_folded, mut by_slug) = (HashMap::new(), HashMap::new());
    for row in fetch_about(connection, BY_NAME, &[], &keys).await? {
        let n: i64 = row.try_get("n")?;
        by_folded.insert(row.try_get::<String, _>("folded")?, n);
        by_slug.insert(row.try_get::<String, _>("slug")?, n);
    }
    let present = |wanted: &Wanted, by_folded: &HashMap<String, i64>, by_slug: &HashMap<String, i64>| {
        let known = by_folded.get(&wanted.folded);
        known.or_else(|| by_slug.get(wanted.slug.as_ref()?.as_str())).copied()
    };
    let absent = wanted.iter().map(|(_, w)| w).filter(|w| present(w, &by_folded, &by_slug).is_none());
    let former = former_names(connection, absent).await?;
    let mut found = HashMap::new();
    let mut feeds = Vec::new();
    for (name, wanted) in wanted {
        let known = present(&wanted, &by_folded, &by_slug);
        let known = known.or_else(|| former.get(former_name(&wanted.folded).as_str()).copied());
        let n = match known {
            Some(n) => n,
            None => {
                let id = CategoryId::new(new_uuid(now, chance));
                let (n, slug) = make_category(connection, id, &wanted, None).await?;
                feeds.extend(feed_rows(connection, &[FeedKey::Category(id)]).await?.1);
                by_folded.insert(wanted.folded, n);
                by_slug.insert(slug, n);
                n
            }
        };
        found.insert(name.clone(), n);
    }
    Ok((found, feeds))
}

/// What a title is remembered as once its section has another: the slug of its letters, which no
/// two titles share. That of a slug is the slug itself.
pub(super) fn former_name(folded: &str) -> Slug {
    Slug::telling(folded)
}

/// The sections that had one of these names.
async fn former_names(
    connection: &mut AnyConnection,
    wanted: impl Iterator<Item = &Wanted>,
) -> Result<HashMap<String, i64>, StoreError> {
    let names: Vec<String> = wanted.map(|w| former_name(&w.folded).to_string()).collect();
    let mut former = HashMap::new();
    for row in fetch_about(connection, BY_FORMER_NAME, &[], &names).await? {
        former.insert(row.try_get("slug")?, row.try_get("category")?);
    }
    Ok(former)
}

/// The feeds in which an article of each of these sections stands, besides that of everything:
/// the section's and those of all that it is part of.
pub(super) async fn lineage_feeds(
    connection: &mut AnyConnection,
    categories: &[i64],
) -> Result<HashMap<i64, Vec<FeedRow>>, StoreError> {
    let mut feeds: HashMap<i64, Vec<FeedRow>> = HashMap::new();
    for row in fetch_about(connection, LINEAGE_FEEDS, &[], categories).await? {
        feeds.entry(row.try_get("category")?).or_default().push(FeedRow::of_row(&row)?);
    }
    Ok(feeds)
}

/// Makes a section, by a slug that is free, or by the nicest one for its title.
pub(super) async fn make_category(
    connection: &mut AnyConnection,
    id: CategoryId,
    wanted: &Wanted,
    slug: Option<&Slug>,
) -> Result<(i64, String), StoreError> {
    for slug in slug.map(Slug::to_string).into_iter().chain(slugs(id, &wanted.title)) {
        let n: Option<i64> = sqlx::query_scalar(MAKE)
            .bind(id.to_string())
            .bind(slug.clone())
            .bind(wanted.title.clone())
            .bind(wanted.folded.clone())
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(n) = n {
            advance_tree(connection).await?;
            return Ok((n, slug));
        }
    }
    Err(damaged("categories", id, wanted.title.clone()))
}

/// The slugs that a new section may take, the nicest first; the last one is nobody else's.
fn slugs(id: CategoryId, title: &str) -> impl Iterator<Item = String> {
    let id = id.uuid().simple().to_string();
    // Of a version-7 UUID the end is chance; its beginning is the same for all made together.
    let tail = id[id.len() - 8..].to_owned();
    let base = Slug::of_title(title).map_or_else(|_| format!("muc-{tail}"), String::from);
    let numbered = base.clone();
    let plain = (!RESERVED.contains(&base.as_str())).then_some(base.clone());
    plain
        .into_iter()
        .chain((2..=50).map(move |number| with_suffix(&numbered, &number.to_string())))
        .chain(std::iter::once(with_suffix(&base, &id)))
}

/// `base-suffix`, cut in the base where it would be longer than a slug can be.
fn with_suffix(base: &str, suffix: &str) -> String {
    let kept = base.len().min(62 - suffix.len());
    format!("{}-{suffix}", base[..kept].trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_slug_tried_is_a_slug() {
        let id = CategoryId::new(Uuid::from_u128(u128::MAX));
        for title in ["Xây dựng Đảng", "😀", "All", &"phóng sự ".repeat(20), &"a".repeat(200)] {
            for slug in slugs(id, title) {
                assert!(Slug::parse(&slug).is_ok(), "{slug}");
            }
        }
        assert_eq!(slugs(id, "Tin").take(2).collect::<Vec<_>>(), ["tin", "tin-2"]);
        assert_eq!(slugs(id, "All").next().unwrap(), "all-2");
        assert_eq!(slugs(id, "😀").next().unwrap(), "muc-ffffffff");
    }

    #[test]
    fn names_are_looked_up_in_two_forms() {
        let wanted = |name: &str| Wanted::new(name);
        assert_eq!(wanted("Xây  dựng Đảng").unwrap().folded, "xay dung dang");
        assert_eq!(wanted("xay-dung-dang").unwrap().slug.unwrap().as_str(), "xay-dung-dang");
        assert_eq!(wanted("😀").unwrap().folded, "😀");
        assert!(wanted(" \0\n").is_none());
        assert!(wanted(&"ﷺ".repeat(100_000)).unwrap().folded.len() <= 4 * TITLE_CHARS);
    }
}
