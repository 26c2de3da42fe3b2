//! The newsroom's own database as a source, each kind against a real server.

use crate::world::World;
use crate::{mariadb, postgres};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, SqliteConnection};

/// A connection of the newsroom's own programs.
enum Desk {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    Maria(MySqlConnection),
}

impl Desk {
    async fn open(url: &str) -> Self {
        match url.split(':').next().unwrap() {
            "sqlite" => Self::Sqlite(SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap()),
            "mysql" => Self::Maria(MySqlConnection::connect(url).await.unwrap()),
            _ => Self::Postgres(PgConnection::connect(url).await.unwrap()),
        }
    }

    async fn run(&mut self, text: &str) {
        let text = AssertSqlSafe(text.to_owned());
        match self {
            Self::Sqlite(desk) => drop(desk.execute(sqlx::raw_sql(text)).await.unwrap()),
            Self::Postgres(desk) => drop(desk.execute(sqlx::raw_sql(text)).await.unwrap()),
            Self::Maria(desk) => drop(desk.execute(sqlx::raw_sql(text)).await.unwrap()),
        }
    }

    async fn write(&mut self, id: i64, title: &str, at: &str) {
        // A backslash escapes there.
        let title =
            if matches!(self, Self::Maria(_)) { title.replace('\\', r"\\") } else { title.to_owned() };
        self.run(&format!(
            "DELETE FROM bai WHERE id = {id}; \
             INSERT INTO bai VALUES ({id}, '{title}', '<p>Nội dung: {title}.</p>', 'Kinh tế;Đời sống', '{at}', '{at}')"
        ))
        .await;
    }
}

fn newsroom(url: &str) -> World {
    let world = World::new();
    world.write(
        "bantin.toml",
        format!(
            "[sources.cms]\nkind = \"sql\"\nurl = \"{url}\"\nevery = \"1s\"\nkey = \"id\"\nmark = \"sua_luc\"\noverlap = \"10m\"\n\
             mail = \"all\"\nquery = \"SELECT id, tieu_de, noi_dung, muc, dang_luc, sua_luc FROM bai WHERE tieu_de <> '';\"\n\
             [sources.cms.columns]\ntitle = \"tieu_de\"\ncontent_html = \"noi_dung\"\ncategories = \"muc\"\npublished = \"dang_luc\"\n"
        ),
    );
    world
}

fn titles(world: &World) -> Vec<String> {
    let told = world.done(&["article", "list", "--json", "--limit", "2000"]);
    let of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["title"].as_str().unwrap().to_owned();
    let mut titles: Vec<String> = told.lines().map(of).collect();
    titles.sort();
    titles
}

/// What holds of every engine. `moments` are the type of a mark and of a date.
async fn rows_become_articles(url: &str, moments: &str) {
    let mut desk = Desk::open(url).await;
    desk.run(&format!(
        "CREATE TABLE bai (id INTEGER PRIMARY KEY, tieu_de VARCHAR(200) NOT NULL, noi_dung TEXT, muc TEXT, dang_luc {moments}, sua_luc {moments})"
    ))
    .await;
    desk.write(1, "Một", "2026-11-30 08:00:00").await;
    desk.write(2, "Hai \\ ''nháy''", "2026-11-30 08:00:00").await;
    let world = newsroom(url);
    let told = world.done(&["source", "run", "cms"]);
    assert!(told.contains("2 new, 0 revised, 0 unchanged"), "{told}");
    let told = world.done(&["article", "list", "--json"]);
    let article: Value = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|a| a["title"] == "Một")
        .unwrap();
    let sections: Vec<&str> =
        article["categories"].as_array().unwrap().iter().map(|c| c["title"].as_str().unwrap()).collect();
    assert_eq!(sections, ["Kinh tế", "Đời sống"]);
    assert_eq!(article["published"], "2026-11-30T01:00:00Z", "a wall's time is the newsroom's");

    // Somebody writes, thinks, and commits late: behind what was read by then.
    desk.write(5, "Năm", "2026-11-30 08:09:00").await;
    assert!(world.done(&["source", "run", "cms"]).contains("1 new"));
    desk.write(3, "Ba", "2026-11-30 08:01:00").await;
    desk.write(1, "Một, sửa", "2026-11-30 08:05:00").await;
    let told = world.done(&["source", "run", "cms"]);
    assert!(told.contains("1 new, 1 revised, 0 unchanged"), "what is met again costs nothing: {told}");
    assert_eq!(titles(&world), ["Ba", "Hai \\ 'nháy'", "Một, sửa", "Năm"]);

    // A bad row is told, and leaves the others alone until it is mended.
    desk.run("INSERT INTO bai VALUES (6, 'Sáu', NULL, NULL, NULL, '2026-11-30 08:10:00')").await;
    desk.write(7, "Bảy", "2026-11-30 08:10:00").await;
    assert!(world.done(&["source", "run", "cms"]).contains("1 new"));
    let told = world.done(&["source", "show", "cms"]);
    assert!(told.contains("6: field `content_html`: is missing"), "{told}");
    desk.write(6, "Sáu", "2026-11-30 08:11:00").await;
    world.done(&["source", "run", "cms"]);
    assert_eq!(titles(&world).len(), 6);
    let told = world.done(&["check"]);
    assert!(told.contains("fine") && told.contains("cms: "), "{told}");
}

#[tokio::test]
async fn rows_of_sqlite_become_articles() {
    let folder = tempfile::tempdir().unwrap();
    rows_become_articles(&format!("sqlite:{}/cms.db", folder.path().display()), "TEXT").await;
}

#[tokio::test]
async fn rows_of_postgresql_become_articles() {
    let url = match postgres::fresh_database().await {
        bantin::store::StoreUrl::Postgres(url) => url.to_string(),
        other => panic!("{other}"),
    };
    rows_become_articles(&url, "TIMESTAMP").await;
}

#[tokio::test]
async fn rows_of_mariadb_become_articles() {
    rows_become_articles(&mariadb::fresh_database().await, "DATETIME(6)").await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn rows_of_mysql_become_articles() {
    rows_become_articles(&mariadb::fresh_mysql().await, "DATETIME(6)").await;
}

#[tokio::test]
async fn an_instant_in_the_database_is_one_in_the_feed() {
    let postgres = match postgres::fresh_database().await {
        bantin::store::StoreUrl::Postgres(url) => url.to_string(),
        other => panic!("{other}"),
    };
    for (url, kind, at) in [
        (postgres, "TIMESTAMPTZ", "2026-11-30 08:00:00+07"),
        (mariadb::fresh_database().await, "TIMESTAMP NULL", "2026-11-30 01:00:00"),
        #[cfg(target_arch = "x86_64")]
        (mariadb::fresh_mysql().await, "TIMESTAMP NULL", "2026-11-30 01:00:00"),
    ] {
        let mut desk = Desk::open(&url).await;
        desk.run(&format!(
            "CREATE TABLE bai (id INTEGER PRIMARY KEY, tieu_de VARCHAR(200), noi_dung TEXT, muc TEXT, dang_luc {kind}, sua_luc {kind})"
        ))
        .await;
        if url.starts_with("mysql") {
            desk.run("SET time_zone = '+00:00'").await;
        }
        desk.write(1, "Một", at).await;
        let world = newsroom(&url);
        // The second look begins at a mark, in the database's own writing.
        assert!(world.done(&["source", "run", "cms"]).contains("1 new"));
        let article: Value = serde_json::from_str(&world.done(&["article", "list", "--json"])).unwrap();
        assert_eq!(article["published"], "2026-11-30T01:00:00Z", "{kind}");
        assert!(world.done(&["source", "run", "cms"]).contains("0 new, 0 revised, 0 unchanged"));
    }
}

#[tokio::test]
async fn nobody_can_write_by_a_query() {
    nothing_is_written(&mariadb::fresh_database().await).await;
    #[cfg(target_arch = "x86_64")]
    nothing_is_written(&mariadb::fresh_mysql().await).await;
}

async fn nothing_is_written(url: &str) {
    let mut desk = Desk::open(url).await;
    desk.run("CREATE TABLE bai (id INTEGER PRIMARY KEY, title TEXT, summary TEXT)").await;
    desk.run("INSERT INTO bai VALUES (1, 'Một', 'Tóm tắt')").await;
    let world = World::new();
    let query = "SELECT * FROM bai) AS q; DELETE FROM bai; SELECT * FROM (SELECT * FROM bai";
    world.write(
        "bantin.toml",
        format!("[sources.cms]\nkind = \"sql\"\nurl = \"{url}\"\nkey = \"id\"\nquery = \"{query}\"\n"),
    );
    let output = world.run(&["source", "run", "cms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("READ ONLY"), "{output:?}");
}

#[tokio::test]
async fn killed_in_the_middle_of_a_table_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/cms.db", folder.path().display());
    let mut desk = Desk::open(&url).await;
    desk.run("CREATE TABLE bai (id INTEGER PRIMARY KEY, tieu_de TEXT, noi_dung TEXT, muc TEXT, dang_luc TEXT, sua_luc TEXT)").await;
    // All at one mark: the key alone tells how far a reading is.
    desk.run(
        "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1500) \
         INSERT INTO bai SELECT value, 'Bài ' || value, '<p>Nội dung.</p>', NULL, NULL, '2026-11-30 08:00:00' FROM n",
    )
    .await;
    let mut world = newsroom(&url);
    world.set("BANTIN_LIMITS__CLAIM_SECONDS", "1");
    let (mut before, mut midway) = (0, 0);
    while before < 1_500 {
        world.start(&["serve"]);
        let begun = std::time::Instant::now();
        while taken(&world).await == before {
            assert!(begun.elapsed().as_secs() < 30, "nothing more is taken\n{}", world.log());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        world.kill();
        before = taken(&world).await;
        midway += usize::from(before < 1_500);
    }
    assert!(midway > 0, "it was never killed in the middle");
    let titles = titles(&world);
    assert_eq!((titles.len(), titles.first().unwrap().as_str()), (1_500, "Bài 1"));
}

/// How many articles there are; none before there is a store.
async fn taken(world: &World) -> i64 {
    let url = format!("sqlite:{}?mode=ro", world.path("var/bantin.db").display());
    let Ok(mut store) = SqliteConnection::connect(&url).await else { return 0 };
    sqlx::query_scalar("SELECT count(*) FROM articles").fetch_one(&mut store).await.unwrap_or_default()
}
