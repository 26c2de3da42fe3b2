//! A folder of files that a web server serves while they are renewed.

use crate::domain::Instant;
use crate::representations::Coding;
use chrono::SubsecRound as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The list of the files that are ours. What is not in it is never touched.
const MANIFEST: &str = ".bantin-export";
/// What a file is called until it is whole.
const PART: &str = ".bantin-export.part";
const PREAMBLE: &str = "# Written by `bantin feed export`. The files named here are its own: it renews them, and removes \
     what is published no longer.";

/// Why a folder cannot be exported to.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Somebody else's files are in it.
    #[error(
        "`{0}` holds files and no list of ours (`.bantin-export`); name an empty or a new folder, so that nothing of yours is overwritten"
    )]
    Foreign(String),
    /// It is something else.
    #[error("`{0}` is no folder; name an empty or a new one")]
    NoFolder(String),
    /// Another export is at work in it.
    #[error("another export writes to `{0}` just now; wait until it has ended")]
    Busy(String),
    /// A file of somebody else stands where one of ours belongs.
    #[error("`{0}` was not written by an export and stands where a file of ours belongs; move it away")]
    InTheWay(String),
    /// The system refused.
    #[error("`{path}`: {reason}")]
    File {
        /// What.
        path: String,
        /// Why.
        reason: io::Error,
    },
}

impl TreeError {
    /// Whether another folder is to be named.
    pub fn is_unusable(&self) -> bool {
        matches!(self, Self::Foreign(_) | Self::NoFolder(_))
    }

    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |reason| Self::File { path, reason }
    }
}

/// As of which change a feed was exported, and how it was defined then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The publish sequence of its last change.
    pub number: i64,
    /// Of title, window and the like.
    pub fingerprint: String,
}

/// What became of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New ones, and those with other bytes.
    pub written: u64,
    /// Those that were left alone.
    pub unchanged: u64,
    /// Those that went.
    pub removed: u64,
}

/// The folder, as long as an export works in it.
pub struct Tree {
    root: PathBuf,
    /// Every file that is ours, as of an export before or of this one.
    own: BTreeSet<String>,
    /// Those that stay.
    kept: BTreeSet<String>,
    noted: BTreeMap<String, Note>,
    notes: BTreeMap<String, Note>,
    manifest: File,
    /// Held until the end; goes with the process, however it ends.
    _lock: File,
    /// What became of the files so far.
    pub tally: Tally,
}

impl Tree {
    /// Opens a folder that is empty, new, or ours.
    pub fn open(root: &Path) -> Result<Self, TreeError> {
        let name = root.display().to_string();
        if root.exists() && !root.is_dir() {
            return Err(TreeError::NoFolder(name));
        }
        fs::create_dir_all(root).map_err(TreeError::at(root))?;
        let lock = File::open(root).map_err(TreeError::at(root))?;
        // A file system that knows no locks is used all the same.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(TreeError::Busy(name));
        }
        let path = root.join(MANIFEST);
        let told = match fs::read_to_string(&path) {
            Ok(told) => told,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(root).map_err(TreeError::at(root))?.next().is_some() {
                    return Err(TreeError::Foreign(name));
                }
                format!("{PREAMBLE}\n")
            }
            Err(error) => return Err(TreeError::at(&path)(error)),
        };
        // A line that a kill cut off named nothing that was written. Later lines count.
        let whole = &told[..told.rfind('\n').map_or(0, |end| end + 1)];
        let (mut own, mut noted) = (BTreeSet::new(), BTreeMap::new());
        for line in whole.lines() {
            match line.split_once(' ') {
                Some(("file", file)) if is_below(file) => {
                    own.insert(file.to_owned());
                }
                Some(("feed", note)) => {
                    let mut words = note.split(' ');
                    if let (Some(feed), Some(Ok(number)), Some(fingerprint)) =
                        (words.next(), words.next().map(str::parse), words.next())
                    {
                        let fingerprint = fingerprint.to_owned();
                        noted.insert(feed.to_owned(), Note { number, fingerprint });
                    }
                }
                _ => {}
            }
        }
        if whole.len() < told.len() || !path.exists() {
            write_whole(&path, whole.as_bytes(), None).map_err(TreeError::at(&path))?;
        }
        let manifest = OpenOptions::new().append(true).open(&path).map_err(TreeError::at(&path))?;
        let tree = Self {
            root: root.to_owned(),
            own,
            kept: BTreeSet::new(),
            noted,
            notes: BTreeMap::new(),
            manifest,
            _lock: lock,
            tally: Tally::default(),
        };
        tree.sweep();
        Ok(tree)
    }

    /// What a killed export left unfinished.
    fn sweep(&self) {
        let folders: BTreeSet<&Path> =
            self.own.iter().filter_map(|file| Path::new(file).parent()).chain([Path::new("")]).collect();
        for folder in folders {
            // Mostly there is none.
            let _ = fs::remove_file(self.root.join(folder).join(PART));
        }
    }

    /// As of when a feed was exported before.
    pub fn note(&self, feed: &str) -> Option<&Note> {
        self.noted.get(feed)
    }

    /// Notes that a feed is about to be exported: whatever happens, it is not as it was.
    pub fn begin(&mut self, feed: &str) -> Result<(), TreeError> {
        self.tell(&format!("feed {feed} -1 -"))
    }

    /// Notes that all of a feed is exported.
    pub fn end(&mut self, feed: &str, note: Note) {
        self.notes.insert(feed.to_owned(), note);
    }

    /// Keeps a document that is known to be as it was. False where a file of it is missing.
    pub fn keep(&mut self, path: &str) -> bool {
        let files = files_of(path).map(|(_, file)| file);
        let there = |file: &String| {
            let size = fs::metadata(self.root.join(file)).map(|data| data.len());
            self.own.contains(file) && size.is_ok_and(|size| size > 0)
        };
        let all = files.iter().all(there);
        if all {
            self.tally.unchanged += files.len() as u64;
            self.kept.extend(files);
        }
        all
    }

    /// Puts a document where it belongs, with its pre-compressed siblings. What has these bytes
    /// already is left alone, its date too.
    pub fn put(&mut self, path: &str, bytes: &[u8], changed_at: Instant) -> Result<(), TreeError> {
        let target = self.root.join(path);
        let before = self.own.contains(path).then(|| fs::read(&target).ok()).flatten();
        let same = before.is_some_and(|before| before == bytes);
        let modified = self.modified(&target, same, changed_at);
        for (coding, file) in files_of(path) {
            let target = self.root.join(&file);
            if same && self.own.contains(&file) && target.exists() {
                self.tally.unchanged += 1;
            } else {
                self.claim(&file, &target)?;
                let coded = coding.encode(bytes).map_err(TreeError::at(&target))?;
                write_whole(&target, &coded, Some(modified)).map_err(TreeError::at(&target))?;
                self.tally.written += 1;
            }
            self.kept.insert(file);
        }
        Ok(())
    }

    /// The date of a document: that of its change. Servers make Last-Modified and ETag of the
    /// date's second, so new bytes never have that of the old ones.
    fn modified(&self, target: &Path, same: bool, changed_at: Instant) -> SystemTime {
        let changed = SystemTime::from(changed_at.trunc_subsecs(0));
        match fs::metadata(target).and_then(|data| data.modified()) {
            Ok(before) if same => before,
            Ok(before) if self.own.contains(&self.name_of(target)) => {
                changed.max(before + Duration::from_secs(1))
            }
            _ => changed,
        }
    }

    fn name_of(&self, target: &Path) -> String {
        target.strip_prefix(&self.root).unwrap_or(target).display().to_string()
    }

    /// Puts a file on the list before it is written: whatever ends the export, the next one knows
    /// what is ours.
    fn claim(&mut self, file: &str, target: &Path) -> Result<(), TreeError> {
        if self.own.contains(file) {
            return Ok(());
        }
        if fs::symlink_metadata(target).is_ok() {
            return Err(TreeError::InTheWay(target.display().to_string()));
        }
        self.tell(&format!("file {file}"))?;
        self.own.insert(file.to_owned());
        Ok(())
    }

    fn tell(&mut self, line: &str) -> Result<(), TreeError> {
        let path = self.root.join(MANIFEST);
        self.manifest.write_all(format!("{line}\n").as_bytes()).map_err(TreeError::at(&path))
    }

    /// Removes what is ours and published no longer, and writes the list anew.
    pub fn finish(mut self) -> Result<Tally, TreeError> {
        for file in self.own.difference(&self.kept) {
            let target = self.root.join(file);
            match fs::remove_file(&target) {
                Ok(()) => self.tally.removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(TreeError::at(&target)(error)),
            }
            // Folders that are empty now; the first that is not ends it.
            for folder in Path::new(file).ancestors().skip(1).filter(|folder| *folder != Path::new("")) {
                if fs::remove_dir(self.root.join(folder)).is_err() {
                    break;
                }
            }
        }
        let mut list = format!("{PREAMBLE}\n");
        for file in &self.kept {
            list.push_str(&format!("file {file}\n"));
        }
        for (feed, Note { number, fingerprint }) in &self.notes {
            list.push_str(&format!("feed {feed} {number} {fingerprint}\n"));
        }
        let path = self.root.join(MANIFEST);
        if fs::read(&path).ok().is_none_or(|before| before != list.as_bytes()) {
            write_whole(&path, list.as_bytes(), None).map_err(TreeError::at(&path))?;
        }
        Ok(self.tally)
    }
}

/// The files of a document.
fn files_of(path: &str) -> [(Coding, String); 4] {
    Coding::ALL.map(|coding| match coding.file_ending() {
        Some(ending) => (coding, format!("{path}.{ending}")),
        None => (coding, path.to_owned()),
    })
}

/// Whether a path of the list leads into the folder, as each that we wrote does.
fn is_below(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Beside, then over: whoever reads has the old bytes or the new ones.
fn write_whole(target: &Path, bytes: &[u8], modified: Option<SystemTime>) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    let part = folder.join(PART);
    let mut file = File::create(&part)?;
    file.write_all(bytes)?;
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    drop(file);
    fs::rename(&part, target).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Instant {
        crate::domain::from_micros(second * 1_000_000)
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_our_own_files_are_ever_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("ra");
        let mut tree = Tree::open(&root).unwrap();
        tree.put("a.xml", b"a", at(1)).unwrap();
        tree.put("b/c.xml", b"c", at(1)).unwrap();
        assert_eq!(tree.finish().unwrap(), Tally { written: 8, unchanged: 0, removed: 0 });
        fs::write(root.join("mine.html"), "mine").unwrap();
        fs::write(folder.path().join("outside"), "mine").unwrap();
        let list = fs::read_to_string(root.join(MANIFEST)).unwrap();
        fs::write(root.join(MANIFEST), format!("{list}file ../outside\nfile /outside\nfile mine.ht"))
            .unwrap();
        let mut tree = Tree::open(&root).unwrap();
        tree.put("a.xml", b"a", at(9)).unwrap();
        assert_eq!(tree.finish().unwrap(), Tally { written: 0, unchanged: 4, removed: 4 });
        assert_eq!(names(&root), [MANIFEST, "a.xml", "a.xml.br", "a.xml.gz", "a.xml.zst", "mine.html"]);
        assert!(folder.path().join("outside").exists());
        let mut tree = Tree::open(&root).unwrap();
        assert!(matches!(tree.put("mine.html", b"ours", at(1)), Err(TreeError::InTheWay(_))));
        assert_eq!(fs::read(root.join("mine.html")).unwrap(), b"mine");
    }

    #[test]
    fn new_bytes_have_a_later_second_and_old_ones_keep_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let mut dates = Vec::new();
        for (bytes, second) in [("a", 100), ("a", 200), ("b", 100), ("c", 500)] {
            let mut tree = Tree::open(folder.path()).unwrap();
            tree.put("x", bytes.as_bytes(), at(second)).unwrap();
            tree.finish().unwrap();
            let date = fs::metadata(folder.path().join("x.gz")).unwrap().modified().unwrap();
            dates.push(date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        }
        assert_eq!(dates, [100, 100, 101, 500]);
    }

    #[test]
    fn what_an_export_left_unfinished_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut tree = Tree::open(root).unwrap();
        tree.begin("a").unwrap();
        tree.put("b/a.xml", b"a", at(1)).unwrap();
        assert!(matches!(Tree::open(root), Err(TreeError::Busy(_))));
        drop(tree);
        fs::write(root.join("b").join(PART), "half").unwrap();
        let mut tree = Tree::open(root).unwrap();
        assert_eq!(names(&root.join("b")), ["a.xml", "a.xml.br", "a.xml.gz", "a.xml.zst"]);
        assert_eq!(tree.note("a").unwrap().number, -1);
        tree.end("a", Note { number: 7, fingerprint: "f".into() });
        assert!(tree.keep("b/a.xml") && !tree.keep("b/c.xml"));
        tree.finish().unwrap();
        fs::write(root.join("b/a.xml"), "").unwrap();
        let mut tree = Tree::open(root).unwrap();
        assert_eq!(tree.note("a"), Some(&Note { number: 7, fingerprint: "f".into() }));
        assert!(!tree.keep("b/a.xml"), "an empty file is no document");
        tree.finish().unwrap();
        assert_eq!(names(root), [MANIFEST]);
    }

    #[test]
    fn a_folder_of_somebody_elses_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.html"), "mine").unwrap();
        assert!(Tree::open(folder.path()).is_err_and(|error| error.is_unusable()));
        assert_eq!(names(folder.path()), ["index.html"]);
        assert!(Tree::open(&folder.path().join("index.html")).is_err_and(|error| error.is_unusable()));
    }
}
