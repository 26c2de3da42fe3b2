use super::{Desk, MESSAGE_BYTES};
use crate::bounce::Arrival;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

/// How often the folder is looked into.
const PERIOD: Duration = Duration::from_secs(5);

/// Watches a Maildir: what lies in `new` is taken and moved to `cur` as seen, until it is asked to stop.
pub async fn watch(desk: Desk, folder: PathBuf, stop: CancellationToken) {
    let mut is_told = false;
    loop {
        match look(&desk, &folder).await {
            Ok(_) => is_told = false,
            // Once: a folder that is not there stays so for a while.
            Err(error) if !is_told => {
                is_told = true;
                tracing::error!(folder = %folder.display(), %error, "bounces in the Maildir are not taken; tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Takes everything that is new, the oldest name first. Returns how many messages that were.
async fn look(desk: &Desk, folder: &Path) -> io::Result<usize> {
    let mut entries = tokio::fs::read_dir(folder.join("new")).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_type().await?.is_file() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    for name in &names {
        let path = folder.join("new").join(name);
        let mut bytes = Vec::new();
        let file = tokio::fs::File::open(&path).await?;
        file.take(MESSAGE_BYTES as u64).read_to_end(&mut bytes).await?;
        let arrival = Arrival { way: "maildir", recipient: None };
        desk.take(&bytes, arrival).await.map_err(io::Error::other)?;
        // The letters behind the colon are those of the Maildir form: S is seen.
        let mut seen = name.clone();
        seen.push(":2,S");
        tokio::fs::rename(&path, folder.join("cur").join(seen)).await?;
    }
    Ok(names.len())
}
