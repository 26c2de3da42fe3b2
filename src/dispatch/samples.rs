//! What a sample letter shows.

use super::Desk;
use crate::domain::{Article, Digest, FeedKey};
use crate::store::{Store, StoreError};
use crate::subscribe::offered;

/// The newest articles of the feeds that a digest offers.
pub async fn newest_articles(
    store: &Store,
    desk: &Desk,
    digest: &Digest,
) -> Result<Vec<Article>, StoreError> {
    let keys = offered(digest, &desk.representations.directory());
    let mut articles: Vec<Article> = Vec::new();
    let keys: Vec<FeedKey> = if keys.contains(&FeedKey::All) { vec![FeedKey::All] } else { keys };
    for key in keys {
        if let Some((_, found)) = store.feed_snapshot(key, digest.max_articles).await? {
            articles.extend(found);
        }
    }
    articles.sort_by_key(|article| std::cmp::Reverse((article.published, article.id)));
    articles.dedup_by_key(|article| article.id);
    articles.truncate(digest.max_articles);
    Ok(articles)
}
