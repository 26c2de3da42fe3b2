//! What else the newsroom's programs see and do over the API: sections, feeds, digests, editions, readers.

use crate::api::{Api, problem, told};
use crate::world::World;
use serde_json::{Value, json};

fn tin(id: &str, category: &str) -> Value {
    json!({"external_id": id, "title": format!("Tin {id}"), "summary": "Tóm tắt.", "categories": [category]})
}

#[test]
fn sections_are_made_renamed_and_moved() {
    let api = Api::new();
    let made = api.post("/categories", &json!({"title": "Kinh tế", "slug": "lam-an"}));
    let section = told(&made, 201);
    assert_eq!(made.header("location"), Some("/api/v1/categories/lam-an"));
    assert_eq!(section["url"], json!(api.world.url("/feeds/lam-an")));
    assert_eq!(api.world.get("/feeds/lam-an.rss").status, 200, "its feed is there at once");
    told(&api.post("/articles", &tin("1", "kinh tế")), 201);
    let above = told(&api.post("/categories", &json!({"title": "Đời sống", "parent": null})), 201);
    assert_eq!((&above["slug"], &above["parent"]), (&json!("doi-song"), &Value::Null));
    let below = told(&api.post("/categories", &json!({"title": "Chợ", "parent": "doi-song"})), 201);
    assert_eq!(below["parent"], json!("doi-song"));

    let patch =
        |slug: &str, patch: Value| api.ask("PATCH", &format!("/categories/{slug}"), &[], Some(&patch));
    let moved = told(&patch("lam-an", json!({"title": "Tiền", "slug": "tien", "parent": "doi-song"})), 200);
    assert_eq!((&moved["former"], &moved["parent"]), (&json!(["kinh-te", "lam-an"]), &json!("doi-song")));
    assert_eq!(told(&api.get("/categories/lam-an"), 200), moved, "a former name leads to it");
    assert!(api.world.get("/feeds/doi-song.rss").text().contains("Tin 1"), "it is part of it now");
    assert_eq!(told(&patch("tien", json!({"parent": null})), 200)["parent"], Value::Null);
    let listed = told(&api.get("/categories"), 200);
    let slugs: Vec<_> =
        listed["categories"].as_array().unwrap().iter().map(|c| c["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["tien", "doi-song", "cho"]);

    assert_eq!(
        problem(&patch("doi-song", json!({"title": "Khác", "parent": "cho"})), 409).0,
        "part-of-itself"
    );
    assert_eq!(
        told(&api.get("/categories/doi-song"), 200)["title"],
        json!("Đời sống"),
        "nothing of it is done"
    );
    assert_eq!(problem(&patch("cho", json!({"slug": "tien"})), 409).0, "slug-taken");
    for (body, code) in [
        (json!({"title": "đời SỐNG"}), "title-taken"),
        (json!({"title": "Mới", "slug": "lam-an"}), "slug-taken"),
        (json!({"title": "Mới", "slug": "all"}), "slug-taken"),
    ] {
        assert_eq!(problem(&api.post("/categories", &body), 409).0, code, "{body}");
    }
    for (body, field) in [
        (json!({}), "/title"),
        (json!({"title": " "}), "/title"),
        (json!({"title": "Mới", "slug": "Hai chữ"}), "/slug"),
        (json!({"title": "Mới", "parent": "no-such"}), "/parent"),
        (json!({"title": "Mới", "color": "red"}), "/color"),
    ] {
        assert_eq!(problem(&api.post("/categories", &body), 422).1, [field], "{body}");
    }
    problem(&api.get("/categories/no-such"), 404);
}

#[test]
fn feeds_tell_their_addresses() {
    let api = Api::new();
    told(&api.post("/articles", &tin("1", "Kinh tế")), 201);
    api.world.wait_for("the feed is there", |_| api.get("/feeds/kinh-te").status == 200);
    let feed = told(&api.get("/feeds/kinh-te"), 200);
    for format in ["rss", "atom", "json"] {
        let address = feed["documents"][format].as_str().unwrap();
        assert_eq!(api.world.get(address.strip_prefix(&api.world.url("")).unwrap()).status, 200, "{address}");
    }
    let feeds = told(&api.get("/feeds"), 200);
    assert_eq!(feeds["feeds"][0]["slug"], json!("all"));
    assert!(feeds["feeds"].as_array().unwrap().contains(&feed));
    problem(&api.get("/feeds/no-such"), 404);
}

#[test]
fn a_digest_is_looked_at_held_and_released() {
    let api = Api::new();
    problem(&api.get("/digests/hang-ngay/preview"), 409);
    told(&api.post("/articles", &tin("1", "Kinh tế")), 201);
    let letter = told(&api.get("/digests/hang-ngay/preview"), 200);
    assert!(["html", "text"].iter().all(|part| letter[part].as_str().unwrap().contains("Tin 1")), "{letter}");
    let held = told(&api.ask("POST", "/digests/hang-ngay/hold?reason=L%E1%BB%85%20tang", &[], None), 200);
    assert_eq!(held["held"], json!("Lễ tang"));
    assert!(held["next"].as_str().unwrap().ends_with("T23:30:00Z"), "{held}");
    let digests = told(&api.get("/digests"), 200);
    assert_eq!(digests["digests"], json!([held]));
    let released = told(&api.ask("POST", "/digests/hang-ngay/release", &[], None), 200);
    assert_eq!(released["held"], Value::Null);
    problem(&api.ask("POST", "/digests/no-such/hold", &[], None), 404);
    problem(&api.ask("POST", "/digests/hang-ngay/hold?why=x", &[], None), 400);
}

#[test]
fn an_edition_is_held_before_it_goes_out() {
    let world = World::new();
    world.write("feeds/nam-moi.toml", "[digest]\nschedule = \"0 0 1 1 *\"\nreview = true\n");
    world.import(&[tin("1", "Kinh tế")]);
    world.done(&["subscriber", "add", "mai@songhau.example", "--consent", "giấy ngày 2.3.2026"]);
    let api = Api::of(world, &["write"]);
    assert_eq!(told(&api.get("/editions"), 200), json!({"editions": [], "next": null}));
    api.world.done(&["digest", "run", "nam-moi"]);
    let edition = told(&api.get("/editions/1"), 200);
    assert_eq!((&edition["articles"], &edition["letters"]), (&json!(1), &json!(1)));
    assert_eq!((&edition["held"], &edition["settled"]), (&json!("waits to be looked at"), &json!(0)));
    told(&api.ask("POST", "/editions/1/hold", &[], None), 200);
    assert_eq!(told(&api.ask("POST", "/editions/1/release", &[], None), 200)["held"], Value::Null);
    api.world.wait_for("it went out", |_| told(&api.get("/editions/1"), 200)["completed"].is_string());
    assert_eq!(told(&api.get("/editions/1"), 200)["deliveries"], json!({"accepted": 1}));
    assert_eq!(problem(&api.ask("POST", "/editions/1/hold", &[], None), 409).0, "complete");
    problem(&api.get("/editions/2"), 404);
    problem(&api.get("/editions/x"), 404);
}

#[test]
fn a_reader_is_asked_seen_and_forgotten() {
    let api = Api::new();
    let wish = json!({"address": "mai@songhau.example", "language": "en"});
    assert_eq!(told(&api.post("/subscribers", &wish), 202)["answer"], json!("asked"));
    assert_eq!(told(&api.post("/subscribers", &wish), 202)["answer"], json!("asked-before"));
    api.world.wait_for("the question is on its way", |world| world.letters().len() == 1);
    let found = told(&api.get("/subscribers?address=MAI@songhau.example"), 200);
    let reader = &found["subscribers"][0];
    assert_eq!((&reader["state"], &reader["language"]), (&json!("pending"), &json!("en")));
    assert_eq!(reader["subscriptions"], json!([]), "nobody is subscribed who did not confirm");
    for name in ["an", "binh"] {
        let address = format!("{name}@songhau.example");
        api.world.done(&["subscriber", "add", &address, "--consent", "giấy ngày 2.3.2026"]);
    }
    let (mut addresses, mut path) = (Vec::new(), "/subscribers?limit=1".to_owned());
    loop {
        let page = told(&api.get(&path), 200);
        addresses.extend(
            page["subscribers"].as_array().unwrap().iter().map(|r| r["address"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/subscribers?limit=1&cursor={next}");
    }
    assert_eq!(addresses, ["mai@songhau.example", "an@songhau.example", "binh@songhau.example"]);
    let active = told(&api.get("/subscribers?state=active"), 200);
    assert_eq!(
        active["subscribers"][0]["subscriptions"],
        json!([{"feed": "all", "frequency": "digest:hang-ngay"}])
    );

    let path = format!("/subscribers/{}", reader["id"]);
    assert_eq!(told(&api.get(&path), 200), *reader);
    assert_eq!(api.ask("DELETE", &path, &[], None).status, 204);
    problem(&api.get(&path), 404);
    problem(&api.ask("DELETE", &path, &[], None), 404);
    api.world.done(&["suppression", "add", "thoi@songhau.example"]);
    assert_eq!(
        problem(&api.post("/subscribers", &json!({"address": "thoi@songhau.example"})), 409).0,
        "suppressed"
    );
    for (body, field) in [
        (json!({"address": "x"}), "/address"),
        (json!({}), "/address"),
        (json!({"address": "a@b.example", "digest": "no-such"}), "/digest"),
        (json!({"address": "a@b.example", "feeds": ["all", "no-such"]}), "/feeds/1"),
        (json!({"address": "a@b.example", "language": "fr"}), "/language"),
    ] {
        assert_eq!(problem(&api.post("/subscribers", &body), 422).1, [field], "{body}");
    }
    for hidden in ["/preferences/", "/unsubscribe/", "/confirm/", "bantin_"] {
        assert!(!told(&api.get("/subscribers"), 200).to_string().contains(hidden), "{hidden}");
    }
    assert!(!api.world.log().contains('@'), "no address in the log");
}

#[test]
fn the_api_is_explained_on_a_page_in_two_languages() {
    let api = Api::new();
    let page = api.world.request("GET", "/api", &[("Accept-Language", "en")], b"");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let text = page.text().replace("&#x2f;", "/");
    for told in ["createArticle", "PATCH /api/v1/articles/{id}", "articles:write", "external_id", "The API"] {
        assert!(text.contains(told), "{told}");
    }
    assert!(!text.contains("<script"));
    assert!(api.world.get("/api?lang=vi").text().contains("API của tòa soạn"));
}
