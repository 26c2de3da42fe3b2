//! Floor 3: articles come in, change, are taken back, and appear when their embargo ends; sections
//! are renamed and moved.
//!
//! Each step is one transaction of the store: revision, entries, what each feed knows of its last
//! change, and the publish sequence move together or not at all.

use crate::domain::{ArticleId, CategoryId, Chance, Draft, FeedKey, Instant, Slug};
use crate::store::{Acceptance, Change, Condition, Put, Renaming, Store, StoreError, Which};

/// How many drafts go into one transaction: enough that its cost vanishes, few enough that
/// readers of the publish sequence do not wait.
pub const BATCH: usize = 200;

/// Whether an article that comes in is news, which digests mail, or comes from an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Feeds and digests.
    News,
    /// Feeds only: years of old articles must not become a digest of 100,000 items.
    Archive,
}

/// Takes drafts into the store, in batches. What is the same as before changes nothing.
pub async fn accept(
    store: &Store,
    drafts: &[Draft],
    occasion: Occasion,
    now: Instant,
    chance: &dyn Chance,
) -> Result<Vec<Acceptance>, StoreError> {
    let mut acceptances = Vec::with_capacity(drafts.len());
    for batch in drafts.chunks(BATCH) {
        acceptances.extend(store.accept(batch, occasion == Occasion::News, now, chance).await?);
    }
    Ok(acceptances)
}

/// Takes one draft in, in the place of the article that is meant or as a new one, where the condition
/// holds.
pub async fn put(
    store: &Store,
    which: Option<&Which>,
    (draft, occasion): (&Draft, Occasion),
    condition: &Condition,
    now: Instant,
    chance: &dyn Chance,
) -> Result<Put, StoreError> {
    store.put_article(which, (draft, occasion == Occasion::News), condition, now, chance).await
}

/// Takes an article back, where the condition holds.
pub async fn withdraw_if(
    store: &Store,
    which: &Which,
    condition: &Condition,
    now: Instant,
) -> Result<Change, StoreError> {
    store.withdraw_if(which, condition, now).await
}

/// Publishes an article again that was taken back, where the condition holds.
pub async fn restore_if(
    store: &Store,
    which: &Which,
    condition: &Condition,
    now: Instant,
) -> Result<Change, StoreError> {
    store.restore_if(which, condition, now).await
}

/// Takes an article back: gone from every feed at once, never mailed again.
/// `None` where there is no such article; the feeds it left otherwise.
pub async fn withdraw(
    store: &Store,
    id: ArticleId,
    now: Instant,
) -> Result<Option<Vec<FeedKey>>, StoreError> {
    store.withdraw(id, now).await
}

/// Publishes an article that was taken back.
pub async fn restore(store: &Store, id: ArticleId, now: Instant) -> Result<Option<Vec<FeedKey>>, StoreError> {
    store.restore(id, now).await
}

/// Makes an article of a draft, with what a person knows better. `None`: no draft of this id waits.
pub async fn publish_draft(
    store: &Store,
    id: ArticleId,
    title: Option<&str>,
    published: Option<Instant>,
    now: Instant,
    chance: &dyn Chance,
) -> Result<Option<Acceptance>, StoreError> {
    store.publish_draft(id, title, published, now, chance).await
}

/// Puts a draft away. `false`: no draft of this id waits.
pub async fn drop_draft(store: &Store, id: ArticleId, now: Instant) -> Result<bool, StoreError> {
    store.drop_draft(id, now).await
}

/// Lets the articles appear whose embargo has ended.
pub async fn release_due(store: &Store, now: Instant) -> Result<usize, StoreError> {
    let released = store.release_due(now).await?;
    if !released.is_empty() {
        tracing::info!(articles = released.len(), "embargo ended");
    }
    Ok(released.len())
}

/// Makes a section, with its feed.
pub async fn add_category(
    store: &Store,
    title: &str,
    slug: Option<&Slug>,
    now: Instant,
    chance: &dyn Chance,
) -> Result<Renaming, StoreError> {
    store.add_category(title, slug, now, chance).await
}

/// Gives a section another title, slug or both; its former slug leads to it for ever.
pub async fn rename(
    store: &Store,
    id: CategoryId,
    title: Option<&str>,
    slug: Option<&Slug>,
    now: Instant,
) -> Result<Renaming, StoreError> {
    store.rename_category(id, title, slug, now).await
}

/// Makes a section part of another, or of none. The feeds that gained or lost articles by it;
/// `None` where it would be part of itself, or is not there.
pub async fn place(
    store: &Store,
    id: CategoryId,
    parent: Option<CategoryId>,
    now: Instant,
) -> Result<Option<Vec<FeedKey>>, StoreError> {
    store.place_category(id, parent, now).await
}
