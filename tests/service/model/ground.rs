//! Where histories take place: a store of a thread's own with two programs on it, made empty again after
//! each. Opening a store takes as long as a history.

use super::reference::{Piece, Reference, SECTIONS};
use crate::newsroom::{Seeded, draft};
use crate::postgres;
use bantin::domain::{ArticleId, Draft, FeedKey, Instant, SafeHtml, SavedSearch};
use bantin::store::{Store, StoreUrl};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

pub struct Ground {
    url: StoreUrl,
    stores: RefCell<[Store; 2]>,
    /// The feeds, by their numbers in the model.
    pub feeds: Vec<FeedKey>,
    /// The articles with which it begins.
    pub articles: Vec<ArticleId>,
    /// A connection past the store.
    pub raw: AnyConnection,
    /// Waits until nobody writes any more.
    quiet: &'static str,
    wipe: String,
}

/// The newsroom with which every history begins: three sections with an article each.
pub fn founded() -> Reference {
    let mut model = Reference::default();
    for section in 0..SECTIONS {
        model.publish(&format!("bài {section}"), [section].into(), false, founding(), founding());
    }
    model
}

fn founding() -> Instant {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

/// An article as the newsroom hands it in.
pub fn draft_of(piece: &Piece) -> Draft {
    let names: Vec<String> = piece.sections.iter().map(|section| format!("C{section}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut draft = draft(&piece.title, &piece.title, &names);
    draft.body = SafeHtml::from_text(if piece.telling { "Bão về, lũ lên." } else { "Trời yên." });
    draft.published = Some(piece.published);
    draft
}

/// Founds it, or finds it as it is.
async fn found(store: &Store) -> (Vec<FeedKey>, Vec<ArticleId>) {
    let (mut articles, chance) = (Vec::new(), Seeded::default());
    for piece in founded().pieces {
        let taken = store.accept(&[draft_of(&piece)], true, founding(), &chance).await.unwrap();
        articles.push(taken[0].id);
    }
    let tree = store.category_tree().await.unwrap();
    let mut feeds: Vec<FeedKey> = tree.all().iter().map(|category| FeedKey::Category(category.id)).collect();
    feeds.push(FeedKey::All);
    feeds.push(store.save_search(&SavedSearch::of("bão lũ").unwrap()).await.unwrap());
    (feeds, articles)
}

/// The tables of the founded store are kept beside it, as `fresh`.
const ON_SQLITE: [&str; 3] = [
    "SELECT name FROM pragma_table_list WHERE schema = 'fresh' AND type <> 'shadow' AND name NOT LIKE '%sql%'",
    "BEGIN IMMEDIATE; COMMIT",
    "BEGIN IMMEDIATE",
];
const ON_POSTGRES: [&str; 3] = [
    "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%sql%'",
    "BEGIN; LOCK TABLE deliveries IN SHARE MODE; COMMIT",
    "BEGIN; SET LOCAL session_replication_role = replica",
];

impl Ground {
    /// A copy of a founded store: to make one takes longer.
    pub async fn on_sqlite(template: &Path, number: usize) -> Self {
        let path = template.with_file_name(format!("{number}.db"));
        std::fs::copy(template, &path).unwrap();
        let mut raw = AnyConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        let attach = format!(
            "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; ATTACH '{}' AS fresh",
            template.display()
        );
        run(&mut raw, attach).await;
        Self::of(StoreUrl::Sqlite(path), raw, ON_SQLITE).await
    }

    pub async fn on_postgres() -> Self {
        let url = postgres::fresh_database().await;
        let store = Store::open(&url).await.unwrap();
        found(&store).await;
        store.close().await;
        let StoreUrl::Postgres(place) = &url else { panic!("{url} is no server") };
        let mut raw = AnyConnection::connect(place.as_str()).await.unwrap();
        run(&mut raw, "CREATE SCHEMA fresh".into()).await;
        let tables: Vec<String> = sqlx::query_scalar(ON_POSTGRES[0]).fetch_all(&mut raw).await.unwrap();
        for table in tables {
            run(&mut raw, format!("CREATE TABLE fresh.{table} AS TABLE {table}")).await;
        }
        Self::of(url, raw, ON_POSTGRES).await
    }

    async fn of(url: StoreUrl, mut raw: AnyConnection, [tables, quiet, begin]: [&'static str; 3]) -> Self {
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut raw).await.unwrap();
        let mut wipe = begin.to_owned();
        for table in tables {
            wipe.push_str(&format!("; DELETE FROM {table}"));
            let rows = AssertSqlSafe(format!("SELECT count(*) FROM fresh.{table}"));
            if sqlx::query_scalar::<_, i64>(rows).fetch_one(&mut raw).await.unwrap() > 0 {
                wipe.push_str(&format!("; INSERT INTO {table} SELECT * FROM fresh.{table}"));
            }
        }
        wipe.push_str("; COMMIT");
        let stores = [Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap()];
        let (feeds, articles) = found(&stores[0]).await;
        let stores = RefCell::new(stores);
        Self { url, stores, feeds, articles, raw, quiet, wipe }
    }

    /// One of two programs.
    pub fn store(&self, number: usize) -> Store {
        self.stores.borrow()[number].clone()
    }

    /// Both programs end and begin anew.
    pub async fn restart(&self) {
        for number in 0..2 {
            let reborn = Store::open(&self.url).await.unwrap();
            self.stores.borrow_mut()[number] = reborn;
        }
    }

    /// Waits until it is decided whether what a dead process did is there or not.
    pub async fn settle_down(&mut self) {
        run(&mut self.raw, self.quiet.into()).await;
    }

    pub async fn wipe(&mut self) {
        self.settle_down().await;
        run(&mut self.raw, self.wipe.clone()).await;
    }
}

async fn run(raw: &mut AnyConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(raw).await.unwrap();
}

/// A founded store on SQLite, in this folder.
pub async fn template(folder: &Path) -> PathBuf {
    let path = folder.join("template.db");
    let store = Store::open(&StoreUrl::Sqlite(path.clone())).await.unwrap();
    store.migrate(Instant::default()).await.unwrap();
    found(&store).await;
    store.close().await;
    path
}
