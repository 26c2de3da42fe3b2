//! The public archive of editions: what everybody may read of what readers were mailed.

use crate::mailroom::article;
use crate::served::FORMATS;
use crate::world::World;

fn newsroom(files: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (name, text) in files {
        world.write(&format!("feeds/{name}.toml"), text);
    }
    world.import(&[
        article("1", "Giá lúa ở Cần Thơ tăng", "Kinh tế"),
        article("2", "Đêm đờn ca bên sông", "Văn hóa"),
    ]);
    world.fill(2);
    world.serve();
    world
}

#[test]
fn an_edition_is_there_for_everybody_and_names_nobody() {
    let world = newsroom(&[]);
    assert!(world.get("/editions").text().contains("Chưa có bản tin nào"));
    world.done(&["digest", "run", "hang-ngay"]);
    let list = said(&world, "/editions");
    assert!(list.contains("href=\"/editions/1\"") && list.contains("2 tin"), "{list}");
    let page = world.get("/editions/1");
    assert_eq!(page.status, 200);
    for said in ["Giá lúa ở Cần Thơ tăng", "Đêm đờn ca bên sông", "Kinh tế", "Văn hóa"] {
        assert!(page.text().contains(said), "{said}");
    }
    for secret in ["unsubscribe", "preferences", "doc.gia", "@doc.example"] {
        assert!(!page.text().contains(secret), "{secret}");
    }
    for path in ["/editions/2", "/editions/0", "/editions/x", "/editions/9223372036854775807"] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
    // What was withdrawn is gone here too; an edition of which nothing is left is none.
    let rows = world.done(&["article", "list", "--json"]);
    for (n, row) in rows.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        world.done(&["article", "withdraw", row["id"].as_str().unwrap()]);
        assert_eq!(world.get("/editions/1").status, if n == 0 { 200 } else { 404 });
    }
    assert!(!said(&world, "/editions").contains("/editions/1"));
}

/// A page, its slashes as people write them.
fn said(world: &World, path: &str) -> String {
    let answer = world.get(path);
    assert_eq!(answer.status, 200, "{path}");
    answer.text().replace("&#x2f;", "/")
}

#[test]
fn the_archive_is_a_feed_in_three_formats_that_keeps_its_ids() {
    let world = newsroom(&[]);
    world.done(&["digest", "run", "hang-ngay"]);
    let ids: Vec<Vec<String>> =
        FORMATS.iter().map(|format| ids(&world, &format!("/editions.{format}"))).collect();
    assert_eq!(ids[0].len(), 1);
    assert!(ids.iter().all(|of_format| *of_format == ids[0]), "{ids:?}");
    let first = world.get("/editions.atom");
    assert!(first.text().contains("Giá lúa ở Cần Thơ tăng") && first.text().contains("/editions/1"));
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(world.request("GET", "/editions.atom", &[("If-None-Match", &tag)], b"").status, 304);
    world.import(&[article("3", "Tin thứ ba", "Kinh tế")]);
    world.done(&["digest", "run", "hang-ngay"]);
    let later = self::ids(&world, "/editions.atom");
    assert_eq!((later.len(), &later[1]), (2, &ids[0][0]));
    let linked = said(&world, "/editions");
    for format in FORMATS {
        assert!(linked.contains(&format!("/editions.{format}")), "{format}");
    }
    let navigating = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")];
    assert_eq!(world.request("GET", "/editions.rss", &navigating, b"").header("location"), Some("/editions"));
}

fn ids(world: &World, path: &str) -> Vec<String> {
    let answer = world.get(path);
    assert_eq!(answer.status, 200, "{path}");
    feed_rs::parser::parse(&*answer.body).unwrap().entries.into_iter().map(|entry| entry.id).collect()
}

#[test]
fn a_newsroom_keeps_a_digest_to_its_readers() {
    let digest = "[digest]\nschedule = \"0 7 * * *\"\n";
    let world = newsroom(&[("mot", digest), ("rieng", &format!("{digest}archive = false\n"))]);
    world.done(&["digest", "run", "mot"]);
    assert_eq!(world.get("/editions/1").status, 200);
    world.change("UPDATE editions SET digest = (SELECT n FROM digests WHERE slug = 'rieng')");
    assert_eq!(world.get("/editions/1").status, 404);
    assert!(!said(&world, "/editions").contains("/editions/1"));
    assert!(!world.get("/editions.rss").text().contains("Giá lúa"));
    assert!(world.get("/").text().contains("href=\"/editions"), "the other one is public");
}
