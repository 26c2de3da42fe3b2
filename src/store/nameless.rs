use super::Store;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

impl Store {
    /// Bytes in a file beside SQLite's that has no name and goes with its handle. `None` on PostgreSQL, where
    /// there is no folder to write to.
    pub fn nameless(&self, bytes: &[u8]) -> io::Result<Option<OwnedFd>> {
        let Some(folder) = self.journal.as_deref().and_then(Path::parent) else { return Ok(None) };
        // Of a file in the working folder the parent is empty.
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(bytes)?;
        Ok(Some(file.into()))
    }
}
