//! Callbacks of others: each path does as it is told, and every request is remembered as it came.

use crate::ports::free_port;
use crate::world::{Answer, World};
use hmac::{Hmac, KeyInit, Mac};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a callback answers to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 200; to a verification with its challenge.
    Fine,
    /// 200 once this time is over.
    Slow(Duration),
    /// A status, with the challenge all the same.
    Status(u16),
    /// 200 with what this makes of the challenge.
    Challenge(fn(&str) -> String),
    /// A redirect, with the challenge all the same.
    To(u16, String),
    /// Nothing: the connection closes once the request was read.
    Close,
    /// The connection closes within the answer's head.
    HalfHead,
    /// The connection closes within the answer's body.
    HalfBody,
    /// Nothing, for as long as the other side waits.
    Silence,
    /// 200, the challenge, and bytes up to a gigabyte.
    Huge,
}

/// A request as it came.
#[derive(Clone)]
pub struct Request {
    /// GET asks, POST pushes.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes.
    pub body: Vec<u8>,
    /// When it had come whole.
    pub at: Instant,
}

impl Request {
    /// The one header of a name.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "`{name}` stands more than once in {:?}", self.headers);
        first
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The query's parameters in their order, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The last parameter of a name: ours stand behind the callback's own.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().into_iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The links of its one Link header.
    pub fn links(&self) -> Vec<(String, String)> {
        links(self.header("link").expect("a push has a Link header (WebSub §7)"))
    }

    /// The body of a push to a JSON topic.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The titles that a push to a JSON topic tells, the newest first.
    pub fn titles(&self) -> Vec<String> {
        let items = self.json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect()
    }
}

/// Reads a Link header (RFC 8288 §3): targets with their relation types, one pair each.
pub fn links(header: &str) -> Vec<(String, String)> {
    let mut rest = header.trim();
    let mut found = Vec::new();
    while let Some(after) = rest.strip_prefix('<') {
        let (target, after) = after.split_once('>').unwrap();
        // A comma may stand within quotes.
        let mut quoted = false;
        let ends = |c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        };
        let end = after.find(ends).unwrap_or(after.len());
        for parameter in after[..end].split(';') {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            if name.trim().eq_ignore_ascii_case("rel") {
                let kinds = value.trim().trim_matches('"').split_ascii_whitespace();
                found.extend(kinds.map(|kind| (target.to_owned(), kind.to_ascii_lowercase())));
            }
        }
        rest = after[end..].trim_start_matches(',').trim_start();
    }
    assert_eq!(rest, "", "{header}");
    found
}

/// The targets of one relation.
pub fn targets(links: &[(String, String)], kind: &str) -> Vec<String> {
    links.iter().filter(|(_, rel)| rel == kind).map(|(target, _)| target.clone()).collect()
}

/// `X-Hub-Signature` as its receiver computes it (WebSub §7.1).
pub fn signature(method: &str, secret: &str, body: &[u8]) -> String {
    fn mac<M: Mac + KeyInit>(secret: &str, body: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        mac.finalize().into_bytes().to_vec()
    }
    let digest = match method {
        "sha1" => mac::<Hmac<sha1::Sha1>>(secret, body),
        "sha256" => mac::<Hmac<sha2::Sha256>>(secret, body),
        "sha384" => mac::<Hmac<sha2::Sha384>>(secret, body),
        "sha512" => mac::<Hmac<sha2::Sha512>>(secret, body),
        other => panic!("{other} is no method"),
    };
    format!("{method}={}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// What a path answers, request after request; the last one for ever.
#[derive(Default)]
struct Script {
    asked: Vec<Reply>,
    pushed: Vec<Reply>,
}

/// How many requests are under way, and the most that ever were.
#[derive(Clone, Copy, Default)]
struct Crowd {
    now: usize,
    most: usize,
}

#[derive(Default)]
struct House {
    scripts: Mutex<BTreeMap<String, Script>>,
    requests: Mutex<Vec<Request>>,
    crowd: Mutex<Crowd>,
    pushes: Mutex<BTreeMap<String, Crowd>>,
    connections: AtomicUsize,
    poured: AtomicU64,
    closed: AtomicBool,
}

/// A server of callbacks; it ends when this is dropped.
pub struct Callbacks {
    address: SocketAddr,
    house: Arc<House>,
}

impl Callbacks {
    /// Opens on a free port. Every path answers as it should until told otherwise.
    pub fn open() -> Self {
        Self::open_at("127.0.0.1:0")
    }

    /// Opens at an address.
    pub fn open_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let house = Arc::new(House::default());
        let host = Arc::clone(&house);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if host.closed.load(Ordering::SeqCst) {
                    break;
                }
                host.connections.fetch_add(1, Ordering::SeqCst);
                let house = Arc::clone(&host);
                // A client that dies is part of the story.
                let talk = move || drop(house.talk(stream));
                std::thread::Builder::new().stack_size(256 * 1024).spawn(talk).unwrap();
            }
        });
        Self { address, house }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address of a callback.
    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port())
    }

    /// What a path answers to verifications.
    pub fn when_asked(&self, path: &str, replies: &[Reply]) {
        let mut scripts = self.house.scripts.lock().unwrap();
        scripts.entry(path.to_owned()).or_default().asked = replies.iter().rev().cloned().collect();
    }

    /// What a path answers to pushes.
    pub fn when_pushed(&self, path: &str, replies: &[Reply]) {
        let mut scripts = self.house.scripts.lock().unwrap();
        scripts.entry(path.to_owned()).or_default().pushed = replies.iter().rev().cloned().collect();
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        self.house.requests.lock().unwrap().clone()
    }

    fn of(&self, path: &str, method: &str) -> Vec<Request> {
        let requests = self.house.requests.lock().unwrap();
        requests.iter().filter(|r| r.method == method && r.path() == path).cloned().collect()
    }

    /// The verifications and denials that a path got.
    pub fn asked(&self, path: &str) -> Vec<Request> {
        self.of(path, "GET")
    }

    /// The pushes that a path got.
    pub fn pushed(&self, path: &str) -> Vec<Request> {
        self.of(path, "POST")
    }

    /// How many pushes all paths got.
    pub fn count_pushed(&self) -> usize {
        self.house.requests.lock().unwrap().iter().filter(|request| request.method == "POST").count()
    }

    /// The last push of each path.
    pub fn last_pushed(&self) -> BTreeMap<String, Request> {
        let requests = self.house.requests.lock().unwrap();
        let pushes = requests.iter().filter(|request| request.method == "POST");
        pushes.map(|request| (request.path().to_owned(), request.clone())).collect()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.house.connections.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.house.crowd.lock().unwrap().most
    }

    /// Paths that got a push while another was under way.
    pub fn pushed_twice_at_once(&self) -> Vec<String> {
        let pushes = self.house.pushes.lock().unwrap();
        pushes.iter().filter(|(_, crowd)| crowd.most > 1).map(|(path, _)| path.clone()).collect()
    }

    /// How many bytes the other side let [`Reply::Huge`] send.
    pub fn poured(&self) -> u64 {
        self.house.poured.load(Ordering::SeqCst)
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        self.house.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for the next caller.
        let _ = TcpStream::connect(("127.0.0.1", self.port()));
    }
}

impl Crowd {
    fn enter(&mut self) {
        self.now += 1;
        self.most = self.most.max(self.now);
    }
}

impl House {
    fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        let mut input = BufReader::new(stream);
        while let Some(request) = read(&mut input)? {
            let (path, is_push) = (request.path().to_owned(), request.method == "POST");
            let challenge = request.parameter("hub.challenge").unwrap_or_default();
            let reply = self.next_reply(&path, is_push);
            self.crowd.lock().unwrap().enter();
            if is_push {
                self.pushes.lock().unwrap().entry(path.clone()).or_default().enter();
            }
            self.requests.lock().unwrap().push(request);
            let done = self.answer(&reply, &challenge, &mut out, &mut input);
            self.crowd.lock().unwrap().now -= 1;
            if is_push {
                self.pushes.lock().unwrap().get_mut(&path).unwrap().now -= 1;
            }
            // Said only now, so that whoever hears it finds the house as it was left.
            match done? {
                Some(answer) => out.write_all(answer.as_bytes())?,
                None => return out.shutdown(std::net::Shutdown::Both),
            }
        }
        Ok(())
    }

    fn next_reply(&self, path: &str, is_push: bool) -> Reply {
        let mut scripts = self.scripts.lock().unwrap();
        let script = scripts.entry(path.to_owned()).or_default();
        let replies = if is_push { &mut script.pushed } else { &mut script.asked };
        let last = if replies.len() > 1 { replies.pop() } else { replies.last().cloned() };
        last.unwrap_or(Reply::Fine)
    }

    /// What is still to be said; none where the connection is over.
    fn answer(
        &self,
        reply: &Reply,
        challenge: &str,
        out: &mut TcpStream,
        input: &mut impl Read,
    ) -> std::io::Result<Option<String>> {
        let whole = |status: u16, more: &str, body: &str| {
            Some(format!("HTTP/1.1 {status} -\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len()))
        };
        Ok(match reply {
            Reply::Fine => whole(200, "", challenge),
            Reply::Slow(time) => {
                std::thread::sleep(*time);
                whole(200, "", challenge)
            }
            Reply::Status(204) => Some("HTTP/1.1 204 -\r\n\r\n".to_owned()),
            Reply::Status(status) => whole(*status, "", challenge),
            Reply::Challenge(make) => whole(200, "", &make(challenge)),
            Reply::To(status, target) => whole(*status, &format!("Location: {target}\r\n"), challenge),
            Reply::Close => None,
            Reply::HalfHead => {
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
                None
            }
            Reply::HalfBody => {
                let half = &challenge[..challenge.len() / 2];
                out.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{half}").as_bytes())?;
                None
            }
            Reply::Silence => {
                std::io::copy(input, &mut std::io::sink())?;
                None
            }
            Reply::Huge => {
                out.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 30).as_bytes())?;
                out.write_all(challenge.as_bytes())?;
                let block = [b'x'; 64 * 1024];
                for _ in 0..(1 << 30) / block.len() {
                    out.write_all(&block)?;
                    self.poured.fetch_add(block.len() as u64, Ordering::SeqCst);
                }
                None
            }
        })
    }
}

/// One request; none where the other side is done. One that breaks off is an error.
fn read(input: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) };
        }
        match line.trim_end() {
            "" if head.is_empty() => {}
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut words = head[0].split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = head[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some(Request { method, target, headers, body, at: Instant::now() }))
}

/// An address where nothing listens.
pub fn nobody() -> SocketAddr {
    free_port()
}

/// A host that takes connections and never says a word, while this is held.
pub fn deaf_host() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A host that closes each connection before it reads a byte, until the tests end.
pub fn slamming_host() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    address
}

impl World {
    /// Lets the hub push to this machine, where all callbacks of the tests are, and asks nobody to
    /// come more slowly.
    pub fn open_hub(&mut self) {
        self.set("BANTIN_HUB__ALLOW_PRIVATE_CALLBACKS", "true");
        self.set("BANTIN_HUB__REQUEST_BURST", "100000");
    }

    /// The address of a topic.
    pub fn topic(&self, name: &str) -> String {
        let base = self.setting("BANTIN_PUBLICATION__BASE_URL").unwrap();
        if name.starts_with('/') { format!("{base}{name}") } else { format!("{base}/feeds/{name}") }
    }

    /// Asks the hub for something.
    pub fn ask_hub(&self, mode: &str, topic: &str, callback: &str, more: &[(&str, &str)]) -> Answer {
        let topic = self.topic(topic);
        let mut fields = vec![("hub.mode", mode), ("hub.topic", topic.as_str()), ("hub.callback", callback)];
        fields.extend(more);
        self.post("/websub", &fields)
    }

    /// Subscribes a callback, and waits until the hub knows whether it may push there.
    pub fn follow(&self, topic: &str, callback: &str, more: &[(&str, &str)]) {
        let answer = self.ask_hub("subscribe", topic, callback, more);
        assert_eq!(answer.status, 202, "{}", answer.text());
        self.wait_for_verifications();
    }

    /// Ends what [`World::follow`] began.
    pub fn unfollow(&self, topic: &str, callback: &str) {
        assert_eq!(self.ask_hub("unsubscribe", topic, callback, &[]).status, 202);
        self.wait_for_verifications();
    }

    /// Waits until nothing that was asked of the hub is open.
    pub fn wait_for_verifications(&self) {
        self.wait_for("the hub has settled what it was asked", |world| {
            world.number("SELECT count(*) FROM callback_requests") == 0
        });
    }

    /// Waits until no push is due.
    pub fn wait_for_pushes(&self) {
        self.wait_for("nothing is left to push", |world| {
            world.number("SELECT count(*) FROM callbacks WHERE due_at IS NOT NULL") == 0
        });
    }
}
