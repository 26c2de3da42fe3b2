//! How fast mail leaves, and what rests.

use super::AppState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Line {
    relay: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Domain {
    domain: String,
}

type Rates = Gauge<f64, AtomicU64>;

/// A gauge for each relay, and one for each mail provider that asked for less: the twenty slowest.
#[derive(Default)]
pub(super) struct PaceGauges {
    rates: Family<Line, Rates>,
    lowered: Family<Line, Gauge>,
    resting: Family<Line, Gauge>,
    domains: Family<Domain, Rates>,
}

impl PaceGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mail_rate",
            "Letters a second that a relay gets from this process at most; +Inf without a bound",
            self.rates.clone(),
        );
        registry.register(
            "mail_relay_lowered",
            "1 while a relay gets fewer letters than it is set to, because it asked for less",
            self.lowered.clone(),
        );
        registry.register("mail_relay_resting", "1 while a relay cannot be reached", self.resting.clone());
        registry.register(
            "mail_domain_rate",
            "Letters a second to the mail providers that asked for less, the slowest",
            self.domains.clone(),
        );
    }

    pub(super) fn read(&self, app: &AppState) {
        // Who recovered is named no more.
        self.domains.clear();
        for standing in app.relay.standings() {
            let rate = standing.rate.map_or(f64::INFINITY, |rate| rate.a_second());
            if !standing.is_relay {
                self.domains.get_or_create(&Domain { domain: standing.name }).set(rate);
                continue;
            }
            let line = Line { relay: standing.name };
            self.rates.get_or_create(&line).set(rate);
            self.lowered.get_or_create(&line).set(standing.is_lowered.into());
            self.resting.get_or_create(&line).set(standing.rests.into());
        }
    }
}
