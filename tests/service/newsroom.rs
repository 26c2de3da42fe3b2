//! A store of one's own, on either engine, with a clock and chance that repeat.

use bantin::domain::{Article, ArticleId, Chance, Draft, FeedKey, IdentityKey, Instant, SafeHtml, Slug};
use bantin::store::{Acceptance, FeedState, Store, StoreUrl};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// Makes `sqlite::name` and `postgres::name` of one `async fn name(newsroom: Newsroom)`.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::newsroom::Newsroom::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::newsroom::Newsroom::on_postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;

/// An empty store and what belongs to it.
pub struct Newsroom {
    pub store: Store,
    pub url: StoreUrl,
    pub chance: Seeded,
    _folder: Option<TempDir>,
}

impl Newsroom {
    pub async fn on_sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url: StoreUrl = format!("sqlite:{}/bantin.db", folder.path().display()).parse().unwrap();
        let store = Store::open(&url).await.unwrap();
        store.migrate(Instant::default()).await.unwrap();
        Self { store, url, chance: Seeded::default(), _folder: Some(folder) }
    }

    pub async fn on_postgres() -> Self {
        let url = crate::postgres::fresh_database().await;
        let store = Store::open(&url).await.unwrap();
        Self { store, url, chance: Seeded::default(), _folder: None }
    }

    /// A second program on the same store.
    pub async fn another(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// A connection past the store, for looking at rows.
    pub async fn raw(&self) -> sqlx::AnyConnection {
        let url = match &self.url {
            StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => url.to_string(),
        };
        <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap()
    }
}

impl Deref for Newsroom {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Newsroom {
    /// Accepts one draft.
    pub async fn take(&self, draft: &Draft, now: Instant) -> Acceptance {
        let mut all = self.accept(std::slice::from_ref(draft), true, now, &self.chance).await.unwrap();
        all.pop().unwrap()
    }

    /// The titles in a feed.
    pub async fn feed(&self, key: FeedKey) -> Vec<String> {
        let (_, articles) = self.feed_snapshot(key, 100).await.unwrap().unwrap();
        titles(&articles)
    }

    /// Where a feed stands.
    pub async fn state(&self, key: FeedKey) -> FeedState {
        let states = self.feed_states().await.unwrap();
        *states.iter().find(|state| state.key == key).unwrap()
    }

    /// The feed of the section with this slug.
    pub async fn section(&self, slug: &str) -> FeedKey {
        let tree = self.category_tree().await.unwrap();
        FeedKey::Category(tree.by_slug(&Slug::parse(slug).unwrap()).unwrap().id)
    }

    /// One article with its text.
    pub async fn whole(&self, id: ArticleId) -> Article {
        self.article(id).await.unwrap().unwrap()
    }

    /// The publish sequences of a feed's entries, in the order in which the articles came.
    pub async fn sequences(&self, key: FeedKey) -> Vec<i64> {
        let text = "SELECT e.sequence FROM entries e JOIN feeds f ON f.n = e.feed WHERE f.key = $1 \
            ORDER BY e.article";
        let mut raw = self.raw().await;
        sqlx::query_scalar(text).bind(key.to_string()).fetch_all(&mut raw).await.unwrap()
    }

    /// Makes one section part of another.
    pub async fn put_under(
        &self,
        section: FeedKey,
        parent: Option<FeedKey>,
        time: &str,
    ) -> Option<Vec<FeedKey>> {
        let id = |key| match key {
            FeedKey::Category(id) => id,
            key => panic!("{key} is no section"),
        };
        self.place_category(id(section), parent.map(id), at(time)).await.unwrap()
    }
}

/// Their titles, in order.
pub fn titles(articles: &[Article]) -> Vec<String> {
    articles.iter().map(|article| article.title.clone()).collect()
}

/// Chance that repeats itself (SplitMix64).
#[derive(Default)]
pub struct Seeded(AtomicU64);

impl Seeded {
    /// Another history than the default one.
    pub fn starting_at(seed: u64) -> Self {
        Self(AtomicU64::new(seed << 32))
    }
}

impl Chance for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// An instant on the day of the tests: `at("07:30:00")`.
pub fn at(time: &str) -> Instant {
    format!("2026-11-02T{time}Z").parse().unwrap()
}

/// A draft with a key, a title and sections.
pub fn draft(key: &str, title: &str, categories: &[&str]) -> Draft {
    let mut draft = Draft::titled(title).unwrap();
    draft.keys = vec![IdentityKey::external("test", key)];
    draft.body = SafeHtml::from_text(&format!("{title}. Toàn văn."));
    draft.categories =
        categories.iter().map(|name| bantin::domain::CategoryName((*name).to_owned())).collect();
    draft
}
