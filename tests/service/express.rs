//! The express lane: nobody can tell by which lane an answer came, and nobody gets one from it
//! whom another program on the way may have understood differently. A feed that does not lie ready
//! costs nobody his place in it.

use crate::served::article;
use crate::world::World;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A field that changes no answer and that the express lane does not take.
const OTHER_LANE: &str = "TE: trailers\r\n";

fn newsroom() -> World {
    let world = World::new();
    let text = |n: usize| "Toàn văn. ".repeat(n * 40);
    let articles = (1..9).map(|n| {
        let mut article = article(&"x".repeat(n), &format!("Tin {n}"), "Kinh tế");
        article["content_html"] = format!("<p>{}</p>", text(n)).into();
        article
    });
    world.import(&articles.collect::<Vec<_>>());
    world
}

/// A served newsroom whose feeds lie ready.
fn served() -> World {
    let mut world = newsroom();
    world.serve();
    for format in ["rss", "atom", "json"] {
        assert_eq!(world.get(&format!("/feeds/kinh-te.{format}")).status, 200);
    }
    world
}

/// What comes until the program closes or has nothing more to say.
struct Talk {
    stream: TcpStream,
    read: Vec<u8>,
}

/// A head as it came, and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Told {
    /// The head without the line that changes by itself.
    fn timeless(&self) -> String {
        self.head.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Talk {
    fn with(world: &World) -> Self {
        let address = world.url("").replace("http://", "");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    fn say(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).unwrap();
    }

    /// More bytes; false at the end.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 65_536];
        let length = self.stream.read(&mut bytes).unwrap_or(0);
        self.read.extend_from_slice(&bytes[..length]);
        length > 0
    }

    /// The next answer; `None` where the program closes instead.
    fn next(&mut self, is_head: bool) -> Option<Told> {
        let end = loop {
            match self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if self.more() => {}
                None => return None,
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut told = Told { status, head, body: Vec::new() };
        let length = told.field("content-length").map_or(0, |length| length.parse().unwrap());
        if !is_head && status != 304 && status >= 200 {
            while self.read.len() < length {
                assert!(self.more(), "the body ends early: {told:?}");
            }
            told.body = self.read.drain(..length).collect();
        }
        Some(told)
    }

    /// One request on a connection of its own.
    fn ask(world: &World, text: &str) -> Told {
        let mut talk = Self::with(world);
        talk.say(text);
        talk.next(text.starts_with("HEAD")).unwrap_or_else(|| panic!("no answer to {text}"))
    }

    /// Whether the program closes without another word.
    fn ends(&mut self) -> bool {
        !self.more() && self.read.is_empty()
    }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: bao.example\r\n{fields}\r\n")
}

/// How many connections left the lane; the question itself comes by one that leaves it.
fn handovers(world: &World) -> u64 {
    counted(world, "handovers")
}

/// How many requests the routes answered in the lane.
fn house_asks(world: &World) -> u64 {
    counted(world, "house_asks")
}

fn counted(world: &World, what: &str) -> u64 {
    let metrics = world.get("/metrics").text();
    let name = format!("bantin_http_{what}_total ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// Nobody reads from the store until this is dropped: the locks of SQLite's readers in the
/// WAL-index (bytes 123 to 127, wal.c) are held by another process. They are waited for some 10 s.
struct Stalled {
    process: Child,
    until: Option<ChildStdin>,
}

impl Stalled {
    fn store_of(world: &World) -> Self {
        let script = "import fcntl, sys\nfile = open(sys.argv[1], 'r+b')\n\
            fcntl.lockf(file, fcntl.LOCK_EX, 5, 123)\nprint('held', flush=True)\nsys.stdin.read()";
        let mut command = Command::new("python3");
        command.arg("-c").arg(script).arg(world.path("var/bantin.db-shm"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        process.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
        let until = process.stdin.take();
        Self { process, until }
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        drop(self.until.take());
        self.process.wait().unwrap();
    }
}

#[test]
fn both_lanes_give_the_same_bytes() {
    let mut world = newsroom();
    world.serve();
    let mut asked = 0;
    let path = "/feeds/kinh-te.rss";
    let whole = Talk::ask(&world, &get(path, "Accept-Encoding: gzip\r\n"));
    let (tag, modified) = (whole.field("etag").unwrap(), whole.field("last-modified").unwrap());
    let conditions = [
        String::new(),
        format!("If-None-Match: {tag}\r\n"),
        format!("if-none-match: W/{tag}\r\n"),
        "If-None-Match: \"other\"\r\n".to_owned(),
        format!("If-None-Match: \"a\", W/\"b,c\", {tag}\r\n"),
        format!("If-None-Match: \"a\"\r\nIf-None-Match: {tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        "If-None-Match:\r\n".to_owned(),
        format!("If-Modified-Since: {modified}\r\n"),
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(),
        "If-Modified-Since: yesterday\r\n".to_owned(),
        format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {modified}\r\n"),
        format!("If-None-Match: {tag}\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
    ];
    let codings =
        ["", "Accept-Encoding: identity\r\n", "Accept-Encoding: gzip\r\n", "Accept-Encoding: br, gzip\r\n"];
    let before = handovers(&world);
    for format in ["rss", "atom", "json"] {
        for coding in codings {
            for condition in &conditions {
                for method in ["GET", "HEAD"] {
                    for connection in ["", "Connection: close\r\n", "Connection: keep-alive\r\n"] {
                        let ask = |path: &str, more: &str| {
                            let fields = format!("{coding}{condition}{connection}{more}");
                            let text = get(path, &fields).replacen("GET", method, 1);
                            (Talk::ask(&world, &text), text)
                        };
                        let path = format!("/feeds/kinh-te.{format}");
                        let (here, text) = ask(&path, "");
                        for (there, _) in [ask(&path, OTHER_LANE), ask(&format!("{path}?x=1"), "")] {
                            assert_eq!(here.timeless(), there.timeless(), "{text}");
                            assert_eq!(here.body, there.body, "{text}");
                        }
                        assert!(here.field("date").is_some());
                        asked += 1;
                    }
                }
            }
        }
    }
    // The condition on two lines is the only one that the express lane leaves to hyper, with a query
    // too; the routes answer every other query, and each coding once.
    let of_one_condition = asked / u64::try_from(conditions.len()).unwrap();
    assert_eq!(handovers(&world) - before, asked + 2 * of_one_condition + 1);
    assert!(house_asks(&world) >= asked - of_one_condition);
}

#[test]
fn a_feed_that_is_made_only_now_leaves_the_connection_in_the_lane() {
    let mut world = newsroom();
    world.serve();
    let (left, asked) = (handovers(&world), house_asks(&world));
    let mut talk = Talk::with(&world);
    let mut bodies = Vec::new();
    for turn in 0..3 {
        for format in ["json", "rss", "atom"] {
            for coding in ["", "Accept-Encoding: br\r\n"] {
                let text = get(&format!("/feeds/kinh-te.{format}"), coding);
                talk.say(text.replacen("GET", "HEAD", 1));
                let head = talk.next(true).unwrap();
                assert!(talk.read.is_empty(), "HEAD has no body");
                talk.say(&text);
                let told = talk.next(false).unwrap();
                assert_eq!(told.timeless(), head.timeless(), "{text}");
                assert_eq!(told.field("content-length"), Some(&*told.body.len().to_string()));
                bodies.push((told.status, told.body));
            }
        }
        let per_turn = bodies.len() / (turn + 1);
        assert_eq!(bodies[turn * per_turn..], bodies[..per_turn]);
    }
    assert!(bodies.iter().all(|(status, body)| *status == 200 && body.len() > 200));
    // HEAD makes the document and its coding: three of each, and then everything lies ready.
    assert_eq!(house_asks(&world) - asked, 6);
    assert_eq!(handovers(&world) - left, 3, "only the questions themselves left the lane");
}

#[test]
fn requests_behind_one_that_waits_are_answered_after_it() {
    let world = served();
    let left = handovers(&world);
    let mut talk = Talk::with(&world);
    let ready = get("/feeds/kinh-te.rss", "");
    let text = [
        ready.clone(),
        get("/feeds/all.atom", ""),
        ready.clone(),
        get("/feeds/all.json", "").replacen("GET", "HEAD", 1),
        get("/feeds/all.json", ""),
        get("/feeds/khong-co.rss", ""),
        ready.clone(),
    ];
    for cut in [text.concat().len(), 40, 7] {
        for piece in text.concat().as_bytes().chunks(cut) {
            talk.say(piece);
        }
        let kinds = text.each_ref().map(|text| {
            let told = talk.next(text.starts_with("HEAD")).unwrap();
            (told.status, told.field("content-type").unwrap().to_owned(), told.body.is_empty())
        });
        let kinds: Vec<_> = kinds.iter().map(|(status, kind, none)| (*status, &kind[..20], *none)).collect();
        let (rss, atom) = ((200, "application/rss+xml;", false), (200, "application/atom+xml", false));
        let (head, json) = ((200, "application/feed+jso", true), (200, "application/feed+jso", false));
        assert_eq!(kinds, [rss, atom, rss, head, json, (404, "text/plain; charset=", false), rss]);
    }
    assert_eq!(handovers(&world) - left, 1);
    // The last one ends the connection, and only after its answer.
    talk.say(format!("{ready}{}", get("/feeds/kinh-te.json?x", "Connection: close\r\n")));
    assert_eq!(talk.next(false).unwrap().field("connection"), None);
    assert_eq!(talk.next(false).unwrap().field("connection"), Some("close"));
    assert!(talk.ends());
}

#[test]
fn whatever_is_said_of_feeds_is_said_in_the_lane_and_alike() {
    let mut world = newsroom();
    world.import(&[article("a", "Đua ghe ngo", "Thể thao"), article("b", "Giá lúa", "Nông nghiệp")]);
    world.write("feeds/the-thao.toml", "[feed]\ncategory = \"the-thao\"\nretired = true\n");
    world.write("feeds/nong-nghiep.toml", "[feed]\ncategory = \"nong-nghiep\"\naliases = [\"lua-gao\"]\n");
    world.serve();
    let mut express = Talk::with(&world);
    let mut hyper = Talk::with(&world);
    let mut statuses = std::collections::BTreeSet::new();
    let compare = |express: &mut Talk, hyper: &mut Talk, path: &str, fields: &str| {
        let texts =
            ["GET", "HEAD"].map(|method| (get(path, fields).replacen("GET", method, 1), method == "HEAD"));
        texts.map(|(text, is_head)| {
            express.say(&text);
            let here = express.next(is_head).unwrap_or_else(|| panic!("{text}"));
            hyper.say(text.replacen("\r\n", &format!("\r\n{OTHER_LANE}"), 1));
            let there = hyper.next(is_head).unwrap();
            assert!(here.field("date").is_some());
            assert_eq!((here.timeless(), here.body), (there.timeless(), there.body), "{text}");
            here.status
        })
    };
    let left = handovers(&world);
    for path in [
        "/feeds/khong-co.rss",
        "/feeds/khong-co",
        "/feeds/kinh-te.xml",
        "/feeds/",
        "/feeds/%ff.rss",
        "/feeds/Kinh-Te.rss",
        "/feeds/kinh-te",
        "/feeds/kinh-te?lang=en",
        "/feeds/kinh-te.rss?x=%41",
        "/feeds/lua-gao.rss",
        "/feeds/the-thao.atom",
        "/feeds/the-thao",
        "/feeds/search.rss",
        "/feeds/search.atom?q=gia+lua",
        "/feeds/kinh-te+nong-nghiep.json",
        "/feeds/kinh-te/archive/1.rss",
        "/feeds/kinh-te/archive/x.rss",
        "/feeds/kinh-te/nothing/here",
        "/feeds/kinh-te.rss/",
    ] {
        for fields in ["", "Accept-Encoding: gzip\r\nIf-None-Match: *\r\n", "Accept-Language: en\r\n"] {
            statuses.extend(compare(&mut express, &mut hyper, path, fields));
        }
    }
    // The store loses what it has, and feeds cannot be made.
    let break_it =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('ALTER TABLE articles RENAME TO lost')";
    let done = Command::new("python3").arg("-c").arg(break_it).arg(world.path("var/bantin.db")).status();
    assert!(done.unwrap().success());
    statuses.extend(compare(&mut express, &mut hyper, "/feeds/nong-nghiep.atom", ""));
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 301, 304, 400, 404, 410, 503]);
    assert_eq!(handovers(&world) - left, 2, "only the connection for hyper, and the question");
}

#[test]
fn who_goes_while_the_answer_is_made_costs_nothing() {
    let world = served();
    let (ready, cold) = (get("/feeds/kinh-te.rss", ""), get("/feeds/all.rss", ""));
    let expected = Talk::ask(&world, &ready);
    let left = handovers(&world);
    let stalled = Stalled::store_of(&world);
    // Some say that they go; others, whose answers nobody read, break off with a reset.
    for n in 0..60 {
        let mut talk = Talk::with(&world);
        talk.say(if n % 2 == 0 { cold.clone() } else { format!("{ready}{cold}") });
        std::thread::sleep(Duration::from_millis(10));
    }
    // Who comes to their places gets no answers of theirs.
    let mut others: Vec<Talk> = (0..60).map(|_| Talk::with(&world)).collect();
    for talk in &mut others {
        talk.say(&ready);
        assert_eq!(
            talk.next(false).unwrap().body,
            expected.body,
            "who asks for what is ready waits for nobody"
        );
        talk.say(get("/feeds/all.json", ""));
    }
    let mut waiting = Talk::with(&world);
    waiting.say(format!("{cold}{ready}"));
    waiting.stream.shutdown(Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(stalled);
    assert_eq!(waiting.next(false).unwrap().status, 200);
    assert_eq!(waiting.next(false).unwrap().body, expected.body);
    assert!(waiting.ends());
    for talk in &mut others {
        talk.say(&ready);
        let own = talk.next(false).unwrap();
        assert_eq!((own.status, own.body[0]), (200, b'{'), "that is somebody else's answer");
        assert_eq!(talk.next(false).unwrap().body, expected.body);
        assert!(talk.read.is_empty());
    }
    assert_eq!(handovers(&world) - left, 1);
}

#[test]
fn a_stop_waits_for_the_answer_that_is_made() {
    let mut world = served();
    let mut talk = Talk::with(&world);
    let mut second = Talk::with(&world);
    let stalled = Stalled::store_of(&world);
    talk.say(get("/feeds/all.rss", "") + &get("/feeds/kinh-te.rss", ""));
    second.say(get("/feeds/kinh-te.rss", "") + &get("/feeds/all.rss", "").replacen("GET", "HEAD", 1));
    assert_eq!(second.next(false).unwrap().field("connection"), None);
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            drop(stalled);
        });
        assert_eq!(world.stop(), Some(0));
    });
    assert!(begun.elapsed() >= Duration::from_millis(700) && begun.elapsed() < Duration::from_secs(6));
    for (mut talk, is_head) in [(talk, false), (second, true)] {
        let told = talk.next(is_head).unwrap();
        assert_eq!((told.status, told.field("connection")), (200, Some("close")));
        assert!(talk.ends(), "what comes behind is another connection's");
    }
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let world = served();
    let formats = ["rss", "atom", "json"];
    let mut talk = Talk::with(&world);
    let mut all = String::new();
    for n in 0..300 {
        let fields = if n % 4 == 0 { "If-None-Match: *\r\n" } else { "" };
        all.push_str(&get(&format!("/feeds/kinh-te.{}", formats[n % 3]), fields));
    }
    // Nothing is read meanwhile, so that the answers fill all buffers.
    let mut writer = talk.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(all.as_bytes()).unwrap());
    std::thread::sleep(Duration::from_millis(300));
    for n in 0..300 {
        let told = talk.next(false).unwrap();
        assert_eq!(told.status, if n % 4 == 0 { 304 } else { 200 }, "{n}");
        if told.status == 200 {
            let kind = told.field("content-type").unwrap();
            assert!(kind.contains(formats[n % 3]) || formats[n % 3] == "json" && kind.contains("feed+json"));
        }
    }
    writing.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_asked_for_again_and_again_is_sent_from_a_file_and_stays_the_same() {
    let world = served();
    let ask = get("/feeds/kinh-te.atom", "");
    let nameless = || {
        let in_var = world.path("var").display().to_string();
        world
            .open_files()
            .iter()
            .filter(|file| file.starts_with(&in_var) && file.ends_with(" (deleted)"))
            .count()
    };
    let first = Talk::ask(&world, &ask);
    assert!((8 << 10..=1 << 20).contains(&first.body.len()), "{}", first.body.len());
    assert_eq!(nameless(), 0);
    let told = |count: usize| {
        let mut talk = Talk::with(&world);
        let mut writer = talk.stream.try_clone().unwrap();
        let asks = ask.repeat(count);
        let writing = std::thread::spawn(move || writer.write_all(asks.as_bytes()).unwrap());
        // The answers fill all buffers before any is read.
        std::thread::sleep(Duration::from_millis(300));
        let told: Vec<Told> = (0..count).map(|_| talk.next(false).unwrap()).collect();
        writing.join().unwrap();
        told
    };
    for answer in told(2_000) {
        assert_eq!((answer.timeless(), answer.body == first.body), (first.timeless(), true));
    }
    assert_eq!(nameless(), 1);
    world.import(&[article("y", "Tin mới nhất", "Kinh tế")]);
    let begun = Instant::now();
    while Talk::ask(&world, &ask).body == first.body {
        assert!(begun.elapsed() < PATIENCE);
    }
    let changed = Talk::ask(&world, &ask);
    assert!(told(2_000).iter().all(|answer| answer.body == changed.body));
    assert_eq!(nameless(), 1, "the file of what is served no more is let go");
}

#[test]
fn a_connection_goes_over_in_the_middle_and_answers_on() {
    let world = served();
    let mut talk = Talk::with(&world);
    let feed = get("/feeds/kinh-te.rss", "");
    let page = get("/", "");
    let first = Talk::ask(&world, &feed);
    talk.say(format!("{feed}{page}{feed}"));
    assert_eq!(talk.next(false).unwrap().body, first.body);
    assert_eq!(talk.next(false).unwrap().field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(talk.next(false).unwrap().body, first.body);
    for _ in 0..3 {
        talk.say(&feed);
        assert_eq!(talk.next(false).unwrap().body, first.body);
        talk.say(&page);
        assert_eq!(talk.next(false).unwrap().status, 200);
    }
    // A form comes through with its body, wherever the bytes were cut.
    let form = "POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Content-Length: 9\r\n\r\naddress=x";
    let mut talk = Talk::with(&world);
    talk.say(format!("{feed}{}", &form[..form.len() - 4]));
    assert_eq!(talk.next(false).unwrap().status, 200);
    talk.say(&form[form.len() - 4..]);
    assert!((200..500).contains(&talk.next(false).unwrap().status));
}

#[test]
fn heads_come_in_any_pieces() {
    let world = served();
    let text = get("/feeds/kinh-te.atom", "Accept-Encoding: gzip\r\n");
    let whole = Talk::ask(&world, &text);
    let mut talk = Talk::with(&world);
    talk.stream.set_nodelay(true).unwrap();
    for _ in 0..3 {
        for byte in text.bytes() {
            talk.say([byte]);
            std::thread::sleep(Duration::from_micros(300));
        }
        let told = talk.next(false).unwrap();
        assert_eq!((told.timeless(), told.body), (whole.timeless(), whole.body.clone()));
    }
    // Who says that nothing more comes still gets the answer.
    talk.say(&text);
    talk.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(talk.next(false).unwrap().body, whole.body);
    assert!(talk.ends());
}

#[test]
fn a_slow_head_is_cut_and_a_quiet_connection_is_not() {
    let world = served();
    let mut slow = Talk::with(&world);
    let mut quiet = Talk::with(&world);
    let feed = get("/feeds/kinh-te.rss", "");
    quiet.say(&feed);
    assert_eq!(quiet.next(false).unwrap().status, 200);
    let begun = Instant::now();
    slow.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut bytes = feed.bytes().cycle();
    slow.say("GET /feeds/kinh-te.rss HTTP/1.1\r\nX: ");
    loop {
        // A byte now and then keeps no head alive.
        let is_sent = slow.stream.write_all(&[bytes.next().unwrap().max(b'a')]).is_ok();
        let is_open = match slow.stream.read(&mut [0; 10]) {
            Ok(0) => false,
            Ok(_) => panic!("half a head was answered"),
            Err(error) => error.kind() != std::io::ErrorKind::ConnectionReset,
        };
        if !is_sent || !is_open {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(45), "a slow head is waited for");
    }
    assert!(begun.elapsed() > Duration::from_secs(25), "{:?}", begun.elapsed());
    quiet.say(&feed);
    assert_eq!(quiet.next(false).unwrap().status, 200);
}

#[test]
fn what_another_program_may_read_differently_is_left_to_hyper() {
    let world = served();
    let hidden = get("/feeds/kinh-te.rss", "X-Hidden: 1\r\n");
    let path = "/feeds/kinh-te.rss";
    for fields in [
        "Content-Length: 0\r\n".to_owned(),
        format!("Content-Length: {}\r\n", hidden.len()),
        format!("Content-Length: 0\r\nContent-Length: {}\r\n", hidden.len()),
        "Transfer-Encoding: chunked\r\n".to_owned(),
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "X: y\r\n Content-Length: 5\r\n".to_owned(),
        "Host: other.example\r\n".to_owned(),
        "X: y\n".to_owned(),
        "Expect: 100-continue\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned(),
        format!("X: {}\r\n", "y".repeat(20_000)),
    ] {
        let before = handovers(&world);
        let mut talk = Talk::with(&world);
        // The program may refuse the first and be gone before the second.
        let written = talk.stream.write_all(format!("{}{hidden}", get(path, &fields)).as_bytes());
        drop(written.and_then(|()| talk.stream.shutdown(Shutdown::Write)));
        while talk.more() {}
        // One for the connection of the question, one for this one.
        let fields = &fields[..fields.len().min(60)];
        assert_eq!(handovers(&world) - before, 2, "{fields}");
        if fields.contains(&format!("Content-Length: {}", hidden.len())) {
            let answers = String::from_utf8_lossy(&talk.read).matches("HTTP/1.1 ").count();
            assert!(answers <= 1, "{fields}: what lies in a body was answered");
        }
    }
}

#[test]
fn a_greedy_client_waits_and_a_conditional_one_never() {
    let mut world = newsroom();
    world.set("BANTIN_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    world.set("BANTIN_LIMITS__FEED_BURST", "5");
    world.set("BANTIN_LIMITS__FEED_REFILL_SECONDS", "3600");
    world.serve();
    assert_eq!(world.get("/feeds/kinh-te.rss").status, 200);
    for (client, lane) in [("203.0.113.7", ""), ("203.0.113.8", OTHER_LANE)] {
        let from = format!("X-Forwarded-For: {client}\r\n{lane}");
        let ask = |path: &str, fields: &str| Talk::ask(&world, &get(path, &format!("{fields}{from}")));
        let mut tag = String::new();
        for n in 0..5 {
            let told = ask("/feeds/kinh-te.rss", "");
            assert_eq!(told.status, 200, "{n}");
            tag = told.field("etag").unwrap().to_owned();
        }
        for _ in 0..3 {
            let told = ask("/feeds/kinh-te.rss", "");
            assert_eq!(told.status, 429);
            let wait: u32 = told.field("retry-after").unwrap().parse().unwrap();
            assert!((3_500..=3_600).contains(&wait), "{wait}");
            assert_eq!(told.field("cache-control"), Some("no-store"));
            assert!(told.body.len() < 100 && !told.body.is_empty());
        }
        for _ in 0..20 {
            assert_eq!(ask("/feeds/kinh-te.rss", &format!("If-None-Match: {tag}\r\n")).status, 304);
        }
        // Another feed, and this feed for whoever has an older one.
        assert_eq!(ask("/feeds/kinh-te.atom", "").status, 200);
        assert_eq!(ask("/feeds/kinh-te.rss", "If-None-Match: \"old\"\r\n").status, 200);
        assert_eq!(
            Talk::ask(&world, &get("/feeds/kinh-te.rss", &from).replacen("GET", "HEAD", 1)).status,
            200
        );
    }
    let lanes = ["", OTHER_LANE].map(|lane| {
        let fields = format!("X-Forwarded-For: 203.0.113.7\r\n{lane}");
        let told = Talk::ask(&world, &get("/feeds/kinh-te.rss", &fields));
        let head: Vec<String> = told
            .timeless()
            .lines()
            .filter(|line| !line.starts_with("retry-after"))
            .map(str::to_owned)
            .collect();
        (told.status, head, told.body)
    });
    assert_eq!(lanes[0], lanes[1]);
    let metrics = world.get("/metrics").text();
    let line = r#"bantin_http_answers_total{route="/feeds/{name}",status="429"} "#;
    let refused = metrics.lines().find_map(|told| told.strip_prefix(line)).unwrap();
    assert_eq!(refused, "8", "both lanes count");
    // Who sits at this very machine is nobody in particular.
    for _ in 0..10 {
        assert_eq!(Talk::ask(&world, &get("/feeds/kinh-te.rss", "")).status, 200);
    }
}

#[test]
fn a_change_is_seen_at_once_and_nothing_older_afterwards() {
    let world = served();
    let left = handovers(&world);
    let mut talk = Talk::with(&world);
    let ask = get("/feeds/kinh-te.json", "");
    talk.say(&ask);
    let old = talk.next(false).unwrap();
    let mut seen = old.body.clone();
    world.import(&[article("y", "Tin mới nhất", "Kinh tế")]);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        talk.say(&ask);
        let told = talk.next(false).unwrap();
        assert!(seen == old.body || told.body == seen, "an older document came after a newer one");
        seen = told.body;
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(String::from_utf8(seen).unwrap().contains("Tin mới nhất"));
    assert_eq!(handovers(&world) - left, 1, "a change sends nobody out of the lane");
}

#[test]
fn a_stop_lets_the_present_answer_end() {
    let mut world = served();
    let mut idle = Talk::with(&world);
    let ask = get("/feeds/kinh-te.rss", "");
    idle.say(&ask);
    assert_eq!(idle.next(false).unwrap().status, 200);
    // So many that they do not fit into any buffer.
    let mut busy = Talk::with(&world);
    let count = 300;
    let mut writer = busy.stream.try_clone().unwrap();
    let asks = ask.repeat(count);
    let writing = std::thread::spawn(move || drop(writer.write_all(asks.as_bytes())));
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            let mut last = None;
            while let Some(told) = busy.next(false) {
                last = Some(told);
            }
            last.unwrap()
        });
        assert_eq!(world.stop(), Some(0));
        assert_eq!(reading.join().unwrap().status, 200);
    });
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(idle.ends());
    writing.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1, ..ProptestConfig::default() })]

    /// Random heads on top of one served newsroom: whatever the express lane takes, hyper answers
    /// in the same way.
    #[test]
    fn odd_heads_are_answered_alike(
        heads in proptest::collection::vec(
            (
                "(GET|GET|GET|HEAD|POST|get|G ET) (/feeds/kinh-te[.](rss|atom|json|xml)|/feeds/kinh%2Dte[.]rss|/feeds/all[.]rss#x|[*]|http://x/feeds/kinh-te[.]rss) HTTP/1[.](1|1|1|1|0|2)",
                proptest::collection::vec(
                    "(Accept-Encoding|If-None-Match|If-Modified-Since|Sec-Fetch-Dest|Connection|X-Odd|Host):( |\t|)(gzip;q=0\\.[0-9]|br|\\*|W/\"[a,]*\"|\"|document|empty|close|[ -~\t]{0,9})[ \t]{0,2}",
                    0..4,
                ),
            ),
            200..201,
        )
    ) {
        let world = served();
        for (line, fields) in heads {
            let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
            let told = |more: &str| {
                let mut talk = Talk::with(&world);
                talk.say(format!("{line}\r\nHost: x\r\n{more}{fields}\r\n"));
                talk.stream.shutdown(Shutdown::Write).unwrap();
                talk.next(line.starts_with("HEAD")).map(|told| (told.timeless(), told.body))
            };
            prop_assert_eq!(told(""), told(OTHER_LANE), "{} {}", line, fields);
        }
    }
}
