use super::roster::{Header, Reading};
use crate::app::App;
use crate::cli::print_json;
use crate::store::{Enrolled, ListedReader};
use crate::subscribe::enrol;
use anyhow::{Context as _, bail};
use csv::{Position, ReaderBuilder, StringRecord};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::{BufRead, BufReader, IsTerminal as _, Read};
use std::path::Path;
use std::process::ExitCode;

/// Readers in one transaction: enough that its commit vanishes, few enough that others hardly wait.
const BATCH: usize = 100;

/// What became of the lines.
#[derive(Default)]
struct Tally {
    taken: usize,
    asked: usize,
    unchanged: usize,
    refused: usize,
}

/// Takes a list of readers over, line by line.
pub(super) async fn import(app: &App, file: &Path, ask: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let name = file.display().to_string();
    let input: Box<dyn Read> = match name.as_str() {
        "-" => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(file).with_context(|| format!("{name} cannot be opened"))?),
    };
    let mut input = BufReader::new(input);
    let semicolons = has_semicolons(input.fill_buf()?);
    let delimiter = if semicolons { b';' } else { b',' };
    // By LF alone: with CR LF the parser tells the line before. Cells are trimmed of their CR.
    let mut lines = ReaderBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::Any(b'\n'))
        .flexible(true)
        .has_headers(false)
        .from_reader(input);
    let mut record = StringRecord::new();
    if !lines.read_record(&mut record).with_context(|| format!("{name} is no CSV in UTF-8"))? {
        bail!("{name} is empty");
    }
    let (header, unknown) = Header::read(&record).map_err(|fault| anyhow::anyhow!("{name}:1: {fault}"))?;
    for column in unknown {
        eprintln!("{name}:1: warning: the column `{column}` means nothing here and is passed over");
    }
    let directory = app.representations.directory();
    let reading = Reading {
        directory: &directory,
        calendar: app.desk.calendar(),
        language: app.publication.language.spoken(),
        ask,
        now: app.clock.now(),
    };
    let bar = progress();
    let mut tally = Tally::default();
    let mut waiting: Vec<(u64, ListedReader)> = Vec::new();
    loop {
        let read = lines.read_record(&mut record);
        let line = record.position().map_or(0, Position::line);
        let fault = match read {
            Ok(false) => break,
            Ok(true) if record.iter().all(|cell| cell.trim().is_empty()) => continue,
            Ok(true) => match reading.line(&header, &record) {
                Ok(reader) => {
                    waiting.push((line, reader));
                    None
                }
                Err(fault) => Some((line, fault)),
            },
            Err(error) => match error.kind() {
                csv::ErrorKind::Utf8 { pos, .. } => {
                    let line = pos.as_ref().map_or(line, Position::line);
                    Some((line, "is not UTF-8; save the list as \"CSV UTF-8\"".to_owned()))
                }
                _ => return Err(error).with_context(|| format!("{name} cannot be read")),
            },
        };
        if let Some((line, fault)) = fault {
            refuse(&bar, &mut tally, &name, line, &fault);
        }
        if waiting.len() >= BATCH {
            store(app, &name, &bar, &mut tally, &mut waiting).await?;
        }
    }
    store(app, &name, &bar, &mut tally, &mut waiting).await?;
    bar.finish_and_clear();
    let Tally { taken, asked, unchanged, refused } = tally;
    if as_json {
        print_json(&json!({ "taken": taken, "asked": asked, "unchanged": unchanged, "refused": refused }));
    } else {
        println!("{taken} subscribed, {asked} asked by mail, {unchanged} unchanged, {refused} refused");
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Excel writes them where the comma stands in numbers, as in Vietnamese.
fn has_semicolons(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted| line.iter().filter(|byte| **byte == wanted).count();
    count(b';') > count(b',')
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} readers, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn refuse(bar: &ProgressBar, tally: &mut Tally, name: &str, line: u64, fault: &str) {
    tally.refused += 1;
    bar.suspend(|| eprintln!("{name}:{line}: {fault}"));
}

async fn store(
    app: &App,
    name: &str,
    bar: &ProgressBar,
    tally: &mut Tally,
    waiting: &mut Vec<(u64, ListedReader)>,
) -> anyhow::Result<()> {
    let (lines, readers): (Vec<u64>, Vec<ListedReader>) = std::mem::take(waiting).into_iter().unzip();
    let secret = &app.desk.secret;
    let answers = enrol(&app.store, secret, &readers, &app.desk.calendar(), app.clock.now()).await?;
    for (line, answer) in lines.into_iter().zip(answers) {
        let day = |at: crate::domain::Instant| at.with_timezone(&app.publication.time_zone).date_naive();
        match answer {
            Enrolled::Taken => tally.taken += 1,
            Enrolled::Asked => tally.asked += 1,
            Enrolled::AskedBefore | Enrolled::AlreadyThere => tally.unchanged += 1,
            Enrolled::Suppressed => {
                refuse(bar, tally, name, line, "this address must not be mailed: it bounced or complained");
            }
            Enrolled::Left(at) => {
                let mend = "a list brings nobody back, but a `consent_at` after that does";
                refuse(bar, tally, name, line, &format!("left on {}; {mend}", day(at)));
            }
            Enrolled::Erased(at) => {
                let mend = "only a `consent_at` after that takes the address again";
                refuse(bar, tally, name, line, &format!("asked on {} to be forgotten; {mend}", day(at)));
            }
        }
    }
    bar.inc(readers.len() as u64);
    Ok(())
}
