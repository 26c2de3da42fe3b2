//! Writes that happen only where the article is still the one that the writer has seen (RFC 9110
//! §13.1): the condition is weighed in the transaction that writes, under the lock of the sequence.

use super::acceptance::{Acceptance, Desk, Incoming, stored_key};
use super::acceptance_rows::keys_in_use;
use super::article_rows::{Bodies, articles_by_row};
use super::articles::{bring_back, standing, take_back};
use super::sequence::hold_sequence;
use super::statement::{damaged, fetch_about};
use super::{Store, StoreError};
use crate::domain::{Article, ArticleId, Chance, Draft, IdentityKey, Instant, micros};
use crate::feed::validators::{EntityTag, entity_tags};
use sqlx::{AnyConnection, Row};
use std::collections::HashMap;

/// Which article is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this id.
    Id(ArticleId),
    /// The one that this key leads to.
    Key(IdentityKey),
}

/// What must be so for a write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// `If-Match`: the article has one of these tags, or is there at all where this is `*`.
    Matches(String),
    /// `If-None-Match: *`: there is no such article.
    Absent,
}

impl Condition {
    /// Whether it holds. Strongly compared (§8.8.3.2): `W/` matches nothing.
    pub fn holds(&self, present: Option<&KeyedArticle>) -> bool {
        match (self, present) {
            (Self::Always, _) | (Self::Absent, None) => true,
            (Self::Absent, Some(_)) | (Self::Matches(_), None) => false,
            (Self::Matches(tags), Some(present)) => {
                let own = present.entity_tag();
                tags.trim() == "*" || entity_tags(tags).any(|tag| tag == own.as_str())
            }
        }
    }
}

/// An article with the id that the newsroom's own system gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedArticle {
    /// The article.
    pub article: Article,
    /// `external_id` of its JSON.
    pub external_id: Option<String>,
}

impl KeyedArticle {
    /// The tag of this version: another one after every change that can be seen.
    pub fn entity_tag(&self) -> EntityTag {
        let article = &self.article;
        let mut parts = vec![
            article.id.to_string(),
            article.state.as_str().to_owned(),
            article.revision.to_string(),
            micros(article.published).to_string(),
            micros(article.updated).to_string(),
            self.external_id.clone().unwrap_or_default(),
        ];
        parts.extend(article.categories.iter().map(|category| category.title.clone()));
        EntityTag::of(parts.join("\u{1f}").as_bytes(), "identity")
    }
}

/// What became of the wish to put a draft in an article's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// It is there.
    Done(Acceptance, Box<KeyedArticle>),
    /// There is no such article.
    Missing,
    /// The condition does not hold.
    Refused,
    /// The draft's id or address is that of another article.
    Taken(ArticleId),
}

/// What became of the wish to withdraw an article, or to publish it again.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is so now.
    Done(Box<KeyedArticle>),
    /// There is no such article.
    Missing,
    /// The condition does not hold.
    Refused,
}

/// What begins the key of an id that the newsroom's own system gave.
const EXTERNAL: &str = "id:api:";

/// By which its own system knows an article; of several, the first that came in cannot be told.
const EXTERNAL_IDS: &str = "SELECT article, min(key) AS key FROM article_keys WHERE article IN ({keys}) AND key LIKE 'id:api:%' GROUP BY article";

impl Store {
    /// One article, with its full text.
    pub async fn keyed_article(&self, which: &Which) -> Result<Option<KeyedArticle>, StoreError> {
        let mut tx = self.snapshot().await?;
        let found = match row_of(&mut tx, which).await? {
            Some(n) => keyed_articles(&mut tx, &[n], Bodies::With).await?.pop(),
            None => None,
        };
        tx.commit().await?;
        Ok(found)
    }

    /// Puts a draft in an article's place, or lets it be a new one where nothing else is meant.
    pub async fn put_article(
        &self,
        which: Option<&Which>,
        (draft, mailable): (&Draft, bool),
        condition: &Condition,
        now: Instant,
        chance: &dyn Chance,
    ) -> Result<Put, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let mut incoming = Incoming::new(draft);
        if which.is_some() {
            // A headline beside an id would make one article of two that share it.
            incoming.keys.retain(|key| key.starts_with("id:") || key.starts_with("url:"));
        }
        let own = match which {
            None => None,
            Some(Which::Key(key)) => Some(stored_key(key)),
            // Whatever it says of itself, it is this one: a key of it comes first.
            Some(which @ Which::Id(_)) => match row_of(&mut tx, which).await? {
                None => return Ok(Put::Missing),
                Some(n) => {
                    let key = sqlx::query_scalar("SELECT min(key) FROM article_keys WHERE article = $1");
                    Some(key.bind(n).fetch_one(&mut *tx).await?)
                }
            },
        };
        incoming.keys.retain(|key| Some(key) != own.as_ref());
        incoming.keys.splice(0..0, own);
        let in_use = keys_in_use(&mut tx, &incoming.keys).await?;
        let target = incoming.keys.iter().find_map(|key| in_use.get(key)).copied();
        let present = match target {
            Some(n) => keyed_articles(&mut tx, &[n], Bodies::Without).await?.pop(),
            None => None,
        };
        if !condition.holds(present.as_ref()) {
            return Ok(Put::Refused);
        }
        if let Some(other) = in_use.values().find(|n| Some(**n) != target) {
            let other = keyed_articles(&mut tx, &[*other], Bodies::Without).await?.pop();
            return Ok(other.map_or(Put::Missing, |other| Put::Taken(other.article.id)));
        }
        // What came from a page or feed gets its own system's id here; what has one keeps it.
        let is_new = |key: &String| key.starts_with(EXTERNAL) && !in_use.contains_key(key);
        if let Some(present) = present.filter(|present| present.external_id.is_some())
            && incoming.keys.iter().any(is_new)
        {
            return Ok(Put::Taken(present.article.id));
        }
        let mut desk = Desk::new(self.engine(), mailable, now, chance);
        let taken = desk.take_in(&mut tx, std::slice::from_ref(&incoming)).await?.pop();
        desk.finish(&mut tx).await?;
        let Some(acceptance) = taken else { return Ok(Put::Missing) };
        let article = changed(&mut tx, acceptance.id).await?;
        tx.commit().await?;
        Ok(Put::Done(acceptance, article))
    }

    /// Withdraws an article. Repeatable.
    pub async fn withdraw_if(
        &self,
        which: &Which,
        condition: &Condition,
        now: Instant,
    ) -> Result<Change, StoreError> {
        self.change_if(which, condition, false, now).await
    }

    /// Publishes a withdrawn article again, or puts it back under its embargo. Repeatable.
    pub async fn restore_if(
        &self,
        which: &Which,
        condition: &Condition,
        now: Instant,
    ) -> Result<Change, StoreError> {
        self.change_if(which, condition, true, now).await
    }

    async fn change_if(
        &self,
        which: &Which,
        condition: &Condition,
        back: bool,
        now: Instant,
    ) -> Result<Change, StoreError> {
        let mut tx = self.write().await?;
        hold_sequence(&mut tx, self.engine()).await?;
        let Some(n) = row_of(&mut tx, which).await? else { return Ok(Change::Missing) };
        let present = keyed_articles(&mut tx, &[n], Bodies::Without).await?.pop();
        let Some(present) = present else { return Ok(Change::Missing) };
        if !condition.holds(Some(&present)) {
            return Ok(Change::Refused);
        }
        let id = present.article.id;
        let Some(standing) = standing(&mut tx, id).await? else { return Ok(Change::Missing) };
        if back {
            bring_back(&mut tx, standing, now).await?;
        } else {
            take_back(&mut tx, &standing, now).await?;
        }
        let article = changed(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Change::Done(article))
    }
}

/// An article as the transaction leaves it: who wrote it learns the tag of what he wrote.
async fn changed(connection: &mut AnyConnection, id: ArticleId) -> Result<Box<KeyedArticle>, StoreError> {
    let n = row_of(connection, &Which::Id(id)).await?;
    let found = keyed_articles(connection, n.as_slice(), Bodies::With).await?.pop();
    found.map(Box::new).ok_or_else(|| damaged("articles", id, "a body that is not there"))
}

async fn row_of(connection: &mut AnyConnection, which: &Which) -> Result<Option<i64>, StoreError> {
    let (text, value) = match which {
        Which::Id(id) => ("SELECT n FROM articles WHERE id = $1", id.to_string()),
        Which::Key(key) => ("SELECT article FROM article_keys WHERE key = $1", stored_key(key)),
    };
    Ok(sqlx::query_scalar(text).bind(value).fetch_optional(connection).await?)
}

/// The articles of these rows, in this order, each with its own system's id.
pub(super) async fn keyed_articles(
    connection: &mut AnyConnection,
    rows: &[i64],
    bodies: Bodies,
) -> Result<Vec<KeyedArticle>, StoreError> {
    let mut ids: HashMap<i64, String> = HashMap::new();
    for row in fetch_about(connection, EXTERNAL_IDS, &[], rows).await? {
        let key: String = row.try_get("key")?;
        ids.extend(key.strip_prefix(EXTERNAL).map(|id| (row.get("article"), id.to_owned())));
    }
    let articles = articles_by_row(connection, rows, bodies).await?;
    Ok(articles
        .into_iter()
        .map(|(n, article)| KeyedArticle { article, external_id: ids.remove(&n) })
        .collect())
}
