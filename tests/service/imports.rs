//! Articles in: every kind of input through the command line, looked at where it comes out.

use crate::served::{AT_ONCE, FORMATS, article, feed, id_of, instant, items, said, text, titles};
use crate::world::World;
use serde_json::{Value, json};
use std::process::Output;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

/// The captured page of the first issue.
fn sample() -> String {
    format!("{CORPUS}/baosoctrang-article.txt")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_captured_page_is_served_as_its_newsroom_means_it() {
    let mut world = World::new();
    let told = world.done(&["import", &sample()]);
    assert!(told.contains("1 new, 0 revised, 0 unchanged, 0 failed"), "{told}");
    world.serve();
    let title = "Sóc Trăng triển khai nhiều cách làm hay, sáng tạo trong công tác xây dựng Đảng";
    let [item]: [Value; 1] = items(&world, "xay-dung-dang").try_into().unwrap();
    assert_eq!(text(&item, "title"), title);
    assert_eq!(instant(&text(&item, "date_published")), instant("2024-04-04T04:30:00+07:00"));
    assert_eq!(text(&item, "date_published"), "2024-04-04T04:30:00+07:00", "in the newsroom's zone");
    assert_eq!(item["authors"], json!([{ "name": "CHÍ BẢO" }]));
    assert_eq!(item["tags"], json!(["Xây dựng Đảng"]));
    assert_eq!(item["_bantin"]["source"]["title"], "Báo Sóc Trăng");
    let summary = text(&item, "summary");
    assert!(summary.starts_with("Nhiệm kỳ 2020 - 2025, thực hiện công tác xây dựng Đảng"), "{summary}");
    let html = text(&item, "content_html");
    for heading in [
        "Lan tỏa nhiều cách làm hay trong công tác xây dựng Đảng",
        "Khẳng định công tác xây dựng Đảng là nhiệm vụ then chốt",
    ] {
        assert!(html.contains(&format!("<h2>{heading}</h2>")), "{heading} in {html}");
    }
    assert_eq!(html.matches("Ảnh: CHÍ BẢO</figcaption>").count(), 2, "{html}");
    assert_eq!(html.matches("Nhiệm kỳ 2020 - 2025, thực hiện").count(), 1, "the lead stands once");
    assert!(html.trim_end().ends_with("niềm tin của nhân dân đối với Đảng.</p>"), "{html}");

    let rss = feed_rs::parser::parse(&*feed(&world, "xay-dung-dang", "rss").body).unwrap();
    assert_eq!(rss.language.as_deref(), Some("vi"));
    let entry = &rss.entries[0];
    assert_eq!(entry.id, text(&item, "id"));
    assert_eq!(entry.title.as_ref().unwrap().content, title);
    assert_eq!(entry.published.unwrap().timestamp(), instant("2024-04-04T04:30:00+07:00"));
    assert_eq!(entry.categories[0].term, "Xây dựng Đảng");
    assert_eq!(entry.categories[0].scheme.as_deref(), Some(&*world.url("/feeds/xay-dung-dang")));
    assert_eq!(entry.authors[0].name.as_deref(), Some("CHÍ BẢO"));
    assert_eq!(entry.links[0].href, text(&item, "url"));
    let body = entry.content.as_ref().unwrap().body.as_ref().unwrap();
    assert_eq!(body.trim(), html.trim());

    for format in FORMATS {
        let document = feed(&world, "xay-dung-dang", format).text();
        for foreign in [
            "STO",
            "Bình Luận",
            "Ý kiến bạn đọc",
            "Tin cùng chuyên mục",
            "Xem thêm",
            "Cơ quan chủ quản",
            "Giấy phép",
            "Tổng số lượt",
        ] {
            assert!(!document.contains(foreign), "{foreign} in {format}");
        }
    }
    let page = world.get(&text(&item, "url").replace(&world.url(""), ""));
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Lan tỏa nhiều cách làm hay"));
}

#[test]
fn the_same_page_twice_is_one_article_and_a_changed_one_a_revision() {
    let mut world = World::new();
    world.done(&["import", &sample()]);
    world.serve();
    let before = said(&world, "xay-dung-dang", "atom");
    let bytes = feed(&world, "xay-dung-dang", "atom").body;
    for _ in 0..2 {
        let told = world.done(&["import", &sample()]);
        assert!(told.contains("0 new, 0 revised, 1 unchanged"), "{told}");
    }
    // A browser on another system saves other line ends and decomposed letters.
    let page = std::fs::read_to_string(sample()).unwrap();
    let told = world.done(&["import", world.write("crlf.txt", page.replace('\n', "\r\n")).to_str().unwrap()]);
    assert!(told.contains("0 new, 0 revised, 1 unchanged"), "{told}");
    std::thread::sleep(AT_ONCE);
    assert_eq!(feed(&world, "xay-dung-dang", "atom").body, bytes);

    let edited = page.replace("6.913 đảng viên", "6.914 đảng viên");
    let told = world.done(&["import", world.write("edited.txt", edited).to_str().unwrap()]);
    assert!(told.contains("revision 2") && told.contains("0 new, 1 revised"), "{told}");
    let renamed =
        page.replace("Sóc Trăng triển khai nhiều cách làm hay", "Tỉnh Sóc Trăng có nhiều cách làm hay");
    let told = world.done(&["import", world.write("renamed.txt", renamed).to_str().unwrap()]);
    assert!(told.contains("revision 3") && told.contains("0 new, 1 revised"), "{told}");
    world.wait_at_most(AT_ONCE, "the new headline shows", |world| {
        titles(world, "xay-dung-dang").iter().any(|title| title.starts_with("Tỉnh Sóc Trăng"))
    });
    let after = said(&world, "xay-dung-dang", "atom");
    assert_eq!(after.len(), 1);
    assert_eq!((&after[0].id, after[0].published), (&before[0].id, before[0].published));
}

#[test]
fn a_broken_input_costs_one_line_and_nothing_else() {
    let world = World::new();
    let broken: [(&str, &[u8], &str); 12] = [
        ("a.json", br#"[{"title":"T1","summary":"s"},
  {"title": 5, "summary":"s"}, {"title":"T2","summary":"s"}]"#, "line 2, column 13: field `title`"),
        ("b.json", r#"{"title":"T3","summary":"s","published":"hôm qua"}"#.as_bytes(), "line 1, column 41: field `published`"),
        ("c.jsonl", b"{\"title\":\"T4\",\"summary\":\"s\"}\n{\"title\":\"T5\",\"summ\n\n{\"title\":\"T6\",\"summary\":\"s\"}\n", "line 2, column 19"),
        ("d.jsonl", b"{\"title\":\"T7\"}\n{\"title\":\"T8\",\"summary\":\"s\"}", "line 1: field `content_html`"),
        ("e.json", br#"{"title":"\ud800","summary":"s"}"#, "line 1, column 10: field `title`"),
        ("f.xml", b"<?xml version='1.0'?>\n<nothing/>", "line 2"),
        ("g.rss", b"<rss version='2.0'><channel><title>x</title>\n<item></item>\n<item><title>T9</title><description>d</description></item></channel></rss>", "line 2"),
        ("h.html", b"<html><body>no title", "title"),
        ("i.html", b"\x00\x01\x02\xff\xfe\x00\x00", "binary"),
        ("j.txt", b"", "empty"),
        ("k.txt", b"x", "line 1"),
        ("l.json", b"", "line 1"),
    ];
    let mut arguments = vec!["import".to_owned(), "missing.txt".to_owned()];
    for (name, bytes, _) in broken {
        arguments.push(world.write(name, bytes).to_str().unwrap().to_owned());
    }
    arguments.push(sample());
    let output = world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code(&output), Some(1));
    let errors = errors(&output);
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), broken.len() + 1, "one line each:\n{errors}");
    assert!(lines[0].starts_with("missing.txt: cannot be opened"), "{errors}");
    for ((name, _, place), line) in broken.iter().zip(&lines[1..]) {
        let path = world.path(name);
        assert!(line.starts_with(path.to_str().unwrap()), "{name}: {line}");
        assert!(line.contains(place), "{name}: {line}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }
    let told = printed(&output);
    assert!(told.contains(&format!("7 new, 0 revised, 0 unchanged, {} failed", lines.len())), "{told}");
    for title in ["T1", "T2", "T4", "T6", "T8", "T9", "Sóc Trăng triển khai"] {
        assert!(told.contains(&format!(": new: {title}")), "{title}: {told}");
    }
}

#[test]
fn every_kind_of_input_comes_in_by_file_and_by_pipe() {
    let one =
        |title: &str| json!({ "title": title, "summary": "Lời dẫn.", "categories": ["Thời sự"] }).to_string();
    let inputs = [
        ("a.jsonl", format!("{}\n{}\n", one("Dòng một"), one("Dòng hai")), vec!["Dòng một", "Dòng hai"]),
        ("b.json", format!("[{},{}]", one("Mảng một"), one("Mảng hai")), vec!["Mảng một", "Mảng hai"]),
        ("c.json", format!("{{\"articles\": [{}]}}", one("Bọc")), vec!["Bọc"]),
        ("d.json", one("Một mình"), vec!["Một mình"]),
        ("e.html", std::fs::read_to_string(format!("{CORPUS}/article.html")).unwrap(), vec!["Trần Đề đưa chi bộ về gần dân"]),
        ("f.txt", std::fs::read_to_string(sample()).unwrap(), vec!["Sóc Trăng triển khai nhiều cách làm hay, sáng tạo trong công tác xây dựng Đảng"]),
        ("g.rss", "<rss version='2.0'><channel><title>N</title><link>https://n.example/</link><item><title>Tin RSS</title><link>https://n.example/1</link><description>d</description><category>Thời sự</category></item></channel></rss>".to_owned(), vec!["Tin RSS"]),
        ("h.atom", "<feed xmlns='http://www.w3.org/2005/Atom'><title>N</title><id>urn:n</id><updated>2026-11-01T00:00:00Z</updated><entry><id>urn:n:1</id><title>Tin Atom</title><updated>2026-11-01T00:00:00Z</updated><summary>d</summary></entry></feed>".to_owned(), vec!["Tin Atom"]),
        ("i.json", r#"{"version":"https://jsonfeed.org/version/1.1","title":"N","items":[{"id":"1","title":"Tin JSON Feed","content_text":"d"}]}"#.to_owned(), vec!["Tin JSON Feed"]),
    ];
    let by_file = World::new();
    let by_pipe = World::new();
    for (name, input, expected) in &inputs {
        let path = by_file.write(&format!("in/{name}"), input);
        let told = by_file.done(&["import", path.to_str().unwrap()]);
        let output = by_pipe.run_with_input(&["import", "-"], input.as_bytes());
        assert_eq!((code(&output), errors(&output).as_str()), (Some(0), ""), "{name}");
        for told in [told, printed(&output)] {
            assert!(
                told.contains(&format!("{} new, 0 revised, 0 unchanged, 0 failed", expected.len())),
                "{name}: {told}"
            );
            for title in expected {
                assert!(told.contains(&format!(": new: {title} (")), "{name}: {told}");
            }
        }
    }
    // A folder is all of its files.
    let told = by_file.done(&["import", by_file.path("in").to_str().unwrap()]);
    assert!(told.contains("0 new, 0 revised, 11 unchanged, 0 failed"), "{told}");
}

#[test]
fn a_rehearsal_stores_nothing_and_a_category_is_for_those_without() {
    let mut world = World::new();
    let inputs = [
        json!({ "title": "Có mục", "summary": "s", "categories": ["Kinh tế"] }),
        json!({ "title": "Không mục", "summary": "s" }),
    ];
    let lines: Vec<String> = inputs.iter().map(ToString::to_string).collect();
    let path = world.write("a.jsonl", lines.join("\n"));
    let path = path.to_str().unwrap();
    let told = world.done(&["import", "--dry-run", path]);
    assert!(told.contains("Không mục") && told.contains("nothing was stored"), "{told}");
    assert_eq!(world.done(&["article", "list"]), "");
    let told = world.done(&["import", "--category", "Bạn đọc", path, "--json"]);
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.last().unwrap()["new"], 2);
    assert_eq!(told[0]["what"], "new");
    world.serve();
    assert_eq!(titles(&world, "ban-doc"), ["Không mục"]);
    assert_eq!(titles(&world, "kinh-te"), ["Có mục"]);
    assert_eq!(text(&told[0], "id"), id_of(&world, "kinh-te", "Có mục"));
}

#[test]
fn arguments_that_cannot_be_used_end_with_2() {
    let mut world = World::new();
    world.write("a.json", r#"{"title":"T","summary":"s"}"#);
    for arguments in [
        &["import"][..],
        &["import", ""],
        &["import", "--format", "yaml", "a.json"],
        &["import", "--news", "--archive", "a.json"],
        &["import", "--nonsense", "a.json"],
        &["article", "show", "no-id"],
        &["article", "list", "--state", "lost"],
        &["nonsense"],
        &[],
        &["--config", "missing.toml", "import", "a.json"],
    ] {
        let output = world.run(arguments);
        assert_eq!(code(&output), Some(2), "{arguments:?}: {}", errors(&output));
        assert!(!errors(&output).is_empty(), "{arguments:?}");
    }
    // systemd must not start again what a human has to mend (RestartPreventExitStatus=2).
    world.set("BANTIN_PUBLICATION__TIME_ZONE", "Mars");
    for arguments in [&["import", "a.json"][..], &["serve"], &["article", "list"], &["migrate"]] {
        let output = world.run(arguments);
        assert_eq!(code(&output), Some(2), "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains("`Mars`"), "{}", errors(&output));
    }
}

#[test]
fn a_feed_of_ours_brings_the_same_articles_into_another_newsroom() {
    let mut first = World::new();
    first.done(&["import", &sample()]);
    let rich = json!({
        "external_id": "7", "title": "Giá lúa tăng: 5 < 6 & 7", "summary": "Lời dẫn & tóm tắt.",
        "url": "https://bao.example/giá-lúa.html", "content_html": "<p>Toàn văn <b>đậm</b>.</p><h2>Mục</h2><p>Hết.</p>",
        "categories": ["Kinh tế", "Nông nghiệp"], "authors": ["Thu Hà", "Chí Bảo"],
        "published": "2026-11-01T07:00:00+07:00", "updated": "2026-11-01T09:00:00+07:00",
        "image": { "url": "https://bao.example/lúa.jpg", "width": 1200, "height": 800, "caption": "Gặt lúa" },
        "enclosures": [{ "url": "https://bao.example/a.mp3", "type": "audio/mpeg", "length": 9 }],
        "source": { "title": "Báo Nguồn", "url": "https://nguon.example/" },
    });
    let english = json!({ "title": "A new port", "summary": "In English.", "categories": ["Kinh tế"], "language": "en", "published": "2026-11-01T06:00:00Z" });
    first.import(&[rich, english, article("k", "Tin ngắn", "Kinh tế")]);
    first.serve();
    let without_ids = |world: &World| -> Vec<Value> {
        let mut items = items(world, "all");
        for item in &mut items {
            let item = item.as_object_mut().unwrap();
            item.remove("id");
        }
        items
    };
    let expected = without_ids(&first);
    assert_eq!(expected.len(), 4);
    for format in ["json", "atom", "rss"] {
        let mut second = World::new();
        let document = second.write(&format!("feed.{format}"), feed(&first, "all", format).body);
        let told = second.done(&["import", document.to_str().unwrap()]);
        assert!(told.contains("4 new, 0 revised, 0 unchanged, 0 failed"), "{format}: {told}");
        let told = second.done(&["import", document.to_str().unwrap()]);
        assert!(told.contains("0 new, 0 revised, 4 unchanged, 0 failed"), "{format}: {told}");
        second.serve();
        let found = without_ids(&second);
        let mut differences = Vec::new();
        for (ours, theirs) in expected.iter().zip(&found) {
            for (name, value) in ours.as_object().unwrap() {
                if &theirs[name] != value {
                    differences.push(format!("{name}: {value} became {}", theirs[name]));
                }
            }
        }
        assert_eq!(found.len(), expected.len(), "{format}");
        assert!(differences.is_empty(), "{format}:\n{}", differences.join("\n"));
    }
}

#[test]
fn a_rehearsal_says_why_and_what_is_doubtful_waits_for_a_person() {
    let mut world = World::new();
    // The only date stands far above: the visitor's clock.
    let page = "Thứ Hai, 24/11/2025 10:20\nTrang chủ\nKinh tế\nGiá lúa hè thu tăng mạnh trở lại trong tuần qua\n\nGiá lúa hè thu tại nhiều huyện tăng mạnh trong tuần qua, có nơi thương lái đặt cọc trước cả tháng để giữ chân nông dân.\n\nHoàng Lan\n";
    let path = world.write("trang.txt", page);
    let path = path.to_str().unwrap();
    let told = world.done(&["import", path, "--dry-run"]);
    for part in [
        "title:      Giá lúa",
        "[30%, doubtful: the only date stands far above",
        "authors:    Hoàng Lan  [75%",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let told = world.done(&["import", path, "--dry-run", "--json"]);
    let told: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    let guess = told["guesses"].as_array().unwrap().iter().find(|g| g["field"] == "published").unwrap();
    assert_eq!((&guess["doubtful"], &told["categories"]), (&json!(true), &json!(["Kinh tế"])));

    let output = world.run(&["import", path]);
    assert_eq!(code(&output), Some(1));
    assert!(
        errors(&output).contains("its published is doubtful") && errors(&output).contains("--published"),
        "{}",
        errors(&output)
    );
    assert_eq!(world.done(&["article", "list"]), "");
    let draft = world.done(&["article", "list", "--drafts", "--json"]);
    let id = text(&serde_json::from_str(&draft).unwrap(), "id");
    assert!(errors(&output).contains(&format!("bantin article publish {id}")), "{}", errors(&output));
    assert!(world.done(&["article", "show", &id]).contains("nông dân"));
    let told = world.done(&["import", path, "--published", "2025-06-20T08:15:00+07:00"]);
    assert!(told.contains("1 new"), "{told}");
    assert_eq!(world.done(&["article", "list", "--drafts"]), "", "its facts are given");
    world.serve();
    let [item]: [Value; 1] = items(&world, "kinh-te").try_into().unwrap();
    assert_eq!(text(&item, "date_published"), "2025-06-20T08:15:00+07:00");
}

#[test]
fn the_newsrooms_own_rules_are_added_and_their_faults_are_told() {
    let mut world = World::new();
    let rules = world.write("rules.toml", "[after]\nwords = ['Quay về trang bìa']\n");
    world.set("BANTIN_INTAKE__RULES", rules.to_str().unwrap());
    let page = "Kinh tế\nGiá lúa tăng\n20/06/2024 08:15\n\nGiá lúa hè thu tại nhiều huyện tăng mạnh trong tuần qua, có nơi thương lái đặt cọc trước cả tháng.\n\nQuay về trang bìa\n\nMột câu dài của trang bìa, không thuộc về bài báo này và không ai muốn đọc thêm ở đây.\n";
    let path = world.write("a.txt", page);
    world.done(&["import", path.to_str().unwrap()]);
    world.serve();
    let [item]: [Value; 1] = items(&world, "kinh-te").try_into().unwrap();
    assert!(!text(&item, "content_html").contains("trang bìa"), "{item}");
    world.write("rules.toml", "[after]\nwords = 3\n");
    let output = world.run(&["import", path.to_str().unwrap()]);
    assert_eq!(code(&output), Some(2));
    assert!(errors(&output).contains("rules.toml"), "{}", errors(&output));
}

#[test]
fn addresses_are_fetched_and_lists_followed_but_never_into_the_own_network_unasked() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let page = include_bytes!("../corpus/article.html");
    let list = "<html><head><meta charset=utf-8></head><body>".to_owned()
        + &(0..14).map(|n| format!("<div><h3><a href='/bai-{n}.html'>Bài số {n} kể chuyện chi bộ ấp</a></h3><span>{}/11/2024</span></div>", n + 1)).collect::<String>()
        + "</body></html>";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!("http://{}", listener.local_addr().unwrap());
    let own = site.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut rest = String::new();
            while reader.read_line(&mut rest).is_ok_and(|n| n > 2) {
                rest.clear();
            }
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = match path.as_str() {
                "/list" => list.clone().into_bytes(),
                "/sitemap.xml" => {
                    format!("<urlset><url><loc>{own}/bai-1.html</loc></url></urlset>").into_bytes()
                }
                // Each has an address of its own.
                _ => String::from_utf8_lossy(page)
                    .replace("tran-de-dua-chi-bo-ve-gan-dan-71234.html", &path[1..])
                    .into_bytes(),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    let world = World::new();
    let output = world.run(&["import", &format!("{site}/bai-0.html")]);
    assert_eq!(code(&output), Some(1));
    assert!(
        errors(&output).contains("no public address") && errors(&output).contains("--private"),
        "{}",
        errors(&output)
    );
    let told = world.done(&["import", "--private", &format!("{site}/bai-0.html")]);
    assert!(told.contains("1 new, 0 revised"), "{told}");
    let output = world.run(&["import", "--private", &format!("{site}/list")]);
    assert!(
        errors(&output).contains("lists articles") && errors(&output).contains("--follow"),
        "{}",
        errors(&output)
    );
    let told = world.done(&["import", "--private", "--follow", &format!("{site}/list")]);
    assert!(told.contains("13 new, 0 revised, 1 unchanged, 0 failed"), "{told}");
    let told = world.done(&["import", "--private", "--follow", &format!("{site}/sitemap.xml")]);
    assert!(told.contains("0 new, 0 revised, 1 unchanged, 0 failed"), "{told}");
}
