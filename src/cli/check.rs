use super::{Common, counted, print_json};
use crate::app::{SystemChance, SystemClock, publication_of, sources_of, templates_of};
use crate::config::{Config, read_folder};
use crate::domain::{
    ALL_SLUG, Alias, CategoryTree, Chance, Clock, DeclaredFeed, DigestFeeds, Directory, FeedKey, Instant,
    Lookup, Selected, Slug, Term,
};
use crate::fetch::is_inside;
use crate::http::OWN_PATHS;
use crate::inbox;
use crate::mail::report::hooks::Provider;
use crate::relay::{self, MailUrl, SmtpOptions};
use crate::store::{SourceHub, Store};
use crate::{mail, page};
use clap::Args;
use serde_json::json;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// No newsroom's clock is before this release.
const RELEASED: &str = "2026-11-01T00:00:00Z";
/// How findings about the files of `feeds/` are headed.
const FEEDS: &str = "feeds";
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
                hub(&mut report, &config);
                clock(&mut report, SystemClock.now());
                templates(&mut report, &config);
                let stored = store(&mut report, &config).await;
                declared(&mut report, &config, stored.as_ref());
                if let Some(stored) = &stored {
                    retired(&mut report, stored).await;
                    tokens(&mut report, &config, stored).await;
                }
                sender(&mut report, &config);
                seals(&mut report, &config);
                returns(&mut report, &config);
                if !self.offline {
                    sources(&mut report, &config, stored.as_ref()).await;
                    mailbox(&mut report, &config).await;
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

fn hub(report: &mut Report, config: &Config) {
    const PART: &str = "hub";
    if config.hub.allow_private_callbacks {
        report.doubt(
            PART,
            "hub.allow_private_callbacks is true: strangers can make this machine talk to its neighbours; set it to false unless all callbacks are your own",
        );
    }
    if let (true, Some(url)) = (config.hub.enabled, &config.publication.base_url) {
        if is_inside(url.as_url()) {
            report.doubt(
                PART,
                format!("publication.base_url {url} leads nowhere from outside, so readers' servers cannot subscribe; set it to the public address, or hub.enabled to false"),
            );
        } else {
            report.fine(PART, format!("readers' servers subscribe at {}", url.with_path("/websub")));
        }
    }
    let external = config.hub.external.iter().map(|url| ("hub.external", url));
    let webhooks = config.webhooks.urls.iter().map(|url| ("webhooks.urls", url));
    for (key, url) in external.chain(webhooks).filter(|(_, url)| url.as_url().scheme() == "http") {
        if !is_inside(url.as_url()) {
            report.doubt(
                PART,
                format!("{key}: {url} is not https, so anybody on the way reads along; use https"),
            );
        }
    }
}

/// Tries each source, and says which fail or have items that were left out.
async fn sources(report: &mut Report, config: &Config, stored: Option<&Stored>) {
    const PART: &str = "sources";
    let Some(Stored { store, .. }) = stored.filter(|_| !config.sources.is_empty()) else { return };
    let (clock, chance): (Arc<dyn Clock>, Arc<dyn Chance>) = (Arc::new(SystemClock), Arc::new(SystemChance));
    let desk = match sources_of(config, store, &clock, &chance) {
        Ok(desk) => desk,
        Err(error) => return report.fault(PART, error.to_string()),
    };
    let states = store.source_states().await.unwrap_or_default();
    for source in desk.declared.iter() {
        let name = &source.name;
        match desk.try_out(source).await {
            Ok(told) => report.fine(PART, format!("{name}: {told}")),
            Err(error) => report.fault(PART, format!("{name}: {error}")),
        }
        let Some(state) = states.iter().find(|state| state.name == *name) else { continue };
        if let Ok((_, wrong)) = store.item_counts(state.id).await
            && wrong > 0
        {
            report.doubt(
                PART,
                format!(
                    "{name}: {} left out; `bantin source show {name}` tells why",
                    counted(wrong, "item was", "items were")
                ),
            );
        }
        if let Ok(Some(SourceHub { hub, last_error: Some(error), .. })) = store.source_hub(state.id).await {
            report.doubt(
                PART,
                format!("{name}: its hub {hub} does not push: {error}; the feed is polled, and the hub asked again"),
            );
        }
    }
    match store.draft_count().await {
        Ok(drafts) if drafts > 0 => {
            report.doubt(
                PART,
                format!(
                    "{} for a person; `bantin article list --drafts` names them",
                    counted(drafts, "draft waits", "drafts wait")
                ),
            );
        }
        _ => {}
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

/// What the store says of feeds, with what files make of it.
struct Stored {
    store: Store,
    tree: CategoryTree,
    declared: Vec<DeclaredFeed>,
    directory: Directory,
}

async fn store(report: &mut Report, config: &Config) -> Option<Stored> {
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
    match store.is_copy().await {
        Ok(true) => report.fault(
            PART,
            "this store is a copy of one that mails elsewhere, or was moved, and so it mails nothing; `bantin adopt` \
             lets it, with --mailed-elsewhere where the other one went on mailing",
        ),
        Ok(false) => {}
        Err(error) => report.doubt(PART, format!("where the store lies cannot be told: {error}")),
    }
    if let Ok(counts) = store.edition_counts().await
        && counts.stopped > 0
    {
        report.doubt(
            PART,
            "an edition is stopped, too many of its letters were refused; `bantin digest list` names it",
        );
    }
    let chance: &dyn Chance = &SystemChance;
    let installation = store.installation(now, chance).await.ok()?;
    let publication = publication_of(config, installation.publication).ok()?;
    let tree = store.category_tree().await.ok()?;
    let declared =
        read_folder(&config.feeds, config.publication.time_zone).map(|d| d.feeds).unwrap_or_default();
    let directory = Directory::new(&publication, &tree, &declared);
    Some(Stored { store, tree, declared, directory })
}

fn declared(report: &mut Report, config: &Config, stored: Option<&Stored>) {
    let declared = match read_folder(&config.feeds, config.publication.time_zone) {
        Ok(declared) => declared,
        Err(faults) => {
            faults.iter().for_each(|fault| report.fault(FEEDS, fault.to_string()));
            return;
        }
    };
    if !config.feeds.is_dir() {
        report.doubt(FEEDS, format!("the folder {} is not there; defaults are used", config.feeds.display()));
    }
    for digest in &declared.digests {
        report.fine(FEEDS, format!("digest `{}` by `{}`", digest.slug, digest.schedule));
    }
    let Some(stored) = stored else { return };
    for feed in &stored.declared {
        selected(report, &stored.tree, feed);
        for alias in &feed.aliases {
            if let Some(why) = idle(stored, feed, alias) {
                report.doubt(FEEDS, format!("{}: the alias `{alias}` {why}", feed.file));
            }
        }
    }
    for digest in &declared.digests {
        let DigestFeeds::These(slugs) = &digest.feeds else { continue };
        for slug in slugs {
            let told = match stored.directory.lookup(slug) {
                Lookup::Feed(_) => continue,
                Lookup::Moved(feed) => {
                    let now = feed.slug().map_or("another", Slug::as_str);
                    format!("which is called `{now}` now; it is still offered, write the present name")
                }
                Lookup::Retired => "which is retired; take it out".to_owned(),
                Lookup::Nothing => "which is not there".to_owned(),
            };
            report.doubt(FEEDS, format!("digest `{}` names the feed `{slug}`, {told}", digest.slug));
        }
    }
}

/// Whether there is what a file selects.
fn selected(report: &mut Report, tree: &CategoryTree, feed: &DeclaredFeed) {
    match &feed.selected {
        Selected::Category(slug) => match tree.find(slug) {
            None if feed.retired => {}
            None => report.doubt(
                FEEDS,
                format!(
                    "{}: no article has the category `{slug}` yet; `bantin category list` names those there are",
                    feed.file
                ),
            ),
            Some(category) if category.slug != *slug => report.doubt(
                FEEDS,
                format!(
                    "{}: the category `{slug}` is called `{}` now; the file still speaks of it, write the present slug",
                    feed.file, category.slug
                ),
            ),
            Some(_) => {}
        },
        Selected::Union(terms) | Selected::Intersection(terms) => {
            for term in terms {
                if let Term::Named(slug) = term
                    && slug.as_str() != ALL_SLUG
                    && tree.find(slug).is_none()
                {
                    report.doubt(
                        FEEDS,
                        format!(
                            "{}: `{slug}` names no category, so the feed is not there; `bantin category list` names those there are",
                            feed.file
                        ),
                    );
                }
            }
        }
        Selected::All | Selected::Label(_) | Selected::Search(_) | Selected::Nothing => {}
    }
}

/// Why an alias does nothing, or does what may not be meant.
fn idle(stored: &Stored, feed: &DeclaredFeed, alias: &Alias) -> Option<String> {
    let slug = match alias {
        Alias::Slug(slug) => slug,
        Alias::Path(path) => {
            let first = path.as_str().split('/').nth(1).unwrap_or_default();
            return OWN_PATHS.contains(&first).then(|| {
                format!("is never asked for: all below /{first} is the program's own; take it out")
            });
        }
    };
    match stored.directory.lookup(slug) {
        Lookup::Feed(present) => Some(format!(
            "does nothing: the feed “{}” has this slug now; take it out, or rename the category",
            present.title
        )),
        Lookup::Nothing => Some("leads nowhere: the feed itself is not there".to_owned()),
        Lookup::Moved(_) | Lookup::Retired => {
            let hidden = stored.tree.find(slug)?;
            let own =
                matches!(&feed.selected, Selected::Category(own) if stored.tree.find(own)?.id == hidden.id);
            (!own).then(|| {
                format!(
                    "hides that the category “{}” has or had this slug; its readers come here",
                    hidden.title
                )
            })
        }
    }
}

/// A feed that ends is not taken from those who have it by mail.
async fn retired(report: &mut Report, stored: &Stored) {
    for category in stored.tree.all() {
        let key = FeedKey::Category(category.id);
        if stored.directory.by_key(key).is_some() {
            continue;
        }
        if let Ok(count @ 1..) = stored.store.subscriptions_to(key).await {
            report.doubt(
                FEEDS,
                format!(
                    "the feed `{}` is retired, and {count} subscriptions by mail still have its articles; they run until their readers end them",
                    category.slug
                ),
            );
        }
    }
}

/// Programs of the newsroom whose token has run out, or travels so that others can read it.
async fn tokens(report: &mut Report, config: &Config, stored: &Stored) {
    const PART: &str = "tokens";
    let Ok(tokens) = stored.store.tokens().await else { return };
    let now = SystemClock.now();
    for token in tokens.iter().filter(|token| token.expires_at.is_some_and(|end| end <= now)) {
        let name = &token.name;
        report.doubt(PART, format!("`{name}` has run out, so its program is refused; `bantin token revoke {name}`, then `bantin token add` makes another"));
    }
    if let (Some(url), false) = (&config.publication.base_url, tokens.is_empty())
        && url.as_url().scheme() == "http"
        && !is_inside(url.as_url())
    {
        report.doubt(PART, "the API's tokens are sent without encryption, as publication.base_url begins with http://; put a proxy with TLS before it (deploy/README.md)");
    }
}

fn seals(report: &mut Report, config: &Config) {
    const PART: &str = "mail";
    let seals = &config.mail.seals;
    if seals.is_empty() && matches!(config.mail.url, MailUrl::Direct(_)) {
        report.fault(
            PART,
            "mail goes directly to its readers' servers (mail.url is mx:) and nobody signs it: large providers refuse it; make keys with `bantin dkim new` and set dkim.keys",
        );
    }
    if seals.is_empty() && matches!(config.mail.url, MailUrl::Smtp(_)) {
        report.doubt(
            PART,
            "no DKIM key is configured (dkim.keys): unless your mail server signs, large providers refuse or hide the mail; make keys with `bantin dkim new`",
        );
    }
    for (file, mode) in open_keys(config) {
        report.doubt(
            PART,
            format!("{} can be read by others (mode {mode:03o}): whoever has it signs mail in your name; chmod 600", file.display()),
        );
    }
    for seal in seals {
        report.fine(
            PART,
            format!(
                "mail is signed; DNS must have the record of `bantin dkim show` at {}",
                seal.record_name()
            ),
        );
    }
}

/// The key files that others than their owner and his group may read, with their modes.
fn open_keys(config: &Config) -> impl Iterator<Item = (&Path, u32)> {
    config.mail.seal_files.iter().filter_map(|file| {
        let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
        (mode & 0o007 != 0).then_some((file.as_path(), mode))
    })
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

/// Whether what cannot be delivered comes back to us.
fn returns(report: &mut Report, config: &Config) {
    const PART: &str = "bounces";
    let ways = &config.bounces;
    match &config.mail.bounces_to {
        None if matches!(config.mail.url, MailUrl::Smtp(_)) => report.doubt(
            PART,
            "mail that cannot be delivered goes back to mail.from, where a person has to read it; set mail.bounces_to to an address such as tra-lai+*@your-domain and bring it back by [bounces]",
        ),
        Some(path) if !path.is_signed() => report.doubt(
            PART,
            format!("mail.bounces_to = {path} has no star, so only servers that return our headers prove which mail came back; where yours takes words behind a plus, write a +* before the @"),
        ),
        Some(path) => report.fine(PART, format!("mail that cannot be delivered goes back to {path}; `dig MX` of that domain must name a server that gives it to bantin")),
        None => {}
    }
    if let Some(folder) = &ways.maildir {
        match ["new", "cur"].iter().find(|below| !folder.join(below).is_dir()) {
            Some(below) => report.fault(
                PART,
                format!(
                    "{} has no folder `{below}`: is it a Maildir, and may bantin read it?",
                    folder.display()
                ),
            ),
            None => report.fine(PART, format!("the Maildir {} is there", folder.display())),
        }
    }
    if ways.hook_key.is_some() {
        let providers = Provider::ALL.map(Provider::as_str).join(", ");
        report.fine(
            PART,
            format!("providers may post to /hooks/bounces/NAME/KEY, NAME being one of {providers}"),
        );
    } else if let Some(topic) = &ways.sns_topic {
        report.fault(
            PART,
            format!("`bounces.sns_topic` names {topic}, and nobody may post; set `bounces.hook_key`"),
        );
    }
}

async fn mailbox(report: &mut Report, config: &Config) {
    const PART: &str = "bounces";
    let Some(url) = &config.bounces.imap else { return };
    match inbox::check(url).await {
        Ok(waiting) => report.fine(PART, format!("{url} can be read; {waiting} messages wait")),
        Err(error) => report.fault(PART, format!("{url}: {error}; are host, name and password right?")),
    }
}

async fn outgoing(report: &mut Report, config: &Config) {
    const PART: &str = "mail";
    if let MailUrl::Outbox(folder) = &config.mail.url {
        report.doubt(PART, format!("mail goes to the folder {} and reaches nobody; set mail.url to smtp://your-server:25 when you are ready", folder.display()));
    }
    for way in &config.mail.pace.relays {
        let name = match &way.url {
            MailUrl::Outbox(_) => continue,
            MailUrl::Smtp(url) if config.mail.pace.relays.len() > 1 => format!("relay {}: ", url.host),
            MailUrl::Smtp(_) | MailUrl::Direct(_) => String::new(),
        };
        let options = SmtpOptions { hello_name: config.mail.hello_name.clone(), ..SmtpOptions::default() };
        let relay = match relay::open(&way.url, options) {
            Ok(relay) => relay,
            Err(error) => {
                report.fault(PART, format!("{name}{error}"));
                continue;
            }
        };
        match tokio::time::timeout(PATIENCE, relay.check()).await {
            Ok(Ok(offers)) => report.fine(PART, format!("{name}{offers}")),
            Ok(Err(why)) => report.fault(PART, format!("{}: {why}", way.url)),
            Err(_) => report.fault(
                PART,
                format!(
                    "{}: no answer in {} seconds; is it a mail server, and does a firewall let us through?",
                    way.url,
                    PATIENCE.as_secs()
                ),
            ),
        }
    }
}
