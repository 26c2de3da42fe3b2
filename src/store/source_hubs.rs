//! The hubs that polled feeds name (WebSub): what is asked of them, until when they push, and what they
//! announced.
//!
//! A request is written down with its next try before it is sent, so that whoever dies on the way is
//! followed by another, and a hub that asks back at once finds it.

use super::deliveries::storable_reply;
use super::statement::{damaged, storable};
use super::{Store, StoreError};
use crate::domain::{Attempt, CallbackSecret, HookKey, Instant, Slug, SourceId, WebUrl, from_micros, micros};
use chrono::Duration;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

/// How long after we asked a hub it may ask whether we meant it. It may ask more than once: our first
/// answer may be lost.
const PENDING: Duration = Duration::hours(1);
/// How long a server has peace after a look, whatever its hub announces.
pub(super) const PEACE: Duration = Duration::seconds(3);

/// A hub that pushes a source, or is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceHub {
    /// The source.
    pub source: SourceId,
    /// Its name.
    pub name: Slug,
    /// The hub's address.
    pub hub: WebUrl,
    /// What it pushes.
    pub topic: WebUrl,
    /// What the hub alone knows of our address.
    pub key: HookKey,
    /// What its pushes are signed with.
    pub secret: CallbackSecret,
    /// Which try this is since it last agreed.
    pub attempt: Attempt,
    /// The end of its lease. `None`: it has not agreed, or said no.
    pub ends_at: Option<Instant>,
    /// When it last pushed.
    pub pushed_at: Option<Instant>,
    /// Whether it has pushed, and nothing came without it since.
    pub is_believed: bool,
    /// What was wrong when it was last asked.
    pub last_error: Option<String>,
}

impl SourceHub {
    /// Whether it owes us pushes.
    pub fn is_live(&self, now: Instant) -> bool {
        self.ends_at.is_some_and(|end| end > now)
    }
}

const COLUMNS: &str = "SELECT h.source, s.name, h.hub, h.topic, h.key, h.secret, h.attempts, h.ends_at, \
    h.pushed_at, h.believed, h.last_error FROM source_hubs h JOIN sources s ON s.n = h.source";

impl Store {
    /// Notes which hub a source names for which topic, if any. One that it named before stays as it is;
    /// for another, key and secret are new.
    pub async fn note_hub(
        &self,
        id: SourceId,
        offer: Option<(&WebUrl, &WebUrl)>,
        (key, secret): (&HookKey, &CallbackSecret),
        now: Instant,
    ) -> Result<(), StoreError> {
        let Some((hub, topic)) = offer else {
            let text = "DELETE FROM source_hubs WHERE source = $1";
            sqlx::query(text).bind(id.0).execute(self.writer()).await?;
            return Ok(());
        };
        let text = "INSERT INTO source_hubs (source, hub, topic, key, secret, due_at, attempts, believed) \
            VALUES ($1, $2, $3, $4, $5, $6, 0, 0) ON CONFLICT (source) DO UPDATE SET hub = excluded.hub, \
            topic = excluded.topic, key = excluded.key, secret = excluded.secret, due_at = excluded.due_at, \
            attempts = 0, asked_at = NULL, ends_at = NULL, pushed_at = NULL, believed = 0, last_error = NULL \
            WHERE source_hubs.hub <> excluded.hub OR source_hubs.topic <> excluded.topic";
        sqlx::query(text)
            .bind(id.0)
            .bind(storable(hub.as_str()))
            .bind(storable(topic.as_str()))
            .bind(key.reveal().to_owned())
            .bind(secret.reveal().to_owned())
            .bind(micros(now))
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The hub of a source.
    pub async fn source_hub(&self, id: SourceId) -> Result<Option<SourceHub>, StoreError> {
        let text = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE h.source = $1"));
        let row = sqlx::query(text).bind(id.0).fetch_optional(self.readers()).await?;
        row.as_ref().map(hub_of).transpose()
    }

    /// The hub of the source of a name.
    pub async fn hub_of_source(&self, name: &Slug) -> Result<Option<SourceHub>, StoreError> {
        let text = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE s.name = $1"));
        let row = sqlx::query(text).bind(name.to_string()).fetch_optional(self.readers()).await?;
        row.as_ref().map(hub_of).transpose()
    }

    /// The hubs that are to be asked now. Each is written down as asked, to be asked again after the time
    /// that `wait` says, unless it agrees.
    pub async fn due_hubs(
        &self,
        names: &[Slug],
        now: Instant,
        wait: impl Fn(&SourceHub) -> Duration,
    ) -> Result<Vec<SourceHub>, StoreError> {
        let text = "SELECT count(*) FROM source_hubs WHERE due_at <= $1";
        let due: i64 = sqlx::query_scalar(text).bind(micros(now)).fetch_one(self.readers()).await?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let text = self.skipping(&format!("{COLUMNS} WHERE h.due_at <= $1 ORDER BY h.source"), " OF h");
        let rows = sqlx::query(text).bind(micros(now)).fetch_all(&mut *tx).await?;
        let mut hubs = rows.iter().map(hub_of).collect::<Result<Vec<_>, _>>()?;
        hubs.retain(|hub| names.contains(&hub.name));
        for hub in &mut hubs {
            hub.attempt = Attempt(hub.attempt.0 + 1);
            let text = "UPDATE source_hubs SET asked_at = $1, due_at = $2, attempts = $3 WHERE source = $4";
            sqlx::query(text)
                .bind(micros(now))
                .bind(micros(now + wait(hub)))
                .bind(hub.attempt.0)
                .bind(hub.source.0)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(hubs)
    }

    /// Notes why a hub did not take what it was asked.
    pub async fn hub_failed(&self, hub: &SourceHub, error: &str) -> Result<(), StoreError> {
        let text = "UPDATE source_hubs SET last_error = $1 WHERE source = $2 AND key = $3";
        sqlx::query(text)
            .bind(storable_reply(error))
            .bind(hub.source.0)
            .bind(hub.key.reveal().to_owned())
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// A hub asks whether we meant it: yes, where that was asked for and not long ago. What was published
    /// while nobody pushed is looked for. `false`: nobody asked for it.
    pub async fn hub_agreed(
        &self,
        hub: &SourceHub,
        ends_at: Instant,
        renew_at: Instant,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !hub.is_live(now) {
            self.look_soon(&mut tx, hub.source, now).await?;
        }
        let text = "UPDATE source_hubs SET ends_at = $1, due_at = $2, attempts = 0, last_error = NULL \
            WHERE source = $3 AND key = $4 AND asked_at > $5";
        let agreed = sqlx::query(text)
            .bind(micros(ends_at))
            .bind(micros(renew_at))
            .bind(hub.source.0)
            .bind(hub.key.reveal().to_owned())
            .bind(micros(now - PENDING))
            .execute(&mut *tx)
            .await?;
        if agreed.rows_affected() == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// A hub says no, before or after it has agreed (WebSub §5.2). It is asked again at an instant.
    pub async fn hub_denied(&self, hub: &SourceHub, reason: &str, again: Instant) -> Result<(), StoreError> {
        let text = "UPDATE source_hubs SET ends_at = NULL, asked_at = NULL, due_at = $1, last_error = $2 \
            WHERE source = $3 AND key = $4";
        sqlx::query(text)
            .bind(micros(again))
            .bind(storable_reply(reason))
            .bind(hub.source.0)
            .bind(hub.key.reveal().to_owned())
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// A hub announces news: its source is looked at soon, and once more if it is looked at just now.
    pub async fn hub_pushed(&self, hub: &SourceHub, now: Instant) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let text = "UPDATE sources SET announced_at = $1 WHERE n = $2";
        sqlx::query(text).bind(micros(now)).bind(hub.source.0).execute(&mut *tx).await?;
        self.look_soon(&mut tx, hub.source, now).await?;
        let text = "UPDATE source_hubs SET pushed_at = $1, believed = 1 WHERE source = $2 AND key = $3";
        let ours = sqlx::query(text)
            .bind(micros(now))
            .bind(hub.source.0)
            .bind(hub.key.reveal().to_owned())
            .execute(&mut *tx)
            .await?;
        // Another hub took its place meanwhile.
        if ours.rows_affected() > 0 {
            tx.commit().await?;
        }
        Ok(())
    }

    /// Something came that the hub had not announced.
    pub async fn hub_missed(&self, id: SourceId) -> Result<(), StoreError> {
        let text = "UPDATE source_hubs SET believed = 0 WHERE source = $1 AND believed = 1";
        sqlx::query(text).bind(id.0).execute(self.writer()).await?;
        Ok(())
    }

    /// Lets a source be looked at soon, unless it is looked at now. One that fails, or that wants to be left
    /// alone, keeps its time.
    async fn look_soon(
        &self,
        tx: &mut Transaction<'static, Any>,
        id: SourceId,
        now: Instant,
    ) -> Result<(), StoreError> {
        let text = "UPDATE sources SET due_at = CASE WHEN looked_at > $1 THEN $3 ELSE $2 END WHERE n = $4 \
            AND claimed_by IS NULL AND failing_since IS NULL AND stopped_at IS NULL AND due_at > $3";
        sqlx::query(text)
            .bind(micros(now - PEACE))
            .bind(micros(now))
            .bind(micros(now + PEACE))
            .bind(id.0)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}

fn hub_of(row: &AnyRow) -> Result<SourceHub, StoreError> {
    let source = SourceId(row.try_get("source")?);
    let text = |column: &str| row.try_get::<String, _>(column);
    let wrong = |value: String| damaged("source_hubs", source.0, value);
    let url = |column: &str| -> Result<WebUrl, StoreError> {
        let value = text(column)?;
        WebUrl::parse(&value).map_err(|_| wrong(value))
    };
    let instant = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(from_micros));
    let (name, key, secret) = (text("name")?, text("key")?, text("secret")?);
    Ok(SourceHub {
        source,
        name: Slug::parse(&name).map_err(|_| wrong(name))?,
        hub: url("hub")?,
        topic: url("topic")?,
        key: HookKey::parse(&key).map_err(|_| wrong("…".to_owned()))?,
        secret: CallbackSecret::parse(&secret).ok().flatten().ok_or_else(|| wrong("…".to_owned()))?,
        attempt: Attempt(row.try_get("attempts")?),
        ends_at: instant("ends_at")?,
        pushed_at: instant("pushed_at")?,
        is_believed: row.try_get::<i64, _>("believed")? == 1,
        last_error: row.try_get("last_error")?,
    })
}
