//! Counting of opened letters: only where the newsroom wants it, said in the letter, and nothing else.

use crate::mailroom::article;
use crate::world::World;
use mail_parser::MessageParser;
use std::time::Duration;

fn newsroom(counting: bool) -> World {
    let mut world = World::new();
    if counting {
        world.set("BANTIN_MAIL__COUNT_OPENS", "true");
    }
    world.import(&[article("1", "Giá lúa ở Cần Thơ tăng", "Kinh tế")]);
    world.serve();
    world.subscribe("an@doc.example", &["all"]);
    world
}

/// The HTML of the one edition that was mailed.
fn html(world: &World) -> String {
    world.digest_for("an@doc.example");
    let found = world.letters().iter().rev().find_map(|letter| {
        let html = MessageParser::default().parse(letter)?.body_html(0)?.into_owned();
        html.contains("Giá lúa").then_some(html)
    });
    found.unwrap()
}

/// The path of the picture in it.
fn picture(html: &str) -> Option<String> {
    let end = html.find("/opened.gif")?;
    let start = html[..end].rfind("/editions/")?;
    Some(html[start..end + "/opened.gif".len()].to_owned())
}

fn opened(world: &World) -> serde_json::Value {
    let shown = world.done(&["digest", "show", "1", "--json"]);
    serde_json::from_str::<serde_json::Value>(&shown).unwrap()["opened"].clone()
}

#[test]
fn an_opened_letter_is_counted_once_and_a_forged_picture_never() {
    let world = newsroom(true);
    let html = html(&world);
    assert!(html.contains("đếm số thư được mở"), "the letter says so");
    let path = picture(&html).unwrap();
    assert!(
        html.contains("href=\"https://") || html.contains("href=\"http://"),
        "links lead where they lead"
    );
    assert_eq!(opened(&world), 0);
    // A look at the head, and what nobody signed: the same dot, and nothing is counted.
    let token = path.split('/').nth(3).unwrap();
    let forged = path.replace(token, "AAAAAAAAACoABf0tYq-WAH2xQn7bK4fLsW1vE9dRt6M");
    let other = path.replacen("/editions/1/", "/editions/2/", 1);
    assert_eq!(world.request("HEAD", &path, &[], b"").status, 200);
    let dot = world.get(&forged);
    for answer in [&dot, &world.get(&other), &world.get("/editions/x/y/opened.gif")] {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/gif")));
        assert_eq!(answer.body, dot.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(opened(&world), 0);
    for _ in 0..3 {
        assert_eq!(world.get(&path).body, dot.body);
        world.wait_for("it is counted", |world| opened(world) == 1);
    }
    assert!(world.done(&["digest", "show", "1"]).contains("about 1 opened"));
    let metrics = world.get("/metrics").text();
    assert!(metrics.contains("bantin_letters_opened 1"), "{metrics}");
    world.assert_discreet();
}

#[test]
fn where_nobody_wants_it_no_letter_holds_a_picture_and_nothing_is_counted() {
    let world = newsroom(false);
    let html = html(&world);
    assert!(picture(&html).is_none() && !html.contains("đếm số thư"), "{html}");
    assert!(opened(&world).is_null());
    assert!(!world.done(&["digest", "show", "1"]).contains("opened"));
}
