use super::addresses::Addresses;
use super::pictures::PictureFile;
use super::rehearsal;
use super::{Common, print_json};
use crate::app::{SystemChance, SystemClock};
use crate::domain::{CategoryName, Clock as _, Doubt, Draft, Instant, WebUrl, clean_line};
use crate::intake::{
    Arrival, Fault, InputFormat, Intake, ReadingRules, detect, is_gzip, read, read_json_line, unpacked,
    wordpress,
};
use crate::publish::{self, BATCH, Occasion};
use crate::sources::files_below;
use crate::store::{Accepted, Doubtful, Kept, Store};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::{BufRead, BufReader, IsTerminal, Read as _};
use std::path::Path;
use std::process::ExitCode;

/// The largest single page or feed that is read at once. JSONL is read line by line instead.
const MAX_BYTES: u64 = 64 << 20;

/// Take articles in: pages, captured text, Markdown, JSON, JSONL, RSS, Atom, JSON Feed, WordPress, Ghost.
#[derive(Args)]
pub struct Import {
    /// Files, folders, addresses, or - for standard input
    #[arg(required = true, value_name = "PATH", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    /// The category of articles that name none
    #[arg(long, value_name = "TITLE")]
    category: Option<String>,
    /// The title, where a page does not show it surely; for one article
    #[arg(long)]
    title: Option<String>,
    /// When it was published, where a page does not show it surely, like 2024-04-04T04:30:00+07:00; for one article
    #[arg(long, value_name = "INSTANT", value_parser = chrono::DateTime::parse_from_rfc3339)]
    published: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// Publish also what is doubtful, as it was guessed, instead of keeping it as a draft
    #[arg(long)]
    doubtful: bool,
    /// The address of the site that files come from: relative addresses are resolved against it
    #[arg(long, value_name = "URL")]
    base: Option<WebUrl>,
    /// Of a sitemap or a page that lists articles, fetch the articles
    #[arg(long)]
    follow: bool,
    /// Fetch addresses inside the own network too
    #[arg(long)]
    private: bool,
    /// What the inputs are, where the program should not find out by itself
    #[arg(long, value_name = "text|html|markdown|json|jsonl|feed|wxr|ghost|sitemap")]
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
    /// That wait for a person.
    drafts: usize,
    failed: usize,
}

struct Desk<'a> {
    store: Option<Store>,
    /// `None` until it is known.
    occasion: Option<Occasion>,
    zone: chrono_tz::Tz,
    category: Option<CategoryName>,
    title: Option<String>,
    published: Option<Instant>,
    doubtful: bool,
    base: Option<WebUrl>,
    follow: bool,
    addresses: Addresses,
    rules: ReadingRules,
    format: Option<InputFormat>,
    json: bool,
    bar: &'a ProgressBar,
    waiting: Vec<(String, Arrival)>,
    articles: usize,
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
            title: self.title.as_deref().map(clean_line).filter(|title| !title.is_empty()),
            published: self.published.map(|at| at.to_utc()),
            doubtful: self.doubtful,
            base: self.base,
            follow: self.follow,
            addresses: Addresses::new(self.private),
            rules: config.rules.clone(),
            format: self.format,
            json: common.json,
            bar: &bar,
            waiting: Vec::new(),
            articles: 0,
            tally: Tally::default(),
        };
        for input in &self.inputs {
            desk.take(input).await?;
        }
        desk.store_waiting().await?;
        bar.finish_and_clear();
        let Tally { new, revised, unchanged, drafts, failed } = desk.tally;
        if common.json {
            print_json(
                &json!({ "new": new, "revised": revised, "unchanged": unchanged, "drafts": drafts, "failed": failed, "dry_run": self.dry_run }),
            );
        } else {
            let would = if self.dry_run { " (dry run: nothing was stored)" } else { "" };
            let waiting = if drafts > 0 { format!(", {drafts} kept as drafts") } else { String::new() };
            println!("{new} new, {revised} revised, {unchanged} unchanged, {failed} failed{waiting}{would}");
        }
        Ok(if failed + drafts == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The pictures of an export that can be read twice.
fn collected(export: Option<&Path>) -> std::io::Result<PictureFile> {
    let mut pictures = PictureFile::new()?;
    if let Some(path) = export {
        wordpress::collect_pictures(BufReader::new(std::fs::File::open(path)?), &mut pictures)?;
    }
    Ok(pictures)
}

/// A bar over the bytes of a file on a terminal, nothing elsewhere.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {elapsed} {wide_msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Desk<'_> {
    /// One input. What is wrong with it is told and counted; only a store that fails ends the run.
    async fn take(&mut self, input: &str) -> anyhow::Result<()> {
        if input.starts_with("http://") || input.starts_with("https://") {
            return self.take_address(input).await;
        }
        if input == "-" {
            return self.take_stream("-", std::io::stdin().lock(), None).await;
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
            Ok(file) => {
                if let Ok(about) = file.metadata() {
                    self.bar.set_length(about.len());
                    self.bar.set_position(0);
                }
                let reader = BufReader::new(self.bar.wrap_read(file));
                self.take_stream(&name, reader, Some(path)).await
            }
            Err(error) => {
                self.complain(&name, &format!("cannot be opened: {error}"));
                Ok(())
            }
        }
    }

    /// One file or standard input, its format told by its first bytes. Exports of any size are read a
    /// piece at a time.
    async fn take_stream(
        &mut self,
        name: &str,
        mut stream: impl BufRead,
        path: Option<&Path>,
    ) -> anyhow::Result<()> {
        // Packed it is read as a whole, so that a bomb costs no more than a large file.
        if stream.fill_buf().is_ok_and(is_gzip) {
            return self.take_whole(name, stream).await;
        }
        let by_ending = name.ends_with(".jsonl") || name.ends_with(".ndjson");
        let format = match (self.format, stream.fill_buf()) {
            (Some(format), _) => format,
            (None, Ok(_)) if by_ending => InputFormat::JsonLines,
            (None, Ok(head)) => detect(name, head),
            (None, Err(error)) => {
                self.complain(name, &format!("cannot be read: {error}"));
                return Ok(());
            }
        };
        match format {
            InputFormat::JsonLines => self.take_lines(name, stream).await,
            InputFormat::WordPress => self.take_export(name, stream, path).await,
            _ => self.take_whole(name, stream).await,
        }
    }

    /// What is read as a whole.
    async fn take_whole(&mut self, name: &str, stream: impl BufRead) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        match stream.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
            Err(error) => self.complain(name, &format!("cannot be read: {error}")),
            Ok(_) if bytes.len() as u64 > MAX_BYTES => {
                self.complain(name, "is larger than 64 MB; split it, or turn it into JSONL");
            }
            // The whole file tells more than its first bytes.
            Ok(_) => match unpacked(bytes) {
                Ok(bytes) => {
                    let plain = name.strip_suffix(".gz").unwrap_or(name);
                    let format = self.format.unwrap_or_else(|| detect(plain, &bytes));
                    self.take_bytes(name, format, &bytes, self.base.clone()).await?;
                }
                Err(fault) => self.complain(name, &fault.to_string()),
            },
        }
        Ok(())
    }

    /// What is in memory as a whole.
    async fn take_bytes(
        &mut self,
        name: &str,
        format: InputFormat,
        bytes: &[u8],
        base: Option<WebUrl>,
    ) -> anyhow::Result<()> {
        if format == InputFormat::Sitemap && self.follow {
            let found = self.addresses.of_sitemap(bytes).await;
            return self.take_all(name, found).await;
        }
        let rules = self.rules.clone();
        let mut intake = self.intake(name, Some(format), &rules);
        intake.base = base.clone();
        for result in read(&intake, bytes) {
            let listed = match (&result, &base) {
                (Err(fault), Some(base)) if self.follow && fault.is_listing => {
                    crate::intake::article_links(bytes, base)
                }
                _ => Vec::new(),
            };
            if listed.is_empty() {
                self.arrive(name, result).await?;
            } else {
                self.take_all(name, Ok(listed)).await?;
            }
        }
        Ok(())
    }

    async fn take_address(&mut self, address: &str) -> anyhow::Result<()> {
        match self.addresses.fetch(address).await {
            Ok((bytes, url)) => {
                let format = self.format.unwrap_or_else(|| detect(url.as_url().path(), &bytes));
                self.take_bytes(address, format, &bytes, Some(url)).await
            }
            Err(reason) => {
                self.complain(address, &reason);
                Ok(())
            }
        }
    }

    /// The articles that a sitemap or a page lists. Those pages are not followed further.
    async fn take_all(&mut self, name: &str, addresses: Result<Vec<WebUrl>, String>) -> anyhow::Result<()> {
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(reason) => {
                self.complain(name, &reason);
                return Ok(());
            }
        };
        self.bar.suspend(|| eprintln!("{name}: {} articles to fetch", addresses.len()));
        let follow = std::mem::take(&mut self.follow);
        for address in addresses {
            Box::pin(self.take_address(address.as_str())).await?;
        }
        self.follow = follow;
        Ok(())
    }

    /// A WordPress export. Its pictures are collected in a first reading, which a pipe does not allow.
    async fn take_export(
        &mut self,
        name: &str,
        export: impl BufRead,
        path: Option<&Path>,
    ) -> anyhow::Result<()> {
        let pictures = match collected(path) {
            Ok(pictures) => pictures,
            Err(error) => {
                self.complain(
                    name,
                    &format!("its pictures cannot be collected in a temporary file: {error}"),
                );
                return Ok(());
            }
        };
        if path.is_none() {
            let words =
                "through a pipe posts come without the pictures they name by number; name the file instead";
            self.bar.suspend(|| eprintln!("{name}: warning: {words}"));
        }
        let rules = self.rules.clone();
        let intake = self.intake(name, Some(InputFormat::WordPress), &rules);
        let mut posts = wordpress::Export::new(export, &intake, pictures);
        for post in posts.by_ref() {
            self.arrive(name, post).await?;
        }
        let passed_over = posts.passed_over;
        if passed_over > 0 {
            let words = format!("{name}: {passed_over} items are no published posts and were passed over");
            self.bar.suspend(|| eprintln!("{words}"));
        }
        Ok(())
    }

    /// Line by line, so that an export of any size takes constant memory.
    async fn take_lines(&mut self, name: &str, stream: impl BufRead) -> anyhow::Result<()> {
        let rules = self.rules.clone();
        for (at, line) in stream.split(b'\n').enumerate() {
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
            let result =
                read_json_line(&self.intake(name, Some(InputFormat::JsonLines), &rules), at + 1, &line);
            self.arrive(name, result).await?;
        }
        Ok(())
    }

    fn intake<'n>(&self, name: &'n str, format: Option<InputFormat>, rules: &'n ReadingRules) -> Intake<'n> {
        let (base, category) = (self.base.clone(), self.category.clone());
        Intake { name, format, base, zone: self.zone, category, rules }
    }

    async fn arrive(&mut self, name: &str, result: Result<Arrival, Fault>) -> anyhow::Result<()> {
        match result {
            Err(fault) => self.complain(name, &fault.to_string()),
            Ok(mut arrival) => {
                self.settle_by_hand(&mut arrival);
                for warning in &arrival.warnings {
                    let place = warning.line.map(|line| format!(":{line}")).unwrap_or_default();
                    self.bar.suspend(|| eprintln!("{name}{place}: warning: {}", warning.message));
                }
                let doubts = arrival.doubts();
                if let Some(store) = self.store.clone().filter(|_| !doubts.is_empty() && !self.doubtful) {
                    return self.keep(&store, name, &arrival.draft, &doubts).await;
                }
                self.waiting.push((name.to_owned(), arrival));
                if self.waiting.len() >= BATCH {
                    self.store_waiting().await?;
                }
            }
        }
        Ok(())
    }

    /// What is doubtful waits for a person.
    async fn keep(
        &mut self,
        store: &Store,
        name: &str,
        draft: &Draft,
        doubts: &[Doubt],
    ) -> anyhow::Result<()> {
        let mailable = self.occasion != Some(Occasion::Archive);
        let doubtful = Doubtful { draft, doubts, input: name, mailable };
        match store.keep_draft(doubtful, SystemClock.now(), &SystemChance).await? {
            Kept::Settled => self.tally.unchanged += 1,
            Kept::Waits(id) => {
                self.tally.drafts += 1;
                let words = rehearsal::kept(id, draft, doubts);
                self.bar.suspend(|| eprintln!("{name}: {words}"));
                if self.json {
                    print_json(
                        &json!({ "input": name, "id": id, "what": "draft", "title": draft.title, "doubts": doubts }),
                    );
                }
            }
        }
        Ok(())
    }

    /// What the person at the command line knows better than the page.
    fn settle_by_hand(&self, arrival: &mut Arrival) {
        if let Some(title) = &self.title {
            arrival.draft.title.clone_from(title);
            arrival.guesses.retain(|guess| guess.field != "title");
        }
        if let Some(published) = self.published {
            arrival.draft.published = Some(published);
            arrival.guesses.retain(|guess| guess.field != "published");
        }
    }

    async fn store_waiting(&mut self) -> anyhow::Result<()> {
        let (names, arrivals): (Vec<String>, Vec<Arrival>) =
            std::mem::take(&mut self.waiting).into_iter().unzip();
        self.articles += arrivals.len();
        let Some(store) = &self.store else {
            for (name, arrival) in names.iter().zip(&arrivals) {
                self.tally.new += 1;
                if self.json {
                    print_json(&rehearsal::as_json(name, arrival));
                } else {
                    self.bar.suspend(|| println!("{}", rehearsal::as_text(arrival)));
                }
            }
            return Ok(());
        };
        let drafts: Vec<Draft> = arrivals.into_iter().map(|arrival| arrival.draft).collect();
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
        self.bar.set_message(format!("{} articles", self.articles));
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
