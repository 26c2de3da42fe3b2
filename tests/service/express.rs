//! The express lane: nobody can tell by which lane an answer came, and nobody gets one from it
//! whom another program on the way may have understood differently.

use crate::served::article;
use crate::world::World;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
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

fn handovers(world: &World) -> u64 {
    let metrics = world.get("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("bantin_http_handovers_total ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn both_lanes_give_the_same_bytes() {
    let world = served();
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
    // A coding is made when it is first asked for, which is not the express lane's work.
    for format in ["rss", "atom", "json"] {
        for coding in codings {
            Talk::ask(&world, &get(&format!("/feeds/kinh-te.{format}"), coding));
        }
    }
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
    // The condition on two lines is the only one that the express lane leaves to hyper.
    let of_one_condition = asked / u64::try_from(conditions.len()).unwrap();
    assert_eq!(handovers(&world) - before, 2 * asked + of_one_condition + 1);
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

#[test]
fn a_connection_goes_over_in_the_middle_and_answers_on() {
    let world = served();
    let mut talk = Talk::with(&world);
    let feed = get("/feeds/kinh-te.rss", "");
    let page = get("/feeds/kinh-te", "");
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
