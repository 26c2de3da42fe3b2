//! How mail stands, for Prometheus.

use super::AppState;
use crate::dispatch::Tally;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Provider {
    domain: String,
}

/// What is told of mail beside the counts of deliveries.
#[derive(Default)]
pub struct MailGauges {
    deferrals: Family<Provider, Gauge>,
    running: Gauge,
    held: Gauge,
    stopped: Gauge,
    paused: Gauge,
    opened: Gauge,
}

impl MailGauges {
    pub(super) fn register(&self, registry: &mut Registry, tally: &Tally) {
        registry.register_with_unit(
            "delivery_accepted_after",
            "Time from a delivery's being due to its being accepted, by this process since its start",
            Unit::Seconds,
            tally.lag(),
        );
        registry.register(
            "delivery_deferrals",
            "How often a recipient's domain was deferred by this process since its start; the first 50 domains",
            self.deferrals.clone(),
        );
        registry.register("editions_running", "Editions that are not complete", self.running.clone());
        registry.register("editions_held", "Editions that wait for a person", self.held.clone());
        registry.register(
            "editions_stopped",
            "Editions that the breaker stopped and nobody has looked at",
            self.stopped.clone(),
        );
        registry.register(
            "letters_opened",
            "Letters that were counted as opened by this process since its start (mail.count_opens)",
            self.opened.clone(),
        );
        registry.register(
            "mail_paused",
            "1 while the store is a copy that mails nothing",
            self.paused.clone(),
        );
    }

    pub(super) async fn read(&self, app: &AppState) {
        for (domain, count) in app.tally.deferrals() {
            self.deferrals.get_or_create(&Provider { domain }).set(whole(count));
        }
        self.paused.set(i64::from(app.tally.is_paused()));
        self.opened.set(whole(app.opens.counted()));
        if let Ok(counts) = app.store.edition_counts().await {
            self.running.set(whole(counts.running));
            self.held.set(whole(counts.held));
            self.stopped.set(whole(counts.stopped));
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
