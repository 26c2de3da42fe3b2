mod export;
mod import;
mod roster;

pub use roster::{guarded, unguarded};

use super::{Common, print_json};
use crate::app::App;
use crate::domain::{EmailAddress, Language, Slug, SubscriberId, SubscriberState};
use crate::store::{OptInAnswer, OptInRequest, Store, Subscriber};
use crate::subscribe::{self, ask};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Look at subscribers, add and erase them.
#[derive(Subcommand)]
pub enum SubscriberCommand {
    /// Ask an address whether it wants a digest, as the form does; nobody is mailed who did not confirm
    Add {
        /// The address
        address: EmailAddress,
        /// The digest [default: the first one]
        #[arg(long, value_name = "SLUG")]
        digest: Option<Slug>,
        /// The feeds [default: everything]
        #[arg(long = "feed", value_name = "SLUG")]
        feeds: Vec<Slug>,
        /// vi or en
        #[arg(long, default_value = "vi", value_parser = language)]
        language: Language,
        /// The person has agreed before; the proof is kept. No question is mailed
        #[arg(long, value_name = "HOW AND WHEN")]
        consent: Option<String>,
    },
    /// Take a list over: CSV with the columns address, feeds, frequency, language, time_zone, consent, consent_at, consent_from
    Import {
        /// The file; - is standard input
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// Ask those by mail of whom no consent is told; otherwise their lines are refused
        #[arg(long)]
        ask: bool,
    },
    /// Print the subscribers as CSV, which import takes
    Export {
        /// Only those in this state
        #[arg(long, value_name = "pending|active|unsubscribed|bounced|complained", value_parser = state)]
        state: Option<SubscriberState>,
        /// Begin with the mark by which Excel knows UTF-8
        #[arg(long)]
        bom: bool,
    },
    /// Show what is known of a subscriber
    Show {
        /// The number or the address
        #[arg(value_name = "ID|ADDRESS")]
        who: Who,
        /// Everything that is held about the person, as JSON
        #[arg(long)]
        all: bool,
    },
    /// Forget a subscriber and everything personal; a hash keeps lists from bringing the address back
    Erase {
        /// The number or the address
        #[arg(value_name = "ID|ADDRESS")]
        who: Who,
    },
}

fn state(word: &str) -> Result<SubscriberState, String> {
    SubscriberState::parse(word)
        .ok_or_else(|| "write pending, active, unsubscribed, bounced or complained".to_owned())
}

/// A subscriber by number or address.
#[derive(Clone, Debug)]
pub enum Who {
    /// By the number that logs and lists tell.
    Number(SubscriberId),
    /// By address.
    Address(EmailAddress),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(SubscriberId(number))),
            Err(_) => EmailAddress::parse(text).map(Self::Address).map_err(|error| error.to_string()),
        }
    }
}

impl Who {
    /// Who that is.
    pub(super) async fn find(&self, store: &Store) -> anyhow::Result<Subscriber> {
        let found = match self {
            Self::Number(id) => store.subscriber(*id).await?,
            Self::Address(address) => store.subscriber_by_address(address).await?,
        };
        found.context("this is no subscriber; was it erased?")
    }
}

fn language(code: &str) -> Result<Language, String> {
    code.parse().map_err(|()| "write vi or en".to_owned())
}

impl SubscriberCommand {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let app = common.app().await?;
        match self {
            Self::Add { address, digest, feeds, language, consent } => {
                add(&app, address, digest, feeds, language, consent).await?;
            }
            Self::Import { file, ask } => return import::import(&app, &file, ask, common.json).await,
            Self::Export { state, bom } => export::export(&app, state, bom).await?,
            Self::Show { who, all: true } => {
                let reader = who.find(&app.store).await?;
                let held = app.store.personal_data(reader.id, &reader.address, &app.desk.secret).await?;
                println!("{:#}", held.context("this subscriber was just erased")?);
            }
            Self::Show { who, all: false } => show(&app, &who.find(&app.store).await?, common.json).await?,
            Self::Erase { who } => {
                let reader = who.find(&app.store).await?;
                app.store.erase_subscriber(reader.id, &app.desk.secret, app.clock.now()).await?;
                println!("subscriber {} is erased", reader.id);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn add(
    app: &App,
    address: EmailAddress,
    digest: Option<Slug>,
    feeds: Vec<Slug>,
    language: Language,
    consent: Option<String>,
) -> anyhow::Result<()> {
    let found = match &digest {
        Some(slug) => app.desk.digest(slug),
        None => app.desk.digests.first(),
    };
    let Some(digest) = found else { bail!("there is no such digest; `bantin digest list` names them") };
    let wishes = match subscribe::wishes(digest, &app.representations.directory(), &feeds) {
        Ok(wishes) => wishes,
        Err(slug) => {
            bail!("the digest `{}` has no feed `{slug}`; `bantin feed list` names them", digest.slug)
        }
    };
    let now = app.clock.now();
    let wish = OptInRequest {
        address,
        wishes,
        time_zone: None,
        language,
        remote_address: "command line".to_owned(),
        wording: consent.clone().unwrap_or_else(|| "bantin subscriber add".to_owned()),
    };
    let refused = "this address must not be mailed: it bounced, complained or asked for it; `bantin suppression list` says why";
    let secret = &app.desk.secret;
    if consent.is_some() {
        let taken = subscribe::consent(&app.store, secret, wish, &app.desk.calendar(), now).await?;
        ensure!(taken.is_some(), refused);
        println!("subscribed to `{}`", digest.slug);
        return Ok(());
    }
    match ask(&app.store, secret, wish, app.limits.confirmation_quiet, now).await? {
        OptInAnswer::Suppressed => bail!(refused),
        OptInAnswer::AskedBefore => println!("was asked shortly before, and has not answered yet"),
        OptInAnswer::Asked(_) => println!("will be asked; subscribed to `{}` once it confirms", digest.slug),
    }
    Ok(())
}

async fn show(app: &App, reader: &Subscriber, as_json: bool) -> anyhow::Result<()> {
    let directory = app.representations.directory();
    let subscriptions = app.store.subscriptions(reader.id).await?;
    let rows: Vec<(String, String)> = subscriptions
        .iter()
        .map(|s| {
            let feed = directory.by_key(s.feed).map_or_else(
                || s.feed.to_string(),
                |f| f.slug().map_or_else(|| f.title.clone(), ToString::to_string),
            );
            (feed, s.frequency.to_string())
        })
        .collect();
    let bounces = app.store.bounces_of(reader.id).await?;
    let habits = reader.habits;
    if as_json {
        print_json(&json!({ "id": reader.id, "state": reader.state.as_str(), "language": reader.language,
            "created": reader.created_at, "confirmed": reader.confirmed_at,
            "time_zone": habits.time_zone.map(|zone| zone.name()), "daily_cap": habits.daily_cap,
            "paused_until": habits.paused_until,
            "bounces": bounces.iter().map(|b| json!({ "class": b.bounce.class.as_str(), "way": b.bounce.way, "delivery": b.bounce.delivery,
                "at": b.noted_at, "evidence": b.bounce.evidence, "counts": !b.is_forgiven })).collect::<Vec<_>>(),
            "subscriptions": rows.iter().map(|(feed, frequency)| json!({ "feed": feed, "frequency": frequency })).collect::<Vec<_>>() }));
    } else {
        println!("subscriber {}: {}, language {}", reader.id, reader.state.as_str(), reader.language);
        for (feed, digest) in rows {
            println!("  {feed} by {digest}");
        }
        if let Some(until) = habits.paused_until.filter(|_| habits.is_paused(app.clock.now())) {
            let zone = app.desk.clock_of(reader);
            println!("  pauses until {} ({zone})", until.with_timezone(&zone).format("%Y-%m-%d %H:%M"));
        }
        if let Some(cap) = habits.daily_cap {
            println!("  has at most so many mails a day: {cap}");
        }
        if let Some(zone) = habits.time_zone {
            println!("  on the clock of {zone}");
        }
        for b in bounces {
            let counts = if b.is_forgiven { " (counts no more)" } else { "" };
            println!(
                "  {} {} by {}{counts}: {}",
                b.noted_at.format("%Y-%m-%d"),
                b.bounce.class.as_str(),
                b.bounce.way,
                b.bounce.evidence
            );
        }
    }
    Ok(())
}
