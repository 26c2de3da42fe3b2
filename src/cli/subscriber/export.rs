use super::roster::{COLUMNS, lines};
use crate::app::App;
use crate::cli::out;
use crate::domain::{SubscriberId, SubscriberState};
use std::io::Write as _;

/// Readers looked up at once: memory stays flat, however many there are.
const PAGE: usize = 500;

/// Prints the list as CSV.
pub(super) async fn export(app: &App, state: Option<SubscriberState>, mark: bool) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(out::stdout());
    if mark {
        out.write_all("\u{feff}".as_bytes())?;
    }
    let mut list = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    list.write_record(COLUMNS)?;
    let directory = app.representations.directory();
    let mut after = SubscriberId(0);
    loop {
        let entries = app.store.roster(after, state, PAGE).await?;
        let Some(last) = entries.last() else { break };
        after = last.reader.id;
        for line in entries.iter().flat_map(|entry| lines(entry, &directory)) {
            list.write_record(line)?;
        }
    }
    Ok(list.flush()?)
}
