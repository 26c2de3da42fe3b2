//! What the hub owes to callbacks, by the rows H1 to H15 of reference/feeds.md §3.6 (WebSub). Which
//! forms its door takes is told beside that door.

use crate::callbacks::{Callbacks, Reply, Request, signature, targets};
use crate::served::{AT_ONCE, FORMATS, article, feed, with};
use crate::world::World;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A newsroom with news in two sections, whose hub pushes to this machine.
pub fn newsroom() -> World {
    let mut world = quiet_newsroom();
    world.serve();
    world
}

/// The same before it runs.
pub fn quiet_newsroom() -> World {
    let mut world = World::new();
    with_news(&mut world);
    world
}

/// Opens the hub of a newsroom and gives it its first articles.
pub fn with_news(world: &mut World) {
    world.open_hub();
    world.import(&[article("a", "Giá lúa", "Kinh tế"), article("bb", "Đêm đờn ca", "Văn hóa")]);
}

/// Publishes an article of the economy section.
pub fn publish(world: &World, title: &str) {
    world.import(&[article(title, title, "Kinh tế")]);
}

/// Waits for the push that tells an article, and gives it.
#[track_caller]
pub fn push_of(world: &World, callbacks: &Callbacks, path: &str, title: &str) -> Request {
    let told = || callbacks.pushed(path).into_iter().rfind(|push| tells(push, title));
    world.wait_for(&format!("`{title}` is pushed to {path}"), |_| told().is_some());
    told().unwrap()
}

/// Whether a body tells a title.
pub fn tells(push: &Request, title: &str) -> bool {
    String::from_utf8_lossy(&push.body).contains(title)
}

#[test]
fn h01_what_is_encoded_without_need_is_decoded_and_what_is_unknown_is_ignored() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let escaped: String = callbacks.url("/lạ~-._?x=%41").bytes().map(|byte| format!("%{byte:02X}")).collect();
    let topic = world.topic("kinh-te.json").replace('-', "%2D").replace('k', "%6b");
    let body = format!(
        "hub%2Ecallback={escaped}&hub.mode=%73ubscribe&hub.topic={topic}&hub.verify=async&hub.toan=1\
         &hub.secret={}&la=",
        "%C3%AA".repeat(99)
    );
    let kind = [("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")];
    assert_eq!(world.request("POST", "/websub", &kind, body.as_bytes()).status, 202);
    world.wait_for_verifications();
    publish(&world, "Cảng mới");
    let push = push_of(&world, &callbacks, "/l%E1%BA%A1~-._", "Cảng mới");
    assert_eq!(push.target, "/l%E1%BA%A1~-._?x=%41");
    let expected = signature("sha256", &"ê".repeat(99), &push.body);
    assert_eq!(push.header("x-hub-signature"), Some(expected.as_str()), "198 bytes are a secret");
}

#[test]
fn h02_every_wish_gets_the_same_answer_before_anything_is_looked_at() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    callbacks.when_asked("/cham", &[Reply::Slow(Duration::from_secs(2))]);
    callbacks.when_asked("/khong", &[Reply::Status(404)]);
    let dead = format!("http://{}/", crate::callbacks::nobody());
    let wishes = [
        ("subscribe", "kinh-te.rss", callbacks.url("/cham")),
        ("subscribe", "kinh-te.rss", callbacks.url("/khong")),
        ("subscribe", "kinh-te.rss", dead),
        ("subscribe", "kinh-te.rss", "http://khong-co.invalid/".to_owned()),
        ("subscribe", "khong-co.rss", callbacks.url("/a")),
        ("subscribe", "/my/AAAA.rss", callbacks.url("/a")),
        ("unsubscribe", "kinh-te.rss", callbacks.url("/chua-tung")),
        ("unsubscribe", "khong-co.rss", callbacks.url("/chua-tung")),
    ];
    let mut answers = BTreeSet::new();
    for (mode, topic, callback) in &wishes {
        let started = Instant::now();
        let answer = world.ask_hub(mode, topic, callback, &[]);
        assert!(started.elapsed() < Duration::from_secs(1), "{mode} {topic} {callback}");
        let headers: Vec<_> = answer.headers.into_iter().filter(|(name, _)| name != "date").collect();
        answers.insert((answer.status, headers, answer.body));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().unwrap().0, 202);
}

#[test]
fn h03_a_refusal_is_a_line_of_text_and_reaches_no_callback() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let (topic, callback) = (world.topic("kinh-te.rss"), callbacks.url("/a"));
    let secret = "x".repeat(200);
    for (fields, named) in [
        (vec![("hub.mode", "subscribe"), ("hub.topic", &topic)], "hub.callback"),
        (vec![("hub.mode", "subscribe"), ("hub.callback", &callback)], "hub.topic"),
        (vec![("hub.topic", &topic), ("hub.callback", &callback)], "hub.mode"),
        (
            vec![
                ("hub.mode", "subscribe"),
                ("hub.topic", &topic),
                ("hub.callback", &callback),
                ("hub.secret", &secret),
            ],
            "hub.secret",
        ),
        (
            vec![
                ("hub.mode", "subscribe"),
                ("hub.topic", "https://bao.example/feeds/kinh-te.rss"),
                ("hub.callback", &callback),
            ],
            "hub.topic",
        ),
    ] {
        let answer = world.post("/websub", &fields);
        assert_eq!(answer.status, 400, "{fields:?}");
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{answer:?}");
        assert!(answer.text().contains(named), "{named}: {}", answer.text());
    }
    world.wait_for_verifications();
    assert_eq!(callbacks.connections(), 0);
}

#[test]
fn h04_a_renewal_counts_once_it_is_verified_and_not_before() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let callback = callbacks.url("/a");
    let signed_with = |title: &str| {
        publish(&world, title);
        let push = push_of(&world, &callbacks, "/a", title);
        world.wait_for_pushes();
        let given = push.header("x-hub-signature").map(str::to_owned);
        ["cũ", "giả", "mới"]
            .into_iter()
            .find(|secret| given.as_deref() == Some(&signature("sha256", secret, &push.body)))
            .ok_or(given)
    };
    callbacks.when_asked(
        "/a",
        &[Reply::Fine, Reply::Status(404), Reply::Challenge(|_| "khác".to_owned()), Reply::Fine],
    );
    world.follow("kinh-te.rss", &callback, &[("hub.secret", "cũ")]);
    assert_eq!(signed_with("Tin một"), Ok("cũ"));
    // Anybody may ask in another's name; what its callback does not confirm changes nothing.
    world.follow("kinh-te.rss", &callback, &[("hub.secret", "giả")]);
    assert_eq!(signed_with("Tin hai"), Ok("cũ"));
    world.unfollow("kinh-te.rss", &callback);
    assert_eq!(signed_with("Tin ba"), Ok("cũ"));
    world.follow("kinh-te.rss", &callback, &[("hub.secret", "mới")]);
    assert_eq!(signed_with("Tin bốn"), Ok("mới"));
    world.follow("kinh-te.rss", &callback, &[]);
    assert_eq!(signed_with("Tin năm"), Err(None), "a secret is dropped as it is changed");
    assert_eq!(callbacks.pushed("/a").len(), 5, "one subscription, whatever was asked");
}

#[test]
fn h05_the_callbacks_query_is_kept_and_ours_follow() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    for target in [
        "/a?hub.mode=x&hub.topic=y&hub.challenge=z&hub.lease_seconds=1",
        "/b?q=%2F%20+%E1%BA%BF&&a=1&a=2&trong",
        "/c?",
        "/d%2Fe;v=1?x",
        "/",
    ] {
        let callback = callbacks.url(target);
        world.follow("kinh-te.rss", &callback, &[]);
        let path = target.split('?').next().unwrap();
        let asked = callbacks.asked(path).pop().unwrap_or_else(|| panic!("{target} is asked")).target;
        let ours = asked.strip_prefix(target).unwrap_or_else(|| panic!("{asked} begins with {target}"));
        // Exactly one `&` or `?` before the first of ours.
        let glue = if !target.contains('?') {
            "?"
        } else if target.ends_with('?') {
            ""
        } else {
            "&"
        };
        assert!(ours.starts_with(&format!("{glue}hub.mode=subscribe&")), "{asked}");
        publish(&world, &format!("Tin cho {path}"));
        assert_eq!(push_of(&world, &callbacks, path, &format!("Tin cho {path}")).target, target);
    }
    let given = callbacks.asked("/a")[0].query();
    let names: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["hub.mode", "hub.topic", "hub.challenge", "hub.lease_seconds"]);
    assert_eq!(names[4..].iter().collect::<BTreeSet<_>>(), names[..4].iter().collect());
}

#[test]
fn h06_a_verification_says_what_it_is_about_and_asks_a_new_question() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let callback = callbacks.url("/a");
    let mut challenges = BTreeSet::new();
    for (round, mode) in ["subscribe", "subscribe", "unsubscribe", "subscribe"].into_iter().enumerate() {
        let started = Instant::now();
        assert_eq!(world.ask_hub(mode, "kinh-te.atom", &callback, &[]).status, 202);
        world.wait_for("the callback is asked", |_| callbacks.asked("/a").len() > round);
        let asked = callbacks.asked("/a").pop().unwrap();
        assert!(asked.at - started < AT_ONCE, "as soon as possible");
        assert_eq!(asked.parameter("hub.mode").as_deref(), Some(mode));
        assert_eq!(asked.parameter("hub.topic"), Some(world.topic("kinh-te.atom")));
        if mode == "subscribe" {
            assert_eq!(asked.parameter("hub.lease_seconds").as_deref(), Some("864000"));
        }
        let challenge = asked.parameter("hub.challenge").unwrap();
        assert!(challenge.len() >= 22, "128 bits of chance: {challenge}");
        challenges.insert(challenge);
        world.wait_for_verifications();
    }
    assert_eq!(challenges.len(), 4, "{challenges:?}");
    assert_eq!(callbacks.requests().len(), 4, "nothing is sent before it is confirmed, nor with it");
}

#[test]
fn h07_only_2xx_with_the_challenge_confirms() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let other = Callbacks::open();
    let confirming = [("/200", Reply::Fine), ("/201", Reply::Status(201)), ("/299", Reply::Status(299))];
    let refusing = [
        ("/204", Reply::Status(204)),
        ("/300", Reply::Status(300)),
        ("/301", Reply::To(301, other.url("/"))),
        ("/302", Reply::To(302, other.url("/"))),
        ("/303", Reply::To(303, other.url("/"))),
        ("/304", Reply::Status(304)),
        ("/307", Reply::To(307, other.url("/"))),
        ("/308", Reply::To(308, other.url("/"))),
        ("/400", Reply::Status(400)),
        ("/404", Reply::Status(404)),
        ("/410", Reply::Status(410)),
        ("/500", Reply::Status(500)),
        ("/503", Reply::Status(503)),
        ("/trong", Reply::Challenge(|_| String::new())),
        ("/khac", Reply::Challenge(|_| "ok".to_owned())),
        ("/dau", Reply::Challenge(|challenge| challenge[..challenge.len() - 1].to_owned())),
        ("/them", Reply::Challenge(|challenge| format!("{challenge}x"))),
        ("/nhai", Reply::Challenge(|challenge| format!("{challenge}{challenge}"))),
        ("/hoa", Reply::Challenge(|challenge| format!("<p>{challenge}</p>"))),
    ];
    for (path, reply) in confirming.iter().chain(&refusing) {
        callbacks.when_asked(path, std::slice::from_ref(reply));
        assert_eq!(world.ask_hub("subscribe", "kinh-te.json", &callbacks.url(path), &[]).status, 202);
    }
    world.wait_for("each was asked", |_| {
        confirming.iter().chain(&refusing).all(|(path, _)| !callbacks.asked(path).is_empty())
    });
    // The last answers may still be on their way to the store.
    world.wait_for("those who confirmed are subscribed", |world| {
        world.number("SELECT count(*) FROM callbacks") >= 3
    });
    publish(&world, "Cảng mới");
    for (path, _) in &confirming {
        push_of(&world, &callbacks, path, "Cảng mới");
    }
    world.wait_for_pushes();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(callbacks.count_pushed(), confirming.len());
    assert_eq!(other.connections(), 0, "a redirect is a failure and is not followed");
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), 3);
}

#[test]
fn h08_who_asks_for_what_there_is_not_is_told_so() {
    let mut world = quiet_newsroom();
    world.write("feeds/cu.toml", "[feed]\nretired = true\n");
    world.serve();
    let callbacks = Callbacks::open();
    for (path, topic) in [
        ("/a?x=1", "khong-co.rss"),
        ("/b", "cu.rss"),
        ("/c", "kinh-te,khong-co.atom"),
        ("/d", "/my/AAAA.json"),
        ("/e", "search.rss"),
    ] {
        world.follow(topic, &callbacks.url(path), &[("hub.secret", "s")]);
        let requests = callbacks.asked(path.split('?').next().unwrap());
        assert_eq!(requests.len(), 1, "{topic}: a denial alone");
        let denial = &requests[0];
        assert!(denial.target.starts_with(path), "{}", denial.target);
        assert_eq!(denial.parameter("hub.mode").as_deref(), Some("denied"), "{topic}");
        assert_eq!(denial.parameter("hub.topic"), Some(world.topic(topic)));
        assert_eq!(denial.parameter("hub.challenge"), None);
    }
    assert_eq!(world.number("SELECT count(*) FROM callbacks"), 0);
}

#[test]
fn h08_who_follows_a_feed_that_ends_is_told_so() {
    let mut world = newsroom();
    let callbacks = Callbacks::open();
    world.follow("kinh-te.rss", &callbacks.url("/a"), &[]);
    world.follow("van-hoa.rss", &callbacks.url("/b"), &[]);
    world.stop();
    world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\nretired = true\n");
    world.serve();
    // Some event of a feed that goes on.
    publish(&world, "Cảng mới");
    world.import(&[article("c", "Chợ nổi", "Văn hóa")]);
    push_of(&world, &callbacks, "/b", "Chợ nổi");
    world.wait_for("its callback hears of the end", |_| callbacks.asked("/a").len() == 2);
    let denial = callbacks.asked("/a").pop().unwrap();
    assert_eq!(denial.parameter("hub.mode").as_deref(), Some("denied"));
    assert_eq!(denial.parameter("hub.topic"), Some(world.topic("kinh-te.rss")));
    assert_eq!(callbacks.pushed("/a").len(), 0);
    assert_eq!(callbacks.asked("/b").len(), 1, "nobody else is told");
}

#[test]
fn h09_every_lease_ends_and_a_wish_for_another_length_is_granted_within_bounds() {
    let mut world = quiet_newsroom();
    world.set("BANTIN_HUB__LEASE_MIN_SECONDS", "2");
    world.serve();
    let callbacks = Callbacks::open();
    for (path, wish, granted) in [
        ("/ba-ngay", Some("259200"), "259200"),
        ("/khong-hoi", None, "864000"),
        ("/mot-giay", Some("1"), "2"),
        ("/khong", Some("0"), "2"),
        ("/mai-mai", Some("99999999999"), "2592000"),
    ] {
        let more: Vec<_> = wish.map(|wish| ("hub.lease_seconds", wish)).into_iter().collect();
        world.follow("kinh-te.rss", &callbacks.url(path), &more);
        let given = callbacks.asked(path)[0].parameter("hub.lease_seconds");
        assert_eq!(given.as_deref(), Some(granted), "{wish:?}");
    }
    std::thread::sleep(Duration::from_millis(2_200));
    publish(&world, "Cảng mới");
    for path in ["/ba-ngay", "/khong-hoi", "/mai-mai"] {
        push_of(&world, &callbacks, path, "Cảng mới");
    }
    world.wait_for_pushes();
    assert_eq!(callbacks.count_pushed(), 3, "a lease that ended gets nothing");
    // A lease of who leaves means nothing.
    let answer = world.ask_hub(
        "unsubscribe",
        "kinh-te.rss",
        &callbacks.url("/ba-ngay"),
        &[("hub.lease_seconds", "9")],
    );
    assert_eq!(answer.status, 202);
    world.wait_for_verifications();
    publish(&world, "Chợ nổi");
    push_of(&world, &callbacks, "/khong-hoi", "Chợ nổi");
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/ba-ngay").len(), 1);
    // A renewal before the end lengthens the lease; one after it begins another.
    let renew = || world.follow("kinh-te.rss", &callbacks.url("/mot-giay"), &[("hub.lease_seconds", "3")]);
    renew();
    std::thread::sleep(Duration::from_millis(1_800));
    renew();
    std::thread::sleep(Duration::from_millis(1_800));
    publish(&world, "Nước mặn");
    push_of(&world, &callbacks, "/mot-giay", "Nước mặn");
}

#[test]
fn h10_the_whole_document_is_pushed_as_it_is_got() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    for format in FORMATS {
        world.follow(&format!("kinh-te.{format}"), &callbacks.url(&format!("/{format}")), &[]);
    }
    publish(&world, "Cảng mới & “bến”");
    for format in FORMATS {
        let push = push_of(&world, &callbacks, &format!("/{format}"), "Cảng mới");
        let got = feed(&world, "kinh-te", format);
        assert_eq!(push.method, "POST");
        assert!(push.body == got.body, "{format}: byte for byte");
        assert_eq!(push.header("content-type"), got.header("content-type"), "{format}");
        assert_eq!(push.header("content-length"), Some(got.body.len().to_string().as_str()));
        assert_eq!((push.header("content-encoding"), push.header("transfer-encoding")), (None, None));
        assert_eq!(push.header("host"), Some(format!("127.0.0.1:{}", callbacks.port()).as_str()));
    }
}

#[test]
fn h10_a_feed_may_push_what_is_new_alone() {
    let mut world = quiet_newsroom();
    world.write("feeds/kinh-te.toml", "[feed]\ncategory = \"kinh-te\"\npush = \"new\"\n");
    world.serve();
    let callbacks = Callbacks::open();
    for format in FORMATS {
        let more = [("hub.secret", "khóa")];
        world.follow(&format!("kinh-te.{format}"), &callbacks.url(&format!("/{format}")), &more);
    }
    for title in ["Cảng mới", "Chợ nổi"] {
        publish(&world, title);
        for format in FORMATS {
            let push = push_of(&world, &callbacks, &format!("/{format}"), title);
            let expected = signature("sha256", "khóa", &push.body);
            assert_eq!(push.header("x-hub-signature"), Some(expected.as_str()), "{format}");
            assert_eq!(push.header("content-type"), feed(&world, "kinh-te", format).header("content-type"));
            // The first push tells everything: none was told before. JSON Feed has no such licence.
            let is_cut = title == "Chợ nổi" && format != "json";
            assert_eq!(!tells(&push, "Giá lúa"), is_cut, "{format} {title}");
            assert_eq!(!tells(&push, "Cảng mới"), is_cut, "{format} {title}");
        }
        world.wait_for_pushes();
    }
    let whole: BTreeSet<String> = crate::served::titles(&world, "kinh-te").into_iter().collect();
    assert_eq!(whole.len(), 3, "GET gives all: {whole:?}");
}

#[test]
fn h11_each_push_says_of_which_topic_and_hub_it_is() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    for format in FORMATS {
        world.follow(&format!("kinh-te.{format}"), &callbacks.url(&format!("/{format}")), &[]);
    }
    publish(&world, "Cảng mới");
    for format in FORMATS {
        let links = push_of(&world, &callbacks, &format!("/{format}"), "Cảng mới").links();
        assert_eq!(targets(&links, "self"), [world.topic(&format!("kinh-te.{format}"))]);
        assert_eq!(targets(&links, "hub"), [world.url("/websub")]);
    }
}

#[test]
fn h12_who_gave_a_secret_gets_signatures_by_the_method_of_the_newsroom() {
    let mut world = quiet_newsroom();
    let callbacks = Callbacks::open();
    let secret = "bí mật & \u{1}=%+";
    for method in ["sha256", "sha1", "sha384", "sha512"] {
        if method != "sha256" {
            world.set("BANTIN_HUB__SIGNATURE", method);
        }
        world.serve();
        if method == "sha256" {
            world.follow("kinh-te.atom", &callbacks.url("/a"), &[("hub.secret", secret)]);
            world.follow("kinh-te.atom", &callbacks.url("/b"), &[("hub.secret", "khác")]);
            world.follow("kinh-te.atom", &callbacks.url("/c"), &[]);
        }
        let title = format!("Tin {method}");
        publish(&world, &title);
        let signed = |path| {
            let push = push_of(&world, &callbacks, path, &title);
            (push.header("x-hub-signature").map(str::to_owned), push.body)
        };
        let (given, body) = signed("/a");
        assert_eq!(given, Some(signature(method, secret, &body)));
        let (given, body) = signed("/b");
        assert_eq!(given, Some(signature(method, "khác", &body)), "each by its own secret");
        assert_eq!(signed("/c").0, None);
        world.wait_for_pushes();
        world.stop();
    }
}

#[test]
fn h13_only_2xx_takes_a_push_and_410_ends_all() {
    let (world, callbacks, other) = (newsroom(), Callbacks::open(), Callbacks::open());
    let taking = [
        ("/200", Reply::Fine),
        ("/202", Reply::Status(202)),
        ("/204", Reply::Status(204)),
        ("/299", Reply::Challenge(|_| "<html>Không!</html>".to_owned())),
    ];
    let failing = [
        ("/301", Reply::To(301, other.url("/"))),
        ("/307", Reply::To(307, other.url("/"))),
        ("/308", Reply::To(308, other.url("/"))),
        ("/304", Reply::Status(304)),
        ("/400", Reply::Status(400)),
        ("/404", Reply::Status(404)),
        ("/500", Reply::Status(500)),
    ];
    for (path, reply) in taking.iter().chain(&failing) {
        callbacks.when_pushed(path, &[reply.clone(), Reply::Fine]);
        world.follow("kinh-te.json", &callbacks.url(path), &[]);
    }
    callbacks.when_pushed("/410", &[Reply::Status(410), Reply::Fine]);
    world.follow("kinh-te.json", &callbacks.url("/410"), &[]);
    publish(&world, "Cảng mới");
    world.wait_for("who failed is tried again", |_| {
        failing.iter().all(|(path, _)| callbacks.pushed(path).len() == 2)
    });
    world.wait_for_pushes();
    for (path, _) in &failing {
        let tries = callbacks.pushed(path);
        assert!(tries[1].at - tries[0].at > Duration::from_secs(1), "{path} has some peace");
        assert!(tries[0].body == tries[1].body, "{path}");
    }
    for (path, _) in &taking {
        assert_eq!(callbacks.pushed(path).len(), 1, "{path}");
    }
    assert_eq!(other.connections(), 0, "a redirect is a failure and is not followed");
    publish(&world, "Chợ nổi");
    for (path, _) in taking.iter().chain(&failing) {
        push_of(&world, &callbacks, path, "Chợ nổi");
    }
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/410").len(), 1, "410 ended it");
    world.follow("kinh-te.json", &callbacks.url("/410"), &[]);
    publish(&world, "Nước mặn");
    push_of(&world, &callbacks, "/410", "Nước mặn");
}

#[test]
fn h14_a_push_that_is_given_up_leaves_the_subscription() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    callbacks.when_pushed("/a", &[Reply::Status(500), Reply::Status(500), Reply::Fine]);
    world.follow("kinh-te.json", &callbacks.url("/a"), &[]);
    publish(&world, "Cảng mới");
    world.wait_for("it is tried", |_| callbacks.pushed("/a").len() == 1);
    world.wait_for("its failure is noted", |world| {
        world.number("SELECT count(*) FROM callbacks WHERE attempts > 0 AND claimed_by IS NULL") == 1
    });
    // As if it had failed for longer than the hub's patience, and for the last time.
    world.change("UPDATE callbacks SET failing_since = 1, attempts = 1000, due_at = 1");
    world.wait_for("the last try fails", |_| callbacks.pushed("/a").len() == 2);
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/a").len(), 2, "that notification is dropped");
    publish(&world, "Chợ nổi");
    let push = push_of(&world, &callbacks, "/a", "Chợ nổi");
    assert!(tells(&push, "Cảng mới"), "and the next brings all");
}

#[test]
fn h15_leaving_and_renewing_are_verified_and_hold() {
    let (world, callbacks) = (newsroom(), Callbacks::open());
    let callback = callbacks.url("/a");
    for topic in ["kinh-te.rss", "kinh-te.json", "van-hoa.json"] {
        world.follow(topic, &callback, &[]);
    }
    for _ in 0..3 {
        world.follow("kinh-te.json", &callback, &[]);
    }
    publish(&world, "Cảng mới");
    world.wait_for("both topics are pushed", |_| callbacks.pushed("/a").len() >= 2);
    world.wait_for_pushes();
    assert_eq!(callbacks.pushed("/a").len(), 2, "a renewal is no second subscription");
    world.unfollow("kinh-te.json", &callback);
    let asked = callbacks.asked("/a").pop().unwrap();
    assert_eq!(asked.parameter("hub.mode").as_deref(), Some("unsubscribe"));
    assert_eq!(asked.parameter("hub.topic"), Some(world.topic("kinh-te.json")));
    publish(&world, "Chợ nổi");
    world.wait_for("the other topic is pushed", |_| callbacks.pushed("/a").len() >= 3);
    world.import(&[with(article("bb", "Đêm đờn ca, đêm hai", "Văn hóa"), json!({}))]);
    push_of(&world, &callbacks, "/a", "đêm hai");
    world.wait_for_pushes();
    let pushed = callbacks.pushed("/a");
    let topics: Vec<String> = pushed.iter().flat_map(|push| targets(&push.links(), "self")).collect();
    assert_eq!(
        topics[2..],
        [world.topic("kinh-te.rss"), world.topic("van-hoa.json")],
        "who left one topic keeps the others"
    );
    // To leave what one does not follow is no error, and to come back is a wish like the first.
    world.unfollow("kinh-te.json", &callback);
    world.follow("kinh-te.json", &callback, &[]);
    publish(&world, "Nước mặn");
    world.wait_for("it is back", |_| callbacks.pushed("/a").len() == 6);
}
