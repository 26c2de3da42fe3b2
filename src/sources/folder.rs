//! A folder that is watched: whatever lies in it for two looks as it is, is taken. Nothing is moved.

use super::catch::Catch;
use super::looking::{Looked, Next, SourceError};
use super::{Source, Sources};
use crate::intake::{detect, read};
use crate::store::{ClaimedSource, Taken};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The largest file that is read at once.
const MAX_BYTES: u64 = 64 << 20;
/// How many files are asked for at once whether they changed.
const FILES: usize = 1_000;

impl Sources {
    /// Looks into a folder. A file that is still being written changes between two looks; one that was
    /// moved into its place waits for the second too.
    pub(super) async fn look_at_folder(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        folder: &Path,
    ) -> Result<Looked, SourceError> {
        let root = folder.to_owned();
        let met = blocking(move || stamps(&root)).await?;
        let mut sum = Taken::default();
        for part in met.chunks(FILES) {
            for open in self.store.meet_items(claimed.id, part).await? {
                if self.stop.is_cancelled() {
                    return Err(SourceError::Stopped);
                }
                let path = folder.join(&open.item);
                let (file, stamp) = (path.clone(), open.wanted.clone());
                let name = path.display().to_string();
                let mut catch = Catch::default();
                match blocking(move || whole(&file, &stamp)).await {
                    // It changed under the eyes: the next look meets it anew.
                    Ok(None) => continue,
                    Ok(Some(bytes)) => {
                        let intake = self.intake(source, &name, Some(detect(&name, &bytes)), None);
                        let (read, now) = (read(&intake, &bytes), self.clock.now());
                        catch.add(source, (&open.item, &open.wanted), &name, read, now);
                    }
                    Err(error) => catch.note(&open.item, &open.wanted, Some(error.to_string())),
                }
                let taken = self.take(claimed.id, source, catch, None, false).await?;
                sum.new += taken.new;
                sum.revised += taken.revised;
                sum.unchanged += taken.unchanged;
                sum.drafts += taken.drafts;
            }
        }
        Ok(Looked { taken: sum, memory: None, next: Next::InTime })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, SourceError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
    done.map_err(|error| SourceError::Failed(error.to_string()))
}

/// The files below a folder, each with what tells that it was written anew.
fn stamps(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let told = |error: io::Error| io::Error::other(format!("{}: {error}", folder.display()));
    std::fs::read_dir(folder).map_err(told)?;
    let mut stamps = Vec::new();
    for path in files_below(folder) {
        // What is gone by now is met no more.
        let Ok(stamp) = std::fs::metadata(&path).map(|about| stamp(&about)) else { continue };
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        stamps.push((name, stamp));
    }
    Ok(stamps)
}

fn stamp(about: &std::fs::Metadata) -> String {
    format!("{}.{:09} {} {}", about.mtime(), about.mtime_nsec(), about.len(), about.ino())
}

/// A file as a whole; `None` where it is not the one that stood still.
fn whole(path: &Path, wanted: &str) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_BYTES {
        return Err(io::Error::other("is larger than 64 MB; split it, or use `bantin import`"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok((stamp(&std::fs::metadata(path)?) == wanted).then_some(bytes))
}

/// The files of a folder and of those below it, in the order of their names.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if !is_beside_articles(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// What lies in folders beside articles: pictures, films, style sheets, and the pages of sections that
/// Hugo and Zola call `_index.md`.
fn is_beside_articles(path: &Path) -> bool {
    const ENDINGS: [&str; 20] = [
        "jpg", "jpeg", "png", "gif", "webp", "avif", "svg", "ico", "mp3", "mp4", "webm", "pdf", "doc",
        "docx", "css", "js", "woff", "woff2", "zip", "gz",
    ];
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
        || path.file_stem().is_some_and(|stem| stem == "_index")
}
