use super::{Common, print_json};
use crate::app::{SystemChance, SystemClock, publication_of, templates_of};
use crate::config::{Config, read_folder};
use crate::domain::{Chance, Clock, DigestFeeds, Directory, Instant, Selected, Slug};
use crate::relay::{self, MailUrl, SmtpOptions};
use crate::store::Store;
use crate::{mail, page};
use clap::Args;
use serde_json::json;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

/// No newsroom's clock is before this release.
const RELEASED: &str = "2026-11-01T00:00:00Z";
/// How long another server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Find what is wrong with configuration, feeds, templates, store and mail, and say how to mend it.
#[derive(Args)]
pub struct Check {
    /// Do not connect to the mail server
    #[arg(long)]
    offline: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Fine,
    Doubt,
    Fault,
}

struct Finding {
    weight: Weight,
    part: &'static str,
    text: String,
}

#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn fine(&mut self, part: &'static str, text: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Fine, part, text: text.into() });
    }

    fn doubt(&mut self, part: &'static str, text: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Doubt, part, text: text.into() });
    }

    fn fault(&mut self, part: &'static str, text: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Fault, part, text: text.into() });
    }
}

impl Check {
    pub async fn run(self, common: Common) -> anyhow::Result<ExitCode> {
        let mut report = Report::default();
        match Config::load(common.config.as_deref(), std::env::vars()) {
            Err(faults) => faults.iter().for_each(|fault| report.fault("configuration", fault.to_string())),
            Ok(config) => {
                report.fine("configuration", "can be read");
                addresses(&mut report, &config);
                clock(&mut report, SystemClock.now());
                templates(&mut report, &config);
                let directory = store(&mut report, &config).await;
                declared(&mut report, &config, directory.as_ref());
                sender(&mut report, &config);
                if !self.offline {
                    outgoing(&mut report, &config).await;
                }
            }
        }
        let faults = report.0.iter().filter(|finding| finding.weight == Weight::Fault).count();
        for finding in &report.0 {
            let weight = match finding.weight {
                Weight::Fine => "fine",
                Weight::Doubt => "doubt",
                Weight::Fault => "FAULT",
            };
            if common.json {
                print_json(
                    &json!({ "weight": weight.to_lowercase(), "part": finding.part, "text": finding.text }),
                );
            } else {
                println!(
                    "{weight:5}  {:13}  {}",
                    finding.part,
                    finding.text.replace('\n', "\n                      ")
                );
            }
        }
        Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn addresses(report: &mut Report, config: &Config) {
    const PART: &str = "addresses";
    let settings = &config.publication;
    match &settings.base_url {
        None => report.doubt(
            PART,
            "publication.base_url is not set, so feeds and mails link to this machine alone; set it to the address that readers use, as in https://tin.example.vn",
        ),
        Some(url) if url.as_url().scheme() == "http" && !matches!(url.host(), "localhost" | "127.0.0.1") => report.doubt(
            PART,
            format!("publication.base_url {url} is not https: mail programs show their unsubscribe button only for https (RFC 8058)"),
        ),
        Some(url) => report.fine(PART, format!("readers use {url}")),
    }
    match TcpListener::bind(config.server.listen) {
        Ok(_) => report.fine(PART, format!("{} is free to listen on", config.server.listen)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => report.doubt(
            PART,
            format!("{} is in use: by bantin already running, or by another program; then set server.listen to another port", config.server.listen),
        ),
        Err(error) => report.fault(
            PART,
            format!("cannot listen on {}: {error}; a port below 1024 needs a privilege, another machine's address never works", config.server.listen),
        ),
    }
    if settings.title == "Bản Tin" {
        report.doubt(PART, "publication.title is not set; feeds and mails are signed `Bản Tin`");
    }
    if settings.contact.is_none() {
        report.doubt(PART, "publication.contact is not set; readers have nobody to write to");
    }
}

fn clock(report: &mut Report, now: Instant) {
    let released: Instant = RELEASED.parse().unwrap_or_default();
    if now < released {
        report.fault(
            "clock",
            format!("this machine's clock says {now}; switch on its time service (timedatectl set-ntp true)"),
        );
    } else {
        report.fine("clock", format!("{now}"));
    }
}

fn templates(report: &mut Report, config: &Config) {
    match templates_of(config) {
        Err(error) => report.fault("templates", error.to_string()),
        Ok(templates) => {
            let faults: Vec<_> =
                page::try_templates(&templates).into_iter().chain(mail::try_templates(&templates)).collect();
            for fault in &faults {
                report.fault("templates", fault.to_string());
            }
            if faults.is_empty() {
                report.fine(
                    "templates",
                    format!("{} can be filled in with sample data", templates.names().len()),
                );
            }
        }
    }
}

async fn store(report: &mut Report, config: &Config) -> Option<Directory> {
    const PART: &str = "store";
    let mend = "is the path writable, is the server running, are name and password right?";
    let reached = match tokio::time::timeout(PATIENCE, Store::reach(&config.store)).await {
        Ok(reached) => reached.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} seconds", PATIENCE.as_secs())),
    };
    if let Err(why) = reached {
        report.fault(PART, format!("{}: {why}; {mend}", config.store));
        return None;
    }
    let store = match Store::open(&config.store).await {
        Ok(store) => store,
        Err(error) => {
            report.fault(PART, format!("{}: {error}; {mend}", config.store));
            return None;
        }
    };
    match store.is_current().await {
        Ok(true) => report.fine(PART, format!("{} has the present schema", config.store)),
        Ok(false) => {
            report.doubt(PART, format!("{} has not the present schema yet; `bantin migrate` or the next start brings it up to date", config.store));
            return None;
        }
        Err(error) => {
            report.fault(PART, format!("{}: {error}; {mend}", config.store));
            return None;
        }
    }
    let now = SystemClock.now();
    if let Ok(Some(oldest)) = store.oldest_due(now).await {
        let age = now - oldest;
        if age > chrono::Duration::minutes(15) {
            report.doubt(PART, format!("deliveries have been due for {} minutes; is `bantin serve` running with the role worker?", age.num_minutes()));
        }
    }
    let chance: &dyn Chance = &SystemChance;
    let installation = store.installation(now, chance).await.ok()?;
    let publication = publication_of(config, installation.publication).ok()?;
    let tree = store.category_tree().await.ok()?;
    let feeds = read_folder(&config.feeds, config.publication.time_zone).map(|d| d.feeds).unwrap_or_default();
    Some(Directory::new(&publication, &tree, &feeds))
}

fn declared(report: &mut Report, config: &Config, directory: Option<&Directory>) {
    const PART: &str = "feeds";
    let declared = match read_folder(&config.feeds, config.publication.time_zone) {
        Ok(declared) => declared,
        Err(faults) => {
            faults.iter().for_each(|fault| report.fault(PART, fault.to_string()));
            return;
        }
    };
    if !config.feeds.is_dir() {
        report.doubt(PART, format!("the folder {} is not there; defaults are used", config.feeds.display()));
    }
    for digest in &declared.digests {
        report.fine(PART, format!("digest `{}` by `{}`", digest.slug, digest.schedule));
    }
    let Some(directory) = directory else { return };
    let category_known = |slug: &Slug| {
        directory
            .of_categories()
            .any(|feed| directory.category_of(&feed.selection).is_some_and(|c| c.slug == *slug))
    };
    for feed in &declared.feeds {
        if let Selected::Category(slug) = &feed.selected
            && !category_known(slug)
        {
            report.doubt(
                PART,
                format!(
                    "{}: no article has the category `{slug}` yet; `bantin feed list` names those there are",
                    feed.file
                ),
            );
        }
    }
    for digest in &declared.digests {
        let DigestFeeds::These(slugs) = &digest.feeds else { continue };
        for slug in slugs.iter().filter(|slug| directory.by_slug(slug).is_none()) {
            report
                .doubt(PART, format!("digest `{}` names the feed `{slug}`, which is not there", digest.slug));
        }
    }
}

fn sender(report: &mut Report, config: &Config) {
    const PART: &str = "mail";
    let from = &config.mail.from;
    if from.domain() == "localhost" || from.domain().ends_with(".example") {
        report.doubt(PART, "mail.from is not set to an address of yours; mail servers refuse such senders");
    } else if let Some(host) = config.publication.base_url.as_ref().map(|url| url.host())
        && !host.ends_with(from.domain())
        && !from.domain().ends_with(host)
    {
        report.doubt(PART, format!("mail.from is at {}, the pages are at {host}: links and sender of one domain are trusted more", from.domain()));
    }
}

async fn outgoing(report: &mut Report, config: &Config) {
    const PART: &str = "mail";
    if let MailUrl::Outbox(folder) = &config.mail.url {
        report.doubt(PART, format!("mail goes to the folder {} and reaches nobody; set mail.url to smtp://your-server:25 when you are ready", folder.display()));
    }
    let relay = match relay::open(
        &config.mail.url,
        SmtpOptions { hello_name: config.mail.hello_name.clone(), ..SmtpOptions::default() },
    ) {
        Ok(relay) => relay,
        Err(error) => return report.fault(PART, error.to_string()),
    };
    match tokio::time::timeout(PATIENCE, relay.check()).await {
        Ok(Ok(offers)) => report.fine(PART, offers),
        Ok(Err(why)) => report.fault(PART, format!("{}: {why}", config.mail.url)),
        Err(_) => report.fault(
            PART,
            format!(
                "{}: no answer in {} seconds; is it a mail server, and does a firewall let us through?",
                config.mail.url,
                PATIENCE.as_secs()
            ),
        ),
    }
}
