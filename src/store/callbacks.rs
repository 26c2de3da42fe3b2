use super::claims::{Claimed, extend, give_back};
use super::deliveries::storable_reply;
use super::statement::{KEYS, damaged, places};
use super::topics::{NewTopic, hold_topic, path_of};
use super::{Engine, Store, StoreError};
use crate::domain::{
    Attempt, Callback, CallbackId, CallbackSecret, FeedKey, HubMode, Instant, Lease, RequestId, SubscriberId,
    TopicId, TopicPath, from_micros, micros,
};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row, Transaction};
use std::collections::BTreeMap;

/// What somebody asks of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// To subscribe or unsubscribe.
    pub mode: HubMode,
    /// Which topic.
    pub path: TopicPath,
    /// Which callback.
    pub callback: Callback,
    /// What its pushes shall be signed with.
    pub secret: Option<CallbackSecret>,
    /// For how many seconds.
    pub lease: Option<u64>,
}

/// How many may subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackCaps {
    /// Callbacks of one host, over all topics.
    pub per_host: i64,
    /// Callbacks of one topic.
    pub per_topic: i64,
    /// Requests that wait for one host's answer.
    pub waiting_per_host: i64,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The callback's host has as many callbacks as it may.
    Host,
    /// The topic has as many callbacks as it may.
    Topic,
    /// Too many requests wait for the host's answer.
    Waiting,
}

/// What is to be asked of a callback, or told to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Whether it meant it.
    Asked(HubMode),
    /// That it is not subscribed any more, and why.
    Denied(String),
}

/// A request that one worker may verify, until its claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRequest {
    /// Its number; later ones have higher numbers.
    pub id: RequestId,
    /// What it is about.
    pub kind: RequestKind,
    /// Which topic.
    pub path: TopicPath,
    /// Which callback.
    pub callback: Callback,
    /// How many seconds were asked for.
    pub lease: Option<u64>,
    /// Which try this is.
    pub attempt: Attempt,
    /// When it was asked.
    pub asked_at: Instant,
}

/// What became of a claimed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestSettlement {
    /// The callback meant it: it is subscribed.
    Subscribed {
        /// For how long.
        lease: Lease,
        /// Whose events change the topic.
        feeds: Vec<FeedKey>,
        /// Whose private feed it is.
        subscriber: Option<SubscriberId>,
        /// The change that the topic's document shows now.
        change: i64,
        /// The document's entity tag.
        entity_tag: String,
    },
    /// The callback meant it: it is not subscribed any more.
    Unsubscribed,
    /// It did not, or was told: nothing changes.
    Failed,
    /// Nobody answered; to be tried again.
    Later {
        /// When.
        next: Instant,
    },
}

/// A callback whose lease runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCallback {
    /// Its number.
    pub id: CallbackId,
    /// Its topic.
    pub path: TopicPath,
    /// Its address.
    pub callback: Callback,
}

/// A callback as the newsroom sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackState {
    /// Its address.
    pub callback: Callback,
    /// Whether its pushes are signed.
    pub is_signed: bool,
    /// When it last confirmed.
    pub verified_at: Instant,
    /// When its lease ends.
    pub expires_at: Instant,
    /// When it last took a push.
    pub pushed_at: Option<Instant>,
    /// When the next push is due, or a worker's claim ends.
    pub due_at: Option<Instant>,
    /// How often the push that is due was tried.
    pub attempts: i64,
    /// Since when pushes fail.
    pub failing_since: Option<Instant>,
    /// Why the last one did.
    pub last_error: Option<String>,
}

/// A push that one worker may send, until its claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPush {
    /// Which callback's.
    pub id: CallbackId,
    /// Of which topic.
    pub topic: TopicId,
    /// The topic's document.
    pub path: TopicPath,
    /// Where it goes.
    pub callback: Callback,
    /// What it is signed with.
    pub secret: Option<CallbackSecret>,
    /// The change that it shows at least.
    pub wanted: i64,
    /// The entity tag of what the callback has; empty where nothing was pushed.
    pub pushed_tag: String,
    /// Which try this is.
    pub attempt: Attempt,
    /// Since when pushes to it fail.
    pub failing_since: Option<Instant>,
}

/// What became of a claimed push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushSettlement {
    /// The callback took it.
    Accepted {
        /// The change that it showed.
        change: i64,
        /// Its entity tag.
        entity_tag: String,
    },
    /// To be tried again.
    Later {
        /// When.
        next: Instant,
        /// Why.
        error: String,
    },
    /// Given up; the callback stays and is tried at the next change (WebSub §7).
    Dropped {
        /// Why.
        error: String,
    },
    /// The subscription ends.
    Ended {
        /// Why.
        error: String,
    },
}

const REQUEST: &str = "SELECT n, mode, path, url, secret, lease, attempts, asked_at FROM callback_requests \
    WHERE due_at <= $1 ORDER BY due_at, n LIMIT $2";

const RENEW: &str = "UPDATE callbacks SET secret = $1, request = $2, verified_at = $3, expires_at = $4 \
    WHERE topic = $5 AND url = $6 AND request < $2 AND expires_at > $3";

/// What was there before has ended: it begins anew.
const SUBSCRIBE: &str = "INSERT INTO callbacks (topic, url, host, secret, request, verified_at, expires_at, \
    wanted, pushed, pushed_tag, due_at, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, 0) \
    ON CONFLICT (topic, url) DO UPDATE SET secret = excluded.secret, request = excluded.request, \
    verified_at = excluded.verified_at, expires_at = excluded.expires_at, wanted = excluded.wanted, \
    pushed = excluded.pushed, pushed_tag = '', due_at = excluded.due_at, attempts = 0, claimed_by = NULL, \
    failing_since = NULL, last_error = NULL WHERE callbacks.request < excluded.request";

const ACCEPTED: &str = "UPDATE callbacks SET pushed = $1, pushed_tag = $2, pushed_at = $3, attempts = 0, \
    claimed_by = NULL, failing_since = NULL, last_error = NULL, \
    due_at = CASE WHEN wanted > $1 THEN $3 ELSE NULL END WHERE claimed_by = $4 AND n IN ";

/// No tries: the topic changed while this one was under way, and that is pushed at once.
const FAILED: &str = "UPDATE callbacks SET claimed_by = NULL, failing_since = COALESCE(failing_since, $1), \
    last_error = $2, due_at = CASE WHEN attempts = 0 THEN $1 ELSE $3 END WHERE n = $4 AND claimed_by = $5";

const ENDED: &str = "UPDATE callbacks SET claimed_by = NULL, last_error = $2, due_at = NULL, expires_at = $1 \
    WHERE n = $3 AND claimed_by = $4";

impl Store {
    /// Writes a request down, to be verified. A renewal and an end are never too many.
    pub async fn ask_callback(
        &self,
        asked: &Asked,
        caps: &CallbackCaps,
        now: Instant,
    ) -> Result<Result<RequestId, Refused>, StoreError> {
        let mut tx = self.write().await?;
        if let Some(refused) = refusal(&mut tx, asked, caps, now).await? {
            return Ok(Err(refused));
        }
        let text = "INSERT INTO callback_requests (mode, path, url, host, secret, lease, asked_at, since, due_at) \
            SELECT $1, $2, $3, $4, $5, $6, $7, publish_sequence, $7 FROM installation WHERE one = 1 RETURNING n";
        let n: i64 = sqlx::query_scalar(text)
            .bind(asked.mode.as_str())
            .bind(asked.path.as_str().to_owned())
            .bind(asked.callback.as_str().to_owned())
            .bind(asked.callback.host())
            .bind(asked.secret.as_ref().map(|secret| secret.reveal().to_owned()))
            .bind(asked.lease.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)))
            .bind(micros(now))
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Ok(RequestId(n)))
    }

    /// Claims due requests for a worker until an instant, the longest due first.
    pub async fn claim_requests(
        &self,
        worker: &str,
        limit: usize,
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedRequest>, StoreError> {
        let mut tx = self.write().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows =
            sqlx::query(self.skipping(REQUEST, "")).bind(micros(now)).bind(limit).fetch_all(&mut *tx).await?;
        let (mut claimed, mut broken) = (Vec::new(), Vec::new());
        for row in &rows {
            match request_of(row) {
                Ok(request) => claimed.push(request),
                Err(StoreError::Damaged { .. }) => broken.push(row.try_get::<i64, _>("n")?),
                Err(error) => return Err(error),
            }
        }
        let ns: Vec<i64> = claimed.iter().map(|request| request.id.0).collect();
        super::claims::hold(&mut tx, Claimed::Requests, &ns, worker, until).await?;
        // One row that a hand in the database broke must not hold up all the others.
        for n in broken {
            sqlx::query("DELETE FROM callback_requests WHERE n = $1").bind(n).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Carries out what a request's verification came to. `false`: the worker's claim had ended and
    /// somebody else has it; nothing is changed then.
    pub async fn settle_request(
        &self,
        worker: &str,
        id: RequestId,
        settlement: &RequestSettlement,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if let RequestSettlement::Later { next } = settlement {
            let text = "UPDATE callback_requests SET due_at = $3, claimed_by = NULL WHERE n = $1 AND claimed_by = $2";
            let statement = sqlx::query(text).bind(id.0).bind(worker.to_owned()).bind(micros(*next));
            let ours = statement.execute(&mut *tx).await?.rows_affected() > 0;
            tx.commit().await?;
            return Ok(ours);
        }
        let text = "DELETE FROM callback_requests WHERE n = $1 AND claimed_by = $2 \
            RETURNING path, url, host, secret, since";
        let row = sqlx::query(text).bind(id.0).bind(worker.to_owned()).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(false) };
        match settlement {
            RequestSettlement::Subscribed { lease, feeds, subscriber, change, entity_tag } => {
                let path = path_of(&row, id.0)?;
                let topic = NewTopic {
                    path: &path,
                    subscriber: subscriber.map(|subscriber| subscriber.0),
                    change: *change,
                    entity_tag,
                    feeds,
                };
                let (topic, noticed) = hold_topic(&mut tx, &topic, now).await?;
                subscribe(&mut tx, id, &row, topic, (*change).max(noticed), lease.end(now), now).await?;
            }
            RequestSettlement::Unsubscribed => {
                let text = "UPDATE callbacks SET expires_at = $1, due_at = NULL, claimed_by = NULL, request = $2 \
                    WHERE url = $3 AND request < $2 AND topic IN (SELECT n FROM topics WHERE path = $4)";
                sqlx::query(text)
                    .bind(micros(now))
                    .bind(id.0)
                    .bind(row.try_get::<String, _>("url")?)
                    .bind(row.try_get::<String, _>("path")?)
                    .execute(&mut *tx)
                    .await?;
            }
            RequestSettlement::Failed | RequestSettlement::Later { .. } => {}
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Claims due pushes for a worker until an instant, the longest due first, none to the hosts that
    /// are left out. A claim that ended is simply due again.
    pub async fn claim_pushes(
        &self,
        worker: &str,
        limit: usize,
        without: &[String],
        until: Instant,
        now: Instant,
    ) -> Result<Vec<ClaimedPush>, StoreError> {
        let mut tx = self.write().await?;
        let left_out = match without.len() {
            0 => String::new(),
            count => format!("AND c.host NOT IN ({}) ", places(3, count)),
        };
        let text = format!(
            "SELECT c.n, c.topic, t.path, c.url, c.secret, c.wanted, c.pushed_tag, c.attempts, c.failing_since \
             FROM callbacks c JOIN topics t ON t.n = c.topic \
             WHERE c.due_at IS NOT NULL AND c.due_at <= $1 AND c.expires_at > $1 {left_out}\
             ORDER BY c.due_at, c.n LIMIT $2"
        );
        let statement = sqlx::query(self.skipping(&text, " OF c"));
        let statement = statement.bind(micros(now)).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = without
            .iter()
            .fold(statement, |statement, host| statement.bind(host.clone()))
            .fetch_all(&mut *tx)
            .await?;
        let (mut claimed, mut broken) = (Vec::new(), Vec::new());
        for row in &rows {
            match push_of(row) {
                Ok(push) => claimed.push(push),
                Err(StoreError::Damaged { .. }) => broken.push(row.try_get::<i64, _>("n")?),
                Err(error) => return Err(error),
            }
        }
        let ns: Vec<i64> = claimed.iter().map(|push| push.id.0).collect();
        super::claims::hold(&mut tx, Claimed::Pushes, &ns, worker, until).await?;
        for n in broken {
            let text = "UPDATE callbacks SET due_at = NULL, expires_at = $2, last_error = 'the row cannot be read' WHERE n = $1";
            sqlx::query(text).bind(n).bind(micros(now)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Writes down what became of claimed pushes, in one transaction. Those whose claim had ended are
    /// somebody else's by now and left alone. Returns how many were ours.
    pub async fn settle_pushes(
        &self,
        worker: &str,
        settlements: &[(CallbackId, PushSettlement)],
        now: Instant,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let mut ours = 0;
        let mut accepted: BTreeMap<(i64, &str), Vec<i64>> = BTreeMap::new();
        for (id, settlement) in settlements {
            let failed = |next: Option<Instant>, error: &str| {
                sqlx::query(FAILED)
                    .bind(micros(now))
                    .bind(storable_reply(error))
                    .bind(next.map(micros))
                    .bind(id.0)
                    .bind(worker.to_owned())
            };
            let statement = match settlement {
                PushSettlement::Accepted { change, entity_tag } => {
                    accepted.entry((*change, entity_tag)).or_default().push(id.0);
                    continue;
                }
                PushSettlement::Later { next, error } => failed(Some(*next), error),
                PushSettlement::Dropped { error } => failed(None, error),
                PushSettlement::Ended { error } => sqlx::query(ENDED)
                    .bind(micros(now))
                    .bind(storable_reply(error))
                    .bind(id.0)
                    .bind(worker.to_owned()),
            };
            ours += statement.execute(&mut *tx).await?.rows_affected();
        }
        for ((change, entity_tag), ns) in accepted {
            for ns in ns.chunks(KEYS) {
                let count = ns.len().next_power_of_two();
                let text = format!("{ACCEPTED}({})", places(5, count));
                let statement = sqlx::query(AssertSqlSafe(text))
                    .bind(change)
                    .bind(entity_tag.to_owned())
                    .bind(micros(now))
                    .bind(worker.to_owned());
                let padding = std::iter::repeat_n(ns.last(), count - ns.len()).flatten();
                let statement = ns.iter().chain(padding).fold(statement, |s, n| s.bind(*n));
                ours += statement.execute(&mut *tx).await?.rows_affected();
            }
        }
        tx.commit().await?;
        Ok(ours)
    }

    /// Pushes to a host that is down wait: those that are due and nobody holds. Returns how many.
    pub async fn put_off_host(&self, host: &str, next: Instant, now: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let text = "UPDATE callbacks SET due_at = $1 \
            WHERE host = $2 AND due_at IS NOT NULL AND due_at <= $3 AND claimed_by IS NULL AND expires_at > $3";
        let statement = sqlx::query(text).bind(micros(next)).bind(host.to_owned()).bind(micros(now));
        let count = statement.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(count)
    }

    /// Whether a request, a push or an endpoint is due. Looks at the ends of indexes.
    pub async fn is_hub_due(&self, now: Instant) -> Result<bool, StoreError> {
        let requests = "SELECT min(due_at) FROM callback_requests WHERE due_at <= $1";
        let pushes = "SELECT min(due_at) FROM callbacks WHERE due_at IS NOT NULL AND due_at <= $1";
        for text in [requests, pushes] {
            let due: Option<i64> =
                sqlx::query_scalar(text).bind(micros(now)).fetch_one(self.readers()).await?;
            if due.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The live callbacks of a topic.
    pub async fn topic_callbacks(
        &self,
        path: &TopicPath,
        now: Instant,
    ) -> Result<Vec<CallbackState>, StoreError> {
        let text = "SELECT c.n, c.url, c.secret, c.verified_at, c.expires_at, c.pushed_at, c.due_at, c.attempts, \
            c.failing_since, c.last_error FROM callbacks c JOIN topics t ON t.n = c.topic \
            WHERE t.path = $1 AND c.expires_at > $2 ORDER BY c.url";
        let statement = sqlx::query(text).bind(path.as_str().to_owned()).bind(micros(now));
        let rows = statement.fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| {
                let instant = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(from_micros));
                Ok(CallbackState {
                    callback: callback_of(row, row.try_get("n")?)?,
                    is_signed: row.try_get::<Option<String>, _>("secret")?.is_some(),
                    verified_at: from_micros(row.try_get("verified_at")?),
                    expires_at: from_micros(row.try_get("expires_at")?),
                    pushed_at: instant("pushed_at")?,
                    due_at: instant("due_at")?,
                    attempts: row.try_get("attempts")?,
                    failing_since: instant("failing_since")?,
                    last_error: row.try_get("last_error")?,
                })
            })
            .collect()
    }

    /// Forgets callbacks that ended before an instant, and topics that nobody was subscribed to since.
    pub async fn forget_expired(&self, before: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let forgotten = sqlx::query("DELETE FROM callbacks WHERE expires_at < $1")
            .bind(micros(before))
            .execute(&mut *tx)
            .await?
            .rows_affected();
        if forgotten > 0 {
            const NOBODYS: &str = "NOT EXISTS (SELECT 1 FROM callbacks c WHERE c.topic = ";
            for text in [
                format!("DELETE FROM topic_feeds WHERE {NOBODYS}topic_feeds.topic)"),
                format!("DELETE FROM topics WHERE {NOBODYS}topics.n)"),
            ] {
                sqlx::query(AssertSqlSafe(text)).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        Ok(forgotten)
    }

    /// A sign of life: everything that this worker holds for the hub is held until a later instant.
    pub async fn extend_hub_claims(&self, worker: &str, until: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let mut held = 0;
        for claimed in [Claimed::Requests, Claimed::Pushes, Claimed::Endpoints] {
            held += extend(&mut tx, claimed, worker, until).await?;
        }
        tx.commit().await?;
        Ok(held)
    }

    /// An orderly stop: what this worker has claimed and not done is due now, and the try does not count.
    pub async fn give_back_hub_claims(&self, worker: &str, now: Instant) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let mut given_back = 0;
        for claimed in [Claimed::Requests, Claimed::Pushes, Claimed::Endpoints] {
            given_back += give_back(&mut tx, claimed, worker, now).await?;
        }
        tx.commit().await?;
        Ok(given_back)
    }

    /// A statement that selects what is claimed: PostgreSQL has many writers, each passes over what
    /// another is just claiming. SQLite has one.
    pub(super) fn skipping(&self, text: &str, of: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(match self.engine() {
            Engine::Sqlite => text.to_owned(),
            Engine::Postgres => format!("{text} FOR UPDATE{of} SKIP LOCKED"),
        })
    }

    /// A statement that selects a row that is going to be written.
    pub(super) fn locked(&self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(match self.engine() {
            Engine::Sqlite => text.to_owned(),
            Engine::Postgres => format!("{text} FOR UPDATE"),
        })
    }
}

async fn refusal(
    tx: &mut Transaction<'static, Any>,
    asked: &Asked,
    caps: &CallbackCaps,
    now: Instant,
) -> Result<Option<Refused>, StoreError> {
    let host = asked.callback.host();
    let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM callback_requests WHERE host = $1")
        .bind(host.clone())
        .fetch_one(&mut **tx)
        .await?;
    if waiting >= caps.waiting_per_host {
        return Ok(Some(Refused::Waiting));
    }
    if asked.mode == HubMode::Unsubscribe {
        return Ok(None);
    }
    let text = "SELECT count(*) FROM callbacks c JOIN topics t ON t.n = c.topic \
        WHERE t.path = $1 AND c.url = $2 AND c.expires_at > $3";
    let renewed: i64 = sqlx::query_scalar(text)
        .bind(asked.path.as_str().to_owned())
        .bind(asked.callback.as_str().to_owned())
        .bind(micros(now))
        .fetch_one(&mut **tx)
        .await?;
    if renewed > 0 {
        return Ok(None);
    }
    let of_host: i64 =
        sqlx::query_scalar("SELECT count(*) FROM callbacks WHERE host = $1 AND expires_at > $2")
            .bind(host)
            .bind(micros(now))
            .fetch_one(&mut **tx)
            .await?;
    if of_host >= caps.per_host {
        return Ok(Some(Refused::Host));
    }
    let text = "SELECT count(*) FROM callbacks c JOIN topics t ON t.n = c.topic WHERE t.path = $1 AND c.expires_at > $2";
    let of_topic: i64 = sqlx::query_scalar(text)
        .bind(asked.path.as_str().to_owned())
        .bind(micros(now))
        .fetch_one(&mut **tx)
        .await?;
    Ok((of_topic >= caps.per_topic).then_some(Refused::Topic))
}

/// `present` is the change that the topic shows now. Where that came after the request was made, the
/// callback's owner may have fetched the document before it: it is pushed at once (w3c/websub#174).
async fn subscribe(
    connection: &mut AnyConnection,
    id: RequestId,
    request: &AnyRow,
    topic: i64,
    present: i64,
    end: Instant,
    now: Instant,
) -> Result<(), StoreError> {
    let url: String = request.try_get("url")?;
    let secret: Option<String> = request.try_get("secret")?;
    let renewed = sqlx::query(RENEW)
        .bind(secret.clone())
        .bind(id.0)
        .bind(micros(now))
        .bind(micros(end))
        .bind(topic)
        .bind(url.clone())
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if renewed > 0 {
        return Ok(());
    }
    let since: i64 = request.try_get("since")?;
    sqlx::query(SUBSCRIBE)
        .bind(topic)
        .bind(url)
        .bind(request.try_get::<String, _>("host")?)
        .bind(secret)
        .bind(id.0)
        .bind(micros(now))
        .bind(micros(end))
        .bind(present)
        .bind(since.min(present))
        .bind((present > since).then(|| micros(now)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends callbacks, and notes for each that it is to be told.
pub(super) async fn end_callbacks(
    connection: &mut AnyConnection,
    live: &[LiveCallback],
    reason: &str,
    now: Instant,
) -> Result<(), StoreError> {
    for ended in live {
        let text = "UPDATE callbacks SET expires_at = $1, due_at = NULL, claimed_by = NULL, last_error = $2 WHERE n = $3";
        sqlx::query(text)
            .bind(micros(now))
            .bind(reason.to_owned())
            .bind(ended.id.0)
            .execute(&mut *connection)
            .await?;
        let text = "INSERT INTO callback_requests (mode, path, url, host, secret, asked_at, since, due_at) \
            VALUES ('denied', $1, $2, $3, $4, $5, 0, $5)";
        sqlx::query(text)
            .bind(ended.path.as_str().to_owned())
            .bind(ended.callback.as_str().to_owned())
            .bind(ended.callback.host())
            .bind(reason.to_owned())
            .bind(micros(now))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) fn callback_of(row: &AnyRow, n: i64) -> Result<Callback, StoreError> {
    let url: String = row.try_get("url")?;
    Callback::parse(&url).map_err(|_| damaged("callbacks", n, url))
}

fn secret_of(text: Option<String>, n: i64) -> Result<Option<CallbackSecret>, StoreError> {
    CallbackSecret::parse(&text.unwrap_or_default()).map_err(|_| damaged("callbacks", n, "of a secret"))
}

fn request_of(row: &AnyRow) -> Result<ClaimedRequest, StoreError> {
    let n: i64 = row.try_get("n")?;
    let mode: String = row.try_get("mode")?;
    let kind = match HubMode::parse(&mode) {
        Some(mode) => RequestKind::Asked(mode),
        // The reason stands where a request has its secret.
        None => RequestKind::Denied(row.try_get::<Option<String>, _>("secret")?.unwrap_or_default()),
    };
    Ok(ClaimedRequest {
        id: RequestId(n),
        kind,
        path: path_of(row, n)?,
        callback: callback_of(row, n)?,
        lease: row.try_get::<Option<i64>, _>("lease")?.map(i64::unsigned_abs),
        attempt: Attempt(row.try_get::<i64, _>("attempts")? + 1),
        asked_at: from_micros(row.try_get("asked_at")?),
    })
}

fn push_of(row: &AnyRow) -> Result<ClaimedPush, StoreError> {
    let n: i64 = row.try_get("n")?;
    Ok(ClaimedPush {
        id: CallbackId(n),
        topic: TopicId(row.try_get("topic")?),
        path: path_of(row, n)?,
        callback: callback_of(row, n)?,
        secret: secret_of(row.try_get("secret")?, n)?,
        wanted: row.try_get("wanted")?,
        pushed_tag: row.try_get("pushed_tag")?,
        attempt: Attempt(row.try_get::<i64, _>("attempts")? + 1),
        failing_since: row.try_get::<Option<i64>, _>("failing_since")?.map(from_micros),
    })
}
