//! What protects mailboxes from strangers, and the letters beside the question and the digests.

use crate::mailroom::{Letter, article};
use crate::world::World;
use bantin::app::SystemClock;
use bantin::domain::{Clock as _, EmailAddress, SuppressionReason, Token, TokenPurpose};
use std::time::{Duration, Instant};

/// A newsroom behind a proxy, which is seen by strangers and not by scripts of this machine alone.
fn newsroom(settings: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.set("BANTIN_LOG__LEVEL", "debug");
    world.set("BANTIN_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    for (name, value) in settings {
        world.set(name, value);
    }
    world.import(&[
        article("1", "Giá lúa ở Cần Thơ tăng", "Kinh tế"),
        article("2", "Đêm đờn ca bên sông", "Văn hóa"),
    ]);
    world.serve();
    world
}

/// The form filled in by a stranger at an address of the network, who has looked at it for a while.
fn sign_up(world: &World, from: &str, fields: &[(&str, &str)]) -> u16 {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("X-Forwarded-For", from)];
    world.request("POST", "/subscribe", &headers, body.as_bytes()).status
}

fn opened(world: &World, seconds_ago: i64) -> String {
    world.at_the_store(async |_, secret| {
        let issued = SystemClock.now() - chrono::Duration::seconds(seconds_ago);
        Token { subject: 0, issued }.seal(&secret, TokenPurpose::Form)
    })
}

#[test]
fn a_form_that_nobody_has_looked_at_is_shown_again() {
    let world = newsroom(&[]);
    let (fresh, old) = (opened(&world, 0), opened(&world, 3));
    let page = world.request("GET", "/subscribe", &[("X-Forwarded-For", "203.0.113.9")], b"").text();
    assert!(page.contains("name=\"opened\""));
    let form = |opened| [("address", "an@doc.example"), ("feed", "all"), ("opened", opened)];
    for (opened, status) in [("", 422), ("x", 422), (fresh.as_str(), 422), (old.as_str(), 200)] {
        assert_eq!(sign_up(&world, "203.0.113.9", &form(opened)), status, "{opened}");
    }
    world.wait_for("the question is mailed", |world| world.mail_to("an@doc.example").len() == 1);
    // A key for one door opens no other.
    assert_eq!(world.get(&format!("/preferences/{old}")).status, 404);
    world.assert_discreet();
}

#[test]
fn a_network_signs_up_so_often_and_all_together_so_often() {
    let world = newsroom(&[("BANTIN_LIMITS__SIGN_UP_BURST", "3")]);
    let opened = opened(&world, 3);
    let ask = |from: &str, name: &str| {
        let address = format!("{name}@doc.example");
        sign_up(&world, from, &[("address", &address), ("feed", "all"), ("opened", &opened)])
    };
    assert_eq!(["a", "b", "c", "d"].map(|name| ask("203.0.113.9", name)), [200, 200, 200, 429]);
    assert_eq!(ask("203.0.113.77", "e"), 429, "the same /24");
    assert_eq!(ask("2001:db8::1", "f"), 200);
    let refused = world.request(
        "POST",
        "/subscribe",
        &[("X-Forwarded-For", "203.0.113.9"), ("Content-Type", "application/x-www-form-urlencoded")],
        format!("address=g%40doc.example&feed=all&opened={opened}").as_bytes(),
    );
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() <= 60));
    assert!(refused.text().contains("Có quá nhiều yêu cầu"));
    let taken = (0..100).filter(|n| ask(&format!("198.18.{n}.1"), &format!("n{n}")) == 200).count();
    // And one more every three seconds.
    assert!((56..65).contains(&taken), "twenty networks' worth, not {taken}");
    world.wait_for("they are asked", |world| world.letters().len() == taken + 4);
    world.assert_discreet();
}

#[test]
fn who_does_not_answer_is_asked_more_and_more_seldom() {
    let world = newsroom(&[]);
    let ask = || {
        assert_eq!(world.post("/subscribe", &[("address", "an@doc.example"), ("feed", "all")]).status, 200)
    };
    let count = || {
        std::thread::sleep(Duration::from_millis(1_500));
        world.mail_to("an@doc.example").len()
    };
    let mut expected = 0;
    for (minutes, asked) in
        [(0, true), (9, false), (2, true), (59, false), (2, true), (1_430, false), (20, true)]
    {
        let sql = format!("UPDATE opt_ins SET requested_at = requested_at - {}", minutes * 60_000_000_i64);
        world.change(Box::leak(sql.into_boxed_str()));
        ask();
        expected += usize::from(asked);
        assert_eq!(count(), expected, "after {minutes} minutes more");
    }
    world.assert_discreet();
}

#[test]
fn the_time_of_an_answer_does_not_tell_who_is_known() {
    let world = newsroom(&[]);
    world.subscribe("quen@doc.example", &["all"]);
    world.at_the_store(async |store, secret| {
        let address = EmailAddress::parse("cam@doc.example").unwrap();
        store
            .suppress(&address, SuppressionReason::Complained, "", &secret, SystemClock.now())
            .await
            .unwrap();
    });
    let median = |address: &dyn Fn(usize) -> String| {
        let mut times: Vec<Duration> = (0..9)
            .map(|n| {
                let started = Instant::now();
                let address = address(n);
                assert_eq!(world.post("/subscribe", &[("address", &address), ("feed", "all")]).status, 200);
                started.elapsed()
            })
            .collect();
        times.sort();
        times[4]
    };
    let new = median(&|n| format!("moi{n}@doc.example"));
    let known = median(&|_| "quen@doc.example".to_owned());
    let barred = median(&|_| "cam@doc.example".to_owned());
    for other in [known, barred] {
        assert!(new.abs_diff(other) < Duration::from_millis(40), "{new:?} {known:?} {barred:?}");
    }
}

#[test]
fn who_has_said_yes_is_welcomed_once_and_who_leaves_is_told_once() {
    let world = newsroom(&[("BANTIN_MAIL__WELCOME", "true"), ("BANTIN_MAIL__GOODBYE", "true")]);
    let question = world.ask("an@doc.example", &["all"]);
    for _ in 0..2 {
        assert_eq!(world.post(&question.link("confirm"), &[]).status, 200);
    }
    let of = |world: &World, subject: &str| -> Vec<Letter> {
        let letters = world.mail_to("an@doc.example").into_iter();
        letters.filter(|letter| letter.subject().contains(subject)).collect()
    };
    world.wait_for("the welcome is mailed", |world| !of(world, "Chào mừng").is_empty());
    let welcome = of(&world, "Chào mừng").pop().unwrap();
    assert_eq!(welcome.header("List-Unsubscribe-Post").unwrap(), "List-Unsubscribe=One-Click");
    assert!(
        welcome.text().contains("Tất cả các mục – Bản tin buổi sáng (06:30 hằng ngày)"),
        "{}",
        welcome.text()
    );
    let leave = welcome.link("unsubscribe");
    for _ in 0..2 {
        let one_click = [("List-Unsubscribe", "One-Click")];
        assert_eq!(world.post(&leave, &one_click).status, 200);
    }
    world.wait_for("the goodbye is mailed", |world| !of(world, "ngừng nhận").is_empty());
    let goodbye = of(&world, "ngừng nhận").pop().unwrap();
    assert_eq!(goodbye.header("List-Unsubscribe"), None, "who left is on no list");
    assert!(world.get(&goodbye.link("unsubscribe")).text().contains("Tôi muốn nhận lại như trước"));
    assert_eq!(world.post(&goodbye.link("unsubscribe"), &[("undo", "1")]).status, 200);
    assert_eq!(world.feeds_of("an@doc.example"), ["all"]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((of(&world, "Chào mừng").len(), of(&world, "ngừng nhận").len()), (1, 1));
    world.assert_discreet();
}

#[test]
fn one_click_ends_the_list_of_the_mail_and_the_page_each_part_or_all() {
    let world = newsroom(&[]);
    let fields = [
        ("address", "an@doc.example"),
        ("feed", "kinh-te"),
        ("feed", "van-hoa"),
        ("how", "digest:hang-ngay"),
        ("how-van-hoa", "sat"),
        ("time-van-hoa", "08:00"),
    ];
    assert_eq!(world.post("/subscribe", &fields).status, 200);
    world.wait_for("the question is mailed", |world| !world.mail_to("an@doc.example").is_empty());
    let question = world.mail_to("an@doc.example").pop().unwrap();
    assert_eq!(world.post(&question.link("confirm"), &[]).status, 200);
    let digest = world.digest_for("an@doc.example");
    assert_eq!(digest.headlines(), ["Giá lúa ở Cần Thơ tăng"], "the other section has its own day");
    let leave = digest.link("unsubscribe");
    assert!(leave.ends_with("?only=digest:hang-ngay"), "{leave}");
    let page = world.get(&leave).text();
    assert!(page.contains("Thôi nhận Bản tin buổi sáng") && page.contains("Bỏ Văn hóa"), "{page}");
    for _ in 0..2 {
        let one_click = [("List-Unsubscribe", "One-Click")];
        let answer = world.post(&leave, &one_click);
        assert!(answer.status == 200 && answer.text().contains("Bạn vẫn nhận:"), "{}", answer.text());
        assert_eq!(world.feeds_of("an@doc.example"), ["van-hoa"]);
    }
    let back = world.post(&leave, &[("undo", "1")]);
    assert!(back.status == 200 && back.text().contains("Bạn lại nhận bản tin như trước"), "{}", back.text());
    assert_eq!(world.feeds_of("an@doc.example"), ["kinh-te", "van-hoa"]);
    let again = world.post(&leave, &[("undo", "1")]);
    assert!(again.text().contains("không còn gì để khôi phục"), "an undo of nothing does not say it did");
    assert!(again.text().contains("Hiện nay bạn nhận:"), "{}", again.text());
    // A link that a mail program cut off ends all: nobody is kept.
    let cut = leave.split('?').next().unwrap();
    assert_eq!(world.post(cut, &[]).status, 200);
    assert_eq!(world.subscriber("an@doc.example")["state"], "unsubscribed");
    world.assert_discreet();
}

#[test]
fn mail_moves_to_a_new_address_when_its_owner_says_so_and_back_again() {
    let world = newsroom(&[]);
    for address in ["an@doc.example", "binh@doc.example"] {
        world.subscribe(address, &["all"]);
    }
    let preferences = world.digest_for("an@doc.example").link("preferences");
    let ask = |to: &str| world.post(&preferences, &[("new_address", to)]);
    assert!(ask("chi@").text().contains("Địa chỉ này chưa đúng"));
    assert_eq!(ask("an.moi@doc.example").status, 200);
    world.wait_for("the new address is asked", |world| !world.mail_to("an.moi@doc.example").is_empty());
    let door = world.mail_to("an.moi@doc.example").pop().unwrap().link("confirm");
    assert_eq!(world.get(&door).status, 200);
    assert_eq!(world.run(&["subscriber", "show", "an.moi@doc.example"]).status.code(), Some(1), "GET asks");
    for _ in 0..2 {
        assert_eq!(world.post(&door, &[]).status, 200);
        assert_eq!(world.feeds_of("an.moi@doc.example"), ["all"]);
    }
    let told = |world: &World| {
        let mut letters = world.mail_to("an@doc.example").into_iter();
        letters.find(|letter| letter.subject().contains("gửi đến địa chỉ khác"))
    };
    world.wait_for("the former address is told", |world| told(world).is_some());
    let back = told(&world).unwrap().link("confirm");
    assert_eq!(world.post(&back, &[]).status, 200);
    assert_eq!(world.feeds_of("an@doc.example"), ["all"], "who did not want it keeps it");
    // Nobody learns by asking whether an address is another reader's; its owner does.
    world.change("UPDATE opt_ins SET requested_at = requested_at - 86400000000");
    assert_eq!(ask("binh@doc.example").body.len(), ask("ai.do@doc.example").body.len());
    let asked = |world: &World| {
        let mut letters = world.mail_to("binh@doc.example").into_iter();
        letters.find(|letter| letter.subject().contains("Xác nhận địa chỉ mới"))
    };
    world.wait_for("the other reader is asked", |world| asked(world).is_some());
    let answer = world.post(&asked(&world).unwrap().link("confirm"), &[]);
    assert!(answer.text().contains("Chưa đổi được địa chỉ"), "{}", answer.text());
    assert_eq!(world.feeds_of("binh@doc.example"), ["all"]);
    world.assert_discreet();
}

#[test]
fn a_reader_is_told_of_what_he_looked_for() {
    let world = newsroom(&[]);
    let page = world.get("/feeds/search?q=gia+lua").text();
    assert!(page.contains("name=\"search\" value=\"gia lua\""), "{page}");
    let fields = [("address", "an@doc.example"), ("search", "gia lua"), ("how", "at-once")];
    assert_eq!(world.post("/subscribe", &fields).status, 200);
    world.wait_for("the question is mailed", |world| !world.mail_to("an@doc.example").is_empty());
    let question = world.mail_to("an@doc.example").pop().unwrap();
    assert!(question.text().contains("Bài có “gia lua” – ngay khi có bài"), "{}", question.text());
    assert_eq!(world.post(&question.link("confirm"), &[]).status, 200);
    world.import(&[article("9", "Giá lúa lại tăng", "Kinh tế"), article("10", "Tin khác", "Kinh tế")]);
    world.wait_for("he is told at once", |world| world.mail_to("an@doc.example").len() == 2);
    let alert = world.mail_to("an@doc.example").pop().unwrap();
    assert_eq!(alert.headlines(), ["Giá lúa lại tăng"]);
    let preferences = world.get(&alert.link("preferences")).text();
    assert!(preferences.contains("Bài có “gia lua”"), "{preferences}");
    assert_eq!(world.post(&alert.link("unsubscribe"), &[]).status, 200);
    assert_eq!(world.subscriber("an@doc.example")["state"], "unsubscribed");
    world.assert_discreet();
}
