//! What the newsroom itself wants to be told: other hubs, that a topic changed (WebSub §6), and its
//! own webhooks, what became of articles and editions. One after the other for each, so that nobody
//! hears of a withdrawal before the article.

use super::{Hub, HubError};
use crate::domain::{FeedKey, Format, PUSH_BACKOFF, WebUrl, fraction};
use crate::fetch::Headers;
use crate::store::{ClaimedEndpoint, EndpointKind, EndpointSettlement, Event, EventSubject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use std::collections::HashSet;
use std::fmt;
use tokio::task::JoinSet;

/// Topics that one ping names: a form of some 10 kB.
const TOPICS_A_PING: usize = 100;
/// Events that a webhook is told in one claim, one request each.
const EVENTS: usize = 50;

/// The key of a webhook's signatures (Standard Webhooks 1.0.0).
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey(Vec<u8>);

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not base64 behind the prefix.
    #[error("what follows `whsec_` is no base64; make one with: echo whsec_$(openssl rand -base64 32)")]
    Base64,
    /// Too short to be safe.
    #[error("is shorter than 24 bytes; make one with: echo whsec_$(openssl rand -base64 32)")]
    Short,
}

impl WebhookKey {
    /// Reads `whsec_` and base64, or any other text as it is.
    pub fn parse(text: &str) -> Result<Self, WebhookError> {
        let bytes = match text.strip_prefix("whsec_") {
            Some(coded) => STANDARD.decode(coded).map_err(|_| WebhookError::Base64)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < 24 { Err(WebhookError::Short) } else { Ok(Self(bytes)) }
    }

    /// The value of `webhook-signature`: over id, timestamp and the bytes that are sent.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length, RFC 2104 §3")]
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("any key length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Secrets never reach a log.
impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

impl Hub {
    /// Tells every endpoint that is behind. Returns how many were.
    pub async fn tell_endpoints(&self) -> Result<usize, HubError> {
        let claimed = self.store.claim_endpoints(&self.worker, self.claim_end(), self.clock.now()).await?;
        let mut under_way = JoinSet::new();
        let count = claimed.len();
        for endpoint in claimed {
            let hub = self.clone();
            under_way.spawn(async move { hub.tell(&endpoint).await });
        }
        let mut failure = None;
        while let Some(told) = under_way.join_next().await {
            match told {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failure = Some(error),
                Err(panic) => tracing::error!(%panic, "an endpoint's turn fell over"),
            }
        }
        failure.map_or(Ok(count), Err)
    }

    async fn tell(&self, endpoint: &ClaimedEndpoint) -> Result<(), HubError> {
        let (told, failure) = match endpoint.kind {
            EndpointKind::Hub => self.ping(endpoint).await?,
            EndpointKind::Webhook => self.tell_events(endpoint).await?,
        };
        let now = self.clock.now();
        let what = endpoint.kind.as_str();
        let settlement = match failure {
            None => EndpointSettlement::Told(told),
            Some(error) => {
                let since = endpoint.failing_since.unwrap_or(now);
                let delay = PUSH_BACKOFF.delay(endpoint.attempt, since, now, fraction(&*self.chance));
                // The newsroom's own endpoint is never given up: what it missed waits for it.
                let next = now + delay.unwrap_or(chrono::Duration::hours(1));
                tracing::warn!(endpoint.kind = what, endpoint.host = endpoint.url.host(), %next, error, "endpoint not told");
                EndpointSettlement::Later { told, next, error }
            }
        };
        let outcome = if matches!(settlement, EndpointSettlement::Told(_)) { "accepted" } else { "later" };
        self.tally.count(what, outcome);
        self.store.settle_endpoint(&self.worker, endpoint.id, &settlement, now).await?;
        Ok(())
    }

    /// Names the topics that changed since the last ping to another hub.
    async fn ping(&self, endpoint: &ClaimedEndpoint) -> Result<(i64, Option<String>), HubError> {
        let changed = self.store.feeds_changed_after(endpoint.told).await?;
        let latest = changed.last().map_or(endpoint.latest, |state| state.change_number);
        let keys: HashSet<FeedKey> = changed.iter().map(|state| state.key).collect();
        let directory = self.representations.directory();
        let touched =
            directory.published().filter(|feed| feed.selection.keys().iter().any(|key| keys.contains(key)));
        let mut topics: Vec<String> = Vec::new();
        for feed in touched {
            let formats: &[Format] = &feed.formats;
            topics.extend(
                formats.iter().map(|format| self.base_url.with_path(&feed.place.document_path(*format))),
            );
        }
        for topics in topics.chunks(TOPICS_A_PING) {
            let headers = Headers::default().with("content-type", "application/x-www-form-urlencoded")?;
            if let Err(error) = self.post(&endpoint.url, headers, ping_of(topics)).await {
                // All are named again: which of them the hub took is not known.
                return Ok((endpoint.told, Some(error)));
            }
        }
        Ok((latest, None))
    }

    /// Tells a webhook what happened, in order. How far it got, and why it stopped there.
    async fn tell_events(&self, endpoint: &ClaimedEndpoint) -> Result<(i64, Option<String>), HubError> {
        let mut told = endpoint.told;
        for event in self.store.events_after(endpoint.told, EVENTS).await? {
            let id = event.id.to_string();
            let timestamp = self.clock.now().timestamp();
            let body = Bytes::from(told_of(&event, &self.base_url).to_string());
            let mut headers = Headers::default()
                .with("content-type", "application/json")?
                .with("webhook-id", &id)?
                .with("webhook-timestamp", &timestamp.to_string())?;
            if let Some(key) = &self.rules.webhook_key {
                headers = headers.with("webhook-signature", &key.sign(&id, timestamp, &body))?;
            }
            if let Err(error) = self.post(&endpoint.url, headers, body).await {
                return Ok((told, Some(error)));
            }
            told = event.number;
        }
        Ok((told, None))
    }

    async fn post(&self, url: &WebUrl, headers: Headers, body: Bytes) -> Result<(), String> {
        match self.own_fetcher.post(url.as_url(), headers, body).await {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
            Ok(reply) => Err(format!("answered {}", reply.status)),
            Err(error) => Err(error.reason()),
        }
    }
}

/// The form of a ping: every public hub takes `hub.url` several times.
fn ping_of(topics: &[String]) -> Bytes {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("hub.mode", "publish");
    form.extend_pairs(topics.iter().map(|topic| ("hub.url", topic)));
    form.finish().into()
}

/// An event as a webhook reads it.
fn told_of(event: &Event, base_url: &WebUrl) -> serde_json::Value {
    let data = match &event.subject {
        EventSubject::Article { id, title, url, published, updated } => json!({
            "id": id,
            "title": title,
            "url": url.clone().unwrap_or_else(|| base_url.with_path(&format!("/articles/{id}"))),
            "published": published,
            "updated": updated,
        }),
        EventSubject::Edition { id, digest, slot } => json!({ "id": id, "digest": digest, "slot": slot }),
    };
    json!({ "type": event.kind.as_str(), "timestamp": event.happened_at, "data": data })
}
