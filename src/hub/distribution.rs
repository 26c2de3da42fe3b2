//! What changed goes out (WebSub §7): topics are looked at, callbacks become due, each is pushed what
//! a GET returns at that moment.

use super::{BATCH, GONE, Hub, HubError, is_silence};
use crate::domain::{CallbackId, Format, Instant, PUSH_BACKOFF, PushContent, TopicId, fraction};
use crate::errands::{Errand, work};
use crate::fetch::Headers;
use crate::representations::{Representation, Wanted};
use crate::store::{ClaimedPush, PushSettlement, TopicBehind};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The longest that a server's Retry-After is obeyed.
const LONGEST_WAIT: chrono::Duration = chrono::Duration::days(1);

/// A topic's document, as it is pushed.
struct Parcel {
    made: Arc<Representation>,
    wanted: Wanted,
    /// Its media type, the hub and the topic (H10, H11).
    headers: Headers,
    /// The change up to which the directory was looked at when it was made.
    seen: i64,
}

/// Pushes, all of one topic with the same parcel.
#[derive(Clone)]
struct Distribution {
    hub: Arc<Hub>,
    parcels: Arc<Mutex<HashMap<TopicId, Arc<Parcel>>>>,
}

impl Errand for Distribution {
    type Item = ClaimedPush;
    type Done = (CallbackId, PushSettlement);
    type Error = HubError;

    fn batch(&self) -> usize {
        BATCH
    }

    fn bounds(&self) -> (usize, usize) {
        (self.hub.rules.connections, self.hub.rules.connections_per_host)
    }

    fn host(&self, push: &ClaimedPush) -> String {
        push.callback.host()
    }

    fn claim(
        &self,
        closed: Vec<String>,
        _only_urgent: bool,
    ) -> impl Future<Output = Result<Vec<ClaimedPush>, HubError>> + Send + 'static {
        let hub = Arc::clone(&self.hub);
        async move {
            let now = hub.clock.now();
            Ok(hub.store.claim_pushes(&hub.worker, BATCH, &closed, hub.claim_end(), now).await?)
        }
    }

    fn attempt(&self, push: ClaimedPush) -> impl Future<Output = (Self::Done, bool)> + Send + 'static {
        let work = self.clone();
        async move {
            let (settlement, answered) = match work.parcel(&push).await {
                Ok(Some(parcel)) => work.hub.push(&push, &parcel).await,
                // The next look at the topic ends it, and tells its callbacks.
                Ok(None) => (work.hub.failed(&push, GONE.to_owned(), None), true),
                Err(error) => {
                    tracing::error!(topic = push.path.shown(), %error, "nothing to push");
                    (work.hub.failed(&push, "the feed could not be made".to_owned(), None), true)
                }
            };
            ((push.id, settlement), answered)
        }
    }

    fn put_off(&self, host: &str, tries: u32, waiting: Vec<ClaimedPush>) -> (Instant, Vec<Self::Done>) {
        let until = self.hub.rest_until(tries, self.hub.clock.now());
        tracing::info!(callback.host = host, waiting = waiting.len(), "callback host does not answer");
        let later = |push: ClaimedPush| {
            let error = "the host did not answer others".to_owned();
            (push.id, PushSettlement::Later { next: until, error })
        };
        (until, waiting.into_iter().map(later).collect())
    }

    fn settle(&self, done: Vec<Self::Done>) -> impl Future<Output = Result<(), HubError>> + Send + 'static {
        let hub = Arc::clone(&self.hub);
        async move {
            for (_, settlement) in &done {
                hub.tally.count("push", outcome_of(settlement));
            }
            hub.store.settle_pushes(&hub.worker, &done, hub.clock.now()).await?;
            Ok(())
        }
    }

    fn now(&self) -> Instant {
        self.hub.clock.now()
    }
}

fn outcome_of(settlement: &PushSettlement) -> &'static str {
    match settlement {
        PushSettlement::Accepted { .. } => "accepted",
        PushSettlement::Later { .. } => "later",
        PushSettlement::Dropped { .. } => "dropped",
        PushSettlement::Ended { .. } => "ended",
    }
}

impl Distribution {
    /// The document as a GET would return it now; `None` where the topic is gone. Made once for all
    /// callbacks of a topic, until anything is published.
    async fn parcel(&self, push: &ClaimedPush) -> Result<Option<Arc<Parcel>>, HubError> {
        let representations = &self.hub.representations;
        let is_present = |parcel: &Parcel| {
            parcel.seen == representations.seen()
                && parcel.made.change_number >= push.wanted
                && representations.is_fresh(&parcel.made)
        };
        let known = self.parcels.lock().unwrap_or_else(PoisonError::into_inner).get(&push.topic).cloned();
        if let Some(parcel) = known.filter(|parcel| is_present(parcel)) {
            return Ok(Some(parcel));
        }
        let seen = representations.seen();
        let Some(document) = self.hub.resolve(&push.path).await? else { return Ok(None) };
        let mut made = representations.get(&document.wanted).await?;
        if made.change_number < push.wanted {
            // Another process published, and this one did not look yet.
            representations.refresh(self.hub.clock.now()).await?;
            made = representations.get(&document.wanted).await?;
        }
        let content_type = document.wanted.format.content_type();
        let headers = Headers::default()
            .with("content-type", content_type)?
            .with("link", made.link().unwrap_or_default())?;
        let parcel = Arc::new(Parcel { made, wanted: document.wanted, headers, seen });
        let mut parcels = self.parcels.lock().unwrap_or_else(PoisonError::into_inner);
        parcels.insert(push.topic, Arc::clone(&parcel));
        Ok(Some(parcel))
    }
}

impl Hub {
    /// Looks at the topics whose feeds changed, and makes their callbacks due where the bytes did.
    /// Returns how many pushes that are.
    pub async fn notice(&self) -> Result<u64, HubError> {
        let now = self.clock.now();
        // Known before it is looked for: what comes in between is found again.
        let upto = self.representations.seen();
        let mut seen = self.looked_at.load(Ordering::Acquire);
        if seen < 0 {
            // Where nobody is subscribed, whoever will be lowers the mark.
            let oldest = self.store.oldest_notice(now).await?.unwrap_or(upto);
            let first = self.looked_at.compare_exchange(seen, oldest, Ordering::AcqRel, Ordering::Acquire);
            seen = first.map_or_else(|other| other, |_| oldest);
        }
        let mut due = 0;
        let mut failure = None;
        for topic in self.store.topics_behind(seen, now).await? {
            match self.notice_topic(&topic).await {
                Ok(callbacks) => due += callbacks,
                // One topic never stops the others.
                Err(error) => {
                    tracing::error!(topic = topic.path.shown(), %error, "topic not looked at");
                    failure = Some(error);
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        // Unless a new callback lowered it meanwhile.
        let _ = self.looked_at.compare_exchange(seen, upto.max(seen), Ordering::AcqRel, Ordering::Acquire);
        Ok(due)
    }

    async fn notice_topic(&self, topic: &TopicBehind) -> Result<u64, HubError> {
        let now = self.clock.now();
        let Some(document) = self.resolve(&topic.path).await? else {
            let ended = self.store.end_topic(topic.id, GONE, now).await?;
            tracing::info!(topic = topic.path.shown(), callbacks = ended, "topic is gone");
            return Ok(0);
        };
        let mut made = self.representations.get(&document.wanted).await?;
        if made.change_number < topic.change {
            self.representations.refresh(now).await?;
            made = self.representations.get(&document.wanted).await?;
        }
        let feeds = document.wanted.feed.selection.keys();
        let change = made.change_number.max(topic.change);
        let due = self.store.note_topic(topic.id, change, &made.entity_tag().to_string(), feeds, now).await?;
        tracing::info!(topic = topic.path.shown(), change, due, "topic changed");
        Ok(due)
    }

    /// Pushes until nothing is due.
    pub async fn distribute(&self, wake: &Notify) -> Result<usize, HubError> {
        let distribution = Distribution { hub: Arc::new(self.clone()), parcels: Arc::default() };
        work(distribution, wake, &self.stop).await
    }

    /// One push. What became of it, and whether the host answered.
    async fn push(&self, push: &ClaimedPush, parcel: &Parcel) -> (PushSettlement, bool) {
        let (body, shown) = self.body(push, parcel).await;
        // Over exactly the bytes that are sent (H12).
        let signature = push.secret.as_ref().map(|secret| self.rules.signature.sign(secret, &body));
        let headers = match signature {
            Some(signature) => parcel.headers.clone().with("x-hub-signature", &signature),
            None => Ok(parcel.headers.clone()),
        };
        let posted = match headers {
            Ok(headers) => self.fetcher.post(push.callback.url().as_url(), headers, body).await,
            Err(error) => Err(error),
        };
        let answered = posted.as_ref().err().is_none_or(|error| !is_silence(error));
        let settlement = match posted {
            Ok(reply) if (200..300).contains(&reply.status) => PushSettlement::Accepted {
                change: shown.change_number,
                entity_tag: shown.entity_tag().to_string(),
            },
            // The one answer that ends a subscription (H13).
            Ok(reply) if reply.status == 410 => PushSettlement::Ended { error: "answered 410".to_owned() },
            Ok(reply) => {
                self.failed(push, format!("answered {}", reply.status), reply.retry_after.as_deref())
            }
            Err(error) => self.failed(push, error.reason(), None),
        };
        (settlement, answered)
    }

    /// The whole document, or what the callback lacks of it where the feed says so and that is known;
    /// and the version that the callback has then. JSON Feed goes whole: only of RSS and Atom may
    /// entries be left out (WebSub §7).
    async fn body(&self, push: &ClaimedPush, parcel: &Parcel) -> (Bytes, Arc<Representation>) {
        let may_be_cut = parcel.wanted.feed.push == PushContent::New && parcel.wanted.format != Format::Json;
        if may_be_cut && !push.pushed_tag.is_empty() {
            match self.representations.delta(&parcel.wanted, &parcel.made, &push.pushed_tag).await {
                Ok(Some(delta)) => return (delta.made.bytes().clone(), delta.made),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "new entries not cut out, the whole feed is pushed"),
            }
        }
        (parcel.made.bytes().clone(), Arc::clone(&parcel.made))
    }

    /// What follows a failed push: another try, or none until the topic changes again (H14).
    fn failed(&self, push: &ClaimedPush, error: String, retry_after: Option<&str>) -> PushSettlement {
        let now = self.clock.now();
        let since = push.failing_since.unwrap_or(now);
        match PUSH_BACKOFF.delay(push.attempt, since, now, fraction(&*self.chance)) {
            Some(delay) => {
                let asked = retry_after.and_then(|text| text.trim().parse().ok());
                let asked = asked.and_then(chrono::Duration::try_seconds).unwrap_or_default();
                let wait = delay.max(asked.min(LONGEST_WAIT));
                PushSettlement::Later { next: now + wait, error }
            }
            None => PushSettlement::Dropped { error },
        }
    }

    /// Until when a host rests that did not answer so many times in a row.
    pub(super) fn rest_until(&self, tries: u32, now: Instant) -> Instant {
        let attempt = crate::domain::Attempt(i64::from(tries));
        let delay = PUSH_BACKOFF.delay(attempt, now, now, fraction(&*self.chance));
        now + delay.unwrap_or(LONGEST_WAIT)
    }
}
