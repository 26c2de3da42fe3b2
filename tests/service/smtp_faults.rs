//! Mail servers that fail, and nobody misses a mail: smtp-sink of Postfix with its switches for
//! faults, and aiosmtpd, which draws by lot what it does.

use crate::crash::Dice;
use crate::mailroom::{article, reader};
use crate::ports::free_port;
use crate::postfix::{files, wait_for_port};
use crate::smtp::smtp_sink;
use crate::world::{World, python_command};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};

const READERS: usize = 12;

/// A newsroom with news for some readers, whose mail goes there.
fn newsroom(server: &str) -> World {
    let mut world = World::new();
    world.set("BANTIN_MAIL__URL", server);
    world.set("BANTIN_LIMITS__MAIL_CONNECTIONS", "2");
    world.import(&[article("1", "Tin một", "Kinh tế"), article("2", "Tin hai", "Văn hóa")]);
    world.fill(READERS);
    world
}

/// The value of a header in a file.
fn header(path: &Path, name: &str) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {}", path.display())).to_owned()
}

fn everybody() -> BTreeSet<String> {
    (0..READERS).map(reader).collect()
}

#[test]
fn every_fault_of_smtp_sink_leaves_each_letter_where_it_belongs() {
    let all = i64::try_from(READERS).unwrap();
    let address = free_port();
    let world = newsroom(&format!("smtp://{address}"));
    let folder = world.path("sink");
    for (options, state) in [
        (&["-f", "connect"][..], "deferred"),
        (&["-r", "connect"], "deferred"),
        (&["-q", "connect"], "deferred"),
        (&["-f", "ehlo,helo", "-B", "550 5.7.1 no"], "deferred"),
        (&["-r", "ehlo"], "deferred"),
        (&["-q", "ehlo"], "deferred"),
        (&["-Q", "mail"], "deferred"),
        (&["-q", "mail"], "deferred"),
        (&["-r", "rcpt", "-p"], "deferred"),
        (&["-q", "rcpt", "-p"], "deferred"),
        (&["-r", "data"], "deferred"),
        (&["-q", "data"], "deferred"),
        (&["-Q", "data", "-p"], "deferred"),
        (&["-r", "."], "deferred"),
        (&["-Q", "."], "deferred"),
        // It has the text and says nothing of it.
        (&["-q", "."], "uncertain"),
        (&["-q", ".", "-p"], "uncertain"),
    ] {
        let _sink = smtp_sink(address, &folder, options);
        world.later();
        world.done(&["digest", "run", "hang-ngay"]);
        let of_it = world.deliveries(state);
        // A server that hangs up again and again is let alone for a while, and the others wait.
        let others = world.deliveries("deferred") + world.deliveries("pending");
        match state {
            "uncertain" => assert!(of_it > 0 && of_it + others == all, "{options:?}: {of_it}, {others}"),
            _ => assert_eq!(others, all, "{options:?}"),
        }
        assert!(!world.is_complete());
    }
    for file in files(&folder) {
        std::fs::remove_file(file).unwrap();
    }
    // In the end one that does nothing but think.
    let _sink = smtp_sink(address, &folder, &["-W", ".:1:20", "-e", "-8"]);
    world.later();
    world.done(&["digest", "run", "hang-ngay"]);
    assert_eq!((world.deliveries("accepted"), world.is_complete()), (all, true));
    let to: BTreeSet<String> = files(&folder).iter().map(|path| header(path, "To")).collect();
    assert_eq!((to, files(&folder).len()), (everybody(), READERS));
}

#[test]
fn a_hard_refusal_is_the_letters_only_where_it_speaks_of_the_letter() {
    for (command, state) in [("mail", "bounced"), ("rcpt", "bounced"), ("data", "bounced"), (".", "bounced")]
    {
        for pipelining in [&[][..], &["-p"]] {
            let address = free_port();
            let world = newsroom(&format!("smtp://{address}"));
            let options = [&["-f", command, "-B", "550 5.7.1 not from here"], pipelining].concat();
            let _sink = smtp_sink(address, &world.path("sink"), &options);
            world.done(&["digest", "run", "hang-ngay"]);
            assert_eq!(world.deliveries(state), i64::try_from(READERS).unwrap(), "{options:?}");
            assert_eq!(
                world.number("SELECT count(*) FROM subscribers WHERE state = 'active'"),
                12,
                "a policy"
            );
        }
    }
}

/// Takes mail into a folder, and at each command does by lot what it should not.
const CAPRICIOUS: &str = r#"
import random, sys
from aiosmtpd.controller import Controller

port, seed, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dice = random.Random(seed)
taken = 0

class Handler:
    def fault(self, server):
        lot = dice.random()
        if lot < 0.06:
            return "451 4.3.0 later"
        if lot < 0.10:
            return "450 4.2.1 busy"
        if lot < 0.13:
            return "421 4.3.2 going down"
        if lot < 0.15:
            return "what a day"
        if lot < 0.19:
            server.transport.abort()
            return "451 4.3.0 never heard"

    async def handle_MAIL(self, server, session, envelope, address, options):
        fault = self.fault(server)
        if fault is None:
            envelope.mail_from = address
        return fault or "250 2.1.0 Ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        fault = self.fault(server)
        if fault is None:
            envelope.rcpt_tos.append(address)
        return fault or "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        global taken
        lot = dice.random()
        if lot < 0.1:
            return "452 4.3.1 full"
        assert len(envelope.rcpt_tos) == 1 and envelope.original_content.endswith(b"\r\n")
        taken += 1
        with open(f"{folder}/{taken:04}.eml", "wb") as file:
            file.write(envelope.original_content)
        if lot < 0.2:
            server.transport.abort()
        return "what?" if 0.2 < lot < 0.25 else "250 2.0.0 taken"

controller = Controller(Handler(), hostname="127.0.0.1", port=port)
controller.start()
sys.stdin.read()
controller.stop()
"#;

/// Ends when its standard input does.
struct Capricious(Child);

impl Drop for Capricious {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Capricious {
    fn open(folder: &Path) -> (Self, String) {
        let address = free_port();
        std::fs::create_dir_all(folder).unwrap();
        let seed = Dice::new("capricious").below(1 << 30).to_string();
        let arguments = [&address.port().to_string(), &seed, folder.to_str().unwrap()];
        let mut child = python_command(CAPRICIOUS, &arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        if child.try_wait().unwrap().is_some() {
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("aiosmtpd is needed; run tests/run\n{errors}");
        }
        wait_for_port(address);
        (Self(child), format!("smtp://{address}"))
    }
}

#[test]
fn a_server_that_fails_by_lot_costs_nobody_his_letter() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = Capricious::open(folder.path());
    let world = newsroom(&url);
    for _ in 0..60 {
        world.done(&["digest", "run", "hang-ngay"]);
        if world.is_complete() {
            break;
        }
        world.later();
    }
    assert_eq!(world.deliveries("accepted"), i64::try_from(READERS).unwrap());
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files(folder.path()) {
        ids.entry(header(&path, "To")).or_default().insert(header(&path, "Message-ID"));
    }
    assert_eq!(ids.keys().cloned().collect::<BTreeSet<_>>(), everybody());
    assert!(ids.values().all(|of_one| of_one.len() == 1), "a repeat has another Message-ID: {ids:?}");
    world.assert_discreet();
}
