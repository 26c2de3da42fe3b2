//! Where histories take place: a store of a thread's own with two programs on it, made empty again after
//! each. Opening a store takes as long as a history.

use crate::postgres;
use bantin::domain::Instant;
use bantin::store::{Store, StoreUrl};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

pub struct Ground {
    url: StoreUrl,
    stores: RefCell<[Store; 2]>,
    /// A connection past the store.
    pub raw: AnyConnection,
    /// Waits until nobody writes any more.
    quiet: &'static str,
    wipe: String,
}

/// The tables of a new store are kept beside it, as `fresh`.
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
    /// A copy of a new store: to make one takes longer.
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
        let stores = RefCell::new([Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap()]);
        Self { url, stores, raw, quiet, wipe }
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

/// A new store on SQLite, in this folder.
pub async fn template(folder: &Path) -> PathBuf {
    let path = folder.join("template.db");
    let store = Store::open(&StoreUrl::Sqlite(path.clone())).await.unwrap();
    store.migrate(Instant::default()).await.unwrap();
    store.close().await;
    path
}
