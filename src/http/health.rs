//! Whether the program lives, whether it can work, and what it counted.

use super::AppState;
use super::mail_gauges::MailGauges;
use super::pace_gauges::PaceGauges;
use super::source_gauges::SourceGauges;
use crate::dispatch::Tally;
use crate::domain::{BounceClass, DeliveryState};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    state: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Class {
    class: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HubWork {
    work: String,
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Endpoint {
    kind: String,
    host: String,
}

/// How the hub stands.
#[derive(Default)]
struct HubGauges {
    topics: Gauge,
    callbacks: Gauge,
    failing: Gauge,
    requests: Gauge,
    due: Gauge,
    lag: Gauge,
    work: Family<HubWork, Gauge>,
    endpoints: Family<Endpoint, Gauge>,
}

impl HubGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("hub_topics", "Topics with a callback", self.topics.clone());
        registry.register("hub_callbacks", "Callbacks whose lease runs", self.callbacks.clone());
        registry.register("hub_failing_callbacks", "Callbacks whose last push failed", self.failing.clone());
        registry.register("hub_requests", "Requests that wait to be verified", self.requests.clone());
        registry.register("hub_due_pushes", "Pushes that are due", self.due.clone());
        registry.register_with_unit(
            "hub_lag",
            "Age of the oldest push that is due and not taken",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register(
            "hub_work",
            "Pushes, verifications and messages to endpoints by this process since its start, by outcome",
            self.work.clone(),
        );
        registry.register_with_unit(
            "hub_endpoint_failing",
            "How long another hub or a webhook has taken nothing; 0 while it does",
            Unit::Seconds,
            self.endpoints.clone(),
        );
    }

    async fn read(&self, app: &AppState) {
        let now = app.clock.now();
        if let Ok(counts) = app.store.hub_counts(now).await {
            self.topics.set(counts.topics);
            self.callbacks.set(counts.callbacks);
            self.failing.set(counts.failing);
            self.requests.set(counts.requests);
            self.due.set(counts.due);
            self.lag.set(counts.oldest_due.map_or(0, |oldest| (now - oldest).num_seconds()));
        }
        for ((work, outcome), count) in app.hub_tally.counts() {
            let labels = HubWork { work: work.to_owned(), outcome: outcome.to_owned() };
            self.work.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        if let Ok(endpoints) = app.store.endpoint_states().await {
            for endpoint in endpoints {
                let labels = Endpoint {
                    kind: endpoint.kind.as_str().to_owned(),
                    host: endpoint.url.host().to_owned(),
                };
                let failing = endpoint.failing_since.map_or(0, |since| (now - since).num_seconds());
                self.endpoints.get_or_create(&labels).set(failing);
            }
        }
    }
}

/// What is counted, and how it is told (Prometheus text format, OpenMetrics 1.0).
pub struct Health {
    registry: Mutex<Registry>,
    answers: Family<Answer, Counter>,
    seconds: Histogram,
    handovers: Counter,
    house_asks: Counter,
    deliveries: Family<Kind, Gauge>,
    outcomes: Family<Kind, Gauge>,
    subscribers: Family<Kind, Gauge>,
    bounces: Family<Class, Gauge>,
    reports: Family<Class, Gauge>,
    rendered: Gauge,
    lag: Gauge,
    hub: HubGauges,
    mail: MailGauges,
    pace: PaceGauges,
    sources: SourceGauges,
}

impl Health {
    /// With nothing counted yet, and what the dispatch counts.
    pub fn new(tally: &Tally) -> Self {
        let mut registry = Registry::with_prefix("bantin");
        let health = Self {
            registry: Mutex::default(),
            answers: Family::default(),
            // 0.1 ms to 3 s: a feed takes some 0.1 ms, a page some ms.
            seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            handovers: Counter::default(),
            house_asks: Counter::default(),
            deliveries: Family::default(),
            outcomes: Family::default(),
            subscribers: Family::default(),
            bounces: Family::default(),
            reports: Family::default(),
            rendered: Gauge::default(),
            lag: Gauge::default(),
            hub: HubGauges::default(),
            mail: MailGauges::default(),
            pace: PaceGauges::default(),
            sources: SourceGauges::default(),
        };
        health.hub.register(&mut registry);
        health.mail.register(&mut registry, tally);
        health.pace.register(&mut registry);
        health.sources.register(&mut registry);
        registry.register("http_answers", "Answers by route and status", health.answers.clone());
        registry.register_with_unit(
            "http_answer_duration",
            "Time from request to answer",
            Unit::Seconds,
            health.seconds.clone(),
        );
        registry.register(
            "http_handovers",
            "Connections that asked for more than feeds and left the express lane",
            health.handovers.clone(),
        );
        registry.register(
            "http_house_asks",
            "Requests in the express lane for feeds that did not lie ready",
            health.house_asks.clone(),
        );
        registry.register("deliveries", "Deliveries in the store by state", health.deliveries.clone());
        registry.register(
            "delivery_outcomes",
            "Outcomes of deliveries by this process since its start",
            health.outcomes.clone(),
        );
        registry.register("subscribers", "Subscribers by state", health.subscribers.clone());
        registry.register("bounces", "What came back of mail, by class", health.bounces.clone());
        registry.register(
            "reports",
            "Messages and notices about mail that came back, by this process since its start: by class, \
             `unknown` where they speak of no mail of ours, `forged`",
            health.reports.clone(),
        );
        registry.register(
            "feeds_rendered",
            "Feed documents rendered since the start",
            health.rendered.clone(),
        );
        registry.register_with_unit(
            "delivery_lag",
            "Age of the oldest delivery that is due and not settled",
            Unit::Seconds,
            health.lag.clone(),
        );
        *health.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        health
    }
}

/// The counters of one route's answers, for whoever counts a hundred thousand a second.
pub struct FeedAnswers {
    whole: Counter,
    unchanged: Counter,
    refused: Counter,
    seconds: Histogram,
}

impl FeedAnswers {
    /// Counts an answer: 200, 304 or 429.
    pub fn answered(&self, status: u16, took: Duration) {
        match status {
            200 => &self.whole,
            304 => &self.unchanged,
            _ => &self.refused,
        }
        .inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

impl Health {
    /// Counts a connection that left the express lane.
    pub fn handed_over(&self) {
        self.handovers.inc();
    }

    /// Counts a request of the express lane that the routes answer.
    pub fn house_asked(&self) {
        self.house_asks.inc();
    }

    /// The counters of a route.
    pub fn answers_of(&self, route: &str) -> FeedAnswers {
        let counter = |status| {
            let answer = Answer { route: route.to_owned(), status };
            self.answers.get_or_create(&answer).clone()
        };
        FeedAnswers {
            whole: counter(200),
            unchanged: counter(304),
            refused: counter(429),
            seconds: self.seconds.clone(),
        }
    }

    /// Counts an answer.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        self.answers.get_or_create(&Answer { route: route.to_owned(), status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// `/healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `/readyz`: it can do its work: the store answers and has the schema that this program knows.
pub async fn ready(State(app): State<AppState>) -> Response {
    match app.store.is_current().await {
        Ok(true) => "ready\n".into_response(),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: run `bantin migrate`\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the store does not answer\n").into_response()
        }
    }
}

/// `/metrics`
pub async fn metrics(State(app): State<AppState>) -> Response {
    let health = &app.health;
    // What cannot be read keeps its last value: one failing question does not hide the others.
    if let Ok(counts) = app.store.delivery_counts().await {
        for state in DeliveryState::ALL {
            let count = counts.iter().find(|(s, _)| *s == state).map_or(0, |(_, count)| *count);
            health.deliveries.get_or_create(&Kind { state: state.as_str().to_owned() }).set(count);
        }
    }
    if let Ok(counts) = app.store.subscriber_count_by_state().await {
        for (state, count) in counts {
            health.subscribers.get_or_create(&Kind { state: state.as_str().to_owned() }).set(count);
        }
    }
    if let Ok(counts) = app.store.bounce_counts().await {
        for class in BounceClass::ALL.into_iter().filter(|class| class.matters()) {
            let count = counts.iter().find(|(known, _)| *known == class).map_or(0, |(_, count)| *count);
            health.bounces.get_or_create(&Class { class: class.as_str().to_owned() }).set(count);
        }
    }
    for (kind, count) in app.returns.tally.counts() {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        health.reports.get_or_create(&Class { class: kind.to_owned() }).set(count);
    }
    for (outcome, count) in app.tally.counts() {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        health.outcomes.get_or_create(&Kind { state: outcome.to_owned() }).set(count);
    }
    health.rendered.set(i64::try_from(app.representations.rendered()).unwrap_or(i64::MAX));
    let now = app.clock.now();
    if let Ok(oldest) = app.store.oldest_due(now).await {
        health.lag.set(oldest.map_or(0, |oldest| (now - oldest).num_seconds()));
    }
    health.hub.read(&app).await;
    health.mail.read(&app).await;
    health.pace.read(&app);
    health.sources.read(&app).await;
    let mut text = String::new();
    let registry = health.registry.lock().unwrap_or_else(PoisonError::into_inner);
    if encode(&mut text, &registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
