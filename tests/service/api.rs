//! The newsroom's API over HTTP: tokens, articles, what is refused, and how fast feeds show it.

use crate::served::AT_ONCE;
use crate::world::{Answer, World};
use serde_json::{Value, json};

/// A running newsroom and a token of its own system.
pub struct Api {
    pub world: World,
    token: String,
}

impl Api {
    /// With a token that may do everything.
    pub fn new() -> Self {
        Self::of(World::new(), &["write"])
    }

    /// Starts this world, and makes a token with these scopes.
    pub fn of(mut world: World, scopes: &[&str]) -> Self {
        world.serve();
        Self::running(world, scopes)
    }

    /// Makes a token with these scopes in a world that serves.
    pub fn running(world: World, scopes: &[&str]) -> Self {
        let token = token(&world, "cms", scopes);
        Self { world, token }
    }

    /// A request with the token, and with JSON where there is any.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let mut fields = vec![("Authorization", bearer.as_str())];
        if body.is_some() {
            fields.push(("Content-Type", kind));
        }
        fields.extend(headers);
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.world.request(method, &format!("/api/v1{path}"), &fields, body.as_bytes())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], Some(body))
    }
}

/// Makes a token.
pub fn token(world: &World, name: &str, scopes: &[&str]) -> String {
    let mut arguments = vec!["token", "add", name];
    arguments.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
    world.done(&arguments).trim().to_owned()
}

/// The JSON of an answer that must have this status.
#[track_caller]
pub fn told(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// The code of a problem, which names the fields of its errors.
#[track_caller]
pub fn problem(answer: &Answer, status: u16) -> (String, Vec<String>) {
    let body = told(answer, status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!((&body["type"], &body["status"]), (&json!("about:blank"), &json!(status)));
    assert!(body["title"].is_string() && !body["detail"].as_str().unwrap().is_empty());
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let name = |error: &Value| {
        assert!(!error["detail"].as_str().unwrap().is_empty());
        error["pointer"].as_str().or(error["parameter"].as_str()).unwrap().to_owned()
    };
    (body["code"].as_str().unwrap().to_owned(), errors.iter().map(name).collect())
}

fn article(id: &str, title: &str) -> Value {
    json!({"external_id": id, "title": title, "content_html": format!("<p>{title}.</p>"), "categories": ["Kinh tế"]})
}

#[test]
fn only_who_shows_a_good_token_is_let_in_and_only_as_far_as_it_goes() {
    let api = Api::of(World::new(), &["articles:read", "digests:read"]);
    let ask = |headers: &[(&str, &str)]| api.world.request("GET", "/api/v1/articles", headers, b"");
    let nobody = ask(&[]);
    assert_eq!(problem(&nobody, 401).0, "no-token");
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"bantin\""));
    let forged = format!("Bearer bantin_{}", "A".repeat(54));
    for wrong in ["Bearer x", "Basic dTpw", &forged, "Bearer"] {
        let answer = ask(&[("Authorization", wrong)]);
        assert_eq!(problem(&answer, 401).0, "invalid-token", "{wrong}");
        assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    }
    assert_eq!(api.get("/articles").status, 200);
    let refused = api.post("/articles", &article("1", "Tin"));
    assert_eq!(problem(&refused, 403).0, "insufficient-scope");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\", scope=\"articles:write\""), "{challenge}");
    // A token in the address would end in logs: it counts for nothing.
    let path = format!("/api/v1/articles?access_token={}", api.token);
    assert_eq!(api.world.get(&path).status, 401);

    let listed = api.world.done(&["token", "list"]);
    assert!(listed.contains("cms") && listed.contains("articles:read digests:read"), "{listed}");
    assert!(!listed.contains("bantin_") && !api.world.log().contains(&api.token));
    let twice = api.world.run(&["token", "add", "cms", "--scope", "read"]);
    assert_eq!(twice.status.code(), Some(1), "a name is one token's");
    for wrong in [&["--scope", "admin"][..], &[], &["--scope", "read", "--expires", "2020-01-01"]] {
        let output = api.world.run(&[&["token", "add", "x"], wrong].concat());
        assert!(!output.status.success(), "{wrong:?}");
    }
    api.world.done(&["token", "revoke", "cms"]);
    assert_eq!(api.get("/articles").status, 401, "from the next request on");
}

#[test]
fn an_article_is_made_changed_withdrawn_and_published_again() {
    let api = Api::new();
    let made = api.post("/articles", &article("bài/1", "Bến phà"));
    let first = told(&made, 201);
    let path = format!("/articles/{}", first["id"].as_str().unwrap());
    assert_eq!(made.header("location"), Some(format!("/api/v1{path}").as_str()));
    let got = api.get(&path);
    assert_eq!(told(&got, 200), first);
    assert_eq!(got.header("etag"), made.header("etag"));
    assert_eq!(told(&api.get("/articles/key:b%C3%A0i%2F1"), 200)["id"], first["id"]);

    // What says the same changes nothing; what says more is a revision of it.
    let again = api.post("/articles", &article("bài/1", "Bến phà"));
    assert_eq!((told(&again, 200), again.header("etag")), (first.clone(), made.header("etag")));
    let mut edited = article("bài/1", "Bến phà cuối");
    edited["url"] = json!("https://bao.example/ben-pha");
    let replaced = api.ask("PUT", "/articles/key:b%C3%A0i%2F1", &[], Some(&edited));
    let second = told(&replaced, 200);
    assert_eq!((&second["id"], &second["revision"]), (&first["id"], &json!(2)));
    assert_ne!(replaced.header("etag"), made.header("etag"));

    edited["published"] = json!("2020-01-01T00:00:00Z");
    let moved = told(&api.ask("PUT", &path, &[], Some(&edited)), 200);
    assert!(moved["warnings"][0].as_str().unwrap().contains("never changes"), "{moved}");
    assert_eq!(moved["published"], second["published"]);

    // What was got can be put back as it is.
    let back = api.ask("PUT", &path, &[("If-Match", replaced.header("etag").unwrap())], Some(&second));
    assert_eq!((told(&back, 200), back.header("etag")), (second.clone(), replaced.header("etag")));

    let patch = json!({"title": "Bến phà cuối cùng", "url": null, "tags": ["phà"], "significant": false});
    let patched = told(&api.ask("PATCH", &path, &[], Some(&patch)), 200);
    assert_eq!((&patched["title"], &patched["url"]), (&json!("Bến phà cuối cùng"), &Value::Null));
    assert_eq!((&patched["tags"], &patched["categories"]), (&json!(["phà"]), &json!(["Kinh tế"])));
    assert_eq!(patched["updated"], second["updated"], "a silent change");
    assert_eq!(patched["content_html"], second["content_html"]);
    let same = told(&api.ask("PATCH", &path, &[], Some(&json!({"tags": ["phà"]}))), 200);
    assert_eq!(same["revision"], patched["revision"], "nothing changed");
    let text = told(&api.ask("PATCH", &path, &[], Some(&json!({"content_text": "Một & hai"}))), 200);
    assert_eq!(text["content_html"], json!("<p>Một &amp; hai</p>\n"));

    for _ in 0..2 {
        assert_eq!(api.ask("DELETE", &path, &[], None).status, 204, "as often as one likes");
    }
    assert_eq!(told(&api.get(&path), 200)["state"], json!("withdrawn"));
    let visible = told(&api.get("/articles?state=visible"), 200);
    assert_eq!(visible["articles"], json!([]));
    let published = told(&api.ask("POST", &format!("{path}/publish"), &[], None), 200);
    assert_eq!(published["state"], json!("visible"));
    for method in ["GET", "PATCH", "DELETE"] {
        let nobody = "/articles/018f0000-0000-7000-8000-000000000000";
        let body = json!({"title": "x"});
        problem(&api.ask(method, nobody, &[], (method == "PATCH").then_some(&body)), 404);
    }
}

#[test]
fn nobodys_change_is_lost() {
    let api = Api::new();
    let made = api.post("/articles", &article("1", "Một"));
    let tag = made.header("etag").unwrap();
    assert!(tag.starts_with('"'), "strong: {tag}");
    let path = "/articles/key:1";
    let seen = [("If-Match", tag)];
    let changed = api.ask("PUT", path, &seen, Some(&article("1", "Hai")));
    told(&changed, 200);
    for (method, body) in
        [("PUT", Some(article("1", "Ba"))), ("PATCH", Some(json!({"title": "Ba"}))), ("DELETE", None)]
    {
        let late = api.ask(method, path, &seen, body.as_ref());
        assert_eq!(problem(&late, 412).0, "precondition-failed", "{method}");
    }
    problem(&api.ask("POST", "/articles/key:1/publish", &seen, None), 412);
    assert_eq!(told(&api.get(path), 200)["title"], json!("Hai"));
    problem(&api.ask("PUT", path, &[("If-None-Match", "*")], Some(&article("1", "Ba"))), 412);
    told(
        &api.ask(
            "PUT",
            "/articles/key:2",
            &[("If-None-Match", "*")],
            Some(&json!({"title": "Hai", "summary": "x"})),
        ),
        201,
    );
    problem(&api.ask("PUT", path, &[("If-None-Match", "\"x\"")], Some(&article("1", "Ba"))), 400);
    let kept = api.ask("GET", path, &[("If-None-Match", changed.header("etag").unwrap())], None);
    assert_eq!((kept.status, kept.body.len()), (304, 0));

    // Many at once, each adding to what it read: without If-Match no patch is lost either.
    std::thread::scope(|scope| {
        for n in 0..8 {
            let api = &api;
            scope.spawn(move || {
                let patch = json!({"image": {"url": format!("https://bao.example/{n}.jpg")}, "summary": format!("{n}")});
                let field = ["caption", "credit"][n % 2];
                let mut patch = patch;
                patch["image"][field] = json!("Ảnh");
                told(&api.ask("PATCH", path, &[], Some(&patch)), 200);
            });
        }
    });
    let image = &told(&api.get(path), 200)["image"];
    assert!(image["caption"] == "Ảnh" && image["credit"] == "Ảnh", "{image}");
}

#[test]
fn what_is_published_is_in_its_feeds_within_a_second() {
    let api = Api::new();
    let shows = |words: &str| {
        api.world.wait_at_most(AT_ONCE, &format!("the feed shows {words}"), |world| {
            world.get("/feeds/kinh-te.atom").text().contains(words)
        });
    };
    told(&api.post("/articles", &article("1", "Bến phà")), 201);
    shows("Bến phà");
    told(&api.ask("PATCH", "/articles/key:1", &[], Some(&json!({"title": "Cầu mới"}))), 200);
    shows("Cầu mới");
    assert_eq!(api.ask("DELETE", "/articles/key:1", &[], None).status, 204);
    shows("deleted-entry");
    told(&api.ask("POST", "/articles/key:1/publish", &[], None), 200);
    shows("Cầu mới");
}

#[test]
fn a_batch_gives_each_article_its_own_result() {
    let api = Api::new();
    told(&api.post("/articles", &article("1", "Một")), 201);
    let mut changed = article("2", "Hai");
    changed["image"] = json!({"url": "ftp://x"});
    let batch = json!({"articles": [
        article("1", "Một"), article("1", "Một rưỡi"), changed, article("3", "Ba"), 17, {"title": " ", "summary": "x"},
        {"title": "Bốn", "summary": "x", "mood": 1},
    ]});
    let results = told(&api.post("/articles/batch", &batch), 200);
    let results = results["results"].as_array().unwrap();
    let statuses: Vec<_> =
        results.iter().map(|r| (r["status"].as_u64().unwrap(), r["what"].as_str())).collect();
    let [known, revised, new] = [(200, Some("unchanged")), (200, Some("revised")), (201, Some("new"))];
    assert_eq!(statuses, [known, revised, (422, None), new, (422, None), (422, None), new]);
    assert_eq!(results[2]["problem"]["errors"][0]["pointer"], json!("/image/url"));
    assert!(results[6]["warnings"][0].as_str().unwrap().contains("mood"));
    for wrong in [json!({"articles": []}), json!({}), json!([1]), json!({"articles": [], "x": 1})] {
        problem(&api.post("/articles/batch", &wrong), 422);
    }
}

#[test]
fn a_request_is_carried_out_once_a_key() {
    let mut api = Api::new();
    let key = [("Idempotency-Key", "7a5f")];
    // Without an id of its own, so that only the key makes it one.
    let tin = json!({"title": "Bến phà", "content_text": "Chuyến cuối."});
    let first = api.ask("POST", "/articles", &key, Some(&tin));
    let made = told(&first, 201);
    told(
        &api.ask(
            "PATCH",
            &format!("/articles/{}", made["id"].as_str().unwrap()),
            &[],
            Some(&json!({"title": "Cầu"})),
        ),
        200,
    );
    api.world.stop();
    api.world.serve();
    let again = api.ask("POST", "/articles", &key, Some(&tin));
    assert_eq!(told(&again, 201), made, "the same answer, also after a restart");
    for name in ["etag", "location", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = api.ask("POST", "/articles", &key, Some(&article("1", "Khác")));
    assert_eq!(problem(&other, 422).0, "key-used");
    let elsewhere = api.ask("POST", "/articles/batch", &key, Some(&tin));
    assert_eq!(problem(&elsewhere, 422).0, "key-used");
    problem(&api.ask("POST", "/articles", &[("Idempotency-Key", &"x".repeat(256))], Some(&tin)), 400);
    // What is wrong stays wrong; what may not be done takes no key.
    let wrong = json!({"title": "", "summary": "x"});
    for _ in 0..2 {
        problem(&api.ask("POST", "/articles", &[("Idempotency-Key", "wrong")], Some(&wrong)), 422);
    }
    let listed = told(&api.get("/articles"), 200);
    assert_eq!(listed["articles"].as_array().unwrap().len(), 1);
}

#[test]
fn a_death_before_the_answer_is_kept_repeats_nothing() {
    let api = Api::new();
    let dies = || {
        api.world.change("UPDATE api_answers SET status = NULL, head = NULL, body = NULL, claimed_until = 0");
    };
    let key = [("Idempotency-Key", "7a5f")];
    let tin = json!({"title": "Bến phà", "content_text": "Chuyến cuối.", "mood": "vui"});
    let first = api.ask("POST", "/articles", &key, Some(&tin));
    dies();
    let again = api.ask("POST", "/articles", &key, Some(&tin));
    assert_eq!(told(&again, 201), told(&first, 201));
    for name in ["etag", "location", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    // Somebody changed it before the repeat came: neither is that undone, nor is there a second one.
    let made = told(&first, 201)["id"].as_str().unwrap().to_owned();
    let changed = api.ask("PATCH", &format!("/articles/{made}"), &[], Some(&json!({"title": "Cầu"})));
    told(&changed, 200);
    dies();
    let late = told(&api.ask("POST", "/articles", &key, Some(&tin)), 200);
    assert_eq!((late["id"].as_str(), late["title"].as_str()), (Some(made.as_str()), Some("Cầu")));
    // Of others the repeat may be told that it was known, and is.
    let batch = json!({"articles": [article("1", "Một"), article("2", "Hai")]});
    let batch_key = [("Idempotency-Key", "batch")];
    told(&api.ask("POST", "/articles/batch", &batch_key, Some(&batch)), 200);
    dies();
    let again = told(&api.ask("POST", "/articles/batch", &batch_key, Some(&batch)), 200);
    assert_eq!(again["results"][1]["what"], "unchanged");
    let listed = told(&api.get("/articles"), 200);
    assert_eq!(listed["articles"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_wrong_is_told_by_field() {
    let api = Api::new();
    for (body, field) in [
        (json!({"summary": "x"}), "/title"),
        (json!({"title": 1, "summary": "x"}), "/title"),
        (json!({"title": "x"}), "/content_html"),
        (json!({"title": "x", "summary": "x", "published": "gestern"}), "/published"),
        (json!({"title": "x", "summary": "x", "url": "javascript:1"}), "/url"),
        (
            json!({"title": "x", "summary": "x", "enclosures": [{"url": "https://a.example/"}, {"url": "x"}]}),
            "/enclosures/1/url",
        ),
        (json!({"title": "x", "summary": "x", "external_id": "x".repeat(401)}), "/external_id"),
        (json!([1]), ""),
    ] {
        let (code, fields) = problem(&api.post("/articles", &body), 422);
        assert_eq!((code.as_str(), fields), ("invalid-field", vec![field.to_owned()]));
    }
    // All of them at once, each once.
    let wrong = json!({"title": 1, "content_html": 2, "summary": "", "url": "x", "categories": 3, "published": "gestern",
        "image": {"url": "y"}, "enclosures": [{"url": "a"}, {"url": "https://a.example/"}, {"url": "b"}],
        "source": {"title": "x", "url": "z"}, "language": "?", "significant": "yes", "external_id": "x".repeat(401)});
    let fields = [
        "/title",
        "/url",
        "/content_html",
        "/categories",
        "/published",
        "/image/url",
        "/enclosures/0/url",
        "/enclosures/2/url",
        "/source/url",
        "/language",
        "/significant",
        "/external_id",
    ];
    assert_eq!(problem(&api.post("/articles", &wrong), 422).1, fields);
    let empty = json!({"tags": 1});
    assert_eq!(problem(&api.post("/articles", &empty), 422).1, ["/title", "/content_html", "/tags"]);
    let other = json!({"external_id": "2", "title": "x", "summary": "x"});
    assert_eq!(problem(&api.ask("PUT", "/articles/key:1", &[], Some(&other)), 422).1, ["/external_id"]);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "since=gestern", "state=lost", "sort=title"]
    {
        let (code, fields) = problem(&api.get(&format!("/articles?{query}")), 400);
        assert_eq!(
            (code.as_str(), fields),
            ("invalid-parameter", vec![query.split('=').next().unwrap().to_owned()])
        );
    }
    problem(&api.get("/articles?category=no-such"), 404);
    // Two articles cannot become one.
    told(&api.post("/articles", &json!({"external_id": "1", "title": "Một", "summary": "x"})), 201);
    told(
        &api.post("/articles", &json!({"url": "https://bao.example/2", "title": "Hai", "summary": "x"})),
        201,
    );
    let both = json!({"external_id": "1", "url": "https://bao.example/2", "title": "Ba", "summary": "x"});
    assert_eq!(problem(&api.post("/articles", &both), 409).0, "taken");
}

#[test]
fn hostile_requests_get_a_problem_and_nothing_breaks() {
    let api = Api::new();
    let bearer = format!("Bearer {}", api.token);
    let json = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let send = |method: &str, path: &str, body: &[u8]| api.world.request(method, path, &json, body);
    let deep = "[".repeat(100_000);
    for body in ["", "{", "\"", "null", "{\"title\": \"\\ud800\"}", &deep] {
        let answer = send("POST", "/api/v1/articles", body.as_bytes());
        assert!((400..=422).contains(&answer.status), "{body:.20}: {}", answer.text());
        problem(&answer, answer.status);
    }
    problem(&send("POST", "/api/v1/articles", b"{\"title\": \"\xff\"}"), 400);
    let odd = json!({"title": "\u{0}\u{202e}]]>\r\nX: y", "summary": "\u{feff}<script>\u{0}", "tags": ["\u{0}"],
        "content_html": "<script>1</script><p onclick=x>a<iframe src=//x>"});
    let odd = told(&api.post("/articles", &odd), 201);
    assert!(!odd["content_html"].as_str().unwrap().contains("script"));
    for (method, path, status) in [
        ("GET", "/api/v1/articles/%ff", 400),
        ("GET", "/api/v1/articles/key:", 404),
        ("GET", "/api/v1/articles/key:%00%0d%0a", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/articles/1/2/3", 404),
        ("DELETE", "/api/v1/articles", 405),
        ("OPTIONS", "/api/v1/articles", 405),
        ("GET", "/api/v1/articles/batch", 405),
    ] {
        let answer = send(method, path, b"");
        problem(&answer, status);
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    let allow = send("PUT", "/api/v1/articles", b"{}").header("allow").unwrap().to_owned();
    assert_eq!(allow, "GET,HEAD,POST");
    let plain = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
    problem(&api.world.request("POST", "/api/v1/articles", &plain, b"{}"), 415);
    problem(&send("PATCH", "/api/v1/articles/key:1", b"[]"), 404);
    let large = json!({"title": "x", "content_text": "x".repeat(4 << 20)}).to_string();
    problem(&send("POST", "/api/v1/articles", large.as_bytes()), 413);
    assert!(!api.world.log().contains("panicked"), "{}", api.world.log());
}

#[test]
fn a_token_that_asks_too_often_is_told_to_wait() {
    let mut world = World::new();
    world.set("BANTIN_LIMITS__API_PER_MINUTE", "5");
    world.set("BANTIN_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let api = Api::of(world, &["read"]);
    let from = [("X-Forwarded-For", "203.0.113.9")];
    for _ in 0..5 {
        assert_eq!(api.ask("GET", "/articles", &from, None).status, 200);
    }
    let answer = api.ask("GET", "/articles", &from, None);
    assert_eq!(problem(&answer, 429).0, "too-many-requests");
    assert!((1..=12).contains(&answer.header("retry-after").unwrap().parse::<u64>().unwrap()));
    assert_eq!(api.get("/articles").status, 200, "from this very machine");
    let counted = api.world.get("/metrics").text();
    assert!(counted.contains("http_answers_total{route=\"/api/v1/articles\",status=\"429\"} 1"), "{counted}");
}

#[test]
fn the_document_names_every_route_and_no_other() {
    let api = Api::new();
    let document = told(&api.world.get("/api/openapi.json"), 200);
    assert_eq!(document["openapi"], json!("3.1.0"));
    let described: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    let mut routed = Vec::new();
    for (path, handlers) in crate::gets::routes() {
        if !path.starts_with("/api/v1/") || path.ends_with("{*rest}") {
            continue;
        }
        let methods =
            ["get(", "put(", "post(", "patch(", "delete("].iter().filter(|m| handlers.contains(**m));
        routed.extend(methods.map(|method| format!("{} {path}", method.trim_end_matches('('))));
    }
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(described), sorted(routed));
    let schema = told(&api.world.get("/api/article.schema.json"), 200);
    let input = &document["components"]["schemas"]["ArticleInput"];
    assert_eq!(schema["properties"], input["properties"]);
}

#[test]
fn every_operation_needs_the_scope_that_its_description_names() {
    let world = World::new();
    let api = Api::of(world, &["write"]);
    let document = told(&api.world.get("/api/openapi.json"), 200);
    let all = [
        "articles:read",
        "articles:write",
        "digests:read",
        "digests:write",
        "subscribers:read",
        "subscribers:write",
    ];
    let tokens: Vec<String> =
        all.iter().map(|scope| token(&api.world, &scope.replace(':', "-"), &[scope])).collect();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let needed = operation["security"][0]["token"][0].as_str().unwrap();
            let (area, _) = needed.split_once(':').unwrap();
            for (scope, token) in all.iter().zip(&tokens) {
                let bearer = format!("Bearer {token}");
                let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
                let path = path.replace("{id}", "0").replace("{slug}", "x");
                let answer = api.world.request(&method.to_uppercase(), &path, &headers, b"{}");
                let may = *scope == needed || *scope == format!("{area}:write");
                assert_eq!(answer.status != 403, may, "{method} {path} with {scope}: {}", answer.text());
            }
        }
    }
}

#[test]
fn a_draft_is_looked_at_published_and_put_away() {
    let api = Api::new();
    crate::gets::doubtful(&api.world);
    let listed = told(&api.get("/drafts"), 200);
    let (drafts, next) = (listed["drafts"].as_array().unwrap(), &listed["next"]);
    assert_eq!((drafts.len(), next), (1, &Value::Null));
    let draft = &drafts[0];
    assert_eq!(draft["doubts"][0]["field"], json!("published"));
    assert!(
        draft["content_html"].is_null() && draft["input"].as_str().unwrap().ends_with("trang.txt"),
        "{draft}"
    );
    let id = draft["id"].as_str().unwrap();
    let whole = told(&api.get(&format!("/drafts/{id}")), 200);
    assert!(whole["content_html"].as_str().unwrap().contains("Giá lúa hè thu tại nhiều huyện"), "{whole}");
    assert_eq!(problem(&api.get(&format!("/articles/{id}")), 404).0, "not-found");

    let publish = format!("/drafts/{id}/publish");
    let wrong = json!({"title": " ", "published": "gestern"});
    assert_eq!(problem(&api.post(&publish, &wrong), 422).1, ["/title", "/published"]);
    assert_eq!(problem(&api.post(&publish, &json!({"state": "x"})), 422).1, ["/state"]);
    let known = json!({"title": "Giá lúa tăng mạnh", "published": "2025-11-23T08:15:00+07:00"});
    let article = told(&api.post(&publish, &known), 200);
    assert_eq!(
        (&article["id"], &article["title"], &article["published"], &article["state"]),
        (&json!(id), &json!("Giá lúa tăng mạnh"), &json!("2025-11-23T01:15:00Z"), &json!("visible"))
    );
    assert!(api.world.get("/feeds/all.json").text().contains("Giá lúa tăng mạnh"), "it shows at once");
    problem(&api.post(&publish, &known), 404);
    problem(&api.get(&format!("/drafts/{id}")), 404);

    // In pages, the newest first; what is put away is gone.
    for n in 1..=3 {
        let page = format!(
            "Thứ Hai, 24/11/2025 10:20\nTrang chủ\nKinh tế\nTin số {n} về giá lúa trong vùng hôm nay\n\nGiá lúa hè thu tại nhiều huyện tăng mạnh trong tuần qua, có nơi thương lái đặt cọc trước cả tháng, theo tin số {n}.\n\nHoàng Lan\n"
        );
        let page = api.world.write(&format!("in/{n}.txt"), page);
        api.world.run(&["import", page.to_str().unwrap()]);
    }
    let title = |draft: &Value| draft["title"].as_str().unwrap().chars().nth(7).unwrap();
    let first = told(&api.get("/drafts?limit=2"), 200);
    let cursor = first["next"].as_str().unwrap();
    let second = told(&api.get(&format!("/drafts?limit=2&cursor={cursor}")), 200);
    let all = first["drafts"].as_array().unwrap().iter().chain(second["drafts"].as_array().unwrap());
    let all: Vec<&Value> = all.collect();
    assert_eq!(all.iter().map(|draft| title(draft)).collect::<String>(), "321");
    assert_eq!(second["next"], Value::Null);
    let away = format!("/drafts/{}", all[0]["id"].as_str().unwrap());
    assert_eq!(api.ask("DELETE", &away, &[], None).status, 204);
    problem(&api.ask("DELETE", &away, &[], None), 404);
    assert_eq!(told(&api.get("/drafts"), 200)["drafts"].as_array().unwrap().len(), 2);
}
