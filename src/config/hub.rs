use super::settings::{Origin, Settings};
use super::{positive, yes_or_no};
use crate::domain::{LeaseRules, SignatureMethod, WebUrl};
use crate::hub::WebhookKey;
use crate::store::CallbackCaps;
use std::str::FromStr;
use std::time::Duration;

/// `[hub]`
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Whether feeds are pushed.
    pub enabled: bool,
    /// Whether callbacks may lie inside the network. For tests and inner networks only.
    pub allow_private_callbacks: bool,
    /// Other hubs, which are told what changed and stand beside ours in the feeds that have a name.
    pub external: Vec<WebUrl>,
    /// How pushes are signed.
    pub signature: SignatureMethod,
    /// How long callbacks are subscribed.
    pub leases: LeaseRules,
    /// How many requests are under way at once.
    pub connections: usize,
    /// How many of them to one host.
    pub connections_per_host: usize,
    /// How many may subscribe.
    pub caps: CallbackCaps,
    /// How long a callback's answer may take.
    pub timeout: Duration,
    /// How many requests one client may make at once.
    pub request_burst: u32,
    /// How long until it may make one more.
    pub request_refill: Duration,
}

/// `[webhooks]`
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// Where they are.
    pub urls: Vec<WebUrl>,
    /// What they are signed with.
    pub key: Option<WebhookKey>,
}

pub(super) fn hub_settings(s: &mut Settings) -> HubSettings {
    let count = |s: &mut Settings, key, default: usize| {
        s.take(key, positive).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    let cap = |s: &mut Settings, key, default: i64| {
        s.take(key, positive).and_then(|n| i64::try_from(n).ok()).unwrap_or(default)
    };
    HubSettings {
        enabled: s.take("hub.enabled", yes_or_no).unwrap_or(true),
        allow_private_callbacks: s.take("hub.allow_private_callbacks", yes_or_no).unwrap_or(false),
        external: addresses(s, "hub.external"),
        signature: s.take("hub.signature", SignatureMethod::from_str).unwrap_or_default(),
        leases: lease_rules(s),
        connections: count(s, "hub.connections", 64),
        connections_per_host: count(s, "hub.connections_per_host", 8),
        caps: CallbackCaps {
            per_host: cap(s, "hub.callbacks_per_host", 20_000),
            per_topic: cap(s, "hub.callbacks_per_topic", 100_000),
            waiting_per_host: cap(s, "hub.requests_per_host", 1_000),
        },
        timeout: Duration::from_secs(s.take("hub.timeout_seconds", positive).unwrap_or(15)),
        request_burst: s.take("hub.request_burst", u32::from_str).unwrap_or(300),
        request_refill: Duration::from_millis(s.take("hub.request_refill_ms", positive).unwrap_or(1_000)),
    }
}

fn lease_rules(s: &mut Settings) -> LeaseRules {
    let usual = LeaseRules::default();
    // 30 years of seconds fit: what is longer is no lease.
    let seconds = |s: &mut Settings, key, default: chrono::Duration| {
        let asked = s.take(key, positive).and_then(|n| i64::try_from(n).ok()).filter(|n| *n < 1_000_000_000);
        asked.and_then(chrono::Duration::try_seconds).unwrap_or(default)
    };
    let rules = LeaseRules {
        shortest: seconds(s, "hub.lease_min_seconds", usual.shortest),
        usual: seconds(s, "hub.lease_seconds", usual.usual),
        longest: seconds(s, "hub.lease_max_seconds", usual.longest),
    };
    if rules.shortest > rules.usual || rules.usual > rules.longest {
        s.fault(
            Origin::File("hub.lease_seconds".to_owned()),
            format!(
                "must lie between `hub.lease_min_seconds` ({}) and `hub.lease_max_seconds` ({}), and is {}",
                rules.shortest.num_seconds(),
                rules.longest.num_seconds(),
                rules.usual.num_seconds()
            ),
        );
    }
    rules
}

pub(super) fn webhook_settings(s: &mut Settings) -> WebhookSettings {
    let key = s.take("webhooks.secret", WebhookKey::parse);
    let urls = addresses(s, "webhooks.urls");
    if !urls.is_empty() && key.is_none() {
        s.fault(
            Origin::File("webhooks.secret".to_owned()),
            "is missing: without it nobody can tell our messages from forged ones; make one with \
             `echo whsec_$(openssl rand -base64 32)` and give it here or as BANTIN_WEBHOOKS__SECRET",
        );
    }
    WebhookSettings { urls, key }
}

fn addresses(s: &mut Settings, key: &str) -> Vec<WebUrl> {
    let Some((list, origin)) = s.take_list(key) else { return Vec::new() };
    let mut addresses = Vec::new();
    for text in list {
        match WebUrl::parse(&text) {
            Ok(url) => addresses.push(url),
            Err(error) => s.fault(origin.clone(), format!("`{key}`: {error}")),
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::of_file("bantin.toml", text)
    }

    #[test]
    fn what_is_not_said_is_what_the_recommendation_advises() {
        let hub = hub_settings(&mut settings(""));
        assert!(hub.enabled && !hub.allow_private_callbacks && hub.external.is_empty());
        assert_eq!((hub.signature, hub.leases), (SignatureMethod::Sha256, LeaseRules::default()));
    }

    #[test]
    fn leases_out_of_order_are_told_with_their_figures() {
        let mut s = settings("[hub]\nlease_seconds = 10\nsignature = \"md5\"\nexternal = [\"hub\"]\n");
        hub_settings(&mut s);
        let faults: Vec<String> = s.finish().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults.iter().any(|f| f.contains("(60)") && f.contains("and is 10")), "{faults:?}");
        assert!(faults.iter().any(|f| f.starts_with("bantin.toml:3: `hub.signature`")), "{faults:?}");
        assert!(faults.iter().any(|f| f.starts_with("bantin.toml:4: `hub.external`")), "{faults:?}");
    }

    #[test]
    fn webhooks_without_a_secret_are_no_webhooks() {
        let mut s = settings("[webhooks]\nurls = [\"https://toasoan.example/hook\"]\n");
        assert_eq!(webhook_settings(&mut s).urls.len(), 1);
        assert!(s.finish()[0].to_string().contains("openssl rand"));
        let mut s = settings("[webhooks]\nurls = \"https://toasoan.example/hook\"\nsecret = \"whsec_!\"\n");
        webhook_settings(&mut s);
        assert!(s.finish()[0].to_string().contains("base64"));
    }
}
