//! Bodies in files. A write copies a body for each reader, which is most of what it costs; sendfile(2) passes
//! the pages of a file on as they are (benches/README.md, serve).

use mio::net::TcpStream;
use std::cell::{Cell, OnceCell};
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// How long bodies are, in bytes, that are worth it. A shorter one is copied in less time than another call
/// takes; while a longer one is laid down, the clerk's other readers would wait.
const WORTH_IT: RangeInclusive<usize> = 8 << 10..=1 << 20;
/// So many times in one second says that a body is asked for again and again.
const OFTEN: u32 = 50;
/// How many files a clerk keeps open.
const MOST: usize = 64;

/// Where a clerk lays bodies into files.
pub struct Drawer {
    lay: Box<Lay>,
    open: Rc<()>,
}

/// Lays bytes into a file, where there is a place for files.
type Lay = dyn Fn(&[u8]) -> io::Result<Option<OwnedFd>> + Send;

/// Whether a body lies in a file yet.
#[derive(Default)]
pub struct Filing {
    second: Cell<u64>,
    times: Cell<u32>,
    sheet: OnceCell<Sheet>,
    /// There is no place for it, or its file system sends no files.
    failed: Cell<bool>,
}

/// A body in a file that has no name, is never changed, and goes with this.
struct Sheet {
    file: OwnedFd,
    _open: Rc<()>,
}

impl Drawer {
    /// An empty one.
    pub fn new(lay: Box<Lay>) -> Self {
        Self { lay, open: Rc::default() }
    }

    /// Notes that a body is sent in this second of the clerk's, and lays it into a file if that is often.
    pub fn note(&self, filing: &Filing, body: &[u8], second: u64) {
        if filing.sheet.get().is_some() || filing.failed.get() || !WORTH_IT.contains(&body.len()) {
            return;
        }
        let times = if filing.second.replace(second) == second { filing.times.get() + 1 } else { 1 };
        filing.times.set(times);
        if times < OFTEN || Rc::strong_count(&self.open) > MOST {
            return;
        }
        match (self.lay)(body) {
            Ok(Some(file)) => drop(filing.sheet.set(Sheet { file, _open: Rc::clone(&self.open) })),
            // It is copied for each reader then.
            Ok(None) => filing.failed.set(true),
            Err(error) => {
                tracing::debug!(%error, "a body is not laid into a file");
                filing.failed.set(true);
            }
        }
    }
}

impl Filing {
    /// Whether the body can be sent from a file.
    pub fn is_filed(&self) -> bool {
        self.sheet.get().is_some() && !self.failed.get()
    }

    /// Sends the body from a place on; of a head that is still unsent, that first, in one packet with it.
    /// Returns how many bytes went.
    pub fn send(&self, stream: &TcpStream, head: &[u8], from: usize, length: usize) -> io::Result<usize> {
        let Some(Sheet { file, .. }) = self.sheet.get() else { return Ok(0) };
        let sent = match head {
            [] => system::send_file(stream, file, from as u64, length - from),
            head => system::send_more(stream, head),
        };
        match sent {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                tracing::debug!(%error, "files cannot be sent as they are");
                self.failed.set(true);
                Err(io::ErrorKind::Interrupted.into())
            }
            sent => sent,
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::{OwnedFd, TcpStream, io};
    use rustix::fs::sendfile;
    use rustix::net::{SendFlags, send};

    /// What is sent behind it leaves in the same packet (send(2), MSG_MORE).
    pub(super) fn send_more(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
    }

    /// sendfile(2).
    pub(super) fn send_file(
        stream: &TcpStream,
        file: &OwnedFd,
        mut from: u64,
        most: usize,
    ) -> io::Result<usize> {
        Ok(sendfile(stream, file, Some(&mut from), most)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{OwnedFd, TcpStream, io};

    pub(super) fn send_more(_: &TcpStream, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn send_file(_: &TcpStream, _: &OwnedFd, _: u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream as Blocking};
    use std::path::Path;

    static BODY: [u8; 20_000] = [b'x'; 20_000];

    fn drawer(folder: &Path) -> Drawer {
        let folder = folder.to_owned();
        Drawer::new(Box::new(move |bytes| {
            let mut file = tempfile::tempfile_in(&folder)?;
            file.write_all(bytes)?;
            Ok(Some(file.into()))
        }))
    }

    fn ask_often(drawer: &Drawer, filing: &Filing, body: &[u8], times: u32, second: u64) -> bool {
        (0..times).for_each(|_| drawer.note(filing, body, second));
        filing.is_filed()
    }

    #[test]
    fn only_what_is_asked_for_again_and_again_lies_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let drawer = drawer(folder.path());
        let filing = Filing::default();
        for second in 0..5 {
            assert!(!ask_often(&drawer, &filing, &BODY, OFTEN - 1, second), "less than often");
        }
        assert!(ask_often(&drawer, &filing, &BODY, OFTEN, 5));
        assert!(!ask_often(&drawer, &Filing::default(), &BODY[..5_000], OFTEN, 5), "too short");
        assert!(!ask_often(&drawer, &Filing::default(), &vec![b'x'; 2 << 20], OFTEN, 5), "too long");
        assert!(
            !ask_often(&Drawer::new(Box::new(|_| Ok(None))), &Filing::default(), &BODY, OFTEN, 5),
            "no place"
        );
        let gone = self::drawer(&folder.path().join("gone"));
        assert!(!ask_often(&gone, &Filing::default(), &BODY, OFTEN, 5), "no such folder");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
    }

    #[test]
    fn so_many_files_are_open_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let drawer = drawer(folder.path());
        let file = || {
            let filing = Filing::default();
            ask_often(&drawer, &filing, &BODY, OFTEN, 1).then_some(filing)
        };
        let mut filed: Vec<Filing> = std::iter::from_fn(file).collect();
        assert_eq!(filed.len(), MOST);
        filed.pop();
        assert!(file().is_some(), "one that is let go makes room");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_head_and_the_body_come_whole_from_any_place() {
        let folder = tempfile::tempdir().unwrap();
        let drawer = drawer(folder.path());
        let body: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let filing = Filing::default();
        assert!(ask_often(&drawer, &filing, &body, OFTEN, 1));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = Blocking::connect(listener.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(listener.accept().unwrap().0);
        assert_eq!(filing.send(&stream, b"head", 0, body.len()).unwrap(), 4);
        let (mut at, mut told) = (0, vec![0; 4 + body.len()]);
        while at < body.len() {
            at += filing.send(&stream, &[], at, body.len()).unwrap();
        }
        reader.read_exact(&mut told).unwrap();
        assert_eq!((&told[..4], &told[4..]), (&b"head"[..], &body[..]));
    }
}
