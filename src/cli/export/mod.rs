mod tree;

use self::tree::{Note, Tree, TreeError};
use super::{Common, print_json};
use crate::app::App;
use crate::domain::{Directory, FeedDefinition, FeedKey, FeedName, Selection, Term};
use crate::feed::sitemap;
use crate::publish;
use crate::representations::{Found, Listed, RepresentationError, Wanted, Which};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Labels that are read at once.
const LABELS: i64 = 1_000;

/// Write a static tree that any web server or CDN can serve.
#[derive(Args)]
pub struct Export {
    /// An empty or new folder, or one of an export before
    #[arg(value_name = "DIR", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    folder: String,
    /// Also the feeds of tags, bylines and sources
    #[arg(long)]
    labels: bool,
}

impl Export {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        let tree = match Tree::open(&PathBuf::from(&self.folder)) {
            Err(error) if error.is_unusable() => {
                eprintln!("bantin: {error}");
                return Ok(ExitCode::from(2));
            }
            tree => tree?,
        };
        // An export publishes as a server does: embargoes end, and the store knows how feeds look.
        let now = app.clock.now();
        publish::release_due(&app.store, now).await?;
        app.representations.announce(now).await?;
        let states = app.store.feed_states().await?;
        let numbers = states.iter().map(|state| (state.key, state.change_number)).collect();
        let mut exporter = Exporter { app: &app, tree, numbers, bar: progress() };
        exporter.feeds(self.labels).await?;
        exporter.lists().await?;
        exporter.bar.finish_and_clear();
        let tally = exporter.tree.finish()?;
        if common.json {
            print_json(
                &json!({ "written": tally.written, "unchanged": tally.unchanged, "removed": tally.removed }),
            );
        } else {
            println!("{} written, {} unchanged, {} removed", tally.written, tally.unchanged, tally.removed);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A spinner on a terminal, nothing elsewhere.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} files, {elapsed} {wide_msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// An export under way. One document is in memory at a time, beside the one that leads to it.
struct Exporter<'a> {
    app: &'a App,
    tree: Tree,
    /// The last change of each kept feed before anything was read: what comes later is exported
    /// the next time.
    numbers: HashMap<FeedKey, i64>,
    bar: ProgressBar,
}

impl Exporter<'_> {
    async fn feeds(&mut self, labels: bool) -> anyhow::Result<()> {
        let directory = self.app.representations.directory();
        for feed in directory.published() {
            self.feed(feed).await?;
        }
        if !labels {
            return Ok(());
        }
        let mut row = 0;
        loop {
            let batch = self.app.store.labels_behind(row, LABELS).await?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            row = *last;
            for (_, label) in batch {
                let name = FeedName::One(Term::Label(label.kind, label.slug));
                // One that a file declares has a name of its own.
                if let Found::Feed(feed) = self.app.representations.find(&name).await? {
                    self.feed(&feed).await?;
                }
            }
        }
    }

    /// A feed's documents in its formats. What did not change since the last export is not made.
    async fn feed(&mut self, feed: &FeedDefinition) -> anyhow::Result<()> {
        let name = feed.place.page_path();
        self.bar.set_message(name.clone());
        let keys = feed.selection.keys();
        let number = keys.iter().filter_map(|key| self.numbers.get(key)).max().copied().unwrap_or_default();
        let fingerprint = Directory::fingerprint(&self.app.publication, feed);
        let before = self.tree.note(&name).filter(|note| note.fingerprint == fingerprint);
        let before = before.map_or(-1, |note| note.number);
        if before != number {
            self.tree.begin(&name)?;
        }
        for format in &feed.formats {
            let wanted = |which| Wanted { feed: feed.clone(), which, format: *format };
            let subscription = wanted(Which::Subscription);
            let kept = before == number && file(&subscription).is_some_and(|path| self.tree.keep(&path));
            // Made before the archives are, and written after them: what it leads to is there.
            let made = if kept { None } else { Some(self.app.representations.render(subscription).await?) };
            let (pages, changed) = self.archives(feed, before).await?;
            for page in 1..=pages {
                let wanted = wanted(Which::Archive(page));
                let Some(path) = file(&wanted) else { break };
                let untouched = before >= 0 && changed.binary_search(&page).is_err();
                if untouched && self.tree.keep(&path) {
                    continue;
                }
                match self.app.representations.render(wanted).await {
                    Ok(made) => self.put(&path, made.bytes(), made.changed_at())?,
                    Err(RepresentationError::Absent) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some((made, path)) =
                made.and_then(|made| Some((made, file(&wanted(Which::Subscription))?)))
            {
                self.put(&path, made.bytes(), made.changed_at())?;
            }
        }
        self.tree.end(&name, Note { number, fingerprint });
        Ok(())
    }

    /// How many archive pages a feed has, and which of them changed after a change.
    async fn archives(&self, feed: &FeedDefinition, after: i64) -> anyhow::Result<(i64, Vec<i64>)> {
        match &feed.selection {
            Selection::One(key) => Ok(self.app.store.pages_changed_after(*key, after).await?),
            // A search is paged, not archived.
            Selection::Search(_) => Ok((0, Vec::new())),
            Selection::Union(keys) | Selection::Intersection(keys) => {
                let (mut all, mut any) = (0, false);
                for key in keys {
                    let (pages, changed) = self.app.store.pages_changed_after(*key, after).await?;
                    all += pages;
                    // An intersection's page changes with what stands in the other feeds.
                    any |= !changed.is_empty() || self.numbers.get(key).is_some_and(|number| *number > after);
                }
                Ok((all, if any { (1..=all).collect() } else { Vec::new() }))
            }
        }
    }

    /// Sitemaps, robots.txt, the list of all feeds. The index comes after what it leads to.
    async fn lists(&mut self) -> anyhow::Result<()> {
        let mut lists = self.app.representations.article_sitemaps().await?;
        lists.extend([Listed::News, Listed::Pages, Listed::Feeds, Listed::Sitemaps]);
        for listed in lists {
            let path = listed.to_string();
            self.bar.set_message(path.clone());
            match self.app.representations.listing(listed, self.app.clock.now()).await {
                Ok(made) => self.put(path.trim_start_matches('/'), &made.bytes, made.changed_at)?,
                Err(RepresentationError::Absent) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let robots = sitemap::robots(&self.app.publication);
        Ok(self.put("robots.txt", robots.as_bytes(), self.app.started_at)?)
    }

    fn put(&mut self, path: &str, bytes: &[u8], changed_at: crate::domain::Instant) -> Result<(), TreeError> {
        // Compressing and writing hold this thread up; nothing else runs in this program.
        let put = self.tree.put(path, bytes, changed_at);
        self.bar.set_position(self.tree.tally.written + self.tree.tally.unchanged);
        put
    }
}

/// Where a document lies below the folder.
fn file(wanted: &Wanted) -> Option<String> {
    Some(wanted.path()?.trim_start_matches('/').to_owned())
}
