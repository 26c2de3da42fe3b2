//! Sources that keep flowing: feeds and sitemaps of a small server, a folder, a webhook.

use crate::world::World;
use flate2::{Compression, write::GzEncoder};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is answered to a path and a header.
type Answering = Box<dyn Fn(&str, &str) -> Vec<u8> + Send>;

/// A server whose answers a story can change, and which remembers what it was asked.
pub struct Bureau {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Answering>>,
}

impl Bureau {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let answer: Arc<Mutex<Answering>> = Arc::new(Mutex::new(Box::new(|_, _| reply(404, "", "").into())));
        let (noted, said) = (Arc::clone(&asked), Arc::clone(&answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (noted, said) = (Arc::clone(&noted), Arc::clone(&said));
                std::thread::spawn(move || serve(stream.unwrap(), &noted, &said));
            }
        });
        Self { address, asked, answer }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What is answered from now on, by path and header.
    pub fn answers<A: Into<Vec<u8>>>(&self, answer: impl Fn(&str, &str) -> A + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(move |path, head| answer(path, head).into());
    }

    /// The heads of all requests so far, in lower case.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, noted: &Mutex<Vec<String>>, said: &Mutex<Answering>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    noted.lock().unwrap().push(head.clone());
    let answer = (said.lock().unwrap())(&path, &head);
    if answer.is_empty() {
        // Asked, and never answered.
        std::thread::sleep(Duration::from_secs(60));
    }
    stream.write_all(&answer).unwrap();
}

pub fn reply(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub fn rss(items: &[(&str, &str)]) -> String {
    let items: String = items
        .iter()
        .map(|(id, title)| format!("<item><guid isPermaLink=\"false\">{id}</guid><title>{title}</title><description>Toàn văn của bài {title}.</description></item>"))
        .collect();
    format!(
        "<rss version=\"2.0\"><channel><title>Báo bạn</title><link>https://ban.example/</link>{items}</channel></rss>"
    )
}

fn page(title: &str) -> String {
    let paragraph = "Giá lúa hè thu tại nhiều huyện tăng mạnh trong tuần qua, có nơi thương lái đặt cọc trước cả tháng để giữ chân nông dân.";
    format!(
        "<!doctype html><html lang=vi><head><meta charset=utf-8><title>{title}</title><meta property=\"og:title\" content=\"{title}\"><meta property=\"og:type\" content=\"article\"><meta property=\"article:published_time\" content=\"2026-11-29T06:00:00+07:00\"></head><body><article><h1>{title}</h1><p>{paragraph}</p><p>{paragraph}</p></article></body></html>"
    )
}

pub fn titles(world: &World) -> Vec<String> {
    let told = world.done(&["article", "list", "--json", "--limit", "100"]);
    let mut titles: Vec<String> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["title"].as_str().unwrap().to_owned())
        .collect();
    titles.sort();
    titles
}

pub fn source(world: &World, name: &str) -> Value {
    serde_json::from_str(&world.done(&["source", "show", name, "--json"])).unwrap()
}

#[test]
fn a_polled_feed_is_asked_politely_and_read_once() {
    let (world, bureau) = (World::new(), Bureau::new());
    world.write(
        "bantin.toml",
        format!("[sources.ban]\nkind = \"feed\"\nurl = \"{}\"\nprivate = true\n", bureau.url("/rss")),
    );
    let answer = |items: Vec<(&'static str, &'static str)>, tag: &'static str| {
        move |_: &str, head: &str| match head.contains(&format!("if-none-match: \"{tag}\"")) {
            true => reply(304, &format!("ETag: \"{tag}\"\r\nCache-Control: max-age=7200\r\n"), ""),
            false => reply(
                200,
                &format!("ETag: \"{tag}\"\r\nLast-Modified: Mon, 30 Nov 2026 01:00:00 GMT\r\n"),
                &rss(&items),
            ),
        }
    };
    bureau.answers(answer(vec![("1", "Một"), ("2", "Hai")], "a"));
    let told = world.done(&["source", "run", "ban"]);
    assert!(told.contains("2 new, 0 revised"), "{told}");
    assert_eq!(titles(&world), ["Hai", "Một"]);
    // The second time with what the first was told.
    let told = world.done(&["source", "run", "ban"]);
    assert!(told.contains("0 new, 0 revised, 0 unchanged"), "{told}");
    let asked = bureau.asked();
    assert_eq!(asked.len(), 2);
    assert!(!asked[0].contains("if-none-match"), "{}", asked[0]);
    assert!(
        asked[1].contains("if-none-match: \"a\"")
            && asked[1].contains("if-modified-since: mon, 30 nov 2026 01:00:00 gmt")
    );
    let state = source(&world, "ban");
    assert_eq!(state["state"], "well");
    let wait = |state: &Value, from: &str| {
        let at = |name: &str| chrono::DateTime::parse_from_rfc3339(state[name].as_str().unwrap()).unwrap();
        (at("due_at") - at(from)).num_seconds()
    };
    assert_eq!(wait(&state, "looked_at"), 7_200, "its max-age is longer than our pace");

    bureau.answers(answer(vec![("1", "Một, sửa"), ("2", "Hai"), ("3", "<b></b>")], "b"));
    let told = world.done(&["source", "run", "ban"]);
    assert!(told.contains("0 new, 1 revised, 1 unchanged"), "{told}");
    assert_eq!(titles(&world), ["Hai", "Một, sửa"]);
    let state = source(&world, "ban");
    assert_eq!((&state["left_out"], &state["items"][0]["item"]), (&1.into(), &"item 3".into()), "{state}");

    // It says when to come again, and is obeyed.
    bureau.answers(|_, _| reply(503, "Retry-After: 5000\r\n", ""));
    let output = world.run(&["source", "run", "ban"]);
    assert_eq!(output.status.code(), Some(1));
    let state = source(&world, "ban");
    assert_eq!((&state["state"], wait(&state, "looked_at")), (&"failing".into(), 5_000));
    assert!(state["last_error"].as_str().unwrap().contains("503"), "{state}");

    // It moves for good, and is asked there from then on.
    let there = bureau.url("/moi.xml");
    let found = answer(vec![("4", "Bốn")], "c");
    bureau.answers(move |path, head| match path {
        "/rss" => reply(301, &format!("Location: {there}\r\n"), ""),
        _ => found(path, head),
    });
    world.done(&["source", "run", "ban"]);
    world.done(&["source", "run", "ban"]);
    let asked = bureau.asked();
    let paths: Vec<&str> =
        asked[asked.len() - 3..].iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths, ["/rss", "/moi.xml", "/moi.xml"]);
    assert_eq!(titles(&world), ["Bốn", "Hai", "Một, sửa"]);

    // It is gone for ever.
    bureau.answers(|_, _| reply(410, "", ""));
    assert_eq!(world.run(&["source", "run", "ban"]).status.code(), Some(1));
    let state = source(&world, "ban");
    assert_eq!((&state["state"], &state["due_at"]), (&"stopped".into(), &Value::Null), "{state}");
}

#[test]
fn a_source_that_hangs_holds_up_no_other() {
    let (mut world, bureau) = (World::new(), Bureau::new());
    let feed = |name: &str, path: &str| {
        format!(
            "[sources.{name}]\nkind = \"feed\"\nurl = \"{}\"\nprivate = true\nevery = \"1s\"\n",
            bureau.url(path)
        )
    };
    std::fs::create_dir(world.path("bai")).unwrap();
    world.write(
        "bantin.toml",
        format!(
            "{}{}{}[sources.e-thu-muc]\nkind = \"folder\"\npath = \"bai\"\nevery = \"1s\"\n[sources.f]\nkind = \"folder\"\npath = \"khong-co\"\n",
            feed("a-treo", "/treo"),
            feed("b-hong", "/hong"),
            feed("c-tot", "/tot"),
        ),
    );
    bureau.answers(|path, _| match path {
        "/treo" => String::new(),
        "/hong" => reply(500, "", "oh"),
        _ => reply(200, "", &rss(&[("1", "Một")])),
    });
    world.serve();
    world.write("bai/hai.json", r#"{"title": "Hai", "content_text": "Toàn văn."}"#);
    world.wait_at_most(Duration::from_secs(15), "the others bring theirs", |world| {
        titles(world) == ["Hai", "Một"]
    });
    let told = world.done(&["source", "list"]);
    assert!(told.contains("the server answers 500") && told.contains("khong-co"), "{told}");
    assert_eq!(source(&world, "c-tot")["state"], "well");
    let metrics = world.get("/metrics").text();
    assert!(metrics.contains("bantin_source_failing{source=\"b-hong\"} 1"), "{metrics}");
    assert!(metrics.contains("bantin_source_failing{source=\"c-tot\"} 0"), "{metrics}");
    assert_eq!(world.stop(), Some(0), "a source that hangs does not hold up the stop either");
}

#[test]
fn the_own_network_is_closed_to_a_source_that_does_not_lie_in_it() {
    let (world, bureau) = (World::new(), Bureau::new());
    let url = bureau.url("/rss");
    world.write("bantin.toml", format!("[sources.ban]\nkind = \"feed\"\nurl = \"{url}\"\n"));
    let output = world.run(&["source", "run", "ban"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("private = true"));
    assert!(bureau.asked().is_empty());
}

#[test]
fn a_sitemap_brings_the_pages_that_are_new_in_it_or_changed() {
    let (world, bureau) = (World::new(), Bureau::new());
    world.write(
        "bantin.toml",
        format!(
            "[sources.trang]\nkind = \"sitemap\"\nurl = \"{}\"\nprivate = true\n",
            bureau.url("/sitemap.xml")
        ),
    );
    let (one, two, three) = (bureau.url("/mot"), bureau.url("/hai"), bureau.url("/ba"));
    let map = move |day: &str| {
        format!(
            "<urlset><url><loc>{one}</loc><lastmod>{day}</lastmod></url><url><loc>{two}</loc></url><url><loc>{three}</loc></url></urlset>"
        )
    };
    let (first, second) = (map("2026-11-29"), map("2026-11-30"));
    bureau.answers(move |path, _| match path {
        "/sitemap.xml" => reply(200, "", &first),
        "/mot" => reply(200, "Content-Type: text/html\r\n", &page("Giá lúa hè thu tăng mạnh trở lại")),
        "/hai" => reply(200, "Content-Type: text/html\r\n", &page("Cầu mới nối hai bờ sông Hậu")),
        _ => reply(404, "", ""),
    });
    let told = world.done(&["source", "run", "trang"]);
    assert!(told.contains("2 new"), "{told}");
    let state = source(&world, "trang");
    assert_eq!((&state["open"], &state["left_out"]), (&0.into(), &1.into()), "{state}");
    let before = bureau.asked().len();
    bureau.answers(move |path, _| match path {
        "/sitemap.xml" => reply(200, "", &second),
        "/mot" => reply(200, "Content-Type: text/html\r\n", &page("Giá lúa hè thu giảm nhẹ trong tuần")),
        path => panic!("{path} is fetched again"),
    });
    let told = world.done(&["source", "run", "trang"]);
    assert!(told.contains("0 new, 1 revised"), "{told}");
    assert_eq!(bureau.asked().len(), before + 2, "the sitemap, and the page that changed");
    assert_eq!(titles(&world), ["Cầu mới nối hai bờ sông Hậu", "Giá lúa hè thu giảm nhẹ trong tuần"]);
}

/// What `gzip` makes of bytes.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_packed_sitemap_is_read_and_a_bomb_costs_one_line() {
    let (world, bureau) = (World::new(), Bureau::new());
    let url = bureau.url("/sitemap.xml.gz");
    world.write(
        "bantin.toml",
        format!("[sources.trang]\nkind = \"sitemap\"\nurl = \"{url}\"\nprivate = true\n"),
    );
    let index =
        format!("<sitemapindex><sitemap><loc>{}</loc></sitemap></sitemapindex>", bureau.url("/1.xml.gz"));
    let pages = format!("<urlset><url><loc>{}</loc></url></urlset>", bureau.url("/mot"));
    let (index, pages) = (packed(index.as_bytes()), packed(pages.as_bytes()));
    let file = world.write("sitemap.xml.gz", &pages);
    let with = |headers: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 200 x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    bureau.answers(move |path, _| match path {
        "/sitemap.xml.gz" => with("Content-Type: application/x-gzip\r\n", &index),
        // Many servers call a file's own packing a coding of theirs.
        "/1.xml.gz" => with("Content-Type: text/xml; charset=utf-8\r\nContent-Encoding: x-gzip\r\n", &pages),
        _ => with("Content-Type: text/html\r\n", page("Giá lúa hè thu tăng mạnh trở lại").as_bytes()),
    });
    assert!(world.done(&["source", "run", "trang"]).contains("1 new"));
    for place in [file.to_str().unwrap(), url.as_str()] {
        let told = world.done(&["import", "--follow", "--private", place]);
        assert!(told.contains("1 unchanged, 0 failed"), "{told}");
    }
    let lines =
        b"{\"title\": \"Hai\", \"content_text\": \"x\"}\n{\"title\": \"Ba\", \"content_text\": \"y\"}\n";
    let file = world.write("bai.jsonl.gz", packed(lines));
    assert!(world.done(&["import", file.to_str().unwrap()]).contains("2 new"));

    let bomb = packed(&vec![b' '; (64 << 20) + 1]);
    let file = world.write("bom.xml.gz", &bomb);
    bureau.answers(move |_, _| with("", &bomb));
    for arguments in [
        ["source", "run", "trang"],
        ["import", "--private", &url],
        ["import", "--news", file.to_str().unwrap()],
    ] {
        let output = world.run(&arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && told.contains("larger than 64 MB"),
            "{arguments:?}: {told}"
        );
    }
}

#[test]
fn a_watched_folder_takes_what_stands_still_and_leaves_it_where_it_is() {
    let mut world = World::new();
    world.write("bantin.toml", "[sources.bai]\nkind = \"folder\"\npath = \"bai\"\nevery = \"1s\"\n");
    world.write("bai/dung.json", r#"{"title": "Đứng yên", "content_text": "Toàn văn.", "external_id": "1"}"#);
    world.write("bai/hong.json", r#"{"title": "Hỏng""#);
    world.serve();
    let growing = world.path("bai/dang-viet.jsonl");
    let mut file = std::fs::File::create(&growing).unwrap();
    // Whoever writes takes longer than a look.
    for n in 0..12 {
        writeln!(
            file,
            "{{\"title\": \"Dòng {n:02}\", \"content_text\": \"Toàn văn.\", \"external_id\": \"d{n}\"}}"
        )
        .unwrap();
        file.flush().unwrap();
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(
        !titles(&world).iter().any(|title| title.starts_with("Dòng")),
        "it was taken while it was written"
    );
    world.wait_for("it is taken as a whole", |world| titles(world).len() == 13);
    let state = source(&world, "bai");
    assert_eq!((&state["left_out"], &state["items"][0]["item"]), (&1.into(), &"hong.json".into()), "{state}");
    assert!(state["items"][0]["error"].as_str().unwrap().contains("line 1"), "{state}");
    assert!(growing.exists());

    // A new process remembers: nothing is taken twice, and what was mended is.
    world.kill();
    world.write("bai/hong.json", r#"{"title": "Lành", "content_text": "Toàn văn.", "external_id": "2"}"#);
    let next = world
        .write("moi.json", r#"{"title": "Đứng yên, sửa", "content_text": "Toàn văn.", "external_id": "1"}"#);
    std::fs::rename(next, world.path("bai/dung.json")).unwrap();
    let told = world.done(&["source", "run", "bai"]);
    assert!(told.contains("1 new, 1 revised, 0 unchanged"), "{told}");
    assert_eq!(source(&world, "bai")["left_out"], 0);
}

#[test]
fn a_doubtful_page_of_a_source_waits_as_a_draft() {
    let world = World::new();
    world.write("bantin.toml", "[sources.bai]\nkind = \"folder\"\npath = \"bai\"\n");
    let page = "Thứ Hai, 24/11/2025 10:20\nTrang chủ\nKinh tế\nGiá lúa hè thu tăng mạnh trở lại trong tuần qua\n\nGiá lúa hè thu tại nhiều huyện tăng mạnh trong tuần qua, có nơi thương lái đặt cọc trước cả tháng để giữ chân nông dân.\n\nHoàng Lan\n";
    world.write("bai/trang.txt", page);
    let told = world.done(&["source", "run", "bai"]);
    assert!(told.contains("0 new") && told.ends_with("1 draft\n"), "{told}");
    let told = world.done(&["article", "list", "--drafts", "--json"]);
    let draft: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&draft["title"], &draft["doubts"][0]["field"]),
        (&"Giá lúa hè thu tăng mạnh trở lại trong tuần qua".into(), &"published".into())
    );
    assert!(draft["input"].as_str().unwrap().ends_with("bai/trang.txt"), "{draft}");
    let id = draft["id"].as_str().unwrap();
    let told = world.done(&["article", "publish", id, "--published", "2025-06-20T08:15:00+07:00"]);
    assert!(told.contains("published"), "{told}");
    // The same page at the next look asks nobody again.
    std::fs::rename(world.path("bai/trang.txt"), world.path("bai/trang-2.txt")).unwrap();
    let told = world.done(&["source", "run", "bai"]);
    assert!(told.contains("1 unchanged, 0 drafts"), "{told}");
}

#[test]
fn a_webhook_takes_articles_and_pages_to_fetch_from_who_proves_himself() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const SECRET: &str = "fedcba9876543210fedcba9876543210";
    let (mut world, bureau) = (World::new(), Bureau::new());
    world.write(
        "bantin.toml",
        format!("[sources.cms]\nkind = \"webhook\"\nkey = \"{KEY}\"\nsecret = \"{SECRET}\"\nprivate = true\n[sources.ky]\nkind = \"webhook\"\nsecret = \"{SECRET}\"\n"),
    );
    world.serve();
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = world.request("POST", path, headers, body.as_bytes());
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap_or_default())
    };
    let article = r#"{"external_id": "1", "title": "Một", "content_html": "<p>Toàn văn.</p>"}"#;
    let right = format!("/hooks/articles/cms/{KEY}");
    for (path, status) in [
        ("/hooks/articles/cms/0123456789abcdef0123456789abcdee".to_owned(), 404),
        (format!("/hooks/articles/ky/{KEY}"), 404),
        (format!("/hooks/articles/khac/{KEY}"), 404),
        ("/hooks/articles/cms".to_owned(), 401),
        ("/hooks/articles/khac".to_owned(), 401),
    ] {
        assert_eq!(post(&path, &[], article).0, status, "{path}");
    }
    assert!(titles(&world).is_empty());
    let (status, answer) = post(&right, &[], article);
    assert_eq!((status, &answer["new"]), (200, &1.into()), "{answer}");
    let (status, answer) = post(&right, &[], article);
    assert_eq!((status, &answer["unchanged"]), (200, &1.into()), "a repeat changes nothing: {answer}");
    let (status, answer) =
        post(&right, &[], r#"[{"title": "Hai", "content_text": "Toàn văn."}, {"title": ""}]"#);
    assert_eq!((status, &answer["new"]), (200, &1.into()));
    assert!(answer["errors"][0].as_str().unwrap().contains("`title`"), "{answer}");
    assert_eq!(post(&right, &[], "{").0, 422);
    // A change shows at once.
    assert!(world.get("/feeds/all.json").text().contains("Hai"));

    let signature = |body: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={digits}")
    };
    let signed = signature(article);
    assert_eq!(post("/hooks/articles/ky", &[("X-Hub-Signature-256", &signed)], article).0, 200);
    assert_eq!(
        post("/hooks/articles/ky", &[("X-Bantin-Signature", &signed)], &article.replace("Một", "Khác")).0,
        401
    );

    bureau
        .answers(|_, _| reply(200, "Content-Type: text/html\r\n", &page("Giá lúa hè thu tăng mạnh trở lại")));
    let notice = format!("{{\"fetch\": \"{}\"}}", bureau.url("/bai"));
    let (status, answer) = post(&right, &[], &notice);
    assert_eq!((status, &answer["fetching"]), (202, &1.into()), "{answer}");
    world.wait_for("the page is fetched", |world| titles(world).len() == 3);
    let state = source(&world, "cms");
    assert_eq!((&state["state"], &state["open"]), (&"well".into(), &0.into()), "{state}");
    assert!(!world.log().contains(KEY) && !world.log().contains(SECRET));
}
