use super::{Gate, Handing, Parcel, Relay, Shut, Turn};
use crate::domain::{Instant, Outcome};
use sha2::{Digest as _, Sha256};
use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A folder that stands for a mail server: each message is a file, named by its Message-ID.
///
/// So a try that is repeated after a crash writes the same file again, and no reader of the
/// folder sees a mail twice.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: PathBuf,
    writes: Arc<AtomicU64>,
}

/// One message in an [`Outbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its file name, for [`Outbox::read`].
    pub name: String,
    /// When it was written.
    pub modified: Instant,
    /// Its size in bytes.
    pub size: u64,
}

/// Half of a SHA-256, in hexadecimal: no two Message-IDs ever meet.
const NAME_DIGITS: usize = 32;

impl Outbox {
    /// An outbox in this folder, which is made when the first message comes.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, writes: Arc::default() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name of the file that a message with this Message-ID is kept in.
    pub fn file_name(message_id: &str) -> String {
        let digest = Sha256::digest(message_id);
        let hex = crate::domain::hex(&digest[..NAME_DIGITS / 2]);
        format!("{hex}.eml")
    }

    /// What lies in it, the newest first. A folder that is not there yet is empty.
    pub async fn list(&self) -> io::Result<Vec<OutboxEntry>> {
        let folder = self.folder.clone();
        blocking(move || list(&folder)).await
    }

    /// The bytes of one message. `None` where there is none of this name, or the name is none.
    pub async fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = self.folder.join(name);
        blocking(move || match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => fs::read(&path).map(Some),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        })
        .await
    }

    async fn keep(&self, name: String, bytes: Vec<u8>) -> io::Result<()> {
        let folder = self.folder.clone();
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        blocking(move || {
            make_folder(&folder)?;
            let draft = folder.join(format!(".{name}.{}.{write}.tmp", std::process::id()));
            let kept = keep(&folder, &draft, &folder.join(&name), &bytes);
            if kept.is_err() {
                // What cannot be removed is passed over by `list`.
                let _ = fs::remove_file(&draft);
            }
            kept
        })
        .await
    }
}

impl Relay for Outbox {
    fn hand_over_in_turn<'a>(
        &'a self,
        parcel: &'a Parcel,
        _turn: Turn,
        gate: &'a dyn Gate,
    ) -> Handing<'a, Result<Outcome, Shut>> {
        Box::pin(async move {
            if !gate.opens().await {
                return Err(Shut);
            }
            let name = Self::file_name(&parcel.message_id);
            Ok(match self.keep(name.clone(), parcel.bytes.clone()).await {
                Ok(()) => Outcome::Accepted(format!("kept in the outbox as {name}").into()),
                Err(e) => Outcome::Deferred(self.trouble(&e).into()),
            })
        })
    }

    fn check(&self) -> Handing<'_, Result<String, String>> {
        Box::pin(async move {
            let folder = self.folder.clone();
            let probe = blocking(move || {
                make_folder(&folder)?;
                let probe = folder.join(format!(".check.{}.tmp", std::process::id()));
                fs::write(&probe, b"")?;
                fs::remove_file(&probe)
            });
            probe.await.map_err(|e| self.trouble(&e))?;
            Ok(format!("mail is kept in `{}` and leaves this machine never", self.folder.display()))
        })
    }
}

impl Outbox {
    fn trouble(&self, error: &io::Error) -> String {
        format!(
            "the outbox `{}` cannot be written: {error}; let this user write there, or name another folder in `mail.url`",
            self.folder.display()
        )
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn is_name(name: &str) -> bool {
    name.strip_suffix(".eml").is_some_and(|digits| {
        digits.len() == NAME_DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Mail is nobody else's: the folder is its owner's alone. One that exists stays as it is.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Another worker was faster.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}

/// The message stands under its name whole or not at all, also when the power fails.
fn keep(folder: &Path, draft: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(draft, path)?;
    // The name is durable only when the folder is.
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

fn list(folder: &Path) -> io::Result<Vec<OutboxEntry>> {
    let files = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut entries = Vec::new();
    for file in files {
        let file = file?;
        let Some(name) = file.file_name().to_str().filter(|n| is_name(n)).map(str::to_owned) else {
            continue;
        };
        match file.metadata() {
            Ok(meta) if meta.is_file() => {
                entries.push(OutboxEntry { name, modified: meta.modified()?.into(), size: meta.len() })
            }
            Ok(_) => {}
            // Somebody tidied up meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    entries.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.name.cmp(&b.name)));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(message_id: &str, text: &str) -> Parcel {
        Parcel {
            envelope_from: "tin@bao.vn".parse().unwrap(),
            to: "an@doc.vn".parse().unwrap(),
            delivery: None,
            message_id: message_id.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn outbox() -> (tempfile::TempDir, Outbox) {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("var/outbox"));
        (folder, outbox)
    }

    #[tokio::test]
    async fn a_repeated_parcel_is_one_file() {
        let (_folder, outbox) = outbox();
        assert_eq!(outbox.list().await.unwrap(), []);
        for text in ["một", "một", "hai"] {
            let outcome = outbox.hand_over(&parcel("<1@bao.vn>", text)).await;
            assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
        }
        outbox.hand_over(&parcel("<2@bao.vn>", "ba")).await;
        let entries = outbox.list().await.unwrap();
        assert_eq!(entries.len(), 2);
        assert!(entries[0].modified >= entries[1].modified);
        let name = Outbox::file_name("<1@bao.vn>");
        assert_eq!(outbox.read(&name).await.unwrap().unwrap(), "hai".as_bytes());
        assert_eq!(fs::read_dir(outbox.folder()).unwrap().count(), 2, "no draft is left");
    }

    #[tokio::test]
    async fn many_at_once_lose_none() {
        let (_folder, outbox) = outbox();
        let parcels: Vec<Parcel> = (0..40).map(|n| parcel(&format!("<{}@bao.vn>", n % 20), "x")).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for parcel in parcels {
            let outbox = outbox.clone();
            tasks.spawn(async move { outbox.hand_over(&parcel).await });
        }
        while let Some(outcome) = tasks.join_next().await {
            assert!(matches!(outcome.unwrap(), Outcome::Accepted(_)));
        }
        assert_eq!(outbox.list().await.unwrap().len(), 20);
    }

    #[tokio::test]
    async fn nothing_but_messages_can_be_read() {
        let (folder, outbox) = outbox();
        outbox.hand_over(&parcel("<1@bao.vn>", "x")).await;
        fs::write(folder.path().join("secret.eml"), "s").unwrap();
        let upper = Outbox::file_name("<1@bao.vn>").to_uppercase();
        for name in ["../../secret.eml", "/etc/passwd", "", ".eml", "x.eml", &upper, &"a".repeat(32)] {
            assert_eq!(outbox.read(name).await.unwrap(), None, "{name}");
        }
        assert_eq!(outbox.read(&format!("{}.eml", "0".repeat(32))).await.unwrap(), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, outbox) = outbox();
        outbox.check().await.unwrap();
        assert_eq!(fs::metadata(outbox.folder()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(outbox.list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_told_and_mended() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let outbox = Outbox::new(file.path().join("outbox"));
        assert!(outbox.check().await.unwrap_err().contains("mail.url"));
        assert!(matches!(outbox.hand_over(&parcel("<1@b.vn>", "x")).await, Outcome::Deferred(_)));
    }
}
