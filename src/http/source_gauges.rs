//! How sources stand, and how much waits for a person.

use super::AppState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Name {
    source: String,
}

/// A gauge for each declared source.
#[derive(Default)]
pub(super) struct SourceGauges {
    failing: Family<Name, Gauge>,
    stopped: Family<Name, Gauge>,
    wrong: Family<Name, Gauge>,
    succeeded: Family<Name, Gauge>,
    pushed: Family<Name, Gauge>,
    drafts: Gauge,
}

impl SourceGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("source_failing", "1 while a source fails", self.failing.clone());
        registry.register(
            "source_stopped",
            "1 for a source whose server says that it is gone",
            self.stopped.clone(),
        );
        registry.register(
            "source_items_wrong",
            "Items of a source that were left out for a fault",
            self.wrong.clone(),
        );
        registry.register_with_unit(
            "source_succeeded_at",
            "When a look at a source last ended well, since 1970",
            Unit::Seconds,
            self.succeeded.clone(),
        );
        registry.register("source_pushed", "1 while a hub pushes a source", self.pushed.clone());
        registry.register("drafts", "Drafts that wait for a person", self.drafts.clone());
    }

    pub(super) async fn read(&self, app: &AppState) {
        if let Ok(count) = app.store.draft_count().await {
            self.drafts.set(count);
        }
        let Ok(states) = app.store.source_states().await else { return };
        for state in states.iter().filter(|state| app.sources.find(state.name.as_str()).is_some()) {
            let name = Name { source: state.name.to_string() };
            self.failing.get_or_create(&name).set(i64::from(state.failing_since.is_some()));
            self.stopped.get_or_create(&name).set(i64::from(state.stopped_at.is_some()));
            let succeeded = state.succeeded_at.map_or(0, |at| at.timestamp());
            self.succeeded.get_or_create(&name).set(succeeded);
            if let Ok(Some(hub)) = app.store.source_hub(state.id).await {
                self.pushed.get_or_create(&name).set(i64::from(hub.is_live(app.clock.now())));
            }
            if let Ok((_, wrong)) = app.store.item_counts(state.id).await {
                self.wrong.get_or_create(&name).set(wrong);
            }
        }
    }
}
