//! Mail servers of our own for a test: Postfix, and whatever runs in the background.

use crate::mailroom::reader;
use crate::ports::free_port;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Somebody else's program in the background, for as long as the test.
pub struct Helper(pub Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a Postfix can be started here.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Waits until somebody listens.
pub fn wait_for_port(address: SocketAddr) {
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The files of a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.map(|e| e.unwrap().path()).collect());
    let mut files: Vec<PathBuf> = entries.unwrap_or_default();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// A Postfix of our own in a folder; its mailboxes are Maildirs below `mail/`.
pub struct Postfix {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Postfix {
    /// Starts with mailboxes for so many readers; further lines of `main.cf`.
    pub fn start(readers: usize, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_port();
        let path = |below: &str| folder.path().join(below);
        for below in ["etc", "queue", "data", "mail"] {
            std::fs::create_dir(path(below)).unwrap();
        }
        for (below, mode) in [("", 0o755), ("mail", 0o777)] {
            std::fs::set_permissions(path(below), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let owned = Command::new("chown").arg("postfix").arg(path("data")).status().unwrap();
        assert!(owned.success());
        let home = folder.path().display();
        let boxes: Vec<String> = (0..readers).map(|n| format!("{}=box/", reader(n))).collect();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {home}/queue\ndata_directory = {home}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = relay.songhau.example\nmydestination =\nalias_maps =\n\
             alias_database =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             virtual_mailbox_domains = doc.example\nvirtual_mailbox_base = {home}/mail\n\
             virtual_mailbox_maps = inline:{{{}}}\nvirtual_uid_maps = static:65534\n\
             virtual_gid_maps = static:65534\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
             default_transport = error:5.1.2 nobody else is known here\nmaillog_file = {home}/log\n\
             maillog_file_prefixes = /\n{more}",
            boxes.join(", ")
        );
        std::fs::write(path("etc/main.cf"), main).unwrap();
        let services = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
             qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
             proxymap unix - - n - - proxymap\nerror unix - - n - - error\nretry unix - - n - - error\n\
             virtual unix - n n - - virtual\nlmtp unix - - n - - lmtp\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n";
        // What a test puts there takes what a transport map gives to `bantin:`.
        let pipe = format!("bantin unix - n n - 1 pipe user=nobody argv={home}/pipe ${{recipient}}\n");
        std::fs::write(path("etc/master.cf"), format!("{address} inet n - n - - smtpd\n{services}{pipe}"))
            .unwrap();
        let postfix = Self { folder, address };
        postfix.command("start");
        wait_for_port(address);
        postfix
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A place below its folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn command(&self, word: &str) {
        let output = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.folder.path().join("etc"))
            .arg(word)
            .output()
            .unwrap_or_else(|error| panic!("postfix is needed ({error}): apt-get install postfix"));
        assert!(output.status.success(), "postfix {word}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What lies in the mailbox.
    pub fn letters(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("mail/box/new"))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.command("stop");
    }
}
