use super::settings::{Origin, Settings};
use super::{duration, positive};
use crate::domain::Rate;
use crate::relay::{MailUrl, ProviderRates};
use std::str::FromStr;
use std::time::Duration;

/// One way by which mail leaves.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// Where it goes.
    pub url: MailUrl,
    /// Its share of the letters, beside those of the others.
    pub weight: u32,
    /// How many connections go there at once, if it says so.
    pub connections: Option<usize>,
    /// How fast letters go there at most, by this process.
    pub rate: Option<Rate>,
}

/// How fast mail leaves, and by what.
#[derive(Clone, Debug)]
pub struct PaceSettings {
    /// The ways: `mail.url` and `[[mail.relays]]`.
    pub relays: Vec<RelaySettings>,
    /// How fast letters go to one mail provider at most, by this process.
    pub providers: ProviderRates,
    /// Over how long the letters of an edition are spread.
    pub spread: Duration,
}

/// A day: the next edition of a daily digest comes then.
const LONGEST_SPREAD: Duration = Duration::from_secs(86_400);

pub(super) fn pace_settings(s: &mut Settings, main: &MailUrl) -> PaceSettings {
    let workers = s.take("mail.workers", positive).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let mut relays = vec![RelaySettings {
        url: main.clone(),
        weight: s.take("mail.weight", weight).unwrap_or(1),
        connections: None,
        rate: s.take("mail.rate", Rate::from_str).map(|rate| rate.share(workers)),
    }];
    for number in s.numbers("mail.relays") {
        let key = |name: &str| format!("mail.relays.{number}.{name}");
        let url = s.take(&key("url"), MailUrl::from_str);
        let relay = (
            s.take(&key("weight"), weight).unwrap_or(1),
            s.take(&key("connections"), positive).and_then(|n| usize::try_from(n).ok()),
            s.take(&key("rate"), Rate::from_str).map(|rate| rate.share(workers)),
        );
        match url {
            Some(url) => {
                let (weight, connections, rate) = relay;
                relays.push(RelaySettings { url, weight, connections, rate });
            }
            None => {
                s.fault(Origin::File(key("url")), "is missing or wrong; each of [[mail.relays]] needs one")
            }
        }
    }
    if relays.len() > 1 && relays.iter().any(|relay| matches!(relay.url, MailUrl::Outbox(_))) {
        s.fault(
            Origin::File("mail.relays".to_owned()),
            "a folder takes all mail or none; set mail.url to a mail server, or take [[mail.relays]] out",
        );
    }
    PaceSettings {
        relays,
        providers: provider_rates(s, workers),
        spread: s.take("mail.spread", time).unwrap_or_default(),
    }
}

fn provider_rates(s: &mut Settings, workers: u32) -> ProviderRates {
    let each = s.take("mail.domain_rate", Rate::from_str).map(|rate| rate.share(workers));
    let mut some = Vec::new();
    if let Some((list, origin)) = s.take_list("mail.domain_rates") {
        for entry in list {
            match entry.split_once('=').map(|(domain, rate)| (domain.trim(), rate.trim().parse::<Rate>())) {
                Some((domain, Ok(rate))) if !domain.is_empty() => {
                    some.push((domain.to_ascii_lowercase(), rate.share(workers)));
                }
                _ => s.fault(
                    origin.clone(),
                    format!("`mail.domain_rates`: `{entry}` must be DOMAIN=RATE, as in gmail.com=20/second"),
                ),
            }
        }
    }
    ProviderRates { each, some }
}

fn weight(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1000).contains(n))
        .ok_or_else(|| format!("`{text}` is no number from 1 to 1000"))
}

fn time(text: &str) -> Result<Duration, String> {
    duration(text, &[("s", 1), ("m", 60), ("h", 3_600)])
        .filter(|time| *time <= LONGEST_SPREAD)
        .ok_or_else(|| format!("`{text}` is no time up to 24h; write it like 30m, with s, m or h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (PaceSettings, Vec<String>) {
        let mut s = Settings::of_file("bantin.toml", text);
        let main = s.take("mail.url", MailUrl::from_str).unwrap();
        let settings = pace_settings(&mut s, &main);
        (settings, s.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn relays_and_rates_are_read_and_shared_by_the_workers() {
        let (settings, faults) = read(
            "[mail]\nurl = \"smtp://a.vn\"\nrate = \"20/minute\"\nspread = \"30m\"\nworkers = 2\n\
             domain_rates = [\"gmail.com=20/second\", \"yahoo.com = 2/second\"]\n\
             [[mail.relays]]\nurl = \"smtp://b.vn\"\nweight = 3\nconnections = 7\n",
        );
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(settings.spread, Duration::from_secs(1_800));
        assert_eq!(settings.relays[0].rate, "10/minute".parse().ok());
        assert_eq!(settings.providers.some[1], ("yahoo.com".to_owned(), "1/second".parse().unwrap()));
        let other = &settings.relays[1];
        assert_eq!((other.weight, other.connections, other.rate), (3, Some(7), None));
        assert_eq!(other.url.to_string(), "smtp://b.vn:25?tls=opportunistic");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_mend() {
        let (_, faults) = read(
            "[mail]\nurl = \"outbox:o\"\nrate = \"20\"\nspread = \"30\"\nweight = 0\ndomain_rates = \"gmail.com\"\n\
             [[mail.relays]]\nweight = 3\n[[mail.relays]]\nurl = \"smtp://b.vn\"\n",
        );
        for part in [
            "20/minute",
            "30m",
            "1 to 1000",
            "gmail.com=20/second",
            "mail.relays.1.url: is missing",
            "a folder takes all",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
        }
        assert_eq!(faults.len(), 6, "{faults:?}");
    }
}
