//! WebSub from the side of who is pushed to (W3C Recommendation of 23 January 2018): a polled feed that
//! names a hub is pushed by it.
//!
//! A push is a reason to look, and nothing of it is read but its signature: what is taken comes from the
//! feed's own server, by the one way on which all feeds are read (docs/decisions/0020). Without its hub a
//! feed is polled at its pace, so nothing is lost by a hub that refuses, fails or forgets.

use super::document::Found;
use super::looking::{Next, SourceError};
use super::{Source, SourceKind, Sources};
use crate::domain::{
    Attempt, CallbackSecret, HUB_BACKOFF, HookKey, HubMode, Instant, LeaseRules, Slug, SourceId, WebUrl,
    clean_line, excerpt, fraction,
};
use crate::fetch::{FetchError, Fetcher, Headers, Reply, is_inside};
use crate::intake::HubOffer;
use crate::store::{ClaimedSource, SourceHub, StoreError};
use bytes::Bytes;
use chrono::Duration;
use tokio::task::JoinSet;

/// When a hub that refused is asked again.
const AFTER_REFUSAL: Duration = Duration::days(1);
/// The shortest time between two requests to a hub.
const SHORTEST: Duration = Duration::seconds(5);
/// How often a hub is told that it was left.
const TELLINGS: i64 = 5;
/// When a feed is looked at once more in which announced news was not found: a cache may stand before it.
const ONCE_MORE: Duration = Duration::minutes(1);
/// How many times as long a feed is left alone whose hub can be believed, and how long that is at most.
const STRETCH: (i32, Duration) = (4, Duration::hours(1));
/// How many redirects of a hub are followed (WebSub §5.1: 307 and 308).
const REDIRECTS: usize = 3;

/// What a hub asks or tells by GET (WebSub §5.2 and §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubQuestion {
    /// `subscribe`, `unsubscribe` or `denied`.
    pub mode: String,
    /// Which topic.
    pub topic: String,
    /// What is to be answered.
    pub challenge: String,
    /// For how many seconds it will push.
    pub lease: Option<u64>,
    /// Why it does not.
    pub reason: String,
}

/// What a hub is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubReply {
    /// Yes: its own challenge.
    Meant(String),
    /// It was heard.
    Heard,
    /// Nobody asked for that.
    Unknown,
}

impl Sources {
    /// Whether a source is to be pushed, and a hub can reach us.
    fn wants_hub(&self, source: &Source) -> bool {
        source.websub
            && matches!(source.kind, SourceKind::Feed(_))
            && (source.private || is_reached(&self.base_url))
    }

    /// Where a hub pushes a source to.
    fn callback(&self, source: &Slug, key: &HookKey) -> String {
        self.base_url.with_path(&format!("/hooks/websub/{source}/{}", key.reveal()))
    }

    /// Notes the hub that a feed names. Before its validators are remembered: a document that does not
    /// change is not read again.
    pub(super) async fn note_offer(
        &self,
        id: SourceId,
        source: &Source,
        found: &Found,
    ) -> Result<(), StoreError> {
        let is_wanted = self.wants_hub(source);
        let body = found.bytes.as_deref();
        let links = found.links.iter().map(String::as_str);
        let offer = HubOffer::find(links, body.unwrap_or_default(), &found.url).filter(|_| is_wanted);
        if offer.is_none() && body.is_none() {
            return Ok(());
        }
        let offer = offer.as_ref().map(|offer| (offer.hubs.as_slice(), &offer.topic));
        let (key, secret) = self.fresh();
        self.store.note_hubs(id, offer, (&key, &secret), self.clock.now()).await
    }

    /// What one hub alone knows.
    fn fresh(&self) -> (HookKey, CallbackSecret) {
        (HookKey::random(&*self.chance), CallbackSecret::random(&*self.chance))
    }

    /// When a feed is polled next. A hub that has pushed and missed nothing since lets it be left alone for
    /// longer, never for ever.
    pub(super) async fn next_poll(
        &self,
        claimed: &ClaimedSource,
        source: &Source,
        came: usize,
        fresh: Duration,
    ) -> Result<Next, SourceError> {
        if claimed.announced_at.is_some() && came == 0 {
            return Ok(Next::After(ONCE_MORE));
        }
        let hub = self.store.source_hub(claimed.id).await?;
        let live = |hub: &SourceHub| hub.is_live(self.clock.now()) && self.wants_hub(source);
        let is_believed = hub.filter(live).is_some_and(|hub| hub.is_believed);
        if is_believed && claimed.announced_at.is_none() && came > 0 {
            self.store.hub_missed(claimed.id).await?;
        } else if is_believed {
            let every = Duration::from_std(source.every).unwrap_or(STRETCH.1);
            return Ok(Next::AfterAtLeast(fresh.max((every * STRETCH.0).min(STRETCH.1))));
        }
        Ok(Next::AfterAtLeast(fresh))
    }

    /// Asks the hubs that are to be asked, every one an errand of its own.
    pub async fn ask_due_hubs(&self, errands: &mut JoinSet<()>) -> Result<(), StoreError> {
        let feeds = self.declared.iter().filter(|source| matches!(source.kind, SourceKind::Feed(_)));
        let names: Vec<Slug> = feeds.map(|source| source.name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let wait = |hub: &SourceHub| self.wait_for(hub, now);
        for hub in self.store.due_hubs(&names, now, wait, || self.fresh()).await? {
            let desk = self.clone();
            errands.spawn(async move {
                if let Err(error) = desk.ask_hub(&hub).await {
                    tracing::error!(%error, source = %hub.name, "a hub's answer was not written down");
                }
            });
        }
        Ok(())
    }

    /// How long a hub has to ask back. One that still pushes is asked again before its lease ends.
    fn wait_for(&self, hub: &SourceHub, now: Instant) -> Duration {
        let wait = HUB_BACKOFF.delay(hub.attempt, now, now, fraction(&*self.chance)).unwrap_or(AFTER_REFUSAL);
        let left = hub.ends_at.map(|end| end - now).filter(|left| *left > Duration::zero());
        left.map_or(wait, |left| wait.min(left / 2)).max(SHORTEST)
    }

    /// Asks a hub to push. Whether it does, it says when it asks back.
    async fn ask_hub(&self, hub: &SourceHub) -> Result<(), StoreError> {
        let source = self.find(hub.name.as_str()).filter(|source| self.wants_hub(source));
        let Some(source) = source else { return Ok(()) };
        let callback = self.callback(&source.name, &hub.key);
        let lease = LeaseRules::default().grant(None).0.to_string();
        let more = [("hub.lease_seconds", lease.as_str()), ("hub.secret", hub.secret.reveal())];
        let form = wish(HubMode::Subscribe, &hub.topic, &callback, &more);
        let error = match self.post(self.fetcher(source), &hub.hub, form).await {
            Ok(reply) if (200..300).contains(&reply.status) => {
                tracing::info!(source = %hub.name, hub.host = hub.hub.host(), "hub asked to push");
                return Ok(());
            }
            Ok(reply) => format!("it answers {}", reply.status),
            Err(error) => error.reason(),
        };
        tracing::warn!(source = %hub.name, hub.host = hub.hub.host(), error, "hub not asked; the feed is polled");
        self.store.hub_failed(hub, &error, self.clock.now()).await
    }

    /// Leaves the hubs of feeds that are declared no more, or want none.
    pub async fn leave_unwanted_hubs(&self) -> Result<(), StoreError> {
        let wanted = self.declared.iter().filter(|source| self.wants_hub(source));
        let names: Vec<Slug> = wanted.map(|source| source.name.clone()).collect();
        self.store.leave_hubs_but_of(&names, self.clock.now()).await
    }

    /// Tells the hubs that were left that nobody wants their pushes (WebSub §5.1), every one an errand of its
    /// own. One that never hears it ends with its lease.
    pub async fn tell_left_hubs(&self, errands: &mut JoinSet<()>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let wait = |attempt: Attempt| {
            let wait = HUB_BACKOFF.delay(attempt, now, now, fraction(&*self.chance));
            wait.filter(|_| attempt.0 < TELLINGS)
        };
        for hub in self.store.due_leavings(now, wait).await? {
            let desk = self.clone();
            errands.spawn(async move {
                let callback = desk.callback(&hub.name, &hub.key);
                // Who is declared no more said nothing about the own network either.
                let fetcher = desk.find(hub.name.as_str()).map_or(&desk.public, |source| desk.fetcher(source));
                let form = wish(HubMode::Unsubscribe, &hub.topic, &callback, &[]);
                let outcome = desk.post(fetcher, &hub.hub, form).await;
                let status = outcome.map_or_else(|error| error.reason(), |reply| reply.status.to_string());
                tracing::info!(source = %hub.name, hub.host = hub.hub.host(), status, "hub told to push no more");
            });
        }
        Ok(())
    }

    async fn post(&self, fetcher: &Fetcher, hub: &WebUrl, body: Bytes) -> Result<Reply, FetchError> {
        let headers = Headers::default().with("content-type", "application/x-www-form-urlencoded")?;
        let mut here = hub.as_url().clone();
        for _ in 0..REDIRECTS {
            let reply = fetcher.post(&here, headers.clone(), body.clone()).await?;
            match reply.location {
                Some(location) if matches!(reply.status, 307 | 308) => here = location,
                _ => return Ok(reply),
            }
        }
        fetcher.post(&here, headers, body).await
    }

    /// The hub that knows a source's key.
    async fn known_hub(&self, name: &str, key: &str) -> Result<Option<SourceHub>, StoreError> {
        let source = self.find(name).filter(|source| self.wants_hub(source));
        let Some(source) = source else { return Ok(None) };
        let hub = self.store.hub_of_source(&source.name).await?;
        Ok(hub.filter(|hub| hub.key.is(key)))
    }

    /// Answers a hub that asks whether we meant it, or says no.
    pub async fn answer_hub(
        &self,
        name: &str,
        key: &str,
        question: HubQuestion,
    ) -> Result<HubReply, StoreError> {
        if question.mode == HubMode::Unsubscribe.as_str() && !question.challenge.is_empty() {
            let is_left = self.store.hub_let_go(name, key, &question.topic).await?;
            return Ok(if is_left { HubReply::Meant(question.challenge) } else { HubReply::Unknown });
        }
        let hub = self.known_hub(name, key).await?.filter(|hub| hub.topic.as_str() == question.topic);
        let (Some(hub), now) = (hub, self.clock.now()) else { return Ok(HubReply::Unknown) };
        match question.mode.as_str() {
            "denied" => {
                let reason = excerpt(&clean_line(&question.reason), 200);
                let reason =
                    format!("it says no: {}", if reason.is_empty() { "without a reason" } else { &reason });
                tracing::warn!(source = %hub.name, hub.host = hub.hub.host(), reason, "hub does not push; the feed is polled");
                let again = if hub.is_last() { now + AFTER_REFUSAL } else { now };
                self.store.hub_denied(&hub, &reason, again).await?;
                Ok(HubReply::Heard)
            }
            mode if mode == HubMode::Subscribe.as_str() && !question.challenge.is_empty() => {
                let rules = LeaseRules { shortest: Duration::seconds(1), ..LeaseRules::default() };
                let lease = rules.grant(question.lease);
                // Halfway, so that a hub that is away for long finds us in time.
                let renewal = now + Duration::seconds(lease.0 / 2).max(SHORTEST);
                if !self.store.hub_agreed(&hub, lease.end(now), renewal, now).await? {
                    return Ok(HubReply::Unknown);
                }
                tracing::info!(source = %hub.name, hub.host = hub.hub.host(), lease = lease.0, "hub pushes");
                Ok(HubReply::Meant(question.challenge))
            }
            _ => Ok(HubReply::Unknown),
        }
    }

    /// Hears a push. `None`: nobody pushes here. `Some(false)`: it is not signed as it should be, and says
    /// nothing (WebSub §8).
    pub async fn hear_push(
        &self,
        name: &str,
        key: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<Option<bool>, StoreError> {
        let hub = self.known_hub(name, key).await?.filter(|hub| hub.ends_at.is_some());
        let Some(hub) = hub else { return Ok(None) };
        let is_right = hub.secret.signed(body, signature);
        if is_right {
            self.store.hub_pushed(&hub, self.clock.now()).await?;
        } else {
            tracing::warn!(source = %hub.name, "a push that is not signed by its hub's secret was ignored");
        }
        Ok(Some(is_right))
    }
}

/// What a hub is asked for (WebSub §5.1).
fn wish(mode: HubMode, topic: &WebUrl, callback: &str, more: &[(&str, &str)]) -> Bytes {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("hub.mode", mode.as_str())
        .append_pair("hub.topic", topic.as_str())
        .append_pair("hub.callback", callback)
        .extend_pairs(more)
        .finish()
        .into()
}

/// Whether hubs on the Internet find an address of ours. Behind https there is a name with a certificate.
fn is_reached(base_url: &WebUrl) -> bool {
    base_url.as_url().scheme() == "https" || !is_inside(base_url.as_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_asked_only_where_it_can_reach_us() {
        for (url, reached) in [
            ("https://tin.songhau.example/", true),
            ("http://tin.songhau.example/", true),
            ("http://8.8.8.8/", true),
            ("http://127.0.0.1:8080/", false),
            ("http://192.168.1.4/tin", false),
            ("http://[fd00::1]/", false),
            ("http://localhost/", false),
            ("http://toasoan:8080/", false),
        ] {
            assert_eq!(is_reached(&WebUrl::parse(url).unwrap()), reached, "{url}");
        }
    }
}
