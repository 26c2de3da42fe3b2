mod deliveries;
mod editing;
mod list;
mod preview;
mod samples;

use super::subscriber::Who;
use super::{Common, counted, print_json};
use crate::app::App;
use crate::digest::run_now;
use crate::dispatch::rests;
use crate::domain::{ArticleId, Digest, EditionId, EmailAddress, Instant, Language, Plan, Slug};
use crate::store::{CutAnswer, Order};
use crate::wording::{full_date, time_of_day};
use anyhow::{bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Look at digests, run one now.
#[derive(Subcommand)]
pub enum DigestCommand {
    /// List the digests, their next slots, and the last editions
    List,
    /// Print the letter that a cut would bring to one subscriber, byte for byte; or a sample of the newest articles
    Preview {
        /// A digest, a time that readers chose (`daily:06:30`), or the number of an edition that is cut
        #[arg(value_name = "SLUG|EDITION|PLAN")]
        what: Previewed,
        /// Exactly what this subscriber would get
        #[arg(long, value_name = "ID|ADDRESS", alias = "to")]
        subscriber: Option<Who>,
        /// From a cut at this instant, as in 2026-11-24T06:30+07:00 [default: now]
        #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "subscriber")]
        at: Option<Instant>,
        /// What of it: html, text, or eml for the whole message
        #[arg(long, default_value = "html")]
        part: Part,
    },
    /// Cut an edition now and deliver it; what was mailed before is not mailed again
    Run {
        /// The digest
        slug: Slug,
        /// Only count: cut it, write its letters, take all of it back
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep an edition from going out, or all of a digest until it is released
    Hold {
        /// An edition's number or a digest
        #[arg(value_name = "EDITION|SLUG")]
        what: Named,
        /// Why, for whoever finds it held
        #[arg(long, default_value = "held by hand")]
        reason: String,
    },
    /// Let go what is held
    Release {
        /// An edition's number or a digest
        #[arg(value_name = "EDITION|SLUG")]
        what: Named,
    },
    /// Write above the articles of a held edition, or of a digest's next one
    Lead {
        /// An edition's number or a digest
        #[arg(value_name = "EDITION|SLUG")]
        what: Named,
        /// The words; a blank line ends a paragraph
        #[arg(long, required_unless_present_any = ["file", "none"])]
        text: Option<String>,
        /// A file that holds them
        #[arg(long, value_name = "FILE", conflicts_with = "text")]
        file: Option<PathBuf>,
        /// Take them away
        #[arg(long, conflicts_with_all = ["text", "file"])]
        none: bool,
    },
    /// Show the articles of an edition, put some first and leave some out; of a held one, or of a digest's next one
    Order {
        /// An edition's number or a digest
        #[arg(value_name = "EDITION|SLUG")]
        what: Named,
        /// What comes first, in this order; the others follow, the newest first
        #[arg(value_name = "ARTICLE")]
        first: Vec<ArticleId>,
        /// What is not mailed, by this edition or a later one
        #[arg(long, value_name = "ARTICLE")]
        leave_out: Vec<ArticleId>,
        /// Take any order away: the newest first
        #[arg(long, conflicts_with_all = ["first", "leave_out"])]
        by_age: bool,
    },
    /// Show how far an edition is, and when it will have gone out
    Show {
        /// Its number, as `bantin digest list` tells it
        edition: i64,
    },
    /// Tell who has not got an edition, and why
    Failures {
        /// Its number
        edition: i64,
        /// Print addresses instead of subscribers' numbers
        #[arg(long)]
        addresses: bool,
    },
    /// Mail an edition again to those whose mail bounced or was given up, and who still want mail
    Resend {
        /// Its number
        edition: i64,
        /// Also to those of whom it is not known whether they have it (mail.uncertain = "hold")
        #[arg(long)]
        uncertain: bool,
    },
    /// Send a sample of the newest articles to one address, outside of any ledger
    SendTest {
        /// The digest
        slug: Slug,
        /// Where
        #[arg(long, value_name = "ADDRESS")]
        to: EmailAddress,
    },
}

impl DigestCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        match self {
            Self::List => list::list(&app, common.json).await?,
            Self::Preview { what, subscriber, at, part } => {
                preview::preview(&app, &what, subscriber.as_ref(), at, part).await?;
            }
            Self::Run { slug, dry_run: true } => {
                preview::dry_run(&app, find(&app, &slug)?, common.json).await?;
            }
            Self::Run { slug, dry_run: false } => run(&app, find(&app, &slug)?, common.json).await?,
            Self::Hold { what, reason } => editing::hold(&app, &what, &reason).await?,
            Self::Release { what } => editing::release(&app, &what).await?,
            Self::Lead { what, text, file, none: _ } => {
                editing::lead(&app, &what, text, file.as_deref()).await?;
            }
            Self::Order { what, first, leave_out, by_age } => {
                let order = Order { first, left_out: leave_out };
                editing::order(&app, &what, order, by_age, common.json).await?;
            }
            Self::Show { edition } => deliveries::show(&app, edition, common.json).await?,
            Self::Failures { edition, addresses } => {
                deliveries::failures(&app, edition, addresses, common.json).await?;
            }
            Self::Resend { edition, uncertain } => {
                deliveries::resend(&app, edition, uncertain, common.json).await?;
            }
            Self::SendTest { slug, to } => samples::send_test(&app, find(&app, &slug)?, to).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What of a letter is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The HTML part.
    Html,
    /// The text part.
    Text,
    /// The whole message, as it is handed to the mail server.
    Eml,
}

/// What is looked at: an edition by its number, or what would be cut.
#[derive(Clone, Debug)]
pub enum Previewed {
    /// An edition.
    Edition(EditionId),
    /// The next of a plan.
    Plan(Plan),
}

impl FromStr for Previewed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) => Ok(Self::Edition(EditionId(number))),
            Err(_) => text.parse().map(Self::Plan).map_err(|_| {
                format!("`{text}` is no edition, digest or time; write 12, hang-ngay or daily:06:30")
            }),
        }
    }
}

/// An instant with its offset; seconds may be left out.
fn instant(text: &str) -> Result<Instant, String> {
    let full = |text: &str| text.parse::<Instant>().ok();
    let short = || chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z").ok();
    full(text)
        .or_else(|| short().map(|instant| instant.to_utc()))
        .ok_or_else(|| "write it with its offset, as in 2026-11-24T06:30+07:00".to_owned())
}

/// An edition by its number, or a digest by its slug.
#[derive(Clone, Debug)]
pub enum Named {
    /// An edition.
    Edition(EditionId),
    /// A digest.
    Digest(Slug),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) => Ok(Self::Edition(EditionId(number))),
            Err(_) => Slug::parse(text).map(Self::Digest).map_err(|error| error.to_string()),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edition(id) => write!(f, "edition {id}"),
            Self::Digest(slug) => write!(f, "the next edition of `{slug}`"),
        }
    }
}

fn find<'a>(app: &'a App, slug: &Slug) -> anyhow::Result<&'a Digest> {
    match app.desk.digest(slug) {
        Some(digest) => Ok(digest),
        None => bail!("there is no digest `{slug}`; `bantin digest list` names them"),
    }
}

fn local(app: &App, instant: Instant) -> String {
    let zone = app.publication.time_zone;
    format!("{} {}", full_date(instant, zone, Language::En), time_of_day(instant, zone))
}

async fn run(app: &Arc<App>, digest: &Digest, as_json: bool) -> anyhow::Result<()> {
    ensure!(
        !rests(&app.store, &app.tally).await?,
        "this store is a copy of one that mails elsewhere, or was moved; `bantin adopt` tells it to mail"
    );
    let dispatcher = app.dispatcher(CancellationToken::new());
    let answer = run_now(&app.store, &app.desk.calendar(), digest, app.clock.now()).await?;
    let settled = dispatcher.run(&Arc::default()).await;
    dispatcher.give_back().await?;
    let settled = settled?;
    let (articles, deliveries) = match &answer {
        CutAnswer::Made(cut) => (cut.articles, cut.deliveries),
        CutAnswer::Empty | CutAnswer::TakenByAnother => (0, 0),
    };
    if as_json {
        print_json(
            &json!({ "digest": digest.slug, "articles": articles, "deliveries": deliveries, "settled": settled }),
        );
    } else if deliveries == 0 {
        println!("{}: nothing new for anybody, no edition", digest.slug);
    } else {
        println!(
            "{}: {} to {}; {} settled, see `bantin digest list`",
            digest.slug,
            counted(articles, "article", "articles"),
            counted(deliveries, "subscriber", "subscribers"),
            counted(settled, "delivery", "deliveries")
        );
        if digest.review {
            println!("it waits to be looked at; `bantin digest release {}` lets it go", digest.slug);
        }
    }
    Ok(())
}
