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
    /// All that its document names, in its order.
    pub hubs: Vec<WebUrl>,
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

    /// Whether no other comes after it before the first is asked again.
    pub fn is_last(&self) -> bool {
        self.hubs.last().is_none_or(|last| *last == self.hub)
    }

    /// Whom to ask where this one did not agree: the next, and after the last the first.
    fn next(&self) -> Option<WebUrl> {
        let place = self.hubs.iter().position(|hub| *hub == self.hub);
        let next = self.hubs.get(place.map_or(0, |place| place + 1)).or(self.hubs.first());
        next.filter(|next| **next != self.hub).cloned()
    }
}

/// A hub that pushes what nobody wants any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftHub {
    /// The source's name; it may be declared no more.
    pub name: Slug,
    /// The hub's address.
    pub hub: WebUrl,
    /// What it pushes.
    pub topic: WebUrl,
    /// The end of the address that it pushes to.
    pub key: HookKey,
}

const COLUMNS: &str = "SELECT h.source, s.name, h.hub, h.hubs, h.topic, h.key, h.secret, h.attempts, h.ends_at, \
    h.pushed_at, h.believed, h.last_error FROM source_hubs h JOIN sources s ON s.n = h.source";

impl Store {
    /// Notes which hubs a source names for which topic, if any. One that it named before stays as it is;
    /// else the first is to be asked, with a new key and secret, and who pushed before is left.
    pub async fn note_hubs(
        &self,
        id: SourceId,
        offer: Option<(&[WebUrl], &WebUrl)>,
        (key, secret): (&HookKey, &CallbackSecret),
        now: Instant,
    ) -> Result<(), StoreError> {
        let before = self.source_hub(id).await?;
        let Some((hubs, topic, first)) = offer.and_then(|(hubs, topic)| Some((hubs, topic, hubs.first()?)))
        else {
            if before.is_some() {
                let mut tx = self.write().await?;
                leave(&mut tx, id, now).await?;
                tx.commit().await?;
            }
            return Ok(());
        };
        let all = storable(&hubs.iter().map(WebUrl::as_str).collect::<Vec<_>>().join("\n"));
        let stays = before.filter(|before| before.topic == *topic && hubs.contains(&before.hub));
        if let Some(before) = stays {
            if before.hubs != hubs {
                let text = "UPDATE source_hubs SET hubs = $1 WHERE source = $2";
                sqlx::query(text).bind(all).bind(id.0).execute(self.writer()).await?;
            }
            return Ok(());
        }
        let mut tx = self.write().await?;
        leave(&mut tx, id, now).await?;
        let text = "INSERT INTO source_hubs (source, hub, hubs, topic, key, secret, due_at, attempts, believed) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0)";
        sqlx::query(text)
            .bind(id.0)
            .bind(storable(first.as_str()))
            .bind(all)
            .bind(storable(topic.as_str()))
            .bind(key.reveal().to_owned())
            .bind(secret.reveal().to_owned())
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
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

    /// The hubs that are to be asked now, each of its own turn or because the one before it did not agree,
    /// with a key and secret of its own. It is written down as asked, and asked again after the time that
    /// `wait` says, unless it agrees.
    pub async fn due_hubs(
        &self,
        names: &[Slug],
        now: Instant,
        wait: impl Fn(&SourceHub) -> Duration,
        fresh: impl Fn() -> (HookKey, CallbackSecret),
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
            if hub.attempt.0 > 0
                && !hub.is_live(now)
                && let Some(next) = hub.next()
            {
                (hub.hub, (hub.key, hub.secret)) = (next, fresh());
                (hub.ends_at, hub.pushed_at, hub.is_believed, hub.last_error) = (None, None, false, None);
                let text = "UPDATE source_hubs SET hub = $1, key = $2, secret = $3, ends_at = NULL, \
                    pushed_at = NULL, believed = 0, last_error = NULL WHERE source = $4";
                sqlx::query(text)
                    .bind(storable(hub.hub.as_str()))
                    .bind(hub.key.reveal().to_owned())
                    .bind(hub.secret.reveal().to_owned())
                    .bind(hub.source.0)
                    .execute(&mut *tx)
                    .await?;
            }
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

    /// Notes why a hub did not take what it was asked, and where there is another that it is that one's turn.
    pub async fn hub_failed(&self, hub: &SourceHub, error: &str, now: Instant) -> Result<(), StoreError> {
        let turn = (!hub.is_last() && !hub.is_live(now)).then(|| micros(now));
        let text = "UPDATE source_hubs SET last_error = $1, due_at = COALESCE($4, due_at) \
            WHERE source = $2 AND key = $3";
        sqlx::query(text)
            .bind(storable_reply(error))
            .bind(hub.source.0)
            .bind(hub.key.reveal().to_owned())
            .bind(turn)
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

    /// A hub says no, before or after it has agreed (WebSub §5.2). It, or the next, is asked at an instant.
    pub async fn hub_denied(&self, hub: &SourceHub, reason: &str, again: Instant) -> Result<(), StoreError> {
        let text = "UPDATE source_hubs SET ends_at = NULL, asked_at = NULL, due_at = $1, last_error = $2, \
            attempts = CASE WHEN attempts = 0 THEN 1 ELSE attempts END WHERE source = $3 AND key = $4";
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

    /// Leaves the hubs of all sources but these.
    pub async fn leave_hubs_but_of(&self, names: &[Slug], now: Instant) -> Result<(), StoreError> {
        let text =
            "SELECT h.source, s.name FROM source_hubs h JOIN sources s ON s.n = h.source ORDER BY h.source";
        let held: Vec<(i64, String)> = sqlx::query_as(text).fetch_all(self.readers()).await?;
        let unwanted =
            held.into_iter().filter(|(_, name)| names.iter().all(|wanted| wanted.as_str() != name));
        for (source, _) in unwanted {
            let mut tx = self.write().await?;
            leave(&mut tx, SourceId(source), now).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// The hubs that are to be told now that nobody wants their pushes. Each is written down as told, to be
    /// told again after the time that `wait` says for the try, or never. A lease that has ended is forgotten.
    pub async fn due_leavings(
        &self,
        now: Instant,
        wait: impl Fn(Attempt) -> Option<Duration>,
    ) -> Result<Vec<LeftHub>, StoreError> {
        let text = "SELECT count(*) FROM left_hubs WHERE due_at <= $1";
        let due: i64 = sqlx::query_scalar(text).bind(micros(now)).fetch_one(self.readers()).await?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let text = "DELETE FROM left_hubs WHERE ends_at <= $1";
        sqlx::query(text).bind(micros(now)).execute(&mut *tx).await?;
        let text = "SELECT key, name, hub, topic, attempts FROM left_hubs h WHERE due_at <= $1 ORDER BY key";
        let rows = sqlx::query(self.skipping(text, " OF h")).bind(micros(now)).fetch_all(&mut *tx).await?;
        for row in &rows {
            let attempt = Attempt(row.try_get::<i64, _>("attempts")? + 1);
            let again = wait(attempt).map(|wait| micros(now + wait));
            let text = "UPDATE left_hubs SET attempts = $1, due_at = COALESCE($2, ends_at) WHERE key = $3";
            let key: String = row.try_get("key")?;
            sqlx::query(text).bind(attempt.0).bind(again).bind(key).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        rows.iter().map(left_of).collect()
    }

    /// A hub asks whether we meant to leave it. `false`: nobody told it that.
    pub async fn hub_let_go(&self, name: &str, key: &str, topic: &str) -> Result<bool, StoreError> {
        // It may ask again, as our answer may be lost, but is not told again.
        let text = "UPDATE left_hubs SET due_at = ends_at WHERE key = $1 AND name = $2 AND topic = $3 AND attempts > 0";
        let known = sqlx::query(text).bind(storable(key)).bind(storable(name)).bind(storable(topic));
        Ok(known.execute(self.writer()).await?.rows_affected() > 0)
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

/// Leaves the hub of a source; one that still pushes is told so.
pub(super) async fn leave(
    tx: &mut Transaction<'static, Any>,
    source: SourceId,
    now: Instant,
) -> Result<(), StoreError> {
    let text = "INSERT INTO left_hubs (key, name, hub, topic, due_at, attempts, ends_at) \
        SELECT h.key, s.name, h.hub, h.topic, $2, 0, h.ends_at FROM source_hubs h JOIN sources s ON s.n = h.source \
        WHERE h.source = $1 AND h.ends_at > $2 ON CONFLICT (key) DO NOTHING";
    sqlx::query(text).bind(source.0).bind(micros(now)).execute(&mut **tx).await?;
    let text = "DELETE FROM source_hubs WHERE source = $1";
    sqlx::query(text).bind(source.0).execute(&mut **tx).await?;
    Ok(())
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
        hubs: text("hubs")?.lines().filter_map(|url| WebUrl::parse(url).ok()).collect(),
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

fn left_of(row: &AnyRow) -> Result<LeftHub, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let (name, hub, topic, key) = (text("name")?, text("hub")?, text("topic")?, text("key")?);
    let source = name.clone();
    let wrong = |value: String| damaged("left_hubs", &source, value);
    Ok(LeftHub {
        name: Slug::parse(&name).map_err(|_| wrong(name))?,
        hub: WebUrl::parse(&hub).map_err(|_| wrong(hub))?,
        topic: WebUrl::parse(&topic).map_err(|_| wrong(topic))?,
        key: HookKey::parse(&key).map_err(|_| wrong("…".to_owned()))?,
    })
}
