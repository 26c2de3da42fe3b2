use super::article_rows::category_of_row;
use super::categories::{RESERVED, Wanted, former_name, make_category};
use super::feeds::{FeedRow, Touched, feed_rows, keys_of, touch_feeds};
use super::sequence::{advance_tree, hold_sequence};
use super::statement::damaged;
use super::{Store, StoreError};
use crate::domain::{Category, CategoryId, Chance, FeedKey, Instant, Slug, new_uuid};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::BTreeSet;

/// What became of the wish to give a section a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// It has the names that were asked for.
    Renamed {
        /// As it is called now.
        category: Category,
        /// The feeds whose documents name it; none where it was called so already.
        feeds: Vec<FeedKey>,
    },
    /// There is no such section.
    Unknown,
    /// The slug is that of a feed which is no section's.
    SlugReserved(Slug),
    /// The slug is this section's.
    SlugTaken(Category),
    /// The title is this section's, perhaps spelled otherwise.
    TitleTaken(Category),
    /// Nothing is left of the title.
    TitleBlank,
}

const SECTION: &str = "SELECT c.n, c.id, c.slug, c.title, c.folded, p.id AS parent \
    FROM categories c LEFT JOIN categories p ON p.n = c.parent WHERE ";

/// An entry names its sections, whichever feed it stands in.
const HOLDING: &str = "SELECT DISTINCT e.feed, f.key FROM entries e \
    JOIN article_categories k ON k.article = e.article JOIN feeds f ON f.n = e.feed WHERE k.category = $1";

const HOLDING_PAGES: &str = "SELECT DISTINCT e.feed, e.page FROM entries e \
    JOIN article_categories k ON k.article = e.article WHERE k.category = $1 AND e.page > 0";

/// A slug belongs to whoever had it last.
const REMEMBER_SLUG: &str = "INSERT INTO former_slugs (slug, category) VALUES ($1, $2) \
    ON CONFLICT (slug) DO UPDATE SET category = excluded.category";

/// A title goes behind the slugs: an address that leads somewhere goes on leading there.
const REMEMBER_TITLE: &str =
    "INSERT INTO former_slugs (slug, category) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING";

/// What one section was called once and another is called now is the other's for good.
const TAKE_OVER: &str = "UPDATE former_slugs SET category = $2 WHERE slug = $1";

impl Store {
    /// Gives a section another title, slug or both. Its former slug leads to it for ever, and what
    /// comes in under a former name of its own finds it. Changes the feeds that name it and no
    /// others; works through all articles of the section.
    pub async fn rename_category(
        &self,
        id: CategoryId,
        title: Option<&str>,
        slug: Option<&Slug>,
        now: Instant,
    ) -> Result<Renaming, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some(was) = section_where(&mut tx, "c.id = $1", id.to_string()).await? else {
            return Ok(Renaming::Unknown);
        };
        let (mut title_now, mut folded_now) = (was.category.title.clone(), was.folded.clone());
        if let Some(title) = title {
            let Some(wanted) = Wanted::new(title) else { return Ok(Renaming::TitleBlank) };
            let other = section_where(&mut tx, "c.folded = $1", wanted.folded.clone()).await?;
            if let Some(other) = other.filter(|other| other.n != was.n) {
                return Ok(Renaming::TitleTaken(other.category));
            }
            (title_now, folded_now) = (wanted.title, wanted.folded);
        }
        if let Some(slug) = slug {
            if RESERVED.contains(&slug.as_str()) {
                return Ok(Renaming::SlugReserved(slug.clone()));
            }
            let other = section_where(&mut tx, "c.slug = $1", slug.to_string()).await?;
            if let Some(other) = other.filter(|other| other.n != was.n) {
                return Ok(Renaming::SlugTaken(other.category));
            }
        }
        let slug_now = slug.unwrap_or(&was.category.slug).clone();
        let category = Category { title: title_now, slug: slug_now, ..was.category.clone() };
        if category == was.category {
            return Ok(Renaming::Renamed { category, feeds: Vec::new() });
        }

        sqlx::query("UPDATE categories SET title = $1, slug = $2, folded = $3 WHERE n = $4")
            .bind(category.title.clone())
            .bind(category.slug.to_string())
            .bind(folded_now.clone())
            .bind(was.n)
            .execute(&mut *tx)
            .await?;
        if category.slug != was.category.slug {
            note(&mut tx, REMEMBER_SLUG, &was.category.slug, was.n).await?;
            note(&mut tx, TAKE_OVER, &category.slug, was.n).await?;
        }
        if folded_now != was.folded {
            note(&mut tx, REMEMBER_TITLE, &former_name(&was.folded), was.n).await?;
        }
        advance_tree(&mut tx).await?;
        let touched = feeds_naming(&mut tx, was.n, id).await?;
        let pages = pages_naming(&mut tx, was.n).await?.into_iter().collect();
        touch_feeds(&mut tx, &Touched { feeds: touched.iter().copied().collect(), pages }, None, now).await?;
        tx.commit().await?;
        Ok(Renaming::Renamed { category, feeds: keys_of(&touched) })
    }
}

impl Store {
    /// Makes a section with this title, and this slug where one is given. Its feed is there at once.
    pub async fn add_category(
        &self,
        title: &str,
        slug: Option<&Slug>,
        now: Instant,
        chance: &dyn Chance,
    ) -> Result<Renaming, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some(wanted) = Wanted::new(title) else { return Ok(Renaming::TitleBlank) };
        if let Some(other) = section_where(&mut tx, "c.folded = $1", wanted.folded.clone()).await? {
            return Ok(Renaming::TitleTaken(other.category));
        }
        if let Some(slug) = slug {
            if RESERVED.contains(&slug.as_str()) {
                return Ok(Renaming::SlugReserved(slug.clone()));
            }
            let of_slug = section_where(&mut tx, "c.slug = $1", slug.to_string()).await?;
            // A former slug leads to who had it, for ever.
            let former = "c.n IN (SELECT category FROM former_slugs WHERE slug = $1)";
            let other = match of_slug {
                Some(other) => Some(other),
                None => section_where(&mut tx, former, slug.to_string()).await?,
            };
            if let Some(other) = other {
                return Ok(Renaming::SlugTaken(other.category));
            }
        }
        let id = CategoryId::new(new_uuid(now, chance));
        let (_, slug) = make_category(&mut tx, id, &wanted, slug).await?;
        let feeds = feed_rows(&mut tx, &[FeedKey::Category(id)]).await?.1;
        let touched = Touched { feeds: feeds.iter().copied().collect(), pages: BTreeSet::new() };
        touch_feeds(&mut tx, &touched, None, now).await?;
        tx.commit().await?;
        let slug = slug.parse().map_err(|_| damaged("categories", id, slug))?;
        let category = Category { id, slug, title: wanted.title, parent: None };
        Ok(Renaming::Renamed { category, feeds: keys_of(&feeds) })
    }
}

struct Section {
    n: i64,
    folded: String,
    category: Category,
}

async fn section_where(
    connection: &mut AnyConnection,
    condition: &'static str,
    value: String,
) -> Result<Option<Section>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!("{SECTION}{condition}"));
    let row = sqlx::query(text).bind(value).fetch_optional(connection).await?;
    let section = |row: AnyRow| {
        Ok(Section { n: row.try_get("n")?, folded: row.try_get("folded")?, category: category_of_row(&row)? })
    };
    row.map(section).transpose()
}

async fn note(
    connection: &mut AnyConnection,
    statement: &'static str,
    slug: &Slug,
    category: i64,
) -> Result<(), StoreError> {
    sqlx::query(statement).bind(slug.to_string()).bind(category).execute(connection).await?;
    Ok(())
}

/// The section's own feed, and all in which an article of the section stands.
async fn feeds_naming(
    connection: &mut AnyConnection,
    n: i64,
    id: CategoryId,
) -> Result<Vec<FeedRow>, StoreError> {
    let (own, _) = feed_rows(connection, &[FeedKey::Category(id)]).await?;
    let mut feeds: BTreeSet<FeedRow> = own.into_values().collect();
    for row in sqlx::query(HOLDING).bind(n).fetch_all(connection).await? {
        feeds.insert(FeedRow::of_row(&row)?);
    }
    Ok(feeds.into_iter().collect())
}

/// The archive pages in which an article of the section stands, each with its feed.
async fn pages_naming(connection: &mut AnyConnection, n: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    let rows = sqlx::query(HOLDING_PAGES).bind(n).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("feed")?, row.try_get("page")?))).collect()
}
