//! No GET changes anything: mail scanners and browsers open every link, and more than once.

use crate::source::{rust_files, text};
use crate::world::World;
use mail_parser::MessageParser;
use regex::Regex;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use std::collections::BTreeMap;
use std::time::Duration;

const READER: &str = "ban.doc@songhau.example";
const ASKED: &str = "nguoi.moi@songhau.example";

/// Every path that the router knows, with what it answers to.
pub fn routes() -> Vec<(String, String)> {
    let route = Regex::new(r#"\.route\(\s*"([^"]+)",\s*([^\n]+)\)"#).unwrap();
    let mut routes = Vec::new();
    for file in rust_files("src/http") {
        let code = std::fs::read_to_string(&file).unwrap();
        // What is merged is written out in its own file below src/http.
        for hidden in [".nest(", ".nest_service(", ".route_service("] {
            assert!(!code.contains(hidden), "{}: teach this test to read `{hidden}`", file.display());
        }
        // What a unit test routes is nobody's address.
        let code = code.split("#[cfg(test)]").next().unwrap();
        routes.extend(route.captures_iter(code).map(|found| (found[1].to_owned(), found[2].to_owned())));
    }
    let written = text("src/http/mod.rs").matches(".route(").count();
    assert!(routes.len() >= written && written > 10, "{} of {written} routes were read", routes.len());
    routes
}

/// Every row of every table, as SQLite would write it.
pub async fn rows(world: &World) -> BTreeMap<String, Vec<String>> {
    let url = format!("sqlite:{}?mode=ro", world.path("var/bantin.db").display());
    let mut store = SqliteConnection::connect(&url).await.unwrap();
    let tables =
        sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'");
    let tables = tables.fetch_all(&mut store).await.unwrap();
    let mut rows = BTreeMap::new();
    for table in tables.iter().map(|row| row.get::<String, _>(0)) {
        let columns = sqlx::query("SELECT name FROM pragma_table_info($1)").bind(table.clone());
        let columns = columns.fetch_all(&mut store).await.unwrap();
        let quoted: Vec<String> =
            columns.iter().map(|row| format!("quote(\"{}\")", row.get::<String, _>(0))).collect();
        let text = format!("SELECT {} FROM \"{table}\" ORDER BY 1", quoted.join(" || ',' || "));
        let found = sqlx::query(AssertSqlSafe(text)).fetch_all(&mut store).await.unwrap();
        rows.insert(table, found.iter().map(|row| row.get(0)).collect());
    }
    store.close().await.unwrap();
    rows
}

/// The loops beside the server have come to rest.
async fn at_rest(world: &World) -> BTreeMap<String, Vec<String>> {
    for _ in 0..20 {
        let before = rows(world).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let after = rows(world).await;
        if before == after {
            return after;
        }
    }
    panic!("the store never rests\n{}", world.log());
}

/// The first link of a kind in the newest letter that holds one.
fn link(world: &World, kind: &str, to: &str) -> String {
    let found = world.letters().iter().rev().find_map(|letter| {
        let message = MessageParser::default().parse(letter)?;
        let addressee = message.to()?.first()?.address()?.to_owned();
        let text = message.body_text(0)?.into_owned();
        let from = text.find(&format!("/{kind}/")).filter(|_| addressee == to)?;
        let end = text[from..]
            .find(|c: char| c.is_whitespace() || matches!(c, '>' | ')'))
            .map_or(text.len(), |e| from + e);
        Some(text[from..end].to_owned())
    });
    found.unwrap_or_else(|| panic!("no letter to {to} has a link to /{kind}/"))
}

/// Imports a page that does not say when it was published.
pub fn doubtful(world: &World) {
    let page = "Thứ Hai, 24/11/2025 10:20\nTrang chủ\nKinh tế\nGiá lúa hè thu tăng mạnh trở lại trong tuần qua\n\n\
        Giá lúa hè thu tại nhiều huyện tăng mạnh trong tuần qua, có nơi thương lái đặt cọc trước cả tháng để giữ chân \
        nông dân.\n\nHoàng Lan\n";
    let page = world.write("in/trang.txt", page);
    assert_eq!(world.run(&["import", page.to_str().unwrap()]).status.code(), Some(1));
}

/// A newsroom with everything that a route may show: articles, a reader with an edition, and a
/// request that nobody has answered.
pub fn newsroom() -> World {
    let mut world = World::new();
    // Its hour never comes while the test runs.
    world.write("feeds/nam-moi.toml", "[digest]\nschedule = \"0 0 1 1 *\"\n");
    world.write("feeds/all.toml", "[feed]\nall = true\nwindow = 2\n");
    let article = |n: usize| json!({"external_id": n.to_string(), "title": format!("Tin {n}"), "content_html": "<p>Toàn văn.</p>", "categories": ["Kinh tế"], "authors": ["Thu Hà"]});
    world.import(&(1..=3).map(article).collect::<Vec<_>>());
    doubtful(&world);
    world.serve();
    for address in [READER, ASKED] {
        let wish = [("address", address), ("digest", "nam-moi"), ("feed", "all")];
        assert_eq!(world.post("/subscribe", &wish).status, 200);
    }
    world.wait_for("both are asked", |world| world.letters().len() == 2);
    assert_eq!(world.post(&link(&world, "confirm", READER), &[]).status, 200);
    world.done(&["digest", "run", "nam-moi"]);
    world.wait_for("the edition is there", |world| world.letters().len() == 3);
    world
}

#[tokio::test]
async fn no_get_changes_anything() {
    let world = newsroom();
    let article = world.done(&["article", "list", "--json", "--limit", "1"]);
    let article: serde_json::Value = serde_json::from_str(&article).unwrap();
    let draft = world.done(&["article", "list", "--drafts", "--json"]);
    let draft: serde_json::Value = serde_json::from_str(&draft).unwrap();
    let letter = std::fs::read_dir(world.path("var/outbox")).unwrap().map(|entry| entry.unwrap().file_name());
    let letter = letter.map(|name| name.into_string().unwrap()).find(|name| name.ends_with(".eml")).unwrap();
    let bearer = format!("Bearer {}", crate::api::token(&world, "cms", &["read"]));
    let before = at_rest(&world).await;
    assert!(
        before["ledger"].len() == 3 && before["opt_ins"].len() == 2,
        "the newsroom is not as it should be"
    );

    for (route, answers) in routes() {
        if !answers.contains("get(") {
            continue;
        }
        let paths: Vec<String> = match route.as_str() {
            "/feeds/{name}" => [
                "all",
                "all.rss",
                "all.atom",
                "all.json",
                "kinh-te",
                "kinh-te.rss",
                "all,kinh-te.atom",
                "all+kinh-te.json",
                "all+kinh-te",
                "author:thu-ha.rss",
                "author:thu-ha",
                "search.rss?q=tin",
                "search?q=tin",
            ]
            .map(|name| format!("/feeds/{name}"))
            .to_vec(),
            "/feeds/{name}/archive/{page}" => {
                ["rss", "atom", "json"].map(|format| format!("/feeds/all/archive/1.{format}")).to_vec()
            }
            "/my/{name}" => {
                let preferences = world.get(&link(&world, "preferences", READER)).text();
                let preferences = preferences.replace("&#x2f;", "/");
                let start = preferences.find("/my/").unwrap();
                vec![preferences[start..].chars().take_while(|c| *c != '<').collect()]
            }
            "/api/v1/categories/{slug}" => vec!["/api/v1/categories/kinh-te".to_owned()],
            "/api/v1/feeds/{slug}" => vec!["/api/v1/feeds/all".to_owned()],
            "/api/v1/digests/{slug}/preview" => vec!["/api/v1/digests/nam-moi/preview".to_owned()],
            "/api/v1/editions/{id}" => vec!["/api/v1/editions/1".to_owned()],
            "/api/v1/subscribers/{id}" => vec!["/api/v1/subscribers/1".to_owned()],
            "/api/v1/drafts/{id}" => vec![format!("/api/v1/drafts/{}", draft["id"].as_str().unwrap())],
            "/api/v1/articles/{id}" => vec![format!("/api/v1/articles/{}", article["id"].as_str().unwrap())],
            "/articles/{id}" => vec![format!("/articles/{}", article["id"].as_str().unwrap())],
            "/{file}" => vec!["/sitemap-articles-1.xml".to_owned()],
            "/confirm/{token}" => vec![link(&world, "confirm", READER), link(&world, "confirm", ASKED)],
            "/unsubscribe/{token}" => vec![link(&world, "unsubscribe", READER)],
            "/preferences/{token}" => vec![link(&world, "preferences", READER)],
            "/editions/{id}" => vec!["/editions/1".to_owned()],
            "/editions/{id}/{token}/opened.gif" => {
                vec![format!("{}/opened.gif", link(&world, "editions", READER))]
            }
            "/editions/{id}/{token}" => vec![link(&world, "editions", READER)],
            "/mailbox/{name}" => vec![format!("/mailbox/{letter}")],
            "/mailbox/{name}/source" => vec![format!("/mailbox/{letter}/source")],
            // `bantin demo` alone has it; it draws from the name and sees no store.
            "/demo/pictures/{name}" => continue,
            // WebSub lets a hub ask by GET whether we meant it. Who asks for what we did not, changes nothing:
            // tests/service/source_hubs.rs.
            "/hooks/websub/{name}/{key}" => continue,
            plain if !plain.contains('{') => vec![plain.to_owned()],
            unknown => panic!("say here which path of ours `{unknown}` has"),
        };
        for path in paths {
            for method in ["GET", "HEAD", "GET"] {
                let answer = world.request(method, &path, &[("Authorization", &bearer)], b"");
                assert_eq!(answer.status, 200, "{method} {path}");
            }
            // What a browser and a mail scanner ask for beside it.
            world.request(
                "GET",
                &path,
                &[("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")],
                b"",
            );
            world.request("GET", &format!("{path}?lang=en&undo=1&saved=1"), &[], b"");
            let after = rows(&world).await;
            for (table, rows) in &before {
                assert_eq!(rows, &after[table], "GET {path} changed `{table}`");
            }
        }
    }
    assert_eq!(world.letters().len(), 3, "a GET had a letter written");
}
