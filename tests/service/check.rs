//! The mistakes that people will make: each is found, placed, and told how to mend.

use crate::mailroom::article;
use crate::postbox::{Manners, Postbox};
use crate::world::World;
use std::path::Path;

/// A newsroom that `bantin check` has nothing against but its addresses of examples.
fn newsroom() -> World {
    let mut world = World::new();
    world.set("BANTIN_PUBLICATION__BASE_URL", "https://tin.songhau.vn");
    world.set("BANTIN_MAIL__FROM", "bantin@songhau.vn");
    world.write("feeds/sang.toml", "[digest]\nschedule = \"30 6 * * *\"\n");
    world.import(&[article("1", "Tin một", "Kinh tế")]);
    world
}

/// The exit code, and the lines of one weight.
fn check(world: &World, weight: &str) -> (Option<i32>, String) {
    let output = world.run(&["check", "--json"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let mut found = Vec::new();
    for line in told.lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(!finding["part"].as_str().unwrap().is_empty());
        if finding["weight"] == weight {
            found.push(finding["text"].as_str().unwrap().to_owned());
        }
    }
    (output.status.code(), found.join("\n"))
}

/// A fault is told with all these words, and the exit code says so.
#[track_caller]
fn fault(world: &World, words: &[&str]) {
    let (code, told) = check(world, "fault");
    assert_eq!(code, Some(1), "{told}");
    for word in words {
        assert!(told.contains(word), "`{word}` is not in\n{told}");
    }
}

/// A doubt is told with all these words, and hinders nothing.
#[track_caller]
fn doubt(world: &World, words: &[&str]) {
    let (code, told) = check(world, "doubt");
    assert_eq!(code, Some(0), "{told}");
    for word in words {
        assert!(told.contains(word), "`{word}` is not in\n{told}");
    }
}

#[test]
fn a_token_that_has_run_out_or_travels_in_the_open_is_found() {
    let mut world = newsroom();
    let soon = (chrono::Utc::now() + chrono::Duration::milliseconds(1_500)).to_rfc3339();
    world.done(&["token", "add", "cms", "--scope", "articles:write", "--expires", &soon]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    doubt(&world, &["`cms` has run out", "bantin token revoke cms"]);
    world.set("BANTIN_PUBLICATION__BASE_URL", "http://tin.songhau.vn");
    doubt(&world, &["tokens are sent without encryption"]);
    world.done(&["token", "revoke", "cms"]);
    assert!(!check(&world, "doubt").1.contains("token"));
}

#[test]
fn a_sound_newsroom_has_no_fault() {
    let world = newsroom();
    let (code, told) = check(&world, "fault");
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let (_, doubts) = check(&world, "doubt");
    assert_eq!(doubts.lines().count(), 1, "only that mail stays here: {doubts}");
    let plain = world.done(&["check", "--offline"]);
    assert!(plain.lines().any(|line| line.starts_with("fine   store")), "{plain}");
}

#[test]
fn a_line_that_is_no_toml() {
    let world = newsroom();
    world.write("bantin.toml", "[server]\nlisten = 127.0.0.1:8080\n");
    fault(&world, &["bantin.toml:2: "]);
    world.write("bantin.toml", "title = \"x\"\n");
    fault(&world, &["bantin.toml:1: `title` stands outside of a section", "[server]"]);
}

#[test]
fn a_key_that_is_misspelt() {
    let world = newsroom();
    world.write("bantin.toml", "[server]\nlisen = \"127.0.0.1:8081\"\n");
    fault(&world, &["bantin.toml:2: `server.lisen` is no setting", "did you mean `server.listen`?"]);
}

#[test]
fn a_time_zone_that_is_none() {
    let world = newsroom();
    world.write("bantin.toml", "[publication]\ntime_zone = \"Asia/Hanoi\"\n");
    fault(&world, &["bantin.toml:2: ", "Asia/Hanoi", "Asia/Ho_Chi_Minh"]);
}

#[test]
fn a_base_url_that_is_missing_or_not_https() {
    let mut world = newsroom();
    world.set("BANTIN_PUBLICATION__BASE_URL", "http://tin.songhau.vn");
    doubt(&world, &["http://tin.songhau.vn", "is not https"]);
    world.unset("BANTIN_PUBLICATION__BASE_URL");
    doubt(&world, &["publication.base_url is not set", "https://tin.example.vn"]);
    world.set("BANTIN_PUBLICATION__BASE_URL", "tin.songhau.vn");
    fault(&world, &["environment BANTIN_PUBLICATION__BASE_URL"]);
}

#[test]
fn a_port_that_is_taken() {
    let mut world = newsroom();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.set("BANTIN_SERVER__LISTEN", &taken.local_addr().unwrap().to_string());
    doubt(&world, &["is in use", "another port"]);
    world.set("BANTIN_SERVER__LISTEN", "203.0.113.7:8080");
    fault(&world, &["cannot listen on 203.0.113.7:8080", "another machine's address"]);
}

#[test]
fn a_store_that_cannot_be_reached_or_written() {
    let mut world = newsroom();
    for (url, words) in [
        ("postgres://bantin:geheim@127.0.0.1:1/bantin", "refused"),
        ("sqlite:/proc/bantin/bantin.db", "cannot be made"),
        ("sqlite:feeds", "is the path writable"),
        ("mysql://127.0.0.1/bantin", "sqlite:var/bantin.db"),
    ] {
        world.set("BANTIN_STORE__URL", url);
        let started = std::time::Instant::now();
        fault(&world, &[words]);
        assert!(!check(&world, "fault").1.contains("geheim"), "no password in what is told");
        assert!(started.elapsed().as_secs() < 15, "{url} took {:?}", started.elapsed());
    }
}

#[test]
fn a_template_that_is_broken() {
    let world = newsroom();
    world.write("templates/page/home.html", "<p>\n{% if %}</p>");
    fault(&world, &["templates/page/home.html:2: "]);
    world.write(
        "templates/page/home.html",
        "{% extends \"page/base.html\" %}\n{% block main %}\n{{ nobody.name }}{% endblock %}",
    );
    fault(&world, &["templates/page/home.html:3: "]);
    std::fs::remove_file(world.path("templates/page/home.html")).unwrap();
    world.write("templates/mail/digest/body.html", "{{ t(\"mail.no.such.message\") }}");
    fault(&world, &["templates/mail/digest/body.html:1: ", "mail.no.such.message"]);
}

#[test]
fn a_schedule_that_is_none() {
    let world = newsroom();
    world.write("feeds/sang.toml", "[digest]\ntitle = \"Sáng\"\nschedule = \"6:30\"\n");
    fault(&world, &["feeds/sang.toml:3: ", "30 6 * * *"]);
    world.write("feeds/sang.toml", "[digest]\nschedule = \"0 0 30 2 *\"\n");
    fault(&world, &["feeds/sang.toml:2: ", "never comes"]);
}

#[test]
fn a_mail_server_that_is_silent_or_unwilling() {
    let mut world = newsroom();
    let nobody = crate::callbacks::nobody();
    world.set("BANTIN_MAIL__URL", &format!("smtp://{nobody}"));
    fault(&world, &[&nobody.to_string(), "is the mail server running"]);
    let server = Postbox::open(Manners { greeting: "554 5.7.1 Not you", ..Manners::default() });
    world.set("BANTIN_MAIL__URL", &server.url());
    fault(&world, &["554 5.7.1 Not you", "let the mail server accept this machine"]);
    world.set("BANTIN_MAIL__URL", "smpt://mail.songhau.vn");
    fault(&world, &["environment BANTIN_MAIL__URL", "smtp://localhost:25"]);
    world.set("BANTIN_MAIL__URL", "smtp://an:geheim@mail.songhau.vn?tls=none");
    fault(&world, &["smtps://"]);
    let server = Postbox::open(Manners::default());
    world.set("BANTIN_MAIL__URL", &server.url());
    assert_eq!(check(&world, "fault"), (Some(0), String::new()));
    assert_eq!(server.count(), 0, "a check mails nobody");
}

#[test]
fn a_sender_of_an_example_domain() {
    let mut world = newsroom();
    world.set("BANTIN_MAIL__FROM", "bantin@songhau.example");
    doubt(&world, &["mail.from is not set to an address of yours"]);
    world.set("BANTIN_MAIL__FROM", "bantin@khac.vn");
    doubt(&world, &["mail.from is at khac.vn", "tin.songhau.vn"]);
    world.set("BANTIN_MAIL__FROM", "toà soạn");
    fault(&world, &["environment BANTIN_MAIL__FROM", "ten@example.vn"]);
}

#[test]
fn a_category_that_does_not_exist() {
    let world = newsroom();
    world.write("feeds/the-thao.toml", "[feed]\ncategory = \"the-thao\"\n");
    world.write(
        "feeds/sang.toml",
        "[digest]\nschedule = \"30 6 * * *\"\nfeeds = [\"kinh-te\", \"kinh-tee\"]\n",
    );
    doubt(
        &world,
        &["feeds/the-thao.toml", "`the-thao`", "bantin category list", "`kinh-tee`, which is not there"],
    );
}

#[test]
fn addresses_that_lead_nowhere_or_astray() {
    let world = newsroom();
    world.import(&[
        article("2", "Tin hai", "Xã hội"),
        article("3", "Tin ba", "Thể thao"),
        article("4", "Tin bốn", "Thế giới"),
    ]);
    world.done(&["category", "rename", "xa-hoi", "--slug", "doi-song"]);
    world.write(
        "feeds/sang.toml",
        "[digest]\nschedule = \"30 6 * * *\"\nfeeds = [\"xa-hoi\", \"the-thao\"]\n",
    );
    world.write(
        "feeds/kinh-te.toml",
        "[feed]\ncategory = \"kinh-te\"\naliases = [\"the-gioi\", \"doi-song\", \"xa-hoi\", \"/subscribe/x\", \"/rss/kt.rss\"]\n",
    );
    world.write("feeds/mat.toml", "[feed]\ncategory = \"mat\"\naliases = [\"mat-tich\"]\n");
    world.write("feeds/xh.toml", "[feed]\ncategory = \"xa-hoi\"\naliases = [\"xhoi\"]\n");
    world.write("feeds/hai.toml", "[feed]\nunion = [\"doi-song\", \"lac\", \"tag:lua\"]\n");
    world.write("feeds/the-thao.toml", "[feed]\nretired = true\n");
    doubt(
        &world,
        &[
            "`the-gioi` does nothing: the feed “Thế giới”",
            "`doi-song` hides that the category “Xã hội” has or had this slug",
            "`xa-hoi` hides that the category “Xã hội” has or had this slug",
            "`/subscribe/x` is never asked for",
            "`mat-tich` leads nowhere",
            "feeds/xh.toml: the category `xa-hoi` is called `doi-song` now",
            "feeds/hai.toml: `lac` names no category",
            "`the-thao`, which is retired",
        ],
    );
    let told = check(&world, "doubt").1;
    for sound in ["/rss/kt.rss", "xhoi", "tag:lua", "subscriptions by mail"] {
        assert!(!told.contains(sound), "`{sound}` is in\n{told}");
    }
}

#[test]
fn a_retired_feed_that_readers_still_have_by_mail() {
    let mut world = newsroom();
    let wish = ["subscriber", "add", "ban.doc@songhau.example", "--feed", "kinh-te", "--consent", "giấy"];
    world.set("BANTIN_MAIL__URL", "outbox:var/outbox");
    world.done(&wish);
    world.write("feeds/kinh-te.toml", "[feed]\nretired = true\n");
    doubt(&world, &["`kinh-te` is retired, and 1 subscriptions by mail"]);
}

#[test]
fn a_variable_that_is_wrong_or_misspelt() {
    let mut world = newsroom();
    world.set("BANTIN_SERVER__LISTEN", "8080");
    fault(&world, &["environment BANTIN_SERVER__LISTEN", "127.0.0.1:8080"]);
    world.unset("BANTIN_SERVER__LISTEN");
    world.set("BANTIN_SERVER__LISEN", "127.0.0.1:8081");
    fault(&world, &["environment BANTIN_SERVER__LISEN", "did you mean `server.listen`?"]);
    world.unset("BANTIN_SERVER__LISEN");
    world.set("BANTIN_SERVER_LISTEN", "127.0.0.1:8081");
    fault(&world, &["environment BANTIN_SERVER_LISTEN", "BANTIN_SERVER__LISTEN"]);
}

#[test]
fn a_configuration_that_was_asked_for_and_is_not_there() {
    let world = newsroom();
    let output = world.run(&["check", "--config", "khong-co.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("khong-co.toml"));
}

#[test]
fn the_files_that_we_give_to_newsrooms_load_without_fault() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut world = World::new();
    for name in [
        "SERVER__LISTEN",
        "PUBLICATION__BASE_URL",
        "PUBLICATION__TITLE",
        "PUBLICATION__CONTACT",
        "MAIL__FROM",
    ] {
        world.unset(&format!("BANTIN_{name}"));
    }
    world.set("BANTIN_FEEDS__DIR", ours.join("feeds").to_str().unwrap());
    world.set("BANTIN_TEMPLATES__DIR", ours.join("templates").to_str().unwrap());
    let example = ours.join("deploy/newsroom.example.toml");
    world.done(&["migrate", "--config", example.to_str().unwrap()]);
    let told = world.done(&["check", "--offline", "--config", example.to_str().unwrap()]);
    assert!(!told.contains("FAULT"), "{told}");
    for part in ["readers use https://tin.songhau.example", "digest `hang-ngay`", "sample data"] {
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
}

#[test]
fn a_hub_that_nobody_reaches_or_that_reaches_too_far() {
    let mut world = newsroom();
    world.set("BANTIN_PUBLICATION__BASE_URL", "https://192.168.1.10");
    doubt(&world, &["publication.base_url https://192.168.1.10/ leads nowhere from outside", "hub.enabled"]);
    world.set("BANTIN_HUB__ENABLED", "false");
    assert!(!check(&world, "doubt").1.contains("leads nowhere"));
    world.set("BANTIN_HUB__ALLOW_PRIVATE_CALLBACKS", "true");
    doubt(&world, &["hub.allow_private_callbacks is true", "set it to false"]);
}

#[test]
fn what_goes_out_in_the_clear() {
    let mut world = newsroom();
    world.set("BANTIN_HUB__EXTERNAL", "http://hub.example.com/, https://hub.example.org/");
    world.set("BANTIN_WEBHOOKS__URLS", "http://cms.example.com/hook,http://10.0.0.2/hook");
    fault(&world, &["webhooks.secret", "openssl rand"]);
    world.set("BANTIN_WEBHOOKS__SECRET", "whsec_MzIgYnl0ZXMgdGhhdCBvbmx5IHR3byBzaWRlcyBrbm93");
    doubt(&world, &["hub.external: http://hub.example.com/", "webhooks.urls: http://cms.example.com/hook"]);
    let (_, doubts) = check(&world, "doubt");
    assert!(!doubts.contains("hub.example.org") && !doubts.contains("10.0.0.2"), "{doubts}");
}
