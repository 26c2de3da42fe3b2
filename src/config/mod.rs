//! Floor 5: what the newsroom set, read whole before anything starts.
//!
//! `bantin.toml`, then variables `BANTIN_SECTION__KEY`, then `feeds/*.toml` and `templates/`.
//! Every key has a working default. All faults are reported together, each with its place and
//! mend. The parts are handed down one by one; nothing below floor 5 sees the whole.

mod bounces;
mod declared;
mod dkim;
mod hub;
mod relays;
mod settings;
mod sources;

pub use bounces::BounceSettings;
use bounces::bounce_settings;
pub use hub::{HubSettings, WebhookSettings};
use hub::{hub_settings, webhook_settings};

use relays::pace_settings;
pub use relays::{PaceSettings, RelaySettings};

pub use declared::{Declared, built_in_digest, read_folder};
pub use settings::{ConfigFault, Origin};

use crate::domain::{Breaker, EmailAddress, LanguageTag, ReturnPath, Schedule, WebUrl};
use crate::intake::{ReadingRules, Rules};
use crate::mail::dkim::Seal;
use crate::relay::MailUrl;
use crate::sources::Source;
use crate::store::StoreUrl;
use settings::Settings;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// What the publication says of itself.
#[derive(Clone, Debug)]
pub struct PublicationSettings {
    /// Its name.
    pub title: String,
    /// Where this program is reached from outside; without one, the listening address.
    pub base_url: Option<WebUrl>,
    /// The language of its articles.
    pub language: LanguageTag,
    /// The zone of its dates and schedules.
    pub time_zone: chrono_tz::Tz,
    /// Whom readers may write to.
    pub contact: Option<EmailAddress>,
    /// Its logo.
    pub logo: Option<WebUrl>,
    /// The licence of its articles.
    pub license: Option<WebUrl>,
    /// Who holds the rights.
    pub rights: Option<String>,
}

/// How pages and feeds are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How many bytes of rendered feeds are kept in memory.
    pub feed_memory: u64,
    /// Whether readers that ask for it get only what is new in a feed (RFC 3229).
    pub delta: bool,
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Where it goes.
    pub url: MailUrl,
    /// Who it is from.
    pub from: EmailAddress,
    /// Where answers go.
    pub reply_to: Option<EmailAddress>,
    /// Where mail that cannot be delivered goes back to, if not to the sender.
    pub bounces_to: Option<ReturnPath>,
    /// The name that the mail server is greeted with; without one, this machine's.
    pub hello_name: Option<String>,
    /// `[dkim]`: what letters are signed with.
    pub seals: Vec<Seal>,
    /// The files of their keys.
    pub seal_files: Vec<PathBuf>,
    /// Whether an edition's letter that may have been taken waits for a person.
    pub holds_uncertain: bool,
    /// How long a letter that is put off is tried.
    pub give_up_after: Duration,
    /// When an edition is stopped.
    pub breaker: Breaker,
    /// How fast it leaves, and by which other ways.
    pub pace: PaceSettings,
    /// Which letters are written beside the question and the digests.
    pub letters: LetterSettings,
}

/// Which letters are written beside the question and the digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterSettings {
    /// Whether who has become a reader is welcomed.
    pub welcome: bool,
    /// Whether who gets nothing any more is told so, with a way back.
    pub goodbye: bool,
    /// Whether letters of editions hold a picture that counts them when they are opened.
    pub count_opens: bool,
}

/// Bounds that a newsroom seldom needs to move.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a worker holds deliveries without a sign of life. After a crash they wait this long.
    pub claim: Duration,
    /// How many connections go to the mail server at once.
    pub mail_connections: usize,
    /// How long no second confirmation goes to an address that did not answer the first.
    pub confirmation_quiet: Duration,
    /// How many people of one network may sign up at once. 0: as many as like.
    pub sign_up_burst: u32,
    /// After how long one more may.
    pub sign_up_refill: Duration,
    /// How many whole copies of one feed a client may fetch at once without saying what it has.
    /// 0: as many as it likes.
    pub feed_burst: u32,
    /// After how long it may fetch one more. Zero: as many as it likes.
    pub feed_refill: Duration,
    /// How many requests a token of the API may make in a minute. 0: as many as it likes.
    pub api_per_minute: u32,
}

/// How the program tells of itself.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Lines for machines instead of people.
    pub json: bool,
    /// What is told, in the form of `tracing`'s filters.
    pub level: String,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[publication]`
    pub publication: PublicationSettings,
    /// `[server]`
    pub server: ServerSettings,
    /// `[store]`
    pub store: StoreUrl,
    /// `[mail]`
    pub mail: MailSettings,
    /// `[bounces]`
    pub bounces: BounceSettings,
    /// `[feeds] dir`
    pub feeds: PathBuf,
    /// `[templates] dir`
    pub templates: PathBuf,
    /// `[intake] rules`: how pages are read.
    pub rules: ReadingRules,
    /// `[hub]`
    pub hub: HubSettings,
    /// `[webhooks]`
    pub webhooks: WebhookSettings,
    /// `[sources.…]`: what articles flow in from.
    pub sources: Vec<Source>,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: LogSettings,
}

impl Config {
    /// Reads the configuration. `file` was asked for by name and must be there; without one
    /// `bantin.toml` is read if it is.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ConfigFault>> {
        let default = Path::new("bantin.toml");
        let path = file.or_else(|| default.exists().then_some(default));
        let mut settings = match path {
            Some(path) => {
                let text = settings::read_file(path).map_err(|fault| vec![fault])?;
                Settings::of_file(&path.display().to_string(), &text)
            }
            None => Settings::default(),
        };
        settings.overlay(variables);
        Self::read(settings)
    }

    fn read(mut settings: Settings) -> Result<Self, Vec<ConfigFault>> {
        let s = &mut settings;
        let publication = PublicationSettings {
            title: s.take("publication.title", not_blank).unwrap_or_else(|| "Bản Tin".to_owned()),
            base_url: s.take("publication.base_url", WebUrl::parse),
            language: s
                .take("publication.language", |t| LanguageTag::try_from(t.to_owned()))
                .unwrap_or_default(),
            time_zone: s
                .take("publication.time_zone", Schedule::zone)
                .unwrap_or(chrono_tz::Tz::Asia__Ho_Chi_Minh),
            contact: s.take("publication.contact", EmailAddress::parse),
            logo: s.take("publication.logo", WebUrl::parse),
            license: s.take("publication.license", WebUrl::parse),
            rights: s.take("publication.rights", not_blank),
        };
        let server = ServerSettings {
            listen: s.take("server.listen", listen_address).unwrap_or(DEFAULT_LISTEN),
            trusted_proxies: trusted_proxies(s),
            feed_memory: s.take("server.feed_memory_mb", u64::from_str).unwrap_or(256) << 20,
            delta: s.take("server.delta", yes_or_no).unwrap_or(false),
        };
        let store = s
            .take("store.url", StoreUrl::from_str)
            .unwrap_or_else(|| StoreUrl::Sqlite(PathBuf::from("var/bantin.db")));
        let mail = mail_settings(s, publication.base_url.as_ref());
        let bounces = bounce_settings(s);
        let feeds = s.take("feeds.dir", path).unwrap_or_else(|| PathBuf::from("feeds"));
        let templates = s.take("templates.dir", path).unwrap_or_else(|| PathBuf::from("templates"));
        let rules = s.take("intake.rules", own_rules).map(ReadingRules::from).unwrap_or_default();
        let hub = hub_settings(s);
        let webhooks = webhook_settings(s);
        let sources = sources::declared_sources(s);
        let seconds = |s: &mut Settings, key, default| {
            s.take(key, positive).map_or(Duration::from_secs(default), Duration::from_secs)
        };
        let limits = Limits {
            claim: seconds(s, "limits.claim_seconds", 90),
            mail_connections: s
                .take("limits.mail_connections", positive)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(4),
            confirmation_quiet: seconds(s, "limits.confirmation_quiet_seconds", 600),
            sign_up_burst: s.take("limits.sign_up_burst", u32::from_str).unwrap_or(30),
            sign_up_refill: seconds(s, "limits.sign_up_refill_seconds", 60),
            feed_burst: s.take("limits.feed_burst", u32::from_str).unwrap_or(60),
            feed_refill: s
                .take("limits.feed_refill_seconds", u32::from_str)
                .map_or(Duration::from_secs(60), |n| Duration::from_secs(n.into())),
            api_per_minute: s.take("limits.api_per_minute", u32::from_str).unwrap_or(1_200),
        };
        let log = LogSettings {
            json: s.take("log.format", log_format).unwrap_or(false),
            level: s.take("log.level", log_level).unwrap_or_else(|| "info".to_owned()),
        };
        let faults = settings.finish();
        if faults.is_empty() {
            Ok(Self {
                publication,
                server,
                store,
                mail,
                bounces,
                feeds,
                templates,
                rules,
                hub,
                webhooks,
                sources,
                limits,
                log,
            })
        } else {
            Err(faults)
        }
    }

    /// Where this program is reached from outside.
    pub fn base_url(&self) -> Result<WebUrl, Vec<ConfigFault>> {
        match &self.publication.base_url {
            Some(url) => Ok(url.clone()),
            None => WebUrl::parse(&format!("http://{}", self.server.listen)).map_err(|error| {
                vec![ConfigFault {
                    origin: Origin::File("publication.base_url".to_owned()),
                    message: error.to_string(),
                }]
            }),
        }
    }
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

fn mail_settings(s: &mut Settings, base_url: Option<&WebUrl>) -> MailSettings {
    let host = base_url.map_or("localhost", WebUrl::host);
    let fallback =
        EmailAddress::parse(&format!("bantin@{host}")).or_else(|_| EmailAddress::parse("bantin@localhost"));
    let from = s.take("mail.from", EmailAddress::parse).or(fallback.ok());
    let url =
        s.take("mail.url", MailUrl::from_str).unwrap_or_else(|| MailUrl::Outbox(PathBuf::from("var/outbox")));
    let reply_to = s.take("mail.reply_to", EmailAddress::parse);
    let bounces_to = s.take("mail.bounces_to", ReturnPath::from_str);
    #[expect(clippy::expect_used, reason = "the second fallback is a constant that parses")]
    let from = from.expect("bantin@localhost is an address");
    let hello_name = s.take("mail.hello_name", not_blank);
    let (seals, seal_files) = dkim::seals(s, from.domain()).into_iter().unzip();
    let holds_uncertain = s.take("mail.uncertain", resend_or_hold).unwrap_or(false);
    let days = s.take("mail.give_up_after_days", positive).unwrap_or(5);
    let give_up_after = Duration::from_secs(days.min(365) * 86_400);
    let breaker = Breaker {
        percent: s.take("mail.breaker_percent", percent).unwrap_or(5),
        complaints: s.take("mail.breaker_complaints", per_mille).unwrap_or(3),
        tries: s.take("mail.breaker_tries", positive).unwrap_or(100),
    };
    let pace = pace_settings(s, &url);
    let letters = LetterSettings {
        welcome: s.take("mail.welcome", yes_or_no).unwrap_or(true),
        goodbye: s.take("mail.goodbye", yes_or_no).unwrap_or(false),
        count_opens: s.take("mail.count_opens", yes_or_no).unwrap_or(false),
    };
    MailSettings {
        url,
        from,
        reply_to,
        bounces_to,
        hello_name,
        seals,
        seal_files,
        holds_uncertain,
        give_up_after,
        breaker,
        pace,
        letters,
    }
}

fn trusted_proxies(s: &mut Settings) -> Vec<IpAddr> {
    let Some((list, origin)) = s.take_list("server.trusted_proxies") else { return Vec::new() };
    let mut proxies = Vec::new();
    for text in list {
        match text.parse() {
            Ok(address) => proxies.push(address),
            Err(_) => s.fault(
                origin.clone(),
                format!("`server.trusted_proxies`: `{text}` is no IP address; write it like 10.0.0.2"),
            ),
        }
    }
    proxies
}

fn not_blank(text: &str) -> Result<String, &'static str> {
    let clean = crate::domain::clean_line(text);
    if clean.is_empty() { Err("must not be blank") } else { Ok(clean) }
}

fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("must name a folder") } else { Ok(PathBuf::from(text)) }
}

/// A file of reading rules, added to those that the program brings.
fn own_rules(text: &str) -> Result<Rules, String> {
    let own = std::fs::read_to_string(text).map_err(|error| format!("`{text}` cannot be read: {error}"))?;
    Rules::with_own(&own).map_err(|error| format!("`{text}`: {error}"))
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address to listen on; write it like 127.0.0.1:8080"))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("`{text}` is neither true nor false"))
}

/// A time in one of some units, each with its seconds: `30m`.
fn duration(text: &str, units: &[(&str, u64)]) -> Option<Duration> {
    let split = text.trim().find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.trim().split_at(split);
    let (_, seconds) = units.iter().find(|(name, _)| *name == unit.trim())?;
    count.parse::<u64>().ok()?.checked_mul(*seconds).map(Duration::from_secs)
}

fn positive(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("`{text}` is no whole number above 0"))
}

fn percent(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| *n <= 100).ok_or_else(|| format!("`{text}` is no number from 0 to 100"))
}

fn per_mille(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| *n <= 1_000).ok_or_else(|| format!("`{text}` is no number from 0 to 1000"))
}

fn resend_or_hold(text: &str) -> Result<bool, String> {
    match text {
        "resend" => Ok(false),
        "hold" => Ok(true),
        other => Err(format!("`{other}` is neither resend nor hold")),
    }
}

fn log_format(text: &str) -> Result<bool, String> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(format!("`{other}` is no form of log; write text or json")),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("`{text}` is no log level ({error}); write error, warn, info or debug"))
}

/// The newsroom's own templates and messages: path below the folder, content.
pub fn read_templates(folder: &Path) -> Result<BTreeMap<String, String>, Vec<ConfigFault>> {
    let mut files = BTreeMap::new();
    let mut faults = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        // A folder that is not there overrides nothing.
        let Ok(entries) = std::fs::read_dir(&current) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(ending, "html" | "txt" | "toml" | "css") {
                match settings::read_file(&path) {
                    Ok(text) => {
                        let name = path.strip_prefix(folder).unwrap_or(&path);
                        files.insert(name.to_string_lossy().replace('\\', "/"), text);
                    }
                    Err(fault) => faults.push(fault),
                }
            }
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<ConfigFault>> {
        let mut settings = Settings::of_file("bantin.toml", text);
        settings.overlay(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        Config::read(settings)
    }

    #[test]
    fn nothing_set_works() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.base_url().unwrap().as_str(), "http://127.0.0.1:8080/");
        assert_eq!(config.store.to_string(), "sqlite:var/bantin.db");
        assert_eq!(config.publication.time_zone, chrono_tz::Tz::Asia__Ho_Chi_Minh);
        assert_eq!(config.mail.from.to_string(), "bantin@localhost");
    }

    #[test]
    fn every_variable_of_the_contract_is_known() {
        let config = load(
            "",
            &[
                ("BANTIN_PUBLICATION__TITLE", "Báo Sông Hậu"),
                ("BANTIN_PUBLICATION__BASE_URL", "https://tin.songhau.example"),
                ("BANTIN_PUBLICATION__LANGUAGE", "vi"),
                ("BANTIN_PUBLICATION__TIME_ZONE", "Asia/Ho_Chi_Minh"),
                ("BANTIN_PUBLICATION__CONTACT", "toasoan@songhau.example"),
                ("BANTIN_SERVER__LISTEN", "0.0.0.0:80"),
                ("BANTIN_SERVER__DELTA", "true"),
                ("BANTIN_STORE__URL", "postgres://bantin:geheim@db/bantin"),
                ("BANTIN_MAIL__URL", "smtp://127.0.0.1:2525"),
                ("BANTIN_MAIL__FROM", "bantin@songhau.example"),
                ("BANTIN_HUB__ENABLED", "true"),
                ("BANTIN_HUB__ALLOW_PRIVATE_CALLBACKS", "false"),
                ("BANTIN_FEEDS__DIR", "/srv/feeds"),
                ("BANTIN_TEMPLATES__DIR", "/srv/templates"),
            ],
        )
        .unwrap();
        assert_eq!(config.feeds, Path::new("/srv/feeds"));
        assert!(config.server.delta && !load("", &[]).unwrap().server.delta);
        assert!(!format!("{config:?}").contains("geheim"), "a password in {config:?}");
    }

    #[test]
    fn wrong_values_are_all_named_with_their_mend() {
        let faults = load(
            "[publication]\ntime_zone = \"Asia/Hanoi\"\nbase_url = \"bao.example\"\n[server]\nlisten = \"8080\"\n",
            &[("BANTIN_MAIL__FROM", "toà soạn")],
        )
        .unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(
            told.iter().any(|f| f.starts_with("bantin.toml:2: ") && f.contains("Asia/Ho_Chi_Minh")),
            "{told:?}"
        );
        assert!(told.iter().any(|f| f.starts_with("environment BANTIN_MAIL__FROM")), "{told:?}");
    }
}
