use super::feeds::{FeedRow, feed_rows};
use super::statement::{damaged, fetch_about, insert_rows, storable};
use super::{Store, StoreError};
use crate::domain::{FeedKey, Label, LabelKind, Slug};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::{BTreeMap, HashMap};

/// The longest title of a label that is kept, in characters.
const TITLE_CHARS: usize = 200;

const BY_SLUG: &str = "SELECT id, kind, slug, title FROM labels WHERE kind = $1 AND slug = $2";

impl Store {
    /// The label of a kind that has this name in URLs.
    pub async fn label(&self, kind: LabelKind, slug: &Slug) -> Result<Option<Label>, StoreError> {
        let row = sqlx::query(BY_SLUG).bind(kind.as_str()).bind(slug.to_string());
        row.fetch_optional(self.readers()).await?.map(|row| label_of_row(&row)).transpose()
    }
}

pub(super) fn label_of_row(row: &AnyRow) -> Result<Label, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let (id, kind, slug) = (text("id")?, text("kind")?, text("slug")?);
    Ok(Label {
        kind: LabelKind::parse(&kind).ok_or_else(|| damaged("labels", &id, kind))?,
        slug: slug.parse().map_err(|_| damaged("labels", &id, slug))?,
        title: text("title")?,
        id: id.parse().map_err(|_| damaged("labels", "id", id))?,
    })
}

/// The feeds of some labels, and which of them were made just now. A new label is made with its
/// feed; the spelling that comes first stays.
pub(super) async fn label_feeds(
    connection: &mut AnyConnection,
    labels: impl IntoIterator<Item = Label>,
) -> Result<(HashMap<FeedKey, FeedRow>, Vec<FeedRow>), StoreError> {
    let labels: BTreeMap<FeedKey, Label> =
        labels.into_iter().map(|label| (FeedKey::Label(label.id), label)).collect();
    let keys: Vec<FeedKey> = labels.keys().copied().collect();
    let (rows, made) = feed_rows(connection, &keys).await?;
    let new: Vec<&Label> = made.iter().filter_map(|feed| labels.get(&feed.key)).collect();
    let text = "INSERT INTO labels (id, kind, slug, title) VALUES {rows} ON CONFLICT DO NOTHING";
    insert_rows(connection, text, "(?, ?, ?, ?)", &new, |s, label| {
        let title: String = storable(&label.title).chars().take(TITLE_CHARS).collect();
        s.bind(label.id.to_string()).bind(label.kind.as_str()).bind(label.slug.to_string()).bind(title)
    })
    .await?;
    Ok((rows, made))
}

/// The labels of rows with `n` and `details`, by article.
pub(super) async fn labels_of_articles(
    connection: &mut AnyConnection,
    articles: &[i64],
) -> Result<HashMap<i64, Vec<Label>>, StoreError> {
    let text = "SELECT n, details FROM articles WHERE n IN ({keys})";
    let mut labels = HashMap::with_capacity(articles.len());
    for row in fetch_about(connection, text, &[], articles).await? {
        let (n, details): (i64, String) = (row.try_get("n")?, row.try_get("details")?);
        let details: super::article_rows::Details =
            serde_json::from_str(&details).map_err(|_| damaged("articles", n, details))?;
        labels.insert(n, details.labels());
    }
    Ok(labels)
}
