//! A reader's journey: ask, confirm, read, change, leave, come back.

use crate::mailroom::{Letter, article};
use crate::world::World;
use bantin::app::SystemClock;
use bantin::domain::{Clock as _, EmailAddress, SuppressionReason, Token, TokenPurpose};
use bantin::store::CutAnswer;
use std::time::Duration;

/// A newsroom with two articles in two sections, and the program running.
fn newsroom() -> World {
    let mut world = quiet_newsroom();
    world.serve();
    world
}

fn quiet_newsroom() -> World {
    let mut world = World::new();
    world.set("BANTIN_LOG__LEVEL", "debug");
    world.import(&[
        article("1", "Giá lúa ở Cần Thơ tăng", "Kinh tế"),
        article("2", "Đêm đờn ca bên sông", "Văn hóa"),
    ]);
    world
}

fn form(address: &str) -> [(&str, &str); 2] {
    [("address", address), ("feed", "all")]
}

#[test]
fn the_same_page_follows_every_request() {
    let world = newsroom();
    let new = world.post("/subscribe", &form("moi@doc.example"));
    assert_eq!(new.status, 200);
    world.subscribe("quen@doc.example", &["all"]);
    world.at_the_store(async |store, secret| {
        let address = EmailAddress::parse("cam@doc.example").unwrap();
        store
            .suppress(&address, SuppressionReason::Complained, "", &secret, SystemClock.now())
            .await
            .unwrap();
    });
    for address in [
        "moi@doc.example",
        "MOI@doc.example",
        "quen@doc.example",
        "cam@doc.example",
        "an+bao@doc.example",
        "độc.giả@báo.example",
        "  cach@doc.example ",
    ] {
        let answer = world.post("/subscribe", &form(address));
        assert_eq!((answer.status, &answer.body), (200, &new.body), "{address}");
    }
    let trap = world.post("/subscribe", &[("address", "may@doc.example"), ("feed", "all"), ("website", "x")]);
    assert_eq!((trap.status, &trap.body), (200, &new.body));
    let wrong = world.post("/subscribe", &form("<b>ai</b>"));
    assert_eq!(wrong.status, 422);
    assert!(!wrong.text().contains("<b>ai"), "what was typed is escaped");

    world.wait_for("the questions are mailed", |world| !world.mail_to("cach@doc.example").is_empty());
    assert_eq!(world.mail_to("moi@doc.example").len(), 1, "asked once, however often it was typed");
    assert_eq!(world.mail_to("cam@doc.example").len(), 0);
    assert_eq!(world.mail_to("may@doc.example").len(), 0);
    world.assert_discreet();
}

#[test]
fn nobody_gets_a_digest_before_the_owner_of_the_mailbox_says_yes() {
    let world = newsroom();
    let question = world.ask("an@doc.example", &["all"]);
    assert_eq!(question.subject(), "Xác nhận đăng ký nhận tin – Báo Sông Hậu");
    let link = question.link("confirm");
    assert!(question.html().contains(&link));
    for method in ["GET", "HEAD", "GET"] {
        assert_eq!(world.request(method, &link, &[], b"").status, 200);
    }
    assert_eq!(world.subscriber("an@doc.example")["state"], "pending", "a scanner has no will");
    assert!(world.done(&["digest", "run", "hang-ngay"]).contains("nothing new for anybody"));

    for _ in 0..2 {
        assert_eq!(world.post(&link, &[]).status, 200);
        assert_eq!(world.subscriber("an@doc.example")["state"], "active");
        assert_eq!(world.feeds_of("an@doc.example"), ["all"]);
    }
    let letter = world.digest_for("an@doc.example");
    assert_eq!(letter.headlines().len(), 2);
    // The old question lies in the mailbox for ever; it must not bring a reader back.
    assert_eq!(world.post(&letter.link("unsubscribe"), &[]).status, 200);
    assert_eq!(world.post(&link, &[]).status, 200);
    assert_eq!(world.subscriber("an@doc.example")["state"], "unsubscribed");
    world.assert_discreet();
}

#[test]
fn forged_cut_and_expired_links_open_nothing() {
    let world = newsroom();
    let link = world.ask("an@doc.example", &["all"]).link("confirm");
    let (old, leave) = world.at_the_store(async |store, secret| {
        let address = EmailAddress::parse("an@doc.example").unwrap();
        let reader = store.subscriber_by_address(&address).await.unwrap().unwrap();
        let week_ago = SystemClock.now() - chrono::Duration::days(8);
        let old = Token { subject: 1, issued: week_ago }.seal(&secret, TokenPurpose::Confirm);
        let leave = Token { subject: reader.id.0, issued: reader.created_at };
        (old, leave.seal(&secret, TokenPurpose::Unsubscribe))
    });
    let swapped = if link.ends_with('A') { "B" } else { "A" };
    for path in [
        format!("/confirm/{old}"),
        format!("/confirm/{leave}"),
        format!("{}{swapped}", &link[..link.len() - 1]),
        link[..link.len() - 1].to_owned(),
        format!("{link}x"),
        "/confirm/%00".to_owned(),
        "/unsubscribe/x".to_owned(),
        format!("/preferences/{leave}"),
    ] {
        for method in ["GET", "POST"] {
            let answer = world.request(method, &path, &[], b"");
            assert_eq!(answer.status, 404, "{method} {path}");
            assert!(answer.text().contains("Đường dẫn này không còn dùng được"), "{method} {path}");
        }
    }
    assert_eq!(world.get(&format!("/editions/1/{leave}")).status, 404);
    assert_eq!(world.subscriber("an@doc.example")["state"], "pending");
    world.assert_discreet();
}

#[test]
fn a_digest_comes_at_its_minute_with_what_is_new() {
    let mut world = quiet_newsroom();
    world.write("feeds/hang-ngay.toml", "[digest]\ntitle = \"Tin từng phút\"\nschedule = \"* * * * *\"\n");
    world.set("BANTIN_LOG__LEVEL", "info");
    let mut tomorrow = article("3", "Ngày mai mới đăng", "Kinh tế");
    tomorrow["published"] = (SystemClock.now() + chrono::Duration::days(1)).to_rfc3339().into();
    world.import(&[tomorrow]);
    let archive = world.write("in/cu.jsonl", article("4", "Bài từ kho cũ", "Kinh tế").to_string());
    world.done(&["import", "--archive", archive.to_str().unwrap()]);
    // Readers first, so that the minute finds both; the program then has its first whole minute.
    world.fill(2);
    world.serve();
    world.subscribe("van.hoa@doc.example", &["van-hoa"]);
    world.ask("im.lang@doc.example", &["all"]);
    world.wait_at_most(Duration::from_secs(70), "the minute's digests are mailed", |world| {
        world.deliveries("accepted") >= 3
    });
    let digests: Vec<Letter> = world
        .letters()
        .into_iter()
        .map(Letter)
        .filter(|letter| letter.subject().starts_with("Tin từng phút: "))
        .collect();
    assert_eq!(digests.len(), 3, "nobody twice, and nobody who did not answer");
    for letter in &digests {
        let expected: &[&str] = match letter.to().as_str() {
            "van.hoa@doc.example" => &["Đêm đờn ca bên sông"],
            _ => &["Giá lúa ở Cần Thơ tăng", "Đêm đờn ca bên sông"],
        };
        let mut headlines = letter.headlines();
        headlines.sort();
        assert_eq!(headlines, expected, "to {}", letter.to());
        assert!(letter.html().contains("Đêm đờn ca bên sông"));
    }
    let slot = world.number("SELECT min(slot) FROM editions");
    assert_eq!(slot % 60_000_000, 0, "the slot is the minute, not the moment");
    let late = world.number("SELECT max(cut_at - slot) FROM editions");
    assert!(late < 10_000_000, "cut {late} µs after its minute");
    // Nothing new since: the digest has nothing to say, by whatever clock.
    assert!(world.done(&["digest", "run", "hang-ngay"]).contains("nothing new for anybody"));
    world.assert_discreet();
}

#[test]
fn leaving_takes_one_click_and_coming_back_another() {
    let world = newsroom();
    for (number, (kind, body)) in [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=ranh",
            "--ranh\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--ranh--\r\n",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("doc{number}@doc.example");
        world.subscribe(&address, &["all"]);
        let letter = world.digest_for(&address);
        assert_eq!(letter.header("List-Unsubscribe-Post").unwrap(), "List-Unsubscribe=One-Click");
        let header = letter.header("List-Unsubscribe").unwrap();
        let link = letter.link("unsubscribe");
        assert_eq!(header, format!("<{}>", world.url(&link)), "one link, on one line");

        let asked = world.get(&link);
        assert_eq!(asked.status, 200);
        assert!(asked.text().contains("d…@doc.example"), "the page knows whom it speaks of");
        assert!(!asked.text().contains(&address), "and does not tell strangers");
        assert_eq!(world.subscriber(&address)["state"], "active", "GET asks");
        for _ in 0..2 {
            let answer = world.request("POST", &link, &[("Content-Type", kind)], body.as_bytes());
            assert_eq!(answer.status, 200, "no redirect (RFC 8058 §3.1)");
            assert_eq!(world.subscriber(&address)["state"], "unsubscribed");
        }
        for _ in 0..2 {
            assert_eq!(world.post(&link, &[("undo", "1")]).status, 200);
            assert_eq!(world.subscriber(&address)["state"], "active");
            assert_eq!(world.feeds_of(&address), ["all"]);
        }
        world.import(&[article(&format!("n{number}"), &format!("Tin thêm {number}"), "Kinh tế")]);
        assert_eq!(world.digest_for(&address).headlines(), [format!("Tin thêm {number}")]);
        assert_eq!(world.post(&link, &[]).status, 200);
    }
    world.assert_discreet();
}

#[test]
fn what_was_left_or_withdrawn_after_the_cut_is_not_mailed() {
    let mut world = newsroom();
    world.subscribe("di@doc.example", &["all"]);
    world.subscribe("o@doc.example", &["all"]);
    let leave = world.digest_for("di@doc.example").link("unsubscribe");
    world.wait_for("both have their mail", |world| world.deliveries("accepted") == 2);
    world.stop();

    world.import(&[article("5", "Tin sẽ rút lại", "Kinh tế"), article("6", "Tin sẽ ở lại", "Kinh tế")]);
    assert!(matches!(world.cut(), CutAnswer::Made(cut) if cut.deliveries == 2));
    let rows = world.done(&["article", "list", "--search", "rút lại", "--json"]);
    let row: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    world.done(&["article", "withdraw", row["id"].as_str().unwrap()]);
    world.start(&["serve", "--role", "web"]);
    world.wait_until_ready();
    assert_eq!(world.post(&leave, &[]).status, 200);
    world.stop();

    world.serve();
    world.wait_for("the edition is complete", World::is_complete);
    assert_eq!(world.mail_to("di@doc.example").len(), 2, "a question and the digest before");
    let letters = world.mail_to("o@doc.example");
    assert_eq!(letters.last().unwrap().headlines(), ["Tin sẽ ở lại"]);
    assert!(!letters.last().unwrap().html().contains("rút lại"));
    assert_eq!(world.deliveries("suppressed"), 1);
    // The ledger has it: undoing brings the letter that was held back, once.
    assert_eq!(world.post(&leave, &[("undo", "1")]).status, 200);
    world.wait_for("the letter comes after all", |world| world.mail_to("di@doc.example").len() == 3);
    assert_eq!(world.mail_to("di@doc.example").last().unwrap().headlines(), ["Tin sẽ ở lại"]);
    world.assert_discreet();
}

#[test]
fn the_preference_page_changes_what_it_shows_and_nothing_else() {
    let world = newsroom();
    world.subscribe("an@doc.example", &["kinh-te", "van-hoa"]);
    let link = world.digest_for("an@doc.example").link("preferences");
    let page = world.get(&link).text();
    for feed in ["all", "kinh-te", "van-hoa"] {
        assert!(page.contains(&format!("name=\"shown\" value=\"{feed}\"")), "{feed} in\n{page}");
    }
    assert!(!page.contains("an@doc.example"));
    let save = |fields: &[(&str, &str)]| {
        assert_eq!(world.post(&link, fields).status, 200);
        world.feeds_of("an@doc.example")
    };
    assert_eq!(save(&[("shown", "kinh-te")]), ["van-hoa"], "what was not shown stays");
    assert_eq!(save(&[("shown", "all"), ("feed", "all")]), ["all", "van-hoa"]);
    assert_eq!(save(&[("feed", "kinh-te")]), ["all", "van-hoa"], "what was not shown is not switched on");
    assert_eq!(save(&[("shown", "all"), ("shown", "van-hoa")]), [] as [&str; 0]);
    assert_eq!(world.subscriber("an@doc.example")["state"], "unsubscribed");
    assert_eq!(save(&[("shown", "kinh-te"), ("feed", "kinh-te")]), ["kinh-te"]);
    assert_eq!(world.subscriber("an@doc.example")["state"], "active");
    world.assert_discreet();
}

#[test]
fn a_digest_can_be_read_in_the_browser_by_its_reader_alone() {
    let world = newsroom();
    world.subscribe("an@doc.example", &["all"]);
    let link = world.digest_for("an@doc.example").link("editions");
    let page = world.get(&link);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.header("content-security-policy").is_some());
    for title in ["Giá lúa ở Cần Thơ tăng", "Đêm đờn ca bên sông"] {
        assert!(page.text().contains(title), "{title}");
    }
    let token = link.rsplit('/').next().unwrap();
    assert_eq!(world.get(&format!("/editions/2/{token}")).status, 404);
    assert_eq!(world.get(&format!("/unsubscribe/{token}")).status, 404);
    world.assert_discreet();
}

#[test]
fn running_a_digest_twice_mails_once() {
    let world = newsroom();
    world.subscribe("an@doc.example", &["all", "kinh-te"]);
    let first = world.digest_for("an@doc.example");
    assert_eq!(first.headlines().len(), 2, "an article by two feeds comes once");
    let again = world.done(&["digest", "run", "hang-ngay", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap()["deliveries"], 0);
    assert_eq!(world.mail_to("an@doc.example").len(), 2);
    world.assert_discreet();
}

#[test]
fn a_preview_shows_what_will_be_mailed() {
    let world = newsroom();
    world.subscribe("an@doc.example", &["kinh-te"]);
    let preview = world.done(&["digest", "preview", "hang-ngay", "--to", "an@doc.example"]);
    let mailed = world.digest_for("an@doc.example").html();
    let plain = |html: &str| without_keys(html, &world.url("/"));
    assert_eq!(plain(&preview), plain(&mailed));
    let nothing = world.run(&["digest", "preview", "hang-ngay", "--to", "an@doc.example"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing is due"));

    let sample = world.done(&["digest", "preview", "hang-ngay"]);
    assert!(sample.contains("Đêm đờn ca bên sông"));
    world.done(&["digest", "send-test", "hang-ngay", "--to", "thu@doc.example"]);
    let test = world.mail_to("thu@doc.example").pop().unwrap();
    assert_eq!(test.headlines().len(), 2);
    assert_eq!(world.number("SELECT count(*) FROM subscribers"), 1, "outside of any ledger");
    world.assert_discreet();
}

/// A reader's links hold keys that a preview must not give away, so there they lead home.
fn without_keys(html: &str, home: &str) -> String {
    let mut plain = String::new();
    let html = html.replace("\r\n", "\n");
    let mut rest = html.trim();
    while let Some(at) = rest.find("href=\"") {
        let (before, after) = rest.split_at(at + 6);
        plain.push_str(before);
        let (link, after) = after.split_at(after.find('"').unwrap());
        let keyed = ["/unsubscribe/", "/preferences/", "/editions/"].iter().any(|door| link.contains(door));
        plain.push_str(if keyed { home } else { link });
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[test]
fn a_newsroom_adds_shows_and_erases_readers() {
    let world = newsroom();
    world.done(&["subscriber", "add", "hoi@doc.example", "--feed", "kinh-te"]);
    world.wait_for("the question is mailed", |world| world.mail_to("hoi@doc.example").len() == 1);
    assert_eq!(world.subscriber("hoi@doc.example")["state"], "pending");

    world.done(&["subscriber", "add", "giay@doc.example", "--consent", "phiếu giấy, 1/11/2026"]);
    assert_eq!(world.subscriber("giay@doc.example")["state"], "active");
    assert_eq!(world.feeds_of("giay@doc.example"), ["all"]);
    assert_eq!(world.digest_for("giay@doc.example").headlines().len(), 2);
    assert_eq!(world.mail_to("giay@doc.example").len(), 1, "no question to whom has answered");
    assert_eq!(world.number("SELECT count(*) FROM deliveries WHERE kind = 'confirmation'"), 1);
    world.done(&["subscriber", "add", "hoi@doc.example", "--consent", "gọi điện, 2/11/2026"]);
    assert_eq!(
        world.subscriber("hoi@doc.example")["state"],
        "active",
        "asked shortly before, and has answered"
    );

    let leave = world.mail_to("giay@doc.example")[0].link("unsubscribe");
    world.done(&["subscriber", "erase", "giay@doc.example"]);
    assert_eq!(world.run(&["subscriber", "show", "giay@doc.example"]).status.code(), Some(1));
    assert_eq!(world.number("SELECT count(*) FROM subscribers WHERE address LIKE '%giay%'"), 0);
    assert_eq!(world.number("SELECT count(*) FROM opt_ins WHERE remote_address LIKE '%line%'"), 2, "hoi's");
    assert_eq!(world.post(&leave, &[]).status, 404, "the link speaks of nobody");
    world.import(&[article("7", "Tin sau khi xóa", "Kinh tế")]);
    let run = world.done(&["digest", "run", "hang-ngay"]);
    assert!(run.contains("3 articles to 1 subscriber"), "{run}");

    for (arguments, told) in [
        (&["subscriber", "add", "khong-co-a-cong"] as &[&str], "ten@example.vn"),
        (&["subscriber", "add", "an@doc.example", "--feed", "the-thao"], "bantin feed list"),
        (&["subscriber", "add", "an@doc.example", "--digest", "trua"], "bantin digest list"),
    ] {
        let refused = world.run(arguments);
        assert!(!refused.status.success());
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains(told), "{words}");
    }
    world.assert_discreet();
}
