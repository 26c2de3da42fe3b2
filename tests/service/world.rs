//! A newsroom as its users meet it: the real program in a folder of its own, spoken with over
//! HTTP, the command line, and mail.

use crate::ports::free_port;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a story fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder, the variables that configure it, and the running program, if it runs.
pub struct World {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    address: SocketAddr,
    server: Option<Child>,
}

/// What came back over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came, coded as its header says.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl World {
    /// A newsroom on SQLite whose mail goes to a folder. Nothing runs yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_port();
        let mut world = Self { folder, variables: BTreeMap::new(), address, server: None };
        world.set("BANTIN_SERVER__LISTEN", &address.to_string());
        world.set("BANTIN_PUBLICATION__BASE_URL", &format!("http://{address}"));
        world.set("BANTIN_PUBLICATION__TITLE", "Báo Sông Hậu");
        world.set("BANTIN_PUBLICATION__CONTACT", "toasoan@songhau.example");
        world.set("BANTIN_MAIL__FROM", "bantin@songhau.example");
        // Stories count letters; that of the journey has it.
        world.set("BANTIN_MAIL__WELCOME", "false");
        world
    }

    /// Sets a variable of the environment for the program.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Leaves a variable to its default.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// What a variable is set to.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The newsroom's folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file below the newsroom's folder.
    pub fn write(&self, below: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// An address of ours.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bantin"));
        command.args(arguments).current_dir(self.folder.path()).envs(&self.variables);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BANTIN_")) {
            if !self.variables.contains_key(&name) {
                command.env_remove(name);
            }
        }
        command
    }

    /// What the running program has open, as the system names it.
    #[cfg(target_os = "linux")]
    pub fn open_files(&self) -> Vec<String> {
        let listed = format!("/proc/{}/fd", self.server.as_ref().unwrap().id());
        // One that is closed meanwhile has no name any more.
        let name = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
        std::fs::read_dir(listed).unwrap().filter_map(name).map(|name| name.display().to_string()).collect()
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command with something on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs a command whose words go somewhere else.
    pub fn run_into(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
        let mut command = self.command(arguments);
        command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bantin {arguments:?}: {:?}\n{errors}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Imports articles given as JSON objects.
    pub fn import(&self, articles: &[serde_json::Value]) -> String {
        let lines: Vec<String> = articles.iter().map(ToString::to_string).collect();
        let path = self.write("in/articles.jsonl", lines.join("\n"));
        self.done(&["import", path.to_str().unwrap()])
    }

    /// Starts `bantin serve` and waits until it is ready. Its log goes to `serve.log`.
    pub fn serve(&mut self) {
        self.start(&["serve"]);
        self.wait_until_ready();
    }

    /// Starts the program and waits for nothing.
    pub fn start(&mut self, arguments: &[&str]) {
        assert!(self.server.is_none(), "the program runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("serve.log")).unwrap();
        let child = self.command(arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.server = Some(child);
    }

    /// Waits until the program answers that it is ready.
    pub fn wait_until_ready(&self) {
        self.wait_for("the program is ready", |world| {
            world.try_request("GET", "/readyz", &[], b"").is_some_and(|answer| answer.status == 200)
        });
    }

    /// Kills the program between any two lines.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// The same while something else still looks at this world; [`World::kill`] it afterwards.
    pub fn kill_from_beside(&self) {
        let server = self.server.as_ref().expect("the program runs");
        Command::new("kill").args(["-KILL", &server.id().to_string()]).status().unwrap();
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let server = self.server.as_ref().expect("the program runs");
        let sent = Command::new("kill").arg(format!("-{name}")).arg(server.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Asks the program to stop (SIGTERM) and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut server = self.server.take().expect("the program runs");
        Command::new("kill").arg(server.id().to_string()).status().unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = server.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "the program did not stop\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the program told of itself.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    /// Waits until something is so.
    pub fn wait_for(&self, what: &str, so: impl Fn(&Self) -> bool) {
        self.wait_at_most(PATIENCE, what, so);
    }

    /// Waits until something is so, for a time of one's own.
    pub fn wait_at_most(&self, patience: Duration, what: &str, so: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !so(self) {
            assert!(started.elapsed() < patience, "waited in vain until {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// GET without any header of ours.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// POST of a form.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    /// Any request.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|| panic!("{method} {path}: no answer\n{}", self.log()))
    }

    /// Any request, of a program that may be dying.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        if !body.is_empty() || method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        parse_answer(&bytes)
    }

    /// The letters in the built-in mailbox, the oldest first.
    pub fn letters(&self) -> Vec<Vec<u8>> {
        let mut files: Vec<_> = std::fs::read_dir(self.path("var/outbox"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        files.retain(|path: &PathBuf| path.extension().is_some_and(|ending| ending == "eml"));
        files.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        files.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    assert!(!chunked, "every answer of ours knows its length");
    Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
}

/// Runs an outside judge on a file; its words where it objects.
pub fn judged(program: &str, arguments: &[&str], file: &Path) -> Result<(), String> {
    let output =
        Command::new(program).args(arguments).arg(file).output().unwrap_or_else(|error| {
            panic!("{program} is needed for the tests ({error}); tests/run installs it")
        });
    let words =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(words) }
}

/// Runs a Python script with the outside parsers that `tests/run` installs.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let output = python_command(script, arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "Python with feedparser and reader is needed; run tests/run\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A script of Python that finds what `tests/run` installs.
pub fn python_command(script: &str, arguments: &[&str]) -> Command {
    // Where tests/run puts them, so that `cargo test` alone finds them afterwards.
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-python/bin/python");
    let own = if Path::new(own).exists() { own } else { "python3" };
    let python = std::env::var("BANTIN_TEST_PYTHON").unwrap_or_else(|_| own.to_owned());
    let mut command = Command::new(python);
    command.arg("-c").arg(script).args(arguments);
    command
}

/// Runs a script of Node.js with the outside parsers that `tests/run` installs.
pub fn node(script: &str, arguments: &[&str]) -> String {
    let output = node_command(script, arguments).output().unwrap_or_else(|error| {
        panic!("node is needed for the tests ({error}); tests/run installs it");
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "node with rss-parser is needed; run tests/run\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where `tests/run` puts the packages of Node.js.
pub fn node_modules() -> PathBuf {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-node");
    let folder = PathBuf::from(std::env::var("BANTIN_TEST_NODE").unwrap_or_else(|_| own.to_owned()));
    folder.join("node_modules")
}

/// A script of Node.js that finds what `tests/run` installs.
pub fn node_command(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", node_modules()).arg("-e").arg(script).args(arguments);
    command
}
