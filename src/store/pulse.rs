use super::Store;
use std::time::SystemTime;

/// How the store's journal looked at a moment. Another one means that somebody has written since; the same
/// one means little, as a file's time is as coarse as the kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    length: u64,
    written_at: Option<SystemTime>,
}

impl Store {
    /// A glance from outside, in a few microseconds and without a question: every commit of SQLite goes to the
    /// write-ahead log, <https://www.sqlite.org/walformat.html> §3. `None` of a server.
    pub fn pulse(&self) -> Option<Pulse> {
        let journal = std::fs::metadata(self.journal.as_ref()?).ok()?;
        Some(Pulse { length: journal.len(), written_at: journal.modified().ok() })
    }
}
