//! A store of one's own, on either engine, with a clock and chance that repeat.

use bantin::domain::{Chance, Draft, IdentityKey, Instant, SafeHtml};
use bantin::store::{Store, StoreUrl};
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
        store.migrate().await.unwrap();
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
