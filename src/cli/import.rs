use super::{Common, print_json};
use crate::app::{SystemChance, SystemClock};
use crate::domain::{CategoryName, Clock as _, Draft, Instant, clean_line};
use crate::intake::{Arrival, Fault, InputFormat, Intake, detect, read, read_json_line};
use crate::publish::{self, BATCH, Occasion};
use crate::store::{Accepted, Store};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The largest single page or feed that is read at once. JSONL is read line by line instead.
const MAX_BYTES: u64 = 64 << 20;

/// Take articles in: pages, captured text, JSON, JSONL, RSS, Atom, JSON Feed.
#[derive(Args)]
pub struct Import {
    /// Files, folders, or - for standard input
    #[arg(required = true, value_name = "PATH", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    /// The category of articles that name none
    #[arg(long, value_name = "TITLE")]
    category: Option<String>,
    /// What the inputs are, where the program should not find out by itself
    #[arg(long, value_name = "text|html|json|jsonl|feed")]
    format: Option<InputFormat>,
    /// Say what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Into the feeds, never into a digest [default: when many of the articles are older than a week]
    #[arg(long, conflicts_with = "news")]
    archive: bool,
    /// Into the feeds and the next digests, however old
    #[arg(long)]
    news: bool,
}

/// What became of the inputs.
#[derive(Default)]
struct Tally {
    new: usize,
    revised: usize,
    unchanged: usize,
    failed: usize,
}

struct Desk<'a> {
    store: Option<Store>,
    /// `None` until it is known.
    occasion: Option<Occasion>,
    zone: chrono_tz::Tz,
    category: Option<CategoryName>,
    format: Option<InputFormat>,
    json: bool,
    bar: &'a ProgressBar,
    waiting: Vec<(String, Draft)>,
    tally: Tally,
}

impl Import {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let config = common.config()?;
        let store = if self.dry_run {
            None
        } else {
            let store = Store::open(&config.store).await?;
            store.migrate(SystemClock.now()).await?;
            store.installation(SystemClock.now(), &SystemChance).await?;
            Some(store)
        };
        let bar = progress();
        let mut desk = Desk {
            store,
            occasion: match (self.archive, self.news) {
                (true, _) => Some(Occasion::Archive),
                (_, true) => Some(Occasion::News),
                _ => None,
            },
            zone: config.publication.time_zone,
            category: self.category.as_deref().map(clean_line).filter(|c| !c.is_empty()).map(CategoryName),
            format: self.format,
            json: common.json,
            bar: &bar,
            waiting: Vec::new(),
            tally: Tally::default(),
        };
        for input in &self.inputs {
            desk.take(input).await?;
        }
        desk.store_waiting().await?;
        bar.finish_and_clear();
        let Tally { new, revised, unchanged, failed } = desk.tally;
        if common.json {
            print_json(
                &json!({ "new": new, "revised": revised, "unchanged": unchanged, "failed": failed, "dry_run": self.dry_run }),
            );
        } else {
            let would = if self.dry_run { " (dry run: nothing was stored)" } else { "" };
            println!("{new} new, {revised} revised, {unchanged} unchanged, {failed} failed{would}");
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A spinner on a terminal, nothing elsewhere.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} articles, {per_sec}, {elapsed} {wide_msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

impl Desk<'_> {
    /// One input. What is wrong with it is told and counted; only a store that fails ends the run.
    async fn take(&mut self, input: &str) -> anyhow::Result<()> {
        if input.starts_with("http://") || input.starts_with("https://") {
            self.complain(input, "addresses are not fetched yet; save the page and import the file");
            return Ok(());
        }
        if input == "-" {
            return self.take_stream("-", std::io::stdin().lock()).await;
        }
        let path = Path::new(input);
        if path.is_dir() {
            for file in files_below(path) {
                self.take_file(&file).await?;
            }
            return Ok(());
        }
        self.take_file(path).await
    }

    async fn take_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.display().to_string();
        match std::fs::File::open(path) {
            Ok(file) => self.take_stream(&name, file).await,
            Err(error) => {
                self.complain(&name, &format!("cannot be opened: {error}"));
                Ok(())
            }
        }
    }

    async fn take_stream(&mut self, name: &str, stream: impl Read) -> anyhow::Result<()> {
        let lines = self.format == Some(InputFormat::JsonLines)
            || self.format.is_none() && (name.ends_with(".jsonl") || name.ends_with(".ndjson"));
        if lines {
            return self.take_lines(name, stream).await;
        }
        let mut bytes = Vec::new();
        match stream.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
            Err(error) => self.complain(name, &format!("cannot be read: {error}")),
            Ok(_) if bytes.len() as u64 > MAX_BYTES => {
                self.complain(name, "is larger than 64 MB; split it, or turn it into JSONL");
            }
            Ok(_) => {
                let format = self.format.unwrap_or_else(|| detect(name, &bytes));
                for result in read(&self.intake(name, Some(format)), &bytes) {
                    self.arrive(name, result).await?;
                }
            }
        }
        Ok(())
    }

    /// Line by line, so that an export of any size takes constant memory.
    async fn take_lines(&mut self, name: &str, stream: impl Read) -> anyhow::Result<()> {
        for (at, line) in BufReader::new(stream).split(b'\n').enumerate() {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    self.complain(name, &format!("line {}: cannot be read: {error}", at + 1));
                    break;
                }
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let result = read_json_line(&self.intake(name, Some(InputFormat::JsonLines)), at + 1, &line);
            self.arrive(name, result).await?;
        }
        Ok(())
    }

    fn intake<'n>(&self, name: &'n str, format: Option<InputFormat>) -> Intake<'n> {
        Intake { name, format, base: None, zone: self.zone, category: self.category.clone() }
    }

    async fn arrive(&mut self, name: &str, result: Result<Arrival, Fault>) -> anyhow::Result<()> {
        match result {
            Err(fault) => self.complain(name, &fault.to_string()),
            Ok(arrival) => {
                for warning in &arrival.warnings {
                    let place = warning.line.map(|line| format!(":{line}")).unwrap_or_default();
                    self.bar.suspend(|| eprintln!("{name}{place}: warning: {}", warning.message));
                }
                self.waiting.push((name.to_owned(), arrival.draft));
                if self.waiting.len() >= BATCH {
                    self.store_waiting().await?;
                }
            }
        }
        Ok(())
    }

    async fn store_waiting(&mut self) -> anyhow::Result<()> {
        let (names, drafts): (Vec<String>, Vec<Draft>) =
            std::mem::take(&mut self.waiting).into_iter().unzip();
        let Some(store) = &self.store else {
            for draft in &drafts {
                self.tally.new += 1;
                self.bar.suspend(|| println!("{}", describe(draft)));
            }
            return Ok(());
        };
        let now = SystemClock.now();
        if self.occasion.is_none() && looks_like_an_archive(&drafts, now) {
            self.occasion = Some(Occasion::Archive);
            self.bar.suspend(|| {
                eprintln!("most of these are older than a week: taken as an archive, into feeds but never into a digest; --news mails them all the same");
            });
        }
        let occasion = self.occasion.unwrap_or(Occasion::News);
        let accepted = publish::accept(store, &drafts, occasion, now, &SystemChance).await?;
        for ((name, draft), acceptance) in names.iter().zip(&drafts).zip(&accepted) {
            let what = match &acceptance.what {
                Accepted::New => {
                    self.tally.new += 1;
                    "new".to_owned()
                }
                Accepted::Revised { number, .. } => {
                    self.tally.revised += 1;
                    format!("revision {number}")
                }
                Accepted::Unchanged => {
                    self.tally.unchanged += 1;
                    "unchanged".to_owned()
                }
            };
            if self.json {
                print_json(
                    &json!({ "input": name, "id": acceptance.id, "what": what, "title": draft.title }),
                );
            } else if drafts.len() <= 20 {
                self.bar.suspend(|| println!("{name}: {what}: {} ({})", draft.title, acceptance.id));
            }
        }
        self.bar.inc(drafts.len() as u64);
        Ok(())
    }

    fn complain(&mut self, name: &str, what: &str) {
        self.tally.failed += 1;
        self.bar.suspend(|| eprintln!("{name}: {what}"));
    }
}

/// Whether somebody is bringing in the years before. A handful of old articles is news to us.
fn looks_like_an_archive(drafts: &[Draft], now: Instant) -> bool {
    const HANDFUL: usize = 50;
    let week_ago = now - chrono::Duration::days(7);
    let old = drafts.iter().filter(|draft| draft.published.is_some_and(|at| at < week_ago)).count();
    old > HANDFUL && old * 2 > drafts.len()
}

/// What a draft would become, for a dry run.
fn describe(draft: &Draft) -> String {
    let list = |names: Vec<&str>| names.join(", ");
    format!(
        "{}\n  categories: {}\n  published:  {}\n  authors:    {}\n  source:     {}\n  summary:    {}\n  body:       {} characters",
        draft.title,
        list(draft.categories.iter().map(|c| c.0.as_str()).collect()),
        draft.published.map_or_else(|| "when it is imported".to_owned(), |p| p.to_rfc3339()),
        list(draft.authors.iter().map(String::as_str).collect()),
        draft.source.as_ref().map_or("", |s| s.title.as_str()),
        draft.summary.as_deref().map(|s| crate::domain::excerpt(s, 120)).unwrap_or_default(),
        draft.body.text().chars().count(),
    )
}

/// The files of a folder and of those below it, in the order of their names.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
