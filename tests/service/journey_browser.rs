//! The whole journey on a phone: Chromium, a mail server, and axe-core, which looks at every page and
//! every letter by day and by night. Pictures lie in `target/screenshots/journey`.

use crate::mailroom::{Letter, article};
use crate::ports::free_port;
use crate::postfix::files;
use crate::smtp::smtp_sink;
use crate::world::{World, judged, node_modules, python};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots/journey");

/// Walks in the browser, and sees that nothing is wrong with what is looked at.
fn walk(steps: &[Value]) -> Vec<Value> {
    std::fs::create_dir_all(PICTURES).unwrap();
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/chromium.py");
    let axe = node_modules().join("axe-core/axe.min.js");
    assert!(axe.exists(), "{} is missing; tests/run installs it", axe.display());
    let steps = Value::from(steps.to_vec()).to_string();
    let arguments = [base, PICTURES, axe.to_str().unwrap(), &steps];
    let told = python(include_str!("chromium_journey.py"), &arguments);
    let seen: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for look in &seen {
        let name = format!("{} ({})", look["name"], look["scheme"]);
        assert_eq!(look["violations"], json!([]), "{name}");
        assert_eq!(look["small"], json!([]), "{name}: too small for a finger");
        assert!(look["width"].as_u64().unwrap() <= 375, "{name} is {} wide", look["width"]);
    }
    seen
}

fn says(seen: &[Value], name: &str, words: &str) {
    let look = seen.iter().find(|look| look["name"] == name).unwrap_or_else(|| panic!("no look at {name}"));
    assert!(look["text"].as_str().unwrap().contains(words), "{name}: {}", look["text"]);
}

/// What the server took of a subject, the newest last.
fn taken(sink: &Path, subject: &str) -> Vec<Letter> {
    // One that is still being written has no end yet.
    let whole = |bytes: &Vec<u8>| bytes.trim_ascii_end().ends_with(b"--");
    let letters = files(sink).into_iter().map(|path| std::fs::read(path).unwrap()).filter(whole).map(Letter);
    letters.filter(|letter| letter.subject().contains(subject)).collect()
}

/// The letter's HTML as a file that the browser opens.
fn shown(world: &World, name: &str, letter: &Letter) -> Value {
    let path = world.write(&format!("letters/{name}.html"), letter.html());
    judged_as_html("letter", &path);
    json!({ "url": format!("file://{}", path.display()), "look": name, "letter": true })
}

/// html-validate finds nothing. It is told that a form has several ticks of one name, and of letters
/// that Outlook lays out with tables, their attributes and its own comments.
fn judged_as_html(kind: &str, path: &Path) {
    let program = node_modules().join(".bin/html-validate");
    let rules = format!("{}/tests/service/html-validate/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    let words = judged(program.to_str().unwrap(), &["--config", &rules], path);
    assert_eq!(words, Ok(()), "{}", path.display());
}

fn newsroom(sink: &str) -> World {
    let mut world = World::new();
    world.set("BANTIN_MAIL__URL", sink);
    world.set("BANTIN_MAIL__WELCOME", "true");
    world.set("BANTIN_MAIL__GOODBYE", "true");
    world.import(&[
        article("1", "Giá lúa ở Cần Thơ tăng 5% nhờ đơn hàng xuất khẩu mới", "Kinh tế"),
        article("2", "Đêm đờn ca bên sông Maspero đông nghịt người nghe", "Văn hóa"),
        article("3", "Nước mặn xâm nhập sớm hơn mọi năm", "Kinh tế"),
    ]);
    world.serve();
    world
}

#[test]
fn a_reader_goes_the_whole_way_on_a_phone() {
    let address = free_port();
    let world = newsroom(&format!("smtp://{address}"));
    let sink: PathBuf = world.path("sink");
    let _server = smtp_sink(address, &sink, &[]);
    let url = |path: &str| world.url(path);
    let wait = |subject: &str| {
        world.wait_for(subject, |_| !taken(&sink, subject).is_empty());
        taken(&sink, subject).pop().unwrap()
    };

    let seen = walk(&[
        json!({ "url": url("/?lang=vi"), "look": "home" }),
        json!({ "url": url("/feeds/search?q=nuoc+man&lang=vi"), "look": "search" }),
        json!({ "url": url("/subscribe?lang=vi"), "fill": { "#address": "mai@doc.example" }, "click": "form.card button" }),
        json!({ "look": "subscribe-fault" }),
        json!({ "fill": { "[name=feed][value=kinh-te]": "on", "[name=feed][value=van-hoa]": "on",
            "[name=how][value=daily]": "on", "#time": "07:00", "#zone": "Europe/London",
            "#how-van-hoa": "sat", "#time-van-hoa": "09:00" }, "look": "subscribe" }),
        json!({ "click": "form.card > button", "look": "subscribe-done" }),
    ]);
    says(&seen, "subscribe-fault", "Bạn hãy chọn ít nhất một chuyên mục.");
    says(&seen, "subscribe-done", "Mời bạn mở hộp thư");

    let question = wait("Xác nhận đăng ký");
    let seen = walk(&[
        shown(&world, "mail-confirmation", &question),
        json!({ "url": url(&question.link("confirm")), "look": "confirm" }),
        json!({ "click": "main button", "look": "confirm-done" }),
    ]);
    for line in ["Kinh tế – 07:00 hằng ngày", "Văn hóa – 09:00 thứ Bảy hằng tuần"] {
        says(&seen, "mail-confirmation", line);
        says(&seen, "confirm", line);
        says(&seen, "confirm-done", line);
    }
    let welcome = wait("Chào mừng bạn");
    says(&walk(&[shown(&world, "mail-welcome", &welcome)]), "mail-welcome", "Lá thư đầu tiên sẽ đến vào");

    let preferences = url(&welcome.link("preferences"));
    let seen = walk(&[
        json!({ "url": preferences, "look": "preferences" }),
        json!({ "fill": { "[name=how][value='digest:hang-ngay']": "on", "#how-van-hoa": "", "#zone": "",
            "#cap": "3", "#pause": "2098-12-24" }, "click": "form.card > button", "look": "preferences-paused" }),
        json!({ "click": "form:not(.card) button", "look": "preferences-resumed" }),
    ]);
    says(&seen, "preferences", "Lá thư kế tiếp sớm nhất:");
    says(&seen, "preferences-paused", "Đang tạm dừng đến Thứ Tư, 24/12/2098");
    says(&seen, "preferences-resumed", "Đã lưu lựa chọn của bạn.");
    let shown_to = world.subscriber("mai@doc.example");
    let frequencies: Vec<&str> = shown_to["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["frequency"].as_str().unwrap())
        .collect();
    assert_eq!(frequencies, ["digest:hang-ngay", "digest:hang-ngay"], "{shown_to}");

    world.done(&["digest", "run", "hang-ngay"]);
    let digest = wait("Bản tin buổi sáng: ");
    assert_eq!(digest.headlines().len(), 3);
    let seen = walk(&[
        shown(&world, "mail-digest", &digest),
        json!({ "url": url(&digest.link("editions")), "look": "edition-own", "letter": true }),
        json!({ "url": url("/editions?lang=vi"), "look": "editions" }),
        json!({ "url": url("/editions/1?lang=vi"), "look": "edition" }),
        json!({ "url": url(&digest.link("unsubscribe")), "look": "unsubscribe" }),
        json!({ "click": ".parts button", "look": "unsubscribe-part-done" }),
        json!({ "url": url(&digest.link("unsubscribe")), "click": "main form button", "look": "unsubscribe-done" }),
    ]);
    says(&seen, "unsubscribe-part-done", "Bạn vẫn nhận:");
    says(&seen, "unsubscribe-done", "sẽ không gửi tin cho bạn nữa");
    let goodbye = wait("Bạn đã ngừng nhận");
    let seen = walk(&[
        shown(&world, "mail-goodbye", &goodbye),
        json!({ "url": url(&goodbye.link("unsubscribe")), "look": "unsubscribe-later" }),
        json!({ "click": "main form button", "look": "resubscribed" }),
        json!({ "url": preferences, "fill": { "#new-address": "moi@doc.example" },
            "click": "form:not(.card) button", "look": "preferences-asked" }),
    ]);
    says(&seen, "resubscribed", "như trước");
    says(&seen, "preferences-asked", "một lá thư đến địa chỉ mới");
    let question = wait("Xác nhận địa chỉ mới");
    assert_eq!(question.to(), "moi@doc.example");
    let seen = walk(&[
        shown(&world, "mail-address", &question),
        json!({ "url": url(&question.link("confirm")), "look": "move" }),
        json!({ "click": "main button", "look": "move-done" }),
    ]);
    says(&seen, "move-done", "m…@doc.example");
    let moved = wait("gửi đến địa chỉ khác");
    assert_eq!(moved.to(), "mai@doc.example");
    walk(&[
        shown(&world, "mail-moved", &moved),
        json!({ "url": url("/unsubscribe/x"), "look": "link-dead" }),
        json!({ "url": url("/nowhere"), "look": "problem" }),
    ]);
    assert_eq!(world.subscriber("moi@doc.example")["state"], "active");
    for path in [
        "/",
        "/subscribe",
        "/editions",
        "/editions/1",
        &digest.link("unsubscribe"),
        &digest.link("preferences"),
    ] {
        let page = world.write("page.html", world.get(path).body);
        judged_as_html("page", &page);
    }
}
