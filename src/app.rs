//! Floor 5: everything is built once, handed down, and stopped in the reverse order.

use crate::bounce::{self, Returns, Sns};
use crate::config::{
    BounceSettings, Config, ConfigFault, Declared, HubSettings, LetterSettings, Limits, MailSettings,
    WebhookSettings, read_folder, read_templates,
};
use crate::dispatch::{Desk, Dispatcher, MailThread, Opens, Press, Rules, Tally, Workbench};
use crate::domain::{
    Backoff, Chance, Clock, FeedKey, Instant, MAIL_BACKOFF, Publication, PushContent, SubscriberId,
    TokenPurpose, WebUrl,
};
use crate::fetch::{self, Fetcher, Reach};
use crate::http::{
    Health, Limiter, ListingShelf, PageShelf, VolumeShelf, express, seal, shelf, volume_shelf,
};
use crate::hub::{Hub, HubRules, HubTally};
use crate::mail::{Sender, dkim};
use crate::page::FeedLink;
use crate::relay::{self, MailUrl, Member, Outbox, Relay, RelayError, RelaySet, SmtpOptions};
use crate::representations::{Hubs, Representations};
use crate::sources::Sources;
use crate::store::{EndpointKind, Store, StoreError};
use crate::wording::{TemplateFault, Templates};
use crate::{digest, tick};
use axum::Router;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long open connections may take to end once the program is asked to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// To how many servers letters are under way at once where they go directly to their readers'.
const SERVERS_AT_ONCE: usize = 8;

/// The machine's clock, cut to the microseconds that the store keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where time comes from")]
    fn now(&self) -> Instant {
        crate::domain::from_micros(chrono::Utc::now().timestamp_micros())
    }
}

/// The machine's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(clippy::expect_used, reason = "without randomness no token is safe: better none at all")]
    #[expect(clippy::disallowed_methods, reason = "the one place where randomness comes from")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has randomness");
    }
}

/// What wakes the loops before their next tick.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    /// A slot may be due, or an embargo may have ended.
    pub digest: Arc<Notify>,
    /// A delivery may be due.
    pub dispatch: Arc<Notify>,
    /// A feed may have changed.
    pub refresh: Arc<Notify>,
    /// A topic of the hub may have changed.
    pub notice: Arc<Notify>,
    /// A callback may have to be asked.
    pub verify: Arc<Notify>,
    /// A push may be due.
    pub push: Arc<Notify>,
    /// Another hub or a webhook may have to be told.
    pub endpoints: Arc<Notify>,
    /// A source may be due.
    pub sources: Arc<Notify>,
}

/// Which of its jobs a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP.
    pub web: bool,
    /// Cuts editions and ends embargoes.
    pub scheduler: bool,
    /// Hands letters over.
    pub worker: bool,
}

/// The program, built.
pub struct App {
    /// The newspaper.
    pub publication: Publication,
    /// How pages and letters look.
    pub templates: Templates,
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub chance: Arc<dyn Chance>,
    /// Where mail goes.
    pub relay: Arc<dyn Relay>,
    /// The same, where it is a folder.
    pub outbox: Option<Outbox>,
    /// How many letters are under way at once.
    pub mail_connections: usize,
    /// The thread for letters that are not signed, once one was wanted; none where it did not start.
    mail_thread: OnceLock<Option<MailThread>>,
    /// What letters are written with.
    pub desk: Arc<Desk>,
    /// Who takes back what could not be delivered.
    pub returns: Arc<Returns>,
    /// On which ways it comes.
    pub bounces: BounceSettings,
    /// Who asks for the signature of what Amazon SNS posts.
    pub sns: Option<Sns>,
    /// The finished bytes of every feed.
    pub representations: Arc<Representations>,
    /// The feed of everything, as every page names it.
    pub everything: Option<FeedLink>,
    /// Pages that everybody gets.
    pub shelf: PageShelf,
    /// Sitemaps and the list of feeds.
    pub listings: ListingShelf,
    /// What is counted.
    pub health: Health,
    /// Who fetched how much.
    pub limiter: Limiter,
    /// What became of letters.
    pub tally: Arc<Tally>,
    /// Which letters were opened just now.
    pub opens: Opens,
    /// What the newsroom decides about letters that do not simply arrive.
    pub rules: Rules,
    /// What wakes the loops.
    pub wake: Wake,
    /// Bounds.
    pub limits: Limits,
    /// Whether clients get deltas (RFC 3229).
    pub delta: bool,
    /// The hub's settings.
    pub hub: HubSettings,
    /// The newsroom's webhooks.
    pub webhooks: WebhookSettings,
    /// What articles flow in from.
    pub sources: Sources,
    /// How much came out lately.
    pub volumes: VolumeShelf,
    /// Which letters are written beside the question and the digests.
    pub letters: LetterSettings,
    /// Who signed up how often.
    pub sign_ups: Limiter,
    /// Who asked the hub how much.
    pub hub_limiter: Limiter,
    /// Which token asked the API how much.
    pub api_limiter: Limiter,
    /// What became of the hub's work.
    pub hub_tally: Arc<HubTally>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// When it was built.
    pub started_at: Instant,
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is wrong.
    #[error("{}", lines(.0))]
    Config(Vec<ConfigFault>),
    /// Templates are wrong.
    #[error("{}", lines(.0))]
    Templates(Vec<TemplateFault>),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Mail cannot leave.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Nothing can be served.
    #[error("cannot listen on {address}: {reason}; is another bantin running, or is the port below 1024?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The scheduler crate cannot start.
    #[error("the scheduler cannot start: {0}")]
    Scheduler(#[from] tokio_cron_scheduler::JobSchedulerError),
}

fn lines<T: ToString>(faults: &[T]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The templates of a configuration: built in, with the newsroom's own over them.
pub fn templates_of(config: &Config) -> Result<Templates, AppError> {
    let own = read_templates(&config.templates).map_err(AppError::Config)?;
    Templates::new(&own).map_err(AppError::Templates)
}

/// The publication of a configuration and a store.
pub fn publication_of(config: &Config, id: uuid::Uuid) -> Result<Publication, AppError> {
    let settings = &config.publication;
    Ok(Publication {
        id,
        title: settings.title.clone(),
        base_url: config.base_url().map_err(AppError::Config)?,
        language: settings.language.clone(),
        time_zone: settings.time_zone,
        contact: settings.contact.clone(),
        logo: settings.logo.clone(),
        license: settings.license.clone(),
        rights: settings.rights.clone(),
    })
}

/// What `feeds/` declares.
pub fn declared_of(config: &Config) -> Result<Declared, AppError> {
    read_folder(&config.feeds, config.publication.time_zone).map_err(AppError::Config)
}

/// The hubs that documents name.
fn hubs_of(config: &Config, publication: &Publication) -> Hubs {
    let own = WebUrl::parse(&publication.url("/websub")).ok().filter(|_| config.hub.enabled);
    Hubs { own, external: config.hub.external.clone() }
}

/// By what mail leaves: all, the folder where it is one, and how many letters are under way at once.
struct Outgoing {
    relay: Arc<dyn Relay>,
    outbox: Option<Outbox>,
    connections: usize,
}

fn outgoing_of(
    settings: &MailSettings,
    limits: &Limits,
    clock: &Arc<dyn Clock>,
    chance: &Arc<dyn Chance>,
) -> Result<Outgoing, AppError> {
    if let MailUrl::Outbox(folder) = &settings.url {
        let outbox = Outbox::new(folder.clone());
        let relay = Arc::new(outbox.clone());
        return Ok(Outgoing { relay, outbox: Some(outbox), connections: limits.mail_connections });
    }
    let (mut members, mut connections) = (Vec::new(), 0);
    for way in &settings.pace.relays {
        let own = way.connections.unwrap_or(limits.mail_connections);
        // Direct, they are to one server of many.
        let is_direct = matches!(way.url, MailUrl::Direct(_));
        connections += if is_direct { own * SERVERS_AT_ONCE } else { own };
        let options = SmtpOptions {
            connections: own,
            hello_name: settings.hello_name.clone(),
            ..SmtpOptions::default()
        };
        let (relay, name) = (relay::open(&way.url, options)?, way.url.host().to_owned());
        members.push(Member { name, relay, weight: way.weight, rate: way.rate });
    }
    let rates = settings.pace.providers.clone();
    let relay = Arc::new(RelaySet::new(members, rates, Arc::clone(clock), Arc::clone(chance)));
    Ok(Outgoing { relay, outbox: None, connections })
}

/// The declared sources, with what looks at them.
pub fn sources_of(
    config: &Config,
    store: &Store,
    clock: &Arc<dyn Clock>,
    chance: &Arc<dyn Chance>,
) -> Result<Sources, AppError> {
    let place = (config.base_url().map_err(AppError::Config)?, config.publication.time_zone);
    let (declared, senses) = (config.sources.clone(), (Arc::clone(clock), Arc::clone(chance)));
    Ok(Sources::new(store.clone(), declared, place, config.rules.clone(), config.limits.claim, senses))
}

/// Certificates are small, and lie where they are said to.
fn sns_of(settings: &BounceSettings) -> Option<Sns> {
    let limits = fetch::Limits { bytes: 64 << 10, redirects: 0, ..fetch::Limits::default() };
    let of = |topic: &String| Sns::new(topic.clone(), Fetcher::new(Reach::Public, limits));
    settings.sns_topic.as_ref().map(of)
}

fn rules_of(settings: &MailSettings) -> Rules {
    let patience = chrono::Duration::from_std(settings.give_up_after).unwrap_or(MAIL_BACKOFF.patience);
    Rules { backoff: Backoff { patience, ..MAIL_BACKOFF }, holds_uncertain: settings.holds_uncertain }
}

impl App {
    /// Builds everything in the order in which one part needs another: words, store, relay,
    /// feeds, letters. Brings the schema up to date.
    pub async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self, AppError> {
        let started_at = clock.now();
        let templates = templates_of(config)?;
        let declared = declared_of(config)?;
        let store = Store::open(&config.store).await?;
        store.migrate(started_at).await?;
        let installation = store.installation(started_at, &*chance).await?;
        let publication = publication_of(config, installation.publication)?;
        let Outgoing { relay, outbox, connections } =
            outgoing_of(&config.mail, &config.limits, &clock, &chance)?;
        let memory = config.server.feed_memory;
        let cuts = declared.feeds.iter().any(|feed| feed.push == Some(PushContent::New));
        let hubs = hubs_of(config, &publication);
        let representations =
            Representations::open(store.clone(), publication.clone(), declared.feeds, hubs, memory).await?;
        let representations =
            if config.server.delta || cuts { representations.with_deltas() } else { representations };
        let representations = Arc::new(representations);
        let everything = representations.directory().by_key(FeedKey::All).map(FeedLink::of);
        let desk = Arc::new(Desk {
            publication: publication.clone(),
            sender: Sender {
                address: config.mail.from.clone(),
                name: publication.title.clone(),
                reply_to: config.mail.reply_to.clone().or_else(|| publication.contact.clone()),
                seals: config.mail.seals.clone(),
            },
            secret: installation.secret,
            templates: templates.clone(),
            digests: declared.digests,
            spread: config.mail.pace.spread,
            representations: Arc::clone(&representations),
            counts_opens: config.mail.letters.count_opens,
            press: Press::default(),
            workbench: Workbench::default(),
        });
        let tally = Arc::<Tally>::default();
        let returns = Arc::new(Returns {
            store: store.clone(),
            secret: desk.secret.clone(),
            return_path: config.mail.bounces_to.clone(),
            sender: config.mail.from.clone(),
            rules: config.bounces.rules.clone(),
            breaker: config.mail.breaker,
            tally: bounce::Tally::default(),
        });
        let limiter = Limiter::new(config.limits.feed_burst, config.limits.feed_refill, started_at, &*chance);
        let limits = &config.limits;
        let sign_ups = Limiter::new(limits.sign_up_burst, limits.sign_up_refill, started_at, &*chance);
        let hub = config.hub.clone();
        let hub_limiter = Limiter::new(hub.request_burst, hub.request_refill, started_at, &*chance);
        let api = config.limits.api_per_minute;
        let api_refill = Duration::from_secs(60).checked_div(api).unwrap_or_default();
        let api_limiter = Limiter::new(api, api_refill, started_at, &*chance);
        Ok(Self {
            delta: config.server.delta,
            api_limiter,
            hub,
            webhooks: config.webhooks.clone(),
            sources: sources_of(config, &store, &clock, &chance)?,
            volumes: volume_shelf(),
            letters: config.mail.letters,
            sign_ups,
            hub_limiter,
            hub_tally: Arc::default(),
            publication,
            templates,
            store,
            limiter,
            clock,
            chance,
            relay,
            outbox,
            mail_connections: connections,
            mail_thread: OnceLock::new(),
            desk,
            returns,
            bounces: config.bounces.clone(),
            sns: sns_of(&config.bounces),
            everything,
            representations,
            shelf: shelf(),
            listings: ListingShelf::default(),
            health: Health::new(&tally),
            opens: Opens::default(),
            tally,
            rules: rules_of(&config.mail),
            wake: Wake::default(),
            limits: config.limits.clone(),
            trusted_proxies: config.server.trusted_proxies.clone(),
            started_at,
        })
    }

    /// Tells the store what is published from now on: names and looks of feeds, schedules of
    /// digests. For whoever serves; a command that only looks changes nothing.
    pub async fn announce(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.move_in().await?;
        self.representations.announce(now).await?;
        let endpoint = |kind| move |url: &WebUrl| (kind, url.clone());
        let hubs = self.hub.external.iter().map(endpoint(EndpointKind::Hub));
        let webhooks = self.webhooks.urls.iter().map(endpoint(EndpointKind::Webhook));
        self.store.note_endpoints(&hubs.chain(webhooks).collect::<Vec<_>>()).await?;
        self.sources.declare().await?;
        digest::register(&self.store, &self.desk.calendar(), now).await
    }

    /// The path before all our paths, where the base URL has one.
    pub fn root(&self) -> String {
        self.publication.base_url.as_url().path().trim_end_matches('/').to_owned()
    }

    /// A reader's link to his own pages.
    pub async fn link(&self, reader: SubscriberId, purpose: TokenPurpose) -> String {
        let path = |token: String| match purpose {
            TokenPurpose::Unsubscribe => format!("/unsubscribe/{token}"),
            TokenPurpose::Feed => format!("/my/{token}.rss"),
            _ => format!("/preferences/{token}"),
        };
        match self.store.subscriber(reader).await {
            Ok(Some(reader)) => self.publication.url(&path(seal(self, &reader, purpose))),
            _ => self.publication.url("/"),
        }
    }

    /// The hub at work, until it is asked to stop.
    pub fn hub_worker(&self, stop: CancellationToken) -> Hub {
        let settings = &self.hub;
        let limits = fetch::Limits {
            // A challenge, or the start of a page that is none.
            bytes: 8 << 10,
            time: settings.timeout,
            redirects: 0,
            idle_per_host: settings.connections_per_host,
            ..fetch::Limits::default()
        };
        let reach = if settings.allow_private_callbacks { Reach::Anywhere } else { Reach::Public };
        Hub {
            store: self.store.clone(),
            representations: Arc::clone(&self.representations),
            fetcher: Fetcher::new(reach, limits),
            own_fetcher: Fetcher::new(Reach::Anywhere, limits),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            secret: self.desk.secret.clone(),
            base_url: self.publication.base_url.clone(),
            rules: HubRules {
                leases: settings.leases,
                signature: settings.signature,
                connections: settings.connections,
                connections_per_host: settings.connections_per_host,
                claim: self.limits.claim,
                webhook_key: self.webhooks.key.clone(),
            },
            worker: crate::domain::new_uuid(self.clock.now(), &*self.chance).to_string(),
            tally: Arc::clone(&self.hub_tally),
            looked_at: Arc::new(AtomicI64::new(-1)),
            stop,
        }
    }

    /// Where letters are worked on. Signatures take three times as long as all else, and want every processor.
    /// Without them one thread is best: several would spend a fifth of the time waking each other.
    fn mail_threads(&self) -> Handle {
        if !self.desk.sender.seals.is_empty() {
            tokio::task::spawn_blocking(dkim::prepare);
            return Handle::current();
        }
        let started = self.mail_thread.get_or_init(|| {
            let told = |error: &io::Error| {
                tracing::warn!(%error, "no thread for letters; they share those of all else");
            };
            MailThread::start().inspect_err(told).ok()
        });
        started.as_ref().map_or_else(Handle::current, MailThread::handle)
    }

    /// A worker that empties the queue of deliveries, or stops when it is asked to.
    pub fn dispatcher(&self, stop: CancellationToken) -> Dispatcher {
        Dispatcher {
            store: self.store.clone(),
            desk: Arc::clone(&self.desk),
            returns: Arc::clone(&self.returns),
            relay: Arc::clone(&self.relay),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            worker: crate::domain::new_uuid(self.clock.now(), &*self.chance).to_string(),
            claim: self.limits.claim,
            connections: self.mail_connections,
            rules: self.rules,
            tally: Arc::clone(&self.tally),
            runs: Arc::default(),
            tenure: Arc::default(),
            handing: Arc::default(),
            threads: self.mail_threads(),
            stop,
        }
    }
}

/// Listens, or says why not.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|reason| AppError::Listen { address, reason })
}

/// Runs until `stop` is called, then ends in order: no new requests, last answers, loops end
/// after the letters under way, claims given back, connections closed. Without a listener nothing
/// is served, whatever the roles say.
pub async fn run(
    app: Arc<App>,
    roles: Roles,
    routes: Router,
    listener: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    app.announce().await?;
    let loops = tick::start(&app, roles, &stop).await?;
    if let Some(listener) = listener {
        let server = express::serve(Arc::clone(&app), routes, listener, stop.clone());
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        };
        tokio::select! {
            () = server => {}
            () = deadline => tracing::warn!("connections were still open and are cut"),
        }
        stop.cancel();
    } else {
        stop.cancelled().await;
    }
    loops.end().await;
    app.relay.part(Duration::ZERO).await;
    app.store.close().await;
    tracing::info!("stopped");
    Ok(())
}
