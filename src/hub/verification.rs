//! Asks callbacks whether they meant it (WebSub §5.3), and tells those that are turned away (§5.2).

use super::topics::Resolved;
use super::{BATCH, Hub, HubError, is_silence};
use crate::domain::{HubMode, Instant, Lease, RequestId, VERIFICATION_BACKOFF, fraction, hex};
use crate::errands::{Errand, work};
use crate::fetch::{Answer, FetchError, Method};
use crate::store::{ClaimedRequest, RequestKind, RequestSettlement};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;

/// How often a callback that cannot be reached is asked: a request makes no more packets than that.
const TRIES: i64 = 3;

/// What a callback said.
enum Word {
    /// It meant it (H7).
    Meant,
    /// It did not, or something else answers there.
    Refused(String),
    /// Nobody answered, or the server is out of order.
    Unreached(String),
}

/// Requests, each verified by itself.
#[derive(Clone)]
struct Verification(Arc<Hub>);

impl Errand for Verification {
    type Item = ClaimedRequest;
    type Done = Option<(RequestId, RequestSettlement)>;
    type Error = HubError;

    fn batch(&self) -> usize {
        BATCH
    }

    fn bounds(&self) -> (usize, usize) {
        (self.0.rules.connections, self.0.rules.connections_per_host)
    }

    fn host(&self, request: &ClaimedRequest) -> String {
        request.callback.host()
    }

    fn claim(
        &self,
        _closed: Vec<String>,
        _only_urgent: bool,
    ) -> impl Future<Output = Result<Vec<ClaimedRequest>, HubError>> + Send + 'static {
        let hub = Arc::clone(&self.0);
        async move {
            let now = hub.clock.now();
            Ok(hub.store.claim_requests(&hub.worker, BATCH, hub.claim_end(), now).await?)
        }
    }

    fn attempt(&self, request: ClaimedRequest) -> impl Future<Output = (Self::Done, bool)> + Send + 'static {
        let hub = Arc::clone(&self.0);
        async move {
            match hub.judge(&request).await {
                Ok((settlement, answered)) => (Some((request.id, settlement)), answered),
                // Its claim ends by itself, and somebody tries again.
                Err(error) => {
                    tracing::error!(request = %request.id, %error, "request not verified");
                    (None, true)
                }
            }
        }
    }

    fn put_off(&self, host: &str, tries: u32, waiting: Vec<ClaimedRequest>) -> (Instant, Vec<Self::Done>) {
        let hub = &self.0;
        let now = hub.clock.now();
        let until = hub.rest_until(tries, now);
        tracing::info!(callback.host = host, waiting = waiting.len(), "callback host does not answer");
        (until, waiting.iter().map(|request| Some((request.id, hub.unreached(request, now)))).collect())
    }

    fn settle(&self, done: Vec<Self::Done>) -> impl Future<Output = Result<(), HubError>> + Send + 'static {
        let hub = Arc::clone(&self.0);
        async move {
            for (request, settlement) in done.into_iter().flatten() {
                hub.settle_request(request, &settlement).await?;
            }
            Ok(())
        }
    }

    fn now(&self) -> Instant {
        self.0.clock.now()
    }
}

impl Hub {
    /// Works until no request is due.
    pub async fn verify(&self, wake: &Notify) -> Result<usize, HubError> {
        work(Verification(Arc::new(self.clone())), wake, &self.stop).await
    }

    async fn settle_request(&self, id: RequestId, settlement: &RequestSettlement) -> Result<(), HubError> {
        let outcome = match settlement {
            RequestSettlement::Subscribed { .. } => "subscribed",
            RequestSettlement::Unsubscribed => "unsubscribed",
            RequestSettlement::Failed => "failed",
            RequestSettlement::Later { .. } => "later",
        };
        let ours = self.store.settle_request(&self.worker, id, settlement, self.clock.now()).await?;
        if let RequestSettlement::Subscribed { change, .. } = settlement {
            // Its topic may have changed after the look that everybody else has behind them.
            self.looked_at.fetch_min(*change, Ordering::AcqRel);
        }
        self.tally.count("verification", outcome);
        tracing::info!(request = %id, outcome, ours, "hub request settled");
        Ok(())
    }

    async fn judge(&self, request: &ClaimedRequest) -> Result<(RequestSettlement, bool), HubError> {
        let mode = match &request.kind {
            RequestKind::Asked(mode) => *mode,
            RequestKind::Denied(reason) => return Ok(self.tell_denied(request, reason).await),
        };
        let document = match mode {
            HubMode::Unsubscribe => None,
            HubMode::Subscribe => match self.resolve(&request.path).await? {
                // A topic has one address: who asks for a former one is told the present.
                Some(document) if document.path == request.path => Some(document),
                Some(document) => {
                    let reason = format!("this topic has moved to {}", self.topic_url(&document.path));
                    return Ok(self.tell_denied(request, &reason).await);
                }
                None => return Ok(self.tell_denied(request, "there is no such feed").await),
            },
        };
        let lease = self.rules.leases.grant(request.lease);
        let mut challenge = [0; 32];
        self.chance.fill(&mut challenge);
        let challenge = hex(&challenge);
        let topic = self.topic_url(&request.path);
        let seconds = lease.0.to_string();
        let mut parameters = vec![
            ("hub.mode", mode.as_str()),
            ("hub.topic", topic.as_str()),
            ("hub.challenge", challenge.as_str()),
        ];
        parameters.extend(document.is_some().then_some(("hub.lease_seconds", seconds.as_str())));
        let url = request.callback.with_query(&parameters);
        let asked = self.fetcher.ask(Method::Get, &url, &[]).await;
        let answered = asked.as_ref().err().is_none_or(|error| !is_silence(error));
        let settlement = match (word(asked, &challenge), document) {
            (Word::Meant, Some(document)) => self.subscribed(document, lease).await?,
            (Word::Meant, None) => RequestSettlement::Unsubscribed,
            (Word::Refused(why), _) => {
                tracing::info!(request = %request.id, why, "callback did not confirm");
                RequestSettlement::Failed
            }
            (Word::Unreached(why), _) => {
                tracing::info!(request = %request.id, why, "callback not reached");
                self.unreached(request, self.clock.now())
            }
        };
        Ok((settlement, answered))
    }

    fn unreached(&self, request: &ClaimedRequest, now: Instant) -> RequestSettlement {
        let jitter = fraction(&*self.chance);
        match VERIFICATION_BACKOFF.delay(request.attempt, request.asked_at, now, jitter) {
            Some(delay) if request.attempt.0 < TRIES => RequestSettlement::Later { next: now + delay },
            _ => RequestSettlement::Failed,
        }
    }

    async fn subscribed(&self, document: Resolved, lease: Lease) -> Result<RequestSettlement, HubError> {
        let made = self.representations.get(&document.wanted).await?;
        Ok(RequestSettlement::Subscribed {
            lease,
            feeds: document.wanted.feed.selection.keys().to_vec(),
            subscriber: document.reader,
            change: made.change_number,
            entity_tag: made.entity_tag().to_string(),
        })
    }

    /// Tells a callback that it is not subscribed, or no longer (H8).
    async fn tell_denied(&self, request: &ClaimedRequest, reason: &str) -> (RequestSettlement, bool) {
        let topic = self.topic_url(&request.path);
        let url = request.callback.with_query(&[
            ("hub.mode", "denied"),
            ("hub.topic", topic.as_str()),
            ("hub.reason", reason),
        ]);
        match self.fetcher.ask(Method::Get, &url, &[]).await {
            Err(error) if is_silence(&error) => {
                tracing::info!(request = %request.id, why = error.reason(), "denial not told");
                (self.unreached(request, self.clock.now()), false)
            }
            _ => (RequestSettlement::Failed, true),
        }
    }
}

/// Only a 2xx whose body is the challenge confirms (H7).
fn word(asked: Result<Answer, FetchError>, challenge: &str) -> Word {
    match asked {
        Ok(answer) if (200..300).contains(&answer.status) && answer.body == challenge.as_bytes() => {
            Word::Meant
        }
        Ok(answer) if (200..300).contains(&answer.status) => {
            Word::Refused(format!("{}, but the body is not the challenge", answer.status))
        }
        Ok(answer) if answer.status >= 500 || answer.status == 429 => {
            Word::Unreached(format!("answered {}", answer.status))
        }
        Ok(answer) => Word::Refused(format!("answered {}", answer.status)),
        Err(error) if is_silence(&error) => Word::Unreached(error.reason()),
        Err(error) => Word::Refused(error.reason()),
    }
}
