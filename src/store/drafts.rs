//! What came in and is doubtful: kept for a person, and in no feed, digest, search or page until then.

use super::acceptance::{Acceptance, Accepted, Incoming, accept_in};
use super::acceptance_rows::keys_in_use;
use super::statement::{damaged, execute_about, fetch_about, insert_rows, storable};
use super::{Store, StoreError};
use crate::domain::{ArticleId, Chance, Doubt, Draft, Instant, from_micros, micros, new_uuid};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

/// A doubtful article that came in.
#[derive(Clone, Copy, Debug)]
pub struct Doubtful<'d> {
    /// As it was guessed.
    pub draft: &'d Draft,
    /// What of it is for a person to decide.
    pub doubts: &'d [Doubt],
    /// Where it came from.
    pub input: &'d str,
    /// Whether digests will mail it.
    pub mailable: bool,
}

/// What became of a doubtful article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It waits under this id.
    Waits(ArticleId),
    /// A person has decided about it, and it has not changed since; or it is an article as it stands.
    Settled,
}

/// A draft that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptDraft {
    /// Of the article that it becomes, where that is new.
    pub id: ArticleId,
    /// Where it came from.
    pub input: String,
    /// As it was guessed.
    pub draft: Draft,
    /// What of it is for a person to decide.
    pub doubts: Vec<Doubt>,
    /// When it came in as it is.
    pub taken_at: Instant,
}

const COLUMNS: &str =
    "SELECT n, id, input, content, doubts, mailable, taken_at FROM drafts WHERE settled_at IS NULL";

impl Store {
    /// Keeps a doubtful article. One that came before, by what it is recognised by, is replaced.
    pub async fn keep_draft(
        &self,
        doubtful: Doubtful<'_>,
        now: Instant,
        chance: &dyn Chance,
    ) -> Result<Kept, StoreError> {
        let mut tx = self.write().await?;
        let kept = keep_in(&mut tx, doubtful, now, chance).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// The drafts that wait, the newest first.
    pub async fn drafts(&self, limit: usize) -> Result<Vec<KeptDraft>, StoreError> {
        Ok(self.draft_page([i64::MAX; 2], limit).await?.0)
    }

    /// A page of the drafts that wait, the newest first, behind a place; and the place behind which the
    /// next page begins, if there is one.
    pub async fn draft_page(
        &self,
        [taken_at, n]: [i64; 2],
        limit: usize,
    ) -> Result<(Vec<KeptDraft>, Option<[i64; 2]>), StoreError> {
        let text = format!("{COLUMNS} AND (taken_at, n) < ($1, $2) ORDER BY taken_at DESC, n DESC LIMIT $3");
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(taken_at)
            .bind(n)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_all(self.readers())
            .await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| Ok::<_, StoreError>([row.try_get("taken_at")?, row.try_get("n")?]));
        Ok((rows.iter().map(draft_of).collect::<Result<_, _>>()?, next.transpose()?))
    }

    /// How many drafts wait.
    pub async fn draft_count(&self) -> Result<i64, StoreError> {
        let text = "SELECT count(*) FROM drafts WHERE settled_at IS NULL";
        Ok(sqlx::query_scalar(text).fetch_one(self.readers()).await?)
    }

    /// A draft that waits.
    pub async fn draft(&self, id: ArticleId) -> Result<Option<KeptDraft>, StoreError> {
        let text = format!("{COLUMNS} AND id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(id.to_string());
        row.fetch_optional(self.readers()).await?.as_ref().map(draft_of).transpose()
    }

    /// Makes an article of a draft, with what a person knows better. `None`: no draft of this id waits.
    pub async fn publish_draft(
        &self,
        id: ArticleId,
        title: Option<&str>,
        published: Option<Instant>,
        now: Instant,
        chance: &dyn Chance,
    ) -> Result<Option<Acceptance>, StoreError> {
        let mut tx = self.write().await?;
        let text = format!("{COLUMNS} AND id = $1");
        let statement = sqlx::query(sqlx::AssertSqlSafe(text)).bind(id.to_string());
        let Some(row) = statement.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let mailable: i64 = row.try_get("mailable")?;
        let mut draft = draft_of(&row)?.draft;
        if let Some(title) = title {
            title.clone_into(&mut draft.title);
        }
        draft.published = published.or(draft.published);
        let engine = self.engine();
        let accepted = accept_in(&mut tx, engine, &[draft], mailable == 1, now, chance).await?;
        let mut acceptance = accepted.into_iter().next().ok_or_else(|| damaged("drafts", id, ""))?;
        if acceptance.what == Accepted::New {
            sqlx::query("UPDATE articles SET id = $1 WHERE id = $2")
                .bind(id.to_string())
                .bind(acceptance.id.to_string())
                .execute(&mut *tx)
                .await?;
            acceptance.id = id;
        }
        tx.commit().await?;
        Ok(Some(acceptance))
    }

    /// Puts a draft away: until it comes in changed, nobody is asked about it again. `false`: no draft
    /// of this id waits.
    pub async fn drop_draft(&self, id: ArticleId, now: Instant) -> Result<bool, StoreError> {
        let text = "UPDATE drafts SET settled_at = $1 WHERE id = $2 AND settled_at IS NULL";
        let done = sqlx::query(text).bind(micros(now)).bind(id.to_string()).execute(self.writer()).await?;
        Ok(done.rows_affected() > 0)
    }
}

/// Keeps a doubtful article, in a transaction that does more.
pub(super) async fn keep_in(
    connection: &mut AnyConnection,
    doubtful: Doubtful<'_>,
    now: Instant,
    chance: &dyn Chance,
) -> Result<Kept, StoreError> {
    let incoming = Incoming::new(doubtful.draft);
    if let Some(article) = keys_in_use(connection, &incoming.keys).await?.values().min() {
        let text = "SELECT fingerprint FROM articles WHERE n = $1";
        let known: String = sqlx::query_scalar(text).bind(*article).fetch_one(&mut *connection).await?;
        if known == incoming.fingerprint {
            return Ok(Kept::Settled);
        }
    }
    let published = doubtful.draft.published.map_or(0, micros);
    let fingerprint = format!("{}:{published}", incoming.fingerprint);
    let text = "SELECT d.n, d.id, d.fingerprint, d.settled_at FROM drafts d JOIN draft_keys k ON k.draft = d.n \
        WHERE k.key IN ({keys})";
    let known = fetch_about(connection, text, &[], &incoming.keys).await?;
    let id_of = |text: String| text.parse().map_err(|_| damaged("drafts", "id", text));
    let (n, id) = match known.iter().min_by_key(|row| row.try_get::<i64, _>("n").unwrap_or_default()) {
        Some(row) => {
            let id: ArticleId = id_of(row.try_get("id")?)?;
            let settled: Option<i64> = row.try_get("settled_at")?;
            if row.try_get::<String, _>("fingerprint")? == fingerprint {
                return Ok(if settled.is_some() { Kept::Settled } else { Kept::Waits(id) });
            }
            let n: i64 = row.try_get("n")?;
            let text = "UPDATE drafts SET input = $1, title = $2, content = $3, doubts = $4, fingerprint = $5, \
                mailable = $6, taken_at = $7, settled_at = NULL, \
                id = CASE WHEN EXISTS (SELECT 1 FROM articles a WHERE a.id = drafts.id) THEN $8 ELSE id END \
                WHERE n = $9 RETURNING id";
            let new = ArticleId::new(new_uuid(now, chance));
            let statement = values(sqlx::query(text), &doubtful, &fingerprint, now);
            let row = statement.bind(new.to_string()).bind(n).fetch_one(&mut *connection).await?;
            (n, id_of(row.try_get("id")?)?)
        }
        None => {
            let id = ArticleId::new(new_uuid(now, chance));
            let text = "INSERT INTO drafts (input, title, content, doubts, fingerprint, mailable, taken_at, id) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING n";
            let statement = values(sqlx::query(text), &doubtful, &fingerprint, now).bind(id.to_string());
            (statement.fetch_one(&mut *connection).await?.try_get("n")?, id)
        }
    };
    let text = "INSERT INTO draft_keys (key, draft) VALUES {rows} ON CONFLICT (key) DO NOTHING";
    insert_rows(connection, text, "(?, ?)", &incoming.keys, |s, key| s.bind(key.clone()).bind(n)).await?;
    Ok(Kept::Waits(id))
}

fn values(
    statement: super::statement::Statement,
    doubtful: &Doubtful<'_>,
    fingerprint: &str,
    now: Instant,
) -> super::statement::Statement {
    statement
        .bind(storable(doubtful.input))
        .bind(storable(&doubtful.draft.title))
        .bind(serde_json::to_string(doubtful.draft).unwrap_or_default())
        .bind(serde_json::to_string(doubtful.doubts).unwrap_or_default())
        .bind(fingerprint.to_owned())
        .bind(i64::from(doubtful.mailable))
        .bind(micros(now))
}

/// What was accepted waits for nobody any more.
pub(super) async fn settle_drafts(
    connection: &mut AnyConnection,
    keys: &[String],
    now: Instant,
) -> Result<(), StoreError> {
    let text = "UPDATE drafts SET settled_at = $1 WHERE settled_at IS NULL \
        AND n IN (SELECT draft FROM draft_keys WHERE key IN ({keys}))";
    execute_about(connection, text, &[micros(now)], keys).await
}

fn draft_of(row: &AnyRow) -> Result<KeptDraft, StoreError> {
    let (id, content, doubts): (String, String, String) =
        (row.try_get("id")?, row.try_get("content")?, row.try_get("doubts")?);
    Ok(KeptDraft {
        input: row.try_get("input")?,
        draft: serde_json::from_str(&content).map_err(|_| damaged("drafts", &id, content))?,
        doubts: serde_json::from_str(&doubts).map_err(|_| damaged("drafts", &id, doubts))?,
        taken_at: from_micros(row.try_get("taken_at")?),
        id: id.parse().map_err(|_| damaged("drafts", "id", id))?,
    })
}
